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
pub mod observe_only;
pub mod plan;
pub mod random;
pub mod record;
mod report;
pub mod status;
pub mod statuses;
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
    claims::Lease,
    desired::{Desired, desired},
    error::{Failure, Reason},
    observe::observe,
    plan::{Plan, plan},
    record::Record,
    status::Outcome,
};
use crate::{
    api::{FINALIZER, OAuth2Client},
    controller::ResourceKey,
    kubernetes::{Owner, SecretVersion, discovery::served},
    metrics::Controller,
};

/// The controller in metrics, events and logs.
pub const CONTROLLER: Controller = Controller::OAuth2Client;

/// One pass over one resource. It never fails: what went wrong is in the status, and the action
/// says when to look again.
pub async fn reconcile(
    object: Arc<DeserializeGuard<OAuth2Client>>,
    context: Arc<Context>,
) -> Result<Action, Infallible> {
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
    let key = (resource.namespace().unwrap_or_default(), resource.name_any());
    let resource = Arc::new(context.statuses.freshest(&key, resource, Instant::now()));
    context.referrers.refer(&key, (key.0.clone(), resource.spec.secret_name.clone()));
    if let Some(observer) = &context.observer {
        let work = observe_only::intent(&resource, &key, context);
        return observer.report(&key, limited(context, &resource, work).await, context);
    }
    if resource.is_suspended() && resource.metadata.deletion_timestamp.is_none() {
        return report::report(&resource, Outcome::Suspended, context).await;
    }
    let api = context.resources(&key.0);
    let mut reported = report::unchanged();
    let result = finalizer(&api, FINALIZER, resource.clone(), async |event| match event {
        Event::Apply(resource) => {
            let pass = limited(context, &resource, pass(&resource, context)).await;
            let outcome = pass.unwrap_or_else(Outcome::Failed);
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
            forget(&key, context);
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

    let lease = context.conflicts.begin(&key)?;
    let (desired, plan) = Box::pin(decide(resource, &key, &lease, context)).await?;
    let name = (key.0.clone(), desired.secret_name.clone());
    let written = |version: &SecretVersion| {
        context.referrers.handled(&name, version);
        lease.keep();
    };
    let targets = Targets {
        owner: &owner,
        api_version: &api_version,
        secrets: &secrets,
        instance,
        written: &written,
    };
    let applied = apply(plan, &desired, targets).await?;
    lease.keep();

    let hydra_version =
        if applied.unsupported.is_empty() { String::new() } else { instance.version().await };
    Ok(Outcome::Applied { applied, hydra_version })
}

/// The half of a pass that writes nothing: what the resource asks for, and what is to be done.
async fn decide(
    resource: &OAuth2Client,
    key: &ResourceKey,
    lease: &Lease<'_>,
    context: &Context,
) -> Result<(Desired, Plan), Failure> {
    let (secrets, instance) = (context.secrets(&key.0), &context.instance);
    let (owner, fresh) = (owner(resource), random::fresh()?);

    let desired = desired(resource)?;
    let observed = observe(&desired, &Record::of(resource), &owner, &secrets, instance).await;
    if matches!(&observed, Err(failure) if failure.reason == Reason::SecretNotOwned) {
        context.conflicts.concede_secret(&key.0, &desired, &owner, &secrets).await;
    }
    let observed = observed?;
    if let Some(version) = observed.secret.version() {
        context.referrers.handled(&(key.0.clone(), desired.secret_name.clone()), version);
    }
    lease.found(observed.id.as_ref(), instance.name())?;
    let plan = plan(&desired, &observed, &fresh).inspect_err(|failure| {
        if let (Reason::ClientIdTaken, Some(client)) = (failure.reason, &observed.client) {
            context.conflicts.concede_client(client, instance.name());
        }
    })?;
    Ok((desired, plan))
}

/// The way back: what deletion asks for.
async fn revoke(resource: &OAuth2Client, context: &Context) -> Result<(), Failure> {
    let secrets = context.secrets(&resource.namespace().unwrap_or_default());
    let (owner, record) = (owner(resource), Record::of(resource));
    let definition = served::<OAuth2Client>(&context.client)
        .await
        .map_err(|error| error::kubernetes("read which resources are served", &error))?;
    let notices =
        cleanup::cleanup(resource, definition, &record, &owner, &secrets, &context.instance)
            .await?;
    context.events.publish(&resource.object_ref(&()), notices).await;
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
