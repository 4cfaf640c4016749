//! Whose clients a Hydra holds, by owner mark, as its last complete listing showed.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a complete listing has shown.
#[derive(Debug, Default)]
pub struct Findings {
    /// Hashes of the owner marks of all clients: a mark that merely has the hash of another costs a
    /// question.
    marks: HashSet<u64>,
    /// By owner mark: ids of clients other than the one that the resource holds.
    duplicates: HashMap<String, Vec<String>>,
}

impl Findings {
    /// A client carries this owner mark.
    pub fn carried(&mut self, mark: &str) {
        self.marks.insert(hash(mark));
    }

    /// The client `id` carries this owner mark, and the resource holds another one.
    pub fn duplicate(&mut self, mark: &str, id: &str) {
        let ids = self.duplicates.entry(mark.to_owned()).or_default();
        // A listing may show a client again.
        if !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
            ids.sort();
        }
    }
}

/// What is known of the clients by owner mark. A listing takes time, and clients come and go: it is
/// never more than a reason to ask, or not to ask, Hydra.
#[derive(Debug, Default)]
pub struct Census {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Hashes of the owner marks seen.
    marks: Option<HashSet<u64>>,
    duplicates: HashMap<String, Vec<String>>,
    /// Hashes of owner marks of which clients may have come to be, with the listing before which
    /// that was.
    moved: HashMap<u64, u64>,
    /// Number of the listing under way, or of the last one.
    listing: u64,
}

impl Census {
    /// A listing begins. Returns its number.
    pub fn begin(&self) -> u64 {
        let mut inner = self.lock();
        inner.listing += 1;
        inner.listing
    }

    /// The listing of this number is complete. Returns the owner marks whose duplicates are not as
    /// they were.
    pub fn complete(&self, listing: u64, findings: Findings) -> Vec<String> {
        let mut inner = self.lock();
        inner.marks = Some(findings.marks);
        inner.moved.retain(|_, before| *before >= listing);
        let former = std::mem::replace(&mut inner.duplicates, findings.duplicates);
        let now = &inner.duplicates;
        let marks: HashSet<&String> = now.keys().chain(former.keys()).collect();
        marks.into_iter().filter(|&mark| now.get(mark) != former.get(mark)).cloned().collect()
    }

    /// A client with this owner mark may be created, or may be left behind by its resource.
    pub fn moves(&self, mark: &str) {
        let mut inner = self.lock();
        let listing = inner.listing;
        inner.moved.insert(hash(mark), listing);
    }

    /// Whether Hydra is known to hold no client with this owner mark.
    #[must_use]
    pub fn rules_out(&self, mark: &str) -> bool {
        let (hash, inner) = (hash(mark), self.lock());
        !inner.moved.contains_key(&hash)
            && inner.marks.as_ref().is_some_and(|marks| !marks.contains(&hash))
    }

    /// Ids of clients that carry this owner mark beside the one that the resource holds.
    #[must_use]
    pub fn duplicates_of(&self, mark: &str) -> Vec<String> {
        self.lock().duplicates.get(mark).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(mark: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    mark.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(marks: &[&str]) -> Findings {
        let mut findings = Findings::default();
        for mark in marks {
            findings.carried(mark);
        }
        findings
    }

    #[test]
    fn only_a_complete_listing_rules_out_a_client() {
        let census = Census::default();
        assert!(!census.rules_out("shop/team-a"));
        let first = census.begin();
        assert!(!census.rules_out("shop/team-a"), "it is under way");
        let _ = census.complete(first, marks(&["bank/team-b"]));
        assert!(census.rules_out("shop/team-a"));
        assert!(!census.rules_out("bank/team-b"));

        census.moves("shop/team-a");
        assert!(!census.rules_out("shop/team-a"));
        let second = census.begin();
        // Too late for a page that was read before.
        census.moves("late/team-a");
        let _ = census.complete(second, marks(&[]));
        assert!(census.rules_out("shop/team-a"));
        assert!(census.rules_out("bank/team-b"));
        assert!(!census.rules_out("late/team-a"));
        let third = census.begin();
        let _ = census.complete(third, marks(&[]));
        assert!(census.rules_out("late/team-a"));
    }

    #[test]
    fn changed_duplicates_are_told_once() {
        let census = Census::default();
        let found = |ids: &[&str]| {
            let mut findings = Findings::default();
            for id in ids {
                findings.duplicate("shop/team-a", id);
            }
            findings
        };
        assert_eq!(census.complete(census.begin(), found(&["b"])), ["shop/team-a"]);
        assert_eq!(census.duplicates_of("shop/team-a"), ["b"]);
        assert!(census.complete(census.begin(), found(&["b"])).is_empty());
        assert_eq!(census.complete(census.begin(), found(&["c", "b", "c"])), ["shop/team-a"]);
        assert_eq!(census.complete(census.begin(), Findings::default()), ["shop/team-a"]);
        assert!(census.duplicates_of("shop/team-a").is_empty());
    }
}
