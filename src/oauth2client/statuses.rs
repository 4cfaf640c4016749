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

use crate::{
    api::{OAuth2Client, OAuth2ClientStatus},
    controller::ResourceKey,
};

/// How far the watch may lag behind. An older entry does not count: resource versions can go
/// backwards, when the database of the cluster is restored from a backup.
const LONGEST_LAG: Duration = Duration::from_mins(1);
/// Entries that are not worth a sweep.
const SMALLEST_SWEEP: usize = 64;

/// The status last written, by resource, until the watch has caught up with it.
#[derive(Default)]
pub struct Statuses {
    written: Mutex<HashMap<ResourceKey, Written>>,
    /// Uids of resources that are about to go.
    gone: Mutex<HashMap<ResourceKey, Option<String>>>,
    /// Number of entries at which those that do not count any more are dropped.
    sweep_at: AtomicUsize,
}

struct Written {
    uid: Option<String>,
    version: u64,
    at: Instant,
    status: OAuth2ClientStatus,
}

impl Statuses {
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
        status: OAuth2ClientStatus,
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

    /// `resource` with the status that it has by now, as far as this process knows.
    #[must_use]
    pub fn freshest(
        &self,
        key: &ResourceKey,
        mut resource: OAuth2Client,
        now: Instant,
    ) -> OAuth2Client {
        let mut written = self.lock();
        let Some(last) = written.get(key) else { return resource };
        let metadata = &resource.metadata;
        let seen = metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
        let is_behind = seen.is_some_and(|seen: u64| seen < last.version);
        let counts = now.duration_since(last.at) < LONGEST_LAG;
        if counts && is_behind && last.uid == metadata.uid {
            resource.status = Some(last.status.clone());
        } else {
            written.remove(key);
        }
        resource
    }

    /// The resource is gone.
    pub fn forget(&self, key: &ResourceKey) {
        self.lock().remove(key);
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ResourceKey, Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oauth2client::testing::resource;

    #[test]
    fn a_resource_parts_once_and_a_namesake_is_another() {
        let statuses = Statuses::default();
        let key = ("team-a".to_owned(), "shop".to_owned());
        statuses.parted(key.clone(), Some("u".into()));
        assert!(statuses.has_parted(&key, Some("u")) && !statuses.has_parted(&key, Some("v")));
        statuses.forget(&key);
        assert!(!statuses.has_parted(&key, Some("u")));
    }

    #[test]
    fn a_status_counts_until_the_watch_shows_it() {
        let statuses = Statuses::default();
        let key = || ("team-a".to_owned(), "shop".to_owned());
        let at = |version: &str, uid: &str| {
            let mut resource = resource(&json!({ "grantTypes": [], "secretName": "s" }));
            resource.metadata.resource_version = Some(version.into());
            resource.metadata.uid = Some(uid.into());
            resource
        };
        let written =
            OAuth2ClientStatus { client_id: Some("id-1".into()), ..OAuth2ClientStatus::default() };
        let id_of = |resource: OAuth2Client| resource.status.and_then(|status| status.client_id);
        let now = Instant::now();
        statuses.wrote(key(), Some("u".into()), Some("10"), written.clone(), now);
        let later = |seconds| now + Duration::from_secs(seconds);
        let behind = statuses.freshest(&key(), at("9", "u"), later(1));
        assert_eq!(id_of(behind).as_deref(), Some("id-1"));
        assert_eq!(id_of(statuses.freshest(&key(), at("10", "u"), now)), None);
        assert_eq!(id_of(statuses.freshest(&key(), at("9", "u"), now)), None, "it was forgotten");
        statuses.wrote(key(), Some("u".into()), Some("10"), written.clone(), now);
        assert_eq!(id_of(statuses.freshest(&key(), at("9", "u"), later(61))), None, "too old");
        statuses.wrote(key(), Some("u".into()), Some("10"), written, now);
        assert_eq!(id_of(statuses.freshest(&key(), at("9", "namesake"), now)), None);
    }
}
