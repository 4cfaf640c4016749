//! An assertion of `private_key_jwt` (RFC 7523 section 3), signed as a service does that has the keys of a Secret.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// Says that `client` is itself, for a minute, to whoever is at `audience`; signed with the first key of `keys`, a JSON Web Key
/// set, which has to be for ES256.
pub fn assertion(
    keys: &SecretString,
    client: &str,
    audience: &str,
) -> Result<SecretString, String> {
    let keys: Value = serde_json::from_str(keys.expose_secret())
        .map_err(|_| "what was read is no JSON Web Key set".to_owned())?;
    let key = &keys["keys"][0];
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": key["kid"] });
    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": client,
        "sub": client,
        "aud": audience,
        "jti": uuid::Uuid::new_v4().to_string(),
        "iat": now,
        "exp": now + 60,
    });
    let encoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = sign(key, signed.as_bytes())?;
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into())
}

/// ES256 (RFC 7518 section 3.4).
fn sign(key: &Value, message: &[u8]) -> Result<Vec<u8>, String> {
    let member = |name: &str| {
        let text = key[name].as_str().ok_or_else(|| format!("the key has no member {name}"))?;
        BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("{name} is not base64url"))
    };
    let point = [vec![4], member("x")?, member("y")?].concat();
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &member("d")?, &point, &random)
            .map_err(|_| "the key is none for ES256".to_owned())?;
    let signature = pair.sign(&random, message).map_err(|_| "could not sign".to_owned())?;
    Ok(signature.as_ref().to_vec())
}
