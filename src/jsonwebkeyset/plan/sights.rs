//! What is seen of the keys, and where.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::View;
use crate::{
    api::jsonwebkeyset::{KeyState, KeyStatus},
    hydra::StoredKey,
    jose::{PublicJwk, same_key},
    jsonwebkeyset::rotation::{Key, Sight, Substance},
};

impl View<'_> {
    /// The id of the key that Hydra signs its own tokens with: the newest one.
    pub(super) fn signing(&self) -> Option<&str> {
        let first = self.observed.stored().find(|key| key.jwk.is_private());
        first.filter(|_| self.desired.is_system).map(|first| first.kid.as_str())
    }

    /// The key of ours that Hydra signs with although it is not to sign any more: it gets a successor again.
    pub(super) fn intruder(&self) -> Option<&str> {
        let is_retained = |kid: &str| {
            let retained = |key: &KeyStatus| key.kid == kid && key.state == KeyState::Retained;
            self.record.keys.iter().any(retained)
        };
        self.signing().filter(|kid| is_retained(kid))
    }

    /// The key of somebody else that Hydra signs with. It keeps its place until the next rotation: another operator that did the
    /// same as this one would answer each new key with one of its own.
    pub(super) fn stranger(&self) -> Option<&str> {
        self.signing().filter(|kid| !self.is_ours(kid))
    }

    /// The keys as they are recorded. What Hydra signs with until now has to be known for as long from now on.
    pub(super) fn rotating(&self, now: Timestamp) -> Vec<Key> {
        let mut keys = self.record.rotating();
        let signs = |key: &&mut Key| Some(key.kid.as_str()) == self.signing();
        let retained = |key: &&mut Key| key.state == KeyState::Retained;
        if let Some(key) = keys.iter_mut().filter(signs).find(retained) {
            key.since = now;
        }
        keys
    }

    pub(super) fn sights(&self) -> BTreeMap<String, Sight> {
        let sight = |kid: &str, state: KeyState| {
            let intact = self.intact(kid);
            let is_made = self.record.public_key(kid).is_some()
                || (self.desired.algorithm.is_symmetric() && state != KeyState::Pending);
            let substance = if self.private(kid, intact).is_some() {
                Substance::Whole
            } else if is_made || self.stored(kid).is_some() {
                Substance::Lost
            } else {
                Substance::Unmade
            };
            Sight { substance, published: intact.is_some_and(|key| self.is_published(key)) }
        };
        let keys = self.record.keys.iter();
        keys.map(|key| (key.kid.clone(), sight(&key.kid, key.state))).collect()
    }

    /// Whether the public half of a key that Hydra has is wherever else it is looked up.
    pub(super) fn is_published(&self, stored: &StoredKey) -> bool {
        let Some(public) = stored.jwk.public() else { return true };
        let shown = |keys: &[PublicJwk], kid: &str| {
            let is_it = |key: &PublicJwk| {
                key.get("kid").is_some_and(|of| of == kid) && same_key(key, public)
            };
            keys.iter().any(is_it)
        };
        let in_output =
            self.desired.public.is_none() || shown(&self.observed.shown, self.output_kid(stored));
        let by_hydra = self.observed.published.as_ref();
        // Without a current key nothing is refused that is not refused anyway: whoever is late is not waited for.
        let is_current = |key: &KeyStatus| key.state == KeyState::Active;
        let waits = self.record.keys.iter().any(is_current);
        in_output
            && by_hydra.is_none_or(|keys| shown(keys, &stored.published_kid))
            && !(waits && self.observed.linked.iter().any(|client| client.lacks(&stored.kid)))
    }

    pub(super) fn output_kid<'b>(&self, stored: &'b StoredKey) -> &'b str {
        if self.desired.is_system { &stored.published_kid } else { &stored.kid }
    }
}
