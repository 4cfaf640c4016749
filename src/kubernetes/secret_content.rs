//! What a Secret of ours shall hold, and what it lacks of that: pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::FieldsV1};
use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// Field manager of the credentials in a Secret: one manager for the one place that writes them.
pub(super) const FIELD_MANAGER: &str = "hydra-operator/credentials";

/// Names of the two data keys of a Secret that hold credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Key of the client id.
    pub id: String,
    /// Key of the client secret.
    pub secret: String,
}

impl KeyPair {
    /// The pair of these names.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into() }
    }
}

/// What a Secret of ours shall hold. What others add to it stays.
#[derive(Clone)]
pub struct SecretContent {
    /// Type of the Secret.
    pub secret_type: String,
    /// Labels, without those that every Secret of the operator's gets.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Values of the keys.
    pub data: BTreeMap<String, SecretString>,
}

/// What a Secret holds.
#[derive(Clone, Default)]
pub struct Held {
    secret_type: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    data: BTreeMap<String, Bytes>,
    /// What of it the operator has written, and nobody else since.
    written: Written,
}

/// Raw bytes of a value; without Debug, like all that may be secret.
#[derive(Clone, PartialEq, Eq)]
struct Bytes(Vec<u8>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Written {
    labels: BTreeSet<String>,
    annotations: BTreeSet<String>,
    data: BTreeSet<String>,
}

impl Held {
    /// What `secret` holds. `marks` are the labels that every Secret of the operator's has.
    #[must_use]
    pub fn of(secret: &Secret, marks: &BTreeMap<String, String>) -> Self {
        let data = secret.data.iter().flatten();
        Self {
            secret_type: secret.type_.clone(),
            labels: secret.labels().clone(),
            annotations: secret.annotations().clone(),
            data: data.map(|(key, value)| (key.clone(), Bytes(value.0.clone()))).collect(),
            written: Written::by_us(secret, marks),
        }
    }

    /// The type of the Secret, which cannot change.
    #[must_use]
    pub fn secret_type(&self) -> &str {
        self.secret_type.as_deref().unwrap_or(OPAQUE)
    }
}

/// The type of a Secret that says nothing about its keys.
pub const OPAQUE: &str = "Opaque";

/// Whether a key of a Secret can have this name. Not one that starts with a dot, which volumes hide.
#[must_use]
pub fn is_key(key: &str) -> bool {
    let of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=253).contains(&key.len()) && key.chars().all(of_key) && !key.starts_with('.')
}

impl Written {
    /// Server-side bookkeeping says who wrote what (`metadata.managedFields`).
    fn by_us(secret: &Secret, marks: &BTreeMap<String, String>) -> Self {
        let entries = secret.metadata.managed_fields.iter().flatten();
        let ours = entries.filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
        let mut written = Self::default();
        for FieldsV1(fields) in ours.filter_map(|entry| entry.fields_v1.as_ref()) {
            written.labels.extend(names(&fields["f:metadata"]["f:labels"]));
            written.annotations.extend(names(&fields["f:metadata"]["f:annotations"]));
            written.data.extend(names(&fields["f:data"]));
        }
        written.labels.retain(|label| !marks.contains_key(label));
        written
    }
}

fn names(fields: &Value) -> impl Iterator<Item = String> + '_ {
    let keys = fields.as_object().into_iter().flat_map(serde_json::Map::keys);
    keys.filter_map(|key| key.strip_prefix("f:").map(ToOwned::to_owned))
}

/// What has to change for a Secret to hold what it shall. `None` as a value removes the key.
#[derive(Clone, Default)]
pub struct SecretChanges {
    labels: BTreeMap<String, Option<String>>,
    annotations: BTreeMap<String, Option<String>>,
    data: BTreeMap<String, Option<SecretString>>,
}

impl SecretChanges {
    /// What `held` lacks of `wanted`, and what it has from former times that is wanted no more.
    /// `found` are the keys under which its credentials were found, `keys` those they shall have.
    #[must_use]
    pub fn between(held: &Held, wanted: &SecretContent, found: &KeyPair, keys: &KeyPair) -> Self {
        let mut former = held.written.data.clone();
        // A secret that is needed no more stays, and so does one that cannot be used.
        for kept in [&keys.id, &keys.secret] {
            former.remove(kept);
        }
        for (former_key, key) in [(&found.id, &keys.id), (&found.secret, &keys.secret)] {
            if former_key != key && held.data.contains_key(former_key) {
                former.insert(former_key.clone());
            }
        }
        let lacks = |key: &str, value: &SecretString| {
            held.data.get(key).is_none_or(|bytes| bytes.0 != value.expose_secret().as_bytes())
        };
        let set = wanted.data.iter().filter(|(key, value)| lacks(key, value));
        let gone = former.into_iter().filter(|key| !wanted.data.contains_key(key));
        Self {
            labels: texts(&held.labels, &wanted.labels, &held.written.labels),
            annotations: texts(&held.annotations, &wanted.annotations, &held.written.annotations),
            data: set
                .map(|(key, value)| (key.clone(), Some(value.clone())))
                .chain(gone.filter(|key| held.data.contains_key(key)).map(|key| (key, None)))
                .collect(),
        }
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty() && self.data.is_empty()
    }

    /// The changes as a patch, with `labels` on top, which the operator gives to what it writes.
    pub(super) fn patch(&self, labels: &BTreeMap<String, String>) -> Value {
        let mut all = self.labels.clone();
        all.extend(labels.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        let encoded = |value: &Option<SecretString>| {
            value.as_ref().map(|value| ByteString(value.expose_secret().as_bytes().to_vec()))
        };
        let data: BTreeMap<_, _> =
            self.data.iter().map(|(key, value)| (key, encoded(value))).collect();
        json!({ "metadata": { "labels": all, "annotations": self.annotations }, "data": data })
    }
}

fn texts(
    held: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    written: &BTreeSet<String>,
) -> BTreeMap<String, Option<String>> {
    let set = wanted.iter().filter(|(key, value)| held.get(*key) != Some(value));
    let gone = written.iter().filter(|key| !wanted.contains_key(*key) && held.contains_key(*key));
    set.map(|(key, value)| (key.clone(), Some(value.clone())))
        .chain(gone.map(|key| (key.clone(), None)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "app.kubernetes.io/managed-by";

    fn marks() -> BTreeMap<String, String> {
        BTreeMap::from([(MARK.to_owned(), "hydra-operator".to_owned())])
    }

    fn secret(data: &[(&str, &str)], written: &[&str]) -> Held {
        let fields: serde_json::Map<String, Value> =
            written.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
        let text = |value: &str| ByteString(value.as_bytes().to_vec());
        let data: BTreeMap<_, _> = data.iter().map(|(key, value)| (*key, text(value))).collect();
        let secret = json!({
            "metadata": {
                "labels": { MARK: "hydra-operator", "old": "1", "mine": "1" },
                "managedFields": [
                    { "manager": FIELD_MANAGER, "fieldsV1": {
                        "f:data": fields,
                        "f:metadata": { "f:labels": { "f:old": {}, "f:app.kubernetes.io/managed-by": {} } },
                    } },
                    { "manager": "kubectl-edit", "fieldsV1": { "f:data": { "f:note": {} } } },
                ],
            },
            "data": data,
        });
        Held::of(&serde_json::from_value(secret).unwrap(), &marks())
    }

    fn wanted(data: &[(&str, &str)]) -> SecretContent {
        SecretContent {
            secret_type: OPAQUE.into(),
            labels: BTreeMap::from([("old".to_owned(), "1".to_owned())]),
            annotations: BTreeMap::new(),
            data: data.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect(),
        }
    }

    fn data_of(changes: &SecretChanges) -> String {
        let change = |(key, value): (&String, &Option<SecretString>)| match value {
            Some(value) => format!("{key}={}", value.expose_secret()),
            None => format!("-{key}"),
        };
        changes.data.iter().map(change).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_what_differs_changes_and_what_others_wrote_stays() {
        let (id, other) = (KeyPair::new("I", "S"), KeyPair::new("i", "s"));
        let full = &[("I", "1"), ("S", "2"), ("note", "n")][..];
        let cases: [(&str, Held, SecretContent, &KeyPair, &str); 6] = [
            ("same", secret(full, &["I", "S"]), wanted(&[("I", "1"), ("S", "2")]), &id, ""),
            ("edited", secret(full, &["S"]), wanted(&[("I", "9"), ("S", "2")]), &id, "I=9"),
            ("lost", secret(&[], &[]), wanted(&[("I", "1"), ("S", "2")]), &id, "I=1 S=2"),
            ("needed no more", secret(full, &["I", "S"]), wanted(&[("I", "1")]), &id, ""),
            (
                "a further key that is wanted no more",
                secret(&[("I", "1"), ("url", "u"), ("note", "n")], &["I", "url", "gone"]),
                wanted(&[("I", "1")]),
                &id,
                "-url",
            ),
            (
                "found under other keys",
                secret(&[("i", "1"), ("s", "2"), ("note", "n")], &[]),
                wanted(&[("I", "1"), ("S", "2")]),
                &other,
                "I=1 S=2 -i -s",
            ),
        ];
        for (name, held, wanted, found, expected) in cases {
            let changes = SecretChanges::between(&held, &wanted, found, &id);
            assert_eq!(data_of(&changes), expected.to_owned(), "{name}");
            assert_eq!(changes.is_empty(), expected.is_empty(), "{name}");
        }
    }

    #[test]
    fn labels_of_a_former_template_go_and_the_mark_stays() {
        let keys = KeyPair::new("I", "S");
        let content = SecretContent { labels: BTreeMap::new(), ..wanted(&[]) };
        let changes = SecretChanges::between(&secret(&[], &[]), &content, &keys, &keys);
        assert_eq!(changes.labels, BTreeMap::from([("old".to_owned(), None)]));
        let patch = changes.patch(&marks());
        assert_eq!(patch["metadata"]["labels"], json!({ "old": null, MARK: "hydra-operator" }));
    }
}
