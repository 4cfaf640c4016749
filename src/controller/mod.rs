//! What every controller shares: how failures are classed, how retries are spaced, how Kubernetes
//! errors are read. Nothing here knows a resource kind.

pub mod backoff;
pub mod looks;
pub mod outcome;

pub use backoff::Backoff;
pub use looks::Looks;
pub use outcome::{Class, Failure};

/// Namespace and name of a resource.
pub type ResourceKey = (String, String);
