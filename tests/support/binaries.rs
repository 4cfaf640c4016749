//! The programs that `tests/servers/build` provides.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

/// etcd, from `KUBEBUILDER_ASSETS` or built.
pub fn etcd() -> PathBuf {
    provided("etcd", "ETCD")
}

/// kube-apiserver, from `KUBEBUILDER_ASSETS` or built.
pub fn kube_apiserver() -> PathBuf {
    provided("kubernetes", "KUBE_APISERVER")
}

/// kube-controller-manager, from `KUBEBUILDER_ASSETS` or built.
pub fn kube_controller_manager() -> PathBuf {
    provided("kubernetes", "KUBE_CONTROLLER_MANAGER")
}

/// kubectl, from `KUBEBUILDER_ASSETS`, `PATH`, or built.
pub fn kubectl() -> PathBuf {
    provided("kubectl", "KUBECTL")
}

/// Hydra 2, from `HYDRA_BIN` or built.
pub fn hydra_v2() -> PathBuf {
    provided("hydra2", "HYDRA_V2")
}

/// Hydra 1, from `HYDRA_V1_BIN` or built.
pub fn hydra_v1() -> PathBuf {
    provided("hydra1", "HYDRA_V1")
}

/// The checker of `tests/servers/kstatus`, built.
pub fn kstatus() -> PathBuf {
    provided("kstatus", "KSTATUS")
}

/// The implementation of JOSE of `tests/servers/jose`, built.
pub fn jose() -> PathBuf {
    provided("jose", "JOSE")
}

/// The Lua interpreter of `tests/servers/lua`, built.
pub fn lua() -> PathBuf {
    provided("lua", "LUA")
}

/// The reader of `tests/servers/flux`, built.
pub fn flux() -> PathBuf {
    provided("flux", "FLUX")
}

/// Helm, built.
pub fn helm() -> PathBuf {
    provided("helm", "HELM")
}

/// The program of `deploy/image` that makes images, built.
pub fn image_tool() -> PathBuf {
    provided("image", "IMAGE_TOOL")
}

/// The client and server of registries, built.
pub fn crane() -> PathBuf {
    provided("image", "CRANE")
}

/// Prometheus, built.
pub fn prometheus() -> PathBuf {
    provided("prometheus", "PROMETHEUS")
}

/// The checker of expositions and rules that comes with Prometheus, built.
pub fn promtool() -> PathBuf {
    provided("prometheus", "PROMTOOL")
}

/// Asks the build script, once per program and test process. A build shows its progress on stderr.
fn provided(program: &str, name: &str) -> PathBuf {
    static PROVIDED: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut provided = PROVIDED.lock().unwrap();
    let provided = provided.get_or_insert_default();
    if !provided.contains_key(name) {
        provided.extend(build(program));
    }
    provided
        .get(name)
        .unwrap_or_else(|| panic!("`tests/servers/build {program}` printed no line {name}=<path>"))
        .clone()
}

fn build(program: &str) -> Vec<(String, PathBuf)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/build");
    let output = Command::new(&script)
        .arg(program)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", script.display()));
    assert!(
        output.status.success(),
        "`tests/servers/build {program}` failed ({}); its messages above say what is missing",
        output.status
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, path)| (name.to_owned(), path.into()))
        .collect()
}
