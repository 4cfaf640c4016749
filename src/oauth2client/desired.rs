//! What the resource asks for: pure, from the resource and the set whose keys its client is to have.

use serde_json::{Map, Value, json};

use super::{
    error::{Failure, Reason},
    key_set::{KeySet, Link, linked},
    record::Record,
};
use crate::{
    api::{
        OAuth2Client, OAuth2ClientSpec,
        oauth2client::{LinkedKeys, TokenEndpointAuthMethod, TokenLifespans},
    },
    controller::ResourceKey,
    hydra::{self, ClientId, meaning},
    kubernetes::secrets,
};

/// The desired state of one client.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The client as it shall be in Hydra, without its id. Members that are `None` are not
    /// managed: what Hydra holds there survives.
    pub client: hydra::OAuth2Client,
    /// The id that the spec asks for.
    pub client_id: Option<ClientId>,
    /// Name of the Secret in the namespace of the resource.
    pub secret_name: String,
    /// Whether the client authenticates with a client secret (RFC 6749 2.3.1).
    pub needs_secret: bool,
    /// Whether the Secret is somebody else's to make.
    pub require_existing_secret: bool,
    /// The client id for which the user agrees to give up the client that is held.
    pub change_client_id_to: Option<String>,
    /// The keys of the `JsonWebKeySet` that the client is to have, as status records them.
    pub linked: Option<LinkedKeys>,
}

/// The owner mark of a resource on its client in Hydra, in hydra-maester's order: name first.
#[must_use]
pub fn owner_mark(namespace: &str, name: &str) -> String {
    format!("{name}/{namespace}")
}

/// The resource that an owner mark names, if it is a mark of ours.
#[must_use]
pub fn marked(mark: &str) -> Option<ResourceKey> {
    let (name, namespace) = mark.split_once('/')?;
    let names = !name.is_empty() && !namespace.is_empty() && !namespace.contains('/');
    names.then(|| (namespace.to_owned(), name.to_owned()))
}

/// Whether the spec asks for a client that authenticates with a client secret.
#[must_use]
pub fn needs_secret(spec: &OAuth2ClientSpec) -> bool {
    use TokenEndpointAuthMethod::{None as Public, PrivateKeyJwt};
    !matches!(spec.token_endpoint_auth_method, Some(Public | PrivateKeyJwt))
}

/// The desired state that `resource` declares, or why there is none. `link`: the set that it refers to.
pub fn desired(resource: &OAuth2Client, link: &Link) -> Result<Desired, Failure> {
    let spec = &resource.spec;
    let client_id = set(spec.client_id.as_deref())
        .map(ClientId::parse)
        .transpose()
        .map_err(|error| invalid(format!("spec.clientId cannot be used: {error}")))?;
    check(spec)?;
    let set = linked(resource, link, Record::of(resource).settled)?;
    let recorded = resource.status.as_ref().map_or(&[][..], |status| &status.managed);
    let namespace = resource.metadata.namespace.as_deref().unwrap_or_default();
    let name = resource.metadata.name.as_deref().unwrap_or_default();
    Ok(Desired {
        client: with_keys(client(spec, recorded, owner_mark(namespace, name)), set),
        client_id,
        secret_name: spec.secret_name.clone(),
        needs_secret: needs_secret(spec),
        require_existing_secret: spec.require_existing_secret == Some(true),
        change_client_id_to: resource.change_client_id_to().map(ToOwned::to_owned),
        linked: set.map(|set| set.held().clone()),
    })
}

fn check(spec: &OAuth2ClientSpec) -> Result<(), Failure> {
    if spec.secret_name.is_empty() || spec.grant_types.is_empty() {
        return Err(invalid("spec.secretName and spec.grantTypes are required; set both"));
    }
    if !secrets::is_name(&spec.secret_name) {
        return Err(invalid(
            "spec.secretName is no name that a Secret can have; write lower-case letters, digits, \
             - and ., as in shop-credentials",
        ));
    }
    let has_jwks_uri = set(spec.jwks_uri.as_deref().map(String::as_str)).is_some();
    let sources = [spec.jwks.is_some(), has_jwks_uri, spec.jwks_from.is_some()];
    let sources = sources.into_iter().filter(|is_set| *is_set).count();
    if sources > 1 {
        return Err(invalid(
            "spec.jwks, spec.jwksUri and spec.jwksFrom exclude each other; keep one of them",
        ));
    }
    let signs = spec.token_endpoint_auth_method == Some(TokenEndpointAuthMethod::PrivateKeyJwt);
    if signs && sources == 0 {
        return Err(invalid(
            "tokenEndpointAuthMethod private_key_jwt needs the client's public keys: set \
             spec.jwks, spec.jwksUri or spec.jwksFrom",
        ));
    }
    check_lifespans(spec)
}

/// Hydra 1 answers to such a lifespan as if it had trouble of its own.
fn check_lifespans(spec: &OAuth2ClientSpec) -> Result<(), Failure> {
    let lifespans = serde_json::to_value(&spec.token_lifespans).unwrap_or_default();
    let all = lifespans.as_object().into_iter().flatten();
    let is_none = |text: &str| !text.is_empty() && !meaning::is_duration(text);
    match all.into_iter().find(|(_, value)| value.as_str().is_some_and(is_none)) {
        Some((name, value)) => Err(invalid(format!(
            "spec.tokenLifespans.{name} is {value}, which is no duration; write numbers with units, \
             as in 1h30m"
        ))),
        None => Ok(()),
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::terminal(Reason::InvalidSpec, message)
}

/// The members of the client that are managed only while the spec sets them, of those it sets:
/// hydra-maester has no fields for them, and what was put into Hydra by other means stays.
#[must_use]
pub fn optional_members(spec: &OAuth2ClientSpec) -> Vec<&'static str> {
    let lifespans = spec.token_lifespans.as_deref().cloned().unwrap_or_default();
    [
        (JWKS, spec.jwks.is_some() || spec.jwks_from.is_some()),
        (DEVICE_ACCESS, lifespans.device_authorization_grant_access_token_lifespan.is_some()),
        (DEVICE_ID, lifespans.device_authorization_grant_id_token_lifespan.is_some()),
        (DEVICE_REFRESH, lifespans.device_authorization_grant_refresh_token_lifespan.is_some()),
    ]
    .into_iter()
    .filter_map(|(member, is_set)| is_set.then_some(member))
    .collect()
}

/// The member with the keys, on the wire.
pub const JWKS: &str = "jwks";
const DEVICE_ACCESS: &str = "device_authorization_grant_access_token_lifespan";
const DEVICE_ID: &str = "device_authorization_grant_id_token_lifespan";
const DEVICE_REFRESH: &str = "device_authorization_grant_refresh_token_lifespan";

/// hydra-maester's fields are always managed: unset means Hydra's default, which its write model
/// spells as an empty value. Fields that it lacks are managed where they are set, or were:
/// `recorded` names those that the operator has set.
fn client(spec: &OAuth2ClientSpec, recorded: &[String], owner: String) -> hydra::OAuth2Client {
    let text = |value: Option<&String>| Some(value.cloned().unwrap_or_default());
    let list = |value: Option<&Vec<String>>| Some(value.cloned().unwrap_or_default());
    let client = hydra::OAuth2Client {
        owner: Some(owner),
        client_name: text(spec.client_name.as_ref()),
        grant_types: Some(spec.grant_types.clone()),
        response_types: list(spec.response_types.as_ref()),
        redirect_uris: list(spec.redirect_uris.as_ref()),
        request_uris: list(spec.request_uris.as_deref()),
        post_logout_redirect_uris: list(spec.post_logout_redirect_uris.as_deref()),
        allowed_cors_origins: list(spec.allowed_cors_origins.as_deref()),
        audience: list(spec.audience.as_ref()),
        contacts: list(spec.contacts.as_deref()),
        scope: Some(scope(spec)),
        skip_consent: Some(spec.skip_consent),
        skip_logout_consent: Some(spec.skip_logout_consent),
        token_endpoint_auth_method: Some(auth_method(spec)),
        token_endpoint_auth_signing_alg: text(spec.token_endpoint_auth_signing_alg.as_deref()),
        request_object_signing_alg: text(spec.request_object_signing_alg.as_deref()),
        userinfo_signed_response_alg: text(spec.userinfo_signed_response_alg.as_deref()),
        subject_type: text(spec.subject_type.as_deref()),
        sector_identifier_uri: text(spec.sector_identifier_uri.as_deref()),
        access_token_strategy: text(spec.access_token_strategy.as_deref()),
        metadata: Some(
            spec.metadata.as_deref().cloned().unwrap_or_else(|| Value::Object(Map::new())),
        ),
        jwks_uri: text(spec.jwks_uri.as_deref()),
        logo_uri: text(spec.logo_uri.as_deref()),
        client_uri: text(spec.client_uri.as_deref()),
        policy_uri: text(spec.policy_uri.as_deref()),
        tos_uri: text(spec.tos_uri.as_deref()),
        frontchannel_logout_uri: text(spec.front_channel_logout_uri.as_deref()),
        frontchannel_logout_session_required: Some(spec.front_channel_logout_session_required),
        backchannel_logout_uri: text(spec.back_channel_logout_uri.as_deref()),
        backchannel_logout_session_required: Some(spec.back_channel_logout_session_required),
        jwks: jwks(spec, recorded),
        ..hydra::OAuth2Client::default()
    };
    with_lifespans(client, spec.token_lifespans.as_deref().cloned().unwrap_or_default(), recorded)
}

fn auth_method(spec: &OAuth2ClientSpec) -> String {
    let method = spec.token_endpoint_auth_method.as_ref();
    method.map_or_else(String::new, |method| method.as_str().to_owned())
}

/// Keys that were put into Hydra by other means stay while the spec says nothing about keys; where
/// it names an address for them they go, because Hydra refuses both.
fn jwks(spec: &OAuth2ClientSpec, recorded: &[String]) -> Option<Value> {
    let by_address = set(spec.jwks_uri.as_deref().map(String::as_str)).is_some();
    let cleared = || (by_address || was_set(JWKS, recorded)).then(|| Value::Object(Map::new()));
    spec.jwks.as_ref().map(|jwks| json!({ "keys": jwks.keys })).or_else(cleared)
}

/// Hydra checks the assertions of a client with one algorithm alone.
fn with_keys(client: hydra::OAuth2Client, set: Option<&KeySet>) -> hydra::OAuth2Client {
    let Some(set) = set else { return client };
    hydra::OAuth2Client {
        jwks: Some(set.jwks()),
        token_endpoint_auth_signing_alg: Some(set.algorithm().to_owned()),
        ..client
    }
}

fn was_set(member: &str, recorded: &[String]) -> bool {
    recorded.iter().any(|known| known == member)
}

/// `scopeArray` joined by spaces, then `scope` (hydra-maester's rule).
fn scope(spec: &OAuth2ClientSpec) -> String {
    let items = spec.scope_array.iter().flatten().map(String::as_str);
    items.chain(spec.scope.as_deref()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn with_lifespans(
    client: hydra::OAuth2Client,
    lifespans: TokenLifespans,
    recorded: &[String],
) -> hydra::OAuth2Client {
    let managed = |lifespan: Option<String>| Some(lifespan.unwrap_or_default());
    let optional = |member, lifespan: Option<String>| {
        lifespan.or_else(|| was_set(member, recorded).then(String::new))
    };
    // Without `..`: a lifespan that is added to the resource must find its way to Hydra.
    let TokenLifespans {
        authorization_code_grant_access_token_lifespan,
        authorization_code_grant_id_token_lifespan,
        authorization_code_grant_refresh_token_lifespan,
        client_credentials_grant_access_token_lifespan,
        implicit_grant_access_token_lifespan,
        implicit_grant_id_token_lifespan,
        jwt_bearer_grant_access_token_lifespan,
        refresh_token_grant_access_token_lifespan,
        refresh_token_grant_id_token_lifespan,
        refresh_token_grant_refresh_token_lifespan,
        device_authorization_grant_access_token_lifespan,
        device_authorization_grant_id_token_lifespan,
        device_authorization_grant_refresh_token_lifespan,
    } = lifespans;
    hydra::OAuth2Client {
        authorization_code_grant_access_token_lifespan: managed(
            authorization_code_grant_access_token_lifespan,
        ),
        authorization_code_grant_id_token_lifespan: managed(
            authorization_code_grant_id_token_lifespan,
        ),
        authorization_code_grant_refresh_token_lifespan: managed(
            authorization_code_grant_refresh_token_lifespan,
        ),
        client_credentials_grant_access_token_lifespan: managed(
            client_credentials_grant_access_token_lifespan,
        ),
        implicit_grant_access_token_lifespan: managed(implicit_grant_access_token_lifespan),
        implicit_grant_id_token_lifespan: managed(implicit_grant_id_token_lifespan),
        jwt_bearer_grant_access_token_lifespan: managed(jwt_bearer_grant_access_token_lifespan),
        refresh_token_grant_access_token_lifespan: managed(
            refresh_token_grant_access_token_lifespan,
        ),
        refresh_token_grant_id_token_lifespan: managed(refresh_token_grant_id_token_lifespan),
        refresh_token_grant_refresh_token_lifespan: managed(
            refresh_token_grant_refresh_token_lifespan,
        ),
        device_authorization_grant_access_token_lifespan: optional(
            DEVICE_ACCESS,
            device_authorization_grant_access_token_lifespan,
        ),
        device_authorization_grant_id_token_lifespan: optional(
            DEVICE_ID,
            device_authorization_grant_id_token_lifespan,
        ),
        device_authorization_grant_refresh_token_lifespan: optional(
            DEVICE_REFRESH,
            device_authorization_grant_refresh_token_lifespan,
        ),
        ..client
    }
}

/// `value`, unless it is empty: an empty string means unset.
fn set(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oauth2client::testing::{resource, with_status};

    fn reason_of(spec: &Value) -> &'static str {
        desired(&resource(spec), &Link::None)
            .map_or_else(|failure| failure.reason.as_str(), |_| "fine")
    }

    fn spec(more: &Value) -> Value {
        let mut spec = json!({ "grantTypes": ["client_credentials"], "secretName": "s" });
        if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
            spec.extend(more.clone());
        }
        spec
    }

    #[test]
    fn contradictions_are_named_and_unset_spellings_are_none() {
        let keys = json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] });
        let cases = [
            (json!({}), "fine"),
            (json!({ "hydraAdmin": {} }), "fine"),
            (json!({ "hydraAdmin": { "url": "", "port": 0 } }), "fine"),
            (json!({ "hydraAdmin": { "port": 4445, "endpoint": "/clients" } }), "fine"),
            (json!({ "tokenEndpointAuthMethod": "private_key_jwt" }), "InvalidSpec"),
            (json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwksUri": "" }), "InvalidSpec"),
            (json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwks": keys }), "fine"),
            (json!({ "jwks": keys, "jwksUri": "https://a.example" }), "InvalidSpec"),
            (json!({ "jwks": keys, "jwksUri": "" }), "fine"),
            (json!({ "secretName": "My_Secret" }), "InvalidSpec"),
            (json!({ "secretName": "norm?watch=1" }), "InvalidSpec"),
            (json!({ "secretName": "" }), "InvalidSpec"),
            (json!({ "clientId": ".." }), "InvalidSpec"),
            (json!({ "clientId": "" }), "fine"),
            (json!({ "tokenLifespans": { "implicit_grant_id_token_lifespan": "1h30m" } }), "fine"),
            (json!({ "tokenLifespans": { "implicit_grant_id_token_lifespan": "" } }), "fine"),
            (
                json!({ "tokenLifespans": { "implicit_grant_id_token_lifespan": "1 hour" } }),
                "InvalidSpec",
            ),
        ];
        for (more, expected) in cases {
            assert_eq!(reason_of(&spec(&more)), expected, "{more}");
        }
    }

    #[test]
    fn what_was_set_once_and_is_set_no_more_is_cleared() {
        let recorded = with_status(
            &spec(&json!({})),
            &json!({ "managed": ["jwks", "device_authorization_grant_id_token_lifespan"] }),
        );
        let client =
            desired(&recorded, &Link::None).unwrap_or_else(|failure| panic!("{failure}")).client;
        assert_eq!(client.jwks, Some(json!({})));
        let lifespan = client.device_authorization_grant_id_token_lifespan;
        assert_eq!(lifespan.as_deref(), Some(""));
        assert_eq!(client.device_authorization_grant_access_token_lifespan, None);
    }

    #[test]
    fn scopes_of_both_fields_count() {
        let cases = [
            (json!({}), ""),
            (json!({ "scope": "a b" }), "a b"),
            (json!({ "scopeArray": ["a", "b"] }), "a b"),
            (json!({ "scopeArray": ["a", "b"], "scope": "c" }), "a b c"),
            (json!({ "scopeArray": [], "scope": "" }), ""),
        ];
        for (more, expected) in cases {
            let desired =
                desired(&resource(&spec(&more)), &Link::None).unwrap_or_else(|f| panic!("{f}"));
            assert_eq!(desired.client.scope.as_deref(), Some(expected), "{more}");
        }
    }

    #[test]
    fn what_maester_manages_is_managed_and_nothing_else() {
        let managed = |more: &Value| {
            let desired =
                desired(&resource(&spec(more)), &Link::None).unwrap_or_else(|f| panic!("{f}"));
            desired.client.managed()
        };
        let plain = managed(&json!({}));
        for foreign in ["jwks", "device_authorization_grant_id_token_lifespan"] {
            assert!(!plain.contains(&foreign), "{foreign}");
        }
        for ours in ["owner", "scope", "metadata", "jwks_uri", "implicit_grant_id_token_lifespan"] {
            assert!(plain.contains(&ours), "{ours}");
        }
        assert!(managed(&json!({ "jwksUri": "https://shop.example/jwks" })).contains(&"jwks"));
    }
}
