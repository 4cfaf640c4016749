//! Rows 1 to 3: a kill, or a lost answer, between the Secret, the client and the status. The crash
//! matrix covers every other point.

use axum::http::Method;
use serde_json::json;

use super::{Fault, Faulty, Gate, Rule, Side};
use crate::{
    on_each_generation,
    support::{Generation, Hydra, eventually, hydra_api::service_client},
    world::{World, message},
};

on_each_generation!(
    row_01_a_kill_between_secret_and_client_keeps_id_and_secret,
    row_02_a_kill_between_client_and_status_makes_no_second_client,
    row_03_a_lost_answer_to_a_creation_makes_no_second_client,
    row_03_an_answer_to_a_creation_that_comes_too_late_makes_no_second_client,
    row_03_an_id_that_somebody_took_meanwhile_is_a_conflict,
);

/// The request that creates a client.
pub fn creation(fault: Fault) -> Rule {
    Rule::on(Side::Hydra, fault).method(Method::POST).path("/clients")
}

async fn row_01_a_kill_between_secret_and_client_keeps_id_and_secret(generation: Generation) {
    let mut world = Faulty::new("row-01", generation).await;
    world.wire.inject(creation(Fault::KillBeforeForward));
    world.create("app", &json!({})).await;
    world.start_again_once_killed("the creation").await;
    let then = world.wire.now();
    let stored = world.credentials("app-credentials").await;
    let whole = world.assert_whole("app").await;
    assert_eq!(whole.id, stored.id);
    assert!(whole.secret() == stored.secret());
    assert!(world.hydra_requests(then, &Method::POST).len() <= 1);
    world.assert_no_secret_leaked(&[whole.secret()]).await;
}

async fn row_02_a_kill_between_client_and_status_makes_no_second_client(generation: Generation) {
    let mut world = Faulty::new("row-02", generation).await;
    world.wire.inject(creation(Fault::KillBeforeAnswer));
    world.create("app", &json!({})).await;
    world.start_again_once_killed("the creation").await;
    let stored = world.credentials("app-credentials").await;
    let whole = world.assert_whole("app").await;
    assert_eq!(whole.id, stored.id);
    assert!(whole.secret() == stored.secret());
    // Over both lives of the operator. The row wants the status alone to be written after the
    // restart. The issue allows one PUT of a secret whose history is unknown: Hydra does not show
    // whether it has this one.
    assert_eq!(world.hydra_requests(0, &Method::POST).len(), 1);
    assert!(world.hydra_requests(0, &Method::PUT).len() <= 1);
    world.assert_no_secret_leaked(&[whole.secret()]).await;
}

async fn row_03_a_lost_answer_to_a_creation_makes_no_second_client(generation: Generation) {
    let world = Faulty::new("row-03", generation).await;
    for (name, fault) in
        [("reset", Fault::LoseRequest), ("reply", Fault::LoseReply), ("body", Fault::CutBody)]
    {
        world.wire.inject(creation(fault).times(1));
        world.create(name, &json!({})).await;
        let whole = world.assert_whole(name).await;
        world.assert_no_secret_leaked(&[whole.secret()]).await;
        world.wire.heal();
    }
}

async fn row_03_an_answer_to_a_creation_that_comes_too_late_makes_no_second_client(
    generation: Generation,
) {
    let hydra = Hydra::shared(generation).await;
    let world = Faulty::with_args("row-03", hydra, &["--hydra-request-timeout=1s"]).await;
    world.wire.inject(creation(Fault::HoldAnswer(Gate::closed())).times(1));
    world.create("app", &json!({})).await;
    let whole = world.assert_whole("app").await;
    world.assert_no_secret_leaked(&[whole.secret()]).await;
}

async fn row_03_an_id_that_somebody_took_meanwhile_is_a_conflict(generation: Generation) {
    let world = Faulty::new("row-03", generation).await;
    let id = format!("wanted-{}", world.namespace);
    let gate = Gate::closed();
    let then = world.wire.now();
    world.wire.inject(creation(Fault::HoldRequest(gate.clone())).times(1));
    world.create("app", &json!({ "clientId": id })).await;
    eventually("the creation is on its way", async || {
        !world.hydra_requests(then, &Method::POST).is_empty()
    })
    .await;
    let client = service_client(&id, "secret-of-somebody-else");
    assert_eq!(world.hydra.post_client(&client).await.status, 201);
    let before = world.in_hydra(&id).await;
    gate.open();

    let stalled = world.shows("app", "Stalled=True ClientIdTaken").await;
    assert!(message(&stalled).contains(&id), "{}", message(&stalled));
    assert_eq!(world.in_hydra(&id).await, before);
    assert!(world.hydra.token(&id, "secret-of-somebody-else").await.is_ok());
    let stored = generated(&world, "app-credentials").await;
    world.assert_no_secret_leaked(&["secret-of-somebody-else", &stored]).await;
}

async fn generated(world: &World, secret: &str) -> String {
    world.credentials(secret).await.secret().to_owned()
}
