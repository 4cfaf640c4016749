//! One controller per watched scope: the whole cluster, or each of some namespaces.

use std::{collections::HashSet, future::Future, sync::Arc};

use futures::{StreamExt, channel::mpsc, future::join_all, stream};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::{
    Api, Client, Resource,
    core::PartialObjectMeta,
    runtime::{
        Controller, controller,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    key_sets,
    running::{LISTS_LIMIT, api, listed_all, never_fails, queue_failed, until_ended},
};
use crate::{
    admin::{Gate, Readiness},
    api::{FINALIZER, OAuth2Client},
    controller::ResourceKey,
    instance::Instance,
    instances::Target,
    jsonwebkeyset,
    kubernetes::streams,
    oauth2client::{self, Context, Watched, claims::whereabouts, sweep},
};

/// One watch of resources and one of Secrets: the whole cluster, or one namespace.
pub(super) struct Scope {
    namespace: Option<String>,
    filled: Gate,
    /// Cancelled when the store is filled. Of those that wait in a store for that, one alone is woken.
    is_filled: CancellationToken,
}

impl Scope {
    pub(super) fn new(namespace: Option<String>, readiness: &Readiness) -> Self {
        let place = namespace
            .as_deref()
            .map_or("all namespaces".to_owned(), |namespace| format!("namespace {namespace}"));
        Self {
            namespace,
            filled: readiness.gate(format!("the OAuth2Clients of {place}")),
            is_filled: CancellationToken::new(),
        }
    }

    /// The namespace that it is limited to, if it is.
    pub(super) fn namespace(&self) -> Option<String> {
        self.namespace.clone()
    }

    /// Cancelled when the store is filled.
    pub(super) fn is_filled(&self) -> CancellationToken {
        self.is_filled.clone()
    }

    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        api(client, self.namespace.as_deref())
    }
}

/// The resources of all scopes, as their watches show them.
#[derive(Default)]
pub(super) struct Stores {
    scopes: Vec<(Store<Watched>, mpsc::UnboundedSender<ObjectRef<Watched>>)>,
    filled: Vec<CancellationToken>,
}

impl Stores {
    /// Adds those in `store`, to be woken through `wake`. `filled` is cancelled when the store is
    /// filled.
    pub(super) fn add(
        &mut self,
        store: Store<Watched>,
        wake: mpsc::UnboundedSender<ObjectRef<Watched>>,
        filled: CancellationToken,
    ) {
        self.scopes.push((store, wake));
        self.filled.push(filled);
    }

    /// Waits until all of them hold what the API server had when the watches began.
    pub(super) async fn filled(&self) {
        join_all(self.filled.iter().map(CancellationToken::cancelled)).await;
    }

    /// Those that a sweep of `instance` is about.
    pub(super) fn of<'a>(
        &'a self,
        instance: &'a Arc<Instance>,
        context: &'a Context,
    ) -> ResourcesOf<'a> {
        ResourcesOf { stores: self, instance, context }
    }
}

/// The resources of one Hydra.
pub(super) struct ResourcesOf<'a> {
    stores: &'a Stores,
    instance: &'a Arc<Instance>,
    context: &'a Context,
}

impl ResourcesOf<'_> {
    fn are_meant(&self, object: &Watched) -> bool {
        let concerned = |resource| self.context.concerns(self.instance, resource);
        object.0.as_ref().is_ok_and(concerned)
    }
}

impl sweep::Resources for ResourcesOf<'_> {
    fn all(&self) -> Vec<Arc<Watched>> {
        let all = self.stores.scopes.iter().flat_map(|(store, _)| store.state());
        all.filter(|object| self.are_meant(object)).collect()
    }

    fn get(&self, key: &ResourceKey) -> Option<Arc<Watched>> {
        let object = reference(key);
        let found = self.stores.scopes.iter().find_map(|(store, _)| store.get(&object));
        found.filter(|object| self.are_meant(object))
    }

    fn wake(&self, key: &ResourceKey) {
        let object = reference(key);
        for (store, wake) in &self.stores.scopes {
            if store.get(&object).is_some() {
                // Fails only when the controller has ended.
                let _ = wake.unbounded_send(object.clone());
            }
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
    context.conflicts.expect(scope.namespace.clone(), move |key| {
        // Fails only when the controller has ended.
        let _ = wake.unbounded_send(reference(key));
    });
}

fn reference((namespace, name): &ResourceKey) -> ObjectRef<Watched> {
    ObjectRef::new(name).within(namespace)
}

/// Runs the controller of `scope` until `shutdown` is cancelled and its passes have ended. `woken`
/// names resources that need a pass.
pub(super) fn run_controller(
    context: Arc<Context>,
    (sets, sets_listed): (Arc<jsonwebkeyset::Context>, CancellationToken),
    scope: Scope,
    (reader, writer): (Store<Watched>, Writer<Watched>),
    woken: mpsc::UnboundedReceiver<ObjectRef<Watched>>,
    concurrency: u16,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> {
    // Which Secrets matter is known once the resources are listed, and that nothing has changed
    // once these Secrets are. Passes begin after both, so that those without work need no request.
    let (listed, secrets_listed) = (CancellationToken::new(), CancellationToken::new());
    let resources = {
        let (context, listed, of_clients) = (context.clone(), listed.clone(), sets.clone());
        let (namespace, mut relisted) = (scope.namespace.clone(), HashSet::new());
        streams::resources(
            scope.api::<Watched>(&context.client),
            writer,
            FINALIZER,
            move |event| {
                let name = |target: &Target| Some(context.instance(target).ok()?.name().to_owned());
                let whereabouts =
                    |resource: &OAuth2Client| whereabouts(resource, &context.rules, name);
                let scope = namespace.as_deref();
                context.conflicts.follow(event, scope, &mut relisted, &whereabouts);
                key_sets::client_shown(&of_clients, &context, event);
                observe(event, &listed, &context);
                if let Some(observer) = &context.observer
                    && matches!(event, watcher::Event::Delete(_) | watcher::Event::InitDone)
                {
                    oauth2client::observe_only::prune(observer, &context);
                }
            },
            limited(secrets_listed.clone(), sets_listed.clone()),
        )
    };
    let affected = {
        let places = context.access.within(scope.namespace.as_deref());
        let mut listed_all = listed_all(&places, secrets_listed);
        let (client, context) = (context.client.clone(), context.clone());
        let secrets = async move {
            listed.cancelled().await;
            let _ = tokio::time::timeout(LISTS_LIMIT, sets_listed.cancelled()).await;
            stream::select_all(places.into_iter().map(|place| {
                let api = api::<PartialObjectMeta<Secret>>(&client, place.as_deref());
                streams::secrets(api, place).boxed()
            }))
        };
        stream::once(secrets).flatten().flat_map(move |event| {
            let affected = context.referrers.affected(&event);
            key_sets::heard(&sets, &event);
            listed_all(&event);
            stream::iter(affected)
        })
    };
    let affected = affected.map(|key| reference(&key));
    let run = Controller::for_stream(resources, reader.clone())
        .with_config(controller::Config::default().concurrency(concurrency))
        .reconcile_on(affected)
        .reconcile_on(woken)
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(oauth2client::reconcile, never_fails, context.clone())
        .for_each(move |result| {
            if let Err(error) = result {
                queue_failed("OAuth2Clients", &error, |key| oauth2client::forget(key, &context));
            }
            std::future::ready(())
        });
    until_ended(run, reader, shutdown, move || {
        scope.filled.open();
        scope.is_filled.cancel();
    })
}

/// Without the right to list these, or while that fails, there are passes nevertheless.
async fn limited(secrets: CancellationToken, sets: CancellationToken) {
    let until = async |listed: CancellationToken, what| {
        if tokio::time::timeout(LISTS_LIMIT, listed.cancelled()).await.is_err() {
            tracing::warn!(limit = ?LISTS_LIMIT, "Going on without a list of the {what}");
        }
    };
    tokio::join!(until(secrets, "Secrets"), until(sets, "JsonWebKeySets"));
}

fn observe(event: &watcher::Event<Watched>, listed: &CancellationToken, context: &Context) {
    match event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
            oauth2client::shown(object, context);
        }
        watcher::Event::Delete(object) => {
            oauth2client::vanished(object, context);
        }
        watcher::Event::InitDone => listed.cancel(),
        watcher::Event::Init => {}
    }
}
