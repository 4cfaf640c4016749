//! Ed25519 keys (RFC 8037, RFC 8410).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use super::{
    Jwk, KeyFlaw,
    encoding::{Secret, from_base64url},
};

/// `crv` of RFC 8037 section 3.1.
pub(super) const CURVE: &str = "Ed25519";
const LENGTH: usize = 32;

/// An Ed25519 key, known to be consistent.
pub(super) struct Ed25519 {
    seed: Secret,
    x: Vec<u8>,
}

impl Ed25519 {
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyFlaw> {
        if jwk.text("crv").ok_or(KeyFlaw::Members)? != CURVE {
            return Err(KeyFlaw::Curve);
        }
        let x = jwk.text("x").and_then(from_base64url).ok_or(KeyFlaw::Members)?;
        let seed = from_base64url(jwk.expose("d").ok_or(KeyFlaw::Public)?);
        Self::of_seed(&seed.ok_or(KeyFlaw::Members)?, Some(&x))
    }

    /// `x` is what is said to be the public half.
    pub(super) fn of_seed(seed: &[u8], x: Option<&[u8]>) -> Result<Self, KeyFlaw> {
        if seed.len() != LENGTH {
            return Err(KeyFlaw::Inconsistent);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyFlaw::Inconsistent)?;
        let derived = pair.public_key().as_ref();
        if x.is_some_and(|x| x != derived) {
            return Err(KeyFlaw::Inconsistent);
        }
        Ok(Self { seed: Secret::new(seed.to_vec()), x: derived.to_vec() })
    }

    pub(super) fn public(&self) -> &[u8] {
        &self.x
    }

    pub(super) fn private(&self) -> &[u8] {
        &self.seed
    }
}
