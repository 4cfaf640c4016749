//! `--observe`: tells what the operator would do with each set, and does none of it.

mod describe;

use std::fmt;

use kube::ResourceExt;

use super::{
    CONTROLLER, Context,
    cleanup::{self, Disposal, farewell},
    context::marks,
    error::{self, Failure},
    pass::decide,
    record::Record,
};
use crate::{
    api::{FINALIZER, JsonWebKeySet, jsonwebkeyset::OutputStatuses},
    controller::{
        Reported, ResourceKey,
        observer::{self, NOTHING, Surroundings},
    },
    kubernetes::discovery::served,
};

/// What would be done with one set, and why.
pub type Intent = observer::Intent<Step>;

/// What was found out so far, and told.
pub type Observer = observer::Observer<Step>;

/// A write, or why there would be none. Keys are named by their ids, and objects with their kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key for this algorithm is made.
    MakeKey(String),
    /// A key of the Secret that keys come from is sent to Hydra.
    ImportKey(String),
    /// A key that is there becomes the resource's.
    AdoptKey(String),
    /// A key that is gone or altered is put back.
    RestoreKey(String),
    /// A key becomes the current one.
    ActivateKey(String),
    /// A key is deleted.
    RemoveKey(String),
    /// The resource goes, and its keys are left in Hydra.
    LeaveKeys,
    /// An output is created.
    CreateOutput(String),
    /// An output is changed.
    UpdateOutput(String),
    /// An output is deleted.
    DeleteOutput(String),
    /// An output loses its owner, so that it outlives the resource.
    ReleaseOutput(String),
    /// Nothing can be done, for this reason.
    Blocked(&'static str, String),
}

impl observer::Step for Step {
    const ACTIONS: &'static [&'static str] = &[
        NOTHING,
        "make_key",
        "import_key",
        "adopt_key",
        "restore_key",
        "activate_key",
        "remove_key",
        "leave_keys",
        "create_output",
        "update_output",
        "delete_output",
        "release_output",
        "blocked",
    ];

    fn action(&self) -> &'static str {
        match self {
            Self::MakeKey(_) => "make_key",
            Self::ImportKey(_) => "import_key",
            Self::AdoptKey(_) => "adopt_key",
            Self::RestoreKey(_) => "restore_key",
            Self::ActivateKey(_) => "activate_key",
            Self::RemoveKey(_) => "remove_key",
            Self::LeaveKeys => "leave_keys",
            Self::CreateOutput(_) => "create_output",
            Self::UpdateOutput(_) => "update_output",
            Self::DeleteOutput(_) => "delete_output",
            Self::ReleaseOutput(_) => "release_output",
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
            Self::MakeKey(algorithm) => write!(f, "make key: {algorithm}"),
            Self::ImportKey(kid) => write!(f, "import key {kid}"),
            Self::AdoptKey(kid) => write!(f, "adopt key {kid}"),
            Self::RestoreKey(kid) => write!(f, "restore key {kid}"),
            Self::ActivateKey(kid) => write!(f, "activate key {kid}"),
            Self::RemoveKey(kid) => write!(f, "remove key {kid}"),
            Self::LeaveKeys => f.write_str("leave the keys in Hydra"),
            Self::CreateOutput(what) => write!(f, "create {what}"),
            Self::UpdateOutput(what) => write!(f, "update {what}"),
            Self::DeleteOutput(what) => write!(f, "delete {what}"),
            Self::ReleaseOutput(what) => write!(f, "release {what}"),
            Self::Blocked(reason, message) => write!(f, "blocked: {reason} {message}"),
        }
    }
}

/// Nothing is known so far.
#[must_use]
pub fn observer() -> Observer {
    Observer::new(CONTROLLER, "JsonWebKeySets")
}

/// Finds out what would be done with `resource`; writes nothing.
pub async fn intent(
    resource: &JsonWebKeySet,
    key: &ResourceKey,
    context: &Context,
) -> Result<Intent, Failure> {
    if resource.metadata.deletion_timestamp.is_some() {
        return deletion(resource, context).await;
    }
    if resource.is_suspended() {
        return Ok(Intent::nothing("the resource is suspended"));
    }
    let record = Record::of(resource);
    if let Some(compromised) = record.compromised() {
        let steps = vec![Step::RemoveKey(compromised.kid.clone())];
        let why = "the annotation hydra.ory.sh/revoke-key names it, and another takes its place";
        return Ok(Intent { steps, why: why.to_owned() });
    }
    let (decision, _lease) = Box::pin(decide(resource, key, context)).await?;
    Ok(describe::describe(&decision, &record, &key.1, &marks()))
}

async fn deletion(resource: &JsonWebKeySet, context: &Context) -> Result<Intent, Failure> {
    if !resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Intent::nothing("the resource is being deleted, and is not held for Hydra"));
    }
    let definition = served::<JsonWebKeySet>(&context.client)
        .await
        .map_err(|error| error::kubernetes("read which resources are served", &error))?;
    let record = Record::of(resource);
    let steps = match farewell(resource, &context.permissions, definition) {
        None if record.keys.is_empty() => Vec::new(),
        None | Some((_, Disposal::Release)) => vec![Step::LeaveKeys],
        Some((_, Disposal::Orphan)) => {
            [Step::LeaveKeys].into_iter().chain(released(&record.outputs)).collect()
        }
        Some((set, Disposal::Remove)) => {
            let doing = format!("read key set {set} from Hydra");
            let stored = context.instance.hydra().get_key_set(&set).await;
            let stored = stored.map_err(|error| error::hydra(&doing, &error))?;
            let is_there = |kid: &str| stored.as_ref().is_some_and(|set| set.get(kid).is_some());
            let ours = record.keys.iter().filter(|key| is_there(&key.kid));
            ours.map(|key| Step::RemoveKey(key.kid.clone())).collect()
        }
        Some((_, Disposal::AskAgain)) => return Err(cleanup::not_served()),
    };
    Ok(Intent { steps, why: "the resource is being deleted".to_owned() })
}

fn released(outputs: &OutputStatuses) -> Vec<Step> {
    let secrets = [&outputs.private_secret, &outputs.key_material].into_iter().flatten();
    let secrets = secrets.map(|output| format!("Secret {}", output.name));
    let maps = outputs.public_config_map.iter().map(|output| format!("ConfigMap {}", output.name));
    secrets.chain(maps).map(Step::ReleaseOutput).collect()
}

/// Tells what would be done with the set `key`, and when to look again.
pub fn report(
    observer: &Observer,
    key: &ResourceKey,
    found: Result<Intent, Failure>,
    context: &Context,
) -> Reported {
    let (intent, class) = match found {
        Ok(intent) => (intent, None),
        Err(failure) => {
            let class = failure.class;
            (Intent::blocked(class, failure.reason.as_str(), failure.message), Some(class))
        }
    };
    observer.report(key, intent, class, surroundings(context))
}

/// The sets that exist may have become fewer.
pub fn prune(observer: &Observer, context: &Context) {
    observer.prune(surroundings(context));
}

fn surroundings(context: &Context) -> Surroundings<'_> {
    Surroundings {
        population: &context.rivals,
        metrics: &context.metrics,
        backoff: &context.backoff,
        resync_interval: context.resync_interval,
    }
}

#[cfg(test)]
mod tests;
