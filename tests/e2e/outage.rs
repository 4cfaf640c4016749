//! Hydra away, the operator killed.

use axum::http::Method;
use hydra_operator::api::RELEASE_ANNOTATION;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    api::{Patch, PatchParams},
    runtime::wait::await_condition,
};
use serde_json::json;

use crate::{
    on_each_generation,
    proxy::Proxy,
    support::{Generation, Hydra, eventually, hydra_api::http},
    world::{World, shown},
};

on_each_generation!(
    row_06_an_outage_of_hydra_is_waited_out,
    a_hydra_that_cannot_write_is_not_pressed,
    row_30_deletion_waits_for_hydra_unless_the_client_is_let_go,
    creations_survive_kill_9,
    a_kill_between_secret_and_client_leaves_one_client,
);

const WAITING: [&str; 3] = [
    "Ready=False HydraUnreachable",
    "Reconciling=True HydraUnreachable",
    "Stalled=False HydraUnreachable",
];

/// Of what the row allows: what was Ready and has nothing to be done stays so, the rest says why.
async fn row_06_an_outage_of_hydra_is_waited_out(generation: Generation) {
    let hydra = Hydra::start(generation).await;
    let mut world = World::with_args("outage", hydra, &["--resync-interval=1s"]).await;
    world.create("app", &json!({})).await;
    let converged = world.ready("app").await;
    eventually("Hydra is known to be up", async || world.hydra_up().await == Some(1.0)).await;

    world.hydra.own().stop().await;
    let passes = world.passes().await;
    world.label("app", "team", "a").await;
    passed_in_vain(&world, passes).await;
    assert_eq!(world.ready("app").await.status, converged.status);
    world.operator.process().terminate().await;
    world.operator.start_again().await;
    passed_in_vain(&world, 0).await;
    assert_eq!(world.ready("app").await.status, converged.status);

    world.edit("app", &json!({ "scope": "read" })).await;
    world.create("fresh", &json!({})).await;
    for name in ["app", "fresh"] {
        assert_eq!(shown(&world.shows(name, WAITING[0]).await), WAITING);
    }
    eventually("Hydra is known to be down", async || world.hydra_up().await == Some(0.0)).await;
    let ready = http().get(format!("{}/readyz", world.operator.admin_url())).send().await.unwrap();
    assert_eq!(ready.status(), 200);

    // After five failures each, they would wait for another 16 s.
    eventually("backoffs are long", async || world.outcomes("HydraUnreachable").await >= 10).await;
    world.hydra.own().start_again().await;
    world.all_ready(2).await;
    assert_eq!(world.hydra_up().await, Some(1.0));
    for (name, scope) in [("app", "read"), ("fresh", "read write")] {
        let credentials = world.credentials(&format!("{name}-credentials")).await;
        assert_eq!(world.in_hydra(&credentials.id).await.unwrap()["scope"], scope);
        assert!(world.gets_token(&credentials).await);
        assert_woken(&world.operator.log(), name);
        world.assert_no_secret_leaked(&[credentials.secret()]).await;
    }
}

/// The pass that healed the resource was not the retry that its backoff had set: kube-runtime logs
/// why each pass is made.
fn assert_woken(log: &str, name: &str) {
    let healed = |line: &&str| {
        line.contains(&format!("resource=\"{name}\"")) && line.contains("event=\"Synced\"")
    };
    let line = log.lines().rev().find(healed).unwrap_or_else(|| panic!("{log}"));
    assert!(!line.contains("retry"), "nothing woke {name}: {line}");
}

/// Waits for a pass after `passes`, and until Hydra is known to be away.
async fn passed_in_vain(world: &World, passes: u64) {
    eventually("a pass while Hydra is away", async || {
        world.passes().await > passes && world.hydra_up().await == Some(0.0)
    })
    .await;
}

/// That Hydra answers the sweep is no reason to give up the backoff of what it cannot do: over
/// many sweeps there are few attempts.
async fn a_hydra_that_cannot_write_is_not_pressed(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let proxy = Proxy::start(hydra).await;
    let world = World::behind(proxy.url(), hydra, &["--resync-interval=1s"]).await;
    proxy.take_out_of_service(Method::POST);
    let sweeps = async || world.operator.metric("hydra_operator_sweeps_total", &[]).await;
    let before = sweeps().await;
    world.create("app", &json!({})).await;
    world.shows("app", "Ready=False HydraError").await;
    eventually("twelve sweeps", async || sweeps().await >= before + 12.0).await;
    let attempts = proxy.seen().iter().filter(|request| request.method == Method::POST).count();
    assert!((2..=7).contains(&attempts), "{attempts} attempts");
}

async fn row_30_deletion_waits_for_hydra_unless_the_client_is_let_go(generation: Generation) {
    let hydra = Hydra::start(generation).await;
    let mut world = World::with_args("outage-deletion", hydra, &["--resync-interval=1s"]).await;
    world.create("revoked", &json!({})).await;
    world.create("let-go", &json!({})).await;
    world.create("released", &json!({})).await;
    world.all_ready(3).await;
    let released = world.credentials("released-credentials").await;
    let revoked = world.credentials("revoked-credentials").await;
    let let_go = world.credentials("let-go-credentials").await;

    world.hydra.own().stop().await;
    for name in ["revoked", "let-go", "released"] {
        world.delete(name).await;
        let resource = world.shows(name, WAITING[0]).await;
        assert_eq!(shown(&resource), WAITING);
        assert!(resource.metadata.finalizers.is_some());
        let conditions = resource.status.unwrap().conditions;
        let message = conditions[0].message.as_deref().unwrap();
        for way_out in ["set spec.deletionPolicy to orphan", "hydra.ory.sh/release=true"] {
            assert!(message.contains(way_out), "{message}");
        }
    }

    let policy = Patch::Merge(json!({ "spec": { "deletionPolicy": "orphan" } }));
    world.resources.patch("let-go", &PatchParams::default(), &policy).await.unwrap();
    world.gone("let-go").await;
    assert_eq!(world.events("let-go").await["Normal ClientOrphaned"], 1);
    world.annotate("released", RELEASE_ANNOTATION, "false").await;
    assert_eq!(shown(&world.pass("released").await), WAITING);
    world.annotate("released", RELEASE_ANNOTATION, "true").await;
    world.gone("released").await;
    assert_eq!(world.events("released").await["Warning ClientReleased"], 1);
    let told = format!("client {} may still exist there", released.id);
    assert!(world.operator.log().contains(&told), "the event names the client");
    assert_eq!(shown(&world.resources.get("revoked").await.unwrap()), WAITING);

    world.hydra.own().start_again().await;
    world.gone("revoked").await;
    assert_eq!(world.in_hydra(&revoked.id).await, None);
    // With its credentials: the Secret has outlived the resource.
    assert_eq!(world.credentials("let-go-credentials").await.id, let_go.id);
    assert!(world.gets_token(&let_go).await);
    assert!(world.gets_token(&released).await, "as the event has said");
    eventually("the Secret of the released resource is collected", async || {
        world.secrets.get_opt("released-credentials").await.unwrap().is_none()
    })
    .await;
    let values = [revoked.secret(), let_go.secret(), released.secret()];
    world.assert_no_secret_leaked(&values).await;
}

async fn creations_survive_kill_9(generation: Generation) {
    const COUNT: usize = 100;
    let mut world = World::new("crash", generation).await;
    world.operator.process().freeze();
    world.create_many("app", COUNT, |_| json!({})).await;
    world.operator.process().thaw();
    for least in [15, 40, 65] {
        eventually(&format!("more than {least} Secrets"), async || {
            world.count_secrets().await > least
        })
        .await;
        world.operator.process().kill_9().await;
        let stored = world.count_secrets().await;
        assert!(stored < COUNT, "the operator was killed too late");
        world.operator.start_again().await;
    }
    world.all_ready(COUNT).await;

    assert_eq!(world.count_secrets().await, COUNT);
    let ids = world.working_ids("app", COUNT).await;
    assert_eq!(ids.len(), COUNT);
    assert_eq!(world.clients_in_hydra().await, ids);
}

async fn a_kill_between_secret_and_client_leaves_one_client(generation: Generation) {
    let mut world = World::new("crash-between", generation).await;
    for n in 0..10 {
        let (name, secret) = (format!("app-{n}"), format!("app-{n}-credentials"));
        let stored =
            await_condition(world.secrets.clone(), &secret, |s: Option<&Secret>| s.is_some());
        let spec = json!({});
        let (_, stored) = tokio::join!(world.create(&name, &spec), stored);
        stored.unwrap();
        world.operator.process().kill_9().await;

        let id = world.credentials(&secret).await.id;
        world.operator.start_again().await;
        world.ready(&name).await;
        assert_eq!(world.hydra.client_ids_of(&world.owner(&name)).await, [id]);
        assert!(world.gets_token(&world.credentials(&secret).await).await);
    }
}
