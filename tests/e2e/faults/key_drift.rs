//! Rows 14 to 18 for key sets: what others do to the keys in Hydra and to the outputs.

use std::collections::BTreeSet;

use axum::http::Method;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Faulty, key_sets::Sets};
use crate::{
    on_each_generation,
    support::{Generation, Hydra, eventually, jose},
};

on_each_generation!(
    row_14_a_lost_database_is_filled_again_from_what_is_kept,
    row_14_what_is_kept_nowhere_is_replaced_and_told,
    row_15_keys_that_somebody_deleted_are_put_back,
    row_16_keys_that_somebody_altered_are_put_back,
    row_17_outputs_that_go_are_written_again,
    row_18_outputs_that_others_edit_are_put_back,
);

const ARGS: [&str; 1] = ["--resync-interval=1s"];

/// A Hydra that can be set back to when it was empty.
async fn emptied(generation: Generation) -> Hydra {
    let mut hydra = Hydra::start(generation).await;
    hydra.stop().await;
    hydra.back_up();
    hydra.start_again().await;
    hydra
}

async fn empty(world: &mut Faulty) {
    world.hydra.own().stop().await;
    world.hydra.own().restore();
    world.hydra.own().start_again().await;
}

async fn row_14_a_lost_database_is_filled_again_from_what_is_kept(generation: Generation) {
    let mut world = Faulty::with_args("keys-14", emptied(generation).await, &ARGS).await;
    let imported = jose::generate("ES256", "imported-14").jwk;
    let secret = json!({ "jwks.json": json!({ "keys": [imported] }).to_string() });
    world.create_secret("import", &secret).await;
    let import = json!({ "import": { "secretRef": { "name": "import" } } });
    let mut before = Vec::new();
    for (name, spec) in [
        ("handed-out", json!({})),
        // Hydra 1 makes none of these: the operator keeps its own.
        ("here", json!({ "algorithm": "ES384" })),
        ("imported", import),
    ] {
        Sets(&world).create(name, &spec).await;
        before.push((name, Sets(&world).whole(name, 1).await));
    }
    let then = world.wire.now();
    empty(&mut world).await;
    let sets = Sets(&world);
    let mut secrets = BTreeSet::new();
    for (name, before) in before {
        eventually(&format!("{name} is in Hydra again"), async || {
            sets.in_hydra(name).await == Ok(before.publics.clone())
        })
        .await;
        let after = sets.whole(name, 1).await;
        assert_eq!(after.publics, before.publics, "{name}");
        let events = sets.events(name).await;
        assert_eq!(events.get("Warning DriftCorrected"), Some(&1), "{name}: {events:?}");
        assert_eq!(events.get("Warning KeyLost"), None, "{name}: {events:?}");
        secrets.extend(before.secrets);
    }
    assert!(world.hydra_requests(then, &Method::POST).is_empty(), "another key was made");
    sets.assert_no_secret_leaked(&secrets).await;
}

async fn row_14_what_is_kept_nowhere_is_replaced_and_told(generation: Generation) {
    let mut world = Faulty::with_args("keys-14", emptied(generation).await, &ARGS).await;
    let only_public = json!({ "outputs": { "publicConfigMap": { "name": "lost-public" } } });
    Sets(&world).create("lost", &only_public).await;
    let status = Sets(&world).ready("lost").await.status.unwrap();
    let former = status.current_key.unwrap();
    let then = world.wire.now();
    empty(&mut world).await;
    let sets = Sets(&world);
    let present = eventually("another key takes its place, and is the only one", async || {
        let status = sets.api().get("lost").await.unwrap().status.unwrap();
        let current = status.current_key.clone().filter(|kid| *kid != former);
        match current {
            Some(current) if status.keys.len() == 1 => Ok(current),
            _ => Err(status),
        }
    })
    .await;
    sets.ready("lost").await;
    assert!(sets.in_hydra("lost").await.unwrap().keys().eq([&present]));
    assert_eq!(sets.public("lost").await.unwrap()["keys"][0]["kid"], *present);
    let events = sets.events("lost").await;
    assert_eq!(events.get("Warning KeyLost"), Some(&1), "{events:?}");
    assert_eq!(world.hydra_requests(then, &Method::POST).len(), 1);
}

async fn row_15_keys_that_somebody_deleted_are_put_back(generation: Generation) {
    let world = Faulty::with_args("keys-15", Hydra::shared(generation).await, &ARGS).await;
    let sets = Sets(&world);
    sets.create("signing", &json!({})).await;
    let before = sets.whole("signing", 1).await;
    // Each row, and all of them.
    let kids = sets.rows("signing").await;
    let mut deletions: Vec<Vec<&Value>> = kids.iter().map(|row| vec![&row["kid"]]).collect();
    deletions.push(kids.iter().map(|row| &row["kid"]).collect());
    let mut told = 0;
    for deletion in deletions {
        for kid in &deletion {
            sets.delete_row("signing", kid.as_str().unwrap()).await;
        }
        eventually(&format!("{deletion:?} is back"), async || {
            let held = sets.in_hydra("signing").await;
            if held == Ok(before.publics.clone()) { Ok(()) } else { Err(held) }
        })
        .await;
        told += 1;
        eventually(&format!("it is told {told} times"), async || {
            let events = sets.events("signing").await;
            if events.get("Warning DriftCorrected") == Some(&told) { Ok(()) } else { Err(events) }
        })
        .await;
    }
    let after = sets.whole("signing", 1).await;
    assert_eq!(after.publics, before.publics);
    assert_eq!(sets.events("signing").await.get("Normal KeyCreated"), Some(&1));
    sets.assert_no_secret_leaked(&before.secrets.into_iter().collect()).await;
}

async fn row_16_keys_that_somebody_altered_are_put_back(generation: Generation) {
    let world = Faulty::with_args("keys-16", Hydra::shared(generation).await, &ARGS).await;
    let sets = Sets(&world);
    sets.create("signing", &json!({})).await;
    let before = sets.whole("signing", 1).await;
    let other = jose::generate("ES256", "other").jwk;
    for row in sets.rows("signing").await {
        let mut altered = other.clone();
        altered["kid"] = row["kid"].clone();
        sets.put_row("signing", &altered).await;
        eventually("it is put back", async || {
            let held = sets.in_hydra("signing").await;
            if held == Ok(before.publics.clone()) { Ok(()) } else { Err(held) }
        })
        .await;
    }
    let after = sets.whole("signing", 1).await;
    assert_eq!(after.publics, before.publics);
    let events = sets.events("signing").await;
    assert!(events.contains_key("Warning DriftCorrected"), "{events:?}");

    // A key of somebody else's is reported and stays.
    sets.put_row("signing", &other).await;
    eventually("it is reported", async || {
        let status = sets.api().get("signing").await.unwrap().status.unwrap();
        if status.foreign_keys == ["other"] { Ok(()) } else { Err(status.foreign_keys) }
    })
    .await;
    sets.delete("signing").await;
    sets.gone("signing").await;
    let left = sets.rows("signing").await;
    assert!(left.iter().map(|row| &row["kid"]).eq([&json!("other")]), "{}", left.len());
    sets.delete_set("signing").await;
    sets.assert_no_secret_leaked(&before.secrets.into_iter().collect()).await;
}

async fn row_17_outputs_that_go_are_written_again(generation: Generation) {
    let world = Faulty::new("keys-17", generation).await;
    let sets = Sets(&world);
    sets.create("signing", &json!({ "algorithm": "ES384" })).await;
    let before = sets.whole("signing", 1).await;
    let then = world.wire.now();
    let (secret, map) = (sets.private("signing").await.unwrap(), sets.public("signing").await);
    world.delete_secret("signing-private").await;
    sets.config_maps().delete("signing-public", &DeleteParams::default()).await.unwrap();
    eventually("both are there again", async || {
        let private = sets.private("signing").await;
        private.is_some_and(|private| private.data == secret.data)
            && sets.public("signing").await == map
    })
    .await;
    if generation == Generation::V1 {
        let kept = world.secrets.get("signing-key-material").await.unwrap();
        world.delete_secret("signing-key-material").await;
        eventually("what the operator has made is kept again", async || {
            let kept_now = world.secrets.get_opt("signing-key-material").await.unwrap();
            kept_now.is_some_and(|now| now.data == kept.data)
        })
        .await;
    }
    let after = sets.whole("signing", 1).await;
    assert_eq!(after.publics, before.publics);
    let to_hydra = world.writes(then);
    assert!(!to_hydra.iter().any(|write| write.contains("Hydra")), "{to_hydra:?}");
    sets.assert_no_secret_leaked(&before.secrets.into_iter().collect()).await;
}

async fn row_18_outputs_that_others_edit_are_put_back(generation: Generation) {
    let world = Faulty::new("keys-18", generation).await;
    let sets = Sets(&world);
    sets.create("signing", &json!({ "algorithm": "ES384" })).await;
    let before = sets.whole("signing", 1).await;
    let (secret, map) = (sets.private("signing").await.unwrap(), sets.public("signing").await);
    let other = jose::generate("ES384", &before.current).jwk;
    let jwks = json!({ "keys": [other] }).to_string();
    world.edit_secret("signing-private", &json!({ "jwks.json": jwks, "kid": "other" })).await;
    let patch = Patch::Merge(json!({ "data": { "jwks.json": jwks } }));
    let params = PatchParams::default();
    sets.config_maps().patch("signing-public", &params, &patch).await.unwrap();
    let then = world.wire.now();
    if generation == Generation::V1 {
        world.edit_secret("signing-key-material", &json!({ "jwks.json": jwks })).await;
    }
    eventually("both are as they were", async || {
        sets.private("signing").await.unwrap().data == secret.data
            && sets.public("signing").await == map
    })
    .await;
    if generation == Generation::V1 {
        eventually("so is what the operator has made", async || {
            let kept = world.secrets.get("signing-key-material").await.unwrap().data.unwrap();
            let kept: Value = serde_json::from_slice(&kept["jwks.json"].0).ok()?;
            (kept["keys"][0]["x"] == map.as_ref()?["keys"][0]["x"]).then_some(())
        })
        .await;
    }
    let after = sets.whole("signing", 1).await;
    assert_eq!(after.publics, before.publics);
    let to_hydra = world.writes(then);
    assert!(!to_hydra.iter().any(|write| write.contains("Hydra")), "{to_hydra:?}");
    sets.assert_no_secret_leaked(&before.secrets.into_iter().collect()).await;
}
