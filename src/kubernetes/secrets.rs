//! Reading and writing the Secrets that hold credentials.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    ApiError, Owner, SecretState,
    ownership::{Lookup, SecretVersion, classify},
    secret_content::{FIELD_MANAGER, SecretChanges, SecretContent},
};

/// The Secrets of one namespace.
#[derive(Clone)]
pub struct Secrets {
    api: Api<Secret>,
    labels: BTreeMap<String, String>,
}

impl Secrets {
    /// The Secrets of `namespace`; those that are written get `labels`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, labels: BTreeMap<String, String>) -> Self {
        Self { api: Api::namespaced(client, namespace), labels }
    }

    /// Reads the Secret `name` and decides whose it is.
    ///
    /// A name that no Secret can have is not asked for: it is text of a tenant's, and would become
    /// a part of the address of the request.
    pub async fn observe(
        &self,
        name: &str,
        owner: &Owner,
        lookup: &Lookup,
    ) -> Result<SecretState, ApiError> {
        if !is_name(name) {
            return Ok(SecretState::Absent);
        }
        let secret = self.api.get_opt(name).await?;
        Ok(classify(secret.as_ref(), owner, lookup, &self.labels))
    }

    /// Creates the Secret `name` with `content`, owned by `owner`.
    ///
    /// A POST and not an apply: an apply would take over a Secret that somebody else made in
    /// between. Fails with a conflict when the Secret exists.
    pub async fn create(
        &self,
        name: &str,
        owner: &Owner,
        api_version: &str,
        content: &SecretContent,
    ) -> Result<SecretVersion, ApiError> {
        let mut labels = content.labels.clone();
        labels.extend(self.labels.clone());
        let bytes = |value: &SecretString| ByteString(value.expose_secret().as_bytes().to_vec());
        let data = content.data.iter().map(|(key, value)| (key.clone(), bytes(value)));
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels),
                annotations: Some(content.annotations.clone()),
                owner_references: Some(vec![reference(owner, api_version)]),
                ..ObjectMeta::default()
            },
            type_: Some(content.secret_type.clone()),
            data: Some(data.collect()),
            ..Secret::default()
        };
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = self.api.create(&params, &secret).await?;
        Ok(SecretVersion::of(&created.metadata))
    }

    /// Makes `changes` to the Secret `name`, provided that it is still the version that was read.
    ///
    /// Whoever edited what changes meant the operator to see it, and the operator has decided.
    /// Everything else is left as it is. Fails with a conflict when the Secret changed or was
    /// replaced meanwhile.
    pub async fn change(
        &self,
        name: &str,
        read: &SecretVersion,
        changes: &SecretChanges,
    ) -> Result<SecretVersion, ApiError> {
        self.patch(name, read, changes.patch(&self.labels)).await
    }

    /// [`Self::change`], with `owner` in place of the former owner of uid `former`.
    pub async fn inherit(
        &self,
        name: &str,
        read: &SecretVersion,
        (owner, api_version): (&Owner, &str),
        former: &str,
        changes: &SecretChanges,
    ) -> Result<SecretVersion, ApiError> {
        let mut patch = changes.patch(&self.labels);
        patch["metadata"]["ownerReferences"] =
            json!([{ "uid": former, "$patch": "delete" }, reference(owner, api_version)]);
        self.patch(name, read, patch).await
    }

    async fn patch(
        &self,
        name: &str,
        read: &SecretVersion,
        mut patch: Value,
    ) -> Result<SecretVersion, ApiError> {
        patch["metadata"]["uid"] = json!(read.uid);
        patch["metadata"]["resourceVersion"] = json!(read.resource_version);
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.api.patch_metadata(name, &params, &Patch::Strategic(&patch)).await?;
        Ok(SecretVersion::of(&patched.metadata))
    }

    /// Deletes the Secret `name`, provided that it is still the version that was read. One that is
    /// gone already is no failure; one that changed or was replaced meanwhile is a conflict.
    pub async fn delete(&self, name: &str, read: &SecretVersion) -> Result<(), ApiError> {
        let params =
            DeleteParams { preconditions: Some(preconditions(read)), ..DeleteParams::default() };
        match self.api.delete(name, &params).await.map_err(ApiError::from) {
            Err(error) if !error.is_absent() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Removes the owner reference of `owner_uid` from the Secret `name`, so that it outlives its
    /// owner. Fails with a conflict when the Secret changed or was replaced meanwhile.
    pub async fn release(
        &self,
        name: &str,
        read: &SecretVersion,
        owner_uid: &str,
    ) -> Result<(), ApiError> {
        let patch = json!({
            "metadata": {
                "uid": read.uid,
                "resourceVersion": read.resource_version,
                "ownerReferences": [{"uid": owner_uid, "$patch": "delete"}],
            },
        });
        self.api.patch_metadata(name, &PatchParams::default(), &Patch::Strategic(&patch)).await?;
        Ok(())
    }
}

/// Whether a Secret can have this name: a DNS subdomain (RFC 1123) of at most 253 characters.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// That the object is still the version that was read.
pub(super) fn preconditions(read: &SecretVersion) -> Preconditions {
    Preconditions {
        uid: Some(read.uid.clone()),
        resource_version: Some(read.resource_version.clone()),
    }
}

/// Without `controller` and `blockOwnerDeletion`: the Secret is collected with its owner and
/// delays nothing, and no right on the finalizers of the owner is needed.
pub(super) fn reference(owner: &Owner, api_version: &str) -> OwnerReference {
    OwnerReference {
        api_version: api_version.to_owned(),
        kind: owner.kind.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
        controller: None,
        block_owner_deletion: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_secrets_become_a_part_of_an_address() {
        let longest = "a".repeat(253);
        for name in ["a", "shop-credentials", "shop.example", "0", &longest] {
            assert!(is_name(name), "{name}");
        }
        let too_long = "a".repeat(254);
        for name in [
            "",
            ".",
            "..",
            "a.",
            ".a",
            "-a",
            "a-",
            "A",
            "my secret",
            "a/b",
            "a?watch=1",
            "a%2fb",
            "norm#",
            "é",
            &too_long,
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
