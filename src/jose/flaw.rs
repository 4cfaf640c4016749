//! Why a key cannot be used.

use super::NotAJwk;

/// Why a key cannot be used: what follows "the key" in a sentence. None quotes anything of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFlaw {
    /// It is no JSON Web Key at all.
    #[error("is no JSON Web Key: {0}")]
    NotAJwk(#[from] NotAJwk),
    /// A member is missing, of another type, or not base64url.
    #[error(
        "lacks a member that its type requires (RFC 7518 section 6, RFC 8037), or has one that is not base64url"
    )]
    Members,
    /// What it holds between the lines of PEM is not what its label says.
    #[error("is no well-formed PKCS#8, PKCS#1 or SEC1 structure with a named curve")]
    Structure,
    /// A block of PEM is not as RFC 7468 has it.
    #[error("is malformed PEM: it needs a BEGIN line, base64 and the END line of the same label")]
    Pem,
    /// It needs a passphrase.
    #[error("is encrypted, and the operator has no passphrase: store it decrypted")]
    Encrypted,
    /// Its private half is not there.
    #[error("is a public key or a certificate, and a private key is needed")]
    Public,
    /// No key type that is known here.
    #[error(
        "is of a type that is not supported: RSA, EC and Ed25519 keys are, and symmetric keys as JWK"
    )]
    Type,
    /// No curve that is known here.
    #[error("is on a curve that is not supported: P-256, P-384, P-521 and Ed25519 are")]
    Curve,
    /// An RSA key below 2048 bits.
    #[error("is an RSA key of less than 2048 bits, which is too weak")]
    Weak,
    /// An RSA key above 8192 bits.
    #[error("is an RSA key of more than 8192 bits, which is not supported")]
    Large,
    /// A public exponent that Hydra cannot use.
    #[error("is an RSA key whose public exponent is not an odd number from 3 to 2147483647")]
    Exponent,
    /// An RSA key without its primes.
    #[error(
        "is an RSA key without p, q, dp, dq and qi: write all of them (RFC 7518 section 6.3.2)"
    )]
    NoPrimes,
    /// The private half is not that of the public half.
    #[error("is inconsistent: its private half does not belong to its public half")]
    Inconsistent,
    /// A kid that could not be part of a path.
    #[error(
        "has a kid other than 1 to 255 of the characters A-Z a-z 0-9 . _ ~ - (and not . or .. alone)"
    )]
    Kid,
    /// A name is no text.
    #[error("has a kid, alg or use that is no text")]
    Names,
    /// A symmetric key without a name. Its thumbprint would tell something about it (RFC 7638 section 7).
    #[error("is a symmetric key without a kid, and none can be derived from it: write one")]
    NoKid,
    /// A symmetric key of no bytes.
    #[error("is an empty symmetric key")]
    Empty,
    /// PEM has no form for it.
    #[error("is a symmetric key, which has no form in PEM")]
    NoPem,
}
