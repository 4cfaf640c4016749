//! How keys follow each other.

use hydra_operator::api::{
    REVOKE_KEY_ANNOTATION, ROTATE_REQUESTED_ANNOTATION,
    jsonwebkeyset::KeyState::{Active, Published, Retained},
};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::history::History;
use crate::{
    key_world::{KeyWorld, kids, kids_in},
    on_each_generation,
    support::{
        Generation, eventually,
        jose::{sign, verify},
    },
    world::client_id,
};

on_each_generation!(
    keys_follow_each_other_by_the_clock,
    a_rotation_on_demand_makes_one_key,
    durations_may_change_on_the_way,
    a_coming_key_can_be_revoked,
    the_current_key_can_be_revoked,
    another_algorithm_is_a_rotation,
    the_algorithm_of_a_linked_set_stays,
    a_suspended_set_stays_as_it_is,
    after_weeks_asleep_there_is_one_new_key,
);

const NAME: &str = "signing";

fn spec(rotation: &Value) -> Value {
    json!({
        "algorithm": "ES256",
        "rotation": rotation,
        "outputs": {
            "publicConfigMap": { "name": "public" },
            "privateSecret": { "name": "private" },
        },
    })
}

fn durations(publish_before: &str, retain: &str) -> Value {
    json!({ "publishBefore": publish_before, "retain": retain })
}

impl KeyWorld {
    /// Waits until all places say what the status says, and checks that what is handed out signs.
    async fn all_agree(&self) {
        eventually("all places say the same", async || {
            let status = self.set_status(NAME).await;
            let mut recorded = kids(&status.keys);
            recorded.sort();
            let mut public = kids_in(&self.public_jwks("public").await);
            public.sort();
            let private = self.secret_text("private", "kid").await;
            let found = (self.hydra_kids(NAME).await, public, private);
            let expected = (recorded.clone(), recorded, status.current_key);
            if found == expected { Ok(()) } else { Err((found, expected)) }
        })
        .await;
        let jws = sign(&self.signing_key("private").await, "hello").unwrap();
        verify(&self.public_jwks("public").await, &jws).unwrap();
    }

    async fn rotate(&self, token: &str) {
        self.annotate_set(NAME, ROTATE_REQUESTED_ANNOTATION, token).await;
        eventually("the wish is handled", async || {
            self.set_status(NAME).await.last_handled_rotate_at.as_deref() == Some(token)
        })
        .await;
    }

    async fn revoke(&self, kid: &str) {
        self.annotate_set(NAME, REVOKE_KEY_ANNOTATION, kid).await;
        eventually("the key is revoked", async || {
            let status = self.set_status(NAME).await;
            status.last_handled_revoke_key.as_deref() == Some(kid)
        })
        .await;
        self.nowhere(kid).await;
    }

    /// The key is in no place any more.
    async fn nowhere(&self, kid: &str) {
        let kid = kid.to_owned();
        eventually(&format!("{kid} is nowhere"), async || {
            let public = kids_in(&self.public_jwks("public").await);
            let places = [
                ("status", kids(&self.set_keys(NAME).await)),
                ("Hydra", self.hydra_kids(NAME).await),
                ("public", public),
                ("private", kids_in(&self.private_jwks("private").await)),
            ];
            match places.iter().find(|(_, kids)| kids.contains(&kid)) {
                None => Ok(()),
                Some((place, _)) => Err(*place),
            }
        })
        .await;
    }
}

async fn keys_follow_each_other_by_the_clock(generation: Generation) {
    let world = KeyWorld::new("clock", generation).await;
    let history = History::start(&world, NAME, "public", "private");
    let rotation = json!({ "interval": "3s", "publishBefore": "1s", "retain": "2s" });
    world.create_set(NAME, &spec(&rotation)).await;
    let status = world.set_ready(NAME).await.status.unwrap();
    let active = status.keys.iter().find(|key| key.state == Active).unwrap();
    let interval = SignedDuration::from_secs(3);
    if status.keys.len() == 1 {
        assert_eq!(status.next_rotation, Some(active.since.unwrap() + interval));
        assert_eq!(active.until, status.next_rotation);
    }
    eventually("four keys have been current", async || {
        let n = history.handed_out();
        if n >= 4 { Ok(()) } else { Err(n) }
    })
    .await;
    world.edit_set(NAME, &json!({ "rotation": { "interval": null } })).await;
    let keys = world.settles(NAME, &[Active]).await;
    assert_eq!(keys[0].until, None);
    let set = world.set_ready(NAME).await;
    assert_eq!(set.status.unwrap().next_rotation, None);
    world.all_agree().await;
    history.check();
    let events = world.events(NAME).await;
    for event in ["Normal KeyCreated", "Normal KeyActivated", "Normal KeyRemoved"] {
        assert!(events.contains_key(event), "{events:?}");
    }
    assert!(!events.keys().any(|event| event.starts_with("Warning")), "{events:?}");
    world.assert_no_key_leaked().await;
}

async fn a_rotation_on_demand_makes_one_key(generation: Generation) {
    let world = KeyWorld::new("demand", generation).await;
    world.create_set(NAME, &spec(&durations("1h", "24h"))).await;
    world.set_ready(NAME).await;
    let first = world.current(NAME).await;
    world.rotate("one").await;
    let keys = world.settles(NAME, &[Active, Published]).await;
    assert_eq!(keys[0].kid, first);
    let until = keys[1].since.unwrap() + SignedDuration::from_hours(1);
    assert_eq!(keys[1].until, Some(until));
    let status = world.set_status(NAME).await;
    assert_eq!((status.next_rotation, status.key_count), (Some(until), Some(2)));
    world.all_agree().await;
    // It is on its way, and that is what was asked for.
    world.rotate("two").await;
    world.set_pass(NAME).await;
    assert_eq!(kids(&world.set_keys(NAME).await), kids(&keys));
    world.edit_set(NAME, &json!({ "rotation": { "publishBefore": "1s" } })).await;
    world.settles(NAME, &[Retained, Active]).await;
    world.rotate("three").await;
    let keys = world.settles(NAME, &[Retained, Retained, Active]).await;
    let until = keys[1].since.unwrap() + SignedDuration::from_hours(24);
    assert_eq!(keys[1].until, Some(until));
    world.all_agree().await;
    assert_eq!(world.events(NAME).await.get("Normal KeyCreated"), Some(&3));
    world.assert_no_key_leaked().await;
}

async fn durations_may_change_on_the_way(generation: Generation) {
    let world = KeyWorld::new("durations", generation).await;
    world.create_set(NAME, &spec(&durations("1h", "24h"))).await;
    world.set_ready(NAME).await;
    world.rotate("one").await;
    let keys = world.settles(NAME, &[Active, Published]).await;
    let change =
        async |rotation: Value| world.edit_set(NAME, &json!({ "rotation": rotation })).await;
    change(json!({ "publishBefore": "2h" })).await;
    eventually("the key comes later", async || {
        let status = world.set_status(NAME).await;
        status.next_rotation == keys[1].since.map(|since| since + SignedDuration::from_hours(2))
    })
    .await;
    change(json!({ "publishBefore": "1s" })).await;
    let after = world.settles(NAME, &[Retained, Active]).await;
    assert_eq!(kids(&after), kids(&keys));
    world.all_agree().await;
    change(json!({ "retain": "1s" })).await;
    let after = world.settles(NAME, &[Active]).await;
    assert_eq!(after[0].kid, keys[1].kid);
    world.all_agree().await;
    // A key that has signed for longer than the new interval is replaced.
    change(json!({ "interval": "720h", "retain": "24h" })).await;
    eventually("the next one is planned", async || {
        let next = world.set_status(NAME).await.next_rotation;
        next == after[0].since.map(|since| since + SignedDuration::from_hours(720))
    })
    .await;
    assert_eq!(world.settles(NAME, &[Active]).await[0].kid, keys[1].kid);
    change(json!({ "interval": "2s", "retain": "1s" })).await;
    eventually("the next one comes", async || world.current(NAME).await != keys[1].kid).await;
    change(json!({ "interval": null })).await;
    world.set_ready(NAME).await;
    world.assert_no_key_leaked().await;
}

async fn a_coming_key_can_be_revoked(generation: Generation) {
    let world = KeyWorld::new("revoke-coming", generation).await;
    world.create_set(NAME, &spec(&durations("1h", "24h"))).await;
    world.set_ready(NAME).await;
    world.rotate("one").await;
    let keys = world.settles(NAME, &[Active, Published]).await;
    world.revoke(&keys[1].kid).await;
    let after = world.settles(NAME, &[Active, Published]).await;
    assert_eq!(after[0].kid, keys[0].kid);
    assert_ne!(after[1].kid, keys[1].kid);
    world.all_agree().await;
    // One that is not there is no trouble.
    world.revoke("unknown").await;
    assert_eq!(kids(&world.set_keys(NAME).await), kids(&after));
    world.set_ready(NAME).await;
    let events = world.events(NAME).await;
    assert_eq!(events.get("Warning KeyRevoked"), Some(&1), "{events:?}");
    world.assert_no_key_leaked().await;
}

async fn the_current_key_can_be_revoked(generation: Generation) {
    let world = KeyWorld::new("revoke-current", generation).await;
    world.create_set(NAME, &spec(&durations("1h", "24h"))).await;
    world.set_ready(NAME).await;
    let first = world.current(NAME).await;
    let leaked = world.private_jwks("private").await["keys"][0]["d"].as_str().unwrap().to_owned();
    world.revoke(&first).await;
    let keys = world.settles(NAME, &[Active]).await;
    assert_ne!(keys[0].kid, first);
    world.all_agree().await;
    // One that is public already takes its place.
    world.rotate("one").await;
    let keys = world.settles(NAME, &[Active, Published]).await;
    world.revoke(&keys[0].kid).await;
    let after = world.settles(NAME, &[Active]).await;
    assert_eq!(after[0].kid, keys[1].kid);
    world.all_agree().await;
    world.set_ready(NAME).await;
    // One that is retained goes as well.
    world.edit_set(NAME, &json!({ "rotation": { "publishBefore": "1s" } })).await;
    world.rotate("two").await;
    let keys = world.settles(NAME, &[Retained, Active]).await;
    world.revoke(&keys[0].kid).await;
    let after = world.settles(NAME, &[Active]).await;
    assert_eq!(after[0].kid, keys[1].kid);
    world.all_agree().await;
    assert_eq!(world.events(NAME).await.get("Warning KeyRevoked"), Some(&3));
    world.assert_no_key_leaked().await;
    world.assert_not_leaked(&[leaked]).await;
}

async fn another_algorithm_is_a_rotation(generation: Generation) {
    let world = KeyWorld::new("algorithm", generation).await;
    world.create_set(NAME, &spec(&durations("1h", "24h"))).await;
    world.set_ready(NAME).await;
    world.edit_set(NAME, &json!({ "algorithm": "ES384" })).await;
    let keys = world.settles(NAME, &[Active, Published]).await;
    assert_eq!([&*keys[0].algorithm, &*keys[1].algorithm], ["ES256", "ES384"]);
    world.all_agree().await;
    // Back again: the key that was to come has been public, so it stays for a while.
    world.edit_set(NAME, &json!({ "algorithm": "ES256" })).await;
    let after = world.settles(NAME, &[Active, Retained]).await;
    assert_eq!(kids(&after), kids(&keys));
    world.all_agree().await;
    let faster = json!({ "algorithm": "EdDSA", "rotation": { "publishBefore": "1s" } });
    world.edit_set(NAME, &faster).await;
    let after = world.settles(NAME, &[Retained, Retained, Active]).await;
    assert_eq!(after[2].algorithm, "EdDSA");
    world.all_agree().await;
    world.edit_set(NAME, &json!({ "use": "enc" })).await;
    let after = world.settles(NAME, &[Retained, Retained, Retained, Active]).await;
    assert_eq!((&*after[2].r#use, &*after[3].r#use), ("sig", "enc"));
    world.all_agree().await;
    world.assert_no_key_leaked().await;
}

async fn the_algorithm_of_a_linked_set_stays(generation: Generation) {
    let world = KeyWorld::new("linked-set", generation).await;
    world.create_set(NAME, &spec(&durations("1s", "24h"))).await;
    world.set_ready(NAME).await;
    let linked =
        json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwksFrom": { "name": NAME } });
    world.create("app", &linked).await;
    let id = client_id(&world.ready("app").await);
    let gets_token = async || {
        let key = world.signing_key("private").await;
        world.hydra.token_by_assertion(&id, &key).await.unwrap();
    };
    gets_token().await;
    let keys = kids(&world.set_keys(NAME).await);
    world.edit_set(NAME, &json!({ "algorithm": "ES384" })).await;
    let said = world.set_says(NAME, "Stalled=True KeySetInUse", "create another").await;
    assert!(said.contains("OAuth2Client app") && said.contains("ES256"), "{said}");
    assert_eq!(kids(&world.set_keys(NAME).await), keys);
    gets_token().await;
    world.edit_set(NAME, &json!({ "algorithm": "ES256" })).await;
    world.set_ready(NAME).await;
    world.rotate("one").await;
    world.settles(NAME, &[Retained, Active]).await;
    world.all_agree().await;
    gets_token().await;
    // When nobody names it any more, it may change.
    world.edit_set(NAME, &json!({ "algorithm": "ES384" })).await;
    world.set_shows(NAME, "Stalled=True KeySetInUse").await;
    world.delete("app").await;
    world.gone("app").await;
    world.settles(NAME, &[Retained, Retained, Active]).await;
    world.set_ready(NAME).await;
    world.all_agree().await;
    world.assert_no_key_leaked().await;
}

async fn a_suspended_set_stays_as_it_is(generation: Generation) {
    let world = KeyWorld::new("suspended", generation).await;
    world.create_set(NAME, &spec(&durations("1s", "1s"))).await;
    world.set_ready(NAME).await;
    let keys = world.settles(NAME, &[Active]).await;
    world.edit_set(NAME, &json!({ "suspend": true })).await;
    world.set_shows(NAME, "Stalled=False Suspended").await;
    world.annotate_set(NAME, ROTATE_REQUESTED_ANNOTATION, "one").await;
    world.set_pass(NAME).await;
    world.secrets.delete("private", &kube::api::DeleteParams::default()).await.unwrap();
    let status = world.set_pass(NAME).await.status.unwrap();
    assert_eq!((kids(&status.keys), status.last_handled_rotate_at), (kids(&keys), None));
    assert!(world.secrets.get_opt("private").await.unwrap().is_none());
    world.edit_set(NAME, &json!({ "suspend": false })).await;
    world.set_ready(NAME).await;
    eventually("another key is current", async || world.current(NAME).await != keys[0].kid).await;
    world.settles(NAME, &[Active]).await;
    world.all_agree().await;
    assert_eq!(world.events(NAME).await.get("Normal KeyCreated"), Some(&2));
    world.assert_no_key_leaked().await;
}

async fn after_weeks_asleep_there_is_one_new_key(generation: Generation) {
    let mut world = KeyWorld::new("asleep", generation).await;
    let rotation = json!({ "interval": "24h", "publishBefore": "1h", "retain": "2h" });
    world.create_set(NAME, &spec(&rotation)).await;
    world.set_ready(NAME).await;
    world.rotate("one").await;
    let keys = world.settles(NAME, &[Active, Published]).await;
    world.all_agree().await;
    world.operator.process().kill_9().await;
    shift(&world, SignedDuration::from_hours(24 * 40)).await;
    world.operator.start_again().await;
    // The one that was public takes over, and has signed since now.
    let after = world.settles(NAME, &[Retained, Active]).await;
    assert_eq!(kids(&after), kids(&keys));
    world.all_agree().await;

    world.operator.process().kill_9().await;
    shift(&world, SignedDuration::from_hours(24 * 40)).await;
    world.operator.start_again().await;
    let after = world.settles(NAME, &[Active, Published]).await;
    assert_eq!(after[0].kid, keys[1].kid);
    world.all_agree().await;
    world.set_pass(NAME).await;
    assert_eq!(kids(&world.set_keys(NAME).await), kids(&after));
    assert_eq!(world.events(NAME).await.get("Normal KeyCreated"), Some(&3));
    world.set_ready(NAME).await;
    world.assert_no_key_leaked().await;
}

/// As if the operator had slept for so long.
async fn shift(world: &KeyWorld, by: SignedDuration) {
    let mut keys = json!(world.set_keys(NAME).await);
    for key in keys.as_array_mut().unwrap() {
        let since: Timestamp = key["since"].as_str().unwrap().parse().unwrap();
        key["since"] = json!(since - by);
    }
    let patch = Patch::Merge(json!({ "status": { "keys": keys } }));
    world.sets.patch_status(NAME, &PatchParams::default(), &patch).await.unwrap();
}
