//! The custom resource definitions, from the types and what the types cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::{JsonWebKeySet, OAuth2Client};

const HEADER: &str = "# Generated from the types in src/api. Do not edit: run `make crds`.\n";

/// The definitions of all kinds.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut clients = complete(OAuth2Client::crd());
    for root in schemas_of(&mut clients) {
        // Objects without it were accepted once and have to stay writable.
        remove_required(root, "spec");
    }
    vec![clients, complete(JsonWebKeySet::crd())]
}

/// [`crds`] as a stream of YAML documents, as it is in `crds/`.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    let mut yaml = HEADER.to_owned();
    for crd in crds() {
        yaml.push_str("---\n");
        yaml.push_str(&serde_saphyr::to_string(&crd)?);
    }
    Ok(yaml)
}

fn complete(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for root in schemas_of(&mut crd) {
        conventional(root);
        default_status(root);
    }
    crd
}

fn schemas_of(crd: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let schemas = crd.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut())
}

fn remove_required(schema: &mut JSONSchemaProps, member: &str) {
    if let Some(required) = &mut schema.required {
        required.retain(|name| name != member);
        if required.is_empty() {
            schema.required = None;
        }
    }
}

/// A new object says at once that nobody has looked at it, so that a tool that waits does not take it for ready.
fn default_status(root: &mut JSONSchemaProps) {
    let status = root.properties.as_mut().and_then(|properties| properties.get_mut("status"));
    if let Some(status) = status {
        status.default = Some(JSON(json!({ "observedGeneration": -1 })));
    }
}

/// Puts into the form of Kubernetes what schemars puts into that of Rust, here and below.
fn conventional(schema: &mut JSONSchemaProps) {
    schema.title = None;
    // An `Option` is a member that may be missing. Only a free-form document may also be null.
    if schema.x_kubernetes_preserve_unknown_fields != Some(true) {
        schema.nullable = None;
    }
    if let Some(values) = &mut schema.enum_ {
        values.retain(|JSON(value)| !value.is_null());
    }
    if schema.type_.as_deref() == Some("array") && schema.x_kubernetes_list_type.is_none() {
        schema.x_kubernetes_list_type = Some("atomic".to_owned());
    }
    if let Some(description) = &mut schema.description {
        *description = reflow(description);
    }
    below(schema).for_each(conventional);
}

/// The schemas of the members, items and values.
fn below(schema: &mut JSONSchemaProps) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let members = schema.properties.iter_mut().flat_map(|properties| properties.values_mut());
    let items = schema.items.iter_mut().filter_map(|items| match items {
        JSONSchemaPropsOrArray::Schema(item) => Some(&mut **item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    });
    let values = schema.additional_properties.iter_mut().filter_map(|values| match values {
        JSONSchemaPropsOrBool::Schema(value) => Some(&mut **value),
        JSONSchemaPropsOrBool::Bool(_) => None,
    });
    members.chain(items).chain(values)
}

/// Joins the lines of each paragraph: `kubectl explain` breaks them where the terminal ends.
fn reflow(text: &str) -> String {
    let paragraphs = text.split("\n\n");
    paragraphs.map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_of(schema: &mut JSONSchemaProps, schemas: &mut Vec<JSONSchemaProps>) {
        schemas.push(schema.clone());
        below(schema).for_each(|schema| all_of(schema, schemas));
    }

    fn schemas() -> Vec<JSONSchemaProps> {
        let mut schemas = Vec::new();
        for crd in crds() {
            for version in crd.spec.versions {
                let mut root = version.schema.unwrap().open_api_v3_schema.unwrap();
                all_of(&mut root, &mut schemas);
            }
        }
        schemas
    }

    #[test]
    fn the_schemas_have_the_form_of_kubernetes() {
        let schemas = schemas();
        assert!(schemas.len() > 100, "{}", schemas.len());
        for schema in schemas {
            let is_free_form = schema.x_kubernetes_preserve_unknown_fields == Some(true);
            assert!(schema.title.is_none(), "{schema:?}");
            assert!(schema.nullable != Some(true) || is_free_form, "{schema:?}");
            let values = &schema.additional_properties;
            assert!(!matches!(values, Some(JSONSchemaPropsOrBool::Bool(_))), "{schema:?}");
            assert!(
                !schema.format.as_deref().unwrap_or_default().starts_with("uint"),
                "{schema:?}"
            );
            let is_list = schema.type_.as_deref() == Some("array");
            assert_eq!(is_list, schema.x_kubernetes_list_type.is_some(), "{schema:?}");
        }
    }

    #[test]
    fn a_paragraph_is_one_line() {
        assert_eq!(reflow("one\ntwo\n\nthree\nfour"), "one two\n\nthree four");
    }
}
