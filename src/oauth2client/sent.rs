//! The client secrets that Hydra was last given, as digests in memory: a Secret that was written anew
//! with the same value need not be sent again.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use secrecy::{ExposeSecret, SecretString};

use crate::controller::ResourceKey;

/// What is remembered of the value that a client has now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastSent {
    /// Nothing.
    #[default]
    Unknown,
    /// Hydra was last given this value.
    Same,
    /// Hydra was last given another value.
    Other,
}

/// The client that a secret is of.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct Bearer<'a> {
    /// Name of its Hydra.
    pub instance: &'a str,
    /// Its id.
    pub id: &'a str,
}

/// Digests of the secrets that were sent, by resource.
///
/// They are keyed by random numbers of this process (`SipHash`), never leave it, and are lost with it:
/// without one a secret is sent once more.
#[derive(Default)]
pub struct SentSecrets {
    key: RandomState,
    digests: Mutex<HashMap<ResourceKey, Digests>>,
}

struct Digests {
    bearer: u64,
    secret: u64,
}

impl SentSecrets {
    /// Hydra holds `secret` for the client `bearer` of `resource`.
    pub fn remember(&self, resource: &ResourceKey, bearer: Bearer<'_>, secret: &str) {
        let digests = self.digests(resource, bearer, secret);
        self.lock().insert(resource.clone(), digests);
    }

    /// Whether `secret` is what Hydra was last given for the client `bearer` of `resource`.
    #[must_use]
    pub fn last(
        &self,
        resource: &ResourceKey,
        bearer: Bearer<'_>,
        secret: &SecretString,
    ) -> LastSent {
        let now = self.digests(resource, bearer, secret.expose_secret());
        match self.lock().get(resource) {
            Some(last) if last.bearer != now.bearer => LastSent::Unknown,
            Some(last) if last.secret == now.secret => LastSent::Same,
            Some(_) => LastSent::Other,
            None => LastSent::Unknown,
        }
    }

    /// Nothing is known of what Hydra holds for `resource`.
    pub fn forget(&self, resource: &ResourceKey) {
        self.lock().remove(resource);
    }

    fn digests(&self, resource: &ResourceKey, bearer: Bearer<'_>, secret: &str) -> Digests {
        Digests {
            bearer: self.key.hash_one(bearer),
            secret: self.key.hash_one((resource, bearer, secret)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ResourceKey, Digests>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_value_of_the_same_client_is_known() {
        use LastSent::{Other, Same, Unknown};
        let (sent, shop) = (SentSecrets::default(), ("team-a".to_owned(), "shop".to_owned()));
        let bearer = Bearer { instance: "default", id: "id-1" };
        let last = |resource: &ResourceKey, bearer, value: &str| {
            sent.last(resource, bearer, &SecretString::from(value))
        };
        assert_eq!(last(&shop, bearer, "first"), Unknown);
        sent.remember(&shop, bearer, "first");
        assert_eq!(last(&shop, bearer, "first"), Same);
        assert_eq!(last(&("team-a".to_owned(), "other".to_owned()), bearer, "first"), Unknown);
        assert_eq!(last(&shop, Bearer { instance: "another", ..bearer }, "first"), Unknown);
        assert_eq!(last(&shop, Bearer { id: "id-2", ..bearer }, "first"), Unknown);
        sent.remember(&shop, bearer, "second");
        assert_eq!([last(&shop, bearer, "second"), last(&shop, bearer, "first")], [Same, Other]);
        sent.forget(&shop);
        assert_eq!(last(&shop, bearer, "second"), Unknown);
    }
}
