//! Rows of the threat model (`docs/security.md`) that no other file is about: what somebody who may write resources in one
//! namespace, and nothing else, must not be able to do.

use hydra_operator::api::{self, OAuth2Client};
use k8s_openapi::{
    api::core::v1::ResourceQuota,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    key_world::KeyWorld,
    on_each_generation,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, eventually, jose::generate,
    },
    world::{World, client_id, message},
};

on_each_generation!(
    row_02_a_name_is_that_of_the_resources_own_namespace,
    row_03_a_secret_is_marked_before_a_resource_names_its_keys,
    row_03_a_value_that_is_no_id_is_not_repeated,
    row_08_nobody_else_can_be_named_as_owner,
);

/// The operator may read all namespaces here: it is not its rights that keep it from the other one. The API server is its own,
/// because it would work for the other tests too.
async fn row_02_a_name_is_that_of_the_resources_own_namespace(generation: Generation) {
    let (cp, hydra) = (ControlPlane::start().await, Hydra::shared(generation).await);
    let (own, other) = (cp.namespace("row-02").await, cp.namespace("row-02-other").await);
    let operator = Operator::start(&cp, OperatorOptions::new(hydra.admin_url())).await;
    let mut world = World::with_operator(cp, hydra, operator, other.clone()).await;
    let id = format!("prize-{other}");
    world
        .create_secret("prize", &json!({ "CLIENT_ID": id, "CLIENT_SECRET": "of-the-other" }))
        .await;
    let key = generate("ES256", "prize-key");
    let jwks = json!({ "keys": [key.jwk] }).to_string();
    world.create_secret("prize-keys", &json!({ "jwks.json": jwks })).await;
    world.enter(&own);
    let world: KeyWorld = world.into();

    world.create("shop", &json!({ "secretName": "prize", "requireExistingSecret": true })).await;
    let import = json!({ "secretRef": { "name": "prize-keys" } });
    world.create_set("keys", &json!({ "algorithm": "ES256", "import": import })).await;
    world.shows("shop", "Reconciling=True WaitingForSecret").await;
    world.set_shows("keys", "Reconciling=True WaitingForSecret").await;
    assert!(world.in_hydra(&id).await.is_none());
    // The API server takes these, as with hydra-maester's definition; the operator sends no request for them.
    for (name, path) in [("path", "prize"), ("dots", "../prize"), ("climb", "../../secrets/prize")]
    {
        world.create(name, &json!({ "secretName": format!("{other}/{path}") })).await;
        world.shows(name, "Stalled=True InvalidSpec").await;
        world.delete(name).await;
        world.gone(name).await;
    }
    assert!(world.secrets.list(&ListParams::default()).await.unwrap().items.is_empty());
}

/// And no field of either kind is a namespace.
#[test]
fn row_02_no_reference_has_a_namespace() {
    fn collect(schema: &Value, path: &str, found: &mut Vec<String>) {
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            collect(member, &path, found);
            found.push(path);
        }
        for below in ["items", "additionalProperties"] {
            if schema[below].is_object() {
                collect(&schema[below], path, found);
            }
        }
    }
    for crd in api::crds() {
        let CustomResourceDefinition { spec, .. } = crd;
        let schema = json!(spec.versions[0].schema);
        let mut found = Vec::new();
        collect(&schema["openAPIV3Schema"]["properties"]["spec"], "spec", &mut found);
        assert!(found.len() > 15, "{found:?}");
        let namespaces = found.iter().filter(|path| path.to_lowercase().contains("namespace"));
        assert_eq!(namespaces.collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

/// An id stands in status: whoever may not read a Secret would read there whatever he names as its id.
async fn row_03_a_secret_is_marked_before_a_resource_names_its_keys(generation: Generation) {
    let world = World::alone("row-03", generation).await;
    let prize = format!("correct-horse-battery-{}", world.namespace);
    world.create_secret("database", &json!({ "password": prize })).await;
    let named = json!({
        "secretName": "database",
        "secretKeys": { "clientId": "password" },
        "tokenEndpointAuthMethod": "none",
    });
    world.create("shop", &named).await;
    let stalled = world.shows("shop", "Stalled=True SecretNotOwned").await;
    assert!(message(&stalled).contains("hydra.ory.sh/credentials=true"), "{}", message(&stalled));
    world.assert_no_secret_leaked(&[&prize]).await;
    assert_eq!(world.hydra.counters().await.writes(), 0);

    // Nor is the secret of a client that was left in Hydra an id, although the operator wrote it.
    world.create("left", &json!({ "deletionPolicy": "orphan" })).await;
    world.ready("left").await;
    let left = world.credentials("left-credentials").await.secret.unwrap();
    world.delete("left").await;
    world.gone("left").await;
    let writes = world.hydra.counters().await.writes();
    let named = json!({
        "secretName": "left-credentials",
        "secretKeys": { "clientId": "CLIENT_SECRET", "clientSecret": "none" },
        "tokenEndpointAuthMethod": "none",
    });
    world.create("thief", &named).await;
    world.shows("thief", "Stalled=True SecretNotOwned").await;
    world.assert_no_secret_leaked(&[&left]).await;
    assert_eq!(world.hydra.counters().await.writes(), writes);

    // Whoever may write the Secret can allow it.
    let label = json!({ "metadata": { "labels": { "hydra.ory.sh/credentials": "true" } } });
    world.secrets.patch("database", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
    assert_eq!(client_id(&world.ready("shop").await), prize);
}

/// Whoever names another key of a Secret as that of the id is told nothing of a value that cannot be one.
async fn row_03_a_value_that_is_no_id_is_not_repeated(generation: Generation) {
    const VALUE: &str = "of two\nlines";
    let world = World::new("row-03", generation).await;
    let (short, long) = ("pw-12", "x".repeat(300));
    let data = json!({ "password": VALUE, "short": short, "long": long });
    world.create_secret("database", &data).await;
    let label = json!({ "metadata": { "labels": { "hydra.ory.sh/credentials": "true" } } });
    world.secrets.patch("database", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
    for (name, keys) in [
        ("no-id", json!({ "clientId": "password", "clientSecret": "short" })),
        ("long-id", json!({ "clientId": "long", "clientSecret": "short" })),
    ] {
        world.create(name, &json!({ "secretName": "database", "secretKeys": keys })).await;
        let stalled = world.shows(name, "Stalled=True InvalidSecret").await;
        assert!(message(&stalled).contains("cannot be used"), "{}", message(&stalled));
        world.delete(name).await;
        world.gone(name).await;
    }
    world.assert_no_secret_leaked(&[VALUE, short, &long]).await;
}

/// Hydra fetches what a client names, so it is Hydra that can refuse addresses of the inner network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_07_hydra_refuses_inner_addresses_where_it_is_told_to() {
    let settings = [("CLIENTS_HTTP_DISALLOW_PRIVATE_IP_RANGES", "true")];
    let hydra = Hydra::start_with(Generation::V2, &settings).await;
    let world = World::with_args("row-07", hydra, &[]).await;
    let inner = "http://127.0.0.1:4445/admin/clients";
    for (name, field) in
        [("keys", "jwksUri"), ("logout", "backChannelLogoutURI"), ("request", "requestUris")]
    {
        let value = if field == "requestUris" { json!([inner]) } else { json!(inner) };
        world.create(name, &json!({ field: value })).await;
        let stalled = world.shows(name, "Stalled=True RejectedByHydra").await;
        assert!(message(&stalled).contains("not allowed"), "{}", message(&stalled));
    }
    assert!(world.hydra.list_all_clients().await.is_empty());
}

/// The mark that tells whose a client is comes from the name of the resource alone.
async fn row_08_nobody_else_can_be_named_as_owner(generation: Generation) {
    let world = World::new("row-08", generation).await;
    let metadata = json!({ "owner": "bank/other-namespace", "client_id": "another" });
    world.create("shop", &json!({ "metadata": metadata })).await;
    let id = client_id(&world.ready("shop").await);
    let client = world.in_hydra(&id).await.unwrap();
    assert_eq!(client["owner"], world.owner("shop"));
    assert_eq!(client["metadata"], metadata);
    // A field that the definition does not have is dropped by the API server.
    let mut resource = json!(World::resource("bank", &json!({})));
    resource["spec"]["owner"] = json!("bank/other-namespace");
    let kind = ApiResource::erase::<OAuth2Client>(&());
    let objects: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &kind);
    let resource = serde_json::from_value(resource).unwrap();
    objects.create(&PostParams::default(), &resource).await.unwrap();
    let id = client_id(&world.ready("bank").await);
    assert_eq!(world.in_hydra(&id).await.unwrap()["owner"], world.owner("bank"));
}

/// A quota bounds how many clients a namespace may have. No controller counts here: its first count is the test's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_11_a_quota_bounds_the_resources_of_a_namespace() {
    const COUNT: &str = "count/oauth2clients.hydra.ory.sh";
    let world = World::new("row-11", Generation::V2).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(world.client.clone(), &world.namespace);
    let quota = json!({ "metadata": { "name": "clients" }, "spec": { "hard": { COUNT: "2" } } });
    let quota = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    let counted = json!({ "status": { "hard": { COUNT: "2" }, "used": { COUNT: "0" } } });
    let params = PatchParams::default();
    quotas.patch_status("clients", &params, &Patch::Merge(&counted)).await.unwrap();
    for name in ["first", "second"] {
        // The quota is seen by the API server a moment later.
        eventually(&format!("{name} is admitted"), async || {
            let resource = World::resource(name, &json!({}));
            world.resources.create(&PostParams::default(), &resource).await.map(drop)
        })
        .await;
        world.ready(name).await;
    }
    let third = World::resource("third", &json!({}));
    let refused = world.resources.create(&PostParams::default(), &third).await.unwrap_err();
    assert!(refused.to_string().contains("exceeded quota"), "{refused}");
}
