//! Why the operator could not run.

use crate::{
    admin::AdminError,
    hydra::ConfigError,
    leader,
    settings::{self, Setting},
};

/// Why the operator could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The admin port failed.
    #[error("{} cannot be served", settings::ADMIN_LISTEN.flag)]
    Admin(#[from] AdminError),
    /// A file that a setting names cannot be read.
    #[error("{} names {path}, which cannot be read", setting.flag)]
    File {
        /// The setting.
        setting: Setting,
        /// The path it names.
        path: String,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The settings of the connection to Hydra cannot be used.
    #[error("the connection to Hydra cannot be set up")]
    Hydra(#[from] ConfigError),
    /// No usable configuration of the Kubernetes API.
    #[error("{} names no usable kubeconfig", settings::KUBECONFIG.flag)]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// No configuration of the Kubernetes API was found.
    #[error("found no way to the Kubernetes API: set {}, or run in a cluster", settings::KUBECONFIG.flag)]
    InferConfig(#[source] kube::config::InferConfigError),
    /// The kubeconfig does not parse. The parser's words are left out: they quote the file, which
    /// holds credentials.
    #[error(
        "the kubeconfig that {} names, or that kubectl would use, is malformed{place}",
        settings::KUBECONFIG.flag
    )]
    MalformedKubeconfig {
        /// ` at line …`, where it is known.
        place: String,
    },
    /// The client of the Kubernetes API cannot be built.
    #[error("the connection to the Kubernetes API cannot be set up")]
    Client(#[source] kube::Error),
    /// Another replica may lead now.
    #[error(transparent)]
    Leader(#[from] leader::Lost),
}
