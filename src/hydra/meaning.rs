//! Clients compared by meaning, without IO.
//!
//! Hydra normalises what it stores: it fills in defaults, rewrites durations and origins, and drops
//! what a key set may not hold. What it answers is therefore never equal to what was sent, and yet
//! means the same. Every rule that is not plain equality stands here once.

mod duration;
mod json;

use std::collections::BTreeSet;

use serde_json::Value;

use super::oauth2_client::{OAuth2Client, is_empty_key_set};

/// Defaults that are the configuration of one Hydra, learned from its replies. `None`: not learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerDefaults {
    /// `oidc.dynamic_client_registration.default_scope`, space-separated.
    pub scope: Option<String>,
    /// `public` where the server supports it, otherwise the first that it does.
    pub subject_type: Option<String>,
}

impl ServerDefaults {
    /// Takes over what `newer` has learned.
    pub fn update(&mut self, newer: Self) {
        self.scope = newer.scope.or_else(|| self.scope.take());
        self.subject_type = newer.subject_type.or_else(|| self.subject_type.take());
    }
}

/// What to assume of a member that is desired at a server default that was not learned yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlearned {
    /// The observed value is the default. Finds no difference where there may be one.
    AssumeEqual,
    /// The observed value is not the default. May find a difference where there is none.
    AssumeDifferent,
}

/// A duration as Go writes it; none where Go would not read it, and for negative ones.
#[must_use]
pub fn duration(text: &str) -> Option<std::time::Duration> {
    let nanoseconds = duration::nanoseconds(text)?;
    u64::try_from(nanoseconds).ok().map(std::time::Duration::from_nanos)
}

type Canonical = fn(&str) -> String;

/// How one member is compared. Absent means empty (`""`, `[]`, `false`, `null`) throughout.
enum Meaning {
    /// Texts with one canonical form.
    Text(fn(&OAuth2Client) -> Option<&str>, Canonical),
    /// As `Text`; an empty desired one means the server's default.
    TextOrDefault(
        fn(&OAuth2Client) -> Option<&str>,
        Canonical,
        fn(&ServerDefaults) -> Option<&str>,
    ),
    /// Lists in which neither order nor repetition nor empty elements count.
    Set(fn(&OAuth2Client) -> Option<&[String]>, Canonical),
    Flag(fn(&OAuth2Client) -> Option<bool>),
    Json(fn(&OAuth2Client) -> Option<&Value>, fn(&Value, &Value) -> bool),
}

macro_rules! member {
    ($name:ident, Flag) => {
        (stringify!($name), Meaning::Flag(|client| client.$name))
    };
    ($name:ident, Json, $same:expr) => {
        (stringify!($name), Meaning::Json(|client| client.$name.as_ref(), $same))
    };
    ($name:ident, TextOrDefault, $canonical:expr) => {
        (
            stringify!($name),
            Meaning::TextOrDefault(
                |client| client.$name.as_deref(),
                $canonical,
                |defaults| defaults.$name.as_deref(),
            ),
        )
    };
    ($name:ident, $meaning:ident, $canonical:expr) => {
        (stringify!($name), Meaning::$meaning(|client| client.$name.as_deref(), $canonical))
    };
}

/// Every member that is compared. `client_id` is not among them: it is the identity.
const MEMBERS: &[(&str, Meaning)] = &[
    member!(client_name, Text, verbatim),
    member!(redirect_uris, Set, verbatim),
    member!(grant_types, Set, verbatim),
    member!(response_types, Set, tokens),
    member!(scope, TextOrDefault, tokens),
    member!(audience, Set, verbatim),
    member!(owner, Text, verbatim),
    member!(policy_uri, Text, verbatim),
    member!(tos_uri, Text, verbatim),
    member!(client_uri, Text, verbatim),
    member!(logo_uri, Text, verbatim),
    member!(allowed_cors_origins, Set, origin),
    member!(contacts, Set, verbatim),
    member!(subject_type, TextOrDefault, verbatim),
    member!(sector_identifier_uri, Text, verbatim),
    member!(jwks_uri, Text, verbatim),
    member!(jwks, Json, json::same_keys),
    member!(token_endpoint_auth_method, Text, |text| or(text, "client_secret_basic")),
    member!(token_endpoint_auth_signing_alg, Text, |text| or(text, "RS256")),
    member!(request_uris, Set, verbatim),
    member!(request_object_signing_alg, Text, verbatim),
    member!(userinfo_signed_response_alg, Text, |text| or(text, "none")),
    member!(frontchannel_logout_uri, Text, verbatim),
    member!(frontchannel_logout_session_required, Flag),
    member!(backchannel_logout_uri, Text, verbatim),
    member!(backchannel_logout_session_required, Flag),
    member!(post_logout_redirect_uris, Set, verbatim),
    member!(metadata, Json, json::same_metadata),
    member!(access_token_strategy, Text, str::to_lowercase),
    member!(skip_consent, Flag),
    member!(skip_logout_consent, Flag),
    member!(authorization_code_grant_access_token_lifespan, Text, lifespan),
    member!(authorization_code_grant_id_token_lifespan, Text, lifespan),
    member!(authorization_code_grant_refresh_token_lifespan, Text, lifespan),
    member!(client_credentials_grant_access_token_lifespan, Text, lifespan),
    member!(device_authorization_grant_access_token_lifespan, Text, lifespan),
    member!(device_authorization_grant_id_token_lifespan, Text, lifespan),
    member!(device_authorization_grant_refresh_token_lifespan, Text, lifespan),
    member!(implicit_grant_access_token_lifespan, Text, lifespan),
    member!(implicit_grant_id_token_lifespan, Text, lifespan),
    member!(jwt_bearer_grant_access_token_lifespan, Text, lifespan),
    member!(password_grant_access_token_lifespan, Text, lifespan),
    member!(password_grant_refresh_token_lifespan, Text, lifespan),
    member!(refresh_token_grant_access_token_lifespan, Text, lifespan),
    member!(refresh_token_grant_id_token_lifespan, Text, lifespan),
    member!(refresh_token_grant_refresh_token_lifespan, Text, lifespan),
];

/// Whether Hydra takes `text` for a duration: an optional sign, then `0` or numbers with units, as
/// Go's `time.ParseDuration` reads them. Hydra 1 answers 500 to another text, 2 answers 400.
#[must_use]
pub fn is_duration(text: &str) -> bool {
    duration::nanoseconds(text).is_some()
}

/// The members, by their names on the wire, that are managed (`Some` in `desired`) and whose
/// observed value does not mean the same. Without differences nothing needs to be written.
#[must_use]
pub fn differences(
    desired: &OAuth2Client,
    observed: &OAuth2Client,
    defaults: &ServerDefaults,
    unlearned: Unlearned,
) -> Vec<&'static str> {
    MEMBERS
        .iter()
        .filter(|(_, meaning)| meaning.differs(desired, observed, defaults, unlearned))
        .map(|(name, _)| *name)
        .collect()
}

/// What a write and its reply say about the server's defaults: where nothing was sent, the reply
/// holds the default.
#[must_use]
pub fn learn(sent: &OAuth2Client, reply: &OAuth2Client) -> ServerDefaults {
    let learned = |sent: &Option<String>, reply: &Option<String>| {
        if sent.as_deref().is_none_or(str::is_empty) { reply.clone() } else { None }
    };
    ServerDefaults {
        scope: learned(&sent.scope, &reply.scope),
        subject_type: learned(&sent.subject_type, &reply.subject_type),
    }
}

/// The body of a PUT, which replaces the whole client: `desired`, and for every member that it does
/// not manage the observed value, members unknown to the model included.
///
/// What only the server sets is left out, and so is an empty key set. Of `jwks` and `jwks_uri`,
/// which exclude each other, an observed one gives way to a desired one.
#[must_use]
pub fn merged(desired: &OAuth2Client, observed: &OAuth2Client) -> OAuth2Client {
    let mut body = desired.clone();
    body.inherit(observed);
    if desired.jwks.is_none() && desired.jwks_uri.as_deref().is_some_and(|uri| !uri.is_empty()) {
        body.jwks = None;
    }
    if desired.jwks_uri.is_none() && desired.jwks.as_ref().is_some_and(|set| !is_empty_key_set(set))
    {
        body.jwks_uri = None;
    }
    body.into_writable()
}

impl Meaning {
    fn differs(
        &self,
        desired: &OAuth2Client,
        observed: &OAuth2Client,
        defaults: &ServerDefaults,
        unlearned: Unlearned,
    ) -> bool {
        match self {
            Self::Text(get, canonical) => get(desired).is_some_and(|text| {
                canonical(text) != canonical(get(observed).unwrap_or_default())
            }),
            Self::TextOrDefault(get, canonical, default) => get(desired).is_some_and(|text| {
                let observed = get(observed).unwrap_or_default();
                match default(defaults) {
                    // No server with a default answers with an empty text.
                    _ if !text.is_empty() || observed.is_empty() => {
                        canonical(text) != canonical(observed)
                    }
                    Some(default) => canonical(default) != canonical(observed),
                    None => unlearned == Unlearned::AssumeDifferent,
                }
            }),
            Self::Set(get, canonical) => get(desired).is_some_and(|list| {
                set(list, *canonical) != set(get(observed).unwrap_or_default(), *canonical)
            }),
            Self::Flag(get) => {
                get(desired).is_some_and(|flag| flag != get(observed).unwrap_or_default())
            }
            Self::Json(get, same) => get(desired)
                .is_some_and(|value| !same(value, get(observed).unwrap_or(&Value::Null))),
        }
    }
}

fn set(list: &[String], canonical: Canonical) -> BTreeSet<String> {
    list.iter().filter(|element| !element.is_empty()).map(|element| canonical(element)).collect()
}

fn verbatim(text: &str) -> String {
    text.to_owned()
}

fn or(text: &str, default: &str) -> String {
    if text.is_empty() { default } else { text }.to_owned()
}

/// Space-separated words in which neither order nor repetition counts (RFC 6749, sections 3.1.1 and
/// 3.3).
fn tokens(text: &str) -> String {
    let tokens: BTreeSet<_> = text.split_whitespace().collect();
    tokens.into_iter().collect::<Vec<_>>().join(" ")
}

/// Scheme and host are case-insensitive, and an origin has no path (RFC 6454, section 4).
fn origin(text: &str) -> String {
    text.trim_end_matches('/').to_ascii_lowercase()
}

/// `1h` and `60m` mean the same; an empty lifespan (the server's) and `0s` do not. What is no
/// duration stays as it is.
fn lifespan(text: &str) -> String {
    duration::nanoseconds(text).map_or_else(|| text.to_owned(), |ns| format!("{ns}ns"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};
    use serde_json::{Map, json};

    use super::*;

    const DEFAULT_SCOPE: &str = "offline_access offline openid";

    fn client(value: Value) -> OAuth2Client {
        serde_json::from_value(value).unwrap()
    }

    fn compare(desired: Value, observed: Value) -> Vec<&'static str> {
        let defaults = ServerDefaults::default();
        differences(&client(desired), &client(observed), &defaults, Unlearned::AssumeEqual)
    }

    #[test]
    fn every_member_but_the_identity_is_compared() {
        let compared: Vec<_> = MEMBERS.iter().map(|(name, _)| *name).collect();
        let mut written = OAuth2Client::MEMBERS.to_vec();
        written.retain(|name| *name != "client_id");
        assert_eq!(compared, written);
    }

    #[test]
    fn what_means_the_same_is_no_difference() {
        for (desired, observed) in [
            (json!({}), json!({"client_name": "x", "scope": "y", "skip_consent": true})),
            (json!({"client_id": "a"}), json!({"client_id": "b"})),
            (json!({"redirect_uris": []}), json!({"redirect_uris": null})),
            (json!({"redirect_uris": ["b", "a", "a", ""]}), json!({"redirect_uris": ["a", "b"]})),
            (
                json!({"response_types": ["code id_token"]}),
                json!({"response_types": ["id_token code"]}),
            ),
            (json!({"scope": "b  a"}), json!({"scope": "a b"})),
            (
                json!({"token_endpoint_auth_method": ""}),
                json!({"token_endpoint_auth_method": "client_secret_basic"}),
            ),
            (
                json!({"token_endpoint_auth_signing_alg": ""}),
                json!({"token_endpoint_auth_signing_alg": "RS256"}),
            ),
            (
                json!({"userinfo_signed_response_alg": ""}),
                json!({"userinfo_signed_response_alg": "none"}),
            ),
            (json!({"skip_logout_consent": false}), json!({"skip_logout_consent": null})),
            (json!({"metadata": {}}), json!({"metadata": null})),
            (json!({"jwks": {"keys": []}}), json!({"jwks": {}})),
            (
                json!({"allowed_cors_origins": ["https://A.example/"]}),
                json!({"allowed_cors_origins": ["https://a.example"]}),
            ),
            (json!({"access_token_strategy": "JWT"}), json!({"access_token_strategy": "jwt"})),
            (
                json!({"implicit_grant_id_token_lifespan": "90m"}),
                json!({"implicit_grant_id_token_lifespan": "1h30m0s"}),
            ),
            (
                json!({"implicit_grant_id_token_lifespan": ""}),
                json!({"implicit_grant_id_token_lifespan": null}),
            ),
            (json!({"client_secret_expires_at": 5}), json!({"client_secret_expires_at": 0})),
        ] {
            assert_eq!(compare(desired.clone(), observed.clone()), [""; 0], "{desired} {observed}");
        }
    }

    #[test]
    fn what_means_something_else_is_named() {
        for (desired, observed, name) in [
            (json!({"owner": "a/b"}), json!({"owner": "A/b"}), "owner"),
            (json!({"owner": "a/b"}), json!({}), "owner"),
            (
                json!({"redirect_uris": ["a"]}),
                json!({"redirect_uris": ["a", "b"]}),
                "redirect_uris",
            ),
            (json!({"redirect_uris": []}), json!({"redirect_uris": ["a"]}), "redirect_uris"),
            (json!({"skip_consent": false}), json!({"skip_consent": true}), "skip_consent"),
            (json!({"skip_consent": true}), json!({}), "skip_consent"),
            (json!({"metadata": {"a": 1}}), json!({"metadata": {"a": 2}}), "metadata"),
            (json!({"scope": "a"}), json!({"scope": "a b"}), "scope"),
            (
                json!({"implicit_grant_id_token_lifespan": "0s"}),
                json!({}),
                "implicit_grant_id_token_lifespan",
            ),
            (json!({"jwks_uri": "https://a"}), json!({}), "jwks_uri"),
        ] {
            assert_eq!(compare(desired.clone(), observed.clone()), [name], "{desired} {observed}");
        }
    }

    #[test]
    fn defaults_of_the_server_are_learned() {
        let desired = client(json!({"scope": "", "subject_type": ""}));
        let observed = client(json!({"scope": "x y", "subject_type": "pairwise"}));
        let unknown = ServerDefaults::default();
        let diff = |defaults: &ServerDefaults, unlearned| {
            differences(&desired, &observed, defaults, unlearned)
        };
        assert_eq!(diff(&unknown, Unlearned::AssumeEqual), [""; 0]);
        assert_eq!(diff(&unknown, Unlearned::AssumeDifferent), ["scope", "subject_type"]);

        let mut defaults =
            learn(&desired, &client(json!({"scope": "openid", "subject_type": "public"})));
        assert_eq!(diff(&defaults, Unlearned::AssumeEqual), ["scope", "subject_type"]);
        defaults.update(learn(&client(json!({"subject_type": "public"})), &observed));
        assert_eq!(defaults.scope.as_deref(), Some("x y"));
        assert_eq!(defaults.subject_type.as_deref(), Some("public"));
        assert_eq!(learn(&client(json!({"scope": "a", "subject_type": "b"})), &observed), unknown);
    }

    #[test]
    fn a_put_keeps_what_is_not_managed() {
        let body = merged(
            &client(json!({"client_name": "new", "contacts": []})),
            &client(json!({
                "client_id": "a", "client_name": "old", "logo_uri": "https://l", "contacts": ["c"],
                "require_pkce": true, "jwks": {}, "jwks_uri": "https://keys",
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
                "client_secret_expires_at": 0, "registration_access_token": "t",
                "registration_client_uri": "u", "client_secret": "s",
            })),
        );
        assert_eq!(
            serde_json::to_value(body).unwrap(),
            json!({
                "client_id": "a", "client_name": "new", "logo_uri": "https://l", "contacts": [],
                "require_pkce": true, "jwks_uri": "https://keys",
            })
        );
    }

    #[test]
    fn of_jwks_and_jwks_uri_the_desired_one_wins() {
        let keys = json!({"keys": [{"kty": "oct", "k": "AQ"}]});
        let with_uri =
            merged(&client(json!({"jwks_uri": "https://k"})), &client(json!({"jwks": keys})));
        assert_eq!((with_uri.jwks, with_uri.jwks_uri.as_deref()), (None, Some("https://k")));
        let with_keys =
            merged(&client(json!({"jwks": keys})), &client(json!({"jwks_uri": "https://k"})));
        assert_eq!((with_keys.jwks, with_keys.jwks_uri), (Some(keys), None));
    }

    fn list_of(elements: &'static [&'static str]) -> BoxedStrategy<Value> {
        subsequence(elements, 0..=elements.len())
            .prop_shuffle()
            .prop_map(|list| json!(list))
            .boxed()
    }

    fn text_of(texts: &'static [&'static str]) -> BoxedStrategy<Value> {
        select(texts).prop_map(|text| json!(text)).boxed()
    }

    fn value_of(name: &str) -> BoxedStrategy<Value> {
        match name {
            "scope" => text_of(&["", "openid", "a b", "b a", "offline_access offline openid"]),
            "subject_type" => text_of(&["", "public", "pairwise"]),
            "token_endpoint_auth_method" => text_of(&["", "none", "client_secret_basic"]),
            "token_endpoint_auth_signing_alg" => text_of(&["", "RS256", "ES256"]),
            "userinfo_signed_response_alg" => text_of(&["", "none", "RS256"]),
            "access_token_strategy" => text_of(&["", "jwt", "JWT", "Opaque"]),
            "allowed_cors_origins" => list_of(&["https://a", "https://b/", "HTTPS://c//"]),
            "response_types" => list_of(&["code", "code id_token", "id_token token"]),
            "jwks" => select(vec![
                json!({}),
                json!({"keys": []}),
                json!({"keys": [{"kty": "RSA", "kid": "1", "n": "AAEC", "e": "AQAB", "vendor": 1}]}),
            ])
            .boxed(),
            "metadata" => select(vec![json!({}), json!({"a": [1, null]}), json!("text")]).boxed(),
            _ if name.ends_with("_lifespan") => text_of(&["", "0s", "1h", "90m", "1.5s", "100ms"]),
            _ if name.starts_with("skip_") || name.ends_with("_required") => {
                any::<bool>().prop_map(Value::Bool).boxed()
            }
            _ if is_list(name) => list_of(&["a", "b", "c"]),
            _ => text_of(&["", "x", "y"]),
        }
    }

    fn is_list(name: &str) -> bool {
        serde_json::from_value::<OAuth2Client>(json!({ name: [] }))
            .is_ok_and(|client| client.managed() == [name])
    }

    fn clients() -> impl Strategy<Value = OAuth2Client> {
        OAuth2Client::MEMBERS
            .iter()
            .map(|name| {
                prop::option::of(value_of(name)).prop_map(|value| value.map(|value| (*name, value)))
            })
            .collect::<Vec<_>>()
            .prop_map(|members| {
                client(
                    members
                        .into_iter()
                        .flatten()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            })
    }

    /// What Hydra 2 answers to a write, as far as it rewrites: defaults filled in, durations,
    /// origins and key sets in its own form, lists as `[]` or absent.
    fn stored(sent: &OAuth2Client) -> OAuth2Client {
        let Value::Object(mut members) = serde_json::to_value(sent).unwrap() else {
            unreachable!()
        };
        fill(&mut members, "scope", DEFAULT_SCOPE);
        fill(&mut members, "subject_type", "public");
        fill(&mut members, "token_endpoint_auth_method", "client_secret_basic");
        fill(&mut members, "userinfo_signed_response_alg", "none");
        for (name, value) in &mut members {
            match (name.as_str(), &*value) {
                ("jwks", jwks) if jwks["keys"].as_array().is_some_and(|keys| !keys.is_empty()) => {
                    *value = json!({"keys": [{"kty": "RSA", "kid": "1", "n": "AQI", "e": "AQAB"}]});
                }
                ("jwks", _) => *value = json!({}),
                ("access_token_strategy", Value::String(text)) => {
                    *value = json!(text.to_lowercase());
                }
                ("allowed_cors_origins", Value::Array(list)) => {
                    *value = list
                        .iter()
                        .map(|origin| {
                            let origin = origin.as_str().unwrap().trim_end_matches('/');
                            json!(origin.replace("HTTPS", "https"))
                        })
                        .collect();
                }
                (_, Value::String(text)) if name.ends_with("_lifespan") => {
                    *value = json!(match text.as_str() {
                        "1h" => "1h0m0s",
                        "90m" => "1h30m0s",
                        other => other,
                    });
                }
                (_, Value::Array(list)) if list.is_empty() => *value = Value::Null,
                _ => {}
            }
        }
        client(Value::Object(members))
    }

    fn fill(members: &mut Map<String, Value>, name: &str, default: &str) {
        let value = members.entry(name).or_insert_with(|| json!(""));
        if value == "" {
            *value = json!(default);
        }
    }

    proptest! {
        #[test]
        fn what_the_server_made_of_a_client_is_that_client(desired in clients()) {
            let reply = stored(&desired);
            let defaults = learn(&desired, &reply);
            for unlearned in [Unlearned::AssumeEqual, Unlearned::AssumeDifferent] {
                prop_assert_eq!(differences(&desired, &reply, &defaults, unlearned), [""; 0]);
            }
        }

        #[test]
        fn a_put_settles_every_difference(desired in clients(), observed in clients()) {
            let body = merged(&desired, &stored(&observed));
            let reply = stored(&body);
            let defaults = learn(&body, &reply);
            let unknown = ServerDefaults::default();
            for unlearned in [Unlearned::AssumeEqual, Unlearned::AssumeDifferent] {
                prop_assert_eq!(differences(&desired, &body, &unknown, unlearned), [""; 0]);
                prop_assert_eq!(differences(&desired, &reply, &defaults, unlearned), [""; 0]);
            }
        }

        #[test]
        fn the_order_of_sets_does_not_matter(desired in clients(), observed in clients()) {
            let mut turned = observed.clone();
            let sets = [&mut turned.redirect_uris, &mut turned.grant_types, &mut turned.contacts];
            sets.into_iter().flatten().for_each(|list| list.reverse());
            let defaults = ServerDefaults::default();
            let assumed = Unlearned::AssumeEqual;
            let diff = |observed| differences(&desired, observed, &defaults, assumed);
            prop_assert_eq!(diff(&observed), diff(&turned));
        }

        #[test]
        fn only_managed_members_are_compared(desired in clients(), observed in clients()) {
            let managed = desired.managed();
            let defaults = ServerDefaults::default();
            let found = differences(&desired, &observed, &defaults, Unlearned::AssumeDifferent);
            prop_assert!(found.iter().all(|name| managed.contains(name)));
        }
    }
}
