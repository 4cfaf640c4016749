//! The controller of `JsonWebKeySet`s, one per watched scope, and what it has to do with that of their clients.

use std::{collections::HashSet, future::Future, sync::Arc};

use futures::{StreamExt, channel::mpsc, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        Controller, controller,
        reflector::{self, ObjectRef},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    resources::KeySets,
    running::{LISTS_LIMIT, api, listed_all, never_fails, queue_failed, until_ended},
};
use crate::{
    api::{MANAGED_BY, MANAGED_BY_LABEL},
    controller::{Backoff, Looks, Passes, ResourceKey, Statuses},
    jsonwebkeyset::{
        self, Context, Watched,
        claims::Rivals,
        context::LinkedTo,
        desired::Permissions,
        observe::{Linked, Trouble},
        observe_only,
    },
    kubernetes::{
        ApiError, events::Events, references::References, referrers::SecretEvent, streams,
    },
    oauth2client,
};

/// What the passes over key sets share, after those over clients.
pub(super) fn context(
    clients: &Arc<oauth2client::Context>,
    events: Events,
    permissions: Permissions,
    concurrency: u16,
) -> Context {
    Context {
        client: clients.client.clone(),
        access: clients.access.clone(),
        instance: clients.instances.default().clone(),
        permissions,
        events,
        metrics: clients.metrics.clone(),
        backoff: Backoff::default(),
        secret_references: References::default(),
        config_map_references: References::default(),
        rivals: Rivals::default(),
        looks: Looks::default(),
        statuses: Statuses::default(),
        linked_to: linked_to(clients.clone()),
        observer: clients.observer.is_some().then(observe_only::observer),
        passes: Passes::new(concurrency),
        pass_limit: clients.pass_limit,
        resync_interval: clients.resync_interval,
    }
}

/// Looks up the clients of a set.
fn linked_to(clients: Arc<oauth2client::Context>) -> LinkedTo {
    Box::new(move |set| {
        let linked = clients.key_sets.linked(set).into_iter().map(|client| Linked {
            name: client.name,
            holds: client.holds,
            ever_linked: client.ever_linked,
            trouble: if client.is_suspended {
                Some(Trouble::Suspended)
            } else {
                client.failure.map(Trouble::NotReady)
            },
        });
        linked.collect()
    })
}

/// What a watch of Secrets says concerns these sets.
pub(super) fn heard(context: &Context, event: &SecretEvent) {
    context.rivals.wake(&context.secret_references.affected(event));
}

/// What the watch of clients says concerns the sets that they take their keys from. It has to be asked before the client is
/// forgotten.
pub(super) fn client_shown(
    context: &Context,
    clients: &oauth2client::Context,
    event: &watcher::Event<oauth2client::Watched>,
) {
    let affected = match event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => match &object.0 {
            Ok(client) => clients.key_sets.shown(client),
            Err(_) => Vec::new(),
        },
        watcher::Event::Delete(object) => {
            let key = (object.namespace().unwrap_or_default(), object.name_any());
            Vec::from_iter(clients.key_sets.forget(&key))
        }
        watcher::Event::Init | watcher::Event::InitDone => Vec::new(),
    };
    context.rivals.wake(&affected);
}

/// The scope of one watch of key sets.
pub(super) struct SetScope {
    /// The namespace, or all.
    pub(super) namespace: Option<String>,
    /// Cancelled when the sets are known, or cannot be known for now.
    pub(super) listed: CancellationToken,
    /// Cancelled when the clients of the scope are known.
    pub(super) clients_filled: CancellationToken,
}

/// Runs the controller of `scope` until `shutdown` is cancelled and its passes have ended. Where the resources are not served, it
/// waits for them.
pub(super) fn run(
    context: Arc<Context>,
    clients: Arc<oauth2client::Context>,
    scope: SetScope,
    concurrency: u16,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> {
    let (reader, writer) = reflector::store::<Watched>();
    context.metrics.resources(Box::new(KeySets(reader.clone())));
    let (wake, woken) = mpsc::unbounded();
    context.rivals.expect(scope.namespace.clone(), move |key| {
        // Fails only when the controller has ended.
        let _ = wake.unbounded_send(reference(key));
    });
    let places = context.access.within(scope.namespace.as_deref());
    let selector = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
    let maps_listed = CancellationToken::new();
    let outputs = {
        let (context, listed, client) =
            (context.clone(), scope.listed.clone(), context.client.clone());
        let mut listed_all = listed_all(&places, maps_listed.clone());
        let maps = async move {
            listed.cancelled().await;
            stream::select_all(places.into_iter().map(|place| {
                let api = api::<PartialObjectMeta<ConfigMap>>(&client, place.as_deref());
                streams::config_maps(api, &selector, place).boxed()
            }))
        };
        stream::once(maps).flatten().flat_map(move |event| {
            let affected = context.config_map_references.affected(&event);
            listed_all(&event);
            stream::iter(affected)
        })
    };
    let outputs = outputs.map(|key| reference(&key));
    let resources = {
        let api = api::<Watched>(&context.client, scope.namespace.as_deref());
        let unknown = scope.listed.clone();
        let failed = move |error: &ApiError| {
            if error.is_absent() || error.is_forbidden() {
                unknown.cancel();
            }
        };
        let seen = seen(context.clone(), clients, scope.namespace.clone(), scope.listed.clone());
        let held = held(scope.clients_filled, maps_listed);
        streams::relevant(
            streams::optional(api, "JsonWebKeySets", failed).map(Ok),
            writer,
            // The pass begins when the watch shows the finalizer.
            None,
            seen,
            held,
        )
    };
    let run = Controller::for_stream(resources, reader.clone())
        .with_config(controller::Config::default().concurrency(concurrency))
        .reconcile_on(outputs)
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(jsonwebkeyset::reconcile, never_fails, context.clone())
        .for_each(move |result| {
            if let Err(error) = result {
                queue_failed("JsonWebKeySets", &error, |key| jsonwebkeyset::forget(key, &context));
            }
            std::future::ready(())
        });
    until_ended(run, reader, shutdown, || {})
}

/// Tells everybody whom it concerns what the watch shows.
fn seen(
    context: Arc<Context>,
    clients: Arc<oauth2client::Context>,
    namespace: Option<String>,
    listed: CancellationToken,
) -> impl FnMut(&watcher::Event<Watched>) + Send + 'static {
    let (mut of_clients, mut of_rivals) = (HashSet::new(), HashSet::new());
    move |event| {
        let scope = namespace.as_deref();
        let concerned = clients.key_sets.follow(event, scope, &mut of_clients);
        clients.conflicts.wake(&concerned);
        context.rivals.follow(event, scope, &mut of_rivals);
        match event {
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                jsonwebkeyset::shown(object, &context);
            }
            watcher::Event::Delete(object) => jsonwebkeyset::vanished(object, &context),
            watcher::Event::InitDone => listed.cancel(),
            watcher::Event::Init => {}
        }
        if let Some(observer) = &context.observer
            && matches!(event, watcher::Event::Delete(_) | watcher::Event::InitDone)
        {
            observe_only::prune(observer, &context);
        }
    }
}

/// No key signs before all clients that take it are known, which are in its namespace. Without a list of the ConfigMaps there are
/// passes nevertheless.
async fn held(clients_filled: CancellationToken, maps_listed: CancellationToken) {
    clients_filled.cancelled().await;
    if tokio::time::timeout(LISTS_LIMIT, maps_listed.cancelled()).await.is_err() {
        tracing::warn!(limit = ?LISTS_LIMIT, "Going on without a list of the ConfigMaps");
    }
}

fn reference((namespace, name): &ResourceKey) -> ObjectRef<Watched> {
    ObjectRef::new(name).within(namespace)
}
