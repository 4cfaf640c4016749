//! What deletion does: removes the keys that are ours from Hydra, or lets go of them. An invalid spec does not matter here.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::{
    desired::{self, Permissions},
    error::{self, Failure, Reason},
    notices::DELETE,
    observe::Sources,
    record::Record,
};
use crate::{
    api::{
        JsonWebKeySet, RELEASE_ANNOTATION,
        jsonwebkeyset::{KeyState, KeyStatus},
        oauth2client::DeletionPolicy,
    },
    hydra::KeySetName,
    kubernetes::{
        discovery::Served,
        events::Notice,
        outputs::{OutputKind, OutputState, Outputs},
    },
};

/// How long Hydra is at most at work on a key after it was asked for it.
const SLOWEST_KEY: SignedDuration = SignedDuration::from_mins(1);

/// What becomes of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposal {
    /// They are deleted.
    Remove,
    /// They stay, and the outputs with them.
    Orphan,
    /// Hydra is not asked.
    Release,
    /// It cannot be told yet.
    AskAgain,
}

/// `definition` is how the resource is served. Deleting the definition deletes all resources, which is how definitions get
/// replaced, or pruned by mistake: it removes no key. Hydra goes on signing with the keys of its own sets.
fn disposal(
    policy: Option<&DeletionPolicy>,
    is_system: bool,
    released: bool,
    definition: Served,
) -> Disposal {
    match (policy, definition) {
        // A policy that this version does not know is no permission to delete.
        (Some(DeletionPolicy::Orphan | DeletionPolicy::Unknown(_)), _)
        | (_, Served::Terminating) => Disposal::Orphan,
        _ if is_system => Disposal::Orphan,
        (None | Some(DeletionPolicy::Delete), Served::Yes | Served::No) if released => {
            Disposal::Release
        }
        (None | Some(DeletionPolicy::Delete), Served::Yes) => Disposal::Remove,
        (None | Some(DeletionPolicy::Delete), Served::No) => Disposal::AskAgain,
    }
}

/// What becomes of the keys of `resource`, and the set that they are in; none: it may not have the set (any more).
#[must_use]
pub fn farewell(
    resource: &JsonWebKeySet,
    permissions: &Permissions,
    definition: Served,
) -> Option<(KeySetName, Disposal)> {
    let (set, is_system) = desired::set(resource, permissions).ok()?;
    let policy = resource.spec.deletion_policy.as_ref();
    Some((set, disposal(policy, is_system, resource.is_released(), definition)))
}

/// Carries out the deletion policy of `resource` at `now` and says what was done. Once it succeeds the finalizer can go.
///
/// Of a set that the resource may not have, nothing is touched, whatever its status says.
pub async fn cleanup(
    resource: &JsonWebKeySet,
    record: &Record,
    permissions: &Permissions,
    definition: Served,
    from: &Sources<'_>,
    now: Timestamp,
) -> Result<Vec<Notice>, Failure> {
    let name = resource.set_name();
    let Some((set, disposal)) = farewell(resource, permissions, definition) else {
        if record.keys.is_empty() {
            return Ok(Vec::new());
        }
        let text =
            format!("Left set {name} as it is in Hydra: this resource may not have it (any more)");
        return Ok(vec![Notice::warning("KeysReleased", DELETE, text)]);
    };
    // Its outputs, which the operator may not use (any more), go with it.
    let is_out_of_reach = !from.access.allows(from.namespace);
    let disposal = match disposal {
        Disposal::Orphan if is_out_of_reach && resource.is_released() => Disposal::Release,
        disposal => disposal,
    };
    match disposal {
        Disposal::Remove => remove(&set, record, from, now).await.map_err(with_ways_out),
        Disposal::Orphan => orphan(&name, record, from).await,
        Disposal::Release => {
            let text = format!(
                "Let go of the resource without asking Hydra, as {RELEASE_ANNOTATION} says: the keys of set {name} may still \
                 be there"
            );
            Ok(vec![Notice::warning("KeysReleased", DELETE, text)])
        }
        Disposal::AskAgain => Err(not_served()),
    }
}

/// Whether its definition is being deleted cannot be told.
#[must_use]
pub fn not_served() -> Failure {
    let message = "could not tell whether the definition of the resource is being deleted: the API server does not serve it";
    Failure::transient(Reason::KubernetesError, message)
}

/// The keys one by one: what else is in the set is not ours.
async fn remove(
    set: &KeySetName,
    record: &Record,
    from: &Sources<'_>,
    now: Timestamp,
) -> Result<Vec<Notice>, Failure> {
    if record.keys.is_empty() {
        return Ok(Vec::new());
    }
    let hydra = from.instance.hydra();
    let doing = format!("read key set {set} from Hydra");
    let stored = hydra.get_key_set(set).await.map_err(|error| error::hydra(&doing, &error))?;
    let stored = stored.map(|set| set.keys).unwrap_or_default();
    let mut removed = 0;
    for key in &record.keys {
        match stored.iter().find(|stored| stored.kid == key.kid) {
            Some(stored) => {
                let doing = format!("delete key {} from Hydra", key.kid);
                let deleted = hydra.delete_key(set, stored).await;
                deleted.map_err(|error| error::hydra(&doing, &error))?;
                removed += 1;
            }
            None if may_be_on_its_way(key, now) => {
                let message = format!("key {} may be in the making in Hydra", key.kid);
                return Err(Failure::transient(Reason::HydraError, message));
            }
            None => {}
        }
    }
    if removed == 0 {
        return Ok(Vec::new());
    }
    let text = format!("Removed {removed} keys of set {set} from Hydra");
    Ok(vec![Notice::normal("KeysDeleted", DELETE, text)])
}

/// Hydra takes seconds to make an RSA key, and goes on when nobody waits for it any more.
fn may_be_on_its_way(key: &KeyStatus, now: Timestamp) -> bool {
    let is_slow = key.algorithm.starts_with("RS") || key.algorithm.starts_with("PS");
    let recorded = key.since.unwrap_or(Timestamp::MIN);
    key.state == KeyState::Pending
        && key.public_key.is_none()
        && is_slow
        && now.duration_since(recorded) < SLOWEST_KEY
}

/// The outputs lose their owner, so that they outlive it.
async fn orphan(name: &str, record: &Record, from: &Sources<'_>) -> Result<Vec<Notice>, Failure> {
    let outputs = &record.outputs;
    let mut kept = Vec::new();
    for output in [&outputs.private_secret, &outputs.key_material].into_iter().flatten() {
        kept.extend(release::<Secret>(from.secrets, &output.name, from).await?);
    }
    if let Some(output) = &outputs.public_config_map {
        kept.extend(release::<ConfigMap>(from.config_maps, &output.name, from).await?);
    }
    let also = if kept.is_empty() {
        String::new()
    } else {
        format!(
            "; removed the owner references of {}, so that they outlive the resource",
            kept.join(" and ")
        )
    };
    let text = format!("Left the keys of set {name} in Hydra{also}");
    Ok(vec![Notice::normal("KeysOrphaned", DELETE, text)])
}

async fn release<K: OutputKind>(
    outputs: &Outputs<K>,
    name: &str,
    from: &Sources<'_>,
) -> Result<Option<String>, Failure> {
    let what = format!("{} {name}", K::kind(&()));
    from.check(&what)?;
    let state = outputs.observe(name, from.owner).await;
    let state = state.map_err(|error| error::read(&what, &error))?;
    let OutputState::Ours(held) = state else { return Ok(None) };
    let released = outputs.release(name, held.version(), &from.owner.uid).await;
    released.map_err(|error| error::output_write(&what, &error))?;
    Ok(Some(what))
}

/// First what helps: a long explanation of Hydra's is cut at its end.
fn with_ways_out(mut failure: Failure) -> Failure {
    failure.message = format!(
        "the resource stays until its keys are removed (to leave them in Hydra, annotate the resource with \
         {RELEASE_ANNOTATION}=true, or set spec.deletionPolicy to orphan to keep its outputs as well): {}",
        failure.message
    );
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_removed_only_where_that_is_meant() {
        use DeletionPolicy::{Delete, Orphan};
        let unknown = DeletionPolicy::Unknown("archive".into());
        for (policy, is_system, released, definition, expected) in [
            (None, false, false, Served::Yes, Disposal::Remove),
            (Some(&Delete), false, false, Served::Yes, Disposal::Remove),
            (Some(&Delete), true, false, Served::Yes, Disposal::Orphan),
            (Some(&Orphan), false, false, Served::Yes, Disposal::Orphan),
            (Some(&unknown), false, true, Served::Yes, Disposal::Orphan),
            (None, false, true, Served::Yes, Disposal::Release),
            (None, false, true, Served::Terminating, Disposal::Orphan),
            (None, false, false, Served::Terminating, Disposal::Orphan),
            (None, false, false, Served::No, Disposal::AskAgain),
        ] {
            let found = disposal(policy, is_system, released, definition);
            assert_eq!(found, expected, "{policy:?} {is_system} {released} {definition:?}");
        }
    }
}
