//! The client secrets that Hydra was last given, as digests in memory: a Secret that was written anew
//! with the same value need not be sent again.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use secrecy::{ExposeSecret, SecretString};

use crate::controller::ResourceKey;

/// Digests of the secrets that were sent, by resource.
///
/// They are keyed by random numbers of this process (SipHash), never leave it, and are lost with it:
/// without one a secret is sent once more.
#[derive(Default)]
pub struct SentSecrets {
    key: RandomState,
    digests: Mutex<HashMap<ResourceKey, u64>>,
}

impl SentSecrets {
    /// Hydra holds `secret` for the client of `resource`.
    pub fn remember(&self, resource: &ResourceKey, secret: &str) {
        let digest = self.digest(resource, secret);
        self.lock().insert(resource.clone(), digest);
    }

    /// Whether `secret` is what Hydra was last given for `resource`, as far as it is remembered.
    #[must_use]
    pub fn is_last(&self, resource: &ResourceKey, secret: &SecretString) -> bool {
        let digest = self.digest(resource, secret.expose_secret());
        self.lock().get(resource) == Some(&digest)
    }

    /// Nothing is known of what Hydra holds for `resource`.
    pub fn forget(&self, resource: &ResourceKey) {
        self.lock().remove(resource);
    }

    fn digest(&self, resource: &ResourceKey, secret: &str) -> u64 {
        self.key.hash_one((resource, secret))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ResourceKey, u64>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_value_of_the_same_resource_is_known() {
        let (sent, shop) = (SentSecrets::default(), ("team-a".to_owned(), "shop".to_owned()));
        let other = ("team-a".to_owned(), "other".to_owned());
        let (first, second) = (SecretString::from("first"), SecretString::from("second"));
        assert!(!sent.is_last(&shop, &first));
        sent.remember(&shop, "first");
        assert!(sent.is_last(&shop, &first) && !sent.is_last(&other, &first));
        sent.remember(&shop, "second");
        assert!(sent.is_last(&shop, &second) && !sent.is_last(&shop, &first));
        sent.forget(&shop);
        assert!(!sent.is_last(&shop, &second));
    }
}
