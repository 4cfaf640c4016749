//! The steps of one turn, in their order.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Key, Rules, Sight, Substance, Turn, Wishes, active, later};
use crate::api::jsonwebkeyset::{KeyOrigin, KeyState};

/// Works out what becomes of `keys` at `now`. A key that is needed gets the id `fresh`. A key that `sights` says nothing about is
/// unmade.
#[must_use]
pub fn turn(
    rules: &Rules,
    keys: &[Key],
    sights: &BTreeMap<String, Sight>,
    wishes: &Wishes,
    fresh: &str,
    now: Timestamp,
) -> Turn {
    let is_good = |kid: &&String| wishes.revoke.as_ref() != Some(*kid);
    let provided = |kids: &Vec<String>| kids.iter().filter(is_good).cloned().collect();
    let mut work = Work {
        rules,
        sights,
        wishes,
        provided: wishes.provided.as_ref().map(provided),
        now,
        keys: keys.to_vec(),
        gone: Vec::new(),
        replaces: false,
        lost_next: false,
    };
    work.settle_times();
    work.revoke();
    work.dismiss();
    work.call_back();
    work.promote();
    work.demand(fresh);
    work.retire();
    let next_rotation = work.next_rotation();
    Turn { due: work.due(), next_rotation, keys: work.keys, gone: work.gone }
}

struct Work<'a> {
    rules: &'a Rules,
    sights: &'a BTreeMap<String, Sight>,
    wishes: &'a Wishes,
    /// The ids of the keys that are provided and not revoked.
    provided: Option<Vec<String>>,
    now: Timestamp,
    keys: Vec<Key>,
    gone: Vec<Key>,
    /// Whether a key is gone that was to come, and is still asked for.
    replaces: bool,
    /// Whether the successor of the current key cannot come, because its private half is lost.
    lost_next: bool,
}

impl Work<'_> {
    fn sight(&self, kid: &str) -> Sight {
        let unknown = Sight { substance: Substance::Unmade, published: false };
        self.sights.get(kid).copied().unwrap_or(unknown)
    }

    fn is_provided(&self, kid: &str) -> bool {
        self.provided.as_ref().is_some_and(|provided| provided.iter().any(|p| p == kid))
    }

    /// A clock that was ahead must not keep a key for longer than the rules say.
    fn settle_times(&mut self) {
        for key in &mut self.keys {
            key.since = key.since.min(self.now);
        }
    }

    fn take(&mut self, is_gone: impl Fn(&Self, &Key) -> bool) {
        let keys = std::mem::take(&mut self.keys);
        let (gone, kept) = keys.into_iter().partition(|key| is_gone(self, key));
        self.keys = kept;
        self.gone.extend::<Vec<Key>>(gone);
    }

    fn revoke(&mut self) {
        if let Some(kid) = &self.wishes.revoke {
            self.replaces = self.keys.iter().any(|key| key.kid == *kid && key.is_coming());
            self.take(|_, key| key.kid == *kid);
        }
    }

    /// A key that was to come and cannot, or is not wanted any more, has never signed. Where it may have been seen, it is retained.
    fn dismiss(&mut self) {
        let unwanted = |work: &Self, key: &Key| {
            let wanted = match &work.provided {
                Some(provided) => provided.first() == Some(&key.kid),
                None => key.origin != KeyOrigin::Imported,
            };
            let lost = work.sight(&key.kid).substance == Substance::Lost;
            key.is_coming() && (lost || !wanted || !work.rules.fit(key))
        };
        let is_lost_next = |key: &Key| {
            let lost = self.sight(&key.kid).substance == Substance::Lost;
            key.is_coming() && lost && self.rules.fit(key)
        };
        self.lost_next = self.keys.iter().any(is_lost_next);
        self.take(|work, key| {
            let sight = work.sight(&key.kid);
            // Should it be provided again, it is to be seen for long enough before it signs.
            let unseen = key.origin == KeyOrigin::Imported
                && key.state == KeyState::Pending
                && !sight.published;
            let goes = sight.substance == Substance::Unmade || unseen;
            unwanted(work, key) && goes && !work.is_provided(&key.kid)
        });
        let is_retained = |key: &Key| {
            let sight = self.sight(&key.kid);
            // One that is provided beside the current one may be asked for later, and is to have been seen for long enough then.
            let waits = key.state == KeyState::Pending && self.is_provided(&key.kid);
            let is_there = sight.substance != Substance::Unmade && (sight.published || !waits);
            unwanted(self, key) && is_there
        };
        let retained: Vec<bool> = self.keys.iter().map(is_retained).collect();
        for (key, retained) in self.keys.iter_mut().zip(retained) {
            if retained {
                key.turn(KeyState::Retained, self.now);
            }
        }
    }

    /// The key that is provided as the current one comes back, and has been public all the time.
    fn call_back(&mut self) {
        let Some(first) = self.provided.as_ref().and_then(|provided| provided.first()) else {
            return;
        };
        let is_it = |key: &&mut Key| key.kid == *first && key.state == KeyState::Retained;
        if let Some(key) = self.keys.iter_mut().find(is_it).filter(|key| self.rules.fit(key)) {
            key.state = KeyState::Published;
        }
    }

    fn promote(&mut self) {
        let published: Vec<bool> =
            self.keys.iter().map(|key| self.sight(&key.kid).published).collect();
        for (key, published) in self.keys.iter_mut().zip(published) {
            if key.state == KeyState::Pending && published {
                key.turn(KeyState::Published, self.now);
            }
        }
        let Some(next) = self.keys.iter().rposition(|key| self.may_sign(key)) else { return };
        for (n, key) in self.keys.iter_mut().enumerate() {
            let is_overtaken = n < next && key.state == KeyState::Published;
            if key.state == KeyState::Active || is_overtaken {
                key.turn(KeyState::Retained, self.now);
            }
        }
        self.keys[next].turn(KeyState::Active, self.now);
    }

    fn may_sign(&self, key: &Key) -> bool {
        let waived = self.rules.signs_at_once || active(&self.keys).is_none();
        let sight = self.sight(&key.kid);
        // Who came meanwhile may not know it yet.
        let is_known =
            || sight.published && self.now >= later(key.since, self.rules.publish_before);
        key.state == KeyState::Published
            && self.is_wanted(key)
            && sight.substance == Substance::Whole
            && (waived || is_known())
    }

    fn is_wanted(&self, key: &Key) -> bool {
        let current = self.provided.as_ref().and_then(|provided| provided.first());
        self.rules.fit(key) && current.is_none_or(|current| *current == key.kid)
    }

    /// Adds the keys that are missing.
    fn demand(&mut self, fresh: &str) {
        match &self.provided {
            Some(provided) => self.provide(&provided.clone()),
            None if self.needs_another() => self.add(fresh, KeyOrigin::Hydra),
            None => {}
        }
    }

    fn provide(&mut self, provided: &[String]) {
        for kid in provided {
            if self.keys.iter().all(|key| key.kid != *kid) {
                self.add(kid, KeyOrigin::Imported);
            }
        }
    }

    fn add(&mut self, kid: &str, origin: KeyOrigin) {
        self.keys.push(Key {
            kid: kid.to_owned(),
            algorithm: self.rules.algorithm.clone(),
            key_use: self.rules.key_use.clone(),
            state: KeyState::Pending,
            since: self.now,
            origin,
        });
    }

    fn needs_another(&self) -> bool {
        if self.keys.iter().any(|key| key.is_coming() && self.rules.fit(key)) {
            return false;
        }
        let Some(active) = active(&self.keys) else { return true };
        let is_due = self.due_of(active).is_some_and(|due| self.now >= due);
        let lost = self.sight(&active.kid).substance == Substance::Lost;
        let is_asked = self.wishes.rotate || self.replaces || self.lost_next;
        is_asked || is_due || lost || !self.rules.fit(active)
    }

    /// When the successor of the current key is to be made, by the clock.
    fn due_of(&self, active: &Key) -> Option<Timestamp> {
        let interval = self.rules.interval.filter(|_| self.provided.is_none())?;
        Some(later(active.since, interval.saturating_sub(self.rules.lead())))
    }

    /// A key that is provided beside the current one is kept as long as it is.
    fn retire(&mut self) {
        self.take(|work, key| {
            let until = work.rules.until(key, work.is_provided(&key.kid));
            key.state == KeyState::Retained && until.is_some_and(|until| work.now >= until)
        });
    }

    fn due(&self) -> Option<Timestamp> {
        let coming = self.keys.iter().any(|key| key.is_coming() && self.rules.fit(key));
        let of = |key: &Key| match key.state {
            KeyState::Active if coming => None,
            KeyState::Active => self.due_of(key),
            _ => self.rules.until(key, self.is_provided(&key.kid)),
        };
        // What is due and was not done waits for something else than time.
        self.keys.iter().filter_map(of).filter(|due| *due > self.now).min()
    }

    fn next_rotation(&self) -> Option<Timestamp> {
        let is_next = |key: &&Key| key.state == KeyState::Published && self.is_wanted(key);
        let by_key = self.keys.iter().rfind(is_next).map(|key| later(key.since, self.rules.lead()));
        let interval = self.rules.interval.filter(|_| self.provided.is_none());
        let by_clock = || Some(later(active(&self.keys)?.since, interval?));
        by_key.or_else(by_clock)
    }
}
