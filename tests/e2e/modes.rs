//! Suspension, requests, events, and what happens to a client behind the operator's back.

use std::collections::BTreeMap;

use hydra_operator::api::SUSPEND_ANNOTATION;
use serde_json::{Value, json};

use crate::{
    on_each_generation,
    signing::ClientKey,
    support::{Generation, Hydra, eventually},
    world::{World, client_id, shown},
};

on_each_generation!(
    nothing_is_done_while_suspended,
    a_resource_that_is_born_suspended_leaves_no_trace,
    a_suspended_resource_can_be_deleted,
    each_transition_is_told_once,
    row_16_what_others_change_in_hydra_is_put_back,
    row_15_a_client_that_others_delete_is_made_again,
    what_the_spec_cannot_say_survives,
);

async fn nothing_is_done_while_suspended(generation: Generation) {
    let world = World::new("suspend", generation).await;
    for way in ["spec", "annotation"] {
        world.create(way, &json!({})).await;
        let id = client_id(&world.ready(way).await);
        let secret = format!("{way}-credentials");
        let credentials = world.credentials(&secret).await;
        let before = world.in_hydra(&id).await.unwrap();

        suspend(&world, way, true).await;
        world.shows(way, "Stalled=False Suspended").await;
        world.edit(way, &json!({ "scope": "admin" })).await;
        world.edit_secret(&secret, &json!({ "CLIENT_SECRET": "chosen-by-hand" })).await;
        world.shows(way, "Ready=False Suspended").await;
        world.pass(way).await;
        assert_eq!(world.in_hydra(&id).await.unwrap(), before, "{way}");
        assert!(world.gets_token(&credentials).await, "{way}");

        suspend(&world, way, false).await;
        world.ready(way).await;
        assert_eq!(world.in_hydra(&id).await.unwrap()["scope"], "admin", "{way}");
        assert!(world.gets_token(&world.credentials(&secret).await).await, "{way}");
        assert!(!world.gets_token(&credentials).await, "{way}");
        world.assert_no_secret_leaked(&[credentials.secret(), "chosen-by-hand"]).await;
    }
}

async fn suspend(world: &World, way: &str, suspended: bool) {
    match way {
        "spec" => drop(world.edit("spec", &json!({ "suspend": suspended })).await),
        name => world.annotate(name, SUSPEND_ANNOTATION, &suspended.to_string()).await,
    }
}

async fn a_resource_that_is_born_suspended_leaves_no_trace(generation: Generation) {
    let world = World::new("born-suspended", generation).await;
    for name in ["deleted", "resumed"] {
        world.create(name, &json!({ "suspend": true })).await;
        world.shows(name, "Ready=False Suspended").await;
        let resource = world.pass(name).await;
        assert_eq!(resource.metadata.finalizers, None);
        assert!(world.secrets.get_opt(&format!("{name}-credentials")).await.unwrap().is_none());
        assert!(world.hydra.client_ids_of(&world.owner(name)).await.is_empty());
    }
    world.delete("deleted").await;
    assert!(world.resources.get_opt("deleted").await.unwrap().is_none(), "nothing to wait for");
    world.edit("resumed", &json!({ "suspend": null })).await;
    world.ready("resumed").await;
    assert!(world.gets_token(&world.credentials("resumed-credentials").await).await);
}

async fn a_suspended_resource_can_be_deleted(generation: Generation) {
    let world = World::new("delete-suspended", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    world.edit("shop", &json!({ "suspend": true })).await;
    let suspended = world.shows("shop", "Stalled=False Suspended").await;
    assert_eq!(shown(&suspended)[0], "Ready=True Synced", "suspending undoes nothing");
    world.delete("shop").await;
    world.gone("shop").await;
    assert_eq!(world.in_hydra(&id).await, None);
}

async fn each_transition_is_told_once(generation: Generation) {
    let world = World::new("events", generation).await;
    world.create("shop", &json!({})).await;
    let with_fragment = json!({ "redirectUris": ["https://shop.example.com/#top"] });
    let steps: [(Value, &[&str]); 6] = [
        (json!({}), &["Normal ClientCreated"]),
        (json!({ "scope": "admin" }), &["Normal ClientUpdated"]),
        (with_fragment, &["Warning RejectedByHydra"]),
        (json!({ "redirectUris": null }), &["Normal Synced"]),
        (json!({ "suspend": true }), &["Normal Suspended"]),
        (json!({ "suspend": null }), &["Normal Synced"]),
    ];
    let mut expected: BTreeMap<String, i32> = BTreeMap::new();
    for (spec, told) in steps {
        for event in told {
            *expected.entry((*event).to_owned()).or_default() += 1;
        }
        world.edit("shop", &spec).await;
        for _ in 0..3 {
            world.pass("shop").await;
        }
        assert_eq!(world.events("shop").await, expected, "after {spec}");
    }
}

/// On a Hydra of its own, swept every second.
async fn swept(name: &str, generation: Generation) -> World {
    let hydra = Hydra::start(generation).await;
    World::with_args(name, hydra, &["--resync-interval=1s"]).await
}

/// Waits until two more sweeps are over: the second began after this was called.
async fn two_sweeps(world: &World) {
    let sweeps = async || world.operator.metric("hydra_operator_sweeps_total", &[]).await;
    let before = sweeps().await;
    eventually("two sweeps", async || sweeps().await >= before + 2.0).await;
}

async fn corrections(world: &World) -> f64 {
    world.operator.metric("hydra_operator_drift_corrections_total", &[]).await
}

/// Replaces members of a client behind the operator's back.
async fn tamper(world: &World, id: &str, members: &Value) {
    let mut client = world.in_hydra(id).await.unwrap();
    client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    assert_eq!(world.hydra.put_client(id, &client).await.status, 200);
}

async fn row_16_what_others_change_in_hydra_is_put_back(generation: Generation) {
    let world = swept("drift", generation).await;
    world.create("shop", &json!({ "metadata": { "tier": "gold" } })).await;
    world.create("other", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let other = world.in_hydra(&client_id(&world.ready("other").await)).await.unwrap();
    let credentials = world.credentials("shop-credentials").await;
    assert!(corrections(&world).await.abs() < 0.5);

    let changed = json!({ "scope": "read write admin", "metadata": { "tier": "none" } });
    tamper(&world, &id, &changed).await;
    eventually("it is put back", async || {
        let client = world.in_hydra(&id).await.unwrap();
        client["scope"] == "read write" && client["metadata"] == json!({ "tier": "gold" })
    })
    .await;
    two_sweeps(&world).await;
    assert!((corrections(&world).await - 1.0).abs() < 0.5, "{}", corrections(&world).await);
    assert_eq!(world.events("shop").await["Warning DriftCorrected"], 1);
    assert!(!world.events("other").await.contains_key("Warning DriftCorrected"));
    assert_eq!(world.in_hydra(other["client_id"].as_str().unwrap()).await.unwrap(), other);
    world.ready("shop").await;
    assert!(world.gets_token(&credentials).await);
    world.assert_no_secret_leaked(&[credentials.secret()]).await;
}

async fn row_15_a_client_that_others_delete_is_made_again(generation: Generation) {
    let world = swept("deleted-client", generation).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let credentials = world.credentials("shop-credentials").await;
    let secret = world.secrets.get("shop-credentials").await.unwrap();
    assert_eq!(world.hydra.delete_client(&credentials.id).await.status, 204);
    assert!(!world.gets_token(&credentials).await);

    eventually("the same credentials work again", async || world.gets_token(&credentials).await)
        .await;
    assert_eq!(world.secrets.get("shop-credentials").await.unwrap(), secret);
    world.ready("shop").await;
    assert_eq!(world.events("shop").await["Warning DriftCorrected"], 1);
    assert!((corrections(&world).await - 1.0).abs() < 0.5);
    world.assert_no_secret_leaked(&[credentials.secret()]).await;
}

/// Members that others set and that the spec leaves open are no drift, and survive a change.
async fn what_the_spec_cannot_say_survives(generation: Generation) {
    let world = swept("unmanaged", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let key = ClientKey::generate("by-hand").public_jwk();
    let mut members = json!({ "jwks": { "keys": [key] } });
    if generation == Generation::V1 {
        members["password_grant_access_token_lifespan"] = json!("1h0m0s");
    }
    tamper(&world, &id, &members).await;
    let tampered = timeless(world.in_hydra(&id).await.unwrap());
    two_sweeps(&world).await;
    // Whoever has written the client may have changed its secret, which is set again: that is all.
    assert_eq!(timeless(world.in_hydra(&id).await.unwrap()), tampered);
    assert!((corrections(&world).await - 1.0).abs() < 0.5);

    world.edit("shop", &json!({ "scope": "admin" })).await;
    world.ready("shop").await;
    let edited = world.in_hydra(&id).await.unwrap();
    assert_eq!(edited["scope"], "admin");
    for (member, value) in members.as_object().unwrap() {
        assert_eq!(edited[member], *value, "{member}");
    }

    let declared = ClientKey::generate("declared").public_jwk();
    world.edit("shop", &json!({ "jwks": { "keys": [declared] } })).await;
    world.ready("shop").await;
    assert_eq!(world.in_hydra(&id).await.unwrap()["jwks"]["keys"][0]["kid"], "declared");
    world.edit("shop", &json!({ "jwks": null })).await;
    world.ready("shop").await;
    assert_eq!(world.in_hydra(&id).await.unwrap()["jwks"], json!({}), "a key that is withdrawn");
}

/// A client without the time of its last change.
fn timeless(mut client: Value) -> Value {
    client.as_object_mut().unwrap().remove("updated_at");
    client
}
