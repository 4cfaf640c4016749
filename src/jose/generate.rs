//! Keys made here, from the system's random source.

use aws_lc_rs::{
    agreement::PrivateKey,
    encoding::{AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der},
    error::Unspecified,
    rsa::{KeyPair, KeySize},
    signature::Ed25519KeyPair,
};
use zeroize::Zeroizing;

use super::{
    Jwk, KeyFlaw, asn1,
    ec::{Curve, Ec},
    ed25519::Ed25519,
    material::Material,
};
use crate::api::jsonwebkeyset::Algorithm;

/// Why there is no new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// There are no keys for it.
    #[error("the algorithm is unknown")]
    Algorithm,
    /// The library made no key.
    #[error("the cryptography library made no key")]
    Failed,
}

impl From<Unspecified> for GenerateError {
    fn from(_: Unspecified) -> Self {
        Self::Failed
    }
}

impl From<KeyFlaw> for GenerateError {
    fn from(_: KeyFlaw) -> Self {
        Self::Failed
    }
}

/// Makes a key, with the sizes that Hydra 2 makes, a symmetric one with that of the hash (RFC 7518 section 3.2). An RSA key takes up to seconds of a processor: call it where that blocks
/// nothing.
pub fn generate(algorithm: &Algorithm, kid: &str, key_use: &str) -> Result<Jwk, GenerateError> {
    let material = match algorithm {
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => rsa(KeySize::Rsa4096),
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => rsa(KeySize::Rsa2048),
        Algorithm::ES256 => ec(Curve::P256),
        Algorithm::ES384 => ec(Curve::P384),
        Algorithm::ES512 => ec(Curve::P521),
        Algorithm::EdDSA => ed25519(),
        Algorithm::HS256 => symmetric(32),
        Algorithm::HS512 => symmetric(64),
        Algorithm::Unknown(_) => Err(GenerateError::Algorithm),
    }?;
    Ok(material.to_jwk().named(kid, algorithm.as_str(), key_use))
}

fn rsa(size: KeySize) -> Result<Material, GenerateError> {
    let der: Pkcs8V1Der<'_> = KeyPair::generate(size)?.as_der()?;
    Ok(asn1::from_der(der.as_ref())?)
}

fn ec(curve: Curve) -> Result<Material, GenerateError> {
    let d: EcPrivateKeyBin<'_> = PrivateKey::generate(curve.agreement())?.as_be_bytes()?;
    Ok(Material::Ec(Ec::of_number(curve, d.as_ref(), None)?))
}

fn symmetric(length: usize) -> Result<Material, GenerateError> {
    let mut key = Zeroizing::new(vec![0; length]);
    aws_lc_rs::rand::fill(&mut key)?;
    Ok(Material::Symmetric(key))
}

fn ed25519() -> Result<Material, GenerateError> {
    let seed: Curve25519SeedBin<'_> = Ed25519KeyPair::generate()?.seed()?.as_be_bytes()?;
    Ok(Material::Ed25519(Ed25519::of_seed(seed.as_ref(), None)?))
}
