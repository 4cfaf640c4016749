//! A client's own key, for `private_key_jwt` (RFC 7523; OpenID Connect Core, section 9).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use crate::support::{Hydra, control_plane::unique, hydra_api::http};

/// A key for `ES256`.
pub struct ClientKey {
    id: &'static str,
    pair: EcdsaKeyPair,
}

impl ClientKey {
    pub fn generate(id: &'static str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { id, pair }
    }

    /// The public half (RFC 7517).
    pub fn public_jwk(&self) -> Value {
        // Uncompressed: 4, then both coordinates of 32 bytes.
        let point = self.pair.public_key().as_ref();
        let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y,
        })
    }

    /// Whether the client gets a token with an assertion signed by this key.
    pub async fn gets_token(&self, hydra: &Hydra, client_id: &str) -> bool {
        let endpoint = format!("{}/oauth2/token", hydra.public_url());
        let assertion = self.assertion(client_id, &endpoint);
        let body = format!(
            "grant_type=client_credentials&client_assertion={assertion}\
             &client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        let form = "application/x-www-form-urlencoded";
        let request = http().post(endpoint).header(http::header::CONTENT_TYPE, form).body(body);
        request.send().await.unwrap().status().is_success()
    }

    fn assertion(&self, client_id: &str, audience: &str) -> String {
        let expiry = Timestamp::now().as_second() + 60;
        let header = json!({ "alg": "ES256", "kid": self.id });
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience, "jti": unique("jti"), "exp": expiry,
        });
        let signed = [header, claims].map(|part| encode(part.to_string().as_bytes())).join(".");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
