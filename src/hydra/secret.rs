//! The secret of an OAuth 2.0 client.

use secrecy::{ExposeSecret, SecretString};

/// A `client_secret` (RFC 6749, section 2.3.1).
///
/// It has neither `Debug` nor `Display` nor `Serialize`, so that it cannot reach a log, an event, a
/// status or an error text by accident.
#[derive(Clone)]
pub struct ClientSecret(SecretString);

/// Which rule a text breaks that was to become a [`ClientSecret`]. It holds neither the value nor
/// its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Hydra refuses secrets of fewer than [`ClientSecret::MIN_BYTES`] bytes (every generation).
    #[error("a client secret needs at least 6 bytes; Hydra refuses shorter ones")]
    TooShort,
    /// More than [`ClientSecret::MAX_BYTES`] bytes; see there.
    #[error(
        "a client secret may have at most 72 bytes; Hydra's bcrypt hasher ignores or refuses the rest"
    )]
    TooLong,
}

impl ClientSecret {
    /// Hydra's own minimum, counted in bytes.
    pub const MIN_BYTES: usize = 6;

    /// What bcrypt hashes. Hydra 1.x cuts longer secrets silently, 2.x with bcrypt answers them
    /// with 500, and a client of 1.x with a longer secret cannot authenticate after an upgrade to
    /// 2.x (ory/hydra issues 1438 and 3581).
    pub const MAX_BYTES: usize = 72;

    /// Accepts a secret that every generation of Hydra stores and compares in full.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        match text.len() {
            ..Self::MIN_BYTES => Err(InvalidSecret::TooShort),
            Self::MIN_BYTES..=Self::MAX_BYTES => Ok(Self(SecretString::from(text))),
            _ => Err(InvalidSecret::TooLong),
        }
    }

    /// Accepts a secret that Hydra may have, also one that is too long to be sent: clients that were
    /// made by other means can have one. See [`Self::check`].
    pub fn stored(text: &str) -> Result<Self, InvalidSecret> {
        match text.len() {
            ..Self::MIN_BYTES => Err(InvalidSecret::TooShort),
            _ => Ok(Self(SecretString::from(text))),
        }
    }

    /// Whether it can be sent.
    pub fn check(&self) -> Result<(), InvalidSecret> {
        Self::parse(self.expose()).map(|_| ())
    }

    /// A secret that Hydra itself chose or echoed: valid by definition.
    pub(super) fn from_hydra(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The value. Call it only where the value leaves for Hydra or a Kubernetes Secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_counted_in_bytes() {
        for (text, expected) in [
            ("12345", Some(InvalidSecret::TooShort)),
            ("ääa", Some(InvalidSecret::TooShort)),
            ("123456", None),
            ("äää", None),
            (&"x".repeat(72), None),
            (&"x".repeat(73), Some(InvalidSecret::TooLong)),
            (&"ä".repeat(37), Some(InvalidSecret::TooLong)),
        ] {
            assert_eq!(ClientSecret::parse(text).err(), expected);
        }
    }

    #[test]
    fn a_stored_secret_may_be_longer_than_one_that_is_sent() {
        assert!(ClientSecret::stored("12345").is_err());
        let long = ClientSecret::stored(&"x".repeat(99)).unwrap_or_else(|_| unreachable!());
        assert_eq!(long.check(), Err(InvalidSecret::TooLong));
        assert!(ClientSecret::stored("123456").is_ok_and(|secret| secret.check().is_ok()));
    }

    #[test]
    fn refusals_hold_no_value() {
        for text in ["qqqqq".to_owned(), "q".repeat(99)] {
            let refusal = ClientSecret::parse(&text).err().unwrap();
            let shown = format!("{refusal} {refusal:?}");
            assert!(!shown.contains("qq") && !shown.contains("99"), "{shown}");
        }
    }
}
