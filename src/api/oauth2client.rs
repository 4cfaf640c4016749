//! The `OAuth2Client` resource.
//!
//! Its schema accepts whatever the schema of hydra-maester accepts: patterns are unanchored where they are there, and rules
//! that are stricter bind only fields that hydra-maester does not have. Decoding accepts more still, because one object that
//! does not decode would end the watch of all.

mod jwks;
mod lifespans;
mod schema;
mod secret;
mod spec;
mod status;
mod values;

use kube::ResourceExt;

pub use self::{
    jwks::{JsonWebKey, JsonWebKeySetDocument},
    lifespans::TokenLifespans,
    secret::{SecretKeyNames, SecretTemplate, SecretValue},
    spec::{OAuth2Client, OAuth2ClientSpec},
    status::{
        CredentialKeys, HydraAdminStatus, OAuth2ClientStatus, PushedSecret, ReconciliationError,
        UnsupportedFields,
    },
    values::{DeletionPolicy, HydraAdmin, TokenEndpointAuthMethod},
};
use super::{
    CHANGE_CLIENT_ID_ANNOTATION, RECONCILE_REQUESTED_ANNOTATION, RELEASE_ANNOTATION,
    SUSPEND_ANNOTATION,
};

impl OAuth2Client {
    /// Whether the operator is to leave the client alone: by `spec.suspend`, or by [`SUSPEND_ANNOTATION`] with any value
    /// but `false`.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true) || self.says(SUSPEND_ANNOTATION)
    }

    /// Whether the resource, once it is being deleted, is to go without any request to Hydra, whatever becomes of the
    /// client there: by [`RELEASE_ANNOTATION`] with any value but `false`.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.says(RELEASE_ANNOTATION)
    }

    fn says(&self, annotation: &str) -> bool {
        self.annotations().get(annotation).is_some_and(|value| value != "false")
    }

    /// The client id for which the user agrees to give up the client that is held.
    #[must_use]
    pub fn change_client_id_to(&self) -> Option<&str> {
        self.annotations().get(CHANGE_CLIENT_ID_ANNOTATION).map(String::as_str)
    }

    /// The token of [`RECONCILE_REQUESTED_ANNOTATION`]: a value that differs from `status.lastHandledReconcileAt` asks for
    /// a reconcile.
    #[must_use]
    pub fn reconcile_requested_at(&self) -> Option<&str> {
        self.annotations().get(RECONCILE_REQUESTED_ANNOTATION).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decode(object: Value) -> OAuth2Client {
        serde_json::from_value(object).unwrap()
    }

    fn annotated(annotations: &Value, spec: &Value) -> OAuth2Client {
        decode(json!({ "metadata": { "name": "app", "annotations": annotations }, "spec": spec }))
    }

    #[test]
    fn suspended_by_field_or_annotation() {
        let annotation = |value: &str| json!({ SUSPEND_ANNOTATION: value });
        let cases = [
            (json!({}), json!({}), false),
            (json!({}), json!({ "suspend": true }), true),
            (json!({}), json!({ "suspend": false }), false),
            (annotation("true"), json!({}), true),
            (annotation("true"), json!({ "suspend": false }), true),
            (annotation(""), json!({}), true),
            (annotation("until monday"), json!({}), true),
            (annotation("false"), json!({}), false),
            (annotation("false"), json!({ "suspend": true }), true),
            (json!({ "other": "true" }), json!({}), false),
        ];
        for (annotations, spec, expected) in cases {
            let client = annotated(&annotations, &spec);
            assert_eq!(client.is_suspended(), expected, "{annotations} {spec}");
        }
    }

    #[test]
    fn released_by_annotation() {
        for (annotations, expected) in [
            (json!({}), false),
            (json!({ RELEASE_ANNOTATION: "true" }), true),
            (json!({ RELEASE_ANNOTATION: "" }), true),
            (json!({ RELEASE_ANNOTATION: "false" }), false),
            (json!({ SUSPEND_ANNOTATION: "true" }), false),
        ] {
            assert_eq!(
                annotated(&annotations, &json!({})).is_released(),
                expected,
                "{annotations}"
            );
        }
    }

    #[test]
    fn the_token_of_a_request_is_the_annotation() {
        let client = annotated(&json!({ RECONCILE_REQUESTED_ANNOTATION: "17" }), &json!({}));
        assert_eq!(client.reconcile_requested_at(), Some("17"));
        assert_eq!(annotated(&json!({}), &json!({})).reconcile_requested_at(), None);
    }

    #[test]
    fn an_object_without_spec_decodes_as_an_empty_one() {
        for object in [json!({ "metadata": {} }), json!({ "metadata": {}, "spec": null })] {
            assert_eq!(decode(object).spec, OAuth2ClientSpec::default());
        }
    }

    #[test]
    fn values_that_are_not_known_decode_and_keep_their_spelling() {
        let spec = json!({
            "grantTypes": ["password"],
            "secretName": "",
            "responseTypes": ["none"],
            "tokenEndpointAuthMethod": "tls_client_auth",
            "deletionPolicy": "archive",
            "accessTokenStrategy": "JWT",
            "subjectType": "ephemeral",
            "memberOfTheFuture": 1
        });
        let client = annotated(&json!({}), &spec);
        let method = TokenEndpointAuthMethod::Unknown("tls_client_auth".to_owned());
        assert_eq!(client.spec.token_endpoint_auth_method, Some(method));
        let policy = DeletionPolicy::Unknown("archive".to_owned());
        assert_eq!(client.spec.deletion_policy, Some(policy));
        assert_eq!(client.spec.grant_types, ["password"]);
    }

    #[test]
    fn the_known_values_are_spelled_as_the_schema_says() {
        for known in TokenEndpointAuthMethod::KNOWN {
            let method: TokenEndpointAuthMethod = serde_json::from_value(json!(known)).unwrap();
            assert!(!matches!(method, TokenEndpointAuthMethod::Unknown(_)), "{known}");
            assert_eq!((method.as_str(), json!(method)), (known, json!(known)));
        }
        for known in DeletionPolicy::KNOWN {
            let policy: DeletionPolicy = serde_json::from_value(json!(known)).unwrap();
            assert!(!matches!(policy, DeletionPolicy::Unknown(_)), "{known}");
            assert_eq!(json!(policy), json!(known));
        }
    }

    #[test]
    fn a_status_of_former_times_decodes() {
        let status: OAuth2ClientStatus = serde_json::from_value(json!({
            "observedGeneration": 3,
            "conditions": [{ "type": "Ready", "status": "True" }],
            "reconciliationError": {}
        }))
        .unwrap();
        assert_eq!(status.reconciliation_error, Some(Box::default()));
        assert_eq!(status.conditions.len(), 1);
    }

    #[test]
    fn what_is_unset_is_not_written() {
        let mut client = OAuth2Client::new("app", OAuth2ClientSpec::default());
        client.status = Some(OAuth2ClientStatus::default());
        let written = serde_json::to_value(&client).unwrap();
        assert_eq!(written["status"], json!({}));
        assert_eq!(
            written["spec"],
            json!({ "grantTypes": [], "secretName": "", "skipConsent": false,
                "skipLogoutConsent": false, "frontChannelLogoutSessionRequired": false,
                "backChannelLogoutSessionRequired": false })
        );
    }
}
