//! What protects clients from mistakes and from odd servers.

use hydra_operator::api::OAuth2Client;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt, api::DeleteParams};
use serde_json::json;

use crate::{
    proxy::Proxy,
    support::{ControlPlane, Generation, Hydra, eventually},
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
