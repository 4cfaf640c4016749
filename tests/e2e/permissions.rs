//! What the ServiceAccount may do, and what it must be refused.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        authorization::v1::{
            ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
            SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
        },
        core::v1::{Namespace, Pod, Secret},
        events::v1::Event,
        rbac::v1::{ClusterRole, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    on_each_generation,
    support::{ControlPlane, Generation, rbac},
    world::World,
};

on_each_generation!(the_operator_is_refused_nothing_it_needs);

/// Verb, group and resource of what the operator does in a namespace: all of it and nothing else.
const NEEDED: [(&str, &str, &str); 22] = [
    ("list", "hydra.ory.sh", "oauth2clients"),
    ("watch", "hydra.ory.sh", "oauth2clients"),
    ("patch", "hydra.ory.sh", "oauth2clients"),
    ("patch", "hydra.ory.sh", "oauth2clients/status"),
    ("list", "hydra.ory.sh", "jsonwebkeysets"),
    ("watch", "hydra.ory.sh", "jsonwebkeysets"),
    ("patch", "hydra.ory.sh", "jsonwebkeysets"),
    ("patch", "hydra.ory.sh", "jsonwebkeysets/status"),
    ("get", "", "secrets"),
    ("list", "", "secrets"),
    ("watch", "", "secrets"),
    ("create", "", "secrets"),
    ("patch", "", "secrets"),
    ("delete", "", "secrets"),
    ("get", "", "configmaps"),
    ("list", "", "configmaps"),
    ("watch", "", "configmaps"),
    ("create", "", "configmaps"),
    ("patch", "", "configmaps"),
    ("delete", "", "configmaps"),
    ("create", "events.k8s.io", "events"),
    ("patch", "events.k8s.io", "events"),
];

/// Verb, group and resource of what a person who fears an operator asks about first.
const REFUSED: [(&str, &str, &str); 34] = [
    ("create", "hydra.ory.sh", "oauth2clients"),
    ("update", "hydra.ory.sh", "oauth2clients"),
    ("delete", "hydra.ory.sh", "oauth2clients"),
    ("deletecollection", "hydra.ory.sh", "oauth2clients"),
    ("update", "hydra.ory.sh", "oauth2clients/status"),
    ("create", "hydra.ory.sh", "jsonwebkeysets"),
    ("update", "hydra.ory.sh", "jsonwebkeysets"),
    ("delete", "hydra.ory.sh", "jsonwebkeysets"),
    ("update", "hydra.ory.sh", "jsonwebkeysets/status"),
    ("update", "", "secrets"),
    ("deletecollection", "", "secrets"),
    ("get", "", "pods"),
    ("list", "", "pods"),
    ("create", "", "pods"),
    ("create", "", "pods/exec"),
    ("update", "", "configmaps"),
    ("deletecollection", "", "configmaps"),
    ("create", "", "serviceaccounts/token"),
    ("impersonate", "", "serviceaccounts"),
    ("delete", "events.k8s.io", "events"),
    ("list", "events.k8s.io", "events"),
    ("get", "apps", "deployments"),
    ("update", "apps", "deployments"),
    ("patch", "apps", "deployments"),
    ("patch", "networking.k8s.io", "ingresses"),
    ("create", "rbac.authorization.k8s.io", "rolebindings"),
    ("escalate", "rbac.authorization.k8s.io", "roles"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
    ("get", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("list", "", "namespaces"),
    ("get", "", "nodes"),
    ("create", "admissionregistration.k8s.io", "validatingwebhookconfigurations"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_in_a_namespace_are_what_is_needed_and_nothing_else() {
    let cp = ControlPlane::shared().await;
    let (own, other) = (cp.namespace("rights").await, cp.namespace("rights-other").await);
    let account = rbac::namespaced(cp, &[&own]).await;
    let client = account.client().await;
    assert_eq!(rules(&client, &own).await, needed());
    assert_eq!(rules(&client, &other).await, BTreeSet::new());
    assert_allowed(&client, Some(&own), &NEEDED, true).await;
    assert_allowed(&client, Some(&own), &REFUSED, false).await;
    assert_allowed(&client, Some(&other), &NEEDED, false).await;
    assert_allowed(&client, None, &NEEDED, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_in_all_namespaces_are_the_same() {
    let cp = ControlPlane::shared().await;
    let namespace = cp.namespace("rights").await;
    let account = rbac::cluster_wide(cp).await;
    let client = account.client().await;
    assert_eq!(rules(&client, &namespace).await, needed());
    assert_allowed(&client, None, &NEEDED, true).await;
    assert_allowed(&client, None, &REFUSED, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_rights_are_refused() {
    let cp = ControlPlane::shared().await;
    let (own, other) = (cp.namespace("beyond").await, cp.namespace("beyond-other").await);
    let client = rbac::namespaced(cp, &[&own]).await.client().await;
    let (list, delete) = (ListParams::default(), DeleteParams::default());
    let secrets = |namespace| Api::<Secret>::namespaced(client.clone(), namespace);
    let pods = Api::<Pod>::namespaced(client.clone(), &own);
    let deployments = Api::<Deployment>::namespaced(client.clone(), &own);
    let bindings = Api::<RoleBinding>::namespaced(client.clone(), &own);
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let binding = serde_json::from_value(json!({
        "metadata": { "name": "more" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": own }],
    }))
    .unwrap();
    let secret = serde_json::from_value(json!({ "metadata": { "name": "any" } })).unwrap();
    let patch = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
    let name = "oauth2clients.hydra.ory.sh";
    let refused = [
        ("list pods", status(pods.list(&list).await)),
        ("read a Secret elsewhere", status(secrets(&other).get("any").await)),
        ("list Secrets elsewhere", status(secrets(&other).list(&list).await)),
        ("delete a Secret elsewhere", status(secrets(&other).delete("any", &delete).await)),
        (
            "replace a Secret",
            status(secrets(&own).replace("any", &PostParams::default(), &secret).await),
        ),
        (
            "patch a Deployment",
            status(deployments.patch("any", &PatchParams::default(), &patch).await),
        ),
        (
            "become an administrator",
            status(bindings.create(&PostParams::default(), &binding).await),
        ),
        ("read the definition", status(definitions.get(name).await)),
        ("list namespaces", status(Api::<Namespace>::all(client.clone()).list(&list).await)),
        ("list cluster roles", status(Api::<ClusterRole>::all(client.clone()).list(&list).await)),
    ];
    for (what, status) in refused {
        assert_eq!(status, Some(403), "{what}");
    }
    // The same connection may do what it should: what is not there is said to be not there.
    assert_eq!(status(secrets(&own).get("any").await), Some(404));
}

/// By its own log; that the API server has counted no refusal either is part of the test of the
/// steady state.
async fn the_operator_is_refused_nothing_it_needs(generation: Generation) {
    let world = World::new("refused", generation).await;
    world.create("app", &json!({})).await;
    world.ready("app").await;
    world.edit("app", &json!({ "scope": "read" })).await;
    world.ready("app").await;
    world.edit("app", &json!({ "secretName": "moved" })).await;
    world.ready("app").await;
    world.secrets.delete("moved", &DeleteParams::default()).await.unwrap();
    world.create("orphan", &json!({ "deletionPolicy": "orphan" })).await;
    world.ready("orphan").await;
    for name in ["app", "orphan"] {
        world.delete(name).await;
        world.gone(name).await;
    }
    let told = ["ClientCreated", "ClientUpdated", "SecretMoved", "ClientOrphaned", "ClientDeleted"];
    world.published().await;
    let events = Api::<Event>::namespaced(world.client.clone(), &world.namespace);
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let log = world.operator.log();
    for reason in told {
        let is_told = |event: &Event| event.reason.as_deref() == Some(reason);
        assert!(events.iter().any(is_told), "no event {reason}");
        assert!(log.contains(reason), "{reason} is not logged:\n{log}");
    }
    assert!(!log.to_lowercase().contains("forbidden"), "{log}");
}

fn status<T>(result: kube::Result<T>) -> Option<u16> {
    match result {
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

async fn assert_allowed(
    client: &Client,
    namespace: Option<&str>,
    requests: &[(&str, &str, &str)],
    expected: bool,
) {
    stream::iter(requests)
        .for_each_concurrent(8, async |(verb, group, resource)| {
            let allowed = is_allowed(client, namespace, verb, group, resource).await;
            assert_eq!(allowed, expected, "{verb} {group}/{resource} in {namespace:?}");
        })
        .await;
}

/// Asks the API server, with no namespace for all of them.
async fn is_allowed(
    client: &Client,
    namespace: Option<&str>,
    verb: &str,
    group: &str,
    resource: &str,
) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = ResourceAttributes {
        namespace: namespace.map(ToOwned::to_owned),
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: Some(subresource.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api = Api::all(client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

fn needed() -> BTreeSet<(String, String, String)> {
    let owned = |(verb, group, resource): (&str, &str, &str)| {
        (verb.to_owned(), group.to_owned(), resource.to_owned())
    };
    NEEDED.map(owned).into()
}

/// All that the client may do in a namespace, apart from what every user may: ask about itself.
async fn rules(client: &Client, namespace: &str) -> BTreeSet<(String, String, String)> {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
        ..SelfSubjectRulesReview::default()
    };
    let api = Api::all(client.clone());
    let status = api.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    assert!(!status.incomplete, "{:?}", status.evaluation_error);
    let mut rules = BTreeSet::new();
    for rule in status.resource_rules {
        for verb in &rule.verbs {
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    rules.insert((verb.clone(), group.clone(), resource.clone()));
                }
            }
        }
    }
    rules.retain(|(_, _, resource)| !resource.starts_with("selfsubject"));
    rules
}
