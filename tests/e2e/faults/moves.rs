//! Rows 31 and 32: a resource that is made again, or moved to another namespace.

use hydra_operator::api::OAuth2Client;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    on_each_generation,
    support::{ControlPlane, Generation, Hydra, Operator, OperatorOptions, eventually},
    world::{World, client_id, message, shown},
};

on_each_generation!(
    row_31_a_resource_that_is_made_again_gets_new_credentials,
    row_32_a_resource_moves_to_another_namespace_in_either_order,
    row_32_a_pruned_orphan_leaves_its_client_where_it_is,
);

async fn row_31_a_resource_that_is_made_again_gets_new_credentials(generation: Generation) {
    let world = World::new("row-31", generation).await;
    let first = world.create("app", &json!({})).await;
    world.ready("app").await;
    let former = world.credentials("app-credentials").await;
    world.delete("app").await;
    world.gone("app").await;

    // The former Secret may be collected before or after.
    let second = world.create("app", &json!({})).await;
    assert_ne!(first.uid(), second.uid());
    world.ready("app").await;
    eventually("the Secret is that of the second", async || {
        let secret = world.secrets.get_opt("app-credentials").await.unwrap()?;
        let owners = secret.metadata.owner_references.unwrap_or_default();
        owners.iter().any(|owner| Some(&owner.uid) == second.uid().as_ref()).then_some(())
    })
    .await;
    let present = world.credentials("app-credentials").await;
    assert_eq!(world.hydra.client_ids_of(&world.owner("app")).await, [&*present.id]);
    assert!(world.gets_token(&present).await);
    assert!(!world.gets_token(&former).await);
    world.assert_no_secret_leaked(&[former.secret(), present.secret()]).await;
}

/// Two namespaces, one operator.
struct Move {
    from: World,
    resources: Api<OAuth2Client>,
    secrets: Api<Secret>,
    namespace: String,
}

impl Move {
    async fn new(generation: Generation) -> Self {
        let (cp, hydra) = (ControlPlane::shared().await, Hydra::shared(generation).await);
        let (from, to) = (cp.namespace("from").await, cp.namespace("to").await);
        let options = OperatorOptions::new(hydra.admin_url())
            .namespaces([&from, &to])
            .args(["--resync-interval=1s"]);
        let operator = Operator::start(cp, options).await;
        let from = World::with_operator(cp, hydra, operator, from).await;
        let client = from.client.clone();
        Self {
            resources: Api::namespaced(client.clone(), &to),
            secrets: Api::namespaced(client, &to),
            namespace: to,
            from,
        }
    }

    async fn create(&self, name: &str, spec: &Value) {
        let resource = World::resource(name, spec);
        self.resources.create(&PostParams::default(), &resource).await.unwrap();
    }

    async fn shows(&self, name: &str, expected: &str) -> OAuth2Client {
        eventually(&format!("the moved {name} shows {expected}"), async || {
            let resource = self.resources.get(name).await.unwrap();
            let shown = shown(&resource);
            if shown.iter().any(|one| one == expected) { Ok(resource) } else { Err(shown) }
        })
        .await
    }

    /// The client is that of the new resource, and works.
    async fn assert_moved(&self, name: &str, id: &str) -> String {
        let ready = self.shows(name, "Ready=True Synced").await;
        assert_eq!(client_id(&ready), id);
        let owner = self.from.in_hydra(id).await.unwrap()["owner"].clone();
        assert_eq!(owner, format!("{name}/{}", self.namespace));
        let secret = self.secrets.get(&format!("{name}-credentials")).await.unwrap();
        let value = secret.data.unwrap()["CLIENT_SECRET"].0.clone();
        let value = String::from_utf8(value).unwrap();
        assert!(self.from.hydra.token(id, &value).await.is_ok());
        value
    }
}

async fn row_32_a_resource_moves_to_another_namespace_in_either_order(generation: Generation) {
    let world = Move::new(generation).await;
    for (name, new_comes_first) in [("early", true), ("late", false)] {
        let id = format!("{name}-{}", world.namespace);
        let spec = json!({ "clientId": id });
        world.from.create(name, &spec).await;
        world.from.ready(name).await;
        let former = world.from.credentials(&format!("{name}-credentials")).await;
        if new_comes_first {
            world.create(name, &spec).await;
            let stalled = world.shows(name, "Stalled=True ClientIdTaken").await;
            assert!(message(&stalled).contains(&world.from.owner(name)), "{}", message(&stalled));
            assert!(world.from.gets_token(&former).await);
        }
        world.from.delete(name).await;
        world.from.gone(name).await;
        if !new_comes_first {
            world.create(name, &spec).await;
        }
        let present = world.assert_moved(name, &id).await;
        assert!(!world.from.gets_token(&former).await, "{name}: the former secret");
        world.from.assert_no_secret_leaked(&[former.secret(), &present]).await;
    }
}

async fn row_32_a_pruned_orphan_leaves_its_client_where_it_is(generation: Generation) {
    let world = Move::new(generation).await;
    let id = format!("kept-{}", world.namespace);
    let spec = json!({ "clientId": id, "deletionPolicy": "orphan" });
    world.from.create("app", &spec).await;
    world.from.ready("app").await;
    let former = world.from.credentials("app-credentials").await;
    let client = world.from.in_hydra(&id).await;
    world.create("app", &spec).await;
    world.shows("app", "Stalled=True ClientIdTaken").await;
    world.from.delete("app").await;
    world.from.gone("app").await;
    world.from.two_sweeps().await;
    // It carries the mark of the former resource, and nobody has transferred it.
    world.shows("app", "Stalled=True ClientIdTaken").await;
    assert_eq!(world.from.in_hydra(&id).await, client);
    assert!(world.from.gets_token(&former).await);
    world.resources.delete("app", &DeleteParams::default()).await.unwrap();
    eventually("the second is gone", async || {
        world.resources.get_opt("app").await.unwrap().is_none()
    })
    .await;
    assert_eq!(world.from.in_hydra(&id).await, client);
    world.from.assert_no_secret_leaked(&[former.secret()]).await;
}
