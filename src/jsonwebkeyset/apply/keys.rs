//! The keys: how they get into Hydra and out of it, and where those of the operator's own are kept.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::json;

use super::Work;
use crate::{
    api::jsonwebkeyset::{Algorithm, KeyOrigin, KeyState},
    hydra::{KeyId, KeyRequest},
    jose::{self, Jwk, completed},
    jsonwebkeyset::{
        contents::{MATERIAL_KEY, material_name},
        desired::Desired,
        error::{self, Failure, Reason},
        observe::{Observed, Sources, keys_in, read_secret},
        plan::{self, Changes, Make},
        record::Record,
        rotation::Key,
    },
    kubernetes::{
        outputs::{OutputContent, OutputState},
        secret_content::OPAQUE,
    },
};

impl Work<'_> {
    /// Brings the keys into Hydra. Returns those that are new, and those that were put back.
    pub(super) async fn make(
        &mut self,
        changes: &mut Changes,
        record: &Record,
    ) -> Result<(Vec<String>, Vec<String>), Failure> {
        let (mut made, mut restored) = (Vec::new(), Vec::new());
        for (kid, make) in std::mem::take(&mut changes.makes) {
            let Some(n) = changes.turn.keys.iter().position(|key| key.kid == kid) else { continue };
            let key = changes.turn.keys[n].clone();
            let is_recorded = record.public_key(&kid).is_some();
            let is_new = make.is_new() || (key.state == KeyState::Pending && !is_recorded);
            let jwk = match make {
                Make::ByHydra => match self.by_hydra(&key).await? {
                    Some(jwk) => jwk,
                    None => self.here(&key, &mut changes.turn.keys[n]).await?,
                },
                Make::Here => self.here(&key, &mut changes.turn.keys[n]).await?,
                Make::Send(jwk) => {
                    self.send(&key, &jwk).await?;
                    jwk
                }
            };
            let jwk = completed(jwk).named(&key.kid, &key.algorithm, &key.key_use);
            if let Some(public) = plan::public(&jwk, &key) {
                changes.publics.insert(kid.clone(), public);
            }
            if jwk.is_private() {
                changes.privates.insert(kid.clone(), jwk);
            }
            if is_new { made.push(kid) } else { restored.push(kid) }
        }
        Ok((made, restored))
    }

    /// Lets Hydra make a key. None: it cannot make one of this algorithm.
    pub(super) async fn by_hydra(&self, key: &Key) -> Result<Option<Jwk>, Failure> {
        let kid = key_id(key)?;
        let request = KeyRequest { kid: &kid, algorithm: &key.algorithm, key_use: &key.key_use };
        let hydra = self.to.sources.instance.hydra();
        match hydra.create_key(&self.desired.set, &request).await {
            Ok(stored) => Ok(Some(stored.jwk)),
            Err(error) if error.refuses_algorithm() => {
                if !self.desired.is_system {
                    return Ok(None);
                }
                let message = format!(
                    "this Hydra makes no keys for {}: choose another spec.algorithm",
                    key.algorithm
                );
                Err(Failure::terminal(Reason::UnsupportedAlgorithm, message))
            }
            Err(error) => Err(error::hydra(&format!("let Hydra make key {kid}"), &error)),
        }
    }

    /// Makes a key, stores it, and sends it.
    pub(super) async fn here(&mut self, key: &Key, recorded: &mut Key) -> Result<Jwk, Failure> {
        if let Some(jwk) = self.made_before(key).await? {
            recorded.origin = KeyOrigin::Operator;
            self.send(key, &jwk).await?;
            return Ok(jwk);
        }
        let (kid, key_use) = (key.kid.clone(), key.key_use.clone());
        let algorithm = Algorithm::named(&key.algorithm);
        // An RSA key takes seconds of a processor.
        let generated =
            tokio::task::spawn_blocking(move || jose::generate(&algorithm, &kid, &key_use)).await;
        let failed = |why: String| {
            Failure::transient(
                Reason::KubernetesError,
                format!("could not make key {}: {why}", key.kid),
            )
        };
        let jwk = generated
            .map_err(|_| failed("the process is ending".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        self.kept.push(jwk.clone());
        self.store().await?;
        recorded.origin = KeyOrigin::Operator;
        self.send(key, &jwk).await?;
        Ok(jwk)
    }

    /// The key, if it was made and stored by a pass that was interrupted. That the operator has to make it showed only now.
    pub(super) async fn made_before(&mut self, key: &Key) -> Result<Option<Jwk>, Failure> {
        if self.observed.material_state.is_some() {
            return Ok(None);
        }
        let name = material_name(&self.to.sources.owner.name);
        let state = read_secret(&name, &self.to.sources).await?;
        let kept = keys_in(Some(&state), Some(MATERIAL_KEY));
        let Some(jwk) = kept.into_iter().find(|jwk| jwk.kid() == Some(&key.kid)) else {
            return Ok(None);
        };
        self.kept.push(jwk.clone());
        Ok(Some(jwk))
    }

    pub(super) async fn send(&self, key: &Key, jwk: &Jwk) -> Result<(), Failure> {
        let kid = key_id(key)?;
        let put = self.to.sources.instance.hydra().put_key(&self.desired.set, &kid, jwk).await;
        put.map_err(|error| error::hydra(&format!("write key {kid} to Hydra"), &error))?;
        Ok(())
    }

    /// Keeps in the Secret of the operator's own what is to be kept and nothing else.
    pub(super) async fn keep(&mut self, changes: &Changes, record: &Record) -> Result<(), Failure> {
        if self.outputs.key_material.is_some() {
            return Ok(());
        }
        let alive = |key: &Jwk| {
            key.kid().is_some_and(|kid| changes.turn.keys.iter().any(|key| key.kid == kid))
        };
        self.kept.retain(alive);
        if !self.kept.is_empty() {
            return self.store().await;
        }
        let name = material_name(&self.to.sources.owner.name);
        match (&record.outputs.key_material, &self.observed.material_state) {
            (Some(_), Some(OutputState::Ours(held))) => {
                let deleted = self.to.sources.secrets.delete(&name, held.version()).await;
                deleted.map_err(|error| error::kubernetes(&format!("delete Secret {name}"), &error))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn store(&mut self) -> Result<(), Failure> {
        let keys: Vec<_> = self.kept.iter().map(Jwk::expose_value).collect();
        let document = SecretString::from(format!("{:#}\n", json!({ "keys": keys })));
        let content = OutputContent {
            secret_type: OPAQUE.to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            data: BTreeMap::from([(MATERIAL_KEY.to_owned(), document)]),
        };
        let name = material_name(&self.to.sources.owner.name);
        let state = match &self.observed.material_state {
            Some(state) if self.outputs.key_material.is_none() => state.clone(),
            // It was written a moment ago, or nobody thought of it before.
            _ => read_secret(&name, &self.to.sources).await?,
        };
        let written = self.write(self.to.sources.secrets, &name, &state, &content).await?;
        self.outputs.key_material = Some(written);
        Ok(())
    }

    /// Deletes what is to go, one key after the other.
    pub(super) async fn remove(&self, changes: &Changes) -> Result<Vec<String>, Failure> {
        let mut removed = Vec::new();
        for key in &changes.turn.gone {
            remove_key(&self.to.sources, self.desired, key, self.observed).await?;
            removed.push(key.kid.clone());
        }
        Ok(removed)
    }
}

/// Deletes one key of ours from Hydra. One that is gone already is no failure.
pub async fn remove_key(
    from: &Sources<'_>,
    desired: &Desired,
    key: &Key,
    observed: &Observed,
) -> Result<(), Failure> {
    let hydra = from.instance.hydra();
    let failed = |error| error::hydra(&format!("delete key {} from Hydra", key.kid), &error);
    match observed.stored().find(|stored| stored.kid == key.kid) {
        Some(stored) => hydra.delete_key(&desired.set, stored).await.map_err(failed)?,
        // Its creation may have come through after the set was read.
        None => hydra.delete_key_of_id(&desired.set, &key_id(key)?).await.map_err(failed)?,
    };
    Ok(())
}

fn key_id(key: &Key) -> Result<KeyId, Failure> {
    KeyId::parse(&key.kid).map_err(|error| {
        let message = format!("key {:?} cannot be addressed in Hydra: {error}", key.kid);
        Failure::terminal(Reason::InvalidImport, message)
    })
}
