//! The implementation of JOSE that is not ours does what a test needs of it.

use serde_json::{Value, json};

use crate::support::jose::{self, SigningKey};

/// With the size of their keys.
const ALGORITHMS: [(&str, &str, u32); 10] = [
    ("RS256", "RSA", 2048),
    ("RS384", "RSA", 2048),
    ("RS512", "RSA", 2048),
    ("PS256", "RSA", 2048),
    ("PS384", "RSA", 2048),
    ("PS512", "RSA", 2048),
    ("ES256", "EC", 256),
    ("ES384", "EC", 384),
    ("ES512", "EC", 521),
    ("EdDSA", "OKP", 256),
];

#[test]
fn a_key_of_each_algorithm_signs_in_each_form() {
    for (alg, kty, size) in ALGORITHMS {
        let key = jose::generate(alg, "one");
        let private = json!({ "keys": [key.jwk] });
        let public = json!({ "keys": [key.public_jwk()] });

        let [loaded, of_public] = [&private, &public].map(|jwks| jose::load_jwks(jwks).unwrap());
        let loaded = &loaded[0];
        let names = [&loaded.kid, &loaded.alg, &loaded.r#use, &loaded.kty].map(String::as_str);
        assert_eq!(names, ["one", alg, "sig", kty]);
        assert_eq!((loaded.size, loaded.private, loaded.valid), (size, true, true), "{alg}");
        assert_eq!((of_public[0].private, of_public[0].valid), (false, true), "{alg}");
        assert_eq!(of_public[0].thumbprint, loaded.thumbprint, "{alg}");

        let pem = key.pkcs8.clone().unwrap();
        let of_pem = jose::load_pem(&pem).unwrap();
        assert_eq!((of_pem[0].kty.as_str(), of_pem[0].size), (kty, size), "{alg}");
        let found = jose::load_jwks(&json!({ "keys": [of_pem[0].public] })).unwrap();
        assert_eq!(found[0].thumbprint, loaded.thumbprint, "{alg}");

        let by_pem = SigningKey::Pem { pem, kid: "one".to_owned(), alg: alg.to_owned() };
        for by in [key.signing_key(), by_pem] {
            let jws = jose::sign(&by, r#"{"sub":"me"}"#).unwrap();
            let verified = jose::verify(&public, &jws).unwrap();
            assert_eq!((verified.kid.as_str(), verified.alg.as_str()), ("one", alg));
            assert_eq!(verified.claims(), json!({ "sub": "me" }));
        }
    }
}

#[test]
fn a_secret_signs() {
    for (alg, size) in [("HS256", 256), ("HS512", 512)] {
        let key = jose::generate(alg, "one");
        let keys = json!({ "keys": [key.jwk] });
        let loaded = &jose::load_jwks(&keys).unwrap()[0];
        assert_eq!((loaded.kty.as_str(), loaded.size, loaded.private), ("oct", size, true));
        let jws = jose::sign(&key.signing_key(), "text").unwrap();
        assert_eq!(jose::verify(&keys, &jws).unwrap().payload, "text");
        assert!(key.pkcs8.is_none());
    }
}

#[test]
fn a_signature_is_checked_with_the_key_that_it_names() {
    let (one, two) = (jose::generate("ES256", "one"), jose::generate("ES256", "two"));
    let jws = jose::sign(&one.signing_key(), "text").unwrap();
    let verify = |keys: &[Value]| jose::verify(&json!({ "keys": keys }), &jws);
    let with = |key: Value, member: &str, value: &str| {
        let mut key = key;
        key[member] = value.into();
        key
    };

    assert_eq!(verify(&[two.public_jwk(), one.public_jwk()]).unwrap().kid, "one");
    for (keys, why) in [
        (vec![], "no key"),
        (vec![two.public_jwk()], "no key"),
        (vec![with(two.public_jwk(), "kid", "one")], "error in cryptographic primitive"),
        (vec![with(one.public_jwk(), "alg", "ES384")], "by a key for ES384"),
        (vec![one.public_jwk(), with(two.public_jwk(), "kid", "one")], "2 keys"),
    ] {
        let refused = verify(&keys).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    }
    let mut altered = jws.clone();
    altered.replace_range(0..1, "f");
    assert!(jose::verify(&json!({ "keys": [one.public_jwk()] }), &altered).is_err());
}

#[test]
fn what_is_no_key_is_refused() {
    let (ec, rsa) = (jose::generate("ES256", "one"), jose::generate_rsa("RS256", "two", 1024));
    assert_eq!(jose::load_jwks(&json!({ "keys": [rsa.jwk] })).unwrap()[0].size, 1024);

    let pkcs8 = ec.pkcs8.clone().unwrap();
    let two = format!("{pkcs8}{}", rsa.pkcs8.as_ref().unwrap());
    assert_eq!(jose::load_pem(&two).unwrap().len(), 2);
    let encrypted = pkcs8.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (pem, why) in [
        ("", "no key"),
        ("text", "no PEM"),
        (&format!("{pkcs8}text"), "no PEM"),
        (&format!("text\n{pkcs8}"), "no PEM"),
        (&encrypted, "not PKCS#8"),
        (rsa.pkcs1.as_ref().unwrap(), "not PKCS#8"),
        (ec.sec1.as_ref().unwrap(), "not PKCS#8"),
    ] {
        let refused = jose::load_pem(pem).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    }

    let mut mixed = ec.jwk.clone();
    mixed["d"] = jose::generate("ES256", "other").jwk["d"].clone();
    for (jwks, why) in [
        (json!({ "keys": [mixed] }), "does not belong to the public one"),
        (json!({ "keys": [{ "kty": "what" }] }), "key 0"),
        (json!({ "keys": [ec.jwk, { "kty": "EC", "crv": "P-256" }] }), "key 1"),
        (ec.jwk.clone(), "no JSON Web Key set"),
    ] {
        let refused = jose::load_jwks(&jwks).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    }
    let mut without_half = ec.signing_key();
    if let SigningKey::Jwks { jwks, .. } = &mut without_half {
        *jwks = json!({ "keys": [ec.public_jwk()] });
    }
    assert_eq!(jose::sign(&without_half, "text").unwrap_err(), "the key has no private half");
}
