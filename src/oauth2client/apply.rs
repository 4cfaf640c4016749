//! Writes what the plan says, in the order that survives a crash at any point: the Secret first,
//! then Hydra. A status that records both is written by the caller.

use super::{
    credentials::{Credentials, SecretStep},
    desired::{Desired, JWKS},
    error::{self, Failure, Reason},
    observe::RetiredSecret,
    plan::{ClientStep, Duplicates, Plan},
    secret_shape::SecretShape,
};
use crate::{
    api::oauth2client::LinkedKeys,
    controller::Class,
    hydra::{self, ClientId, ClientSecret, Deletion, ErrorKind, meaning},
    instance::Instance,
    kubernetes::{KeyPair, Owner, SecretChanges, SecretVersion, Secrets, secret_content::Held},
};

/// What a pass has brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The client's id.
    pub client_id: ClientId,
    /// `updated_at` of the client, as read after the last write.
    pub revision: Option<String>,
    /// The version of the Secret that holds the credentials which Hydra has.
    pub secret: SecretVersion,
    /// The keys that hold them.
    pub keys: KeyPair,
    /// Whether the Secret is somebody else's.
    pub user_provided: bool,
    /// What was written to the Secret.
    pub secret_change: Option<SecretChange>,
    /// What was written to Hydra.
    pub client_change: Option<ClientChange>,
    /// Ids of other clients with the owner mark of the resource.
    pub duplicates: Vec<String>,
    /// Those of them that were deleted.
    pub removed: Vec<ClientId>,
    /// The Secret of the former name, which goes once the status names the new one.
    pub former_secrets: Vec<String>,
    /// Secrets of former names that were deleted.
    pub retired: Vec<String>,
    /// The client that was given up and deleted.
    pub replaced: Option<ClientId>,
    /// The keys of a `JsonWebKeySet` that Hydra holds.
    pub jwks: Option<LinkedKeys>,
    /// Names of members that are set and that this version of Hydra does not keep.
    pub unsupported: Vec<&'static str>,
}

/// A write to the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretChange {
    /// It was created.
    Created,
    /// Missing or wrong parts were put in place.
    Changed,
    /// It was taken over from a former resource of the same name.
    Inherited,
}

/// A write to Hydra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientChange {
    /// The client was created.
    Created,
    /// The client was replaced.
    Replaced {
        /// Names of the members that differed.
        differing: Vec<&'static str>,
        /// Whether it was given the secret anew.
        secret: bool,
        /// Whether somebody else had written the client since the operator did.
        meddled: bool,
    },
}

/// Where a pass writes to.
pub struct Targets<'a> {
    /// The resource, as owner of its Secret.
    pub owner: &'a Owner,
    /// `apiVersion` of the resource.
    pub api_version: &'a str,
    /// The Secrets of its namespace.
    pub secrets: &'a Secrets,
    /// Its Hydra.
    pub instance: &'a Instance,
    /// Told of each version of the Secret as soon as it is written.
    pub written: &'a (dyn Fn(&SecretVersion) + Sync),
}

/// Carries out `plan`. Each step can be repeated: one that was done and not noticed is found done
/// by the next pass. What goes, goes last.
pub async fn apply(
    plan: Plan,
    desired: &Desired,
    shape: &SecretShape,
    to: Targets<'_>,
) -> Result<Applied, Failure> {
    let Plan { credentials, client, id_is_proposed, moved_from, retired, replaced, duplicates } =
        plan;
    let name = &desired.secret_name;
    let (mut secret, mut secret_change) = store(&credentials.step, name, &to).await?;
    let Written { id: client_id, change: client_change, unsupported, revision } =
        write(client, &credentials, desired, id_is_proposed, to.instance).await?;
    if credentials.id.is_none() {
        // Stored at once: until then only the owner mark leads to the client.
        let step = naming(&client_id, secret, &credentials, shape);
        let completed = store(&step, name, &to).await?;
        secret = completed.0;
        secret_change = secret_change.or(completed.1);
    }
    let mut gone = Vec::new();
    for secret in retired {
        gone.push(retire(secret, &to).await?);
    }
    let replaced = match replaced {
        Some(id) => give_up(id, desired, to.instance).await?,
        None => None,
    };
    let (duplicates, removed) = match duplicates {
        Duplicates::Report(ids) => (ids, Vec::new()),
        Duplicates::Remove(ids) => remove(ids, desired, to.instance).await,
    };
    Ok(Applied {
        duplicates,
        removed,
        client_id,
        revision,
        secret,
        keys: credentials.keys,
        user_provided: credentials.user_provided,
        secret_change,
        client_change,
        former_secrets: moved_from.into_iter().collect(),
        retired: gone,
        replaced,
        // Keys that Hydra had kept otherwise would be among the members that it did not keep.
        jwks: desired.linked.clone().filter(|_| !unsupported.contains(&JWKS)),
        unsupported,
    })
}

/// The step that puts the id of Hydra's choice into the Secret that was just written.
fn naming(
    id: &ClientId,
    written: SecretVersion,
    credentials: &Credentials,
    shape: &SecretShape,
) -> SecretStep {
    let (content, keys) =
        shape.content(Some(id), credentials.secret.as_ref(), Some(&credentials.keys));
    let changes = SecretChanges::between(&Held::default(), &content, &keys, &keys);
    SecretStep::Change { read: written, changes }
}

async fn store(
    step: &SecretStep,
    name: &str,
    to: &Targets<'_>,
) -> Result<(SecretVersion, Option<SecretChange>), Failure> {
    let owner = (to.owner, to.api_version);
    let (written, change) = match step {
        SecretStep::Keep(version) => return Ok((version.clone(), None)),
        SecretStep::Create(content) => {
            let created = to.secrets.create(name, to.owner, to.api_version, content).await;
            (created, SecretChange::Created)
        }
        SecretStep::Change { read, changes } => {
            (to.secrets.change(name, read, changes).await, SecretChange::Changed)
        }
        SecretStep::Inherit { read, former, changes } => {
            let inherited = to.secrets.inherit(name, read, owner, former, changes).await;
            (inherited, SecretChange::Inherited)
        }
    };
    let written = written.map_err(|error| error::secret_write(name, &error))?;
    (to.written)(&written);
    Ok((written, Some(change)))
}

async fn retire(retired: RetiredSecret, to: &Targets<'_>) -> Result<String, Failure> {
    let RetiredSecret { name, version } = retired;
    to.secrets.delete(&name, &version).await.map_err(|error| {
        error::kubernetes(&format!("delete Secret {name}, whose credentials have moved"), &error)
    })?;
    Ok(name)
}

/// Deletes a client that is the resource's no more, if it still has its owner mark.
async fn give_up(
    id: ClientId,
    desired: &Desired,
    instance: &Instance,
) -> Result<Option<ClientId>, Failure> {
    match instance.hydra().get_client(&id).await {
        Ok(client) if client.owner == desired.client.owner => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::Absent => return Ok(None),
        Err(error) => {
            return Err(error::hydra(&format!("read client {id}, which is to be deleted"), &error));
        }
    }
    let deleted = instance
        .hydra()
        .delete_client(&id)
        .await
        .map_err(|error| error::hydra(&format!("delete client {id}"), &error))?;
    Ok((deleted == Deletion::Deleted).then_some(id))
}

/// Deletes the clients that still have the owner mark of the resource. Returns those that are left
/// and those that are gone: that one cannot be deleted is no trouble of the resource.
async fn remove(
    ids: Vec<ClientId>,
    desired: &Desired,
    instance: &Instance,
) -> (Vec<String>, Vec<ClientId>) {
    let (mut left, mut removed) = (Vec::new(), Vec::new());
    for id in ids {
        match give_up(id.clone(), desired, instance).await {
            Ok(gone) => removed.extend(gone),
            Err(error) => {
                tracing::warn!(%error, "Could not remove a duplicate");
                left.push(id.to_string());
            }
        }
    }
    (left, removed)
}

/// How Hydra came to hold the client.
struct Written {
    id: ClientId,
    change: Option<ClientChange>,
    unsupported: Vec<&'static str>,
    revision: Option<String>,
}

async fn write(
    client: ClientStep,
    credentials: &Credentials,
    desired: &Desired,
    id_is_proposed: bool,
    instance: &Instance,
) -> Result<Written, Failure> {
    match (client, &credentials.id) {
        (ClientStep::Create { client, secret }, _) => {
            let (id, unsupported) =
                create(&client, id_is_proposed, secret.as_ref(), instance).await?;
            let revision = revision(&id, instance).await;
            Ok(Written { id, change: Some(ClientChange::Created), unsupported, revision })
        }
        (ClientStep::Replace { client, secret, differing, meddled }, Some(id)) => {
            let unsupported = replace(id, &client, desired, secret.as_ref(), instance).await?;
            let secret = secret.is_some();
            let change = Some(ClientChange::Replaced { differing, secret, meddled });
            let revision = revision(id, instance).await;
            Ok(Written { id: id.clone(), change, unsupported, revision })
        }
        (ClientStep::Keep { unsupported, revision }, Some(id)) => {
            Ok(Written { id: id.clone(), change: None, unsupported, revision })
        }
        (ClientStep::Replace { .. } | ClientStep::Keep { .. }, None) => Err(nameless()),
    }
}

/// The `updated_at` of the client: replies to writes have it rounded to seconds. Without an answer
/// it stays unknown, and the next sweep asks for a pass that reads it.
async fn revision(id: &ClientId, instance: &Instance) -> Option<String> {
    instance.hydra().get_client(id).await.ok()?.updated_at
}

async fn create(
    client: &hydra::OAuth2Client,
    id_is_proposed: bool,
    secret: Option<&ClientSecret>,
    instance: &Instance,
) -> Result<(ClientId, Vec<&'static str>), Failure> {
    // Before, for those who ask meanwhile, and after, for a listing that began meanwhile.
    let mark = client.owner.as_deref().unwrap_or_default();
    instance.census().moves(mark);
    let created = instance.hydra().create_client(client, secret).await;
    instance.census().moves(mark);
    let created = created.map_err(|error| {
        let failure = error::hydra("create the client in Hydra", &error);
        if error.refuses_chosen_ids() {
            instance.refused_chosen_id();
        }
        // The next pass proposes none.
        let class = if error.refuses_chosen_ids() && id_is_proposed {
            Class::Conflict
        } else {
            failure.class
        };
        Failure { class, ..failure }
    })?;
    let id = created.client.client_id.as_deref().map(ClientId::parse);
    let id = id.and_then(Result::ok).ok_or_else(nameless)?;
    Ok((id, dropped(client, &created.client, instance)))
}

async fn replace(
    id: &ClientId,
    client: &hydra::OAuth2Client,
    desired: &Desired,
    secret: Option<&ClientSecret>,
    instance: &Instance,
) -> Result<Vec<&'static str>, Failure> {
    let reply = instance
        .hydra()
        .replace_client(id, client, secret)
        .await
        .map_err(|error| error::hydra(&format!("update client {id} in Hydra"), &error))?;
    Ok(dropped(&desired.client, &reply, instance))
}

fn nameless() -> Failure {
    Failure::transient(Reason::HydraError, "Hydra answered with a client that has no usable id")
}

/// The members of `sent` that Hydra's reply does not show: it answers with what it keeps.
fn dropped(
    sent: &hydra::OAuth2Client,
    reply: &hydra::OAuth2Client,
    instance: &Instance,
) -> Vec<&'static str> {
    let defaults = instance.learn(&meaning::learn(sent, reply));
    meaning::differences(sent, reply, &defaults, meaning::Unlearned::AssumeEqual)
}
