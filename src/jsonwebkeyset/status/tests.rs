//! What status says after each outcome.

use serde_json::{Value, json};

use super::*;
use crate::{
    api::ConditionType,
    jsonwebkeyset::{
        error::Reason,
        observe::Trouble,
        waiting::{Awaited, Waiting},
    },
};
use crate::{
    api::jsonwebkeyset::OutputStatus,
    jsonwebkeyset::testing::{
        annotated, applied, at, key, private, public, resource, wanted, with_status,
    },
};

use KeyState::{Active, Pending, Published, Retained};

fn spec() -> Value {
    json!({ "algorithm": "ES256", "rotation": { "interval": "2h", "publishBefore": "1m", "retain": "1h" } })
}

fn success(applied: Applied) -> Outcome {
    Outcome::Applied { desired: Box::new(wanted(&spec())), applied: Box::new(applied) }
}

fn recording(kids: &[&str]) -> Outcome {
    let keys = kids.iter().map(|kid| Recorded { key: key(kid, Pending), public: None });
    Outcome::Recorded { desired: Box::new(wanted(&spec())), keys: keys.collect(), intruder: None }
}

fn awaited(name: &str, trouble: Option<Trouble>) -> Awaited {
    Awaited { name: name.to_owned(), trouble }
}

/// The conditions as `True`, `False` or `-`, and the reason of `Stalled`, which every outcome writes.
fn shown(status: &JsonWebKeySetStatus) -> (String, String) {
    let kinds = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];
    let found = kinds.map(|kind| condition::get(&status.conditions, kind));
    let value = |found: Option<&Condition>| {
        found.map_or("-".to_owned(), |found| format!("{:?}", found.status))
    };
    let reason = found[2].and_then(|stalled| stalled.reason.as_ref().map(ToString::to_string));
    (found.into_iter().map(value).collect::<Vec<_>>().join(" "), reason.unwrap_or_default())
}

fn message(status: &JsonWebKeySetStatus) -> String {
    let stalled = condition::get(&status.conditions, ConditionType::Stalled).unwrap();
    stalled.message.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn each_outcome_has_its_conditions() {
    let failed = |class| {
        let failure = Failure { class, ..Failure::terminal(Reason::HydraError, "no") };
        Outcome::Failed(failure)
    };
    for (outcome, conditions, reason) in [
        (recording(&["a"]), "False True False", "Progressing"),
        (success(applied(vec![key("a", Pending)])), "False True False", "Progressing"),
        (success(applied(vec![key("a", Published)])), "False True False", "Progressing"),
        (success(applied(vec![])), "False True False", "Progressing"),
        (success(applied(vec![key("a", Active)])), "True False False", "Synced"),
        (success(applied(vec![key("a", Active), key("b", Pending)])), "True False False", "Synced"),
        (Outcome::Suspended, "False False False", "Suspended"),
        (failed(Class::Transient), "False True False", "HydraError"),
        (failed(Class::Waiting), "False True False", "HydraError"),
        (failed(Class::Terminal), "False False True", "HydraError"),
        (failed(Class::Conflict), "- - -", ""),
        (failed(Class::Unobserved), "- - -", ""),
    ] {
        let found = status(&resource(&spec()), &outcome, at(60));
        assert_eq!(shown(&found), (conditions.to_owned(), reason.to_owned()));
        let tells = !reason.is_empty();
        assert_eq!(found.observed_generation, tells.then_some(2), "{reason}");
        for condition in &found.conditions {
            assert_eq!(condition.observed_generation, Some(2), "{reason}");
        }
    }
}

#[test]
fn a_new_key_beside_a_current_one_leaves_the_conditions_as_they_are() {
    let ready = status(&resource(&spec()), &success(applied(vec![key("a", Active)])), at(60));
    let resource = with_status(&spec(), &json!(ready));
    let found = status(&resource, &recording(&["b"]), at(90));
    assert_eq!(found.conditions, ready.conditions);
    let kids: Vec<_> = found.keys.iter().map(|key| (key.kid.as_str(), key.state)).collect();
    assert_eq!(kids, [("a", Active), ("b", Pending)], "the one that is recorded stays");
    assert_eq!(found.current_key.as_deref(), Some("a"));
}

#[test]
fn a_key_that_is_not_as_declared_by_now_is_not_ready() {
    let mut former = key("a", Active);
    former.algorithm = "ES384".to_owned();
    let mut done = applied(vec![former.clone(), key("b", Published)]);
    done.next_rotation = Some(at(60));
    let found = status(&resource(&spec()), &success(done), at(30));
    assert_eq!(shown(&found), ("False True False".to_owned(), "ReplacingKey".to_owned()));
    assert_eq!(
        message(&found),
        "the current key a is for ES384 (sig), and the spec asks for ES256 (sig): key b takes its place at \
         1970-01-01T00:01:00Z, and it signs until then"
    );
    let rotated = applied(vec![former, key("b", Active)]);
    let rotated = Applied { keys: rotated.keys.into_iter().rev().collect(), ..rotated };
    let found = status(&resource(&spec()), &success(rotated), at(60));
    assert_eq!(shown(&found).0, "True False False");

    let mut encrypting = key("a", Active);
    encrypting.key_use = "enc".to_owned();
    let import = json!({ "secretRef": { "name": "source" } });
    let desired = Box::new(wanted(&json!({ "algorithm": "ES256", "import": import })));
    let outcome = Outcome::Applied { desired, applied: Box::new(applied(vec![encrypting])) };
    let found = status(&resource(&spec()), &outcome, at(60));
    assert_eq!(shown(&found), ("False False True".to_owned(), "InvalidImport".to_owned()));
    assert!(message(&found).contains("in front of it into Secret source"), "{}", message(&found));
}

#[test]
fn a_client_in_trouble_holds_up_an_overdue_rotation_and_one_that_lags_does_not() {
    let waiting =
        |trouble| Waiting { clients: vec![awaited("app", trouble)], expected: Some(at(60)) };
    let suspended = || Some(Trouble::Suspended);
    let not_ready = || Some(Trouble::NotReady("RejectedByHydra".to_owned()));
    for (trouble, second, expected, words) in [
        (None, 90, "Synced", "hold it: app"),
        (suspended(), 59, "Synced", "hold it: app"),
        (suspended(), 60, "WaitingForClient", "OAuth2Client app, which"),
        (not_ready(), 60, "WaitingForClient", "is not ready (RejectedByHydra)"),
    ] {
        let done = Applied {
            waiting: waiting(trouble),
            ..applied(vec![key("now", Active), key("next", Pending)])
        };
        let found = status(&resource(&spec()), &success(done), at(second));
        let conditions = if expected == "Synced" { "True False False" } else { "False True False" };
        assert_eq!(shown(&found), (conditions.to_owned(), expected.to_owned()));
        assert!(message(&found).contains(words), "{}", message(&found));
    }
}

#[test]
fn a_key_of_somebody_else_that_signs_waits_for_a_person() {
    let done = Applied { stranger: Some("theirs".into()), ..applied(vec![key("ours", Active)]) };
    let found = status(&resource(&spec()), &success(done), at(30));
    assert_eq!(shown(&found), ("False False True".to_owned(), "ForeignKeySigns".to_owned()));
    for words in ["theirs", "ours", "ask for a rotation"] {
        assert!(message(&found).contains(words), "{}", message(&found));
    }
}

#[test]
fn ready_stays_as_it_stood_while_suspended() {
    let ready = status(&resource(&spec()), &success(applied(vec![key("a", Active)])), at(60));
    let mut set = with_status(&spec(), &json!(ready));
    let found = status(&set, &Outcome::Suspended, at(90));
    assert_eq!(shown(&found), ("True False False".to_owned(), "Suspended".to_owned()));
    assert_eq!(found.keys, ready.keys);

    // An edit that follows reaches nobody; `spec.suspend` itself is one.
    set.metadata.generation = Some(3);
    set.spec.suspend = Some(true);
    let suspended = status(&set, &Outcome::Suspended, at(90));
    assert_eq!(shown(&suspended).0, "True False False");
    set.status = Some(suspended);
    set.metadata.generation = Some(4);
    let edited = status(&set, &Outcome::Suspended, at(120));
    assert_eq!(shown(&edited).0, "False False False");
    set.status = Some(edited);
    assert_eq!(shown(&status(&set, &Outcome::Suspended, at(150))).0, "False False False");
}

#[test]
fn a_conflict_leaves_everything_as_it_is() {
    let ready = status(&resource(&spec()), &success(applied(vec![key("a", Active)])), at(60));
    let resource = annotated(with_status(&spec(), &json!(ready)), "reconcile-requested-at", "now");
    for class in [Class::Conflict, Class::Unobserved] {
        let failure = Failure { class, ..Failure::terminal(Reason::HydraError, "no") };
        assert_eq!(status(&resource, &Outcome::Failed(failure), at(90)), ready);
    }
}

#[test]
fn the_keys_are_told_with_their_times() {
    let jwk = private("now");
    let mut done = applied(vec![key("old", Retained), key("now", Active), key("next", Published)]);
    done.publics.insert("now".to_owned(), public(&jwk));
    done.next_rotation = Some(at(60));
    let found = status(&resource(&spec()), &success(done), at(30));
    let until: Vec<_> = found.keys.iter().map(|key| key.until).collect();
    assert_eq!(until, [Some(at(3600)), Some(at(7200)), Some(at(60))]);
    assert_eq!(found.keys[1].public_key, Some(public(&jwk)));
    assert_eq!(found.keys[0].public_key, None);
    assert_eq!(found.set_name.as_deref(), Some("k8s.shop.signing"));
    assert_eq!((found.current_key.as_deref(), found.key_count), (Some("now"), Some(3)));
    assert_eq!(found.next_rotation, Some(at(60)));
    assert!(!json!(found).to_string().contains(jwk.expose("d").unwrap()));
}

#[test]
fn a_key_that_is_provided_has_no_end() {
    let mut done = applied(vec![key("beside", Retained), key("now", Active)]);
    done.provided.insert("beside".to_owned());
    let found = status(&resource(&spec()), &success(done), at(30));
    assert_eq!(found.keys[0].until, None);
}

/// A time that is rounded up would be one that is still to come.
#[test]
fn times_are_cut_to_milliseconds() {
    let precise: Timestamp = "2026-01-01T00:00:00.123999999Z".parse().unwrap();
    let mut current = key("now", Active);
    current.since = precise;
    let found = status(&resource(&spec()), &success(applied(vec![current])), precise);
    let since = found.keys[0].since.unwrap();
    assert_eq!(since.to_string(), "2026-01-01T00:00:00.123Z");
    assert!(since <= precise);
}

#[test]
fn requests_are_echoed_once_they_are_met() {
    let mut asking = resource(&spec());
    for (name, value) in
        [("reconcile-requested-at", "1"), ("rotate-requested-at", "2"), ("revoke-key", "old")]
    {
        asking = annotated(asking, name, value);
    }
    let handled = |outcome: &Outcome| {
        let found = status(&asking, outcome, at(30));
        [
            found.last_handled_reconcile_at.is_some(),
            found.last_handled_rotate_at.is_some(),
            found.last_handled_revoke_key.is_some(),
        ]
    };
    assert_eq!(handled(&success(applied(vec![key("now", Active)]))), [true, true, true]);
    assert_eq!(
        handled(&recording(&["fresh"])),
        [true, true, false],
        "what is gone is removed later"
    );
    let failed = Outcome::Failed(Failure::terminal(Reason::KeySetInUse, "no"));
    assert_eq!(handled(&failed), [true, false, false]);
    assert_eq!(handled(&Outcome::Suspended), [true, false, false]);

    let Outcome::Recorded { desired, mut keys, intruder } = recording(&["there"]) else {
        unreachable!()
    };
    keys[0].key.origin = KeyOrigin::Adopted;
    let adopted = Outcome::Recorded { desired, keys, intruder };
    assert_eq!(handled(&adopted), [true, false, false], "an adopted key is not a new one");
}

#[test]
fn the_message_tells_what_matters() {
    let mut done = applied(vec![key("now", Active), key("next", Pending)]);
    done.foreign = (0..12).map(|n| format!("foreign-{n}")).collect();
    done.waiting.clients = ["a", "b", "c", "d"].map(|name| awaited(name, None)).to_vec();
    let found = status(&resource(&spec()), &success(done), at(30));
    assert_eq!(
        message(&found),
        "Hydra holds the keys of set k8s.shop.signing; the current one is now; 12 keys in the set are not the \
         operator's and are left as they are (foreign-0, foreign-1, foreign-2, …); a new key waits until these \
         OAuth2Clients hold it: a, b, c, …"
    );
    assert_eq!(found.foreign_keys.len(), 10);

    let first = status(&resource(&spec()), &success(applied(vec![key("a", Pending)])), at(30));
    assert_eq!(message(&first), "key a is being published");
    let making = status(&resource(&spec()), &recording(&["a"]), at(30));
    assert_eq!(message(&making), "key a is being made");
    let none = status(&resource(&spec()), &success(applied(Vec::new())), at(30));
    assert_eq!(
        message(&none),
        "each key that is provided is revoked: write another one into the Secret of spec.import"
    );
}

#[test]
fn a_long_message_is_cut() {
    let failure = Failure::terminal(Reason::InvalidImport, "ä".repeat(2000));
    let found = status(&resource(&spec()), &Outcome::Failed(failure), at(30));
    assert!(message(&found).len() <= LONGEST_MESSAGE);
}

#[test]
fn outputs_are_told_where_there_are_some() {
    let mut done = applied(vec![key("now", Active)]);
    let plain = status(&resource(&spec()), &success(done.clone()), at(30));
    assert_eq!(plain.outputs, None);
    let version =
        OutputStatus { name: "keys".into(), uid: "u".into(), resource_version: "1".into() };
    done.outputs.public_config_map = Some(version);
    let found = status(&resource(&spec()), &success(done.clone()), at(30));
    assert_eq!(found.outputs, Some(done.outputs));
}
