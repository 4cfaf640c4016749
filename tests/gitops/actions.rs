//! The actions of Argo CD: their tests in its layout, and what the operator does when one is run.

use serde_json::{Value, json};

use crate::{
    argocd::{actions, document, script},
    kinds::kinds,
    support::{Generation, Hydra, Operator, OperatorOptions, eventually, lua},
    tenant::{KINDS, Tenant},
};

/// A time that Argo CD's own tests put in place of the present one.
pub const NO_TIME: &str = "0001-01-01T00:00:00Z";

fn run(kind: &str, action: &str, object: &Value) -> Value {
    lua::run(&script(kind, &format!("actions/{action}/action.lua")), object).unwrap()
}

/// The annotation that an action sets.
pub fn annotation(action: &str) -> String {
    format!("hydra.ory.sh/{action}-requested-at")
}

/// Lua cannot tell an empty list from an empty object, and Argo CD mends that.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Object(members) if members.is_empty() => Value::Null,
        Value::Array(items) => items.iter().map(without_empty).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), without_empty(member))).collect()
        }
        // Numbers come back as floating point.
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

/// The tests that Argo CD's own repository would run.
#[test]
fn each_action_does_what_its_example_says() {
    for kind in KINDS {
        let tests = document(kind, "actions/action_test.yaml");
        let of = |name: &str| tests[name].as_array().unwrap().clone();
        let input = |test: &Value, name: &str| {
            document(kind, &format!("actions/{}", test[name].as_str().unwrap()))
        };
        for test in of("discoveryTests") {
            let object = input(&test, "inputPath");
            let found = lua::run(&script(kind, "actions/discovery.lua"), &object).unwrap();
            let mut found: Vec<_> = found
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, action)| {
                    let mut action = action.clone();
                    action["name"] = json!(name);
                    action
                })
                .collect();
            found.sort_by_key(|action| action["name"].to_string());
            assert_eq!(json!(found), test["result"], "{kind} {}", test["inputPath"]);
        }
        let mut tested = Vec::new();
        for test in of("actionTests") {
            let action = test["action"].as_str().unwrap().to_owned();
            let mut found = run(kind, &action, &input(&test, "inputPath"));
            let time = &mut found["metadata"]["annotations"][annotation(&action)];
            let parsed: Result<jiff::Timestamp, _> = time.as_str().unwrap().parse();
            assert!(parsed.is_ok(), "{time}");
            *time = json!(NO_TIME);
            let expected = input(&test, "expectedOutputPath");
            assert_eq!(without_empty(&found), without_empty(&expected), "{kind} {action}");
            tested.push(action);
        }
        tested.sort();
        assert_eq!(tested, actions(kind));
    }
}

#[tokio::test]
async fn the_operator_does_what_an_action_asks_for() {
    let (tenant, hydra) = (Tenant::new("actions").await, Hydra::shared(Generation::V2).await);
    let options = OperatorOptions::new(hydra.admin_url()).namespaces([&tenant.namespace]);
    let _operator = Operator::start(tenant.cp, options).await;
    for kind in kinds() {
        tenant.apply(&kind.manifest("shop", &kind.good)).await;
        for (action, echo) in
            [("reconcile", "lastHandledReconcileAt"), ("rotate", "lastHandledRotateAt")]
        {
            if !actions(kind.name).iter().any(|found| found == action) {
                continue;
            }
            let object = tenant.shows(kind.name, "shop", "Ready=True Synced").await;
            let asked = run(kind.name, action, &object)["metadata"]["annotations"].clone();
            let time = asked[annotation(action)].clone();
            // Argo CD sends what differs.
            let patch = json!({ "metadata": { "annotations": asked } });
            tenant.merge(kind.name, "shop", &patch).await;
            eventually(&format!("{action} of {} is handled", kind.name), async || {
                let object = tenant.get(kind.name, "shop").await;
                if object["status"][echo] == time { Ok(()) } else { Err(object) }
            })
            .await;
        }
    }
    let set = tenant.get("JsonWebKeySet", "shop").await;
    assert_eq!(set["status"]["keys"].as_array().unwrap().len(), 2, "{}", set["status"]);
}
