//! The rules on the fields that former schemas do not have: what each lets through, and what it says otherwise.

use serde_json::{Value, json};

use crate::server::{Expected, Server, spec};

async fn check(test: &str, cases: Vec<(Value, Expected)>) {
    let cases = cases.into_iter().map(|(more, expected)| (spec(&more), expected));
    Server::new(test).await.check(cases).await;
}

#[tokio::test]
async fn client_id() {
    const DOTS: Expected = Err("write an id other than . and ..");
    const PATTERN: Expected = Err("spec.clientId in body should match '^[A-Za-z0-9._~-]+$'");
    let cases = [
        ("a", Ok(())),
        ("shop-frontend_2.~", Ok(())),
        ("...", Ok(())),
        (".", DOTS),
        ("..", DOTS),
        ("", Err("should be at least 1 chars long")),
        ("a/b", PATTERN),
        ("a%2Fb", PATTERN),
        ("a b", PATTERN),
        ("a\n", PATTERN),
        ("ä", PATTERN),
    ];
    let mut cases: Vec<_> =
        cases.map(|(id, expected)| (json!({ "clientId": id }), expected)).into();
    cases.push((json!({ "clientId": "x".repeat(255) }), Ok(())));
    cases.push((json!({ "clientId": "x".repeat(256) }), Err("may not be more than 255")));
    check("client-id", cases).await;
}

#[tokio::test]
async fn client_id_is_kept_once_it_is_set() {
    let server = Server::new("client-id-kept").await;
    server.create(&server.object("app", &spec(&json!({ "clientId": "one" })))).await.unwrap();
    // An id in status does not open the way to another one in spec.
    server.patch_status("app", &json!({ "clientId": "two" })).await.unwrap();
    for refused in [
        json!({ "spec": { "clientId": "two" } }),
        json!({ "spec": { "clientId": null } }),
        json!({ "spec": null }),
    ] {
        let message = server.patch("app", &refused).await.unwrap_err();
        assert!(
            message.contains("clientId cannot be changed or removed once it is set"),
            "{message}"
        );
        assert!(message.contains("create another OAuth2Client with the new one"), "{message}");
    }
    server.patch("app", &json!({ "spec": { "clientName": "App" } })).await.unwrap();
}

#[tokio::test]
async fn client_id_is_added_only_to_name_the_one_that_is_held() {
    const MESSAGE: &str =
        "clientId can be added later only to name the id that the client already has";
    let server = Server::new("client-id-added").await;
    server.create(&server.object("app", &spec(&json!({})))).await.unwrap();
    let add = |id: &str| json!({ "spec": { "clientId": id } });

    let message = server.patch("app", &add("one")).await.unwrap_err();
    assert!(message.contains(MESSAGE), "no id is held yet: {message}");
    server.patch_status("app", &json!({ "clientId": "one" })).await.unwrap();
    let message = server.patch("app", &add("two")).await.unwrap_err();
    assert!(message.contains(MESSAGE), "{message}");
    assert!(message.contains("write the value of status.clientId"), "{message}");
    server.patch("app", &add("one")).await.unwrap();
}

/// Of several clients that may be meant, a person names one.
#[tokio::test]
async fn client_id_is_added_where_the_operator_asks_for_it() {
    let server = Server::new("client-id-ambiguous").await;
    server.create(&server.object("app", &spec(&json!({})))).await.unwrap();
    let error = json!({ "reconciliationError": { "statusCode": "AMBIGUOUS_CLIENTS" } });
    server.patch_status("app", &error).await.unwrap();
    server.patch("app", &json!({ "spec": { "clientId": "one" } })).await.unwrap();
    server.patch_status("app", &json!({ "clientId": "one" })).await.unwrap();
}

/// A status write must not be refused because of what it does to `spec.clientId`.
#[tokio::test]
async fn the_id_in_status_may_change_and_go() {
    let server = Server::new("client-id-status").await;
    server.create(&server.object("app", &spec(&json!({ "clientId": "one" })))).await.unwrap();
    for id in [json!("one"), json!("two"), Value::Null] {
        server.patch_status("app", &json!({ "clientId": id })).await.unwrap();
    }
}

fn rsa() -> Value {
    json!({ "kty": "RSA", "use": "sig", "kid": "r", "alg": "RS256", "n": "0vx7", "e": "AQAB" })
}

fn with(mut key: Value, member: &str, value: Value) -> Value {
    key[member] = value;
    key
}

fn without(mut key: Value, member: &str) -> Value {
    key.as_object_mut().unwrap().remove(member);
    key
}

fn jwks(keys: &[Value]) -> Value {
    json!({ "jwks": { "keys": keys } })
}

#[tokio::test]
async fn keys_of_jwks() {
    const SIGNING: Expected = Err("write use: sig into the keys that check signatures");
    const KID: Expected = Err("write a kid into each key");
    let ec =
        json!({ "kty": "EC", "use": "sig", "kid": "e", "crv": "P-256", "x": "WKn", "y": "Hjw" });
    let ed = json!({ "kty": "OKP", "kid": "o", "crv": "Ed25519", "x": "11qY" });
    let exported = with(with(rsa(), "ext", json!(true)), "key_ops", json!(["verify"]));
    let certified = with(rsa(), "x5c", json!(["MIIC"]));
    let numbered = |n: usize| with(rsa(), "kid", json!(format!("key-{n}")));
    let many = |n: usize| (0..n).map(numbered).collect::<Vec<_>>();
    check(
        "jwks",
        vec![
            (jwks(&[rsa()]), Ok(())),
            (jwks(&[rsa(), ec, ed.clone()]), Ok(())),
            (jwks(&[exported]), Ok(())),
            (jwks(&[certified]), Ok(())),
            (jwks(&[without(rsa(), "kid")]), Ok(())),
            (jwks(&many(20)), Ok(())),
            (jwks(&many(21)), Err("must have at most 20 items")),
            (jwks(&[]), Err("should have at least 1 items")),
            (json!({ "jwks": {} }), Err("spec.jwks.keys: Required value")),
            (jwks(&[without(rsa(), "use")]), SIGNING),
            (jwks(&[with(rsa(), "use", json!("enc"))]), SIGNING),
            (jwks(&[ed]), SIGNING),
            (jwks(&[rsa(), without(rsa(), "kid")]), KID),
            (jwks(&[without(rsa(), "kty")]), Err("spec.jwks.keys[0].kty: Required value")),
            (
                jwks(&[with(rsa(), "kty", json!("oct"))]),
                Err("supported values: \"RSA\", \"EC\", \"OKP\""),
            ),
        ],
    )
    .await;
}

const RSA: Expected = Err("write n and e into a key of kty RSA; in YAML quote \"n\"");
const EC: Expected = Err("write crv, x and y into a key of kty EC; in YAML quote \"y\"");
const OKP: Expected = Err("write crv and x into a key of kty OKP");

#[tokio::test]
async fn keys_of_jwks_are_complete() {
    let ec = || json!({ "kty": "EC", "use": "sig", "crv": "P-256", "x": "WKn", "y": "Hjw" });
    let ed = || json!({ "kty": "OKP", "use": "sig", "crv": "Ed25519", "x": "11qY" });
    let mut cases = vec![
        (jwks(&[rsa()]), Ok(())),
        (jwks(&[ec()]), Ok(())),
        (jwks(&[ed()]), Ok(())),
        (jwks(&[with(rsa(), "n", json!(""))]), Err("spec.jwks.keys[0].n")),
    ];
    let incomplete = [(rsa(), vec!["n", "e"], RSA), (ec(), vec!["crv", "x", "y"], EC)];
    for (key, members, refused) in incomplete.into_iter().chain([(ed(), vec!["crv", "x"], OKP)]) {
        let lacking = |member: &&str| (jwks(&[without(key.clone(), member)]), refused);
        cases.extend(members.iter().map(lacking));
    }
    check("jwks-complete", cases).await;
}

/// YAML 1.1 has `n` and `y` among its spellings of false and true, and so have the parsers of
/// kubectl and of the API server.
#[tokio::test]
async fn members_that_yaml_takes_for_booleans() {
    let server = Server::new("jwks-yaml").await;
    let yaml = |name: &str, key: &str| {
        format!(
            "{{ apiVersion: hydra.ory.sh/v1alpha1, kind: OAuth2Client, metadata: {{ name: {name} }}, \
             spec: {{ grantTypes: [client_credentials], secretName: app, jwks: {{ keys: [{key}] }} }} }}"
        )
    };
    let cases = [
        ("rsa", "{ kty: RSA, use: sig, n: 0vx7, e: AQAB }", RSA),
        ("rsa-quoted", r#"{ kty: RSA, use: sig, "n": 0vx7, e: AQAB }"#, Ok(())),
        ("ec", "{ kty: EC, use: sig, crv: P-256, x: WKn, y: Hjw }", EC),
        ("ec-quoted", r#"{ kty: EC, use: sig, crv: P-256, x: WKn, "y": Hjw }"#, Ok(())),
    ];
    for (name, key, expected) in cases {
        let created = server.create_yaml(&yaml(name, key)).await;
        match (&created, expected) {
            (Ok(_), Ok(())) => {}
            (Err(message), Err(part)) if message.contains(part) => {}
            _ => panic!("{key}: expected {expected:?}, got {created:#?}"),
        }
    }
}

#[tokio::test]
async fn jwks_holds_no_private_member() {
    const PUBLIC: Expected = Err("write the public key only, without the private members");
    let private = ["d", "p", "q", "dp", "dq", "qi", "k"].map(|member| (member, json!("c2VjcmV0")));
    let others = ("oth", json!([{ "r": "cg", "d": "ZA", "t": "dA" }]));
    let cases = private.into_iter().chain([others]);
    let cases = cases.map(|(member, value)| (jwks(&[with(rsa(), member, value)]), PUBLIC));
    check("jwks-private", cases.collect()).await;
}

#[tokio::test]
async fn keys_come_from_one_source() {
    let both = |uri: &str| {
        let mut both = jwks(&[rsa()]);
        both["jwksUri"] = json!(uri);
        both
    };
    let from = |mut spec: Value| {
        spec["jwksFrom"] = json!({ "name": "signing" });
        spec
    };
    check(
        "one-source",
        vec![
            (
                both("https://example.com/jwks"),
                Err("jwks, jwksUri and jwksFrom exclude each other: write the keys"),
            ),
            (both(""), Ok(())),
            (from(json!({})), Ok(())),
            (from(json!({ "jwksUri": "" })), Ok(())),
            (
                from(json!({ "jwksUri": "https://example.com/jwks" })),
                Err("jwks, jwksUri and jwksFrom exclude each other"),
            ),
            (from(jwks(&[rsa()])), Err("jwks, jwksUri and jwksFrom exclude each other")),
            (json!({ "jwksFrom": {} }), Err("spec.jwksFrom.name")),
            (json!({ "jwksFrom": { "name": "" } }), Err("spec.jwksFrom.name")),
            (json!({ "jwksFrom": { "name": "No_Name" } }), Err("spec.jwksFrom.name")),
            (json!({ "jwksUri": "https://example.com/jwks" }), Ok(())),
        ],
    )
    .await;
}

#[tokio::test]
async fn lifespans_of_the_device_grant() {
    const DURATION: Expected = Err("write a duration in the units h, m, s, ms, us and ns");
    let member = |token: &str| format!("device_authorization_grant_{token}_token_lifespan");
    let mut cases = Vec::new();
    for token in ["access", "id", "refresh"] {
        for good in ["1h", "1h30m", "1h0m0s", "1.5h", "0s", "250ms"] {
            cases.push((json!({ "tokenLifespans": { member(token): good } }), Ok(())));
        }
        for bad in ["", "1d", "24", "-1h", "1h ", "about 1h", "1h30"] {
            cases.push((json!({ "tokenLifespans": { member(token): bad } }), DURATION));
        }
    }
    let endless = "1h".repeat(40);
    cases.push((
        json!({ "tokenLifespans": { member("id"): endless } }),
        Err("may not be more than 64"),
    ));
    check("device-lifespans", cases).await;
}

#[tokio::test]
async fn grants_and_response_types() {
    let grants = [
        "client_credentials",
        "authorization_code",
        "implicit",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ];
    let responses = [
        "id_token",
        "code",
        "token",
        "code token",
        "code id_token",
        "id_token token",
        "code id_token token",
    ];
    check(
        "grants",
        vec![
            (json!({ "grantTypes": grants }), Ok(())),
            (json!({ "responseTypes": responses }), Ok(())),
            (json!({ "grantTypes": [] }), Err("should have at least 1 items")),
            (json!({ "grantTypes": ["password"] }), Err("Unsupported value: \"password\"")),
            (json!({ "suspend": true }), Ok(())),
        ],
    )
    .await;
}
