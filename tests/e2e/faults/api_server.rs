//! Rows 21 to 24, and a token that expired: what the API server answers, or does not.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::{Answer, Fault, Faulty, Gate, Rule, Side, fault::Seen};
use crate::{
    on_each_generation,
    support::{Generation, Hydra, eventually, hydra_api::http},
};

on_each_generation!(
    row_21_a_conflict_is_nobodys_business,
    row_22_an_api_server_in_trouble_is_waited_out,
    row_22_a_slow_api_server_is_waited_for,
    row_23_a_watch_that_expired_is_begun_anew_without_side_effects,
    row_24_a_watch_that_lags_behind_repeats_nothing,
    a_token_that_expired_is_waited_out,
);

fn on_secrets(seen: &Seen) -> bool {
    seen.path.contains("/secrets")
}

fn on_resources(seen: &Seen) -> bool {
    seen.path.ends_with("/oauth2clients")
}

async fn errors(world: &Faulty) -> f64 {
    let labels = [("result", "error")];
    world.operator.metric("controller_runtime_reconcile_total", &labels).await
}

async fn row_21_a_conflict_is_nobodys_business(generation: Generation) {
    let world = Faulty::new("row-21", generation).await;
    let conflict = || Fault::Answer(Answer::kubernetes(409, "Conflict"));
    let patch = |fault| Rule::on(Side::Kubernetes, fault).method(Method::PATCH);
    let then = world.wire.now();
    world.wire.inject(patch(conflict()).path("/status").times(2));
    world.wire.inject(
        Rule::on(Side::Kubernetes, conflict()).method(Method::POST).when(on_secrets).times(1),
    );
    world.create("app", &json!({})).await;
    let made = world.assert_whole("app").await;
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1);

    world.wire.inject(patch(conflict()).when(on_secrets).times(1));
    world.edit_secret("app-credentials", &json!({ "CLIENT_ID": "somebody" })).await;
    eventually("the id is put back", async || {
        world.credentials("app-credentials").await.id == made.id
    })
    .await;
    let whole = world.assert_whole("app").await;
    assert!(whole.secret() == made.secret());
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1);
    let refused = world.wire.since(then).iter().filter(|seen| seen.status == Some(409)).count();
    assert_eq!(refused, 4);
    assert!(errors(&world).await.abs() < 0.5, "a conflict counts as an error");
    world.assert_no_secret_leaked(&[whole.secret()]).await;
}

async fn row_22_an_api_server_in_trouble_is_waited_out(generation: Generation) {
    let mut world = Faulty::new("row-22", generation).await;
    world.create("held", &json!({})).await;
    let held = world.assert_whole("held").await;
    let pid = world.operator.process().pid();
    let troubles = [
        ("error", Fault::Answer(Answer::kubernetes(500, "InternalError"))),
        (
            "unavailable",
            Fault::Answer(Answer::kubernetes(503, "ServiceUnavailable").retry_after(1)),
        ),
        ("leaderless", Fault::Answer(Answer::kubernetes(504, "Timeout"))),
        ("pages", Fault::Answer(Answer::html(502))),
        ("lost", Fault::LoseRequest),
        ("unheard", Fault::LoseReply),
        ("cut", Fault::CutBody),
    ];
    for (name, fault) in troubles {
        let then = world.wire.now();
        world.wire.inject(Rule::on(Side::Kubernetes, fault));
        world.create(name, &json!({})).await;
        eventually(&format!("{name}: the trouble is met twice"), async || {
            let seen = world.wire.since(then);
            seen.iter().filter(|seen| seen.side == Side::Kubernetes).count() >= 2
        })
        .await;
        let url = format!("{}/healthz", world.operator.admin_url());
        assert_eq!(http().get(url).send().await.unwrap().status(), 200, "{name}");
        world.wire.heal();
        let whole = world.assert_whole(name).await;
        assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1, "{name}");
        world.assert_no_secret_leaked(&[whole.secret(), held.secret()]).await;
    }
    assert!(world.gets_token(&held).await);
    assert_eq!(world.operator.process().pid(), pid);
    assert!(world.operator.process().is_running());
}

async fn row_22_a_slow_api_server_is_waited_for(generation: Generation) {
    let world = Faulty::new("row-22", generation).await;
    let gate = Gate::closed();
    let then = world.wire.now();
    let hold = Rule::on(Side::Kubernetes, Fault::HoldRequest(gate.clone()));
    world.wire.inject(hold.when(Seen::is_write));
    for name in ["one", "two"] {
        world.create(name, &json!({})).await;
    }
    eventually("writes wait", async || {
        world.wire.since(then).iter().filter(|seen| seen.is_write()).count() >= 2
    })
    .await;
    for probe in ["healthz", "readyz"] {
        let url = format!("{}/{probe}", world.operator.admin_url());
        assert_eq!(http().get(url).send().await.unwrap().status(), 200, "{probe}");
    }
    assert!(world.hydra_requests(then, &Method::POST).is_empty());
    world.wire.heal();
    gate.open();
    for name in ["one", "two"] {
        let whole = world.assert_whole(name).await;
        world.assert_no_secret_leaked(&[whole.secret()]).await;
    }
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 2);
}

async fn row_23_a_watch_that_expired_is_begun_anew_without_side_effects(generation: Generation) {
    const COUNT: usize = 20;
    let mut world = Faulty::new("row-23", generation).await;
    world.create_many("app", COUNT, |_| json!({})).await;
    world.all_ready(COUNT).await;
    let ids = world.working_ids("app", COUNT).await;
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
        world.wire.since(then).iter().filter(|seen| seen.is_watch()).count() >= 16
    })
    .await;
    let seen = world.wire.since(then);
    let lists = seen.iter().filter(|seen| on_resources(seen) && !seen.is_watch()).count();
    assert!(lists >= 2, "an expired watch is begun with a list: {lists}");
    // One look at each after the restart is allowed, and no burst for each list.
    let looks = world.hydra_requests(then, &Method::GET).len();
    assert!(looks <= COUNT + 10, "{looks} looks at Hydra");
    assert_eq!(world.writes(then), Vec::<String>::new());

    // What changes meanwhile is seen all the same.
    world.create("new", &json!({})).await;
    let new = world.assert_whole("new").await;
    world.edit_secret("new-credentials", &json!({ "CLIENT_SECRET": "chosen-by-hand" })).await;
    let chosen = world.credentials("new-credentials").await;
    eventually("the new value works", async || world.gets_token(&chosen).await).await;
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1);
    assert_eq!(world.working_ids("app", COUNT).await, ids);
    world.assert_no_secret_leaked(&[new.secret(), chosen.secret()]).await;
}

/// The operator sees its own writes late: what it did is not done again.
async fn row_24_a_watch_that_lags_behind_repeats_nothing(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let mut world = Faulty::with_args("row-24", hydra, &["--resync-interval=1s"]).await;
    assert_eq!(world.operator.process().terminate().await, 0);
    let gate = Gate::closed();
    gate.open();
    let hold = Rule::on(Side::Kubernetes, Fault::HoldAnswer(gate.clone()));
    world.wire.inject(hold.when(|seen| on_resources(seen) && seen.is_watch()));
    world.start_again().await;
    world.create("app", &json!({})).await;
    let former = world.assert_whole("app").await;

    gate.close();
    let then = world.wire.now();
    world.delete_secret("app-credentials").await;
    eventually("there are credentials that work", async || {
        let secret = world.secrets.get_opt("app-credentials").await.unwrap();
        secret.is_some() && world.gets_token(&world.credentials("app-credentials").await).await
    })
    .await;
    let made = world.secrets.get("app-credentials").await.unwrap();
    // The next pass is about a resource whose status is, as far as the watch goes, that of before.
    assert_eq!(world.hydra.delete_client(&former.id).await.status, 204);
    eventually("the client is made again", async || world.in_hydra(&former.id).await.is_some())
        .await;
    world.two_sweeps().await;
    assert_eq!(world.hydra_requests(then, &Method::PUT).len(), 1, "{:?}", world.writes(then));
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1, "{:?}", world.writes(then));
    assert_eq!(world.secrets.get("app-credentials").await.unwrap(), made);

    let then = world.wire.now();
    gate.open();
    let whole = world.assert_whole("app").await;
    world.two_sweeps().await;
    assert_eq!(world.writes(then), Vec::<String>::new());
    world.assert_no_secret_leaked(&[former.secret(), whole.secret()]).await;
}

async fn a_token_that_expired_is_waited_out(generation: Generation) {
    let world = Faulty::new("expired", generation).await;
    let then = world.wire.now();
    let unauthorized = Fault::Answer(Answer::kubernetes(401, "Unauthorized"));
    world.wire.inject(Rule::on(Side::Kubernetes, unauthorized));
    world.create("app", &json!({})).await;
    eventually("the operator is refused", async || {
        world.wire.since(then).iter().any(|seen| seen.status == Some(401))
    })
    .await;
    assert!(world.hydra_requests(then, &Method::POST).is_empty());
    world.wire.heal();
    let whole = world.assert_whole("app").await;
    world.assert_no_secret_leaked(&[whole.secret()]).await;
}
