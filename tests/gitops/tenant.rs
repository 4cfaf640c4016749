//! A namespace, seen as a tool sees it that knows no kind: objects are JSON.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::{
    argocd::health,
    support::{ControlPlane, eventually},
};

/// The field manager under which Argo CD applies.
pub const ARGOCD: &str = "argocd-controller";

/// The kinds of the operator.
pub const KINDS: [&str; 2] = ["JsonWebKeySet", "OAuth2Client"];

/// A namespace on the shared control plane.
pub struct Tenant {
    pub cp: &'static ControlPlane,
    pub namespace: String,
    client: Client,
}

impl Tenant {
    /// A new one.
    pub async fn new(prefix: &str) -> Self {
        let cp = ControlPlane::shared().await;
        Self { cp, namespace: cp.namespace(prefix).await, client: cp.client().await }
    }

    /// The objects of a kind, as `OAuth2Client`.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("hydra.ory.sh", "v1alpha1", kind);
        Api::namespaced_with(
            self.client.clone(),
            &self.namespace,
            &ApiResource::from_gvk_with_plural(&kind, &format!("{}s", kind.kind.to_lowercase())),
        )
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A server-side apply, as Argo CD does it: without force it fails where somebody else owns a field.
    pub async fn apply(&self, manifest: &Value) -> Value {
        self.patch(manifest, &PatchParams::apply(ARGOCD)).await
    }

    /// What an apply would make of the live object, which Argo CD compares it with.
    pub async fn predict(&self, manifest: &Value) -> Value {
        self.patch(manifest, &PatchParams::apply(ARGOCD).dry_run()).await
    }

    async fn patch(&self, manifest: &Value, params: &PatchParams) -> Value {
        let mut manifest = manifest.clone();
        manifest["metadata"]["namespace"] = json!(self.namespace);
        let object: DynamicObject = serde_json::from_value(manifest).unwrap();
        let kind = object.types.as_ref().unwrap().kind.clone();
        let patch = Patch::Apply(&object);
        json!(self.api(&kind).patch(&object.name_any(), params, &patch).await.unwrap())
    }

    pub async fn merge(&self, kind: &str, name: &str, patch: &Value) -> Value {
        let params = PatchParams::default();
        json!(self.api(kind).patch(name, &params, &Patch::Merge(patch)).await.unwrap())
    }

    pub async fn get(&self, kind: &str, name: &str) -> Value {
        json!(self.api(kind).get(name).await.unwrap())
    }

    /// All resources of both kinds.
    pub async fn all(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for kind in KINDS {
            let listed = self.api(kind).list(&ListParams::default()).await.unwrap();
            all.extend(listed.items.into_iter().map(|object| {
                // Items of a list do not say what they are.
                let mut object = json!(object);
                object["apiVersion"] = json!("hydra.ory.sh/v1alpha1");
                object["kind"] = json!(kind);
                object
            }));
        }
        all
    }

    pub async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the object shows a condition, such as `Ready=True Synced`, of its present generation.
    pub async fn shows(&self, kind: &str, name: &str, expected: &str) -> Value {
        eventually(&format!("{kind} {name} shows {expected}"), async || {
            let object = self.get(kind, name).await;
            if shown(&object).iter().any(|shown| shown == expected) {
                Ok(object)
            } else {
                Err(object)
            }
        })
        .await
    }

    /// Waits as Argo CD does, until all are Healthy. One that is Degraded would end the sync.
    pub async fn healthy(&self) {
        eventually("all are Healthy", async || {
            let all = self.all().await.into_iter().map(|object| (health(&object), object));
            let late: Vec<_> = all.filter(|(health, _)| health.status != "Healthy").collect();
            assert!(late.iter().all(|(health, _)| health.status != "Degraded"), "{late:?}");
            if late.is_empty() { Ok(()) } else { Err(late) }
        })
        .await;
    }

    /// A value of a Secret.
    pub async fn secret(&self, name: &str, key: &str) -> Option<String> {
        let secret = self.secrets().get_opt(name).await.unwrap()?;
        Some(String::from_utf8(secret.data?.get(key)?.0.clone()).unwrap())
    }

    /// Runs kubectl in the namespace; panics if it fails.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.cp.kubectl(&[args, &["--namespace", &self.namespace]].concat())
    }
}

/// The conditions of the present generation, as `Type=Status Reason`.
fn shown(object: &Value) -> Vec<String> {
    let status = &object["status"];
    if status["observedGeneration"] != object["metadata"]["generation"] {
        return Vec::new();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions
        .map(|c| format!("{}={} {}", text(&c["type"]), text(&c["status"]), text(&c["reason"])))
        .collect()
}

/// The message of `Ready`.
pub fn ready_message(object: &Value) -> Option<&str> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")?["message"].as_str()
}
