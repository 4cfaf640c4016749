//! What is read, and what is refused in which words.

use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::jsonwebkeyset::Algorithm,
    jose::{
        asn1, ec,
        encoding::{base64url, from_base64},
        generate, rsa, same_key, to_pem,
        vectors::{ed25519_key, p256_key, p521_key, rsa_key},
    },
};

const RSA_THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

fn jwk(value: Value) -> Jwk {
    Jwk::from_value(value).unwrap()
}

fn changed(mut key: Value, member: &str, value: impl Into<Value>) -> Value {
    key[member] = value.into();
    key
}

fn without(mut key: Value, members: &[&str]) -> Value {
    for member in members {
        key.as_object_mut().unwrap().remove(*member);
    }
    key
}

fn pkcs8(key: Value) -> String {
    to_pem(&jwk(key)).unwrap().expose_secret().to_owned()
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};

    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn pkcs1() -> String {
    pem(
        "RSA PRIVATE KEY",
        rsa::Rsa::from_jwk(&jwk(rsa_key())).unwrap().to_pkcs1().unwrap().as_bytes(),
    )
}

/// With the curve in it, as openssl writes it: RFC 5915 section 3.
fn sec1() -> String {
    use sec1::{EcParameters, EcPrivateKey, der::Encode};

    let der = ec::Ec::from_jwk(&jwk(p256_key())).unwrap().to_sec1().unwrap();
    let mut key: EcPrivateKey<'_> = der.decode_msg().unwrap();
    key.parameters = Some(EcParameters::NamedCurve(ec::Curve::P256.oid()));
    key.public_key = None;
    pem("EC PRIVATE KEY", &key.to_der().unwrap())
}

fn one(content: &str) -> Result<Vec<Jwk>, ImportError> {
    read(&[("file", content.as_bytes())])
}

fn kids(keys: &[Jwk]) -> Vec<&str> {
    keys.iter().map(|key| key.kid().unwrap()).collect()
}

fn flaw(content: &str) -> (usize, KeyFlaw) {
    match one(content).err() {
        Some(ImportError::Key(place, flaw)) => (place.position, flaw),
        other => panic!("{other:?}"),
    }
}

fn named(kid: &str) -> Value {
    changed(ed25519_key(), "kid", kid)
}

#[test]
fn a_set_keeps_its_order_and_its_names() {
    let set = json!({ "keys": [rsa_key(), p256_key(), p521_key()] });
    let keys = one(&set.to_string()).unwrap();
    assert_eq!(kids(&keys)[..2], ["2011-04-29", "1"]);
    assert_eq!((keys[0].alg(), keys[1].text("use")), (Some("RS256"), Some("enc")));
    assert!(keys[0].expose_value() == rsa_key() && keys[1].expose_value() == p256_key());
    assert_eq!(keys[2].kid(), Some(thumbprint(keys[2].public().unwrap()).as_str()));
}

#[test]
fn a_single_key_is_read_too() {
    let keys = one(&format!("\u{feff} {}\n", without(rsa_key(), &["kid"]))).unwrap();
    assert_eq!(kids(&keys), [RSA_THUMBPRINT]);
}

#[test]
fn documents_are_read_in_the_order_given() {
    let (b, a) = (named("b").to_string(), named("a").to_string());
    let keys = read(&[("b", b.as_bytes()), ("a", a.as_bytes())]).unwrap();
    assert_eq!(kids(&keys), ["b", "a"]);
}

#[test]
fn all_forms_of_pem_are_read() {
    for (text, key) in [(pkcs1(), rsa_key()), (sec1(), p256_key()), (pkcs8(p521_key()), p521_key())]
    {
        let keys = one(&text).unwrap();
        assert!(same_key(keys[0].public().unwrap(), jwk(key).public().unwrap()));
        assert!(keys[0].is_private());
    }
}

#[test]
fn a_pem_file_has_several_blocks_and_text_around_them() {
    let parameters = pem("EC PARAMETERS", &[6, 8, 42, 134, 72, 206, 61, 3, 1, 7]);
    let text = format!(
        "Bag Attributes\n  name: a\n{}\n{parameters}{}# the end\n{}",
        pkcs1(),
        sec1(),
        pkcs8(ed25519_key())
    );
    for text in [text.clone(), text.replace('\n', "\r\n"), text.replace('\n', "\n    ")] {
        let types: Vec<_> =
            one(&text).unwrap().iter().map(|key| key.text("kty").unwrap().to_owned()).collect();
        assert_eq!(types, ["RSA", "EC", "OKP"]);
    }
}

/// The bodies of older tools are of one line, or of other widths.
#[test]
fn the_width_of_the_lines_does_not_matter() {
    let text = pkcs1();
    let (first, rest) = text.split_once('\n').unwrap();
    let (body, last) = rest.trim_end().rsplit_once('\n').unwrap();
    let text = format!("{first}\n{}\n{last}", body.replace('\n', ""));
    assert_eq!(kids(&one(&text).unwrap()), [RSA_THUMBPRINT]);
}

#[test]
fn malformed_pem_is_refused_with_its_place() {
    let good = pkcs8(ed25519_key());
    for bad in [
        good.replace("-----END PRIVATE KEY-----\n", ""),
        good.replace("-----END PRIVATE", "-----END RSA PRIVATE"),
        good.replace("BEGIN PRIVATE KEY-----\n", "BEGIN PRIVATE KEY-----\n*"),
        good.replace("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY\n"),
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n".to_owned(),
    ] {
        assert_eq!(flaw(&format!("{}{bad}", pkcs1())), (2, KeyFlaw::Pem), "{bad}");
    }
    assert_eq!(flaw(&pem("PRIVATE KEY", b"no DER")), (1, KeyFlaw::Structure));
    assert_eq!(flaw(&pem("EC PRIVATE KEY", b"no DER")), (1, KeyFlaw::Structure));
}

#[test]
fn encrypted_pem_is_refused_as_such() {
    assert_eq!(flaw(&pem("ENCRYPTED PRIVATE KEY", &[1])), (1, KeyFlaw::Encrypted));
    let headers = "RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
    let text = pkcs1().replacen("RSA PRIVATE KEY-----\n", headers, 1);
    assert_eq!(flaw(&text), (1, KeyFlaw::Encrypted));
}

#[test]
fn a_public_key_is_refused_as_such() {
    for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
        assert_eq!(flaw(&pem(label, &[1])), (1, KeyFlaw::Public));
    }
    for key in [rsa_key(), p256_key(), ed25519_key()] {
        let set = json!({ "keys": [named("a"), without(key, &["d"])] });
        assert_eq!(flaw(&set.to_string()), (2, KeyFlaw::Public));
    }
}

#[test]
fn what_is_not_supported_is_named() {
    for label in ["OPENSSH PRIVATE KEY", "DSA PRIVATE KEY", ""] {
        assert_eq!(flaw(&pem(label, &[1])).1, KeyFlaw::Type);
    }
    for (key, expected) in [
        (changed(p256_key(), "crv", "secp256k1"), KeyFlaw::Curve),
        (changed(ed25519_key(), "crv", "X25519"), KeyFlaw::Curve),
        (changed(p256_key(), "kty", "AKP"), KeyFlaw::Type),
        (without(p256_key(), &["crv"]), KeyFlaw::Members),
        (without(rsa_key(), &["p", "q", "dp", "dq", "qi"]), KeyFlaw::NoPrimes),
        (without(rsa_key(), &["q"]), KeyFlaw::NoPrimes),
        (changed(rsa_key(), "n", base64url(&[255; 128])), KeyFlaw::Weak),
        (changed(rsa_key(), "n", base64url(&[255; 1025])), KeyFlaw::Large),
        (changed(p256_key(), "d", "AQ"), KeyFlaw::Inconsistent),
        (changed(p256_key(), "kid", 1), KeyFlaw::Names),
        (json!({ "kty": "oct", "k": "" , "kid": "a" }), KeyFlaw::Empty),
        (json!({ "kty": "oct", "k": "c2VjcmV0" }), KeyFlaw::NoKid),
    ] {
        assert_eq!(flaw(&key.to_string()), (1, expected));
    }
}

#[test]
fn a_kid_is_what_a_path_can_hold() {
    let long = "a".repeat(256);
    for kid in ["", "a/b", "public:a", "ä", " ", ".", "..", &long] {
        assert_eq!(flaw(&named(kid).to_string()), (1, KeyFlaw::Kid), "{kid}");
    }
    for kid in ["A.z_0~-", "...", &long[1..]] {
        assert_eq!(kids(&one(&named(kid).to_string()).unwrap()), [kid]);
    }
}

#[test]
fn no_two_keys_have_one_kid() {
    let (first, second) = (json!({ "keys": [named("a"), named("b")] }), named("b"));
    let (first, second) = (first.to_string(), second.to_string());
    let error = read(&[("x", first.as_bytes()), ("y", second.as_bytes())]).err().unwrap();
    assert_eq!(
        error.to_string(),
        "key 1 of y has the same kid as key 2 of x: each key needs its own"
    );
    let twice = format!("{}{}", sec1(), sec1());
    assert!(matches!(one(&twice).err(), Some(ImportError::SameKid(..))));
}

#[test]
fn what_is_no_key_at_all_is_told_apart() {
    let file = || "file".to_owned();
    for (content, expected) in [
        ("", ImportError::NoKey(file())),
        (" \n", ImportError::NoKey(file())),
        (r#"{"keys":[]}"#, ImportError::NoKey(file())),
        (
            "-----BEGIN EC PARAMETERS-----\nBgg=\n-----END EC PARAMETERS-----",
            ImportError::NoKey(file()),
        ),
        ("{", ImportError::Json(file())),
        ("{} {}", ImportError::Json(file())),
        ("{}", ImportError::Form(file())),
        ("[]", ImportError::Form(file())),
        (r#"{"keys":{}}"#, ImportError::Form(file())),
        ("ssh-ed25519 AAAA", ImportError::Form(file())),
    ] {
        assert_eq!(one(content).err(), Some(expected), "{content}");
    }
    assert_eq!(read(&[]).err(), Some(ImportError::Nothing));
    assert_eq!(read(&[("file", &[0xff, 0xfe])]).err(), Some(ImportError::Form(file())));
    assert_eq!(flaw(r#"{"keys":[1]}"#).0, 1);
    let deep = format!("{{\"keys\":{}", "[".repeat(100_000));
    assert_eq!(one(&deep).err(), Some(ImportError::Json(file())));
}

#[test]
fn there_is_a_limit_to_everything() {
    let half = " ".repeat(500_001);
    let documents = [("a", half.as_bytes()), ("b", half.as_bytes())];
    assert_eq!(read(&documents).err(), Some(ImportError::TooLong));
    let set = |count: usize| {
        let keys: Vec<Value> = (0..count).map(|kid| named(&kid.to_string())).collect();
        json!({ "keys": keys }).to_string()
    };
    assert_eq!(one(&set(50)).unwrap().len(), 50);
    assert_eq!(one(&set(51)).err(), Some(ImportError::TooMany));
    let (many, more) = (set(50), named("a").to_string());
    let documents = [("a", many.as_bytes()), ("b", more.as_bytes())];
    assert_eq!(read(&documents).err(), Some(ImportError::TooMany));
}

#[test]
fn no_error_quotes_what_is_there() {
    for content in [
        r#"{"kty":"SECRETVALUE"}"#,
        r#"{"SECRETVALUE"#,
        "-----BEGIN SECRETVALUE-----\nSECRETVALUE\n-----END SECRETVALUE-----",
        "SECRETVALUE",
        r#"{"kty":"RSA","n":"SECRETVALUE","kid":"SECRETVALUE"}"#,
        r#"{"kty":"oct","k":"c2VjcmV0","kid":"SECRET/VALUE"}"#,
    ] {
        let error = one(content).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{content}");
    }
}

#[test]
fn keys_have_to_fit_the_algorithm() {
    let set = json!({ "keys": [p256_key(), without(rsa_key(), &["alg"])] });
    let keys = one(&set.to_string()).unwrap();
    assert_eq!(
        check(&keys, &Algorithm::ES256).unwrap_err().to_string(),
        "key 2 in order is an RSA key, and ES256 takes EC keys on P-256: import keys of one type, or choose one of RS256, \
         RS384, RS512, PS256, PS384 and PS512"
    );
    assert!(check(&keys[1..], &Algorithm::PS512).is_ok());
    assert!(check(&keys, &Algorithm::named("none")).is_err());
    let keys = one(&rsa_key().to_string()).unwrap();
    assert!(check(&keys, &Algorithm::RS256).is_ok());
    assert!(matches!(
        check(&keys, &Algorithm::PS256),
        Err(ImportError::OtherAlgorithm { position: 1, algorithm: "PS256" })
    ));
    let secret = json!({ "kty": "oct", "kid": "a", "k": base64url(&[1; 63]) });
    let keys = one(&secret.to_string()).unwrap();
    assert!(check(&keys, &Algorithm::HS256).is_ok());
    assert!(matches!(check(&keys, &Algorithm::HS512), Err(ImportError::Short { .. })));
}

#[test]
fn fifty_keys_of_the_largest_size_that_hydra_makes_are_read() {
    let key = generate(&Algorithm::RS512, "a", "sig").unwrap().expose_value();
    let keys: Vec<Value> =
        (0..50).map(|kid| changed(key.clone(), "kid", kid.to_string())).collect();
    assert_eq!(one(&json!({ "keys": keys }).to_string()).unwrap().len(), 50);
}

/// A document that is good, to be altered.
fn documents() -> [String; 4] {
    let set = json!({ "keys": [rsa_key(), p256_key(), p521_key(), ed25519_key()] });
    [set.to_string(), format!("{}{}", pkcs1(), sec1()), pkcs8(rsa_key()), pkcs8(p521_key())]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let _ = read(&[("file", &bytes)]);
    }

    #[test]
    fn any_text_between_boundaries_is_read_or_refused(text in "(-----(BEGIN|END) (PRIVATE KEY|EC PRIVATE KEY|EC PARAMETERS|)-----|[A-Za-z0-9+/=:\n-]{0,40}|\n){0,12}") {
        let _ = one(&text);
    }

    /// What was altered is refused, or its private half still belongs to its public half.
    #[test]
    fn altered_documents_are_read_or_refused(
        kind in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut document = documents()[kind].clone().into_bytes();
        for (at, byte) in changes {
            let at = at.index(document.len());
            document[at] = byte;
        }
        if cut {
            document.truncate(end.index(document.len()));
        }
        for key in read(&[("file", &document)]).unwrap_or_default() {
            prop_assert!(to_pem(&key).is_ok());
        }
    }

    #[test]
    fn altered_der_is_read_or_refused(kind in 0..3_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let text = pkcs8([rsa_key(), p521_key(), ed25519_key()][kind].clone());
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let mut der = from_base64(&body).unwrap();
        let at = at.index(der.len());
        der[at] = byte;
        let _ = asn1::from_der(&der);
    }
}

#[test]
fn what_follows_from_the_other_members_of_an_rsa_key_may_be_missing() {
    let whole = Jwk::from_value(rsa_key()).unwrap();
    let short = Jwk::from_value(without(rsa_key(), &["dp", "dq", "qi"])).unwrap();
    let completed = crate::jose::completed(short);
    for member in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(completed.expose(member) == whole.expose(member), "{member}");
    }
    assert_eq!(completed.kid(), whole.kid());
}
