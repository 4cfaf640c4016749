//! A compromised key leaves Hydra, whatever else is wrong.

use hydra_operator::api::{
    REVOKE_KEY_ANNOTATION,
    jsonwebkeyset::KeyState::{Active, Retained},
};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{
    key_world::{KeyWorld, kids, kids_in},
    on_each_generation,
    support::{Generation, eventually, jose::generate},
    world::client_id,
};

on_each_generation!(
    although_an_output_is_of_others,
    although_there_is_nothing_to_import,
    although_an_output_cannot_change,
    although_a_client_is_suspended,
    a_key_that_is_not_there_is_told,
);

const NAME: &str = "signing";

fn spec() -> Value {
    json!({
        "algorithm": "ES256",
        "rotation": { "publishBefore": "1h", "retain": "24h" },
        "outputs": {
            "publicConfigMap": { "name": "public" },
            "privateSecret": { "name": "private" },
        },
    })
}

impl KeyWorld {
    /// Asks for the end of a key, and waits until Hydra has it no more and the status says so.
    async fn withdraw(&self, kid: &str) {
        self.annotate_set(NAME, REVOKE_KEY_ANNOTATION, kid).await;
        eventually(&format!("{kid} is revoked"), async || {
            let in_hydra = self.hydra_kids(NAME).await;
            let status = self.set_status(NAME).await;
            let handled = status.last_handled_revoke_key.as_deref() == Some(kid);
            let left =
                [&in_hydra, &kids(&status.keys)].iter().any(|kids| kids.contains(&kid.to_owned()));
            if handled && !left { Ok(()) } else { Err((in_hydra, status)) }
        })
        .await;
        let note = format!("Removed key {kid}, as asked, at once");
        // Events come after what they tell of.
        eventually("one event tells of it", async || {
            let events = self.all_events().await;
            let told = events.iter().filter(|event| event.note.as_ref() == Some(&note)).count();
            if told == 1 { Ok(()) } else { Err((told, events)) }
        })
        .await;
    }
}

impl KeyWorld {
    /// Neither output has the key, nor what was in `names` of it, although no other key takes its place.
    async fn is_handed_out_nowhere(&self, kid: &str, names: &[&str]) {
        for jwks in [self.public_jwks("public").await, self.private_jwks("private").await] {
            assert!(!kids_in(&jwks).contains(&kid.to_owned()), "{kid} is handed out");
        }
        for name in names {
            assert_eq!(self.secret_text("private", name).await, None, "{name} is there");
        }
    }
}

async fn although_an_output_is_of_others(generation: Generation) {
    let world = KeyWorld::new("revoke-conflict", generation).await;
    let map = json!({ "metadata": { "name": "others" }, "data": { "jwks.json": "theirs" } });
    let map = serde_json::from_value(map).unwrap();
    for (output, other) in [("publicConfigMap", "ConfigMap"), ("privateSecret", "Secret")] {
        let theirs = world.create_secret("others", &json!({ "kid": "theirs" })).await;
        let their_map = world.config_maps.create(&PostParams::default(), &map).await.unwrap();
        world.create_set(NAME, &spec()).await;
        world.set_ready(NAME).await;
        let kid = world.current(NAME).await;
        world.edit_set(NAME, &json!({ "outputs": { output: { "name": "others" } } })).await;
        let stalled = "Stalled=True OutputNotOwned";
        world.set_says(NAME, stalled, &format!("{other} others exists")).await;
        world.withdraw(&kid).await;
        world.set_shows(NAME, stalled).await;
        world.is_handed_out_nowhere(&kid, &["kid", "private.pem"]).await;
        assert_eq!(world.secrets.get("others").await.unwrap(), theirs);
        assert_eq!(world.config_maps.get("others").await.unwrap(), their_map);

        world.delete_secret("others").await;
        world.config_maps.delete("others", &DeleteParams::default()).await.unwrap();
        world.set_ready(NAME).await;
        let keys = kids(&world.settles(NAME, &[Active]).await);
        let (public, private) =
            if other == "Secret" { ("public", "others") } else { ("others", "private") };
        assert_eq!(kids_in(&world.public_jwks(public).await), keys);
        assert_eq!(kids_in(&world.private_jwks(private).await), keys);
        assert_ne!(keys, [kid]);
        world.hydra_agrees(NAME).await;
        world.assert_no_key_leaked().await;
        world.delete_set(NAME).await;
        world.set_gone(NAME).await;
        eventually("the outputs are gone", async || {
            world.secrets.get_opt(private).await.unwrap().is_none()
                && world.config_maps.get_opt(public).await.unwrap().is_none()
        })
        .await;
    }
}

/// The Secret is marked as immutable: nobody can take the key out of it.
async fn although_an_output_cannot_change(generation: Generation) {
    let world = KeyWorld::new("revoke-immutable", generation).await;
    world.create_set(NAME, &spec()).await;
    world.set_ready(NAME).await;
    let former = world.secrets.get("private").await.unwrap();
    let immutable = Patch::Merge(json!({ "immutable": true }));
    world.secrets.patch("private", &PatchParams::default(), &immutable).await.unwrap();
    let kid = world.current(NAME).await;
    world.withdraw(&kid).await;
    world.set_ready(NAME).await;
    let keys = kids(&world.settles(NAME, &[Active]).await);
    assert_eq!(kids_in(&world.private_jwks("private").await), keys);
    assert_ne!(keys, [kid]);
    assert_ne!(world.secrets.get("private").await.unwrap().metadata.uid, former.metadata.uid);
    world.assert_no_key_leaked().await;
}

async fn although_there_is_nothing_to_import(generation: Generation) {
    let world = KeyWorld::new("revoke-no-source", generation).await;
    let [a, b] = ["a", "b"].map(|kid| generate("ES256", kid));
    let source = json!({ "jwks": json!({ "keys": [a.jwk, b.jwk] }).to_string() });
    world.create_secret("source", &source).await;
    let mut spec = spec();
    spec["import"] = json!({ "secretRef": { "name": "source" } });
    world.create_set(NAME, &spec).await;
    world.set_ready(NAME).await;
    world.settles(NAME, &[Active, Retained]).await;
    world.delete_secret("source").await;
    let waits = "Reconciling=True WaitingForSecret";
    world.set_says(NAME, waits, "Secret source").await;
    world.withdraw("a").await;
    assert_eq!(world.hydra_kids(NAME).await, ["b"]);
    assert_eq!(world.set_status(NAME).await.revoked_keys, ["a"]);
    world.set_says(NAME, waits, "Secret source").await;
    world.is_handed_out_nowhere("a", &["kid", "private.pem"]).await;
    assert_eq!(kids_in(&world.public_jwks("public").await), ["b"]);

    // Whoever brings back the Secret does not bring back the key, nor does whoever takes back the wish.
    world.create_secret("source", &source).await;
    world.set_ready(NAME).await;
    world.annotate_set(NAME, REVOKE_KEY_ANNOTATION, "").await;
    world.set_pass(NAME).await;
    world.set_ready(NAME).await;
    assert_eq!(kids(&world.settles(NAME, &[Active]).await), ["b"]);
    assert_eq!(world.hydra_kids(NAME).await, ["b"]);
    assert_eq!(world.set_status(NAME).await.revoked_keys, ["a"]);
    for jwks in [world.public_jwks("public").await, world.private_jwks("private").await] {
        assert_eq!(kids_in(&jwks), ["b"]);
    }
    world.assert_no_key_leaked().await;
}

async fn although_a_client_is_suspended(generation: Generation) {
    let world = KeyWorld::new("revoke-suspended", generation).await;
    world.create_set(NAME, &spec()).await;
    world.set_ready(NAME).await;
    let linked =
        json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwksFrom": { "name": NAME } });
    world.create("app", &linked).await;
    let id = client_id(&world.ready("app").await);
    let compromised = world.signing_key("private").await;
    world.hydra.token_by_assertion(&id, &compromised).await.unwrap();
    world.edit("app", &json!({ "suspend": true })).await;
    world.shows("app", "Stalled=False Suspended").await;
    let kid = world.current(NAME).await;
    world.withdraw(&kid).await;
    // Nobody waits for the client: without a current key nothing works at all.
    world.set_ready(NAME).await;
    assert_ne!(world.settles(NAME, &[Active]).await[0].kid, kid);

    world.edit("app", &json!({ "suspend": false })).await;
    world.ready("app").await;
    let key = world.signing_key("private").await;
    eventually("the client has the new key", async || {
        world.hydra.token_by_assertion(&id, &key).await.is_ok()
    })
    .await;
    let refused = world.hydra.token_by_assertion(&id, &compromised).await;
    assert!(refused.is_err(), "the compromised key still gets tokens");
    world.assert_no_key_leaked().await;
}

async fn a_key_that_is_not_there_is_told(generation: Generation) {
    let world = KeyWorld::new("revoke-unknown", generation).await;
    world.create_set(NAME, &spec()).await;
    world.set_ready(NAME).await;
    let keys = world.set_keys(NAME).await;
    world.annotate_set(NAME, REVOKE_KEY_ANNOTATION, "unknown").await;
    eventually("the wish is handled", async || {
        let status = world.set_status(NAME).await;
        status.last_handled_revoke_key.as_deref() == Some("unknown")
    })
    .await;
    world.set_pass(NAME).await;
    assert_eq!(kids(&world.set_keys(NAME).await), kids(&keys));
    world.hydra_agrees(NAME).await;
    let events = world.events(NAME).await;
    assert_eq!(events.get("Warning UnknownKey"), Some(&1), "{events:?}");
    assert_eq!(events.get("Warning KeyRevoked"), None, "{events:?}");
    world.assert_no_key_leaked().await;
}
