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
    /// By hash of the owner mark: the first client that was seen.
    first: HashMap<u64, String>,
    /// By owner mark: ids of clients, where there are several.
    shared: HashMap<String, Vec<String>>,
}

impl Findings {
    /// A client carries this owner mark.
    pub fn carried(&mut self, mark: &str) {
        self.marks.insert(hash(mark));
    }

    /// The client `id` carries this owner mark of a resource.
    pub fn belongs(&mut self, mark: &str, id: &str) {
        let first = self.first.entry(hash(mark)).or_insert_with(|| id.to_owned());
        // A listing may show a client again.
        if first == id {
            return;
        }
        let ids = self.shared.entry(mark.to_owned()).or_insert_with(|| vec![first.clone()]);
        if let Err(place) = ids.binary_search_by(|known| known.as_str().cmp(id)) {
            ids.insert(place, id.to_owned());
        }
    }

    /// Ids of the clients with this owner mark beside the one that is `held`, in order.
    #[must_use]
    pub fn duplicates_of(&self, mark: &str, held: Option<&str>) -> Vec<String> {
        beside(self.shared.get(mark), held)
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
    /// Whether there was a listing.
    listed: bool,
    /// Hashes of the owner marks seen, where none can be missing.
    marks: Option<HashSet<u64>>,
    shared: HashMap<String, Vec<String>>,
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

    /// The listing of this number has come to its end. Only of one that is `whole` it is certain that
    /// no client was missed.
    pub fn complete(&self, listing: u64, findings: Findings, whole: bool) {
        let mut inner = self.lock();
        inner.listed = true;
        inner.marks = whole.then_some(findings.marks);
        inner.moved.retain(|_, before| *before >= listing);
        inner.shared = findings.shared;
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

    /// Ids of clients that carry this owner mark beside the one that is `held`, in order. `None`:
    /// there was no listing so far.
    #[must_use]
    pub fn duplicates_of(&self, mark: &str, held: Option<&str>) -> Option<Vec<String>> {
        let inner = self.lock();
        inner.listed.then_some(())?;
        Some(beside(inner.shared.get(mark), held))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn beside(ids: Option<&Vec<String>>, held: Option<&str>) -> Vec<String> {
    ids.into_iter().flatten().filter(|id| Some(id.as_str()) != held).cloned().collect()
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
        census.complete(first, marks(&["bank/team-b"]), true);
        assert!(census.rules_out("shop/team-a"));
        assert!(!census.rules_out("bank/team-b"));

        census.moves("shop/team-a");
        assert!(!census.rules_out("shop/team-a"));
        let second = census.begin();
        // Too late for a page that was read before.
        census.moves("late/team-a");
        census.complete(second, marks(&[]), true);
        assert!(census.rules_out("shop/team-a"));
        assert!(census.rules_out("bank/team-b"));
        assert!(!census.rules_out("late/team-a"));
        let third = census.begin();
        census.complete(third, marks(&[]), true);
        assert!(census.rules_out("late/team-a"));
        census.complete(census.begin(), marks(&[]), false);
        assert!(!census.rules_out("late/team-a"), "it may have been missed");
    }

    #[test]
    fn duplicates_are_those_of_the_last_listing() {
        let census = Census::default();
        let found = |ids: &[&str]| {
            let mut findings = Findings::default();
            for id in ids {
                findings.belongs("shop/team-a", id);
            }
            findings
        };
        let duplicates = || census.duplicates_of("shop/team-a", Some("b")).map(|ids| ids.join(" "));
        assert_eq!(duplicates(), None);
        census.complete(census.begin(), found(&["c", "b", "c"]), true);
        assert_eq!(duplicates().as_deref(), Some("c"));
        assert_eq!(census.duplicates_of("shop/team-a", None).unwrap(), ["b", "c"]);
        census.complete(census.begin(), found(&["b", "b"]), true);
        assert_eq!(duplicates().as_deref(), Some(""));
        census.complete(census.begin(), Findings::default(), true);
        assert_eq!(duplicates().as_deref(), Some(""));
    }
}
