//! What protects clients from mistakes and from odd servers.

use std::collections::BTreeMap;

use hydra_operator::api::{OAuth2Client, RELEASE_ANNOTATION};
use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, CustomResourceExt, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    proxy::Proxy,
    support::{ControlPlane, Generation, Hydra, Operator, OperatorOptions, eventually},
    world::{World, client_id},
};

/// A pruned or replaced definition deletes every resource, and must not delete every client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_the_definition_revokes_no_client() {
    let cp = ControlPlane::start().await;
    let hydra = Hydra::shared(Generation::V2).await;
    let world = World::on(cp, hydra, "definition", &[]).await;
    let mut held = Vec::new();
    for name in ["one", "two", "three"] {
        world.create(name, &json!({})).await;
        world.ready(name).await;
        held.push(world.credentials(&format!("{name}-credentials")).await);
    }

    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let name = OAuth2Client::crd_name();
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    eventually("the definition is gone", async || {
        definitions.get_opt(name).await.unwrap().is_none()
    })
    .await;
    for credentials in &held {
        assert!(world.gets_token(credentials).await, "{} was revoked", credentials.id);
    }
    for name in ["one", "two", "three"] {
        let secret = world.secrets.get(&format!("{name}-credentials")).await.unwrap();
        assert_eq!(secret.metadata.owner_references.unwrap_or_default(), [], "it outlives {name}");
    }
}

/// Hydra 2.0 and 2.1 choose ids themselves. These cannot be built here, so a proxy refuses what
/// they refuse; everything else is Hydra 2.3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hydra_that_chooses_ids_is_served() {
    let hydra = Hydra::shared(Generation::V2).await;
    let proxy = Proxy::start(hydra).await;
    proxy.choose_ids();
    let world = World::behind(proxy.url(), hydra, &[]).await;
    for number in 0..20 {
        world.create(&format!("app-{number}"), &json!({})).await;
    }
    for resource in world.all_ready(20).await {
        let name = resource.metadata.name.clone().unwrap();
        let credentials = world.credentials(&format!("{name}-credentials")).await;
        assert_eq!(client_id(&resource), credentials.id);
        assert_eq!(
            world.hydra.client_ids_of(&world.owner(&name)).await,
            std::slice::from_ref(&credentials.id)
        );
        assert!(world.gets_token(&credentials).await, "{name}");
    }

    world.create("asked", &json!({ "clientId": "asked" })).await;
    world.shows("asked", "Stalled=True RejectedByHydra").await;

    let lost = world.credentials("app-0-credentials").await;
    world.delete_secret("app-0-credentials").await;
    eventually("the Secret is made again for the same client", async || {
        let secret = world.secrets.get_opt("app-0-credentials").await.unwrap();
        secret.is_some_and(|secret| secret.data.is_some_and(|data| data.contains_key("CLIENT_ID")))
    })
    .await;
    world.ready("app-0").await;
    let made = world.credentials("app-0-credentials").await;
    assert_eq!(made.id, lost.id);
    assert!(world.gets_token(&made).await);

    world.delete("app-1").await;
    world.gone("app-1").await;
    assert!(world.hydra.client_ids_of(&world.owner("app-1")).await.is_empty());
}

/// What cannot be read of a spec changes nothing about its deletion, except that a policy that
/// cannot be read is no permission to revoke.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_does_not_decode_is_deleted_like_any_other() {
    const NAMES: [&str; 5] = ["revoked", "kept", "unreadable", "released", "in-namespace"];
    let cp = ControlPlane::start().await;
    let hydra = Hydra::shared(Generation::V2).await;
    let namespace = cp.namespace("undecodable").await;
    // With rights in the whole cluster: Roles go with their namespace, before the work is done.
    let operator = Operator::start(&cp, OperatorOptions::new(hydra.admin_url())).await;
    let mut world = World::with_operator(cp, hydra, operator, namespace).await;
    let mut held = BTreeMap::new();
    for name in NAMES {
        world.create(name, &json!({})).await;
        world.ready(name).await;
        held.insert(name, world.credentials(&format!("{name}-credentials")).await);
    }
    let objects = break_all(&world, &NAMES).await;
    let before = versions(&objects).await;
    assert_eq!(world.operator.process().terminate().await, 0);
    world.operator.start_again().await;
    eventually("each was looked at again", async || {
        let labels = [("reason", "Undecodable")];
        world.operator.metric("hydra_operator_outcomes_total", &labels).await > 4.5
    })
    .await;
    assert_eq!(versions(&objects).await, before, "a restart writes the same once more");

    let annotation = json!({ "metadata": { "annotations": { RELEASE_ANNOTATION: "true" } } });
    patch(&objects, "released", &annotation).await;
    for name in ["revoked", "kept", "unreadable", "released"] {
        objects.delete(name, &DeleteParams::default()).await.unwrap();
    }
    for name in ["revoked", "kept", "unreadable", "released"] {
        eventually(&format!("{name} is gone"), async || gone(&objects, name).await).await;
    }
    assert_eq!(world.in_hydra(&held["revoked"].id).await, None);
    for name in ["kept", "unreadable", "released"] {
        assert!(world.gets_token(&held[name]).await, "{name}");
    }
    for name in ["kept", "unreadable"] {
        let secret = world.secrets.get(&format!("{name}-credentials")).await.unwrap();
        assert_eq!(secret.metadata.owner_references.unwrap_or_default(), [], "{name}");
    }

    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace is gone", async || {
        namespaces.get_opt(&world.namespace).await.unwrap().is_none()
    })
    .await;
    assert_eq!(world.in_hydra(&held["in-namespace"].id).await, None);
}

/// Puts `names` under a definition that lets in anything, makes them what this version cannot read,
/// and waits until they say so.
async fn break_all(world: &World, names: &[&str]) -> Api<DynamicObject> {
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let path = "/spec/versions/0/schema/openAPIV3Schema";
    let loosened = json!([{ "op": "replace", "path": path, "value": anything }]);
    let loosened = Patch::Json::<()>(serde_json::from_value(loosened).unwrap());
    let definition = OAuth2Client::crd_name();
    definitions.patch(definition, &PatchParams::default(), &loosened).await.unwrap();

    let kind = OAuth2Client::api_resource();
    let objects = Api::namespaced_with(world.client.clone(), &world.namespace, &kind);
    for name in names {
        let policy = match *name {
            "kept" => json!("orphan"),
            "unreadable" => json!(["delete"]),
            _ => Value::Null,
        };
        let odd = json!({ "spec": { "grantTypes": "all of them", "deletionPolicy": policy } });
        eventually("the definition takes anything", async || {
            objects.patch(name, &PatchParams::default(), &Patch::Merge(&odd)).await.map(drop)
        })
        .await;
        eventually(&format!("{name} says that it does not decode"), async || {
            let object: DynamicObject = objects.get(name).await.unwrap();
            let conditions = object.data["status"]["conditions"].to_string();
            if conditions.contains("Undecodable") { Ok(()) } else { Err(conditions) }
        })
        .await;
    }
    objects
}

async fn patch(objects: &Api<DynamicObject>, name: &str, change: &Value) {
    objects.patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
}

async fn gone(objects: &Api<DynamicObject>, name: &str) -> Result<(), String> {
    match objects.get_opt(name).await.unwrap() {
        None => Ok(()),
        Some(object) => Err(object.data["status"].to_string()),
    }
}

async fn versions(objects: &Api<DynamicObject>) -> BTreeMap<String, Option<String>> {
    let objects = objects.list(&ListParams::default()).await.unwrap().items;
    objects.into_iter().map(|object| (object.name_any(), object.resource_version())).collect()
}
