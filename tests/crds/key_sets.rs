//! The rules of `JsonWebKeySet`: what each lets through, and what it says otherwise.

use hydra_operator::api::JsonWebKeySet;
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

use crate::{
    server::{Expected, Server},
    support::ControlPlane,
};

/// The least that a spec can be, and `more`.
fn spec(more: &Value) -> Value {
    let mut spec = json!({ "algorithm": "ES256" });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

async fn check(test: &str, cases: impl IntoIterator<Item = (Value, Expected)>) {
    let cases = cases.into_iter().map(|(more, expected)| (spec(&more), expected));
    Server::for_key_sets(test).await.check(cases).await;
}

#[tokio::test]
async fn set_name() {
    const DOTS: Expected = Err("write a name other than . and ..");
    const PATTERN: Expected = Err("spec.setName in body should match '^[A-Za-z0-9._~-]+$'");
    let cases = [
        ("a", Ok(())),
        ("k8s.shop.signing_2~", Ok(())),
        ("hydra.openid.id-token", Ok(())),
        ("...", Ok(())),
        (".", DOTS),
        ("..", DOTS),
        ("", Err("should be at least 1 chars long")),
        ("a/b", PATTERN),
        ("a%2Fb", PATTERN),
        ("a b", PATTERN),
        ("a\n", PATTERN),
        ("ä", PATTERN),
        (&"x".repeat(255), Ok(())),
        (&"x".repeat(256), Err("may not be more than 255")),
    ];
    check("set-name", cases.map(|(name, expected)| (json!({ "setName": name }), expected))).await;
}

#[tokio::test]
async fn set_name_stays_as_it_is() {
    let server = Server::for_key_sets("set-name-kept").await;
    server.create(&server.object("named", &spec(&json!({ "setName": "one" })))).await.unwrap();
    server.create(&server.object("unnamed", &spec(&json!({})))).await.unwrap();
    // A name in status does not open the way to one in spec.
    server.patch_status("unnamed", &json!({ "setName": "one" })).await.unwrap();
    for (object, name) in
        [("named", json!("two")), ("named", Value::Null), ("unnamed", json!("one"))]
    {
        let refused = server.patch(object, &json!({ "spec": { "setName": name } })).await;
        let message = refused.unwrap_err();
        assert!(message.contains("setName cannot be changed, added or removed"), "{message}");
        assert!(message.contains("create another JsonWebKeySet with the new one"), "{message}");
    }
    for object in ["named", "unnamed"] {
        server.patch(object, &json!({ "spec": { "algorithm": "RS256" } })).await.unwrap();
    }
}

#[tokio::test]
async fn a_spec_names_an_algorithm() {
    let server = Server::for_key_sets("required").await;
    server
        .check([
            (json!({}), Err("spec.algorithm: Required value")),
            (json!({ "algorithm": null }), Err("spec.algorithm")),
            (Value::Null, Err("spec: Required value")),
        ])
        .await;
}

#[tokio::test]
async fn algorithm_use_and_policy() {
    let known = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
        "HS256", "HS512",
    ];
    let mut cases: Vec<_> = known.map(|name| (json!({ "algorithm": name }), Ok(()))).into();
    let unsupported = Err("Unsupported value");
    for name in ["", "HS384", "es256", "none", "ES256K", "RSA-OAEP"] {
        cases.push((json!({ "algorithm": name }), unsupported));
    }
    for (key_use, expected) in
        [("sig", Ok(())), ("enc", Ok(())), ("", unsupported), ("SIG", unsupported)]
    {
        cases.push((json!({ "use": key_use }), expected));
    }
    for (policy, expected) in [("delete", Ok(())), ("orphan", Ok(())), ("retain", unsupported)] {
        cases.push((json!({ "deletionPolicy": policy }), expected));
    }
    cases.push((json!({ "suspend": true }), Ok(())));
    cases.push((json!({ "unknown": true }), Err("unknown field \"spec.unknown\"")));
    check("enums", cases).await;
}

#[tokio::test]
async fn durations() {
    const PATTERN: Expected = Err("in body should match");
    let at = |field: &str, value: &str| match field {
        "resyncInterval" => json!({ "resyncInterval": value }),
        field => json!({ "rotation": { field: value } }),
    };
    let mut cases = Vec::new();
    for field in ["publishBefore", "retain", "resyncInterval"] {
        for good in ["1h", "1h30m", "1.5h", "0s", "250ms", "8760h"] {
            cases.push((at(field, good), Ok(())));
        }
        for bad in ["", "1d", "24", "-1h", "1h ", "about 1h", "1h30", "1.h"] {
            cases.push((at(field, bad), PATTERN));
        }
        cases.push((at(field, &"10m".repeat(11)), Err("may not be more than 32")));
    }
    for bad in ["", "30d", "-720h"] {
        cases.push((at("interval", bad), PATTERN));
    }
    check("durations", cases).await;
}

#[tokio::test]
async fn a_key_is_published_in_time() {
    const LATE: Expected = Err(
        "interval has to be longer than publishBefore (1h when unset): the next key is public for \
         that long before it takes the place of the current one",
    );
    let rotation = |interval: &str, publish_before: Option<&str>| {
        let mut rotation = json!({ "interval": interval, "retain": "1m" });
        if let Some(publish_before) = publish_before {
            rotation["publishBefore"] = json!(publish_before);
        }
        json!({ "rotation": rotation })
    };
    // Keys of Hydra itself sign at once.
    let of =
        |set: &str, interval: &str| json!({ "setName": set, "rotation": { "interval": interval } });
    check(
        "in-time",
        [
            (rotation("720h", None), Ok(())),
            (rotation("61m", None), Ok(())),
            (rotation("60m", None), LATE),
            (rotation("59m", None), LATE),
            (rotation("10m", Some("9m59.9s")), Ok(())),
            (rotation("10m", Some("600s")), LATE),
            (rotation("10m", Some("0.5h")), LATE),
            (rotation("2s", Some("500ms")), Ok(())),
            (rotation("0s", Some("0s")), LATE),
            (json!({ "rotation": { "publishBefore": "9000h" } }), Ok(())),
            (json!({ "rotation": {} }), Ok(())),
            (of("hydra.openid.id-token", "60m"), Ok(())),
            (of("k8s.shop.hydra.", "60m"), LATE),
        ],
    )
    .await;
}

#[tokio::test]
async fn not_too_many_keys_are_retained() {
    const MANY: Expected = Err(
        "retain (24h when unset) has to be at most 50 times the interval: each rotation leaves a \
         key behind",
    );
    let rotation = |interval: &str, retain: Option<&str>| {
        let mut rotation = json!({ "interval": interval, "publishBefore": "1s" });
        if let Some(retain) = retain {
            rotation["retain"] = json!(retain);
        }
        json!({ "rotation": rotation })
    };
    check(
        "too-many",
        [
            (rotation("30m", None), Ok(())),
            (rotation("28m", None), MANY),
            (rotation("2s", Some("100s")), Ok(())),
            (rotation("2s", Some("101s")), MANY),
            (rotation("1h", Some("50h")), Ok(())),
            (rotation("1h", Some("50h1m")), MANY),
            (json!({ "rotation": { "retain": "87600h" } }), Ok(())),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_duration_has_an_end() {
    const LONG: Expected = Err("write at most 87600h, which are ten years");
    let mut cases = Vec::new();
    for field in ["interval", "publishBefore", "retain"] {
        for (value, expected) in [
            ("87600h", Ok(())),
            ("31536000s", Ok(())),
            ("1.3333333333333h", Ok(())),
            ("87600h1s", LONG),
            ("999999h", LONG),
            // More than a duration of Go can hold.
            ("99999999h", LONG),
            ("9999999999999999999999999999999h", LONG),
            ("99999999999999999999s", LONG),
        ] {
            cases.push((json!({ "rotation": { field: value } }), expected));
        }
    }
    check("endless", cases).await;
}

#[tokio::test]
async fn import() {
    const ONE_SOURCE: Expected = Err(
        "remove rotation.interval: new keys of an imported set come from the Secret, where the \
         first key is the current one",
    );
    let import = |rotation: Value| json!({ "import": { "secretRef": { "name": "keys" } }, "rotation": rotation });
    let source = |source: Value| json!({ "import": { "secretRef": source } });
    let keys = |keys: Value| source(json!({ "name": "keys", "keys": keys }));
    let many = |n: usize| keys((0..n).map(|n| format!("{n}.pem")).collect());
    check(
        "import",
        [
            (import(json!({ "interval": "720h" })), ONE_SOURCE),
            (import(json!({ "publishBefore": "2h", "retain": "48h" })), Ok(())),
            (json!({ "import": {} }), Err("spec.import.secretRef: Required value")),
            (source(json!({})), Err("spec.import.secretRef.name: Required value")),
            (source(json!({ "name": "" })), Err("should be at least 1 chars long")),
            (source(json!({ "name": "Keys" })), Err("spec.import.secretRef.name in body")),
            (source(json!({ "name": "team.keys-2" })), Ok(())),
            (keys(json!(["tls.key", "_a"])), Ok(())),
            (keys(json!([])), Err("should have at least 1 items")),
            (keys(json!([".hidden"])), Err("spec.import.secretRef.keys[0] in body")),
            (keys(json!(["a/b"])), Err("spec.import.secretRef.keys[0] in body")),
            (many(20), Ok(())),
            (many(21), Err("must have at most 20 items")),
        ],
    )
    .await;
}

#[tokio::test]
async fn public_config_map() {
    const NO_PUBLIC_HALF: Expected =
        Err("remove outputs.publicConfigMap: symmetric keys (HS256, HS512) have no public half");
    let map = |map: Value| json!({ "outputs": { "publicConfigMap": map } });
    let symmetric = |alg: &str| {
        let mut symmetric = map(json!({ "name": "keys" }));
        symmetric["algorithm"] = json!(alg);
        symmetric
    };
    check(
        "config-map",
        [
            (map(json!({ "name": "keys" })), Ok(())),
            (map(json!({ "name": "keys", "key": "jwks", "labels": { "a": "b" } })), Ok(())),
            (map(json!({})), Err("spec.outputs.publicConfigMap.name: Required value")),
            (map(json!({ "name": "a_b" })), Err("spec.outputs.publicConfigMap.name in body")),
            (map(json!({ "name": "a", "key": "ä" })), Err("publicConfigMap.key in body")),
            (map(json!({ "name": "x".repeat(254) })), Err("may not be more than 253")),
            (symmetric("HS256"), NO_PUBLIC_HALF),
            (symmetric("HS512"), NO_PUBLIC_HALF),
            (symmetric("RS512"), Ok(())),
            (json!({ "algorithm": "HS256", "outputs": {} }), Ok(())),
        ],
    )
    .await;
}

#[tokio::test]
async fn private_secret() {
    let secret = |more: Value| {
        let mut secret = json!({ "name": "keys" });
        secret.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "outputs": { "privateSecret": secret } })
    };
    let formats = |formats: Value| secret(json!({ "formats": formats }));
    check(
        "private-secret",
        [
            (secret(json!({})), Ok(())),
            (secret(json!({ "allKeys": true })), Ok(())),
            (secret(json!({ "template": { "labels": { "a": "b" } } })), Ok(())),
            (secret(json!({ "name": "" })), Err("should be at least 1 chars long")),
            (formats(json!(["JWKS"])), Ok(())),
            (formats(json!(["PEM", "JWKS"])), Ok(())),
            (formats(json!([])), Err("should have at least 1 items")),
            (formats(json!(["pem"])), Err("supported values: \"JWKS\", \"PEM\"")),
            (formats(json!(["DER"])), Err("supported values: \"JWKS\", \"PEM\"")),
        ],
    )
    .await;
}

#[tokio::test]
async fn keys_of_the_private_secret_have_names_of_their_own() {
    const DISTINCT: Expected =
        Err("two of jwks, pem and kid name the same key of the Secret: write different names");
    let keys =
        |keys: Value| json!({ "outputs": { "privateSecret": { "name": "a", "keys": keys } } });
    check(
        "distinct",
        [
            (keys(json!({})), Ok(())),
            (keys(json!({ "jwks": "a", "pem": "b", "kid": "c" })), Ok(())),
            (keys(json!({ "jwks": "private.pem", "pem": "jwks.json" })), Ok(())),
            (keys(json!({ "jwks": "a", "pem": "a" })), DISTINCT),
            (keys(json!({ "jwks": "a", "kid": "a" })), DISTINCT),
            (keys(json!({ "pem": "a", "kid": "a" })), DISTINCT),
            (keys(json!({ "jwks": "private.pem" })), DISTINCT),
            (keys(json!({ "jwks": "kid" })), DISTINCT),
            (keys(json!({ "pem": "jwks.json" })), DISTINCT),
            (keys(json!({ "pem": "kid" })), DISTINCT),
            (keys(json!({ "kid": "jwks.json" })), DISTINCT),
            (keys(json!({ "pem": "a b" })), Err("privateSecret.keys.pem in body")),
        ],
    )
    .await;
}

#[tokio::test]
async fn keys_of_hydra_itself_are_for_signatures() {
    const SIGNS: Expected = Err("remove use: Hydra signs with the keys of its own sets");
    let named = |name: &str, key_use: &str| json!({ "setName": name, "use": key_use });
    check(
        "system-use",
        [
            (named("hydra.openid.id-token", "enc"), SIGNS),
            (named("hydra.openid.id-token", "sig"), Ok(())),
            (json!({ "setName": "hydra.openid.id-token" }), Ok(())),
            (named("k8s.shop.hydra.keys", "enc"), Ok(())),
        ],
    )
    .await;
}

#[tokio::test]
async fn keys_of_hydra_itself_are_not_handed_out() {
    const KEPT: Expected = Err("remove outputs.privateSecret: the private keys of Hydra itself");
    let named = |name: &str, output: &str| json!({ "setName": name, "outputs": { output: { "name": "keys" } } });
    check(
        "system-sets",
        [
            (named("hydra.openid.id-token", "privateSecret"), KEPT),
            (named("hydra.openid.id-token", "publicConfigMap"), Ok(())),
            (named("k8s.shop.hydra.keys", "privateSecret"), Ok(())),
            (named("hydra-keys", "privateSecret"), Ok(())),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_new_object_says_that_nobody_has_seen_it() {
    let server = Server::for_key_sets("key-set-unseen").await;
    let unseen = json!({ "observedGeneration": -1 });
    let created = server.create(&server.object("keys", &spec(&json!({})))).await.unwrap();
    assert_eq!(created["status"], unseen, "in the reply");
    assert_eq!(server.get("keys").await["status"], unseen, "read again");
}

fn key_status(kid: &str) -> Value {
    json!({
        "kid": kid, "algorithm": "ES256", "use": "sig", "state": "Active", "origin": "Hydra",
        "since": "2026-01-02T03:04:05Z", "until": "2026-02-02T03:04:05Z",
        "publicKey": { "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "vendor": { "a": [1] } },
    })
}

/// Everything that the operator writes is stored, and comes back as it was.
#[tokio::test]
async fn the_whole_resource_decodes_unchanged() {
    let server = Server::for_key_sets("key-set-whole").await;
    let outputs = json!({
        "publicConfigMap": { "name": "a", "key": "b", "labels": { "c": "d" }, "annotations": { "e": "f" } },
        "privateSecret": {
            "name": "g", "formats": ["PEM"], "allKeys": true,
            "keys": { "jwks": "h", "pem": "i", "kid": "j" },
            "template": { "labels": { "k": "l" }, "type": "Opaque" },
        },
    });
    let whole = spec(&json!({
        "setName": "m", "use": "enc", "outputs": outputs, "deletionPolicy": "orphan", "suspend": false,
        "rotation": { "interval": "720h", "publishBefore": "2h", "retain": "48h" }, "resyncInterval": "1m",
    }));
    let imported = spec(&json!({ "import": { "secretRef": { "name": "n", "keys": ["o"] } } }));
    let object = |name: &str| json!({ "name": name, "uid": "u", "resourceVersion": "1" });
    let status = json!({
        "observedGeneration": 1, "setName": "m", "currentKey": "one", "keyCount": 2,
        "nextRotation": "2026-02-02T03:04:05Z", "keys": [key_status("one"), { "kid": "two",
            "algorithm": "ES256", "use": "sig", "state": "Pending", "origin": "Adopted" }],
        "foreignKeys": ["three"], "lastHandledReconcileAt": "p", "lastHandledRotateAt": "q",
        "lastHandledRevokeKey": "r", "outputs": { "publicConfigMap": object("a"),
            "privateSecret": object("g"), "keyMaterial": object("s"), "import": object("n") },
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Synced", "message": "well",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-02T03:04:05Z" }],
    });
    for (name, spec) in [("whole", &whole), ("imported", &imported)] {
        server.create(&server.object(name, spec)).await.unwrap();
        let stored = server.patch_status(name, &status).await.unwrap();
        assert_eq!((&stored["spec"], &stored["status"]), (spec, &status));
    }
    let sets: Api<JsonWebKeySet> = Api::namespaced(server.client(), server.namespace());
    for set in sets.list(&ListParams::default()).await.unwrap() {
        let name = set.metadata.name.unwrap();
        assert_eq!(json!(set.spec), if name == "whole" { whole.clone() } else { imported.clone() });
        assert_eq!(json!(set.status), status);
    }
}

#[tokio::test]
async fn keys_in_status_are_merged_by_kid_and_have_known_states() {
    let server = Server::for_key_sets("key-set-status").await;
    server.create(&server.object("keys", &spec(&json!({})))).await.unwrap();
    for (by, kid) in [("one", "a"), ("another", "b")] {
        server.apply_status("keys", by, &json!({ "keys": [key_status(kid)] })).await;
    }
    let status = server.get("keys").await["status"].clone();
    assert_eq!(status["keys"], json!([key_status("a"), key_status("b")]));

    for (member, value) in [("state", "Asleep"), ("origin", "Elsewhere")] {
        let mut key = key_status("a");
        key[member] = json!(value);
        let message = server.patch_status("keys", &json!({ "keys": [key] })).await.unwrap_err();
        assert!(message.contains(&format!("Unsupported value: \"{value}\"")), "{message}");
    }
    let twice = json!({ "keys": [key_status("a"), key_status("a")] });
    let message = server.patch_status("keys", &twice).await.unwrap_err();
    assert!(message.contains("Duplicate value"), "{message}");
}

#[tokio::test]
async fn the_columns_tell_how_far_the_rotation_is() {
    let server = Server::for_key_sets("key-set-columns").await;
    server.create(&server.object("keys", &spec(&json!({})))).await.unwrap();
    let ready = json!({ "type": "Ready", "status": "True", "reason": "Synced", "message": "well" });
    let status = json!({
        "setName": "k8s.shop.keys", "keyCount": 2, "nextRotation": "2026-02-02T03:04:05Z",
        "conditions": [ready],
    });
    server.patch_status("keys", &status).await.unwrap();

    let table = server.table().await;
    let columns = table["columnDefinitions"].as_array().unwrap();
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    let shown = columns.iter().zip(cells).filter(|(column, _)| column["name"] != "Age");
    let shown: Vec<_> =
        shown.map(|(column, cell)| json!([column["name"], column["priority"], cell])).collect();
    assert_eq!(
        json!(shown),
        json!([
            ["Name", 0, "keys"],
            ["Ready", 0, "True"],
            ["Reason", 0, "Synced"],
            ["Set", 0, "k8s.shop.keys"],
            ["Algorithm", 0, "ES256"],
            ["Keys", 0, 2],
            ["Next rotation", 0, "2026-02-02T03:04:05Z"],
            ["Message", 1, "well"],
        ])
    );
    assert!(columns.iter().any(|column| column["name"] == "Age" && column["type"] == "date"));

    let plane = ControlPlane::shared().await;
    for name in ["jwks", "hydra", "jsonwebkeysets.hydra.ory.sh"] {
        let found =
            plane.kubectl(&["get", name, "--namespace", server.namespace(), "--output=name"]);
        assert_eq!(found.trim(), "jsonwebkeyset.hydra.ory.sh/keys", "{name}");
    }
}
