//! Why an import is refused.

use super::{MAX_BYTES, MAX_KEYS};
use crate::jose::KeyFlaw;

/// Where a key was found. The documents are the keys of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the document.
    pub document: String,
    /// The how manyth key of the document it is, from 1 on.
    pub position: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {} of {}", self.position, self.document)
    }
}

/// Why an import is refused. It names places and quotes nothing of what is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// There is no document.
    #[error("there is nothing to import: store a JSON Web Key set, a JSON Web Key or PEM")]
    Nothing,
    /// The documents are too long.
    #[error(
        "the documents are longer than {MAX_BYTES} bytes together, which no {MAX_KEYS} keys are: remove what is no key"
    )]
    TooLong,
    /// There are too many keys.
    #[error("there are more than {MAX_KEYS} keys: remove those that are not needed")]
    TooMany,
    /// A document holds no key.
    #[error("{0} holds no key")]
    NoKey(String),
    /// A document is of no known form.
    #[error("{0} is neither a JSON Web Key set, nor a JSON Web Key, nor PEM")]
    Form(String),
    /// A document begins like JSON and is none.
    #[error("{0} is malformed JSON")]
    Json(String),
    /// A key cannot be used.
    #[error("{0} {1}")]
    Key(Place, KeyFlaw),
    /// Two keys have one name.
    #[error("{0} has the same kid as {1}: each key needs its own")]
    SameKid(Place, Place),
    /// The algorithm is not known, so nothing fits it.
    #[error("the algorithm is not known to this version of the operator")]
    Algorithm,
    /// A key is for another algorithm.
    #[error(
        "key {position} in order is {is}, and {algorithm} takes {takes}: import keys of one type, or choose {fits}"
    )]
    Misfit {
        /// The how manyth key of all it is, from 1 on.
        position: usize,
        /// What it is.
        is: &'static str,
        /// The algorithm that is wanted.
        algorithm: &'static str,
        /// What the algorithm takes.
        takes: &'static str,
        /// The algorithms that the key fits.
        fits: &'static str,
    },
    /// A key names another algorithm as its own.
    #[error(
        "key {position} in order names in alg another algorithm than {algorithm}: choose that one, or remove alg from the key"
    )]
    OtherAlgorithm {
        /// The how manyth key of all it is, from 1 on.
        position: usize,
        /// The algorithm that is wanted.
        algorithm: &'static str,
    },
    /// A symmetric key is shorter than RFC 7518 section 3.2 allows.
    #[error("key {position} in order is shorter than {algorithm} allows (RFC 7518 section 3.2)")]
    Short {
        /// The how manyth key of all it is, from 1 on.
        position: usize,
        /// The algorithm that is wanted.
        algorithm: &'static str,
    },
}
