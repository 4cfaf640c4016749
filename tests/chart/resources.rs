//! A namespace of people who have clients.

use std::collections::BTreeMap;

use hydra_operator::api::{JsonWebKeySet, OAuth2Client};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{ControlPlane, eventually};

/// A namespace and its resources.
pub struct Tenant {
    pub namespace: String,
    pub resources: Api<OAuth2Client>,
    client: Client,
}

impl Tenant {
    /// In a new namespace.
    pub async fn new(cp: &ControlPlane, prefix: &str) -> Self {
        let (namespace, client) = (cp.namespace(prefix).await, cp.client().await);
        Self { resources: Api::namespaced(client.clone(), &namespace), namespace, client }
    }

    /// Declares a machine client.
    pub async fn create(&self, name: &str) {
        let resource = serde_json::from_value(json!({
            "apiVersion": "hydra.ory.sh/v1alpha1",
            "kind": "OAuth2Client",
            "metadata": { "name": name },
            "spec": {
                "grantTypes": ["client_credentials"],
                "scopeArray": ["orders.read"],
                "secretName": name,
            },
        }))
        .unwrap();
        self.resources.create(&PostParams::default(), &resource).await.unwrap();
    }

    /// Waits until it is ready for its present generation, and returns the content of its Secret.
    pub async fn ready(&self, name: &str) -> BTreeMap<String, String> {
        eventually(&format!("{name} in {} is ready", self.namespace), async || {
            let resource = self.resources.get(name).await.map_err(|error| error.to_string())?;
            let status = resource.status.clone().unwrap_or_default();
            let is_current = status.observed_generation == resource.metadata.generation;
            let status = json!(status);
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let is_ready = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            if is_ready && is_current { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let data = secrets.get(name).await.unwrap().data.unwrap();
        data.into_iter().map(|(key, value)| (key, String::from_utf8(value.0).unwrap())).collect()
    }

    /// Waits until it is told that the operator may not use the Secrets of the namespace.
    pub async fn is_refused(&self, name: &str) {
        eventually(&format!("{name} in {} is refused", self.namespace), async || {
            let resource = self.resources.get(name).await.map_err(|error| error.to_string())?;
            let status = json!(resource.status);
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let told = conditions.iter().any(|condition| {
                let message = condition["message"].as_str().unwrap_or_default();
                condition["type"] == "Stalled"
                    && condition["reason"] == "SecretsNotAllowed"
                    && ["--secret-namespaces", "rbac.secretNamespaces", &self.namespace]
                        .iter()
                        .all(|word| message.contains(word))
            });
            if told { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    /// Lets its client and its Secret outlive the resource.
    pub async fn orphan(&self, name: &str) {
        let patch = Patch::Merge(json!({ "spec": { "deletionPolicy": "orphan" } }));
        self.resources.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The Secrets of the namespace.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Declares a set of keys.
    pub async fn create_set(&self, name: &str, outputs: Value) {
        let set = json!({
            "metadata": { "name": name },
            "spec": { "algorithm": "ES256", "outputs": outputs },
        });
        let set = serde_json::from_value(set).unwrap();
        self.sets().create(&PostParams::default(), &set).await.unwrap();
    }

    /// Waits until the condition `Ready` of a set has this reason.
    pub async fn set_is(&self, name: &str, reason: &str) {
        eventually(&format!("{name} in {} is {reason}", self.namespace), async || {
            let set = self.sets().get(name).await.map_err(|error| error.to_string())?;
            let status = json!(set.status);
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let is = conditions.iter().any(|c| c["type"] == "Ready" && c["reason"] == reason);
            if is { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    fn sets(&self) -> Api<JsonWebKeySet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Whether nobody has written anything about it.
    pub async fn is_untouched(&self, name: &str) -> bool {
        let resource = self.resources.get(name).await.unwrap();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let observed = resource.status.as_ref().and_then(|status| status.observed_generation);
        resource.finalizers().is_empty()
            && observed.is_none_or(|generation| generation < 0)
            && secrets.get_opt(name).await.unwrap().is_none()
    }
}
