//! A model of hydra-maester at work, made from its source code: what it reads and writes, as its `ServiceAccount`, when it
//! looks at a resource.

use hydra_operator::api::{FINALIZER, OAuth2Client};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{Secret, ServiceAccount},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    support::{Hydra, kubeconfig},
    write_model::write_model,
};

const ACCOUNT: &str = "hydra-hydra-maester-account";
const KEYS: [&str; 2] = ["CLIENT_ID", "CLIENT_SECRET"];

/// What it did with a resource.
#[derive(Debug, PartialEq, Eq)]
pub enum Did {
    Nothing,
    Registered,
    Updated,
    Deleted,
}

/// hydra-maester, with the rights that its chart gives.
pub struct Maester<'a> {
    hydra: &'a Hydra,
    client: Client,
}

impl<'a> Maester<'a> {
    /// A pod of it, in the namespace `hydra` of `cluster`.
    pub async fn start(cluster: &'a Cluster) -> Self {
        let admin = cluster.cp.client().await;
        let accounts: Api<ServiceAccount> = Api::namespaced(admin, "hydra");
        let request = TokenRequest::default();
        let token = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await;
        let token = token.unwrap().status.unwrap().token.unwrap();
        let kubeconfig = cluster.cp.kubeconfig_for_token(&token);
        Self { hydra: &cluster.hydra, client: kubeconfig::client(&kubeconfig).await }
    }

    /// Looks at the resource, whose fields are those that the definition has.
    pub async fn look_at(&self, namespace: &str, name: &str) -> Did {
        let kind = ApiResource::erase::<OAuth2Client>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        let mut resource = api.get(name).await.unwrap();
        let owner = format!("{name}/{namespace}");
        if resource.meta().deletion_timestamp.is_some() {
            let is_orphan = resource.data["spec"]["deletionPolicy"] == "orphan";
            let ids = self.hydra.client_ids_of(&owner).await;
            for id in ids.iter().filter(|_| !is_orphan) {
                assert_eq!(self.hydra.delete_client(id).await.status, 204);
            }
            resource.finalizers_mut().clear();
            api.replace(name, &PostParams::default(), &resource).await.unwrap();
            return Did::Deleted;
        }
        if !resource.finalizers().contains(&FINALIZER.to_owned()) {
            resource.finalizers_mut().push(FINALIZER.to_owned());
            resource = api.replace(name, &PostParams::default(), &resource).await.unwrap();
        }
        let did = self.bring_about(namespace, &owner, &resource).await;
        if did != Did::Nothing {
            let status = json!({ "status": {
                "observedGeneration": resource.meta().generation,
                "conditions": [{ "type": "Ready", "status": "True" }],
                "reconciliationError": {},
            } });
            let patch = Patch::Merge(status);
            api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
        }
        did
    }

    async fn bring_about(&self, namespace: &str, owner: &str, resource: &DynamicObject) -> Did {
        let spec = &resource.data["spec"];
        let mut body = write_model(owner, spec);
        let name = spec["secretName"].as_str().unwrap();
        let Some(secret) = self.secret(namespace, name).await else {
            let created = self.hydra.post_client(&body).await;
            assert_eq!(created.status, 201, "{}", created.body);
            self.create_secret(namespace, name, resource, &created.body).await;
            return Did::Registered;
        };
        let [id, value] = KEYS.map(|key| text(&secret, key));
        let id = id.expect("the Secret has the id, under the key that it looks for");
        assert!(value.is_some() || spec["tokenEndpointAuthMethod"] == "none", "INVALID_SECRET");
        if let Some(value) = value {
            body["client_secret"] = value.into();
        }
        body["client_id"] = id.clone().into();
        let Some(client) = self.hydra.get_client(&id).await else {
            assert_eq!(self.hydra.post_client(&body).await.status, 201);
            return Did::Registered;
        };
        assert_eq!(client["owner"], owner, "INVALID_SECRET");
        if resource.data["status"]["observedGeneration"] == json!(resource.meta().generation) {
            return Did::Nothing;
        }
        let put = self.hydra.put_client(&id, &body).await;
        assert_eq!(put.status, 200, "{}", put.body);
        Did::Updated
    }

    /// It may not get one.
    async fn secret(&self, namespace: &str, name: &str) -> Option<Secret> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let all = api.list(&ListParams::default()).await.unwrap();
        all.into_iter().find(|secret| secret.name_any() == name)
    }

    async fn create_secret(
        &self,
        namespace: &str,
        name: &str,
        resource: &DynamicObject,
        client: &Value,
    ) {
        let mut data = json!({ KEYS[0]: client["client_id"] });
        if client["client_secret"].is_string() {
            data[KEYS[1]] = client["client_secret"].clone();
        }
        let secret = json!({
            "metadata": {
                "name": name,
                "ownerReferences": [{
                    "apiVersion": OAuth2Client::api_version(&()),
                    "kind": OAuth2Client::kind(&()),
                    "name": resource.name_any(),
                    "uid": resource.uid(),
                }],
            },
            "stringData": data,
        });
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = serde_json::from_value(secret).unwrap();
        api.create(&PostParams::default(), &secret).await.unwrap();
    }
}

/// A value of a Secret.
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    let value = secret.data.as_ref()?.get(key)?;
    Some(String::from_utf8(value.0.clone()).unwrap())
}
