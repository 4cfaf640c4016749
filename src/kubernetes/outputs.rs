//! Objects that are wholly the operator's: Secrets and ConfigMaps that hold what a resource hands
//! out. What the values mean is not known here.
//!
//! A name is first claimed by a POST with the owner reference, which fails if anybody else has an
//! object of that name. Only what is owned is written, by server-side apply bound to the version
//! that was read.

mod content;
mod kind;
mod state;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::{Map, Value, json};

use self::kind::DATA;
pub use self::{
    content::{HeldOutput, Obstacle, OutputContent},
    kind::OutputKind,
    state::{OutputState, Stranger, classify},
};
use super::{
    ApiError, Owner, SecretVersion,
    secret_content::OPAQUE,
    secrets::{is_name, preconditions, reference},
};

/// Field manager of all that is in an output.
const FIELD_MANAGER: &str = "hydra-operator";

/// The outputs of kind `K` in one namespace.
#[derive(Clone)]
pub struct Outputs<K> {
    api: Api<K>,
    marks: BTreeMap<String, String>,
}

/// What a write of an output would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It would make it.
    Create,
    /// It would change it.
    Update,
}

/// Why an output could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// The request failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It belongs to somebody else.
    #[error("it exists and was not made for this resource")]
    Foreign(Stranger),
    /// No object can have this name.
    #[error("{0:?} is no name that an object can have")]
    Name(String),
    /// The type of a Secret cannot change.
    #[error(
        "it is of type {is} and shall be of type {shall}, but the type of a Secret cannot change; \
         set the type back, choose another name, or delete the Secret, and it is made again"
    )]
    Type {
        /// The type it is of.
        is: String,
        /// The type it shall be of.
        shall: String,
    },
    /// Its data differ and cannot be changed.
    #[error("it is marked as immutable and its data differ; delete it, and it is made again")]
    Immutable,
}

impl From<kube::Error> for OutputError {
    fn from(error: kube::Error) -> Self {
        Self::Api(error.into())
    }
}

impl From<Obstacle> for OutputError {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Type { is, shall } => Self::Type { is, shall },
            Obstacle::Immutable => Self::Immutable,
        }
    }
}

/// What [`Outputs::write`] would do with the labels `marks`, as far as that can be told beforehand; none: nothing.
pub fn change(
    state: &OutputState,
    content: &OutputContent,
    marks: &BTreeMap<String, String>,
) -> Result<Option<Change>, OutputError> {
    match state {
        OutputState::Foreign(stranger) => Err(OutputError::Foreign(stranger.clone())),
        OutputState::Absent => Ok(Some(Change::Create)),
        OutputState::Ours(held) if held.is_as(content, marks)? => Ok(None),
        OutputState::Ours(_) | OutputState::Inherited { .. } => Ok(Some(Change::Update)),
    }
}

impl<K: OutputKind> Outputs<K> {
    /// The outputs in `namespace`; those that are written get the labels `marks`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, marks: BTreeMap<String, String>) -> Self {
        Self { api: Api::namespaced(client, namespace), marks }
    }

    /// Reads the object `name` and decides whose it is. A name that no object can have is not asked
    /// for.
    pub async fn observe(&self, name: &str, owner: &Owner) -> Result<OutputState, ApiError> {
        if !is_name(name) {
            return Ok(OutputState::Absent);
        }
        let object = self.api.get_opt(name).await?;
        Ok(classify(object.as_ref(), owner))
    }

    /// Makes the object `name` hold `content`, as the property of `owner`, provided that it is still
    /// as `state` says. Data that others added go, their labels and annotations stay. Writes nothing
    /// where nothing differs.
    ///
    /// Fails with a conflict when the object was made, changed or replaced meanwhile.
    pub async fn write(
        &self,
        name: &str,
        owner: (&Owner, &str),
        state: &OutputState,
        content: &OutputContent,
    ) -> Result<SecretVersion, OutputError> {
        if !is_name(name) {
            return Err(OutputError::Name(name.to_owned()));
        }
        let (held, former) = match state {
            OutputState::Foreign(stranger) => return Err(OutputError::Foreign(stranger.clone())),
            OutputState::Absent => (&self.claim(name, owner, content).await?, None),
            OutputState::Ours(held) => (held, None),
            OutputState::Inherited { held, former } => (held, Some(former.as_str())),
        };
        if held.is_as(content, &self.marks)? && former.is_none() {
            return Ok(held.version().clone());
        }
        let mut read = held.version().clone();
        if let Some(removal) = held.removal_before(content) {
            read = self.patch(name, &read, removal).await?.version().clone();
        }
        let applied = self.apply(name, owner, &read, content).await?;
        let mut removal = applied.removal(content);
        if let Some(former) = former {
            let dead = json!([{ "uid": former, "$patch": "delete" }]);
            removal.get_or_insert_default()["metadata"]["ownerReferences"] = dead;
        }
        match removal {
            Some(removal) => {
                Ok(self.patch(name, applied.version(), removal).await?.version().clone())
            }
            None => Ok(applied.version().clone()),
        }
    }

    /// Makes the object `name` without content, so that what follows can say which object it means.
    /// Secrets of some types exist with their data only.
    async fn claim(
        &self,
        name: &str,
        (owner, api_version): (&Owner, &str),
        content: &OutputContent,
    ) -> Result<HeldOutput, OutputError> {
        let mut object = json!({
            "metadata": {
                "name": name,
                "labels": self.marks,
                "ownerReferences": [reference(owner, api_version)],
            },
        });
        if let Some(object_type) = K::type_of(&content.secret_type) {
            object["type"] = object_type.into();
            if object_type != OPAQUE {
                object["data"] = content.encoded::<K>();
            }
        }
        let object: K = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        Ok(HeldOutput::of(&self.api.create(&params, &object).await?))
    }

    async fn apply(
        &self,
        name: &str,
        (owner, api_version): (&Owner, &str),
        read: &SecretVersion,
        content: &OutputContent,
    ) -> Result<HeldOutput, ApiError> {
        let mut labels = content.labels.clone();
        labels.extend(self.marks.clone());
        let mut object = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {
                "uid": read.uid,
                "resourceVersion": read.resource_version,
                "labels": labels,
                "annotations": content.annotations,
                "ownerReferences": [reference(owner, api_version)],
            },
            "data": content.encoded::<K>(),
        });
        if let Some(object_type) = K::type_of(&content.secret_type) {
            object["type"] = object_type.into();
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self.api.patch(name, &params, &Patch::Apply(&object)).await?;
        Ok(HeldOutput::of(&applied))
    }

    async fn patch(
        &self,
        name: &str,
        read: &SecretVersion,
        mut patch: Value,
    ) -> Result<HeldOutput, ApiError> {
        patch["metadata"]["uid"] = json!(read.uid);
        patch["metadata"]["resourceVersion"] = json!(read.resource_version);
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        Ok(HeldOutput::of(&self.api.patch(name, &params, &Patch::Strategic(&patch)).await?))
    }

    /// Replaces values of the object `name`, or removes those that are none, provided that it is still what was read. All else in it
    /// stays as it is. One that changed or was replaced meanwhile is a conflict.
    pub async fn replace(
        &self,
        name: &str,
        held: &HeldOutput,
        values: &BTreeMap<String, Option<SecretString>>,
    ) -> Result<(), ApiError> {
        if values.is_empty() {
            return Ok(());
        }
        let encoded = |text: &SecretString| K::encoded(text.expose_secret());
        let data: Map<_, _> = values
            .iter()
            .map(|(key, text)| (key.clone(), text.as_ref().map_or(Value::Null, encoded)))
            .collect();
        self.patch(name, held.version(), json!({ (DATA): data })).await?;
        Ok(())
    }

    /// Deletes the object `name`, provided that it is still the version that was read. One that is
    /// gone already is no failure; one that changed or was replaced meanwhile is a conflict.
    pub async fn delete(&self, name: &str, read: &SecretVersion) -> Result<(), ApiError> {
        if !is_name(name) {
            return Ok(());
        }
        let params =
            DeleteParams { preconditions: Some(preconditions(read)), ..Default::default() };
        gone_is_fine(self.api.delete(name, &params).await)
    }

    /// Removes the owner reference of `owner_uid` from the object `name`, so that it outlives its
    /// owner. One that is gone already is no failure; one that changed or was replaced meanwhile is
    /// a conflict.
    pub async fn release(
        &self,
        name: &str,
        read: &SecretVersion,
        owner_uid: &str,
    ) -> Result<(), ApiError> {
        if !is_name(name) {
            return Ok(());
        }
        let patch = json!({
            "metadata": {
                "uid": read.uid,
                "resourceVersion": read.resource_version,
                "ownerReferences": [{ "uid": owner_uid, "$patch": "delete" }],
            },
        });
        let params = PatchParams::default();
        gone_is_fine(self.api.patch_metadata(name, &params, &Patch::Strategic(&patch)).await)
    }
}

impl Outputs<Secret> {
    /// The values of the Secret `name`, whosever it is, and the version that holds them.
    pub async fn read_data(
        &self,
        name: &str,
    ) -> Result<Option<(SecretVersion, BTreeMap<String, SecretSlice<u8>>)>, ApiError> {
        if !is_name(name) {
            return Ok(None);
        }
        let Some(secret) = self.api.get_opt(name).await? else { return Ok(None) };
        let data = secret.data.into_iter().flatten();
        let data = data.map(|(key, value)| (key, SecretSlice::from(value.0))).collect();
        Ok(Some((SecretVersion::of(&secret.metadata), data)))
    }
}

fn gone_is_fine<T>(result: kube::Result<T>) -> Result<(), ApiError> {
    match result.map_err(ApiError::from) {
        Err(error) if !error.is_absent() => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}
