//! From a resource to a client and back.

use serde_json::json;

use crate::{
    on_each_generation,
    support::Generation,
    world::{World, client_id},
};

on_each_generation!(a_resource_becomes_a_client_with_working_credentials);

async fn a_resource_becomes_a_client_with_working_credentials(generation: Generation) {
    let world = World::new("create", generation).await;
    world.create("shop", &json!({})).await;
    let ready = world.ready("shop").await;
    let credentials = world.credentials("shop-credentials").await;
    assert_eq!(client_id(&ready), credentials.id);
    assert!(world.gets_token(&credentials).await);
    let client = world.in_hydra(&credentials.id).await.unwrap();
    assert_eq!(client["owner"], world.owner("shop"));

    world.delete("shop").await;
    world.gone("shop").await;
    assert_eq!(world.in_hydra(&credentials.id).await, None);
    assert!(!world.gets_token(&credentials).await);
}
