//! A pod of a Deployment, started as the kubelet would: arguments, environment, mounted files and probes are those of its
//! template, and it is its `ServiceAccount` to the API server.
//!
//! Three things a process cannot have: a file system of its own, so the paths of mounts are replaced by folders; a
//! network of its own, so the port that it listens on is another; and the address of the API server from the kubelet,
//! so a kubeconfig names the mounted token and authority. In the root of an image it has the first and the third as in a
//! cluster.

use std::{
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, Secret, ServiceAccount},
};
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use crate::support::{
    ControlPlane,
    folder::Folder,
    hydra_api::http,
    ports::free_port,
    process::{PortTaken, Process, Program, ready, start_with_retry},
    root::entering,
};

const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A running pod. It ends when dropped.
pub struct Pod {
    process: Process,
    port: u16,
    _folder: Folder,
}

impl Pod {
    /// Starts a pod of the Deployment and waits until its probes succeed.
    pub async fn start(cp: &ControlPlane, deployment: &Value) -> Self {
        start_with_retry(async || Self::try_start(cp, deployment, None).await).await
    }

    /// As [`Self::start`], with the files of an image in `root` and the operator that is there.
    pub async fn start_in(root: &Path, cp: &ControlPlane, deployment: &Value) -> Self {
        start_with_retry(async || Self::try_start(cp, deployment, Some(root)).await).await
    }

    async fn try_start(
        cp: &ControlPlane,
        deployment: &Value,
        root: Option<&Path>,
    ) -> Result<Self, PortTaken> {
        let folder = Folder::new("pod");
        let namespace = deployment["metadata"]["namespace"].as_str().unwrap();
        let spec = &deployment["spec"]["template"]["spec"];
        let container = container(spec);
        let kubelet = Kubelet { client: cp.client().await, namespace, spec };

        let mut mounts = Vec::new();
        for mount in list(&container["volumeMounts"]) {
            let (name, path) = (mount["name"].as_str().unwrap(), mount["mountPath"].as_str());
            let path = path.unwrap();
            let place = root.map_or_else(|| folder.path().join(name), |root| inside(root, path));
            kubelet.mount(name, &place).await;
            mounts.push((path, place));
        }
        let here = |text: &str| {
            let mounted = mounts.iter().find(|(path, _)| text.contains(&format!("{path}/")));
            let mounted = mounted.filter(|_| root.is_none());
            mounted.map_or_else(
                || text.to_owned(),
                |(path, folder)| text.replace(path, folder.to_str().unwrap()),
            )
        };
        let (_, token) = mounts.iter().find(|(path, _)| *path == TOKEN_MOUNT).unwrap();

        let port = free_port();
        let container_port = &container["ports"][0]["containerPort"];
        let program = match root {
            Some(root) => operator_in(root, cp.url()),
            None => Program::new("hydra-operator", env!("CARGO_BIN_EXE_hydra-operator").into())
                .env([("KUBECONFIG", folder.write("kubeconfig", in_cluster(cp.url(), token)))]),
        };
        let mut program =
            program.args(list(&container["args"]).iter().map(|arg| here(arg.as_str().unwrap())));
        for variable in list(&container["env"]) {
            let value = match variable["value"].as_str() {
                Some(value) => here(value),
                None => kubelet.field(variable["valueFrom"]["fieldRef"]["fieldPath"].as_str()),
            };
            program = program.env([(variable["name"].as_str().unwrap(), value)]);
        }
        let asked = program.env.iter().find(|(name, _)| name == "ADMIN_LISTEN").unwrap();
        assert!(asked.1.to_str().unwrap().ends_with(&format!(":{container_port}")), "{asked:?}");
        program = program.env([("ADMIN_LISTEN", format!("127.0.0.1:{port}"))]);

        let mut pod = Self { process: program.start(&folder), port, _folder: folder };
        for probe in ["livenessProbe", "readinessProbe"] {
            pod.probe(&container[probe]["httpGet"]).await?;
        }
        Ok(pod)
    }

    async fn probe(&mut self, get: &Value) -> Result<(), PortTaken> {
        assert_eq!(get["port"], "http");
        let url = format!("http://127.0.0.1:{}{}", self.port, get["path"].as_str().unwrap());
        ready(&mut self.process, async || {
            let response = http().get(&url).send().await.map_err(|error| error.to_string())?;
            let status = response.status();
            status.is_success().then_some(()).ok_or_else(|| status.to_string())
        })
        .await
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it as the kubelet does when the pod is deleted.
    pub async fn delete(mut self) {
        assert_eq!(self.process.terminate().await, 0, "{}", self.process.log_tail());
    }
}

/// The operator's container of a pod's spec.
pub fn container(spec: &Value) -> &Value {
    let containers = list(&spec["containers"]);
    containers.iter().find(|container| container["name"] == "hydra-operator").unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Where `path` of a container is outside of it.
fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The operator of an image, told of the API server by the variables that a kubelet sets.
fn operator_in(root: &Path, url: &str) -> Program {
    let (host, port) = url.strip_prefix("https://").and_then(|url| url.split_once(':')).unwrap();
    let words = entering(root);
    Program::new("hydra-operator", words[0].clone().into())
        .args(&words[1..])
        .arg("/hydra-operator")
        .env([("HOME", "/"), ("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", port)])
}

/// What a pod is told by its files in a cluster.
fn in_cluster(url: &str, mount: &Path) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "in", "cluster": {
            "server": url,
            "certificate-authority": mount.join("ca.crt"),
        }}],
        "users": [{ "name": "in", "user": { "tokenFile": mount.join("token") }}],
        "contexts": [{ "name": "in", "context": { "cluster": "in", "user": "in" }}],
        "current-context": "in",
    })
    .to_string()
}

struct Kubelet<'a> {
    client: Client,
    namespace: &'a str,
    spec: &'a Value,
}

impl Kubelet<'_> {
    fn field(&self, path: Option<&str>) -> String {
        match path {
            Some("metadata.name") => "a-pod".to_owned(),
            Some("metadata.namespace") => self.namespace.to_owned(),
            other => panic!("{other:?} is not known here"),
        }
    }

    /// Makes the folder of a volume, with its files.
    async fn mount(&self, name: &str, folder: &Path) {
        let volumes = list(&self.spec["volumes"]);
        let volume = volumes.iter().find(|volume| volume["name"] == name);
        let volume = volume.unwrap_or_else(|| panic!("there is no volume {name}"));
        fs::create_dir_all(folder).unwrap();
        let projected = list(&volume["projected"]["sources"]);
        for source in std::iter::once(volume).chain(projected) {
            for (file, content) in self.files(source).await {
                fs::write(folder.join(file), content).unwrap();
            }
        }
    }

    async fn files(&self, source: &Value) -> Vec<(String, Vec<u8>)> {
        if let Some(request) = source.get("serviceAccountToken") {
            let path = request["path"].as_str().unwrap().to_owned();
            return vec![(path, self.token(request["expirationSeconds"].as_i64()).await)];
        }
        let items = list(&source["downwardAPI"]["items"]).iter().map(|item| {
            let value = self.field(item["fieldRef"]["fieldPath"].as_str());
            (item["path"].as_str().unwrap().to_owned(), value.into_bytes())
        });
        let mut files: Vec<_> = items.collect();
        if let Some(wanted) = source.get("configMap") {
            let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace);
            let found = api.get(wanted["name"].as_str().unwrap()).await.unwrap();
            let data = found.data.unwrap_or_default().into_iter();
            files
                .extend(chosen(wanted, data.map(|(key, text)| (key, text.into_bytes())).collect()));
        }
        if let Some(wanted) = source.get("secret") {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace);
            let found = api.get(wanted["secretName"].as_str().unwrap()).await.unwrap();
            let data = found.data.unwrap_or_default().into_iter();
            files.extend(chosen(wanted, data.map(|(key, bytes)| (key, bytes.0)).collect()));
        }
        files
    }

    async fn token(&self, seconds: Option<i64>) -> Vec<u8> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), self.namespace);
        let name = self.spec["serviceAccountName"].as_str().unwrap();
        let spec = TokenRequestSpec { expiration_seconds: seconds, ..Default::default() };
        let request = TokenRequest { spec: Some(spec), ..Default::default() };
        let token = api.create_token_request(name, &PostParams::default(), &request).await.unwrap();
        token.status.unwrap().token.unwrap().into_bytes()
    }
}

/// The keys that a volume asks for under the names that it gives them; all, where it names none.
fn chosen(wanted: &Value, data: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let items = list(&wanted["items"]);
    if items.is_empty() {
        return data;
    }
    let item = |item: &Value| {
        let key = item["key"].as_str().unwrap();
        let found = data.iter().find(|(name, _)| name == key);
        let (_, content) = found.unwrap_or_else(|| panic!("there is no key {key}"));
        (item["path"].as_str().unwrap().to_owned(), content.clone())
    };
    items.iter().map(item).collect()
}
