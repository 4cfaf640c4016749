//! What each reason of a condition or an event of an `OAuth2Client` means, for people: its part of `docs/reasons.md`.

use super::error::Reason;
use crate::controller::reasons::{EventReason, events, explain, normal, table, warning};

explain! { Reason;
    Synced {
        cause: "everything is as declared",
        remedy: "none needed",
    }
    Suspended {
        cause: "`spec.suspend`, or the annotation `hydra.ory.sh/suspend` with any value but \
                `false`; a resource that was Ready stays so until it is edited",
        remedy: "remove it to go on",
    }
    HydraUnreachable {
        cause: "no usable answer: no connection, TLS, time-out, or an answer that is not one of \
                Hydra's admin API",
        remedy: "retried, and at once when Hydra is back; the message has the cause",
    }
    HydraError {
        cause: "Hydra, or a proxy before it, answered with an error of its own (5xx) or asked to \
                wait (429)",
        remedy: "retried, no sooner than it asked for; look into the log of Hydra",
    }
    HydraForbidden {
        cause: "Hydra, or a proxy before it, answered 401 or 403",
        remedy: "retried; give the operator credentials, see \
                 [operating](operating.md#hydra-behind-tls-or-a-proxy)",
    }
    DiscoveryUnavailable {
        cause: "the Secret is to have values of Hydra's discovery document, and the public API \
                gave none",
        remedy: "retried; the message has the cause; see whether `--hydra-public-url` is right",
    }
    RejectedByHydra {
        cause: "Hydra refuses the client (400): its explanation is in the message",
        remedy: "correct the field that it names",
    }
    UnsupportedByHydra {
        cause: "this version of Hydra does not keep fields that are set; everything else is applied",
        remedy: "remove them, or upgrade Hydra",
    }
    ClientIdTaken {
        cause: "another `OAuth2Client`, which the message names, \
                [has](oauth2client.md#conflicts-between-resources) the client of that id; or that \
                client has another owner in Hydra, or none",
        remedy: "choose another `clientId`, or delete that resource or client",
    }
    AmbiguousClients {
        cause: "no id is known, and several clients in Hydra have the owner of the resource",
        remedy: "name the right one in `clientId`; the others are left alone",
    }
    ClientIdChanged {
        cause: "`clientId`, or the id in your Secret, is not the id of the client that the \
                resource holds",
        remedy: "set it back; to give up the client for the one that your Secret names, set the \
                 annotation `hydra.ory.sh/change-client-id-to` to that id",
    }
    SecretNotOwned {
        cause: "the Secret [belongs](oauth2client.md#conflicts-between-resources) to another \
                `OAuth2Client`, which the message names, or was not made by the operator and lacks \
                the keys, has values that are not text, or lacks the label \
                `hydra.ory.sh/credentials=true` although the resource names its keys",
        remedy: "choose another `secretName`, complete or label the Secret, or delete it",
    }
    InvalidSecret {
        cause: "the id or the secret in the Secret cannot be used (empty, too short, too long, \
                characters that a path cannot have)",
        remedy: "correct it",
    }
    WaitingForSecret {
        cause: "the Secret is somebody else's to make (`requireExistingSecret`, or it was theirs \
                before it went), or belongs to a former resource of the same name and is being \
                collected",
        remedy: "make the Secret; the operator goes on when it is there",
    }
    WaitingForKeySet {
        cause: "the `JsonWebKeySet` that `jwksFrom` names is not there, or has no public key yet; a \
                client that Hydra has stays as it is",
        remedy: "create the set, or see why it has no key; the operator goes on when it has",
    }
    SecretRefused {
        cause: "the API server refused to store the Secret: quota, admission policy, missing \
                rights",
        remedy: "retried; the message has the cause",
    }
    SecretsNotAllowed {
        cause: "the operator may use Secrets of some namespaces alone (`--secret-namespaces`), and this one is not among them; or \
                the API server refused to show the Secret for missing rights",
        remedy: "ask for the namespace to be [added](operating.md#rights), or move the resource; a client that Hydra has stays as \
                 it is",
    }
    InvalidSpec {
        cause: "the spec contradicts itself, such as `private_key_jwt` without keys",
        remedy: "correct what the message names",
    }
    HydraAdminNotAllowed {
        cause: "`hydraAdmin` asks for a Hydra that the administrator does not allow, or the client \
                that is to be deleted is in one that is allowed no more",
        remedy: "ask for the [address](operating.md#other-hydras-for-some-resources) to be \
                 allowed, or remove `hydraAdmin`; when deleting, `deletionPolicy: orphan` leaves \
                 the client",
    }
    KubernetesError {
        cause: "the Kubernetes API failed, or a pass took too long",
        remedy: "retried; the message has the cause",
    }
    InternalError {
        cause: "a bug of the operator: the pass ended in a panic, and the other resources are not touched by it",
        remedy: "report it with the line of the log that says `Panicked`; an edit of the resource may avoid it",
    }
    Undecodable {
        cause: "the stored object is not an `OAuth2Client`, such as one stored under another \
                definition",
        remedy: "correct the field that the message names",
    }
}

impl Reason {
    /// The code of hydra-maester that goes with it, where that is one, in Markdown.
    fn code(self) -> String {
        if matches!(self, Self::Synced | Self::Suspended) {
            return "none".to_owned();
        }
        let (before, after) = (self.status_code(false), self.status_code(true));
        if before == after { format!("`{before}`") } else { String::new() }
    }
}

/// The reasons that only events have.
pub const EVENTS: &[EventReason] = &[
    normal("SecretCreated", "the Secret was made again, or for a client that was there before"),
    normal("SecretUpdated", "the operator's Secret was put into its declared form"),
    normal("SecretMoved", "`secretName` changed: the former Secret was deleted"),
    normal(
        "SecretInherited",
        "the Secret of a former resource of the same name was taken over with its client",
    ),
    normal("ClientReplaced", "the client was given up for the one that the user's Secret names"),
    normal("ClientCreated", "the client was made in Hydra"),
    normal("ClientUpdated", "the client follows an edit or a new secret; names the fields"),
    warning("DriftCorrected", "the client was changed or deleted in Hydra, and is as before"),
    warning("ClientLeftBehind", "a move left the client in its former Hydra; the note says why"),
    warning(
        "DuplicateClients",
        "other clients in Hydra carry the owner mark of the resource; they are left as they are",
    ),
    normal(
        "DuplicateClientDeleted",
        "such a client was deleted, as `--remove-duplicate-clients` says",
    ),
    normal("ClientDeleted", "the client was deleted from Hydra, with its resource"),
    normal("ClientOrphaned", "the resource went and left its client in Hydra"),
    warning(
        "ClientReleased",
        "the resource went without asking Hydra, where its client may still be",
    ),
];

/// The part of the page about this kind, in Markdown.
#[must_use]
pub fn section() -> String {
    let row = |reason: &Reason| {
        [
            format!("`{}`", reason.as_str()),
            reason.cause().to_owned(),
            reason.remedy().to_owned(),
            reason.code(),
        ]
    };
    let reasons = table(["reason", "cause", "remedy", "statusCode"], Reason::ALL.iter().map(row));
    format!(
        "## OAuth2Client\n\n\
         `statusCode` is that of `status.reconciliationError`, as in hydra-maester; where it is left out here, it is\n\
         `CLIENT_REGISTRATION_FAILED` until Hydra has the client, and `CLIENT_UPDATE_FAILED` from then on.\n\n\
         {reasons}\n\
         ### Events of an OAuth2Client\n\n\
         {}",
        events(EVENTS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::reasons::testing::{assert_all_events_are_told, assert_explained};

    #[test]
    fn every_reason_is_explained_in_one_row() {
        let all = Reason::ALL.iter();
        let all: Vec<_> = all.map(|r| (r.as_str(), r.cause(), r.remedy())).collect();
        assert_explained(&section(), 4, &all);
        for event in EVENTS {
            let clashes = Reason::ALL.iter().any(|reason| reason.as_str() == event.reason);
            assert!(!clashes, "{} is told twice", event.reason);
        }
    }

    #[test]
    fn every_event_is_told() {
        assert_all_events_are_told("oauth2client", EVENTS);
    }
}
