//! Which events a pass has: each once.

use serde_json::{Value, json};

use super::*;
use crate::{
    api::jsonwebkeyset::KeyState::{Active, Pending, Published, Retained},
    jsonwebkeyset::{
        plan::Recorded,
        rotation::Key,
        status::status,
        testing::{annotated, applied, at, key, resource, wanted, with_status},
    },
};

fn spec() -> Value {
    json!({ "algorithm": "ES256" })
}

fn success(applied: Applied) -> Outcome {
    Outcome::Applied { desired: Box::new(wanted(&spec())), applied: Box::new(applied) }
}

fn failed(reason: Reason) -> Outcome {
    Outcome::Failed(Failure::terminal(reason, "why"))
}

/// The resource after passes with these outcomes.
fn after(outcomes: &[Outcome]) -> JsonWebKeySet {
    outcomes.iter().fold(resource(&spec()), |resource, outcome| {
        with_status(&spec(), &json!(status(&resource, outcome, at(30))))
    })
}

fn with_keys(keys: Vec<Key>) -> JsonWebKeySet {
    after(&[success(applied(keys))])
}

/// The events of a pass, each as `Warning Reason` or `Reason`.
fn told(resource: &JsonWebKeySet, outcome: &Outcome) -> Vec<String> {
    let found = notices(resource, outcome, &status(resource, outcome, at(60)));
    let told = |notice: &Notice| {
        if notice.warning { format!("Warning {}", notice.reason) } else { notice.reason.to_owned() }
    };
    found.iter().map(told).collect()
}

fn kids(kids: &[&str]) -> Vec<String> {
    kids.iter().map(|kid| (*kid).to_owned()).collect()
}

#[test]
fn the_life_of_a_key_is_told() {
    let recording = Outcome::Recorded {
        desired: Box::new(wanted(&spec())),
        keys: vec![Recorded { key: key("a", Pending), public: None }],
        intruder: None,
    };
    assert!(told(&resource(&spec()), &recording).is_empty(), "nothing has happened yet");
    let resource = after(&[recording]);
    let made = Applied { made: kids(&["a"]), ..applied(vec![key("a", Pending)]) };
    assert_eq!(told(&resource, &success(made)), ["KeyCreated"]);
    let active = applied(vec![key("a", Active)]);
    assert_eq!(told(&resource, &success(active.clone())), ["KeyActivated"]);

    let resource = after(&[success(active.clone())]);
    assert!(told(&resource, &success(active)).is_empty(), "a pass that changes nothing");
    let switched = applied(vec![key("a", Retained), key("b", Active)]);
    assert_eq!(told(&resource, &success(switched)), ["KeyActivated"]);
    let removed = Applied { removed: kids(&["old"]), ..applied(vec![key("a", Active)]) };
    assert_eq!(told(&resource, &success(removed.clone())), ["KeyRemoved"]);
    let asked = annotated(resource, "revoke-key", "old");
    assert_eq!(told(&asked, &success(removed)), ["Warning KeyRevoked"]);
}

#[test]
fn who_signs_is_told() {
    let resource = resource(&spec());
    let active = applied(vec![key("a", Active)]);
    let note = |outcome: &Outcome| {
        let found = notices(&resource, outcome, &status(&resource, outcome, at(60)));
        found.into_iter().map(|notice| notice.note).collect::<String>()
    };
    assert!(note(&success(active.clone())).contains("it is to be signed with"));
    let system = json!({ "algorithm": "ES256", "setName": "hydra.openid.id-token" });
    let desired = Box::new(wanted(&system));
    let outcome = Outcome::Applied { desired, applied: Box::new(active) };
    assert!(note(&outcome).contains("Hydra signs with it"));
}

#[test]
fn adopted_keys_are_told_by_one_event() {
    let mut keys = [key("a", Retained), key("b", Active)];
    for key in &mut keys {
        key.origin = KeyOrigin::Adopted;
    }
    let keys = keys.map(|key| Recorded { key, public: None }).to_vec();
    let outcome = Outcome::Recorded { desired: Box::new(wanted(&spec())), keys, intruder: None };
    let resource = resource(&spec());
    let found = notices(&resource, &outcome, &status(&resource, &outcome, at(60)));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].reason, found[0].warning), ("KeysAdopted", false));
    assert!(found[0].note.contains("a, b"), "{}", found[0].note);
}

#[test]
fn foreign_keys_are_told_when_there_is_another() {
    let foreign = |foreign: &[&str]| {
        success(Applied { foreign: kids(foreign), ..applied(vec![key("a", Active)]) })
    };
    let resource = with_keys(vec![key("a", Active)]);
    assert_eq!(told(&resource, &foreign(&["x"])), ["Warning ForeignKeys"]);
    let resource = after(&[foreign(&["x", "y"])]);
    assert!(told(&resource, &foreign(&["x", "y"])).is_empty());
    assert!(told(&resource, &foreign(&["y"])).is_empty(), "one that goes is no news");
    assert_eq!(told(&resource, &foreign(&["x", "z"])), ["Warning ForeignKeys"]);
}

/// In the pass that makes its successor, whatever else that pass does: Hydra's own sets, and symmetric keys, have nothing that could
/// be put back.
#[test]
fn a_lost_key_is_told_once() {
    let keys = || vec![key("a", Active), key("b", Pending)];
    let resource = with_keys(keys());
    let lost = Applied { lost: kids(&["a"]), ..applied(keys()) };
    let made = Applied { made: kids(&["b"]), ..lost.clone() };
    assert_eq!(told(&resource, &success(made)), ["KeyCreated", "Warning KeyLost"]);
    let restored = Applied { restored: kids(&["a"]), ..lost.clone() };
    assert_eq!(told(&resource, &success(restored)), ["Warning KeyLost"]);
    assert!(told(&resource, &success(lost)).is_empty(), "until the successor signs");
}

#[test]
fn a_key_that_is_lost_before_it_signs_is_told_when_it_is_given_up() {
    let resource = with_keys(vec![key("a", Active), key("b", Published)]);
    let given_up =
        Applied { lost: kids(&["b"]), ..applied(vec![key("a", Active), key("b", Retained)]) };
    assert_eq!(told(&resource, &success(given_up)), ["Warning KeyLost"]);
}

#[test]
fn what_is_deleted_for_the_spec_is_told() {
    let resource = with_keys(vec![key("a", Active)]);
    let retired = Applied { retired: kids(&["Secret former"]), ..applied(vec![key("a", Active)]) };
    assert_eq!(told(&resource, &success(retired)), ["OutputDeleted"]);
}

#[test]
fn a_trouble_is_told_when_it_begins_and_when_it_is_over() {
    let ready = with_keys(vec![key("a", Active)]);
    assert_eq!(told(&ready, &failed(Reason::KeySetInUse)), ["Warning KeySetInUse"]);
    let troubled = after(&[success(applied(vec![key("a", Active)])), failed(Reason::KeySetInUse)]);
    assert!(told(&troubled, &failed(Reason::KeySetInUse)).is_empty());
    assert_eq!(told(&troubled, &failed(Reason::HydraError)), ["Warning HydraError"]);
    assert_eq!(told(&troubled, &success(applied(vec![key("a", Active)]))), ["Synced"]);
    assert_eq!(told(&ready, &Outcome::Suspended), ["Suspended"]);
}

#[test]
fn what_stands_in_the_way_of_a_rotation_is_told_once() {
    let active = || applied(vec![key("a", Active)]);
    let displaced = success(Applied { stranger: Some("theirs".into()), ..active() });
    let ready = with_keys(vec![key("a", Active)]);
    assert_eq!(told(&ready, &displaced), ["Warning ForeignKeySigns"]);
    let found = after(&[success(active()), displaced.clone()]);
    assert!(told(&found, &displaced).is_empty());
    assert_eq!(told(&found, &success(active())), ["Synced"]);
    // That another key takes the place of one that is not as declared, its own events tell.
    let mut other = key("a", Active);
    other.algorithm = "ES384".to_owned();
    let replacing = success(applied(vec![other]));
    assert!(told(&ready, &replacing).is_empty());
    let found = after(&[success(active()), replacing]);
    assert!(told(&found, &success(active())).is_empty());
}

#[test]
fn conflicts_are_nobodys_business() {
    let ready = with_keys(vec![key("a", Active)]);
    for class in [Class::Conflict, Class::Unobserved] {
        let failure = Failure { class, ..Failure::terminal(Reason::HydraError, "why") };
        assert!(told(&ready, &Outcome::Failed(failure)).is_empty());
    }
}
