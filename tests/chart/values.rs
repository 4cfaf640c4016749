//! The schema and the table of the chart's values, made from the comments of `values.yaml`.
//!
//! `# -- text` describes the key below it, also over several lines; `# @schema {…}` adds to its schema. A key that is
//! described is taken as a whole; one that is not has to be a mapping, whose keys are.

use serde_json::{Map, Value, json};

/// A described key of `values.yaml`.
pub struct Described {
    path: Vec<String>,
    description: String,
    default: Value,
    schema: Map<String, Value>,
}

/// All described keys, in the order of the file.
pub fn read(text: &str) -> Vec<Described> {
    let defaults: Value = serde_saphyr::from_str(text).unwrap();
    let mut described = Vec::new();
    let mut sections: Vec<String> = Vec::new();
    let (mut description, mut schema) = (None, Map::new());
    let mut leaf = None;
    for line in text.lines() {
        let content = line.trim_start();
        let depth = (line.len() - content.len()) / 2;
        if leaf.is_some_and(|leaf| depth > leaf) || content.is_empty() {
            continue;
        }
        if let Some(text) = content.strip_prefix("# -- ") {
            description = Some(text.to_owned());
        } else if let Some(text) = content.strip_prefix("# @schema ") {
            schema = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        } else if let (Some(text), Some(begun)) = (content.strip_prefix("# "), &mut description) {
            *begun += " ";
            *begun += text;
        } else if !content.starts_with('#') {
            let (key, _) = content.split_once(':').unwrap();
            sections.truncate(depth);
            sections.push(key.to_owned());
            leaf = description.is_some().then_some(depth);
            let path = sections.clone();
            let default = path.iter().fold(&defaults, |value, key| &value[key]).clone();
            match description.take() {
                Some(description) => {
                    let schema = std::mem::take(&mut schema);
                    described.push(Described { path, description, default, schema });
                }
                None => assert!(
                    default.as_object().is_some_and(|members| !members.is_empty()),
                    "values.yaml does not describe {}",
                    path.join(".")
                ),
            }
        }
    }
    described
}

/// The content of `values.schema.json`.
pub fn schema(values: &[Described]) -> String {
    let mut root = section();
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("Values of the Helm chart hydra-operator");
    for value in values {
        let (key, sections) = value.path.split_last().unwrap();
        let mut place = &mut root;
        for name in sections {
            place =
                place["properties"].as_object_mut().unwrap().entry(name).or_insert_with(section);
        }
        place["properties"][key] = value.schema();
    }
    // An umbrella chart puts the values of others there.
    root["properties"]["global"]["additionalProperties"] = json!(true);
    format!("{root:#}\n")
}

fn section() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": {} })
}

impl Described {
    fn schema(&self) -> Value {
        let kind = match &self.default {
            Value::Null => None,
            Value::Bool(_) => Some("boolean"),
            Value::Number(_) => Some("integer"),
            Value::String(_) => Some("string"),
            Value::Array(_) => Some("array"),
            Value::Object(_) => Some("object"),
        };
        let mut schema = self.schema.clone();
        if let Some(kind) = kind {
            schema.entry("type").or_insert_with(|| kind.into());
        }
        assert!(schema.contains_key("type"), "{} needs a type", self.path.join("."));
        schema.insert("description".to_owned(), self.description.replace("**", "").into());
        schema.insert("default".to_owned(), self.default.clone());
        schema.into()
    }
}

/// The table of values for the README.
pub fn table(values: &[Described]) -> String {
    let mut table = "| value | default | |\n|---|---|---|\n".to_owned();
    for value in values {
        let row = format!(
            "| `{}` | `{}` | {} |\n",
            value.path.join("."),
            value.default,
            value.description.replace('|', "\\|")
        );
        table.push_str(&row);
    }
    table
}
