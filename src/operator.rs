//! The composition root: builds the clients, the context and the controllers, and joins them.

mod connections;
mod controllers;
mod error;
mod fencing;
mod key_sets;
mod resources;
mod running;

use std::{sync::Arc, time::Duration};

use futures::{
    StreamExt,
    channel::mpsc,
    future::{join, join_all},
};
use kube::{Client, Config, runtime::reflector};
use tokio_util::sync::CancellationToken;

pub use self::error::Error;
use self::{
    connections::Connections,
    controllers::{Scope, Stores, expect_conflicts, run_controller},
    key_sets::SetScope,
};
use crate::{
    admin::{AdminServer, Gate, Liveness, Readiness},
    api::{self, OAuth2Client},
    controller::{Backoff, Looks, Passes, Statuses},
    fence::Fence,
    hydra::{Base, ClientsAddress},
    instance::Instance,
    instances::{Instances, OWN},
    jsonwebkeyset,
    kubernetes::{
        ObjectAccess,
        discovery::{Served, served},
        events::{Events, Publisher, Waiting, events},
        referrers::Referrers,
    },
    leader::Election,
    metrics::Metrics,
    oauth2client::{
        CONTROLLER, Context, Watched, claims::Conflicts, hydra_admin::Rules, key_sets::KeySets,
        observe_only, sent::SentSecrets, sweep,
    },
    settings::{HydraSettings, Settings},
};

/// Each instance, once there is one.
type Made = mpsc::UnboundedReceiver<Arc<Instance>>;

/// Time for the work in flight at shutdown. With what follows it, the release of the Lease and the last traces, it is less
/// than the 30 s that Kubernetes grants by default.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);
/// Requests to Hydra for which a pass has time, however slow each is: so many as the longest one
/// makes, in which a client moves to another Hydra and takes the place of another there. Two find
/// out the generation, one each the version, the discovery document and the client in its former
/// place, two look for the client, two write it and read it back, two give up the other one, and
/// three leave the former place. What takes more, such as many duplicates, is done by several
/// passes.
const HYDRA_REQUESTS: u32 = 14;
/// Time for the requests of one pass to the Kubernetes API.
const KUBERNETES_LIMIT: Duration = Duration::from_secs(30);
/// How long an event waits at most while passes follow each other: it would take the time of the API server from the very
/// resources that it is about.
const CROWD_PATIENCE: Duration = Duration::from_secs(30);
/// How long the first sweep waits for the resources to be listed.
const FILLING_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait before discovery is read again while the resources are not served.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(2);

/// Runs until `shutdown` is cancelled and the work in flight has drained. Of several replicas the one that leads works, and
/// the others stand by.
pub async fn run(
    settings: Settings,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let server = AdminServer::bind(settings.admin_listen).await?;
    let config = connections::kubernetes(&settings).await?;
    // The variable that every pod has.
    let pod = std::env::var("HOSTNAME").ok();
    let election = election(&settings, &config, pod.as_deref(), &metrics, &readiness)?;
    let fence = election.as_ref().map(Election::fence);
    let (instances, made) = instances(&settings.hydra, &metrics, fence.clone())?;
    let client = connections::client(config, &metrics, fence.as_ref())?;
    let reporters = [CONTROLLER, jsonwebkeyset::CONTROLLER]
        .map(|controller| format!("{}/{}", api::GROUP, controller.as_str()));
    let ([events, of_sets], publisher) =
        events(&client, reporters, pod.as_deref(), &waiting(&metrics));
    let context = Arc::new(context(&settings, client, instances, events, metrics.clone()));
    let permissions = settings.key_sets.clone();
    let sets = Arc::new(key_sets::context(&context, of_sets, permissions, settings.concurrency));
    let liveness = Liveness::default();
    let shared = Shared { context, sets, liveness };
    if settings.resource_metrics {
        metrics.name_resources();
    }

    let drained = CancellationToken::new();
    let work = async {
        let work = Box::pin(operate(&settings, &shared, made, publisher, &readiness, &shutdown));
        let result = if let Some(election) = election {
            election.lead(work, &shutdown).await
        } else {
            work.await;
            Ok(())
        };
        drained.cancel();
        result
    };
    let serve = server.serve(metrics, readiness.clone(), shared.liveness.clone(), drained.clone());
    let (probes, led) = tokio::join!(serve, work);
    led?;
    Ok(probes?)
}

/// The part of this process in the election, if there is one. What writes nothing need not lead.
fn election(
    settings: &Settings,
    config: &Config,
    pod: Option<&str>,
    metrics: &Metrics,
    readiness: &Readiness,
) -> Result<Option<Election>, Error> {
    let Some(election) = settings.leader_election.as_ref().filter(|_| !settings.observe) else {
        return Ok(None);
    };
    // The retries of the election are its own.
    let mut config = config.clone();
    config.default_retry = false;
    let client = connections::client(config, metrics, None)?;
    Ok(Some(Election::stand(client, election, pod, metrics, readiness)))
}

/// What all work has in common.
struct Shared {
    context: Arc<Context>,
    sets: Arc<jsonwebkeyset::Context>,
    liveness: Liveness,
}

/// All work of the operator, until it has drained.
async fn operate(
    settings: &Settings,
    shared: &Shared,
    made: Made,
    publisher: Publisher,
    readiness: &Readiness,
    shutdown: &CancellationToken,
) {
    for controller in [CONTROLLER, jsonwebkeyset::CONTROLLER] {
        shared.context.metrics.controller(controller, settings.concurrency);
    }
    let discovered =
        readiness.gate(format!("the API {}/{} to be served", api::GROUP, api::VERSION));
    let scopes: Vec<Scope> =
        scopes(settings).map(|namespace| Scope::new(namespace, readiness)).collect();
    tokio::select! {
        () = until_served(&shared.context.client, &discovered) => {}
        () = shutdown.cancelled() => return,
    }
    tokio::select! {
        () = published(
            publisher,
            || if shared.context.passes.are_frequent() { CROWD_PATIENCE } else { Duration::ZERO },
            Box::pin(work(shared, scopes, made, settings.concurrency, shutdown)),
        ) => {}
        () = too_long_a_drain(shutdown) => {}
    }
}

/// Shows in the metrics how many events wait.
fn waiting(metrics: &Metrics) -> Waiting {
    let metrics = metrics.clone();
    Arc::new(move |change| metrics.events_waiting(change))
}

/// `work`, and after it what it has left to be published.
async fn published(
    publisher: Publisher,
    patience: impl Fn() -> Duration,
    work: impl Future<Output = ()>,
) {
    let ended = CancellationToken::new();
    let work = async {
        work.await;
        ended.cancel();
    };
    tokio::join!(publisher.run(ended.cancelled(), patience), work);
}

/// What a pass leaves undone the next start finds; an end by force would come without a word.
async fn too_long_a_drain(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN_LIMIT).await;
    tracing::warn!(limit = ?DRAIN_LIMIT, "Ended before all work in flight was done");
}

fn scopes(settings: &Settings) -> impl Iterator<Item = Option<String>> {
    let all = settings.namespaces.is_empty().then_some(None);
    all.into_iter().chain(settings.namespaces.clone().into_iter().map(Some))
}

/// The operator's own Hydra, and the way to those that resources may ask for.
fn instances(
    settings: &HydraSettings,
    metrics: &Metrics,
    fence: Option<Fence>,
) -> Result<(Instances, Made), Error> {
    let connections = Connections::new(settings, metrics, fence)?;
    let (url, proto) = (settings.admin_url.clone(), settings.forwarded_proto.clone());
    let hydra = connections.hydra(url, proto.clone(), OWN)?;
    // A file that cannot be used is found now, not when the first resource asks for the address.
    for address in &settings.allowed {
        connections.hydra(address.url().clone(), None, &address.label())?;
    }
    let connect = Box::new(move |address: &ClientsAddress, proto, name: &str| {
        connections.hydra(address.url().clone(), proto, name)
    });
    let own = Arc::new(Instance::new(OWN, hydra));
    Ok(Instances::new(own, Base::of(&settings.admin_url), proto, connect))
}

/// All controllers and the sweeps, until the controllers have drained.
async fn work(
    Shared { context, sets, liveness }: &Shared,
    scopes: Vec<Scope>,
    made: Made,
    concurrency: u16,
    shutdown: &CancellationToken,
) {
    let mut stores = Stores::default();
    let (mut controllers, mut of_sets) = (Vec::new(), Vec::new());
    for scope in scopes {
        let (reader, writer) = reflector::store::<Watched>();
        let (wake, woken) = mpsc::unbounded();
        expect_conflicts(context, &scope, &wake);
        let (filled, namespace) = (scope.is_filled(), scope.namespace());
        let sets_listed = CancellationToken::new();
        context.metrics.resources(Box::new(resources::Clients(reader.clone())));
        let controller = run_controller(
            context.clone(),
            (sets.clone(), sets_listed.clone()),
            scope,
            (reader.clone(), writer),
            woken,
            concurrency,
            shutdown.clone(),
        );
        controllers.push(outliving(
            controller,
            "the controller of OAuth2Clients",
            liveness,
            shutdown,
        ));
        stores.add(reader, wake, filled.clone());
        let scope = SetScope { namespace, listed: sets_listed, clients_filled: filled };
        let (sets, ends) = (sets.clone(), shutdown.clone());
        let controller = key_sets::run(sets, context.clone(), scope, concurrency, ends);
        of_sets.push(outliving(controller, "the controller of JsonWebKeySets", liveness, shutdown));
    }
    let stores = &stores;
    let sweeps = made.for_each_concurrent(None, async |instance| {
        context.metrics.instance(instance.name());
        // What is not in the stores would be missed by the first sweep, and there is no pass that
        // would find it. Where they do not fill, the others must not suffer.
        let _ = tokio::time::timeout(FILLING_LIMIT, stores.filled()).await;
        sweep::run(&instance, &stores.of(&instance, context), context).await;
    });
    tokio::select! {
        _ = join(join_all(controllers), join_all(of_sets)) => {}
        () = sweeps => {}
    }
}

/// `work`, which is to last until `shutdown`. Without it the process is of no use, and says so.
async fn outliving(
    work: impl Future<Output = ()>,
    what: &str,
    liveness: &Liveness,
    shutdown: &CancellationToken,
) {
    work.await;
    if !shutdown.is_cancelled() {
        liveness.ended(what);
        shutdown.cancelled().await;
    }
}

/// Waits until the resources are served.
async fn until_served(client: &Client, gate: &Gate) {
    let mut told = false;
    loop {
        match served::<OAuth2Client>(client).await {
            Ok(Served::Yes | Served::Terminating) => return gate.open(),
            Ok(Served::No) if told => {}
            Ok(Served::No) => {
                told = true;
                tracing::warn!("The API server does not serve OAuth2Clients: apply crds/ first");
            }
            Err(error) => tracing::warn!(%error, "Discovery failed"),
        }
        tokio::time::sleep(DISCOVERY_INTERVAL).await;
    }
}

fn context(
    settings: &Settings,
    client: Client,
    instances: Instances,
    events: Events,
    metrics: Metrics,
) -> Context {
    Context {
        events,
        client,
        access: ObjectAccess::to(settings.secret_namespaces.clone()),
        instances,
        rules: Rules {
            own: Base::of(&settings.hydra.admin_url),
            own_port: settings.hydra.admin_port,
            allowed: settings.hydra.allowed.clone(),
        },
        metrics,
        backoff: Backoff::default(),
        referrers: Referrers::default(),
        key_sets: KeySets::default(),
        conflicts: Conflicts::default(),
        observer: settings.observe.then(observe_only::observer),
        looks: Looks::default(),
        statuses: Statuses::default(),
        sent: SentSecrets::default(),
        secret_keys: settings.secret_keys.clone(),
        removes_duplicates: settings.removes_duplicates,
        passes: Passes::new(settings.concurrency),
        pass_limit: settings.hydra.request_timeout * HYDRA_REQUESTS + KUBERNETES_LIMIT,
        resync_interval: settings.resync_interval,
    }
}
