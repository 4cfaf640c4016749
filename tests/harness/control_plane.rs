//! The control plane does what the operator needs of a cluster.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Resource,
    api::{DeleteParams, DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

use crate::support::{ControlPlane, eventually};

#[tokio::test]
async fn one_control_plane_serves_tests_with_runtimes_of_their_own() {
    let cp = ControlPlane::shared().await;
    let name = cp.namespace("first").await;
    // A runtime that ends while the control plane stays.
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { ControlPlane::shared().await.namespace("second").await })
    });
    let other = elsewhere.join().unwrap();

    let listed = cp.kubectl(&["get", "namespaces"]);
    assert!(listed.contains(&name) && listed.contains(&other), "{listed}");
    assert!(!cp.kubectl_output(&["get", "namespace", "absent"]).status.success());
}

#[tokio::test]
async fn garbage_collector_knows_the_committed_kinds_from_the_start() {
    let cp = ControlPlane::shared().await;
    let namespace = cp.namespace("garbage").await;
    let client = cp.client().await;
    let kind =
        ApiResource::from_gvk(&GroupVersionKind::gvk("hydra.ory.sh", "v1alpha1", "OAuth2Client"));
    let owners: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let params = PostParams::default();
    let owner = DynamicObject::new("owner", &kind).data(json!({
        "spec": { "grantTypes": ["client_credentials"], "scope": "read", "secretName": "owned" },
    }));
    let owner = owners.create(&params, &owner).await.unwrap();
    let mut secret = Secret::default();
    secret.metadata.name = Some("owned".to_owned());
    secret.metadata.owner_references = Some(vec![owner.controller_owner_ref(&kind).unwrap()]);
    secrets.create(&params, &secret).await.unwrap();

    owners.delete("owner", &DeleteParams::default()).await.unwrap();

    let start = std::time::Instant::now();
    eventually("the Secret follows its owner", async || {
        secrets.get_opt("owned").await.unwrap().is_none()
    })
    .await;
    // The garbage collector looks for new kinds every 30 s.
    assert!(start.elapsed().as_secs() < 15, "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn deleted_namespace_takes_its_objects_along() {
    let cp = ControlPlane::shared().await;
    let namespace = cp.namespace("ending").await;
    let namespaces: Api<Namespace> = Api::all(cp.client().await);
    let secrets: Api<Secret> = Api::namespaced(cp.client().await, &namespace);
    let mut secret = Secret::default();
    secret.metadata.name = Some("last".to_owned());
    secrets.create(&PostParams::default(), &secret).await.unwrap();

    namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();

    eventually("the namespace is gone", async || {
        namespaces.get_opt(&namespace).await.unwrap().is_none()
    })
    .await;
    assert!(secrets.get_opt("last").await.unwrap().is_none());
}

#[tokio::test]
async fn control_planes_of_ones_own_are_independent() {
    let shared = ControlPlane::shared().await;
    let own = ControlPlane::start().await;
    own.install_crds().await;
    let name = own.namespace("own").await;
    assert_ne!(own.url(), shared.url());
    assert!(!shared.kubectl(&["get", "namespaces"]).contains(&name));
}
