//! RSA keys of two primes (RFC 7518 section 6.3, RFC 8017 appendix A.1.2).

use aws_lc_rs::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use num_bigint::BigUint;
use pkcs1::{RsaPrivateKeyRef, UintRef};
use pkcs8::der::{self, Decode, SecretDocument};

use super::{
    Jwk, KeyFlaw,
    encoding::{Secret, from_base64url, minimal},
};

/// The private members, in the order of the PKCS#1 structure.
const PRIVATE: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];
/// Those that follow from the ones before.
const DERIVED: [&str; 3] = ["dp", "dq", "qi"];
const MIN_BITS: usize = 2048;
const MAX_BITS: usize = 8192;

/// An RSA key, known to be consistent. Its numbers have no leading zeros.
pub(super) struct Rsa {
    n: Vec<u8>,
    e: Vec<u8>,
    private: [Secret; 6],
}

impl Rsa {
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, KeyFlaw> {
        let public = |member| jwk.text(member).and_then(from_base64url).ok_or(KeyFlaw::Members);
        let (n, e) = (public("n")?, public("e")?);
        if jwk.expose("d").is_none() {
            return Err(KeyFlaw::Public);
        }
        let mut private: [Secret; 6] = Default::default();
        for (number, member) in private.iter_mut().zip(PRIVATE) {
            match jwk.expose(member) {
                Some(text) => *number = from_base64url(text).ok_or(KeyFlaw::Members)?,
                // What follows from the others is worked out: Hydra 1 shows no more of its keys.
                None if DERIVED.contains(&member) => {}
                None => return Err(KeyFlaw::NoPrimes),
            }
        }
        complete(&mut private);
        Self::new(&n, &e, private.each_ref().map(|number| number.as_slice()))
    }

    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyFlaw> {
        let key = RsaPrivateKeyRef::from_der(der).map_err(|_| KeyFlaw::Structure)?;
        if key.other_prime_infos.is_some() {
            return Err(KeyFlaw::ManyPrimes);
        }
        let private = [
            &key.private_exponent,
            &key.prime1,
            &key.prime2,
            &key.exponent1,
            &key.exponent2,
            &key.coefficient,
        ];
        let private = private.map(UintRef::as_bytes);
        Self::new(key.modulus.as_bytes(), key.public_exponent.as_bytes(), private)
    }

    fn new(n: &[u8], e: &[u8], private: [&[u8]; 6]) -> Result<Self, KeyFlaw> {
        let (n, e) = (minimal(n), minimal(e));
        match bits(n) {
            ..MIN_BITS => return Err(KeyFlaw::Weak),
            MIN_BITS..=MAX_BITS => {}
            _ => return Err(KeyFlaw::Large),
        }
        // Go, in which Hydra is written, keeps it in 31 bits.
        let odd = e.last().is_some_and(|last| last & 1 == 1);
        if !odd || !(2..32).contains(&bits(e)) {
            return Err(KeyFlaw::Exponent);
        }
        // Whether they belong together is decided by arithmetic, which numbers longer than n would make expensive.
        let private = private.map(minimal);
        if private.iter().any(|number| number.is_empty() || number.len() > n.len()) {
            return Err(KeyFlaw::Inconsistent);
        }
        check(n, e, private)?;
        let private = private.map(|number| Secret::new(number.to_vec()));
        Ok(Self { n: n.to_vec(), e: e.to_vec(), private })
    }

    pub(super) fn to_pkcs1(&self) -> der::Result<SecretDocument> {
        let [d, p, q, dp, dq, qi] = self.private.each_ref().map(|number| UintRef::new(number));
        let key = RsaPrivateKeyRef {
            modulus: UintRef::new(&self.n)?,
            public_exponent: UintRef::new(&self.e)?,
            private_exponent: d?,
            prime1: p?,
            prime2: q?,
            exponent1: dp?,
            exponent2: dq?,
            coefficient: qi?,
            other_prime_infos: None,
        };
        SecretDocument::encode_msg(&key)
    }

    pub(super) fn public(&self) -> [(&'static str, &[u8]); 2] {
        [("n", &self.n), ("e", &self.e)]
    }

    pub(super) fn private(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        PRIVATE.into_iter().zip(self.private.iter().map(|number| number.as_slice()))
    }
}

/// Works out those of `dp`, `dq` and `qi` that are missing (RFC 8017 section 3.2). Whether the key is consistent shows later.
fn complete(private: &mut [Secret; 6]) {
    // Longer numbers are no key that is accepted, and would make this expensive.
    if private.iter().any(|number| number.len() > MAX_BITS / 8) {
        return;
    }
    let number = |n: usize| BigUint::from_bytes_be(&private[n]);
    let (d, p, q) = (number(0), number(1), number(2));
    let one = BigUint::from(1_u8);
    if p <= one || q <= one {
        return;
    }
    // By Fermat's theorem, as p is a prime.
    let inverse = || q.modpow(&(&p - 2_u8), &p);
    let derived = [&d % (&p - &one), &d % (&q - &one), inverse()];
    for (missing, number) in private.iter_mut().skip(3).zip(derived) {
        if missing.is_empty() {
            *missing = Secret::new(number.to_bytes_be());
        }
    }
}

/// The length of a number without leading zeros.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[expect(clippy::many_single_char_names, reason = "the names are those of RFC 8017")]
fn check(n: &[u8], e: &[u8], private: [&[u8]; 6]) -> Result<(), KeyFlaw> {
    let [d, p, q, dp, dq, qi] = private;
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n, e },
        d,
        p,
        q,
        dP: dp,
        dQ: dq,
        qInv: qi,
    };
    KeyPair::from_components(&components).map(drop).map_err(|_| KeyFlaw::Inconsistent)
}
