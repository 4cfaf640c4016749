//! What deletion does: removes the keys that are ours from Hydra, or lets go of them. An invalid spec does not matter here.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::{
    error::{self, Failure, Reason},
    notices::DELETE,
    observe::Sources,
    record::Record,
};
use crate::{
    api::{JsonWebKeySet, RELEASE_ANNOTATION, oauth2client::DeletionPolicy},
    hydra::{ErrorKind, KeyId, KeySetName},
    kubernetes::{
        discovery::Served,
        events::Notice,
        outputs::{OutputKind, OutputState, Outputs},
    },
};

/// What becomes of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disposal {
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

/// Carries out the deletion policy of `resource` and says what was done. Once it succeeds the finalizer can go.
pub async fn cleanup(
    resource: &JsonWebKeySet,
    record: &Record,
    definition: Served,
    from: &Sources<'_>,
) -> Result<Vec<Notice>, Failure> {
    let recorded = resource.status.as_ref().and_then(|status| status.set_name.clone());
    let name = recorded.unwrap_or_else(|| resource.set_name());
    let is_system = name.starts_with(super::desired::SYSTEM);
    let policy = resource.spec.deletion_policy.as_ref();
    match disposal(policy, is_system, resource.is_released(), definition) {
        Disposal::Remove => remove(&name, record, from).await.map_err(with_ways_out),
        Disposal::Orphan => orphan(&name, record, from).await,
        Disposal::Release => {
            let text = format!(
                "Let go of the resource without asking Hydra, as {RELEASE_ANNOTATION} says: the keys of set {name} may still \
                 be there"
            );
            Ok(vec![Notice::warning("KeysReleased", DELETE, text)])
        }
        Disposal::AskAgain => {
            let message = "could not tell whether the definition of the resource is being deleted: the API server does not \
                           serve it";
            Err(Failure::transient(Reason::KubernetesError, message))
        }
    }
}

/// The keys one by one: what else is in the set is not ours.
async fn remove(name: &str, record: &Record, from: &Sources<'_>) -> Result<Vec<Notice>, Failure> {
    let hydra = from.instance.hydra();
    let Ok(set) = KeySetName::parse(name) else { return Ok(Vec::new()) };
    let mut removed = 0;
    for key in &record.keys {
        let Ok(kid) = KeyId::parse(&key.kid) else { continue };
        match hydra.delete_key_of_id(&set, &kid).await {
            Ok(_) => removed += 1,
            Err(error) if error.kind() == ErrorKind::Absent => {}
            Err(error) => {
                return Err(error::hydra(&format!("delete key {kid} from Hydra"), &error));
            }
        }
    }
    if removed == 0 {
        return Ok(Vec::new());
    }
    let text = format!("Removed {removed} keys of set {name} from Hydra");
    Ok(vec![Notice::normal("KeysDeleted", DELETE, text)])
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
    let state = outputs.observe(name, from.owner).await;
    let state = state.map_err(|error| error::kubernetes(&format!("read {what}"), &error))?;
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
