//! All resources with what they claim, and all things with those that claim them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use super::{
    Claimant, Lost,
    entry::Entry,
    ranks::{Contenders, Rank, Standing},
};

/// Each resource and each thing is in memory once, however often it is named here.
pub struct Index<R, T> {
    entries: HashMap<Arc<R>, Entry<T>>,
    contenders: HashMap<Arc<T>, Contenders<R>>,
}

/// Where a resource stands in the order of those that claim the same.
pub type Ranks<R, T> = BTreeMap<Arc<T>, Rank<R>>;

/// Who won each of the things whose contenders have changed.
type Turns<R, T> = BTreeMap<Arc<T>, Option<Arc<R>>>;

impl<R, T> Default for Index<R, T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), contenders: HashMap::new() }
    }
}

impl<R: Clone + Eq + Hash + Ord, T: Clone + Eq + Hash + Ord> Index<R, T> {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn entry(&self, resource: &R) -> Option<&Entry<T>> {
        self.entries.get(resource)
    }

    pub fn resources(&self, pick: impl Fn(&R) -> bool) -> Vec<Arc<R>> {
        self.entries.keys().filter(|resource| pick(resource)).cloned().collect()
    }

    /// Those that claim `thing`, in order.
    pub fn contenders(&self, thing: &T) -> &[Rank<R>] {
        self.contenders.get(thing).map_or(&[], Contenders::ranks)
    }

    /// `thing`, as it is in memory already if anybody claims it.
    pub fn share(&self, thing: T) -> Arc<T> {
        let known = self.contenders.get_key_value(&thing).map(|(known, _)| known.clone());
        known.unwrap_or_else(|| Arc::new(thing))
    }

    pub fn shared(&self, claimant: Claimant<T>) -> Claimant<Arc<T>> {
        let Claimant { uid, created, active, stuck, named } = claimant;
        let named = named.into_iter().map(|(thing, claim)| (self.share(thing), claim)).collect();
        Claimant { uid, created, active, stuck, named }
    }

    /// Returns those for which it matters who wins now.
    pub fn change(&mut self, resource: &R, change: impl FnOnce(&mut Option<Entry<T>>)) -> Vec<R> {
        let mut turns = Turns::default();
        let before = self.ranks(resource);
        let things = before.keys().cloned();
        let holders: Turns<R, T> =
            things.map(|thing| (thing.clone(), self.holder(&thing).cloned())).collect();
        let (key, mut entry) = match self.entries.remove_entry(resource) {
            Some((key, entry)) => (key, Some(entry)),
            None => (Arc::new(resource.clone()), None),
        };
        change(&mut entry);
        if let Some(entry) = entry {
            self.entries.insert(key.clone(), entry);
        }
        self.file(resource, &before, &mut turns);
        let mut concerned = BTreeSet::from([key]);
        let after = self.ranks(resource);
        for thing in before.keys().chain(after.keys()) {
            if holders.get(thing).and_then(Option::as_ref) != self.holder(thing) {
                concerned.extend(self.contenders(thing).iter().map(|rank| rank.resource.clone()));
            }
        }
        for rival in &concerned {
            self.judge(rival, &mut turns);
        }
        // Its own event is what brings a pass to a newcomer.
        let hears = |other: &R, thing| other != resource || before.contains_key(thing);
        let mut affected = BTreeSet::new();
        for (thing, former) in &turns {
            let contenders = self.contenders(thing);
            if contenders.first().map(|rank| &rank.resource) != former.as_ref() {
                let contenders = contenders.iter().map(|rank| &*rank.resource);
                affected.extend(contenders.filter(|other| hears(other, thing)).cloned());
            }
        }
        affected.into_iter().collect()
    }

    pub fn amend(&mut self, resource: &R, amend: impl FnOnce(&mut Entry<T>)) -> Vec<R> {
        self.change(resource, |entry| {
            if let Some(entry) = entry {
                amend(entry);
            }
        })
    }

    /// Puts `resource`, which was where `before` says, where it belongs.
    fn file(&mut self, resource: &R, before: &Ranks<R, T>, turns: &mut Turns<R, T>) {
        let after = self.ranks(resource);
        for thing in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let (old, new) = (before.get(thing), after.get(thing));
            if old == new {
                continue;
            }
            let contenders = self.contenders.entry(thing.clone()).or_default();
            let winner = contenders.ranks().first().map(|rank| rank.resource.clone());
            turns.entry(thing.clone()).or_insert(winner);
            if let Some(old) = old {
                contenders.remove(old);
            }
            if let Some(new) = new {
                contenders.insert(new.clone());
            }
            if contenders.ranks().is_empty() {
                self.contenders.remove(thing);
            }
        }
    }

    /// Finds out whether others hold something that `resource` needs, and ranks it accordingly. Who
    /// holds what does not depend on that, so it concerns no other's standing.
    fn judge(&mut self, resource: &R, turns: &mut Turns<R, T>) {
        let before = self.ranks(resource);
        let Some(entry) = self.entries.get(resource) else { return };
        let is_others = |thing: &Arc<T>| self.holder(thing).is_some_and(|held| **held != *resource);
        let bereft = entry.needs().any(is_others);
        if entry.is_bereft() != bereft {
            if let Some(entry) = self.entries.get_mut(resource) {
                entry.set_bereft(bereft);
            }
            self.file(resource, &before, turns);
        }
    }

    /// Who holds `thing`. A pass that is about to take it may come to nothing, and is no reason for
    /// others to give up the rest.
    fn holder(&self, thing: &T) -> Option<&Arc<R>> {
        self.contenders(thing)
            .iter()
            .take_while(|rank| rank.standing == Standing::Holds)
            .map(|rank| &rank.resource)
            .find(|resource| self.entries.get(*resource).is_some_and(|entry| entry.holds(thing)))
    }

    pub fn ranks(&self, resource: &R) -> Ranks<R, T> {
        let Some((resource, entry)) = self.entries.get_key_value(resource) else {
            return Ranks::new();
        };
        let rank =
            |standing| Rank { standing, created: entry.created(), resource: resource.clone() };
        entry.claims().map(|(thing, standing)| (thing.clone(), rank(standing))).collect()
    }

    pub fn lost(&self, resource: &R) -> Option<Lost<R, T>> {
        self.entry(resource)?.needs().find_map(|thing| {
            let first = self.contenders(thing).first()?;
            (*first.resource != *resource).then(|| Lost {
                thing: T::clone(thing),
                winner: R::clone(&first.resource),
                held: first.standing == Standing::Holds,
            })
        })
    }

    /// It is the first already, so this changes nothing for others.
    pub fn take(&mut self, resource: &R) {
        self.amend(resource, Entry::take);
    }
}
