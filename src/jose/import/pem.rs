//! The blocks of a PEM file (RFC 7468), of which there may be several, with text around them.

use zeroize::Zeroizing;

use crate::jose::{
    KeyFlaw,
    encoding::{Secret, from_base64},
};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const CLOSE: &str = "-----";
/// What openssl writes before an EC key. The key names its curve itself.
const PARAMETERS: &str = "EC PARAMETERS";

/// A block, not yet decoded. It has no Debug, because it holds a private key.
pub(super) struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

/// The form of a private key in PEM.
pub(super) enum Form {
    Pkcs8,
    Pkcs1,
    Sec1,
}

/// Whether the document is PEM at all.
pub(super) fn is_pem(document: &str) -> bool {
    document.lines().any(|line| line.trim().starts_with(BEGIN))
}

/// The blocks of a document, without those that hold no key of their own. After one that is malformed there is none.
pub(super) fn blocks(document: &str) -> impl Iterator<Item = Result<Block<'_>, KeyFlaw>> {
    let mut rest = document;
    let mut next = move || {
        let (block, remaining) = next_block(rest)?;
        rest = remaining;
        Some(block)
    };
    std::iter::from_fn(move || next())
        .filter(|block| !block.as_ref().is_ok_and(|block| block.label == PARAMETERS))
}

/// The first block, and what follows it.
fn next_block(text: &str) -> Option<(Result<Block<'_>, KeyFlaw>, &str)> {
    let mut open: Option<(&str, usize)> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let line = line.trim();
        match open {
            _ if !line.starts_with(CLOSE) => {}
            None => match label(line, BEGIN) {
                Some(label) => open = Some((label, offset)),
                None => return Some((Err(KeyFlaw::Pem), "")),
            },
            Some((opened, body)) if label(line, END) == Some(opened) => {
                let body = text.get(body..start).unwrap_or_default();
                let rest = text.get(offset..).unwrap_or_default();
                return Some((Ok(Block { label: opened, body }), rest));
            }
            Some(_) => return Some((Err(KeyFlaw::Pem), "")),
        }
    }
    open.map(|_| (Err(KeyFlaw::Pem), ""))
}

fn label<'a>(line: &'a str, boundary: &str) -> Option<&'a str> {
    line.strip_prefix(boundary)?.strip_suffix(CLOSE)
}

impl Block<'_> {
    /// The form and the DER of the private key.
    pub(super) fn private_key(&self) -> Result<(Form, Secret), KeyFlaw> {
        let form = match self.label {
            "PRIVATE KEY" => Form::Pkcs8,
            "RSA PRIVATE KEY" => Form::Pkcs1,
            "EC PRIVATE KEY" => Form::Sec1,
            "ENCRYPTED PRIVATE KEY" => return Err(KeyFlaw::Encrypted),
            "PUBLIC KEY"
            | "RSA PUBLIC KEY"
            | "CERTIFICATE"
            | "X509 CERTIFICATE"
            | "TRUSTED CERTIFICATE"
            | "CERTIFICATE REQUEST" => return Err(KeyFlaw::Public),
            _ => return Err(KeyFlaw::Type),
        };
        let body = self.without_headers()?;
        let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
        base64.extend(body.split_ascii_whitespace());
        if base64.is_empty() {
            return Err(KeyFlaw::Pem);
        }
        Ok((form, from_base64(&base64).ok_or(KeyFlaw::Pem)?))
    }

    /// What follows the headers of RFC 1421 section 4.4, which older versions of openssl write when they encrypt.
    fn without_headers(&self) -> Result<&str, KeyFlaw> {
        if !self.body.lines().next().is_some_and(|line| line.contains(':')) {
            return Ok(self.body);
        }
        let mut offset = 0;
        for line in self.body.split_inclusive('\n') {
            offset += line.len();
            if line.trim().is_empty() {
                return Ok(self.body.get(offset..).unwrap_or_default());
            }
            if line.starts_with("Proc-Type:") && line.contains("ENCRYPTED") {
                return Err(KeyFlaw::Encrypted);
            }
        }
        Err(KeyFlaw::Pem)
    }
}
