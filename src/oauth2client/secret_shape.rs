//! How the Secret shall look: pure, from the spec, the operator's settings and what Hydra says about
//! itself.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::{
    error::{Failure, Reason},
    record::Record,
};
use crate::{
    api::{CREDENTIALS_LABEL, OAuth2ClientSpec},
    hydra::{ClientId, ClientSecret, WellKnown},
    kubernetes::{KeyPair, Lookup, SecretContent, secret_content::OPAQUE},
    secret_template::{self, InvalidTemplate, check_metadata, further_data},
};

/// Where the template stands.
const FIELD: &str = "spec.secretTemplate";

/// The keys that hydra-maester used before v0.0.31. Secrets from then still exist.
const FORMER_KEYS: (&str, &str) = ("client_id", "client_secret");

/// The keys that hydra-maester uses where it is told no others.
const MAESTER_KEYS: (&str, &str) = ("CLIENT_ID", "CLIENT_SECRET");

/// How the Secret of a resource shall look.
#[derive(Clone)]
pub struct SecretShape {
    /// The keys of the credentials.
    pub keys: KeyPair,
    /// Further keys that hold the client id.
    id_aliases: Vec<String>,
    /// Further keys that hold the client secret.
    secret_aliases: Vec<String>,
    /// Keys that are good as well if the Secret has them already.
    accepted: Option<KeyPair>,
    secret_type: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    extra: BTreeMap<String, String>,
}

/// How to look at the Secret of a resource. `default` are the keys of the operator.
#[must_use]
pub fn lookup(
    spec: &OAuth2ClientSpec,
    default: &KeyPair,
    record: &Record,
    needs_secret: bool,
) -> Lookup {
    let maesters = KeyPair::new(MAESTER_KEYS.0, MAESTER_KEYS.1);
    let keys = keys(spec, default);
    Lookup {
        mark: (keys != *default).then_some(CREDENTIALS_LABEL),
        keys,
        recorded: record.keys.clone(),
        accepted: accepted(spec).into_iter().collect(),
        // Of a Secret that hydra-maester made nothing is recorded, and either name may have changed.
        traces: vec![default.clone(), maesters, former_keys()],
        needs_secret,
    }
}

fn former_keys() -> KeyPair {
    KeyPair::new(FORMER_KEYS.0, FORMER_KEYS.1)
}

/// Keys that are good as well if a Secret has them already.
fn accepted(spec: &OAuth2ClientSpec) -> Option<KeyPair> {
    let asks = spec
        .secret_keys
        .as_ref()
        .is_some_and(|names| names.client_id.is_some() || names.client_secret.is_some());
    (!asks).then(former_keys)
}

/// Whether the `recorded` keys are those that the Secret shall have.
#[must_use]
pub fn are_asked_for(
    recorded: Option<&KeyPair>,
    spec: &OAuth2ClientSpec,
    default: &KeyPair,
) -> bool {
    recorded.is_some_and(|recorded| {
        *recorded == keys(spec, default) || Some(recorded) == accepted(spec).as_ref()
    })
}

/// The keys that the spec asks for.
fn keys(spec: &OAuth2ClientSpec, default: &KeyPair) -> KeyPair {
    let names = spec.secret_keys.as_ref();
    let id = names.and_then(|names| names.client_id.clone());
    let secret = names.and_then(|names| names.client_secret.clone());
    KeyPair {
        id: id.unwrap_or_else(|| default.id.clone()),
        secret: secret.unwrap_or_else(|| default.secret.clone()),
    }
}

/// Whether the spec asks for values that Hydra's discovery document has.
#[must_use]
pub fn needs_well_known(spec: &OAuth2ClientSpec) -> bool {
    spec.secret_template.as_deref().is_some_and(secret_template::needs_well_known)
}

/// The shape that `spec` asks for, or why it cannot be had. `well_known` is what Hydra says about
/// itself, where the spec asks for that.
pub fn shape(
    spec: &OAuth2ClientSpec,
    default: &KeyPair,
    well_known: Option<&WellKnown>,
) -> Result<SecretShape, Failure> {
    let names = spec.secret_keys.clone().unwrap_or_default();
    let template = spec.secret_template.clone().unwrap_or_default();
    check_metadata(FIELD, &template.labels, &template.annotations)?;
    let extra = further_data(FIELD, &template, well_known)?;
    let shape = SecretShape {
        keys: keys(spec, default),
        id_aliases: names.client_id_aliases,
        secret_aliases: names.client_secret_aliases,
        accepted: accepted(spec),
        secret_type: template.secret_type.unwrap_or_else(|| OPAQUE.to_owned()),
        labels: template.labels,
        annotations: template.annotations,
        extra,
    };
    shape.check_keys()?;
    Ok(shape)
}

impl SecretShape {
    /// What the Secret shall hold with `credentials`, and the keys that hold them. `found` are those
    /// under which they were found.
    #[must_use]
    pub fn content(
        &self,
        id: Option<&ClientId>,
        secret: Option<&ClientSecret>,
        found: Option<&KeyPair>,
    ) -> (SecretContent, KeyPair) {
        let keys = found.filter(|found| self.accepted.as_ref() == Some(found));
        let keys = keys.unwrap_or(&self.keys).clone();
        let ids = std::iter::once(&keys.id).chain(&self.id_aliases);
        let secrets = std::iter::once(&keys.secret).chain(&self.secret_aliases);
        let id = id.map(ClientId::as_str);
        let secret = secret.map(ClientSecret::expose);
        let credentials = ids.map(|key| (key, id)).chain(secrets.map(|key| (key, secret)));
        let extra = self.extra.iter().map(|(key, text)| (key, Some(text.as_str())));
        let data = credentials
            .chain(extra)
            .filter_map(|(key, value)| Some((key.clone(), SecretString::from(value?))))
            .collect();
        let content = SecretContent {
            secret_type: self.secret_type.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            data,
        };
        (content, keys)
    }

    fn check_keys(&self) -> Result<(), Failure> {
        let all = [&self.keys.id, &self.keys.secret];
        let all = all.into_iter().chain(&self.id_aliases).chain(&self.secret_aliases);
        let fields = "spec.secretKeys and spec.secretTemplate.data";
        Ok(secret_template::check_keys(fields, all.chain(self.extra.keys()))?)
    }
}

impl From<InvalidTemplate> for Failure {
    fn from(invalid: InvalidTemplate) -> Self {
        Self::terminal(Reason::InvalidSpec, invalid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth2client::testing::{keys, resource};

    fn spec(more: &Value) -> OAuth2ClientSpec {
        let mut spec = json!({ "grantTypes": ["client_credentials"], "secretName": "s" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        resource(&spec).spec
    }

    /// The data of a Secret, as `key=value`, or why there is none.
    fn data(more: &Value, found: Option<&KeyPair>) -> String {
        let known = WellKnown::of_test(&[("token_endpoint", "https://id.example/token")]);
        let shape = match shape(&spec(more), &keys(), Some(&known)) {
            Ok(shape) => shape,
            Err(failure) => return failure.reason.as_str().to_owned(),
        };
        let id = ClientId::parse("id-1").unwrap();
        let secret = ClientSecret::parse("a-secret").unwrap();
        let (content, _) = shape.content(Some(&id), Some(&secret), found);
        let pairs = content.data.iter();
        pairs
            .map(|(key, value)| format!("{key}={}", value.expose_secret()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_keys_are_those_that_are_asked_for() {
        let former = KeyPair::new("client_id", "client_secret");
        let names = |names: Value| json!({ "secretKeys": names });
        let cases = [
            (json!({}), None, "CLIENT_ID=id-1 CLIENT_SECRET=a-secret"),
            (json!({}), Some(&former), "client_id=id-1 client_secret=a-secret"),
            (names(json!({})), Some(&former), "client_id=id-1 client_secret=a-secret"),
            (names(json!({ "clientId": "ID" })), None, "CLIENT_SECRET=a-secret ID=id-1"),
            (names(json!({ "clientId": "ID" })), Some(&former), "CLIENT_SECRET=a-secret ID=id-1"),
            (
                names(json!({ "clientIdAliases": ["a"], "clientSecretAliases": ["b", "c"] })),
                None,
                "CLIENT_ID=id-1 CLIENT_SECRET=a-secret a=id-1 b=a-secret c=a-secret",
            ),
            (names(json!({ "clientId": "CLIENT_SECRET" })), None, "InvalidSpec"),
            (names(json!({ "clientIdAliases": ["CLIENT_SECRET"] })), None, "InvalidSpec"),
            (names(json!({ "clientIdAliases": ["a/b"] })), None, "InvalidSpec"),
            (names(json!({ "clientIdAliases": ["..data"] })), None, "InvalidSpec"),
        ];
        for (more, found, expected) in cases {
            assert_eq!(data(&more, found), expected, "{more}");
        }
    }

    #[test]
    fn further_keys_have_a_text_or_a_value_of_the_discovery_document() {
        let with = |value: Value| data(&json!({ "secretTemplate": { "data": value } }), None);
        let plain = "CLIENT_ID=id-1 CLIENT_SECRET=a-secret";
        assert_eq!(
            with(json!({ "x": { "value": "$(id) {{a}}" } })),
            format!("{plain} x=$(id) {{{{a}}}}")
        );
        assert_eq!(
            with(json!({ "x": { "wellKnown": "token_endpoint" } })),
            format!("{plain} x=https://id.example/token")
        );
        for wrong in [
            json!({ "x": { "wellKnown": "nothing" } }),
            json!({ "x": {} }),
            json!({ "x": { "value": "a", "wellKnown": "token_endpoint" } }),
            json!({ "CLIENT_ID": { "value": "a" } }),
            json!({ "a b": { "value": "a" } }),
        ] {
            assert_eq!(with(wrong.clone()), "InvalidSpec", "{wrong}");
        }
    }

    #[test]
    fn a_template_with_reserved_labels_is_refused() {
        for (key, expected) in [
            ("kubernetes.io/service-account.name", true),
            ("app.kubernetes.io/managed-by", true),
            ("cluster.x-k8s.io/x", false),
            ("app.kubernetes.io/name", false),
        ] {
            for field in ["labels", "annotations"] {
                let template = json!({ "secretTemplate": { field: { key: "1" } } });
                assert_eq!(data(&template, None) == "InvalidSpec", expected, "{field} {key}");
            }
        }
    }
}
