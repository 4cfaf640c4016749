//! The reconcile of an `OAuth2Client`.
//!
//! ```text
//! observe (IO) -> desired (pure) -> plan (pure) -> apply (IO) -> status (pure, then one patch)
//! ```
//!
//! The desired state is worked out first, since it names the Secret to observe; nothing that is
//! observed changes it.

pub mod apply;
pub mod claims;
pub mod cleanup;
pub mod context;
pub mod credentials;
pub mod desired;
pub mod error;
pub mod notices;
pub mod observe;
pub mod plan;
pub mod random;
pub mod reasons;
pub mod record;
mod report;
pub mod resync;
pub mod secret_shape;
pub mod sent;
pub mod status;
pub mod statuses;
pub mod survey;
pub mod sweep;
#[cfg(test)]
mod testing;

use std::{convert::Infallible, sync::Arc, time::Instant};

use kube::{
    Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        controller::Action,
        finalizer::{self, Event, finalizer},
    },
};
use tracing::Instrument;

pub use context::Context;
pub use report::forget;

use self::{
    apply::{Targets, apply},
    desired::{desired, needs_secret},
    error::{Failure, Reason},
    observe::{Sources, observe},
    plan::plan,
    record::Record,
    status::Outcome,
    survey::key_of,
};
use crate::{
    api::{FINALIZER, OAuth2Client},
    controller::{ResourceKey, looks::Look},
    hydra::WellKnown,
    instance::Instance,
    kubernetes::{Owner, SecretVersion, discovery::served, referrers::SecretRef},
    metrics::Controller,
};

/// The controller in metrics, events and logs.
pub const CONTROLLER: Controller = Controller::OAuth2Client;

/// A resource as the watch delivers it, which may be one that does not decode.
pub type Watched = DeserializeGuard<OAuth2Client>;

/// One pass over one resource. It never fails: what went wrong is in the status, and the action
/// says when to look again.
pub async fn reconcile(object: Arc<Watched>, context: Arc<Context>) -> Result<Action, Infallible> {
    // Closed only when the process ends, and then nobody waits for the answer.
    let Ok(_permit) = context.limit.acquire().await else { return Ok(Action::await_change()) };
    let span = tracing::info_span!(
        "reconcile",
        controller = CONTROLLER.as_str(),
        namespace = object.namespace(),
        name = object.name_any()
    );
    let timer = context.metrics.reconcile_started(CONTROLLER);
    let work = async {
        match &object.0 {
            Ok(resource) => Box::pin(dispatch(resource.clone(), &context)).await,
            Err(invalid) => report::undecodable(invalid, &context).await,
        }
    };
    // The pass has its own limit, within which it can tell how it ended; this one is for the rest.
    let limited = tokio::time::timeout(context.pass_limit * 2, work).instrument(span).await;
    let key = || (object.namespace().unwrap_or_default(), object.name_any());
    let (action, result) = limited.unwrap_or_else(|_| report::given_up(key(), &context));
    timer.finish(result);
    Ok(action)
}

/// Suspended resources are written nowhere but to their status, so they get no finalizer either.
async fn dispatch(resource: OAuth2Client, context: &Context) -> report::Reported {
    let key = key_of(&resource);
    let now = Instant::now();
    let resource = Arc::new(context.statuses.freshest(&key, resource, now));
    refer(&resource, context);
    if resource.metadata.deletion_timestamp.is_some() {
        return Box::pin(finalize(resource, None, context)).await;
    }
    if resource.is_suspended() {
        return report::report(&resource, Outcome::Suspended, context).await;
    }
    let look = context.looks.take(&key);
    let secret = context.referrers.version(&secret_of(&resource));
    if !look.is_asked()
        && resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
        && Record::of(&resource).is_at_rest(secret.as_ref())
        && report::look_due_in(&resource, now, context).is_none_or(|left| !left.is_zero())
    {
        return report::at_rest(&resource, now, context);
    }
    Box::pin(finalize(resource, Some(look), context)).await
}

/// A pass under the finalizer, or the deletion that it holds up.
async fn finalize(
    resource: Arc<OAuth2Client>,
    mut look: Option<Look<'_, ResourceKey>>,
    context: &Context,
) -> report::Reported {
    let api = context.resources(&resource.namespace().unwrap_or_default());
    let mut reported = report::unchanged();
    let result = finalizer(&api, FINALIZER, resource.clone(), async |event| match event {
        Event::Apply(resource) => {
            let pass = limited(context, &resource, Box::pin(pass(&resource, context))).await;
            let outcome = pass.unwrap_or_else(Outcome::Failed);
            let applied = matches!(outcome, Outcome::Applied { .. });
            if let Some(look) = look.take_if(|_| applied) {
                look.done();
            }
            reported = report::report(&resource, outcome, context).await;
            Ok(reported.0.clone())
        }
        Event::Cleanup(resource) => {
            let revoked = limited(context, &resource, revoke(&resource, context)).await;
            if let Err(failure) = &revoked {
                let outcome = Outcome::Failed(failure.clone());
                reported = report::report(&resource, outcome, context).await;
            }
            revoked.map(|()| Action::await_change())
        }
    })
    .await;
    match result {
        Ok(_) if resource.metadata.deletion_timestamp.is_some() => {
            forget(&key_of(&resource), context);
            reported
        }
        Ok(_) | Err(finalizer::Error::ApplyFailed(_) | finalizer::Error::CleanupFailed(_)) => {
            reported
        }
        Err(finalizer::Error::AddFinalizer(error) | finalizer::Error::RemoveFinalizer(error)) => {
            report::finalizer_refused(&resource, &error, context).await
        }
        Err(finalizer::Error::UnnamedObject | finalizer::Error::InvalidFinalizer) => reported,
    }
}

/// The watch shows `object`: what happens to its Secret concerns it from now on.
pub fn shown(object: &Watched, context: &Context) {
    if let Ok(resource) = &object.0 {
        refer(resource, context);
    }
}

/// The watch shows that the resource is gone. What it has left in Hydra, if anything, may be found
/// by a namesake.
pub fn vanished(key: &ResourceKey, context: &Context) {
    context.instance.census().moves(&desired::owner_mark(&key.0, &key.1));
    forget(key, context);
}

fn refer(resource: &OAuth2Client, context: &Context) {
    context.referrers.refer(&key_of(resource), secret_of(resource));
}

fn secret_of(resource: &OAuth2Client) -> SecretRef {
    (resource.namespace().unwrap_or_default(), resource.spec.secret_name.clone())
}

/// One resource must not keep its place for as long as the other side likes.
async fn limited<T>(
    context: &Context,
    resource: &OAuth2Client,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let limited = tokio::time::timeout(context.pass_limit, work).await;
    limited.unwrap_or_else(|_| Err(error::took_too_long(Record::of(resource).settled)))
}

/// The whole way from the resource to Hydra and its Secret.
async fn pass(resource: &OAuth2Client, context: &Context) -> Result<Outcome, Failure> {
    let key = (resource.namespace().unwrap_or_default(), resource.name_any());
    let (secrets, instance) = (context.secrets(&key.0), &context.instance);
    let (owner, api_version) = (owner(resource), OAuth2Client::api_version(&()));
    let (fresh, record) = (random::fresh()?, Record::of(resource));

    let desired = desired(resource)?;
    let well_known = well_known(resource, instance).await?;
    let shape = secret_shape::shape(&resource.spec, &context.secret_keys, well_known.as_deref())?;
    let keys = &context.secret_keys;
    let lookup = secret_shape::lookup(&resource.spec, keys, &record, desired.needs_secret);
    let name = (key.0.clone(), desired.secret_name.clone());
    let handled = |version: &SecretVersion| context.referrers.handled(&name, version);
    let sources = Sources {
        owner: &owner,
        lookup: &lookup,
        secrets: &secrets,
        instance,
        is_sent: &|secret| context.sent.is_last(&key, secret),
    };
    let lease = context.conflicts.begin(&key)?;
    let observed = observe(&desired, record, &sources).await;
    if matches!(&observed, Err(failure) if failure.reason == Reason::SecretNotOwned) {
        context.conflicts.concede_secret(&key.0, &desired, &sources).await;
    }
    let observed = observed?;
    observed.secret.version().map(handled);
    lease.found(observed.id.as_ref(), instance.name())?;
    let plan = plan(&desired, &shape, &observed, &fresh).inspect_err(|failure| {
        if let (Reason::ClientIdTaken, Some(client)) = (failure.reason, &observed.client) {
            context.conflicts.concede_client(client, instance.name());
        }
    })?;
    let written = |version: &SecretVersion| {
        handled(version);
        lease.keep();
    };
    let secret = plan.credentials.secret.clone();
    let targets = Targets {
        owner: &owner,
        api_version: &api_version,
        secrets: &secrets,
        instance,
        written: &written,
    };
    // Until it is done nobody knows what Hydra holds.
    context.sent.forget(&key);
    let applied = apply(plan, &desired, &shape, targets).await?;
    lease.keep();
    if let Some(secret) = secret.filter(|_| desired.needs_secret) {
        context.sent.remember(&key, secret.expose());
    }

    let hydra_version =
        if applied.unsupported.is_empty() { String::new() } else { instance.version().await };
    Ok(Outcome::Applied { applied, hydra_version })
}

/// What Hydra says about itself, where the resource asks for it.
async fn well_known(
    resource: &OAuth2Client,
    instance: &Instance,
) -> Result<Option<Arc<WellKnown>>, Failure> {
    if !secret_shape::needs_well_known(&resource.spec) {
        return Ok(None);
    }
    match instance.well_known().await {
        Some(Ok(known)) => Ok(Some(known)),
        Some(Err(error)) => Err(error::hydra("read Hydra's discovery document", &error)),
        None => Err(Failure::terminal(
            Reason::InvalidSpec,
            "spec.secretTemplate.data asks for values of Hydra's discovery document, and the \
             operator does not know where that is; ask its administrator to set \
             --hydra-public-url, or write the values themselves",
        )),
    }
}

/// The way back: what deletion asks for.
async fn revoke(resource: &OAuth2Client, context: &Context) -> Result<(), Failure> {
    let secrets = context.secrets(&resource.namespace().unwrap_or_default());
    let (owner, record) = (owner(resource), Record::of(resource));
    let definition = served::<OAuth2Client>(&context.client)
        .await
        .map_err(|error| error::kubernetes("read which resources are served", &error))?;
    let needs_secret = needs_secret(&resource.spec);
    let lookup = secret_shape::lookup(&resource.spec, &context.secret_keys, &record, needs_secret);
    let from = Sources {
        owner: &owner,
        lookup: &lookup,
        secrets: &secrets,
        instance: &context.instance,
        is_sent: &|_| false,
    };
    let notices = cleanup::cleanup(resource, definition, &record, &from).await?;
    context.events.publish(&resource.object_ref(&()), notices);
    Ok(())
}

fn owner(resource: &OAuth2Client) -> Owner {
    Owner {
        group: OAuth2Client::group(&()).into_owned(),
        kind: OAuth2Client::kind(&()).into_owned(),
        name: resource.name_any(),
        uid: resource.uid().unwrap_or_default(),
    }
}
