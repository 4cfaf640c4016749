//! Which resource wins what several of them claim.
//!
//! Whoever holds a thing keeps it; of those that hold it, or if nobody does, the oldest wins, and
//! between resources of the same second their names decide. Whoever cannot go on anyway, because
//! something else that it claims is in the hands of another or for a reason of its own, keeps
//! nobody from what it does not hold. The index is fed by the watch of the resources, so that it
//! knows of rivals, and of their end, without a pass over them.

mod entry;
mod index;
mod ranks;

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Debug,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use self::{entry::Entry, index::Index, ranks::Standing};

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
    index: Mutex<Index<R, T>>,
}

impl<R, T> Default for Claims<R, T> {
    fn default() -> Self {
        Self { index: Mutex::default() }
    }
}

/// All that change something return the resources for which it matters who wins now.
impl<R: Clone + Eq + Hash + Ord, T: Clone + Eq + Hash + Ord> Claims<R, T> {
    /// `resource` exists and says this of itself.
    #[must_use]
    pub fn set(&self, resource: &R, claimant: Claimant<T>) -> Vec<R> {
        let mut index = self.lock();
        let claimant = index.shared(claimant);
        index.change(resource, |entry| match entry {
            Some(known) if known.uid() == claimant.uid.as_deref() => known.renew(claimant),
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
        let mut index = self.lock();
        let gone = index.resources(|resource| listed(resource) && !seen.contains(resource));
        let gone = gone.iter().flat_map(|resource| index.change(resource, |entry| *entry = None));
        gone.collect()
    }

    /// A pass over `resource` begins. Unless it loses something, nobody else wins anything of it
    /// until [`Self::end`].
    #[must_use]
    pub fn begin(&self, resource: &R) -> Option<Lost<R, T>> {
        let mut index = self.lock();
        let lost = index.lost(resource);
        if lost.is_none() {
            index.take(resource);
        }
        lost
    }

    /// The pass over `resource` has ended.
    #[must_use]
    pub fn end(&self, resource: &R) -> Vec<R> {
        self.lock().amend(resource, Entry::end)
    }

    /// A pass found that `resource` claims `thing` and nothing else besides what it names. Says
    /// what it loses with that.
    #[must_use]
    pub fn find(&self, resource: &R, thing: Option<T>) -> (Vec<R>, Option<Lost<R, T>>) {
        let mut index = self.lock();
        let thing = thing.map(|thing| index.share(thing));
        let affected = index.amend(resource, |entry| entry.find(thing));
        let lost = index.lost(resource);
        if lost.is_none() {
            index.take(resource);
        }
        (affected, lost)
    }

    /// A pass over `resource` has brought it what it is about to take.
    #[must_use]
    pub fn prove(&self, resource: &R) -> Vec<R> {
        self.lock().amend(resource, Entry::prove)
    }

    /// `resource` was refused what it claims. Where it has lost to none of the others, it comes last
    /// from now on, until it gets something or claims something else.
    #[must_use]
    pub fn refuse(&self, resource: &R) -> Vec<R> {
        let mut index = self.lock();
        if index.lost(resource).is_some() {
            return Vec::new();
        }
        index.amend(resource, Entry::refuse)
    }

    /// `thing` was seen to be in the hands of one of those that claim it: the one that `is_holder`
    /// picks by its key and uid.
    #[must_use]
    pub fn concede(&self, thing: &T, is_holder: impl Fn(&R, Option<&str>) -> bool) -> Vec<R> {
        let mut index = self.lock();
        let uid = |resource: &R| index.entry(resource).and_then(Entry::uid);
        let mut contenders = index.contenders(thing).iter().map(|rank| &rank.resource);
        let holder = contenders.find(|resource| is_holder(resource, uid(resource))).cloned();
        holder.map_or_else(Vec::new, |holder| index.amend(&holder, |entry| entry.concede(thing)))
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
        self.lock().contenders(thing).len() > 1
    }

    /// Whether `resource` exists.
    #[must_use]
    pub fn knows(&self, resource: &R) -> bool {
        self.lock().entry(resource).is_some()
    }

    /// How many resources exist.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Index<R, T>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
