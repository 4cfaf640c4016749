//! What the conditions say: pure.

use jiff::Timestamp;

use crate::{
    api::{Condition, ConditionType, condition},
    controller::Class,
    jsonwebkeyset::{
        apply::Applied,
        desired::Desired,
        error::{Failure, Reason},
        observe::Trouble,
        rotation::{Key, active},
    },
};

/// Conditions, each with this reason and this message.
pub struct Shown {
    pub(super) conditions: [(ConditionType, Option<bool>); 3],
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Shown {
    const fn new(
        ready: Option<bool>,
        reconciling: bool,
        stalled: bool,
        reason: Reason,
        message: String,
    ) -> Self {
        let conditions = [
            (ConditionType::Ready, ready),
            (ConditionType::Reconciling, Some(reconciling)),
            (ConditionType::Stalled, Some(stalled)),
        ];
        Self { conditions, reason, message }
    }

    pub(super) fn progressing(message: String) -> Self {
        Self::at_work(Reason::Progressing, message)
    }

    fn at_work(reason: Reason, message: String) -> Self {
        Self::new(Some(false), true, false, reason, message)
    }

    /// With `keeps_ready`, `Ready` stays as it stands, about the generation that it is about.
    pub(super) fn suspended(message: &str, keeps_ready: bool) -> Self {
        let ready = (!keeps_ready).then_some(false);
        Self::new(ready, false, false, Reason::Suspended, message.to_owned())
    }

    pub(super) fn failed(failure: &Failure) -> Self {
        let terminal = failure.class == Class::Terminal;
        Self::new(Some(false), !terminal, terminal, failure.reason, failure.message.clone())
    }

    /// The reason of all conditions.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }
}

/// How the resource stands at `now`, after a pass that did what it could.
#[must_use]
pub fn standing(desired: &Desired, applied: &Applied, now: Timestamp) -> Shown {
    let Some(current) = active(&applied.keys) else { return Shown::progressing(coming(applied)) };
    if applied.lost.contains(&current.kid) {
        return Shown::progressing(format!(
            "the private half of the current key {} is gone from Hydra and is kept nowhere else; another key takes its place",
            current.kid
        ));
    }
    if let Some(stranger) = &applied.stranger {
        return Shown::failed(&foreign_key_signs(stranger, current, desired));
    }
    let held_up_by = applied.waiting.held_up_by(now);
    if let [(client, trouble), ..] = held_up_by[..] {
        return Shown::failed(&held_up(client, trouble, held_up_by.len(), current));
    }
    if !desired.rules.fit(current) {
        return replacing(current, desired, applied);
    }
    Shown::new(Some(true), false, false, Reason::Synced, synced(current, desired, applied))
}

fn foreign_key_signs(stranger: &str, current: &Key, desired: &Desired) -> Failure {
    let message = format!(
        "Hydra signs with key {stranger} of set {}, which is newer than the current key {} and not this resource's: let one \
         operator alone have the set, and delete that key in Hydra or ask for a rotation; until the next one it stays as it is",
        desired.set.as_str(),
        current.kid
    );
    Failure::terminal(Reason::ForeignKeySigns, message)
}

fn held_up(client: &str, trouble: &Trouble, clients: usize, current: &Key) -> Failure {
    let (why, way_out) = match trouble {
        Trouble::Suspended => ("is suspended".to_owned(), "resume it"),
        Trouble::NotReady(reason) => (format!("is not ready ({reason})"), "see its status"),
    };
    let others = match clients {
        1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    };
    let message = format!(
        "the rotation is overdue: OAuth2Client {client}{others}, which takes its keys from this set, {why} and does not hold the \
         new key: {way_out}, or remove its spec.jwksFrom; key {} goes on signing",
        current.kid
    );
    Failure::waiting(Reason::WaitingForClient, message)
}

/// The current key is not what the spec says by now.
fn replacing(current: &Key, desired: &Desired, applied: &Applied) -> Shown {
    let Key { kid, algorithm, key_use, .. } = current;
    let differs = format!(
        "the current key {kid} is for {algorithm} ({key_use}), and the spec asks for {} ({})",
        desired.rules.algorithm, desired.rules.key_use
    );
    let is_next = |key: &&Key| key.is_coming() && desired.rules.fit(key);
    let next = applied.keys.iter().rfind(is_next);
    if let (Some(import), None) = (&desired.import, next) {
        let message = format!(
            "{differs}: write another key, with another kid, in front of it into Secret {}",
            import.name
        );
        return Shown::failed(&Failure::terminal(Reason::InvalidImport, message));
    }
    let next = next.map_or("another key".to_owned(), |next| format!("key {}", next.kid));
    let when = applied.next_rotation.map(|at| format!(" at {at:.0}")).unwrap_or_default();
    let waiting = waiting(applied).map(|waiting| format!("; {waiting}")).unwrap_or_default();
    Shown::at_work(
        Reason::ReplacingKey,
        format!("{differs}: {next} takes its place{when}, and it signs until then{waiting}"),
    )
}

fn coming(applied: &Applied) -> String {
    let Some(kid) = applied.keys.last().map(|key| key.kid.as_str()) else {
        return "each key that is provided is revoked: write another one into the Secret of spec.import"
            .to_owned();
    };
    let waiting = waiting(applied).map(|waiting| format!("; {waiting}")).unwrap_or_default();
    format!("key {kid} is being published{waiting}")
}

fn synced(current: &Key, desired: &Desired, applied: &Applied) -> String {
    let said = format!(
        "Hydra holds the keys of set {}; the current one is {}",
        desired.set.as_str(),
        current.kid
    );
    let foreign = (!applied.foreign.is_empty()).then(|| {
        let shown: Vec<&str> = applied.foreign.iter().take(3).map(String::as_str).collect();
        let more = if applied.foreign.len() > shown.len() { ", …" } else { "" };
        format!(
            "{} keys in the set are not the operator's and are left as they are ({}{more})",
            applied.foreign.len(),
            shown.join(", ")
        )
    });
    [Some(said), foreign, waiting(applied)].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What the message says of the clients that a rotation waits for begins with this.
const WAITS: &str = "a new key waits until these OAuth2Clients hold it: ";

fn waiting(applied: &Applied) -> Option<String> {
    waits(&applied.waiting.names())
}

fn waits(names: &[String]) -> Option<String> {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    (!names.is_empty()).then(|| format!("{WAITS}{}{more}", shown.join(", ")))
}

/// Whether the message of `Ready` says that the rotation waits for these clients, the first of them at least, and no others.
#[must_use]
pub fn tells_who_is_waited_for(conditions: &[Condition], names: &[String]) -> bool {
    let ready = condition::get(conditions, ConditionType::Ready);
    let message = ready.and_then(|ready| ready.message.as_deref()).unwrap_or_default();
    let told = message.rsplit("; ").next().filter(|part| part.starts_with(WAITS));
    told == waits(names).as_deref()
}
