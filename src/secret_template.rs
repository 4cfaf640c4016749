//! The rules of templates: which labels, annotations and keys a tenant may give to objects that the
//! operator writes. Pure, and the same for every resource that has a template.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::{
        GROUP, MANAGED_BY_LABEL,
        oauth2client::{SecretTemplate, SecretValue},
    },
    hydra::WellKnown,
    kubernetes::secret_content::is_key,
};

/// Prefixes of labels and annotations that give a Secret a meaning to Kubernetes, to Argo CD or to
/// the operator: a tenant who may not write Secrets must not get there through a template.
const RESERVED_PREFIXES: [&str; 4] = ["kubernetes.io", "k8s.io", "argocd.argoproj.io", GROUP];

/// Recommended labels of applications, which have no such meaning. That of the manager is ours.
const RECOMMENDED_PREFIX: &str = "app.kubernetes.io";

/// What is wrong with a template: a sentence for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTemplate(String);

/// Whether the labels and annotations may be set. `field` is where they stand, such as
/// `spec.secretTemplate`.
pub fn check_metadata(
    field: &str,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> Result<(), InvalidTemplate> {
    for (kind, names) in [("labels", labels), ("annotations", annotations)] {
        if let Some(name) = names.keys().find(|name| is_reserved(name)) {
            return Err(InvalidTemplate(format!(
                "{field}.{kind} sets {name}, which is reserved; remove it"
            )));
        }
    }
    Ok(())
}

/// The further keys of `template` and their values. `field` is where it stands, `well_known` what
/// Hydra says about itself, where the template asks for that.
pub fn further_data(
    field: &str,
    template: &SecretTemplate,
    well_known: Option<&WellKnown>,
) -> Result<BTreeMap<String, String>, InvalidTemplate> {
    let text = |key: &String, member: &str| {
        well_known.and_then(|known| known.get(member)).map(ToOwned::to_owned).ok_or_else(|| {
            InvalidTemplate(format!(
                "{field}.data.{key} asks for {member}, which Hydra's discovery document does not \
                 have; remove it"
            ))
        })
    };
    let value = |(key, value): (&String, &SecretValue)| {
        let text = match (&value.value, &value.well_known) {
            (Some(value), None) => value.clone(),
            (None, Some(member)) => text(key, member)?,
            (Some(_), Some(_)) | (None, None) => {
                return Err(InvalidTemplate(format!(
                    "{field}.data.{key} needs either value or wellKnown"
                )));
            }
        };
        Ok((key.clone(), text))
    };
    template.data.iter().map(value).collect()
}

/// Whether the template asks for values that Hydra's discovery document has.
#[must_use]
pub fn needs_well_known(template: &SecretTemplate) -> bool {
    template.data.values().any(|value| value.well_known.is_some())
}

/// Whether these can be the keys of one Secret. `fields` says where they are named, such as
/// `spec.secretKeys and spec.secretTemplate.data`.
pub fn check_keys<'a>(
    fields: &str,
    keys: impl IntoIterator<Item = &'a String>,
) -> Result<(), InvalidTemplate> {
    let mut seen = BTreeSet::new();
    for key in keys {
        if !is_key(key) {
            return Err(InvalidTemplate(format!(
                "{key:?} is no name that a key of a Secret can have; write letters, digits, -, _ \
                 and ."
            )));
        }
        if !seen.insert(key) {
            return Err(InvalidTemplate(format!(
                "{fields} name the key {key} twice; write each name once"
            )));
        }
    }
    Ok(())
}

fn is_reserved(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else { return false };
    let prefix = prefix.to_ascii_lowercase();
    if prefix == RECOMMENDED_PREFIX {
        return key == MANAGED_BY_LABEL;
    }
    RESERVED_PREFIXES.iter().any(|reserved| {
        prefix.strip_suffix(reserved).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FIELD: &str = "spec.outputs.privateSecret.template";

    #[test]
    fn labels_with_a_meaning_of_their_own_are_reserved() {
        for (key, reserved) in [
            ("kubernetes.io/service-account.name", true),
            ("node.kubernetes.io/x", true),
            ("k8s.io/x", true),
            ("app.kubernetes.io/managed-by", true),
            ("hydra.ory.sh/x", true),
            ("argocd.argoproj.io/secret-type", true),
            ("Kubernetes.IO/x", true),
            // A domain that merely ends with the same letters is another one.
            ("cluster.x-k8s.io/x", false),
            ("mykubernetes.io/x", false),
            ("team", false),
            ("example.com/team", false),
            ("app.kubernetes.io/name", false),
        ] {
            let (set, none) = (BTreeMap::from([(key.into(), "1".into())]), BTreeMap::new());
            let told = |result: Result<(), InvalidTemplate>| result.err().map(|error| error.0);
            let expected = |kind: &str| {
                let message = format!("{FIELD}.{kind} sets {key}, which is reserved; remove it");
                reserved.then_some(message)
            };
            assert_eq!(told(check_metadata(FIELD, &set, &none)), expected("labels"));
            assert_eq!(told(check_metadata(FIELD, &none, &set)), expected("annotations"));
        }
    }

    #[test]
    fn further_keys_have_a_text_or_a_value_of_the_discovery_document() {
        let known = WellKnown::of_test(&[("jwks_uri", "https://id.example/jwks")]);
        let of = |value: Value, known: Option<&WellKnown>| {
            let template: SecretTemplate =
                serde_json::from_value(json!({ "data": { "x": value } })).unwrap();
            let asks = needs_well_known(&template);
            let data = further_data(FIELD, &template, known).map_err(|error| error.0);
            (asks, data.map(|data| data["x"].clone()))
        };
        let is = |text: &str| Ok(text.to_owned());
        let jwks_uri = json!({ "wellKnown": "jwks_uri" });
        assert_eq!(of(json!({ "value": "$(id)" }), None), (false, is("$(id)")));
        assert_eq!(of(jwks_uri.clone(), Some(&known)), (true, is("https://id.example/jwks")));
        for (wrong, known) in [
            (jwks_uri.clone(), None),
            (json!({ "wellKnown": "issuer" }), Some(&known)),
            (json!({}), Some(&known)),
            (json!({ "value": "a", "wellKnown": "jwks_uri" }), Some(&known)),
        ] {
            let message = of(wrong, known).1.unwrap_err();
            assert!(
                message.starts_with("spec.outputs.privateSecret.template.data.x "),
                "{message}"
            );
        }
    }

    #[test]
    fn keys_are_names_of_keys_and_each_is_another() {
        let check = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
            check_keys("a and b", &keys).map_err(|error| error.0)
        };
        assert_eq!(check(&["jwks.json", "private.pem", "kid"]), Ok(()));
        let twice = "a and b name the key kid twice; write each name once";
        assert_eq!(check(&["kid", "x", "kid"]), Err(twice.to_owned()));
        for wrong in ["", "a b", "a/b", "..data"] {
            assert!(check(&[wrong]).is_err(), "{wrong}");
        }
    }
}
