//! The statuses that were last written. A pass that follows closely on another is handed the object
//! as the watch last showed it, which may be from before that write: deciding by that status would
//! repeat what was done, and a patch computed from it would leave members of the other behind.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::ResourceKey;

/// How far the watch may lag behind. An older entry does not count: resource versions can go
/// backwards, when the database of the cluster is restored from a backup.
const LONGEST_LAG: Duration = Duration::from_mins(1);
/// Entries that are not worth a sweep.
const SMALLEST_SWEEP: usize = 64;

/// The status `S` last written, by resource, until the watch has caught up with it.
pub struct Statuses<S> {
    written: Mutex<HashMap<ResourceKey, Written<S>>>,
    /// Uids of resources that are about to go.
    gone: Mutex<HashMap<ResourceKey, Option<String>>>,
    /// Number of entries at which those that do not count any more are dropped.
    sweep_at: AtomicUsize,
}

struct Written<S> {
    uid: Option<String>,
    version: u64,
    at: Instant,
    status: S,
}

impl<S> Default for Statuses<S> {
    fn default() -> Self {
        Self { written: Mutex::default(), gone: Mutex::default(), sweep_at: AtomicUsize::default() }
    }
}

impl<S: Clone> Statuses<S> {
    /// The resource of this `uid` has lost its finalizer, so that it is about to go.
    pub fn parted(&self, key: ResourceKey, uid: Option<String>) {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).insert(key, uid);
    }

    /// Whether the watch still shows a resource of this `uid` that is gone.
    #[must_use]
    pub fn has_parted(&self, key: &ResourceKey, uid: Option<&str>) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.get(key).is_some_and(|known| known.as_deref() == uid)
    }

    /// `status` was written to the resource of this `uid`, which has `resource_version` since.
    pub fn wrote(
        &self,
        key: ResourceKey,
        uid: Option<String>,
        resource_version: Option<&str>,
        status: S,
        now: Instant,
    ) {
        // Resource versions of one resource compare as numbers (Kubernetes 1.35, KEP-5504). One
        // that is no number is not remembered.
        if let Some(version) = resource_version.and_then(|version| version.parse().ok()) {
            let mut written = self.lock();
            if written.len() >= self.sweep_at.load(Ordering::Relaxed) {
                written.retain(|_, last| now.duration_since(last.at) < LONGEST_LAG);
                self.sweep_at.store(written.len() * 2 + SMALLEST_SWEEP, Ordering::Relaxed);
            }
            written.insert(key, Written { uid, version, at: now, status });
        }
    }

    /// The status that the resource has by now and the resourceVersion that came with it, where the
    /// watch, which shows it with this `metadata`, is behind.
    #[must_use]
    pub fn newer(
        &self,
        key: &ResourceKey,
        metadata: &ObjectMeta,
        now: Instant,
    ) -> Option<(S, String)> {
        let mut written = self.lock();
        let last = written.get(key)?;
        let seen = metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
        let is_behind = seen.is_some_and(|seen: u64| seen < last.version);
        let counts = now.duration_since(last.at) < LONGEST_LAG;
        if counts && is_behind && last.uid == metadata.uid {
            return Some((last.status.clone(), last.version.to_string()));
        }
        written.remove(key);
        None
    }

    /// The resource is gone.
    pub fn forget(&self, key: &ResourceKey) {
        self.lock().remove(key);
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ResourceKey, Written<S>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ResourceKey {
        ("team-a".to_owned(), "shop".to_owned())
    }

    #[test]
    fn a_resource_parts_once_and_a_namesake_is_another() {
        let statuses = Statuses::<()>::default();
        statuses.parted(key(), Some("u".into()));
        assert!(statuses.has_parted(&key(), Some("u")) && !statuses.has_parted(&key(), Some("v")));
        statuses.forget(&key());
        assert!(!statuses.has_parted(&key(), Some("u")));
    }

    #[test]
    fn a_status_counts_until_the_watch_shows_it() {
        let statuses = Statuses::default();
        let at = |version: &str, uid: &str| ObjectMeta {
            resource_version: Some(version.into()),
            uid: Some(uid.into()),
            ..ObjectMeta::default()
        };
        let now = Instant::now();
        let wrote = || statuses.wrote(key(), Some("u".into()), Some("10"), "id-1", now);
        let newer = |metadata: ObjectMeta, seconds| {
            statuses.newer(&key(), &metadata, now + Duration::from_secs(seconds))
        };
        wrote();
        assert_eq!(newer(at("9", "u"), 1), Some(("id-1", "10".to_owned())));
        assert_eq!(newer(at("10", "u"), 0), None);
        assert_eq!(newer(at("9", "u"), 0), None, "it was forgotten");
        wrote();
        assert_eq!(newer(at("9", "u"), 61), None, "too old");
        wrote();
        assert_eq!(newer(at("9", "namesake"), 0), None);
    }
}
