//! What keeps a plan from being made, and whose the keys of the set are.

use jiff::Timestamp;

use super::{Recorded, View, public};
use crate::{
    api::jsonwebkeyset::{KeyOrigin, KeyState, KeyStatus},
    hydra::StoredKey,
    jose::{Jwk, same_key, same_material},
    jsonwebkeyset::{
        error::{Failure, Reason},
        rotation::{self, Key},
    },
};

impl View<'_> {
    /// A set that holds keys of others and none of ours is not ours to use, unless that is allowed, or they are those that
    /// are to be imported. Returns those that become ours.
    pub(super) fn first_contact(
        &self,
        foreign: &[String],
        now: Timestamp,
    ) -> Result<Vec<Recorded>, Failure> {
        let is_ours =
            |key: &str| self.record.public_key(key).is_some() || self.stored(key).is_some();
        if foreign.is_empty() || self.record.keys.iter().any(|key| is_ours(&key.kid)) {
            return Ok(Vec::new());
        }
        let strangers: Vec<&StoredKey> =
            self.observed.stored().filter(|key| !self.is_imported(key)).collect();
        if strangers.is_empty() {
            return Ok(Vec::new());
        }
        if !self.desired.adopts {
            let shown: Vec<&str> = foreign.iter().take(5).map(String::as_str).collect();
            return Err(Failure::terminal(
                Reason::KeySetNotOwned,
                format!(
                    "the set {} holds {} keys that are not the operator's ({}): choose another spec.setName, or ask the \
                     administrator of the operator to let it adopt them (--adopt-key-sets)",
                    self.desired.set.as_str(),
                    foreign.len(),
                    shown.join(", ")
                ),
            ));
        }
        let whole = |key: &&StoredKey| key.jwk.is_private();
        let first = self.observed.stored().find(whole).map(|key| key.kid.clone());
        // The oldest comes first in the record, and the newest in Hydra.
        let mut adopted: Vec<Recorded> =
            self.observed.stored().map(|key| self.adopt(key, first.as_ref(), now)).collect();
        adopted.reverse();
        Ok(adopted)
    }

    fn is_imported(&self, stored: &StoredKey) -> bool {
        self.imported(&stored.kid).is_some_and(|key| same_material(key, &stored.jwk))
    }

    pub(super) fn adopt(
        &self,
        stored: &StoredKey,
        first: Option<&String>,
        now: Timestamp,
    ) -> Recorded {
        let is_first = first == Some(&stored.kid);
        let rules = &self.desired.rules;
        let named = |member: &str, otherwise: &str| {
            let named = stored.jwk.text(member).filter(|text| !text.is_empty());
            named.unwrap_or(otherwise).to_owned()
        };
        let key = Key {
            kid: stored.kid.clone(),
            algorithm: named("alg", &rules.algorithm),
            key_use: named("use", &rules.key_use),
            state: if is_first { KeyState::Active } else { KeyState::Retained },
            since: now,
            origin: KeyOrigin::Adopted,
        };
        let public = public(&stored.jwk, &key);
        Recorded { key, public }
    }

    /// A kid means one key for ever: those who check signatures keep copies.
    pub(super) fn check_import(&self) -> Result<(), Failure> {
        let taken = |key: &&Jwk| {
            let kid = key.kid().unwrap_or_default();
            let foreign = || self.stored(kid).filter(|_| !self.is_ours(kid))?.jwk.public();
            let known = self.record.public_key(kid).or_else(foreign);
            match key.public() {
                Some(public) => known.is_some_and(|known| !same_key(known, public)),
                None => self.is_replaced_secret(kid, key),
            }
        };
        let Some(key) = self.observed.imported.iter().flatten().find(taken) else { return Ok(()) };
        let kid = key.kid().unwrap_or_default();
        let or_none = if key.is_symmetric() { "" } else { ", or none" };
        let message = format!(
            "the set holds another key of the kid {kid} than the Secret to import from: give the new key another kid{or_none}"
        );
        Err(Failure::terminal(Reason::InvalidImport, message))
    }

    /// Nothing is recorded of a secret by which another one could be told. So it is another one if all that hold a key of that id
    /// hold something else, and it has come since it was last read; if it has not, it is them that were altered.
    fn is_replaced_secret(&self, kid: &str, key: &Jwk) -> bool {
        let is_as_read = self.record.outputs.import == self.observed.import;
        let in_hydra = self.stored(kid).map(|stored| &stored.jwk);
        let handed_out = self.observed.handed_out.iter().find(|held| held.kid() == Some(kid));
        let mut held = in_hydra.into_iter().chain(handed_out).peekable();
        held.peek().is_some()
            && !held.any(|held| same_material(held, key))
            && !(is_as_read && self.is_ours(kid))
    }

    /// Hydra lets a client sign with one algorithm alone.
    pub(super) fn check_links(&self, keys: &[Key]) -> Result<(), Failure> {
        let Some(active) = rotation::active(keys) else { return Ok(()) };
        let Some(client) = self.observed.linked.first() else { return Ok(()) };
        if self.desired.rules.fit(active) {
            return Ok(());
        }
        Err(Failure::terminal(
            Reason::KeySetInUse,
            format!(
                "OAuth2Client {} takes its keys from this set, and a client can sign with one algorithm alone: put {} ({}) \
                 back, or create another JsonWebKeySet, let spec.jwksFrom of the clients name that one, and change \
                 this one when nobody names it any more",
                client.name, active.algorithm, active.key_use
            ),
        ))
    }

    pub(super) fn check_algorithm(&self) -> Result<(), Failure> {
        let (algorithm, generation) = (&self.desired.algorithm, self.observed.generation);
        let name = algorithm.as_str();
        let trouble = if self.desired.is_system && !generation.can_sign_with(name) {
            format!("this version of Hydra cannot sign its own tokens with {name}: write RS256")
        } else if algorithm.is_symmetric()
            && !generation.has_symmetric_keys()
            && self.observed.imported.is_none()
        {
            format!(
                "this version of Hydra makes no keys for {name}: choose an algorithm with a public half, such as ES256"
            )
        } else {
            return Ok(());
        };
        Err(Failure::terminal(Reason::UnsupportedAlgorithm, trouble))
    }

    /// A Hydra that keeps private halves to itself makes one key after the other of which none can be handed out.
    pub(super) fn check_halves(&self) -> Result<(), Failure> {
        let is_half = |key: &&KeyStatus| {
            let stored = self.stored(&key.kid);
            key.state == KeyState::Pending
                && key.public_key.is_none()
                && stored.is_some_and(|stored| !stored.jwk.is_private())
                && self.private(&key.kid, None).is_none()
        };
        let Some(half) = self.record.keys.iter().find(is_half) else { return Ok(()) };
        let message = format!(
            "Hydra has made key {} and shows no private half of it, as with a hardware security module: its key sets cannot be \
             managed here",
            half.kid
        );
        Err(Failure::terminal(Reason::UnsupportedAlgorithm, message))
    }
}
