//! The conditions of a set say what holds, and what others altered is as declared again.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use hydra_operator::api::{
    ConditionStatus, ConditionType, ROTATE_REQUESTED_ANNOTATION, condition,
    jsonwebkeyset::KeyState::{Active, Published, Retained},
};
use kube::api::{WatchEvent, WatchParams};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    key_world::{KeyWorld, private_values},
    on_each_generation,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, control_plane::unique,
        eventually,
    },
    world::World,
};

on_each_generation!(
    another_algorithm_is_reached_when_its_key_signs,
    a_client_in_trouble_holds_up_a_rotation_and_is_named,
    ordinary_rotations_leave_a_set_ready,
    a_namespace_that_cannot_be_read_holds_up_no_set_that_is_nobody_elses,
    what_a_key_is_for_is_put_back,
    a_secret_is_not_replaced_under_its_kid,
);

const NAME: &str = "signing";

fn spec(publish_before: &str) -> Value {
    json!({
        "algorithm": "ES256",
        "rotation": { "publishBefore": publish_before, "retain": "24h" },
        "outputs": { "privateSecret": { "name": "private" } },
    })
}

fn linked() -> Value {
    json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwksFrom": { "name": NAME } })
}

impl KeyWorld {
    async fn ask_for_key(&self) {
        self.annotate_set(NAME, ROTATE_REQUESTED_ANNOTATION, &unique("rotate")).await;
    }

    async fn current_is_not(&self, former: &str) -> String {
        eventually("another key is the current one", async || {
            let status = self.set_status(NAME).await;
            status.current_key.clone().filter(|current| current != former).ok_or(status)
        })
        .await
    }

    /// Replaces a row of the set in Hydra, as somebody else.
    async fn put_row(&self, row: &Value) {
        let kid = row["kid"].as_str().unwrap();
        let path = format!("/keys/k8s.{}.{NAME}/{kid}", self.namespace);
        assert_eq!(self.hydra.admin(Method::PUT, &path, Some(row)).await.status, 200);
    }
}

async fn another_algorithm_is_reached_when_its_key_signs(generation: Generation) {
    let world = KeyWorld::new("unreached", generation).await;
    world.create_set(NAME, &spec("1h")).await;
    world.set_ready(NAME).await;
    for change in [json!({ "algorithm": "EdDSA" }), json!({ "algorithm": "ES256", "use": "enc" })] {
        let former = world.current(NAME).await;
        world.edit_set(NAME, &change).await;
        let at_work = "Reconciling=True ReplacingKey";
        let said = world.set_says(NAME, at_work, "takes its place at").await;
        assert!(said.contains(&format!("the current key {former} is for")), "{said}");
        world.set_pass(NAME).await;
        world.set_shows(NAME, at_work).await;
        assert_eq!(world.current(NAME).await, former);
        world.edit_set(NAME, &json!({ "rotation": { "publishBefore": "1s" } })).await;
        world.current_is_not(&former).await;
        world.set_ready(NAME).await;
        world.edit_set(NAME, &json!({ "rotation": { "publishBefore": "1h" } })).await;
        world.set_ready(NAME).await;
    }
    let events = world.events(NAME).await;
    assert!(!events.keys().any(|event| event.starts_with("Warning")), "{events:?}");
}

async fn a_client_in_trouble_holds_up_a_rotation_and_is_named(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let world: KeyWorld =
        World::with_args("held-up", hydra, &["--resync-interval=1h"]).await.into();
    world.create_set(NAME, &spec("2s")).await;
    world.set_ready(NAME).await;
    world.create("app", &linked()).await;
    world.ready("app").await;
    let invalid = json!({ "tokenEndpointAuthSigningAlg": "RS256" });
    let valid = json!({ "tokenEndpointAuthSigningAlg": null });
    for (trouble, words, healed) in [
        (
            json!({ "suspend": true }),
            "app, which takes its keys from this set, is suspended",
            json!({ "suspend": false }),
        ),
        (invalid, "is not ready (InvalidSpec)", valid),
    ] {
        let former = world.current(NAME).await;
        world.edit("app", &trouble).await;
        let shown = if words.contains("suspended") {
            "Stalled=False Suspended"
        } else {
            "Stalled=True InvalidSpec"
        };
        world.shows("app", shown).await;
        world.ask_for_key().await;
        world.set_says(NAME, "Reconciling=True WaitingForClient", words).await;
        assert_eq!(world.current(NAME).await, former);
        assert_eq!(world.secret_text("private", "kid").await, Some(former.clone()));
        world.edit("app", &healed).await;
        world.ready("app").await;
        world.current_is_not(&former).await;
        world.set_ready(NAME).await;
    }
    let events = world.events(NAME).await;
    assert_eq!(events.get("Warning WaitingForClient"), Some(&2), "{events:?}");
    world.assert_no_key_leaked().await;
}

/// What `Ready` said since it was true.
struct Readiness {
    said: Arc<Mutex<Vec<String>>>,
    watch: JoinHandle<()>,
}

impl Readiness {
    async fn of(world: &KeyWorld) -> Self {
        let set = world.set_ready(NAME).await;
        let (said, sets) = (Arc::new(Mutex::new(Vec::new())), world.sets.clone());
        let shown = said.clone();
        let version = set.metadata.resource_version.unwrap();
        let watch = tokio::spawn(async move {
            let params = WatchParams::default().fields(&format!("metadata.name={NAME}"));
            let mut events = sets.watch(&params, &version).await.unwrap().boxed();
            while let Some(event) = events.next().await {
                let WatchEvent::Modified(set) = event.unwrap() else { continue };
                let conditions = set.status.unwrap().conditions;
                let ready = condition::get(&conditions, ConditionType::Ready).unwrap();
                let told = format!("{:?} {:?}", ready.status, ready.reason);
                shown.lock().unwrap().push(told);
            }
        });
        Self { said, watch }
    }

    fn assert_lasted(self) {
        assert!(!self.watch.is_finished(), "the watch has ended too early");
        self.watch.abort();
        let said = self.said.lock().unwrap();
        let ready = format!("{:?}", ConditionStatus::True);
        assert!(!said.is_empty() && said.iter().all(|word| word.starts_with(&ready)), "{said:?}");
    }
}

async fn ordinary_rotations_leave_a_set_ready(generation: Generation) {
    let world = KeyWorld::new("ordinary", generation).await;
    let mut spec = spec("1s");
    spec["rotation"]["interval"] = "3s".into();
    spec["rotation"]["retain"] = "1s".into();
    world.create_set(NAME, &spec).await;
    world.create("app", &linked()).await;
    world.ready("app").await;
    let readiness = Readiness::of(&world).await;
    let mut current = world.current(NAME).await;
    for _ in 0..4 {
        current = world.current_is_not(&current).await;
    }
    readiness.assert_lasted();
    let events = world.events(NAME).await;
    assert!(!events.keys().any(|event| event.starts_with("Warning")), "{events:?}");
}

async fn a_namespace_that_cannot_be_read_holds_up_no_set_that_is_nobody_elses(
    generation: Generation,
) {
    let (cp, hydra) = (ControlPlane::shared().await, Hydra::shared(generation).await);
    let (one, unreadable) = (cp.namespace("own").await, cp.namespace("unreadable").await);
    let shared = format!("shared-{one}");
    let options = OperatorOptions::new(hydra.admin_url()).namespaces([&one]).args([
        format!("--namespaces={unreadable}"),
        format!("--allow-key-set-names={one}/{shared}"),
        "--resync-interval=1s".to_owned(),
    ]);
    let operator = Operator::start_unready(cp, options).await;
    let world: KeyWorld = World::with_operator(cp, hydra, operator, one).await.into();
    world.create_set(NAME, &spec("1s")).await;
    world.set_ready(NAME).await;
    world.ask_for_key().await;
    world.settles(NAME, &[Retained, Active]).await;
    // Somebody in the other namespace may have this one.
    let mut named = spec("1s");
    named["setName"] = shared.into();
    named["outputs"] = json!({});
    world.create_set("shared", &named).await;
    let words = format!("the JsonWebKeySets of namespace {unreadable} are not known yet");
    world.set_says("shared", "Reconciling=True KubernetesError", &words).await;
    assert!(world.set_keys("shared").await.is_empty());
}

async fn what_a_key_is_for_is_put_back(generation: Generation) {
    let world = KeyWorld::new("purposes", generation).await;
    world.create_set(NAME, &spec("1h")).await;
    world.set_ready(NAME).await;
    world.ask_for_key().await;
    let keys = world.settles(NAME, &[Active, Published]).await;
    let rows = world.in_hydra_set(NAME).await;
    assert!(rows.len() >= 2, "{}", rows.len());
    let mut told = 0;
    for row in &rows {
        for (member, value) in [("alg", "ES384"), ("use", "enc")] {
            let mut altered = row.clone();
            altered["alg"] = "ES256".into();
            altered[member] = value.into();
            world.put_row(&altered).await;
            told += 1;
            eventually("it is put back", async || {
                let rows = world.in_hydra_set(NAME).await;
                let of = |member| rows.iter().map(|row| row[member].as_str()).collect::<Vec<_>>();
                let is = |said: Option<&str>, as_is| said.is_none_or(|said| said == as_is);
                let (algs, uses) = (of("alg"), of("use"));
                let same = algs.iter().all(|alg| is(*alg, "ES256"))
                    && uses.iter().all(|of| is(*of, "sig"));
                if same { Ok(()) } else { Err(format!("{algs:?} {uses:?}")) }
            })
            .await;
            eventually(&format!("it is told {told} times"), async || {
                let events = world.events(NAME).await;
                if events.get("Warning DriftCorrected") == Some(&told) {
                    Ok(())
                } else {
                    Err(events)
                }
            })
            .await;
        }
    }
    let after = world.settles(NAME, &[Active, Published]).await;
    assert_eq!(after, keys);
    world.hydra_agrees(NAME).await;
    world.set_ready(NAME).await;
    world.assert_no_key_leaked().await;
}

async fn a_secret_is_not_replaced_under_its_kid(generation: Generation) {
    let world = KeyWorld::new("secret-kid", generation).await;
    let secret = |letter: &str| json!({ "kty": "oct", "k": letter.repeat(44), "kid": "one", "alg": "HS256", "use": "sig" });
    let (one, other) = (secret("A"), secret("Q"));
    let document = |key: &Value| json!({ "jwks": json!({ "keys": [key] }).to_string() });
    for output in [json!({}), json!({ "privateSecret": { "name": "private" } })] {
        world.create_secret("source", &document(&one)).await;
        let import = json!({ "secretRef": { "name": "source" } });
        let spec = json!({ "algorithm": "HS256", "import": import, "outputs": output });
        world.create_set(NAME, &spec).await;
        world.set_ready(NAME).await;
        let held = async || world.in_hydra_set(NAME).await[0]["k"].clone();
        assert_eq!(held().await, one["k"]);
        world.edit_secret("source", &document(&other)).await;
        world.set_says(NAME, "Stalled=True InvalidImport", "give the new key another kid").await;
        world.set_pass(NAME).await;
        assert_eq!(held().await, one["k"], "what others sign and check with stays");
        world.edit_secret("source", &document(&one)).await;
        world.set_ready(NAME).await;
        world.settles(NAME, &[Active]).await;
        // Now it is Hydra's that is altered.
        world.put_row(&other).await;
        eventually("it is put back", async || {
            if held().await == one["k"] { Ok(()) } else { Err(world.set_status(NAME).await) }
        })
        .await;
        world.set_ready(NAME).await;
        world.delete_set(NAME).await;
        world.set_gone(NAME).await;
        world.delete_secret("source").await;
    }
    let keys = [&one, &other].map(ToString::to_string);
    world
        .assert_not_leaked(&keys.iter().flat_map(|key| private_values(key)).collect::<Vec<_>>())
        .await;
}
