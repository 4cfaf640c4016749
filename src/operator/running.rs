//! How every controller is run, whatever its kind: until when, and what goes wrong in its queue.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use futures::FutureExt;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource,
    runtime::{
        controller::{self, Action},
        reflector::Store,
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    controller::ResourceKey,
    kubernetes::{ApiError, referrers::SecretEvent, streams},
};

/// How long passes wait for the first lists of Secrets and of `JsonWebKeySet`s. Later they read the Secrets one by one, and
/// those that refer to a set wait.
pub(super) const LISTS_LIMIT: Duration = Duration::from_secs(15);

/// `run`, the work of a controller, until it has ended after `shutdown`. `filled` is called once its store is.
pub(super) async fn until_ended<K>(
    run: impl Future<Output = ()>,
    reader: Store<K>,
    shutdown: CancellationToken,
    filled: impl FnOnce(),
) where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let fills = async {
        streams::filled(&reader).await;
        filled();
        std::future::pending::<()>().await;
    };
    // Before its store is filled a controller runs no pass, and does not end by itself either.
    let ends_unfilled = async {
        shutdown.cancelled().await;
        if streams::filled(&reader).now_or_never().is_none() {
            return;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = run => {}
        () = fills => {}
        () = ends_unfilled => {}
    }
}

/// Cancels `listed` at the end of the first list of each of `places`.
pub(super) fn listed_all(
    places: &[Option<String>],
    listed: CancellationToken,
) -> impl FnMut(&SecretEvent) + use<> {
    let mut unlisted = places.to_vec();
    move |event| {
        if let SecretEvent::ListEnds { namespace } = event {
            unlisted.retain(|place| place != namespace);
            if unlisted.is_empty() {
                listed.cancel();
            }
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "kube-runtime's signature")]
pub(super) fn never_fails<K, C>(_: Arc<K>, error: &Infallible, _: Arc<C>) -> Action {
    match *error {}
}

/// Tells what went wrong in the queue of the controller of `kind`. `forget` is called for a resource that is gone.
pub(super) fn queue_failed(
    kind: &str,
    error: &controller::Error<Infallible, watcher::Error>,
    forget: impl FnOnce(&ResourceKey),
) {
    match error {
        // What it owned was collected after it: there is nothing left to do.
        controller::Error::ObjectNotFound(object) => {
            forget(&(object.namespace.clone().unwrap_or_default(), object.name.clone()));
        }
        controller::Error::QueueError(error) => {
            tracing::warn!(error = %ApiError::from(error), "Watching {kind} failed");
        }
        other => tracing::warn!(error = %other, "The controller failed"),
    }
}

/// The objects of `namespace`, or of all.
pub(super) fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
