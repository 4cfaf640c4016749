//! Resources of all namespaces, and Secrets and ConfigMaps of some alone, with rights in these alone.

use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    cluster::Cluster,
    documented::{INSTALL, LIST_SECRETS},
    pod::Pod,
    resources::Tenant,
    support::{counters::ApiserverCounters, eventually},
};

#[tokio::test]
async fn secrets_of_listed_namespaces_are_used_and_no_others() {
    let cluster = Cluster::new().await;
    let (cp, hydra) = (&cluster.cp, &cluster.hydra);
    let (listed, other) = (Tenant::new(cp, "listed").await, Tenant::new(cp, "other").await);
    let only = format!("rbac.secretNamespaces={{{}}}", listed.namespace);
    let both = format!("rbac.secretNamespaces={{{},{}}}", listed.namespace, other.namespace);
    let mut install = cluster.command(INSTALL);
    install.push(format!("--set={only}"));
    cluster.run_words(&install);
    cluster.settle().await;
    let refusals = async || ApiserverCounters::read(&cp.client().await).await.refusals();
    let before = refusals().await;

    let pod = cluster.pod().await;
    listed.create("shop").await;
    listed.ready("shop").await;
    listed.create_set("signing", json!({ "publicConfigMap": { "name": "keys" } })).await;
    listed.set_is("signing", "Synced").await;
    listed.secrets().delete("shop", &DeleteParams::default()).await.unwrap();
    eventually("the Secret is made again", async || {
        listed.secrets().get_opt("shop").await.unwrap().is_some()
    })
    .await;

    other.create("shop").await;
    other.is_refused("shop").await;
    assert!(other.resources.get("shop").await.unwrap().finalizers().is_empty());
    let owner = format!("shop/{}", other.namespace);
    assert_eq!(hydra.client_ids_of(&owner).await, Vec::<String>::new());
    other.create_set("signing", json!({ "publicConfigMap": { "name": "keys" } })).await;
    other.set_is("signing", "SecretsNotAllowed").await;
    other.create_set("of-hydra-alone", json!({})).await;
    other.set_is("of-hydra-alone", "Synced").await;
    // Nothing was asked for that the API server would refuse.
    assert_eq!(refusals().await, before, "{}", pod.log());

    let pod = upgraded(&cluster, pod, &both).await;
    let secret = other.ready("shop").await;
    other.set_is("signing", "Synced").await;
    let token = hydra.token(&secret["CLIENT_ID"], &secret["CLIENT_SECRET"]).await;
    assert!(token.is_ok(), "{token:?}");
    listed.ready("shop").await;
    for name in ["kept", "released"] {
        other.create(name).await;
        other.orphan(name).await;
    }
    let released = other.ready("released").await;
    let kept = other.ready("kept").await;

    let pod = upgraded(&cluster, pod, &only).await;
    other.is_refused("shop").await;
    assert!(hydra.get_client(&secret["CLIENT_ID"]).await.is_some(), "it stays as it is");
    other.resources.delete("shop", &DeleteParams::default()).await.unwrap();
    eventually("the client is revoked all the same", async || {
        hydra.get_client(&secret["CLIENT_ID"]).await.is_none()
    })
    .await;
    // The Secret of this one is to outlive it, which takes a write.
    other.is_refused("kept").await;
    other.resources.delete("kept", &DeleteParams::default()).await.unwrap();
    other.is_refused("kept").await;
    // Whoever does without its Secret need not wait.
    let release = json!({ "metadata": { "annotations": { "hydra.ory.sh/release": "true" } } });
    let params = PatchParams::default();
    other.resources.patch("released", &params, &Patch::Merge(release)).await.unwrap();
    other.resources.delete("released", &DeleteParams::default()).await.unwrap();
    eventually("the released one goes", async || {
        other.resources.get_opt("released").await.unwrap().is_none()
    })
    .await;
    assert!(hydra.get_client(&released["CLIENT_ID"]).await.is_some());
    assert!(!pod.log().to_lowercase().contains("forbidden"), "{}", pod.log());

    let pod = upgraded(&cluster, pod, &both).await;
    eventually("it goes, and leaves all it had", async || {
        other.resources.get_opt("kept").await.unwrap().is_none()
    })
    .await;
    let secret = other.secrets().get("kept").await.unwrap();
    assert_eq!(secret.metadata.owner_references, None);
    assert!(hydra.get_client(&kept["CLIENT_ID"]).await.is_some());
    cluster.delete_namespace(&other.namespace).await;
    pod.delete().await;
}

/// The next version of the Deployment, with another list.
async fn upgraded(cluster: &Cluster, pod: Pod, list: &str) -> Pod {
    let words = cluster.command(LIST_SECRETS).into_iter();
    let words = words.map(|word| match word.as_str() {
        "rbac.secretNamespaces={team-a,team-b}" => list.to_owned(),
        _ => word,
    });
    cluster.run_words(&words.collect::<Vec<_>>());
    pod.delete().await;
    cluster.pod().await
}
