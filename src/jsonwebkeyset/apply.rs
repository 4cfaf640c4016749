//! Writes what the plan says, in the order that survives a crash at any point: a key that the operator makes is stored before it
//! is sent, its public half is shown before its private half is handed out, and what goes, goes last. A status that
//! records it is written by the caller.

mod keys;
mod outputs;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use self::outputs::{check_templates, private_content, public_content, refused};
use super::{
    desired::Desired,
    error::Failure,
    observe::{Observed, Sources},
    plan::Changes,
    record::Record,
    rotation::{self, Key, active},
    waiting::Waiting,
};
use crate::{
    api::jsonwebkeyset::OutputStatuses,
    jose::{Jwk, PublicJwk},
    kubernetes::SecretVersion,
};

/// What a pass has brought about.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The keys from now on.
    pub keys: Vec<Key>,
    /// Their public halves.
    pub publics: BTreeMap<String, PublicJwk>,
    /// Those that somebody provides.
    pub provided: BTreeSet<String>,
    /// When time alone changes something.
    pub due: Option<Timestamp>,
    /// When the next key is to take the place of the current one.
    pub next_rotation: Option<Timestamp>,
    /// Keys in the set that are not the operator's.
    pub foreign: Vec<String>,
    /// The key of somebody else that Hydra signs with.
    pub stranger: Option<String>,
    /// Clients that do not hold a new key yet.
    pub waiting: Waiting,
    /// The objects that hold the keys.
    pub outputs: OutputStatuses,
    /// Keys that were made.
    pub made: Vec<String>,
    /// Keys that were put back.
    pub restored: Vec<String>,
    /// Keys that are gone.
    pub removed: Vec<String>,
    /// Keys whose private half is nowhere any more.
    pub lost: Vec<String>,
    /// Objects that were deleted, because the spec names others or none.
    pub retired: Vec<String>,
}

impl Applied {
    /// Whether it made the keys other ones, so that the next pass may find more to do. What was put back may not stay, and is
    /// looked at in its time.
    #[must_use]
    pub const fn wrote(&self) -> bool {
        !self.made.is_empty() || !self.removed.is_empty()
    }
}

/// Where a pass writes to.
#[derive(Clone, Copy)]
pub struct Targets<'a> {
    /// Where it has read from.
    pub sources: Sources<'a>,
    /// `apiVersion` of the resource.
    pub api_version: &'a str,
    /// Told of each object that was written: its kind, its name, its version.
    pub written: &'a (dyn Fn(&str, &str, &SecretVersion) + Sync),
}

/// Carries out `changes`. Each step can be repeated: one that was done and not noticed is found done by the next pass.
pub async fn apply(
    mut changes: Changes,
    desired: &Desired,
    record: &Record,
    observed: &Observed,
    to: Targets<'_>,
) -> Result<Applied, Failure> {
    let mut work =
        Work { desired, observed, to, outputs: OutputStatuses::default(), kept: Vec::new() };
    work.kept.clone_from(&changes.keeps);
    let (made, restored) = work.make(&mut changes, record).await?;
    work.keep(&changes, record).await?;
    work.show(&changes).await?;
    work.hand_out(&changes, record).await?;
    rotation::date(&mut changes.turn, &record.rotating(), Timestamp::now());
    let removed = work.remove(&changes).await?;
    let retired = work.retire(record).await?;
    let mut outputs = work.outputs;
    outputs.import.clone_from(&observed.import);
    let provided =
        observed.imported.iter().flatten().filter_map(|key| key.kid().map(ToOwned::to_owned));
    Ok(Applied {
        provided: provided.collect(),
        keys: changes.turn.keys,
        publics: changes.publics,
        due: changes.turn.due,
        next_rotation: changes.turn.next_rotation,
        foreign: changes.foreign,
        stranger: changes.stranger,
        waiting: changes.waiting,
        lost: changes.lost,
        outputs,
        made,
        restored,
        removed,
        retired,
    })
}

struct Work<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    to: Targets<'a>,
    outputs: OutputStatuses,
    /// What the Secret of the operator's own is to hold.
    kept: Vec<Jwk>,
}

/// The key that is signed with by now, where it is another than before.
#[must_use]
pub fn activated<'a>(record: &Record, applied: &'a Applied) -> Option<&'a Key> {
    let former = record.rotating();
    let former = active(&former).map(|key| &key.kid);
    active(&applied.keys).filter(|key| former != Some(&key.kid))
}
