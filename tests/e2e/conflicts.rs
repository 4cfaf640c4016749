//! Who holds a client or a Secret keeps it.

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::{
    on_each_generation,
    support::{Generation, hydra_api::service_client},
    world::{World, client_id, message, status_code},
};

on_each_generation!(
    a_foreign_secret_is_left_alone_until_it_is_gone,
    a_secret_that_gets_what_it_lacked_is_used,
    a_secret_of_another_resource_is_left_alone,
    a_client_of_somebody_else_is_left_alone,
    of_two_resources_the_present_holder_keeps_the_client,
);

async fn a_foreign_secret_is_left_alone_until_it_is_gone(generation: Generation) {
    let world = World::alone("foreign-secret", generation).await;
    let foreign = world.create_secret("shop-credentials", &json!({ "password": "hunter22" })).await;
    world.create("shop", &json!({})).await;
    let stalled = world.shows("shop", "Stalled=True SecretNotOwned").await;
    assert_eq!(status_code(&stalled), Some("INVALID_SECRET"));
    assert!(message(&stalled).contains("CLIENT_ID and CLIENT_SECRET"), "{}", message(&stalled));
    world.pass("shop").await;
    world.pass("shop").await;
    assert_eq!(world.secrets.get("shop-credentials").await.unwrap(), foreign);
    assert_eq!(world.hydra.counters().await.writes(), 0);
    assert_eq!(world.events("shop").await["Warning SecretNotOwned"], 1);
    world.assert_no_secret_leaked(&["hunter22"]).await;

    // Nothing but the watch of the Secret tells: the next look by itself is minutes away.
    world.delete_secret("shop-credentials").await;
    world.ready("shop").await;
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
}

async fn a_secret_that_gets_what_it_lacked_is_used(generation: Generation) {
    let world = World::new("completed-secret", generation).await;
    let id = format!("by-hand-{}", world.namespace);
    world.create_secret("shop-credentials", &json!({ "CLIENT_ID": id })).await;
    world.create("shop", &json!({})).await;
    let stalled = world.shows("shop", "Stalled=True SecretNotOwned").await;
    assert!(message(&stalled).contains("lacks CLIENT_SECRET"), "{}", message(&stalled));

    world.edit_secret("shop-credentials", &json!({ "CLIENT_SECRET": "chosen-by-hand" })).await;
    assert_eq!(client_id(&world.ready("shop").await), id);
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
    world.assert_no_secret_leaked(&["chosen-by-hand"]).await;
}

async fn a_secret_of_another_resource_is_left_alone(generation: Generation) {
    let world = World::new("others-secret", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let (secret, client) = (secret(&world, "shop-credentials").await, world.in_hydra(&id).await);

    world.create("bank", &json!({ "secretName": "shop-credentials" })).await;
    let stalled = world.shows("bank", "Stalled=True SecretNotOwned").await;
    let winner = format!("belongs to OAuth2Client {}/shop, which holds it", world.namespace);
    assert!(message(&stalled).contains(&winner), "{}", message(&stalled));
    world.pass("shop").await;
    world.delete("bank").await;
    world.gone("bank").await;
    assert_eq!(self::secret(&world, "shop-credentials").await, secret);
    assert_eq!(world.in_hydra(&id).await, client);
    assert!(world.hydra.client_ids_of(&world.owner("bank")).await.is_empty());
}

async fn a_client_of_somebody_else_is_left_alone(generation: Generation) {
    let world = World::new("foreign-client", generation).await;
    let cases = [
        ("owned", json!("bank/other-namespace"), "belongs to \"bank/other-namespace\""),
        ("ownerless", json!(""), "has no owner"),
    ];
    for (name, owner, explanation) in cases {
        let id = format!("{name}-{}", world.namespace);
        let mut client = service_client(&id, "secret-of-somebody-else");
        client["owner"] = owner;
        assert_eq!(world.hydra.post_client(&client).await.status, 201);
        let before = world.in_hydra(&id).await.unwrap();

        world.create(name, &json!({ "clientId": id, "scope": "admin" })).await;
        let stalled = world.shows(name, "Stalled=True ClientIdTaken").await;
        assert!(message(&stalled).contains(explanation), "{}", message(&stalled));
        world.pass(name).await;
        assert!(world.secrets.get_opt(&format!("{name}-credentials")).await.unwrap().is_none());
        world.delete(name).await;
        world.gone(name).await;
        assert_eq!(world.in_hydra(&id).await.unwrap(), before, "updated_at included");
        assert!(world.hydra.token(&id, "secret-of-somebody-else").await.is_ok());
    }
}

async fn of_two_resources_the_present_holder_keeps_the_client(generation: Generation) {
    let world = World::new("two-resources", generation).await;
    let id = format!("shop-{}", world.namespace);
    world.create("first", &json!({ "clientId": id })).await;
    world.ready("first").await;
    let credentials = world.credentials("first-credentials").await;
    let before = world.in_hydra(&id).await.unwrap();

    world.create("second", &json!({ "clientId": id, "scope": "admin" })).await;
    let stalled = world.shows("second", "Stalled=True ClientIdTaken").await;
    let winner = format!("belongs to OAuth2Client {}/first, which holds it", world.namespace);
    assert!(message(&stalled).contains(&winner), "{}", message(&stalled));
    world.pass("second").await;
    world.pass("first").await;
    assert!(world.secrets.get_opt("second-credentials").await.unwrap().is_none());
    world.delete("second").await;
    world.gone("second").await;
    assert_eq!(world.in_hydra(&id).await.unwrap(), before);
    assert!(world.gets_token(&credentials).await);
    world.ready("first").await;
}

async fn secret(world: &World, name: &str) -> Secret {
    world.secrets.get(name).await.unwrap()
}
