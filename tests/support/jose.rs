//! Keys and signatures as go-jose and Go's `crypto/x509` see them: implementations that are not ours (`tests/servers/jose`).
//!
//! What goes in and comes out may hold private keys, so no panic quotes it; the program's own errors quote nothing of a key.
//! A question takes a millisecond or less, a signature with a large RSA key a few.

use std::sync::Mutex;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{binaries, lines::Answering};

/// A key of a JSON Web Key set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoadedKey {
    /// Empty if it has none.
    pub kid: String,
    /// Empty if it has none.
    pub alg: String,
    /// Empty if it has none.
    pub r#use: String,
    pub kty: String,
    /// Of the modulus, of the curve's field or of the secret, in bits.
    pub size: u32,
    /// Whether it has its private half, which then belongs to the public one. A secret has.
    pub private: bool,
    /// Whether go-jose calls it so.
    pub valid: bool,
    /// RFC 7638, with SHA-256. Empty for a secret.
    pub thumbprint: String,
}

/// A private key of a PEM file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PemKey {
    pub kty: String,
    /// Of the modulus or of the curve's field, in bits.
    pub size: u32,
    /// Its public half, as a JSON Web Key without a name.
    pub public: Value,
}

/// What a good signature says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verified {
    pub payload: String,
    /// The key that it was checked with.
    pub kid: String,
    pub alg: String,
}

impl Verified {
    /// The claims of a JWT.
    pub fn claims(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap()
    }
}

/// A new private key. It has no `Debug`.
#[derive(Clone, Deserialize)]
pub struct Generated {
    /// The private key.
    pub jwk: Value,
    /// None for a secret.
    pub pkcs8: Option<String>,
    /// RSA only.
    pub pkcs1: Option<String>,
    /// EC only.
    pub sec1: Option<String>,
}

impl Generated {
    /// The public half, by the members that RFC 7518 and RFC 8037 call private. Panics for a secret.
    pub fn public_jwk(&self) -> Value {
        assert_ne!(self.jwk["kty"], "oct", "a secret has no public half");
        let mut public = self.jwk.clone();
        let members = public.as_object_mut().unwrap();
        members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        public
    }

    /// To sign with it.
    pub fn signing_key(&self) -> SigningKey {
        let text = |member: &str| self.jwk[member].as_str().unwrap().to_owned();
        SigningKey::Jwks {
            jwks: json!({ "keys": [self.jwk] }),
            kid: text("kid"),
            alg: Some(text("alg")),
        }
    }
}

/// What is signed with. It has no `Debug`.
#[derive(Clone)]
pub enum SigningKey {
    /// A key of a set.
    Jwks {
        jwks: Value,
        kid: String,
        /// Unset: that of the key.
        alg: Option<String>,
    },
    /// The first key of a PKCS#8 file, which knows neither its name nor its algorithm.
    Pem { pem: String, kid: String, alg: String },
}

/// The keys of a JSON Web Key set, or why one of them is none.
pub fn load_jwks(jwks: &Value) -> Result<Vec<LoadedKey>, String> {
    ask(&json!({ "do": "load-jwks", "jwks": jwks }))
}

/// The keys of a PKCS#8 file with nothing else in it, or why it is none.
pub fn load_pem(pem: &str) -> Result<Vec<PemKey>, String> {
    ask(&json!({ "do": "load-pem", "pem": pem }))
}

/// The compact JWS of a payload.
pub fn sign(key: &SigningKey, payload: &str) -> Result<String, String> {
    ask(&match key {
        SigningKey::Jwks { jwks, kid, alg } => {
            json!({ "do": "sign", "payload": payload, "jwks": jwks, "kid": kid, "alg": alg })
        }
        SigningKey::Pem { pem, kid, alg } => {
            json!({ "do": "sign", "payload": payload, "pem": pem, "kid": kid, "alg": alg })
        }
    })
}

/// Checks a compact JWS with the key of its header's `kid`, of this JSON Web Key set, and no other.
pub fn verify(key_set: &Value, jws: &str) -> Result<Verified, String> {
    ask(&json!({ "do": "verify", "jwks": key_set, "jws": jws }))
}

/// Makes a key for an algorithm; RSA of 2048 bits.
pub fn generate(alg: &str, kid: &str) -> Generated {
    ask(&json!({ "do": "generate", "alg": alg, "kid": kid })).unwrap_or_else(|why| panic!("{why}"))
}

/// Makes an RSA key of this size: Go makes none below 1024 bits.
pub fn generate_rsa(alg: &str, kid: &str, bits: u32) -> Generated {
    let question = json!({ "do": "generate", "alg": alg, "kid": kid, "bits": bits });
    ask(&question).unwrap_or_else(|why| panic!("{why}"))
}

/// One program serves the test process.
fn ask<T: DeserializeOwned>(question: &Value) -> Result<T, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Answer<T> {
        Result(T),
        Error(String),
    }

    static PROGRAM: Mutex<Option<Answering>> = Mutex::new(None);
    let mut program = PROGRAM.lock().unwrap();
    let program = program.get_or_insert_with(|| Answering::start(&binaries::jose()));
    match program.ask(question.to_string().into_bytes()) {
        Answer::Result(found) => Ok(found),
        Answer::Error(why) => Err(why),
    }
}
