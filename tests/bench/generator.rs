//! Makes new clients: only the resource, for a controller to do the rest, or all writes.

use std::{sync::Arc, time::Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hydra_operator::api::{FINALIZER, OAuth2Client};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    support::rbac::{self, ServiceAccount},
    world::World,
};

/// The Secret of the client `a` is `a<suffix>`.
pub const SECRET_SUFFIX: &str = "-credentials";

/// How much a generator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It creates the resource.
    Creation,
    /// It also makes the four writes that follow from it.
    AllWrites,
}

/// Makes new clients in one namespace.
pub struct Generator {
    resources: Api<OAuth2Client>,
    namespace: String,
    writer: Option<Writer>,
}

impl Generator {
    /// For a namespace.
    pub async fn new(world: &World, namespace: &str, work: Work) -> Arc<Self> {
        let writer = match work {
            Work::Creation => None,
            Work::AllWrites => Some(Writer::new(world, namespace).await),
        };
        let resources = Api::namespaced(world.admin.clone(), namespace);
        Arc::new(Self { resources, namespace: namespace.to_owned(), writer })
    }

    /// Makes the client `name`. Returns when its resource was created.
    pub async fn make(self: Arc<Self>, name: String) -> (String, Instant) {
        let resource = resource(&name);
        let created = self.resources.create(&PostParams::default(), &resource).await.unwrap();
        let at = Instant::now();
        if let Some(writer) = &self.writer {
            writer.write(&created, &self.namespace).await;
        }
        (name, at)
    }
}

/// A machine client.
fn resource(name: &str) -> OAuth2Client {
    let resource = json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "OAuth2Client",
        "metadata": { "name": name },
        "spec": {
            "grantTypes": ["client_credentials"],
            "scope": "read write",
            "secretName": format!("{name}{SECRET_SUFFIX}"),
        },
    });
    serde_json::from_value(resource).unwrap()
}

/// Makes the four writes of a new client, with the rights of the operator and as much in them as it writes.
struct Writer {
    resources: Api<OAuth2Client>,
    secrets: Api<Secret>,
    hydra: reqwest::Client,
    clients_url: String,
    _account: ServiceAccount,
}

impl Writer {
    async fn new(world: &World, namespace: &str) -> Self {
        let account = rbac::cluster_wide(&world.control_plane).await;
        let client = account.client().await;
        Self {
            resources: Api::namespaced(client.clone(), namespace),
            secrets: Api::namespaced(client, namespace),
            hydra: reqwest::Client::builder().no_proxy().build().unwrap(),
            clients_url: format!("{}/admin/clients", world.hydra.admin_url()),
            _account: account,
        }
    }

    async fn write(&self, resource: &OAuth2Client, namespace: &str) {
        let (name, params) = (resource.name_any(), PatchParams::default());
        let (id, secret) = (uuid::Uuid::new_v4().to_string(), random_secret());

        let finalizer = Patch::Merge(json!({ "metadata": { "finalizers": [FINALIZER] } }));
        self.resources.patch_metadata(&name, &params, &finalizer).await.unwrap();

        let stored = kubernetes_secret(resource, &id, &secret);
        let stored = self.secrets.create(&PostParams::default(), &stored).await.unwrap();

        let request = self.hydra.post(&self.clients_url).header("content-type", "application/json");
        let client = hydra_client(&format!("{name}/{namespace}"), &id, &secret);
        let answer = request.body(client.to_string()).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert_eq!(status, 201, "Hydra refuses {name}: {body}");

        let status = Patch::Merge(json!({ "status": status_of(resource, &id, &stored) }));
        self.resources.patch_status(&name, &params, &status).await.unwrap();
    }
}

fn random_secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn kubernetes_secret(resource: &OAuth2Client, id: &str, secret: &str) -> Secret {
    let name = resource.name_any();
    let secret = json!({
        "metadata": {
            "name": format!("{name}{SECRET_SUFFIX}"),
            "labels": { "app.kubernetes.io/managed-by": "hydra-operator" },
            "ownerReferences": [{
                "apiVersion": "hydra.ory.sh/v1alpha1",
                "kind": "OAuth2Client",
                "name": name,
                "uid": resource.uid().unwrap(),
            }],
        },
        "type": "Opaque",
        "stringData": { "CLIENT_ID": id, "CLIENT_SECRET": secret },
    });
    serde_json::from_value(secret).unwrap()
}

fn hydra_client(owner: &str, id: &str, secret: &str) -> Value {
    json!({
        "client_id": id,
        "client_secret": secret,
        "owner": owner,
        "grant_types": ["client_credentials"],
        "scope": "read write",
        "skip_consent": false,
        "skip_logout_consent": false,
    })
}

fn status_of(resource: &OAuth2Client, id: &str, secret: &Secret) -> Value {
    let generation = resource.metadata.generation;
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind,
            "status": status,
            "reason": "Synced",
            "message": "Hydra holds the client as declared, and the Secret its credentials",
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    json!({
        "observedGeneration": generation,
        "clientId": id,
        "secret": {
            "name": secret.name_any(),
            "uid": secret.uid(),
            "resourceVersion": secret.resource_version(),
        },
        "conditions": [
            condition("Ready", "True"),
            condition("Reconciling", "False"),
            condition("Stalled", "False"),
        ],
    })
}
