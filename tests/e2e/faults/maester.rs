//! Row 35: what hydra-maester leaves, or still writes.

use axum::http::Method;
use hydra_operator::api::{FINALIZER, OAuth2Client};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::Faulty;
use crate::{
    on_each_generation,
    support::{Generation, Hydra, control_plane::unique, eventually, hydra_api::service_client},
    world::{World, client_id, message},
};

on_each_generation!(
    row_35_what_hydra_maester_left_is_taken_over_without_a_write,
    row_35_duplicates_that_hydra_maester_left_are_told_and_stay,
);

/// The secret that it made.
pub const MAESTERS: &str = "secret-that-maester-made";

/// Leaves what hydra-maester leaves: its finalizer and status, a Secret whose owner reference names
/// no controller, a client with its owner mark. The operator does not run.
pub async fn left_by_maester(world: &World, name: &str) -> String {
    left_by_maester_in(&world.hydra, world, name, &json!({})).await
}

/// The same, of a resource with `spec`, whose client is in `hydra`.
pub async fn left_by_maester_in(hydra: &Hydra, world: &World, name: &str, spec: &Value) -> String {
    let mut resource = World::resource(name, spec);
    resource.finalizers_mut().push(FINALIZER.to_owned());
    let resource = world.resources.create(&PostParams::default(), &resource).await.unwrap();
    let status = Patch::Merge(json!({ "status": {
        "observedGeneration": resource.metadata.generation,
        "conditions": [{ "type": "Ready", "status": "True" }],
        "reconciliationError": {},
    } }));
    world.resources.patch_status(name, &PatchParams::default(), &status).await.unwrap();
    let id = unique("by-maester");
    let secret = serde_json::from_value(json!({
        "metadata": {
            "name": format!("{name}-credentials"),
            "ownerReferences": [{
                "apiVersion": OAuth2Client::api_version(&()),
                "kind": OAuth2Client::kind(&()),
                "name": name,
                "uid": resource.uid(),
            }],
        },
        "stringData": { "CLIENT_ID": id, "CLIENT_SECRET": MAESTERS },
    }));
    world.secrets.create(&PostParams::default(), &secret.unwrap()).await.unwrap();
    assert_eq!(hydra.post_client(&maesters_client(world, name, &id)).await.status, 201);
    id
}

/// The client as hydra-maester makes it.
pub fn maesters_client(world: &World, name: &str, id: &str) -> Value {
    let mut client = service_client(id, MAESTERS);
    client["owner"] = json!(world.owner(name));
    client["scope"] = json!("read write");
    client
}

/// The row asks for a writer that is still there to be detected. It carries the same owner mark, so
/// nothing in Hydra tells the two apart; that both want the same is what keeps them at peace.
async fn row_35_what_hydra_maester_left_is_taken_over_without_a_write(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let mut world = Faulty::with_args("row-35", hydra, &["--resync-interval=1s"]).await;
    assert_eq!(world.operator.process().terminate().await, 0);
    let id = left_by_maester(&world, "app").await;
    let before = (
        world.in_hydra(&id).await.unwrap(),
        world.secrets.get("app-credentials").await.unwrap().data,
    );
    let then = world.wire.now();
    world.start_again().await;
    let whole = world.assert_whole("app").await;
    world.two_sweeps().await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        assert!(world.hydra_requests(then, &method).is_empty(), "{method}");
    }
    assert_eq!(whole.id, id);
    let after = (
        world.in_hydra(&id).await.unwrap(),
        world.secrets.get("app-credentials").await.unwrap().data,
    );
    assert!(after == before, "the client or the Secret has changed");

    // hydra-maester updates the client once more, to what it has been.
    let client = maesters_client(&world, "app", &id);
    assert_eq!(world.hydra.put_client(&id, &client).await.status, 200);
    world.two_sweeps().await;
    let then = world.wire.now();
    world.two_sweeps().await;
    assert_eq!(world.writes(then), Vec::<String>::new(), "two writers");
    let whole = world.assert_whole("app").await;
    assert!(whole.secret() == MAESTERS);
    world.assert_no_secret_leaked(&[MAESTERS]).await;
}

async fn row_35_duplicates_that_hydra_maester_left_are_told_and_stay(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let mut world = World::with_args("row-35", hydra, &["--resync-interval=1s"]).await;
    assert_eq!(world.operator.process().terminate().await, 0);
    let id = left_by_maester(&world, "app").await;
    let duplicate = unique("duplicate");
    let client = maesters_client(&world, "app", &duplicate);
    assert_eq!(world.hydra.post_client(&client).await.status, 201);
    world.operator.start_again().await;
    assert_eq!(client_id(&world.ready("app").await), id);
    eventually("the duplicate is told in an event", async || {
        world.events("app").await.contains_key("Warning DuplicateClients")
    })
    .await;
    let told = world.cp.kubectl(&["get", "events", "-o", "yaml", "-n", &world.namespace]);
    assert!(told.contains(&duplicate), "{told}");
    eventually("the duplicate is told in a condition", async || {
        message(&world.ready("app").await).contains(&duplicate)
    })
    .await;
    world.two_sweeps().await;
    assert!(world.in_hydra(&duplicate).await.is_some(), "nobody has allowed to remove it");
    world.assert_no_secret_leaked(&[MAESTERS]).await;
}
