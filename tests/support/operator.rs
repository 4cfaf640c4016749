//! The operator's real binary, run as its `ServiceAccount`.

use std::path::PathBuf;

use super::{
    control_plane::ControlPlane,
    counters::{self, Sample},
    folder::Folder,
    hydra_api::http,
    ports::free_port,
    process::{PortTaken, Process, Program, ready, start_with_retry},
    rbac::{self, ServiceAccount},
};

/// How to run an operator.
#[derive(Debug, Clone)]
pub struct OperatorOptions {
    hydra_admin_url: String,
    namespaces: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    binary: Option<PathBuf>,
    api_server: Option<(String, String)>,
    observing: bool,
    elects: bool,
    replica_of: Option<ServiceAccount>,
}

impl OperatorOptions {
    /// For the Hydra at `hydra_admin_url` and all namespaces.
    pub fn new(hydra_admin_url: impl Into<String>) -> Self {
        Self {
            hydra_admin_url: hydra_admin_url.into(),
            namespaces: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            binary: option_env!("CARGO_BIN_EXE_hydra-operator").map(PathBuf::from),
            api_server: None,
            observing: false,
            elects: false,
            replica_of: None,
        }
    }

    /// Reaches the API server at `url`, behind a proxy whose certificate is checked with
    /// `ca_certificate`.
    pub fn api_server(mut self, url: &str, ca_certificate: &str) -> Self {
        self.api_server = Some((url.to_owned(), ca_certificate.to_owned()));
        self
    }

    /// Watches these namespaces alone, with rights in these alone.
    pub fn namespaces<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.namespaces.extend(names.into_iter().map(|name| name.as_ref().to_owned()));
        self
    }

    /// With `--observe`, and with rights to read alone.
    pub fn observing(mut self) -> Self {
        self.observing = true;
        self.args(["--observe"])
    }

    /// With `--leader-elect`, a Lease of its own, and the right to hold it.
    pub fn electing(mut self) -> Self {
        self.elects = true;
        self
    }

    /// As another replica of `operator`: the same `ServiceAccount`, and the same Lease.
    pub fn replica_of(mut self, operator: &Operator) -> Self {
        self.replica_of = Some(operator.service_account.clone());
        self.electing()
    }

    /// Adds arguments of `hydra-operator run`.
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The binary. Needed outside integration tests, where Cargo does not say it.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }
}

/// A running operator. It ends when dropped.
#[derive(Debug)]
pub struct Operator {
    program: Program,
    process: Process,
    admin_url: String,
    service_account: ServiceAccount,
    folder: Folder,
}

impl Operator {
    /// Starts one with rights of its own and waits until it is ready.
    pub async fn start(cp: &ControlPlane, options: OperatorOptions) -> Self {
        let mut operator = Self::start_unready(cp, options).await;
        operator.wait_ready().await;
        operator
    }

    /// Starts one and waits for nothing but its admin port.
    pub async fn start_unready(cp: &ControlPlane, options: OperatorOptions) -> Self {
        start_with_retry(async || Self::try_start(cp, &options).await).await
    }

    async fn try_start(cp: &ControlPlane, options: &OperatorOptions) -> Result<Self, PortTaken> {
        let folder = Folder::new("operator");
        let service_account = if let Some(account) = &options.replica_of {
            account.in_another_pod(cp).await
        } else if options.observing {
            rbac::observing(cp).await
        } else if options.namespaces.is_empty() {
            rbac::cluster_wide(cp).await
        } else {
            rbac::namespaced(cp, &options.namespaces).await
        };
        let mut lease = Vec::new();
        if options.elects {
            rbac::may_elect(cp, &service_account).await;
            lease = vec![
                "--leader-elect".to_owned(),
                format!("--leader-election-namespace={}", service_account.namespace),
                format!("--leader-election-id={}", service_account.name),
            ];
        }
        let kubeconfig = match &options.api_server {
            Some((url, ca)) => service_account.write_kubeconfig_for(&folder, url, ca),
            None => service_account.write_kubeconfig(&folder),
        };
        let admin_address = format!("127.0.0.1:{}", free_port());
        let program = program(options)
            .args(lease)
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--admin-listen={admin_address}"));
        let admin_url = format!("http://{admin_address}");
        let process = started(&program, &folder, &admin_url).await?;
        Ok(Self { program, process, admin_url, service_account, folder })
    }

    /// Starts it again, after it was killed or terminated, as it was, and waits until it is ready.
    pub async fn start_again(&mut self) {
        assert!(!self.process.is_running(), "the operator still runs");
        let started = started(&self.program, &self.folder, &self.admin_url).await;
        self.process = started.expect("nobody else uses its port");
        self.wait_ready().await;
    }

    /// Waits until `/readyz` answers 200.
    pub async fn wait_ready(&mut self) {
        let url = format!("{}/readyz", self.admin_url);
        let outcome = ready(&mut self.process, async || {
            let response = http().get(&url).send().await.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = response.text().await.unwrap_or_default();
            if status.is_success() { Ok(()) } else { Err(format!("{status}: {body}")) }
        });
        outcome.await.expect("its port is bound already");
    }

    /// Its process: `pid`, `terminate`, `kill_9`, `freeze`, `log`.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Who it is to Kubernetes.
    pub fn service_account(&self) -> &ServiceAccount {
        &self.service_account
    }

    /// `http://127.0.0.1:<port>`, where `/healthz`, `/readyz` and `/metrics` are.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Its output so far, over all its starts.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The text of `/metrics`.
    pub async fn metrics_text(&self) -> String {
        let response = http().get(format!("{}/metrics", self.admin_url)).send().await.unwrap();
        response.error_for_status().unwrap().text().await.unwrap()
    }

    /// The samples of `/metrics`; none while it does not run.
    pub async fn metrics_if_running(&self) -> Option<Vec<Sample>> {
        let response = http().get(format!("{}/metrics", self.admin_url)).send().await.ok()?;
        Some(counters::parse(&response.text().await.ok()?))
    }

    /// The samples of `/metrics`.
    pub async fn metrics(&self) -> Vec<Sample> {
        counters::parse(&self.metrics_text().await)
    }

    /// The sum of a metric over all samples that have these labels; 0 if there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        counters::sum(&self.metrics().await, name, |sample| {
            labels.iter().all(|(label, value)| sample.label(label) == *value)
        })
    }
}

fn program(options: &OperatorOptions) -> Program {
    let binary = options.binary.clone().expect("outside integration tests, name the binary");
    let mut program = Program::new("hydra-operator", binary)
        .arg("run")
        .arg(format!("--hydra-admin-url={}", options.hydra_admin_url))
        .args(&options.args)
        .env(options.env.clone());
    if !options.namespaces.is_empty() {
        program = program.arg(format!("--namespaces={}", options.namespaces.join(",")));
    }
    program
}

/// Starts the program and waits until its admin port answers.
async fn started(
    program: &Program,
    folder: &Folder,
    admin_url: &str,
) -> Result<Process, PortTaken> {
    let mut process = program.start(folder);
    ready(&mut process, async || http().get(format!("{admin_url}/healthz")).send().await.map(drop))
        .await?;
    Ok(process)
}
