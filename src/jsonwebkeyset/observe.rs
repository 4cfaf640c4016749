//! What is there: reads the set in Hydra, the outputs and the Secret to import from; decides nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::Value;

use super::{
    contents::{self, MATERIAL_KEY, material_name},
    desired::Desired,
    error::{self, Failure, Reason},
    record::Record,
};
use crate::{
    api::jsonwebkeyset::{ImportSource, OutputStatus, PrivateSecret, PublicConfigMap},
    hydra::{ErrorKind, Generation, KeySet, StoredKey, WellKnown},
    instance::Instance,
    jose::{Jwk, PublicJwk, import},
    kubernetes::{
        ObjectAccess, Owner, SecretVersion,
        outputs::{OutputState, Outputs},
    },
    secret_template,
};

/// The observed state of one set.
#[derive(Clone)]
pub struct Observed {
    /// Which Hydra answers.
    pub generation: Generation,
    /// The set in Hydra.
    pub set: Option<KeySet>,
    /// What Hydra publishes, for its own sets, where it can be asked.
    pub published: Option<Vec<PublicJwk>>,
    /// The keys to import, and the version of the Secret that holds them.
    pub imported: Option<Vec<Jwk>>,
    /// That Secret.
    pub import: Option<OutputStatus>,
    /// The Secret in which the operator keeps keys, where it needs one.
    pub material_state: Option<OutputState>,
    /// The keys in it.
    pub material: Vec<Jwk>,
    /// The ConfigMap.
    pub public_state: Option<OutputState>,
    /// The keys in it.
    pub shown: Vec<PublicJwk>,
    /// The Secret of the output.
    pub private_state: Option<OutputState>,
    /// The keys in it.
    pub handed_out: Vec<Jwk>,
    /// The clients that take their keys from the set.
    pub linked: Vec<Linked>,
    /// What Hydra says about itself, where the Secret is to have some of it.
    pub well_known: Option<Arc<WellKnown>>,
}

impl Observed {
    /// The keys in Hydra, the newest first.
    pub fn stored(&self) -> impl Iterator<Item = &StoredKey> {
        self.set.iter().flat_map(|set| &set.keys)
    }
}

/// A client that takes its keys from the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its name.
    pub name: String,
    /// The ids of the keys of the set that Hydra was seen to hold for it.
    pub holds: BTreeSet<String>,
    /// Whether it had keys of the set at any time.
    pub ever_linked: bool,
    /// Why it comes to hold no other key for now.
    pub trouble: Option<Trouble>,
}

/// What keeps a client from holding another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is suspended.
    Suspended,
    /// It is not ready, for this reason.
    NotReady(String),
}

impl Linked {
    /// Whether it took keys from the set before and does not hold this one.
    #[must_use]
    pub fn lacks(&self, kid: &str) -> bool {
        self.ever_linked && !self.holds.contains(kid)
    }
}

/// Where a pass reads from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The resource, as owner of its outputs.
    pub owner: &'a Owner,
    /// The Secrets of its namespace.
    pub secrets: &'a Outputs<Secret>,
    /// The ConfigMaps of its namespace.
    pub config_maps: &'a Outputs<ConfigMap>,
    /// The Hydra.
    pub instance: &'a Instance,
    /// The namespaces whose Secrets and ConfigMaps may be used.
    pub access: &'a ObjectAccess,
    /// The namespace of the resource.
    pub namespace: &'a str,
}

impl Sources<'_> {
    /// Whether a Secret or ConfigMap, which is `what`, is the operator's to use.
    pub fn check(&self, what: &str) -> Result<(), Failure> {
        if self.access.allows(self.namespace) {
            Ok(())
        } else {
            Err(error::not_allowed(what, self.namespace))
        }
    }
}

/// Reads what is there.
pub async fn observe(
    desired: &Desired,
    record: &Record,
    linked: Vec<Linked>,
    from: &Sources<'_>,
) -> Result<Observed, Failure> {
    let hydra = from.instance.hydra();
    let doing = format!("read key set {} from Hydra", desired.set);
    let set =
        hydra.get_key_set(&desired.set).await.map_err(|error| error::hydra(&doing, &error))?;
    let generation = hydra.generation().await.map_err(|error| error::hydra(&doing, &error))?;
    let published = if is_published(desired, generation) { published(from).await? } else { None };
    let (imported, import) = match &desired.import {
        Some(source) => {
            let (keys, version) = imported(source, desired, from).await?;
            (Some(keys), Some(version))
        }
        None => (None, None),
    };
    let keeps = record.outputs.key_material.is_some()
        || (imported.is_none()
            && !desired.is_system
            && !generation.can_make(desired.algorithm.as_str()));
    let material_state =
        if keeps { Some(read_secret(&material_name(&from.owner.name), from).await?) } else { None };
    let public_state = match &desired.public {
        Some(public) => Some(read_config_map(&public.name, from).await?),
        None => None,
    };
    let private_state = match &desired.private {
        Some(private) => Some(read_secret(&private.name, from).await?),
        None => None,
    };
    Ok(Observed {
        material: keys_in(material_state.as_ref(), Some(MATERIAL_KEY)),
        shown: shown(public_state.as_ref(), desired.public.as_ref()),
        handed_out: handed_out(private_state.as_ref(), desired.private.as_ref()),
        well_known: well_known(desired, from.instance).await?,
        generation,
        set,
        published,
        imported,
        import,
        material_state,
        public_state,
        private_state,
        linked,
    })
}

/// Whether Hydra publishes the keys of the set whatever its configuration: those that ID tokens are signed with, and from 2.0 on
/// those of access tokens.
fn is_published(desired: &Desired, generation: Generation) -> bool {
    match desired.set.as_str() {
        "hydra.openid.id-token" => true,
        "hydra.jwt.access-token" => generation != Generation::V1,
        _ => false,
    }
}

/// What Hydra publishes. A document that it does not give is no reason to touch its keys.
async fn published(from: &Sources<'_>) -> Result<Option<Vec<PublicJwk>>, Failure> {
    match from.instance.hydra().published_keys().await {
        Ok(keys) => Ok(keys),
        Err(error) if error.kind() == ErrorKind::Absent => Ok(Some(Vec::new())),
        Err(error) => Err(error::hydra("read the keys that Hydra publishes", &error)),
    }
}

/// A Secret of the operator's, or that is to be its own.
pub async fn read_secret(name: &str, from: &Sources<'_>) -> Result<OutputState, Failure> {
    let what = format!("Secret {name}");
    from.check(&what)?;
    let read = from.secrets.observe(name, from.owner).await;
    read.map_err(|error| error::read(&what, &error))
}

async fn read_config_map(name: &str, from: &Sources<'_>) -> Result<OutputState, Failure> {
    let what = format!("ConfigMap {name}");
    from.check(&what)?;
    let read = from.config_maps.observe(name, from.owner).await;
    read.map_err(|error| error::read(&what, &error))
}

/// The private keys in a document of ours. What cannot be read is not there.
#[must_use]
pub fn keys_in(state: Option<&OutputState>, key: Option<&str>) -> Vec<Jwk> {
    let values = key.and_then(|key| document(state, key)).unwrap_or_default();
    values.into_iter().filter_map(|value| Jwk::from_value(value).ok()).collect()
}

fn document(state: Option<&OutputState>, key: &str) -> Option<Vec<Value>> {
    let text = state?.held()?.value(key)?;
    let mut document: Value = serde_json::from_slice(text).ok()?;
    match document.get_mut("keys")?.take() {
        Value::Array(keys) => Some(keys),
        _ => None,
    }
}

fn shown(state: Option<&OutputState>, public: Option<&PublicConfigMap>) -> Vec<PublicJwk> {
    let key = public.map(contents::public_key);
    let values = key.and_then(|key| document(state, key)).unwrap_or_default();
    let object = |value| match value {
        Value::Object(members) => Some(members),
        _ => None,
    };
    values.into_iter().filter_map(object).collect()
}

fn handed_out(state: Option<&OutputState>, private: Option<&PrivateSecret>) -> Vec<Jwk> {
    let [document, ..] = private.map(contents::private_keys).unwrap_or_default();
    keys_in(state, Some(&document))
}

/// The keys that the Secret of `source` holds.
async fn imported(
    source: &ImportSource,
    desired: &Desired,
    from: &Sources<'_>,
) -> Result<(Vec<Jwk>, OutputStatus), Failure> {
    let name = &source.name;
    let what = format!("Secret {name}");
    from.check(&what)?;
    let read = from.secrets.read_data(name).await;
    let read = read.map_err(|error| error::read(&what, &error))?;
    let Some((version, data)) = read else {
        let message = format!(
            "Secret {name}, which is to hold the keys, is not there: create it, or correct spec.import.secretRef.name"
        );
        return Err(Failure::waiting(Reason::WaitingForSecret, message));
    };
    let documents = documents(source, data)?;
    let algorithm = desired.algorithm.clone();
    // Large keys take a while to be checked.
    let keys = tokio::task::spawn_blocking(move || {
        let documents: Vec<(&str, &[u8])> =
            documents.iter().map(|(name, bytes)| (name.as_str(), bytes.expose_secret())).collect();
        let keys = import::read(&documents)?;
        import::check(&keys, &algorithm)?;
        Ok::<_, import::ImportError>(keys)
    });
    let invalid = |error: String| {
        let message = format!("the keys in Secret {name} cannot be imported: {error}");
        Failure::terminal(Reason::InvalidImport, message)
    };
    let keys = keys.await.map_err(|_| invalid("they could not be read".to_owned()))?;
    let keys = keys.map_err(|error| invalid(error.to_string()))?;
    if let Some(kid) =
        keys.iter().filter_map(Jwk::kid).find(|kid| crate::hydra::KeyId::parse(kid).is_err())
    {
        return Err(invalid(format!("kid {kid:?} is too long for Hydra")));
    }
    Ok((keys, output_status(name, &version)))
}

type Documents = Vec<(String, SecretSlice<u8>)>;

fn documents(
    source: &ImportSource,
    mut data: BTreeMap<String, SecretSlice<u8>>,
) -> Result<Documents, Failure> {
    let Some(names) = &source.keys else { return Ok(data.into_iter().collect()) };
    let take = |name: &String| {
        data.remove(name).map(|value| (name.clone(), value)).ok_or_else(|| {
            let message = format!(
                "Secret {} has no key {name}, or it is named twice: write it, or correct spec.import.secretRef.keys",
                source.name
            );
            Failure::waiting(Reason::WaitingForSecret, message)
        })
    };
    names.iter().map(take).collect()
}

/// A version of an object, as status records it.
#[must_use]
pub fn output_status(name: &str, version: &SecretVersion) -> OutputStatus {
    OutputStatus {
        name: name.to_owned(),
        uid: version.uid.clone(),
        resource_version: version.resource_version.clone(),
    }
}

async fn well_known(
    desired: &Desired,
    instance: &Instance,
) -> Result<Option<Arc<WellKnown>>, Failure> {
    let template = desired.private.as_ref().and_then(|private| private.template.as_ref());
    if !template.is_some_and(secret_template::needs_well_known) {
        return Ok(None);
    }
    match instance.well_known().await {
        Some(Ok(known)) => Ok(Some(known)),
        Some(Err(error)) => Err(error::hydra("read Hydra's discovery document", &error)),
        None => Err(Failure::terminal(
            Reason::InvalidSpec,
            "spec.outputs.privateSecret.template.data asks for values of Hydra's discovery document, and the operator does \
             not know where that is; write the values themselves, or ask its administrator to set --hydra-public-url",
        )),
    }
}
