//! What can be read of an object that does not decode as an `OAuth2Client`.

use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams},
    core::{ObjectMeta, error_boundary::InvalidObject},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Context;
use crate::{
    api::{OAuth2Client, OAuth2ClientSpec, OAuth2ClientStatus, oauth2client::DeletionPolicy},
    controller::ResourceKey,
    kubernetes::ApiError,
};

/// What the API server holds of `invalid`, of which the watch has shown the metadata alone. None:
/// it is gone, or has changed, so that the watch is about to show something else.
///
/// A list of one: the operator has no right to get a resource, and needs none otherwise.
pub async fn read(
    invalid: &InvalidObject,
    (namespace, name): &ResourceKey,
    context: &Context,
) -> Result<Option<OAuth2Client>, ApiError> {
    let kind = ApiResource::erase::<OAuth2Client>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &kind);
    let only = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = api.list(&only).await?.items.pop();
    let shown = &invalid.metadata.resource_version;
    let same = found.filter(|object| object.metadata.resource_version == *shown);
    Ok(same.map(|object| legible(object.metadata, &object.data)))
}

/// The resource with what can be read of its `spec` and its `status`, each member by itself.
fn legible(metadata: ObjectMeta, data: &Value) -> OAuth2Client {
    let mut spec: OAuth2ClientSpec = readable(&data["spec"]);
    // A policy that cannot be read is no permission to delete.
    let policy = data["spec"].get("deletionPolicy").unwrap_or(&Value::Null);
    let has_none = data["spec"].is_null() || (data["spec"].is_object() && policy.is_null());
    if spec.deletion_policy.is_none() && !has_none {
        spec.deletion_policy = Some(DeletionPolicy::Unknown(policy.to_string()));
    }
    let status: OAuth2ClientStatus = readable(&data["status"]);
    OAuth2Client { metadata, spec, status: Some(status) }
}

/// What of `value` decodes by itself.
fn readable<T: DeserializeOwned + Default>(value: &Value) -> T {
    let Some(members) = value.as_object() else { return T::default() };
    let alone = |(name, value): &(&String, &Value)| {
        let member = Map::from_iter([((*name).clone(), (*value).clone())]);
        serde_json::from_value::<T>(Value::Object(member)).is_ok()
    };
    let members = members.iter().filter(alone).map(|(name, value)| (name.clone(), value.clone()));
    serde_json::from_value(Value::Object(members.collect())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(data: &Value) -> OAuth2Client {
        legible(ObjectMeta::default(), data)
    }

    #[test]
    fn what_decodes_is_kept_and_the_rest_is_left_out() {
        let resource = read(&json!({
            "spec": {
                "grantTypes": "all of them",
                "secretName": 7,
                "deletionPolicy": "delete",
                "hydraAdmin": { "url": "http://b" },
            },
            "status": {
                "clientId": "id-1",
                "observedGeneration": "two",
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        }));
        assert_eq!(resource.spec.grant_types, [""; 0]);
        assert_eq!(resource.spec.deletion_policy, Some(DeletionPolicy::Delete));
        let admin = resource.spec.hydra_admin.unwrap();
        assert_eq!(admin.url.as_deref(), Some("http://b"));
        let status = resource.status.unwrap();
        assert_eq!(status.client_id.as_deref(), Some("id-1"));
        assert_eq!((status.observed_generation, status.conditions.len()), (None, 1));
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_no_permission_to_delete() {
        let unknown = |text: &str| Some(DeletionPolicy::Unknown(text.to_owned()));
        for (spec, expected) in [
            (json!(null), None),
            (json!({ "grantTypes": 7 }), None),
            (json!({ "deletionPolicy": null }), None),
            (json!({ "deletionPolicy": "delete", "grantTypes": 7 }), Some(DeletionPolicy::Delete)),
            (json!({ "deletionPolicy": "orphan", "grantTypes": 7 }), Some(DeletionPolicy::Orphan)),
            (json!({ "deletionPolicy": "archive" }), unknown("archive")),
            (json!({ "deletionPolicy": ["delete"] }), unknown(r#"["delete"]"#)),
            (json!("delete"), unknown("null")),
        ] {
            let resource = read(&json!({ "spec": spec }));
            assert_eq!(resource.spec.deletion_policy, expected, "{spec}");
        }
        assert_eq!(read(&json!({})).spec.deletion_policy, None);
    }
}
