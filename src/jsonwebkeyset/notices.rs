//! The events that follow from a pass: pure; one per transition, none for a pass that changes nothing.

use super::{
    apply::{Applied, activated},
    error::{Failure, Reason},
    record::Record,
    rotation::active,
    status::Outcome,
};
use crate::{
    api::{ConditionType, JsonWebKeySet, JsonWebKeySetStatus, condition, jsonwebkeyset::KeyOrigin},
    controller::Class,
    kubernetes::events::Notice,
};

/// What the operator does in all passes but those of deletion: `action` of their events.
pub const RECONCILE: &str = "Reconcile";
/// `action` of the events of deletion.
pub const DELETE: &str = "Delete";

/// The events about a pass over `resource` that ended with `outcome` and leads to `status`.
#[must_use]
pub fn notices(
    resource: &JsonWebKeySet,
    outcome: &Outcome,
    status: &JsonWebKeySetStatus,
) -> Vec<Notice> {
    let mut notices = match outcome {
        Outcome::Applied { desired, applied } => {
            changes(resource, applied, desired.rules.signs_at_once)
        }
        Outcome::Recorded { keys, intruder, .. } => {
            let adopted: Vec<&str> = keys
                .iter()
                .filter(|recorded| recorded.key.origin == KeyOrigin::Adopted)
                .map(|recorded| recorded.key.kid.as_str())
                .collect();
            let note = format!("Took over the keys {} of the set", adopted.join(", "));
            let adopted =
                (!adopted.is_empty()).then(|| Notice::normal("KeysAdopted", RECONCILE, note));
            adopted.into_iter().chain(intruder.as_deref().map(displaced)).collect()
        }
        Outcome::Revoked { kid, left } => vec![revoked(kid, left)],
        Outcome::Suspended | Outcome::Failed(_) => Vec::new(),
    };
    notices.extend(transition(resource, outcome, status));
    notices
}

fn changes(resource: &JsonWebKeySet, applied: &Applied, signs_at_once: bool) -> Vec<Notice> {
    let record = Record::of(resource);
    let normal = |reason, note: String| Notice::normal(reason, RECONCILE, note);
    let mut notices = Vec::new();
    for kid in &applied.made {
        notices.push(normal("KeyCreated", format!("Created key {kid}")).about(part(kid)));
    }
    for kid in applied.restored.iter().filter(|kid| !applied.lost.contains(kid)) {
        let note = format!("Key {kid} was gone from Hydra or altered; put it back");
        notices.push(Notice::warning("DriftCorrected", RECONCILE, note).about(part(kid)));
    }
    let known = resource.status.as_ref().map_or(&[][..], |status| &status.keys);
    for kid in applied.lost.iter().filter(|kid| known.iter().any(|key| key.kid == **kid)) {
        let current = active(&applied.keys).is_some_and(|key| key.kid == *kid);
        // Once: in the pass that puts its public half back, where that can be, or makes its successor.
        let is_new = applied.restored.contains(kid) || !applied.made.is_empty();
        if is_new || !current {
            let note = format!(
                "The private half of key {kid} is gone from Hydra and is kept nowhere else; another key takes its place"
            );
            notices.push(Notice::warning("KeyLost", RECONCILE, note).about(part(kid)));
        }
    }
    if let Some(key) = activated(&record, applied) {
        let from_now_on =
            if signs_at_once { "Hydra signs with it" } else { "it is to be signed with" };
        let note = format!("Key {} is the current one: {from_now_on} from now on", key.kid);
        notices.push(normal("KeyActivated", note).about(part(&key.kid)));
    }
    for kid in &applied.removed {
        let notice = if record.revoke.as_ref() == Some(kid) {
            revoked(kid, &[])
        } else {
            normal(
                "KeyRemoved",
                format!("Removed key {kid}, which had been retained for as long as asked"),
            )
        };
        notices.push(notice.about(part(kid)));
    }
    for what in &applied.retired {
        notices.push(normal(
            "OutputDeleted",
            format!("Deleted {what}, which the spec does not name any more"),
        ));
    }
    let is_unknown = |kid: &&String| {
        let is_ours = known.iter().any(|key| key.kid == **kid) || applied.removed.contains(kid);
        record.revoke_is_new && !is_ours
    };
    notices.extend(record.revoke.as_ref().filter(is_unknown).map(|kid| {
        let note = format!("There is no key {kid} of this resource: nothing was revoked");
        Notice::warning("UnknownKey", RECONCILE, note)
    }));
    notices.extend(strangers(resource, applied));
    notices
}

/// `left`: outputs that may hold it still.
fn revoked(kid: &str, left: &[String]) -> Notice {
    let but = if left.is_empty() {
        String::new()
    } else {
        format!(", but the operator may not change {}: delete what holds it", left.join(" and "))
    };
    let note = format!("Removed key {kid}, as asked, at once{but}");
    Notice::warning("KeyRevoked", RECONCILE, note).about(part(kid))
}

fn displaced(kid: &str) -> Notice {
    let note = format!(
        "Hydra signs with key {kid}, a former one of this resource, which somebody has put back; another key takes its place"
    );
    Notice::warning("SigningKeyDisplaced", RECONCILE, note).about(part(kid))
}

/// Where the key of this id stands in the resource.
fn part(kid: &str) -> String {
    format!("status.keys[{kid}]")
}

fn strangers(resource: &JsonWebKeySet, applied: &Applied) -> Option<Notice> {
    let known = resource.status.as_ref().map_or(&[][..], |status| &status.foreign_keys);
    let shown: Vec<&str> = applied.foreign.iter().take(10).map(String::as_str).collect();
    let is_news = shown.iter().any(|kid| !known.iter().any(|known| known == kid));
    is_news.then(|| {
        let note = format!(
            "The set holds keys that are not the operator's and are left as they are: {}",
            shown.join(", ")
        );
        Notice::warning("ForeignKeys", RECONCILE, note)
    })
}

/// A failure is told when its reason is new, and once more when it is over.
fn transition(
    resource: &JsonWebKeySet,
    outcome: &Outcome,
    status: &JsonWebKeySetStatus,
) -> Option<Notice> {
    // `Stalled` carries the reason of every outcome; `Ready` keeps its own while suspended.
    let stalled = |status: &JsonWebKeySetStatus| {
        let condition = condition::get(&status.conditions, ConditionType::Stalled)?;
        Some((condition.reason.clone()?, condition.message.clone().unwrap_or_default()))
    };
    let former = resource.status.as_ref().and_then(stalled);
    let (reason, message) = stalled(status)?;
    let former = former.map(|(reason, _)| reason);
    if former.as_ref() == Some(&reason) {
        return None;
    }
    let message = message.to_string();
    let action = if resource.metadata.deletion_timestamp.is_some() { DELETE } else { RECONCILE };
    match outcome {
        Outcome::Failed(Failure { class: Class::Unobserved | Class::Conflict, .. })
        | Outcome::Recorded { .. }
        | Outcome::Revoked { .. } => None,
        Outcome::Failed(failure) => Some(Notice::warning(failure.reason.as_str(), action, message)),
        Outcome::Suspended => Some(Notice::normal(Reason::Suspended.as_str(), action, message)),
        Outcome::Applied { .. } => {
            let reached = Reason::ALL.iter().find(|known| *known.as_str() == *reason)?;
            match reached {
                // The first success, and a rotation, have the events of their changes.
                Reason::Synced if was_at_work(former.as_deref()) => None,
                Reason::Progressing | Reason::ReplacingKey => None,
                Reason::Synced => Some(Notice::normal(reached.as_str(), action, message)),
                _ => Some(Notice::warning(reached.as_str(), action, message)),
            }
        }
    }
}

fn was_at_work(former: Option<&str>) -> bool {
    let at_work = [Reason::Progressing, Reason::ReplacingKey].map(Reason::as_str);
    former.is_none_or(|reason| at_work.contains(&reason))
}

#[cfg(test)]
mod tests;
