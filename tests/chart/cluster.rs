//! A cluster of one's own to install into, with Helm.

use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use crate::{
    documented::documented,
    helm::Helm,
    pod::Pod,
    support::{ControlPlane, Generation, Hydra, crds, eventually},
};

pub const RELEASE: &str = "hydra-operator";
pub const NAMESPACE: &str = "hydra-operator-system";
pub const DEFINITIONS: [&str; 2] = ["oauth2clients.hydra.ory.sh", "jsonwebkeysets.hydra.ory.sh"];

/// A cluster without definitions, a Hydra, and Helm.
pub struct Cluster {
    pub cp: ControlPlane,
    pub hydra: Hydra,
    pub helm: Helm,
    client: Client,
}

impl Cluster {
    pub async fn new() -> Self {
        let (cp, hydra) = (ControlPlane::start().await, Hydra::start(Generation::V2).await);
        let client = cp.client().await;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for name in DEFINITIONS {
            definitions.delete(name, &DeleteParams::default()).await.unwrap();
        }
        let helm = Helm::on(cp.admin_kubeconfig());
        let cluster = Self { cp, hydra, helm, client };
        eventually("the definitions are gone", async || cluster.definitions().await.is_empty())
            .await;
        cluster
    }

    /// The words of a documented command for this cluster.
    pub fn command(&self, name: &str) -> Vec<String> {
        let mut commands = documented(name, self.hydra.admin_url());
        assert_eq!(commands.len(), 1, "{commands:?}");
        commands.remove(0)
    }

    /// Runs the documented commands with this name.
    pub fn run(&self, name: &str) {
        for command in documented(name, self.hydra.admin_url()) {
            self.run_words(&command);
        }
    }

    /// Runs one command that begins with `helm` or `kubectl`.
    pub fn run_words(&self, words: &[String]) {
        let (program, args) = words.split_first().unwrap();
        if program == "helm" {
            self.helm.run(args);
        } else {
            self.cp.kubectl(&args.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// What a cluster does after an installation: the definitions are served, and the `ConfigMap` of each namespace is
    /// published, whose controller does not run here.
    pub async fn settle(&self) {
        for name in DEFINITIONS {
            self.cp.kubectl(&["wait", "--for=condition=Established", &format!("crd/{name}")]);
        }
        self.publish_authority().await;
    }

    /// The `ConfigMap` in the namespace of the operator that a controller publishes.
    pub async fn publish_authority(&self) {
        let authority = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": "kube-root-ca.crt", "namespace": NAMESPACE },
            "data": { "ca.crt": self.cp.ca_certificate() },
        });
        crds::apply(&self.client, authority).await;
    }

    pub async fn deployment(&self) -> Option<Deployment> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        api.get_opt(RELEASE).await.unwrap()
    }

    /// Runs a pod of the Deployment that is there.
    pub async fn pod(&self) -> Pod {
        let deployment = self.deployment().await.expect("the Deployment is there");
        Pod::start(&self.cp, &json!(deployment)).await
    }

    /// The definitions that are there, also those that are being deleted.
    pub async fn definitions(&self) -> Vec<CustomResourceDefinition> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let all = api.list(&ListParams::default()).await.unwrap();
        all.into_iter().filter(|found| DEFINITIONS.contains(&&*found.name_any())).collect()
    }

    /// Whether all definitions are there and stay.
    pub async fn keeps_definitions(&self) -> bool {
        let found = self.definitions().await;
        let stays = |found: &CustomResourceDefinition| found.metadata.deletion_timestamp.is_none();
        found.len() == DEFINITIONS.len() && found.iter().all(stays)
    }

    /// Whether the definition of `OAuth2Client` in the cluster has a field.
    pub async fn knows(&self, field: &str) -> bool {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let definition = json!(api.get(DEFINITIONS[0]).await.unwrap());
        let version = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        !version["properties"]["spec"]["properties"][field].is_null()
    }

    /// Creates a namespace with exactly this name.
    pub async fn create_namespace(&self, name: &str) {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        let api = Api::all(self.client.clone());
        api.create(&PostParams::default(), &namespace).await.unwrap();
    }

    /// Deletes a namespace and waits until it is gone.
    pub async fn delete_namespace(&self, name: &str) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.delete(name, &DeleteParams::default()).await.unwrap();
        eventually(&format!("the namespace {name} is gone"), async || {
            match api.get_opt(name).await.unwrap() {
                None => Ok(()),
                Some(namespace) => Err(format!("{:?}", namespace.status)),
            }
        })
        .await;
    }
}
