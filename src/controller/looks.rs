//! Which objects need a real look, and when each was last looked at.
//!
//! A pass over an object about which nothing seems to have changed makes no request. Whoever has a
//! reason to think otherwise asks for a look before it wakes the object; the request stands until a
//! pass has succeeded.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The looks that were asked for, and those that were taken.
#[derive(Debug)]
pub struct Looks<K> {
    inner: Mutex<Inner<K>>,
}

#[derive(Debug)]
struct Inner<K> {
    asked: HashSet<K>,
    last: HashMap<K, Instant>,
}

impl<K> Default for Looks<K> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { asked: HashSet::new(), last: HashMap::new() }) }
    }
}

/// A look that a pass is about to take. Unless it is [done](Self::done), the request for it, if
/// there was one, stands again.
#[must_use]
pub struct Look<'a, K: Clone + Eq + Hash> {
    looks: &'a Looks<K>,
    key: &'a K,
    asked: bool,
}

impl<K: Clone + Eq + Hash> Looks<K> {
    /// The next pass over `object` shall look.
    pub fn ask(&self, object: K) {
        self.lock().asked.insert(object);
    }

    /// The look that a pass over `object` is to take.
    pub fn take<'a>(&'a self, object: &'a K) -> Look<'a, K> {
        Look { looks: self, key: object, asked: self.lock().asked.remove(object) }
    }

    /// `object` was looked at. Remembered only for objects that need it, so as to cost nothing for
    /// the many.
    pub fn looked(&self, object: K, at: Instant) {
        self.lock().last.insert(object, at);
    }

    /// When `object` was last looked at, if that was to be remembered.
    #[must_use]
    pub fn last(&self, object: &K) -> Option<Instant> {
        self.lock().last.get(object).copied()
    }

    /// `object` is gone.
    pub fn forget(&self, object: &K) {
        let mut inner = self.lock();
        inner.asked.remove(object);
        inner.last.remove(object);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Look<'_, K> {
    /// Whether somebody has asked for it.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked
    }

    /// It was taken, and is not needed again.
    pub fn done(mut self) {
        self.asked = false;
    }
}

impl<K: Clone + Eq + Hash> Drop for Look<'_, K> {
    fn drop(&mut self) {
        if self.asked {
            self.looks.ask(self.key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_asked_for_until_it_is_done() {
        let looks = Looks::default();
        looks.ask("a");
        assert!(!looks.take(&"b").is_asked());
        let failed = looks.take(&"a");
        assert!(failed.is_asked());
        assert!(!looks.take(&"a").is_asked(), "it is under way");
        drop(failed);
        let done = looks.take(&"a");
        assert!(done.is_asked());
        done.done();
        assert!(!looks.take(&"a").is_asked());
        let overtaken = looks.take(&"a");
        looks.ask("a");
        overtaken.done();
        assert!(looks.take(&"a").is_asked(), "asked for again meanwhile");
    }
}
