//! One pass over one resource, from what it asks for to what its status shall say, and the way back.

use std::sync::Arc;

use kube::{Resource, ResourceExt};

use super::{
    Context,
    apply::{Targets, apply},
    claims::Lease,
    cleanup::{self, Holders},
    desired::{Desired, desired},
    error::{self, Failure, Reason},
    hydra_admin::place,
    observe::{Observed, SecretSource, Sources, observe},
    plan::{Plan, plan},
    random,
    record::Record,
    relocation::{Relocation, find_holders},
    secret_shape::{self, SecretShape},
    sent::Bearer,
    status::Outcome,
    survey::key_of,
};
use crate::{
    api::OAuth2Client,
    controller::{Class, ResourceKey},
    hydra::{ClientId, WellKnown},
    instance::Instance,
    kubernetes::{
        Owner, SecretVersion,
        discovery::{Served, served},
    },
};

/// The whole way from the resource to Hydra and its Secret.
pub async fn pass(resource: &OAuth2Client, context: &Context) -> Result<Outcome, Failure> {
    let (key, owner) = (key_of(resource), owner(resource));
    let (secrets, api_version) = (context.secrets(&key.0), OAuth2Client::api_version(&()));

    let (decision, lease) = Box::pin(decide(resource, &key, context)).await?;
    let Decision { desired, shape, plan, instance, relocation } = decision;
    let name = (key.0.clone(), desired.secret_name.clone());
    let written = |version: &SecretVersion| {
        context.referrers.handled(&name, version);
        lease.keep();
    };
    let value = plan.credentials.secret.clone().filter(|_| desired.needs_secret);
    let to = Targets {
        owner: &owner,
        api_version: &api_version,
        secrets: &secrets,
        instance: &instance,
        written: &written,
    };
    // Until it is done nobody knows what Hydra holds.
    context.sent.forget(&key);
    let writing = context.referrers.writing(&name);
    let applied = apply(plan, &desired, &shape, to).await;
    if writing.end() {
        context.looks.ask(key.clone());
        context.conflicts.wake(std::slice::from_ref(&key));
    }
    if matches!(&applied, Err(failure) if failure.class == Class::Conflict) {
        context.referrers.found(&name);
    }
    let applied = applied?;
    lease.keep();
    if let Some(value) = value {
        let bearer = Bearer { instance: instance.name(), id: applied.client_id.as_str() };
        context.sent.remember(&key, bearer, value.expose());
    }
    Box::pin(relocation.finish(resource, &applied, &instance, context)).await?;

    let hydra_version =
        if applied.unsupported.is_empty() { String::new() } else { instance.version().await };
    Ok(Outcome::Applied { applied: Box::new(applied), hydra_version })
}

/// What a resource asks for, and what has to be written for it.
pub struct Decision {
    /// What it asks for.
    pub desired: Desired,
    /// How its Secret shall look.
    pub shape: SecretShape,
    /// What has to be written.
    pub plan: Plan,
    /// The Hydra that is to hold the client.
    pub instance: Arc<Instance>,
    /// The move of the client to that one, if it is in another.
    pub relocation: Relocation,
}

/// The half of a pass that writes nothing. What it decides to take is nobody else's as long as the
/// lease lives.
pub async fn decide<'a>(
    resource: &OAuth2Client,
    key: &'a ResourceKey,
    context: &'a Context,
) -> Result<(Decision, Lease<'a>), Failure> {
    let (owner, secrets, fresh) = (owner(resource), context.secrets(&key.0), random::fresh()?);
    let link = context.key_sets.link(resource);
    let desired = desired(resource, &link)?;
    let place = place(&resource.spec, &context.rules)?;
    let instance = context.instance(&place.target)?;
    let well_known = well_known(resource, &instance, context).await?;
    let shape = secret_shape::shape(&resource.spec, &context.secret_keys, well_known.as_deref())?;
    let relocation = Box::pin(Relocation::begin(resource, &place, context)).await?;
    let record = Record::of(resource).linked(&link);
    let record = if relocation.moves() { record.elsewhere() } else { record };
    let lookup = context.lookup(&resource.spec, &record);
    let lease = context.conflicts.begin(key)?;

    let access = context.check_access(&key.0);
    let secret =
        SecretSource { owner: &owner, lookup: &lookup, secrets: &secrets, access: &access };
    let last_sent = |id: &ClientId, secret: &_| {
        let bearer = Bearer { instance: instance.name(), id: id.as_str() };
        context.sent.last(key, bearer, secret)
    };
    let removes_duplicates = context.removes_duplicates;
    let from = Sources {
        secret,
        instance: &instance,
        secret_is_new: secret_is_new(resource, &desired, context),
        removes_duplicates,
        last_sent: &last_sent,
    };
    let observed = observe(&desired, record, &from).await;
    let observed = concede_secret(observed, key, &desired, &secret, context).await?;
    if let Some(version) = observed.secret.version() {
        context.referrers.handled(&(key.0.clone(), desired.secret_name.clone()), version);
    }
    lease.found(observed.id.as_ref(), instance.name())?;
    let plan = plan(&desired, &shape, &observed, &fresh)
        .inspect_err(|failure| concede_client(failure, &observed, &instance, context))?;
    Ok((Decision { desired, shape, plan, instance, relocation }, lease))
}

/// Whether to create the Secret without having looked for it: of a resource that nobody has seen
/// before, and whose Secret nobody has told of, the Secret is as a rule new as well. The creation
/// fails where it is not, and the next pass reads it.
fn secret_is_new(resource: &OAuth2Client, desired: &Desired, context: &Context) -> bool {
    let observed = resource.status.as_ref().and_then(|status| status.observed_generation);
    let secret = (resource.namespace().unwrap_or_default(), desired.secret_name.clone());
    observed.is_none_or(|generation| generation < 0)
        && !desired.require_existing_secret
        && context.observer.is_none()
        && !context.referrers.is_known(&secret)
}

/// The owner of a Secret that is another resource's is the holder of what both claim.
async fn concede_secret(
    observed: Result<Observed, Failure>,
    key: &ResourceKey,
    desired: &Desired,
    from: &SecretSource<'_>,
    context: &Context,
) -> Result<Observed, Failure> {
    if matches!(&observed, Err(failure) if failure.reason == Reason::SecretNotOwned) {
        context.conflicts.concede_secret(&key.0, desired, from).await;
    }
    observed
}

/// The owner of a client that is another resource's is the holder of what both claim.
fn concede_client(failure: &Failure, observed: &Observed, instance: &Instance, context: &Context) {
    if let (Reason::ClientIdTaken, Some(client)) = (failure.reason, &observed.client) {
        context.conflicts.concede_client(client, instance.name());
    }
}

/// What Hydra says about itself, where the resource asks for it.
async fn well_known(
    resource: &OAuth2Client,
    instance: &Instance,
    context: &Context,
) -> Result<Option<Arc<WellKnown>>, Failure> {
    if !secret_shape::needs_well_known(&resource.spec) {
        return Ok(None);
    }
    match instance.well_known().await {
        Some(Ok(known)) => Ok(Some(known)),
        Some(Err(error)) => {
            let secret = context.referrers.version(&super::secret_of(resource));
            Err(error::discovery(&error, context.record(resource).is_at_rest(secret.as_ref())))
        }
        None => Err(Failure::terminal(
            Reason::InvalidSpec,
            "spec.secretTemplate.data asks for values of Hydra's discovery document, and the \
             operator does not know where that is; write the values themselves, or ask its \
             administrator to set --hydra-public-url, which serves resources without \
             spec.hydraAdmin alone",
        )),
    }
}

/// The way back: what deletion asks for.
pub async fn revoke(resource: &OAuth2Client, context: &Context) -> Result<(), Failure> {
    let notices = parting(resource, context, async |definition, record, from, holders| {
        let removes = context.removes_duplicates;
        cleanup::cleanup(resource, definition, record, from, holders, removes).await
    });
    context.events.publish(&resource.object_ref(&()), notices.await?);
    Ok(())
}

/// Hands `part` what has to be known of a resource that is being deleted.
pub async fn parting<T>(
    resource: &OAuth2Client,
    context: &Context,
    part: impl AsyncFnOnce(Served, &Record, &SecretSource<'_>, Holders) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let namespace = resource.namespace().unwrap_or_default();
    let (secrets, access) = (context.secrets(&namespace), context.check_access(&namespace));
    let (owner, record) = (owner(resource), Record::of(resource));
    let definition = served::<OAuth2Client>(&context.client)
        .await
        .map_err(|error| error::kubernetes("read which resources are served", &error))?;
    let lookup = context.lookup(&resource.spec, &record);
    let from = SecretSource { owner: &owner, lookup: &lookup, secrets: &secrets, access: &access };
    let holders = find_holders(resource, &record, &from, context).await;
    part(definition, &record, &from, holders).await
}

fn owner(resource: &OAuth2Client) -> Owner {
    Owner {
        group: OAuth2Client::group(&()).into_owned(),
        kind: OAuth2Client::kind(&()).into_owned(),
        name: resource.name_any(),
        uid: resource.uid().unwrap_or_default(),
    }
}
