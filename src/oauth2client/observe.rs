//! What is there: reads the Secret and the client, decides nothing.

use super::{
    credentials::{id_is_proposed, known_id},
    desired::Desired,
    error::{self, Failure, Reason},
    record::Record,
};
use crate::{
    controller::Class,
    hydra::{self, ClientId, ErrorKind, meaning::ServerDefaults},
    instance::Instance,
    kubernetes::{Owner, SecretState, SecretVersion, Secrets},
};

/// The observed state of one client.
#[derive(Clone)]
pub struct Observed {
    /// The Secret.
    pub secret: SecretState,
    /// The id of the client, where anything names it.
    pub id: Option<ClientId>,
    /// The client of that id in Hydra.
    pub client: Option<hydra::OAuth2Client>,
    /// The version of the Secret whose credentials Hydra was last given, as recorded in status.
    pub sent: Option<SecretVersion>,
    /// Whether the last pass brought this generation of the resource to Hydra.
    pub settled: bool,
    /// Names of members that this version of Hydra is known not to keep.
    pub unsupported: Vec<String>,
    /// Whether Hydra takes ids of the operator's choice.
    pub takes_chosen_ids: bool,
    /// Whether nothing but the operator itself has named the id, if anything has.
    pub id_is_proposed: bool,
    /// What Hydra puts in place of an empty value, as far as it is known.
    pub defaults: ServerDefaults,
}

/// Reads what is there. The Secret comes first: it names the client.
pub async fn observe(
    desired: &Desired,
    record: &Record,
    owner: &Owner,
    secrets: &Secrets,
    instance: &Instance,
) -> Result<Observed, Failure> {
    let name = &desired.secret_name;
    let secret = secrets
        .observe(name, owner, desired.needs_secret)
        .await
        .map_err(|error| error::kubernetes(&format!("read Secret {name}"), &error))?;
    let id = known_id(desired, record.client_id.as_ref(), &secret)?;
    let idle = record.is_idle(&secret);
    let unobserved = |failure: Failure| match failure.class {
        Class::Transient if idle => Failure { class: Class::Unobserved, ..failure },
        _ => failure,
    };
    let id_is_proposed = id_is_proposed(desired, record.client_id.as_ref(), &secret);
    // A Hydra that chooses ids itself has refused a proposed one, or has given the client another
    // that did not find its way into the Secret.
    let in_doubt = id_is_proposed && !instance.takes_chosen_ids();
    let (id, client) = locate(id, in_doubt, desired, instance).await.map_err(unobserved)?;
    Ok(Observed {
        secret,
        id,
        client,
        sent: record.sent.clone(),
        settled: record.settled,
        unsupported: unsupported(record, instance).await,
        takes_chosen_ids: instance.takes_chosen_ids(),
        id_is_proposed,
        defaults: instance.defaults(),
    })
}

/// Finds the client by its id, or by its owner mark where the id is unknown or in doubt.
async fn locate(
    id: Option<ClientId>,
    in_doubt: bool,
    desired: &Desired,
    instance: &Instance,
) -> Result<(Option<ClientId>, Option<hydra::OAuth2Client>), Failure> {
    if let Some(id) = id {
        let client = by_id(&id, instance).await?;
        if client.is_some() || !in_doubt {
            return Ok((Some(id), client));
        }
    }
    // A Hydra that chooses ids itself may have done so a moment ago, and the reply was lost.
    let mark = desired.client.owner.as_deref().unwrap_or_default();
    if instance.takes_chosen_ids() && instance.census().rules_out(mark) {
        return Ok((None, None));
    }
    let Some(client) = by_owner(desired, instance).await? else { return Ok((None, None)) };
    let id = ClientId::parse(client.client_id.as_deref().unwrap_or_default());
    let id = id.map_err(|error| {
        let message = format!("the client of this resource in Hydra has an unusable id: {error}");
        Failure::terminal(Reason::ClientIdTaken, message)
    })?;
    Ok((Some(id), Some(client)))
}

/// What Hydra did not keep counts as long as it is the same Hydra.
async fn unsupported(record: &Record, instance: &Instance) -> Vec<String> {
    match &record.unsupported {
        Some(known) if known.hydra_version == instance.version().await => known.fields.clone(),
        Some(_) | None => Vec::new(),
    }
}

async fn by_id(id: &ClientId, instance: &Instance) -> Result<Option<hydra::OAuth2Client>, Failure> {
    match instance.hydra().get_client(id).await {
        Ok(client) => Ok(Some(client)),
        Err(error) if error.kind() == ErrorKind::Absent => Ok(None),
        Err(error) => Err(error::hydra(&format!("read client {id} from Hydra"), &error)),
    }
}

/// Without an id the owner mark is the only trace of a client that lost its Secret and its status.
async fn by_owner(
    desired: &Desired,
    instance: &Instance,
) -> Result<Option<hydra::OAuth2Client>, Failure> {
    let owner = desired.client.owner.as_deref().unwrap_or_default();
    let mut found =
        instance.hydra().list_clients(Some(owner)).await.map_err(|error| {
            error::hydra(&format!("list the clients of {owner} in Hydra"), &error)
        })?;
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(ambiguous(owner, &found)),
    }
}

fn ambiguous(owner: &str, found: &[hydra::OAuth2Client]) -> Failure {
    let ids: Vec<&str> =
        found.iter().filter_map(|client| client.client_id.as_deref()).take(5).collect();
    Failure::terminal(
        Reason::AmbiguousClients,
        format!(
            "{} clients in Hydra carry the owner {owner:?} ({}, …); name the one that is meant \
             in spec.clientId",
            found.len(),
            ids.join(", ")
        ),
    )
}
