//! Fixtures of the tests of the pure modules: minimal resources, read as the API server sends them.

use serde_json::{Value, json};

use super::credentials::Fresh;
use crate::{
    api::OAuth2Client,
    hydra::{ClientId, ClientSecret},
    kubernetes::{SecretVersion, StoredCredentials},
};

/// The resource `shop` of namespace `team-a` with `spec`.
pub fn resource(spec: &Value) -> OAuth2Client {
    with_status(spec, &json!({ "observedGeneration": -1 }))
}

/// The same with a status.
pub fn with_status(spec: &Value, status: &Value) -> OAuth2Client {
    serde_json::from_value(json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "OAuth2Client",
        "metadata": { "name": "shop", "namespace": "team-a", "uid": "uid-1", "generation": 2 },
        "spec": spec,
        "status": status,
    }))
    .unwrap()
}

/// A version of the Secret.
pub fn version(resource_version: &str) -> SecretVersion {
    SecretVersion { uid: "u".into(), resource_version: resource_version.into() }
}

/// A complete Secret of version 1, made by the operator.
pub fn stored(id: &str) -> StoredCredentials {
    StoredCredentials {
        version: version("1"),
        id: Some(id.into()),
        secret: Some("stored-secret".into()),
        created_here: true,
    }
}

/// An identity that is never random.
pub fn fresh() -> Fresh {
    Fresh {
        id: ClientId::parse("fresh-id").unwrap(),
        secret: ClientSecret::parse("fresh-secret").unwrap(),
    }
}
