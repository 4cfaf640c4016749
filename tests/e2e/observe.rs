//! `--observe` tells what would be done and does none of it; the operator then does exactly that.

use serde_json::json;

use crate::{
    on_each_generation,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, counters::ApiserverCounters,
        eventually,
    },
    world::World,
};

on_each_generation!(
    what_is_told_is_what_is_done_later,
    an_empty_cluster_and_a_hydra_that_is_away_are_told,
);

/// What the servers have counted: writes to resources, Secrets and events, requests that were
/// refused, writes to Hydra.
async fn writes(world: &World) -> [(&'static str, u64); 5] {
    let counted = ApiserverCounters::read(&world.client).await;
    [
        ("resources", counted.writes("oauth2clients")),
        ("Secrets", counted.writes("secrets")),
        ("events", counted.writes("events")),
        ("refusals", counted.refusals()),
        ("Hydra", world.hydra.counters().await.writes()),
    ]
}

async fn what_is_told_is_what_is_done_later(generation: Generation) {
    let (cp, hydra) = (ControlPlane::start().await, Hydra::start(generation).await);
    let mut world = World::on(cp, hydra, "observe", &[]).await;
    for name in ["synced", "drifted", "lost-secret", "deleted", "kept"] {
        world.create(name, &json!({})).await;
    }
    world.all_ready(5).await;
    let [synced, drifted, lost, deleted] =
        ["synced", "drifted", "lost-secret", "deleted"].map(|name| format!("{name}-credentials"));
    let drifted = world.credentials(&drifted).await.id;
    let deleted = world.credentials(&deleted).await.id;
    let lost_id = world.credentials(&lost).await.id;
    let synced_before = world.secrets.get(&synced).await.unwrap();
    assert_eq!(world.operator.process().terminate().await, 0);

    let mut client = world.in_hydra(&drifted).await.unwrap();
    client["scope"] = json!("admin");
    assert_eq!(world.hydra.put_client(&drifted, &client).await.status, 200);
    world.delete_secret(&lost).await;
    world.delete("deleted").await;
    world.edit("kept", &json!({ "deletionPolicy": "orphan" })).await;
    world.delete("kept").await;
    world.create("missing", &json!({})).await;
    world.create_secret("foreign-credentials", &json!({ "password": "hunter22" })).await;
    world.create("foreign", &json!({})).await;
    world.create("suspended", &json!({ "suspend": true })).await;

    let before = writes(&world).await;
    let options = OperatorOptions::new(world.hydra.admin_url()).observing();
    let mut observer = Operator::start(&world.cp, options).await;
    let summary = "Observed all OAuth2Clients, 8: nothing 2, create secret 2, create client 1, \
                   update client 2, delete client 1, leave client 1, release secret 1, blocked 1";
    told(&observer, summary).await;
    let delete = format!("delete client {deleted}");
    for (name, what) in [
        ("synced", "nothing"),
        ("drifted", "update client: scope"),
        ("lost-secret", "create Secret; update client: client secret"),
        ("deleted", &delete),
        ("kept", "leave the client in Hydra; release Secret kept-credentials"),
        ("missing", "create Secret; create client"),
        ("foreign", "blocked: SecretNotOwned Secret foreign-credentials exists"),
        ("suspended", "nothing"),
    ] {
        assert!(tells(&observer, &world.namespace, name, what), "{name}: {}", observer.log());
    }
    let gauge = |action| {
        let observer = &observer;
        let labels = [("controller", "oauth2client"), ("action", action)];
        async move { observer.metric("hydra_operator_observed_resources", &labels).await }
    };
    assert!((gauge("create_secret").await - 2.0).abs() < 0.5);
    assert!((gauge("blocked").await - 1.0).abs() < 0.5);
    assert!((gauge("complete_secret").await).abs() < 0.5);
    assert_eq!(writes(&world).await, before);

    // A change is told as well, and again nothing follows from it.
    world.delete_secret("foreign-credentials").await;
    let before = writes(&world).await;
    told(&observer, "create secret 3, create client 2").await;
    assert!(tells(&observer, &world.namespace, "foreign", "create Secret; create client"));
    assert_eq!(writes(&world).await, before);
    assert_eq!(world.events("foreign").await.len(), 0);
    assert_eq!(observer.process().terminate().await, 0);

    world.operator.start_again().await;
    for name in ["deleted", "kept"] {
        world.gone(name).await;
    }
    for name in ["synced", "drifted", "lost-secret", "missing", "foreign"] {
        world.ready(name).await;
        let credentials = world.credentials(&format!("{name}-credentials")).await;
        assert!(world.gets_token(&credentials).await, "{name}");
    }
    assert_eq!(world.in_hydra(&deleted).await, None);
    // It was Ready all along, so that its status does not tell when.
    eventually("the drift is corrected", async || {
        world.in_hydra(&drifted).await.unwrap()["scope"] == "read write"
    })
    .await;
    assert_eq!(world.credentials(&lost).await.id, lost_id);
    assert_eq!(world.secrets.get(&synced).await.unwrap(), synced_before);
    assert!(world.secrets.get_opt("suspended-credentials").await.unwrap().is_none());
    world.assert_no_secret_leaked(&["hunter22"]).await;
    assert!(!observer.log().contains("hunter22"));
}

async fn told(observer: &Operator, text: &str) {
    eventually(text, async || {
        let log = observer.log();
        if log.contains(text) { Ok(()) } else { Err(log) }
    })
    .await;
}

fn tells(observer: &Operator, namespace: &str, name: &str, what: &str) -> bool {
    let key = format!("namespace=\"{namespace}\" name=\"{name}\" what={what}");
    observer.log().lines().any(|line| line.contains("INFO") && line.contains(&key))
}

async fn an_empty_cluster_and_a_hydra_that_is_away_are_told(generation: Generation) {
    let (cp, hydra) = (ControlPlane::start().await, Hydra::start(generation).await);
    let namespace = cp.namespace("observe-away").await;
    let options = OperatorOptions::new(hydra.admin_url())
        .observing()
        .args(["--resync-interval=1s", &format!("--namespaces={namespace}")]);
    let operator = Operator::start(&cp, options).await;
    let mut world = World::with_operator(cp, hydra, operator, namespace).await;
    told(&world.operator, "Observed all OAuth2Clients, 0").await;

    world.hydra.own().stop().await;
    // A client of this id may be there: that has to be asked.
    world.create("shop", &json!({ "clientId": format!("shop-{}", world.namespace) })).await;
    told(&world.operator, "Observed all OAuth2Clients, 1: blocked 1").await;
    assert!(tells(&world.operator, &world.namespace, "shop", "blocked: HydraUnreachable"));
    world.hydra.own().start_again().await;
    told(&world.operator, "Observed all OAuth2Clients, 1: create secret 1, create client 1").await;
    world.delete("shop").await;
    eventually("the end of the resource is told", async || {
        world.operator.log().matches("Observed all OAuth2Clients, 0").count() == 2
    })
    .await;
    assert_eq!(world.count_secrets().await, 0);
}
