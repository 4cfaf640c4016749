//! Which id and which secret are the client's: pure, from the spec, the Secret and the record in
//! status.

use secrecy::{ExposeSecret, SecretString};

use super::{
    desired::Desired,
    error::{Failure, Reason},
    record::Record,
    secret_shape::SecretShape,
};
use crate::{
    hydra::{ClientId, ClientSecret},
    kubernetes::{
        KeyPair, SecretChanges, SecretContent, SecretState, SecretVersion, StoredCredentials,
        ownership::Foreign,
    },
};

/// A new identity: made outside of the pure part, used where there is none.
#[derive(Clone)]
pub struct Fresh {
    /// A random UUID (RFC 9562, version 4).
    pub id: ClientId,
    /// 256 random bits as URL-safe text.
    pub secret: ClientSecret,
}

/// The id of the client, as far as anything names it already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The id.
    pub id: Option<ClientId>,
    /// The client that the resource gives up for it, as its user has agreed to.
    pub replaced: Option<ClientId>,
}

/// Credentials, and what has to be done for the Secret to hold them.
#[derive(Clone)]
pub struct Credentials {
    /// The client's id; none where Hydra chooses it.
    pub id: Option<ClientId>,
    /// The client's secret; none for clients that authenticate without one.
    pub secret: Option<ClientSecret>,
    /// The version of the Secret that the client's secret was read from; none if it is a new one.
    pub source: Option<SecretVersion>,
    /// The keys that hold them.
    pub keys: KeyPair,
    /// Whether the Secret is somebody else's.
    pub user_provided: bool,
    /// What has to be done for the Secret to hold them.
    pub step: SecretStep,
}

/// What has to be done for the Secret to hold the credentials.
#[derive(Clone)]
pub enum SecretStep {
    /// It holds them, in this version.
    Keep(SecretVersion),
    /// There is none.
    Create(SecretContent),
    /// It is ours and not what it shall be.
    Change {
        /// The version that was read.
        read: SecretVersion,
        /// What it lacks.
        changes: SecretChanges,
    },
    /// It was written for a former resource of the same name, whose client this resource has.
    Inherit {
        /// The version that was read.
        read: SecretVersion,
        /// The uid of that resource.
        former: String,
        /// What it lacks.
        changes: SecretChanges,
    },
}

/// The id of the client, where anything names it already.
///
/// Fails where two of the sources contradict each other: following one would abandon a client.
pub fn known_id(
    desired: &Desired,
    record: &Record,
    secret: &SecretState,
) -> Result<Known, Failure> {
    let (asked, recorded) = (desired.client_id.as_ref(), record.client_id.as_ref());
    if let (Some(asked), Some(recorded)) = (asked, recorded)
        && asked != recorded
    {
        return Err(changed(format!(
            "spec.clientId is {asked}, but this resource holds client {recorded}; the id of a \
             client does not change: set it back, or delete the resource and create it again"
        )));
    }
    let name = &desired.secret_name;
    let id = match secret {
        SecretState::Absent => present(desired, record).map(|()| asked.or(recorded).cloned())?,
        SecretState::Foreign(foreign) => return Err(foreign_secret(desired, foreign)),
        SecretState::Users(stored) => return users_id(desired, recorded, stored),
        // With a record an edited id is put back, whatever it says.
        SecretState::Ours(_) if recorded.is_some() => recorded.cloned(),
        SecretState::Ours(stored) => match (stored_id(name, stored)?, asked) {
            (Some(id), Some(asked)) if id != *asked => {
                return Err(changed(format!(
                    "spec.clientId is {asked}, but Secret {name} names client {id}; spec.clientId \
                     can only name the client that the resource holds"
                )));
            }
            (id, asked) => id.or_else(|| asked.cloned()),
        },
        SecretState::Inherited { stored, .. } => {
            recorded.or(asked).cloned().or(stored_id(name, stored)?)
        }
    };
    Ok(Known { id, replaced: None })
}

fn users_id(
    desired: &Desired,
    recorded: Option<&ClientId>,
    stored: &StoredCredentials,
) -> Result<Known, Failure> {
    let name = &desired.secret_name;
    let id = stored_id(name, stored)?.ok_or_else(|| no_id(name))?;
    let agreed = || desired.change_client_id_to.as_deref() == Some(id.as_str());
    match (desired.client_id.as_ref(), recorded) {
        (None, Some(former)) if *former != id && agreed() => {
            Ok(Known { id: Some(id), replaced: Some(former.clone()) })
        }
        (Some(other), _) | (None, Some(other)) if *other != id => Err(changed(format!(
            "Secret {name} names client {id}, but this resource is about client {other}; put the id \
             back, or, to give up client {other} for it, set the annotation {} to {id}",
            crate::api::CHANGE_CLIENT_ID_ANNOTATION
        ))),
        _ => Ok(Known { id: Some(id), replaced: None }),
    }
}

/// Whether a Secret that is not there may be generated.
fn present(desired: &Desired, record: &Record) -> Result<(), Failure> {
    let name = &desired.secret_name;
    if desired.require_existing_secret {
        return Err(waiting(format!(
            "waiting for Secret {name}, which spec.requireExistingSecret says somebody else makes"
        )));
    }
    if record.user_provided && record.secret_name.as_ref() == Some(name) {
        return Err(waiting(format!(
            "Secret {name}, which somebody else had made, is gone; client secrets cannot be read \
             from Hydra: make it again, or choose another spec.secretName to have one generated"
        )));
    }
    Ok(())
}

/// Whether the operator alone has chosen the id, if there is one: neither the spec nor the user's
/// Secret asks for it, and no client was held by it.
#[must_use]
pub fn id_is_proposed(desired: &Desired, record: &Record, secret: &SecretState) -> bool {
    let asked = desired.client_id.is_some() || matches!(secret, SecretState::Users(_));
    !asked && record.client_id.is_none()
}

/// What the credentials are made from.
pub struct Sources<'a> {
    /// The Secret.
    pub secret: &'a SecretState,
    /// The Secret of the former name, where the spec names another now.
    pub former: &'a SecretState,
    /// Whether Hydra holds the client that the Secret names, for this resource.
    pub client_is_ours: bool,
    /// What to use where there is nothing.
    pub fresh: &'a Fresh,
}

/// The credentials of the client `id`: what the Secret holds is kept, and a secret that it lacks
/// comes from the Secret of the former name, or is new.
pub fn credentials(
    desired: &Desired,
    shape: &SecretShape,
    id: Option<ClientId>,
    from: &Sources<'_>,
) -> Result<Credentials, Failure> {
    let chosen = choose(desired, from)?;
    let stored = from.secret.stored();
    let (content, keys) =
        shape.content(id.as_ref(), chosen.secret.as_ref(), stored.map(|stored| &stored.keys));
    let changes = |stored: &StoredCredentials| {
        if stored.held.secret_type() == content.secret_type {
            Ok(SecretChanges::between(&stored.held, &content, &stored.keys, &keys))
        } else {
            Err(wrong_type(desired, stored, &content))
        }
    };
    let step = match from.secret {
        SecretState::Foreign(foreign) => return Err(foreign_secret(desired, foreign)),
        SecretState::Absent => SecretStep::Create(content),
        SecretState::Users(stored) => SecretStep::Keep(stored.version.clone()),
        SecretState::Ours(stored) => {
            let (read, changes) = (stored.version.clone(), changes(stored)?);
            if changes.is_empty() {
                SecretStep::Keep(read)
            } else {
                SecretStep::Change { read, changes }
            }
        }
        SecretState::Inherited { stored, former } => {
            let names_it = stored.id.as_deref() == id.as_ref().map(ClientId::as_str);
            if !(names_it && from.client_is_ours) {
                return Err(waiting(format!(
                    "Secret {} belongs to a former OAuth2Client of this name (uid {former}) and is \
                     about to go with it",
                    desired.secret_name
                )));
            }
            let (read, changes) = (stored.version.clone(), changes(stored)?);
            SecretStep::Inherit { read, former: former.clone(), changes }
        }
    };
    let user_provided = matches!(from.secret, SecretState::Users(_));
    let keys = stored.filter(|_| user_provided).map_or(keys, |stored| stored.keys.clone());
    Ok(Credentials { id, secret: chosen.secret, source: chosen.source, keys, user_provided, step })
}

struct Chosen {
    secret: Option<ClientSecret>,
    source: Option<SecretVersion>,
}

fn choose(desired: &Desired, from: &Sources<'_>) -> Result<Chosen, Failure> {
    if let Some(stored) = from.secret.stored()
        && let Some(secret) = stored_secret(desired, stored)?
    {
        return Ok(Chosen { secret: Some(secret), source: Some(stored.version.clone()) });
    }
    // One that cannot be used is as good as none: the Secret of that name is not looked at again.
    if let Some(stored) = from.former.stored()
        && let Ok(Some(secret)) = stored_secret(desired, stored)
    {
        return Ok(Chosen { secret: Some(secret), source: Some(stored.version.clone()) });
    }
    Ok(Chosen { secret: desired.needs_secret.then(|| from.fresh.secret.clone()), source: None })
}

fn stored_id(name: &str, stored: &StoredCredentials) -> Result<Option<ClientId>, Failure> {
    if stored.not_text.contains(&stored.keys.id) {
        let message = format!("the client id in Secret {name} is not text");
        return Err(Failure::terminal(Reason::InvalidSecret, message));
    }
    stored.id.as_deref().map(ClientId::parse).transpose().map_err(|error| {
        Failure::terminal(
            Reason::InvalidSecret,
            format!("the client id in Secret {name} cannot be used: {error}"),
        )
    })
}

/// A secret that the client does not need is kept as it is, and not judged.
fn stored_secret(
    desired: &Desired,
    stored: &StoredCredentials,
) -> Result<Option<ClientSecret>, Failure> {
    let parsed = stored.secret.as_ref().map(SecretString::expose_secret).map(ClientSecret::stored);
    match parsed {
        None if desired.needs_secret && stored.not_text.contains(&stored.keys.secret) => {
            Err(Failure::terminal(
                Reason::InvalidSecret,
                format!("the client secret in Secret {} is not text", desired.secret_name),
            ))
        }
        Some(Err(error)) if desired.needs_secret => Err(Failure::terminal(
            Reason::InvalidSecret,
            format!("the client secret in Secret {} cannot be used: {error}", desired.secret_name),
        )),
        Some(Err(_)) | None => Ok(None),
        Some(Ok(secret)) => Ok(Some(secret)),
    }
}

fn changed(message: String) -> Failure {
    Failure::terminal(Reason::ClientIdChanged, message)
}

fn waiting(message: String) -> Failure {
    Failure::waiting(Reason::WaitingForSecret, message)
}

fn no_id(name: &str) -> Failure {
    Failure::terminal(Reason::InvalidSecret, format!("Secret {name} names no client id"))
}

fn wrong_type(desired: &Desired, stored: &StoredCredentials, wanted: &SecretContent) -> Failure {
    Failure::terminal(
        Reason::InvalidSpec,
        format!(
            "Secret {} is of type {} and shall be of type {}, but the type of a Secret cannot \
             change; set spec.secretTemplate.type back, or choose another spec.secretName with it: \
             the credentials move there",
            desired.secret_name,
            stored.held.secret_type(),
            wanted.secret_type
        ),
    )
}

fn foreign_secret(desired: &Desired, foreign: &Foreign) -> Failure {
    let name = &desired.secret_name;
    let message = match foreign {
        Foreign::OwnedBy { name: other, uid } => format!(
            "Secret {name} belongs to OAuth2Client {other} (uid {uid}); choose another \
             spec.secretName"
        ),
        Foreign::Lacks(keys) if desired.require_existing_secret => {
            return waiting(format!("waiting for Secret {name} to have {}", keys.join(" and ")));
        }
        Foreign::Lacks(keys) => format!(
            "Secret {name} exists, was not made for this resource and lacks {}; choose another \
             spec.secretName, delete the Secret, or add the missing data to use it as it is",
            keys.join(" and ")
        ),
        Foreign::Unmarked(mark) => {
            let message = format!(
                "Secret {name} was not made for this resource; that keys of it are used which \
                 spec.secretKeys names has to be allowed by its label {mark}=true"
            );
            if desired.require_existing_secret {
                return waiting(message);
            }
            message
        }
        Foreign::NotText(key) => format!(
            "Secret {name} was not made for this resource, and the value of {key} is not text"
        ),
    };
    Failure::terminal(Reason::SecretNotOwned, message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::CHANGE_CLIENT_ID_ANNOTATION,
        oauth2client::{
            desired::desired,
            key_set::Link,
            testing::{fresh, resource, shape_of, stored, stored_with},
        },
    };

    fn spec() -> Value {
        json!({ "grantTypes": ["client_credentials"], "secretName": "s" })
    }

    fn desired_with(client_id: Option<&str>) -> Desired {
        let mut spec = spec();
        if let Some(id) = client_id {
            spec["clientId"] = id.into();
        }
        desired(&resource(&spec), &Link::None).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn record(held: Option<&str>) -> Record {
        Record { client_id: held.map(|id| ClientId::parse(id).unwrap()), ..Record::default() }
    }

    fn inherited(id: &str) -> SecretState {
        SecretState::Inherited { stored: stored(id), former: "uid-0".into() }
    }

    fn told(known: Result<Known, Failure>) -> String {
        match known {
            Ok(Known { id, replaced: None }) => {
                id.map_or_else(|| "-".to_owned(), |id| id.to_string())
            }
            Ok(Known { id, replaced: Some(former) }) => format!("{} for {former}", id.unwrap()),
            Err(failure) => failure.reason.as_str().to_owned(),
        }
    }

    #[test]
    fn the_id_is_the_one_that_is_held_and_contradictions_stop_the_pass() {
        use SecretState::{Absent, Ours, Users};
        let bare = || StoredCredentials { id: None, ..stored("") };
        let cases: Vec<(Option<&str>, Option<&str>, SecretState, &str)> = vec![
            (None, None, Absent, "-"),
            (Some("asked"), None, Absent, "asked"),
            (None, Some("held"), Absent, "held"),
            (Some("held"), Some("held"), Absent, "held"),
            (Some("asked"), Some("held"), Absent, "ClientIdChanged"),
            (None, None, Ours(stored("in-secret")), "in-secret"),
            (Some("in-secret"), None, Ours(stored("in-secret")), "in-secret"),
            (Some("asked"), None, Ours(stored("in-secret")), "ClientIdChanged"),
            (Some("asked"), None, Ours(bare()), "asked"),
            (None, Some("held"), Ours(stored("edited")), "held"),
            (None, Some("held"), Ours(stored("..")), "held"),
            (None, None, Ours(stored("..")), "InvalidSecret"),
            (None, None, Users(stored("theirs")), "theirs"),
            (Some("theirs"), Some("theirs"), Users(stored("theirs")), "theirs"),
            (Some("asked"), None, Users(stored("theirs")), "ClientIdChanged"),
            (None, Some("held"), Users(stored("theirs")), "ClientIdChanged"),
            (None, None, Users(stored("")), "InvalidSecret"),
            (None, None, inherited("former"), "former"),
            (Some("asked"), None, inherited("former"), "asked"),
            (None, Some("held"), inherited("former"), "held"),
        ];
        for (asked, held, secret, expected) in cases {
            let id = told(known_id(&desired_with(asked), &record(held), &secret));
            assert_eq!(id, expected, "{asked:?} {held:?}");
        }
    }

    #[test]
    fn another_id_in_the_users_secret_needs_the_users_word() {
        let known = |annotation: &str, users: &str| {
            let mut resource = resource(&spec());
            let word = (CHANGE_CLIENT_ID_ANNOTATION.to_owned(), annotation.to_owned());
            resource.metadata.annotations = Some([word].into());
            let users = SecretState::Users(stored(users));
            told(known_id(&desired(&resource, &Link::None).unwrap(), &record(Some("held")), &users))
        };
        assert_eq!(known("theirs", "theirs"), "theirs for held");
        assert_eq!(known("theirs", "another"), "ClientIdChanged");
        assert_eq!(known("theirs", "held"), "held");
    }

    #[test]
    fn a_secret_that_others_make_is_waited_for() {
        let lacks = || SecretState::Foreign(Foreign::Lacks(vec!["CLIENT_ID".into()]));
        let waiting = |require: bool, record: &Record, secret: &SecretState| {
            let mut spec = spec();
            spec["requireExistingSecret"] = require.into();
            told(known_id(&desired(&resource(&spec), &Link::None).unwrap(), record, secret))
        };
        let users = |name: &str| Record {
            user_provided: true,
            secret_name: Some(name.into()),
            ..record(Some("held"))
        };
        let absent = SecretState::Absent;
        assert_eq!(waiting(true, &record(None), &absent), "WaitingForSecret");
        assert_eq!(waiting(true, &record(None), &lacks()), "WaitingForSecret");
        assert_eq!(waiting(false, &record(None), &lacks()), "SecretNotOwned");
        assert_eq!(waiting(false, &users("s"), &absent), "WaitingForSecret");
        assert_eq!(waiting(false, &users("another"), &absent), "held");
        assert_eq!(waiting(true, &record(None), &SecretState::Users(stored("id-1"))), "id-1");
    }

    fn made_from(secret: &SecretState, former: &SecretState) -> Result<Credentials, Failure> {
        let id = Some(ClientId::parse("id-1").unwrap());
        let sources = Sources { secret, former, client_is_ours: true, fresh: &fresh() };
        credentials(&desired_with(None), &shape_of(&spec()), id, &sources)
    }

    #[test]
    fn a_stored_secret_is_kept_and_a_bad_one_is_not_replaced() {
        use SecretState::{Absent, Ours, Users};
        let with = |value: Option<&str>| stored_with(Some("id-1"), value);
        let secret_of = |secret: &SecretState, former: &SecretState| {
            made_from(secret, former)
                .map(|made| {
                    let value = made.secret.map(|secret| secret.expose().to_owned());
                    (value.unwrap_or_default(), made.source.is_some())
                })
                .map_err(|failure| failure.reason)
        };
        let is = |value: &str, kept| Ok((value.to_owned(), kept));
        let long = || with(Some("long-enough"));
        assert_eq!(secret_of(&Ours(long()), &Absent), is("long-enough", true));
        assert_eq!(secret_of(&Ours(with(None)), &Absent), is("fresh-secret", false));
        assert_eq!(secret_of(&Ours(with(Some("short"))), &Absent), Err(Reason::InvalidSecret));
        assert_eq!(secret_of(&Ours(with(Some(""))), &Absent), Err(Reason::InvalidSecret));
        assert_eq!(secret_of(&Absent, &Absent), is("fresh-secret", false));
        assert_eq!(secret_of(&Absent, &Ours(long())), is("long-enough", true));
        assert_eq!(secret_of(&Absent, &Users(long())), is("long-enough", true));
        assert_eq!(secret_of(&Absent, &Ours(with(Some("short")))), is("fresh-secret", false));
        assert_eq!(secret_of(&Ours(stored("id-1")), &Ours(long())), is("stored-secret", true));
    }

    #[test]
    fn an_edited_id_is_put_back_with_the_secret_beside_it() {
        let edited = SecretState::Ours(stored("edited"));
        let Ok(made) = made_from(&edited, &SecretState::Absent) else { panic!("refused") };
        assert!(matches!(made.step, SecretStep::Change { .. }));
        assert_eq!(made.secret.map(|s| s.expose().to_owned()), Some("stored-secret".into()));
    }

    #[test]
    fn a_secret_is_inherited_with_its_client_and_not_without() {
        let step = |id: &str, client_is_ours| {
            let (secret, absent) = (inherited(id), SecretState::Absent);
            let fresh = fresh();
            let from = Sources { secret: &secret, former: &absent, client_is_ours, fresh: &fresh };
            let id = Some(ClientId::parse("id-1").unwrap());
            credentials(&desired_with(None), &shape_of(&spec()), id, &from)
        };
        let Ok(made) = step("id-1", true) else { panic!("refused") };
        assert!(matches!(made.step, SecretStep::Inherit { ref former, .. } if former == "uid-0"));
        for (id, ours) in [("id-1", false), ("another", true)] {
            let reason = step(id, ours).map(|_| ()).map_err(|failure| failure.reason);
            assert_eq!(reason, Err(Reason::WaitingForSecret), "{id} {ours}");
        }
    }

    #[test]
    fn the_type_of_a_secret_does_not_change() {
        let mut spec = spec();
        spec["secretTemplate"] = json!({ "type": "kubernetes.io/basic-auth" });
        let (secret, absent) = (SecretState::Ours(stored("id-1")), SecretState::Absent);
        let fresh = fresh();
        let from =
            Sources { secret: &secret, former: &absent, client_is_ours: true, fresh: &fresh };
        let id = Some(ClientId::parse("id-1").unwrap());
        let made = credentials(&desired_with(None), &shape_of(&spec), id.clone(), &from);
        assert_eq!(made.map(|_| ()).map_err(|failure| failure.reason), Err(Reason::InvalidSpec));
        let anew = Sources { secret: &absent, former: &secret, ..from };
        let Ok(made) = credentials(&desired_with(None), &shape_of(&spec), id, &anew) else {
            panic!("refused")
        };
        assert!(matches!(made.step, SecretStep::Create(content)
            if content.secret_type == "kubernetes.io/basic-auth"));
    }
}
