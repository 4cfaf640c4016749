//! Which resources refer to which Secret, and the version of that Secret they have dealt with.
//!
//! The Secrets of the cluster are watched as metadata and not stored: of the many that pass by,
//! the few that a resource refers to wake that resource, the others leave no trace in memory.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::SecretVersion;

/// Namespace and name of a Secret.
pub type SecretRef = (String, String);

/// What a watch of Secrets reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretEvent {
    /// A list begins; what it does not name by its end is gone. A watch that was interrupted lists
    /// again and reports no deletion that it missed.
    ListBegins {
        /// The namespace that the list is limited to, if it is.
        namespace: Option<String>,
    },
    /// A Secret exists, in this version.
    Seen {
        /// Namespace and name.
        secret: SecretRef,
        /// Its version.
        version: SecretVersion,
    },
    /// A Secret was deleted.
    Gone {
        /// Namespace and name.
        secret: SecretRef,
    },
    /// The list that began is complete.
    ListEnds {
        /// The namespace that the list is limited to, if it is.
        namespace: Option<String>,
    },
}

/// Resources by the Secret they refer to. `R` identifies a resource.
pub struct Referrers<R> {
    inner: Mutex<Inner<R>>,
}

/// There is an entry for each resource of the cluster: each name is in memory once.
struct Inner<R> {
    by_secret: HashMap<Arc<SecretRef>, Entry<R>>,
    by_resource: HashMap<Arc<R>, Arc<SecretRef>>,
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
struct Entry<R> {
    /// Sorted. As a rule there is one: a tree would take half a kilobyte for it.
    resources: Vec<Arc<R>>,
    /// The version that a pass last read or wrote; an event with it is an echo.
    handled: Option<Box<SecretVersion>>,
    /// What the watch last said.
    heard: Heard,
    /// Whether a pass has found or made the Secret.
    exists: bool,
    /// Whether the list under way has not named the Secret so far.
    unlisted: bool,
    /// Whether a pass is writing it: what the watch says meanwhile is as a rule the echo.
    writing: bool,
    /// Whether the watch has said something meanwhile.
    echoed: bool,
}

/// The time in which a pass may write a Secret. It ends when this is dropped.
#[must_use]
pub struct Writing<'a, R: Clone + Eq + Hash + Ord> {
    referrers: &'a Referrers<R>,
    secret: &'a SecretRef,
}

impl<R: Clone + Eq + Hash + Ord> Writing<'_, R> {
    /// Whether somebody else may have written the Secret meanwhile.
    #[must_use]
    pub fn end(self) -> bool {
        let inner = self.referrers.lock();
        inner.by_secret.get(self.secret).is_some_and(|entry| {
            let heard = match &entry.heard {
                Heard::Version(version) => Some(version),
                Heard::Nothing { .. } | Heard::Gone => None,
            };
            entry.echoed && heard != entry.handled.as_ref()
        })
    }
}

impl<R: Clone + Eq + Hash + Ord> Drop for Writing<'_, R> {
    fn drop(&mut self) {
        if let Some(entry) = self.referrers.lock().by_secret.get_mut(self.secret) {
            (entry.writing, entry.echoed) = (false, false);
        }
    }
}

/// What the watch has said of a Secret since a resource refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// Nothing so far. What a pass has read stands until it does.
    Nothing {
        /// The version that a pass has read.
        read: Option<Box<SecretVersion>>,
    },
    /// It exists in this version. A pass does not override it: what a pass has read may be older.
    Version(Box<SecretVersion>),
    /// It does not exist.
    Gone,
}

impl<R> Default for Referrers<R> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { by_secret: HashMap::new(), by_resource: HashMap::new() }) }
    }
}

impl<R: Clone + Eq + Hash + Ord> Referrers<R> {
    /// `resource` refers to `secret`, and to no other.
    pub fn refer(&self, resource: &R, secret: SecretRef) {
        let mut inner = self.lock();
        if inner.by_resource.get(resource).is_some_and(|known| **known == secret) {
            return;
        }
        inner.forget(resource);
        let known = inner.by_secret.get_key_value(&secret).map(|(known, _)| known.clone());
        let secret = known.unwrap_or_else(|| Arc::new(secret));
        let resource = Arc::new(resource.clone());
        inner.by_resource.insert(resource.clone(), secret.clone());
        let entry = inner.by_secret.entry(secret).or_insert_with(|| Entry {
            resources: Vec::with_capacity(1),
            handled: None,
            heard: Heard::Nothing { read: None },
            exists: false,
            unlisted: false,
            writing: false,
            echoed: false,
        });
        if let Err(place) = entry.resources.binary_search(&resource) {
            entry.resources.insert(place, resource);
        }
    }

    /// `resource` is gone.
    pub fn forget(&self, resource: &R) {
        self.lock().forget(resource);
    }

    /// A pass may write `secret` from now on: until it has, what the watch says wakes nobody, unless
    /// another resource refers to it too.
    pub fn writing<'a>(&'a self, secret: &'a SecretRef) -> Writing<'a, R> {
        if let Some(entry) = self.lock().by_secret.get_mut(secret) {
            entry.writing = entry.resources.len() == 1;
        }
        Writing { referrers: self, secret }
    }

    /// A pass has read or written this version of `secret`.
    pub fn handled(&self, secret: &SecretRef, version: &SecretVersion) {
        if let Some(entry) = self.lock().by_secret.get_mut(secret) {
            entry.exists = true;
            if let Heard::Nothing { read } = &mut entry.heard {
                *read = Some(Box::new(version.clone()));
            }
            // Two resources that claim one Secret must each hear of every change.
            entry.handled = (entry.resources.len() == 1).then(|| Box::new(version.clone()));
        }
    }

    /// A pass has found that `secret` exists.
    pub fn found(&self, secret: &SecretRef) {
        if let Some(entry) = self.lock().by_secret.get_mut(secret) {
            entry.exists = true;
        }
    }

    /// Whether `secret` is known to exist. That it is not known says nothing.
    #[must_use]
    pub fn is_known(&self, secret: &SecretRef) -> bool {
        let inner = self.lock();
        let entry = inner.by_secret.get(secret);
        entry.is_some_and(|entry| entry.exists || matches!(entry.heard, Heard::Version(_)))
    }

    /// The version of `secret` as it is now, as far as that is known without a request.
    #[must_use]
    pub fn version(&self, secret: &SecretRef) -> Option<SecretVersion> {
        match &self.lock().by_secret.get(secret)?.heard {
            Heard::Nothing { read } => read.as_deref().cloned(),
            Heard::Version(version) => Some(SecretVersion::clone(version)),
            Heard::Gone => None,
        }
    }

    /// The resources to wake because of `event`.
    #[must_use]
    pub fn affected(&self, event: &SecretEvent) -> Vec<R> {
        let mut inner = self.lock();
        match event {
            SecretEvent::ListBegins { namespace } => {
                inner.within(namespace.as_deref()).for_each(|entry| entry.unlisted = true);
                Vec::new()
            }
            SecretEvent::Seen { secret, version } => {
                let Some(entry) = inner.by_secret.get_mut(secret) else { return Vec::new() };
                entry.unlisted = false;
                entry.exists = true;
                entry.heard = Heard::Version(Box::new(version.clone()));
                if entry.handled.as_deref() == Some(version) { Vec::new() } else { entry.wake() }
            }
            SecretEvent::Gone { secret } => {
                let Some(entry) = inner.by_secret.get_mut(secret) else { return Vec::new() };
                entry.exists = false;
                entry.heard = Heard::Gone;
                entry.wake()
            }
            SecretEvent::ListEnds { namespace } => inner
                .within(namespace.as_deref())
                .filter(|entry| entry.unlisted)
                .flat_map(Entry::missing)
                .collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<R>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Clone> Entry<R> {
    /// A list did not name the Secret. Wakes those that have seen it before.
    fn missing(&mut self) -> Vec<R> {
        self.unlisted = false;
        self.heard = Heard::Gone;
        if self.exists { self.wake() } else { Vec::new() }
    }

    fn wake(&mut self) -> Vec<R> {
        self.echoed |= self.writing;
        if self.writing {
            Vec::new()
        } else {
            self.resources.iter().map(|resource| R::clone(resource)).collect()
        }
    }
}

impl<R> Inner<R> {
    fn within<'a>(
        &'a mut self,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a mut Entry<R>> {
        self.by_secret
            .iter_mut()
            .filter(move |(secret, _)| namespace.is_none_or(|namespace| secret.0 == namespace))
            .map(|(_, entry)| entry)
    }
}

impl<R: Eq + Hash + Ord> Inner<R> {
    fn forget(&mut self, resource: &R) {
        let Some(secret) = self.by_resource.remove(resource) else { return };
        if let Some(entry) = self.by_secret.get_mut(&secret) {
            entry.resources.retain(|known| **known != *resource);
            if entry.resources.is_empty() {
                self.by_secret.remove(&secret);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> SecretRef {
        ("shop".to_owned(), name.to_owned())
    }

    fn version(resource_version: &str) -> SecretVersion {
        SecretVersion { uid: "u".into(), resource_version: resource_version.into() }
    }

    fn seen(name: &str, resource_version: &str) -> SecretEvent {
        SecretEvent::Seen { secret: secret(name), version: version(resource_version) }
    }

    fn gone(name: &str) -> SecretEvent {
        SecretEvent::Gone { secret: secret(name) }
    }

    #[test]
    fn only_referrers_wake_and_only_for_what_they_have_not_seen() {
        let referrers = Referrers::default();
        referrers.refer(&"a", secret("s"));
        assert_eq!(referrers.affected(&seen("s", "1")), ["a"]);
        assert!(referrers.affected(&seen("other", "1")).is_empty());
        referrers.handled(&secret("s"), &version("1"));
        assert!(referrers.affected(&seen("s", "1")).is_empty());
        assert_eq!(referrers.affected(&gone("s")), ["a"]);
        assert_eq!(referrers.affected(&seen("s", "2")), ["a"]);
    }

    #[test]
    fn a_deletion_that_the_watch_missed_shows_at_the_end_of_the_next_list() {
        let referrers = Referrers::default();
        for (resource, name) in [("a", "kept"), ("b", "lost"), ("c", "never-was")] {
            referrers.refer(&resource, secret(name));
        }
        referrers.handled(&secret("kept"), &version("1"));
        referrers.handled(&secret("lost"), &version("1"));
        let of = |namespace: &str| Some(namespace.to_owned());
        assert!(referrers.affected(&SecretEvent::ListBegins { namespace: None }).is_empty());
        assert!(referrers.affected(&seen("kept", "1")).is_empty());
        assert!(referrers.affected(&SecretEvent::ListEnds { namespace: of("other") }).is_empty());
        assert_eq!(referrers.affected(&SecretEvent::ListEnds { namespace: of("shop") }), ["b"]);
    }

    #[test]
    fn a_shared_secret_wakes_all_that_claim_it() {
        let referrers = Referrers::default();
        referrers.refer(&"a", secret("s"));
        referrers.refer(&"b", secret("s"));
        referrers.handled(&secret("s"), &version("1"));
        assert_eq!(referrers.affected(&seen("s", "1")), ["a", "b"]);
        assert!(referrers.affected(&SecretEvent::ListBegins { namespace: None }).is_empty());
        assert_eq!(referrers.affected(&SecretEvent::ListEnds { namespace: None }), ["a", "b"]);
    }

    #[test]
    fn the_watch_has_the_last_word_on_the_version() {
        let referrers = Referrers::default();
        let known = || referrers.version(&secret("s")).map(|version| version.resource_version);
        referrers.handled(&secret("s"), &version("0"));
        assert_eq!(known(), None, "nobody refers to it");
        referrers.refer(&"a", secret("s"));
        assert_eq!(known(), None);
        referrers.handled(&secret("s"), &version("1"));
        assert_eq!(known().as_deref(), Some("1"));
        let _ = referrers.affected(&seen("s", "2"));
        referrers.handled(&secret("s"), &version("1"));
        assert_eq!(known().as_deref(), Some("2"));
        let _ = referrers.affected(&gone("s"));
        referrers.handled(&secret("s"), &version("2"));
        assert_eq!(known(), None);
        let _ = referrers.affected(&seen("s", "3"));
        let _ = referrers.affected(&SecretEvent::ListBegins { namespace: None });
        let _ = referrers.affected(&SecretEvent::ListEnds { namespace: None });
        assert_eq!(known(), None);
    }

    #[test]
    fn the_echo_of_a_write_wakes_nobody_and_another_write_is_not_missed() {
        for (events, expected) in [
            (vec![], false),
            (vec![seen("s", "2")], false),
            (vec![seen("s", "1")], true),
            (vec![seen("s", "2"), seen("s", "3")], true),
            (vec![seen("s", "2"), gone("s")], true),
        ] {
            let referrers = Referrers::default();
            referrers.refer(&"a", secret("s"));
            let secret = secret("s");
            let writing = referrers.writing(&secret);
            for event in &events {
                assert!(referrers.affected(event).is_empty());
            }
            referrers.handled(&secret, &version("2"));
            assert_eq!(writing.end(), expected, "{events:?}");
            assert_eq!(referrers.affected(&seen("s", "4")), ["a"]);
        }
        let referrers = Referrers::default();
        referrers.refer(&"a", secret("s"));
        referrers.refer(&"b", secret("s"));
        let secret = secret("s");
        let writing = referrers.writing(&secret);
        assert_eq!(referrers.affected(&seen("s", "1")), ["a", "b"], "it concerns another, too");
        drop(writing);
    }

    #[test]
    fn a_renamed_reference_leaves_the_old_secret() {
        let referrers = Referrers::default();
        referrers.refer(&"a", secret("old"));
        referrers.refer(&"a", secret("new"));
        assert!(referrers.affected(&gone("old")).is_empty());
        assert_eq!(referrers.affected(&seen("new", "1")), ["a"]);
        referrers.forget(&"a");
        assert!(referrers.affected(&seen("new", "1")).is_empty());
    }
}
