//! The keys of one document, whatever its form.

use serde_json::Value;

use super::{
    ImportError, Place,
    pem::{Block, Form, blocks, is_pem},
};
use crate::jose::{Jwk, KeyFlaw, asn1, ec::Ec, material::Material, rsa::Rsa};

/// A key as it stands in a document, not yet understood. It has no Debug, because it is private.
pub(super) enum Raw<'a> {
    Jwk(Result<Jwk, KeyFlaw>),
    Pem(Result<Block<'a>, KeyFlaw>),
}

/// Takes a document apart, which costs little.
pub(super) fn keys<'a>(
    name: &str,
    content: &'a [u8],
) -> Result<Vec<(Place, Raw<'a>)>, ImportError> {
    let form = || ImportError::Form(name.to_owned());
    let text = str::from_utf8(content).map_err(|_| form())?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let keys: Vec<Raw<'a>> = if text.starts_with(['{', '[']) {
        let json = serde_json::from_str(text).map_err(|_| ImportError::Json(name.to_owned()))?;
        jwks(json).ok_or_else(form)?
    } else if is_pem(text) {
        blocks(text).map(Raw::Pem).collect()
    } else if text.is_empty() {
        Vec::new()
    } else {
        return Err(form());
    };
    if keys.is_empty() {
        return Err(ImportError::NoKey(name.to_owned()));
    }
    let place = |position| Place { document: name.to_owned(), position };
    Ok(keys.into_iter().enumerate().map(|(index, key)| (place(index + 1), key)).collect())
}

/// The keys of a set, or the one key that the document is.
fn jwks<'a>(mut json: Value) -> Option<Vec<Raw<'a>>> {
    let raw = |key| Raw::Jwk(Jwk::from_value(key).map_err(KeyFlaw::from));
    let members = json.as_object_mut()?;
    match members.remove("keys") {
        Some(Value::Array(keys)) => Some(keys.into_iter().map(raw).collect()),
        None if members.contains_key("kty") => Some(vec![raw(json)]),
        _ => None,
    }
}

impl Raw<'_> {
    /// The key, in the form that it has everywhere here. What is not known here is left away: nobody knows whether it is
    /// private.
    pub(super) fn read(self) -> Result<Jwk, KeyFlaw> {
        match self {
            Self::Jwk(jwk) => {
                let jwk = jwk?;
                let key = Material::from_jwk(&jwk)?.to_jwk();
                key.with_names_of(&jwk).ok_or(KeyFlaw::Names)
            }
            Self::Pem(block) => {
                let (form, der) = block?.private_key()?;
                let material = match form {
                    Form::Pkcs8 => asn1::from_der(&der)?,
                    Form::Pkcs1 => Material::Rsa(Rsa::from_pkcs1(&der)?),
                    Form::Sec1 => Material::Ec(Ec::from_sec1(&der, None)?),
                };
                Ok(material.to_jwk())
            }
        }
    }
}
