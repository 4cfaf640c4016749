//! `--observe` tells what would be done with key sets and does none of it; the operator then does exactly that.

use hydra_operator::api::{
    RECONCILE_REQUESTED_ANNOTATION, ROTATE_REQUESTED_ANNOTATION,
    jsonwebkeyset::KeyState::{Active, Published},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    key_world::{KeyWorld, private_values},
    on_each_generation,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, control_plane::unique,
        counters::ApiserverCounters, eventually, jose,
    },
    world::World,
};

on_each_generation!(what_is_told_of_key_sets_is_what_is_done_later);

/// What the servers have counted: writes to resources, their outputs and events, requests that were refused, writes to Hydra.
async fn writes(world: &World) -> [(&'static str, u64); 6] {
    let counted = ApiserverCounters::read(&world.client).await;
    [
        ("resources", counted.writes("jsonwebkeysets")),
        ("Secrets", counted.writes("secrets")),
        ("ConfigMaps", counted.writes("configmaps")),
        ("events", counted.writes("events")),
        ("refusals", counted.refusals()),
        ("Hydra", world.hydra.counters().await.writes()),
    ]
}

fn spec(name: &str) -> Value {
    json!({
        "algorithm": "ES256",
        "rotation": { "publishBefore": "1h", "retain": "24h" },
        "outputs": {
            "publicConfigMap": { "name": format!("{name}-public") },
            "privateSecret": { "name": format!("{name}-private") },
        },
    })
}

fn with(name: &str, more: &Value) -> Value {
    let mut spec = spec(name);
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

impl KeyWorld {
    /// Deletes all rows of the set in Hydra, as somebody else.
    async fn empty_in_hydra(&self, name: &str) {
        for row in self.in_hydra_set(name).await {
            let kid = row["kid"].as_str().unwrap();
            let path = format!("/keys/k8s.{}.{name}/{kid}", self.namespace);
            assert_eq!(self.hydra.admin(Method::DELETE, &path, None).await.status, 204);
        }
    }

    fn path_of(&self, name: &str) -> String {
        format!("/keys/k8s.{}.{name}", self.namespace)
    }
}

/// Returns the path of a key of somebody else in Hydra, and the document that is to be imported.
async fn leave_something_to_do(world: &KeyWorld) -> (String, String) {
    world.empty_in_hydra("drifted").await;
    world.delete_set("deleted").await;
    world.edit_set("kept", &json!({ "deletionPolicy": "orphan" })).await;
    world.delete_set("kept").await;
    world.annotate_set("asked", ROTATE_REQUESTED_ANNOTATION, &unique("rotate")).await;
    world.create_set("missing", &spec("missing")).await;
    let imported = jose::generate("ES256", "imported");
    let document = json!({ "keys": [imported.jwk] }).to_string();
    world.create_secret("source", &json!({ "jwks": document })).await;
    let import = json!({ "import": { "secretRef": { "name": "source" } } });
    world.create_set("import", &with("import", &import)).await;
    let theirs = jose::generate("ES256", "theirs").jwk;
    let path = format!("{}/theirs", world.path_of("foreign"));
    assert_eq!(world.hydra.admin(Method::PUT, &path, Some(&theirs)).await.status, 200);
    world.create_set("foreign", &spec("foreign")).await;
    world.create_set("suspended", &with("suspended", &json!({ "suspend": true }))).await;
    (path, document)
}

async fn what_is_told_of_key_sets_is_what_is_done_later(generation: Generation) {
    let (cp, hydra) = (ControlPlane::start().await, Hydra::start(generation).await);
    let mut world: KeyWorld =
        World::on(cp, hydra, "observe-sets", &["--resync-interval=2s"]).await.into();
    for name in ["synced", "drifted", "deleted", "kept", "asked"] {
        world.create_set(name, &spec(name)).await;
    }
    for name in ["synced", "drifted", "deleted", "kept", "asked"] {
        world.set_ready(name).await;
        world.settles(name, &[Active]).await;
    }
    world.published().await;
    assert_eq!(world.operator.process().terminate().await, 0);
    let [synced, drifted, deleted] = [
        world.current("synced").await,
        world.current("drifted").await,
        world.current("deleted").await,
    ];
    let (path, document) = leave_something_to_do(&world).await;

    let before = writes(&world).await;
    let options = OperatorOptions::new(world.hydra.admin_url()).observing();
    let mut observer = Operator::start(&world.cp, options).await;
    let summary = "Observed all JsonWebKeySets, 9: nothing 2, make key 2, import key 1, restore key 1, remove key 1, leave keys \
                   1, create output 2, update output 1, release output 1, blocked 1";
    told(&observer, summary).await;
    let (restore, remove) = (format!("restore key {drifted}"), format!("remove key {deleted}"));
    let outputs =
        |name: &str| format!("create ConfigMap {name}-public; create Secret {name}-private");
    for (name, what) in [
        ("synced", "nothing"),
        ("drifted", &*restore),
        ("deleted", &*remove),
        (
            "kept",
            "leave the keys in Hydra; release Secret kept-private; release ConfigMap kept-public",
        ),
        ("asked", "make key: ES256; update ConfigMap asked-public"),
        ("missing", &format!("make key: ES256; {}", outputs("missing"))),
        ("import", &format!("import key imported; {}", outputs("import"))),
        ("foreign", "blocked: KeySetNotOwned the set"),
        ("suspended", "nothing"),
    ] {
        assert!(tells(&observer, &world.namespace, name, what), "{name}: {}", observer.log());
    }
    for (controller, action, resources) in [
        ("jsonwebkeyset", "make_key", 2.0),
        ("jsonwebkeyset", "nothing", 2.0),
        ("jsonwebkeyset", "adopt_key", 0.0),
        ("oauth2client", "nothing", 0.0),
    ] {
        let labels = [("controller", controller), ("action", action)];
        let found: f64 = observer.metric("hydra_operator_observed_resources", &labels).await;
        assert!((found - resources).abs() < 0.5, "{controller} {action}: {found}");
    }
    assert_eq!(writes(&world).await, before);

    // A change is told as well, and again nothing follows from it.
    assert_eq!(world.hydra.admin(Method::DELETE, &path, None).await.status, 204);
    world.annotate_set("foreign", RECONCILE_REQUESTED_ANNOTATION, &unique("look")).await;
    let before = writes(&world).await;
    told(&observer, "make key 3").await;
    let what = format!("make key: ES256; {}", outputs("foreign"));
    assert!(tells(&observer, &world.namespace, "foreign", &what), "{}", observer.log());
    assert_eq!(writes(&world).await, before);
    assert_eq!(observer.process().terminate().await, 0);

    world.operator.start_again().await;
    for name in ["deleted", "kept"] {
        world.set_gone(name).await;
    }
    for name in ["synced", "missing", "import", "foreign"] {
        world.set_ready(name).await;
        world.settles(name, &[Active]).await;
    }
    world.settles("asked", &[Active, Published]).await;
    eventually("the drift is corrected", async || {
        let held = world.hydra_kids("drifted").await;
        if held == [drifted.clone()] { Ok(()) } else { Err(held) }
    })
    .await;
    assert_eq!(world.current("synced").await, synced);
    assert_eq!(world.current("import").await, "imported");
    assert_eq!(world.hydra_kids("deleted").await, [""; 0]);
    assert_eq!(world.hydra_kids("kept").await.len(), 1);
    assert!(world.secrets.get_opt("kept-private").await.unwrap().is_some());
    assert!(world.secrets.get_opt("suspended-private").await.unwrap().is_none());
    assert_eq!(world.in_hydra_set("suspended").await, [Value::Null; 0]);
    let mut private = private_values(&document);
    for name in ["synced", "drifted", "asked", "kept"] {
        private.extend(private_values(
            &world.private_jwks(&format!("{name}-private")).await.to_string(),
        ));
    }
    world.assert_not_leaked(&private).await;
    let log = observer.log();
    assert!(private.iter().all(|value| !log.contains(value)), "the observer tells a secret");
}

async fn told(observer: &Operator, text: &str) {
    eventually(text, async || {
        let log = observer.log();
        if log.contains(text) { Ok(()) } else { Err(log) }
    })
    .await;
}

fn tells(observer: &Operator, namespace: &str, name: &str, what: &str) -> bool {
    let key = format!("namespace=\"{namespace}\" name=\"{name}\" what={what}");
    observer.log().lines().any(|line| line.contains("INFO") && line.contains(&key))
}
