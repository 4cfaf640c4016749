//! Rows 3, 7 to 9, 11 and 44 for key sets: what Hydra, or what stands before it, answers, or does not.

use std::time::Duration;

use axum::http::Method;
use hydra_operator::api::ROTATE_REQUESTED_ANNOTATION;
use serde_json::json;

use super::{
    Answer, Fault, Faulty, Gate, Rule, Side,
    fault::Seen,
    key_sets::{Sets, message, shown},
};
use crate::{
    on_each_generation,
    support::{Generation, Hydra, eventually},
};

on_each_generation!(
    row_03_a_lost_answer_makes_no_second_key,
    row_07_a_slow_hydra_is_waited_for_and_holds_up_nobody_else,
    row_08_all_sets_wait_as_long_as_hydra_asks_one_to,
    row_09_an_error_about_one_set_is_that_of_its_resource_alone,
    row_11_a_proxy_that_lets_nobody_in_is_no_fault_of_the_sets,
    row_44_answers_that_are_none_of_hydras_are_survived,
);

/// The request by which Hydra makes a key of the set `name`.
fn creation(world: &Faulty, name: &str, fault: Fault) -> Rule {
    let set = Sets(world).set_name(name);
    Rule::on(Side::Hydra, fault).method(Method::POST).path(&set)
}

fn of_set(world: &Faulty, name: &str, fault: Fault) -> Rule {
    let set = format!("/keys/{}", Sets(world).set_name(name));
    Rule::on(Side::Hydra, fault).when(move |seen| seen.path.contains(&set))
}

/// The answers to the requests for keys since `then`.
fn creations(world: &Faulty, then: usize) -> Vec<Option<u16>> {
    world.hydra_requests(then, &Method::POST).into_iter().map(|seen| seen.status).collect()
}

async fn row_03_a_lost_answer_makes_no_second_key(generation: Generation) {
    let world = Faulty::new("keys-03", generation).await;
    let sets = Sets(&world);
    let mut secrets = Vec::new();
    for (name, fault) in
        [("reset", Fault::LoseRequest), ("reply", Fault::LoseReply), ("body", Fault::CutBody)]
    {
        // Lost on the way to Hydra it is sent again, lost on the way back it is not.
        let expected = if name == "reset" { vec![None, Some(201)] } else { vec![Some(201)] };
        let then = world.wire.now();
        world.wire.inject(creation(&world, name, fault.clone()).times(1));
        sets.create(name, &json!({})).await;
        let first = sets.whole(name, 1).await;
        assert_eq!(creations(&world, then), expected, "{name}");
        world.wire.heal();

        let then = world.wire.now();
        world.wire.inject(creation(&world, name, fault).times(1));
        sets.annotate(name, ROTATE_REQUESTED_ANNOTATION, "now").await;
        eventually("the next key is signed with", async || {
            let status = sets.api().get(name).await.unwrap().status.unwrap();
            status.current_key.as_deref() != Some(&*first.current)
        })
        .await;
        let second = sets.whole(name, 1).await;
        assert_eq!(creations(&world, then), expected, "{name}, rotation");
        world.wire.heal();
        secrets.extend([first.secrets, second.secrets]);
    }
    sets.assert_no_secret_leaked(&secrets.into_iter().flatten().collect()).await;
}

async fn row_07_a_slow_hydra_is_waited_for_and_holds_up_nobody_else(generation: Generation) {
    let args = ["--hydra-request-timeout=1s", "--concurrency=2"];
    let world = Faulty::with_args("keys-07", Hydra::shared(generation).await, &args).await;
    let sets = Sets(&world);
    eventually("Hydra is known to be up", async || world.hydra_up().await == Some(1.0)).await;
    let (reads, makes) = (Gate::closed(), Gate::closed());
    let hold = of_set(&world, "read-late", Fault::HoldRequest(reads.clone()));
    world.wire.inject(hold.method(Method::GET));
    world.wire.inject(creation(&world, "made-late", Fault::HoldRequest(makes.clone())));
    let then = world.wire.now();
    sets.create("read-late", &json!({})).await;
    sets.shows("read-late", "Ready=False HydraUnreachable").await;
    sets.create("made-late", &json!({})).await;
    eventually("a key is asked for", async || !creations(&world, then).is_empty()).await;
    sets.create("well", &json!({})).await;
    let well = sets.whole("well", 1).await;
    let waiting = sets.api().get("made-late").await.unwrap();
    assert!(shown(&waiting).contains(&"Reconciling=True Progressing".to_owned()));

    world.wire.heal();
    reads.open();
    makes.open();
    let late = [sets.whole("read-late", 1).await, sets.whole("made-late", 1).await];
    let made = creations(&world, then).into_iter().filter(|status| *status == Some(201)).count();
    assert_eq!(made, 3);
    let secrets = late.into_iter().chain([well]).flat_map(|whole| whole.secrets);
    sets.assert_no_secret_leaked(&secrets.collect()).await;
}

/// The time is what Hydra asks for: a request that comes later than that is no failure of the test.
async fn row_08_all_sets_wait_as_long_as_hydra_asks_one_to(generation: Generation) {
    const SECONDS: u32 = 4;
    let hydra = Hydra::shared(generation).await;
    let world = Faulty::with_args("keys-08", hydra, &["--resync-interval=1h"]).await;
    let sets = Sets(&world);
    eventually("the first sweep is over", async || world.hydra_up().await == Some(1.0)).await;
    for status in [429, 503] {
        let then = world.wire.now();
        let busy = Answer::hydra(status).retry_after(SECONDS);
        let first = format!("first-{status}");
        world.wire.inject(creation(&world, &first, Fault::Answer(busy)).times(1));
        sets.create(&first, &json!({})).await;
        let refused = eventually("Hydra asks for a pause", async || {
            let creations = world.hydra_requests(then, &Method::POST);
            creations.into_iter().find(|seen| seen.status == Some(status))
        })
        .await;
        // It is not in flight: it is made after Hydra has asked.
        let second = format!("second-{status}");
        sets.create(&second, &json!({})).await;
        let whole = [sets.whole(&first, 1).await, sets.whole(&second, 1).await];
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
        let secrets = whole.into_iter().flat_map(|whole| whole.secrets).collect();
        sets.assert_no_secret_leaked(&secrets).await;
    }
}

async fn row_09_an_error_about_one_set_is_that_of_its_resource_alone(generation: Generation) {
    let world = Faulty::new("keys-09", generation).await;
    let sets = Sets(&world);
    for name in ["sick", "well"] {
        sets.create(name, &json!({})).await;
    }
    let (sick, well) = (sets.whole("sick", 1).await, sets.whole("well", 1).await);
    world.wire.inject(of_set(&world, "sick", Fault::Answer(Answer::hydra(500))));
    for name in ["sick", "well"] {
        sets.annotate(name, ROTATE_REQUESTED_ANNOTATION, "now").await;
    }
    sets.shows("sick", "Ready=False HydraError").await;
    eventually("the other is rotated", async || {
        let status = sets.api().get("well").await.unwrap().status.unwrap();
        status.current_key.as_deref() != Some(&*well.current)
    })
    .await;
    sets.create("new", &json!({})).await;
    let new = sets.whole("new", 1).await;
    assert_eq!(sets.events("well").await.get("Warning HydraError"), None);
    // What was handed out works on.
    assert_eq!(sets.public("sick").await.unwrap()["keys"][0]["kid"], *sick.current);

    world.wire.heal();
    eventually("the sick one is rotated", async || {
        let status = sets.api().get("sick").await.unwrap().status.unwrap();
        status.current_key.as_deref() != Some(&*sick.current)
    })
    .await;
    let after = [sets.whole("sick", 1).await, sets.whole("well", 1).await];
    let secrets = after.into_iter().chain([sick, well, new]).flat_map(|whole| whole.secrets);
    sets.assert_no_secret_leaked(&secrets.collect()).await;
}

async fn row_11_a_proxy_that_lets_nobody_in_is_no_fault_of_the_sets(generation: Generation) {
    let world = Faulty::new("keys-11", generation).await;
    let sets = Sets(&world);
    for status in [401, 403] {
        let name = format!("new-{status}");
        world.wire.inject(Rule::on(Side::Hydra, Fault::Answer(Answer::html(status))));
        sets.create(&name, &json!({})).await;
        let refused = sets.shows(&name, "Ready=False HydraForbidden").await;
        let shown = shown(&refused);
        assert!(shown.contains(&"Stalled=False HydraForbidden".to_owned()), "{shown:?}");
        assert!(!message(&refused).contains("internal-host-7"), "{}", message(&refused));
        world.wire.heal();
        let whole = sets.whole(&name, 1).await;
        sets.assert_no_secret_leaked(&whole.secrets.into_iter().collect()).await;
    }
}

async fn row_44_answers_that_are_none_of_hydras_are_survived(generation: Generation) {
    const MARK: &str = "body-of-a-stranger-that-nobody-quotes";
    let world = Faulty::new("keys-44", generation).await;
    let sets = Sets(&world);
    let huge = format!("{{\"keys\": [\"{}\"]}}", MARK.repeat(10_000_000 / MARK.len()));
    let answer = |status, content_type, body: String| {
        Fault::Answer(Answer { status, content_type, retry_after: None, body })
    };
    let cases = [
        ("html", answer(200, "text/html", format!("<html>{MARK}</html>"))),
        ("html-error", answer(502, "text/html", format!("<html>{MARK}</html>"))),
        ("huge", answer(200, "application/json", huge.clone())),
        ("huge-error", answer(500, "application/json", huge)),
        ("broken", answer(200, "application/json", format!("{{\"keys\": [{{\"kid\": \"{MARK}"))),
        ("another", answer(200, "application/json", format!("[\"{MARK}\"]"))),
        ("no-key", answer(200, "application/json", format!("{{\"keys\": [\"{MARK}\"]}}"))),
        ("empty", answer(200, "application/json", String::new())),
        ("cut", Fault::CutBody),
    ];
    for (name, fault) in cases {
        world.wire.inject(of_set(&world, name, fault));
        sets.create(name, &json!({})).await;
        let away = if name.ends_with("error") { "HydraError" } else { "HydraUnreachable" };
        let waiting = sets.shows(name, &format!("Ready=False {away}")).await;
        assert!(message(&waiting).len() <= 1024, "{name}: {}", message(&waiting));
        world.wire.heal();
        let whole = sets.whole(name, 1).await;
        let secrets = whole.secrets.into_iter().chain([MARK.to_owned()]).collect();
        sets.assert_no_secret_leaked(&secrets).await;
    }
}
