use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    controller::Class,
    oauth2client::{desired::desired, key_sets::KeySets, testing},
};

fn key(kid: &str, state: &str, alg: &str) -> Value {
    json!({
        "kid": kid, "algorithm": alg, "use": "sig", "state": state, "origin": "Hydra",
        "publicKey": { "kty": "EC", "crv": "P-256", "x": format!("x-{kid}"), "y": "y" },
    })
}

/// Without its public half.
fn unmade(kid: &str) -> Value {
    let mut key = key(kid, "Pending", "ES256");
    key.as_object_mut().unwrap().remove("publicKey");
    key
}

fn set(spec: &Value, keys: &[Value]) -> KeySet {
    let set: JsonWebKeySet = serde_json::from_value(json!({
        "metadata": { "name": "signing", "namespace": "team-a" },
        "spec": spec,
        "status": { "keys": keys },
    }))
    .unwrap();
    KeySet::of(&set)
}

fn es256(keys: &[Value]) -> KeySet {
    set(&json!({ "algorithm": "ES256" }), keys)
}

fn found(set: KeySet) -> Link {
    Link::Found(Arc::new(set))
}

fn client(more: &Value, status: &Value) -> OAuth2Client {
    let mut spec = json!({
        "grantTypes": ["client_credentials"], "secretName": "s",
        "tokenEndpointAuthMethod": "private_key_jwt", "jwksFrom": { "name": "signing" },
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    testing::with_status(&spec, status)
}

fn new_client(more: &Value) -> OAuth2Client {
    client(more, &json!({ "observedGeneration": -1 }))
}

#[test]
fn the_client_has_all_public_keys_and_the_algorithm_of_those_that_sign() {
    let keys = [
        key("old", "Retained", "ES256"),
        key("now", "Active", "ES384"),
        key("next", "Published", "ES256"),
        key("made", "Pending", "ES256"),
        unmade("asked-for"),
    ];
    // What the spec says by now is not what the keys are.
    let link = found(set(&json!({ "algorithm": "RS256" }), &keys));
    let desired = desired(&new_client(&json!({})), &link).unwrap();
    let jwks = desired.client.jwks.unwrap();
    let kids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(json!(kids), json!(["old", "now", "next", "made"]));
    assert_eq!(
        jwks["keys"][1],
        json!({ "kty": "EC", "crv": "P-256", "x": "x-now", "y": "y", "kid": "now", "use": "sig", "alg": "ES384" })
    );
    assert_eq!(desired.client.token_endpoint_auth_signing_alg.as_deref(), Some("ES384"));
    let linked = desired.linked.unwrap();
    assert_eq!((linked.name.as_str(), linked.keys.len()), ("signing", 4));
}

#[test]
fn private_members_and_symmetric_keys_go_nowhere() {
    let mut leaky = key("leaky", "Active", "ES256");
    leaky["publicKey"]["d"] = json!("private");
    let mut symmetric = key("symmetric", "Published", "HS256");
    symmetric["publicKey"] = json!({ "kty": "oct", "k": "private" });
    let set = es256(&[leaky, symmetric]);
    assert!(!set.jwks().to_string().contains("private"));
    assert_eq!(set.held().keys, ["leaky"]);
}

#[test]
fn what_cannot_be_linked_is_told_with_the_way_out() {
    let (none, nothing) = (json!({}), json!({ "observedGeneration": -1 }));
    let spec = |more: Value| new_client(&more);
    let one = || found(es256(&[key("a", "Pending", "ES256")]));
    let of = |alg: &str| found(set(&json!({ "algorithm": alg }), &[]));
    let encrypting = found(set(&json!({ "algorithm": "ES256", "use": "enc" }), &[]));
    let ready = json!({
        "observedGeneration": 2,
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Synced" }],
    });
    let settled = || client(&none, &ready);
    let waiting = |words| Some((Class::Waiting, Reason::WaitingForKeySet, words));
    let invalid = |words| Some((Class::Terminal, Reason::InvalidSpec, words));
    let keys = json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] });
    let exclusive = "exclude each other";
    let cases = vec![
        ("one key", spec(none.clone()), one(), None),
        ("no set", spec(none.clone()), Link::Absent, waiting("JsonWebKeySet signing")),
        ("no set any more", settled(), Link::Absent, waiting("stays as it is")),
        ("no key", spec(none.clone()), of("ES256"), waiting("no public key")),
        ("no key yet", spec(none.clone()), found(es256(&[unmade("a")])), waiting("no public key")),
        ("not listed", spec(none.clone()), Link::Unknown, waiting("no list")),
        (
            "not listed, and settled",
            settled(),
            Link::Unknown,
            Some((Class::Unobserved, Reason::WaitingForKeySet, "no list")),
        ),
        ("EdDSA", spec(none.clone()), of("EdDSA"), invalid("such as ES256")),
        ("HS256", spec(none.clone()), of("HS256"), invalid("such as ES256")),
        ("PS512", spec(none.clone()), of("PS512"), waiting("no public key")),
        ("enc", spec(none.clone()), encrypting, invalid("use is sig")),
        ("same", spec(json!({ "tokenEndpointAuthSigningAlg": "ES256" })), one(), None),
        ("unset", spec(json!({ "tokenEndpointAuthSigningAlg": "" })), one(), None),
        (
            "another",
            spec(json!({ "tokenEndpointAuthSigningAlg": "RS256" })),
            one(),
            invalid("remove spec.tokenEndpointAuthSigningAlg"),
        ),
        ("jwks too", spec(json!({ "jwks": keys })), one(), invalid(exclusive)),
        ("jwksUri too", spec(json!({ "jwksUri": "https://a" })), one(), invalid(exclusive)),
        ("no jwksUri", spec(json!({ "jwksUri": "" })), one(), None),
        ("no name", spec(json!({ "jwksFrom": {} })), Link::Absent, invalid("name a JsonWebKeySet")),
        ("none", client(&json!({ "jwksFrom": null }), &nothing), one(), invalid("spec.jwksFrom")),
    ];
    for (name, resource, link, expected) in cases {
        match (desired(&resource, &link), expected) {
            (Ok(_), None) => {}
            (Err(failure), Some((class, reason, words))) => {
                assert_eq!((failure.class, failure.reason), (class, reason), "{name}: {failure}");
                assert!(failure.message.contains(words), "{name}: {failure}");
            }
            (found, expected) => panic!("{name}: {:?}, not {expected:?}", found.err()),
        }
    }
}

#[test]
fn a_reference_that_is_removed_leaves_no_keys() {
    let status = json!({ "managed": ["jwks"], "jwks": { "name": "signing", "keys": ["a"] } });
    let spec = json!({ "jwksFrom": null, "tokenEndpointAuthMethod": null });
    let desired = desired(&client(&spec, &status), &Link::None).unwrap();
    assert_eq!(desired.client.jwks, Some(json!({})));
    assert_eq!(desired.client.token_endpoint_auth_signing_alg.as_deref(), Some(""));
    assert_eq!(desired.linked, None);
}

#[test]
fn a_client_has_moved_from_its_set_when_anything_of_the_keys_is_new() {
    let keys = || vec![key("a", "Active", "ES256"), key("b", "Published", "ES256")];
    let base = es256(&keys());
    let held = base.held().clone();
    let changed = |change: fn(&mut Vec<Value>)| {
        let mut keys = keys();
        change(&mut keys);
        found(es256(&keys))
    };
    let other = LinkedKeys { name: "other".into(), ..held.clone() };
    let cases = [
        ("the same", changed(|_| {}), Some(&held), false),
        ("another state", changed(|keys| keys[1]["state"] = json!("Retained")), Some(&held), false),
        (
            "a date",
            changed(|keys| keys[1]["until"] = json!("2026-01-01T00:00:00Z")),
            Some(&held),
            false,
        ),
        ("one more, not made", changed(|keys| keys.push(unmade("c"))), Some(&held), false),
        ("one more", changed(|keys| keys.push(key("c", "Pending", "ES256"))), Some(&held), true),
        ("one less", changed(|keys| drop(keys.pop())), Some(&held), true),
        (
            "other material",
            changed(|keys| keys[1]["publicKey"]["x"] = json!("z")),
            Some(&held),
            true,
        ),
        (
            "another algorithm",
            changed(|keys| keys[0]["algorithm"] = json!("ES384")),
            Some(&held),
            true,
        ),
        ("another set", changed(|_| {}), Some(&other), true),
        ("nothing held", changed(|_| {}), None, true),
        ("gone", Link::Absent, Some(&held), true),
        ("not known", Link::Unknown, Some(&held), false),
        ("no reference", Link::None, Some(&held), true),
        ("never one", Link::None, None, false),
    ];
    for (name, link, held, expected) in cases {
        assert_eq!(link.has_moved(held), expected, "{name}");
    }
}

#[test]
fn the_clients_of_a_set_are_those_that_refer_to_it() {
    let named = |name: &str, mut client: OAuth2Client| {
        client.metadata.name = Some(name.into());
        client
    };
    let held = json!({ "jwks": { "name": "signing", "keys": ["a", "b"], "digest": "d" } });
    let mut deleted = named("deleted", client(&json!({}), &held));
    deleted.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    let mut elsewhere = named("elsewhere", client(&json!({}), &held));
    elsewhere.metadata.namespace = Some("team-b".into());
    let clients = vec![
        named("has-both", client(&json!({}), &held)),
        named("new", new_client(&json!({}))),
        named("paused", client(&json!({ "suspend": true }), &held)),
        named("came", client(&json!({}), &json!({ "jwks": { "name": "other", "keys": ["x"] } }))),
        named("left", client(&json!({ "jwksFrom": { "name": "other" } }), &held)),
        named("none", client(&json!({ "jwksFrom": null }), &held)),
        deleted,
        elsewhere,
    ];
    let sets = KeySets::default();
    for client in &clients {
        let _ = sets.shown(client);
    }
    let linked = sets.linked(&("team-a".into(), "signing".into()));
    let told: Vec<_> = linked
        .iter()
        .map(|client| {
            (client.name.as_str(), client.holds.len(), client.ever_linked, client.is_suspended)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("came", 0, false, false),
            ("has-both", 2, true, false),
            ("new", 0, false, false),
            ("paused", 2, true, true)
        ]
    );
}

fn histories() -> impl Strategy<Value = Vec<(u8, u8, bool)>> {
    proptest::collection::vec((0..6u8, 0..4u8, any::<bool>()), 0..6)
}

fn keys_of(history: &[(u8, u8, bool)]) -> Vec<Value> {
    let states = ["Pending", "Published", "Active", "Retained"];
    let key = |(kid, state, made): &(u8, u8, bool)| {
        let kid = format!("k{kid}");
        let mut made_key = key(&kid, states[usize::from(*state)], "ES256");
        if !made {
            made_key.as_object_mut().unwrap().remove("publicKey");
        }
        made_key
    };
    history.iter().map(key).collect()
}

proptest! {
    /// What is recorded says exactly whether the client has the keys of the set.
    #[test]
    fn a_client_is_at_rest_with_these_keys_alone(before in histories(), after in histories()) {
        let (before, after) = (es256(&keys_of(&before)), es256(&keys_of(&after)));
        let moved = found(after.clone()).has_moved(Some(before.held()));
        prop_assert_eq!(moved, before.jwks() != after.jwks());
    }
}
