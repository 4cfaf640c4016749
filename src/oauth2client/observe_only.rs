//! `--observe`: tells what the operator would do with each resource, and does none of it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kube::{ResourceExt, runtime::controller::Action};

use super::{
    Context,
    cleanup::{Farewell, farewell, secret_name},
    credentials::SecretStep,
    error::Failure,
    pass::{decide, parting},
    plan::{ClientStep, Duplicates, Plan},
    report::Reported,
};
use crate::{
    api::{FINALIZER, OAuth2Client},
    controller::{
        Class, ResourceKey,
        backoff::{self, chance, jittered},
    },
    hydra::ClientId,
    metrics::{Metrics, ReconcileResult},
};

/// What would be done with one resource, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The writes, in their order; none: there is nothing to do.
    pub steps: Vec<Step>,
    /// The reason, for a person.
    pub why: String,
}

/// A write, or why there would be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The Secret is created.
    CreateSecret,
    /// A part of the credentials is put into the Secret.
    CompleteSecret,
    /// The Secret of the former name is deleted.
    DeleteSecret(String),
    /// The client is created.
    CreateClient,
    /// The client is replaced, because these members differ.
    UpdateClient(Vec<&'static str>),
    /// The client is deleted.
    DeleteClient(ClientId),
    /// The resource goes, and its client is left in Hydra.
    LeaveClient,
    /// The Secret of this name loses its owner, so that it outlives the resource.
    ReleaseSecret(String),
    /// Nothing can be done, for this reason.
    Blocked(&'static str, String),
}

impl Step {
    /// Values of the label `action`: of a resource with nothing to do, and of those with something.
    pub const ACTIONS: [&'static str; 10] = [
        "nothing",
        "create_secret",
        "complete_secret",
        "delete_secret",
        "create_client",
        "update_client",
        "delete_client",
        "leave_client",
        "release_secret",
        "blocked",
    ];

    const fn action(&self) -> &'static str {
        match self {
            Self::CreateSecret => "create_secret",
            Self::CompleteSecret => "complete_secret",
            Self::DeleteSecret(_) => "delete_secret",
            Self::CreateClient => "create_client",
            Self::UpdateClient(_) => "update_client",
            Self::DeleteClient(_) => "delete_client",
            Self::LeaveClient => "leave_client",
            Self::ReleaseSecret(_) => "release_secret",
            Self::Blocked(..) => "blocked",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateSecret => f.write_str("create Secret"),
            Self::CompleteSecret => f.write_str("complete Secret"),
            Self::DeleteSecret(name) => write!(f, "delete Secret {name}"),
            Self::CreateClient => f.write_str("create client"),
            Self::UpdateClient(members) => write!(f, "update client: {}", members.join(", ")),
            Self::DeleteClient(id) => write!(f, "delete client {id}"),
            Self::LeaveClient => f.write_str("leave the client in Hydra"),
            Self::ReleaseSecret(name) => write!(f, "release Secret {name}"),
            Self::Blocked(reason, message) => write!(f, "blocked: {reason} {message}"),
        }
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("nothing");
        }
        let steps: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        f.write_str(&steps.join("; "))
    }
}

impl Intent {
    fn nothing(why: impl Into<String>) -> Self {
        Self { steps: Vec::new(), why: why.into() }
    }

    fn blocked(failure: &Failure) -> Self {
        let why = match failure.class {
            Class::Terminal => "a person has to change something",
            Class::Waiting => "it goes on by itself when that is there",
            Class::Transient | Class::Conflict | Class::Unobserved => "it is tried again",
        };
        let step = Step::Blocked(failure.reason.as_str(), failure.message.clone());
        Self { steps: vec![step], why: why.to_owned() }
    }
}

/// What `plan` would do; `secret` is the name of the Secret.
#[must_use]
pub fn describe(plan: &Plan, secret: &str) -> Intent {
    let (mut steps, mut why) = (Vec::new(), Vec::new());
    match &plan.credentials.step {
        SecretStep::Keep(_) => {}
        SecretStep::Create(_) => {
            steps.push(Step::CreateSecret);
            why.push(format!("there is no Secret {secret}"));
        }
        SecretStep::Change { .. } => {
            steps.push(Step::CompleteSecret);
            why.push(format!("Secret {secret} is not what it shall be"));
        }
        SecretStep::Inherit { .. } => {
            steps.push(Step::CompleteSecret);
            why.push(format!("Secret {secret} is that of a former resource of the same name"));
        }
    }
    match &plan.client {
        ClientStep::Keep { unsupported, .. } if unsupported.is_empty() => {}
        ClientStep::Keep { unsupported, .. } => {
            why.push(format!("this Hydra does not keep {}", unsupported.join(", ")));
        }
        ClientStep::Create { .. } => {
            steps.push(Step::CreateClient);
            why.push(match plan.credentials.id.as_ref().filter(|_| !plan.id_is_proposed) {
                Some(id) => format!("Hydra holds no client {id}"),
                None => "Hydra holds no client of this resource".to_owned(),
            });
        }
        ClientStep::Replace { secret, differing, .. } => {
            if !differing.is_empty() {
                why.push("the client in Hydra differs from the resource".to_owned());
            }
            let mut members = differing.clone();
            if secret.is_some() {
                members.push("client secret");
                why.push("nothing shows that Hydra has the secret of the Secret".to_owned());
            }
            steps.push(Step::UpdateClient(members));
        }
    }
    for former in plan.retired.iter().map(|retired| &retired.name).chain(&plan.moved_from) {
        steps.push(Step::DeleteSecret(former.clone()));
        why.push("spec.secretName has changed".to_owned());
    }
    if let Some(id) = &plan.replaced {
        steps.push(Step::DeleteClient(id.clone()));
        why.push("the Secret names another client".to_owned());
    }
    match &plan.duplicates {
        Duplicates::Report(ids) if ids.is_empty() => {}
        Duplicates::Report(ids) => why.push(super::status::duplicates(ids)),
        Duplicates::Remove(ids) => {
            steps.extend(ids.iter().cloned().map(Step::DeleteClient));
            why.extend((!ids.is_empty()).then(|| "duplicates are to be removed".to_owned()));
        }
    }
    if why.is_empty() {
        why.push("Hydra holds the client, and the Secret its credentials".to_owned());
    }
    Intent { steps, why: why.join(", and ") }
}

/// `secret` is the name of the Secret that was written.
fn describe_farewell(farewell: Farewell, secret: &str) -> Intent {
    match farewell {
        Farewell::Revoke(clients) => {
            describe_revocation(clients.into_iter().map(|held| held.id).collect())
        }
        Farewell::Orphan(Some(_)) => Intent {
            steps: vec![Step::LeaveClient, Step::ReleaseSecret(secret.to_owned())],
            why: DELETED.to_owned(),
        },
        Farewell::Orphan(None) | Farewell::Release => {
            Intent { steps: vec![Step::LeaveClient], why: DELETED.to_owned() }
        }
    }
}

fn describe_revocation(ids: Vec<ClientId>) -> Intent {
    if ids.is_empty() {
        return Intent::nothing(format!("{DELETED}, and Hydra holds no client of it"));
    }
    let steps = ids.into_iter().map(Step::DeleteClient).collect();
    Intent { steps, why: DELETED.to_owned() }
}

const DELETED: &str = "the resource is being deleted";

/// Finds out what would be done with `resource`; writes nothing.
pub async fn intent(
    resource: &OAuth2Client,
    key: &ResourceKey,
    context: &Context,
) -> Result<Intent, Failure> {
    if resource.metadata.deletion_timestamp.is_some() {
        if !resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(Intent::nothing("the resource is being deleted, and is not held for Hydra"));
        }
        let found = parting(resource, context, async |definition, record, from, holders| {
            let removes = context.removes_duplicates;
            let secret = secret_name(resource, record);
            let farewell = farewell(resource, definition, record, from, holders, removes).await;
            farewell.map(|farewell| describe_farewell(farewell, secret))
        });
        return found.await;
    }
    if resource.is_suspended() {
        return Ok(Intent::nothing("the resource is suspended"));
    }
    let (decision, _lease) = Box::pin(decide(resource, key, context)).await?;
    let mut intent = describe(&decision.plan, &decision.desired.secret_name);
    if let Some(id) = decision.relocation.revokes() {
        intent.steps.push(Step::DeleteClient(id.clone()));
        intent.why.push_str(", and the client is to move to another Hydra");
    }
    Ok(intent)
}

/// What was found out so far, and told.
#[derive(Default)]
pub struct Observer {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    intents: BTreeMap<ResourceKey, Intent>,
    told: Option<String>,
}

impl Observer {
    /// Tells what would be done with the resource `key`, where that is new, and when to look again.
    pub fn report(
        &self,
        key: &ResourceKey,
        found: Result<Intent, Failure>,
        context: &Context,
    ) -> Reported {
        let (intent, class) = match found {
            Ok(intent) => (intent, None),
            Err(failure) => (Intent::blocked(&failure), Some(failure.class)),
        };
        if context.conflicts.knows(key) {
            self.tell(key, intent, context);
        }
        match class {
            None | Some(Class::Terminal | Class::Waiting) => {
                context.backoff.reset(key);
                let result =
                    if class.is_none() { ReconcileResult::Success } else { ReconcileResult::Error };
                (Action::requeue(jittered(context.resync_interval, chance())), result)
            }
            Some(Class::Transient | Class::Conflict | Class::Unobserved) => {
                let failures = context.backoff.failed(key.clone());
                (Action::requeue(backoff::delay(failures, chance())), ReconcileResult::Error)
            }
        }
    }

    fn tell(&self, key: &ResourceKey, intent: Intent, context: &Context) {
        let mut seen = self.lock();
        if seen.intents.get(key) == Some(&intent) {
            return;
        }
        let (namespace, name) = (key.0.as_str(), key.1.as_str());
        tracing::info!(namespace, name, what = %intent, why = intent.why, "Observed");
        seen.intents.insert(key.clone(), intent);
        seen.summarize(context);
    }

    /// The resources that exist may have become fewer.
    pub fn prune(&self, context: &Context) {
        let mut seen = self.lock();
        seen.intents.retain(|key, _| context.conflicts.knows(key));
        seen.summarize(context);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Once all resources have been looked at, and then whenever a count changes.
    fn summarize(&mut self, context: &Context) {
        if !context.conflicts.is_complete() || self.intents.len() < context.conflicts.len() {
            return;
        }
        let counts = counts(self.intents.values());
        show(&counts, &context.metrics);
        let summary = summary(self.intents.len(), &counts);
        if self.told.as_ref() != Some(&summary) {
            tracing::info!("{summary}");
            self.told = Some(summary);
        }
    }
}

/// How many resources each action concerns; a resource with two steps counts for both.
fn counts<'a>(intents: impl Iterator<Item = &'a Intent>) -> BTreeMap<&'static str, i64> {
    let mut counts = BTreeMap::new();
    for intent in intents {
        let mut actions: Vec<_> = intent.steps.iter().map(Step::action).collect();
        if actions.is_empty() {
            actions.push("nothing");
        }
        actions.dedup();
        for action in actions {
            *counts.entry(action).or_default() += 1;
        }
    }
    counts
}

fn show(counts: &BTreeMap<&'static str, i64>, metrics: &Metrics) {
    for action in Step::ACTIONS {
        metrics.observed(action, counts.get(action).copied().unwrap_or_default());
    }
}

fn summary(resources: usize, counts: &BTreeMap<&'static str, i64>) -> String {
    let counted = Step::ACTIONS
        .iter()
        .filter_map(|action| Some(format!("{} {}", action.replace('_', " "), counts.get(action)?)));
    let counted: Vec<String> = counted.collect();
    let of = if counted.is_empty() { String::new() } else { format!(": {}", counted.join(", ")) };
    format!("Observed all resources, {resources}{of}")
}

#[cfg(test)]
mod tests;
