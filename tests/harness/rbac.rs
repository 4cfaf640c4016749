//! `deploy/rbac/` grants what the operator needs, and nothing else.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::Deployment,
    authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec},
    coordination::v1::Lease,
    core::v1::{Namespace, Pod, Secret},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::support::{ControlPlane, rbac};

/// API group, resource, verb.
type Right = (String, String, String);

/// The whole of `deploy/rbac/`.
const GRANTED: &[(&str, &str, &[&str])] = &[
    ("hydra.ory.sh", "oauth2clients", &["list", "watch", "patch"]),
    ("hydra.ory.sh", "oauth2clients/status", &["patch"]),
    ("hydra.ory.sh", "jsonwebkeysets", &["list", "watch", "patch"]),
    ("hydra.ory.sh", "jsonwebkeysets/status", &["patch"]),
    ("", "secrets", &["get", "list", "watch", "create", "patch", "delete"]),
    ("", "configmaps", &["get", "list", "watch", "create", "patch", "delete"]),
    ("events.k8s.io", "events", &["create", "patch"]),
];

fn granted() -> BTreeSet<Right> {
    let rights = GRANTED.iter().flat_map(|(group, resource, verbs)| {
        verbs.iter().map(|verb| ((*group).to_owned(), (*resource).to_owned(), (*verb).to_owned()))
    });
    rights.collect()
}

/// What the API server says that a client may do in a namespace.
async fn rights(client: &Client, namespace: &str) -> BTreeSet<Right> {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
        ..Default::default()
    };
    let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let status = api.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    assert!(!status.incomplete, "{:?}", status.evaluation_error);
    let mut rights = BTreeSet::new();
    for rule in status.resource_rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let verbs = rule.verbs.iter();
                rights.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb.clone())));
            }
        }
    }
    // Everybody may ask what they may do.
    let own = ["authorization.k8s.io", "authentication.k8s.io"];
    rights.retain(|(group, ..)| !own.contains(&group.as_str()));
    rights
}

#[tokio::test]
async fn cluster_wide_rights_are_exactly_those_needed() {
    let cp = ControlPlane::shared().await;
    let client = rbac::cluster_wide(cp).await.client().await;
    for namespace in [cp.namespace("watched").await.as_str(), "kube-system"] {
        assert_eq!(rights(&client, namespace).await, granted(), "in {namespace}");
    }
    let secrets: Api<Secret> = Api::all(client.clone());
    secrets.list(&ListParams::default()).await.unwrap();
    refuses_the_rest(cp, &client).await;
}

#[tokio::test]
async fn namespaced_rights_end_at_the_namespaces() {
    let cp = ControlPlane::shared().await;
    let watched = [cp.namespace("watched").await, cp.namespace("watched").await];
    let client = rbac::namespaced(cp, &watched).await.client().await;
    for namespace in &watched {
        assert_eq!(rights(&client, namespace).await, granted(), "in {namespace}");
    }
    let other = cp.namespace("other").await;
    for namespace in [other.as_str(), "kube-system"] {
        assert_eq!(rights(&client, namespace).await, BTreeSet::new(), "in {namespace}");
    }
    let secrets: Api<Secret> = Api::all(client.clone());
    assert_refused(secrets.list(&ListParams::default()).await, "list secrets of all namespaces");
    refuses_the_rest(cp, &client).await;
}

#[tokio::test]
async fn the_right_to_elect_ends_at_the_lease() {
    let cp = ControlPlane::shared().await;
    let account = rbac::cluster_wide(cp).await;
    rbac::may_elect(cp, &account).await;
    let client = account.client().await;
    let leases = ["create", "get", "update"]
        .map(|verb| ("coordination.k8s.io".to_owned(), "leases".to_owned(), verb.to_owned()));
    let expected = granted().into_iter().chain(leases).collect();
    assert_eq!(rights(&client, &account.namespace).await, expected);
    assert_eq!(rights(&client, "kube-system").await, granted());
    let leases: Api<Lease> = Api::namespaced(client.clone(), &account.namespace);
    assert!(leases.get_opt(&account.name).await.unwrap().is_none());
    assert_refused(leases.get("another").await, "get another Lease");
    assert_refused(leases.list(&ListParams::default()).await, "list Leases");
    let delete = leases.delete(&account.name, &DeleteParams::default()).await;
    assert_refused(delete, "delete the Lease");
    refuses_the_rest(cp, &client).await;
}

/// Real requests, in case a review and the authoriser disagree.
async fn refuses_the_rest(cp: &ControlPlane, client: &Client) {
    let namespace = cp.namespace("refused").await;
    let (secrets, pods, deployments): (Api<Secret>, Api<Pod>, Api<Deployment>) = (
        Api::namespaced(client.clone(), &namespace),
        Api::namespaced(client.clone(), &namespace),
        Api::namespaced(client.clone(), &namespace),
    );
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let empty = json!({});
    let (delete, list) = (DeleteParams::default(), ListParams::default());

    assert_refused(pods.list(&list).await, "list pods");
    assert_refused(namespaces.get(&namespace).await, "get a namespace");
    assert_refused(secrets.delete_collection(&delete, &list).await, "delete all secrets");
    let replace = secrets.replace("any", &PostParams::default(), &Secret::default()).await;
    assert_refused(replace, "update a secret");
    let patch = deployments.patch("any", &PatchParams::default(), &Patch::Merge(&empty)).await;
    assert_refused(patch, "patch a deployment");
}

fn assert_refused<T>(result: Result<T, kube::Error>, what: &str) {
    match result {
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        Err(error) => panic!("{what}: not refused but failed: {error}"),
        Ok(_) => panic!("{what} is allowed"),
    }
}
