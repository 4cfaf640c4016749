//! Keys on the curves of NIST (RFC 7518 section 6.2, RFC 5915).

use aws_lc_rs::agreement::{self, PrivateKey};
use pkcs8::{
    ObjectIdentifier,
    der::{self, Decode, SecretDocument},
};
use sec1::{EcParameters, EcPrivateKey};

use super::{
    Jwk, KeyFlaw,
    encoding::{Secret, from_base64url, padded},
};

/// The first byte of a point with both coordinates (SEC1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// `crv` of RFC 7518 section 6.2.1.1.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// RFC 5480 section 2.1.1.1.
    pub(super) const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::P256 => "1.2.840.10045.3.1.7",
            Self::P384 => "1.3.132.0.34",
            Self::P521 => "1.3.132.0.35",
        })
    }

    /// How many bytes a coordinate has, and the private number.
    const fn length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    // It is the library's way from a private number to its point, whatever the key is used for.
    pub(super) const fn agreement(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
        }
    }

    fn of_oid(oid: ObjectIdentifier) -> Result<Self, KeyFlaw> {
        Self::ALL.into_iter().find(|curve| curve.oid() == oid).ok_or(KeyFlaw::Curve)
    }
}

/// A key on a curve, known to be consistent.
pub(super) struct Ec {
    curve: Curve,
    d: Secret,
    /// x and y.
    public: [Vec<u8>; 2],
}

impl Ec {
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyFlaw> {
        let name = jwk.text("crv").ok_or(KeyFlaw::Members)?;
        let curve =
            Curve::ALL.into_iter().find(|curve| curve.name() == name).ok_or(KeyFlaw::Curve)?;
        let number = |text: Option<&str>| {
            let bytes = text.and_then(from_base64url).ok_or(KeyFlaw::Members)?;
            padded(&bytes, curve.length()).ok_or(KeyFlaw::Inconsistent)
        };
        let (x, y) = (number(jwk.text("x"))?, number(jwk.text("y"))?);
        let d = number(Some(jwk.expose("d").ok_or(KeyFlaw::Public)?))?;
        let point = [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
        Self::of_number(curve, &d, Some(&point))
    }

    /// `outer` is the curve that the structure around it names.
    pub(super) fn from_sec1(der: &[u8], outer: Option<ObjectIdentifier>) -> Result<Self, KeyFlaw> {
        let key = EcPrivateKey::from_der(der).map_err(|_| KeyFlaw::Structure)?;
        let inner = key.parameters.and_then(EcParameters::named_curve);
        let curve = match (outer, inner) {
            (Some(outer), Some(inner)) if outer != inner => return Err(KeyFlaw::Inconsistent),
            (Some(oid), _) | (None, Some(oid)) => Curve::of_oid(oid)?,
            (None, None) => return Err(KeyFlaw::Structure),
        };
        Self::of_number(curve, key.private_key, key.public_key)
    }

    /// `point` is what is said to be the public half.
    pub(super) fn of_number(curve: Curve, d: &[u8], point: Option<&[u8]>) -> Result<Self, KeyFlaw> {
        let d = padded(d, curve.length()).ok_or(KeyFlaw::Inconsistent)?;
        let key = PrivateKey::from_private_key(curve.agreement(), &d)
            .map_err(|_| KeyFlaw::Inconsistent)?;
        let derived = key.compute_public_key().map_err(|_| KeyFlaw::Inconsistent)?;
        let (x, y) = coordinates(derived.as_ref(), curve).ok_or(KeyFlaw::Inconsistent)?;
        if point.is_some_and(|point| !is_point(point, x, y)) {
            return Err(KeyFlaw::Inconsistent);
        }
        Ok(Self { curve, d, public: [x.to_vec(), y.to_vec()] })
    }

    /// RFC 5915, without the curve, which the structure around it names.
    pub(super) fn to_sec1(&self) -> Result<SecretDocument, der::Error> {
        let [x, y] = &self.public;
        let point = [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat();
        let key = EcPrivateKey { private_key: &self.d, parameters: None, public_key: Some(&point) };
        SecretDocument::encode_msg(&key)
    }

    pub(super) const fn curve(&self) -> Curve {
        self.curve
    }

    pub(super) fn public(&self) -> [(&'static str, &[u8]); 2] {
        let [x, y] = &self.public;
        [("x", x), ("y", y)]
    }

    pub(super) fn private(&self) -> &[u8] {
        &self.d
    }
}

fn coordinates(point: &[u8], curve: Curve) -> Option<(&[u8], &[u8])> {
    let (form, coordinates) = point.split_first()?;
    let whole = *form == UNCOMPRESSED && coordinates.len() == 2 * curve.length();
    whole.then(|| coordinates.split_at(curve.length()))
}

/// Whether these bytes are the point, in either form of SEC1 section 2.3.3.
fn is_point(point: &[u8], x: &[u8], y: &[u8]) -> bool {
    let Some((form, coordinates)) = point.split_first() else { return false };
    let odd = y.last().is_some_and(|last| last & 1 == 1);
    match form {
        4 => coordinates.strip_prefix(x) == Some(y),
        2 | 3 => coordinates == x && odd == (*form == 3),
        _ => false,
    }
}
