//! What deletion does: revokes the client, or lets go of it. An invalid spec does not matter here.

use super::{
    desired::owner_mark,
    error::{self, Failure, Reason},
    observe::Sources,
    record::Record,
};
use crate::{
    api::{OAuth2Client, oauth2client::DeletionPolicy},
    hydra::{ClientId, Deletion, ErrorKind},
    instance::Instance,
    kubernetes::{Owner, SecretState, Secrets, discovery::Served, events::Notice},
};

/// Carries out the deletion policy of `resource` and says what was done. Once it succeeds the
/// finalizer can go.
///
/// `definition` is how the resource is served. Deleting the definition deletes all resources, which
/// is how definitions get replaced, or pruned by mistake: it revokes no client.
pub async fn cleanup(
    resource: &OAuth2Client,
    definition: Served,
    record: &Record,
    from: &Sources<'_>,
) -> Result<Vec<Notice>, Failure> {
    let Sources { owner, lookup, secrets, instance, .. } = *from;
    // The spec may name another Secret by now than the one that was written.
    let name = record.secret_name.as_ref().unwrap_or(&resource.spec.secret_name);
    let secret = async || {
        let secret = secrets.observe(name, owner, lookup).await;
        secret.map_err(|error| error::kubernetes(&format!("read Secret {name}"), &error))
    };
    match disposal(resource.spec.deletion_policy.as_ref(), definition) {
        Disposal::Revoke => {}
        Disposal::Orphan => return orphan(name, &secret().await?, owner, secrets).await,
        Disposal::AskAgain => return Err(not_served()),
    }
    // Only a resource without a record needs its Secret to find its client.
    let stored = match &record.client_id {
        Some(_) => None,
        None => stored_id(&secret().await?),
    };
    revoke(resource, record, stored, instance).await.map_err(|failure| Failure {
        // First what helps: a long explanation of Hydra's is cut at its end.
        message: format!(
            "the resource stays until its client is revoked (set spec.deletionPolicy to orphan to \
             leave the client in Hydra): {}",
            failure.message
        ),
        ..failure
    })
}

/// What becomes of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disposal {
    Revoke,
    Orphan,
    AskAgain,
}

fn disposal(policy: Option<&DeletionPolicy>, definition: Served) -> Disposal {
    match (policy, definition) {
        // A policy that this version does not know is no permission to delete.
        (Some(DeletionPolicy::Orphan | DeletionPolicy::Unknown(_)), _)
        | (_, Served::Terminating) => Disposal::Orphan,
        (None | Some(DeletionPolicy::Delete), Served::Yes) => Disposal::Revoke,
        (None | Some(DeletionPolicy::Delete), Served::No) => Disposal::AskAgain,
    }
}

/// The resource exists, so its definition does: the API server is about to find it again.
fn not_served() -> Failure {
    let message = "could not tell whether the definition of the resource is being deleted: the API \
                   server does not serve it";
    Failure::transient(Reason::KubernetesError, message)
}

/// The client stays and its credentials with it: the Secret must not be collected with its owner.
async fn orphan(
    name: &str,
    secret: &SecretState,
    owner: &Owner,
    secrets: &Secrets,
) -> Result<Vec<Notice>, Failure> {
    let SecretState::Ours(stored) = secret else {
        return Ok(vec![note("ClientOrphaned", "Left the client in Hydra".to_owned())]);
    };
    secrets
        .release(name, &stored.version, &owner.uid)
        .await
        .map_err(|error| error::secret_write(name, &error))?;
    let text = format!("Left the client in Hydra, and Secret {name} with its credentials");
    Ok(vec![note("ClientOrphaned", text)])
}

async fn revoke(
    resource: &OAuth2Client,
    record: &Record,
    stored: Option<ClientId>,
    instance: &Instance,
) -> Result<Vec<Notice>, Failure> {
    let namespace = resource.metadata.namespace.as_deref().unwrap_or_default();
    let mark = owner_mark(namespace, resource.metadata.name.as_deref().unwrap_or_default());
    let ids = match record.client_id.clone().or(stored) {
        Some(id) if is_owned(&id, &mark, instance).await? => vec![id],
        // The client that was held is gone, or somebody else took it over.
        Some(_) if record.client_id.is_some() => Vec::new(),
        // A Secret can be edited: that its id leads nowhere does not mean that there is no client.
        Some(_) | None => owned_ids(&mark, instance).await?,
    };
    let mut notices = Vec::new();
    for id in &ids {
        if delete(id, instance).await? {
            notices.push(note("ClientDeleted", format!("Deleted client {id} from Hydra")));
        }
    }
    Ok(notices)
}

fn stored_id(secret: &SecretState) -> Option<ClientId> {
    match secret {
        SecretState::Ours(stored) | SecretState::Users(stored) => {
            ClientId::parse(stored.id.as_deref()?).ok()
        }
        SecretState::Absent | SecretState::Foreign(_) | SecretState::Inherited { .. } => None,
    }
}

async fn owned_ids(mark: &str, instance: &Instance) -> Result<Vec<ClientId>, Failure> {
    let owned =
        instance.hydra().list_clients(Some(mark)).await.map_err(|error| {
            error::hydra(&format!("list the clients of {mark} in Hydra"), &error)
        })?;
    Ok(owned
        .iter()
        .filter_map(|client| ClientId::parse(client.client_id.as_deref()?).ok())
        .collect())
}

/// Whether the client exists and carries the owner mark of the resource: no other is ours to delete.
async fn is_owned(id: &ClientId, mark: &str, instance: &Instance) -> Result<bool, Failure> {
    match instance.hydra().get_client(id).await {
        Ok(client) => Ok(client.owner.as_deref() == Some(mark)),
        Err(error) if error.kind() == ErrorKind::Absent => Ok(false),
        // Nothing was sent: this Hydra cannot have a client of that id that can be reached.
        Err(error) if error.kind() == ErrorKind::Invalid && error.status().is_none() => Ok(false),
        Err(error) => Err(error::hydra(&format!("read client {id} from Hydra"), &error)),
    }
}

async fn delete(id: &ClientId, instance: &Instance) -> Result<bool, Failure> {
    match instance.hydra().delete_client(id).await {
        Ok(deletion) => Ok(deletion == Deletion::Deleted),
        Err(error) => Err(error::hydra(&format!("delete client {id} from Hydra"), &error)),
    }
}

fn note(reason: &'static str, text: String) -> Notice {
    Notice::normal(reason, super::notices::DELETE, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_policy_to_delete_under_a_definition_that_stays_revokes() {
        use Disposal::{AskAgain, Orphan, Revoke};
        let unknown = DeletionPolicy::Unknown("archive".into());
        for (policy, expected) in [
            (None, [Revoke, Orphan, AskAgain]),
            (Some(DeletionPolicy::Delete), [Revoke, Orphan, AskAgain]),
            (Some(DeletionPolicy::Orphan), [Orphan; 3]),
            (Some(unknown), [Orphan; 3]),
        ] {
            let found = [Served::Yes, Served::Terminating, Served::No]
                .map(|definition| disposal(policy.as_ref(), definition));
            assert_eq!(found, expected, "{policy:?}");
        }
    }
}
