//! Each variant of the chart on a real API server, in a namespace that enforces the Pod Security Standard `restricted`:
//! dry run, applied, its pod accepted, and the operator run as its pod says.

use std::io::Write;

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Namespace, Secret},
};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    helm::{CHART, Helm, objects, only},
    pod::{self, Pod},
    proxy::{Proxy, TlsProxy},
    resources::Tenant,
    support::{
        ControlPlane, Generation, Hydra, control_plane::unique, crds, eventually, pki::Authority,
    },
};

/// A rendered variant in its namespace.
struct Variant<'a> {
    name: &'a str,
    cp: &'a ControlPlane,
    client: Client,
    namespace: String,
    objects: Vec<Value>,
}

#[tokio::test]
async fn defaults() {
    let (cp, hydra) = &servers().await;
    let variant = Variant::render(cp, "default", hydra.admin_url(), &[]).await;
    variant.accepted().await;
    let pod = variant.run().await;
    let tenant = Tenant::new(cp, "team").await;
    tenant.create("shop").await;
    let secret = tenant.ready("shop").await;
    assert!(hydra.get_client(&secret["CLIENT_ID"]).await.is_some());
    pod.delete().await;
    variant.report("yes");
}

#[tokio::test]
async fn high_availability() {
    let (cp, hydra) = &servers().await;
    let variant = Variant::render(cp, "ha", hydra.admin_url(), &[]).await;
    variant.accepted().await;
    let deployment = only(&variant.objects, "Deployment");
    let spread = &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"];
    let labels = &deployment["spec"]["selector"]["matchLabels"];
    for constraint in spread.as_array().unwrap() {
        assert_eq!(&constraint["labelSelector"]["matchLabels"], labels);
    }
    let pod = variant.run().await;
    let tenant = Tenant::new(cp, "team").await;
    tenant.create("shop").await;
    tenant.ready("shop").await;
    pod.delete().await;
    variant.report("yes");
}

#[tokio::test]
async fn namespaced() {
    let (cp, hydra) = &servers().await;
    let tenants = [Tenant::new(cp, "team-a").await, Tenant::new(cp, "team-b").await];
    let names = format!("--set=namespaces={{{},{}}}", tenants[0].namespace, tenants[1].namespace);
    let variant = Variant::render(cp, "namespaced", hydra.admin_url(), &[&names]).await;
    for object in &variant.objects {
        assert!(object["metadata"]["namespace"].is_string(), "cluster-scoped: {object:#}");
    }
    variant.accepted().await;
    let pod = variant.run().await;
    for tenant in &tenants {
        tenant.create("shop").await;
        tenant.ready("shop").await;
    }
    pod.delete().await;
    variant.report("yes");
}

#[tokio::test]
async fn secrets_of_some_namespaces() {
    let (cp, hydra) = &servers().await;
    let (listed, other) = (Tenant::new(cp, "team-a").await, Tenant::new(cp, "team-b").await);
    let name = format!("--set=rbac.secretNamespaces={{{}}}", listed.namespace);
    let variant = Variant::render(cp, "secret-namespaces", hydra.admin_url(), &[&name]).await;
    for role in variant.objects.iter().filter(|object| object["kind"] == "ClusterRole") {
        assert!(!role["rules"].to_string().contains("secrets"), "{role:#}");
    }
    variant.accepted().await;
    let pod = variant.run().await;
    listed.create("shop").await;
    listed.ready("shop").await;
    other.create("shop").await;
    other.is_refused("shop").await;
    pod.delete().await;
    variant.report("yes, and told who may not");
}

#[tokio::test]
async fn observing() {
    let (cp, hydra) = &servers().await;
    let variant = Variant::render(cp, "observe", hydra.admin_url(), &[]).await;
    variant.accepted().await;
    let rules: Vec<_> =
        variant.objects.iter().filter(|object| object["rules"].is_array()).collect();
    for verbs in rules.iter().flat_map(|role| role["rules"].as_array().unwrap()) {
        let reads = ["get", "list", "watch"].map(Value::from);
        assert!(verbs["verbs"].as_array().unwrap().iter().all(|verb| reads.contains(verb)));
    }
    let tenant = Tenant::new(cp, "team").await;
    tenant.create("shop").await;
    let pod = variant.run().await;
    eventually("it tells about the resource", async || {
        let log = pod.log();
        let told =
            log.lines().any(|line| line.contains(&tenant.namespace) && line.contains("create"));
        told.then_some(()).ok_or(log)
    })
    .await;
    assert!(tenant.is_untouched("shop").await);
    pod.delete().await;
    variant.report("yes, told and wrote nothing");
}

/// TLS with a certificate of the operator's, then a proxy that wants a header, then Hydra.
#[tokio::test]
async fn everything() {
    let (cp, hydra) = &servers().await;
    let authority = Authority::new();
    let proxy = Proxy::wanting(hydra, Some("Bearer from-the-secret")).await;
    let admin = TlsProxy::before(proxy.url(), &authority).await;
    let public = TlsProxy::before(hydra.public_url(), &authority).await;
    let client = cp.client().await;
    crds::install(&client, crds::read_manifest("tests/chart/monitoring.yaml")).await;
    let handler = json!({
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": { "name": "gvisor" },
        "handler": "runsc",
    });
    crds::apply(&client, handler).await;

    let url = format!("--set=hydra.publicUrl={}", public.url());
    let variant = Variant::render(cp, "everything", admin.url(), &[&url]).await;
    variant.store_identity(&authority).await;
    variant.accepted().await;
    let pod = variant.run().await;
    let tenant = Tenant::new(cp, "team").await;
    tenant.create("shop").await;
    let secret = tenant.ready("shop").await;
    assert!(secret.contains_key("id") && secret.contains_key("secret"), "keys by secretKeys");
    assert!(proxy.seen().iter().any(|request| request.headers["x-forwarded-proto"] == "https"));
    pod.delete().await;
    variant.report("yes, by mutual TLS and a header from a Secret");
}

#[tokio::test]
async fn kustomize() {
    let (cp, hydra) = &servers().await;
    let rendered = cp.kubectl(&["kustomize", "deploy/overlay"]);
    let mut objects = objects(&rendered);
    let namespace = only(&objects, "Namespace")["metadata"]["name"].as_str().unwrap().to_owned();
    let deployment = objects.iter_mut().find(|object| object["kind"] == "Deployment").unwrap();
    let env = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let url = env.as_array_mut().unwrap().iter_mut();
    let url = url.into_iter().find(|variable| variable["name"] == "HYDRA_ADMIN_URL").unwrap();
    assert_eq!(url["value"], "http://hydra-admin.hydra:4445");
    url["value"] = hydra.admin_url().into();

    let client = cp.client().await;
    crds::apply(&client, only(&objects, "Namespace").clone()).await;
    let variant = Variant { name: "kustomize", cp, client, namespace, objects };
    variant.publish_authority().await;
    variant.accepted().await;
    let pod = variant.run().await;
    let tenant = Tenant::new(cp, "team").await;
    tenant.create("shop").await;
    tenant.ready("shop").await;
    pod.delete().await;
    variant.report("yes");
}

#[tokio::test]
async fn kustomize_of_monitoring() {
    let (cp, _) = &servers().await;
    let client = cp.client().await;
    crds::install(&client, crds::read_manifest("tests/chart/monitoring.yaml")).await;
    let mut base = objects(&cp.kubectl(&["kustomize", "deploy/base"]));
    let objects = objects(&cp.kubectl(&["kustomize", "deploy/monitoring"]));
    let namespace = only(&base, "Namespace").clone();
    crds::apply(&client, namespace.clone()).await;
    let place = namespace["metadata"]["name"].as_str().unwrap().to_owned();

    let dashboard = &only(&objects, "ConfigMap")["data"]["hydra-operator.json"];
    assert_eq!(dashboard, include_str!("../../charts/hydra-operator/files/dashboard.json"));
    let selected = &only(&objects, "PodMonitor")["spec"]["selector"]["matchLabels"];
    let deployment = base.iter_mut().find(|object| object["kind"] == "Deployment").unwrap();
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for (name, value) in selected.as_object().unwrap() {
        assert_eq!(&labels[name], value, "the PodMonitor looks for pods that are not there");
    }
    let variant = Variant { name: "kustomize monitoring", cp, client, namespace: place, objects };
    variant.applied().await;
}

/// A control plane of one's own: an operator for all namespaces would do the work of the others too.
async fn servers() -> (ControlPlane, &'static Hydra) {
    (ControlPlane::start().await, Hydra::shared(Generation::V2).await)
}

impl<'a> Variant<'a> {
    /// The values of `ci/<name>-values.yaml` for the Hydra at `url`, with further options of Helm.
    async fn render(cp: &'a ControlPlane, name: &'a str, url: &str, options: &[&str]) -> Self {
        let client = cp.client().await;
        let namespace = restricted_namespace(&client, name).await;
        let values = format!("--values={CHART}/ci/{name}-values.yaml");
        let (place, url) =
            (format!("--namespace={namespace}"), format!("--set=hydra.adminUrl={url}"));
        let release = unique("operator");
        let mut args = vec!["template", &release, CHART, &place, &values, &url];
        args.extend(options);
        let objects = objects(&Helm::new().run(&args));
        let variant = Self { name, cp, client, namespace, objects };
        variant.publish_authority().await;
        variant
    }

    /// The `ConfigMap` that a controller publishes in each namespace, which does not run here.
    async fn publish_authority(&self) {
        let data = [("ca.crt".to_owned(), self.cp.ca_certificate().to_owned())];
        self.create_config_map("kube-root-ca.crt", data).await;
    }

    async fn create_config_map(&self, name: &str, data: [(String, String); 1]) {
        let mut map = ConfigMap { data: Some(data.into()), ..Default::default() };
        map.metadata.name = Some(name.to_owned());
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &map).await.unwrap();
    }

    /// The `ConfigMap` and Secrets that the values of "everything" name.
    async fn store_identity(&self, authority: &Authority) {
        let data = [("authorities.pem".to_owned(), authority.certificate())];
        self.create_config_map("hydra-authorities", data).await;
        let level = [("filter".to_owned(), "info".to_owned())];
        self.create_config_map("hydra-operator-log", level).await;
        let identity = authority.client("hydra-operator", None);
        let certificate = [("tls.crt", identity.certificate), ("tls.key", identity.key)];
        self.create_secret("hydra-operator-certificate", "kubernetes.io/tls", certificate).await;
        let headers = [("headers.txt", "Authorization: Bearer from-the-secret\n".to_owned())];
        self.create_secret("hydra-operator-headers", "Opaque", headers).await;
    }

    async fn create_secret<const N: usize>(
        &self,
        name: &str,
        kind: &str,
        data: [(&str, String); N],
    ) {
        let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())));
        let mut secret =
            Secret { data: Some(data.into()), type_: Some(kind.to_owned()), ..Default::default() };
        secret.metadata.name = Some(name.to_owned());
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &secret).await.unwrap();
    }

    /// All objects pass a dry run and are applied, each field known to the server.
    async fn applied(&self) {
        for dry_run in [true, false] {
            for object in &self.objects {
                self.apply(object, dry_run).await;
            }
        }
    }

    /// All objects are applied; the pod is admitted, and would not be without its security context.
    async fn accepted(&self) {
        self.applied().await;
        let template = &only(&self.objects, "Deployment")["spec"]["template"];
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "generateName": "as-in-template-", "labels": template["metadata"]["labels"] },
            "spec": template["spec"],
        });
        self.create_pod(&pod).await.unwrap();
        for container in pod["spec"]["containers"].as_array_mut().unwrap() {
            container.as_object_mut().unwrap().remove("securityContext");
        }
        let refused = self.create_pod(&pod).await.unwrap_err().to_string();
        assert!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
    }

    async fn apply(&self, object: &Value, dry_run: bool) {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let types = object.types.clone().unwrap();
        let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        };
        let name = object.metadata.name.clone().unwrap();
        let mut params = PatchParams::apply("chart").force().validation_strict();
        params.dry_run = dry_run;
        let applied = api.patch(&name, &params, &Patch::Apply(&object)).await;
        applied.unwrap_or_else(|error| panic!("{}: {} {name}: {error}", self.name, kind.kind));
    }

    async fn create_pod(&self, pod: &Value) -> Result<(), kube::Error> {
        let api: Api<k8s_openapi::api::core::v1::Pod> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let pod = serde_json::from_value(pod.clone()).unwrap();
        api.create(&PostParams::default(), &pod).await.map(drop)
    }

    async fn run(&self) -> Pod {
        let deployment = only(&self.objects, "Deployment");
        assert_eq!(pod::container(&deployment["spec"]["template"]["spec"])["args"][0], "run");
        Pod::start(self.cp, deployment).await
    }

    /// A row of the table, past the capture of the test harness.
    fn report(&self, run: &str) {
        let line = format!(
            "chart | {} | applied: {} objects | restricted: yes | run: {run}\n",
            self.name,
            self.objects.len()
        );
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

async fn restricted_namespace(client: &Client, name: &str) -> String {
    let name = unique(&format!("chart-{name}"));
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.clone());
    let label = ("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned());
    namespace.metadata.labels = Some([label].into());
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    name
}
