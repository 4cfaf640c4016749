//! Keys that others made: JSON Web Key sets, single JSON Web Keys and PEM.

mod document;
mod error;
mod fit;
mod pem;

use std::collections::HashMap;

pub use self::{
    error::{ImportError, Place},
    fit::check,
};
use super::{Jwk, KeyFlaw, thumbprint};

/// How long the documents may be together.
const MAX_BYTES: usize = 1_000_000;
/// How many keys there may be.
const MAX_KEYS: usize = 50;
/// How long a kid may be.
const MAX_KID: usize = 255;

/// Reads private keys from documents, in the order given. Each has a `kid`, by default its thumbprint (RFC 7638), that no
/// other has; `alg` and `use` if it came with them; and no members but those of its type. Large RSA keys take a while: call
/// it where that blocks nothing.
pub fn read(documents: &[(&str, &[u8])]) -> Result<Vec<Jwk>, ImportError> {
    if documents.iter().map(|(_, content)| content.len()).sum::<usize>() > MAX_BYTES {
        return Err(ImportError::TooLong);
    }
    let mut raw = Vec::new();
    for (name, content) in documents {
        raw.extend(document::keys(name, content)?);
        if raw.len() > MAX_KEYS {
            return Err(ImportError::TooMany);
        }
    }
    if raw.is_empty() {
        return Err(ImportError::Nothing);
    }
    let mut keys = Vec::new();
    let mut kids: HashMap<String, Place> = HashMap::new();
    for (place, key) in raw {
        let key = key.read().and_then(with_kid);
        let (key, kid) = key.map_err(|flaw| ImportError::Key(place.clone(), flaw))?;
        if let Some(other) = kids.remove(&kid) {
            return Err(ImportError::SameKid(place, other));
        }
        kids.insert(kid, place);
        keys.push(key);
    }
    Ok(keys)
}

/// Whether Hydra's admin API can name a key so: the characters that need no escaping in a path.
#[must_use]
pub fn is_kid(kid: &str) -> bool {
    (1..=MAX_KID).contains(&kid.len())
        && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
        && !matches!(kid, "." | "..")
}

fn with_kid(key: Jwk) -> Result<(Jwk, String), KeyFlaw> {
    let kid = match (key.kid(), key.public()) {
        (Some(kid), _) if is_kid(kid) => kid.to_owned(),
        (Some(_), _) => return Err(KeyFlaw::Kid),
        (None, Some(public)) => thumbprint(public),
        (None, None) => return Err(KeyFlaw::NoKid),
    };
    Ok((key.with_kid(&kid), kid))
}
