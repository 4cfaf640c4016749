//! Fixtures of the tests of the pure modules: minimal resources, read as the API server sends them.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde_json::{Value, json};

use super::{
    credentials::Fresh,
    secret_shape::{SecretShape, shape},
};
use crate::{
    api::OAuth2Client,
    hydra::{ClientId, ClientSecret},
    kubernetes::{KeyPair, SecretVersion, StoredCredentials, secret_content::Held},
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
    stored_with(Some(id), Some("stored-secret"))
}

/// The same with these values.
pub fn stored_with(id: Option<&str>, value: Option<&str>) -> StoredCredentials {
    let data = [("CLIENT_ID", id), ("CLIENT_SECRET", value)];
    let encoded = |text: &str| ByteString(text.as_bytes().to_vec());
    let data = data.into_iter().filter_map(|(key, text)| Some((key.into(), encoded(text?))));
    let secret = Secret { data: Some(data.collect()), ..Secret::default() };
    StoredCredentials {
        version: version("1"),
        id: id.map(Into::into),
        secret: value.map(Into::into),
        not_text: Vec::new(),
        created_here: true,
        keys: keys(),
        held: Held::of(&secret, &BTreeMap::new()),
    }
}

/// The keys of the operator.
pub fn keys() -> KeyPair {
    KeyPair::new("CLIENT_ID", "CLIENT_SECRET")
}

/// What `spec` asks of its Secret.
pub fn shape_of(spec: &Value) -> SecretShape {
    shape(&resource(spec).spec, &keys(), None).unwrap()
}

/// An identity that is never random.
pub fn fresh() -> Fresh {
    Fresh {
        id: ClientId::parse("fresh-id").unwrap(),
        secret: ClientSecret::parse("fresh-secret").unwrap(),
    }
}
