//! Which resource wins what several of them claim.
//!
//! Whoever holds a thing keeps it; of those that hold it, or if nobody does, the oldest wins, and
//! between resources of the same second their names decide. Whoever cannot go on anyway, because
//! something else that it claims is in the hands of another or for a reason of its own, keeps
//! nobody from what it does not hold. The index is fed by the watch of the resources, so that it
//! knows of rivals, and of their end, without a pass over them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Debug,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

/// What a resource says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant<T> {
    /// `metadata.uid`: tells a resource from a namesake.
    pub uid: Option<String>,
    /// `metadata.creationTimestamp`
    pub created: Timestamp,
    /// Whether it is after what it does not hold: not while it is suspended or being deleted.
    pub active: bool,
    /// Whether it cannot have what it is after, for a reason that is no other resource.
    pub stuck: bool,
    /// What it names.
    pub named: BTreeMap<T, Claim>,
}

/// How a resource claims a thing, by its own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is to have it.
    Wants,
    /// It has it, and is to keep it.
    Holds,
    /// It has it and is about to let go of it: that another has it as well does not stop it.
    Leaves,
}

impl<T> Claimant<T> {
    /// A resource that claims nothing.
    #[must_use]
    pub const fn of_nothing(uid: Option<String>) -> Self {
        Self { uid, created: Timestamp::MAX, active: false, stuck: false, named: BTreeMap::new() }
    }
}

/// What a resource claims in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost<R, T> {
    /// What it claims.
    pub thing: T,
    /// Who has it.
    pub winner: R,
    /// Whether the winner holds it already.
    pub held: bool,
}

/// Claims of resources `R` on things `T`.
pub struct Claims<R, T> {
    inner: Mutex<Inner<R, T>>,
}

struct Inner<R, T> {
    entries: HashMap<R, Entry<T>>,
    contenders: HashMap<T, BTreeSet<Rank<R>>>,
}

struct Entry<T> {
    claimant: Claimant<T>,
    /// What a pass found that it claims besides.
    found: BTreeSet<T>,
    /// What a pass under way is about to take.
    taking: BTreeSet<T>,
    /// What it was seen to hold, which its status may not show yet.
    proven: BTreeSet<T>,
    /// Whether another holds something that it claims.
    bereft: bool,
    /// Whether it was seen to be refused what no other resource has.
    refused: bool,
}

/// The least wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<R> {
    standing: Standing,
    created: Timestamp,
    resource: R,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It has it, or is about to take it.
    Holds,
    Wants,
    /// It wants it, and could do nothing with it.
    WantsInVain,
}

/// Who won each of the things whose contenders have changed.
type Turns<R, T> = BTreeMap<T, Option<R>>;

impl<R, T> Default for Claims<R, T> {
    fn default() -> Self {
        let inner = Inner { entries: HashMap::new(), contenders: HashMap::new() };
        Self { inner: Mutex::new(inner) }
    }
}

/// All that change something return the resources for which it matters who wins now.
impl<R: Clone + Eq + Hash + Ord, T: Clone + Eq + Hash + Ord> Claims<R, T> {
    /// `resource` exists and says this of itself.
    #[must_use]
    pub fn set(&self, resource: &R, claimant: Claimant<T>) -> Vec<R> {
        self.lock().change(resource, |entry| match entry {
            Some(known) if known.claimant.uid == claimant.uid => known.renew(claimant),
            _ => *entry = Some(Entry::new(claimant)),
        })
    }

    /// `resource` is gone.
    #[must_use]
    pub fn remove(&self, resource: &R) -> Vec<R> {
        self.lock().change(resource, |entry| *entry = None)
    }

    /// Of the resources that `listed` picks, those in `seen` are all that exist.
    #[must_use]
    pub fn retain(&self, listed: impl Fn(&R) -> bool, seen: &HashSet<R>) -> Vec<R> {
        let mut inner = self.lock();
        let is_gone = |resource: &&R| listed(resource) && !seen.contains(*resource);
        let gone: Vec<R> = inner.entries.keys().filter(is_gone).cloned().collect();
        let mut affected = Vec::new();
        for resource in &gone {
            affected.extend(inner.change(resource, |entry| *entry = None));
        }
        affected
    }

    /// A pass over `resource` begins. Unless it loses something, nobody else wins anything of it
    /// until [`Self::end`].
    #[must_use]
    pub fn begin(&self, resource: &R) -> Option<Lost<R, T>> {
        let mut inner = self.lock();
        let lost = inner.lost(resource);
        if lost.is_none() {
            inner.take(resource);
        }
        lost
    }

    /// The pass over `resource` has ended.
    #[must_use]
    pub fn end(&self, resource: &R) -> Vec<R> {
        self.lock().amend(resource, |entry| entry.taking.clear())
    }

    /// A pass found that `resource` claims `thing` and nothing else besides what it names. Says
    /// what it loses with that.
    #[must_use]
    pub fn find(&self, resource: &R, thing: Option<T>) -> (Vec<R>, Option<Lost<R, T>>) {
        let mut inner = self.lock();
        let affected = inner.amend(resource, |entry| {
            entry.found = thing.into_iter().collect();
            entry.forget_unclaimed();
        });
        let lost = inner.lost(resource);
        if lost.is_none() {
            inner.take(resource);
        }
        (affected, lost)
    }

    /// A pass over `resource` has brought it what it is about to take.
    #[must_use]
    pub fn prove(&self, resource: &R) -> Vec<R> {
        self.lock().amend(resource, |entry| {
            entry.refused = false;
            entry.proven.extend(entry.taking.iter().cloned());
        })
    }

    /// `resource` was refused what it claims. Where it has lost to none of the others, it comes last
    /// from now on, until it gets something or claims something else.
    #[must_use]
    pub fn refuse(&self, resource: &R) -> Vec<R> {
        let mut inner = self.lock();
        if inner.lost(resource).is_some() {
            return Vec::new();
        }
        inner.amend(resource, |entry| entry.refused = true)
    }

    /// `thing` was seen to be in the hands of one of those that claim it: the one that `is_holder`
    /// picks by its key and uid.
    #[must_use]
    pub fn concede(&self, thing: &T, is_holder: impl Fn(&R, Option<&str>) -> bool) -> Vec<R> {
        let mut inner = self.lock();
        let picked = inner.contenders.get(thing).and_then(|contenders| {
            let mut contenders = contenders.iter().map(|rank| &rank.resource);
            let uid = |resource| inner.entries.get(resource)?.claimant.uid.as_deref();
            contenders.find(|resource| is_holder(resource, uid(resource))).cloned()
        });
        let Some(holder) = picked else { return Vec::new() };
        inner.amend(&holder, |entry| {
            entry.proven.insert(thing.clone());
        })
    }

    /// What `resource` claims in vain, if there is anything.
    #[must_use]
    pub fn lost(&self, resource: &R) -> Option<Lost<R, T>> {
        self.lock().lost(resource)
    }

    /// Whether `resource` claims something that `pick` picks and that it is not known to hold.
    #[must_use]
    pub fn is_after(&self, resource: &R, pick: impl Fn(&T) -> bool) -> bool {
        self.lock()
            .ranks(resource)
            .iter()
            .any(|(thing, rank)| rank.standing != Standing::Holds && pick(thing))
    }

    /// Whether several resources claim `thing`.
    #[must_use]
    pub fn is_contested(&self, thing: &T) -> bool {
        self.lock().contenders.get(thing).is_some_and(|contenders| contenders.len() > 1)
    }

    /// Whether `resource` exists.
    #[must_use]
    pub fn knows(&self, resource: &R) -> bool {
        self.lock().entries.contains_key(resource)
    }

    /// How many resources exist.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner<R, T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Ord> Entry<T> {
    fn new(claimant: Claimant<T>) -> Self {
        let (found, taking, proven) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { claimant, found, taking, proven, bereft: false, refused: false }
    }

    fn renew(&mut self, claimant: Claimant<T>) {
        self.refused &= claimant.named == self.claimant.named;
        self.claimant = claimant;
        self.forget_unclaimed();
    }

    fn forget_unclaimed(&mut self) {
        let Self { claimant, found, taking, proven, .. } = self;
        let claimed = |thing: &T| claimant.named.contains_key(thing) || found.contains(thing);
        taking.retain(claimed);
        proven.retain(claimed);
    }

    /// What it claims, and how it stands with each.
    fn claims(&self) -> impl Iterator<Item = (&T, Standing)> {
        let things: BTreeSet<&T> = self.claimant.named.keys().chain(&self.found).collect();
        let wants = if self.bereft || self.refused || self.claimant.stuck {
            Standing::WantsInVain
        } else {
            Standing::Wants
        };
        let standing = move |thing| {
            if self.holds(thing) || self.taking.contains(thing) { Standing::Holds } else { wants }
        };
        let claims = things.into_iter().map(move |thing| (thing, standing(thing)));
        claims.filter(|(_, standing)| self.claimant.active || *standing == Standing::Holds)
    }

    fn holds(&self, thing: &T) -> bool {
        let named = self.claimant.named.get(thing);
        named.is_some_and(|claim| *claim != Claim::Wants) || self.proven.contains(thing)
    }

    /// What it cannot do without.
    fn needs(&self) -> impl Iterator<Item = &T> {
        let leaves = |thing: &T| self.claimant.named.get(thing) == Some(&Claim::Leaves);
        self.claims().map(|(thing, _)| thing).filter(move |thing| !leaves(thing))
    }
}

impl<R: Clone + Eq + Hash + Ord, T: Clone + Eq + Hash + Ord> Inner<R, T> {
    /// Returns those for which it matters who wins now.
    fn change(&mut self, resource: &R, change: impl FnOnce(&mut Option<Entry<T>>)) -> Vec<R> {
        let mut turns = Turns::default();
        let before = self.ranks(resource);
        let things = before.keys().cloned();
        let holders: BTreeMap<T, Option<R>> =
            things.map(|thing| (thing.clone(), self.holder(&thing).cloned())).collect();
        let mut entry = self.entries.remove(resource);
        change(&mut entry);
        if let Some(entry) = entry {
            self.entries.insert(resource.clone(), entry);
        }
        self.file(resource, &before, &mut turns);
        let mut concerned = BTreeSet::from([resource.clone()]);
        let after = self.ranks(resource);
        for thing in before.keys().chain(after.keys()) {
            if holders.get(thing).and_then(Option::as_ref) != self.holder(thing) {
                let contenders = self.contenders.get(thing).into_iter().flatten();
                concerned.extend(contenders.map(|rank| rank.resource.clone()));
            }
        }
        for rival in &concerned {
            self.judge(rival, &mut turns);
        }
        // Its own event is what brings a pass to a newcomer.
        let hears = |other: &R, thing| other != resource || before.contains_key(thing);
        let mut affected = BTreeSet::new();
        for (thing, former) in &turns {
            let contenders = self.contenders.get(thing).into_iter().flatten();
            let mut contenders = contenders.map(|rank| &rank.resource).peekable();
            if contenders.peek().copied() != former.as_ref() {
                affected.extend(contenders.filter(|other| hears(other, thing)).cloned());
            }
        }
        affected.into_iter().collect()
    }

    fn amend(&mut self, resource: &R, amend: impl FnOnce(&mut Entry<T>)) -> Vec<R> {
        self.change(resource, |entry| {
            if let Some(entry) = entry {
                amend(entry);
            }
        })
    }

    /// Puts `resource`, which was where `before` says, where it belongs.
    fn file(&mut self, resource: &R, before: &BTreeMap<T, Rank<R>>, turns: &mut Turns<R, T>) {
        let after = self.ranks(resource);
        for thing in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let (old, new) = (before.get(thing), after.get(thing));
            if old == new {
                continue;
            }
            let contenders = self.contenders.entry(thing.clone()).or_default();
            let winner = contenders.first().map(|rank| rank.resource.clone());
            turns.entry(thing.clone()).or_insert(winner);
            if let Some(old) = old {
                contenders.remove(old);
            }
            contenders.extend(new.cloned());
            if contenders.is_empty() {
                self.contenders.remove(thing);
            }
        }
    }

    /// Finds out whether others hold something that `resource` needs, and ranks it accordingly. Who
    /// holds what does not depend on that, so it concerns no other's standing.
    fn judge(&mut self, resource: &R, turns: &mut Turns<R, T>) {
        let before = self.ranks(resource);
        let Some(entry) = self.entries.get(resource) else { return };
        let is_others = |thing| self.holder(thing).is_some_and(|holder| holder != resource);
        let bereft = entry.needs().any(is_others);
        if entry.bereft != bereft {
            if let Some(entry) = self.entries.get_mut(resource) {
                entry.bereft = bereft;
            }
            self.file(resource, &before, turns);
        }
    }

    /// Who holds `thing`. A pass that is about to take it may come to nothing, and is no reason for
    /// others to give up the rest.
    fn holder(&self, thing: &T) -> Option<&R> {
        let contenders = self.contenders.get(thing)?.iter();
        contenders
            .take_while(|rank| rank.standing == Standing::Holds)
            .map(|rank| &rank.resource)
            .find(|resource| self.entries.get(*resource).is_some_and(|entry| entry.holds(thing)))
    }

    /// Where `resource` stands in the order of those that claim the same.
    fn ranks(&self, resource: &R) -> BTreeMap<T, Rank<R>> {
        let Some(entry) = self.entries.get(resource) else { return BTreeMap::new() };
        let rank = |standing| Rank {
            standing,
            created: entry.claimant.created,
            resource: resource.clone(),
        };
        entry.claims().map(|(thing, standing)| (thing.clone(), rank(standing))).collect()
    }

    fn lost(&self, resource: &R) -> Option<Lost<R, T>> {
        let entry = self.entries.get(resource)?;
        entry.needs().find_map(|thing| {
            let first = self.contenders.get(thing)?.first()?;
            (first.resource != *resource).then(|| Lost {
                thing: thing.clone(),
                winner: first.resource.clone(),
                held: first.standing == Standing::Holds,
            })
        })
    }

    /// It is the first already, so this changes nothing for others.
    fn take(&mut self, resource: &R) {
        self.amend(resource, |entry| {
            entry.taking = entry.claims().map(|(thing, _)| thing.clone()).collect();
        });
    }
}

#[cfg(test)]
mod tests;
