//! What deletion does, and what cannot stop it.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    on_each_generation,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, eventually,
        hydra_api::service_client,
    },
    world::{World, client_id},
};

on_each_generation!(
    orphans_keep_their_client_and_its_credentials,
    an_invalid_spec_does_not_keep_the_client,
    a_lost_trace_does_not_keep_the_client,
    a_client_that_is_gone_already_is_no_obstacle,
    a_client_that_somebody_else_took_over_stays,
    row_28_a_deleted_namespace_revokes_its_clients,
);

async fn orphans_keep_their_client_and_its_credentials(generation: Generation) {
    let world = World::new("orphan", generation).await;
    world.create("kept", &json!({ "deletionPolicy": "orphan" })).await;
    world.create("revoked", &json!({})).await;
    world.ready("kept").await;
    world.ready("revoked").await;
    let kept = world.credentials("kept-credentials").await;
    let client = world.in_hydra(&kept.id).await;

    for name in ["kept", "revoked"] {
        world.delete(name).await;
        world.gone(name).await;
    }
    // Kubernetes collects the Secret of the second, so it has seen that the owner of the first is gone.
    eventually("the Secret of the revoked client is collected", async || {
        world.secrets.get_opt("revoked-credentials").await.unwrap().is_none()
    })
    .await;
    let secret = world.secrets.get("kept-credentials").await.unwrap();
    assert_eq!(secret.metadata.owner_references, None);
    assert_eq!(world.in_hydra(&kept.id).await, client);
    assert!(world.gets_token(&kept).await);
    world.assert_no_secret_leaked(&[kept.secret()]).await;
}

async fn an_invalid_spec_does_not_keep_the_client(generation: Generation) {
    let world = World::new("invalid", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    world.edit("shop", &json!({ "hydraAdmin": { "url": "http://hydra.example.com" } })).await;
    world.shows("shop", "Stalled=True HydraAdminNotAllowed").await;
    assert!(world.in_hydra(&id).await.is_some());
    world.delete("shop").await;
    world.gone("shop").await;
    assert_eq!(world.in_hydra(&id).await, None);
}

/// Status, Secret and the owner mark in Hydra each lead to the client: any of them is enough, and
/// what points to the client of somebody else does not lead astray.
async fn a_lost_trace_does_not_keep_the_client(generation: Generation) {
    let mut world = World::new("traces", generation).await;
    let cases = ["no-secret", "no-status", "neither", "renamed", "edited-secret", "astray"];
    let mut clients = Vec::new();
    for name in cases {
        world.create(name, &json!({})).await;
        clients.push(client_id(&world.ready(name).await));
    }
    let foreign = format!("foreign-{}", world.namespace);
    let client = service_client(&foreign, "secret-of-somebody-else");
    assert_eq!(world.hydra.post_client(&client).await.status, 201);
    let data = json!({ "CLIENT_ID": foreign, "CLIENT_SECRET": "secret-of-somebody-else" });
    world.create_secret("of-somebody-else", &data).await;

    assert_eq!(world.operator.process().terminate().await, 0);
    for name in ["no-secret", "neither"] {
        world.delete_secret(&format!("{name}-credentials")).await;
    }
    for name in ["no-status", "neither", "renamed", "edited-secret", "astray"] {
        let nothing = Patch::Merge(json!({ "status": null }));
        world.resources.patch_status(name, &PatchParams::default(), &nothing).await.unwrap();
    }
    world.edit("renamed", &json!({ "secretName": "elsewhere" })).await;
    world.edit("astray", &json!({ "secretName": "of-somebody-else" })).await;
    world.edit_secret("edited-secret-credentials", &json!({ "CLIENT_ID": "nobody" })).await;
    for name in cases {
        world.delete(name).await;
    }
    world.operator.start_again().await;
    for (name, id) in cases.into_iter().zip(clients) {
        world.gone(name).await;
        assert_eq!(world.in_hydra(&id).await, None, "{name}");
    }
    assert!(world.hydra.token(&foreign, "secret-of-somebody-else").await.is_ok());
}

async fn a_client_that_is_gone_already_is_no_obstacle(generation: Generation) {
    let world = World::new("gone", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    assert_eq!(world.hydra.delete_client(&id).await.status, 204);
    world.delete("shop").await;
    world.gone("shop").await;
}

async fn a_client_that_somebody_else_took_over_stays(generation: Generation) {
    let world = World::new("taken-over", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let credentials = world.credentials("shop-credentials").await;
    let mut client = world.in_hydra(&id).await.unwrap();
    client["owner"] = json!("somebody-else");
    assert_eq!(world.hydra.put_client(&id, &client).await.status, 200);
    let taken = world.in_hydra(&id).await;

    world.delete("shop").await;
    world.gone("shop").await;
    assert_eq!(world.in_hydra(&id).await, taken);
    assert!(world.gets_token(&credentials).await);
}

/// With rights in the whole cluster: Kubernetes deletes the Roles of a namespace together with all
/// else in it, and rights that rest on them end before the work does.
async fn row_28_a_deleted_namespace_revokes_its_clients(generation: Generation) {
    const NAMES: [&str; 5] = ["one", "two", "three", "four", "five"];
    let cp = ControlPlane::start().await;
    let hydra = Hydra::shared(generation).await;
    let namespace = cp.namespace("deleted").await;
    let operator = Operator::start(&cp, OperatorOptions::new(hydra.admin_url())).await;
    let world = World::with_operator(cp, hydra, operator, namespace).await;
    let mut clients = Vec::new();
    for name in NAMES {
        world.create(name, &json!({})).await;
        clients.push(client_id(&world.ready(name).await));
    }
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace is gone", async || {
        match namespaces.get_opt(&world.namespace).await.unwrap() {
            None => Ok(()),
            Some(namespace) => Err(format!("{:?}", namespace.status)),
        }
    })
    .await;
    for id in clients {
        assert_eq!(world.in_hydra(&id).await, None);
    }
}
