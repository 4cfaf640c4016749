//! `spec.jwksFrom`: a client whose keys are those of a `JsonWebKeySet`, here by what the status of the set says.

use hydra_operator::api::JsonWebKeySet;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    on_each_generation,
    signing::ClientKey,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, counters::ApiserverCounters,
        eventually,
    },
    world::{World, client_id, message},
};

on_each_generation!(
    a_client_follows_its_set,
    what_hydra_cannot_check_is_stalled,
    a_restart_writes_nothing_and_misses_nothing,
    an_edit_of_the_keys_in_hydra_is_put_back,
);

const WAITS: &str = "Reconciling=True WaitingForKeySet";

fn linked() -> Value {
    json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwksFrom": { "name": "signing" } })
}

/// A key as the status of a set records it.
fn recorded(key: &ClientKey, state: &str) -> Value {
    let public = key.public_jwk();
    json!({
        "kid": public["kid"], "algorithm": "ES256", "use": "sig", "state": state, "origin": "Hydra",
        "publicKey": public,
    })
}

impl World {
    fn sets(&self) -> Api<JsonWebKeySet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Suspended, so that its status is what the test writes.
    async fn create_set(&self, algorithm: &str) {
        let set = serde_json::from_value(json!({
            "metadata": { "name": "signing" },
            "spec": { "algorithm": algorithm, "suspend": true },
        }));
        self.sets().create(&PostParams::default(), &set.unwrap()).await.unwrap();
    }

    /// Makes the set have these keys, as the one who rotates them would.
    async fn set_keys(&self, keys: &[Value]) {
        let patch = Patch::Merge(json!({ "status": { "keys": keys } }));
        self.sets().patch_status("signing", &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the status of `name` says that Hydra holds these keys, and checks that it does.
    async fn holds(&self, name: &str, kids: &[&str]) -> Value {
        let resource = eventually(&format!("{name} holds {kids:?}"), async || {
            let resource = self.resources.get(name).await.unwrap();
            let held = resource.status.as_ref().and_then(|status| status.jwks.clone());
            match held {
                Some(held) if held.name == "signing" && held.keys == kids => Ok(resource),
                other => Err(other),
            }
        })
        .await;
        let client = self.in_hydra(&client_id(&resource)).await.unwrap();
        let held: Vec<_> = client["jwks"]["keys"].as_array().unwrap().iter().collect();
        let mut held: Vec<_> = held.iter().map(|key| key["kid"].as_str().unwrap()).collect();
        let mut expected = kids.to_vec();
        held.sort_unstable();
        expected.sort_unstable();
        assert_eq!(held, expected);
        assert_eq!(client["token_endpoint_auth_signing_alg"], "ES256");
        client
    }

    async fn waits_for(&self, name: &str, words: &str) {
        eventually(&format!("{name} waits: {words}"), async || {
            let resource = self.shows(name, WAITS).await;
            let message = message(&resource);
            if message.contains(words) { Ok(()) } else { Err(message) }
        })
        .await;
    }
}

async fn a_client_follows_its_set(generation: Generation) {
    let world = World::new("linked", generation).await;
    let (first, second) = (ClientKey::generate("first"), ClientKey::generate("second"));
    world.create("app", &linked()).await;
    world.waits_for("app", "no JsonWebKeySet signing").await;
    world.create_set("ES256").await;
    world.waits_for("app", "no public key").await;
    assert!(world.hydra.client_ids_of(&world.owner("app")).await.is_empty());

    world.set_keys(&[recorded(&first, "Pending")]).await;
    let id = client_id(&world.ready("app").await);
    world.holds("app", &["first"]).await;
    assert!(first.gets_token(&world.hydra, &id).await);
    assert!(!second.gets_token(&world.hydra, &id).await);

    world.set_keys(&[recorded(&first, "Active"), recorded(&second, "Pending")]).await;
    world.holds("app", &["first", "second"]).await;
    for key in [&first, &second] {
        assert!(key.gets_token(&world.hydra, &id).await);
    }
    world.set_keys(&[recorded(&second, "Active")]).await;
    world.holds("app", &["second"]).await;
    assert!(!first.gets_token(&world.hydra, &id).await);
    world.ready("app").await;
    let events = world.events("app").await;
    assert_eq!(events.get("Normal ClientUpdated"), Some(&2), "{events:?}");
    assert_eq!(events.get("Warning DriftCorrected"), None, "{events:?}");

    world.sets().delete("signing", &DeleteParams::default()).await.unwrap();
    world.waits_for("app", "no JsonWebKeySet signing").await;
    world.pass("app").await;
    world.holds("app", &["second"]).await;
    assert!(second.gets_token(&world.hydra, &id).await, "the client works on");
    world.create_set("ES256").await;
    world.set_keys(&[recorded(&first, "Active")]).await;
    world.holds("app", &["first"]).await;
    world.ready("app").await;

    world.edit("app", &json!({ "tokenEndpointAuthMethod": null, "jwksFrom": null })).await;
    let resource = world.ready("app").await;
    assert_eq!(resource.status.unwrap().jwks, None);
    let client = world.in_hydra(&id).await.unwrap();
    assert!(client["jwks"]["keys"].as_array().is_none_or(Vec::is_empty), "{client}");

    world.edit("app", &linked()).await;
    world.holds("app", &["first"]).await;
    world.sets().delete("signing", &DeleteParams::default()).await.unwrap();
    world.waits_for("app", "no JsonWebKeySet signing").await;
    world.delete("app").await;
    world.gone("app").await;
    assert_eq!(world.in_hydra(&id).await, None);
}

async fn what_hydra_cannot_check_is_stalled(generation: Generation) {
    let world = World::new("unlinkable", generation).await;
    world.create_set("EdDSA").await;
    world.create("app", &linked()).await;
    let resource = world.shows("app", "Stalled=True InvalidSpec").await;
    assert!(message(&resource).contains("such as ES256"), "{}", message(&resource));
    // The keys decide, not what the spec of the set says by now.
    let key = ClientKey::generate("one");
    world.set_keys(&[recorded(&key, "Active")]).await;
    let id = client_id(&world.ready("app").await);
    assert!(key.gets_token(&world.hydra, &id).await);

    world.edit("app", &json!({ "tokenEndpointAuthSigningAlg": "RS256" })).await;
    let resource = world.shows("app", "Stalled=True InvalidSpec").await;
    assert!(message(&resource).contains("remove spec.tokenEndpointAuthSigningAlg"));
    assert!(key.gets_token(&world.hydra, &id).await, "the client works on");
}

async fn an_edit_of_the_keys_in_hydra_is_put_back(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let world = World::with_args("linked-drift", hydra, &["--resync-interval=1s"]).await;
    let (ours, foreign) = (ClientKey::generate("ours"), ClientKey::generate("foreign"));
    world.create_set("ES256").await;
    world.set_keys(&[recorded(&ours, "Active")]).await;
    world.create("app", &linked()).await;
    let id = client_id(&world.ready("app").await);
    let mut client = world.holds("app", &["ours"]).await;
    client["jwks"]["keys"] = json!([foreign.public_jwk()]);
    assert_eq!(world.hydra.put_client(&id, &client).await.status, 200);
    eventually("the keys are back", async || ours.gets_token(&world.hydra, &id).await).await;
    assert!(!foreign.gets_token(&world.hydra, &id).await);
    eventually("it is told", async || {
        world.events("app").await.get("Warning DriftCorrected") == Some(&1)
    })
    .await;
}

async fn a_restart_writes_nothing_and_misses_nothing(generation: Generation) {
    let (cp, hydra) = (ControlPlane::start().await, Hydra::start(generation).await);
    let mut world = World::on(cp, hydra, "linked-restart", &["--resync-interval=1h"]).await;
    let (first, second) = (ClientKey::generate("first"), ClientKey::generate("second"));
    world.create_set("ES256").await;
    world.set_keys(&[recorded(&first, "Active")]).await;
    let names = ["app-0", "app-1", "app-2"];
    for name in names {
        world.create(name, &linked()).await;
        world.ready(name).await;
    }
    world.published().await;
    world.operator.process().terminate().await;
    let before = writes(&world).await;
    world.operator.start_again().await;
    looked_at(&world, names.len() as u64).await;
    assert_eq!(writes(&world).await, before);

    world.operator.process().terminate().await;
    world.set_keys(&[recorded(&first, "Retained"), recorded(&second, "Active")]).await;
    let options = OperatorOptions::new(world.hydra.admin_url()).observing();
    let observer = Operator::start(&world.cp, options).await;
    eventually("it is told what would be done", async || {
        let log = observer.log();
        let told = log.matches("update client: jwks").count();
        if told >= names.len() { Ok(()) } else { Err(log) }
    })
    .await;
    drop(observer);
    world.operator.start_again().await;
    for name in names {
        world.holds(name, &["first", "second"]).await;
    }
}

/// Writes to resources and Secrets, and to Hydra.
async fn writes(world: &World) -> [u64; 4] {
    let counted = ApiserverCounters::read(&world.client).await;
    let of_kubernetes = ["oauth2clients", "secrets", "events"].map(|what| counted.writes(what));
    let [resources, secrets, events] = of_kubernetes;
    [resources, secrets, events, world.hydra.counters().await.writes()]
}

async fn looked_at(world: &World, enough: u64) {
    eventually("a pass over each, and a sweep", async || {
        let sweeps = world.operator.metric("hydra_operator_sweeps_total", &[]).await;
        world.passes().await >= enough && sweeps >= 1.0
    })
    .await;
}

/// Those who have not installed the other definition yet can upgrade the operator nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_definition_all_else_works() {
    let cp = ControlPlane::start().await;
    tokio::task::block_in_place(|| cp.kubectl(&["delete", "crd", "jsonwebkeysets.hydra.ory.sh"]));
    let world = World::on(cp, Hydra::shared(Generation::V2).await, "no-sets", &[]).await;
    world.create("plain", &json!({})).await;
    world.ready("plain").await;
    world.create("app", &linked()).await;
    world.waits_for("app", "no list of JsonWebKeySets").await;

    world.cp.install_crds().await;
    let key = ClientKey::generate("one");
    world.create_set("ES256").await;
    world.set_keys(&[recorded(&key, "Active")]).await;
    world.ready("app").await;
    world.holds("app", &["one"]).await;
    assert_eq!(world.operator.log().matches("Watching JsonWebKeySets failed").count(), 1);
}
