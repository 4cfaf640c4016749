//! The scripts of `deploy/argocd/resource_customizations`, run as Argo CD runs them.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    support::{crds::read_manifest, lua},
    tenant::KINDS,
};

const FOLDER: &str = "deploy/argocd/resource_customizations/hydra.ory.sh";
const CONFIG_MAP: &str = "deploy/argocd/argocd-cm.yaml";
const NOTICE: &str = "# Written by `make gitops` from resource_customizations. Do not edit.\n";

/// What Argo CD shows of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Health {
    pub status: String,
    pub message: String,
}

/// The health of an object, by the script of its kind.
pub fn health(object: &Value) -> Health {
    let script = script(object["kind"].as_str().unwrap(), "health.lua");
    serde_json::from_value(lua::run(&script, object).unwrap()).unwrap()
}

/// The path of a file of a kind, relative to the repository.
pub fn path(kind: &str, file: &str) -> String {
    format!("{FOLDER}/{kind}/{file}")
}

pub fn script(kind: &str, file: &str) -> String {
    fs::read_to_string(in_repository(&path(kind, file))).unwrap()
}

/// The only document of a file of a kind.
pub fn document(kind: &str, file: &str) -> Value {
    read_manifest(&path(kind, file)).remove(0)
}

pub fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// With `GITOPS_WRITE`, which `make gitops` sets, writes the file; otherwise panics unless it is like that.
pub fn generated(path: &str, content: &str) {
    let file = in_repository(path);
    if std::env::var_os("GITOPS_WRITE").is_some() {
        fs::write(file, content).unwrap();
    } else {
        let found = fs::read_to_string(file).unwrap_or_default();
        assert!(
            found == content,
            "{path} is out of date: run `make gitops`; it should be\n{content}"
        );
    }
}

/// The tests that Argo CD's own repository would run.
#[test]
fn each_example_has_its_health() {
    for kind in KINDS {
        let tests = document(kind, "health_test.yaml");
        let tests = tests["tests"].as_array().unwrap();
        assert!(tests.len() >= 8, "{}", tests.len());
        for test in tests {
            let input = test["inputPath"].as_str().unwrap();
            let found = health(&document(kind, input));
            assert_eq!(json!(found), test["healthStatus"], "{kind} {input}");
        }
        let files = fs::read_dir(in_repository(&path(kind, "testdata"))).unwrap().count();
        assert_eq!(files, tests.len(), "each example of {kind} is judged");
    }
}

#[test]
fn both_kinds_are_judged_alike() {
    let [first, second] = KINDS.map(|kind| script(kind, "health.lua"));
    assert_eq!(first, second);
}

/// Objects that no operator has written to, or another one.
#[test]
fn what_is_missing_is_no_error() {
    let of = |metadata: Value, status: Value| {
        let mut object = json!({ "kind": "OAuth2Client", "metadata": metadata });
        if !status.is_null() {
            object["status"] = status;
        }
        health(&object).status
    };
    let waiting = "Progressing";
    assert_eq!(of(json!({ "generation": 1 }), Value::Null), waiting);
    assert_eq!(of(json!({ "generation": 1 }), json!({ "observedGeneration": -1 })), waiting);
    assert_eq!(of(json!({ "generation": 1 }), json!({ "observedGeneration": 1 })), waiting);
    let deleted = json!({ "generation": 2, "deletionTimestamp": "2026-01-01T00:00:00Z" });
    assert_eq!(of(deleted, Value::Null), waiting);
    // As hydra-maester leaves it.
    let conditions = json!([{ "type": "Ready", "status": "True" }]);
    let status = json!({ "observedGeneration": 1, "conditions": conditions });
    assert_eq!(of(json!({ "generation": 1 }), status), "Healthy");
}

/// Otherwise the scripts could use what they would not have there.
#[test]
fn scripts_have_no_more_than_in_argo_cd() {
    let nothing = json!({});
    for absent in ["string", "math", "io", "debug", "coroutine", "os"] {
        let found = lua::run(&format!("return {{ {absent} == nil }}"), &nothing);
        assert_eq!(found, Ok(json!([true])), "{absent}");
    }
    let members =
        "local n = {} for k in pairs(require('os')) do n[#n + 1] = k end table.sort(n) return n";
    assert_eq!(lua::run(members, &nothing), Ok(json!(["date", "time"])));
    let endless = lua::run("while true do end", &nothing).unwrap_err();
    assert!(endless.contains("deadline"), "{endless}");
    assert!(lua::run("return 1", &nothing).unwrap_err().contains("not a table"));
}

/// The same scripts, for those whose Argo CD lacks them.
#[test]
fn the_config_map_has_the_scripts() {
    let data = KINDS.map(|kind| {
        let action = |action: &String| {
            let script = script(kind, &format!("actions/{action}/action.lua"));
            format!("      - name: {action}\n        action.lua: |\n{}", indented(10, &script))
        };
        [
            format!("  resource.customizations.health.hydra.ory.sh_{kind}: |\n"),
            indented(4, &script(kind, "health.lua")),
            format!("  resource.customizations.actions.hydra.ory.sh_{kind}: |\n"),
            "    discovery.lua: |\n".to_owned(),
            indented(6, &script(kind, "actions/discovery.lua")),
            "    definitions:\n".to_owned(),
            actions(kind).iter().map(action).collect(),
        ]
        .concat()
    });
    let data = data.concat();
    let head = "# Health and actions of the resources, for Argo CD. It is merged into the ConfigMap that is there:\n\
                # kubectl patch configmap argocd-cm --namespace argocd --patch-file deploy/argocd/argocd-cm.yaml\n";
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n";
    generated(CONFIG_MAP, &format!("{head}{NOTICE}{object}{data}"));

    // What Argo CD reads from it.
    let config_map = read_manifest(CONFIG_MAP).remove(0);
    for kind in KINDS {
        let of = |what: &str| {
            let key = format!("resource.customizations.{what}.hydra.ory.sh_{kind}");
            config_map["data"][key].as_str().unwrap().to_owned()
        };
        assert_eq!(of("health"), script(kind, "health.lua"));
        let found: Value = serde_saphyr::from_str(&of("actions")).unwrap();
        assert_eq!(found["discovery.lua"], script(kind, "actions/discovery.lua"));
        for (n, action) in actions(kind).iter().enumerate() {
            let definition = &found["definitions"][n];
            let expected = script(kind, &format!("actions/{action}/action.lua"));
            assert_eq!(*definition, json!({ "name": action, "action.lua": expected }));
        }
    }
}

/// The actions of a kind, which have a folder each.
pub fn actions(kind: &str) -> Vec<String> {
    let folder = fs::read_dir(in_repository(&path(kind, "actions"))).unwrap().map(Result::unwrap);
    let scripts = folder.filter(|entry| entry.path().join("action.lua").exists());
    let mut names: Vec<_> = scripts.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn indented(by: usize, text: &str) -> String {
    let line = |line: &str| {
        if line.is_empty() { "\n".to_owned() } else { format!("{}{line}\n", " ".repeat(by)) }
    };
    text.lines().map(line).collect()
}
