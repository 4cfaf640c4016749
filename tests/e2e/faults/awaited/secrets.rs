//! A pause that Hydra asks for, and secrets that others touch.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::super::{
    Answer, Fault, Faulty, Side, crash::kills_while_the_secret_is_renamed, crashes::creation,
    fault::Seen,
};
use crate::{
    on_each_generation,
    support::{Generation, Hydra, control_plane::unique, eventually},
    world::{Credentials, World, client_id},
};

on_each_generation!(
    kills_while_the_secret_is_renamed_lose_nothing,
    row_08_all_wait_as_long_as_hydra_asks_one_to,
    row_14_a_restored_database_gets_the_present_secrets,
    row_16_a_secret_that_others_set_in_hydra_is_put_back,
    row_17_a_required_secret_that_goes_is_waited_for,
    row_19_another_name_of_the_secret_moves_its_values,
);

async fn kills_while_the_secret_is_renamed_lose_nothing(generation: Generation) {
    kills_while_the_secret_is_renamed(generation).await;
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

/// The backup has the client with its former secret, and the time of its former change.
async fn row_14_a_restored_database_gets_the_present_secrets(generation: Generation) {
    let hydra = Hydra::start(generation).await;
    let mut world = Faulty::with_args("row-14", hydra, &["--resync-interval=1s"]).await;
    for name in ["secret", "fields"] {
        world.create(name, &json!({})).await;
        world.ready(name).await;
    }
    let former = world.credentials("secret-credentials").await;
    world.hydra.own().stop().await;
    world.hydra.own().back_up();
    world.hydra.own().start_again().await;
    world.edit_secret("secret-credentials", &json!({ "CLIENT_SECRET": "new-by-hand" })).await;
    world.edit("fields", &json!({ "scope": "admin" })).await;
    let present = world.credentials("secret-credentials").await;
    eventually("the new secret works", async || world.gets_token(&present).await).await;
    let fields = world.assert_whole("fields").await;

    world.hydra.own().stop().await;
    world.hydra.own().restore();
    world.hydra.own().start_again().await;
    eventually("the present secret works again", async || world.gets_token(&present).await).await;
    assert!(!world.gets_token(&former).await);
    eventually("the present fields are there again", async || {
        world.in_hydra(&fields.id).await.unwrap()["scope"] == "admin"
    })
    .await;
    assert!(world.gets_token(&fields).await);
    let stored = world.credentials("secret-credentials").await;
    assert!(stored.secret() == present.secret());
    world.assert_no_secret_leaked(&[former.secret(), present.secret(), fields.secret()]).await;
}

/// The row has a policy to ignore it, which the issue has not: what the Secret says holds.
async fn row_16_a_secret_that_others_set_in_hydra_is_put_back(generation: Generation) {
    const OTHERS: &str = "set-by-somebody-else";
    let hydra = Hydra::shared(generation).await;
    let world = Faulty::with_args("row-16", hydra, &["--resync-interval=1s"]).await;
    world.create("app", &json!({})).await;
    let held = world.assert_whole("app").await;
    let mut client = world.in_hydra(&held.id).await.unwrap();
    let before = client["updated_at"].clone();
    client["client_secret"] = json!(OTHERS);
    // Hydra keeps whole seconds: a change within the second of the last one leaves no trace.
    eventually("the change leaves a trace", async || {
        assert_eq!(world.hydra.put_client(&held.id, &client).await.status, 200);
        world.in_hydra(&held.id).await.unwrap()["updated_at"] != before
    })
    .await;
    eventually("the secret of the Secret works again", async || world.gets_token(&held).await)
        .await;
    assert!(world.hydra.token(&held.id, OTHERS).await.is_err());
    world.ready("app").await;
    eventually("it is told", async || {
        world.events("app").await.contains_key("Warning DriftCorrected")
    })
    .await;
    // Putting it back is no reason to put it back once more.
    world.two_sweeps().await;
    let then = world.wire.now();
    world.two_sweeps().await;
    assert_eq!(world.writes(then), Vec::<String>::new());
    let stored = world.credentials("app-credentials").await;
    assert!(stored.secret() == held.secret());
    world.assert_no_secret_leaked(&[held.secret(), OTHERS]).await;
}

/// A value that only its user knows cannot be made again.
async fn row_17_a_required_secret_that_goes_is_waited_for(generation: Generation) {
    let world = World::new("row-17", generation).await;
    let data = json!({ "CLIENT_ID": unique("by-hand"), "CLIENT_SECRET": "chosen-by-hand" });
    world.create_secret("app-credentials", &data).await;
    world.create("app", &json!({ "requireExistingSecret": true })).await;
    world.ready("app").await;
    let held = world.credentials("app-credentials").await;
    world.delete_secret("app-credentials").await;
    world.shows("app", "Ready=False WaitingForSecret").await;
    assert!(world.secrets.get_opt("app-credentials").await.unwrap().is_none());
    assert!(world.gets_token(&held).await, "the client stays as it is");
    world.create_secret("app-credentials", &data).await;
    world.ready("app").await;
    assert!(world.gets_token(&held).await);
    world.assert_no_secret_leaked(&["chosen-by-hand"]).await;
}

async fn row_19_another_name_of_the_secret_moves_its_values(generation: Generation) {
    let world = World::new("row-19", generation).await;
    world.create("app", &json!({})).await;
    world.ready("app").await;
    let former = world.credentials("app-credentials").await;
    world.edit("app", &json!({ "secretName": "renamed" })).await;
    eventually("the former Secret is gone", async || {
        world.secrets.get_opt("app-credentials").await.unwrap().is_none()
    })
    .await;
    assert_eq!(client_id(&world.ready("app").await), former.id);
    let present = world.credentials("renamed").await;
    assert_eq!(present.id, former.id);
    assert!(present.secret() == former.secret());
    assert!(world.gets_token(&present).await);
    assert_eq!(world.hydra.client_ids_of(&world.owner("app")).await, [&*present.id]);

    // A Secret that is the user's is left where it is.
    let data = json!({ "CLIENT_ID": unique("by-hand"), "CLIENT_SECRET": "chosen-by-hand" });
    let users = world.create_secret("users", &data).await;
    world.create("users", &json!({ "secretName": "users" })).await;
    world.ready("users").await;
    world.edit("users", &json!({ "secretName": "moved" })).await;
    world.ready("users").await;
    assert_eq!(world.secrets.get("users").await.unwrap(), users);
    assert_eq!(world.credentials("moved").await.id, world.credentials("users").await.id);
    world.assert_no_secret_leaked(&[present.secret(), "chosen-by-hand"]).await;
}
