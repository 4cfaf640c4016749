//! What a key consists of, whatever form it comes in.

use secrecy::SecretString;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    Jwk, KeyFlaw, PublicJwk,
    ec::Ec,
    ed25519::{self, Ed25519},
    encoding::{Secret, base64url, from_base64url},
    rsa::Rsa,
};

/// A private key, known to be consistent.
pub(super) enum Material {
    Rsa(Rsa),
    Ec(Ec),
    Ed25519(Ed25519),
    Symmetric(Secret),
}

impl Material {
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyFlaw> {
        match jwk.text("kty") {
            Some("RSA") => Rsa::from_jwk(jwk).map(Self::Rsa),
            Some("EC") => Ec::from_jwk(jwk).map(Self::Ec),
            Some("OKP") => Ed25519::from_jwk(jwk).map(Self::Ed25519),
            Some("oct") => symmetric(jwk).map(Self::Symmetric),
            _ => Err(KeyFlaw::Type),
        }
    }

    /// The key in the form of RFC 7518 and RFC 8037, with no members but those of its type.
    pub(super) fn to_jwk(&self) -> Jwk {
        match self {
            Self::Rsa(key) => of("RSA", None, &key.public(), key.private()),
            Self::Ec(key) => {
                of("EC", Some(key.curve().name()), &key.public(), [("d", key.private())])
            }
            Self::Ed25519(key) => {
                of("OKP", Some(ed25519::CURVE), &[("x", key.public())], [("d", key.private())])
            }
            Self::Symmetric(key) => of("oct", None, &[], [("k", key.as_slice())]),
        }
    }
}

/// An RSA key with the members that follow from its others, where Hydra 1 leaves them out (RFC 7518 section 6.3.2: all of
/// them are present, or none). Any other key as it is.
#[must_use]
pub fn completed(jwk: Jwk) -> Jwk {
    let is_whole = jwk.text("kty") != Some("RSA") || jwk.expose("qi").is_some();
    if is_whole || !jwk.is_private() {
        return jwk;
    }
    let whole = Material::from_jwk(&jwk).ok().map(|material| material.to_jwk());
    whole.and_then(|whole| whole.with_names_of(&jwk)).unwrap_or(jwk)
}

fn symmetric(jwk: &Jwk) -> Result<Secret, KeyFlaw> {
    let key = jwk.expose("k").and_then(from_base64url).ok_or(KeyFlaw::Members)?;
    if key.is_empty() { Err(KeyFlaw::Empty) } else { Ok(key) }
}

fn of<'a>(
    kty: &str,
    crv: Option<&str>,
    public: &[(&'static str, &[u8])],
    private: impl IntoIterator<Item = (&'static str, &'a [u8])>,
) -> Jwk {
    let mut members = PublicJwk::new();
    members.insert("kty".to_owned(), kty.into());
    members.extend(crv.map(|crv| ("crv".to_owned(), Value::from(crv))));
    members.extend(
        public.iter().map(|(name, value)| ((*name).to_owned(), Value::from(base64url(value)))),
    );
    let secret = |value| SecretString::from(Zeroizing::new(base64url(value)).as_str());
    Jwk::of_halves(members, private.into_iter().map(|(name, value)| (name, secret(value))))
}
