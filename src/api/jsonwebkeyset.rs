//! The `JsonWebKeySet` resource.
//!
//! Decoding accepts more than the schema does, because one object that does not decode would end the watch of all.

mod outputs;
mod schema;
mod spec;
mod status;
mod values;

use kube::ResourceExt;

pub use self::{
    outputs::{KeyFormat, Outputs, PrivateSecret, PrivateSecretKeys, PublicConfigMap},
    spec::{Import, ImportSource, JsonWebKeySet, JsonWebKeySetSpec, Rotation},
    status::{JsonWebKeySetStatus, KeyStatus, OutputStatus, OutputStatuses},
    values::{Algorithm, KeyOrigin, KeyState, KeyUse},
};
use super::{
    RECONCILE_REQUESTED_ANNOTATION, RELEASE_ANNOTATION, REVOKE_KEY_ANNOTATION,
    ROTATE_REQUESTED_ANNOTATION, SUSPEND_ANNOTATION,
};

impl JsonWebKeySet {
    /// Whether the operator is to leave the set alone: by `spec.suspend`, or by [`SUSPEND_ANNOTATION`] with any value but
    /// `false`.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true) || self.says(SUSPEND_ANNOTATION)
    }

    /// Whether the resource, once it is being deleted, is to go without any request to Hydra, whatever becomes of the keys
    /// there: by [`RELEASE_ANNOTATION`] with any value but `false`.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.says(RELEASE_ANNOTATION)
    }

    fn says(&self, annotation: &str) -> bool {
        self.annotations().get(annotation).is_some_and(|value| value != "false")
    }

    fn annotation(&self, annotation: &str) -> Option<&str> {
        self.annotations().get(annotation).map(String::as_str)
    }

    /// The token of [`RECONCILE_REQUESTED_ANNOTATION`]: a value that differs from `status.lastHandledReconcileAt` asks for
    /// a reconcile.
    #[must_use]
    pub fn reconcile_requested_at(&self) -> Option<&str> {
        self.annotation(RECONCILE_REQUESTED_ANNOTATION)
    }

    /// The token of [`ROTATE_REQUESTED_ANNOTATION`]: a value that differs from `status.lastHandledRotateAt` asks for a new
    /// key.
    #[must_use]
    pub fn rotate_requested_at(&self) -> Option<&str> {
        self.annotation(ROTATE_REQUESTED_ANNOTATION)
    }

    /// The `kid` of the key that is compromised, by [`REVOKE_KEY_ANNOTATION`]: a value that differs from
    /// `status.lastHandledRevokeKey` asks for its removal.
    #[must_use]
    pub fn revoke_key(&self) -> Option<&str> {
        self.annotation(REVOKE_KEY_ANNOTATION)
    }

    /// The name of the set in Hydra: that of the spec, else that of the resource's own.
    #[must_use]
    pub fn set_name(&self) -> String {
        let own =
            || format!("{}{}", own_prefix(&self.namespace().unwrap_or_default()), self.name_any());
        let named = self.spec.set_name.as_ref().filter(|name| !name.is_empty());
        named.cloned().unwrap_or_else(own)
    }
}

/// What the names of all sets begin with that the resources of `namespace` may choose. A namespace has no dot, so that no
/// two share a prefix.
#[must_use]
pub fn own_prefix(namespace: &str) -> String {
    format!("k8s.{namespace}.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_name_of_the_set_is_that_of_the_resource_unless_it_names_another() {
        for (name, expected) in [
            (json!(null), "k8s.shop.signing"),
            (json!(""), "k8s.shop.signing"),
            (json!("k8s.shop.other"), "k8s.shop.other"),
        ] {
            let set: JsonWebKeySet = serde_json::from_value(json!({
                "metadata": { "name": "signing", "namespace": "shop" },
                "spec": { "setName": name, "algorithm": "ES256" },
            }))
            .unwrap();
            assert_eq!(set.set_name(), expected);
        }
    }

    #[test]
    fn what_is_not_known_decodes_and_keeps_its_spelling() {
        let spec = json!({ "algorithm": "ML-DSA-44", "use": "wrap", "deletionPolicy": "archive" });
        let decoded: JsonWebKeySetSpec = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(decoded.algorithm, Algorithm::Unknown("ML-DSA-44".into()));
        assert_eq!(json!(decoded), spec);
        for known in Algorithm::KNOWN {
            let algorithm: Algorithm = serde_json::from_value(json!(known)).unwrap();
            assert!(!matches!(algorithm, Algorithm::Unknown(_)), "{known}");
            assert_eq!((algorithm.as_str(), json!(algorithm)), (known, json!(known)));
        }
    }

    #[test]
    fn a_resource_without_spec_decodes() {
        for object in [json!({ "metadata": {} }), json!({ "metadata": {}, "spec": null })] {
            let set: JsonWebKeySet = serde_json::from_value(object).unwrap();
            assert_eq!(set.spec, JsonWebKeySetSpec::default());
        }
    }
}
