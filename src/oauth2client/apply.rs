//! Writes what the plan says, in the order that survives a crash at any point: the Secret first,
//! then Hydra. A status that records both is written by the caller.

use super::{
    credentials::{Credentials, SecretStep},
    desired::Desired,
    error::{self, Failure, Reason},
    plan::{ClientStep, Plan},
};
use crate::{
    controller::Class,
    hydra::{self, ClientId, ClientSecret, meaning},
    instance::Instance,
    kubernetes::{Owner, SecretVersion, Secrets, secrets::SecretData},
};

/// What a pass has brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The client's id.
    pub client_id: ClientId,
    /// The version of the Secret that holds the credentials which Hydra has.
    pub secret: SecretVersion,
    /// What was written to the Secret.
    pub secret_change: Option<SecretChange>,
    /// What was written to Hydra.
    pub client_change: Option<ClientChange>,
    /// Names of members that are set and that this version of Hydra does not keep.
    pub unsupported: Vec<&'static str>,
}

/// A write to the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretChange {
    /// It was created.
    Created,
    /// Missing or wrong parts were put in place.
    Completed,
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
/// by the next pass.
pub async fn apply(plan: Plan, desired: &Desired, to: Targets<'_>) -> Result<Applied, Failure> {
    let Plan { credentials, client, id_is_proposed } = plan;
    let (mut secret, mut secret_change) = store(&credentials, &desired.secret_name, &to).await?;
    let (client_id, client_change, unsupported) = match (client, &credentials.id) {
        (ClientStep::Create { client, secret }, _) => {
            let (id, unsupported) =
                create(&client, id_is_proposed, secret.as_ref(), to.instance).await?;
            (id, Some(ClientChange::Created), unsupported)
        }
        (ClientStep::Replace { client, secret, differing }, Some(id)) => {
            let unsupported = replace(id, &client, desired, secret.as_ref(), to.instance).await?;
            let secret = secret.is_some();
            (id.clone(), Some(ClientChange::Replaced { differing, secret }), unsupported)
        }
        (ClientStep::Keep { unsupported }, Some(id)) => (id.clone(), None, unsupported),
        (ClientStep::Replace { .. } | ClientStep::Keep { .. }, None) => return Err(nameless()),
    };
    if credentials.id.is_none() {
        // Stored at once: until then only the owner mark leads to the client.
        let step = SecretStep::Complete(secret);
        let named = Credentials { id: Some(client_id.clone()), step, ..credentials };
        let completed = store(&named, &desired.secret_name, &to).await?;
        secret = completed.0;
        secret_change = secret_change.or(completed.1);
    }
    Ok(Applied { client_id, secret, secret_change, client_change, unsupported })
}

async fn store(
    credentials: &Credentials,
    name: &str,
    to: &Targets<'_>,
) -> Result<(SecretVersion, Option<SecretChange>), Failure> {
    let data = SecretData {
        id: credentials.id.as_ref().map(ClientId::as_str),
        secret: credentials.secret.as_ref().map(ClientSecret::expose),
    };
    let written = match &credentials.step {
        SecretStep::Keep(version) => return Ok((version.clone(), None)),
        SecretStep::Create => {
            let created = to.secrets.create(name, to.owner, to.api_version, &data).await;
            created.map(|version| (version, Some(SecretChange::Created)))
        }
        SecretStep::Complete(read) => {
            let applied = to.secrets.apply(name, read, &data).await;
            applied.map(|version| (version, Some(SecretChange::Completed)))
        }
    };
    let written = written.map_err(|error| error::secret_write(name, &error))?;
    (to.written)(&written.0);
    Ok(written)
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
