//! Manifests of hydra-maester, one for each field, value and spelling of "unset" that its schema accepts.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::support::crds::read_manifest;

/// A spec over `grantTypes` and `secretName`, and what it shows.
pub struct Case {
    pub what: String,
    pub spec: Value,
}

const CALLBACK: &str = "https://shop.example.com/callback";
const PAGE: &str = "https://shop.example.com/page";

/// All of them. `sector` is the address of a document that names [`CALLBACK`].
pub fn cases(sector: &str) -> Vec<Case> {
    [regular(sector), odd()].concat()
}

/// Those that each Hydra accepts, if it supports pairwise subjects.
pub fn regular(sector: &str) -> Vec<Case> {
    [values(), texts(sector), lists(), flags_and_numbers(), lifespans(), objects()].concat()
}

fn case(what: impl Into<String>, spec: Value) -> Case {
    Case { what: what.into(), spec }
}

impl Clone for Case {
    fn clone(&self) -> Self {
        case(self.what.clone(), self.spec.clone())
    }
}

fn of_field(field: &str, value: &Value) -> Case {
    case(format!("{field}: {value}"), json!({ field: value }))
}

/// The values of each enumeration.
fn values() -> Vec<Case> {
    let grants = ["client_credentials", "authorization_code", "implicit", "refresh_token"];
    let responses = [
        "id_token",
        "code",
        "token",
        "code token",
        "code id_token",
        "id_token token",
        "code id_token token",
    ];
    let interactive = |responses: &[&str]| {
        case(
            format!("responseTypes: {responses:?}"),
            json!({
                "grantTypes": ["authorization_code", "implicit"],
                "responseTypes": responses,
                "redirectUris": [CALLBACK],
            }),
        )
    };
    let mut cases: Vec<_> =
        grants.iter().map(|grant| of_field("grantTypes", &json!([grant]))).collect();
    cases.push(of_field("grantTypes", &json!(grants)));
    cases.extend(responses.iter().map(|response| interactive(&[response])));
    cases.push(interactive(&responses[..3]));
    for (field, values) in [
        (
            "tokenEndpointAuthMethod",
            ["client_secret_basic", "client_secret_post", "none"].as_slice(),
        ),
        ("deletionPolicy", &["delete", "orphan"]),
        ("accessTokenStrategy", &["jwt", "opaque"]),
        ("subjectType", &["public", "pairwise"]),
    ] {
        cases.extend(values.iter().map(|value| of_field(field, &json!(value))));
    }
    let signed = json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwksUri": PAGE });
    cases.push(case("private_key_jwt", signed));
    cases
}

fn texts(sector: &str) -> Vec<Case> {
    let fields = [
        ("clientName", "Shop & Söhne"),
        ("scope", "read write"),
        ("jwksUri", PAGE),
        ("frontChannelLogoutURI", PAGE),
        ("backChannelLogoutURI", PAGE),
        ("logoUri", PAGE),
        ("clientUri", PAGE),
        ("policyUri", PAGE),
        ("tosUri", PAGE),
        ("requestObjectSigningAlg", "ES256"),
        ("tokenEndpointAuthSigningAlg", "PS512"),
        ("userinfoSignedResponseAlg", "RS256"),
    ];
    let set = fields.iter().map(|(field, value)| of_field(field, &json!(value)));
    let unset = fields.iter().map(|(field, _)| of_field(field, &json!("")));
    let pairwise = json!({
        "subjectType": "pairwise",
        "sectorIdentifierUri": sector,
        "redirectUris": [CALLBACK],
    });
    let sector =
        [case("sectorIdentifierUri", pairwise), of_field("sectorIdentifierUri", &json!(""))];
    set.chain(unset).chain(sector).collect()
}

fn lists() -> Vec<Case> {
    let redirects = |field: &str, items: Value| {
        case(format!("{field}: {items}"), json!({ "redirectUris": [CALLBACK], field: items }))
    };
    let mut cases = vec![
        redirects(
            "redirectUris",
            json!([CALLBACK, "com.example.shop:/callback", "http://localhost/a"]),
        ),
        redirects("requestUris", json!([PAGE])),
        redirects("postLogoutRedirectUris", json!(["https://shop.example.com/bye"])),
        redirects(
            "allowedCorsOrigins",
            json!(["https://shop.example.com/", "http://localhost:3000"]),
        ),
        of_field("audience", &json!(["https://api.example.com", "reports", "reports"])),
        of_field("contacts", &json!(["team@example.com", "the team"])),
        of_field("scopeArray", &json!(["openid", "read"])),
        case("both scopes", json!({ "scopeArray": ["openid", "read"], "scope": "write  admin " })),
        case("one empty scope", json!({ "scopeArray": [""], "scope": "read" })),
    ];
    let lists = [
        "redirectUris",
        "requestUris",
        "postLogoutRedirectUris",
        "allowedCorsOrigins",
        "audience",
        "contacts",
        "scopeArray",
    ];
    cases.extend(lists.map(|field| of_field(field, &json!([]))));
    cases
}

fn flags_and_numbers() -> Vec<Case> {
    let flags = [
        "skipConsent",
        "skipLogoutConsent",
        "frontChannelLogoutSessionRequired",
        "backChannelLogoutSessionRequired",
    ];
    let flags =
        flags.into_iter().flat_map(|f| [true, false].map(|value| of_field(f, &json!(value))));
    let numbers = [0, 1_735_689_600].map(|at| of_field("clientSecretExpiresAt", &json!(at)));
    flags.chain(numbers).collect()
}

/// The names of its ten lifespans.
const LIFESPANS: [&str; 10] = [
    "authorization_code_grant_access_token_lifespan",
    "authorization_code_grant_id_token_lifespan",
    "authorization_code_grant_refresh_token_lifespan",
    "client_credentials_grant_access_token_lifespan",
    "implicit_grant_access_token_lifespan",
    "implicit_grant_id_token_lifespan",
    "jwt_bearer_grant_access_token_lifespan",
    "refresh_token_grant_access_token_lifespan",
    "refresh_token_grant_id_token_lifespan",
    "refresh_token_grant_refresh_token_lifespan",
];

fn lifespans() -> Vec<Case> {
    let values = ["90m", "720h", "1h30m", "1.5h", "300s", "250ms", "1000us", "5000ns", "0s", "60m"];
    let one = |(name, value): (&str, &str)| of_field("tokenLifespans", &json!({ name: value }));
    let mut cases: Vec<_> = LIFESPANS.into_iter().zip(values).map(one).collect();
    let all: Map<_, _> = LIFESPANS.iter().map(|name| ((*name).to_owned(), json!("2h"))).collect();
    cases.push(of_field("tokenLifespans", &Value::Object(all)));
    cases
}

fn objects() -> Vec<Case> {
    let admin = |admin: Value| of_field("hydraAdmin", &admin);
    let mut cases = vec![
        of_field("tokenLifespans", &json!({})),
        of_field("metadata", &json!({})),
        of_field("metadata", &Value::Null),
        of_field(
            "metadata",
            &json!({ "team": "a", "deep": { "list": [1, 2.5, "x", null, false] } }),
        ),
        admin(json!({})),
        admin(json!({ "url": "" })),
        admin(json!({ "port": 0 })),
        admin(json!({ "port": -1 })),
        admin(json!({ "endpoint": "" })),
        admin(
            json!({ "url": "", "port": 4445, "endpoint": "/clients", "forwardedProto": "https" }),
        ),
    ];
    cases.extend(
        ["http", "https", "off", ""].map(|proto| admin(json!({ "forwardedProto": proto }))),
    );
    cases
}

/// The schema takes it for a lifespan, since its pattern is not anchored.
pub const NO_DURATION: &str = "forever1hplease";

/// What the schema lets through and Hydra may refuse, and everything that can be null.
fn odd() -> Vec<Case> {
    // Null is no value of other fields: the schema refuses it.
    let unset = [
        "skipConsent",
        "skipLogoutConsent",
        "frontChannelLogoutSessionRequired",
        "backChannelLogoutSessionRequired",
        "metadata",
    ];
    let unset: Map<_, _> = unset.into_iter().map(|field| (field.to_owned(), Value::Null)).collect();
    vec![
        case("null", Value::Object(unset)),
        case("an odd lifespan", json!({ "tokenLifespans": { LIFESPANS[0]: NO_DURATION } })),
        case("a fragment", json!({ "redirectUris": ["https://shop.example.com/#top"] })),
        case(
            "a foreign logout",
            json!({ "postLogoutRedirectUris": ["https://other.example.com"] }),
        ),
        case("an odd algorithm", json!({ "userinfoSignedResponseAlg": "ES1024" })),
        case("an odd origin", json!({ "allowedCorsOrigins": ["shop:80"] })),
        case("a spaced address", json!({ "redirectUris": ["see https://shop.example.com/a b"] })),
    ]
}

/// Nothing that the schema of hydra-maester knows is missing.
#[test]
fn the_corpus_has_each_field_and_each_value() {
    let former = &read_manifest("tests/crds/former.yaml")[0];
    let schema = &former["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut known = BTreeSet::new();
    vocabulary(&schema["properties"]["spec"], "spec", &mut known);
    let mut used = BTreeSet::from(["spec.secretName".to_owned()]);
    for case in cases("") {
        words(&case.spec, "spec", &mut used);
    }
    let missing: Vec<_> = known.difference(&used).collect();
    assert!(missing.is_empty(), "the corpus lacks {missing:?}");
}

/// The paths of the fields of a schema, and of the values of its enumerations.
fn vocabulary(schema: &Value, path: &str, known: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        known.insert(path.clone());
        vocabulary(property, &path, known);
        vocabulary(&property["items"], &path, known);
    }
    let values = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    known.extend(values.map(|value| format!("{path}={value}")));
}

/// The paths of what a spec sets, in the words of [`vocabulary`].
fn words(value: &Value, path: &str, used: &mut BTreeSet<String>) {
    used.insert(path.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| words(value, &format!("{path}.{name}"), used));
        }
        Value::Array(items) => items.iter().for_each(|item| words(item, path, used)),
        Value::String(text) => {
            used.insert(format!("{path}={text}"));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
