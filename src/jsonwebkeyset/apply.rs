//! Writes what the plan says, in the order that survives a crash at any point: a key that the operator makes is stored before it
//! is sent, its public half is shown before its private half is handed out, and what goes, goes last. A status that
//! records it is written by the caller.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use super::{
    contents,
    desired::Desired,
    error::{self, Failure, Reason},
    observe::{MATERIAL_KEY, Observed, Sources, keys_in, material_name, output_status},
    plan::{self, Changes, Make},
    record::Record,
    rotation::{Key, active},
};
use crate::{
    api::jsonwebkeyset::{Algorithm, KeyOrigin, KeyState, OutputStatus, OutputStatuses},
    controller::Class,
    hydra::{KeyId, KeyRequest},
    jose::{self, Jwk, PublicJwk, completed},
    kubernetes::{
        SecretVersion,
        outputs::{OutputContent, OutputError, OutputKind, OutputState, Outputs},
        secret_content::OPAQUE,
    },
    secret_template,
};

/// What a pass has brought about.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The keys from now on.
    pub keys: Vec<Key>,
    /// Their public halves.
    pub publics: BTreeMap<String, PublicJwk>,
    /// Those that somebody provides.
    pub provided: BTreeSet<String>,
    /// When time alone changes something.
    pub due: Option<Timestamp>,
    /// When the next key is to take the place of the current one.
    pub next_rotation: Option<Timestamp>,
    /// Keys in the set that are not the operator's.
    pub foreign: Vec<String>,
    /// Clients that do not hold a new key yet.
    pub waiting_for: Vec<String>,
    /// The objects that hold the keys.
    pub outputs: OutputStatuses,
    /// Keys that were made.
    pub made: Vec<String>,
    /// Keys that were put back.
    pub restored: Vec<String>,
    /// Keys that are gone.
    pub removed: Vec<String>,
    /// Keys whose private half is nowhere any more.
    pub lost: Vec<String>,
    /// Objects that were deleted, because the spec names others or none.
    pub retired: Vec<String>,
}

impl Applied {
    /// Whether it made the keys other ones, so that the next pass may find more to do. What was put back may not stay, and is
    /// looked at in its time.
    #[must_use]
    pub const fn wrote(&self) -> bool {
        !self.made.is_empty() || !self.removed.is_empty()
    }
}

/// Where a pass writes to.
#[derive(Clone, Copy)]
pub struct Targets<'a> {
    /// Where it has read from.
    pub sources: Sources<'a>,
    /// `apiVersion` of the resource.
    pub api_version: &'a str,
    /// Told of each object that was written: its kind, its name, its version.
    pub written: &'a (dyn Fn(&str, &str, &SecretVersion) + Sync),
}

/// Carries out `changes`. Each step can be repeated: one that was done and not noticed is found done by the next pass.
pub async fn apply(
    mut changes: Changes,
    desired: &Desired,
    record: &Record,
    observed: &Observed,
    to: Targets<'_>,
) -> Result<Applied, Failure> {
    let mut work =
        Work { desired, observed, to, outputs: OutputStatuses::default(), kept: Vec::new() };
    work.kept.clone_from(&changes.keeps);
    let (made, restored) = work.make(&mut changes, record).await?;
    work.keep(&changes, record).await?;
    work.show(&changes).await?;
    work.hand_out(&changes, record).await?;
    let removed = work.remove(&changes).await?;
    let retired = work.retire(record).await?;
    let mut outputs = work.outputs;
    outputs.import.clone_from(&observed.import);
    let provided =
        observed.imported.iter().flatten().filter_map(|key| key.kid().map(ToOwned::to_owned));
    Ok(Applied {
        provided: provided.collect(),
        keys: changes.turn.keys,
        publics: changes.publics,
        due: changes.turn.due,
        next_rotation: changes.turn.next_rotation,
        foreign: changes.foreign,
        waiting_for: changes.waiting_for,
        lost: changes.lost,
        outputs,
        made,
        restored,
        removed,
        retired,
    })
}

struct Work<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    to: Targets<'a>,
    outputs: OutputStatuses,
    /// What the Secret of the operator's own is to hold.
    kept: Vec<Jwk>,
}

impl Work<'_> {
    /// Brings the keys into Hydra. Returns those that are new, and those that were put back.
    async fn make(
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
    async fn by_hydra(&self, key: &Key) -> Result<Option<Jwk>, Failure> {
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
    async fn here(&mut self, key: &Key, recorded: &mut Key) -> Result<Jwk, Failure> {
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
    async fn made_before(&mut self, key: &Key) -> Result<Option<Jwk>, Failure> {
        if self.observed.material_state.is_some() {
            return Ok(None);
        }
        let name = material_name(&self.to.sources.owner.name);
        let state = self.to.sources.secrets.observe(&name, self.to.sources.owner).await;
        let state =
            state.map_err(|error| error::kubernetes(&format!("read Secret {name}"), &error))?;
        let kept = keys_in(Some(&state), Some(MATERIAL_KEY));
        let Some(jwk) = kept.into_iter().find(|jwk| jwk.kid() == Some(&key.kid)) else {
            return Ok(None);
        };
        self.kept.push(jwk.clone());
        Ok(Some(jwk))
    }

    async fn send(&self, key: &Key, jwk: &Jwk) -> Result<(), Failure> {
        let kid = key_id(key)?;
        let put = self.to.sources.instance.hydra().put_key(&self.desired.set, &kid, jwk).await;
        put.map_err(|error| error::hydra(&format!("write key {kid} to Hydra"), &error))?;
        Ok(())
    }

    /// Keeps in the Secret of the operator's own what is to be kept and nothing else.
    async fn keep(&mut self, changes: &Changes, record: &Record) -> Result<(), Failure> {
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

    async fn store(&mut self) -> Result<(), Failure> {
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
            _ => {
                let read = self.to.sources.secrets.observe(&name, self.to.sources.owner).await;
                read.map_err(|error| error::kubernetes(&format!("read Secret {name}"), &error))?
            }
        };
        let written = self.write(self.to.sources.secrets, &name, &state, &content).await?;
        self.outputs.key_material = Some(written);
        Ok(())
    }

    async fn show(&mut self, changes: &Changes) -> Result<(), Failure> {
        let (Some(public), Some(state)) = (&self.desired.public, &self.observed.public_state)
        else {
            return Ok(());
        };
        let document =
            contents::public(&changes.turn.keys, &changes.publics, &changes.published_kids);
        let content = OutputContent {
            secret_type: String::new(),
            labels: public.labels.clone(),
            annotations: public.annotations.clone(),
            data: BTreeMap::from([(contents::public_key(public).to_owned(), document.into())]),
        };
        let written =
            self.write(self.to.sources.config_maps, &public.name, state, &content).await?;
        self.outputs.public_config_map = Some(written);
        Ok(())
    }

    async fn hand_out(&mut self, changes: &Changes, record: &Record) -> Result<(), Failure> {
        let (Some(private), Some(state)) = (&self.desired.private, &self.observed.private_state)
        else {
            return Ok(());
        };
        let data = contents::private(private, &changes.turn.keys, &changes.privates)?;
        if let (true, OutputState::Ours(held)) = (changes.turn.keys.is_empty(), state) {
            // All are revoked, and nothing is to come by itself.
            let what = format!("Secret {}", private.name);
            let deleted = self.to.sources.secrets.delete(&private.name, held.version()).await;
            return deleted.map_err(|error| error::kubernetes(&format!("delete {what}"), &error));
        }
        // Without a current key, or without its private half, what was handed out stays.
        let Some(mut data) = data else {
            let held = state.held().map(|held| output_status(&private.name, held.version()));
            // The one of the former name goes when there is something for the new one.
            let former = record.outputs.private_secret.as_ref();
            self.outputs.private_secret =
                former.filter(|f| f.name != private.name).cloned().or(held);
            return Ok(());
        };
        let template = private.template.clone().unwrap_or_default();
        let further =
            secret_template::further_data(FIELD, &template, self.observed.well_known.as_deref());
        let further = further.map_err(|invalid| invalid_template(&invalid))?;
        data.extend(further.into_iter().map(|(key, text)| (key, text.into())));
        let content = OutputContent {
            secret_type: template.secret_type.unwrap_or_else(|| OPAQUE.to_owned()),
            labels: template.labels,
            annotations: template.annotations,
            data,
        };
        let written = self.write(self.to.sources.secrets, &private.name, state, &content).await?;
        self.outputs.private_secret = Some(written);
        Ok(())
    }

    async fn write<K: OutputKind>(
        &self,
        outputs: &Outputs<K>,
        name: &str,
        state: &OutputState,
        content: &OutputContent,
    ) -> Result<OutputStatus, Failure> {
        let owner = (self.to.sources.owner, self.to.api_version);
        let what = format!("{} {name}", K::kind(&()));
        let written = outputs.write(name, owner, state, content).await;
        let version = written.map_err(|error| refused(&what, &error))?;
        (self.to.written)(&K::kind(&()), name, &version);
        Ok(output_status(name, &version))
    }

    /// Deletes what is to go, one key after the other.
    async fn remove(&self, changes: &Changes) -> Result<Vec<String>, Failure> {
        let mut removed = Vec::new();
        for key in &changes.turn.gone {
            remove_key(&self.to.sources, self.desired, key, self.observed).await?;
            removed.push(key.kid.clone());
        }
        Ok(removed)
    }

    /// Deletes outputs of ours that the spec does not name any more.
    async fn retire(&self, record: &Record) -> Result<Vec<String>, Failure> {
        let mut retired = Vec::new();
        let former = |recorded: &Option<OutputStatus>, now: &Option<OutputStatus>| {
            let recorded = recorded.as_ref()?;
            let stays = now.as_ref().is_some_and(|now| now.name == recorded.name);
            (!stays).then(|| recorded.name.clone())
        };
        let (before, now) = (&record.outputs, &self.outputs);
        if self.desired.private.is_none() || now.private_secret.is_some() {
            let former = former(&before.private_secret, &now.private_secret);
            retired.extend(retire(self.to.sources.secrets, former, &self.to.sources).await?);
        }
        let former = former(&before.public_config_map, &now.public_config_map);
        retired.extend(retire(self.to.sources.config_maps, former, &self.to.sources).await?);
        Ok(retired)
    }
}

/// Where the template of the private Secret stands.
const FIELD: &str = "spec.outputs.privateSecret.template";

fn invalid_template(invalid: &secret_template::InvalidTemplate) -> Failure {
    Failure::terminal(Reason::InvalidSpec, invalid.to_string())
}

/// Whether the labels, annotations and keys that the spec asks for may be set: before anything is written.
pub fn check_templates(desired: &Desired) -> Result<(), Failure> {
    if let Some(public) = &desired.public {
        let field = "spec.outputs.publicConfigMap";
        secret_template::check_metadata(field, &public.labels, &public.annotations)
            .map_err(|invalid| invalid_template(&invalid))?;
    }
    let Some(private) = &desired.private else { return Ok(()) };
    let template = private.template.clone().unwrap_or_default();
    let names = contents::private_keys(private);
    let keys = names.iter().chain(template.data.keys());
    secret_template::check_metadata(FIELD, &template.labels, &template.annotations)
        .and_then(|()| {
            secret_template::check_keys(
                "spec.outputs.privateSecret.keys and spec.outputs.privateSecret.template.data",
                keys,
            )
        })
        .map_err(|invalid| invalid_template(&invalid))
}

async fn retire<K: OutputKind>(
    outputs: &Outputs<K>,
    former: Option<String>,
    from: &Sources<'_>,
) -> Result<Option<String>, Failure> {
    let Some(name) = former else { return Ok(None) };
    let what = format!("{} {name}", K::kind(&()));
    let doing = format!("delete {what}, which is handed out no more");
    let state = outputs.observe(&name, from.owner).await;
    let state = state.map_err(|error| error::kubernetes(&format!("read {what}"), &error))?;
    let OutputState::Ours(held) = state else { return Ok(None) };
    let deleted = outputs.delete(&name, held.version()).await;
    deleted.map_err(|error| error::kubernetes(&doing, &error))?;
    Ok(Some(what))
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

fn refused(what: &str, error: &OutputError) -> Failure {
    match error {
        OutputError::Api(error) => error::output_write(what, error),
        OutputError::Foreign(_) => Failure::terminal(
            Reason::OutputNotOwned,
            format!(
                "{what} exists and is not this resource's: choose another name in spec.outputs, or delete it if nobody needs it"
            ),
        ),
        OutputError::Name(_) | OutputError::Type { .. } | OutputError::Immutable => Failure {
            class: Class::Terminal,
            ..Failure::terminal(Reason::OutputRefused, format!("could not store {what}: {error}"))
        },
    }
}

/// The key that is signed with by now, where it is another than before.
#[must_use]
pub fn activated<'a>(record: &Record, applied: &'a Applied) -> Option<&'a Key> {
    let former = record.rotating();
    let former = active(&former).map(|key| &key.kid);
    active(&applied.keys).filter(|key| former != Some(&key.kid))
}
