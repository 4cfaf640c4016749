//! The commands of `docs/gitops.md`, run one after the other in its order. What Argo CD or Flux would do in between is done
//! by `kubectl`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    argocd::in_repository,
    support::{ControlPlane, Generation, Hydra, Operator, OperatorOptions, crds},
    tenant::ARGOCD,
};

const PAGE: &str = "docs/gitops.md";
const TENANT: &str = "shop";

/// The commands of the page.
fn commands() -> Vec<String> {
    let page = fs::read_to_string(in_repository(PAGE)).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(|block| block.lines().map(ToOwned::to_owned).collect::<Vec<_>>()).collect()
}

/// A definition that accepts everything, for the kinds of tools that do not run here.
fn stand_in(group: &str, version: &str, kind: &str, plural: &str) -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": kind, "plural": plural },
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

#[tokio::test]
async fn each_documented_command_works() {
    let cp = ControlPlane::shared().await;
    let definitions = vec![
        stand_in("argoproj.io", "v1alpha1", "Application", "applications"),
        stand_in("source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories"),
        stand_in("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"),
    ];
    crds::install(&cp.client().await, definitions).await;
    for namespace in ["argocd", "flux-system"] {
        cp.kubectl(&["create", "namespace", namespace]);
    }
    let own = "--from-literal=url=https://argocd.example.com";
    cp.kubectl(&["create", "configmap", "argocd-cm", "--namespace=argocd", own]);
    let sync = ["apply", "--server-side", "--field-manager", ARGOCD, "--kustomize=deploy/clients"];
    cp.kubectl(&sync);
    let hydra = Hydra::shared(Generation::V2).await;
    let options = OperatorOptions::new(hydra.admin_url()).namespaces([TENANT]);
    let _operator = Operator::start(cp, options).await;

    let commands = commands();
    assert!(commands.len() >= 7, "{commands:?}");
    for command in commands {
        let words: Vec<_> = command.split_whitespace().collect();
        assert_eq!(words[0], "kubectl", "{command}");
        let shown = cp.kubectl(&words[1..]);
        if words[1] == "get" {
            for name in ["orders", "payments", "payments-signing"] {
                assert!(shown.contains(name), "{shown}");
            }
        }
    }
    let config_map = cp.kubectl(&["get", "configmap", "argocd-cm", "--namespace=argocd", "-ojson"]);
    let config_map: Value = serde_json::from_str(&config_map).unwrap();
    let data = config_map["data"].as_object().unwrap();
    assert_eq!(data["url"], "https://argocd.example.com", "what was there stays");
    assert_eq!(data.len(), 5, "{:?}", data.keys());
    // A difference is found, so that none means something.
    let edit = ["patch", "oauth2client", "orders", "--namespace=shop", "--type=merge"];
    cp.kubectl(&[&edit[..], &[r#"--patch={"spec":{"scopeArray":["orders.write"]}}"#]].concat());
    let diff = ["diff", "--server-side", "--force-conflicts", "--kustomize=deploy/clients"];
    assert_eq!(cp.kubectl_output(&diff).status.code(), Some(1));
    cp.kubectl(&["delete", "--kustomize=deploy/clients"]);
}
