//! The events that follow from a pass: pure; one per transition, none for a pass that changes
//! nothing.

use super::{
    apply::{Applied, ClientChange, SecretChange},
    error::{Failure, Reason},
    record::Record,
    status::{self, Outcome, shown_duplicates},
};
use crate::{
    api::{ConditionType, OAuth2Client, OAuth2ClientStatus, condition},
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
    resource: &OAuth2Client,
    outcome: &Outcome,
    status: &OAuth2ClientStatus,
) -> Vec<Notice> {
    let mut notices = match outcome {
        Outcome::Applied { applied, .. } => changes(resource, applied),
        Outcome::Suspended | Outcome::Failed(_) => Vec::new(),
    };
    notices.extend(transition(resource, outcome, status));
    notices
}

/// Whether a pass corrected what had moved without the resource: drift.
#[must_use]
pub fn corrects_drift(resource: &OAuth2Client, applied: &Applied) -> bool {
    let moved = match &applied.client_change {
        Some(ClientChange::Created) => true,
        // A secret alone follows its Secret, which is a wish.
        Some(ClientChange::Replaced { differing, meddled, .. }) => {
            !differing.is_empty() || *meddled
        }
        None => false,
    };
    let record = Record::of(resource);
    // New keys in the set are no drift.
    let follows_keys = record.jwks != applied.jwks;
    // Another client is another matter.
    moved
        && !follows_keys
        && record.settled
        && record.client_id.as_ref() == Some(&applied.client_id)
}

fn changes(resource: &OAuth2Client, applied: &Applied) -> Vec<Notice> {
    let id = &applied.client_id;
    let drift = corrects_drift(resource, applied);
    let name = &resource.spec.secret_name;
    // A new client with its new Secret is one piece of news.
    let is_new = !drift
        && applied.client_change == Some(ClientChange::Created)
        && applied.secret_change == Some(SecretChange::Created);
    let secret = applied.secret_change.filter(|_| !is_new).map(|change| match change {
        SecretChange::Created => {
            let note = format!("Stored the credentials of client {id} in Secret {name}");
            Notice::normal("SecretCreated", RECONCILE, note)
        }
        SecretChange::Changed => {
            let note = format!("Put Secret {name} of client {id} into its declared form");
            Notice::normal("SecretUpdated", RECONCILE, note)
        }
        SecretChange::Inherited => {
            let note = format!(
                "Took over Secret {name} of client {id} from a former OAuth2Client of this name"
            );
            Notice::normal("SecretInherited", RECONCILE, note)
        }
    });
    let client = applied.client_change.as_ref().map(|change| match change {
        ClientChange::Created if drift => {
            let note = format!("Client {id} was gone from Hydra; created it again");
            Notice::warning("DriftCorrected", RECONCILE, note)
        }
        ClientChange::Created => {
            let stored = if is_new {
                format!(", with its credentials in Secret {name}")
            } else {
                String::new()
            };
            let note = format!("Created client {id} in Hydra{stored}");
            Notice::normal("ClientCreated", RECONCILE, note)
        }
        ClientChange::Replaced { differing, secret, .. } => {
            let what = written(differing, *secret);
            if drift {
                let note = format!("Client {id} had changed in Hydra; put back {what}");
                Notice::warning("DriftCorrected", RECONCILE, note)
            } else {
                let note = format!("Updated client {id} in Hydra: {what}");
                Notice::normal("ClientUpdated", RECONCILE, note)
            }
        }
    });
    let retired = applied.retired.iter().map(|former| {
        let note = format!("The credentials of client {id} have moved; deleted Secret {former}");
        Notice::normal("SecretMoved", RECONCILE, note)
    });
    let replaced = applied.replaced.as_ref().map(|former| {
        let note = format!("Gave up client {former} for {id}, and deleted it from Hydra");
        Notice::normal("ClientReplaced", RECONCILE, note)
    });
    let removed = applied.removed.iter().map(|other| {
        let note = format!("Deleted client {other} from Hydra: it was a duplicate of {id}");
        Notice::normal("DuplicateClientDeleted", RECONCILE, note)
    });
    let known = resource.status.as_ref().map_or(&[][..], |status| &status.duplicates);
    let news = !applied.duplicates.is_empty() && shown_duplicates(&applied.duplicates) != known;
    let duplicates = news.then(|| {
        Notice::warning("DuplicateClients", RECONCILE, status::duplicates(&applied.duplicates))
    });
    let changes = secret.into_iter().chain(client).chain(retired).chain(replaced);
    changes.chain(removed).chain(duplicates).collect()
}

fn written(differing: &[&str], secret: bool) -> String {
    let secret = secret.then_some("the client secret");
    differing.iter().copied().chain(secret).collect::<Vec<_>>().join(", ")
}

/// A failure is told when its reason is new, and once more when it is over.
fn transition(
    resource: &OAuth2Client,
    outcome: &Outcome,
    status: &OAuth2ClientStatus,
) -> Option<Notice> {
    let shown = |status: &OAuth2ClientStatus, kind| {
        let condition = condition::get(&status.conditions, kind)?;
        Some((condition.status, condition.reason.clone()))
    };
    // `Stalled` carries the reason of every outcome; `Ready` keeps its own while suspended.
    let stalled = |status| shown(status, ConditionType::Stalled);
    let former = resource.status.as_ref().and_then(stalled);
    let reason = stalled(status).and_then(|(_, reason)| reason)?;
    if former.as_ref().and_then(|(_, reason)| reason.as_ref()) == Some(&reason) {
        return None;
    }
    let message = condition::get(&status.conditions, ConditionType::Stalled)
        .and_then(|stalled| stalled.message.as_deref())
        .unwrap_or_default();
    let action = if resource.metadata.deletion_timestamp.is_some() { DELETE } else { RECONCILE };
    match outcome {
        Outcome::Failed(Failure { class: Class::Unobserved | Class::Conflict, .. }) => None,
        Outcome::Failed(failure) => Some(Notice::warning(failure.reason.as_str(), action, message)),
        Outcome::Suspended => Some(Notice::normal(Reason::Suspended.as_str(), action, message)),
        Outcome::Applied { applied, .. } if !applied.unsupported.is_empty() => {
            Some(Notice::warning(Reason::UnsupportedByHydra.as_str(), action, message))
        }
        // The first success has the events of its changes.
        Outcome::Applied { .. } => {
            former.map(|_| Notice::normal(Reason::Synced.as_str(), action, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        api::oauth2client::LinkedKeys,
        hydra::ClientId,
        kubernetes::KeyPair,
        oauth2client::{
            status::status,
            testing::{resource, version},
        },
    };

    fn fixture() -> OAuth2Client {
        resource(&json!({ "grantTypes": ["client_credentials"], "secretName": "s" }))
    }

    fn applied(client_change: Option<ClientChange>) -> Outcome {
        Outcome::Applied {
            applied: Box::new(Applied {
                client_id: ClientId::parse("id-1").unwrap(),
                duplicates: Vec::new(),
                removed: Vec::new(),
                revision: None,
                secret: version("1"),
                keys: KeyPair::new("CLIENT_ID", "CLIENT_SECRET"),
                user_provided: false,
                secret_change: None,
                client_change,
                former_secrets: Vec::new(),
                retired: Vec::new(),
                replaced: None,
                jwks: None,
                unsupported: Vec::new(),
            }),
            hydra_version: String::new(),
        }
    }

    /// The reasons of the events of a pass, and the resource after it.
    fn pass(resource: &OAuth2Client, outcome: &Outcome) -> (Vec<&'static str>, OAuth2Client) {
        let status = status(resource, outcome, Timestamp::UNIX_EPOCH);
        let reasons = notices(resource, outcome, &status).iter().map(|n| n.reason).collect();
        (reasons, OAuth2Client { status: Some(status), ..resource.clone() })
    }

    #[test]
    fn a_new_client_with_its_new_secret_is_one_event() {
        let of = |secret_change, client_change| {
            let Outcome::Applied { mut applied, hydra_version } = applied(client_change) else {
                unreachable!("`applied` makes no other")
            };
            applied.secret_change = secret_change;
            pass(&fixture(), &Outcome::Applied { applied, hydra_version }).0
        };
        let (secret, client) = (Some(SecretChange::Created), Some(ClientChange::Created));
        assert_eq!(of(secret, client.clone()), ["ClientCreated"]);
        assert_eq!(of(None, client), ["ClientCreated"]);
        assert_eq!(of(secret, None), ["SecretCreated"]);
    }

    fn replaced(differing: &[&'static str], secret: bool) -> Outcome {
        let differing = differing.to_vec();
        applied(Some(ClientChange::Replaced { differing, secret, meddled: false }))
    }

    #[test]
    fn changes_are_told_and_drift_is_told_apart() {
        let (reasons, converged) = pass(&fixture(), &applied(Some(ClientChange::Created)));
        assert_eq!(reasons, ["ClientCreated"]);
        assert!(pass(&converged, &applied(None)).0.is_empty());
        assert_eq!(pass(&converged, &replaced(&["scope"], false)).0, ["DriftCorrected"]);
        assert_eq!(pass(&converged, &applied(Some(ClientChange::Created))).0, ["DriftCorrected"]);
        assert_eq!(pass(&converged, &replaced(&[], true)).0, ["ClientUpdated"]);
        let meddled = ClientChange::Replaced { differing: vec![], secret: true, meddled: true };
        assert_eq!(pass(&converged, &applied(Some(meddled))).0, ["DriftCorrected"]);
        let Outcome::Applied { applied: mut moved, hydra_version } = replaced(&["jwks"], false)
        else {
            unreachable!("`replaced` makes no other")
        };
        moved.jwks = Some(LinkedKeys { name: "keys".into(), ..LinkedKeys::default() });
        let moved = Outcome::Applied { applied: moved, hydra_version };
        let (reasons, follower) = pass(&converged, &moved);
        assert_eq!(reasons, ["ClientUpdated"], "the set has new keys");
        assert_eq!(pass(&follower, &moved).0, ["DriftCorrected"], "it has no others");
        let mut edited = converged;
        edited.metadata.generation = Some(3);
        assert_eq!(pass(&edited, &replaced(&["scope"], false)).0, ["ClientUpdated"]);
    }

    #[test]
    fn a_failure_is_told_once_per_reason() {
        let failed = |reason| Outcome::Failed(Failure::transient(reason, "because"));
        let (reasons, away) = pass(&fixture(), &failed(Reason::HydraUnreachable));
        assert_eq!(reasons, ["HydraUnreachable"]);
        let (reasons, away) = pass(&away, &failed(Reason::HydraUnreachable));
        assert!(reasons.is_empty());
        let (reasons, away) = pass(&away, &failed(Reason::HydraForbidden));
        assert_eq!(reasons, ["HydraForbidden"]);
        let (reasons, back) = pass(&away, &applied(None));
        assert_eq!(reasons, ["Synced"]);
        assert!(pass(&back, &applied(None)).0.is_empty());
        let unobserved = Failure {
            class: Class::Unobserved,
            ..Failure::transient(Reason::HydraUnreachable, "")
        };
        assert!(pass(&fixture(), &Outcome::Failed(unobserved)).0.is_empty());
    }
}
