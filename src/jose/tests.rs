//! Keys in all their forms.

use std::collections::BTreeSet;

use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{vectors::*, *};
use crate::api::jsonwebkeyset::Algorithm;

fn jwk(value: Value) -> Jwk {
    Jwk::from_value(value).unwrap()
}

fn changed(mut key: Value, member: &str, value: impl Into<Value>) -> Value {
    key[member] = value.into();
    key
}

fn public(key: Value) -> PublicJwk {
    jwk(key).public().unwrap().clone()
}

#[test]
fn each_algorithm_has_a_key_that_survives_pem() {
    for (name, kty, crv, modulus) in [
        ("RS256", "RSA", None, 4096),
        ("PS256", "RSA", None, 2048),
        ("PS384", "RSA", None, 2048),
        ("PS512", "RSA", None, 2048),
        ("ES256", "EC", Some("P-256"), 0),
        ("ES384", "EC", Some("P-384"), 0),
        ("ES512", "EC", Some("P-521"), 0),
        ("EdDSA", "OKP", Some("Ed25519"), 0),
    ] {
        let algorithm = Algorithm::named(name);
        let key = generate(&algorithm, "a", "sig").unwrap();
        assert_eq!((key.text("kty"), key.text("crv")), (Some(kty), crv), "{name}");
        assert_eq!(
            (key.kid(), key.alg(), key.text("use")),
            (Some("a"), Some(name), Some("sig")),
            "{name}"
        );
        let n = key.text("n").and_then(encoding::from_base64url).unwrap_or_default();
        assert_eq!(n.len() * 8, modulus, "{name}");
        let pem = to_pem(&key).unwrap();
        let read = import::read(&[("key.pem", pem.expose_secret().as_bytes())]).unwrap();
        let [read] = read.try_into().ok().unwrap();
        assert!(import::check(std::slice::from_ref(&read), &algorithm).is_ok());
        assert!(read.named("a", name, "sig").expose_value() == key.expose_value(), "{name}");
    }
}

#[test]
fn no_two_keys_are_the_same() {
    let one = || generate(&Algorithm::EdDSA, "a", "sig").unwrap().public().unwrap().clone();
    assert!(!same_key(&one(), &one()));
}

#[test]
fn symmetric_keys_are_as_long_as_their_hash() {
    for (name, length) in [("HS256", 32), ("HS512", 64)] {
        let algorithm = Algorithm::named(name);
        let [one, other] = [(); 2].map(|()| generate(&algorithm, "a", "sig").unwrap());
        assert!(one.is_symmetric() && one.public().is_none());
        assert_eq!((one.kid(), one.alg(), one.text("use")), (Some("a"), Some(name), Some("sig")));
        assert_eq!(one.expose("k").and_then(encoding::from_base64url).unwrap().len(), length);
        assert!(one.expose("k") != other.expose("k"), "two keys are the same");
        assert!(import::check(&[one], &algorithm).is_ok());
    }
}

#[test]
fn unknown_keys_are_not_made() {
    for algorithm in ["none", ""].map(Algorithm::named) {
        let made = generate(&algorithm, "a", "sig");
        assert_eq!(made.err(), Some(GenerateError::Algorithm));
    }
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    for (key, thumb) in [
        (rsa_key(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (ed25519_key(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        assert_eq!(thumbprint(&public(key)), thumb);
    }
}

#[test]
fn the_same_key_has_any_names() {
    for key in [rsa_key(), p256_key(), p521_key(), ed25519_key()] {
        let renamed = changed(changed(key.clone(), "kid", "other"), "x5c", json!(["x"]));
        assert!(same_key(&public(key.clone()), &public(renamed)));
        let member = if key["kty"] == "RSA" { "n" } else { "x" };
        let other = public(changed(key.clone(), member, "AQAB"));
        assert!(!same_key(&public(key), &other));
    }
}

#[test]
fn what_lacks_a_member_is_the_same_as_nothing() {
    for key in
        [json!({ "kty": "RSA", "e": "AQAB" }), json!({ "kty": "other" }), json!({ "kty": "oct" })]
    {
        let key = key.as_object().unwrap();
        assert!(!same_key(key, key));
    }
    let thumbs = ["a", "b"].map(|n| thumbprint(&public(json!({ "kty": "RSA", "n": n }))));
    assert_ne!(thumbs[0], thumbs[1]);
}

#[test]
fn all_types_have_pem_but_the_symmetric_one() {
    for key in [rsa_key(), p256_key(), p521_key(), ed25519_key()] {
        let pem = to_pem(&jwk(key)).unwrap();
        assert!(pem.expose_secret().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(pem.expose_secret().ends_with("-----END PRIVATE KEY-----\n"));
    }
    let key = jwk(json!({ "kty": "oct", "k": "c2VjcmV0" }));
    assert_eq!(to_pem(&key).err(), Some(KeyFlaw::NoPem));
    assert_eq!(to_pem(&jwk(p256_key()).into_public()).err(), Some(KeyFlaw::Public));
}

/// RFC 8410 section 10.3 has the bytes that precede the 32 of the key.
#[test]
fn an_ed25519_key_is_written_as_others_write_it() {
    let pem = to_pem(&jwk(ed25519_key())).unwrap();
    let body: String = pem.expose_secret().lines().filter(|line| !line.starts_with('-')).collect();
    let der = encoding::from_base64(&body).unwrap();
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    assert_eq!(der[..16], prefix);
    assert_eq!(der.len(), 48);
}

#[test]
fn no_part_of_a_key_can_be_another() {
    for key in [rsa_key(), p256_key(), p521_key(), ed25519_key()] {
        for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"] {
            if key.get(member).is_none() {
                continue;
            }
            let flaw = |value| {
                let changed = changed(key.clone(), member, value);
                material::Material::from_jwk(&jwk(changed)).err().unwrap()
            };
            assert_eq!(flaw("not base64url!"), KeyFlaw::Members);
            assert!(
                [KeyFlaw::Inconsistent, KeyFlaw::Weak].contains(&flaw("Aw")),
                "{member} of {}",
                key["kty"]
            );
        }
    }
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    let number = |bytes: Vec<u8>| encoding::base64url(&bytes);
    for (member, value, expected) in [
        ("n", number(vec![255; 255]), KeyFlaw::Weak),
        ("n", number([[1].as_slice(), &[1; 1024]].concat()), KeyFlaw::Large),
        ("e", number(vec![]), KeyFlaw::Exponent),
        ("e", number(vec![1]), KeyFlaw::Exponent),
        ("e", number(vec![4]), KeyFlaw::Exponent),
        ("e", number(vec![255; 4]), KeyFlaw::Exponent),
        ("d", number(vec![]), KeyFlaw::Inconsistent),
        ("d", number(vec![255; 700]), KeyFlaw::Inconsistent),
    ] {
        let key = jwk(changed(rsa_key(), member, value));
        assert_eq!(material::Material::from_jwk(&key).err(), Some(expected), "{member}");
    }
    for zero in [vec![], vec![0; 32], vec![255; 32], vec![1; 33]] {
        let key = jwk(changed(p256_key(), "d", number(zero)));
        assert_eq!(material::Material::from_jwk(&key).err(), Some(KeyFlaw::Inconsistent));
    }
}

#[test]
fn leading_zeros_do_not_matter() {
    let n = encoding::from_base64url(rsa_key()["n"].as_str().unwrap()).unwrap();
    let padded = encoding::base64url(&[&[0, 0], n.as_slice()].concat());
    let key = material::Material::from_jwk(&jwk(changed(rsa_key(), "n", padded))).unwrap().to_jwk();
    assert!(same_key(key.public().unwrap(), &public(rsa_key())));
}

#[test]
fn only_members_of_the_type_come_through() {
    let key = changed(changed(p256_key(), "priv", "secret"), "n", "AQAB");
    let key = material::Material::from_jwk(&jwk(key)).unwrap().to_jwk().expose_value();
    let members: BTreeSet<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["crv", "d", "kty", "x", "y"].into());
}

proptest! {
    /// Whatever is changed in a member, the key is refused or is the same.
    #[test]
    fn an_altered_number_is_noticed(kind in 0..4_usize, member in 0..8_usize, at: prop::sample::Index, bit in 0..8_u8) {
        let key = [rsa_key(), p256_key(), p521_key(), ed25519_key()][kind].clone();
        let members: Vec<&str> = ["n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"]
            .into_iter().filter(|member| key.get(member).is_some()).collect();
        let member = members[member % members.len()];
        let mut bytes = encoding::from_base64url(key[member].as_str().unwrap()).unwrap();
        let index = at.index(bytes.len());
        bytes[index] ^= 1 << bit;
        let changed = changed(key, member, encoding::base64url(&bytes));
        prop_assert!(material::Material::from_jwk(&jwk(changed)).is_err());
    }

    #[test]
    fn der_of_any_bytes_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(asn1::from_der(&bytes).is_err());
        prop_assert!(rsa::Rsa::from_pkcs1(&bytes).is_err());
        prop_assert!(ec::Ec::from_sec1(&bytes, Some(ec::Curve::P256.oid())).is_err());
    }
}
