//! Rows 7 to 11 and 44: what Hydra, or what stands before it, answers.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::{Answer, Fault, Faulty, Gate, Rule, Side, crashes::creation, fault::Seen};
use crate::{
    on_each_generation,
    support::{Generation, Hydra, eventually, hydra_api::http},
    world::{Credentials, client_id, message, shown},
};

on_each_generation!(
    row_07_a_slow_hydra_costs_no_more_than_its_places,
    row_08_all_wait_as_long_as_hydra_asks_one_to,
    row_09_an_error_about_one_client_is_that_of_its_resource_alone,
    row_10_a_refusal_by_hydra_is_told_and_not_repeated,
    row_11_a_proxy_that_lets_nobody_in_is_no_fault_of_the_resources,
    row_44_answers_that_are_none_of_hydras_are_survived,
);

/// As slow as Hydra may be, one request has its limit, and few are under way at once.
async fn row_07_a_slow_hydra_costs_no_more_than_its_places(generation: Generation) {
    const COUNT: usize = 8;
    let args = ["--hydra-request-timeout=1s", "--concurrency=2", "--resync-interval=1h"];
    let world = Faulty::with_args("row-07", Hydra::shared(generation).await, &args).await;
    eventually("Hydra is known to be up", async || world.hydra_up().await == Some(1.0)).await;
    let gate = Gate::closed();
    world.wire.inject(Rule::on(Side::Hydra, Fault::HoldRequest(gate.clone())));
    world.create_many("app", COUNT, |_| json!({})).await;
    for n in 0..COUNT {
        let waiting = world.shows(&format!("app-{n}"), "Ready=False HydraUnreachable").await;
        assert!(shown(&waiting).contains(&"Reconciling=True HydraUnreachable".to_owned()));
    }
    // Two passes and the sweep; of each the request that was just given up may not have ended.
    let most = world.wire.most_under_way(Side::Hydra);
    assert!(most <= 6, "{most} requests at once");
    let url = format!("{}/healthz", world.operator.admin_url());
    assert_eq!(http().get(url).send().await.unwrap().status(), 200);

    world.wire.heal();
    gate.open();
    world.all_ready(COUNT).await;
    let ids = world.working_ids("app", COUNT).await;
    assert_eq!(world.clients_in_hydra().await, ids);
    let secret = world.credentials("app-0-credentials").await;
    world.assert_no_secret_leaked(&[secret.secret()]).await;
}

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

async fn row_09_an_error_about_one_client_is_that_of_its_resource_alone(generation: Generation) {
    let world = Faulty::new("row-09", generation).await;
    for name in ["sick", "well"] {
        world.create(name, &json!({})).await;
    }
    let id = client_id(&world.ready("sick").await);
    world.ready("well").await;
    let fault = Fault::Answer(Answer::hydra(500));
    world.wire.inject(Rule::on(Side::Hydra, fault).path(&format!("/clients/{id}")));
    for name in ["sick", "well"] {
        world.edit(name, &json!({ "scope": "admin" })).await;
    }
    world.shows("sick", "Ready=False HydraError").await;
    world.ready("well").await;
    world.create("new", &json!({})).await;
    world.assert_whole("new").await;
    assert_eq!(world.events("well").await.get("Warning HydraError"), None);

    world.wire.heal();
    let whole = world.assert_whole("sick").await;
    assert_eq!(whole.id, id);
    assert_eq!(world.in_hydra(&id).await.unwrap()["scope"], "admin");
    world.assert_no_secret_leaked(&[whole.secret()]).await;
}

/// Over many sweeps a refused client is sent once: only an edit, or the slow look again, repeats it.
async fn row_10_a_refusal_by_hydra_is_told_and_not_repeated(generation: Generation) {
    let world = Faulty::new("row-10", generation).await;
    let then = world.wire.now();
    let with_fragment = json!({ "redirectUris": ["https://shop.example.com/callback#top"] });
    world.create("app", &with_fragment).await;
    let stalled = world.shows("app", "Stalled=True RejectedByHydra").await;
    // Hydra's own words.
    assert!(message(&stalled).contains("fragment"), "{}", message(&stalled));
    let stored = world.credentials("app-credentials").await;
    // The next passes of this resource would come before those of others that are made after it.
    for name in ["one", "two", "three"] {
        world.create(name, &json!({})).await;
        world.ready(name).await;
    }
    let refused = world.hydra_requests(then, &Method::POST);
    let refused = refused.iter().filter(|seen| seen.status == Some(400)).count();
    assert_eq!(refused, 1);

    world.edit("app", &json!({ "redirectUris": ["https://shop.example.com/callback"] })).await;
    let whole = world.assert_whole("app").await;
    assert_eq!(whole.id, stored.id);
    assert!(whole.secret() == stored.secret());
    world.assert_no_secret_leaked(&[whole.secret()]).await;
}

async fn row_11_a_proxy_that_lets_nobody_in_is_no_fault_of_the_resources(generation: Generation) {
    for status in [401, 403] {
        let hydra = Hydra::shared(generation).await;
        let world = Faulty::with_args("row-11", hydra, &["--resync-interval=1s"]).await;
        world.create("held", &json!({})).await;
        let held = world.assert_whole("held").await;
        world.wire.inject(Rule::on(Side::Hydra, Fault::Answer(Answer::html(status))));
        world.create("new", &json!({})).await;
        let refused = world.shows("new", "Ready=False HydraForbidden").await;
        let shown = shown(&refused);
        assert!(shown.contains(&"Stalled=False HydraForbidden".to_owned()), "{shown:?}");
        assert!(!message(&refused).contains("internal-host-7"), "{}", message(&refused));
        eventually("Hydra is known to let nobody in", async || world.hydra_up().await == Some(0.0))
            .await;
        // Nothing had to be done for it, so nothing is wrong with it.
        world.ready("held").await;

        world.wire.heal();
        let new = world.assert_whole("new").await;
        world.assert_no_secret_leaked(&[held.secret(), new.secret()]).await;
    }
}

async fn row_44_answers_that_are_none_of_hydras_are_survived(generation: Generation) {
    const MARK: &str = "body-of-a-stranger";
    let world = Faulty::new("row-44", generation).await;
    let huge = format!("{{\"client_id\": \"{}\"}}", MARK.repeat(10_000_000 / MARK.len()));
    let answer = |status, content_type, body: String| {
        Fault::Answer(Answer { status, content_type, retry_after: None, body })
    };
    let cases = [
        ("html", answer(200, "text/html", format!("<html>{MARK}</html>"))),
        ("html-error", answer(502, "text/html", format!("<html>{MARK}</html>"))),
        ("huge", answer(200, "application/json", huge.clone())),
        ("huge-error", answer(500, "application/json", huge)),
        ("broken", answer(200, "application/json", format!("{{\"client_id\": \"{MARK}"))),
        ("another", answer(200, "application/json", format!("[\"{MARK}\"]"))),
        ("empty", answer(200, "application/json", String::new())),
        ("cut", Fault::CutBody),
    ];
    for (name, fault) in cases {
        // What is asked before a client is made, and what makes it.
        world.wire.inject(Rule::on(Side::Hydra, fault).when(|seen| seen.path.contains("/clients")));
        world.create(name, &json!({})).await;
        let away = if name.ends_with("error") { "HydraError" } else { "HydraUnreachable" };
        let waiting = world.shows(name, &format!("Ready=False {away}")).await;
        assert!(message(&waiting).len() <= 1024, "{name}: {}", message(&waiting));
        world.wire.heal();
        let whole = world.assert_whole(name).await;
        world.assert_no_secret_leaked(&[whole.secret(), MARK]).await;
    }
    // The type alone says nothing: the body is what Hydra answers.
    let typeless = Fault::WrongType("text/plain");
    world.wire.inject(Rule::on(Side::Hydra, typeless));
    world.create("typeless", &json!({})).await;
    let whole = world.assert_whole("typeless").await;
    world.assert_no_secret_leaked(&[whole.secret()]).await;
}
