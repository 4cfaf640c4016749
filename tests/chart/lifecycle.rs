//! Helm installs, upgrades, rolls back and uninstalls the chart on a real API server, with resources there all the time.
//! No pods run on it: after each step, the operator is run as the Deployment that is there says.

use std::{fs, path::Path};

use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::ConfigMap, core::v1::Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    helm::{CHART, Helm},
    pod::Pod,
    resources::Tenant,
    support::{ControlPlane, Generation, Hydra, eventually, folder::Folder},
};

const RELEASE: &str = "hydra-operator";
const NAMESPACE: &str = "hydra-operator-system";
const DEFINITIONS: [&str; 2] = ["oauth2clients.hydra.ory.sh", "jsonwebkeysets.hydra.ory.sh"];

/// A cluster of one's own without definitions, a Hydra, Helm, and a namespace with clients.
struct Cluster {
    cp: ControlPlane,
    client: Client,
    hydra: Hydra,
    helm: Helm,
}

#[tokio::test]
async fn installed_upgraded_rolled_back_and_uninstalled_with_resources_left() {
    let cluster = Cluster::new().await;
    let former = former_chart();
    cluster.install(&former.path().display().to_string(), &[]).await;
    let tenant = Tenant::new(&cluster.cp, "team").await;
    let pod = cluster.pod().await;
    tenant.create("first").await;
    let first = tenant.ready("first").await;
    assert!(!cluster.knows("jwksFrom").await, "the former definition");
    pod.delete().await;

    cluster.helm(&["upgrade", RELEASE, CHART, "--reset-then-reuse-values", "--wait=false"]);
    assert!(cluster.knows("jwksFrom").await, "definitions are upgraded with the chart");
    let pod = cluster.pod().await;
    tenant.create("second").await;
    let second = tenant.ready("second").await;
    assert_eq!(tenant.ready("first").await, first, "credentials stay");
    pod.delete().await;

    cluster.helm(&["rollback", RELEASE, "1", "--wait=false"]);
    let pod = cluster.pod().await;
    assert_eq!(tenant.ready("first").await, first);
    tenant.create("third").await;
    let third = tenant.ready("third").await;
    pod.delete().await;

    cluster.helm(&["uninstall", RELEASE, "--wait=false"]);
    assert!(cluster.deployment().await.is_none());
    assert_eq!(cluster.definitions().await, DEFINITIONS.len(), "definitions are kept");
    assert_eq!(tenant.resources.list(&Default::default()).await.unwrap().items.len(), 3);
    cluster.delete_namespace(NAMESPACE).await;

    // The documented way out once no operator is left: the resources are let go, and Hydra keeps its clients.
    let patch = r#"--patch={"metadata":{"finalizers":null}}"#;
    for name in ["first", "second", "third"] {
        let namespace = format!("--namespace={}", tenant.namespace);
        cluster.cp.kubectl(&["patch", "oauth2client", name, &namespace, "--type=merge", patch]);
    }
    cluster.delete_namespace(&tenant.namespace).await;
    for secret in [first, second, third] {
        assert!(cluster.hydra.get_client(&secret["CLIENT_ID"]).await.is_some());
    }
}

#[tokio::test]
async fn uninstalled_in_the_documented_order_nothing_is_left() {
    let cluster = Cluster::new().await;
    cluster.install(CHART, &["--set=crds.keep=false"]).await;
    let tenant = Tenant::new(&cluster.cp, "team").await;
    let pod = cluster.pod().await;
    tenant.create("shop").await;
    let secret = tenant.ready("shop").await;

    let resources = "oauth2clients,jsonwebkeysets";
    cluster.cp.kubectl(&["delete", resources, "--all", "--all-namespaces"]);
    assert!(cluster.hydra.get_client(&secret["CLIENT_ID"]).await.is_none());
    cluster.helm(&["uninstall", RELEASE, "--wait=false"]);
    pod.delete().await;
    eventually("the definitions are gone", async || {
        let left = cluster.definitions().await;
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    cluster.delete_namespace(&tenant.namespace).await;
    cluster.delete_namespace(NAMESPACE).await;
    for kind in ["clusterroles", "clusterrolebindings"] {
        let left = cluster.cp.kubectl(&["get", kind, "--output=name"]);
        assert!(!left.contains("hydra-operator"), "{left}");
    }
}

/// As where hydra-maester was: its chart installed the definition outside of any release.
#[tokio::test]
async fn definitions_of_somebody_else_are_taken_over_or_left() {
    let cluster = Cluster::new().await;
    cluster.cp.install_crds().await;
    let args = cluster.install_args(CHART, &[]);
    let refused = cluster.helm.refusal(&args);
    assert!(refused.contains("cannot be imported into the current release"), "{refused}");
    let mut left = args.clone();
    left.push("--set=crds.enabled=false".to_owned());
    cluster.helm.run(&left);
    cluster.helm(&["uninstall", RELEASE, "--wait=false"]);
    assert_eq!(cluster.definitions().await, DEFINITIONS.len());
    let mut taken = args.clone();
    taken.extend(["--take-ownership".to_owned(), "--force-conflicts".to_owned()]);
    cluster.helm.run(&taken);
    cluster.pod().await.delete().await;
}

impl Cluster {
    async fn new() -> Self {
        let (cp, hydra) = (ControlPlane::start().await, Hydra::start(Generation::V2).await);
        let client = cp.client().await;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for name in DEFINITIONS {
            definitions.delete(name, &DeleteParams::default()).await.unwrap();
        }
        let helm = Helm::on(cp.admin_kubeconfig());
        let cluster = Self { cp, client, hydra, helm };
        eventually("the definitions are gone", async || cluster.definitions().await == 0).await;
        cluster
    }

    fn install_args(&self, chart: &str, options: &[&str]) -> Vec<String> {
        let url = format!("--set=hydra.adminUrl={}", self.hydra.admin_url());
        let namespace = format!("--namespace={NAMESPACE}");
        let args = ["install", RELEASE, chart, &namespace, "--create-namespace", &url];
        let all = args.iter().chain(options).chain(&["--wait=false"]);
        all.map(|arg| (*arg).to_owned()).collect()
    }

    async fn install(&self, chart: &str, options: &[&str]) {
        self.helm.run(&self.install_args(chart, options));
        for name in DEFINITIONS {
            self.cp.kubectl(&["wait", "--for=condition=Established", &format!("crd/{name}")]);
        }
        let mut authority = ConfigMap::default();
        authority.metadata.name = Some("kube-root-ca.crt".to_owned());
        let content = ("ca.crt".to_owned(), self.cp.ca_certificate().to_owned());
        authority.data = Some([content].into());
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), NAMESPACE);
        api.create(&PostParams::default(), &authority).await.unwrap();
    }

    fn helm(&self, args: &[&str]) {
        let namespace = format!("--namespace={NAMESPACE}");
        let args: Vec<_> = args.iter().copied().chain([&*namespace]).collect();
        self.helm.run(&args);
    }

    async fn deployment(&self) -> Option<Deployment> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        api.get_opt(RELEASE).await.unwrap()
    }

    async fn pod(&self) -> Pod {
        let deployment = self.deployment().await.expect("the Deployment is there");
        Pod::start(&self.cp, &json!(deployment)).await
    }

    async fn definitions(&self) -> usize {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let all = api.list(&Default::default()).await.unwrap();
        all.iter().filter(|definition| DEFINITIONS.contains(&&*definition.name_any())).count()
    }

    /// Whether the definition of `OAuth2Client` in the cluster has a field.
    async fn knows(&self, field: &str) -> bool {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let definition = json!(api.get(DEFINITIONS[0]).await.unwrap());
        let version = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        !version["properties"]["spec"]["properties"][field].is_null()
    }

    async fn delete_namespace(&self, name: &str) {
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

/// A chart of an older version: other numbers, fewer arguments of the pod, and a definition without a field that came
/// later.
fn former_chart() -> Folder {
    let folder = Folder::new("former-chart");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(CHART), folder.path());
    let edit = |file: &str, change: &dyn Fn(String) -> String| {
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        let changed = change(text.clone());
        assert!(changed != text, "{file} is as before");
        folder.write(file, changed);
    };
    edit("Chart.yaml", &|text| text.replace("ersion: 0.1.0", "ersion: 0.0.1"));
    edit("values.yaml", &|text| text.replace("resyncInterval: 5m", "resyncInterval: 6m"));
    edit("files/crds.yaml", &without_a_field);
    folder
}

fn without_a_field(definitions: String) -> String {
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(&definitions).unwrap();
    let version = &mut documents[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = &mut version["properties"]["spec"];
    spec["properties"].as_object_mut().unwrap().remove("jwksFrom").unwrap();
    // Rules may name the field.
    spec.as_object_mut().unwrap().remove("x-kubernetes-validations");
    documents.iter().map(|document| format!("---\n{document}\n")).collect()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
