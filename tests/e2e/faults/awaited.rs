//! What the operator is yet to learn: a test moves out of here when it passes.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::{
    Answer, Fault, Faulty, Side,
    crashes::creation,
    fault::Seen,
    maester::{MAESTERS, left_by_maester, maesters_client},
};
use crate::{
    on_each_generation,
    support::{Generation, Hydra, control_plane::unique, eventually},
    world::{Credentials, World, client_id},
};

on_each_generation!(
    row_08_all_wait_as_long_as_hydra_asks_one_to,
    row_35_duplicates_that_hydra_maester_left_are_told_and_stay,
);

/// The time is what Hydra asks for: a request that comes later than that is no failure of the test.
async fn row_08_all_wait_as_long_as_hydra_asks_one_to(generation: Generation) {
    const SECONDS: u32 = 4;
    let hydra = Hydra::shared(generation).await;
    let world = Faulty::with_args("row-08", hydra, &["--resync-interval=1h"]).await;
    eventually("the first sweep is over", async || world.hydra_up().await == Some(1.0)).await;
    for status in [429, 503] {
        let then = world.wire.now();
        let busy = Answer::hydra(status).retry_after(SECONDS);
        world.wire.inject(creation(Fault::Answer(busy)).times(1));
        world.create(&format!("first-{status}"), &json!({})).await;
        let refused = eventually("Hydra asks for a pause", async || {
            let creations = world.hydra_requests(then, &Method::POST);
            creations.into_iter().find(|seen| seen.status == Some(status))
        })
        .await;
        // Those are not in flight: they are made after Hydra has asked.
        let mut whole = Vec::new();
        for name in ["second", "third"] {
            world.create(&format!("{name}-{status}"), &json!({})).await;
        }
        for name in ["first", "second", "third"] {
            whole.push(world.assert_whole(&format!("{name}-{status}")).await);
        }
        let pause = Duration::from_secs(SECONDS.into());
        let early: Vec<_> = world
            .wire
            .since(then)
            .into_iter()
            .filter(|seen| seen.side == Side::Hydra && seen.at > refused.at)
            .filter(|seen| seen.at < refused.at + pause)
            .map(|seen| Seen::describe(&seen))
            .collect();
        assert_eq!(early, Vec::<String>::new(), "{status}: in the time of the pause");
        let secrets: Vec<_> = whole.iter().map(Credentials::secret).collect();
        world.assert_no_secret_leaked(&secrets).await;
    }
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
    let told = || world.cp.kubectl(&["get", "events", "-o", "yaml", "-n", &world.namespace]);
    eventually("the duplicate is told in an event", async || told().contains(&duplicate)).await;
    eventually("the duplicate is told in a condition", async || {
        let resource = world.resources.get("app").await.unwrap();
        let conditions = resource.status.unwrap().conditions;
        let told = |message: &String| message.contains(&duplicate);
        conditions.iter().any(|one| one.message.as_ref().is_some_and(told))
    })
    .await;
    world.two_sweeps().await;
    assert!(world.in_hydra(&duplicate).await.is_some(), "nobody has allowed to remove it");
    world.assert_no_secret_leaked(&[MAESTERS]).await;
}
