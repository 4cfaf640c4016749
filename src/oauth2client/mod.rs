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
pub mod hydra_admin;
pub mod key_set;
pub mod key_sets;
pub mod notices;
pub mod observe;
pub mod observe_only;
pub mod pass;
pub mod plan;
pub mod random;
pub mod reasons;
pub mod record;
pub mod relocation;
mod report;
pub mod secret_shape;
pub mod sent;
pub mod status;
pub mod survey;
pub mod sweep;
#[cfg(test)]
mod testing;
mod undecodable;

use std::{convert::Infallible, marker::PhantomData, sync::Arc, time::Instant};

use kube::{
    Api, Resource, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta, error_boundary::InvalidObject},
    runtime::{
        controller::Action,
        finalizer::{self, Event, finalizer},
    },
};
use tracing::Instrument;

pub use context::Context;
pub use report::forget;

use self::{
    error::Failure,
    hydra_admin::place,
    pass::{pass, revoke},
    relocation::{Held, left},
    secret_shape::are_asked_for,
    status::Outcome,
    survey::key_of,
};
use crate::{
    api::{FINALIZER, OAuth2Client},
    controller::{
        Reported, ResourceKey,
        bounds::{Breach, bounded},
        failures,
        looks::Look,
    },
    kubernetes::referrers::SecretRef,
    metrics::Controller,
};

/// The controller in metrics, events and logs.
pub const CONTROLLER: Controller = Controller::OAuth2Client;

/// A resource as the watch delivers it, which may be one that does not decode.
pub type Watched = DeserializeGuard<OAuth2Client>;

/// One pass over one resource. It never fails: what went wrong is in the status, and the action
/// says when to look again.
pub async fn reconcile(object: Arc<Watched>, context: Arc<Context>) -> Result<Action, Infallible> {
    let Some(_place) = context.passes.begin().await else { return Ok(Action::await_change()) };
    let span = tracing::info_span!(
        "reconcile",
        controller = CONTROLLER.as_str(),
        namespace = object.namespace(),
        resource = object.name_any()
    );
    let timer = context.metrics.reconcile_started(CONTROLLER);
    let key = || (object.namespace().unwrap_or_default(), object.name_any());
    let work = async {
        match &object.0 {
            Ok(resource) => Box::pin(dispatch(resource.clone(), &context)).await,
            Err(invalid) => Box::pin(undecodable(invalid, key(), &context)).await,
        }
    };
    // The pass has its own limit, within which it can tell how it ended; this one is for the rest.
    let ended = bounded(context.pass_limit * 2, work).instrument(span).await;
    let (action, result) = ended.unwrap_or_else(|breach| match breach {
        Breach::Panic => {
            context.metrics.panicked(CONTROLLER);
            report::again(key(), &context)
        }
        Breach::Time => report::given_up(key(), &context),
    });
    timer.finish(result);
    Ok(action)
}

/// Suspended resources are written nowhere but to their status, so they get no finalizer either.
async fn dispatch(resource: OAuth2Client, context: &Context) -> Reported {
    let key = key_of(&resource);
    let now = Instant::now();
    // The watch may show it for a moment longer.
    if context.statuses.has_parted(&key, resource.metadata.uid.as_deref()) {
        return report::unchanged();
    }
    let mut resource = resource;
    if let Some((status, _)) = context.statuses.newer(&key, &resource.metadata, now) {
        resource.status = Some(status);
    }
    let resource = Arc::new(resource);
    refer(&resource, context);
    if let Some(observer) = &context.observer {
        let work = Box::pin(observe_only::intent(&resource, &key, context));
        let found = limited(context, &resource, work).await;
        return observe_only::report(observer, &key, found, context);
    }
    if resource.metadata.deletion_timestamp.is_some() {
        return Box::pin(finalize(resource, None, context)).await;
    }
    if resource.is_suspended() {
        return report::report(&resource, Outcome::Suspended, context).await;
    }
    // It gets no finalizer either: there is nothing that its deletion would have to wait for.
    if let Err(failure) = context.check_access(&key.0) {
        return report::report(&resource, Outcome::Failed(failure), context).await;
    }
    let look = context.looks.take(&key);
    let secret = context.referrers.version(&secret_of(&resource));
    let record = context.record(&resource);
    if !look.is_asked()
        && context.conflicts.check(&key).is_ok()
        && resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
        && record.is_at_rest(secret.as_ref())
        && are_asked_for(record.keys.as_ref(), &resource.spec, &context.secret_keys)
        && is_in_place(&resource, context)
        && report::look_due_in(&resource, now, context).is_none_or(|left| !left.is_zero())
    {
        return report::at_rest(&resource, now, context);
    }
    Box::pin(finalize(resource, Some(look), context)).await
}

/// An object that does not decode is told so, and deleted like any other.
async fn undecodable(invalid: &InvalidObject, key: ResourceKey, context: &Context) -> Reported {
    match undecodable::read(invalid, &key, context).await {
        Ok(Some(resource)) if resource.metadata.deletion_timestamp.is_some() => {
            Box::pin(dispatch(resource, context)).await
        }
        Ok(Some(resource)) => report::undecodable(&resource, &invalid.error, context).await,
        Ok(None) => report::unchanged(),
        Err(error) => {
            tracing::warn!(%error, "Could not read an object that does not decode");
            report::given_up(key, context)
        }
    }
}

/// A pass under the finalizer, or the deletion that it holds up. The finalizer is written by the
/// metadata alone, so that it does not matter whether the rest decodes.
async fn finalize(
    resource: Arc<OAuth2Client>,
    mut look: Option<Look<'_, ResourceKey>>,
    context: &Context,
) -> Reported {
    let api = context.metadata(&resource.namespace().unwrap_or_default());
    let object = PartialObjectMeta {
        types: None,
        metadata: resource.metadata.clone(),
        _phantom: PhantomData,
    };
    let mut reported = report::unchanged();
    let handle = async |event| match event {
        Event::Apply(_) => {
            let pass = limited(context, &resource, Box::pin(pass(&resource, context))).await;
            let outcome = pass.unwrap_or_else(Outcome::Failed);
            let applied = matches!(outcome, Outcome::Applied { .. });
            if let Some(look) = look.take_if(|_| applied) {
                look.done();
            }
            reported = report::report(&resource, outcome, context).await;
            Ok(reported.0.clone())
        }
        Event::Cleanup(_) => {
            let revoked = limited(context, &resource, Box::pin(revoke(&resource, context))).await;
            if let Err(failure) = &revoked {
                let outcome = Outcome::Failed(failure.clone());
                reported = report::report(&resource, outcome, context).await;
            }
            revoked.map(|()| Action::await_change())
        }
    };
    let result = match with_finalizer(object, &api).await {
        Ok(object) => finalizer(&api, FINALIZER, Arc::new(object), handle).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(_) if resource.metadata.deletion_timestamp.is_some() => {
            let key = key_of(&resource);
            forget(&key, context);
            context.statuses.parted(key, resource.uid());
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

/// `object` with its finalizer, which is added where it is missing, so that the pass need not wait
/// until the watch shows it.
async fn with_finalizer(
    mut object: PartialObjectMeta<OAuth2Client>,
    api: &Api<PartialObjectMeta<OAuth2Client>>,
) -> Result<PartialObjectMeta<OAuth2Client>, finalizer::Error<Failure>> {
    let has = object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    if !has && object.meta().deletion_timestamp.is_none() {
        // It adds the finalizer and calls nothing.
        let nothing = async |_| Ok(Action::await_change());
        finalizer(api, FINALIZER, Arc::new(object.clone()), nothing).await?;
        object.finalizers_mut().push(FINALIZER.to_owned());
    }
    Ok(object)
}

/// The watch shows `object`: what happens to its Secret and its key set concerns it from now on.
pub fn shown(object: &Watched, context: &Context) {
    if let Ok(resource) = &object.0 {
        refer(resource, context);
    }
}

/// The watch shows that the resource is gone. What it has left in Hydra, if anything, may be found
/// by a namesake.
pub fn vanished(object: &Watched, context: &Context) {
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    if let Ok(resource) = &object.0 {
        context.instance_of(resource).census().moves(&desired::owner_mark(&key.0, &key.1));
    }
    forget(&key, context);
}

/// Whether the client is in the Hydra that the resource asks for. From then on that one is swept.
fn is_in_place(resource: &OAuth2Client, context: &Context) -> bool {
    place(&resource.spec, &context.rules).is_ok_and(|place| {
        context.instance(&place.target).is_ok()
            && left(resource.status.as_ref(), &place, &context.rules) == Held::Nowhere
    })
}

fn refer(resource: &OAuth2Client, context: &Context) {
    context.key_sets.refer(resource);
    context.referrers.refer(&key_of(resource), secret_of(resource));
}

fn secret_of(resource: &OAuth2Client) -> SecretRef {
    (resource.namespace().unwrap_or_default(), resource.spec.secret_name.clone())
}

/// `work` within its bounds, or the failure that says which it broke.
async fn limited<T>(
    context: &Context,
    resource: &OAuth2Client,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    bounded(context.pass_limit, work).await.unwrap_or_else(|breach| {
        if breach == Breach::Panic {
            context.metrics.panicked(CONTROLLER);
            return Err(failures::panicked());
        }
        let secret = context.referrers.version(&secret_of(resource));
        Err(error::took_too_long(context.record(resource).is_at_rest(secret.as_ref())))
    })
}
