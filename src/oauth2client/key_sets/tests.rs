use serde_json::{Value, json};

use super::*;
use crate::oauth2client::testing::resource;

fn client(name: &str, set: Option<&str>) -> OAuth2Client {
    let reference = set.map(|name| json!({ "name": name }));
    let spec = json!({ "grantTypes": [], "secretName": "s", "jwksFrom": reference });
    let mut client = resource(&spec);
    client.metadata.name = Some(name.into());
    client
}

fn set(name: &str, kid: &str) -> WatchedSet {
    let key = json!({
        "kid": kid, "algorithm": "ES256", "use": "sig", "state": "Active", "origin": "Hydra",
        "publicKey": { "kty": "EC" },
    });
    watched(name, &json!({ "algorithm": "ES256" }), &json!([key]))
}

fn watched(name: &str, spec: &Value, keys: &Value) -> WatchedSet {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": "team-a" },
        "spec": spec,
        "status": { "keys": keys },
    }))
    .unwrap()
}

/// The kids that a client is to have, or what is known instead.
fn shown(sets: &KeySets, client: &OAuth2Client) -> String {
    match sets.link(client) {
        Link::None => "none".into(),
        Link::Unknown => "unknown".into(),
        Link::Absent => "absent".into(),
        Link::Found(set) => set.held().keys.join(","),
    }
}

#[test]
fn each_event_wakes_those_who_refer_to_the_set() {
    let sets = KeySets::default();
    let (one, two, other) =
        (client("one", Some("signing")), client("two", Some("signing")), client("other", None));
    for client in [&one, &two, &other] {
        sets.refer(client);
    }
    let absent = client("late", Some("none"));
    sets.refer(&absent);
    let mut listed = HashSet::new();
    let mut tell = |event| {
        let woken = sets.follow(&event, Some("team-a"), &mut listed);
        woken.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(&sets, &one), "unknown");
    assert_eq!(tell(Event::Init), "");
    assert_eq!(tell(Event::InitApply(set("signing", "a"))), "one two");
    assert_eq!(shown(&sets, &absent), "unknown", "the list goes on");
    assert_eq!(tell(Event::InitDone), "late", "now it is known that there is none");
    assert_eq!([&one, &other, &absent].map(|client| shown(&sets, client)), ["a", "none", "absent"]);

    assert_eq!(tell(Event::Apply(set("signing", "a"))), "", "nothing is new");
    assert_eq!(tell(Event::Apply(set("signing", "b"))), "one two");
    assert_eq!(tell(Event::Apply(set("unused", "c"))), "");
    let broken = watched("signing", &json!({ "algorithm": 5 }), &json!([]));
    assert!(broken.0.is_err());
    assert_eq!(tell(Event::Apply(broken)), "");
    assert_eq!(shown(&sets, &one), "b", "what was known stays");

    sets.refer(&client("two", Some("other")));
    assert_eq!(tell(Event::Delete(set("signing", "b"))), "one");
    assert_eq!(shown(&sets, &one), "absent");
    assert_eq!(tell(Event::Apply(set("signing", "b"))), "one");

    // A list that no longer names it.
    assert_eq!(tell(Event::Init), "");
    assert_eq!(tell(Event::InitDone), "one");
    sets.forget(&("team-a".into(), "one".into()));
    assert_eq!(tell(Event::Apply(set("signing", "b"))), "");
}

#[test]
fn a_list_speaks_for_its_namespace_alone() {
    let sets = KeySets::default();
    let here = client("here", Some("signing"));
    let mut there = client("there", Some("signing"));
    there.metadata.namespace = Some("team-b".into());
    for client in [&here, &there] {
        sets.refer(client);
    }
    assert_eq!(sets.relisted(Some("team-b"), &HashSet::new()), [("team-b".into(), "there".into())]);
    assert_eq!([shown(&sets, &here), shown(&sets, &there)], ["unknown", "absent"]);
    assert_eq!(sets.relisted(None, &HashSet::new()).len(), 2, "it is a list of its own");
    assert_eq!(shown(&sets, &here), "absent");
}

#[test]
fn a_rotation_hears_of_the_clients_that_it_waits_for() {
    let sets = KeySets::default();
    let tell = |client: &OAuth2Client| {
        let affected = sets.shown(client);
        affected.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    };
    let holding = |set: &str, kids: &[&str]| {
        let mut holding = client("app", Some(set));
        let held = json!({ "jwks": { "name": set, "keys": kids, "digest": kids.concat() } });
        holding.status = serde_json::from_value(held).unwrap();
        holding
    };
    let holds = |set: &str| {
        let linked = sets.linked(&("team-a".into(), set.into()));
        let kids = linked.iter().flat_map(|client| client.holds.iter().cloned());
        kids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tell(&client("app", None)), "");
    assert_eq!(tell(&client("app", Some("signing"))), "signing");
    assert_eq!(tell(&holding("signing", &["a"])), "signing");
    assert_eq!(tell(&holding("signing", &["a"])), "", "nothing is new");
    sets.refer(&client("app", Some("signing")));
    assert_eq!(holds("signing"), "a", "a pass may begin with what is older");
    assert_eq!(tell(&holding("signing", &["a", "b"])), "signing");
    assert_eq!(holds("signing"), "a b");

    assert_eq!(tell(&holding("other", &["c"])), "signing other", "it goes from one to the other");
    assert_eq!((holds("signing"), holds("other")), (String::new(), "c".into()));
    let mut deleted = holding("other", &["c"]);
    deleted.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(tell(&deleted), "other", "nobody waits for it any more");
    assert!(sets.linked(&("team-a".into(), "other".into())).is_empty());
    assert_eq!(tell(&deleted), "");
}
