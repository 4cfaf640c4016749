//! Many resources at once.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    on_each_generation,
    support::{Generation, Hydra, eventually, hydra_api::service_client},
    world::World,
};

/// Clients that are none of the operator's.
const FOREIGN: usize = 700;
const OURS: usize = 300;

on_each_generation!(hundreds_of_clients_come_and_go_among_foreign_ones);

async fn hundreds_of_clients_come_and_go_among_foreign_ones(generation: Generation) {
    let hydra = Hydra::start(generation).await;
    create_foreign(&hydra).await;
    let foreign = ids(&hydra).await;
    assert_eq!(foreign.len(), FOREIGN);
    let mut world = World::with_args("scale", hydra, &["--resync-interval=1s"]).await;
    world.create_many("app", OURS, |_| json!({})).await;
    world.all_ready(OURS).await;
    assert_eq!(world.clients_in_hydra().await.len(), OURS);
    // A client on a page that the sweep does not read would look lost and cost a pass.
    world.two_sweeps().await;
    let passes = world.passes().await;
    world.two_sweeps().await;
    assert_eq!(world.passes().await, passes);

    world.operator.process().terminate().await;
    forget_clients(&world, 10).await;
    world.operator.start_again().await;
    let all = (DeleteParams::default(), ListParams::default());
    world.resources.delete_collection(&all.0, &all.1).await.unwrap();
    eventually("all resources are gone", async || match world.list().await.len() {
        0 => Ok(()),
        left => Err(left),
    })
    .await;
    assert_eq!(ids(&world.hydra).await, foreign);
}

/// Deletes what says the ids of the last `count` clients, so that their owner marks alone lead to them.
async fn forget_clients(world: &World, count: usize) {
    let suspend = Patch::Merge(json!({ "spec": { "suspend": true } }));
    let forget = Patch::Merge(json!({ "status": null }));
    let params = PatchParams::default();
    for resource in world.list().await.iter().rev().take(count) {
        let name = resource.name_any();
        // The operator would find and store the id again.
        world.resources.patch(&name, &params, &suspend).await.unwrap();
        world.resources.patch_status(&name, &params, &forget).await.unwrap();
        world.secrets.delete(&resource.spec.secret_name, &DeleteParams::default()).await.unwrap();
    }
}

/// Hydra lists clients by id. Half of these come before every UUID and half after, so that the
/// operator's own lie on two pages of 500.
async fn create_foreign(hydra: &Hydra) {
    stream::iter(0..FOREIGN)
        .for_each_concurrent(16, async |n| {
            let id = if n % 2 == 0 { format!("-foreign-{n}") } else { format!("z-foreign-{n}") };
            let client = service_client(&id, "a-secret-of-somebody-else");
            assert_eq!(hydra.post_client(&client).await.status, 201);
        })
        .await;
}

async fn ids(hydra: &Hydra) -> BTreeSet<String> {
    let clients = hydra.list_all_clients().await;
    clients.iter().map(|client| client["client_id"].as_str().unwrap().to_owned()).collect()
}
