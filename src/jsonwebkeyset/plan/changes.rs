//! The changes that lead to the desired state.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Changes, Make, View, named, public};
use crate::{
    api::jsonwebkeyset::{KeyOrigin, KeyState},
    hydra::StoredKey,
    jose::{Jwk, PublicJwk},
    jsonwebkeyset::{
        rotation::{Key, Sight, Substance, Turn, Wishes},
        waiting::waiting,
    },
};

impl View<'_> {
    /// The keys that the operator has made, from its Secret or, where somebody took them out, from wherever they are.
    pub(super) fn keeps(&self, keys: &[Key], privates: &BTreeMap<String, Jwk>) -> Vec<Jwk> {
        let made = keys.iter().filter(|key| key.origin == KeyOrigin::Operator);
        let kept = made.filter_map(|key| {
            let material = &self.observed.material;
            let kept = material.iter().find(|kept| self.fits(&key.kid, kept));
            kept.or_else(|| privates.get(&key.kid)).cloned()
        });
        kept.collect()
    }

    pub(super) fn changes(
        &self,
        mut turn: Turn,
        sights: &BTreeMap<String, Sight>,
        wishes: &Wishes,
        foreign: Vec<String>,
        now: Timestamp,
    ) -> Changes {
        // What the operator has stored, it has made, whether or not it came to record that.
        for key in turn.keys.iter_mut().filter(|key| key.origin == KeyOrigin::Hydra) {
            if self.observed.material.iter().any(|kept| self.fits(&key.kid, kept)) {
                key.origin = KeyOrigin::Operator;
            }
        }
        let mut makes = Vec::new();
        let (mut publics, mut privates) = (BTreeMap::new(), BTreeMap::new());
        let mut published_kids = BTreeMap::new();
        for key in &turn.keys {
            let intact = self.intact(&key.kid);
            let private = self.private(&key.kid, intact).map(|jwk| named(jwk, key));
            let known = self.record.public_key(&key.kid).cloned();
            let seen = || {
                private
                    .as_ref()
                    .or(intact.map(|stored| &stored.jwk))
                    .and_then(|jwk| public(jwk, key))
            };
            let known = known.or_else(seen);
            if let Some(make) = self.make(key, intact, private.as_ref(), known.as_ref(), wishes) {
                makes.push((key.kid.clone(), make));
            }
            if let Some(stored) = intact.filter(|_| self.desired.is_system) {
                published_kids.insert(key.kid.clone(), stored.published_kid.clone());
            }
            publics.extend(known.map(|public| (key.kid.clone(), public)));
            privates.extend(private.map(|private| (key.kid.clone(), private)));
        }
        let waiting = waiting(&self.desired.rules, &turn.keys, &self.observed.linked);
        turn.due = turn.due.into_iter().chain(waiting.overdue_from(now)).min();
        let was = |kid: &str| {
            let known = self.record.keys.iter().find(|known| known.kid == kid);
            known.map_or(KeyState::Pending, |known| known.state)
        };
        // The current one is lost until another has taken its place, any other until it is given up, which it is at once.
        let is_lost = |key: &&Key| {
            let counts = match was(&key.kid) {
                KeyState::Active => key.state == KeyState::Active,
                KeyState::Pending | KeyState::Published => true,
                KeyState::Retained => false,
            };
            let sight = sights.get(&key.kid);
            counts && sight.is_some_and(|sight| sight.substance == Substance::Lost)
        };
        Changes {
            lost: turn.keys.iter().filter(is_lost).map(|key| key.kid.clone()).collect(),
            keeps: self.keeps(&turn.keys, &privates),
            stranger: self.stranger().map(ToOwned::to_owned),
            waiting,
            makes,
            publics,
            privates,
            published_kids,
            foreign,
            turn,
        }
    }

    /// How `key` gets into Hydra, if it is not there as it should be. Hydra's own sets are never sent a key: it would be the
    /// newest, which signs.
    pub(super) fn make(
        &self,
        key: &Key,
        intact: Option<&StoredKey>,
        private: Option<&Jwk>,
        public: Option<&PublicJwk>,
        wishes: &Wishes,
    ) -> Option<Make> {
        let is_provided = wishes.provided.is_some() && key.origin == KeyOrigin::Imported;
        let is_half =
            |stored: &StoredKey| key.origin != KeyOrigin::Adopted && stored.lacks_its_public_row();
        let in_hydra = intact.is_some_and(|stored| {
            let is_whole = private.is_none() || (stored.jwk.is_private() && !is_half(stored));
            is_whole && stored.is_for(&key.algorithm, &key.key_use)
        });
        if in_hydra && !self.desired.is_system {
            return None;
        }
        if self.desired.is_system {
            let is_new = intact.is_none()
                && key.state == KeyState::Pending
                && self.record.public_key(&key.kid).is_none();
            return is_new.then_some(Make::ByHydra);
        }
        match (private, public) {
            (Some(private), _) => Some(Make::Send(private.clone())),
            (None, Some(public)) => Some(Make::Send(Jwk::of_public(public.clone()))),
            // It has to be there to be sent.
            (None, None) if is_provided || key.state != KeyState::Pending => None,
            (None, None) if self.observed.generation.can_make(&key.algorithm) => {
                Some(Make::ByHydra)
            }
            (None, None) => Some(Make::Here),
        }
    }
}
