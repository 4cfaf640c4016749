//! `--observe`: tells what the operator would do with each set, and does none of it.

mod describe;
pub mod step;

use kube::ResourceExt;

use self::step::{Intent, Observer, Step};
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
    controller::{Reported, ResourceKey, observer::Surroundings},
    kubernetes::discovery::served,
};

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
        let removal = Step::RemoveKey(compromised.kid.clone());
        let outputs = written(&record.outputs).map(Step::UpdateOutput);
        let steps = std::iter::once(removal).chain(outputs).collect();
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

fn released(outputs: &OutputStatuses) -> impl Iterator<Item = Step> + '_ {
    written(outputs).map(Step::ReleaseOutput)
}

/// The objects that were written, with their kinds.
fn written(outputs: &OutputStatuses) -> impl Iterator<Item = String> + '_ {
    let secrets = [&outputs.private_secret, &outputs.key_material].into_iter().flatten();
    let secrets = secrets.map(|output| format!("Secret {}", output.name));
    let maps = outputs.public_config_map.iter().map(|output| format!("ConfigMap {}", output.name));
    secrets.chain(maps)
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
