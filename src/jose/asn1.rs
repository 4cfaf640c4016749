//! Private keys in PKCS#8 (RFC 5958) and PEM (RFC 7468 section 10).

use pkcs8::{
    AlgorithmIdentifierRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef,
    der::{
        self, Decode, SecretDocument,
        asn1::{AnyRef, OctetStringRef},
    },
};
use secrecy::SecretString;

use super::{Jwk, KeyFlaw, ec::Ec, ed25519::Ed25519, material::Material, rsa::Rsa};

/// `rsaEncryption` of RFC 8017 appendix A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey` of RFC 5480 section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `id-Ed25519` of RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// `id-X25519`, `id-X448` and `id-Ed448` of RFC 8410 section 3.
const OTHER_CURVES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.3.101.110"),
    ObjectIdentifier::new_unwrap("1.3.101.111"),
    ObjectIdentifier::new_unwrap("1.3.101.113"),
];

/// A private key as PEM, which a symmetric key has not.
pub fn to_pem(key: &Jwk) -> Result<SecretString, KeyFlaw> {
    let der = match Material::from_jwk(key)? {
        Material::Rsa(key) => rsa(&key),
        Material::Ec(key) => ec(&key),
        Material::Ed25519(key) => ed25519(&key),
        Material::Symmetric(_) => return Err(KeyFlaw::NoPem),
    };
    let pem = der.and_then(|der| der.to_pem("PRIVATE KEY", LineEnding::LF));
    Ok(SecretString::from(pem.map_err(|_| KeyFlaw::Structure)?.as_str()))
}

fn rsa(key: &Rsa) -> der::Result<SecretDocument> {
    wrapped(RSA, Some(AnyRef::NULL), &key.to_pkcs1()?)
}

fn ec(key: &Ec) -> der::Result<SecretDocument> {
    let curve = key.curve().oid();
    wrapped(EC, Some(AnyRef::from(&curve)), &key.to_sec1()?)
}

fn ed25519(key: &Ed25519) -> der::Result<SecretDocument> {
    let seed = SecretDocument::encode_msg(&OctetStringRef::new(key.private())?)?;
    wrapped(ED25519, None, &seed)
}

fn wrapped(
    oid: ObjectIdentifier,
    parameters: Option<AnyRef<'_>>,
    key: &SecretDocument,
) -> der::Result<SecretDocument> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters };
    let key = OctetStringRef::new(key.as_bytes())?;
    SecretDocument::encode_msg(&PrivateKeyInfoRef::new(algorithm, key))
}

/// Reads the DER of PKCS#8.
pub(super) fn from_der(der: &[u8]) -> Result<Material, KeyFlaw> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyFlaw::Structure)?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        RSA => Rsa::from_pkcs1(key).map(Material::Rsa),
        EC => {
            let curve = info.algorithm.parameters_oid().map_err(|_| KeyFlaw::Structure)?;
            Ec::from_sec1(key, Some(curve)).map(Material::Ec)
        }
        ED25519 => {
            let seed = <&OctetStringRef>::from_der(key).map_err(|_| KeyFlaw::Structure)?;
            let public = info.public_key.as_ref().map(|key| key.raw_bytes());
            Ed25519::of_seed(seed.as_bytes(), public).map(Material::Ed25519)
        }
        oid if OTHER_CURVES.contains(&oid) => Err(KeyFlaw::Curve),
        _ => Err(KeyFlaw::Type),
    }
}
