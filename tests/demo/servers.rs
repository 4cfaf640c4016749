//! The servers of the demo and the operator between them.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    screen,
    support::{ControlPlane, Generation, Hydra, Operator, OperatorOptions, binaries},
};

/// All that runs. Dropped in this order: first the operator, which would complain about the missing others.
pub struct Servers {
    operator: Operator,
    hydra: Hydra,
    control_plane: ControlPlane,
}

impl Servers {
    /// Starts them all.
    pub async fn start() -> Self {
        let control_plane = screen::timed(
            "Kubernetes (etcd, kube-apiserver, kube-controller-manager) with crds/",
            ControlPlane::start(),
        )
        .await;
        let hydra = screen::timed("Hydra 2", Hydra::start(Generation::V2)).await;
        let public = format!("--hydra-public-url={}", hydra.public_url());
        let options =
            OperatorOptions::new(hydra.admin_url()).args([public]).binary(operator_binary());
        let operator = screen::timed(
            "hydra-operator, as the ServiceAccount of deploy/rbac",
            Operator::start(&control_plane, options),
        )
        .await;
        Self { operator, hydra, control_plane }
    }

    /// Runs kubectl as the administrator and returns what it prints, or its complaint.
    pub fn kubectl(&self, args: &[&str]) -> Result<String, String> {
        let output = self.control_plane.kubectl_output(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Base URL of Hydra's public port.
    pub fn public_url(&self) -> &str {
        self.hydra.public_url()
    }

    /// Base URL of Hydra's admin port.
    pub fn admin_url(&self) -> &str {
        self.hydra.admin_url()
    }

    /// Says how to reach everything.
    pub fn invite(&mut self) {
        screen::command(&format!(
            "export KUBECONFIG={}",
            self.control_plane.admin_kubeconfig().display()
        ));
        if let Some(folder) = folder_to_add(&binaries::kubectl(), env::var_os("PATH")) {
            screen::command(&format!("export PATH=$PATH:{}", folder.display()));
        }
        screen::command("kubectl apply -f deploy/examples/");
        screen::command("kubectl explain oauth2client.spec");
        screen::command("kubectl explain jsonwebkeyset.spec");
        screen::note(&format!("Hydra, public port: {}", self.public_url()));
        screen::note(&format!("Hydra, admin port:  {}", self.admin_url()));
        screen::note(&format!("Operator:           {}/metrics", self.operator.admin_url()));
        screen::note(&format!(
            "Operator's log:     {}",
            self.operator.process().log_path().display()
        ));
    }
}

/// The operator is built next to the folder of the examples.
fn operator_binary() -> PathBuf {
    let demo = env::current_exe().unwrap_or_default();
    let profile = demo.ancestors().nth(2).unwrap_or(Path::new(""));
    profile.join(format!("hydra-operator{}", env::consts::EXE_SUFFIX))
}

/// The folder of `program`, unless `path` (the variable) leads there.
fn folder_to_add(program: &Path, path: Option<std::ffi::OsString>) -> Option<&Path> {
    let folder = program.parent()?;
    let found = env::split_paths(&path.unwrap_or_default()).any(|known| known == folder);
    (!found).then_some(folder)
}
