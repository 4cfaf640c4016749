//! The watches: resources through a store, Secrets and ConfigMaps as metadata without
//! a store.

use std::fmt::Debug;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Resource,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        reflector::Store,
        reflector::store::Writer,
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::{
    ApiError, SecretVersion,
    changes::Changes,
    referrers::{SecretEvent, SecretRef},
};

/// Seconds after which a watch is renewed: below the idle limit of common load balancers (240 s).
const WATCH_TIMEOUT: u32 = 230;

/// Resources in one answer of a list: half of kube's default, because an answer and all that is decoded from it are in memory
/// at once, and what it leaves behind stays resident.
const PAGE_SIZE: u32 = 250;

/// What `kubectl apply` keeps of the object for itself: a second copy of the spec.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// All changes of the resources of `api` that a reconcile can be about: spec, labels, annotations,
/// finalizers and deletion, not status. Feeds `writer`'s store before each of them.
///
/// `seen` is told of everything that the watch tells, status included, before the store is. The
/// first list is complete in the store only after `held`. That a pass adds `own_finalizer` is no change.
pub fn resources<K>(
    api: Api<K>,
    writer: Writer<K>,
    own_finalizer: &'static str,
    seen: impl FnMut(&watcher::Event<K>) + Send + 'static,
    held: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let config = config().page_size(PAGE_SIZE);
    relevant(watcher(api, config).default_backoff(), writer, Some(own_finalizer), seen, held)
}

/// [`resources`], of a watch whose `events` these are.
pub fn relevant<K>(
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static,
    writer: Writer<K>,
    own_finalizer: Option<&'static str>,
    seen: impl FnMut(&watcher::Event<K>) + Send + 'static,
    held: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, mut changes) = (writer.as_reader(), Changes::but_for(own_finalizer));
    let mut held = Some(held);
    events
        .modify(|object| trim(object.meta_mut()))
        .inspect_ok(seen)
        .then(move |event| {
            let complete = matches!(event, Ok(watcher::Event::InitDone));
            let held = held.take_if(|_| complete);
            async {
                if let Some(held) = held {
                    held.await;
                }
                event
            }
        })
        .reflect(writer)
        .map_ok(move |event| stream::iter(changes.of(event, &store).map(Ok)))
        .try_flatten()
}

/// Drops what nobody reads here, which is more than half of an object.
fn trim(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// All changes of the Secrets of `api`, as metadata: values never arrive in this process.
/// `scope` is the namespace that `api` is limited to, if it is.
pub fn secrets(
    api: Api<PartialObjectMeta<Secret>>,
    scope: Option<String>,
) -> impl Stream<Item = SecretEvent> + Send + 'static {
    objects(api, config(), scope)
}

/// As [`secrets`], all changes of the ConfigMaps of `api` with the labels of `selector`. One that
/// loses them is gone.
pub fn config_maps(
    api: Api<PartialObjectMeta<ConfigMap>>,
    selector: &str,
    scope: Option<String>,
) -> impl Stream<Item = SecretEvent> + Send + use<> {
    objects(api, config().labels(selector), scope)
}

fn objects<K>(
    api: Api<PartialObjectMeta<K>>,
    config: watcher::Config,
    scope: Option<String>,
) -> impl Stream<Item = SecretEvent> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    watcher(api, config)
        .default_backoff()
        .inspect_err(|error| {
            let kind = K::kind(&());
            tracing::warn!(error = %ApiError::from(error), "Watching {kind}s failed");
        })
        .filter_map(move |event| {
            std::future::ready(match event {
                Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                    let version = SecretVersion::of(&object.metadata);
                    Some(SecretEvent::Seen { secret: name_of(&object), version })
                }
                Ok(watcher::Event::Delete(object)) => {
                    Some(SecretEvent::Gone { secret: name_of(&object) })
                }
                Ok(watcher::Event::Init) => {
                    Some(SecretEvent::ListBegins { namespace: scope.clone() })
                }
                Ok(watcher::Event::InitDone) => {
                    Some(SecretEvent::ListEnds { namespace: scope.clone() })
                }
                Err(_) => None,
            })
        })
}

/// All that a watch of `api` tells, of a resource that the operator can do without: where it is not served, or may not be
/// listed, that is told once, and tried again. `failed` is told each time.
pub fn optional<K>(
    api: Api<K>,
    what: &'static str,
    mut failed: impl FnMut(&ApiError) + Send + 'static,
) -> impl Stream<Item = watcher::Event<K>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let mut told = false;
    watcher(api, config().page_size(PAGE_SIZE)).default_backoff().filter_map(move |event| {
        std::future::ready(match event {
            Ok(event) => {
                // A list that begins has not succeeded yet.
                told = told && matches!(event, watcher::Event::Init);
                Some(event)
            }
            Err(error) => {
                let error = ApiError::from(&error);
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "Watching {what} failed; going on without");
                }
                failed(&error);
                None
            }
        })
    })
}

/// Waits until `store` holds what the API server had when the watch began.
pub async fn filled<K>(store: &Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    // The writer lives as long as the watch; if it is dropped the process is on its way out.
    let _ = store.wait_until_ready().await;
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_TIMEOUT)
}

fn name_of<K>(object: &PartialObjectMeta<K>) -> SecretRef {
    let metadata = &object.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}
