//! Reading and writing the Secrets that hold credentials.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    ApiError, Owner, SecretState,
    ownership::{SecretKeys, SecretVersion, classify},
};

/// Field manager of the credentials in a Secret: one manager for the one place that writes them.
const FIELD_MANAGER: &str = "hydra-operator/credentials";

/// The data of a Secret: client id, where it is known, and client secret, where there is one.
#[derive(Clone, Copy)]
pub struct SecretData<'a> {
    /// Value of the client id key.
    pub id: Option<&'a str>,
    /// Value of the client secret key.
    pub secret: Option<&'a str>,
}

/// The Secrets of one namespace.
#[derive(Clone)]
pub struct Secrets {
    api: Api<Secret>,
    keys: SecretKeys,
    labels: BTreeMap<String, String>,
}

impl Secrets {
    /// The Secrets of `namespace`; new ones get `labels`.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        keys: SecretKeys,
        labels: BTreeMap<String, String>,
    ) -> Self {
        Self { api: Api::namespaced(client, namespace), keys, labels }
    }

    /// Reads the Secret `name` and decides whose it is. `needs_secret`: see [`classify`].
    ///
    /// A name that no Secret can have is not asked for: it is text of a tenant's, and would become
    /// a part of the address of the request.
    pub async fn observe(
        &self,
        name: &str,
        owner: &Owner,
        needs_secret: bool,
    ) -> Result<SecretState, ApiError> {
        if !is_name(name) {
            return Ok(SecretState::Absent);
        }
        let secret = self.api.get_opt(name).await?;
        Ok(classify(secret.as_ref(), owner, &self.keys, &self.labels, needs_secret))
    }

    /// Creates the Secret `name` with `data`, owned by `owner`.
    ///
    /// A POST and not an apply: an apply would take over a Secret that somebody else made in
    /// between. Fails with a conflict when the Secret exists.
    pub async fn create(
        &self,
        name: &str,
        owner: &Owner,
        api_version: &str,
        data: &SecretData<'_>,
    ) -> Result<SecretVersion, ApiError> {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(self.labels.clone()),
                owner_references: Some(vec![reference(owner, api_version)]),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            data: Some(self.encode(data)),
            ..Secret::default()
        };
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = self.api.create(&params, &secret).await?;
        Ok(SecretVersion::of(&created.metadata))
    }

    /// Writes `data` into the Secret `name`, provided that it is still the version that was read.
    ///
    /// Server-side apply of the two keys and our labels alone, forced: whoever edited them meant the operator to
    /// see it, and the operator has decided. Other keys are left as they are. Fails with a conflict
    /// when the Secret changed or was replaced meanwhile.
    pub async fn apply(
        &self,
        name: &str,
        read: &SecretVersion,
        data: &SecretData<'_>,
    ) -> Result<SecretVersion, ApiError> {
        let patch = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "uid": read.uid,
                "resourceVersion": read.resource_version,
                "labels": self.labels,
            },
            "data": self.encode(data),
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self.api.patch(name, &params, &Patch::Apply(&patch)).await?;
        Ok(SecretVersion::of(&applied.metadata))
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

    fn encode(&self, data: &SecretData<'_>) -> BTreeMap<String, ByteString> {
        let keys = [(&self.keys.id, data.id), (&self.keys.secret, data.secret)];
        keys.into_iter()
            .filter_map(|(key, value)| Some((key.clone(), ByteString(value?.as_bytes().to_vec()))))
            .collect()
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

/// Without `controller` and `blockOwnerDeletion`: the Secret is collected with its owner and
/// delays nothing, and no right on the finalizers of the owner is needed.
fn reference(owner: &Owner, api_version: &str) -> OwnerReference {
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
