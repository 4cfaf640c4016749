//! The status that follows from a pass: pure, from the former status and the outcome.

mod standing;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use self::standing::Shown;
pub use self::standing::{standing, tells_who_is_waited_for};
use super::{
    apply::Applied,
    desired::Desired,
    error::{Failure, LONGEST_MESSAGE, Reason},
    plan::Recorded,
    rotation::{Key, active},
};
use crate::{
    api::{
        Condition, ConditionStatus, JsonWebKeySet, JsonWebKeySetStatus, condition,
        jsonwebkeyset::{KeyOrigin, KeyState, KeyStatus, OutputStatuses},
    },
    controller::Class,
    jose::PublicJwk,
    kubernetes::events::truncated,
};

/// Most ids of foreign keys in status.
const SHOWN_FOREIGN: usize = 10;

/// How a pass ended.
#[derive(Clone)]
pub enum Outcome {
    /// Keys are to be recorded before they are made.
    Recorded {
        /// What the resource asks for.
        desired: Box<Desired>,
        /// The keys.
        keys: Vec<Recorded>,
        /// The id of a key of ours that Hydra signs with and that is not to sign any more.
        intruder: Option<String>,
    },
    /// A compromised key is gone from Hydra.
    Revoked {
        /// Its id.
        kid: String,
        /// The outputs that may hold it still, because the operator may not use them.
        left: Vec<String>,
    },
    /// What the pass had to do is done.
    Applied {
        /// What the resource asks for.
        desired: Box<Desired>,
        /// What the pass brought about.
        applied: Box<Applied>,
    },
    /// The resource is suspended.
    Suspended,
    /// The goal was not reached.
    Failed(Failure),
}

/// The status of `resource` after a pass that ended with `outcome` at `now`.
#[must_use]
pub fn status(resource: &JsonWebKeySet, outcome: &Outcome, now: Timestamp) -> JsonWebKeySetStatus {
    let former = resource.status.clone().unwrap_or_default();
    if let Outcome::Failed(Failure { class: Class::Unobserved | Class::Conflict, .. }) = outcome {
        return former;
    }
    let generation = resource.metadata.generation;
    let keeps_ready = condition::ready_outlives_suspension(
        &former.conditions,
        former.observed_generation,
        generation,
        resource.spec.suspend == Some(true),
        Reason::Suspended.as_str(),
    );
    let mut status = JsonWebKeySetStatus {
        last_handled_reconcile_at: resource
            .reconcile_requested_at()
            .map(ToOwned::to_owned)
            .or_else(|| former.last_handled_reconcile_at.clone()),
        ..former
    };
    let shown = match outcome {
        Outcome::Recorded { desired, keys, .. } => {
            record(&mut status, resource, desired, keys);
            if active_is_known(&status) {
                // What is declared is reached by and by; what was reached stays.
                None
            } else {
                let message = format!("key {} is being made", last_kid(&status));
                Some(Shown::progressing(message))
            }
        }
        Outcome::Revoked { kid, .. } => {
            revoke(&mut status, resource, kid);
            None
        }
        Outcome::Applied { desired, applied } => {
            reach(&mut status, resource, desired, applied);
            Some(standing(desired, applied, now))
        }
        Outcome::Suspended => {
            let message = "reconciliation is suspended; the keys and the outputs stay as they are";
            Some(Shown::suspended(message, keeps_ready))
        }
        Outcome::Failed(failure) => Some(Shown::failed(failure)),
    };
    if let Some(shown) = shown {
        status.observed_generation = generation;
        for (kind, holds) in shown.conditions {
            let Some(holds) = holds else { continue };
            let value = if holds { ConditionStatus::True } else { ConditionStatus::False };
            let message = truncated(shown.message.clone(), LONGEST_MESSAGE);
            let condition = Condition::new(kind, value, shown.reason.as_str(), message, generation);
            condition::set(&mut status.conditions, condition, now);
        }
    }
    status
}

fn active_is_known(status: &JsonWebKeySetStatus) -> bool {
    status.keys.iter().any(|key| key.state == KeyState::Active)
}

fn last_kid(status: &JsonWebKeySetStatus) -> &str {
    status.keys.last().map(|key| key.kid.as_str()).unwrap_or_default()
}

/// Adds the keys to those that are recorded, which stay as they are until the next pass.
fn record(
    status: &mut JsonWebKeySetStatus,
    resource: &JsonWebKeySet,
    desired: &Desired,
    keys: &[Recorded],
) {
    let entry =
        |recorded: &Recorded| key_status(&recorded.key, recorded.public.as_ref(), desired, false);
    status.keys.extend(keys.iter().map(entry));
    status.set_name = Some(desired.set.as_str().to_owned());
    if keys.iter().any(|recorded| recorded.key.origin != KeyOrigin::Adopted) {
        handle_rotate(status, resource);
    }
}

/// The key is ours no more. One that somebody provides is remembered, so that it does not come back; a new key that was asked for
/// is made all the same.
fn revoke(status: &mut JsonWebKeySetStatus, resource: &JsonWebKeySet, kid: &str) {
    let Some(n) = status.keys.iter().position(|key| key.kid == kid) else { return };
    let key = status.keys.remove(n);
    if key.origin == KeyOrigin::Imported {
        status.revoked_keys.push(key.kid);
    }
    if matches!(key.state, KeyState::Pending | KeyState::Published) {
        status.last_handled_rotate_at = None;
    }
    if status.current_key.as_deref() == Some(kid) {
        status.current_key = None;
    }
    status.key_count = i32::try_from(status.keys.len()).ok();
    status.last_handled_revoke_key = resource.revoke_key().map(ToOwned::to_owned);
}

/// Whoever asked for a new key has it recorded now, or another was on its way already.
fn handle_rotate(status: &mut JsonWebKeySetStatus, resource: &JsonWebKeySet) {
    if let Some(asked) = resource.rotate_requested_at() {
        status.last_handled_rotate_at = Some(asked.to_owned());
    }
}

/// What the pass has brought about.
fn reach(
    status: &mut JsonWebKeySetStatus,
    resource: &JsonWebKeySet,
    desired: &Desired,
    applied: &Applied,
) {
    let entry = |key: &Key| {
        let provided = applied.provided.contains(&key.kid);
        key_status(key, applied.publics.get(&key.kid), desired, provided)
    };
    status.keys = applied.keys.iter().map(entry).collect();
    status.set_name = Some(desired.set.as_str().to_owned());
    status.current_key = active(&applied.keys).map(|key| key.kid.clone());
    status.next_rotation = applied.next_rotation.map(rounded);
    status.key_count = i32::try_from(applied.keys.len()).ok();
    status.foreign_keys = applied.foreign.iter().take(SHOWN_FOREIGN).cloned().collect();
    status.outputs =
        Some(applied.outputs.clone()).filter(|outputs| *outputs != OutputStatuses::default());
    handle_rotate(status, resource);
    if let Some(revoked) = resource.revoke_key() {
        status.last_handled_revoke_key = Some(revoked.to_owned());
    }
}

fn key_status(
    key: &Key,
    public: Option<&PublicJwk>,
    desired: &Desired,
    provided: bool,
) -> KeyStatus {
    KeyStatus {
        kid: key.kid.clone(),
        algorithm: key.algorithm.clone(),
        r#use: key.key_use.clone(),
        state: key.state,
        since: Some(rounded(key.since)),
        until: desired.rules.until(key, provided).map(rounded),
        origin: key.origin,
        public_key: public.cloned(),
    }
}

/// To milliseconds, and never to a time that is still to come.
fn rounded(time: Timestamp) -> Timestamp {
    let round = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Trunc);
    time.round(round).unwrap_or(time)
}

#[cfg(test)]
mod tests;
