//! `--observe`: tells what the operator would do with each resource, and does none of it.

use std::fmt;

use kube::ResourceExt;

use super::{
    CONTROLLER, Context,
    cleanup::{Farewell, farewell, secret_name},
    credentials::SecretStep,
    error::Failure,
    pass::{decide, parting},
    plan::{ClientStep, Duplicates, Plan},
};
use crate::{
    api::{FINALIZER, OAuth2Client},
    controller::{
        Reported, ResourceKey,
        observer::{self, NOTHING, Surroundings},
    },
    hydra::ClientId,
};

/// What would be done with one resource, and why.
pub type Intent = observer::Intent<Step>;

/// What was found out so far, and told.
pub type Observer = observer::Observer<Step>;

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

impl observer::Step for Step {
    const ACTIONS: &'static [&'static str] = &[
        NOTHING,
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

    fn action(&self) -> &'static str {
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

    fn blocked(reason: &'static str, message: String) -> Self {
        Self::Blocked(reason, message)
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
    context.check_access(&key.0)?;
    let (decision, _lease) = Box::pin(decide(resource, key, context)).await?;
    let mut intent = describe(&decision.plan, &decision.desired.secret_name);
    if let Some(id) = decision.relocation.revokes() {
        intent.steps.push(Step::DeleteClient(id.clone()));
        intent.why.push_str(", and the client is to move to another Hydra");
    }
    Ok(intent)
}

/// Nothing is known so far.
#[must_use]
pub fn observer() -> Observer {
    Observer::new(CONTROLLER, "OAuth2Clients")
}

/// Tells what would be done with the resource `key`, and when to look again.
pub fn report(
    observer: &Observer,
    key: &ResourceKey,
    found: Result<Intent, Failure>,
    context: &Context,
) -> Reported {
    let (intent, class) = match found {
        Ok(intent) => (intent, None),
        Err(failure) => (blocked(&failure), Some(failure.class)),
    };
    observer.report(key, intent, class, surroundings(context))
}

fn blocked(failure: &Failure) -> Intent {
    Intent::blocked(failure.class, failure.reason.as_str(), failure.message.clone())
}

/// The resources that exist may have become fewer.
pub fn prune(observer: &Observer, context: &Context) {
    observer.prune(surroundings(context));
}

fn surroundings(context: &Context) -> Surroundings<'_> {
    Surroundings {
        population: &context.conflicts,
        metrics: &context.metrics,
        backoff: &context.backoff,
        resync_interval: context.resync_interval,
    }
}

#[cfg(test)]
mod tests;
