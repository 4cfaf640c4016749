//! What deletion does: revokes the client, or lets go of it. An invalid spec does not matter here.

use std::sync::Arc;

use super::{
    desired::owner_mark,
    error::{self, Failure, Reason},
    observe::SecretSource,
    record::Record,
};
use crate::{
    api::{OAuth2Client, RELEASE_ANNOTATION, oauth2client::DeletionPolicy},
    hydra::{ClientId, Deletion, ErrorKind},
    instance::Instance,
    kubernetes::{SecretState, SecretVersion, discovery::Served, events::Notice},
};

/// A client, and the Hydra that holds it.
pub struct Held {
    /// The Hydra.
    pub instance: Arc<Instance>,
    /// The id of the client.
    pub id: ClientId,
}

/// How a resource that is being deleted parts from its client.
pub enum Farewell {
    /// These clients are deleted from Hydra.
    Revoke(Vec<Held>),
    /// The client stays, and so does its Secret, which loses its owner where it has this version.
    Orphan(Option<SecretVersion>),
    /// Hydra is not asked: whether the client is left there is unknown.
    Release,
}

/// Carries out the deletion policy of `resource` and says what was done. Once it succeeds the
/// finalizer can go.
///
/// `holders` are the Hydras that may have the client; an orphan needs none of them.
///
/// `definition` is how the resource is served. Deleting the definition deletes all resources, which
/// is how definitions get replaced, or pruned by mistake: it revokes no client.
pub async fn cleanup(
    resource: &OAuth2Client,
    definition: Served,
    record: &Record,
    from: &SecretSource<'_>,
    holders: Holders,
    removes_duplicates: bool,
) -> Result<Vec<Notice>, Failure> {
    let SecretSource { owner, secrets, .. } = *from;
    match farewell(resource, definition, record, from, holders, removes_duplicates).await? {
        Farewell::Revoke(clients) => {
            let mut notices = revoke(&clients).await.map_err(with_ways_out)?;
            if !removes_duplicates && !record.duplicates.is_empty() {
                let left = super::status::duplicates(&record.duplicates);
                notices.push(Notice::warning("DuplicateClients", super::notices::DELETE, left));
            }
            Ok(notices)
        }
        Farewell::Orphan(None) => {
            Ok(vec![note("ClientOrphaned", "Left the client in Hydra".to_owned())])
        }
        Farewell::Orphan(Some(version)) => {
            let name = secret_name(resource, record);
            let released = secrets.release(name, &version, &owner.uid).await;
            released.map_err(|error| error::secret_write(name, &error))?;
            let text = format!(
                "Left the client in Hydra, and Secret {name} with its credentials: removed its \
                 owner reference, so that it outlives the resource"
            );
            Ok(vec![note("ClientOrphaned", text)])
        }
        Farewell::Release => Ok(vec![released(resource, record)]),
    }
}

/// The spec may name another Secret by now than the one that was written.
pub(super) fn secret_name<'a>(resource: &'a OAuth2Client, record: &'a Record) -> &'a str {
    record.secret_name.as_ref().unwrap_or(&resource.spec.secret_name)
}

/// Finds out what [`cleanup`] does; writes nothing.
pub async fn farewell(
    resource: &OAuth2Client,
    definition: Served,
    record: &Record,
    from: &SecretSource<'_>,
    holders: Holders,
    removes_duplicates: bool,
) -> Result<Farewell, Failure> {
    let SecretSource { owner, lookup, secrets, access } = *from;
    let name = secret_name(resource, record);
    let secret = async || {
        let secret = secrets.observe(name, owner, lookup).await;
        secret.map_err(|error| error::secret_read(name, &error))
    };
    let policy = resource.spec.deletion_policy.as_ref();
    match disposal(policy, resource.is_released(), definition) {
        Disposal::Revoke => {}
        Disposal::Release => return Ok(Farewell::Release),
        // Its Secret, which the operator may not use (any more), goes with it.
        Disposal::Orphan if access.is_err() && resource.is_released() => {
            return Ok(Farewell::Release);
        }
        Disposal::Orphan => {
            access.clone()?;
            return Ok(Farewell::Orphan(match secret().await? {
                SecretState::Ours(stored) => Some(stored.version),
                SecretState::Absent
                | SecretState::Users(_)
                | SecretState::Inherited { .. }
                | SecretState::Foreign(_) => None,
            }));
        }
        Disposal::AskAgain => return Err(not_served()),
    }
    // Only a resource without a record needs its Secret to find its client; where that is out of reach, the owner is left.
    let stored = match &record.client_id {
        None if access.is_ok() => stored_id(&secret().await?),
        None | Some(_) => None,
    };
    let found = async {
        let mut found = Vec::new();
        for instance in holders? {
            let ids =
                clients(resource, record, stored.clone(), removes_duplicates, &instance).await;
            let ids = ids.inspect_err(|failure| report_trouble(failure, &instance))?;
            found.extend(ids.into_iter().map(|id| Held { instance: instance.clone(), id }));
        }
        Ok(found)
    };
    found.await.map(Farewell::Revoke).map_err(with_ways_out)
}

/// The sweep of that Hydra shows when it is back.
fn report_trouble(failure: &Failure, instance: &Instance) {
    if Reason::HYDRA_AWAY.contains(&failure.reason) {
        instance.report_trouble();
    }
}

/// First what helps: a long explanation of Hydra's is cut at its end.
fn with_ways_out(mut failure: Failure) -> Failure {
    failure.message = format!(
        "the resource stays until its client is revoked (to leave the client in Hydra, annotate \
         the resource with {RELEASE_ANNOTATION}=true, or set spec.deletionPolicy to orphan to keep \
         its Secret as well): {}",
        failure.message
    );
    failure
}

/// What becomes of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disposal {
    Revoke,
    Orphan,
    Release,
    AskAgain,
}

fn disposal(policy: Option<&DeletionPolicy>, released: bool, definition: Served) -> Disposal {
    match (policy, definition) {
        // A policy that this version does not know is no permission to delete.
        (Some(DeletionPolicy::Orphan | DeletionPolicy::Unknown(_)), _)
        | (_, Served::Terminating) => Disposal::Orphan,
        (None | Some(DeletionPolicy::Delete), Served::Yes | Served::No) if released => {
            Disposal::Release
        }
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

fn released(resource: &OAuth2Client, record: &Record) -> Notice {
    let id = record.client_id.as_ref().map(ClientId::as_str);
    let client = match id.or(resource.spec.client_id.as_deref()) {
        Some(id) => format!("client {id}"),
        None => "its client".to_owned(),
    };
    let text = format!(
        "Let go of the resource without asking Hydra, as {RELEASE_ANNOTATION} says: {client} may \
         still exist there, and its credentials may still work"
    );
    Notice::warning("ClientReleased", super::notices::DELETE, text)
}

/// The Hydras that may have the client of a resource that is being deleted.
pub type Holders = Result<Vec<Arc<Instance>>, Failure>;

/// The clients that are the resource's to delete.
async fn clients(
    resource: &OAuth2Client,
    record: &Record,
    stored: Option<ClientId>,
    removes_duplicates: bool,
    instance: &Instance,
) -> Result<Vec<ClientId>, Failure> {
    let namespace = resource.metadata.namespace.as_deref().unwrap_or_default();
    let mark = owner_mark(namespace, resource.metadata.name.as_deref().unwrap_or_default());
    // The client for which the recorded one is given up may be there already.
    let next = resource.change_client_id_to().and_then(|id| ClientId::parse(id).ok());
    let mut ids = Vec::new();
    for id in record.client_id.clone().or(stored).into_iter().chain(next) {
        if !ids.contains(&id) && is_owned(&id, &mark, instance).await? {
            ids.push(id);
        }
    }
    // A recorded client that is gone was deleted or taken over. The id in a Secret can be edited:
    // that it leads nowhere does not mean that there is no client.
    if removes_duplicates || (ids.is_empty() && record.client_id.is_none()) {
        let others = owned_ids(&mark, instance).await?;
        ids.extend(others.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>());
    }
    Ok(ids)
}

async fn revoke(clients: &[Held]) -> Result<Vec<Notice>, Failure> {
    let mut notices = Vec::new();
    for Held { instance, id } in clients {
        let deleted = delete(id, instance).await;
        if deleted.inspect_err(|failure| report_trouble(failure, instance))? {
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
    use serde_json::json;

    use super::*;
    use crate::oauth2client::testing::with_status;

    #[test]
    fn only_a_policy_to_delete_under_a_definition_that_stays_revokes() {
        use Disposal::{AskAgain, Orphan, Release, Revoke};
        let unknown = DeletionPolicy::Unknown("archive".into());
        for (policy, kept, released) in [
            (None, [Revoke, Orphan, AskAgain], [Release, Orphan, Release]),
            (Some(DeletionPolicy::Delete), [Revoke, Orphan, AskAgain], [Release, Orphan, Release]),
            (Some(DeletionPolicy::Orphan), [Orphan; 3], [Orphan; 3]),
            (Some(unknown), [Orphan; 3], [Orphan; 3]),
        ] {
            let found = |released| {
                [Served::Yes, Served::Terminating, Served::No]
                    .map(|definition| disposal(policy.as_ref(), released, definition))
            };
            assert_eq!(found(false), kept, "{policy:?}");
            assert_eq!(found(true), released, "{policy:?}, released");
        }
    }

    #[test]
    fn whoever_lets_go_without_hydra_is_told_what_may_be_left_there() {
        let spec = json!({ "grantTypes": [], "secretName": "s" });
        let named = json!({ "grantTypes": [], "secretName": "s", "clientId": "asked" });
        for (spec, status, expected) in [
            (&spec, json!({ "clientId": "held" }), "client held may still exist"),
            (&named, json!({}), "client asked may still exist"),
            (&spec, json!({}), "its client may still exist"),
        ] {
            let resource = with_status(spec, &status);
            let notice = released(&resource, &Record::of(&resource));
            assert!(notice.warning && notice.reason == "ClientReleased");
            assert!(notice.note.contains(expected), "{}", notice.note);
        }
    }

    #[test]
    fn a_deletion_that_waits_names_both_ways_out() {
        let failure = with_ways_out(Failure::transient(Reason::HydraUnreachable, "no answer"));
        for part in ["hydra.ory.sh/release=true", "spec.deletionPolicy to orphan", "no answer"] {
            assert!(failure.message.contains(part), "{failure}");
        }
    }
}
