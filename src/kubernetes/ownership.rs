//! Whose is this Secret? One pure function decides; everything else follows from its answer.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::ResourceExt;
use secrecy::SecretString;

/// The resource that asks, as far as ownership is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// API group of the resource, without version.
    pub group: String,
    /// Kind of the resource.
    pub kind: String,
    /// Name of the resource.
    pub name: String,
    /// `metadata.uid` of the resource: the only proof of ownership.
    pub uid: String,
}

/// Names of the two data keys of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKeys {
    /// Key of the client id.
    pub id: String,
    /// Key of the client secret.
    pub secret: String,
}

/// Which version of which Secret: changes with every write to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretVersion {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`
    pub resource_version: String,
}

impl SecretVersion {
    /// The version that `metadata` names.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        }
    }
}

/// The credentials that a Secret holds, and the version of it that holds them.
#[derive(Clone)]
pub struct StoredCredentials {
    /// Uid and resourceVersion of the Secret that was read.
    pub version: SecretVersion,
    /// Value of the client id key, where it is present and is text.
    pub id: Option<String>,
    /// Value of the client secret key, where it is present and is text.
    pub secret: Option<SecretString>,
    /// Whether the Secret carries the labels that this operator gives to those it creates.
    pub created_here: bool,
}

/// Whose a Secret is.
#[derive(Clone)]
pub enum SecretState {
    /// There is no Secret of that name.
    Absent,
    /// An owner reference carries the uid of the resource: written by the operator.
    Ours(StoredCredentials),
    /// Holds credentials and belongs to no resource of the operator: used, never modified.
    Users(StoredCredentials),
    /// Anything else: reported, never read further, never touched.
    Foreign(Foreign),
}

impl SecretState {
    /// The version of the Secret that holds the credentials, if one does.
    #[must_use]
    pub fn version(&self) -> Option<&SecretVersion> {
        match self {
            Self::Ours(stored) | Self::Users(stored) => Some(&stored.version),
            Self::Absent | Self::Foreign(_) => None,
        }
    }
}

/// Why a Secret is neither ours nor usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Generated for another resource of the same kind, of this name and uid.
    OwnedBy {
        /// Name of that resource.
        name: String,
        /// Uid of that resource.
        uid: String,
    },
    /// Not written by the operator, and without these keys.
    Lacks(Vec<String>),
    /// Not written by the operator, and the value of this key is not UTF-8 text.
    NotText(String),
}

/// Decides whose `secret` is. `needs_secret`: whether the client authenticates with a client
/// secret, so that a Secret of the user's must hold one. `labels`: those of Secrets created by the
/// operator.
#[must_use]
pub fn classify(
    secret: Option<&Secret>,
    owner: &Owner,
    keys: &SecretKeys,
    labels: &BTreeMap<String, String>,
    needs_secret: bool,
) -> SecretState {
    let Some(secret) = secret else { return SecretState::Absent };
    let owners = secret.metadata.owner_references.as_deref().unwrap_or_default();
    let of_our_kind = |reference: &&OwnerReference| {
        reference.kind == owner.kind
            && reference.api_version.split('/').next() == Some(owner.group.as_str())
    };
    if owners.iter().filter(of_our_kind).any(|reference| reference.uid == owner.uid) {
        return SecretState::Ours(stored(secret, keys, labels));
    }
    if let Some(other) = owners.iter().find(of_our_kind) {
        return SecretState::Foreign(Foreign::OwnedBy {
            name: other.name.clone(),
            uid: other.uid.clone(),
        });
    }
    let needed: Vec<&str> =
        if needs_secret { vec![&keys.id, &keys.secret] } else { vec![&keys.id] };
    let missing: Vec<String> =
        needed.iter().filter(|key| value(secret, key).is_none()).map(ToString::to_string).collect();
    if !missing.is_empty() {
        return SecretState::Foreign(Foreign::Lacks(missing));
    }
    if let Some(key) = needed.iter().find(|key| text(secret, key).is_none()) {
        return SecretState::Foreign(Foreign::NotText((*key).to_owned()));
    }
    SecretState::Users(stored(secret, keys, labels))
}

fn stored(
    secret: &Secret,
    keys: &SecretKeys,
    labels: &BTreeMap<String, String>,
) -> StoredCredentials {
    StoredCredentials {
        version: SecretVersion::of(&secret.metadata),
        id: text(secret, &keys.id).map(ToOwned::to_owned),
        secret: text(secret, &keys.secret).map(SecretString::from),
        created_here: labels.iter().all(|(key, value)| secret.labels().get(key) == Some(value)),
    }
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a ByteString> {
    secret.data.as_ref()?.get(key)
}

fn text<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    value(secret, key).and_then(|bytes| std::str::from_utf8(&bytes.0).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            group: "hydra.ory.sh".into(),
            kind: "OAuth2Client".into(),
            name: "shop".into(),
            uid: "uid-1".into(),
        }
    }

    fn keys() -> SecretKeys {
        SecretKeys { id: "CLIENT_ID".into(), secret: "CLIENT_SECRET".into() }
    }

    fn reference(api_version: &str, kind: &str, uid: &str) -> OwnerReference {
        OwnerReference {
            api_version: api_version.into(),
            kind: kind.into(),
            name: "shop".into(),
            uid: uid.into(),
            ..OwnerReference::default()
        }
    }

    fn secret(owners: Vec<OwnerReference>, data: &[(&str, &[u8])]) -> Secret {
        Secret {
            metadata: ObjectMeta { owner_references: Some(owners), ..ObjectMeta::default() },
            data: Some(
                data.iter().map(|(k, v)| ((*k).to_owned(), ByteString(v.to_vec()))).collect(),
            ),
            ..Secret::default()
        }
    }

    fn describe(state: &SecretState) -> String {
        match state {
            SecretState::Absent => "absent".into(),
            SecretState::Ours(_) => "ours".into(),
            SecretState::Users(_) => "user's".into(),
            SecretState::Foreign(foreign) => format!("{foreign:?}"),
        }
    }

    #[test]
    fn the_uid_decides_and_nothing_else() {
        const API: &str = "hydra.ory.sh/v1alpha1";
        let both: &[(&str, &[u8])] = &[("CLIENT_ID", b"id"), ("CLIENT_SECRET", b"s")];
        let id_only: &[(&str, &[u8])] = &[("CLIENT_ID", b"id")];
        let cases: Vec<(&str, Option<Secret>, bool, &str)> = vec![
            ("none", None, true, "absent"),
            (
                "our uid",
                Some(secret(vec![reference(API, "OAuth2Client", "uid-1")], both)),
                true,
                "ours",
            ),
            (
                "our uid under another version of the API",
                Some(secret(vec![reference("hydra.ory.sh/v1", "OAuth2Client", "uid-1")], both)),
                true,
                "ours",
            ),
            (
                "our uid, emptied",
                Some(secret(vec![reference(API, "OAuth2Client", "uid-1")], &[])),
                true,
                "ours",
            ),
            (
                "our name, another uid",
                Some(secret(vec![reference(API, "OAuth2Client", "uid-2")], both)),
                true,
                r#"OwnedBy { name: "shop", uid: "uid-2" }"#,
            ),
            (
                "our uid among several owners",
                Some(secret(
                    vec![
                        reference(API, "OAuth2Client", "uid-2"),
                        reference(API, "OAuth2Client", "uid-1"),
                    ],
                    both,
                )),
                true,
                "ours",
            ),
            (
                "our uid, another kind",
                Some(secret(vec![reference("v1", "Pod", "uid-1")], both)),
                true,
                "user's",
            ),
            ("both keys, no owner", Some(secret(vec![], both)), true, "user's"),
            (
                "both keys, written by another operator",
                Some(secret(
                    vec![reference("external-secrets.io/v1", "ExternalSecret", "x")],
                    both,
                )),
                true,
                "user's",
            ),
            (
                "id alone, secret needed",
                Some(secret(vec![], id_only)),
                true,
                r#"Lacks(["CLIENT_SECRET"])"#,
            ),
            ("id alone, no secret needed", Some(secret(vec![], id_only)), false, "user's"),
            (
                "no keys",
                Some(secret(vec![], &[("tls.crt", b"x")])),
                true,
                r#"Lacks(["CLIENT_ID", "CLIENT_SECRET"])"#,
            ),
            (
                "binary value",
                Some(secret(vec![], &[("CLIENT_ID", b"id"), ("CLIENT_SECRET", b"\xff")])),
                true,
                r#"NotText("CLIENT_SECRET")"#,
            ),
        ];
        for (name, secret, needs_secret, expected) in cases {
            let state =
                classify(secret.as_ref(), &owner(), &keys(), &BTreeMap::new(), needs_secret);
            assert_eq!(describe(&state), expected, "{name}");
        }
    }
}
