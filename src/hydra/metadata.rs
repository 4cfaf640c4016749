//! What a Hydra says about itself: `/version` and `/health/ready`, the same in all generations.

use serde::Deserialize;

use super::Hydra;
use super::connection::Request;
use super::error::HydraError;
use super::request::Operation;

#[derive(Deserialize)]
struct Version {
    version: String,
}

impl Hydra {
    /// The version that Hydra was built as, for people to read. A build from source may answer
    /// `master`; what Hydra can do is told by its [`generation`](Hydra::generation).
    pub async fn version(&self) -> Result<String, HydraError> {
        let operation = Operation::Version;
        let answer = self.connection().call(Request::get(operation, "/version")).await?;
        answer.decode::<Version>(operation).map(|answer| answer.version)
    }

    /// Whether Hydra reaches its database and has no pending migrations. One that does not is a
    /// [`Transient`](super::ErrorKind::Transient) error.
    pub async fn ready(&self) -> Result<(), HydraError> {
        self.connection().call(Request::get(Operation::Ready, "/health/ready")).await.map(drop)
    }
}
