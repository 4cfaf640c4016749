//! What Hydra refuses or does not keep, and what the operator refuses for it.

use hydra_operator::api::OAuth2Client;
use serde_json::{Value, json};

use crate::{
    on_each_generation,
    signing::ClientKey,
    support::Generation,
    world::{World, client_id, message, status_code},
};

on_each_generation!(
    what_hydra_does_not_keep_is_said_and_the_rest_applies,
    what_hydra_does_not_keep_can_be_added_and_removed,
    a_client_that_hydra_refuses_is_told_once_and_heals_when_corrected,
    an_edit_that_hydra_refuses_leaves_the_client_as_it_was,
    a_spec_that_cannot_work_reaches_nobody,
);

/// Members that this generation accepts and drops, in the spec and as Hydra calls them.
fn unknown_to(generation: Generation) -> (Value, Vec<&'static str>) {
    let device = "device_authorization_grant_access_token_lifespan";
    let lifespans = json!({ device: "1h" });
    match generation {
        Generation::V1 => (
            json!({ "skipConsent": true, "tokenLifespans": lifespans }),
            vec!["skip_consent", device],
        ),
        Generation::V2 => (json!({ "tokenLifespans": lifespans }), vec![device]),
    }
}

async fn what_hydra_does_not_keep_is_said_and_the_rest_applies(generation: Generation) {
    let world = World::alone("unsupported", generation).await;
    let (unknown, names) = unknown_to(generation);
    world.create("shop", &unknown).await;
    let stalled = world.shows("shop", "Stalled=True UnsupportedByHydra").await;
    assert_names(&stalled, &names);
    let credentials = world.credentials("shop-credentials").await;
    assert!(world.gets_token(&credentials).await);
    let client = world.in_hydra(&credentials.id).await.unwrap();
    assert_eq!(client["scope"], "read write");

    let writes = world.hydra.counters().await.writes();
    for _ in 0..3 {
        world.pass("shop").await;
    }
    assert_eq!(world.hydra.counters().await.writes(), writes, "it is not sent again");
    assert_eq!(world.in_hydra(&credentials.id).await.unwrap(), client);
    assert_eq!(world.events("shop").await["Warning UnsupportedByHydra"], 1);

    world.edit("shop", &json!({ "scope": "admin" })).await;
    let stalled = world.shows("shop", "Stalled=True UnsupportedByHydra").await;
    assert_names(&stalled, &names);
    assert_eq!(world.in_hydra(&credentials.id).await.unwrap()["scope"], "admin");
    world.assert_no_secret_leaked(&[credentials.secret()]).await;
}

async fn what_hydra_does_not_keep_can_be_added_and_removed(generation: Generation) {
    let world = World::new("unsupported", generation).await;
    let (unknown, names) = unknown_to(generation);
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let credentials = world.credentials("shop-credentials").await;

    world.edit("shop", &unknown).await;
    assert_names(&world.shows("shop", "Stalled=True UnsupportedByHydra").await, &names);
    assert!(world.gets_token(&credentials).await);

    world.edit("shop", &json!({ "skipConsent": false, "tokenLifespans": null })).await;
    let ready = world.ready("shop").await;
    assert_eq!(status_code(&ready), None);
    assert!(ready.status.unwrap().unsupported.is_none());
    assert!(world.gets_token(&credentials).await);
}

fn assert_names(resource: &OAuth2Client, names: &[&str]) {
    let unsupported = resource.status.as_ref().unwrap().unsupported.as_ref().unwrap();
    let (mut found, mut expected) = (unsupported.fields.clone(), names.to_vec());
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for name in names {
        assert!(message(resource).contains(name), "{name} in {}", message(resource));
    }
}

const WITH_FRAGMENT: &str = "https://shop.example.com/callback#top";

async fn a_client_that_hydra_refuses_is_told_once_and_heals_when_corrected(generation: Generation) {
    let world = World::alone("refused", generation).await;
    world.create("shop", &json!({ "redirectUris": [WITH_FRAGMENT] })).await;
    let stalled = world.shows("shop", "Stalled=True RejectedByHydra").await;
    assert_eq!(status_code(&stalled), Some("CLIENT_REGISTRATION_FAILED"));
    // Hydra's own words.
    assert!(message(&stalled).contains("fragment"), "{}", message(&stalled));
    world.pass("shop").await;
    world.pass("shop").await;
    assert_eq!(world.events("shop").await["Warning RejectedByHydra"], 1);
    assert!(world.hydra.list_all_clients().await.is_empty());
    let chosen = world.credentials("shop-credentials").await;

    world.edit("shop", &json!({ "redirectUris": ["https://shop.example.com/callback"] })).await;
    let ready = world.ready("shop").await;
    assert_eq!(status_code(&ready), None);
    let credentials = world.credentials("shop-credentials").await;
    assert!(world.gets_token(&credentials).await);
    assert_eq!(credentials.id, chosen.id);
    assert_eq!(credentials.secret(), chosen.secret());
    world.assert_no_secret_leaked(&[credentials.secret()]).await;
}

async fn an_edit_that_hydra_refuses_leaves_the_client_as_it_was(generation: Generation) {
    let world = World::new("refused", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let before = world.in_hydra(&id).await;

    world.edit("shop", &json!({ "scope": "admin", "redirectUris": [WITH_FRAGMENT] })).await;
    let stalled = world.shows("shop", "Stalled=True RejectedByHydra").await;
    assert_eq!(status_code(&stalled), Some("CLIENT_UPDATE_FAILED"));
    assert_eq!(client_id(&stalled), id);
    assert_eq!(world.in_hydra(&id).await, before);
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);

    world.edit("shop", &json!({ "redirectUris": null })).await;
    world.ready("shop").await;
    assert_eq!(world.in_hydra(&id).await.unwrap()["scope"], "admin");
}

async fn a_spec_that_cannot_work_reaches_nobody(generation: Generation) {
    let world = World::alone("invalid", generation).await;
    let signs = json!({ "tokenEndpointAuthMethod": "private_key_jwt" });
    let elsewhere = json!({ "hydraAdmin": { "url": "http://hydra.example.com", "port": 4445 } });
    let cases = [
        ("keyless", signs, "InvalidSpec", "jwks", "CLIENT_REGISTRATION_FAILED"),
        ("elsewhere", elsewhere, "HydraAdminNotAllowed", "hydraAdmin", "INVALID_HYDRA_ADDRESS"),
    ];
    for (name, spec, reason, field, code) in cases {
        world.create(name, &spec).await;
        let stalled = world.shows(name, &format!("Stalled=True {reason}")).await;
        assert!(message(&stalled).contains(field), "{}", message(&stalled));
        assert_eq!(status_code(&stalled), Some(code));
        world.pass(name).await;
        assert_eq!(world.events(name).await[&format!("Warning {reason}")], 1);
        assert!(world.secrets.get_opt(&format!("{name}-credentials")).await.unwrap().is_none());
    }
    assert_eq!(world.hydra.counters().await.writes(), 0);

    let key = ClientKey::generate("key").public_jwk();
    world.edit("keyless", &json!({ "jwks": { "keys": [key] } })).await;
    world.edit("elsewhere", &json!({ "hydraAdmin": null })).await;
    world.ready("keyless").await;
    world.ready("elsewhere").await;
}
