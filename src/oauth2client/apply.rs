//! Writes what the plan says, in the order that survives a crash at any point: the Secret first,
//! then Hydra. A status that records both is written by the caller.

use super::{
    credentials::{Credentials, SecretStep},
    desired::Desired,
    error::{self, Failure},
    plan::{ClientStep, Plan},
};
use crate::{
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

/// Carries out `plan`. Each step can be repeated: one that was done and not noticed is found done
/// by the next pass.
pub async fn apply(
    plan: Plan,
    desired: &Desired,
    owner: &Owner,
    api_version: &str,
    secrets: &Secrets,
    instance: &Instance,
) -> Result<Applied, Failure> {
    let Plan { credentials, client } = plan;
    let (secret, secret_change) =
        store(&credentials, &desired.secret_name, owner, api_version, secrets).await?;
    let (client_change, unsupported) = match client {
        ClientStep::Keep { unsupported } => (None, unsupported),
        ClientStep::Create { client, secret } => {
            let unsupported = create(&credentials.id, &client, secret.as_ref(), instance).await?;
            (Some(ClientChange::Created), unsupported)
        }
        ClientStep::Replace { client, secret, differing } => {
            let unsupported =
                replace(&credentials.id, &client, desired, secret.as_ref(), instance).await?;
            let secret = secret.is_some();
            (Some(ClientChange::Replaced { differing, secret }), unsupported)
        }
    };
    Ok(Applied { client_id: credentials.id, secret, secret_change, client_change, unsupported })
}

async fn store(
    credentials: &Credentials,
    name: &str,
    owner: &Owner,
    api_version: &str,
    secrets: &Secrets,
) -> Result<(SecretVersion, Option<SecretChange>), Failure> {
    let data = SecretData {
        id: credentials.id.as_str(),
        secret: credentials.secret.as_ref().map(ClientSecret::expose),
    };
    let written = match &credentials.step {
        SecretStep::Keep(version) => return Ok((version.clone(), None)),
        SecretStep::Create => secrets
            .create(name, owner, api_version, &data)
            .await
            .map(|version| (version, Some(SecretChange::Created))),
        SecretStep::Complete(read) => secrets
            .apply(name, read, &data)
            .await
            .map(|version| (version, Some(SecretChange::Completed))),
    };
    written.map_err(|error| error::secret_write(name, &error))
}

async fn create(
    id: &ClientId,
    client: &hydra::OAuth2Client,
    secret: Option<&ClientSecret>,
    instance: &Instance,
) -> Result<Vec<&'static str>, Failure> {
    let created = instance
        .hydra()
        .create_client(client, secret)
        .await
        .map_err(|error| error::hydra(&format!("create client {id} in Hydra"), &error))?;
    Ok(dropped(client, &created.client, instance))
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

/// The members of `sent` that Hydra's reply does not show: it answers with what it keeps.
fn dropped(
    sent: &hydra::OAuth2Client,
    reply: &hydra::OAuth2Client,
    instance: &Instance,
) -> Vec<&'static str> {
    let defaults = instance.learn(&meaning::learn(sent, reply));
    meaning::differences(sent, reply, &defaults, meaning::Unlearned::AssumeEqual)
}
