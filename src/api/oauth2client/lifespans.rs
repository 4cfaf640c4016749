//! `spec.tokenLifespans`.

#![expect(clippy::struct_field_names, reason = "the names are those of Hydra's API")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The ending of a Go duration. Compound durations and fractions match as well, since the pattern is not anchored.
const DURATION: &str = "[0-9]+(ns|us|ms|s|m|h)";
/// A Go duration without sign, and nothing else.
const WHOLE_DURATION: &str = r"self.matches('^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$')";
const WHOLE_DURATION_MESSAGE: &str = "write a duration in the units h, m, s, ms, us and ns, such as 1h30m or 720h; there is no unit for days";

/// How long tokens are valid, each as a Go duration: numbers with the units `h`, `m`, `s`, `ms`, `us` and `ns`, such as
/// `1h30m` or `720h`.
///
/// The members have the names that Hydra gives them.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
pub struct TokenLifespans {
    /// Access tokens of the grant `authorization_code`, such as `1h`. Unset: Hydra's `ttl.access_token`.
    #[schemars(regex(pattern = DURATION))]
    pub authorization_code_grant_access_token_lifespan: Option<String>,
    /// ID tokens of the grant `authorization_code`, such as `1h`. Unset: Hydra's `ttl.id_token`.
    #[schemars(regex(pattern = DURATION))]
    pub authorization_code_grant_id_token_lifespan: Option<String>,
    /// Refresh tokens of the grant `authorization_code`, such as `720h`. Unset: Hydra's `ttl.refresh_token`.
    #[schemars(regex(pattern = DURATION))]
    pub authorization_code_grant_refresh_token_lifespan: Option<String>,
    /// Access tokens of the grant `client_credentials`, such as `15m`. Unset: Hydra's `ttl.access_token`.
    #[schemars(regex(pattern = DURATION))]
    pub client_credentials_grant_access_token_lifespan: Option<String>,
    /// Access tokens of the grant `implicit`, such as `15m`. Unset: Hydra's `ttl.access_token`.
    #[schemars(regex(pattern = DURATION))]
    pub implicit_grant_access_token_lifespan: Option<String>,
    /// ID tokens of the grant `implicit`, such as `1h`. Unset: Hydra's `ttl.id_token`.
    #[schemars(regex(pattern = DURATION))]
    pub implicit_grant_id_token_lifespan: Option<String>,
    /// Access tokens of the grant `urn:ietf:params:oauth:grant-type:jwt-bearer`, such as `15m`. Unset: Hydra's
    /// `ttl.access_token`.
    #[schemars(regex(pattern = DURATION))]
    pub jwt_bearer_grant_access_token_lifespan: Option<String>,
    /// Access tokens obtained with a refresh token, such as `1h`. Unset: Hydra's `ttl.access_token`.
    #[schemars(regex(pattern = DURATION))]
    pub refresh_token_grant_access_token_lifespan: Option<String>,
    /// ID tokens obtained with a refresh token, such as `1h`. Unset: Hydra's `ttl.id_token`.
    #[schemars(regex(pattern = DURATION))]
    pub refresh_token_grant_id_token_lifespan: Option<String>,
    /// Refresh tokens obtained with a refresh token, such as `720h`. Unset: Hydra's `ttl.refresh_token`.
    #[schemars(regex(pattern = DURATION))]
    pub refresh_token_grant_refresh_token_lifespan: Option<String>,
    /// Access tokens of the grant `urn:ietf:params:oauth:grant-type:device_code`, such as `1h`. Never set: what Hydra
    /// holds stays; removed again: Hydra's `ttl.access_token`. Needs Hydra 25.4 or later.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new(WHOLE_DURATION).message(WHOLE_DURATION_MESSAGE))]
    pub device_authorization_grant_access_token_lifespan: Option<String>,
    /// ID tokens of the grant `urn:ietf:params:oauth:grant-type:device_code`, such as `1h`. Never set: what Hydra
    /// holds stays; removed again: Hydra's `ttl.id_token`. Needs Hydra 25.4 or later.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new(WHOLE_DURATION).message(WHOLE_DURATION_MESSAGE))]
    pub device_authorization_grant_id_token_lifespan: Option<String>,
    /// Refresh tokens of the grant `urn:ietf:params:oauth:grant-type:device_code`, such as `720h`. Never set: what Hydra
    /// holds stays; removed again: Hydra's `ttl.refresh_token`. Needs Hydra 25.4 or later.
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new(WHOLE_DURATION).message(WHOLE_DURATION_MESSAGE))]
    pub device_authorization_grant_refresh_token_lifespan: Option<String>,
}
