//! Random histories of a set: whatever happens, the promises about its keys hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

/// What can happen between two passes.
#[derive(Clone, Debug)]
enum Event {
    /// Time passes: minutes.
    Wait(i64),
    /// The clock is set back, or the process lands on a machine whose clock is behind: minutes.
    SetBack(i64),
    /// The public halves of all keys arrive wherever they are looked up.
    Arrive,
    /// The next pass comes to nothing after it has decided.
    Crash,
    /// Somebody comes to know the keys who does not know those that are to come.
    Newcomer,
    /// The private half of the current key is destroyed.
    Lose,
    /// A new key is asked for.
    Rotate,
    /// A key is compromised: the current one, or the one that is to come.
    Revoke(bool),
    /// Another algorithm.
    Algorithm(bool),
    /// Another interval: hours, or none.
    Interval(Option<u64>),
    /// Another time before a key signs: minutes.
    PublishBefore(u64),
    /// Another time after a key has signed: minutes.
    Retain(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_i64..200).prop_map(Event::Wait),
        1 => (10_000_i64..60_000).prop_map(Event::Wait),
        1 => (0_i64..5_000).prop_map(Event::SetBack),
        6 => Just(Event::Arrive),
        1 => Just(Event::Newcomer),
        2 => Just(Event::Crash),
        1 => Just(Event::Lose),
        1 => Just(Event::Rotate),
        1 => any::<bool>().prop_map(Event::Revoke),
        1 => any::<bool>().prop_map(Event::Algorithm),
        1 => proptest::option::of(6_u64..48).prop_map(Event::Interval),
        1 => (0_u64..300).prop_map(Event::PublishBefore),
        1 => (0_u64..3_000).prop_map(Event::Retain),
    ]
}

/// A set, and the world around it.
struct World {
    now: Timestamp,
    rules: Rules,
    keys: Vec<Key>,
    made: BTreeSet<String>,
    lost: BTreeSet<String>,
    arrived: BTreeSet<String>,
    /// When a key was first seen wherever it is looked up, by the clock, which may go back.
    seen: BTreeMap<String, Timestamp>,
    /// When a key signed for the last time, or was given up.
    ended: BTreeMap<String, Timestamp>,
    wishes: Wishes,
    had_active: bool,
    crash: bool,
    serial: u32,
}

impl World {
    fn new(signs_at_once: bool) -> Self {
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
            had_active: false,
            crash: false,
            serial: 0,
        }
    }

    fn happen(&mut self, event: &Event) {
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
            Event::Lose => self.lost.extend(active(&self.keys).map(|key| key.kid.clone())),
            Event::Rotate => self.wishes.rotate = true,
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
        }
    }

    fn sights(&self) -> BTreeMap<String, Sight> {
        let sight = |kid: &String| Sight {
            substance: match (self.made.contains(kid), self.lost.contains(kid)) {
                (false, _) => Substance::Unmade,
                (true, true) => Substance::Lost,
                (true, false) => Substance::Whole,
            },
            published: self.made.contains(kid) && self.arrived.contains(kid),
        };
        self.keys.iter().map(|key| (key.kid.clone(), sight(&key.kid))).collect()
    }

    fn pass(&mut self) -> Result<(), TestCaseError> {
        self.serial += 1;
        let (fresh, sights) = (format!("key-{}", self.serial), self.sights());
        let turned = turn(&self.rules, &self.keys, &sights, &self.wishes, &fresh, self.now);
        // What was decided is not recorded: the next pass starts from the same record.
        if std::mem::take(&mut self.crash) {
            return Ok(());
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
        for key in &self.keys {
            let signs = turned.keys.iter().any(|k| k.kid == key.kid && k.state == KeyState::Active);
            if key.state != KeyState::Retained && !signs {
                self.ended.insert(key.kid.clone(), self.now);
            }
        }
        self.keys = turned.keys;
        self.had_active |= active(&self.keys).is_some();
        // Whatever is recorded gets made.
        self.made.extend(self.keys.iter().map(|key| key.kid.clone()));
        if self.keys.iter().any(|key| key.is_coming() && self.rules.fit(key))
            || turned.next_rotation.is_none()
        {
            self.wishes.rotate = false;
        }
        Ok(())
    }

    fn check(
        &mut self,
        turned: &Turn,
        sights: &BTreeMap<String, Sight>,
    ) -> Result<(), TestCaseError> {
        let was = |kid: &str| self.keys.iter().find(|key| key.kid == kid);
        let signing: Vec<&Key> =
            turned.keys.iter().filter(|k| k.state == KeyState::Active).collect();
        prop_assert!(signing.len() <= 1, "{} keys sign", signing.len());
        let former = active(&self.keys);
        let revoked = |kid: &str| self.wishes.revoke.as_deref() == Some(kid);
        if signing.is_empty() && self.had_active {
            prop_assert!(former.is_none_or(|key| revoked(&key.kid)), "no key signs any more");
        }
        let new = turned.keys.iter().filter(|key| was(&key.kid).is_none()).count();
        prop_assert!(new <= 1, "{new} keys are made at once");
        let coming = turned.keys.iter().filter(|key| key.is_coming() && self.rules.fit(key));
        prop_assert!(coming.count() <= 1, "several keys are to come");
        // The clock may have been ahead when something was noted.
        for noted in self.seen.values_mut().chain(self.ended.values_mut()) {
            *noted = (*noted).min(self.now);
        }
        for (kid, sight) in sights {
            if sight.published {
                self.seen.entry(kid.clone()).or_insert(self.now);
            }
        }
        if let Some(key) = signing.first().filter(|key| former.is_none_or(|f| f.kid != key.kid)) {
            let replaces_nothing = former.is_none_or(|former| revoked(&former.kid));
            let waived = self.rules.signs_at_once || replaces_nothing;
            let seen = self.seen.get(&key.kid);
            prop_assert!(seen.is_some(), "a key signs that nobody knows");
            let due = later(*seen.unwrap(), self.rules.publish_before);
            prop_assert!(waived || self.now >= due, "a key signs too early");
            prop_assert!(waived || sights[&key.kid].published, "somebody does not know the key");
        }
        prop_assert!(turned.due.is_none_or(|due| due > self.now), "it is due already");
        for gone in &turned.gone {
            let unmade = sights.get(&gone.kid).is_none_or(|s| s.substance == Substance::Unmade);
            let ended = self.ended.get(&gone.kid).copied();
            let over = ended.is_some_and(|ended| self.now >= later(ended, self.rules.retain));
            // With nothing to retain it for, it ends and goes at once.
            let at_once = self.rules.retain.is_zero();
            prop_assert!(
                revoked(&gone.kid) || unmade || over || at_once,
                "{} goes too early",
                gone.kid
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_promises_hold_in_every_history(
        events in prop::collection::vec(event(), 1..60),
        signs_at_once in any::<bool>(),
    ) {
        let mut world = World::new(signs_at_once);
        for event in &events {
            world.happen(event);
            world.pass()?;
        }
    }

    /// Whatever has happened, time brings a set to rest with one key that fits and signs.
    #[test]
    fn every_history_ends_well(events in prop::collection::vec(event(), 0..40)) {
        let mut world = World::new(false);
        for event in &events {
            world.happen(event);
            world.pass()?;
        }
        world.rules.interval = None;
        world.wishes.revoke = None;
        for _ in 0..6 {
            world.happen(&Event::Arrive);
            world.pass()?;
            world.happen(&Event::Wait(100_000));
            world.pass()?;
        }
        prop_assert_eq!(world.keys.len(), 1, "{:?}", world.keys);
        let key = &world.keys[0];
        prop_assert!(key.state == KeyState::Active && world.rules.fit(key), "{:?}", key);
    }
}

#[test]
fn after_weeks_of_sleep_there_is_one_new_key() {
    let mut world = World::new(false);
    for event in [Event::Wait(0), Event::Arrive, Event::Wait(100_000), Event::Wait(0)] {
        world.happen(&event);
        world.pass().unwrap();
    }
    let states: Vec<KeyState> = world.keys.iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Active, KeyState::Pending]);
}
