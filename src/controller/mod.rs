//! What every controller shares: how failures are classed, how retries are spaced, who wins what
//! several resources claim. Nothing here knows a resource kind.

pub mod backoff;
pub mod bounds;
pub mod claims;
pub mod failures;
pub mod looks;
pub mod observer;
pub mod outcome;
pub mod passes;
pub mod reasons;
pub mod resync;
pub mod statuses;
pub mod wakers;

pub use backoff::Backoff;
pub use claims::Claims;
pub use looks::Looks;
pub use outcome::{Class, Failure, Reported};
pub use passes::Passes;
pub use statuses::Statuses;
pub use wakers::Wakers;

/// Namespace and name of a resource.
pub type ResourceKey = (String, String);
