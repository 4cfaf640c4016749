//! The operations on key sets.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hydra_operator::hydra::{
    Deletion, ErrorKind, Generation, Hydra, HydraConfig, HydraError, KeyId, KeyRequest, KeySet,
    KeySetName, StoredKey,
};
use hydra_operator::jose::{Jwk, PublicJwk};
use serde_json::{Value, json};

use crate::server::{Ports, Program, Server};
use crate::{config, hydra};

crate::on_both_generations!(
    each_algorithm_is_made_and_read_back,
    a_key_lives_and_dies,
    keys_are_put_whole_and_in_part,
    a_put_leaves_one_form_of_a_key,
    a_pair_that_was_taken_over_is_one_key,
    keys_of_others_stay,
    any_kid_is_read_and_an_addressable_one_is_deleted,
    the_public_halves_are_published,
);

const ALGORITHMS: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "HS256", "HS512",
];

/// The public half of the key in RFC 7515, appendix A.3.
const PUBLIC: [(&str, &str); 6] = [
    ("kty", "EC"),
    ("crv", "P-256"),
    ("alg", "ES256"),
    ("use", "sig"),
    ("x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
    ("y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
];
const PRIVATE: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

pub fn set(name: &str) -> KeySetName {
    KeySetName::parse(name).unwrap()
}

pub fn kid(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn public_value() -> Value {
    Value::Object(PUBLIC.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
}

pub fn private_value() -> Value {
    let mut value = public_value();
    value["d"] = PRIVATE.into();
    value
}

pub fn key(value: Value) -> Jwk {
    Jwk::from_value(value).unwrap()
}

fn symmetric() -> Jwk {
    key(json!({ "kty": "oct", "alg": "HS256", "use": "sig", "k": "c2VjcmV0LXNlY3JldA" }))
}

async fn make(hydra: &Hydra, set: &KeySetName, id: &str, algorithm: &str) -> StoredKey {
    let request = KeyRequest { kid: &kid(id), algorithm, key_use: "sig" };
    create(hydra, set, &request).await.unwrap()
}

/// On a busy machine an RSA key takes Hydra longer than it can take to answer. The key is there then.
async fn create(
    hydra: &Hydra,
    set: &KeySetName,
    request: &KeyRequest<'_>,
) -> Result<StoredKey, HydraError> {
    match hydra.create_key(set, request).await {
        Err(error) if error.kind() == ErrorKind::Unreachable => {
            let found = read(hydra, set).await;
            Ok(found.get(request.kid.as_str()).unwrap().clone())
        }
        done => done,
    }
}

/// As with [`create`]: Hydra 2 makes its own key when it is to publish the first time.
async fn published(hydra: &Hydra) -> Vec<PublicJwk> {
    match hydra.published_keys().await {
        Err(error) if error.kind() == ErrorKind::Unreachable => hydra.published_keys().await,
        done => done,
    }
    .unwrap()
    .unwrap()
}

async fn read(hydra: &Hydra, set: &KeySetName) -> KeySet {
    hydra.get_key_set(set).await.unwrap().unwrap()
}

fn kids(set: &KeySet) -> Vec<&str> {
    set.keys.iter().map(|key| key.kid.as_str()).collect()
}

/// Puts a row as anybody could, whatever this client thinks of it.
async fn put_raw(server: &Server, program: Program, set: &str, row: &str, mut value: Value) {
    let path = match program {
        Program::Hydra1 => format!("keys/{set}/any"),
        Program::Hydra2 => format!("admin/keys/{set}/any"),
    };
    value["kid"] = row.into();
    let request = crate::https::plain_client().put(server.admin_url().join(&path).unwrap());
    let request = request.header("Content-Type", "application/json").body(value.to_string());
    assert_eq!(request.send().await.unwrap().status(), 200, "{row}");
}

async fn start(program: Program) -> (Server, Hydra) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    (server, hydra)
}

async fn each_algorithm_is_made_and_read_back(program: Program) {
    let (_server, hydra) = start(program).await;
    let set = set("k8s.ns.set");
    let mut made = Vec::new();
    for algorithm in ALGORITHMS {
        let id = kid(&format!("the-{algorithm}"));
        let request = KeyRequest { kid: &id, algorithm, key_use: "enc" };
        let result = create(&hydra, &set, &request).await;
        if program == Program::Hydra1 && algorithm.starts_with("HS") {
            // RFC 7518 section 3.2 demands as much as the hash has.
            assert!(!hydra.can_make(algorithm).await.unwrap());
            let made = result.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(made.jwk.expose("k").unwrap()).unwrap();
            assert!(
                bytes.len() * 8 < algorithm[2..].parse().unwrap(),
                "{algorithm}: {}",
                bytes.len()
            );
            hydra.delete_key(&set, &made).await.unwrap();
            continue;
        }
        if !hydra.can_make(algorithm).await.unwrap() {
            let error = result.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.refuses_algorithm(), "{error}");
            continue;
        }
        let created = result.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(created.kid, id.as_str());
        assert_eq!(created.jwk.kid(), Some(id.as_str()));
        assert_eq!(created.jwk.text("use"), Some("enc"));
        assert!(created.jwk.is_private(), "{algorithm}");
        assert!(!created.jwk.is_symmetric());
        let alg = created.jwk.alg();
        assert!(alg == Some(algorithm) || alg.is_none() && program == Program::Hydra1, "{alg:?}");
        // Hydra makes the key before it finds that there is one, which takes RSA keys too long once more.
        if !algorithm.starts_with("RS") {
            let again = hydra.create_key(&set, &request).await.err().unwrap();
            assert_eq!(again.kind(), ErrorKind::Conflict, "{again}");
        }

        made.insert(0, created);
        let found = read(&hydra, &set).await;
        assert_eq!(kids(&found), made.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>());
        assert_eq!(found.signing().unwrap().kid, id.as_str());
        for (found, made) in found.keys.iter().zip(&made) {
            assert!(found.jwk.expose_value() == made.jwk.expose_value(), "{}", made.kid);
            assert_eq!(found.published_kid, made.published_kid);
        }
    }
    let unknown = KeyRequest { kid: &kid("x"), algorithm: "none", key_use: "sig" };
    assert!(hydra.create_key(&set, &unknown).await.err().unwrap().refuses_algorithm());
}

async fn a_key_lives_and_dies(program: Program) {
    let (_server, hydra) = start(program).await;
    let set = set("k8s.ns.set");
    assert!(hydra.get_key_set(&set).await.unwrap().is_none());
    assert_eq!(hydra.delete_key_of_id(&set, &kid("a")).await.unwrap(), Deletion::Absent);

    let a = make(&hydra, &set, "a", "ES256").await;
    make(&hydra, &set, "b", "EdDSA").await;
    assert!(hydra.get_key_set(&self::set("k8s.ns.other")).await.unwrap().is_none());
    let pair = hydra.generation().await.unwrap() == Generation::V1;
    let rows: &[&str] = if pair { &["private:a", "public:a"] } else { &["a"] };
    assert_eq!(a.rows, rows);
    assert_eq!(a.published_kid, if pair { "public:a" } else { "a" });

    hydra.delete_key(&set, &a).await.unwrap();
    assert_eq!(kids(&read(&hydra, &set).await), ["b"]);
    hydra.delete_key(&set, &a).await.unwrap();
    assert_eq!(hydra.delete_key_of_id(&set, &kid("a")).await.unwrap(), Deletion::Absent);
    assert_eq!(hydra.delete_key_of_id(&set, &kid("b")).await.unwrap(), Deletion::Deleted);
    assert!(hydra.get_key_set(&set).await.unwrap().is_none());
}

async fn keys_are_put_whole_and_in_part(program: Program) {
    let (_server, hydra) = start(program).await;
    let set = set("k8s.ns.set");
    let longest = "l".repeat(KeyId::MAX_BYTES);
    hydra.put_key(&set, &kid("a"), &key(private_value())).await.unwrap();
    hydra.put_key(&set, &kid("b"), &key(public_value()).with_kid("another")).await.unwrap();
    hydra.put_key(&set, &kid("c"), &symmetric()).await.unwrap();
    hydra.put_key(&set, &kid(&longest), &key(private_value())).await.unwrap();
    let found = read(&hydra, &set).await;
    assert_eq!(kids(&found), [longest.as_str(), "c", "b", "a"]);
    assert!(
        found.get("a").unwrap().jwk.expose_value()
            == key(private_value()).with_kid("a").expose_value()
    );
    assert_eq!(found.get("b").unwrap().jwk.expose("d"), None);
    assert!(found.get("b").unwrap().jwk.public() == key(public_value()).with_kid("b").public());
    assert_eq!(found.get("c").unwrap().rows, ["c"]);
    assert_eq!(found.signing().unwrap().kid, longest);

    // A key that is put again is the newest, and loses a private half that it is put without.
    hydra.put_key(&set, &kid("a"), &key(private_value())).await.unwrap();
    hydra.put_key(&set, &kid("a"), &key(private_value())).await.unwrap();
    assert_eq!(kids(&read(&hydra, &set).await), ["a", longest.as_str(), "c", "b"]);
    hydra.put_key(&set, &kid("a"), &key(public_value())).await.unwrap();
    let found = read(&hydra, &set).await;
    assert_eq!(found.keys.len(), 4);
    assert!(!found.get("a").unwrap().jwk.is_private());

    for id in [longest.as_str(), "c", "b", "a"] {
        assert_eq!(hydra.delete_key_of_id(&set, &kid(id)).await.unwrap(), Deletion::Deleted);
    }
    assert!(hydra.get_key_set(&set).await.unwrap().is_none());
}

/// One row or one pair, never both, whatever was there before.
async fn a_put_leaves_one_form_of_a_key(program: Program) {
    let (server, hydra) = start(program).await;
    let set = set("k8s.ns.set");
    let pair: &[&str] = &["private:a", "public:a"];
    let (whole, public): (&[&str], &[&str]) = match program {
        Program::Hydra1 => (pair, &["public:a"]),
        Program::Hydra2 => (&["a"], &["a"]),
    };
    let rows = async || read(&hydra, &set).await.get("a").unwrap().rows.clone();
    for former in [&["a"] as &[&str], &["private:a", "public:a"], &["public:a"], &["private:a"]] {
        for row in former {
            let value = if row.starts_with("public") { public_value() } else { private_value() };
            put_raw(&server, program, set.as_str(), row, value).await;
        }
        hydra.put_key(&set, &kid("a"), &key(private_value())).await.unwrap();
        assert_eq!(rows().await, whole, "{former:?}");
        hydra.put_key(&set, &kid("a"), &key(public_value())).await.unwrap();
        assert_eq!(rows().await, public, "{former:?}");
        hydra.put_key(&set, &kid("a"), &symmetric()).await.unwrap();
        assert_eq!(rows().await, ["a"], "{former:?}");
        assert_eq!(read(&hydra, &set).await.keys.len(), 1);
        hydra.delete_key_of_id(&set, &kid("a")).await.unwrap();
    }
    let made = make(&hydra, &set, "a", "ES256").await;
    hydra.put_key(&set, &kid("a"), &key(private_value())).await.unwrap();
    assert_eq!(rows().await, made.rows);
    let found = read(&hydra, &set).await;
    assert_eq!(found.keys.len(), 1);
    assert_eq!(found.keys[0].jwk.expose("d"), Some(PRIVATE));
}

async fn a_pair_that_was_taken_over_is_one_key(program: Program) {
    let (server, hydra) = start(program).await;
    let set = set("k8s.ns.set");
    put_raw(&server, program, set.as_str(), "private:a", private_value()).await;
    put_raw(&server, program, set.as_str(), "public:a", public_value()).await;
    make(&hydra, &set, "b", "ES256").await;
    let found = read(&hydra, &set).await;
    assert_eq!(kids(&found), ["b", "a"]);
    let a = found.get("a").unwrap();
    assert_eq!((a.published_kid.as_str(), a.rows.len()), ("public:a", 2));
    assert!(a.jwk.expose_value() == key(private_value()).with_kid("a").expose_value());
    assert_eq!(hydra.delete_key_of_id(&set, &kid("a")).await.unwrap(), Deletion::Deleted);
    assert_eq!(kids(&read(&hydra, &set).await), ["b"]);
}

async fn keys_of_others_stay(program: Program) {
    let (server, hydra) = start(program).await;
    let set = set("shared");
    put_raw(&server, program, set.as_str(), "of others/with a slash", private_value()).await;
    put_raw(&server, program, set.as_str(), "", public_value()).await;
    make(&hydra, &set, "ours", "ES256").await;
    put_raw(&server, program, set.as_str(), "later", private_value()).await;
    hydra.put_key(&set, &kid("ours"), &key(private_value())).await.unwrap();
    let found = read(&hydra, &set).await;
    assert_eq!(kids(&found), ["ours", "later", "", "of others/with a slash"]);
    hydra.delete_key_of_id(&set, &kid("ours")).await.unwrap();
    assert_eq!(kids(&read(&hydra, &set).await), ["later", "", "of others/with a slash"]);
    // The path of a key without an id would be that of the set.
    let nameless = found.get("").unwrap();
    let error = hydra.delete_key(&set, nameless).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, None));
    assert_eq!(read(&hydra, &set).await.keys.len(), 3);
}

async fn any_kid_is_read_and_an_addressable_one_is_deleted(program: Program) {
    let (server, hydra) = start(program).await;
    let set = set("shared");
    let beyond = hydra.generation().await.unwrap() == Generation::V25;
    let printable = (b' '..=b'~').filter(|byte| !byte.is_ascii_alphanumeric());
    let others =
        [".", "..", "...", " x ", "grüße", "private:", "public:x", "a/", "https://i.example/k"];
    let all =
        printable.map(|byte| format!("x{}y", char::from(byte))).chain(others.map(str::to_owned));
    let mut left = Vec::new();
    for text in all {
        put_raw(&server, program, set.as_str(), &text, private_value()).await;
        let found = read(&hydra, &set).await;
        assert_eq!(found.keys[0].rows, [text.as_str()]);
        let deleted = hydra.delete_key(&set, &found.keys[0]).await;
        let out_of_reach = if beyond { text.ends_with('/') } else { text.contains(['/', '%']) };
        if out_of_reach || matches!(text.as_str(), "." | "..") {
            assert_eq!(deleted.unwrap_err().kind(), ErrorKind::Invalid, "{text:?}");
            left.insert(0, text);
        } else {
            deleted.unwrap();
        }
        let found = hydra.get_key_set(&set).await.unwrap();
        let found: Vec<_> = found.iter().flat_map(|set| &set.keys).map(|key| &key.kid).collect();
        assert_eq!(found, left.iter().collect::<Vec<_>>());
    }
}

async fn the_public_halves_are_published(program: Program) {
    let settings = [("WEBFINGER_JWKS_BROADCAST_KEYS", "hydra.openid.id-token,k8s.ns.set")];
    let server = Server::start_with(program, Ports::free(), &settings).await;
    let without = hydra(&server.admin_url());
    assert!(without.published_keys().await.unwrap().is_none());
    let public_url = Some(server.public_url());
    let hydra = Hydra::new(HydraConfig { public_url, ..config(&server.admin_url()) }).unwrap();
    if program == Program::Hydra1 {
        let error = hydra.published_keys().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Absent, "{error}");
    }

    let set = set("k8s.ns.set");
    make(&hydra, &set, "made", "ES256").await;
    hydra.put_key(&set, &kid("whole"), &key(private_value())).await.unwrap();
    hydra.put_key(&set, &kid("public"), &key(public_value())).await.unwrap();
    let published = published(&hydra).await;
    for key in &read(&hydra, &set).await.keys {
        let found = published.iter().find(|found| found["kid"] == key.published_kid.as_str());
        let found = found.unwrap_or_else(|| panic!("{} is not published", key.kid));
        assert_eq!(found["x"], key.jwk.text("x").unwrap());
    }
    assert!(published.iter().all(|key| !key.contains_key("d")));
    // The document is of no use to others either, which is told as what it is.
    if hydra.generation().await.unwrap() != Generation::V1 {
        put_raw(&server, program, set.as_str(), "symmetric", symmetric().expose_value()).await;
        let error = hydra.published_keys().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    }
}
