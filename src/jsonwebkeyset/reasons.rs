//! What each reason of a condition or an event of a `JsonWebKeySet` means, for people: its part of `docs/reasons.md`.

use super::error::Reason;
use crate::controller::reasons::{EventReason, events, explain, normal, table, warning};

explain! { Reason;
    Synced {
        cause: "Hydra holds the keys, and the outputs say the same; the message names the current key",
        remedy: "none needed",
    }
    Progressing {
        cause: "the first key is being made, or not yet seen wherever its public half is to be",
        remedy: "wait; the message says what is missing",
    }
    ReplacingKey {
        cause: "`algorithm` or `use` was changed, or adopted keys have others: the current key signs until one that is as \
                declared takes its place",
        remedy: "wait: the message says for which key, `status.nextRotation` until when",
    }
    WaitingForClient {
        cause: "a rotation is overdue, because an `OAuth2Client` that takes its keys from the set does not come to hold the \
                new one: it is suspended, or not ready; the current key goes on signing",
        remedy: "resume the client, mend what its status names, or take `jwksFrom` out of it",
    }
    ForeignKeySigns {
        cause: "a key in one of Hydra's own sets is newer than all of the resource's, so that Hydra signs with it: somebody made \
                it, or the operator of another cluster rotates the same set",
        remedy: "let one operator alone have the set. Delete the key in Hydra, or \
                 [ask for a rotation](jsonwebkeyset.md#on-demand); the next scheduled one ends it too",
    }
    Suspended {
        cause: "`spec.suspend`, or the annotation `hydra.ory.sh/suspend` with any value but `false`; a resource that was \
                Ready stays so until it is edited",
        remedy: "remove it to go on; until then no key is rotated",
    }
    HydraUnreachable {
        cause: "no usable answer: no connection, TLS, time-out, or an answer that is not one of Hydra's admin API",
        remedy: "retried, and at once when Hydra is back; the message has the cause",
    }
    HydraError {
        cause: "Hydra, or a proxy before it, answered with an error of its own (5xx) or asked to wait (429)",
        remedy: "retried, no sooner than it asked for; look into the log of Hydra. A set that was encrypted with a \
                 secret (`secrets.system`) that Hydra does not have any more is such an error",
    }
    HydraForbidden {
        cause: "Hydra, or a proxy before it, answered 401 or 403",
        remedy: "retried; give the operator credentials, see [operating](operating.md#hydra-behind-tls-or-a-proxy)",
    }
    RejectedByHydra {
        cause: "Hydra refuses the key as it was sent (400): its explanation is in the message",
        remedy: "correct what it names: the algorithm, or the imported key",
    }
    UnsupportedAlgorithm {
        cause: "this version of Hydra cannot make keys of the algorithm, or cannot sign its own tokens with it",
        remedy: "choose the [algorithm](jsonwebkeyset.md#algorithms) that the message names, or upgrade Hydra",
    }
    KeySetInUse {
        cause: "the algorithm or the use was changed while an `OAuth2Client`, which the message names, takes its keys from \
                the set with `jwksFrom`: a client can sign with one algorithm alone",
        remedy: "put it back, or [move the clients](jsonwebkeyset.md#another-algorithm-for-linked-clients) to another set",
    }
    KeySetNotOwned {
        cause: "the set holds keys already, and none of them is the resource's",
        remedy: "choose another `setName`, [import](jsonwebkeyset.md#keys-that-exist-already) these keys, or ask the \
                 administrator to let the operator [adopt](operating.md#sets-of-keys) them",
    }
    KeySetTaken {
        cause: "another `JsonWebKeySet`, which the message names, [has](jsonwebkeyset.md#conflicts) the set",
        remedy: "choose another `setName`, or delete that resource; this one goes on by itself then",
    }
    KeySetNameNotAllowed {
        cause: "the name is not below `k8s.<namespace>.`, and the administrator has not allowed it to this namespace",
        remedy: "choose a name that is, or ask for it to be [allowed](operating.md#sets-of-keys)",
    }
    WaitingForSecret {
        cause: "the Secret that `import` names is not there, or lacks a key that is named",
        remedy: "make the Secret; the operator goes on when it is there. What was imported before stays as it is",
    }
    InvalidImport {
        cause: "the keys in the Secret cannot be used: the message says which one, and why",
        remedy: "correct the Secret; nothing was sent to Hydra",
    }
    OutputNotOwned {
        cause: "a Secret or ConfigMap of that name exists and is not this resource's",
        remedy: "choose another name in `outputs`, or delete that object if nobody needs it",
    }
    OutputRefused {
        cause: "the API server refused to store a Secret or ConfigMap: quota, admission policy, missing rights; or its \
                type was changed, or it is immutable",
        remedy: "retried; the message has the cause",
    }
    SecretsNotAllowed {
        cause: "the resource needs a Secret or ConfigMap, and the operator may use those of some namespaces alone \
                (`--secret-namespaces`), and this one is not among them; or the API server refused to show it for missing rights",
        remedy: "ask for the namespace to be [added](operating.md#rights), move the resource, or take `outputs` and `import` out of \
                 it (outputs that were made there can go only while it is listed); keys that Hydra has stay as they are",
    }
    InvalidSpec {
        cause: "the spec contradicts itself, such as an interval that is not longer than `publishBefore`",
        remedy: "correct what the message names",
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
        cause: "the stored object is not a `JsonWebKeySet`, such as one stored under another definition",
        remedy: "correct the field that the message names",
    }
}

/// The reasons that only events have.
pub const EVENTS: &[EventReason] = &[
    normal("KeyCreated", "a key was made, or an imported one sent"),
    normal("KeyActivated", "another key is the current one from now on"),
    normal("KeyRemoved", "a key was removed after it had been retained for as long as asked"),
    warning("KeyRevoked", "a key was removed at once, as `hydra.ory.sh/revoke-key` asks"),
    warning(
        "UnknownKey",
        "`hydra.ory.sh/revoke-key` names no key of the resource: nothing was revoked",
    ),
    warning(
        "SigningKeyDisplaced",
        "Hydra signs with a former key of the resource, which somebody has put back: another key takes its place",
    ),
    normal("KeysAdopted", "the keys of a set that was there became the resource's"),
    warning(
        "KeyLost",
        "a key is gone from Hydra, and its private half is nowhere else: another takes its place",
    ),
    warning("DriftCorrected", "a key was gone from Hydra or altered, and is as before"),
    warning(
        "ForeignKeys",
        "the set holds keys that are not the operator's; they are left as they are",
    ),
    normal("OutputDeleted", "a Secret or ConfigMap that the spec names no more was deleted"),
    normal("KeysDeleted", "the keys were removed from Hydra, with the resource"),
    normal("KeysOrphaned", "the resource went and left its keys in Hydra, and its outputs"),
    warning(
        "KeysReleased",
        "the resource went and left its keys in Hydra untouched: as the annotation `hydra.ory.sh/release` asks, or because it may not have the set any more",
    ),
];

/// The part of the page about this kind, in Markdown.
#[must_use]
pub fn section() -> String {
    let row = |reason: &Reason| {
        let name = format!("`{}`", reason.as_str());
        [name, reason.cause().to_owned(), reason.remedy().to_owned()]
    };
    let reasons = table(["reason", "cause", "remedy"], Reason::ALL.iter().map(row));
    format!("## JsonWebKeySet\n\n{reasons}\n### Events of a JsonWebKeySet\n\n{}", events(EVENTS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::reasons::testing::{assert_all_events_are_told, assert_explained};

    #[test]
    fn every_reason_is_explained_in_one_row() {
        let all = Reason::ALL.iter();
        let all: Vec<_> = all.map(|r| (r.as_str(), r.cause(), r.remedy())).collect();
        assert_explained(&section(), 3, &all);
        for event in EVENTS {
            let clashes = Reason::ALL.iter().any(|reason| reason.as_str() == event.reason);
            assert!(!clashes, "{} is told twice", event.reason);
        }
    }

    #[test]
    fn every_event_is_told() {
        assert_all_events_are_told("jsonwebkeyset", EVENTS);
    }
}
