//! What a listing of a Hydra says about the resources: pure, a page at a time.

use std::collections::{BTreeSet, HashSet};

use super::{
    desired::{desired, owner_mark},
    error::Reason,
    record::{Record, has_moved},
    status::shown_duplicates,
};
use crate::{
    api::{ConditionType, OAuth2Client, condition},
    controller::ResourceKey,
    hydra::{
        self, ClientId,
        meaning::{self, ServerDefaults, Unlearned},
    },
    instance::Findings,
};

/// What the clients that were met so far say.
pub struct Survey {
    defaults: ServerDefaults,
    /// Resources whose client was met.
    met: HashSet<ResourceKey>,
    /// Resources that need a look.
    looks: BTreeSet<ResourceKey>,
    findings: Findings,
    removes_duplicates: bool,
}

/// Whether a resource is to be compared now.
type Due<'a> = &'a dyn Fn(&OAuth2Client) -> bool;

impl Survey {
    /// `defaults`: what Hydra puts in place of an empty value, as far as it is known.
    /// `removes_duplicates`: whether passes delete duplicates.
    #[must_use]
    pub fn new(defaults: ServerDefaults, removes_duplicates: bool) -> Self {
        Self {
            defaults,
            met: HashSet::new(),
            looks: BTreeSet::new(),
            findings: Findings::default(),
            removes_duplicates,
        }
    }

    /// A client is in the list. `resource` is the one that its owner mark names, if there is one.
    pub fn meet(
        &mut self,
        client: &hydra::OAuth2Client,
        resource: Option<&OAuth2Client>,
        due: Due<'_>,
    ) {
        let mark = client.owner.as_deref().unwrap_or_default();
        self.findings.carried(mark);
        let Some((resource, id)) = resource.zip(client.client_id.as_deref()) else { return };
        self.findings.belongs(mark, id);
        let record = Record::of(resource);
        if record.client_id.as_ref().is_none_or(|held| held.as_str() != id) {
            return;
        }
        let key = key_of(resource);
        if compares(resource, &record)
            && due(resource)
            && differs(resource, &record, client, &self.defaults)
        {
            self.looks.insert(key.clone());
        }
        self.met.insert(key);
    }

    /// The list is complete. `former` is a resource as it was when the list began, `now` as it is by
    /// now, `version` that of Hydra.
    pub fn conclude(
        &mut self,
        former: &OAuth2Client,
        now: &OAuth2Client,
        version: &str,
        hydra_is_back: bool,
        due: Due<'_>,
    ) {
        let (was, is) = (Record::of(former), Record::of(now));
        let key = key_of(now);
        let needs_look = if compares(now, &is) {
            let missing = !self.met.contains(&key)
                && compares(former, &was)
                && was.client_id == is.client_id
                && due(now);
            let upgraded =
                is.unsupported.is_some_and(|unsupported| unsupported.hydra_version != version);
            let mark = owner_mark(&key.0, &key.1);
            let held = is.client_id.as_ref().map(ClientId::as_str);
            let found = self.findings.duplicates_of(&mark, held);
            let duplicates = shown_duplicates(&found) != is.duplicates
                || (self.removes_duplicates && !found.is_empty());
            missing || upgraded || duplicates
        } else {
            let suspended = now.is_suspended() && now.metadata.deletion_timestamp.is_none();
            hydra_is_back && !suspended && waits_for_hydra(now)
        };
        if needs_look {
            self.looks.insert(key);
        }
    }

    /// The resources that need a look, and what is to be remembered of the clients.
    #[must_use]
    pub fn end(self) -> (BTreeSet<ResourceKey>, Findings) {
        (self.looks, self.findings)
    }
}

/// Namespace and name of `resource`.
#[must_use]
pub fn key_of(resource: &OAuth2Client) -> ResourceKey {
    let metadata = &resource.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// Whether the list can say anything of a resource: the others have passes of their own ahead.
fn compares(resource: &OAuth2Client, record: &Record) -> bool {
    record.settled && !resource.is_suspended() && resource.metadata.deletion_timestamp.is_none()
}

fn differs(
    resource: &OAuth2Client,
    record: &Record,
    client: &hydra::OAuth2Client,
    defaults: &ServerDefaults,
) -> bool {
    let revision = resource.status.as_ref().and_then(|status| status.revision.as_deref());
    let listed = client.updated_at.as_deref();
    // A pass that could not read it back has recorded none.
    if has_moved(revision, listed) || (revision.is_none() && listed.is_some()) {
        return true;
    }
    let unsupported = record.unsupported.as_ref().map(|unsupported| &unsupported.fields[..]);
    let unsupported = unsupported.unwrap_or_default();
    desired(resource).is_ok_and(|desired| {
        meaning::differences(&desired.client, client, defaults, Unlearned::AssumeEqual)
            .iter()
            .any(|member| !unsupported.iter().any(|known| known == member))
    })
}

/// Whoever is waiting out a backoff because Hydra did not answer, or let nobody in, can go on when
/// it does. A Hydra that answers the sweep all along and refuses other requests is none that comes
/// back: then the backoff stands.
fn waits_for_hydra(resource: &OAuth2Client) -> bool {
    let ready = resource
        .status
        .as_ref()
        .and_then(|status| condition::get(&status.conditions, ConditionType::Ready));
    ready
        .and_then(|ready| ready.reason.as_deref())
        .is_some_and(|reason| Reason::HYDRA_AWAY.iter().any(|away| away.as_str() == reason))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::{OAuth2ClientStatus, oauth2client::UnsupportedFields},
        instance::Census,
        oauth2client::testing::with_status,
    };

    fn resource(ready: &str, reason: &str, spec: &Value) -> OAuth2Client {
        let mut full =
            json!({ "grantTypes": ["client_credentials"], "scope": "a b", "secretName": "s" });
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        with_status(
            &full,
            &json!({
                "observedGeneration": 2,
                "clientId": "id-1",
                "revision": "2026-01-01T00:00:00Z",
                "conditions": [{ "type": "Ready", "status": ready, "reason": reason }],
            }),
        )
    }

    fn client(change: &Value) -> hydra::OAuth2Client {
        let mut client = json!({
            "client_id": "id-1", "owner": "shop/team-a", "scope": "b a",
            "grant_types": ["client_credentials"], "updated_at": "2026-01-01T00:00:00Z",
        });
        client.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(client).unwrap()
    }

    /// Whether a listing of `clients` asks for a look at `resource`.
    fn looks(
        resource: &OAuth2Client,
        clients: &[hydra::OAuth2Client],
        hydra_is_back: bool,
    ) -> bool {
        let mut survey = Survey::new(ServerDefaults::default(), false);
        for client in clients {
            let marked = client.owner.as_deref() == Some("shop/team-a");
            survey.meet(client, marked.then_some(resource), &|_| true);
        }
        survey.conclude(resource, resource, "v2", hydra_is_back, &|_| true);
        !survey.end().0.is_empty()
    }

    fn deleted(mut resource: OAuth2Client) -> OAuth2Client {
        let at = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        resource.metadata.deletion_timestamp = at;
        resource
    }

    fn with(mut resource: OAuth2Client, change: impl Fn(&mut OAuth2ClientStatus)) -> OAuth2Client {
        change(resource.status.as_mut().unwrap());
        resource
    }

    #[test]
    fn only_what_differs_needs_a_look() {
        let ready = || resource("True", "Synced", &json!({}));
        let same = || vec![client(&json!({}))];
        let other = |change: Value| vec![client(&change)];
        let revision = |text: &str| with(ready(), |status| status.revision = Some(text.to_owned()));
        let unsupported = |version: &str| {
            with(ready(), |status| {
                status.unsupported = Some(Box::new(UnsupportedFields {
                    fields: vec!["scope".into()],
                    hydra_version: version.into(),
                }));
            })
        };
        let suspended = resource("True", "Synced", &json!({ "suspend": true }));
        let cases = vec![
            ("same", ready(), same(), false),
            ("twice in the list", ready(), [same(), same()].concat(), false),
            ("scope differs", ready(), other(json!({ "scope": "admin" })), true),
            ("owner differs", ready(), other(json!({ "owner": "bank/team-b" })), true),
            ("not listed", ready(), Vec::new(), true),
            ("suspended", suspended, Vec::new(), false),
            ("being deleted", deleted(ready()), Vec::new(), false),
            ("stalled", resource("False", "SecretNotOwned", &json!({})), Vec::new(), false),
            ("same revision", revision("2026-01-01T00:00:00.000Z"), same(), false),
            ("no revision", with(ready(), |status| status.revision = None), same(), true),
            ("written by somebody", revision("2025-12-31T23:59:59Z"), same(), true),
            ("known not to be kept", unsupported("v2"), other(json!({ "scope": "" })), false),
            ("Hydra was upgraded", unsupported("v1"), same(), true),
        ];
        for (name, resource, clients, expected) in cases {
            for hydra_is_back in [false, true] {
                assert_eq!(looks(&resource, &clients, hydra_is_back), expected, "{name}");
            }
        }
        for reason in ["HydraUnreachable", "HydraError", "HydraForbidden"] {
            for hydra_is_back in [false, true] {
                let away = resource("False", reason, &json!({}));
                assert_eq!(looks(&away, &same(), hydra_is_back), hydra_is_back, "{reason}");
            }
        }
    }

    #[test]
    fn what_moves_while_the_list_is_read_is_not_taken_for_lost() {
        let ready = resource("True", "Synced", &json!({}));
        let fresh = resource("False", "HydraUnreachable", &json!({}));
        let replaced = with(ready.clone(), |status| status.client_id = Some("id-2".into()));
        for (former, now, due, expected) in [
            (&ready, &ready, true, true),
            (&ready, &ready, false, false),
            (&fresh, &ready, true, false),
            (&ready, &fresh, true, false),
            (&replaced, &ready, true, false),
        ] {
            let mut survey = Survey::new(ServerDefaults::default(), false);
            survey.conclude(former, now, "v2", false, &|_| due);
            assert_eq!(!survey.end().0.is_empty(), expected);
        }
    }

    #[test]
    fn other_clients_of_the_same_owner_are_duplicates() {
        let ready = resource("True", "Synced", &json!({}));
        let mut survey = Survey::new(ServerDefaults::default(), false);
        for id in ["id-1", "id-3", "id-2", "id-3"] {
            survey.meet(&client(&json!({ "client_id": id })), Some(&ready), &|_| true);
        }
        survey.conclude(&ready, &ready, "v2", false, &|_| true);
        let (looks, findings) = survey.end();
        assert_eq!(looks.len(), 1, "they are news");
        let census = Census::default();
        census.complete(census.begin(), findings, true);
        let duplicates = census.duplicates_of("shop/team-a", Some("id-1")).unwrap();
        assert_eq!(duplicates, ["id-2", "id-3"]);
        assert!(!census.rules_out("shop/team-a"));
        assert!(census.rules_out("bank/team-b"));

        let known = with(ready, |status| status.duplicates.clone_from(&duplicates));
        let conclude = |clients: &[&str], removes| {
            let mut survey = Survey::new(ServerDefaults::default(), removes);
            for id in clients {
                survey.meet(&client(&json!({ "client_id": id })), Some(&known), &|_| true);
            }
            survey.conclude(&known, &known, "v2", false, &|_| true);
            survey.end().0.len()
        };
        assert_eq!(conclude(&["id-1", "id-2", "id-3"], false), 0, "they are known");
        assert_eq!(conclude(&["id-1", "id-2"], false), 1, "one of them is gone");
        assert_eq!(conclude(&["id-1", "id-2", "id-3"], true), 1, "they are to go");
    }
}
