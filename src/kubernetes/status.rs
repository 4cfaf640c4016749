//! Writing status: one merge patch with the whole status, and only when it differs.

use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde::Serialize;
use serde_json::json;

use super::ApiError;

/// Field manager of status.
const FIELD_MANAGER: &str = "hydra-operator/status";

/// Which object a status is meant for.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a> {
    /// Its `metadata.uid`: not a namesake that was created meanwhile.
    pub uid: Option<&'a str>,
    /// Its `metadata.resourceVersion`, where what is written must follow from what was read and
    /// from nothing else.
    pub resource_version: Option<&'a str>,
}

/// Turns the status of the object `name` from `old` into `new`, and returns the resourceVersion
/// that the object has then.
///
/// A merge patch of what differs: members that are gone are set to null, lists are replaced whole.
/// `guard` names the object that is meant; another is a conflict (HTTP 409). Of the answer only the
/// metadata is read: the object need not decode.
pub async fn patch<K, S>(
    api: &Api<PartialObjectMeta<K>>,
    name: &str,
    guard: Guard<'_>,
    old: &S,
    new: &S,
) -> Result<Option<String>, ApiError>
where
    K: Resource,
    S: Serialize,
{
    let (old, new) = match (serde_json::to_value(old), serde_json::to_value(new)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(error), _) | (_, Err(error)) => return Err(kube::Error::SerdeError(error).into()),
    };
    let mut body = json!({ "metadata": { "uid": guard.uid }, "status": difference(&old, &new) });
    if let Some(version) = guard.resource_version {
        body["metadata"]["resourceVersion"] = version.into();
    }
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let patched = api.patch_status(name, &params, &Patch::Merge(&body)).await?;
    Ok(patched.metadata.resource_version)
}

/// The JSON merge patch (RFC 7396) that turns `old` into `new`.
fn difference(old: &serde_json::Value, new: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key, Value::Null));
    let changed =
        new.iter().filter(|(key, value)| old.get(*key) != Some(value)).map(|(key, value)| {
            (key, old.get(key).map_or(value.clone(), |old| difference(old, value)))
        });
    Value::Object(gone.chain(changed).map(|(key, value)| (key.clone(), value)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_patch_names_only_what_differs() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": {"x": 1}, "list": [1, 2]});
        let new = json!({"a": 1, "b": {"c": 3}, "list": [2], "new": "n"});
        assert_eq!(
            difference(&old, &new),
            json!({"b": {"c": 3, "d": null}, "gone": null, "list": [2], "new": "n"})
        );
        assert_eq!(difference(&new, &new), json!({}));
    }
}
