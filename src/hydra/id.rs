//! The identifier of an OAuth 2.0 client.

use std::fmt;

/// A `client_id` (RFC 6749, section 2.2) that can be one segment of a URL path.
///
/// Identifiers are not secret. Which of them a Hydra can address depends on its generation; see
/// [`Generation::addresses`](super::Generation::addresses).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

/// Why a text is not a [`ClientId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("a client id must not be empty")]
    Empty,
    /// The text has more than [`ClientId::MAX_CHARS`] characters: the width of Hydra's column.
    #[error("a client id has at most 255 characters")]
    TooLong,
    /// The text contains a control character.
    #[error("a client id must not contain control characters")]
    ControlCharacter,
    /// `.` and `..` are removed from paths by every URL library, Hydra's among them.
    #[error("a client id must not be `.` or `..`")]
    DotSegment,
}

impl ClientId {
    /// Hydra's column for client ids holds this many characters, in every generation.
    pub const MAX_CHARS: usize = 255;

    /// Accepts what Hydra can store and a path can carry.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() {
            Err(InvalidId::Empty)
        } else if text.chars().count() > Self::MAX_CHARS {
            Err(InvalidId::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(InvalidId::ControlCharacter)
        } else if matches!(text, "." | "..") {
            Err(InvalidId::DotSegment)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The identifier as Hydra stores it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ClientId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_a_path_segment_can_carry() {
        let longest = "ä".repeat(ClientId::MAX_CHARS);
        for text in ["a", "...", ".a", "a/b", "a b", "grüße", "%2e", longest.as_str()] {
            assert_eq!(ClientId::parse(text).map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        let too_long = "a".repeat(ClientId::MAX_CHARS + 1);
        for (text, why) in [
            ("", InvalidId::Empty),
            (too_long.as_str(), InvalidId::TooLong),
            ("a\nb", InvalidId::ControlCharacter),
            ("a\u{7f}", InvalidId::ControlCharacter),
            ("a\u{85}", InvalidId::ControlCharacter),
            (".", InvalidId::DotSegment),
            ("..", InvalidId::DotSegment),
        ] {
            assert_eq!(ClientId::parse(text), Err(why), "{text:?}");
        }
    }
}
