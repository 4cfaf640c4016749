//! The `JsonWebKeySet` that a client refers to with `spec.jwksFrom`: pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kube::ResourceExt;
use ring::digest::{Context as Hasher, SHA256};
use serde_json::{Value, json};

use super::error::{Failure, Reason};
use crate::{
    api::{
        ConditionStatus, ConditionType, JsonWebKeySet, OAuth2Client, condition,
        jsonwebkeyset::{Algorithm, KeyState, KeyStatus, KeyUse},
        oauth2client::LinkedKeys,
    },
    jose::{Jwk, PublicJwk},
};

/// The public keys of a `JsonWebKeySet`, as its clients are to have them.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySet {
    algorithm: Algorithm,
    key_use: String,
    keys: Vec<PublicJwk>,
    held: LinkedKeys,
}

impl KeySet {
    /// What the status of `set` says of its keys. Those without a public half, so far or for good, are left out.
    #[must_use]
    pub fn of(set: &JsonWebKeySet) -> Self {
        let known = set.status.as_ref().map_or(&[][..], |status| &status.keys);
        let public: Vec<_> = known.iter().filter_map(|key| Some((key, public_jwk(key)?))).collect();
        // The algorithm of the spec may be another one by now; the keys keep theirs.
        let active = known.iter().find(|key| key.state == KeyState::Active);
        let leading = active.or_else(|| public.first().map(|(key, _)| *key)).or(known.first());
        let spec_use = || set.spec.r#use.clone().unwrap_or_default();
        let algorithm = leading
            .map_or_else(|| set.spec.algorithm.clone(), |key| Algorithm::named(&key.algorithm));
        let key_use =
            leading.map_or_else(|| spec_use().as_str().to_owned(), |key| key.r#use.clone());
        let kids = public.iter().map(|(key, _)| key.kid.clone()).collect();
        let keys: Vec<_> = public.into_iter().map(|(_, jwk)| jwk).collect();
        let held = LinkedKeys {
            name: set.name_any(),
            keys: kids,
            digest: digest(algorithm.as_str(), &keys),
        };
        Self { algorithm, key_use, keys, held }
    }

    /// The one algorithm of assertions.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.algorithm.as_str()
    }

    /// The keys as a JSON Web Key set (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.keys })
    }

    /// What status records of them once Hydra holds them.
    #[must_use]
    pub fn held(&self) -> &LinkedKeys {
        &self.held
    }
}

/// The public half of `key` under its recorded name, whatever else the record holds.
fn public_jwk(key: &KeyStatus) -> Option<PublicJwk> {
    let jwk = Jwk::from_value(Value::Object(key.public_key.clone()?)).ok()?;
    jwk.named(&key.kid, &key.algorithm, &key.r#use).public().cloned()
}

/// SHA-256 over the algorithm and the keys, with their members sorted; the order of keys counts.
fn digest(algorithm: &str, keys: &[PublicJwk]) -> String {
    let mut hasher = Hasher::new(&SHA256);
    hasher.update(algorithm.as_bytes());
    for key in keys {
        let sorted: BTreeMap<_, _> = key.iter().collect();
        // As JSON, a value ends where it ends.
        hasher.update(json!(sorted).to_string().as_bytes());
    }
    BASE64_URL_SAFE_NO_PAD.encode(hasher.finish())
}

/// What is known of the set that a client refers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Link {
    /// It refers to none.
    #[default]
    None,
    /// The sets were not listed so far.
    Unknown,
    /// There is none of that name.
    Absent,
    /// The set.
    Found(Arc<KeySet>),
}

impl Link {
    /// Whether a client whose status records `held` has moved away from its set, as far as is known.
    #[must_use]
    pub fn has_moved(&self, held: Option<&LinkedKeys>) -> bool {
        match self {
            Self::None => held.is_some(),
            Self::Unknown => false,
            Self::Absent => true,
            Self::Found(set) => held.is_none_or(|held| {
                (&held.name, &held.digest) != (&set.held.name, &set.held.digest)
            }),
        }
    }
}

/// The set whose keys `resource` is to have, if it refers to one, or why it cannot have them.
/// `settled`: whether Hydra holds what this generation of the resource declares, as far as is known.
pub fn linked<'a>(
    resource: &OAuth2Client,
    link: &'a Link,
    settled: bool,
) -> Result<Option<&'a KeySet>, Failure> {
    let Some(reference) = &resource.spec.jwks_from else { return Ok(None) };
    let name = &reference.name;
    if name.is_empty() {
        return Err(invalid("spec.jwksFrom.name is empty; name a JsonWebKeySet".to_owned()));
    }
    let set = match link {
        Link::Found(set) => set,
        Link::None | Link::Absent => {
            return Err(waiting(format!(
                "there is no JsonWebKeySet {name} in this namespace, whose keys the client is to \
                 have; the client in Hydra stays as it is: create the set, or correct \
                 spec.jwksFrom.name"
            )));
        }
        Link::Unknown => return Err(unlisted(name, settled)),
    };
    fits(name, set)?;
    let wanted =
        resource.spec.token_endpoint_auth_signing_alg.as_deref().map_or("", String::as_str);
    if !wanted.is_empty() && wanted != set.algorithm() {
        return Err(invalid(format!(
            "spec.tokenEndpointAuthSigningAlg is {wanted}, and the keys of JsonWebKeySet {name} are \
             for {}: remove spec.tokenEndpointAuthSigningAlg, or refer to another set",
            set.algorithm()
        )));
    }
    if set.keys.is_empty() {
        return Err(waiting(format!(
            "JsonWebKeySet {name} has no public key so far; the client in Hydra stays as it is: \
             the status of the set says why"
        )));
    }
    Ok(Some(set))
}

/// Hydra checks assertions with keys of few kinds.
fn fits(name: &str, set: &KeySet) -> Result<(), Failure> {
    if !set.algorithm.signs_assertions() {
        return Err(invalid(format!(
            "the keys of JsonWebKeySet {name} are for {}, with which Hydra checks no signature of a \
             client: let spec.jwksFrom name a set whose algorithm is RS, PS or ES with 256, 384 or \
             512, such as ES256",
            set.algorithm()
        )));
    }
    if set.key_use != KeyUse::Sig.as_str() {
        return Err(invalid(format!(
            "the keys of JsonWebKeySet {name} are for use {}, and Hydra checks signatures with keys \
             for use sig alone: let spec.jwksFrom name a set whose use is sig",
            set.key_use
        )));
    }
    Ok(())
}

fn invalid(message: String) -> Failure {
    Failure::terminal(Reason::InvalidSpec, message)
}

fn waiting(message: String) -> Failure {
    Failure::waiting(Reason::WaitingForKeySet, message)
}

fn unlisted(name: &str, settled: bool) -> Failure {
    let failure = waiting(format!(
        "JsonWebKeySet {name} cannot be looked up, because the operator has no list of \
         JsonWebKeySets so far: see whether their definition is installed, and whether it may list \
         them"
    ));
    if settled {
        Failure { class: crate::controller::Class::Unobserved, ..failure }
    } else {
        failure
    }
}

/// A client that refers to a set, as those need to know it who rotate the keys of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedClient {
    /// Its name.
    pub name: String,
    /// The `kid`s of the keys of the set that Hydra was seen to hold for it.
    pub holds: BTreeSet<String>,
    /// What these keys are: that of [`KeySet::held`] where it has all of them as they are now.
    pub digest: Option<String>,
    /// Whether it had keys of the set at any time since it refers to it.
    pub ever_linked: bool,
    /// Whether nothing reaches it, because it is suspended.
    pub is_suspended: bool,
    /// Why it is not ready, if it is not.
    pub failure: Option<String>,
}

impl LinkedClient {
    /// How `client` stands to the set that it refers to, by its status.
    #[must_use]
    pub fn of(client: &OAuth2Client) -> Self {
        let set = client.spec.jwks_from.as_ref().map(|reference| &reference.name);
        let held = client.status.as_ref().and_then(|status| status.jwks.as_ref());
        let held = held.filter(|held| Some(&held.name) == set);
        Self {
            name: client.name_any(),
            holds: held.map(|held| held.keys.iter().cloned().collect()).unwrap_or_default(),
            digest: held.map(|held| held.digest.clone()),
            ever_linked: held.is_some(),
            is_suspended: client.is_suspended(),
            failure: failure(client),
        }
    }
}

/// The reason for which `client` is not ready.
fn failure(client: &OAuth2Client) -> Option<String> {
    let conditions = &client.status.as_ref()?.conditions;
    let ready = condition::get(conditions, ConditionType::Ready)?;
    let is_failing = ready.status == ConditionStatus::False;
    is_failing.then(|| ready.reason.as_deref().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests;
