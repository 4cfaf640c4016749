//! The operator's `ServiceAccount` with exactly the rights of `deploy/rbac/`.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1,
};
use kube::{Api, Client, api::PostParams};
use serde_json::Value;

use super::{
    control_plane::{ControlPlane, unique},
    crds,
    folder::Folder,
    kubeconfig::{User, client, kubeconfig},
};

/// Names in `deploy/rbac/` that the harness replaces, so that several operators can share a control plane.
const NAME: &str = "hydra-operator";
const NAMESPACE: &str = "hydra-operator-system";
const WATCHED_NAMESPACE: &str = "watched-namespace";

/// A `ServiceAccount` for one operator, and a kubeconfig that carries a token of it.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    /// Its name.
    pub name: String,
    /// Its namespace, which has nothing else in it.
    pub namespace: String,
    kubeconfig: String,
    token: String,
}

/// Rights in all namespaces: `deploy/rbac/cluster.yaml`.
pub async fn cluster_wide(cp: &ControlPlane) -> ServiceAccount {
    install(cp, "deploy/rbac/cluster.yaml", &[WATCHED_NAMESPACE]).await
}

/// Rights to read, in all namespaces: `deploy/rbac/observe.yaml`.
pub async fn observing(cp: &ControlPlane) -> ServiceAccount {
    install(cp, "deploy/rbac/observe.yaml", &[WATCHED_NAMESPACE]).await
}

/// Rights in the given namespaces alone: `deploy/rbac/namespaced.yaml`, once for each.
pub async fn namespaced<N: AsRef<str>>(cp: &ControlPlane, namespaces: &[N]) -> ServiceAccount {
    let namespaces: Vec<_> = namespaces.iter().map(AsRef::as_ref).collect();
    install(cp, "deploy/rbac/namespaced.yaml", &namespaces).await
}

/// Lets `account` hold the Lease of its own name in its own namespace: `deploy/rbac/leader-election.yaml`.
pub async fn may_elect(cp: &ControlPlane, account: &ServiceAccount) {
    let client = cp.client().await;
    for mut document in crds::read_manifest("deploy/rbac/leader-election.yaml") {
        replace(&mut document, &[(NAME, &account.name), (NAMESPACE, &account.namespace)]);
        crds::apply(&client, document).await;
    }
}

async fn install(cp: &ControlPlane, manifest: &str, watched: &[&str]) -> ServiceAccount {
    let client = cp.client().await;
    let (name, namespace) = (unique(NAME), unique(NAMESPACE));
    for watched in watched {
        for mut document in crds::read_manifest(manifest) {
            let names = [(NAME, &*name), (NAMESPACE, &*namespace), (WATCHED_NAMESPACE, *watched)];
            replace(&mut document, &names);
            crds::apply(&client, document).await;
        }
    }
    let token = token(&client, &name, &namespace).await;
    ServiceAccount { name, namespace, kubeconfig: cp.kubeconfig_for_token(&token), token }
}

/// Replaces strings that are equal to a name as a whole.
fn replace(value: &mut Value, names: &[(&str, &str)]) {
    match value {
        Value::String(text) => {
            if let Some((_, new)) = names.iter().find(|(old, _)| old == text) {
                (*new).clone_into(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, names)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A token of the `ServiceAccount` by the `TokenRequest` API, as a kubelet would mount it.
async fn token(client: &Client, name: &str, namespace: &str) -> String {
    let api: Api<v1::ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: Some(4 * 3600), ..Default::default() }),
        ..Default::default()
    };
    let token = api.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    token.status.unwrap().token.unwrap()
}

impl ServiceAccount {
    /// The same, with another token, as each Pod has one.
    pub async fn in_another_pod(&self, cp: &ControlPlane) -> Self {
        let token = token(&cp.client().await, &self.name, &self.namespace).await;
        Self { kubeconfig: cp.kubeconfig_for_token(&token), token, ..self.clone() }
    }

    /// What tells its token from others in an audit log.
    pub fn token_id(&self) -> String {
        let claims = self.token.split('.').nth(1).unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        format!("JTI={}", claims["jti"].as_str().unwrap())
    }

    /// A client that may do what the operator may do.
    pub async fn client(&self) -> Client {
        client(&self.kubeconfig).await
    }

    /// Writes its kubeconfig into a folder and returns the path.
    pub fn write_kubeconfig(&self, folder: &Folder) -> std::path::PathBuf {
        folder.write("operator.kubeconfig", &self.kubeconfig)
    }

    /// As [`Self::write_kubeconfig`], for an API server behind a proxy at `url` whose certificate
    /// is checked with `ca_certificate`.
    pub fn write_kubeconfig_for(
        &self,
        folder: &Folder,
        url: &str,
        ca_certificate: &str,
    ) -> std::path::PathBuf {
        let text = kubeconfig(url, ca_certificate, &User::Token(&self.token));
        folder.write("operator.kubeconfig", text)
    }
}
