//! What hydra-maester sends to Hydra for a spec: its write model, made from its documentation and not from the operator.

use serde_json::{Map, Value, json};

/// How a field of the spec becomes a member of the client.
enum Sent {
    /// Left out when it is empty: `""`, `[]`, `0`, `false`.
    IfSet,
    /// Also when it is empty, as this value.
    Always(Value),
}

/// The body of its POST or PUT, without id and secret.
pub fn write_model(owner: &str, spec: &Value) -> Value {
    let mut body = Map::new();
    for (field, member, sent) in fields() {
        let value = spec.get(field).filter(|value| !is_empty(value));
        match (value, sent) {
            (Some(value), _) => body.insert(member.to_owned(), value.clone()),
            (None, Sent::Always(empty)) => body.insert(member.to_owned(), empty),
            (None, Sent::IfSet) => None,
        };
    }
    let lifespans = spec["tokenLifespans"].as_object().into_iter().flatten();
    body.extend(
        lifespans.filter(|(_, value)| !is_empty(value)).map(|(k, v)| (k.clone(), v.clone())),
    );
    body.insert("scope".to_owned(), scope(spec).into());
    body.insert("owner".to_owned(), owner.into());
    Value::Object(body)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_i64() == Some(0),
        Value::String(value) => value.is_empty(),
        Value::Array(items) => items.is_empty(),
        // `metadata: {}` is what it says.
        Value::Object(_) => false,
    }
}

/// The items of `scopeArray`, then `scope`, trimmed.
fn scope(spec: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut scopes: Vec<_> =
        spec["scopeArray"].as_array().into_iter().flatten().map(text).collect();
    scopes.push(text(&spec["scope"]));
    scopes.join(" ").trim().to_owned()
}

fn fields() -> Vec<(&'static str, &'static str, Sent)> {
    use Sent::{Always, IfSet};
    vec![
        ("clientName", "client_name", IfSet),
        ("grantTypes", "grant_types", Always(json!([]))),
        ("responseTypes", "response_types", IfSet),
        ("redirectUris", "redirect_uris", IfSet),
        ("requestUris", "request_uris", IfSet),
        ("postLogoutRedirectUris", "post_logout_redirect_uris", IfSet),
        ("allowedCorsOrigins", "allowed_cors_origins", IfSet),
        ("audience", "audience", IfSet),
        ("skipConsent", "skip_consent", IfSet),
        ("skipLogoutConsent", "skip_logout_consent", IfSet),
        ("tokenEndpointAuthMethod", "token_endpoint_auth_method", IfSet),
        ("metadata", "metadata", Always(Value::Null)),
        ("jwksUri", "jwks_uri", IfSet),
        (
            "frontChannelLogoutSessionRequired",
            "frontchannel_logout_session_required",
            Always(json!(false)),
        ),
        ("frontChannelLogoutURI", "frontchannel_logout_uri", Always(json!(""))),
        (
            "backChannelLogoutSessionRequired",
            "backchannel_logout_session_required",
            Always(json!(false)),
        ),
        ("backChannelLogoutURI", "backchannel_logout_uri", Always(json!(""))),
        ("logoUri", "logo_uri", IfSet),
        ("clientUri", "client_uri", IfSet),
        ("policyUri", "policy_uri", IfSet),
        ("tosUri", "tos_uri", IfSet),
        ("sectorIdentifierUri", "sector_identifier_uri", IfSet),
        ("accessTokenStrategy", "access_token_strategy", IfSet),
        ("clientSecretExpiresAt", "client_secret_expires_at", IfSet),
        ("contacts", "contacts", IfSet),
        ("requestObjectSigningAlg", "request_object_signing_alg", IfSet),
        ("tokenEndpointAuthSigningAlg", "token_endpoint_auth_signing_alg", IfSet),
        ("userinfoSignedResponseAlg", "userinfo_signed_response_alg", IfSet),
        ("subjectType", "subject_type", IfSet),
    ]
}
