//! The status that follows from a pass: pure, from the former status and the outcome.

use jiff::Timestamp;

use super::{
    apply::Applied,
    desired::optional_members,
    error::{Failure, LONGEST_MESSAGE, Reason},
    hydra_admin::note,
};
use crate::{
    api::{
        Condition, ConditionStatus, ConditionType, OAuth2Client, OAuth2ClientStatus, condition,
        oauth2client::{CredentialKeys, PushedSecret, ReconciliationError, UnsupportedFields},
    },
    controller::Class,
    kubernetes::events::truncated,
};

/// How a pass ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Hydra and the Secret hold what is desired, but for members that Hydra does not keep.
    Applied {
        /// What the pass brought about.
        applied: Box<Applied>,
        /// The version of that Hydra; set where members were not kept.
        hydra_version: String,
    },
    /// The resource is suspended.
    Suspended,
    /// The goal was not reached.
    Failed(Failure),
}

/// The status of `resource` after a pass that ended with `outcome` at `now`.
#[must_use]
pub fn status(resource: &OAuth2Client, outcome: &Outcome, now: Timestamp) -> OAuth2ClientStatus {
    let former = resource.status.clone().unwrap_or_default();
    if let Outcome::Failed(Failure { class: Class::Unobserved | Class::Conflict, .. }) = outcome {
        return former;
    }
    let generation = resource.metadata.generation;
    // What an edit changes may be kept: it has to be tried.
    let unsupported =
        former.unsupported.clone().filter(|_| former.observed_generation == generation);
    let mut status = OAuth2ClientStatus {
        observed_generation: generation,
        last_handled_reconcile_at: resource
            .reconcile_requested_at()
            .map(|token| Box::new(token.to_owned()))
            .or_else(|| former.last_handled_reconcile_at.clone()),
        reconciliation_error: None,
        unsupported,
        ..former.clone()
    };
    let conditions = match outcome {
        Outcome::Applied { applied, hydra_version } => {
            record(&mut status, resource, applied, hydra_version)
        }
        Outcome::Suspended => suspended(resource, &former),
        Outcome::Failed(failure) => {
            let registered = status.client_id.is_some();
            status.reconciliation_error = Some(Box::new(ReconciliationError {
                status_code: Some(failure.reason.status_code(registered).to_owned()),
                description: Some(failure.message.clone()),
            }));
            // The reply may be lost of a write that was done: what it set has to be remembered.
            if failure.class == Class::Transient {
                let set = optional_members(&resource.spec).into_iter().map(ToOwned::to_owned);
                let unknown: Vec<String> = set.filter(|m| !status.managed.contains(m)).collect();
                status.managed.extend(unknown);
            }
            failed(failure)
        }
    };
    for Shown { kind, status: value, reason, message } in conditions.into_iter().flatten() {
        let condition = Condition::new(kind, value, reason, message, generation);
        condition::set(&mut status.conditions, condition, now);
    }
    status
}

struct Shown {
    kind: ConditionType,
    status: ConditionStatus,
    reason: &'static str,
    message: String,
}

/// `Ready`, `Reconciling`, `Stalled`; none where the condition stays as it is.
type Conditions = [Option<Shown>; 3];

fn shown(
    ready: bool,
    reconciling: bool,
    stalled: bool,
    reason: Reason,
    message: &str,
) -> Conditions {
    let show = |kind, value| {
        Some(Shown {
            kind,
            status: if value { ConditionStatus::True } else { ConditionStatus::False },
            reason: reason.as_str(),
            message: message.to_owned(),
        })
    };
    [
        show(ConditionType::Ready, ready),
        show(ConditionType::Reconciling, reconciling),
        show(ConditionType::Stalled, stalled),
    ]
}

fn record(
    status: &mut OAuth2ClientStatus,
    resource: &OAuth2Client,
    applied: &Applied,
    hydra_version: &str,
) -> Conditions {
    status.client_id = Some(applied.client_id.to_string());
    status.secret = Some(PushedSecret {
        name: resource.spec.secret_name.clone(),
        uid: applied.secret.uid.clone(),
        resource_version: applied.secret.resource_version.clone(),
        user_provided: applied.user_provided,
        keys: Some(CredentialKeys {
            client_id: applied.keys.id.clone(),
            client_secret: applied.keys.secret.clone(),
        }),
    });
    status.revision.clone_from(&applied.revision);
    status.duplicates = shown_duplicates(&applied.duplicates);
    status.jwks = applied.jwks.clone().map(Box::new);
    status.former_secrets.clone_from(&applied.former_secrets);
    let managed = optional_members(&resource.spec);
    status.managed = managed.into_iter().map(ToOwned::to_owned).collect();
    if applied.unsupported.is_empty() {
        status.unsupported = None;
        let message = "Hydra holds the client as declared, and the Secret holds its credentials";
        let all = std::iter::once(message.to_owned()).chain(notes(resource, applied));
        let message = all.collect::<Vec<_>>().join("; ");
        return shown(true, false, false, Reason::Synced, &truncated(message, LONGEST_MESSAGE));
    }
    status.unsupported = Some(Box::new(UnsupportedFields {
        fields: applied.unsupported.iter().map(ToString::to_string).collect(),
        hydra_version: hydra_version.to_owned(),
    }));
    let message = format!(
        "Hydra {hydra_version} does not keep {}; everything else is as declared: remove what it \
         does not know, or upgrade Hydra",
        applied.unsupported.join(", ")
    );
    status.reconciliation_error = Some(Box::new(ReconciliationError {
        status_code: Some(Reason::UnsupportedByHydra.status_code(true).to_owned()),
        description: Some(message.clone()),
    }));
    shown(false, false, true, Reason::UnsupportedByHydra, &message)
}

/// What a person should know of a resource that is as declared.
fn notes(resource: &OAuth2Client, applied: &Applied) -> impl Iterator<Item = String> {
    let template = applied.user_provided && resource.spec.secret_template.is_some();
    let template = template.then(|| {
        "spec.secretTemplate has no effect on a Secret that somebody else has made".to_owned()
    });
    let duplicates = (!applied.duplicates.is_empty()).then(|| duplicates(&applied.duplicates));
    note(&resource.spec).into_iter().chain(template).chain(duplicates)
}

/// Says which other clients carry the owner mark of a resource.
#[must_use]
pub fn duplicates(ids: &[String]) -> String {
    let shown = shown_duplicates(ids).join(", ");
    let more = if ids.len() > SHOWN_DUPLICATES { ", …" } else { "" };
    format!(
        "{} more clients in Hydra carry the owner mark of this resource ({shown}{more}): they are \
         left as they are, because the operator runs without --remove-duplicate-clients",
        ids.len()
    )
}

/// Most ids of duplicates in status.
const SHOWN_DUPLICATES: usize = 10;

/// The ids of duplicates that status names.
#[must_use]
pub fn shown_duplicates(ids: &[String]) -> Vec<String> {
    ids.iter().take(SHOWN_DUPLICATES).cloned().collect()
}

/// Suspending a resource leaves `Ready` as it stands, about the generation that it is about.
fn suspended(resource: &OAuth2Client, former: &OAuth2ClientStatus) -> Conditions {
    let message = "reconciliation is suspended; the client and the Secret stay as they are";
    let [ready, reconciling, stalled] = shown(false, false, false, Reason::Suspended, message);
    let kept = condition::ready_outlives_suspension(
        &former.conditions,
        former.observed_generation,
        resource.metadata.generation,
        resource.spec.suspend == Some(true),
        Reason::Suspended.as_str(),
    );
    [ready.filter(|_| !kept), reconciling, stalled]
}

fn failed(failure: &Failure) -> Conditions {
    let terminal = failure.class == Class::Terminal;
    let message = truncated(failure.message.clone(), LONGEST_MESSAGE);
    shown(false, !terminal, terminal, failure.reason, &message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        hydra::ClientId,
        kubernetes::KeyPair,
        oauth2client::record::Record,
        oauth2client::testing::{resource, version, with_status},
    };

    fn spec() -> Value {
        json!({ "grantTypes": ["client_credentials"], "secretName": "shop-credentials" })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn applied(unsupported: &[&'static str]) -> Outcome {
        Outcome::Applied {
            applied: Box::new(Applied {
                client_id: ClientId::parse("id-1").unwrap(),
                duplicates: Vec::new(),
                removed: Vec::new(),
                revision: Some("2026-01-01T00:00:00.123456Z".into()),
                secret: version("7"),
                keys: KeyPair::new("CLIENT_ID", "CLIENT_SECRET"),
                user_provided: false,
                secret_change: None,
                client_change: None,
                former_secrets: Vec::new(),
                retired: Vec::new(),
                replaced: None,
                jwks: None,
                unsupported: unsupported.to_vec(),
            }),
            hydra_version: "v1.11.10".into(),
        }
    }

    fn failure(class: Class, reason: Reason) -> Outcome {
        Outcome::Failed(Failure { class, ..Failure::terminal(reason, "because") })
    }

    /// `Ready`, `Reconciling`, `Stalled` as letters, and the reason of `Ready`.
    fn shown(status: &OAuth2ClientStatus) -> String {
        let of = |kind| condition::get(&status.conditions, kind);
        let letter = |kind| match of(kind).map(|condition| condition.status) {
            Some(ConditionStatus::True) => "T",
            Some(ConditionStatus::False) => "F",
            Some(ConditionStatus::Unknown) => "U",
            None => "-",
        };
        let kinds = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];
        let reason = of(ConditionType::Ready).and_then(|ready| ready.reason.clone());
        format!("{} {}", kinds.map(letter).concat(), reason.unwrap_or_default())
    }

    #[test]
    fn conditions_follow_the_class() {
        let cases = [
            (applied(&[]), "TFF Synced"),
            (applied(&["skip_consent"]), "FFT UnsupportedByHydra"),
            (Outcome::Suspended, "FFF Suspended"),
            (failure(Class::Transient, Reason::HydraUnreachable), "FTF HydraUnreachable"),
            (failure(Class::Terminal, Reason::SecretNotOwned), "FFT SecretNotOwned"),
            (failure(Class::Unobserved, Reason::HydraUnreachable), "--- "),
            (failure(Class::Conflict, Reason::KubernetesError), "--- "),
        ];
        for (outcome, expected) in cases {
            let status = status(&resource(&spec()), &outcome, at(10));
            assert_eq!(shown(&status), expected, "{outcome:?}");
        }
    }

    #[test]
    fn success_is_recorded_and_repeating_it_changes_nothing() {
        let mut resource = resource(&spec());
        let first = status(&resource, &applied(&[]), at(10));
        assert_eq!(first.observed_generation, Some(2));
        assert_eq!(first.client_id.as_deref(), Some("id-1"));
        assert_eq!(first.secret.as_ref().map(|s| s.resource_version.as_str()), Some("7"));
        assert_eq!(first.conditions.len(), 3);
        resource.status = Some(first.clone());
        assert!(Record::of(&resource).settled);
        assert_eq!(status(&resource, &applied(&[]), at(99)), first);
    }

    #[test]
    fn the_time_of_a_transition_is_that_of_the_flip() {
        let mut resource = resource(&spec());
        let times = |status: &OAuth2ClientStatus| {
            [ConditionType::Ready, ConditionType::Stalled]
                .map(|kind| condition::get(&status.conditions, kind).cloned())
                .map(|condition| condition.and_then(|condition| condition.last_transition_time))
        };
        let away = |reason| failure(Class::Transient, reason);
        resource.status = Some(status(&resource, &applied(&[]), at(10)));
        let ready = times(resource.status.as_ref().unwrap());
        resource.status = Some(status(&resource, &away(Reason::HydraUnreachable), at(20)));
        let unready = times(resource.status.as_ref().unwrap());
        resource.status = Some(status(&resource, &away(Reason::HydraForbidden), at(30)));
        let still = times(resource.status.as_ref().unwrap());
        assert_ne!(ready[0], unready[0], "Ready flipped");
        assert_eq!(ready[1], unready[1], "Stalled did not");
        assert_eq!(unready, still, "another reason is no flip");
    }

    #[test]
    fn a_failure_keeps_the_record_and_explains_itself_in_maesters_words() {
        let mut resource = resource(&spec());
        resource.status = Some(status(&resource, &applied(&[]), at(10)));
        let failed = status(&resource, &failure(Class::Terminal, Reason::RejectedByHydra), at(20));
        assert_eq!(failed.client_id.as_deref(), Some("id-1"));
        let error = failed.reconciliation_error.clone().unwrap();
        assert_eq!(error.status_code.as_deref(), Some("CLIENT_UPDATE_FAILED"));
        assert_eq!(error.description.as_deref(), Some("because"));
        resource.status = Some(failed);
        assert_eq!(status(&resource, &applied(&[]), at(30)).reconciliation_error, None);
    }

    #[test]
    fn suspension_claims_nothing_new() {
        let mut resource = resource(&spec());
        resource.status = Some(status(&resource, &applied(&[]), at(10)));
        resource.metadata.generation = Some(3);
        assert_eq!(shown(&status(&resource, &Outcome::Suspended, at(20))), "FFF Suspended");
        resource.spec.suspend = Some(true);
        let suspended = status(&resource, &Outcome::Suspended, at(20));
        assert_eq!(shown(&suspended), "TFF Synced");
        assert_eq!(suspended.observed_generation, Some(3));
        let ready = condition::get(&suspended.conditions, ConditionType::Ready);
        assert_eq!(ready.and_then(|ready| ready.observed_generation), Some(2));
        resource.status = Some(suspended);
        assert!(!Record::of(&resource).settled, "this generation was not looked at");
        assert_eq!(shown(&status(&resource, &Outcome::Suspended, at(30))), "TFF Synced");
        resource.metadata.generation = Some(4);
        let edited = status(&resource, &Outcome::Suspended, at(40));
        assert_eq!(shown(&edited), "FFF Suspended");
        resource.status = Some(edited);
        assert_eq!(shown(&status(&resource, &Outcome::Suspended, at(50))), "FFF Suspended");
    }

    #[test]
    fn what_an_edit_changes_is_tried_even_where_hydra_did_not_keep_it() {
        let mut resource = resource(&spec());
        resource.status = Some(status(&resource, &applied(&["skip_consent"]), at(10)));
        assert!(Record::of(&resource).unsupported.is_some());
        resource.metadata.generation = Some(3);
        let away = failure(Class::Transient, Reason::HydraUnreachable);
        for outcome in [away, Outcome::Suspended] {
            let status = status(&resource, &outcome, at(20));
            assert_eq!(status.observed_generation, Some(3));
            assert_eq!(status.unsupported, None);
        }
    }

    #[test]
    fn what_may_have_been_set_is_remembered() {
        let mut spec = spec();
        spec["jwks"] = json!({ "keys": [] });
        let away = failure(Class::Transient, Reason::HydraUnreachable);
        assert_eq!(status(&resource(&spec), &away, at(10)).managed, ["jwks"]);
        assert_eq!(status(&resource(&spec), &applied(&[]), at(10)).managed, ["jwks"]);
        let refused = failure(Class::Terminal, Reason::InvalidSpec);
        assert!(status(&resource(&spec), &refused, at(10)).managed.is_empty());
    }

    #[test]
    fn a_request_is_echoed_once_it_was_handled() {
        let mut resource = resource(&spec());
        resource.metadata.annotations =
            Some([("hydra.ory.sh/reconcile-requested-at".to_owned(), "now".to_owned())].into());
        assert!(Record::of(&resource).requested);
        resource.status = Some(status(&resource, &applied(&[]), at(10)));
        assert!(!Record::of(&resource).requested);
    }

    #[test]
    fn maesters_status_is_read() {
        let resource = with_status(
            &spec(),
            &json!({
                "observedGeneration": 2,
                "reconciliationError": {},
                "conditions": [{ "type": "Ready", "status": "True" }],
            }),
        );
        let record = Record::of(&resource);
        assert!(record.settled);
        assert_eq!(record.client_id, None);
        let status = status(&resource, &applied(&[]), at(10));
        assert_eq!(shown(&status), "TFF Synced");
        assert_eq!(status.conditions.len(), 3);
    }
}
