//! Kubernetes as the operator needs it: ownership, Secrets, outputs, watches, events and status patches.
//! Nothing here knows Hydra.

pub mod access;
mod changes;
pub mod discovery;
pub mod error;
pub mod events;
pub mod outputs;
pub mod ownership;
pub mod references;
pub mod referrers;
pub mod requests;
pub mod secret_content;
pub mod secrets;
pub mod status;
pub mod streams;

pub use access::ObjectAccess;
pub use error::ApiError;
pub use outputs::Outputs;
pub use ownership::{Lookup, Owner, SecretState, SecretVersion, StoredCredentials};
pub use secret_content::{KeyPair, SecretChanges, SecretContent};
pub use secrets::Secrets;
