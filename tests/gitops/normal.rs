//! Objects without what differs from run to run, for examples that are kept.

use serde_json::{Map, Value, json};

use crate::support::Hydra;

const TIME: &str = "2026-01-01T00:00:00Z";
const UUID: &str = "2f6d6c1c-6f0e-4c2f-9d0c-0b7a9f5e58a4";
/// RFC 7517, appendix A.1.
const POINT: [(&str, &str); 2] = [
    ("x", "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"),
    ("y", "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
];

/// The object as it would be in the namespace `shop`, with the same Hydra and at the same time as all others.
pub fn normal(object: &Value, namespace: &str, hydra: &Hydra) -> Value {
    let replaced = [(namespace, "shop"), (hydra.admin_url(), "http://hydra-admin.hydra:4445")];
    let mut object = object.clone();
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    normalize(&mut object, &replaced);
    object
}

fn normalize(value: &mut Value, replaced: &[(&str, &str)]) {
    match value {
        Value::String(text) => *text = text_of(text, replaced),
        Value::Array(items) => items.iter_mut().for_each(|item| normalize(item, replaced)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| normalize(member, replaced));
            known(members);
        }
        _ => {}
    }
}

fn known(members: &mut Map<String, Value>) {
    let is_point = members.contains_key("crv");
    let point = POINT.into_iter().filter(|_| is_point);
    for (name, value) in point.chain([("resourceVersion", "1")]) {
        if let Some(member) = members.get_mut(name) {
            *member = json!(value);
        }
    }
}

fn text_of(text: &str, replaced: &[(&str, &str)]) -> String {
    if text.parse::<jiff::Timestamp>().is_ok() {
        return TIME.to_owned();
    }
    let text = replaced.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    without_uuids(&text)
}

fn without_uuids(text: &str) -> String {
    let (mut found, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        if rest.get(..UUID.len()).is_some_and(is_uuid) {
            found.push_str(UUID);
            rest = &rest[UUID.len()..];
        } else {
            found.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn is_uuid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.bytes()
        .enumerate()
        .all(|(n, byte)| if hyphens.contains(&n) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}
