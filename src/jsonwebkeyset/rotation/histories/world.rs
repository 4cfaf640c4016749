//! A set and the world around it, and what is to hold in it after each pass.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::super::*;

/// What can happen between two passes.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time passes: minutes.
    Wait(i64),
    /// The clock is set back, or the process lands on a machine whose clock is behind: minutes.
    SetBack(i64),
    /// The public halves of all keys arrive wherever they are looked up.
    Arrive,
    /// The next pass comes to nothing after it has decided.
    Crash,
    /// The process dies after it has recorded the next key and before the key is made.
    Interrupt,
    /// From now on Hydra makes and takes no keys, or does so again.
    Refuse(bool),
    /// Somebody comes to know the keys who does not know those that are to come.
    Newcomer,
    /// The private half of the current key is destroyed.
    Lose,
    /// A new key is asked for.
    Rotate,
    /// A key is compromised: the current one, or the one that is to come.
    Revoke(bool),
    /// Another algorithm. Those who provide keys provide keys for it.
    Algorithm(bool),
    /// Another interval: hours, or none.
    Interval(Option<u64>),
    /// Another time before a key signs: minutes.
    PublishBefore(u64),
    /// Another time after a key has signed: minutes.
    Retain(u64),
    /// These keys are provided from now on, or none are.
    Provide(Option<Vec<&'static str>>),
}

/// A set, and the world around it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of their own, each changed by an event of its own"
)]
pub struct World {
    now: Timestamp,
    rules: Rules,
    pub keys: Vec<Key>,
    made: BTreeSet<String>,
    lost: BTreeSet<String>,
    arrived: BTreeSet<String>,
    /// When a key was first seen wherever it is looked up, by the clock, which may go back.
    seen: BTreeMap<String, Timestamp>,
    /// When a key signed for the last time, or was given up.
    ended: BTreeMap<String, Timestamp>,
    wishes: Wishes,
    /// The keys that are provided, whether or not they were revoked.
    provided: Option<Vec<&'static str>>,
    /// Those that were revoked: they are not imported again.
    revoked: BTreeSet<String>,
    had_active: bool,
    crash: bool,
    interrupts: bool,
    refuses: bool,
    serial: u32,
}

impl World {
    pub fn new(signs_at_once: bool) -> Self {
        let minutes = |n: u64| Duration::from_mins(n);
        Self {
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            rules: Rules {
                algorithm: "ES256".into(),
                key_use: "sig".into(),
                interval: Some(minutes(24 * 60)),
                publish_before: minutes(60),
                retain: minutes(600),
                signs_at_once,
            },
            keys: Vec::new(),
            made: BTreeSet::new(),
            lost: BTreeSet::new(),
            arrived: BTreeSet::new(),
            seen: BTreeMap::new(),
            ended: BTreeMap::new(),
            wishes: Wishes::default(),
            provided: None,
            revoked: BTreeSet::new(),
            had_active: false,
            crash: false,
            interrupts: false,
            refuses: false,
            serial: 0,
        }
    }

    pub fn happen(&mut self, event: &Event) {
        let shift = |minutes: i64| SignedDuration::from_mins(minutes);
        match event {
            Event::Wait(minutes) => self.now += shift(*minutes),
            Event::SetBack(minutes) => self.now -= shift(*minutes),
            Event::Arrive => self.arrived.extend(self.made.iter().cloned()),
            Event::Newcomer => {
                let unknown = self.keys.iter().filter(|key| key.is_coming());
                for key in unknown {
                    self.arrived.remove(&key.kid);
                }
            }
            Event::Crash => self.crash = true,
            Event::Interrupt => self.interrupts = true,
            Event::Refuse(refuses) => self.refuses = *refuses,
            Event::Lose => self.lost.extend(active(&self.keys).map(|key| key.kid.clone())),
            Event::Rotate => self.wishes.rotate = true,
            // One after the other, where it takes more than a pass.
            Event::Revoke(_) if self.rules.signs_at_once && self.revoking().is_some() => {}
            Event::Revoke(current) => {
                let is_it = |key: &&Key| (key.state == KeyState::Active) == *current;
                self.wishes.revoke = self.keys.iter().find(is_it).map(|key| key.kid.clone());
            }
            Event::Algorithm(other) => {
                let algorithm = if *other { "RS256" } else { "ES256" };
                self.rules.algorithm = algorithm.into();
            }
            Event::Interval(hours) => {
                self.rules.interval = hours.map(|hours| Duration::from_mins(60 * hours));
            }
            Event::PublishBefore(minutes) => {
                self.rules.publish_before = Duration::from_mins(*minutes);
            }
            Event::Retain(minutes) => self.rules.retain = Duration::from_mins(*minutes),
            Event::Provide(kids) => self.provided.clone_from(kids),
        }
        // A kid means one key for ever, so keys for another algorithm have other ones.
        let named = |kid: &&str| format!("{kid}-{}", self.rules.algorithm);
        let provided = self.provided.as_ref().map(|kids| kids.iter().map(named));
        self.wishes.provided =
            provided.map(|kids| kids.filter(|kid| !self.revoked.contains(kid)).collect());
    }

    fn is_provided(&self, kid: &str) -> bool {
        self.wishes.provided.iter().flatten().any(|provided| provided == kid)
    }

    fn sights(&self) -> BTreeMap<String, Sight> {
        // What is provided is there before it is made, and whatever becomes of it in Hydra.
        let substance = |kid: &String| match (self.made.contains(kid), self.lost.contains(kid)) {
            _ if self.is_provided(kid) => Substance::Whole,
            (false, _) => Substance::Unmade,
            (true, true) => Substance::Lost,
            (true, false) => Substance::Whole,
        };
        let sight = |kid: &String| Sight {
            substance: substance(kid),
            published: self.made.contains(kid) && self.arrived.contains(kid),
        };
        self.keys.iter().map(|key| (key.kid.clone(), sight(&key.kid))).collect()
    }

    /// What a pass does: it records keys that are needed, and once they are recorded brings about all that was decided.
    pub fn pass(&mut self) -> Result<(), TestCaseError> {
        self.revoke();
        if self.step()? && !std::mem::take(&mut self.interrupts) {
            self.step()?;
        }
        Ok(())
    }

    fn revoking(&self) -> Option<usize> {
        let revoke = self.wishes.revoke.as_ref()?;
        self.keys.iter().position(|key| key.kid == *revoke)
    }

    /// A compromised key goes before anything is decided, but from the sets that Hydra signs with.
    fn revoke(&mut self) {
        if let Some(n) = self.revoking().filter(|_| !self.rules.signs_at_once) {
            let key = self.keys.remove(n);
            self.wishes.rotate |= key.is_coming();
            self.revoked.insert(key.kid.clone());
            self.forget(&key.kid);
        }
    }

    /// Should it be provided once more, it starts anew.
    fn forget(&mut self, kid: &str) {
        for kids in [&mut self.made, &mut self.lost, &mut self.arrived] {
            kids.remove(kid);
        }
        self.seen.remove(kid);
        self.ended.remove(kid);
    }

    /// Returns whether there is more to do.
    fn step(&mut self) -> Result<bool, TestCaseError> {
        self.serial += 1;
        let (fresh, sights) = (format!("key-{}", self.serial), self.sights());
        let turned = turn(&self.rules, &self.keys, &sights, &self.wishes, &fresh, self.now);
        // What was decided is not recorded: the next pass starts from the same record.
        if std::mem::take(&mut self.crash) {
            return Ok(false);
        }
        self.check(&turned, &sights)?;
        let again = turn(
            &self.rules,
            &turned.keys,
            &sights,
            &Wishes { rotate: false, ..self.wishes.clone() },
            "again",
            self.now,
        );
        prop_assert_eq!(&again.keys, &turned.keys, "a second pass changes something");
        let is_new = |key: &Key| self.keys.iter().all(|known| known.kid != key.kid);
        let new: Vec<Key> = turned.keys.iter().filter(|key| is_new(key)).cloned().collect();
        if !new.is_empty() {
            self.keys.extend(new);
            return Ok(true);
        }
        // Without Hydra nothing comes about that was decided, again and again.
        let is_made = |key: &Key| self.made.contains(&key.kid);
        if !self.refuses || turned.keys.iter().all(is_made) {
            self.record(turned);
        }
        Ok(false)
    }

    /// The decision takes effect.
    fn record(&mut self, turned: Turn) {
        for key in &self.keys {
            let signs = turned.keys.iter().any(|k| k.kid == key.kid && k.state == KeyState::Active);
            if key.state != KeyState::Retained && !signs {
                self.ended.insert(key.kid.clone(), self.now);
            }
        }
        for key in &turned.gone {
            self.forget(&key.kid);
        }
        self.revoked.extend(self.wishes.revoke.clone());
        self.keys = turned.keys;
        self.had_active |= active(&self.keys).is_some();
        self.made.extend(self.keys.iter().map(|key| key.kid.clone()));
        if self.keys.iter().any(|key| key.is_coming() && self.rules.fit(key))
            || turned.next_rotation.is_none()
        {
            self.wishes.rotate = false;
        }
    }

    fn check(
        &mut self,
        turned: &Turn,
        sights: &BTreeMap<String, Sight>,
    ) -> Result<(), TestCaseError> {
        // The clock may have been ahead when something was noted.
        for noted in self.seen.values_mut().chain(self.ended.values_mut()) {
            *noted = (*noted).min(self.now);
        }
        for (kid, sight) in sights {
            if sight.published {
                self.seen.entry(kid.clone()).or_insert(self.now);
            }
        }
        self.check_new(turned)?;
        self.check_signing(turned, sights)?;
        prop_assert!(turned.due.is_none_or(|due| due > self.now), "it is due already");
        turned.gone.iter().try_for_each(|gone| self.check_gone(gone, sights))
    }

    fn is_revoked(&self, kid: &str) -> bool {
        self.wishes.revoke.as_deref() == Some(kid)
    }

    fn check_new(&self, turned: &Turn) -> Result<(), TestCaseError> {
        let is_new = |key: &&Key| self.keys.iter().all(|known| known.kid != key.kid);
        let new: Vec<&Key> = turned.keys.iter().filter(is_new).collect();
        for key in &new {
            prop_assert!(!self.is_revoked(&key.kid), "a revoked key comes back");
        }
        let coming = turned.keys.iter().filter(|key| key.is_coming() && self.rules.fit(key));
        if let Some(provided) = &self.wishes.provided {
            let foreign = new.iter().find(|key| !provided.contains(&key.kid));
            prop_assert!(foreign.is_none(), "a key is made although keys are provided");
            // The others are retained as soon as they are seen.
            let coming = coming.filter(|key| key.state == KeyState::Published);
            prop_assert!(coming.count() <= 1, "several keys are to come");
        } else {
            prop_assert!(new.len() <= 1, "{} keys are made at once", new.len());
            // A key that was to sign at once may have to wait for a newcomer, beside the next one that is recorded already.
            prop_assert!(new.is_empty() || coming.count() == 1, "another one is to come already");
        }
        Ok(())
    }

    fn check_signing(
        &self,
        turned: &Turn,
        sights: &BTreeMap<String, Sight>,
    ) -> Result<(), TestCaseError> {
        let signing: Vec<&Key> =
            turned.keys.iter().filter(|k| k.state == KeyState::Active).collect();
        prop_assert!(signing.len() <= 1, "{} keys sign", signing.len());
        let former = active(&self.keys);
        if signing.is_empty() && self.had_active {
            let is_revoked = former.is_none_or(|key| self.is_revoked(&key.kid));
            prop_assert!(is_revoked, "no key signs any more");
        }
        let Some(key) = signing.first().filter(|key| former.is_none_or(|f| f.kid != key.kid))
        else {
            return Ok(());
        };
        prop_assert!(self.rules.fit(key), "a key signs that is not asked for");
        let first = self
            .wishes
            .provided
            .as_ref()
            .and_then(|kids| kids.iter().find(|kid| !self.is_revoked(kid)));
        prop_assert!(first.is_none_or(|first| *first == key.kid), "it is not the first one");
        let replaces_nothing = former.is_none_or(|former| self.is_revoked(&former.kid));
        let waived = self.rules.signs_at_once || replaces_nothing;
        prop_assert!(self.made.contains(&key.kid), "a key signs that Hydra does not have");
        let seen = self.seen.get(&key.kid);
        prop_assert!(seen.is_some(), "a key signs that nobody knows");
        let due = later(*seen.unwrap(), self.rules.publish_before);
        prop_assert!(waived || self.now >= due, "a key signs too early");
        prop_assert!(waived || sights[&key.kid].published, "somebody does not know the key");
        Ok(())
    }

    fn check_gone(
        &self,
        gone: &Key,
        sights: &BTreeMap<String, Sight>,
    ) -> Result<(), TestCaseError> {
        let kid = &gone.kid;
        let unmade = sights.get(kid).is_none_or(|s| s.substance == Substance::Unmade);
        let ended = self.ended.get(kid).copied();
        let over = ended.is_some_and(|ended| self.now >= later(ended, self.rules.retain));
        // With nothing to retain it for, it ends and goes at once.
        let at_once = self.rules.retain.is_zero();
        // One that was provided for a moment has never signed, and nobody waits for it.
        let idle = gone.origin == KeyOrigin::Imported && gone.state == KeyState::Pending;
        let may_go = !self.is_provided(kid) && (unmade || idle || over || at_once);
        prop_assert!(self.is_revoked(kid) || may_go, "{kid} goes too early");
        Ok(())
    }

    /// From now on nothing happens but what has to.
    pub fn rest(&mut self) -> Result<(), TestCaseError> {
        self.rules.interval = None;
        self.wishes.revoke = None;
        for _ in 0..6 {
            self.happen(&Event::Refuse(false));
            self.happen(&Event::Arrive);
            self.pass()?;
            self.happen(&Event::Wait(100_000));
            self.pass()?;
        }
        let signs = active(&self.keys);
        let others = self.keys.iter().filter(|key| key.state == KeyState::Retained);
        let others: BTreeSet<&String> = others.map(|key| &key.kid).collect();
        let mut expected: BTreeSet<&String> = self.wishes.provided.iter().flatten().collect();
        // Where everything that is provided is revoked, the former key goes on, if there is one.
        if let Some(first) = self.wishes.provided.iter().flatten().next() {
            prop_assert_eq!(signs.map(|key| &key.kid), Some(first));
            expected.remove(first);
        }
        prop_assert_eq!(others.len() + usize::from(signs.is_some()), self.keys.len());
        prop_assert_eq!(others, expected);
        if self.wishes.provided.as_ref().is_none_or(|kids| !kids.is_empty()) {
            prop_assert!(signs.is_some_and(|key| self.rules.fit(key)), "{:?}", self.keys);
        }
        Ok(())
    }
}
