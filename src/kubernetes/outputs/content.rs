//! What an output shall hold, what it holds, and how the two differ: pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::{Map, Value, json};

use super::{
    FIELD_MANAGER,
    kind::{DATA, OutputKind},
};
use crate::kubernetes::{SecretVersion, secret_content::OPAQUE};

/// What an output shall hold: this and no other data, and these labels and annotations beside those
/// of others.
#[derive(Clone)]
pub struct OutputContent {
    /// Type of the Secret. A ConfigMap has none.
    pub secret_type: String,
    /// Labels, without those that every object of the operator's gets.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Values of the keys.
    pub data: BTreeMap<String, SecretString>,
}

impl Default for OutputContent {
    fn default() -> Self {
        Self {
            secret_type: OPAQUE.to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            data: BTreeMap::new(),
        }
    }
}

impl OutputContent {
    /// The values as the field `data` of `K` has them.
    pub(super) fn encoded<K: OutputKind>(&self) -> Value {
        let value =
            |(key, text): (&String, &SecretString)| (key.clone(), K::encoded(text.expose_secret()));
        self.data.iter().map(value).collect::<Map<_, _>>().into()
    }
}

/// What an object holds. Without Debug, like all that may be secret.
#[derive(Clone)]
pub struct HeldOutput {
    version: SecretVersion,
    object_type: Option<String>,
    immutable: bool,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    values: BTreeMap<String, HeldValue>,
    applied: Applied,
}

#[derive(Clone)]
struct HeldValue {
    field: &'static str,
    bytes: SecretSlice<u8>,
}

/// Names of labels and annotations that the operator has applied.
#[derive(Clone, Default)]
struct Applied {
    labels: BTreeSet<String>,
    annotations: BTreeSet<String>,
}

/// What stands in the way of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is of another type, and the type of a Secret cannot change.
    Type {
        /// The type it is of.
        is: String,
        /// The type it shall be of.
        shall: String,
    },
    /// Its data differ, and it is marked as immutable.
    Immutable,
}

impl HeldOutput {
    /// What `object` holds.
    #[must_use]
    pub fn of<K: OutputKind>(object: &K) -> Self {
        let value = |(field, key, bytes): (_, &String, &[u8])| {
            (key.clone(), HeldValue { field, bytes: SecretSlice::from(bytes.to_vec()) })
        };
        let metadata = object.meta();
        Self {
            version: SecretVersion::of(metadata),
            object_type: object.object_type().map(ToOwned::to_owned),
            immutable: object.is_immutable(),
            labels: metadata.labels.clone().unwrap_or_default(),
            annotations: metadata.annotations.clone().unwrap_or_default(),
            values: object.values().map(value).collect(),
            applied: Applied::of(object),
        }
    }

    /// The version that was read.
    #[must_use]
    pub fn version(&self) -> &SecretVersion {
        &self.version
    }

    /// The value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(|value| value.bytes.expose_secret())
    }

    /// The keys that have a value.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether there is nothing to write for it to hold `wanted` and the labels `marks`, or what
    /// stands in the way of it.
    pub(super) fn is_as(
        &self,
        wanted: &OutputContent,
        marks: &BTreeMap<String, String>,
    ) -> Result<bool, Obstacle> {
        if let Some(is) = self.object_type.as_ref().filter(|is| **is != wanted.secret_type) {
            let shall = wanted.secret_type.clone();
            return Err(Obstacle::Type { is: is.clone(), shall });
        }
        let data = self.has_data(&wanted.data) && self.strays(&wanted.data).next().is_none();
        if self.immutable && !data {
            return Err(Obstacle::Immutable);
        }
        let labels: BTreeMap<_, _> = wanted.labels.iter().chain(marks).collect();
        let annotations = wanted.annotations.iter().collect();
        Ok(data
            && are_as(&self.labels, &labels, &self.applied.labels)
            && are_as(&self.annotations, &annotations, &self.applied.annotations))
    }

    fn has_data(&self, wanted: &BTreeMap<String, SecretString>) -> bool {
        wanted.iter().all(|(key, value)| self.value(key) == Some(value.expose_secret().as_bytes()))
    }

    /// The values that it shall not hold, or not in that field.
    fn strays(
        &self,
        wanted: &BTreeMap<String, SecretString>,
    ) -> impl Iterator<Item = (&String, &HeldValue)> {
        self.values.iter().filter(|(key, value)| value.field != DATA || !wanted.contains_key(*key))
    }

    /// The patch that removes what it shall not hold, if there is any.
    pub(super) fn removal(&self, wanted: &OutputContent) -> Option<Value> {
        patch(self.strays(&wanted.data))
    }

    /// Of [`Self::removal`], what has to go before the wanted data can be written: the API server
    /// refuses a key in two fields.
    pub(super) fn removal_before(&self, wanted: &OutputContent) -> Option<Value> {
        patch(self.strays(&wanted.data).filter(|(key, _)| wanted.data.contains_key(*key)))
    }
}

fn patch<'a>(strays: impl Iterator<Item = (&'a String, &'a HeldValue)>) -> Option<Value> {
    let mut patch = json!({});
    for (key, value) in strays {
        patch[value.field][key] = Value::Null;
    }
    patch.as_object().is_some_and(|fields| !fields.is_empty()).then_some(patch)
}

/// Whether `held` has all that is `wanted`, and of what the operator has `applied` nothing else.
fn are_as(
    held: &BTreeMap<String, String>,
    wanted: &BTreeMap<&String, &String>,
    applied: &BTreeSet<String>,
) -> bool {
    wanted.iter().all(|(key, value)| held.get(*key) == Some(*value))
        && applied.iter().all(|key| wanted.contains_key(key) || !held.contains_key(key))
}

impl Applied {
    fn of<K: OutputKind>(object: &K) -> Self {
        let entries = object.meta().managed_fields.iter().flatten();
        let ours = entries.filter(|entry| {
            entry.manager.as_deref() == Some(FIELD_MANAGER)
                && entry.operation.as_deref() == Some("Apply")
        });
        let mut applied = Self::default();
        for FieldsV1(fields) in ours.filter_map(|entry| entry.fields_v1.as_ref()) {
            applied.labels.extend(names(&fields["f:metadata"]["f:labels"]));
            applied.annotations.extend(names(&fields["f:metadata"]["f:annotations"]));
        }
        applied
    }
}

fn names(fields: &Value) -> impl Iterator<Item = String> + '_ {
    let keys = fields.as_object().into_iter().flat_map(Map::keys);
    keys.filter_map(|key| key.strip_prefix("f:").map(ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};

    use super::*;

    fn marks() -> BTreeMap<String, String> {
        BTreeMap::from([("mark".to_owned(), "1".to_owned())])
    }

    fn wanted(data: &[(&str, &str)]) -> OutputContent {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).into()));
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        OutputContent { labels, data: data.collect(), ..OutputContent::default() }
    }

    fn config_map(more: &Value) -> HeldOutput {
        let mut object = json!({
            "metadata": {
                "labels": { "mark": "1", "team": "a", "theirs": "1" },
                "managedFields": [
                    { "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:mark": {}, "f:team": {}, "f:gone": {} } },
                    } },
                    { "manager": FIELD_MANAGER, "operation": "Update", "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:theirs": {} } },
                    } },
                ],
            },
            "data": { "k": "v" },
        });
        merge(&mut object, more);
        HeldOutput::of(&serde_json::from_value::<ConfigMap>(object).unwrap())
    }

    /// A JSON Merge Patch (RFC 7396).
    fn merge(into: &mut Value, from: &Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                into.retain(|key, _| from.get(key) != Some(&Value::Null));
                for (key, value) in from.iter().filter(|(_, value)| !value.is_null()) {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from.clone(),
        }
    }

    #[test]
    fn what_is_ours_and_differs_is_written_and_what_is_others_is_not() {
        let labels = |labels: Value| json!({ "metadata": { "labels": labels } });
        let cases = [
            ("as it shall be", json!({}), Ok(true)),
            ("another label", labels(json!({ "more": "1" })), Ok(true)),
            ("an edited label", labels(json!({ "team": "b" })), Ok(false)),
            ("a lost mark", labels(json!({ "mark": null })), Ok(false)),
            ("a label of a former template", labels(json!({ "gone": "1" })), Ok(false)),
            ("another value", json!({ "data": { "k": "w" } }), Ok(false)),
            ("another key", json!({ "data": { "x": "v" } }), Ok(false)),
            ("a lost key", json!({ "data": null }), Ok(false)),
            ("another binary key", json!({ "binaryData": { "x": "dg==" } }), Ok(false)),
            ("in another field", json!({ "data": null, "binaryData": { "k": "dg==" } }), Ok(false)),
            ("immutable", json!({ "immutable": true }), Ok(true)),
            (
                "immutable with other data",
                json!({ "immutable": true, "data": { "k": "w" } }),
                Err(Obstacle::Immutable),
            ),
            (
                "immutable with other labels",
                json!({ "immutable": true, "metadata": { "labels": { "team": "b" } } }),
                Ok(false),
            ),
        ];
        for (name, more, expected) in cases {
            let held = config_map(&more);
            assert_eq!(held.is_as(&wanted(&[("k", "v")]), &marks()), expected, "{name}");
        }
    }

    #[test]
    fn the_type_of_a_secret_cannot_change_and_a_config_map_has_none() {
        let secret: Secret = serde_json::from_value(json!({ "type": "x/y" })).unwrap();
        let other = Obstacle::Type { is: "x/y".into(), shall: OPAQUE.into() };
        assert_eq!(HeldOutput::of(&secret).is_as(&wanted(&[]), &marks()), Err(other));
        let content = OutputContent { secret_type: "x/y".into(), ..wanted(&[("k", "v")]) };
        assert_eq!(config_map(&json!({})).is_as(&content, &marks()), Ok(true));
    }

    #[test]
    fn a_key_in_another_field_goes_first() {
        let held = config_map(&json!({
            "data": { "x": "v" }, "binaryData": { "k2": "dg==", "y": "dg==" },
        }));
        let wanted = wanted(&[("k", "v"), ("k2", "v")]);
        let before = json!({ "binaryData": { "k2": null } });
        assert_eq!(held.removal_before(&wanted), Some(before));
        let all = json!({ "data": { "x": null }, "binaryData": { "k2": null, "y": null } });
        assert_eq!(held.removal(&wanted), Some(all));
        assert_eq!(config_map(&json!({})).removal(&wanted), None);
    }
}
