//! Helm, as a person runs it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::support::{binaries, folder::Folder};

/// The chart, relative to the repository.
pub const CHART: &str = "charts/hydra-operator";

/// Helm with folders of its own, so that the settings of a person have no effect.
pub struct Helm {
    folder: Folder,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// For commands that need no cluster.
    pub fn new() -> Self {
        Self { folder: Folder::new("helm"), kubeconfig: None }
    }

    /// For the cluster of this kubeconfig.
    pub fn on(kubeconfig: &Path) -> Self {
        Self { kubeconfig: Some(kubeconfig.to_owned()), ..Self::new() }
    }

    /// Runs it in the repository, for commands that may fail.
    pub fn output<A: AsRef<str>>(&self, args: &[A]) -> Output {
        let folder = self.folder.path();
        let mut command = Command::new(binaries::helm());
        command
            .args(args.iter().map(AsRef::as_ref))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("HOME", folder)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        command.output().unwrap()
    }

    /// Runs it; panics if it fails.
    pub fn run<A: AsRef<str>>(&self, args: &[A]) -> String {
        let output = self.output(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
        assert!(output.status.success(), "helm {} failed: {stderr}", args.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The message of a command that has to fail.
    pub fn refusal<A: AsRef<str>>(&self, args: &[A]) -> String {
        let output = self.output(args);
        let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
        assert!(!output.status.success(), "helm {} did not fail", args.join(" "));
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The objects of a rendered text.
pub fn objects(rendered: &str) -> Vec<Value> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(rendered).unwrap();
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

/// The only object of a kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<_> = objects.iter().filter(|object| object["kind"] == kind).collect();
    let [only] = found[..] else { panic!("{} of the kind {kind}", found.len()) };
    only
}
