//! Whose is this object? One pure function decides.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{content::HeldOutput, kind::OutputKind};
use crate::kubernetes::Owner;

/// Whose an object is.
#[derive(Clone)]
pub enum OutputState {
    /// There is no object of that name.
    Absent,
    /// An owner reference carries the uid of the resource.
    Ours(HeldOutput),
    /// Was written for a resource of the same kind and name that is no more: restored from a
    /// backup, or about to be collected.
    Inherited {
        /// What it holds.
        held: HeldOutput,
        /// The uid of that resource.
        former: String,
    },
    /// Anything else: reported, never read further, never touched.
    Foreign(Stranger),
}

impl OutputState {
    /// What it holds, if that may be read.
    #[must_use]
    pub fn held(&self) -> Option<&HeldOutput> {
        match self {
            Self::Ours(held) | Self::Inherited { held, .. } => Some(held),
            Self::Absent | Self::Foreign(_) => None,
        }
    }
}

/// Whose an object is that is not the resource's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// It has no owner reference.
    Nobody,
    /// It has an owner reference to this object.
    Object {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
}

/// Decides whose `object` is.
#[must_use]
pub fn classify<K: OutputKind>(object: Option<&K>, owner: &Owner) -> OutputState {
    let Some(object) = object else { return OutputState::Absent };
    let owners = object.meta().owner_references.as_deref().unwrap_or_default();
    let of_our_group = |reference: &&OwnerReference| {
        reference.api_version.split('/').next() == Some(owner.group.as_str())
    };
    let of_our_kind =
        |reference: &&OwnerReference| of_our_group(reference) && reference.kind == owner.kind;
    if owners.iter().filter(of_our_kind).any(|reference| reference.uid == owner.uid) {
        return OutputState::Ours(HeldOutput::of(object));
    }
    let strangers = || {
        let ours =
            |reference: &&OwnerReference| of_our_kind(reference) && reference.name == owner.name;
        owners.iter().filter(move |reference| !ours(reference))
    };
    // Names are unique: a resource of ours with another uid is no more. Another owner is.
    let stranger = strangers().find(of_our_group).or_else(|| strangers().next());
    match (stranger, owners.first()) {
        (Some(stranger), _) => OutputState::Foreign(Stranger::Object {
            kind: stranger.kind.clone(),
            name: stranger.name.clone(),
            uid: stranger.uid.clone(),
        }),
        (None, Some(former)) => {
            OutputState::Inherited { held: HeldOutput::of(object), former: former.uid.clone() }
        }
        (None, None) => OutputState::Foreign(Stranger::Nobody),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use serde_json::json;

    use super::*;

    const API: &str = "hydra.ory.sh/v1alpha1";

    fn told<K: OutputKind>(owners: &[(&str, &str, &str, &str)]) -> String {
        let reference = |(api, kind, name, uid): &(&str, &str, &str, &str)| json!({ "apiVersion": api, "kind": kind, "name": name, "uid": uid });
        let owners: Vec<_> = owners.iter().map(reference).collect();
        let object = json!({ "metadata": { "ownerReferences": owners } });
        let object: K = serde_json::from_value(object).unwrap();
        let owner = Owner {
            group: "hydra.ory.sh".into(),
            kind: "JsonWebKeySet".into(),
            name: "keys".into(),
            uid: "uid-1".into(),
        };
        match classify(Some(&object), &owner) {
            OutputState::Absent => "absent".into(),
            OutputState::Ours(_) => "ours".into(),
            OutputState::Inherited { former, .. } => format!("inherited from {former}"),
            OutputState::Foreign(Stranger::Nobody) => "nobody's".into(),
            OutputState::Foreign(Stranger::Object { kind, name, uid }) => {
                format!("{kind} {name} {uid}")
            }
        }
    }

    #[test]
    fn the_uid_decides_and_another_owner_is_another_owner() {
        let ours = (API, "JsonWebKeySet", "keys", "uid-1");
        let former = (API, "JsonWebKeySet", "keys", "uid-0");
        let other = (API, "JsonWebKeySet", "other", "uid-2");
        let client = (API, "OAuth2Client", "keys", "uid-3");
        let pod = ("v1", "Pod", "p", "uid-4");
        let cases = [
            (vec![], "nobody's"),
            (vec![ours], "ours"),
            (vec![("hydra.ory.sh/v1", "JsonWebKeySet", "renamed", "uid-1")], "ours"),
            (vec![pod, former, ours], "ours"),
            (vec![former], "inherited from uid-0"),
            (vec![other], "JsonWebKeySet other uid-2"),
            (vec![former, other], "JsonWebKeySet other uid-2"),
            (vec![pod, former, client], "OAuth2Client keys uid-3"),
            (vec![former, pod], "Pod p uid-4"),
            (vec![("v1", "JsonWebKeySet", "keys", "uid-1")], "JsonWebKeySet keys uid-1"),
            (vec![(API, "OAuth2Client", "keys", "uid-1")], "OAuth2Client keys uid-1"),
        ];
        for (owners, expected) in cases {
            assert_eq!(told::<ConfigMap>(&owners), expected, "{owners:?}");
            assert_eq!(told::<Secret>(&owners), expected, "{owners:?}");
        }
    }
}
