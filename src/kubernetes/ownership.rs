//! Whose is this Secret? One pure function decides; everything else follows from its answer.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::ResourceExt;
use secrecy::SecretString;

use super::secret_content::{Held, KeyPair};

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

/// How to look at a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The keys it should have.
    pub keys: KeyPair,
    /// Keys under which it has held them, as far as that is recorded.
    pub recorded: Option<KeyPair>,
    /// Keys that a Secret of somebody else's may have instead.
    pub accepted: Vec<KeyPair>,
    /// Keys under which a Secret of ours may hold them from former times.
    pub traces: Vec<KeyPair>,
    /// Whether the client authenticates with a client secret, so that a Secret of the user's must
    /// hold one.
    pub needs_secret: bool,
    /// A label that a Secret of a user's has to carry with the value `true`: the resource itself says which of its keys
    /// are read, and whoever writes it may not be allowed to read the Secret.
    pub mark: Option<&'static str>,
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
    /// Those of the two keys that are present and whose values are not text.
    pub not_text: Vec<String>,
    /// Whether the Secret carries the labels that this operator gives to those it writes.
    pub created_here: bool,
    /// The keys under which the credentials were found.
    pub keys: KeyPair,
    /// All that the Secret holds.
    pub held: Held,
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
    /// Was written for a resource of the same kind and name that is no more: restored from a
    /// backup, or about to be collected.
    Inherited {
        /// What it holds.
        stored: StoredCredentials,
        /// The uid of that resource.
        former: String,
    },
    /// Anything else: reported, never read further, never touched.
    Foreign(Foreign),
}

impl SecretState {
    /// The version of the Secret that holds the credentials, if one does.
    #[must_use]
    pub fn version(&self) -> Option<&SecretVersion> {
        match self {
            Self::Ours(stored) | Self::Users(stored) => Some(&stored.version),
            Self::Absent | Self::Foreign(_) | Self::Inherited { .. } => None,
        }
    }

    /// What it holds, if that may be read.
    #[must_use]
    pub fn stored(&self) -> Option<&StoredCredentials> {
        match self {
            Self::Ours(stored) | Self::Users(stored) | Self::Inherited { stored, .. } => {
                Some(stored)
            }
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
    /// Not written by the operator, and without this label.
    Unmarked(&'static str),
}

/// Decides whose `secret` is. `labels`: those that the operator gives to Secrets that it writes.
#[must_use]
pub fn classify(
    secret: Option<&Secret>,
    owner: &Owner,
    lookup: &Lookup,
    labels: &BTreeMap<String, String>,
) -> SecretState {
    let Some(secret) = secret else { return SecretState::Absent };
    let owners = secret.metadata.owner_references.as_deref().unwrap_or_default();
    let of_our_kind = |reference: &&OwnerReference| {
        reference.kind == owner.kind
            && reference.api_version.split('/').next() == Some(owner.group.as_str())
    };
    if owners.iter().filter(of_our_kind).any(|reference| reference.uid == owner.uid) {
        return SecretState::Ours(stored(secret, found_keys(secret, lookup), labels));
    }
    match owners.iter().find(of_our_kind) {
        // Names are unique: that resource is no more.
        Some(former) if former.name == owner.name => {
            let stored = stored(secret, found_keys(secret, lookup), labels);
            SecretState::Inherited { stored, former: former.uid.clone() }
        }
        Some(other) => SecretState::Foreign(Foreign::OwnedBy {
            name: other.name.clone(),
            uid: other.uid.clone(),
        }),
        None => users(secret, lookup, labels),
    }
}

fn users(secret: &Secret, lookup: &Lookup, labels: &BTreeMap<String, String>) -> SecretState {
    let missing = |keys: &KeyPair| -> Vec<String> {
        needed(keys, lookup).filter(|key| value(secret, key).is_none()).cloned().collect()
    };
    // First of all: without it nobody is told as much as which keys there are. That the operator wrote the Secret, for a
    // resource that let go of it, does not make its secret an id.
    let has = |mark: &&str| secret.labels().get(*mark).is_some_and(|value| value == "true");
    if let Some(mark) = lookup.mark.filter(|mark| !has(mark)) {
        return SecretState::Foreign(Foreign::Unmarked(mark));
    }
    let mut pairs = std::iter::once(&lookup.keys).chain(&lookup.accepted);
    let Some(keys) = pairs.find(|keys| missing(keys).is_empty()) else {
        return SecretState::Foreign(Foreign::Lacks(missing(&lookup.keys)));
    };
    if let Some(key) = needed(keys, lookup).find(|key| text(secret, key).is_none()) {
        return SecretState::Foreign(Foreign::NotText(key.clone()));
    }
    SecretState::Users(stored(secret, keys, labels))
}

fn needed<'a>(keys: &'a KeyPair, lookup: &Lookup) -> impl Iterator<Item = &'a String> {
    std::iter::once(&keys.id).chain(lookup.needs_secret.then_some(&keys.secret))
}

/// The keys under which a Secret of ours has the credentials: those that are recorded, else those
/// that have both, else an id, else at least a secret. One key that is renamed alone must not make
/// the other look like a part of another pair.
fn found_keys<'a>(secret: &Secret, lookup: &'a Lookup) -> &'a KeyPair {
    let has_id = |keys: &&KeyPair| value(secret, &keys.id).is_some();
    let has_secret = |keys: &&KeyPair| value(secret, &keys.secret).is_some();
    let recorded = lookup.recorded.iter().find(|keys| has_id(keys) || has_secret(keys));
    let pairs = || std::iter::once(&lookup.keys).chain(&lookup.accepted).chain(&lookup.traces);
    recorded
        .or_else(|| pairs().find(|keys| has_id(keys) && has_secret(keys)))
        .or_else(|| pairs().find(has_id))
        .or_else(|| pairs().find(has_secret))
        .unwrap_or(&lookup.keys)
}

fn stored(secret: &Secret, keys: &KeyPair, labels: &BTreeMap<String, String>) -> StoredCredentials {
    StoredCredentials {
        version: SecretVersion::of(&secret.metadata),
        id: text(secret, &keys.id).map(ToOwned::to_owned),
        secret: text(secret, &keys.secret).map(SecretString::from),
        not_text: [&keys.id, &keys.secret]
            .into_iter()
            .filter(|key| value(secret, key).is_some() && text(secret, key).is_none())
            .cloned()
            .collect(),
        created_here: labels.iter().all(|(key, value)| secret.labels().get(key) == Some(value)),
        keys: keys.clone(),
        held: Held::of(secret, labels),
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

    fn lookup(needs_secret: bool) -> Lookup {
        Lookup {
            keys: KeyPair::new("CLIENT_ID", "CLIENT_SECRET"),
            recorded: None,
            accepted: vec![KeyPair::new("client_id", "client_secret")],
            traces: vec![KeyPair::new("CLIENT_ID", "former")],
            needs_secret,
            mark: None,
        }
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
            SecretState::Inherited { former, .. } => format!("inherited from {former}"),
            SecretState::Foreign(foreign) => format!("{foreign:?}"),
        }
    }

    #[test]
    fn a_users_secret_carries_the_mark_where_one_is_asked_for() {
        let made_here = [("managed-by".to_owned(), "here".to_owned())].into();
        for (label, asked, expected) in [
            (None, None, "user's"),
            (None, Some("mark"), r#"Unmarked("mark")"#),
            (Some(("mark", "false")), Some("mark"), r#"Unmarked("mark")"#),
            (Some(("mark", "true")), Some("mark"), "user's"),
            (Some(("managed-by", "here")), Some("mark"), r#"Unmarked("mark")"#),
        ] {
            let mut secret = secret(vec![], &[("CLIENT_ID", b"i"), ("CLIENT_SECRET", b"s")]);
            secret.metadata.labels = label.map(|(key, value)| [(key.into(), value.into())].into());
            let lookup = Lookup { mark: asked, ..lookup(true) };
            let state = classify(Some(&secret), &owner(), &lookup, &made_here);
            assert_eq!(describe(&state), expected, "{label:?}");
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
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
                "inherited from uid-2",
            ),
            (
                "another name",
                Some(secret(
                    vec![OwnerReference {
                        name: "bank".into(),
                        ..reference(API, "OAuth2Client", "uid-2")
                    }],
                    both,
                )),
                true,
                r#"OwnedBy { name: "bank", uid: "uid-2" }"#,
            ),
            (
                "the keys of former times",
                Some(secret(vec![], &[("client_id", b"id"), ("client_secret", b"s")])),
                true,
                "user's",
            ),
            (
                "one key of each kind",
                Some(secret(vec![], &[("CLIENT_ID", b"id"), ("client_secret", b"s")])),
                true,
                r#"Lacks(["CLIENT_SECRET"])"#,
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
            let lookup = lookup(needs_secret);
            let state = classify(secret.as_ref(), &owner(), &lookup, &BTreeMap::new());
            assert_eq!(describe(&state), expected, "{name}");
        }
    }

    #[test]
    fn recorded_keys_count_before_all_others() {
        let found = |recorded: (&str, &str), data: &[(&str, &[u8])]| {
            let owner_reference = reference("hydra.ory.sh/v1", "OAuth2Client", "uid-1");
            let ours = secret(vec![owner_reference], data);
            let recorded = Some(KeyPair::new(recorded.0, recorded.1));
            let lookup = Lookup { recorded, ..lookup(true) };
            let state = classify(Some(&ours), &owner(), &lookup, &BTreeMap::new());
            let stored = state.stored().unwrap().clone();
            (stored.id.unwrap_or_default(), stored.keys.secret, stored.not_text)
        };
        let none = Vec::<String>::new;
        // Names that are swapped, and one that another key has taken.
        let swapped: &[(&str, &[u8])] = &[("CLIENT_SECRET", b"id"), ("CLIENT_ID", b"s")];
        assert_eq!(
            found(("CLIENT_SECRET", "CLIENT_ID"), swapped),
            ("id".into(), "CLIENT_ID".into(), none())
        );
        let taken: &[(&str, &[u8])] = &[("CLIENT_ID", b"id"), ("CLIENT_SECRET", b"x"), ("p", b"s")];
        assert_eq!(found(("CLIENT_ID", "p"), taken), ("id".into(), "p".into(), none()));
        let binary: &[(&str, &[u8])] = &[("CLIENT_ID", b"id"), ("p", b"\xff")];
        assert_eq!(found(("CLIENT_ID", "p"), binary), ("id".into(), "p".into(), vec!["p".into()]));
    }

    #[test]
    fn credentials_are_found_under_the_keys_that_have_them() {
        let found = |data: &[(&str, &[u8])]| {
            let ours = secret(vec![reference("hydra.ory.sh/v1", "OAuth2Client", "uid-1")], data);
            let state = classify(Some(&ours), &owner(), &lookup(true), &BTreeMap::new());
            let stored = state.stored().unwrap();
            (stored.keys.id.clone(), stored.id.clone(), stored.secret.is_some())
        };
        let (new, old) = (("CLIENT_ID", &b"new"[..]), ("client_id", &b"old"[..]));
        let secret = ("client_secret", &b"s"[..]);
        let upper = |id: Option<&str>, has| ("CLIENT_ID".to_owned(), id.map(Into::into), has);
        let lower = |id: Option<&str>, has| ("client_id".to_owned(), id.map(Into::into), has);
        assert_eq!(found(&[new, old, secret]), lower(Some("old"), true));
        assert_eq!(found(&[new, ("former", b"s")]), upper(Some("new"), true));
        assert_eq!(found(&[new]), upper(Some("new"), false));
        assert_eq!(found(&[old, secret]), lower(Some("old"), true));
        assert_eq!(found(&[secret]), lower(None, true));
        assert_eq!(found(&[]), upper(None, false));
    }
}
