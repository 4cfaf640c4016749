//! Helm installs, upgrades, rolls back and uninstalls the chart on a real API server, with resources there all the time,
//! by the commands of `docs/install.md`. No pods run on it: after each step, the operator is run as the Deployment that is
//! there says.

use std::{fs, path::Path};

use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, NAMESPACE},
    documented::{
        APPLY, DELETE, ELECT, INSTALL, KUSTOMIZE, LET_GO, NAMESPACED, ROLL_BACK, STOP, STOPPED,
        TAKE_OVER, UNINSTALL, UPGRADE,
    },
    helm::CHART,
    resources::Tenant,
    support::{eventually, folder::Folder},
};

#[tokio::test]
async fn installed_upgraded_rolled_back_and_uninstalled_with_resources_left() {
    let cluster = Cluster::new().await;
    let former = former_chart();
    let mut install = cluster.command(INSTALL);
    let chart = install.iter_mut().find(|word| *word == CHART).unwrap();
    *chart = former.path().display().to_string();
    cluster.run_words(&install);
    cluster.settle().await;
    let tenant = Tenant::new(&cluster.cp, "team").await;
    let pod = cluster.pod().await;
    tenant.create("first").await;
    let first = tenant.ready("first").await;
    assert!(!cluster.knows("jwksFrom").await, "the former definition");
    pod.delete().await;

    cluster.run(UPGRADE);
    assert!(cluster.knows("jwksFrom").await, "definitions are upgraded with the chart");
    let pod = cluster.pod().await;
    tenant.create("shop").await;
    let second = tenant.ready("shop").await;
    assert_eq!(tenant.ready("first").await, first, "credentials stay");
    pod.delete().await;

    cluster.run(ROLL_BACK);
    assert!(!cluster.knows("jwksFrom").await, "definitions are rolled back with the chart");
    let pod = cluster.pod().await;
    assert_eq!(tenant.ready("first").await, first);
    pod.delete().await;

    cluster.run(UNINSTALL);
    assert!(cluster.deployment().await.is_none());
    assert!(cluster.keeps_definitions().await);
    let left = tenant.resources.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|resource| resource.metadata.deletion_timestamp.is_none()));
    cluster.delete_namespace(NAMESPACE).await;

    // The way out once no operator is left: the resources are let go, and Hydra keeps its clients.
    for name in ["first", "shop"] {
        let here = cluster.command(LET_GO).into_iter().map(|word| match &*word {
            "shop" => name.to_owned(),
            "team-a" => tenant.namespace.clone(),
            _ => word,
        });
        cluster.run_words(&here.collect::<Vec<_>>());
    }
    cluster.delete_namespace(&tenant.namespace).await;
    assert!(cluster.keeps_definitions().await);
    for secret in [first, second] {
        assert!(cluster.hydra.get_client(&secret["CLIENT_ID"]).await.is_some());
    }
}

#[tokio::test]
async fn uninstalled_in_the_documented_order_nothing_is_left() {
    let cluster = Cluster::new().await;
    cluster.run(INSTALL);
    cluster.settle().await;
    let tenant = Tenant::new(&cluster.cp, "team").await;
    let pod = cluster.pod().await;
    tenant.create("shop").await;
    let secret = tenant.ready("shop").await;

    let deletions = crate::documented::documented(DELETE, "");
    let [resources, definitions] = &deletions[..] else { panic!("{deletions:?}") };
    cluster.run_words(resources);
    assert!(cluster.hydra.get_client(&secret["CLIENT_ID"]).await.is_none());
    cluster.run(UNINSTALL);
    pod.delete().await;
    cluster.run_words(definitions);
    assert!(cluster.definitions().await.is_empty());
    cluster.delete_namespace(&tenant.namespace).await;
    cluster.delete_namespace(NAMESPACE).await;
    for kind in ["clusterroles", "clusterrolebindings"] {
        let left = cluster.cp.kubectl(&["get", kind, "--output=name"]);
        assert!(!left.contains("hydra-operator"), "{left}");
    }
}

#[tokio::test]
async fn definitions_go_with_the_chart_that_does_not_keep_them() {
    let cluster = Cluster::new().await;
    let mut install = cluster.command(INSTALL);
    install.push("--set=crds.keep=false".to_owned());
    cluster.run_words(&install);
    assert!(cluster.keeps_definitions().await);
    cluster.run(UNINSTALL);
    eventually("the definitions are gone", async || cluster.definitions().await.is_empty()).await;
}

/// Two that work side by side is what must not happen, so the strategy of the Deployment goes with the election.
#[tokio::test]
async fn the_election_of_a_leader_is_switched_on_and_off() {
    let cluster = Cluster::new().await;
    let mut install = cluster.command(INSTALL);
    install.push("--set=leaderElection.enabled=false".to_owned());
    cluster.run_words(&install);
    cluster.settle().await;
    assert_eq!(strategy(&cluster).await, (json!("Recreate"), json!(1)));
    let pod = cluster.pod().await;
    assert!(!pod.log().contains("Leading"), "{}", pod.log());

    cluster.run(STOP);
    pod.delete().await;
    cluster.run(STOPPED);
    assert_eq!(strategy(&cluster).await, (json!("Recreate"), json!(0)));
    cluster.run(ELECT);
    assert_eq!(strategy(&cluster).await, (json!("RollingUpdate"), json!(1)));
    let pod = cluster.pod().await;
    eventually("it leads", async || pod.log().contains("Leading")).await;
    pod.delete().await;

    let mut off = cluster.command(UPGRADE);
    off.push("--set=leaderElection.enabled=false".to_owned());
    cluster.run_words(&off);
    assert_eq!(strategy(&cluster).await, (json!("Recreate"), json!(1)));
    cluster.pod().await.delete().await;
}

/// How the Deployment replaces its pods, and how many it has.
async fn strategy(cluster: &Cluster) -> (Value, Value) {
    let spec = json!(cluster.deployment().await.unwrap().spec);
    (spec["strategy"]["type"].clone(), spec["replicas"].clone())
}

/// As where hydra-maester was: its chart installed the definition outside of any release.
#[tokio::test]
async fn definitions_of_somebody_else_are_left_or_taken_over() {
    let cluster = Cluster::new().await;
    cluster.run(APPLY);
    let refused = cluster.helm.refusal(&cluster.command(INSTALL)[1..]);
    assert!(refused.contains("cannot be imported into the current release"), "{refused}");

    for name in [NAMESPACE, "team-a", "team-b"] {
        cluster.create_namespace(name).await;
    }
    cluster.run(NAMESPACED);
    cluster.settle().await;
    cluster.pod().await.delete().await;
    cluster.run(UNINSTALL);
    assert!(cluster.keeps_definitions().await);

    cluster.run(TAKE_OVER);
    cluster.pod().await.delete().await;
}

#[tokio::test]
async fn kustomize_applies_the_same() {
    let cluster = Cluster::new().await;
    // Definitions are served a moment after they are applied, and nothing of the rest needs them.
    cluster.run(KUSTOMIZE);
    cluster.settle().await;
    assert!(cluster.deployment().await.is_some());
}

/// A chart of an older version: other numbers, another default, and a definition without a field that came later.
fn former_chart() -> Folder {
    let folder = Folder::new("former-chart");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(CHART), folder.path());
    let edit = |file: &str, change: &dyn Fn(&str) -> String| {
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        let changed = change(&text);
        assert!(changed != text, "{file} is as before");
        folder.write(file, changed);
    };
    let version = |text: &str| text.replace(env!("CARGO_PKG_VERSION"), "0.0.1");
    edit("Chart.yaml", &version);
    edit("values.yaml", &|text| text.replace("resyncInterval: 5m", "resyncInterval: 6m"));
    edit("files/crds.yaml", &without_a_field);
    folder
}

fn without_a_field(definitions: &str) -> String {
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(definitions).unwrap();
    let version = &mut documents[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = &mut version["properties"]["spec"];
    spec["properties"].as_object_mut().unwrap().remove("jwksFrom").unwrap();
    // Rules may name the field.
    spec.as_object_mut().unwrap().remove("x-kubernetes-validations");
    let texts: Vec<_> = documents.iter().map(ToString::to_string).collect();
    texts.join("\n---\n")
}

pub fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
