//! The fields that can be edited, by groups, and what Hydra calls them.

use serde_json::{Map, Value, json};

use crate::support::Generation;

/// A change of the spec, and the members of the client that it changes.
pub struct Edit {
    pub what: &'static str,
    pub spec: Value,
    pub hydra: Value,
}

fn edit(what: &'static str, spec: Value, hydra: Value) -> Edit {
    Edit { what, spec, hydra }
}

/// One edit or more for each group of fields that this generation keeps. Where several change the
/// same field a later one overrides the former, so that all together make one spec.
pub fn edits(generation: Generation) -> Vec<Edit> {
    let mut edits: Vec<_> = [names(), scopes(), uses(), logout(), security(), vec![lifespans()]]
        .into_iter()
        .flatten()
        .collect();
    if generation == Generation::V2 {
        edits.push(edit(
            "what Hydra 2 added",
            json!({
                "skipConsent": true, "skipLogoutConsent": true, "accessTokenStrategy": "opaque",
            }),
            json!({
                "skip_consent": true, "skip_logout_consent": true, "access_token_strategy": "opaque",
            }),
        ));
    }
    edits
}

fn names() -> Vec<Edit> {
    vec![
        edit(
            "names and pages",
            json!({
                "clientName": "Shop & Söhne",
                "clientUri": "https://shop.example.com",
                "logoUri": "https://shop.example.com/logo.png",
                "policyUri": "https://shop.example.com/policy",
                "tosUri": "https://shop.example.com/terms",
            }),
            json!({
                "client_name": "Shop & Söhne",
                "client_uri": "https://shop.example.com",
                "logo_uri": "https://shop.example.com/logo.png",
                "policy_uri": "https://shop.example.com/policy",
                "tos_uri": "https://shop.example.com/terms",
            }),
        ),
        edit(
            "audience and contacts",
            json!({
                "audience": ["https://api.example.com", "reports"],
                "contacts": ["team@example.com", "https://chat.example.com/team"],
            }),
            json!({
                "audience": ["https://api.example.com", "reports"],
                "contacts": ["team@example.com", "https://chat.example.com/team"],
            }),
        ),
        edit(
            "metadata",
            json!({ "metadata": { "tier": "gold", "limits": { "rate": 5.5, "regions": ["eu", 2, true] } } }),
            json!({ "metadata": { "tier": "gold", "limits": { "rate": 5.5, "regions": ["eu", 2, true] } } }),
        ),
    ]
}

fn scopes() -> Vec<Edit> {
    vec![
        edit(
            "no scope",
            json!({ "scope": null }),
            json!({ "scope": "offline_access offline openid" }),
        ),
        edit("scope alone", json!({ "scope": "admin" }), json!({ "scope": "admin" })),
        edit(
            "scopeArray alone",
            json!({ "scope": null, "scopeArray": ["openid", "read"] }),
            json!({ "scope": "openid read" }),
        ),
        edit(
            "scopeArray and scope",
            json!({ "scope": "read write", "scopeArray": ["openid", "admin"] }),
            json!({ "scope": "openid admin read write" }),
        ),
    ]
}

fn uses() -> Vec<Edit> {
    let callbacks = ["https://shop.example.com/callback", "com.example.shop:/callback"];
    vec![
        edit(
            "grants and responses",
            json!({
                "grantTypes": ["client_credentials", "authorization_code", "refresh_token", "implicit",
                    "urn:ietf:params:oauth:grant-type:device_code",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer"],
                "responseTypes": ["code", "id_token token", "code id_token token"],
                "redirectUris": callbacks,
            }),
            json!({
                "grant_types": ["client_credentials", "authorization_code", "refresh_token", "implicit",
                    "urn:ietf:params:oauth:grant-type:device_code",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer"],
                "response_types": ["code", "id_token token", "code id_token token"],
                "redirect_uris": callbacks,
            }),
        ),
        edit(
            "addresses",
            json!({
                "redirectUris": callbacks,
                "postLogoutRedirectUris": ["https://shop.example.com/bye"],
                "allowedCorsOrigins": ["https://shop.example.com", "http://localhost:3000"],
                "requestUris": ["https://shop.example.com/request.jwt"],
            }),
            json!({
                "redirect_uris": callbacks,
                "post_logout_redirect_uris": ["https://shop.example.com/bye"],
                "allowed_cors_origins": ["https://shop.example.com", "http://localhost:3000"],
                "request_uris": ["https://shop.example.com/request.jwt"],
            }),
        ),
    ]
}

fn logout() -> Vec<Edit> {
    vec![
        edit(
            "front channel",
            json!({
                "frontChannelLogoutURI": "https://shop.example.com/front",
                "frontChannelLogoutSessionRequired": true,
            }),
            json!({
                "frontchannel_logout_uri": "https://shop.example.com/front",
                "frontchannel_logout_session_required": true,
            }),
        ),
        edit(
            "back channel",
            json!({
                "backChannelLogoutURI": "https://shop.example.com/back",
                "backChannelLogoutSessionRequired": true,
            }),
            json!({
                "backchannel_logout_uri": "https://shop.example.com/back",
                "backchannel_logout_session_required": true,
            }),
        ),
    ]
}

fn security() -> Vec<Edit> {
    vec![
        edit(
            "algorithms",
            json!({
                "requestObjectSigningAlg": "ES256",
                "tokenEndpointAuthSigningAlg": "PS512",
                "userinfoSignedResponseAlg": "RS256",
            }),
            json!({
                "request_object_signing_alg": "ES256",
                "token_endpoint_auth_signing_alg": "PS512",
                "userinfo_signed_response_alg": "RS256",
            }),
        ),
        edit(
            "subject type",
            json!({ "subjectType": "pairwise" }),
            json!({ "subject_type": "pairwise" }),
        ),
        edit(
            "address of keys",
            json!({ "jwksUri": "https://shop.example.com/keys.json" }),
            json!({ "jwks_uri": "https://shop.example.com/keys.json" }),
        ),
        edit(
            "authentication",
            json!({ "tokenEndpointAuthMethod": "client_secret_post" }),
            json!({ "token_endpoint_auth_method": "client_secret_post" }),
        ),
    ]
}

fn lifespans() -> Edit {
    const LIFESPANS: [&str; 10] = [
        "authorization_code_grant_access_token_lifespan",
        "authorization_code_grant_id_token_lifespan",
        "authorization_code_grant_refresh_token_lifespan",
        "client_credentials_grant_access_token_lifespan",
        "implicit_grant_access_token_lifespan",
        "implicit_grant_id_token_lifespan",
        "jwt_bearer_grant_access_token_lifespan",
        "refresh_token_grant_access_token_lifespan",
        "refresh_token_grant_id_token_lifespan",
        "refresh_token_grant_refresh_token_lifespan",
    ];
    // A value of its own for each: none can stand in for another.
    let each = |value: fn(usize) -> String| -> Map<String, Value> {
        LIFESPANS
            .iter()
            .enumerate()
            .map(|(n, name)| ((*name).into(), value(n + 1).into()))
            .collect()
    };
    let hydra = Value::Object(each(|n| format!("1h{n}m0s")));
    edit("lifespans", json!({ "tokenLifespans": each(|n| format!("{}m", 60 + n)) }), hydra)
}
