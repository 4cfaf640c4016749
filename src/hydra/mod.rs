//! The admin API of Ory Hydra, without any Kubernetes.
//!
//! One model serves all generations of Hydra (1.x, 2.0 to 2.3, 25.x and later): [`OAuth2Client`].
//! Which generation answers is found by how it behaves, and what follows from it stands in one
//! file,
//! `generation.rs`. [`Hydra`] does the requests, [`meaning`] the comparison of clients, without IO.
//! A [`KeySet`] holds keys as all generations mean them, not as each stores them.
//!
//! Answers are bounded in time and size, redirects are not followed, and no error text holds a
//! secret, a part of a key, or the words of another program. No request is repeated, except one that met another
//! generation than expected, which has had no effect.

pub mod address;
mod clients;
mod config;
mod connection;
mod error;
mod explanation;
mod generation;
mod headers;
mod id;
mod key_id;
mod key_set;
mod keys;
pub mod meaning;
mod metadata;
mod oauth2_client;
mod request;
mod secret;
mod well_known;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::IgnoredAny;

use connection::{Connection, Request};

pub use address::{Base, ClientsAddress, InvalidAddress};
pub use clients::{Created, Deletion};
pub use config::{ConfigError, HydraConfig};
pub use error::{ErrorKind, HydraError};
pub use generation::Generation;
pub use headers::InvalidHeaders;
pub use id::{ClientId, InvalidId};
pub use key_id::{InvalidKeyName, KeyId, KeySetName};
pub use key_set::{KeySet, StoredKey};
pub use keys::KeyRequest;
pub use oauth2_client::OAuth2Client;
pub use request::{Operation, Outcome, RequestHook, TraceParent};
pub use secret::{ClientSecret, InvalidSecret};
pub use well_known::WellKnown;

/// The admin API of one Hydra. Clones share their connections and what was found out about Hydra.
#[derive(Clone)]
pub struct Hydra {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Connection,
    /// The generation as last found.
    generation: Mutex<Option<Generation>>,
}

impl fmt::Debug for Hydra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hydra").finish_non_exhaustive()
    }
}

impl Hydra {
    /// Checks the settings and sets up the HTTP client, without any request.
    ///
    /// The process must have installed a provider of cryptography for `rustls` before.
    pub fn new(config: HydraConfig) -> Result<Self, ConfigError> {
        let connection = Connection::new(config)?;
        Ok(Self { shared: Arc::new(Shared { connection, generation: Mutex::new(None) }) })
    }

    /// The generation of the Hydra that answers: as last found, otherwise found by asking for the
    /// shortest listing in the manner of each.
    pub async fn generation(&self) -> Result<Generation, HydraError> {
        let found = *self.shared.generation.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Some(generation) => Ok(generation),
            None => self.discover().await,
        }
    }

    fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    fn remember(&self, generation: Generation) {
        let mut found = self.shared.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *found = Some(generation);
    }

    /// Asks anew, whatever was found before. Concurrent callers each ask: waiting for one that
    /// waits for a Hydra that is away would add up their time-outs.
    async fn discover(&self) -> Result<Generation, HydraError> {
        let operation = Operation::Discover;
        let mut status = None;
        for probed in Generation::PROBES {
            let mut request = Request::get(operation, probed.clients());
            request.query = probed.probe();
            match self.connection().call(request).await {
                Ok(answer) => {
                    answer.decode::<Vec<IgnoredAny>>(operation)?;
                    let found = probed.refined(&answer.headers);
                    self.remember(found);
                    return Ok(found);
                }
                Err(error) if error.is_misplaced() => status = error.status(),
                Err(error) => return Err(error),
            }
        }
        Err(HydraError::no_admin_api(operation, status))
    }

    /// Makes an attempt for the generation last found, and one more if the answer shows that
    /// another generation has taken its place. The first had no effect then: there was no such
    /// route.
    async fn for_generation<T, A, F>(&self, attempt: A) -> Result<T, HydraError>
    where
        A: Fn(Generation) -> F + Send + Sync,
        F: Future<Output = Result<T, HydraError>> + Send,
        T: Send,
    {
        let expected = self.generation().await?;
        match attempt(expected).await {
            Err(error) => attempt(self.in_place_of(expected, error).await?).await,
            done => done,
        }
    }

    /// The generation that has taken the place of `expected`, if that is what `error` is about.
    async fn in_place_of(
        &self,
        expected: Generation,
        error: HydraError,
    ) -> Result<Generation, HydraError> {
        if !error.is_misplaced() {
            return Err(error);
        }
        let found = self.discover().await?;
        if found == expected { Err(error) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The controller polls these futures on any thread.
    #[test]
    fn operations_can_move_between_threads() {
        fn assert_send<T: Send>(_: impl Fn(Hydra, ClientId, OAuth2Client) -> T) {}
        assert_send(|hydra, id, _| async move { hydra.get_client(&id).await });
        assert_send(|hydra, _, client| async move { hydra.create_client(&client, None).await });
        assert_send(|hydra, id, body| async move { hydra.replace_client(&id, &body, None).await });
        assert_send(|hydra, id, _| async move { hydra.delete_client(&id).await });
        assert_send(|hydra, id, _| async move { hydra.list_clients(Some(id.as_str())).await });
        assert_send(|hydra, _, _| async move { hydra.list_pages(None, |_| ()).await });
        assert_send(|hydra, _, _| async move { hydra.generation().await });
        assert_send(|hydra, _, _| async move {
            let (set, kid) = (KeySetName::parse("s").ok()?, KeyId::parse("k").ok()?);
            let request = KeyRequest { kid: &kid, algorithm: "ES256", key_use: "sig" };
            let key = hydra.create_key(&set, &request).await.ok()?;
            hydra.put_key(&set, &kid, &key.jwk).await.ok()?;
            hydra.delete_key(&set, &key).await.ok()?;
            hydra.delete_key_of_id(&set, &kid).await.ok()?;
            Some((hydra.get_key_set(&set).await, hydra.published_keys().await))
        });
        assert_send(|hydra, _, _| async move { (hydra.version().await, hydra.ready().await) });
    }
}
