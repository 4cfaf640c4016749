//! JSON Web Keys (RFC 7517): what they are, how they are made, read and written. Pure but for the making of keys, which takes
//! the system's random source; no Kubernetes and no Hydra.

mod asn1;
mod ec;
mod ed25519;
mod encoding;
mod flaw;
mod generate;
pub mod import;
mod jwk;
mod material;

mod rsa;
mod thumbprint;

pub use asn1::to_pem;
pub use flaw::KeyFlaw;
pub use generate::{GenerateError, generate};
pub use jwk::{Jwk, NotAJwk, PublicJwk};
pub use material::completed;
pub use thumbprint::{same_key, same_material, thumbprint};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
