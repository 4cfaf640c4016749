//! What `--observe` has to tell of a set.

use std::fmt;

use crate::controller::observer::{self, NOTHING};

/// What would be done with one set, and why.
pub type Intent = observer::Intent<Step>;

/// What was found out so far, and told.
pub type Observer = observer::Observer<Step>;

/// A write, or why there would be none. Keys are named by their ids, and objects with their kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key for this algorithm is made.
    MakeKey(String),
    /// A key of the Secret that keys come from is sent to Hydra.
    ImportKey(String),
    /// A key that is there becomes the resource's.
    AdoptKey(String),
    /// A key that is gone or altered is put back.
    RestoreKey(String),
    /// A key becomes the current one.
    ActivateKey(String),
    /// A key is deleted.
    RemoveKey(String),
    /// The resource goes, and its keys are left in Hydra.
    LeaveKeys,
    /// An output is created.
    CreateOutput(String),
    /// An output is changed.
    UpdateOutput(String),
    /// An output is deleted.
    DeleteOutput(String),
    /// An output loses its owner, so that it outlives the resource.
    ReleaseOutput(String),
    /// Nothing can be done, for this reason.
    Blocked(&'static str, String),
}

impl observer::Step for Step {
    const ACTIONS: &'static [&'static str] = &[
        NOTHING,
        "make_key",
        "import_key",
        "adopt_key",
        "restore_key",
        "activate_key",
        "remove_key",
        "leave_keys",
        "create_output",
        "update_output",
        "delete_output",
        "release_output",
        "blocked",
    ];

    fn action(&self) -> &'static str {
        match self {
            Self::MakeKey(_) => "make_key",
            Self::ImportKey(_) => "import_key",
            Self::AdoptKey(_) => "adopt_key",
            Self::RestoreKey(_) => "restore_key",
            Self::ActivateKey(_) => "activate_key",
            Self::RemoveKey(_) => "remove_key",
            Self::LeaveKeys => "leave_keys",
            Self::CreateOutput(_) => "create_output",
            Self::UpdateOutput(_) => "update_output",
            Self::DeleteOutput(_) => "delete_output",
            Self::ReleaseOutput(_) => "release_output",
            Self::Blocked(..) => "blocked",
        }
    }

    fn blocked(reason: &'static str, message: String) -> Self {
        Self::Blocked(reason, message)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeKey(algorithm) => write!(f, "make key: {algorithm}"),
            Self::ImportKey(kid) => write!(f, "import key {kid}"),
            Self::AdoptKey(kid) => write!(f, "adopt key {kid}"),
            Self::RestoreKey(kid) => write!(f, "restore key {kid}"),
            Self::ActivateKey(kid) => write!(f, "activate key {kid}"),
            Self::RemoveKey(kid) => write!(f, "remove key {kid}"),
            Self::LeaveKeys => f.write_str("leave the keys in Hydra"),
            Self::CreateOutput(what) => write!(f, "create {what}"),
            Self::UpdateOutput(what) => write!(f, "update {what}"),
            Self::DeleteOutput(what) => write!(f, "delete {what}"),
            Self::ReleaseOutput(what) => write!(f, "release {what}"),
            Self::Blocked(reason, message) => write!(f, "blocked: {reason} {message}"),
        }
    }
}
