//! Fixtures of the tests of the pure modules.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    apply::Applied,
    desired::{Desired, Permissions, desired},
    observe::Observed,
    plan,
    record::Record,
    rotation::Key,
    waiting::Waiting,
};
use crate::{
    api::{
        JsonWebKeySet,
        jsonwebkeyset::{Algorithm, KeyOrigin, KeyState, KeyStatus, OutputStatuses},
    },
    hydra::{Generation, KeySet, StoredKey},
    jose::{Jwk, PublicJwk, generate},
};

/// The resource `signing` of namespace `shop` with `spec`.
pub fn resource(spec: &Value) -> JsonWebKeySet {
    with_status(spec, &json!({}))
}

/// The same with a status.
pub fn with_status(spec: &Value, status: &Value) -> JsonWebKeySet {
    serde_json::from_value(json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "JsonWebKeySet",
        "metadata": { "name": "signing", "namespace": "shop", "uid": "uid-1", "generation": 2 },
        "spec": spec,
        "status": status,
    }))
    .unwrap()
}

/// The same with an annotation.
pub fn annotated(mut resource: JsonWebKeySet, name: &str, value: &str) -> JsonWebKeySet {
    let annotations = resource.metadata.annotations.get_or_insert_default();
    annotations.insert(format!("hydra.ory.sh/{name}"), value.to_owned());
    resource
}

/// What `spec` asks for, where all sets of Hydra itself are open, and nothing else is allowed.
pub fn wanted(spec: &Value) -> Desired {
    let permissions =
        Permissions { system_from: BTreeSet::from(["shop".to_owned()]), ..Permissions::default() };
    desired(&resource(spec), &permissions).unwrap()
}

/// Seconds after the epoch.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A new private key for ES256.
pub fn private(kid: &str) -> Jwk {
    generate(&Algorithm::ES256, kid, "sig").unwrap()
}

/// A secret.
pub fn symmetric(kid: &str) -> Jwk {
    let value = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": kid, "alg": "HS256", "use": "sig" });
    Jwk::from_value(value).unwrap()
}

/// The public half as it is handed out.
pub fn public(jwk: &Jwk) -> PublicJwk {
    plan::public(jwk, &key(jwk.kid().unwrap(), KeyState::Active)).unwrap()
}

/// A key for ES256 and signatures, made by Hydra, in its state since the epoch.
pub fn key(kid: &str, state: KeyState) -> Key {
    Key {
        kid: kid.to_owned(),
        algorithm: "ES256".to_owned(),
        key_use: "sig".to_owned(),
        state,
        since: at(0),
        origin: KeyOrigin::Hydra,
    }
}

/// The same as status records it.
pub fn recorded(kid: &str, state: KeyState, public: Option<PublicJwk>) -> KeyStatus {
    let key = key(kid, state);
    KeyStatus {
        kid: key.kid,
        algorithm: key.algorithm,
        r#use: key.key_use,
        state,
        since: Some(key.since),
        until: None,
        origin: key.origin,
        public_key: public,
    }
}

/// A record of these keys alone.
pub fn record(keys: Vec<KeyStatus>) -> Record {
    Record { keys, settled: true, ..Record::default() }
}

/// A key as Hydra 2 stores it.
pub fn stored(jwk: &Jwk) -> StoredKey {
    let kid = jwk.kid().unwrap().to_owned();
    StoredKey {
        published_kid: kid.clone(),
        rows: vec![kid.clone()],
        purposes: vec![["alg", "use"].map(|member| jwk.text(member).map(ToOwned::to_owned))],
        jwk: jwk.clone(),
        position: 0,
        kid,
    }
}

/// A Hydra 2 with these keys in the set, the newest first, and nothing else anywhere.
pub fn observed(keys: &[&Jwk]) -> Observed {
    let keys: Vec<StoredKey> = keys.iter().copied().map(stored).collect();
    Observed {
        generation: Generation::V2,
        set: (!keys.is_empty()).then_some(KeySet { keys }),
        published: None,
        imported: None,
        import: None,
        material_state: None,
        material: Vec::new(),
        public_state: None,
        shown: Vec::new(),
        private_state: None,
        handed_out: Vec::new(),
        linked: Vec::new(),
        well_known: None,
    }
}

/// A pass that ended with these keys and did nothing.
pub fn applied(keys: Vec<Key>) -> Applied {
    Applied {
        keys,
        publics: [].into(),
        provided: [].into(),
        due: None,
        next_rotation: None,
        foreign: Vec::new(),
        stranger: None,
        waiting: Waiting::default(),
        outputs: OutputStatuses::default(),
        made: Vec::new(),
        restored: Vec::new(),
        removed: Vec::new(),
        lost: Vec::new(),
        retired: Vec::new(),
    }
}
