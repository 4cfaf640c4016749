//! JSON Web Keys (RFC 7517): what they are, how they are made, read and written. Pure but for the making of keys, which takes
//! the system's random source; no Kubernetes and no Hydra.

mod jwk;

pub use jwk::{Jwk, NotAJwk, PublicJwk};
