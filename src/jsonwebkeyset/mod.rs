//! The reconcile of a `JsonWebKeySet`.

pub mod rotation;
