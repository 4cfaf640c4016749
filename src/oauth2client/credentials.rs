//! Which id and which secret are the client's: pure, from the spec, the Secret and the record in
//! status.

use secrecy::{ExposeSecret, SecretString};

use super::{
    desired::Desired,
    error::{Failure, Reason},
};
use crate::{
    hydra::{ClientId, ClientSecret},
    kubernetes::{SecretState, SecretVersion, StoredCredentials, ownership::Foreign},
};

/// A new identity: made outside of the pure part, used where there is none.
#[derive(Clone)]
pub struct Fresh {
    /// A random UUID (RFC 9562, version 4).
    pub id: ClientId,
    /// 256 random bits as URL-safe text.
    pub secret: ClientSecret,
}

/// Credentials, and what has to be done for the Secret to hold them.
#[derive(Clone)]
pub struct Credentials {
    /// The client's id; none where Hydra chooses it.
    pub id: Option<ClientId>,
    /// The client's secret; none for clients that authenticate without one.
    pub secret: Option<ClientSecret>,
    /// What has to be done for the Secret to hold them.
    pub step: SecretStep,
}

/// What has to be done for the Secret to hold the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretStep {
    /// It holds them, in this version.
    Keep(SecretVersion),
    /// There is none.
    Create,
    /// It is ours and lacks a part of them, or names another id.
    Complete(SecretVersion),
}

/// The id of the client, where anything names it already. `recorded` is the id in status: that of
/// the client which Hydra held for this resource.
///
/// Fails where two of the sources contradict each other: following one would abandon a client.
pub fn known_id(
    desired: &Desired,
    recorded: Option<&ClientId>,
    secret: &SecretState,
) -> Result<Option<ClientId>, Failure> {
    let asked = desired.client_id.as_ref();
    if let (Some(asked), Some(recorded)) = (asked, recorded)
        && asked != recorded
    {
        return Err(changed(format!(
            "spec.clientId is {asked}, but this resource holds client {recorded}; the id of a \
             client does not change: set it back, or delete the resource and create it again"
        )));
    }
    let name = &desired.secret_name;
    match secret {
        SecretState::Absent => Ok(asked.or(recorded).cloned()),
        SecretState::Foreign(foreign) => Err(not_owned(name, foreign)),
        SecretState::Users(stored) => {
            let id = stored_id(name, stored)?.ok_or_else(|| no_id(name))?;
            match asked.or(recorded) {
                Some(other) if *other != id => Err(changed(format!(
                    "Secret {name} names client {id}, but this resource is about client {other}; \
                     put the id back, or delete the resource and create it again"
                ))),
                _ => Ok(Some(id)),
            }
        }
        // With a record an edited id is put back, whatever it says.
        SecretState::Ours(_) if recorded.is_some() => Ok(recorded.cloned()),
        SecretState::Ours(stored) => match (stored_id(name, stored)?, asked) {
            (Some(id), Some(asked)) if id != *asked => Err(changed(format!(
                "spec.clientId is {asked}, but Secret {name} names client {id}; spec.clientId can \
                 only name the client that the resource holds"
            ))),
            (id, asked) => Ok(id.or_else(|| asked.cloned())),
        },
    }
}

/// Whether the operator alone has chosen the id, if there is one: neither the spec nor the user's
/// Secret asks for it, and no client was held by it.
#[must_use]
pub fn id_is_proposed(
    desired: &Desired,
    recorded: Option<&ClientId>,
    secret: &SecretState,
) -> bool {
    let asked = desired.client_id.is_some() || matches!(secret, SecretState::Users(_));
    !asked && recorded.is_none()
}

/// The credentials of the client `id`: what the Secret holds is kept, and a secret that it lacks
/// comes from `fresh`.
pub fn credentials(
    desired: &Desired,
    id: Option<ClientId>,
    secret: &SecretState,
    fresh: &Fresh,
) -> Result<Credentials, Failure> {
    let generated = desired.needs_secret.then(|| fresh.secret.clone());
    let name = &desired.secret_name;
    match secret {
        SecretState::Foreign(foreign) => Err(not_owned(name, foreign)),
        SecretState::Absent => Ok(Credentials { id, secret: generated, step: SecretStep::Create }),
        SecretState::Users(stored) => Ok(Credentials {
            id,
            secret: stored_secret(desired, stored)?,
            step: SecretStep::Keep(stored.version.clone()),
        }),
        SecretState::Ours(stored) => {
            let kept = stored_secret(desired, stored)?;
            // An id that Hydra is yet to choose is written once it has.
            let names_it = id.as_ref().is_none_or(|id| stored.id.as_deref() == Some(id.as_str()));
            let complete = names_it && (kept.is_some() || !desired.needs_secret);
            let version = stored.version.clone();
            let step =
                if complete { SecretStep::Keep(version) } else { SecretStep::Complete(version) };
            Ok(Credentials { id, secret: kept.or(generated), step })
        }
    }
}

fn stored_id(name: &str, stored: &StoredCredentials) -> Result<Option<ClientId>, Failure> {
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
    let parsed = stored.secret.as_ref().map(SecretString::expose_secret).map(ClientSecret::parse);
    match parsed {
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

fn no_id(name: &str) -> Failure {
    Failure::terminal(Reason::InvalidSecret, format!("Secret {name} names no client id"))
}

fn not_owned(name: &str, foreign: &Foreign) -> Failure {
    let message = match foreign {
        Foreign::OwnedBy { name: other, uid } => format!(
            "Secret {name} belongs to OAuth2Client {other} (uid {uid}); choose another \
             spec.secretName"
        ),
        Foreign::Lacks(keys) => format!(
            "Secret {name} exists, was not made for this resource and lacks {}; choose another \
             spec.secretName, delete the Secret, or add the missing data to use it as it is",
            keys.join(" and ")
        ),
        Foreign::NotText(key) => format!(
            "Secret {name} was not made for this resource, and the value of {key} is not text"
        ),
    };
    Failure::terminal(Reason::SecretNotOwned, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oauth2client::{
        desired::desired,
        testing::{fresh, resource, stored},
    };

    fn desired_with(client_id: Option<&str>) -> Desired {
        let mut spec = json!({ "grantTypes": ["client_credentials"], "secretName": "s" });
        if let Some(id) = client_id {
            spec["clientId"] = id.into();
        }
        desired(&resource(&spec)).unwrap_or_else(|failure| panic!("{failure}"))
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
        ];
        for (asked, held, secret, expected) in cases {
            let held = held.map(|id| ClientId::parse(id).unwrap());
            let id = match known_id(&desired_with(asked), held.as_ref(), &secret) {
                Ok(id) => id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
                Err(failure) => failure.reason.as_str().to_owned(),
            };
            assert_eq!(id, expected, "{asked:?} {held:?}");
        }
    }

    #[test]
    fn a_stored_secret_is_kept_and_a_bad_one_is_not_replaced() {
        let with = |secret: Option<&str>| {
            SecretState::Ours(StoredCredentials {
                secret: secret.map(Into::into),
                ..stored("id-1")
            })
        };
        let id = || Some(ClientId::parse("id-1").unwrap());
        let secret_of = |state: &SecretState| {
            credentials(&desired_with(None), id(), state, &fresh())
                .map(|c| c.secret.map(|secret| secret.expose().to_owned()))
                .map_err(|failure| failure.reason)
        };
        assert_eq!(secret_of(&with(Some("long-enough"))), Ok(Some("long-enough".into())));
        assert_eq!(secret_of(&with(None)), Ok(Some("fresh-secret".into())));
        assert_eq!(secret_of(&with(Some("short"))), Err(Reason::InvalidSecret));
        assert_eq!(secret_of(&with(Some(""))), Err(Reason::InvalidSecret));
        assert_eq!(secret_of(&SecretState::Absent), Ok(Some("fresh-secret".into())));
    }

    #[test]
    fn an_edited_id_is_put_back_with_the_secret_beside_it() {
        let held = ClientId::parse("held").unwrap();
        let result = credentials(
            &desired_with(None),
            Some(held.clone()),
            &SecretState::Ours(stored("edited")),
            &fresh(),
        );
        let Ok(credentials) = result else { panic!("refused") };
        assert!(matches!(credentials.step, SecretStep::Complete(_)));
        assert_eq!(credentials.id, Some(held));
        assert_eq!(credentials.secret.map(|s| s.expose().to_owned()), Some("stored-secret".into()));
    }
}
