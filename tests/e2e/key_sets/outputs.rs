//! Where keys are handed out.

use hydra_operator::api::{
    ROTATE_REQUESTED_ANNOTATION,
    jsonwebkeyset::KeyState::{Active, Published, Retained},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    key_world::{KeyWorld, kids, kids_in},
    on_each_generation,
    support::{
        Generation, Hydra, eventually,
        jose::{load_jwks, load_pem},
    },
    world::World,
};

on_each_generation!(
    names_and_forms_are_as_declared,
    further_content_is_as_declared,
    what_others_have_is_left_alone,
    what_is_edited_or_deleted_comes_back,
    what_is_named_no_more_is_deleted,
    a_set_may_have_no_outputs,
);

const NAME: &str = "signing";

fn spec(outputs: &Value) -> Value {
    let rotation = json!({ "publishBefore": "1h", "retain": "24h" });
    json!({ "algorithm": "ES256", "rotation": rotation, "outputs": outputs })
}

fn both(public: &str, private: &str) -> Value {
    json!({ "publicConfigMap": { "name": public }, "privateSecret": { "name": private } })
}

impl KeyWorld {
    async fn names_in(&self, secret: &str) -> Vec<String> {
        let secret = self.secrets.get(secret).await.unwrap();
        secret.data.unwrap_or_default().into_keys().collect()
    }

    async fn has(&self, secret: &str, names: &[&str]) {
        eventually(&format!("{secret} has {names:?}"), async || {
            let found = self.names_in(secret).await;
            if found == names { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

async fn names_and_forms_are_as_declared(generation: Generation) {
    let world = KeyWorld::new("key-forms", generation).await;
    let outputs = json!({
        "publicConfigMap": { "name": "public", "key": "keys" },
        "privateSecret": {
            "name": "private",
            "keys": { "jwks": "set.json", "pem": "key.pem", "kid": "id" },
        },
    });
    world.create_set(NAME, &spec(&outputs)).await;
    world.set_ready(NAME).await;
    world.has("private", &["id", "key.pem", "set.json"]).await;
    let map = world.config_maps.get("public").await.unwrap().data.unwrap();
    assert_eq!(map.keys().collect::<Vec<_>>(), ["keys"]);
    let current = world.current(NAME).await;
    assert_eq!(kids_in(&serde_json::from_str(&map["keys"]).unwrap()), [current.as_str()]);

    let change = async |private: Value| {
        world.edit_set(NAME, &json!({ "outputs": { "privateSecret": private } })).await;
        world.set_ready(NAME).await;
    };
    change(json!({ "formats": ["PEM"] })).await;
    world.has("private", &["id", "key.pem"]).await;
    change(json!({ "formats": ["JWKS"], "keys": null })).await;
    world.has("private", &["jwks.json", "kid"]).await;
    change(json!({ "formats": null })).await;
    world.has("private", &["jwks.json", "kid", "private.pem"]).await;

    world.annotate_set(NAME, ROTATE_REQUESTED_ANNOTATION, "one").await;
    let keys = world.settles(NAME, &[Active, Published]).await;
    assert_eq!(kids_in(&world.private_jwks("private").await), [current.as_str()]);
    change(json!({ "allKeys": true })).await;
    holds_all(&world, &kids(&keys)).await;
    world.edit_set(NAME, &json!({ "rotation": { "publishBefore": "1s" } })).await;
    let keys = world.settles(NAME, &[Retained, Active]).await;
    let mut all = kids(&keys);
    all.reverse();
    holds_all(&world, &all).await;
    change(json!({ "allKeys": false })).await;
    holds_all(&world, &all[..1]).await;
    world.edit_set(NAME, &json!({ "outputs": { "publicConfigMap": { "key": null } } })).await;
    world.set_ready(NAME).await;
    let map = world.config_maps.get("public").await.unwrap().data.unwrap();
    assert_eq!(map.keys().collect::<Vec<_>>(), ["jwks.json"]);
    world.assert_no_key_leaked().await;
}

/// The Secret has these keys in both forms, the current one first.
async fn holds_all(world: &KeyWorld, kids: &[String]) {
    eventually("the Secret holds the keys", async || {
        let found = kids_in(&world.private_jwks("private").await);
        if found == kids { Ok(()) } else { Err(found) }
    })
    .await;
    assert_eq!(world.secret_text("private", "kid").await.as_ref(), kids.first());
    let jwks = load_jwks(&world.private_jwks("private").await).unwrap();
    let pem = load_pem(&world.secret_text("private", "private.pem").await.unwrap()).unwrap();
    let publics: Vec<_> = pem.into_iter().map(|key| key.public).collect();
    let of_pem = load_jwks(&json!({ "keys": publics })).unwrap();
    let thumbprints = |keys: &[crate::support::jose::LoadedKey]| {
        keys.iter().map(|key| key.thumbprint.clone()).collect::<Vec<_>>()
    };
    assert_eq!(thumbprints(&jwks), thumbprints(&of_pem));
    assert!(jwks.iter().all(|key| key.private && key.valid));
}

async fn further_content_is_as_declared(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let public = format!("--hydra-public-url={}", hydra.public_url());
    let args = ["--resync-interval=1s", &public];
    let world: KeyWorld = World::with_args("key-template", hydra, &args).await.into();
    let template = json!({
        "labels": { "team": "a" },
        "annotations": { "example.com/note": "n" },
        "data": {
            "region": { "value": "eu" },
            "token-url": { "wellKnown": "token_endpoint" },
        },
    });
    let mut outputs = both("public", "private");
    outputs["privateSecret"]["template"] = template;
    outputs["publicConfigMap"]["labels"] = json!({ "team": "b" });
    outputs["publicConfigMap"]["annotations"] = json!({ "example.com/note": "m" });
    world.create_set(NAME, &spec(&outputs)).await;
    world.set_ready(NAME).await;
    world.has("private", &["jwks.json", "kid", "private.pem", "region", "token-url"]).await;
    let secret = world.secrets.get("private").await.unwrap();
    let map = world.config_maps.get("public").await.unwrap();
    assert_eq!((&*secret.labels()["team"], &*map.labels()["team"]), ("a", "b"));
    assert_eq!(secret.annotations()["example.com/note"], "n");
    assert_eq!(map.annotations()["example.com/note"], "m");
    assert_eq!(world.secret_text("private", "region").await.unwrap(), "eu");
    let token = world.secret_text("private", "token-url").await.unwrap();
    assert!(token.ends_with("/oauth2/token"), "{token}");

    for (template, words) in [
        (json!({ "data": { "kid": { "value": "x" } } }), "kid"),
        (json!({ "data": { "private.pem": { "value": "x" } } }), "private.pem"),
        (json!({ "labels": { "app.kubernetes.io/managed-by": "x" } }), "managed-by"),
    ] {
        let before = world.secrets.get("private").await.unwrap().resource_version();
        let outputs = json!({ "outputs": { "privateSecret": { "template": template } } });
        world.edit_set(NAME, &outputs).await;
        world.set_says(NAME, "Stalled=True InvalidSpec", words).await;
        assert_eq!(world.secrets.get("private").await.unwrap().resource_version(), before);
        let outputs = json!({ "outputs": { "privateSecret": { "template": null } } });
        world.edit_set(NAME, &outputs).await;
        world.set_ready(NAME).await;
    }
    world.has("private", &["jwks.json", "kid", "private.pem"]).await;
    let secret = world.secrets.get("private").await.unwrap();
    assert!(!secret.labels().contains_key("team"));
    world.assert_no_key_leaked().await;
}

async fn what_others_have_is_left_alone(generation: Generation) {
    let world = KeyWorld::new("key-foreign", generation).await;
    let theirs = world.create_secret("private", &json!({ "kid": "theirs" })).await;
    world.create_set(NAME, &spec(&both("public", "private"))).await;
    let stalled = "Stalled=True OutputNotOwned";
    world.set_says(NAME, stalled, "Secret private exists").await;
    world.set_pass(NAME).await;
    let now = world.secrets.get("private").await.unwrap();
    assert_eq!(now, theirs);
    // One key, however often it is tried.
    assert!(world.hydra_kids(NAME).await.len() <= 1);
    world.delete_secret("private").await;
    world.set_ready(NAME).await;
    assert_eq!(world.settles(NAME, &[Active]).await.len(), 1);
    world.hydra_agrees(NAME).await;

    let map = json!({ "metadata": { "name": "others" }, "data": { "jwks.json": "theirs" } });
    let map = serde_json::from_value(map).unwrap();
    let theirs = world.config_maps.create(&PostParams::default(), &map).await.unwrap();
    let rename = json!({ "outputs": { "publicConfigMap": { "name": "others" } } });
    world.edit_set(NAME, &rename).await;
    world.set_says(NAME, stalled, "ConfigMap others exists").await;
    world.set_pass(NAME).await;
    assert_eq!(world.config_maps.get("others").await.unwrap(), theirs);
    // The former one goes on until there is another.
    assert_eq!(kids_in(&world.public_jwks("public").await).len(), 1);
    world.config_maps.delete("others", &DeleteParams::default()).await.unwrap();
    world.set_ready(NAME).await;
    assert_eq!(kids_in(&world.public_jwks("others").await).len(), 1);
    assert!(world.config_maps.get_opt("public").await.unwrap().is_none());
    world.assert_no_key_leaked().await;
}

async fn what_is_edited_or_deleted_comes_back(generation: Generation) {
    let world = KeyWorld::new("key-drift", generation).await;
    world.create_set(NAME, &spec(&both("public", "private"))).await;
    world.set_ready(NAME).await;
    let data = |secret: k8s_openapi::api::core::v1::Secret| secret.data;
    let private = data(world.secrets.get("private").await.unwrap());
    let public = world.config_maps.get("public").await.unwrap().data;
    let restored = async |what: &str| {
        eventually(what, async || {
            let secret = world.secrets.get_opt("private").await.unwrap().and_then(data);
            let map = world.config_maps.get_opt("public").await.unwrap();
            secret == private && map.is_some_and(|map| map.data == public)
        })
        .await;
    };
    world.edit_secret("private", &json!({ "kid": "x", "jwks.json": "{}", "more": "y" })).await;
    restored("the edited Secret is as it was").await;
    let patch = Patch::Merge(json!({ "data": { "jwks.json": "{}" } }));
    world.config_maps.patch("public", &PatchParams::default(), &patch).await.unwrap();
    restored("the edited ConfigMap is as it was").await;
    world.delete_secret("private").await;
    restored("the Secret is there again").await;
    world.config_maps.delete("public", &DeleteParams::default()).await.unwrap();
    restored("the ConfigMap is there again").await;
    world.set_ready(NAME).await;
    assert_eq!(world.settles(NAME, &[Active]).await.len(), 1);
    world.assert_no_key_leaked().await;
}

async fn what_is_named_no_more_is_deleted(generation: Generation) {
    let world = KeyWorld::new("key-renamed", generation).await;
    world.create_set(NAME, &spec(&both("public", "private"))).await;
    world.set_ready(NAME).await;
    let keys = kids(&world.set_keys(NAME).await);
    let jwks = world.private_jwks("private").await;
    world.edit_set(NAME, &json!({ "outputs": both("public-2", "private-2") })).await;
    world.set_ready(NAME).await;
    assert_eq!(world.private_jwks("private-2").await, jwks);
    assert_eq!(kids_in(&world.public_jwks("public-2").await), keys);
    assert!(world.secrets.get_opt("private").await.unwrap().is_none());
    assert!(world.config_maps.get_opt("public").await.unwrap().is_none());
    let events = world.events(NAME).await;
    assert_eq!(events.get("Normal OutputDeleted"), Some(&2), "{events:?}");
    world.assert_no_key_leaked().await;

    world.edit_set(NAME, &json!({ "outputs": null })).await;
    world.set_ready(NAME).await;
    assert!(world.secrets.get_opt("private-2").await.unwrap().is_none());
    assert!(world.config_maps.get_opt("public-2").await.unwrap().is_none());
    assert_eq!(kids(&world.set_keys(NAME).await), keys);
    world.hydra_agrees(NAME).await;
    assert_eq!(world.set_status(NAME).await.outputs, None);

    // The same key is handed out again, as far as it is known.
    world.edit_set(NAME, &json!({ "outputs": both("public", "private") })).await;
    world.set_ready(NAME).await;
    assert_eq!(world.private_jwks("private").await, jwks);
}

async fn a_set_may_have_no_outputs(generation: Generation) {
    let world = KeyWorld::new("key-alone", generation).await;
    world.create_set(NAME, &json!({ "algorithm": "ES256" })).await;
    world.set_ready(NAME).await;
    world.settles(NAME, &[Active]).await;
    world.hydra_agrees(NAME).await;
    let secrets = world.secrets.list(&kube::api::ListParams::default()).await.unwrap();
    assert!(secrets.items.is_empty());
    world.delete_set(NAME).await;
    world.set_gone(NAME).await;
    assert!(world.in_hydra_set(NAME).await.is_empty());
}
