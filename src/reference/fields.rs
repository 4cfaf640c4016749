//! The fields of a kind, from its definition.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use super::cell;
use crate::api;

/// The page of `kind`.
pub fn page(kind: &str) -> String {
    let crds = api::crds();
    crds.iter().find(|crd| crd.spec.names.kind == kind).map(definition).unwrap_or_default()
}

fn definition(crd: &CustomResourceDefinition) -> String {
    let names = &crd.spec.names;
    let mut page = format!(
        "<!-- Written by `make docs` from the types in src/api. -->\n\
         # {} fields\n\n\
         Group `{}`, plural `{}`, short names {}, categories {}. `kubectl explain` shows the same.\n\
         A list is written `[]`, a member with any name `.*`.\n",
        names.kind,
        crd.spec.group,
        names.plural,
        quoted(names.short_names.as_deref()),
        quoted(names.categories.as_deref()),
    );
    for version in &crd.spec.versions {
        let root = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        page.extend(root.map(|root| of_version(&version.name, root)));
    }
    page
}

fn of_version(version: &str, root: &JSONSchemaProps) -> String {
    let mut text = format!("\n## {version}\n\n");
    text.extend(rules(root).map(|rule| format!("- Refused otherwise: {rule}.\n")));
    for section in ["spec", "status"] {
        let schema = root.properties.as_ref().and_then(|members| members.get(section));
        let Some(schema) = schema else { continue };
        text.push_str("\n### ");
        text.push_str(section);
        text.push_str("\n\n| field | type | required | default | |\n|---|---|---|---|---|\n");
        text.push_str(&rows(section, schema, requires(root, section)));
    }
    text
}

/// The row of a field, and those of the fields below it.
fn rows(path: &str, schema: &JSONSchemaProps, is_required: bool) -> String {
    let default = schema.default.as_ref().map(|JSON(value)| format!("`{value}`"));
    let text = schema.description.clone().unwrap_or_default();
    let sentences = limits(schema).into_iter().chain(rules(schema));
    let sentences: Vec<_> = sentences.map(|sentence| format!(" *{sentence}.*")).collect();
    let row = format!(
        "| `{path}` | {} | {} | {} | {} |\n",
        type_of(schema),
        if is_required { "yes" } else { "" },
        default.unwrap_or_default(),
        cell(format!("{text}{}", sentences.concat()).trim()),
    );
    row + &below(path, schema)
}

fn below(path: &str, schema: &JSONSchemaProps) -> String {
    let members = schema
        .properties
        .iter()
        .flatten()
        .map(|(name, member)| rows(&format!("{path}.{name}"), member, requires(schema, name)));
    let items = item(schema).map(|item| below(&format!("{path}[]"), item));
    let values = value(schema).map(|value| below(&format!("{path}.*"), value));
    members.chain(items).chain(values).collect()
}

fn item(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn value(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.additional_properties.as_ref()? {
        JSONSchemaPropsOrBool::Schema(value) => Some(value),
        JSONSchemaPropsOrBool::Bool(_) => None,
    }
}

fn requires(schema: &JSONSchemaProps, member: &str) -> bool {
    schema.required.iter().flatten().any(|name| name == member)
}

fn type_of(schema: &JSONSchemaProps) -> String {
    if let Some(item) = item(schema) {
        return format!("list of {}", type_of(item));
    }
    if let Some(value) = value(schema) {
        return format!("map of {}", type_of(value));
    }
    match (schema.type_.as_deref(), schema.format.as_deref()) {
        (_, Some("date-time")) => "time".to_owned(),
        (Some(name), _) => name.to_owned(),
        (None, _) => "anything".to_owned(),
    }
}

/// What the API server refuses otherwise, of a value or of the items of a list.
fn limits(schema: &JSONSchemaProps) -> Vec<String> {
    let mut limits = Vec::new();
    let number = |limit: Option<f64>| limit.map(|limit| limit.to_string());
    let count = |limit: Option<i64>| limit.map(|limit| limit.to_string());
    let ranges = [
        ("items", count(schema.min_items), count(schema.max_items)),
        ("characters", count(schema.min_length), count(schema.max_length)),
        ("", number(schema.minimum), number(schema.maximum)),
    ];
    for (what, least, most) in ranges {
        match (least, most) {
            (Some(least), Some(most)) => {
                limits.push(format!("{least} to {most} {what}").trim().to_owned());
            }
            (Some(least), None) => {
                limits.push(format!("At least {least} {what}").trim().to_owned());
            }
            (None, Some(most)) => limits.push(format!("At most {most} {what}").trim().to_owned()),
            (None, None) => {}
        }
    }
    if let Some(values) = &schema.enum_ {
        let values: Vec<_> = values
            .iter()
            .map(|JSON(value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        limits.push(format!("One of {}", quoted(Some(&values))));
    }
    if let Some(pattern) = &schema.pattern {
        limits.push(format!("Has the form `{pattern}`"));
    }
    if let Some(item) = item(schema) {
        limits.extend(self::limits(item).into_iter().map(|limit| format!("Each: {limit}")));
        limits.extend(rules(item).map(|rule| format!("Each: {rule}")));
    }
    limits
}

/// What the validation rules ask for, in their own words.
fn rules(schema: &JSONSchemaProps) -> impl Iterator<Item = String> {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    rules.filter_map(|rule| rule.message.clone())
}

fn quoted<T: AsRef<str>>(words: Option<&[T]>) -> String {
    let words: Vec<_> =
        words.unwrap_or_default().iter().map(|word| format!("`{}`", word.as_ref())).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_told_with_type_limits_and_rules() {
        let page = page("OAuth2Client");
        for expected in [
            "Group `hydra.ory.sh`, plural `oauth2clients`, short names `oauth2`, `hydraclient`, categories `hydra`",
            "| `spec.secretName` | string | yes |  | Name of the Secret",
            "| `spec.grantTypes` | list of string | yes |",
            "*1 to 6 items.*",
            "*1 to 253 characters.*",
            "| `spec.jwks.keys[].kid` | string |",
            "write an id other than . and ..",
            "jwks, jwksUri and jwksFrom exclude each other",
            "clientId cannot be changed or removed once it is set",
            "| `status` | object |  | `{\"observedGeneration\":-1}` |",
            "| `status.conditions[].lastTransitionTime` | time |",
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
    }

    #[test]
    fn a_row_has_five_cells() {
        for kind in ["OAuth2Client", "JsonWebKeySet"] {
            let page = page(kind);
            let rows: Vec<_> = page.lines().filter(|line| line.starts_with('|')).collect();
            assert!(rows.len() > 40, "{page}");
            for row in rows {
                let cells = row.replace("\\|", "").matches('|').count();
                assert_eq!(cells, 6, "{row}");
            }
        }
    }
}
