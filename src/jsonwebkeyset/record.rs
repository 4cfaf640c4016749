//! What status remembers of earlier passes.

use jiff::Timestamp;

use super::rotation::Key;
use crate::{
    api::{
        ConditionStatus, ConditionType, JsonWebKeySet, condition,
        jsonwebkeyset::{KeyStatus, OutputStatus, OutputStatuses},
    },
    jose::PublicJwk,
};

/// What status remembers of earlier passes, as far as a pass decides by it.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of their own, each found by itself")]
pub struct Record {
    /// The keys that are ours.
    pub keys: Vec<KeyStatus>,
    /// The objects that were written.
    pub outputs: OutputStatuses,
    /// Whether the last pass reached its goal for this generation of the spec.
    pub settled: bool,
    /// Whether a pass was asked for that has not been made.
    pub requested: bool,
    /// Whether a new key was asked for that has not been made.
    pub rotate: bool,
    /// The id of the key that is compromised, if one is named.
    pub revoke: Option<String>,
    /// Whether the key that is named has not been dealt with.
    pub revoke_is_new: bool,
    /// The ids of keys that were revoked and may be in a Secret still.
    pub revoked: Vec<String>,
}

impl Record {
    /// What the status of `resource` remembers.
    #[must_use]
    pub fn of(resource: &JsonWebKeySet) -> Self {
        let status = resource.status.clone().unwrap_or_default();
        let news = |annotation: Option<&str>, handled: Option<&String>| {
            annotation.is_some() && annotation != handled.map(String::as_str)
        };
        let ready = condition::get(&status.conditions, ConditionType::Ready);
        let reached = ready.is_some_and(|ready| {
            ready.status == ConditionStatus::True
                && ready.observed_generation == resource.metadata.generation
        });
        let (handled, rotated) =
            (&status.last_handled_reconcile_at, &status.last_handled_rotate_at);
        let revoked = &status.last_handled_revoke_key;
        Self {
            settled: reached && status.observed_generation == resource.metadata.generation,
            requested: news(resource.reconcile_requested_at(), handled.as_ref()),
            rotate: news(resource.rotate_requested_at(), rotated.as_ref()),
            revoke: resource.revoke_key().map(ToOwned::to_owned),
            revoke_is_new: news(resource.revoke_key(), revoked.as_ref()),
            revoked: status.revoked_keys,
            keys: status.keys,
            outputs: status.outputs.unwrap_or_default(),
        }
    }

    /// The keys, as far as time matters to them.
    #[must_use]
    pub fn rotating(&self) -> Vec<Key> {
        let key = |key: &KeyStatus| Key {
            kid: key.kid.clone(),
            algorithm: key.algorithm.clone(),
            key_use: key.r#use.clone(),
            state: key.state,
            since: key.since.unwrap_or(Timestamp::MIN),
            origin: key.origin,
        };
        self.keys.iter().map(key).collect()
    }

    /// The public half of the key `kid`, as it was when it was last written.
    #[must_use]
    pub fn public_key(&self, kid: &str) -> Option<&PublicJwk> {
        self.keys.iter().find(|key| key.kid == kid)?.public_key.as_ref()
    }

    /// The key that is to go before anything else is looked at: a compromised one of ours.
    #[must_use]
    pub fn compromised(&self) -> Option<&KeyStatus> {
        let kid = self.revoke.as_ref().filter(|_| self.revoke_is_new)?;
        self.keys.iter().find(|key| key.kid == *kid)
    }

    /// Whether the version of an object is the recorded one.
    #[must_use]
    pub fn is_same(
        recorded: Option<&OutputStatus>,
        name: Option<&str>,
        version: Option<&crate::kubernetes::SecretVersion>,
    ) -> bool {
        match (recorded, name) {
            (None, None) => true,
            (Some(recorded), Some(name)) => {
                recorded.name == name
                    && version.is_some_and(|version| {
                        recorded.uid == version.uid
                            && recorded.resource_version == version.resource_version
                    })
            }
            _ => false,
        }
    }
}
