//! Rows 21 to 24 and 39 for key sets: what the API server answers, or does not.

use std::{collections::BTreeSet, time::Duration};

use axum::http::Method;
use serde_json::json;

use super::{
    Answer, Fault, Faulty, Gate, Rule, Side,
    fault::Seen,
    key_sets::{Sets, message},
};
use crate::{
    on_each_generation,
    support::{Generation, eventually},
};

on_each_generation!(
    row_21_a_conflict_is_nobodys_business,
    row_22_an_api_server_in_trouble_is_waited_out,
    row_23_a_watch_that_expired_is_begun_anew_without_side_effects,
    row_24_a_watch_that_lags_behind_makes_no_second_key,
    row_39_no_key_is_current_before_it_can_be_stored,
    a_former_key_stays_for_its_time_after_the_last_one_was_handed_it,
);

fn on_sets(seen: &Seen) -> bool {
    seen.path.ends_with("/jsonwebkeysets")
}

/// How many keys Hydra has made since `then`.
fn made(world: &Faulty, then: usize) -> usize {
    let made = world.hydra_requests(then, &Method::POST);
    made.iter().filter(|seen| seen.status == Some(201)).count()
}

async fn row_21_a_conflict_is_nobodys_business(generation: Generation) {
    let world = Faulty::new("keys-21", generation).await;
    let sets = Sets(&world);
    let rule = |method, end: &str| {
        let conflict = Fault::Answer(Answer::kubernetes(409, "Conflict"));
        Rule::on(Side::Kubernetes, conflict).method(method).path(end)
    };
    let then = world.wire.now();
    world.wire.inject(rule(Method::PATCH, "/signing/status").times(2));
    world.wire.inject(rule(Method::PATCH, "/signing-public").times(1));
    world.wire.inject(rule(Method::PATCH, "/signing-private").times(1));
    world.wire.inject(rule(Method::POST, "/secrets").times(1));
    world.wire.inject(rule(Method::POST, "/configmaps").times(1));
    sets.create("signing", &json!({})).await;
    let whole = sets.whole("signing", 1).await;
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1);
    let refused = world.wire.since(then).iter().filter(|seen| seen.status == Some(409)).count();
    assert_eq!(refused, 6);
    // The status of the key that is to be made is refused as well.
    world.wire.heal();
    let then = world.wire.now();
    world.wire.inject(rule(Method::PATCH, "/signing/status").times(3));
    sets.annotate("signing", hydra_operator::api::ROTATE_REQUESTED_ANNOTATION, "now").await;
    eventually("there is another key", async || {
        let status = sets.api().get("signing").await.unwrap().status.unwrap();
        status.current_key.as_deref() != Some(&*whole.current)
    })
    .await;
    let rotated = sets.whole("signing", 1).await;
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1);
    let labels = [("result", "error")];
    let errors = world.operator.metric("controller_runtime_reconcile_total", &labels).await;
    assert!(errors.abs() < 0.5, "a conflict counts as an error");
    let secrets = whole.secrets.into_iter().chain(rotated.secrets).collect();
    sets.assert_no_secret_leaked(&secrets).await;
}

async fn row_22_an_api_server_in_trouble_is_waited_out(generation: Generation) {
    let world = Faulty::new("keys-22", generation).await;
    let sets = Sets(&world);
    let troubles = [
        ("error", Fault::Answer(Answer::kubernetes(500, "InternalError"))),
        ("pages", Fault::Answer(Answer::html(502))),
        ("lost", Fault::LoseRequest),
        ("unheard", Fault::LoseReply),
        ("cut", Fault::CutBody),
    ];
    let mut secrets = BTreeSet::new();
    for (name, fault) in troubles {
        let then = world.wire.now();
        world.wire.inject(Rule::on(Side::Kubernetes, fault).when(Seen::is_write));
        sets.create(name, &json!({})).await;
        eventually(&format!("{name}: the trouble is met twice"), async || {
            let seen = world.wire.since(then);
            let writes = seen.iter().filter(|seen| seen.is_write());
            writes.filter(|seen| seen.side == Side::Kubernetes).count() >= 2
        })
        .await;
        world.wire.heal();
        secrets.extend(sets.whole(name, 1).await.secrets);
        assert_eq!(made(&world, then), 1, "{name}");
    }
    sets.assert_no_secret_leaked(&secrets).await;
}

async fn row_23_a_watch_that_expired_is_begun_anew_without_side_effects(generation: Generation) {
    const COUNT: usize = 5;
    let mut world = Faulty::new("keys-23", generation).await;
    let mut secrets = BTreeSet::new();
    for n in 0..COUNT {
        Sets(&world).create(&format!("set-{n}"), &json!({})).await;
    }
    for n in 0..COUNT {
        secrets.extend(Sets(&world).whole(&format!("set-{n}"), 1).await.secrets);
    }
    assert_eq!(world.operator.process().terminate().await, 0);

    let expired = Answer::kubernetes(410, "Expired");
    let status: serde_json::Value = serde_json::from_str(&expired.body).unwrap();
    let event = Answer::json(200, &json!({ "type": "ERROR", "object": status }));
    for fault in [Fault::Answer(expired), Fault::Answer(event)] {
        world.wire.inject(Rule::on(Side::Kubernetes, fault).when(Seen::is_watch).times(4));
    }
    let cut = Fault::CutAfter(Duration::from_secs(1));
    world.wire.inject(Rule::on(Side::Kubernetes, cut).when(Seen::is_watch));
    let then = world.wire.now();
    world.start_again().await;
    eventually("many watches have begun", async || {
        world.wire.since(then).iter().filter(|seen| on_sets(seen) && seen.is_watch()).count() >= 6
    })
    .await;
    let looks = world.hydra_requests(then, &Method::GET);
    let looks = looks.iter().filter(|seen| seen.path.contains("/keys/")).count();
    assert!(looks <= COUNT, "{looks} looks at the sets in Hydra");
    assert_eq!(world.writes(then), Vec::<String>::new());
    Sets(&world).create("new", &json!({})).await;
    secrets.extend(Sets(&world).whole("new", 1).await.secrets);
    assert_eq!(made(&world, then), 1);
    Sets(&world).assert_no_secret_leaked(&secrets).await;
}

/// The operator sees its own writes late: what it did is not done again.
async fn row_24_a_watch_that_lags_behind_makes_no_second_key(generation: Generation) {
    let mut world = Faulty::new("keys-24", generation).await;
    assert_eq!(world.operator.process().terminate().await, 0);
    let gate = Gate::closed();
    gate.open();
    let hold = Rule::on(Side::Kubernetes, Fault::HoldAnswer(gate.clone()));
    world.wire.inject(hold.when(|seen| on_sets(seen) && seen.is_watch()));
    world.start_again().await;
    let sets = Sets(&world);
    let then = world.wire.now();
    let rotation = json!({ "interval": "3s", "publishBefore": "1s", "retain": "150s" });
    sets.create("signing", &json!({ "rotation": rotation })).await;
    let first = sets.whole("signing", 1).await;

    gate.close();
    eventually("it is rotated twice", async || {
        let status = sets.api().get("signing").await.unwrap().status.unwrap();
        if status.keys.len() >= 3 { Ok(()) } else { Err(status.keys) }
    })
    .await;
    let rotation = json!({ "rotation": { "interval": null } });
    sets.edit("signing", &rotation).await;
    gate.open();
    let mut keys = 0;
    eventually("no more keys are made", async || {
        keys = sets.ready("signing").await.status.unwrap().keys.len();
        keys == made(&world, then)
    })
    .await;
    let whole = sets.whole("signing", keys).await;
    assert_eq!(made(&world, then), whole.kids.len());
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), whole.kids.len());
    let secrets = whole.secrets.into_iter().chain(first.secrets).collect();
    sets.assert_no_secret_leaked(&secrets).await;
}

/// Nobody can know what Hydra makes before it is made, so the row means: no key that is not recorded, no second one for
/// each attempt, none that is signed with, and nothing in Hydra of what the operator makes.
async fn row_39_no_key_is_current_before_it_can_be_stored(generation: Generation) {
    let world = Faulty::new("keys-39", generation).await;
    let sets = Sets(&world);
    let refuse = |end: &str| {
        let mut quota = Answer::kubernetes(403, "Forbidden");
        quota.body = quota.body.replace("injected by the test", "exceeded quota, limited: 1");
        Rule::on(Side::Kubernetes, Fault::Answer(quota)).method(Method::POST).path(end)
    };
    let then = world.wire.now();
    world.wire.inject(refuse("/secrets"));
    sets.create("by-hydra", &json!({})).await;
    let refused = sets.shows("by-hydra", "Ready=False OutputRefused").await;
    assert!(message(&refused).contains("exceeded quota"), "{}", message(&refused));
    let status = refused.status.unwrap();
    let (held, kids) = (sets.in_hydra("by-hydra").await.unwrap(), status.keys);
    assert!(held.keys().eq(kids.iter().map(|key| &key.kid)), "{kids:?}");
    assert_eq!(status.current_key, None);
    world.wire.heal();
    let by_hydra = sets.whole("by-hydra", 1).await;
    assert_eq!(by_hydra.current, kids[0].kid);
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1);

    world.wire.inject(refuse("/configmaps"));
    sets.create("no-map", &json!({})).await;
    sets.shows("no-map", "Ready=False OutputRefused").await;
    assert!(sets.private("no-map").await.is_none(), "nobody could check its signatures");
    world.wire.heal();
    let mut secrets: BTreeSet<_> = sets.whole("no-map", 1).await.secrets.into_iter().collect();

    if generation == Generation::V1 {
        world.wire.inject(refuse("/secrets"));
        sets.create("here", &json!({ "algorithm": "ES384" })).await;
        sets.shows("here", "Ready=False OutputRefused").await;
        assert_eq!(sets.rows("here").await.len(), 0);
        world.wire.heal();
        secrets.extend(sets.whole("here", 1).await.secrets);
    }
    secrets.extend(by_hydra.secrets);
    sets.assert_no_secret_leaked(&secrets).await;
}

/// The time of a former key begins once nobody can read it from the Secret any more, however late that was written.
async fn a_former_key_stays_for_its_time_after_the_last_one_was_handed_it(generation: Generation) {
    let world = Faulty::new("keys-late", generation).await;
    let sets = Sets(&world);
    let rotation = json!({ "publishBefore": "1s", "retain": "10m" });
    sets.create("signing", &json!({ "rotation": rotation })).await;
    let first = sets.whole("signing", 1).await;
    let then = world.wire.now();
    let gate = Gate::closed();
    let hold = Rule::on(Side::Kubernetes, Fault::HoldRequest(gate.clone()));
    world.wire.inject(hold.method(Method::PATCH).path("/signing-private"));
    sets.annotate("signing", hydra_operator::api::ROTATE_REQUESTED_ANNOTATION, "now").await;
    eventually("the Secret is to be written", async || {
        world
            .wire
            .since(then)
            .iter()
            .any(|seen| seen.path.ends_with("/signing-private") && seen.is_write())
    })
    .await;
    let handed_out_until = jiff::Timestamp::now();
    gate.open();
    eventually("there is another key", async || {
        let status = sets.api().get("signing").await.unwrap().status.unwrap();
        status.current_key.as_deref() != Some(&*first.current)
    })
    .await;
    let second = sets.whole("signing", 2).await;
    let status = sets.ready("signing").await.status.unwrap();
    let former = status.keys.iter().find(|key| key.kid == first.current).unwrap();
    let since = former.since.unwrap();
    // Status has milliseconds.
    assert!(since.as_millisecond() >= handed_out_until.as_millisecond(), "{since}: too early");
    let secrets = first.secrets.into_iter().chain(second.secrets).collect();
    sets.assert_no_secret_leaked(&secrets).await;
}
