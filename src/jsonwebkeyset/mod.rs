//! The reconcile of a `JsonWebKeySet`.
//!
//! ```text
//! observe (IO) -> desired (pure) -> plan (pure, with the rotation) -> apply (IO) -> status (pure, then one patch)
//! ```
//!
//! The desired state is worked out first, since it names what to observe. A key takes several passes to come to life, each of
//! which leaves a record: see [`rotation`].

pub mod apply;
pub mod claims;
pub mod cleanup;
pub mod contents;
pub mod context;
pub mod desired;
pub mod error;
pub mod notices;
pub mod observe;
pub mod observe_only;
pub mod pass;
pub mod plan;
pub mod reasons;
pub mod record;
mod report;
pub mod rest;
pub mod revocation;
pub mod rotation;
pub mod status;
#[cfg(test)]
mod testing;
pub mod waiting;

use std::{convert::Infallible, marker::PhantomData, sync::Arc, time::Instant};

use jiff::Timestamp;
use kube::{
    ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        controller::Action,
        finalizer::{self, Event, finalizer},
    },
};
use tracing::Instrument;

pub use context::Context;
pub use report::forget;

use self::{
    contents::material_name,
    context::Role,
    error::Failure,
    pass::{part, pass},
    status::Outcome,
};
use crate::{
    api::{FINALIZER, JsonWebKeySet},
    controller::{
        Reported, ResourceKey,
        bounds::{Breach, bounded},
        failures,
        looks::Look,
    },
    metrics::Controller,
};

/// The controller in metrics, events and logs.
pub const CONTROLLER: Controller = Controller::JsonWebKeySet;

/// A resource as the watch delivers it, which may be one that does not decode.
pub type Watched = DeserializeGuard<JsonWebKeySet>;

/// One pass over one resource. It never fails: what went wrong is in the status, and the action says when to look again.
pub async fn reconcile(object: Arc<Watched>, context: Arc<Context>) -> Result<Action, Infallible> {
    let Some(_place) = context.passes.begin().await else { return Ok(Action::await_change()) };
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    let span = tracing::info_span!(
        "reconcile",
        controller = CONTROLLER.as_str(),
        namespace = key.0,
        resource = key.1
    );
    let timer = context.metrics.reconcile_started(CONTROLLER);
    let work = async {
        match &object.0 {
            Ok(resource) => Box::pin(dispatch(resource.clone(), &key, &context)).await,
            Err(invalid) => Box::pin(report::undecodable(invalid, &key, &context)).await,
        }
    };
    // The pass has its own limit, within which it can tell how it ended; this one is for the rest.
    let ended = bounded(context.pass_limit * 2, work).instrument(span).await;
    let (action, result) = ended.unwrap_or_else(|breach| match breach {
        Breach::Panic => {
            context.metrics.panicked(CONTROLLER);
            report::again(key.clone(), &context)
        }
        Breach::Time => report::given_up(key.clone(), &context),
    });
    timer.finish(result);
    Ok(action)
}

/// Suspended resources are written nowhere but to their status, so they get no finalizer either.
async fn dispatch(mut resource: JsonWebKeySet, key: &ResourceKey, context: &Context) -> Reported {
    let now = Instant::now();
    if context.statuses.has_parted(key, resource.metadata.uid.as_deref()) {
        return report::unchanged();
    }
    if let Some((status, version)) = context.statuses.newer(key, &resource.metadata, now) {
        resource.status = Some(status);
        resource.metadata.resource_version = Some(version);
    }
    refer(&resource, context);
    if let Some(observer) = &context.observer {
        let found = limited(context, Box::pin(observe_only::intent(&resource, key, context))).await;
        return observe_only::report(observer, key, found, context);
    }
    if resource.metadata.deletion_timestamp.is_some() {
        return Box::pin(finalize(Arc::new(resource), key, None, context)).await;
    }
    if resource.is_suspended() {
        return report::report(&resource, Outcome::Suspended, context).await;
    }
    let look = context.looks.take(key);
    let has_finalizer = resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    if !look.is_asked()
        && has_finalizer
        && let Some(rest) = rest::at_rest(&resource, key, context, Timestamp::now())
        && let Some(reported) = report::at_rest(&resource, key, rest.until, context)
    {
        return reported;
    }
    Box::pin(finalize(Arc::new(resource), key, Some(look), context)).await
}

/// A pass under the finalizer, or the deletion that it holds up. The finalizer is written by the metadata alone, so that it
/// does not matter whether the rest decodes.
async fn finalize(
    resource: Arc<JsonWebKeySet>,
    key: &ResourceKey,
    mut look: Option<Look<'_, ResourceKey>>,
    context: &Context,
) -> Reported {
    let api = context.metadata(&key.0);
    let object = Arc::new(PartialObjectMeta {
        types: None,
        metadata: resource.metadata.clone(),
        _phantom: PhantomData,
    });
    let mut reported = report::unchanged();
    let result = finalizer(&api, FINALIZER, object, async |event| match event {
        Event::Apply(_) => {
            let pass = limited(context, Box::pin(pass(&resource, key, context))).await;
            let outcome = pass.unwrap_or_else(Outcome::Failed);
            let applied = matches!(outcome, Outcome::Applied { .. });
            if let Some(look) = look.take_if(|_| applied) {
                look.done();
            }
            reported = report::report(&resource, outcome, context).await;
            Ok(reported.0.clone())
        }
        Event::Cleanup(_) => {
            let parted = limited(context, Box::pin(part(&resource, key, context))).await;
            if let Err(failure) = &parted {
                let outcome = Outcome::Failed(failure.clone());
                reported = report::report(&resource, outcome, context).await;
            }
            parted.map(|()| Action::await_change())
        }
    })
    .await;
    match result {
        Ok(_) if resource.metadata.deletion_timestamp.is_some() => {
            forget(key, context);
            context.statuses.parted(key.clone(), resource.uid());
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

/// The watch shows `object`: what happens to its objects concerns it from now on.
pub fn shown(object: &Watched, context: &Context) {
    if let Ok(resource) = &object.0 {
        refer(resource, context);
    }
}

/// The watch shows that the resource is gone.
pub fn vanished(object: &Watched, context: &Context) {
    forget(&(object.namespace().unwrap_or_default(), object.name_any()), context);
}

fn refer(resource: &JsonWebKeySet, context: &Context) {
    let key = (resource.namespace().unwrap_or_default(), resource.name_any());
    let named = |name: &str| Some((key.0.clone(), name.to_owned()));
    let outputs = resource.spec.outputs.clone().unwrap_or_default();
    let recorded = resource.status.as_ref().and_then(|status| status.outputs.as_ref());
    let keeps = recorded.is_some_and(|outputs| outputs.key_material.is_some());
    let import = resource.spec.import.as_ref();
    context.secret_references.refer_to(
        &key,
        [
            (Role::Import, import.and_then(|import| named(&import.secret_ref.name))),
            (Role::Material, keeps.then(|| named(&material_name(&key.1))).flatten()),
            (Role::Output, outputs.private_secret.and_then(|secret| named(&secret.name))),
        ],
    );
    let public = outputs.public_config_map.and_then(|map| named(&map.name));
    context.config_map_references.refer_to(&key, [(Role::Output, public)]);
}

/// `work` within its bounds, or the failure that says which it broke.
async fn limited<T>(
    context: &Context,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    bounded(context.pass_limit, work).await.unwrap_or_else(|breach| {
        if breach == Breach::Panic {
            context.metrics.panicked(CONTROLLER);
            return Err(failures::panicked());
        }
        Err(error::took_too_long())
    })
}
