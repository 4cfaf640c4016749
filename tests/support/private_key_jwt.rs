//! `private_key_jwt`: a client that presents an assertion instead of a secret (RFC 7523; OpenID Connect Core, section 9).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    control_plane::unique,
    hydra::Hydra,
    hydra_api::{Answer, answer, http, send_form},
    jose::{self, SigningKey},
};

impl Hydra {
    /// An access token by the client-credentials grant with an assertion, or the refusal. The assertion is new each time, and
    /// signed by go-jose.
    pub async fn token_by_assertion(&self, id: &str, key: &SigningKey) -> Result<String, Answer> {
        let endpoint = format!("{}/oauth2/token", self.public_url());
        let assertion = jose::sign(key, &claims(id, &endpoint).to_string()).unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ];
        let answer = answer(send_form(http().post(endpoint), &form).await).await;
        match (answer.status, answer.body["access_token"].as_str()) {
            (200, Some(token)) => Ok(token.to_owned()),
            _ => Err(answer),
        }
    }
}

/// A client that signs its assertions with `alg`, as Hydra's JSON.
pub fn asserting_client(id: &str, alg: &str, public_keys: &[Value]) -> Value {
    json!({
        "client_id": id,
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": alg,
        "jwks": { "keys": public_keys },
    })
}

/// RFC 7523, section 3. Hydra wants its token endpoint as the audience, and refuses a `jti` that it has seen.
fn claims(id: &str, endpoint: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "iss": id,
        "sub": id,
        "aud": endpoint,
        "jti": unique(&format!("jti-{now}")),
        "iat": now,
        "exp": now + 60,
    })
}
