//! One pass over one resource, from what it asks for to what its status shall say, and the way back.

use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use super::{
    Context,
    apply::{Targets, apply, check_templates},
    claims::Lease,
    cleanup,
    desired::{self, Desired, desired},
    error::{self, Failure},
    observe::{Observed, observe},
    plan::{Plan, plan},
    record::Record,
    rest,
    revocation::revoke,
    status::Outcome,
};
use crate::{
    api::JsonWebKeySet,
    controller::{Class, ResourceKey},
    kubernetes::{Owner, SecretVersion, discovery::served},
};

/// The whole way from the resource to Hydra and its outputs.
pub async fn pass(
    resource: &JsonWebKeySet,
    key: &ResourceKey,
    context: &Context,
) -> Result<Outcome, Failure> {
    let record = Record::of(resource);
    let owner = owner(resource);
    let (secrets, config_maps) = (context.secrets(&key.0), context.config_maps(&key.0));
    let sources = context.sources(&owner, (&secrets, &config_maps), &key.0);
    if let Some(compromised) = record.compromised()
        && let Some(revoked) = revoke(compromised, resource, &record, context, &sources).await?
    {
        return Ok(revoked);
    }
    let (decision, lease) = Box::pin(decide(resource, key, context)).await?;
    lease.keep();
    let Decision { desired, observed, plan } = decision;
    let desired = Box::new(desired);
    match plan {
        Plan::Record { keys, intruder } => Ok(Outcome::Recorded { desired, keys, intruder }),
        Plan::Apply(changes) => {
            let written = |kind: &str, name: &str, version: &SecretVersion| {
                context.written(kind, &(key.0.clone(), name.to_owned()), version);
            };
            let api_version = JsonWebKeySet::api_version(&());
            let to = Targets { sources, api_version: &api_version, written: &written };
            let applied = apply(*changes, &desired, &record, &observed, to).await?;
            Ok(Outcome::Applied { desired, applied: Box::new(applied) })
        }
    }
}

/// What a resource asks for, what there is, and what has to be done.
pub struct Decision {
    /// What it asks for.
    pub desired: Desired,
    /// What there is.
    pub observed: Observed,
    /// What has to be done.
    pub plan: Plan,
}

/// The half of a pass that writes nothing. The set is nobody else's as long as the lease lives.
pub async fn decide<'a>(
    resource: &JsonWebKeySet,
    key: &'a ResourceKey,
    context: &'a Context,
) -> Result<(Decision, Lease<'a>), Failure> {
    let record = Record::of(resource);
    let desired = desired(resource, &context.permissions)?;
    check_templates(&desired)?;
    let is_own = desired::is_own(&key.0, desired.set.as_str());
    let lease = context.rivals.begin(key, is_own)?;
    let owner = owner(resource);
    let (secrets, config_maps) = (context.secrets(&key.0), context.config_maps(&key.0));
    let sources = context.sources(&owner, (&secrets, &config_maps), &key.0);
    // Of a set about which nothing is known that would have to be done, nothing is known to be wrong either.
    let idle = rest::at_rest(resource, key, context, Timestamp::now()).is_some();
    let observed = observe(&desired, &record, (context.linked_to)(key), &sources).await;
    let observed = observed.map_err(|failure| match failure.class {
        Class::Transient if idle => Failure { class: Class::Unobserved, ..failure },
        _ => failure,
    })?;
    if let Some(import) = &observed.import {
        let version = SecretVersion {
            uid: import.uid.clone(),
            resource_version: import.resource_version.clone(),
        };
        context.written("Secret", &(key.0.clone(), import.name.clone()), &version);
    }
    let plan = plan(&desired, &record, &observed, &fresh_kid(), Timestamp::now())?;
    Ok((Decision { desired, observed, plan }, lease))
}

/// The way back: what deletion asks for.
pub async fn part(
    resource: &JsonWebKeySet,
    key: &ResourceKey,
    context: &Context,
) -> Result<(), Failure> {
    let definition = served::<JsonWebKeySet>(&context.client)
        .await
        .map_err(|error| error::kubernetes("read which resources are served", &error))?;
    let (owner, record) = (owner(resource), Record::of(resource));
    let (secrets, config_maps) = (context.secrets(&key.0), context.config_maps(&key.0));
    let from = context.sources(&owner, (&secrets, &config_maps), &key.0);
    let (permissions, now) = (&context.permissions, Timestamp::now());
    let notices = cleanup::cleanup(resource, &record, permissions, definition, &from, now).await?;
    context.events.publish(&resource.object_ref(&()), notices);
    Ok(())
}

/// A random UUID (RFC 9562).
fn fresh_kid() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn owner(resource: &JsonWebKeySet) -> Owner {
    Owner {
        group: JsonWebKeySet::group(&()).into_owned(),
        kind: JsonWebKeySet::kind(&()).into_owned(),
        name: resource.name_any(),
        uid: resource.uid().unwrap_or_default(),
    }
}
