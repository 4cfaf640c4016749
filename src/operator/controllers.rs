//! One controller per watched scope: the whole cluster, or each of some namespaces.

use std::{collections::HashSet, convert::Infallible, future::Future, sync::Arc};

use futures::{FutureExt, StreamExt, channel::mpsc, stream};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        Controller,
        controller::{self, Action},
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{Gate, Readiness},
    api::OAuth2Client,
    kubernetes::{ApiError, streams},
    oauth2client::{
        self, Context,
        sweep::{self, Listing},
    },
};

/// A resource as the watch delivers it, which may be one that does not decode.
pub(super) type Watched = DeserializeGuard<OAuth2Client>;

/// One watch of resources and one of Secrets: the whole cluster, or one namespace.
pub(super) struct Scope {
    namespace: Option<String>,
    filled: Gate,
}

impl Scope {
    pub(super) fn new(namespace: Option<String>, readiness: &Readiness) -> Self {
        let place = namespace
            .as_deref()
            .map_or("all namespaces".to_owned(), |namespace| format!("namespace {namespace}"));
        Self { namespace, filled: readiness.gate(format!("the OAuth2Clients of {place}")) }
    }

    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }
}

/// Wakes the resources in `store` that differ from what a sweep found.
pub(super) fn wake_differing(
    store: &Store<Watched>,
    wake: &mpsc::UnboundedSender<ObjectRef<Watched>>,
    listing: &Listing,
) {
    for object in store.state() {
        if let Ok(resource) = &object.0
            && sweep::needs_pass(resource, listing)
        {
            // Fails only when the controller has ended.
            let _ = wake.unbounded_send(ObjectRef::from_obj(&*object));
        }
    }
}

/// Announces the resources of `scope` to those that decide between resources.
pub(super) fn expect_conflicts(
    context: &Context,
    scope: &Scope,
    wake: &mpsc::UnboundedSender<ObjectRef<Watched>>,
) {
    let wake = wake.clone();
    context.conflicts.expect(scope.namespace.clone(), move |(namespace, name)| {
        // Fails only when the controller has ended.
        let _ = wake.unbounded_send(ObjectRef::new(name).within(namespace));
    });
}

/// Runs the controller of `scope` until `shutdown` is cancelled and its passes have ended. `woken`
/// names resources that need a pass.
pub(super) fn run_controller(
    context: Arc<Context>,
    scope: Scope,
    (reader, writer): (Store<Watched>, Writer<Watched>),
    woken: mpsc::UnboundedReceiver<ObjectRef<Watched>>,
    concurrency: u16,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> {
    let resources = {
        let api = scope.api::<Watched>(&context.client);
        let (context, namespace) = (context.clone(), scope.namespace.clone());
        let mut listed = HashSet::new();
        let follow = move |event: &watcher::Event<Watched>| {
            let instance = context.instance.name();
            context.conflicts.follow(event, namespace.as_deref(), &mut listed, instance);
            if let (Some(observer), watcher::Event::Delete(_) | watcher::Event::InitDone) =
                (&context.observer, event)
            {
                observer.prune(&context);
            }
        };
        streams::resources(api, writer, follow)
    };
    let secrets = streams::secrets(
        scope.api::<PartialObjectMeta<Secret>>(&context.client),
        scope.namespace.clone(),
    );
    let affected = {
        let context = context.clone();
        secrets.flat_map(move |event| stream::iter(context.referrers.affected(&event)))
    };
    let affected =
        affected.map(|(namespace, name)| ObjectRef::<Watched>::new(&name).within(&namespace));
    let run = Controller::for_stream(resources, reader.clone())
        .with_config(controller::Config::default().concurrency(concurrency))
        .reconcile_on(affected)
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(oauth2client::reconcile, never_fails, context.clone())
        .for_each(move |result| {
            if let Err(error) = result {
                queue_failed(&error, &context);
            }
            std::future::ready(())
        });
    async move {
        let fills = async {
            streams::filled(&reader).await;
            scope.filled.open();
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
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "kube-runtime's signature")]
fn never_fails(_: Arc<Watched>, error: &Infallible, _: Arc<Context>) -> Action {
    match *error {}
}

fn queue_failed(error: &controller::Error<Infallible, watcher::Error>, context: &Context) {
    match error {
        // A Secret was collected after its resource: there is nothing left to do.
        controller::Error::ObjectNotFound(object) => {
            let namespace = object.namespace.clone().unwrap_or_default();
            oauth2client::forget(&(namespace, object.name.clone()), context);
        }
        controller::Error::QueueError(error) => {
            tracing::warn!(error = %ApiError::from(error), "Watching OAuth2Clients failed");
        }
        other => tracing::warn!(error = %other, "The controller failed"),
    }
}
