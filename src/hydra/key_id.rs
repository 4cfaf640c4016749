//! The names of key sets and of the keys that the operator makes.

use std::fmt;

/// The name of a JSON Web Key set of Hydra: what every URL path, router and proxy carries unchanged, the unreserved
/// characters of RFC 3986, section 2.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeySetName(String);

/// The id of a key (`kid` of RFC 7517, section 4.5) that the operator makes or imports, in the characters of a
/// [`KeySetName`]. It is the same in every generation: how Hydra 1 stores it is not to be seen.
///
/// Keys of others may have any `kid`; they are found in a [`StoredKey`](super::StoredKey).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

/// Why a text is no [`KeySetName`] or no [`KeyId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyName {
    /// The text is empty.
    #[error("it must not be empty")]
    Empty,
    /// The text is longer than Hydra's column for it.
    #[error("it has at most {0} characters")]
    TooLong(usize),
    /// The text has another character than the unreserved ones.
    #[error("it consists of letters of ASCII, digits and `-` `.` `_` `~`")]
    Character,
    /// `.` and `..` are removed from paths by every URL library, Hydra's among them.
    #[error("it must not be `.` or `..`")]
    DotSegment,
}

impl KeySetName {
    /// Hydra's column for the names of sets holds this many bytes.
    pub const MAX_BYTES: usize = 255;

    /// Accepts what every generation can store and address.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyName> {
        check(text, Self::MAX_BYTES).map(|()| Self(text.to_owned()))
    }

    /// The name as Hydra stores it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyId {
    /// Hydra's column for key ids holds 255 bytes, in which Hydra 1 stores `private:` before the id.
    pub const MAX_BYTES: usize = 247;

    /// Accepts what every generation can store and address.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyName> {
        check(text, Self::MAX_BYTES).map(|()| Self(text.to_owned()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str, longest: usize) -> Result<(), InvalidKeyName> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if text.is_empty() {
        Err(InvalidKeyName::Empty)
    } else if text.len() > longest {
        Err(InvalidKeyName::TooLong(longest))
    } else if !text.bytes().all(unreserved) {
        Err(InvalidKeyName::Character)
    } else if matches!(text, "." | "..") {
        Err(InvalidKeyName::DotSegment)
    } else {
        Ok(())
    }
}

impl fmt::Display for KeySetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreserved_characters_are_accepted() {
        let longest = "a".repeat(KeySetName::MAX_BYTES);
        for text in ["a", "...", ".a", "k8s.team-a.keys", "hydra.openid.id-token", "A_~9", &longest]
        {
            assert_eq!(KeySetName::parse(text).map(|name| name.to_string()), Ok(text.to_owned()));
        }
        let longest = "a".repeat(KeyId::MAX_BYTES);
        for text in
            ["a", "6f1c2d9e-8f0b-4c1e-9d3a-2b7c5e4f1a00", "NzbLsXh8uDCcd-6MNwXF4W_7", &longest]
        {
            assert_eq!(KeyId::parse(text).map(|kid| kid.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn the_rest_is_refused_and_told_why() {
        let long = "a".repeat(256);
        for (text, why) in [
            ("", InvalidKeyName::Empty),
            (long.as_str(), InvalidKeyName::TooLong(255)),
            (".", InvalidKeyName::DotSegment),
            ("..", InvalidKeyName::DotSegment),
            ("a/b", InvalidKeyName::Character),
            ("a%2Fb", InvalidKeyName::Character),
            ("a b", InvalidKeyName::Character),
            ("private:a", InvalidKeyName::Character),
            ("https://issuer.example", InvalidKeyName::Character),
            ("schlüssel", InvalidKeyName::Character),
            ("a\n", InvalidKeyName::Character),
        ] {
            assert_eq!(KeySetName::parse(text), Err(why), "{text:?}");
            if text.len() < 256 {
                assert_eq!(KeyId::parse(text), Err(why), "{text:?}");
            }
        }
        assert_eq!(KeyId::parse(&long[..248]), Err(InvalidKeyName::TooLong(247)));
    }
}
