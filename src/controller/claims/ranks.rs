//! The order of those that claim the same.

use std::{mem, slice, sync::Arc};

use jiff::Timestamp;

/// The least wins.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank<R> {
    pub standing: Standing,
    pub created: Timestamp,
    pub resource: Arc<R>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has it, or is about to take it.
    Holds,
    Wants,
    /// It wants it, and could do nothing with it.
    WantsInVain,
}

/// Those that claim a thing, in order. As a rule there is one, which then needs no memory besides.
pub enum Contenders<R> {
    One(Rank<R>),
    Several(Vec<Rank<R>>),
}

impl<R> Clone for Rank<R> {
    fn clone(&self) -> Self {
        Self { standing: self.standing, created: self.created, resource: self.resource.clone() }
    }
}

impl<R> Default for Contenders<R> {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl<R: Ord> Contenders<R> {
    pub fn ranks(&self) -> &[Rank<R>] {
        match self {
            Self::One(rank) => slice::from_ref(rank),
            Self::Several(ranks) => ranks,
        }
    }

    pub fn insert(&mut self, rank: Rank<R>) {
        let mut ranks = self.take();
        if let Err(place) = ranks.binary_search(&rank) {
            ranks.insert(place, rank);
        }
        self.put(ranks);
    }

    pub fn remove(&mut self, rank: &Rank<R>) {
        let mut ranks = self.take();
        if let Ok(place) = ranks.binary_search(rank) {
            ranks.remove(place);
        }
        self.put(ranks);
    }

    fn take(&mut self) -> Vec<Rank<R>> {
        match mem::take(self) {
            Self::One(rank) => vec![rank],
            Self::Several(ranks) => ranks,
        }
    }

    fn put(&mut self, mut ranks: Vec<Rank<R>>) {
        *self = match ranks.pop() {
            Some(rank) if ranks.is_empty() => Self::One(rank),
            last => {
                ranks.extend(last);
                Self::Several(ranks)
            }
        };
    }
}
