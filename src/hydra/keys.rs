//! The resource `keys`: `/keys/{set}` in 1.x, `/admin/keys/{set}` from 2.0; and the keys that Hydra publishes.

use reqwest::Method;
use serde::Serialize;

use crate::jose::{Jwk, PublicJwk};

use super::Hydra;
use super::clients::Deletion;
use super::connection::{Answer, Request};
use super::error::{ErrorKind, HydraError};
use super::generation::Generation;
use super::key_id::{KeyId, KeySetName};
use super::key_set::{Document, KeySet, StoredKey, rows_to_store};
use super::request::Operation;

/// The document with the keys that Hydra publishes.
const PUBLISHED: &str = "/.well-known/jwks.json";

/// What key Hydra is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRequest<'a> {
    /// Its id, by which a lost reply does not lead to a second key.
    #[serde(serialize_with = "as_text")]
    pub kid: &'a KeyId,
    /// Its algorithm, one that this Hydra [can make](Hydra::can_make) keys for.
    #[serde(rename = "alg")]
    pub algorithm: &'a str,
    /// `sig` or `enc`.
    #[serde(rename = "use")]
    pub key_use: &'a str,
}

fn as_text<S: serde::Serializer>(kid: &KeyId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kid.as_str())
}

impl Hydra {
    /// Whether this Hydra makes keys for an algorithm. See [`Generation::can_make`].
    pub async fn can_make(&self, algorithm: &str) -> Result<bool, HydraError> {
        Ok(self.generation().await?.can_make(algorithm))
    }

    /// Reads a key set (`GET /keys/{set}`, in all generations). `None`: there is no key in it; Hydra knows no empty sets.
    pub async fn get_key_set(&self, set: &KeySetName) -> Result<Option<KeySet>, HydraError> {
        let operation = Operation::GetKeySet;
        match self.on_keys(operation, Method::GET, set, None, None).await {
            Ok(answer) => {
                Ok(Some(key_set(operation, &answer)?).filter(|found| !found.keys.is_empty()))
            }
            Err(error) if error.kind() == ErrorKind::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets Hydra make a key (`POST /keys/{set}`) and add it to the set, which comes into being with its first key. The new
    /// key is the one that Hydra signs with. A `kid` that exists is a [`Conflict`](ErrorKind::Conflict), but one that Hydra 2
    /// has taken over from Hydra 1 as a pair, or that was put as another type of key on Hydra 1: read the set first.
    ///
    /// An RSA key takes Hydra seconds, on a busy machine more than the ten within which it can answer: then the reply is lost
    /// ([`Unreachable`](ErrorKind::Unreachable)), and the key is there. It is waited for at least a minute, because a caller
    /// that gives up before leaves no key. Hydra makes a key before it finds that its `kid` exists: to read the set costs less than
    /// to ask again.
    pub async fn create_key(
        &self,
        set: &KeySetName,
        request: &KeyRequest<'_>,
    ) -> Result<StoredKey, HydraError> {
        let operation = Operation::CreateKey;
        let json = serde_json::to_vec(request).map_err(|_| {
            HydraError::not_sent(operation, "the request cannot be written as JSON")
        })?;
        let answer = self.on_keys(operation, Method::POST, set, None, Some(json)).await?;
        let made = key_set(operation, &answer)?.keys;
        match <[StoredKey; 1]>::try_from(made) {
            Ok([key]) if key.kid == request.kid.as_str() => Ok(key),
            _ => Err(HydraError::foreign(operation, answer.status)),
        }
    }

    /// Stores a key under `kid`, whatever `kid` the key itself has, in place of the one that has that `kid`, if any
    /// (`PUT /keys/{set}/{kid}`; in all generations the `kid` of the body counts). A key with its private half becomes the
    /// newest one.
    ///
    /// From 2.0 on the key is one row of that `kid`. In 1.x, an asymmetric key becomes a pair as 1.x itself makes it, and a
    /// public one its public row, because only then is its public half published. Then the rows are deleted that had the
    /// `kid` before in another form, such as the pair that Hydra 2 has taken over from Hydra 1. After a failure in between,
    /// both forms hold the same key and are read as one.
    ///
    /// This takes several requests: in the sets that Hydra 1 itself signs with, no token could be issued between them, nor
    /// after a public key alone.
    pub async fn put_key(
        &self,
        set: &KeySetName,
        kid: &KeyId,
        key: &Jwk,
    ) -> Result<(), HydraError> {
        let operation = Operation::PutKey;
        let former = self.get_key_set(set).await?;
        let rows = rows_to_store(self.generation().await?, kid, key);
        for (row, value) in &rows {
            let json = serde_json::to_vec(value).map_err(|_| {
                HydraError::not_sent(operation, "the key cannot be written as JSON")
            })?;
            self.on_keys(operation, Method::PUT, set, Some(row), Some(json)).await?;
        }
        let former = former.as_ref().and_then(|former| former.get(kid.as_str()));
        for row in former.into_iter().flat_map(|key| &key.rows) {
            if rows.iter().all(|(written, _)| written != row) {
                self.delete_row(set, row).await?;
            }
        }
        Ok(())
    }

    /// Deletes a key that was read before (`DELETE /keys/{set}/{kid}` of each of its rows, the private one first). The set
    /// ends with its last key. Whether the key was there is not told by most generations.
    pub async fn delete_key(
        &self,
        set: &KeySetName,
        key: &StoredKey,
    ) -> Result<Deletion, HydraError> {
        let mut done = Deletion::Absent;
        for row in &key.rows {
            if self.delete_row(set, row).await? == Deletion::Deleted {
                done = Deletion::Deleted;
            }
        }
        Ok(done)
    }

    /// Reads the set, and deletes the key of this `kid` if there is one.
    pub async fn delete_key_of_id(
        &self,
        set: &KeySetName,
        kid: &KeyId,
    ) -> Result<Deletion, HydraError> {
        let found = self.get_key_set(set).await?;
        match found.as_ref().and_then(|found| found.get(kid.as_str())) {
            Some(key) => self.delete_key(set, key).await,
            None => Ok(Deletion::Absent),
        }
    }

    /// Reads the public keys that Hydra publishes (`/.well-known/jwks.json` of the public API), of all its published sets
    /// and with the `kid`s of [`StoredKey::published_kid`]. `None`: the address of the public API is not set.
    ///
    /// 1.x answers that there is no such document ([`Absent`](ErrorKind::Absent)) while one of the sets that it is to
    /// publish is empty.
    pub async fn published_keys(&self) -> Result<Option<Vec<PublicJwk>>, HydraError> {
        let operation = Operation::PublishedKeys;
        let Some(answer) = self.connection().public(operation, PUBLISHED).await else {
            return Ok(None);
        };
        let answer = answer?;
        let Document { keys } = answer.decode(operation)?;
        // A private half that should ever be there goes no further.
        let keys =
            keys.into_iter().map(|value| Jwk::from_value(value).map(|key| key.public().cloned()));
        let keys = keys.collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(|_| HydraError::foreign(operation, answer.status))?;
        Ok(Some(keys.into_iter().flatten().collect()))
    }

    async fn delete_row(&self, set: &KeySetName, row: &str) -> Result<Deletion, HydraError> {
        match self.on_keys(Operation::DeleteKey, Method::DELETE, set, Some(row), None).await {
            Ok(_) => Ok(Deletion::Deleted),
            Err(error) if error.kind() == ErrorKind::Absent => Ok(Deletion::Absent),
            Err(error) => Err(error),
        }
    }

    /// A request about a set, or about one row of it.
    async fn on_keys(
        &self,
        operation: Operation,
        method: Method,
        set: &KeySetName,
        row: Option<&str>,
        json: Option<Vec<u8>>,
    ) -> Result<Answer, HydraError> {
        let (method, json) = (&method, &json);
        self.for_generation(|generation| async move {
            let path = match row {
                None => generation.key_set(set),
                Some(row) => row_path(operation, generation, set, row)?,
            };
            self.connection()
                .call(Request {
                    operation,
                    generation: Some(generation),
                    method: method.clone(),
                    path,
                    query: Vec::new(),
                    json: json.clone(),
                    secret: None,
                })
                .await
        })
        .await
    }
}

fn key_set(operation: Operation, answer: &Answer) -> Result<KeySet, HydraError> {
    KeySet::of(answer.decode(operation)?).map_err(|_| HydraError::foreign(operation, answer.status))
}

fn row_path(
    operation: Operation,
    generation: Generation,
    set: &KeySetName,
    row: &str,
) -> Result<String, HydraError> {
    if generation.addresses_key(row) {
        return Ok(generation.key(set, row));
    }
    let detail = "this version of Hydra cannot address a key of such an id";
    Err(HydraError::not_sent(operation, detail))
}
