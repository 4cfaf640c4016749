//! What is there: reads the Secret and the client, decides nothing.

use secrecy::SecretString;

use super::{
    credentials::{id_is_proposed, known_id},
    desired::Desired,
    error::{self, Failure, Reason},
    record::Record,
    sent::LastSent,
};
use crate::{
    controller::Class,
    hydra::{self, ClientId, ErrorKind, meaning::ServerDefaults},
    instance::Instance,
    kubernetes::{Lookup, Owner, SecretState, SecretVersion, Secrets},
};

/// The observed state of one client.
#[derive(Clone)]
pub struct Observed {
    /// The Secret.
    pub secret: SecretState,
    /// The Secret of the former name, where the spec names another now.
    pub former: SecretState,
    /// Secrets of ours of former names, whose credentials have moved.
    pub retired: Vec<RetiredSecret>,
    /// The id of the client, where anything names it.
    pub id: Option<ClientId>,
    /// The client that the resource gives up for it.
    pub replaced: Option<ClientId>,
    /// Ids of other clients in Hydra with the owner mark of the resource, as the last listing showed.
    pub duplicates: Vec<String>,
    /// Whether the administrator allows that those are deleted.
    pub removes_duplicates: bool,
    /// The client of that id in Hydra.
    pub client: Option<hydra::OAuth2Client>,
    /// Whether the client's secret in the Secret is the one that Hydra was last given.
    pub value: LastSent,
    /// What earlier passes left in status.
    pub record: Record,
    /// Names of members that this version of Hydra is known not to keep.
    pub unsupported: Vec<String>,
    /// Whether Hydra takes ids of the operator's choice.
    pub takes_chosen_ids: bool,
    /// Whether nothing but the operator itself has named the id, if anything has.
    pub id_is_proposed: bool,
    /// What Hydra puts in place of an empty value, as far as it is known.
    pub defaults: ServerDefaults,
}

/// A Secret of ours that is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetiredSecret {
    /// Its name.
    pub name: String,
    /// The version that was read.
    pub version: SecretVersion,
}

/// The Secret of a resource: where it is and how to look at it.
#[derive(Clone, Copy)]
pub struct SecretSource<'a> {
    /// The resource, as owner of its Secret.
    pub owner: &'a Owner,
    /// How to look at the Secret.
    pub lookup: &'a Lookup,
    /// The Secrets of its namespace.
    pub secrets: &'a Secrets,
    /// That these are the operator's to use, or why they are not.
    pub access: &'a Result<(), Failure>,
}

/// Where a pass reads from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The Secret.
    pub secret: SecretSource<'a>,
    /// The Hydra.
    pub instance: &'a Instance,
    /// Whether the Secret is taken not to exist: creating it shows if that is wrong.
    pub secret_is_new: bool,
    /// Whether the administrator allows that duplicates are deleted.
    pub removes_duplicates: bool,
    /// Whether a value is the one that Hydra was last given for the client of this id, as far as
    /// this process remembers.
    pub last_sent: &'a (dyn Fn(&ClientId, &SecretString) -> LastSent + Sync),
}

/// Reads what is there. The Secret comes first: it names the client.
pub async fn observe(
    desired: &Desired,
    record: Record,
    from: &Sources<'_>,
) -> Result<Observed, Failure> {
    let secret = if from.secret_is_new {
        SecretState::Absent
    } else {
        read_secret(&desired.secret_name, from).await?
    };
    let known = known_id(desired, &record, &secret)?;
    let idle = record.is_idle(&secret);
    let unobserved = |failure: Failure| match failure.class {
        Class::Transient if idle => Failure { class: Class::Unobserved, ..failure },
        _ => failure,
    };
    let id_is_proposed = id_is_proposed(desired, &record, &secret);
    // A Hydra that chooses ids itself has refused a proposed one, or has given the client another
    // that did not find its way into the Secret.
    let instance = from.instance;
    let in_doubt = id_is_proposed && !instance.takes_chosen_ids();
    let (id, client) = locate(known.id, in_doubt, desired, instance).await.map_err(unobserved)?;
    let former = match &record.secret_name {
        Some(former) if *former != desired.secret_name => read_secret(former, from).await?,
        Some(_) | None => SecretState::Absent,
    };
    let stored = secret.stored().or(former.stored()).and_then(|stored| stored.secret.as_ref());
    let value = stored.zip(id.as_ref()).map(|(stored, id)| (from.last_sent)(id, stored));
    Ok(Observed {
        value: value.unwrap_or_default(),
        retired: retired(desired, &record, from).await?,
        secret,
        former,
        duplicates: duplicates(desired, id.as_ref(), &record, instance),
        removes_duplicates: from.removes_duplicates,
        id,
        replaced: known.replaced,
        client,
        unsupported: unsupported(&record, instance).await,
        record,
        takes_chosen_ids: instance.takes_chosen_ids(),
        id_is_proposed,
        defaults: instance.defaults(),
    })
}

async fn retired(
    desired: &Desired,
    record: &Record,
    from: &Sources<'_>,
) -> Result<Vec<RetiredSecret>, Failure> {
    let mut retired = Vec::new();
    for name in record.former_secrets.iter().filter(|name| **name != desired.secret_name) {
        if let SecretState::Ours(stored) = read_secret(name, from).await? {
            retired.push(RetiredSecret { name: name.clone(), version: stored.version });
        }
    }
    Ok(retired)
}

/// Before the first listing, those that are recorded.
fn duplicates(
    desired: &Desired,
    id: Option<&ClientId>,
    record: &Record,
    instance: &Instance,
) -> Vec<String> {
    let mark = desired.client.owner.as_deref().unwrap_or_default();
    let listed = instance.census().duplicates_of(mark, id.map(ClientId::as_str));
    listed.unwrap_or_else(|| record.duplicates.clone())
}

async fn read_secret(name: &str, from: &Sources<'_>) -> Result<SecretState, Failure> {
    let SecretSource { owner, lookup, secrets, .. } = from.secret;
    let read = secrets.observe(name, owner, lookup).await;
    read.map_err(|error| error::secret_read(name, &error))
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
