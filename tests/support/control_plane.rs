//! etcd, kube-apiserver and kube-controller-manager: everything of Kubernetes that the operator can tell apart from a
//! cluster. There are no nodes and no pods.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client, api::PostParams};
use tokio::sync::OnceCell;

use super::{
    binaries, crds,
    folder::Folder,
    kubeconfig::{User, client, kubeconfig},
    pki::{Authority, token_key},
    ports::free_port,
    process::{PortTaken, Process, Program, ready, start_with_retry},
};

/// The controllers that the operator's promises rest on; the rest of kube-controller-manager is about workloads.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,\
    serviceaccount-controller,serviceaccount-token-controller,clusterrole-aggregation-controller";

/// Go's collector then runs at five times the live heap, a quarter as often: memory is there, processors are not.
const LITTLE_GARBAGE_COLLECTION: [(&str, &str); 1] = [("GOGC", "400")];

/// Who wrote what, and when the request arrived.
const AUDIT_POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived"],
  "rules": [{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}]
}"#;

/// A running control plane. It ends when dropped.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: first those that would complain about the missing others.
    controller_manager: Process,
    apiserver: Process,
    etcd: Process,
    url: String,
    ca_certificate: String,
    admin: String,
    admin_path: PathBuf,
    folder: Folder,
}

impl ControlPlane {
    /// Starts one, with the definitions of `crds/` installed.
    pub async fn start() -> Self {
        start_with_retry(async || Self::try_start(&[]).await).await
    }

    /// Starts one that keeps an audit log of all that is not read.
    pub async fn start_audited() -> Self {
        const ARGS: [&str; 2] =
            ["--audit-policy-file=audit-policy.yaml", "--audit-log-path=audit.log"];
        start_with_retry(async || Self::try_start(&ARGS).await).await
    }

    /// The events of the audit log so far.
    pub fn audit_log(&self) -> Vec<serde_json::Value> {
        let log = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        // The last line may be half written.
        let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one of this test process, started at the first call. It depends on no test's runtime.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    async fn try_start(apiserver_args: &[&str]) -> Result<Self, PortTaken> {
        let folder = Folder::new("control-plane");
        let authority = Authority::new();
        let ca_certificate = authority.certificate();
        folder.write("ca.pem", &ca_certificate);
        let token_key = token_key();
        folder.write("token-key.pem", token_key.key);
        folder.write("token-key.pub", token_key.public);

        let (etcd_port, port) = (free_port(), free_port());
        let url = format!("https://127.0.0.1:{port}");
        let admin = authority.client("admin", Some("system:masters"));
        let admin = kubeconfig(&url, &ca_certificate, &User::Certificate(&admin));
        let admin_path = folder.write("admin.kubeconfig", &admin);
        let client = client(&admin).await;

        let mut etcd = etcd(etcd_port).start(&folder);
        folder.write("audit-policy.yaml", AUDIT_POLICY);
        let apiserver = apiserver(&folder, &authority, etcd_port, port).args(apiserver_args);
        let mut apiserver = apiserver.start(&folder);
        ready(&mut etcd, async || is_listening(etcd_port).await).await?;
        ready(&mut apiserver, async || is_ready(&client).await).await?;

        // Before the garbage collector: it asks for the kinds when it starts and then every 30 s, and a test of an
        // owner reference would wait that long.
        crds::install(&client, crds::committed()).await;
        let mut controller_manager = controller_manager(&folder, &authority, &url).start(&folder);
        ready(&mut controller_manager, async || controllers_work(&client).await).await?;

        Ok(Self {
            controller_manager,
            apiserver,
            etcd,
            url,
            ca_certificate,
            admin,
            admin_path,
            folder,
        })
    }

    /// `https://127.0.0.1:<port>`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate that the API server's own is checked with, PEM.
    pub fn ca_certificate(&self) -> &str {
        &self.ca_certificate
    }

    /// The administrator's kubeconfig file, for kubectl.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin_path
    }

    /// A client of the administrator, for the runtime of the caller.
    pub async fn client(&self) -> Client {
        client(&self.admin).await
    }

    /// The text of a kubeconfig for a bearer token.
    pub fn kubeconfig_for_token(&self, token: &str) -> String {
        kubeconfig(&self.url, &self.ca_certificate, &User::Token(token))
    }

    /// Applies the definitions of `crds/` again and waits until they are served.
    pub async fn install_crds(&self) {
        crds::install(&self.client().await, crds::committed()).await;
    }

    /// Creates a namespace `<prefix>-<unique>`.
    pub async fn namespace(&self, prefix: &str) -> String {
        let name = unique(prefix);
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.clone());
        let api = Api::all(self.client().await);
        api.create(&PostParams::default(), &namespace).await.unwrap();
        name
    }

    /// Runs kubectl as the administrator; panics if it fails.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let output = self.kubectl_output(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {args:?} failed: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs kubectl as the administrator, for commands that may fail.
    pub fn kubectl_output(&self, args: &[&str]) -> std::process::Output {
        std::process::Command::new(binaries::kubectl())
            .arg("--kubeconfig")
            .arg(&self.admin_path)
            .args(args)
            .stdin(std::process::Stdio::null())
            .env("HOME", self.folder.path()) // its discovery cache
            .output()
            .unwrap()
    }

    /// The API server's process, to freeze or kill it.
    pub fn apiserver(&mut self) -> &mut Process {
        &mut self.apiserver
    }

    /// The controllers' process, to freeze it: nothing is collected then.
    pub fn controller_manager(&mut self) -> &mut Process {
        &mut self.controller_manager
    }
}

/// `<prefix>-<8 random hexadecimal digits>`
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{:08x}", getrandom::u32().unwrap())
}

fn etcd(port: u16) -> Program {
    Program::new("etcd", binaries::etcd()).env(LITTLE_GARBAGE_COLLECTION).args([
        "--data-dir=etcd".to_owned(),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
        format!("--listen-client-urls=http://127.0.0.1:{port}"),
        format!("--advertise-client-urls=http://127.0.0.1:{port}"),
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
    ])
}

fn apiserver(folder: &Folder, authority: &Authority, etcd_port: u16, port: u16) -> Program {
    let serving = authority.server();
    folder.write("serving.pem", &serving.certificate);
    folder.write("serving-key.pem", &serving.key);
    Program::new("kube-apiserver", binaries::kube_apiserver())
        .env(LITTLE_GARBAGE_COLLECTION)
        .args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none", // refuses an address of the loopback interface
            "--service-cluster-ip-range=10.0.0.0/24",
            "--tls-cert-file=serving.pem",
            "--tls-private-key-file=serving-key.pem",
            "--client-ca-file=ca.pem",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=token-key.pub",
            "--service-account-signing-key-file=token-key.pem",
        ])
        .arg(format!("--secure-port={port}"))
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
}

fn controller_manager(folder: &Folder, authority: &Authority, url: &str) -> Program {
    let identity = authority.client("system:kube-controller-manager", None);
    let kubeconfig = kubeconfig(url, &authority.certificate(), &User::Certificate(&identity));
    folder.write("controller-manager.kubeconfig", kubeconfig);
    Program::new("kube-controller-manager", binaries::kube_controller_manager())
        .args([
            "--kubeconfig=controller-manager.kubeconfig",
            "--use-service-account-credentials",
            "--service-account-private-key-file=token-key.pem",
            "--root-ca-file=ca.pem",
            "--leader-elect=false",
            "--secure-port=0",
        ])
        .arg(format!("--controllers={CONTROLLERS}"))
}

async fn is_listening(port: u16) -> std::io::Result<()> {
    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop)
}

async fn is_ready(client: &Client) -> Result<(), kube::Error> {
    let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
    client.request_text(request).await.map(drop)
}

/// A controller has done something.
async fn controllers_work(client: &Client) -> Result<(), kube::Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    accounts.get("default").await.map(drop)
}
