//! What would be done, in words.

use serde_json::{Value, json};

use super::*;
use crate::{
    api::jsonwebkeyset::{
        KeyOrigin,
        KeyState::{Active, Pending, Published, Retained},
    },
    jose::Jwk,
    jsonwebkeyset::{
        desired::Desired,
        observe::Observed,
        pass::Decision,
        plan::plan,
        testing::{at, observed, private, public, record, recorded, wanted},
    },
    kubernetes::outputs::OutputState,
};

/// Half a minute after the epoch: what would be done, and why.
fn told(desired: &Desired, record: &Record, observed: Observed) -> (String, String) {
    let plan = plan(desired, record, &observed, "fresh", at(30)).unwrap();
    let decision = Decision { desired: desired.clone(), observed, plan };
    let intent = describe::describe(&decision, record, "signing", &marks());
    (intent.to_string(), intent.why)
}

fn with_outputs() -> Value {
    let outputs =
        json!({ "publicConfigMap": { "name": "shown" }, "privateSecret": { "name": "out" } });
    json!({ "algorithm": "ES256", "rotation": { "publishBefore": "10s", "retain": "10s" }, "outputs": outputs })
}

fn with_absent_outputs(keys: &[&Jwk]) -> Observed {
    Observed {
        public_state: Some(OutputState::Absent),
        private_state: Some(OutputState::Absent),
        ..observed(keys)
    }
}

fn of(
    kid: &str,
    jwk: &Jwk,
    state: crate::api::jsonwebkeyset::KeyState,
) -> crate::api::jsonwebkeyset::KeyStatus {
    recorded(kid, state, Some(public(jwk)))
}

#[test]
fn a_first_key_and_its_outputs_are_told_without_an_id_that_is_new_each_time() {
    let desired = wanted(&with_outputs());
    let expected = (
        "make key: ES256; create ConfigMap shown; create Secret out".to_owned(),
        "there is no key of this resource".to_owned(),
    );
    assert_eq!(told(&desired, &Record::default(), with_absent_outputs(&[])), expected);
    let pending = record(vec![recorded("a", Pending, None)]);
    let (what, why) = told(&desired, &pending, with_absent_outputs(&[]));
    assert_eq!((what, why.as_str()), (expected.0, "a key is recorded that is not made"));
    // Hydra 1 does not make these.
    let desired = wanted(&json!({ "algorithm": "ES384" }));
    let seen = Observed { generation: crate::hydra::Generation::V1, ..observed(&[]) };
    let (what, _) = told(&desired, &Record::default(), seen);
    assert_eq!(what, "make key: ES384; create Secret signing-key-material");
}

#[test]
fn whatever_becomes_of_keys_is_told() {
    let plain = wanted(
        &json!({ "algorithm": "ES256", "rotation": { "publishBefore": "10s", "retain": "10s" } }),
    );
    let (a, b) = (private("a"), private("b"));
    let current = || of("a", &a, Active);
    let seen = |keys: &[&Jwk]| observed(keys);
    for (record, seen, what, why) in [
        (
            record(vec![current()]),
            seen(&[&a]),
            "nothing",
            "Hydra holds the keys, and the outputs say the same",
        ),
        (
            record(vec![current()]),
            Observed { handed_out: vec![a.clone()], ..seen(&[]) },
            "restore key a",
            "key a is gone from Hydra or altered",
        ),
        (
            Record { rotate: true, ..record(vec![current()]) },
            seen(&[&a]),
            "make key: ES256",
            "a new key is asked for",
        ),
        (
            record(vec![current(), of("b", &b, Published)]),
            seen(&[&b, &a]),
            "activate key b",
            "key b has been public for long enough",
        ),
        (
            record(vec![of("b", &b, Retained), current()]),
            seen(&[&a, &b]),
            "remove key b",
            "key b is not needed any more",
        ),
    ] {
        assert_eq!(told(&plain, &record, seen), (what.to_owned(), why.to_owned()));
    }
    let other = wanted(&json!({ "algorithm": "ES512" }));
    let (_, why) = told(&other, &record(vec![current()]), seen(&[&a]));
    assert_eq!(why, "the current key is not as declared");

    let adopting = Desired { adopts: true, ..plain.clone() };
    let (what, _) = told(&adopting, &Record::default(), seen(&[&b, &a]));
    assert_eq!(what, "adopt key a; adopt key b");

    let import = json!({ "secretRef": { "name": "source" } });
    let importing = wanted(&json!({ "algorithm": "ES256", "import": import }));
    let provided = Observed { imported: Some(vec![a.clone()]), ..seen(&[]) };
    let (what, _) = told(&importing, &Record::default(), provided.clone());
    assert_eq!(what, "import key a");
    let mut pending = recorded("a", Pending, None);
    pending.origin = KeyOrigin::Imported;
    let (what, why) = told(&importing, &record(vec![pending]), provided);
    assert_eq!((what.as_str(), why.as_str()), ("import key a", "Hydra does not hold key a"));
}

#[test]
fn outputs_that_the_spec_names_no_more_are_told() {
    let a = private("a");
    let mut known = record(vec![of("a", &a, Active)]);
    known.outputs.public_config_map = Some(crate::api::jsonwebkeyset::OutputStatus {
        name: "former".into(),
        uid: "u".into(),
        resource_version: "1".into(),
    });
    let (what, why) = told(&wanted(&json!({ "algorithm": "ES256" })), &known, observed(&[&a]));
    assert_eq!(what, "delete ConfigMap former");
    assert_eq!(why, "spec.outputs has changed");
    let (what, _) = told(&wanted(&with_outputs()), &known, with_absent_outputs(&[&a]));
    assert_eq!(what, "create ConfigMap shown; create Secret out; delete ConfigMap former");
    let released: Vec<_> = released(&known.outputs).map(|step| step.to_string()).collect();
    assert_eq!(released, ["release ConfigMap former"]);
}
