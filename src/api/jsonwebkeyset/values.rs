//! Values of `JsonWebKeySet` that the operator decides by.
//!
//! Those of the spec are open: a value that this version does not know is kept as text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The algorithm of a key: `alg` of RFC 7517 section 4.4, with the values of RFC 7518 section 3.1 and RFC 8037 section 3.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the names are those of the RFCs")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    HS256,
    HS512,
    /// One that this version does not know.
    #[serde(untagged)]
    Unknown(String),
}

impl Algorithm {
    /// What the schema allows.
    pub const KNOWN: [&str; 12] = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
        "HS256", "HS512",
    ];

    /// The algorithm as the RFCs and Hydra spell it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
            Self::HS512 => "HS512",
            Self::Unknown(value) => value,
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let known = [
            Self::RS256,
            Self::RS384,
            Self::RS512,
            Self::PS256,
            Self::PS384,
            Self::PS512,
            Self::ES256,
            Self::ES384,
            Self::ES512,
            Self::EdDSA,
            Self::HS256,
            Self::HS512,
        ];
        let unknown = || Self::Unknown(name.to_owned());
        known.into_iter().find(|algorithm| algorithm.as_str() == name).unwrap_or_else(unknown)
    }

    /// Whether its keys are secrets without a public half.
    #[must_use]
    pub const fn is_symmetric(&self) -> bool {
        matches!(self, Self::HS256 | Self::HS512)
    }

    /// Whether Hydra checks assertions of `private_key_jwt` that are signed with it.
    #[must_use]
    pub const fn signs_assertions(&self) -> bool {
        !matches!(self, Self::EdDSA | Self::HS256 | Self::HS512 | Self::Unknown(_))
    }
}

impl Default for Algorithm {
    fn default() -> Self {
        Self::Unknown(String::new())
    }
}

/// What the keys are for: `use` of RFC 7517 section 4.2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    /// Signatures.
    #[default]
    Sig,
    /// Encryption.
    Enc,
    /// One that this version does not know.
    #[serde(untagged)]
    Unknown(String),
}

impl KeyUse {
    /// What the schema allows.
    pub(super) const KNOWN: [&str; 2] = ["sig", "enc"];

    /// The value as RFC 7517 spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sig => "sig",
            Self::Enc => "enc",
            Self::Unknown(value) => value,
        }
    }
}

/// How far a key has come.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Deserialize,
    Serialize,
    JsonSchema,
)]
pub enum KeyState {
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    #[default]
    Pending,
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    Published,
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    Active,
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    Retained,
}

/// Where the private half of a key comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum KeyOrigin {
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    #[default]
    Hydra,
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    Operator,
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    Imported,
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    Adopted,
}
