//! What a pass does, by what is recorded and what is there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::{
    api::jsonwebkeyset::{KeyOrigin, KeyState},
    hydra::Generation,
    jsonwebkeyset::{
        error::Reason,
        observe::Linked,
        testing::{at, observed, private, public, record, recorded, stored, symmetric, wanted},
    },
};

use KeyState::{Active, Pending, Published, Retained};

const SYSTEM: &str = "hydra.openid.id-token";

fn es256() -> Desired {
    wanted(&json!({ "algorithm": "ES256" }))
}

fn system() -> Desired {
    wanted(&json!({ "algorithm": "ES256", "setName": SYSTEM }))
}

/// Half a minute after the epoch, when all recorded keys came into their states.
fn planned(desired: &Desired, record: &Record, observed: &Observed) -> Result<Plan, Failure> {
    plan(desired, record, observed, "fresh", at(30))
}

/// The ids and states of the keys that are to be recorded.
fn to_record(desired: &Desired, record: &Record, observed: &Observed) -> Vec<(String, KeyState)> {
    match planned(desired, record, observed) {
        Ok(Plan::Record { keys, .. }) => {
            keys.into_iter().map(|recorded| (recorded.key.kid, recorded.key.state)).collect()
        }
        Ok(Plan::Apply(_)) => panic!("there is nothing to record"),
        Err(failure) => panic!("{failure}"),
    }
}

fn changes(desired: &Desired, record: &Record, observed: &Observed) -> Changes {
    match planned(desired, record, observed) {
        Ok(Plan::Apply(changes)) => *changes,
        Ok(Plan::Record { keys, .. }) => panic!("first to be recorded: {keys:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

fn refusal(desired: &Desired, record: &Record, observed: &Observed) -> Failure {
    planned(desired, record, observed).err().expect("the plan is refused")
}

/// How each key gets into Hydra: `made by Hydra`, `made here`, `sent` or `public half sent`.
fn makes(changes: &Changes) -> Vec<(&str, &str)> {
    let how = |make: &Make| match make {
        Make::ByHydra => "made by Hydra",
        Make::Here => "made here",
        Make::Send(jwk) if jwk.is_private() => "sent",
        Make::Send(_) => "public half sent",
    };
    changes.makes.iter().map(|(kid, make)| (kid.as_str(), how(make))).collect()
}

fn fresh() -> Vec<(String, KeyState)> {
    vec![("fresh".to_owned(), Pending)]
}

#[test]
fn a_key_is_recorded_before_it_is_made() {
    let (desired, nothing) = (es256(), Record::default());
    assert_eq!(to_record(&desired, &nothing, &observed(&[])), fresh());
    for (generation, algorithm, expected) in [
        (Generation::V2, "ES256", "made by Hydra"),
        (Generation::V2, "PS512", "made by Hydra"),
        (Generation::V1, "ES256", "made by Hydra"),
        (Generation::V1, "PS512", "made here"),
        (Generation::V1, "HS256", "made here"),
    ] {
        let desired = wanted(&json!({ "algorithm": algorithm }));
        let seen = Observed { generation, ..observed(&[]) };
        let mut key = recorded("fresh", Pending, None);
        key.algorithm = algorithm.to_owned();
        let found = changes(&desired, &record(vec![key]), &seen);
        assert_eq!(makes(&found), [("fresh", expected)], "{generation:?} {algorithm}");
    }
}

#[test]
fn a_key_that_was_made_and_not_noticed_is_not_made_again() {
    let made = private("fresh");
    let found =
        changes(&es256(), &record(vec![recorded("fresh", Pending, None)]), &observed(&[&made]));
    assert_eq!(makes(&found), []);
    assert_eq!(found.publics["fresh"], public(&made));
    assert!(found.privates.contains_key("fresh"));
}

#[test]
fn a_set_of_others_is_left_alone() {
    let theirs = [private("a"), private("b")];
    let seen = observed(&[&theirs[0], &theirs[1]]);
    let failure = refusal(&es256(), &Record::default(), &seen);
    assert_eq!(failure.reason, Reason::KeySetNotOwned);
    for words in ["(a, b)", "2 keys", "--adopt-key-sets"] {
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    // Also where a key was recorded, and the others came before it was made.
    let unmade = record(vec![recorded("fresh", Pending, None)]);
    assert_eq!(refusal(&es256(), &unmade, &seen).reason, Reason::KeySetNotOwned);
}

#[test]
fn keys_of_others_beside_ours_are_told_and_kept() {
    let (ours, theirs) = (private("ours"), private("theirs"));
    let known = record(vec![recorded("ours", Active, Some(public(&ours)))]);
    let found = changes(&es256(), &known, &observed(&[&theirs, &ours]));
    assert_eq!(found.foreign, ["theirs"]);
    assert!(found.turn.gone.is_empty() && makes(&found).is_empty());
}

#[test]
fn adoption_takes_what_signs_for_the_current_key() {
    let desired = Desired { adopts: true, ..es256() };
    let (newest, oldest) = (private("newest"), private("oldest"));
    let verified = private("public").into_public();
    let seen = observed(&[&verified, &newest, &oldest]);
    let Ok(Plan::Record { keys, .. }) = planned(&desired, &Record::default(), &seen) else {
        panic!("adopted keys are recorded")
    };
    let found: Vec<_> =
        keys.iter().map(|found| (found.key.kid.as_str(), found.key.state)).collect();
    let expected = [("oldest", Retained), ("newest", Active), ("public", Retained)];
    assert_eq!(found, expected, "the oldest first");
    for found in &keys {
        assert_eq!((found.key.origin, found.key.since), (KeyOrigin::Adopted, at(30)));
        assert!(found.public.is_some());
    }
    assert_eq!(keys[1].public, Some(public(&newest)));
}

#[test]
fn an_adopted_key_keeps_its_algorithm_and_gets_a_successor_of_the_spec() {
    let desired = Desired { adopts: true, ..wanted(&json!({ "algorithm": "RS256" })) };
    let there = private("there");
    let Ok(Plan::Record { keys, .. }) = planned(&desired, &Record::default(), &observed(&[&there]))
    else {
        panic!("adopted keys are recorded")
    };
    assert_eq!(keys[0].key.algorithm, "ES256");
    let mut adopted = recorded("there", Active, Some(public(&there)));
    adopted.origin = KeyOrigin::Adopted;
    assert_eq!(to_record(&desired, &record(vec![adopted]), &observed(&[&there])), fresh());
}

#[test]
fn a_set_that_holds_what_is_imported_needs_no_permission() {
    let (first, second) = (private("first"), private("second"));
    let imported = Some(vec![first.clone(), second.clone()]);
    let seen = Observed { imported, ..observed(&[&second, &first]) };
    let recorded = to_record(&es256(), &Record::default(), &seen);
    assert_eq!(recorded, [("first".to_owned(), Pending), ("second".to_owned(), Pending)]);

    // The same id says nothing: the key has to be the same.
    let imported = Some(vec![private("first"), second.clone()]);
    let seen = Observed { imported, ..observed(&[&second, &first]) };
    assert_eq!(refusal(&es256(), &Record::default(), &seen).reason, Reason::KeySetNotOwned);
}

/// Where the private half of a current key is that vanished from Hydra, and what is done.
#[test]
fn a_key_that_vanished_is_put_back_from_wherever_it_is() {
    let ours = private("ours");
    let known = record(vec![recorded("ours", Active, Some(public(&ours)))]);
    let here = vec![ours.clone()];
    for seen in [
        Observed { handed_out: here.clone(), ..observed(&[]) },
        Observed { material: here.clone(), ..observed(&[]) },
        Observed { imported: Some(here), ..observed(&[]) },
    ] {
        let found = changes(&es256(), &known, &seen);
        assert_eq!(makes(&found), [("ours", "sent")]);
        assert!(found.lost.is_empty());
    }
}

#[test]
fn a_key_that_was_altered_is_put_back() {
    let ours = private("ours");
    let known = record(vec![recorded("ours", Active, Some(public(&ours)))]);
    for altered in [private("ours"), ours.clone().into_public(), symmetric("ours")] {
        let seen = Observed { handed_out: vec![ours.clone()], ..observed(&[&altered]) };
        assert_eq!(makes(&changes(&es256(), &known, &seen)), [("ours", "sent")]);
    }
}

/// Whoever may write the Secret must not be able to put another key into the set.
#[test]
fn a_secret_with_another_key_of_that_id_restores_nothing() {
    let ours = private("ours");
    let known = record(vec![recorded("ours", Active, Some(public(&ours)))]);
    let seen = Observed { handed_out: vec![private("ours")], ..observed(&[]) };
    assert_eq!(to_record(&es256(), &known, &seen), fresh(), "another takes its place");
    let seen = Observed { handed_out: vec![private("ours")], ..observed(&[&ours]) };
    let found = changes(&es256(), &known, &seen);
    assert!(makes(&found).is_empty());
    assert!(found.privates["ours"].expose("d") == ours.expose("d"), "that of Hydra");
}

#[test]
fn a_lost_key_stays_public_until_another_has_taken_its_place() {
    let (ours, next) = (private("ours"), private("next"));
    let active = recorded("ours", Active, Some(public(&ours)));
    assert_eq!(to_record(&es256(), &record(vec![active.clone()]), &observed(&[])), fresh());

    let both = record(vec![active.clone(), recorded("next", Pending, None)]);
    let found = changes(&es256(), &both, &observed(&[]));
    assert_eq!(makes(&found), [("ours", "public half sent"), ("next", "made by Hydra")]);
    assert_eq!(found.lost, ["ours"]);

    // What is lost before it was signed with is retained at once.
    let known = vec![active, recorded("next", Published, Some(public(&next)))];
    let mut with_another = known.clone();
    with_another.push(recorded("other", Pending, None));
    assert_eq!(to_record(&es256(), &record(known), &observed(&[&ours])), fresh());
    let found = changes(&es256(), &record(with_another), &observed(&[&ours]));
    assert_eq!(makes(&found), [("next", "public half sent"), ("other", "made by Hydra")]);
    assert_eq!(found.turn.keys[1].state, Retained);
    assert_eq!(found.lost, ["next"]);
}

#[test]
fn a_lost_key_that_is_retained_anyway_is_no_loss() {
    let (old, now) = (private("old"), private("now"));
    let known = record(vec![
        recorded("old", Retained, Some(public(&old))),
        recorded("now", Active, Some(public(&now))),
    ]);
    let found = changes(&es256(), &known, &observed(&[&now]));
    assert_eq!(makes(&found), [("old", "public half sent")]);
    assert!(found.lost.is_empty());
}

/// A key that is sent is the newest, and Hydra signs its tokens with the newest.
#[test]
fn sets_of_hydra_itself_are_never_sent_a_key() {
    let (old, now) = (private("old"), private("now"));
    let known = [
        recorded("old", Retained, Some(public(&old))),
        recorded("now", Active, Some(public(&now))),
    ];
    let here = vec![old, now.clone()];
    let seen = Observed { handed_out: here.clone(), material: here, ..observed(&[&now]) };
    assert!(makes(&changes(&system(), &record(known.to_vec()), &seen)).is_empty());

    let mut with_next = known.to_vec();
    with_next.push(recorded("next", Pending, None));
    let found = changes(&system(), &record(with_next), &seen);
    assert_eq!(makes(&found), [("next", "made by Hydra")]);
}

/// Another operator with the same set would answer each new key with one of its own.
#[test]
fn a_newer_key_of_somebody_else_is_told_and_not_answered_before_the_next_rotation() {
    let (ours, theirs) = (private("ours"), private("theirs"));
    let known = record(vec![recorded("ours", Active, Some(public(&ours)))]);
    let both = observed(&[&theirs, &ours]);
    let found = changes(&system(), &known, &both);
    assert!(makes(&found).is_empty());
    assert_eq!(
        (found.stranger.as_deref(), &*found.foreign),
        (Some("theirs"), &["theirs".into()][..])
    );
    let asked = Record { rotate: true, ..known.clone() };
    assert_eq!(to_record(&system(), &asked, &both), fresh());
    // Anywhere else the order means nothing, nor does a newer one without a private half.
    assert_eq!(changes(&es256(), &known, &both).stranger, None);
    let verified = theirs.into_public();
    assert_eq!(changes(&system(), &known, &observed(&[&verified, &ours])).stranger, None);
}

#[test]
fn a_former_key_that_signs_again_gets_a_successor() {
    let (old, now) = (private("old"), private("now"));
    let known = record(vec![
        recorded("old", Retained, Some(public(&old))),
        recorded("now", Active, Some(public(&now))),
    ]);
    assert_eq!(to_record(&system(), &known, &observed(&[&old, &now])), fresh());
}

#[test]
fn what_a_key_is_for_is_put_back() {
    let ours = private("ours");
    let altered = |alg: &str, key_use: &str| ours.clone().named("ours", alg, key_use);
    let known = record(vec![recorded("ours", Active, Some(public(&ours)))]);
    for (alg, key_use, expected) in
        [("ES256", "sig", None), ("ES384", "sig", Some("sent")), ("ES256", "enc", Some("sent"))]
    {
        let found = changes(&es256(), &known, &observed(&[&altered(alg, key_use)]));
        assert_eq!(makes(&found).first().map(|(_, how)| *how), expected, "{alg} {key_use}");
        let sent = found.privates["ours"].clone();
        assert_eq!((sent.alg(), sent.text("use")), (Some("ES256"), Some("sig")));
    }
}

/// Nothing is recorded of a secret, so its former value stands in Hydra and in the output alone.
#[test]
fn a_secret_is_not_replaced_under_its_kid() {
    let secret = |value: &str| {
        let jwk = json!({ "kty": "oct", "k": value, "kid": "a", "alg": "HS256", "use": "sig" });
        Jwk::from_value(jwk).unwrap()
    };
    let source = |version: &str| {
        Some(crate::api::jsonwebkeyset::OutputStatus {
            name: "source".into(),
            uid: "u".into(),
            resource_version: version.into(),
        })
    };
    let import = json!({ "secretRef": { "name": "source" } });
    let desired = wanted(&json!({ "algorithm": "HS256", "import": import }));
    let mut key = recorded("a", Active, None);
    (key.algorithm, key.origin) = ("HS256".into(), KeyOrigin::Imported);
    let mut known = record(vec![key]);
    known.outputs.import = source("1");
    let (one, other) = (secret("b25l"), secret("b3RoZXI"));
    // What is imported, in which version; what is in Hydra; what is handed out.
    for (imported, version, stored, handed_out, expected) in [
        (&one, "1", Some(&one), Some(&one), Ok(false)),
        (&one, "2", Some(&one), None, Ok(false)),
        (&other, "2", Some(&one), Some(&one), Err(Reason::InvalidImport)),
        (&other, "2", Some(&one), None, Err(Reason::InvalidImport)),
        (&other, "2", None, Some(&one), Err(Reason::InvalidImport)),
        (&one, "1", Some(&other), None, Ok(true)),
        (&one, "2", Some(&other), Some(&one), Ok(true)),
        (&one, "2", None, Some(&one), Ok(true)),
        (&one, "1", Some(&one), Some(&other), Ok(false)),
    ] {
        let seen = Observed {
            imported: Some(vec![imported.clone()]),
            import: source(version),
            handed_out: handed_out.cloned().into_iter().collect(),
            ..observed(&stored.into_iter().collect::<Vec<_>>())
        };
        let found = planned(&desired, &known, &seen);
        let found = found.map(|plan| match plan {
            Plan::Apply(changes) => {
                assert_eq!(changes.privates["a"].expose("k"), imported.expose("k"));
                !changes.makes.is_empty()
            }
            Plan::Record { .. } => panic!("there is nothing to record"),
        });
        assert_eq!(found.map_err(|failure| failure.reason), expected);
    }
    let theirs = Observed { imported: Some(vec![one.clone()]), ..observed(&[&other]) };
    let reason = refusal(&desired, &Record::default(), &theirs).reason;
    assert_eq!(reason, Reason::KeySetNotOwned, "one of somebody else's");
}

#[test]
fn a_key_of_hydra_itself_signs_once_hydra_publishes_it() {
    let (old, new) = (private("old"), private("new"));
    let known = record(vec![
        recorded("old", Active, Some(public(&old))),
        recorded("new", Pending, Some(public(&new))),
    ]);
    let mut pair = stored(&new);
    pair.published_kid = "public:new".to_owned();
    let mut seen = observed(&[&new, &old]);
    seen.set.as_mut().unwrap().keys[0] = pair;
    let shown = |kid: &str| {
        let mut shown = public(&new);
        shown.insert("kid".into(), kid.into());
        Some(vec![shown])
    };
    for (published, expected) in [
        (Some(Vec::new()), Pending),
        (shown("new"), Pending),
        (shown("public:new"), Active),
        (None, Active),
    ] {
        let seen = Observed { published, ..seen.clone() };
        let found = changes(&system(), &known, &seen);
        assert_eq!(found.turn.keys[1].state, expected);
        assert_eq!(found.published_kids["new"], "public:new");
    }
}

#[test]
fn a_key_waits_for_the_config_map_and_for_the_clients() {
    let (old, new) = (private("old"), private("new"));
    let known = record(vec![
        recorded("old", Active, Some(public(&old))),
        recorded("new", Pending, Some(public(&new))),
    ]);
    let spec =
        json!({ "algorithm": "ES256", "outputs": { "publicConfigMap": { "name": "keys" } } });
    let client = |holds: &[&str], ever_linked| Linked {
        name: "app".to_owned(),
        holds: holds.iter().map(|kid| (*kid).to_owned()).collect(),
        ever_linked,
        trouble: None,
    };
    let shown = vec![public(&old), public(&new)];
    let all =
        Observed { shown, linked: vec![client(&["old", "new"], true)], ..observed(&[&new, &old]) };
    for (seen, expected, waits) in [
        (all.clone(), Published, false),
        (Observed { shown: vec![public(&old)], ..all.clone() }, Pending, false),
        (Observed { shown: vec![public(&private("new"))], ..all.clone() }, Pending, false),
        (Observed { linked: vec![client(&["old"], true)], ..all.clone() }, Pending, true),
        (Observed { linked: vec![client(&[], false)], ..all.clone() }, Published, false),
        (
            Observed { set: observed(&[&old]).set, handed_out: vec![new.clone()], ..all },
            Pending,
            false,
        ),
    ] {
        let found = changes(&wanted(&spec), &known, &seen);
        assert_eq!(found.turn.keys[1].state, expected);
        let waiting: &[&str] = if waits { &["app"] } else { &[] };
        assert_eq!(found.waiting.names(), waiting);
    }
}

#[test]
fn a_client_pins_the_algorithm_of_its_set() {
    let ours = private("ours");
    let known = record(vec![recorded("ours", Active, Some(public(&ours)))]);
    let linked = Linked {
        name: "app".to_owned(),
        holds: BTreeSet::new(),
        ever_linked: false,
        trouble: None,
    };
    for spec in [json!({ "algorithm": "RS256" }), json!({ "algorithm": "ES256", "use": "enc" })] {
        let desired = wanted(&spec);
        let seen = Observed { linked: vec![linked.clone()], ..observed(&[&ours]) };
        let failure = refusal(&desired, &known, &seen);
        assert_eq!(failure.reason, Reason::KeySetInUse);
        for words in ["OAuth2Client app", "ES256 (sig)", "spec.jwksFrom"] {
            assert!(failure.message.contains(words), "{}", failure.message);
        }
        assert_eq!(
            to_record(&desired, &known, &observed(&[&ours])),
            fresh(),
            "nobody refers to it"
        );
    }
}

#[test]
fn algorithms_that_this_hydra_lacks_are_refused_beforehand() {
    let symmetric_key = vec![symmetric("a")];
    for (generation, spec, imported, refused) in [
        (Generation::V2, json!({ "algorithm": "HS256" }), None, true),
        (Generation::V25, json!({ "algorithm": "HS512" }), None, true),
        (Generation::V1, json!({ "algorithm": "HS256" }), None, false),
        (Generation::V2, json!({ "algorithm": "HS256" }), Some(symmetric_key), false),
        (Generation::V1, json!({ "algorithm": "ES256", "setName": SYSTEM }), None, true),
        (Generation::V1, json!({ "algorithm": "RS256", "setName": SYSTEM }), None, false),
        (Generation::V2, json!({ "algorithm": "ES256", "setName": SYSTEM }), None, false),
        (Generation::V1, json!({ "algorithm": "PS256" }), None, false),
    ] {
        let seen = Observed { generation, imported, ..observed(&[]) };
        let found = planned(&wanted(&spec), &Record::default(), &seen).err();
        let reason = found.map(|failure| failure.reason);
        let expected = refused.then_some(Reason::UnsupportedAlgorithm);
        assert_eq!(reason, expected, "{generation:?} {spec}");
    }
}

#[test]
fn a_compromised_key_goes_at_once() {
    let (old, new) = (private("old"), private("new"));
    let keys = vec![
        recorded("old", Active, Some(public(&old))),
        recorded("new", Published, Some(public(&new))),
    ];
    let known = Record { revoke: Some("old".into()), revoke_is_new: true, ..record(keys) };
    let found = changes(&es256(), &known, &observed(&[&new, &old]));
    let states: Vec<_> = found.turn.keys.iter().map(|key| (key.kid.as_str(), key.state)).collect();
    assert_eq!(states, [("new", Active)], "its successor signs without further waiting");
    assert_eq!(found.turn.gone.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), ["old"]);
    assert!(!found.privates.contains_key("old") && !found.publics.contains_key("old"));
}

#[test]
fn a_public_half_has_no_member_that_does_not_belong_there() {
    let value: Value = json!({
        "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "d": "secret", "kid": "stored:a", "alg": "",
        "use": "", "x5c": null, "ext": true, "key_ops": ["sign"],
    });
    let key = Jwk::from_value(value).unwrap();
    let found =
        json!(super::public(&key, &crate::jsonwebkeyset::testing::key("a", Active)).unwrap());
    let expected = json!({
        "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "a", "alg": "ES256", "use": "sig",
    });
    assert_eq!(found, expected);
    assert!(
        super::public(&symmetric("a"), &crate::jsonwebkeyset::testing::key("a", Active)).is_none()
    );
}
