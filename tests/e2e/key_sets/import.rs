//! Keys that others made.

use hydra_operator::api::{
    REVOKE_KEY_ANNOTATION,
    jsonwebkeyset::KeyState::{self, Active, Retained},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    key_world::{KeyWorld, kids, kids_in, private_values},
    on_each_generation,
    support::{
        Generation, eventually,
        jose::{Generated, generate, generate_rsa, load_jwks, sign, verify},
    },
    world::World,
};

on_each_generation!(
    each_form_is_understood,
    several_keys_keep_their_order,
    another_first_key_is_a_rotation,
    what_cannot_be_imported_reaches_hydra_never,
    a_secret_that_is_not_there_is_waited_for,
    a_kid_means_one_key,
    an_imported_key_can_be_revoked,
);

const NAME: &str = "imported";
const SOURCE: &str = "source";

fn spec(algorithm: &str) -> Value {
    json!({
        "algorithm": algorithm,
        "import": { "secretRef": { "name": SOURCE } },
        "rotation": { "publishBefore": "1s", "retain": "24h" },
        "outputs": {
            "publicConfigMap": { "name": "public" },
            "privateSecret": { "name": "private" },
        },
    })
}

fn jwks(keys: &[&Generated]) -> String {
    let keys: Vec<&Value> = keys.iter().map(|key| &key.jwk).collect();
    json!({ "keys": keys }).to_string()
}

fn without(key: &Generated, members: &[&str]) -> Value {
    let mut jwk = key.jwk.clone();
    jwk.as_object_mut().unwrap().retain(|name, _| !members.contains(&name.as_str()));
    jwk
}

fn thumbprint(key: &Generated) -> String {
    load_jwks(&json!({ "keys": [key.jwk] })).unwrap()[0].thumbprint.clone()
}

impl KeyWorld {
    /// What is imported is in Hydra and in the outputs, and it signs.
    async fn is_imported(&self, name: &str, states: &[(&str, KeyState)]) {
        let keys = eventually("the keys are imported", async || {
            let keys = self.set_keys(name).await;
            let found: Vec<_> = keys.iter().map(|key| (key.kid.clone(), key.state)).collect();
            let same = found.iter().map(|(kid, state)| (kid.as_str(), *state)).eq(states.to_vec());
            if same { Ok(keys) } else { Err(found) }
        })
        .await;
        self.set_ready(name).await;
        self.hydra_agrees(name).await;
        let current = keys.iter().find(|key| key.state == Active).unwrap();
        eventually("the current key is handed out", async || {
            self.secret_text("private", "kid").await.as_ref() == Some(&current.kid)
        })
        .await;
        let public = self.public_jwks("public").await;
        assert_eq!(kids_in(&public), kids(&keys));
        let jws = sign(&self.signing_key("private").await, "hello").unwrap();
        assert_eq!(verify(&public, &jws).unwrap().kid, current.kid);
    }

    async fn replace_source(&self, data: &Value) {
        let patch = kube::api::Patch::Merge(json!({ "data": null, "stringData": data }));
        self.secrets.patch(SOURCE, &kube::api::PatchParams::default(), &patch).await.unwrap();
    }
}

async fn each_form_is_understood(generation: Generation) {
    let world = KeyWorld::new("forms", generation).await;
    let named = generate("ES256", "named");
    let rsa = generate_rsa("RS256", "rsa", 2048);
    let (ec, edwards) = (generate("ES384", "ec"), generate("EdDSA", "edwards"));
    let forms = [
        ("jwks", "ES256", jwks(&[&named]), "named".to_owned()),
        ("jwk", "ES256", without(&named, &["kid", "alg", "use"]).to_string(), thumbprint(&named)),
        ("pkcs8-rsa", "PS256", rsa.pkcs8.clone().unwrap(), thumbprint(&rsa)),
        ("pkcs1", "RS512", rsa.pkcs1.clone().unwrap(), thumbprint(&rsa)),
        ("pkcs8-ec", "ES384", ec.pkcs8.clone().unwrap(), thumbprint(&ec)),
        ("sec1", "ES384", ec.sec1.clone().unwrap(), thumbprint(&ec)),
        ("pkcs8-ed25519", "EdDSA", edwards.pkcs8.clone().unwrap(), thumbprint(&edwards)),
    ];
    let mut leaks = Vec::new();
    for (name, algorithm, document, kid) in forms {
        leaks.extend(private_values(&document));
        world.create_secret(SOURCE, &json!({ "key": document })).await;
        world.create_set(name, &spec(algorithm)).await;
        world.is_imported(name, &[(&kid, Active)]).await;
        world.delete_set(name).await;
        world.set_gone(name).await;
        assert!(world.in_hydra_set(name).await.is_empty());
        world.delete_secret(SOURCE).await;
        eventually("the outputs are gone", async || {
            world.secrets.get_opt("private").await.unwrap().is_none()
                && world.config_maps.get_opt("public").await.unwrap().is_none()
        })
        .await;
    }
    world.assert_not_leaked(&leaks).await;
}

async fn several_keys_keep_their_order(generation: Generation) {
    let world = KeyWorld::new("order", generation).await;
    let [a, b, c] = ["a", "b", "c"].map(|kid| generate("ES256", kid));
    let last = thumbprint(&c);
    let pem = format!("{}{}", b.pkcs8.as_ref().unwrap(), c.sec1.as_ref().unwrap());
    let data = json!({ "1.json": jwks(&[&a]), "2.pem": pem, "not-a-key": "hello" });
    world.create_secret(SOURCE, &data).await;
    let mut spec = spec("ES256");
    spec["import"]["secretRef"]["keys"] = json!(["2.pem", "1.json"]);
    world.create_set(NAME, &spec).await;
    let first = thumbprint(&b);
    let states = [(&*first, Active), (&*last, Retained), ("a", Retained)];
    world.is_imported(NAME, &states).await;
    let keys = world.set_keys(NAME).await;
    assert!(keys.iter().all(|key| key.until.is_none()), "{keys:?}");

    // The order says which one is current. It has been public all the time.
    spec["import"]["secretRef"]["keys"] = json!(["1.json", "2.pem"]);
    world.edit_set(NAME, &spec).await;
    world.is_imported(NAME, &[(&first, Retained), (&last, Retained), ("a", Active)]).await;
    world.set_pass(NAME).await;
    world.is_imported(NAME, &[(&first, Retained), (&last, Retained), ("a", Active)]).await;

    let keys = json!(["2.pem", "missing"]);
    world.edit_set(NAME, &json!({ "import": { "secretRef": { "keys": keys } } })).await;
    world.set_says(NAME, "Reconciling=True WaitingForSecret", "no key missing").await;
    world.assert_no_key_leaked().await;
}

async fn another_first_key_is_a_rotation(generation: Generation) {
    let world = KeyWorld::new("replaced", generation).await;
    let [a, b] = ["a", "b"].map(|kid| generate("ES256", kid));
    world.create_secret(SOURCE, &json!({ "jwks": jwks(&[&a]) })).await;
    world.create_set(NAME, &spec("ES256")).await;
    world.is_imported(NAME, &[("a", Active)]).await;
    world.replace_source(&json!({ "jwks": jwks(&[&b]) })).await;
    world.is_imported(NAME, &[("a", Retained), ("b", Active)]).await;
    let keys = world.set_keys(NAME).await;
    let since = keys.iter().map(|key| key.since.unwrap());
    assert!(since.is_sorted(), "{keys:?}");
    assert!(keys[0].until.is_some() && keys[1].until.is_none(), "{keys:?}");
    // Back again, and both.
    world.replace_source(&json!({ "jwks": jwks(&[&a, &b]) })).await;
    world.is_imported(NAME, &[("a", Active), ("b", Retained)]).await;
    assert!(world.set_keys(NAME).await.iter().all(|key| key.until.is_none()));
    world.edit_set(NAME, &json!({ "rotation": { "retain": "1s" } })).await;
    world.set_ready(NAME).await;
    world.is_imported(NAME, &[("a", Active), ("b", Retained)]).await;
    world.replace_source(&json!({ "jwks": jwks(&[&a]) })).await;
    world.is_imported(NAME, &[("a", Active)]).await;
    world.assert_no_key_leaked().await;
}

/// What goes in, and what is said about it.
fn bad_inputs() -> Vec<(&'static str, Value, &'static str)> {
    let (one, other) = (generate("ES256", "one"), generate("ES256", "one"));
    let (rsa, weak) = (generate("RS256", "rsa"), generate_rsa("RS256", "weak", 1024));
    let sec1 = one.sec1.clone().unwrap();
    let body: String = sec1.lines().filter(|line| !line.starts_with('-')).collect();
    let with = |key: &Generated, member: &str, value: Value| {
        let mut jwk = key.jwk.clone();
        jwk[member] = value;
        jwk.to_string()
    };
    let encrypted = |head: &str, label: &str| {
        format!("-----BEGIN {label}-----\n{head}{body}\n-----END {label}-----\n")
    };
    let old = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0102030405060708090A0B0C0D0E0F10\n\n";
    let many: Vec<_> = (0..51).map(|n| with(&one, "kid", json!(format!("k{n}")))).collect();
    vec![
        ("ES256", json!({ "p": sec1.replace("-----END", "----END") }), "malformed PEM"),
        ("ES256", json!({ "p": sec1.replace(&body[10..20], "!") }), "key 1 of p"),
        ("ES256", json!({ "p": sec1.replace(&body[..40], "") }), "key 1 of p"),
        ("ES256", json!({ "p": encrypted("", "ENCRYPTED PRIVATE KEY") }), "encrypted"),
        ("ES256", json!({ "p": encrypted(old, "EC PRIVATE KEY") }), "encrypted"),
        ("ES256", json!({ "p": encrypted("", "CERTIFICATE") }), "a private key is needed"),
        ("ES256", json!({ "p": encrypted("", "PUBLIC KEY") }), "a private key is needed"),
        ("ES256", json!({ "j": jwks(&[&one, &other]) }), "same kid"),
        ("ES256", json!({ "a": jwks(&[&one]), "b": jwks(&[&other]) }), "same kid"),
        ("ES256", json!({ "j": one.public_jwk().to_string() }), "a private key is needed"),
        ("RS256", json!({ "j": jwks(&[&weak]) }), "2048 bits"),
        ("RS256", json!({ "p": weak.pkcs1.clone().unwrap() }), "2048 bits"),
        ("ES256", json!({ "j": jwks(&[&one]), "padding": "x".repeat(1_000_000) }), "longer than"),
        ("ES256", json!({ "j": jwks(&[&one, &rsa]) }), "keys of one type"),
        ("ES384", json!({ "j": jwks(&[&one]) }), "choose ES256"),
        ("ES256", json!({ "j": with(&one, "alg", json!("ES512")) }), "alg"),
        ("ES256", json!({ "j": with(&one, "kid", json!("a/b")) }), "kid"),
        ("ES256", json!({ "j": with(&one, "kid", json!("x".repeat(256))) }), "kid"),
        ("ES256", json!({ "j": with(&one, "kid", json!(7)) }), "kid"),
        ("ES256", json!({ "j": with(&one, "kty", json!("what")) }), "type that is not supported"),
        ("ES256", json!({ "j": with(&one, "crv", json!("P-224")) }), "curve"),
        ("ES256", json!({ "j": with(&one, "d", other.jwk["d"].clone()) }), "inconsistent"),
        ("ES256", json!({ "j": format!("{{\"keys\":[{}]}}", many.join(",")) }), "50 keys"),
        ("ES256", json!({ "j": "{\"keys\": [" }), "malformed JSON"),
        ("ES256", json!({ "j": "{\"keys\": []}" }), "holds no key"),
        ("ES256", json!({ "j": "hello" }), "neither"),
        ("ES256", json!({ "j": "" }), "holds no key"),
        ("ES256", json!({}), "nothing to import"),
        (
            "ES256",
            json!({ "j": json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] }).to_string() }),
            "kid",
        ),
    ]
}

async fn what_cannot_be_imported_reaches_hydra_never(generation: Generation) {
    let hydra = crate::support::Hydra::start(generation).await;
    let args = ["--resync-interval=1s"];
    let world: KeyWorld = World::with_args("hostile-keys", hydra, &args).await.into();
    let good = generate("ES256", "good");
    let mut leaks = Vec::new();
    let before = world.hydra.counters().await.writes();
    for (n, (algorithm, data, words)) in bad_inputs().into_iter().enumerate() {
        let name = format!("{NAME}-{n}");
        for value in data.as_object().unwrap().values() {
            leaks.extend(private_values(value.as_str().unwrap()));
        }
        world.create_secret(SOURCE, &data).await;
        world.create_set(&name, &spec(algorithm)).await;
        let said = world.set_says(&name, "Stalled=True InvalidImport", words).await;
        assert!(said.contains("Secret source"), "{said}");
        assert!(world.set_keys(&name).await.is_empty());
        assert!(world.secrets.get_opt("private").await.unwrap().is_none());
        world.delete_set(&name).await;
        world.set_gone(&name).await;
        world.delete_secret(SOURCE).await;
    }
    assert_eq!(world.hydra.counters().await.writes(), before);

    // What was corrected goes on, and what is broken later changes nothing.
    world.create_secret(SOURCE, &json!({ "j": "hello" })).await;
    world.create_set(NAME, &spec("ES256")).await;
    world.set_shows(NAME, "Stalled=True InvalidImport").await;
    world.replace_source(&json!({ "j": jwks(&[&good]) })).await;
    world.is_imported(NAME, &[("good", Active)]).await;
    let before = world.hydra.counters().await.writes();
    world.replace_source(&json!({ "j": good.public_jwk().to_string() })).await;
    world.set_shows(NAME, "Stalled=True InvalidImport").await;
    assert_eq!(world.hydra.counters().await.writes(), before);
    assert_eq!(world.hydra_kids(NAME).await, ["good"]);
    let jws = sign(&world.signing_key("private").await, "hello").unwrap();
    verify(&world.public_jwks("public").await, &jws).unwrap();
    world.replace_source(&json!({ "j": jwks(&[&good]) })).await;
    world.is_imported(NAME, &[("good", Active)]).await;
    world.assert_no_key_leaked().await;
    leaks.retain(|value| value.len() > 20);
    world.assert_not_leaked(&leaks).await;
}

async fn a_secret_that_is_not_there_is_waited_for(generation: Generation) {
    let world = KeyWorld::new("no-source", generation).await;
    world.create_set(NAME, &spec("ES256")).await;
    let waits = "Reconciling=True WaitingForSecret";
    world.set_says(NAME, waits, "Secret source").await;
    assert!(world.in_hydra_set(NAME).await.is_empty());
    let key = generate("ES256", "one");
    world.create_secret(SOURCE, &json!({ "jwks": jwks(&[&key]) })).await;
    world.is_imported(NAME, &[("one", Active)]).await;
    // Without its Secret all stays as it is, and works.
    world.delete_secret(SOURCE).await;
    world.set_says(NAME, waits, "Secret source").await;
    assert_eq!(world.hydra_kids(NAME).await, ["one"]);
    let jws = sign(&world.signing_key("private").await, "hello").unwrap();
    verify(&world.public_jwks("public").await, &jws).unwrap();
    world.assert_no_key_leaked().await;
    world.delete_set(NAME).await;
    world.set_gone(NAME).await;
    assert!(world.in_hydra_set(NAME).await.is_empty());
}

async fn a_kid_means_one_key(generation: Generation) {
    let world = KeyWorld::new("same-kid", generation).await;
    let (one, other) = (generate("ES256", "one"), generate("ES256", "one"));
    world.create_secret(SOURCE, &json!({ "jwks": jwks(&[&one]) })).await;
    world.create_set(NAME, &spec("ES256")).await;
    world.is_imported(NAME, &[("one", Active)]).await;
    let before = world.private_jwks("private").await;
    let invalid = "Stalled=True InvalidImport";
    world.replace_source(&json!({ "jwks": jwks(&[&other]) })).await;
    world.set_says(NAME, invalid, "another kid").await;
    assert_eq!(world.private_jwks("private").await, before);
    world.replace_source(&json!({ "jwks": jwks(&[&one]) })).await;
    world.is_imported(NAME, &[("one", Active)]).await;

    // The set holds a key of somebody else.
    let theirs = generate("ES256", "theirs").jwk;
    let path = format!("/keys/k8s.{}.{NAME}/theirs", world.namespace);
    assert_eq!(world.hydra.admin(Method::PUT, &path, Some(&theirs)).await.status, 200);
    let ours = generate("ES256", "theirs");
    world.replace_source(&json!({ "jwks": jwks(&[&ours]) })).await;
    world.set_says(NAME, invalid, "another kid").await;
    let in_hydra = world.in_hydra_set(NAME).await;
    assert!(in_hydra.iter().any(|key| key["x"] == theirs["x"]), "theirs stays");
    world.assert_no_key_leaked().await;
}

async fn an_imported_key_can_be_revoked(generation: Generation) {
    let world = KeyWorld::new("revoke-imported", generation).await;
    let [a, b, c] = ["a", "b", "c"].map(|kid| generate("ES256", kid));
    world.create_secret(SOURCE, &json!({ "jwks": jwks(&[&a, &b]) })).await;
    world.create_set(NAME, &spec("ES256")).await;
    world.is_imported(NAME, &[("a", Active), ("b", Retained)]).await;
    // The Secret still holds it. The next one takes its place.
    world.annotate_set(NAME, REVOKE_KEY_ANNOTATION, "a").await;
    world.is_imported(NAME, &[("b", Active)]).await;
    world.set_pass(NAME).await;
    world.is_imported(NAME, &[("b", Active)]).await;
    // The last one cannot be replaced by anything but another Secret.
    world.replace_source(&json!({ "jwks": jwks(&[&b]) })).await;
    world.annotate_set(NAME, REVOKE_KEY_ANNOTATION, "b").await;
    eventually("it is gone", async || world.in_hydra_set(NAME).await.is_empty()).await;
    world.set_says(NAME, "Reconciling=True Progressing", "revoked").await;
    assert!(kids_in(&world.public_jwks("public").await).is_empty());
    assert!(world.secrets.get_opt("private").await.unwrap().is_none());
    world.replace_source(&json!({ "jwks": jwks(&[&c]) })).await;
    world.is_imported(NAME, &[("c", Active)]).await;
    world.assert_no_key_leaked().await;
}
