//! Whether keys are of the type that an algorithm takes.

use super::ImportError;
use crate::{
    api::jsonwebkeyset::Algorithm,
    jose::{Jwk, encoding::from_base64url},
};

/// The type of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
    Symmetric,
}

/// How a kind is called: one key, keys, and the algorithms that take it.
struct Words {
    one: &'static str,
    many: &'static str,
    fits: &'static str,
}

impl Kind {
    fn of(key: &Jwk) -> Option<Self> {
        Some(match (key.text("kty")?, key.text("crv")) {
            ("RSA", _) => Self::Rsa,
            ("EC", Some("P-256")) => Self::P256,
            ("EC", Some("P-384")) => Self::P384,
            ("EC", Some("P-521")) => Self::P521,
            ("OKP", Some("Ed25519")) => Self::Ed25519,
            ("oct", _) => Self::Symmetric,
            _ => return None,
        })
    }

    const fn words(self) -> Words {
        let (one, many, fits) = match self {
            Self::Rsa => {
                ("an RSA key", "RSA keys", "one of RS256, RS384, RS512, PS256, PS384 and PS512")
            }
            Self::P256 => ("an EC key on P-256", "EC keys on P-256", "ES256"),
            Self::P384 => ("an EC key on P-384", "EC keys on P-384", "ES384"),
            Self::P521 => ("an EC key on P-521", "EC keys on P-521", "ES512"),
            Self::Ed25519 => ("an Ed25519 key", "Ed25519 keys", "EdDSA"),
            Self::Symmetric => ("a symmetric key", "symmetric keys", "one of HS256 and HS512"),
        };
        Words { one, many, fits }
    }
}

/// The name of an algorithm, what it takes, and how many bytes at least if that is symmetric.
const fn taken(algorithm: &Algorithm) -> Option<(&'static str, Kind, usize)> {
    Some(match algorithm {
        Algorithm::RS256 => ("RS256", Kind::Rsa, 0),
        Algorithm::RS384 => ("RS384", Kind::Rsa, 0),
        Algorithm::RS512 => ("RS512", Kind::Rsa, 0),
        Algorithm::PS256 => ("PS256", Kind::Rsa, 0),
        Algorithm::PS384 => ("PS384", Kind::Rsa, 0),
        Algorithm::PS512 => ("PS512", Kind::Rsa, 0),
        Algorithm::ES256 => ("ES256", Kind::P256, 0),
        Algorithm::ES384 => ("ES384", Kind::P384, 0),
        Algorithm::ES512 => ("ES512", Kind::P521, 0),
        Algorithm::EdDSA => ("EdDSA", Kind::Ed25519, 0),
        Algorithm::HS256 => ("HS256", Kind::Symmetric, 32),
        Algorithm::HS512 => ("HS512", Kind::Symmetric, 64),
        Algorithm::Unknown(_) => return None,
    })
}

/// Whether all keys that were read can be used with the algorithm.
pub fn check(keys: &[Jwk], algorithm: &Algorithm) -> Result<(), ImportError> {
    let (name, wanted, least) = taken(algorithm).ok_or(ImportError::Algorithm)?;
    for (position, key) in (1..).zip(keys) {
        let kind = Kind::of(key).ok_or(ImportError::Algorithm)?;
        if kind != wanted {
            let Words { one, fits, .. } = kind.words();
            let takes = wanted.words().many;
            return Err(ImportError::Misfit { position, is: one, algorithm: name, takes, fits });
        }
        if key.alg().is_some_and(|alg| alg != name) {
            return Err(ImportError::OtherAlgorithm { position, algorithm: name });
        }
        let length = key.expose("k").and_then(from_base64url).map_or(0, |key| key.len());
        if length < least {
            return Err(ImportError::Short { position, algorithm: name });
        }
    }
    Ok(())
}
