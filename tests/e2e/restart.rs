//! What a start, a sweep and a drift cost, by the counters of the servers.

use axum::http::Method;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    on_each_generation,
    proxy::Proxy,
    support::{ControlPlane, Generation, Hydra, counters::ApiserverCounters, eventually},
    world::{Server, World},
};

const COUNT: usize = 200;

on_each_generation!(
    a_restart_costs_the_lists_and_nothing_else,
    a_drift_costs_two_reads_and_one_write,
    a_hydra_that_asks_to_wait_is_left_alone,
    an_interval_of_its_own_finds_drift_between_sweeps,
);

async fn a_restart_costs_the_lists_and_nothing_else(generation: Generation) {
    // Its own: where others delete clients while the list is read, it may miss one, which is looked at.
    let hydra = Hydra::start(generation).await;
    let proxy = Proxy::start(&hydra).await;
    let mut world = World::behind_alone(&proxy, hydra, "restart").await;
    world.create_many("app", COUNT, |_| json!({})).await;
    world.all_ready(COUNT).await;
    world.operator.process().terminate().await;

    let (kubernetes, clients) = (Requests::of(&world).await, proxy.seen().len());
    world.operator.start_again().await;
    passes(&world, COUNT as u64).await;
    swept(&world, 1.0).await;
    // Finding out the generation, a page of at least 500 clients each, and the version.
    let listed = world.hydra.list_all_clients().await.len();
    let requests = &proxy.seen()[clients..];
    assert!(requests.iter().all(|request| request.method == Method::GET));
    let most = listed.div_ceil(500) + 5;
    assert!(requests.len() <= most, "{} requests for {listed} clients", requests.len());
    let spent = Requests::of(&world).await.since(kubernetes);
    assert_eq!(spent, Requests { lists: 2, ..Requests::default() });
}

async fn a_drift_costs_two_reads_and_one_write(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let proxy = Proxy::start(hydra).await;
    let world = World::behind(proxy.url(), hydra, &["--resync-interval=1s"]).await;
    world.create_many("app", 3, |_| json!({})).await;
    world.all_ready(3).await;
    let id = world.credentials("app-1-credentials").await.id;
    let mut client = world.in_hydra(&id).await.unwrap();
    client["scope"] = "admin".into();

    world.two_sweeps().await;
    let before = proxy.seen().len();
    assert_eq!(world.hydra.put_client(&id, &client).await.status, 200);
    eventually("the drift is corrected", async || {
        world.in_hydra(&id).await.unwrap()["scope"] == "read write"
    })
    .await;
    world.two_sweeps().await;
    let requests = &proxy.seen()[before..];
    let to_one = |method: Method| {
        let matching = |request: &&crate::proxy::Seen| {
            request.method == method && request.path.contains("/clients/")
        };
        requests.iter().filter(matching).count()
    };
    assert_eq!(
        (to_one(Method::GET), to_one(Method::PUT), to_one(Method::DELETE)),
        (2, 1, 0),
        "the second read is of what was written"
    );
    assert!(requests.iter().all(|request| request.method != Method::POST));
    assert_eq!(world.events("app-1").await.get("Warning DriftCorrected"), Some(&1));
}

/// One resource is asked to wait, and no resource asks again before that time is over.
async fn a_hydra_that_asks_to_wait_is_left_alone(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let proxy = Proxy::start(hydra).await;
    let world = World::behind(proxy.url(), hydra, &["--resync-interval=1s"]).await;
    world.create("first", &json!({})).await;
    world.ready("first").await;

    proxy.ask_to_wait(Some(8));
    eventually("the operator was asked to wait", async || world.hydra_up().await == Some(0.0))
        .await;
    let asked = proxy.seen().len();
    let names = ["second", "third"];
    for name in names {
        world.create(name, &json!({})).await;
        let resource = world.shows(name, "Ready=False HydraError").await;
        assert!(crate::world::message(&resource).contains("asked to wait"));
    }
    assert_eq!(proxy.seen().len(), asked, "requests were sent meanwhile");
    // What Hydra holds stays true.
    world.ready("first").await;
    proxy.ask_to_wait(None);
    for name in names {
        world.ready(name).await;
    }
}

async fn an_interval_of_its_own_finds_drift_between_sweeps(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let world = World::with_args("interval", hydra, &["--resync-interval=1h"]).await;
    world.create("app", &json!({ "resyncInterval": "10s" })).await;
    world.ready("app").await;
    swept(&world, 1.0).await;
    let id = world.credentials("app-credentials").await.id;
    world.hydra.delete_client(&id).await;
    eventually("the client is back", async || world.in_hydra(&id).await.is_some()).await;
    let sweeps = world.operator.metric("hydra_operator_sweeps_total", &[]).await;
    assert!(sweeps < 2.0, "a sweep has found it");
    // Nothing it would have to say about it by itself.
    let unset = Patch::Merge(json!({ "spec": { "resyncInterval": null } }));
    world.resources.patch("app", &PatchParams::default(), &unset).await.unwrap();
    world.ready("app").await;
}

impl World {
    /// On a control plane of its own, with an operator that finds `hydra` behind `proxy` and sweeps
    /// but once.
    async fn behind_alone(proxy: &Proxy, hydra: impl Into<Server<Hydra>>, name: &str) -> Self {
        let cp = ControlPlane::start().await;
        Self::start(cp.into(), hydra.into(), proxy.url(), name, &["--resync-interval=1h"]).await
    }
}

async fn passes(world: &World, enough: u64) {
    eventually("a pass over each resource", async || {
        let passes = world.passes().await;
        if passes >= enough { Ok(()) } else { Err(passes) }
    })
    .await;
}

async fn swept(world: &World, enough: f64) {
    eventually("a sweep", async || {
        let result = [("result", "success")];
        world.operator.metric("hydra_operator_sweeps_total", &result).await >= enough
    })
    .await;
}

/// Requests of everybody for resources and Secrets; those of the test are few and not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Requests {
    lists: u64,
    reads: u64,
    writes: u64,
    events: u64,
}

impl Requests {
    async fn of(world: &World) -> Self {
        let counters = ApiserverCounters::read(&world.client).await;
        let both = |verbs: &[&str]| {
            counters.requests("oauth2clients", verbs) + counters.requests("secrets", verbs)
        };
        Self {
            lists: both(&["LIST"]),
            reads: both(&["GET"]),
            writes: counters.writes("oauth2clients") + counters.writes("secrets"),
            events: counters.writes("events"),
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            lists: self.lists - earlier.lists,
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            events: self.events - earlier.events,
        }
    }
}
