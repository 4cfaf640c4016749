//! base64 into memory that is wiped.

use base64::{
    Engine,
    engine::{
        GeneralPurpose,
        general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    },
};
use zeroize::Zeroizing;

/// Bytes of a private half.
pub(super) type Secret = Zeroizing<Vec<u8>>;

/// As the members of a JWK are written (RFC 7515 section 2).
pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A member of a JWK.
pub(super) fn from_base64url(text: &str) -> Option<Secret> {
    decoded(&URL_SAFE_NO_PAD, text)
}

/// The body of a PEM block, without white space.
pub(super) fn from_base64(text: &str) -> Option<Secret> {
    decoded(&STANDARD, text)
}

fn decoded(engine: &GeneralPurpose, text: &str) -> Option<Secret> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = engine.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// An unsigned number without leading zeros.
pub(super) fn minimal(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// An unsigned number of a fixed length; none where it is longer.
pub(super) fn padded(number: &[u8], length: usize) -> Option<Secret> {
    let number = minimal(number);
    let zeros = length.checked_sub(number.len())?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    bytes.resize(zeros, 0);
    bytes.extend_from_slice(number);
    Some(bytes)
}
