//! The one place that asks the system for randomness.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    credentials::Fresh,
    error::{Failure, Reason},
};
use crate::hydra::{ClientId, ClientSecret};

/// Length of a generated secret before encoding: 256 bits.
const SECRET_BYTES: usize = 32;

/// A new id and a new secret: a random UUID (RFC 9562) and 256 bits from the system's random
/// source as base64url text (RFC 4648 section 5), whose alphabet survives every form and header
/// encoding of client credentials (RFC 6749 2.3.1).
pub fn fresh() -> Result<Fresh, Failure> {
    let mut id = [0_u8; 16];
    let mut secret = [0_u8; SECRET_BYTES];
    getrandom::fill(&mut id).map_err(|error| broken(&error))?;
    getrandom::fill(&mut secret).map_err(|error| broken(&error))?;
    let id = uuid::Builder::from_random_bytes(id).into_uuid().to_string();
    let id = ClientId::parse(&id).map_err(|error| broken(&error))?;
    let secret =
        ClientSecret::parse(&URL_SAFE_NO_PAD.encode(secret)).map_err(|error| broken(&error))?;
    Ok(Fresh { id, secret })
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    Failure::transient(Reason::KubernetesError, format!("could not generate credentials: {error}"))
}
