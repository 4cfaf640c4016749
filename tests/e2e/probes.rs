//! What the probes say of an operator that cannot work, and of one that has nobody to work with.

use std::time::Duration;

use serde_json::json;

use crate::{
    support::{Generation, Hydra, Operator, eventually, hydra_api::http},
    world::World,
};

/// Longer than an operator that runs needs for an answer, on a busy machine too.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// The status of the answer to a probe; `None`: there was none.
async fn probe(operator: &Operator, path: &str) -> Option<u16> {
    let url = format!("{}{path}", operator.admin_url());
    let answer = http().get(url).timeout(PROBE_LIMIT).send().await.ok()?;
    Some(answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stands_still_fails_its_probe() {
    let mut world = World::new("frozen", Generation::V2).await;
    assert_eq!(probe(&world.operator, "/healthz").await, Some(200));
    world.operator.process().freeze();
    assert_eq!(probe(&world.operator, "/healthz").await, None);
    world.operator.process().thaw();
    eventually("it answers again", async || probe(&world.operator, "/healthz").await == Some(200))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hydra_has_no_say_in_the_probes() {
    let hydra = Hydra::start(Generation::V2).await;
    let mut world = World::with_args("probes", hydra, &["--resync-interval=1s"]).await;
    world.hydra.own().stop().await;
    world.create("app", &json!({})).await;
    world.shows("app", "Ready=False HydraUnreachable").await;
    eventually("some passes in vain", async || world.outcomes("HydraUnreachable").await >= 3).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(probe(&world.operator, path).await, Some(200), "{path}");
    }
    // Nor where Hydra was away from the start.
    world.operator.process().terminate().await;
    world.operator.start_again().await;
    assert_eq!(probe(&world.operator, "/healthz").await, Some(200));
}
