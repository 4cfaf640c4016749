//! What status remembers of earlier passes: read, never trusted where the servers can be asked.

use jiff::Timestamp;

use super::{error::Reason, key_set::Link};
use crate::{
    api::{
        ConditionStatus, ConditionType, OAuth2Client, condition,
        oauth2client::{LinkedKeys, UnsupportedFields},
    },
    hydra::ClientId,
    kubernetes::{KeyPair, SecretState, SecretVersion},
};

const SUSPENDED: &str = Reason::Suspended.as_str();

/// What status remembers of earlier passes, as far as a pass decides by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of their own, each found by itself")]
pub struct Record {
    /// The id of the client that Hydra holds for the resource.
    pub client_id: Option<ClientId>,
    /// The version of the Secret whose credentials Hydra was last given.
    pub sent: Option<SecretVersion>,
    /// The name of the Secret that held them.
    pub secret_name: Option<String>,
    /// Secrets of former names, which are to be deleted.
    pub former_secrets: Vec<String>,
    /// Whether somebody else had made that Secret.
    pub user_provided: bool,
    /// Its keys with the credentials.
    pub keys: Option<KeyPair>,
    /// The `updated_at` of the client in Hydra after the operator last wrote it.
    pub revision: Option<String>,
    /// Ids of other clients with the owner mark of the resource.
    pub duplicates: Vec<String>,
    /// Whether the last pass brought this generation of the spec to Hydra, as far as that Hydra
    /// takes it.
    pub settled: bool,
    /// Whether a pass was asked for that has not been made.
    pub requested: bool,
    /// Whether the conditions say that the resource is suspended.
    pub suspended: bool,
    /// The keys of a `JsonWebKeySet` that Hydra holds for the client.
    pub jwks: Option<LinkedKeys>,
    /// Whether that set has other keys by now, or is gone.
    pub keys_moved: bool,
    /// Members that some version of Hydra was seen not to keep, for this generation of the spec.
    pub unsupported: Option<UnsupportedFields>,
}

impl Record {
    /// What the status of `resource` remembers.
    #[must_use]
    pub fn of(resource: &OAuth2Client) -> Self {
        let requested = resource.reconcile_requested_at();
        let Some(status) = &resource.status else {
            return Self { requested: requested.is_some(), ..Self::default() };
        };
        let current = status.observed_generation == resource.metadata.generation;
        let ready = condition::get(&status.conditions, ConditionType::Ready);
        let reached = ready.is_some_and(|ready| {
            // While suspended the condition stays that of the generation which was reached;
            // hydra-maester's conditions name none.
            ready.observed_generation.is_none_or(|of| Some(of) == resource.metadata.generation)
                && (ready.status == ConditionStatus::True
                    || ready.reason.as_deref() == Some(Reason::UnsupportedByHydra.as_str()))
        });
        Self {
            client_id: status.client_id.as_deref().and_then(|id| ClientId::parse(id).ok()),
            sent: status.secret.as_ref().map(|secret| SecretVersion {
                uid: secret.uid.clone(),
                resource_version: secret.resource_version.clone(),
            }),
            secret_name: status.secret.as_ref().map(|secret| secret.name.clone()),
            former_secrets: status.former_secrets.clone(),
            user_provided: status.secret.as_ref().is_some_and(|secret| secret.user_provided),
            keys: status
                .secret
                .as_ref()
                .and_then(|secret| secret.keys.as_ref())
                .map(|keys| KeyPair::new(&keys.client_id, &keys.client_secret)),
            revision: status.revision.clone(),
            duplicates: status.duplicates.clone(),
            settled: current && reached,
            requested: requested.is_some()
                && requested != status.last_handled_reconcile_at.as_deref().map(String::as_str),
            suspended: condition::get(&status.conditions, ConditionType::Stalled)
                .is_some_and(|stalled| stalled.reason.as_deref() == Some(SUSPENDED)),
            jwks: status.jwks.as_deref().cloned(),
            keys_moved: false,
            unsupported: status.unsupported.as_deref().cloned().filter(|_| current),
        }
    }

    /// The record in the light of what is known of the set that the resource refers to.
    #[must_use]
    pub fn linked(self, link: &Link) -> Self {
        Self { keys_moved: link.has_moved(self.jwks.as_ref()), ..self }
    }

    /// The record of a client that is to be set up in another Hydra: of that one nothing is known,
    /// not even which secret it has, if it has the client.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        let unknown = SecretVersion { uid: String::new(), resource_version: String::new() };
        Self { sent: Some(unknown), revision: None, settled: false, unsupported: None, ..self }
    }

    /// Whether nothing is known that a pass would have to do, given the Secret as it is now.
    #[must_use]
    pub fn is_idle(&self, secret: &SecretState) -> bool {
        self.covers(secret.version())
    }

    /// Whether a pass would neither do nor tell anything new, given the version of the Secret as the
    /// watch says it is now. What happens in Hydra the sweep finds.
    #[must_use]
    pub fn is_at_rest(&self, secret: Option<&SecretVersion>) -> bool {
        // While suspended, much may have changed that nobody was looking for.
        !self.suspended && self.client_id.is_some() && self.covers(secret)
    }

    fn covers(&self, secret: Option<&SecretVersion>) -> bool {
        self.settled
            && !self.requested
            && !self.keys_moved
            && self.former_secrets.is_empty()
            && secret.is_some()
            && secret == self.sent.as_ref()
    }
}

/// Whether somebody has written to a client since it had the `recorded` revision. Its secret cannot
/// be read: that a write has changed it shows in nothing else. Without a record nothing is said.
#[must_use]
pub fn has_moved(recorded: Option<&str>, now: Option<&str>) -> bool {
    let (Some(recorded), Some(now)) = (recorded, now) else { return false };
    let time = |text: &str| text.parse::<Timestamp>().ok();
    // The same moment can be written in more than one way.
    recorded != now && (time(recorded).is_none() || time(recorded) != time(now))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth2client::testing::{version, with_status};

    fn record(change: impl Fn(&mut Value)) -> Record {
        let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status, "reason": "Synced" });
        let mut status = json!({
            "observedGeneration": 2,
            "clientId": "id-1",
            "secret": { "name": "s", "uid": version("1").uid, "resourceVersion": "1" },
            "conditions": [condition("Ready", "True"), condition("Stalled", "False")],
        });
        change(&mut status);
        Record::of(&with_status(&json!({ "grantTypes": [], "secretName": "s" }), &status))
    }

    #[test]
    fn only_what_is_settled_and_unmoved_is_at_rest() {
        let same = || record(|_| {});
        let cases = [
            ("converged", same(), Some("1"), true),
            ("another version of the Secret", same(), Some("2"), false),
            ("no Secret, or an unknown one", same(), None, false),
            ("edited", record(|status| status["observedGeneration"] = 1.into()), Some("1"), false),
            ("no id", record(|status| status["clientId"] = Value::Null), Some("1"), false),
            ("no Secret recorded", record(|status| status["secret"] = Value::Null), None, false),
            (
                "was suspended",
                record(|status| status["conditions"][1]["reason"] = "Suspended".into()),
                Some("1"),
                false,
            ),
            (
                "not ready",
                record(|status| status["conditions"][0]["status"] = "False".into()),
                Some("1"),
                false,
            ),
            ("its keys moved", Record { keys_moved: true, ..same() }, Some("1"), false),
            ("asked for", Record { requested: true, ..same() }, Some("1"), false),
        ];
        for (name, record, secret, expected) in cases {
            let secret = secret.map(version);
            assert_eq!(record.is_at_rest(secret.as_ref()), expected, "{name}");
        }
    }
}
