//! The servers: a control plane and a Hydra that hold nothing yet.

use kube::Client;

use crate::{
    postgres::Postgres,
    progress,
    support::{ControlPlane, Generation, Hydra, hydra_api::http},
};

/// Servers of one measurement. They end when dropped, in this order.
pub struct World {
    /// Hydra 2.
    pub hydra: Hydra,
    postgres: Option<Postgres>,
    /// Kubernetes.
    pub control_plane: ControlPlane,
    /// A client of the administrator.
    pub admin: Client,
}

impl World {
    /// Starts them.
    pub async fn start() -> Self {
        let control_plane = ControlPlane::start().await;
        let postgres = Postgres::start().await;
        let dsn = postgres.as_ref().map(Postgres::dsn);
        let settings: Vec<_> = dsn.iter().map(|dsn| ("DSN", dsn.as_str())).collect();
        let hydra = Hydra::start_with(Generation::V2, &settings).await;
        let admin = control_plane.client().await;
        progress::note("the servers are up");
        Self { hydra, postgres, control_plane, admin }
    }

    /// What runs here, in which version.
    pub async fn software(&self) -> Vec<String> {
        let kubernetes = self.admin.apiserver_version().await.unwrap().git_version;
        let version = http().get(format!("{}/version", self.hydra.admin_url())).send().await;
        let version = version.unwrap().text().await.unwrap();
        let version: serde_json::Value = serde_json::from_str(&version).unwrap();
        let database = self.postgres.as_ref().map_or("SQLite in WAL mode", Postgres::version);
        let hydra = version["version"].as_str().unwrap_or("of unknown version");
        vec![
            format!("Kubernetes {kubernetes}"),
            format!("Hydra {hydra} on {database}"),
            format!("hydra-operator {}, {} build", env!("CARGO_PKG_VERSION"), build()),
        ]
    }
}

/// The operator is built as this program is.
fn build() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}
