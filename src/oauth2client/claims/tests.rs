use std::sync::Arc;

use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::hydra::{Base, ClientsAddress};

const HYDRA: &str = "default";

fn resource(key: (&str, &str), created: &str, more: &Value) -> OAuth2Client {
    let mut object = json!({
        "metadata": { "namespace": key.0, "name": key.1, "uid": key.1, "creationTimestamp": created },
        "spec": { "grantTypes": [], "secretName": "s" },
    });
    json_patch(&mut object, more);
    serde_json::from_value(object).unwrap()
}

fn json_patch(object: &mut Value, more: &Value) {
    match (object, more) {
        (Value::Object(object), Value::Object(more)) => {
            for (key, value) in more {
                json_patch(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, more) => *object = more.clone(),
    }
}

fn guard(resource: OAuth2Client) -> DeserializeGuard<OAuth2Client> {
    DeserializeGuard(Ok(resource))
}

fn key(namespace: &str, name: &str) -> ResourceKey {
    (namespace.to_owned(), name.to_owned())
}

#[test]
fn a_resource_claims_what_it_names_and_holds_what_its_status_names() {
    let cases = [
        (json!({}), "wants secret team-a/s"),
        (json!({ "spec": { "clientId": "x" } }), "wants secret team-a/s, wants client x"),
        (json!({ "status": { "clientId": "x" } }), "wants secret team-a/s, holds client x"),
        (
            json!({ "spec": { "clientId": "y" }, "status": { "clientId": "x" } }),
            "wants secret team-a/s, holds client x",
        ),
        (
            json!({ "status": { "secret": { "name": "s", "uid": "", "resourceVersion": "" } } }),
            "holds secret team-a/s",
        ),
        (
            json!({ "status": { "secret": { "name": "old", "uid": "", "resourceVersion": "" } } }),
            "wants secret team-a/s",
        ),
        (json!({ "spec": { "secretName": "", "clientId": "" } }), ""),
    ];
    for (more, expected) in cases {
        let resource = resource(("team-a", "shop"), "2026-01-01T00:00:00Z", &more);
        let claimed = claimant(&resource, &at(HYDRA, &resource));
        assert_eq!(shown(&claimed), expected, "{more}");
        assert!(claimed.active);
    }
    for idle in [
        json!({ "spec": { "suspend": true } }),
        json!({ "metadata": { "deletionTimestamp": "2026-01-02T00:00:00Z" } }),
    ] {
        let resource = resource(("team-a", "shop"), "2026-01-01T00:00:00Z", &idle);
        assert!(!claimant(&resource, &at(HYDRA, &resource)).active, "{idle}");
    }
}

/// In place: where a client is recorded, that Hydra has it.
fn at(instance: &str, resource: &OAuth2Client) -> Whereabouts {
    let recorded = resource.status.as_ref().and_then(|status| status.client_id.as_ref());
    Whereabouts { held: recorded.map(|_| instance.to_owned()), wanted: Some(instance.to_owned()) }
}

fn shown(claimant: &Claimant<Thing>) -> String {
    let shown = claimant.named.iter().map(|(thing, claim)| {
        let verb = match claim {
            Claim::Wants => "wants",
            Claim::Holds => "holds",
            Claim::Leaves => "leaves",
        };
        match thing {
            Thing::Secret { namespace, name } => format!("{verb} secret {namespace}/{name}"),
            Thing::Client { instance, id } if instance == HYDRA => format!("{verb} client {id}"),
            Thing::Client { instance, id } => format!("{verb} client {id} of {instance}"),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_client_is_claimed_where_it_is_and_where_it_is_to_be() {
    let allowed = ["http://b/clients", "http://c/clients"];
    let rules = Rules {
        own: Base::of(&Url::parse("http://hydra:4445").unwrap()),
        own_port: None,
        allowed: allowed.map(|text| ClientsAddress::parse(text).unwrap()).into(),
    };
    let at_c = json!({ "clientId": "x", "hydraAdmin": { "url": "http://c" } });
    let at_d = json!({ "clientId": "x", "hydraAdmin": { "url": "http://d" } });
    let cases = [
        ("", json!({}), "wants client y"),
        ("http://b", json!({}), "wants client y of b:80/clients"),
        ("http://d", json!({}), ""),
        ("", json!({ "clientId": "x" }), "holds client x"),
        ("http://b", json!({ "clientId": "x" }), "wants client x of b:80/clients, leaves client x"),
        ("http://c", at_c.clone(), "holds client x of c:80/clients"),
        ("", at_c.clone(), "leaves client x of c:80/clients, wants client x"),
        ("http://d", at_c, "holds client x of c:80/clients"),
        ("http://d", json!({ "clientId": "x" }), "holds client x"),
        ("http://b", at_d.clone(), "wants client x of b:80/clients"),
        ("http://d", at_d, ""),
    ];
    let name = |target: &Target| match target {
        Target::Own => Some(HYDRA.to_owned()),
        Target::Other { address, .. } => Some(address.label()),
    };
    for (url, status, expected) in cases {
        let spec = json!({ "clientId": "y", "secretName": "", "hydraAdmin": { "url": url } });
        let more = json!({ "spec": spec, "status": status });
        let resource = resource(("team-a", "shop"), "2026-01-01T00:00:00Z", &more);
        let claimed = claimant(&resource, &whereabouts(&resource, &rules, name));
        assert_eq!(shown(&claimed), expected, "{url} {status}");
    }
}

#[test]
fn whoever_needs_a_person_is_stuck_unless_it_lost_a_conflict() {
    for (observed, stalled, reason, expected) in [
        (2, "True", "InvalidSpec", true),
        (2, "True", "HydraAdminNotAllowed", true),
        (1, "True", "InvalidSpec", false),
        (2, "False", "Synced", false),
        (2, "False", "Suspended", false),
        (2, "True", "ClientIdTaken", false),
        (2, "True", "SecretNotOwned", false),
    ] {
        let more = json!({
            "metadata": { "generation": 2 },
            "status": {
                "observedGeneration": observed,
                "conditions": [{ "type": "Stalled", "status": stalled, "reason": reason }],
            },
        });
        let resource = resource(("team-a", "shop"), "2026-01-01T00:00:00Z", &more);
        let claimed = claimant(&resource, &at(HYDRA, &resource));
        assert_eq!(claimed.stuck, expected, "{observed} {stalled} {reason}");
    }
}

/// Feeds events of one scope and collects who is woken.
struct Watch {
    conflicts: Conflicts,
    listed: HashSet<ResourceKey>,
    woken: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    fn new() -> Self {
        let (conflicts, woken) = (Conflicts::default(), Arc::<Mutex<Vec<_>>>::default());
        let heard = woken.clone();
        conflicts.expect(None, move |(namespace, name)| {
            heard.lock().unwrap().push(format!("{namespace}/{name}"));
        });
        Self { conflicts, listed: HashSet::new(), woken }
    }

    fn tell(&mut self, event: &Event<DeserializeGuard<OAuth2Client>>) -> Vec<String> {
        self.conflicts.follow(event, None, &mut self.listed, &|resource| at(HYDRA, resource));
        std::mem::take(&mut *self.woken.lock().unwrap())
    }

    fn list(&mut self, objects: impl IntoIterator<Item = OAuth2Client>) -> Vec<String> {
        self.tell(&Event::Init);
        for object in objects {
            self.tell(&Event::InitApply(guard(object)));
        }
        self.tell(&Event::InitDone)
    }
}

#[test]
fn the_loser_is_told_whom_it_lost_to_and_hears_when_that_one_is_gone() {
    let with_id = json!({ "spec": { "clientId": "x" } });
    let old = || resource(("team-b", "old"), "2026-01-01T00:00:00Z", &with_id);
    let young = || resource(("team-a", "young"), "2026-01-01T00:00:01Z", &with_id);
    for missed in [false, true] {
        let mut watch = Watch::new();
        watch.list([young(), old()]);
        let Err(lost) = watch.conflicts.begin(&key("team-a", "young")) else { panic!("it won") };
        assert_eq!(lost.reason, Reason::ClientIdTaken);
        assert!(lost.message.contains("client x belongs to OAuth2Client team-b/old"), "{lost}");
        assert!(watch.conflicts.begin(&key("team-b", "old")).is_ok());
        assert!(watch.conflicts.begin(&key("unknown", "other")).is_ok());
        let woken =
            if missed { watch.list([young()]) } else { watch.tell(&Event::Delete(guard(old()))) };
        assert_eq!(woken, ["team-a/young"]);
        assert!(watch.conflicts.check(&key("team-a", "young")).is_ok());
    }
}

#[test]
fn nobody_gets_a_client_before_all_resources_are_known() {
    let mut watch = Watch::new();
    watch.tell(&Event::Init);
    let created = "2026-01-01T00:00:00Z";
    for (name, more) in [
        ("new", json!({ "spec": { "clientId": "x", "secretName": "a" } })),
        ("random", json!({ "spec": { "secretName": "b" } })),
        ("held", json!({ "spec": { "secretName": "c" }, "status": { "clientId": "y" } })),
    ] {
        watch.tell(&Event::InitApply(guard(resource(("team-a", name), created, &more))));
    }
    let begin = |watch: &Watch, name| {
        watch.conflicts.begin(&key("team-a", name)).map(|_| ()).map_err(|failure| failure.class)
    };
    assert_eq!(begin(&watch, "new"), Err(crate::controller::Class::Conflict));
    assert_eq!(begin(&watch, "random"), Ok(()));
    assert_eq!(begin(&watch, "held"), Ok(()));
    watch.tell(&Event::InitDone);
    assert_eq!(begin(&watch, "new"), Ok(()));
}

#[test]
fn the_owner_mark_in_hydra_decides_between_those_that_claim_the_client() {
    let mut watch = Watch::new();
    let with_id = json!({ "spec": { "clientId": "x" } });
    let created = "2026-01-01T00:00:00Z";
    watch.list([
        resource(("team-a", "first"), created, &with_id),
        resource(("team-b", "second"), created, &with_id),
    ]);
    let client = |owner: &str| hydra::OAuth2Client {
        client_id: Some("x".into()),
        owner: Some(owner.into()),
        ..hydra::OAuth2Client::default()
    };
    watch.conflicts.concede_client(&client("stranger/team-c"), HYDRA);
    assert!(watch.conflicts.check(&key("team-a", "first")).is_ok());
    watch.conflicts.concede_client(&client("second/team-b"), HYDRA);
    assert!(watch.conflicts.check(&key("team-a", "first")).is_err());
    assert!(watch.conflicts.check(&key("team-b", "second")).is_ok());
    let woken = std::mem::take(&mut *watch.woken.lock().unwrap());
    assert_eq!(woken, ["team-a/first", "team-b/second"]);
}

#[test]
fn ids_that_a_pass_finds_in_secrets_conflict_too() {
    let mut watch = Watch::new();
    watch.list([
        resource(("team-a", "old"), "2026-01-01T00:00:00Z", &json!({})),
        resource(("team-b", "young"), "2026-01-01T00:00:01Z", &json!({})),
    ]);
    let id = ClientId::parse("x").unwrap();
    let (old, young) = (key("team-a", "old"), key("team-b", "young"));
    {
        let lease = watch.conflicts.begin(&young).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(lease.found(Some(&id), HYDRA).is_ok());
        let other = watch.conflicts.begin(&old).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(other.found(Some(&id), HYDRA).is_err(), "the first is at it");
        lease.keep();
    }
    assert!(watch.conflicts.check(&young).is_ok());
    assert!(watch.conflicts.check(&old).is_err());
}
