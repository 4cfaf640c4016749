//! Which resource may have which set, and what becomes of the keys that are already in it.

use hydra_operator::api::{
    ROTATE_REQUESTED_ANNOTATION,
    jsonwebkeyset::{KeyOrigin, KeyState},
};
use kube::Api;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    key_world::{KeyWorld, private_values, set_message},
    on_each_generation,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, control_plane::unique,
        eventually,
    },
    world::World,
};

on_each_generation!(
    keys_of_others_are_left_alone,
    keys_are_adopted_where_that_is_allowed,
    names_beside_ones_own_have_to_be_allowed,
    the_oldest_has_the_set_and_the_next_one_follows,
);

fn named(set: &str) -> Value {
    json!({
        "setName": set, "algorithm": "ES256", "rotation": { "publishBefore": "1s", "retain": "1s" },
    })
}

/// What Hydra says to a request about a set, or about a key in it.
async fn ask(hydra: &Hydra, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let answer = hydra.admin(method, &format!("/keys/{path}"), body).await;
    (answer.status, answer.body)
}

/// Makes a key, as somebody else.
async fn make(hydra: &Hydra, set: &str, kid: &str) {
    let request = json!({ "kid": kid, "alg": "ES256", "use": "sig" });
    assert_eq!(ask(hydra, Method::POST, set, Some(&request)).await.0, 201);
}

/// The ids of the private keys in a set, without the prefixes of Hydra 1, sorted.
async fn held(hydra: &Hydra, set: &str) -> Vec<String> {
    let (status, body) = ask(hydra, Method::GET, set, None).await;
    if status == 404 {
        return Vec::new();
    }
    let keys = body["keys"].as_array().unwrap();
    let private = keys.iter().filter(|key| key.get("d").is_some());
    let mut kids: Vec<_> = private
        .map(|key| {
            let kid = key["kid"].as_str().unwrap();
            kid.strip_prefix("private:").unwrap_or(kid).to_owned()
        })
        .collect();
    kids.sort();
    kids
}

async fn secrets_of(hydra: &Hydra, set: &str) -> Vec<String> {
    private_values(&ask(hydra, Method::GET, set, None).await.1.to_string())
}

async fn keys_of_others_are_left_alone(generation: Generation) {
    let world = KeyWorld::new("others-keys", generation).await;
    let (hydra, set) = (&world.hydra, format!("k8s.{}.app", world.namespace));
    make(hydra, &set, "theirs").await;
    let before = ask(hydra, Method::GET, &set, None).await;
    world.create_set("app", &named(&set)).await;
    let refused = world.set_shows("app", "Stalled=True KeySetNotOwned").await;
    let message = set_message(&refused);
    assert!(message.contains("theirs") && message.contains("--adopt-key-sets"), "{message}");
    assert!(refused.status.unwrap().keys.is_empty());
    assert_eq!(ask(hydra, Method::GET, &set, None).await, before);
    world.delete_set("app").await;
    world.set_gone("app").await;
    assert_eq!(ask(hydra, Method::GET, &set, None).await, before);

    // They may also come later.
    let set = format!("k8s.{}.late", world.namespace);
    world.create_set("late", &named(&set)).await;
    world.set_ready("late").await;
    let current = world.current("late").await;
    make(hydra, &set, "theirs").await;
    let said = world.set_says("late", "Ready=True Synced", "1 keys in the set").await;
    assert!(said.contains("(theirs)"), "{said}");
    assert_eq!(world.set_status("late").await.foreign_keys, ["theirs"]);
    assert_eq!(world.current("late").await, current);
    world.annotate_set("late", ROTATE_REQUESTED_ANNOTATION, &unique("rotate")).await;
    eventually("the next key is on its own", async || {
        let status = world.set_status("late").await;
        let is_next = status.current_key.as_ref() != Some(&current) && status.keys.len() == 1;
        if is_next { Ok(()) } else { Err(status) }
    })
    .await;
    let events = world.events("late").await;
    assert_eq!(events.get("Warning ForeignKeys"), Some(&1), "{events:?}");
    world.assert_not_leaked(&secrets_of(hydra, &set).await).await;
    world.delete_set("late").await;
    world.set_gone("late").await;
    assert_eq!(held(hydra, &set).await, ["theirs"]);
}

async fn keys_are_adopted_where_that_is_allowed(generation: Generation) {
    let args = ["--adopt-key-sets", "--resync-interval=1s"];
    let hydra = Hydra::shared(generation).await;
    let world: KeyWorld = World::with_args("adopted", hydra, &args).await.into();
    let set = format!("k8s.{}.app", world.namespace);
    for kid in ["old", "new"] {
        make(hydra, &set, kid).await;
    }
    let mut spec = named(&set);
    spec["rotation"]["retain"] = "1h".into();
    spec["outputs"] = json!({ "privateSecret": { "name": "adopted" } });
    world.create_set("app", &spec).await;
    let status = world.set_ready("app").await.status.unwrap();
    let keys: Vec<_> =
        status.keys.iter().map(|key| (key.kid.as_str(), key.state, key.origin)).collect();
    assert_eq!(
        keys,
        [
            ("old", KeyState::Retained, KeyOrigin::Adopted),
            ("new", KeyState::Active, KeyOrigin::Adopted)
        ]
    );
    assert!(status.foreign_keys.is_empty());
    let handed_out = world.private_jwks("adopted").await;
    assert_eq!(handed_out["keys"][0]["kid"], "new");
    assert_eq!(world.events("app").await.get("Normal KeysAdopted"), Some(&1));

    world.edit_set("app", &json!({ "rotation": { "retain": "1s" } })).await;
    world.settles("app", &[KeyState::Active]).await;
    eventually("the former key is gone", async || held(hydra, &set).await == ["new"]).await;
    make(hydra, &set, "late").await;
    world.set_says("app", "Ready=True Synced", "(late)").await;
    world.assert_no_key_leaked().await;
    world.delete_set("app").await;
    world.set_gone("app").await;
    assert_eq!(held(hydra, &set).await, ["late"], "ours are those that were adopted");
}

async fn names_beside_ones_own_have_to_be_allowed(generation: Generation) {
    let (cp, hydra) = (ControlPlane::shared().await, Hydra::shared(generation).await);
    let (one, other) = (cp.namespace("names").await, cp.namespace("names").await);
    let (exact, prefixed) = (format!("exact-{one}"), format!("prefixed-{one}.signing"));
    let allowed = format!("--allow-key-set-names={one}/{exact},{one}/prefixed-{one}.*");
    let options = OperatorOptions::new(hydra.admin_url())
        .namespaces([&one, &other])
        .args([allowed, "--resync-interval=1h".to_owned()]);
    let operator = Operator::start(cp, options).await;
    let mut world: KeyWorld = World::with_operator(cp, hydra, operator, one.clone()).await.into();
    let own = format!("k8s.{one}.of.our.choice");
    for (name, set) in [("exact", &exact), ("prefixed", &prefixed), ("own", &own)] {
        world.create_set(name, &named(set)).await;
        world.set_ready(name).await;
        assert_eq!(held(hydra, set).await, [world.current(name).await]);
    }
    let others = format!("k8s.{other}.app");
    for (name, set) in [("longer", &format!("{exact}-2")), ("others", &others)] {
        world.create_set(name, &named(set)).await;
        let refused = world.set_shows(name, "Stalled=True KeySetNameNotAllowed").await;
        assert!(set_message(&refused).contains(&format!("--allow-key-set-names={one}/{set}")));
        assert_eq!(held(hydra, set).await, [""; 0]);
    }
    let of_other = Api::namespaced(world.client.clone(), &other);
    let of_one = std::mem::replace(&mut world.sets, of_other);
    for (name, set) in [("prefixed", &prefixed), ("own", &own)] {
        let before = held(hydra, set).await;
        world.create_set(name, &named(set)).await;
        world.set_shows(name, "Stalled=True KeySetNameNotAllowed").await;
        world.delete_set(name).await;
        world.set_gone(name).await;
        assert_eq!(held(hydra, set).await, before, "it has never been theirs");
    }
    world.sets = of_one;
    for (name, set) in [("exact", &exact), ("prefixed", &prefixed), ("own", &own)] {
        world.delete_set(name).await;
        world.set_gone(name).await;
        assert_eq!(held(hydra, set).await, [""; 0]);
    }
}

async fn the_oldest_has_the_set_and_the_next_one_follows(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let world: KeyWorld = World::with_args("taken", hydra, &["--resync-interval=1h"]).await.into();
    let set = format!("k8s.{}.shared", world.namespace);
    // Within a second, the names decide.
    world.create_set("a", &named(&set)).await;
    world.set_ready("a").await;
    let first = world.current("a").await;
    for name in ["b", "c"] {
        world.create_set(name, &named(&set)).await;
        let taken = world.set_shows(name, "Stalled=True KeySetTaken").await;
        let (message, winner) = (set_message(&taken), format!("{}/a", world.namespace));
        assert!(message.contains(&winner), "{message}");
    }
    assert_eq!(held(hydra, &set).await, std::slice::from_ref(&first));
    world.delete_set("a").await;
    world.set_gone("a").await;
    world.set_ready("b").await;
    let second = world.current("b").await;
    assert_ne!(second, first);
    eventually("the keys are those of the next one", async || {
        let held = held(hydra, &set).await;
        if held == [second.clone()] { Ok(()) } else { Err(held) }
    })
    .await;
    world.set_says("c", "Stalled=True KeySetTaken", &format!("{}/b", world.namespace)).await;

    world.edit_set("b", &json!({ "deletionPolicy": "orphan" })).await;
    world.set_ready("b").await;
    world.delete_set("b").await;
    world.set_gone("b").await;
    world.set_shows("c", "Stalled=True KeySetNotOwned").await;
    assert_eq!(held(hydra, &set).await, std::slice::from_ref(&second));
    // Whoever cleans up by hand lets it go on.
    let keys = ask(hydra, Method::GET, &set, None).await.1;
    for key in keys["keys"].as_array().unwrap() {
        let path = format!("{set}/{}", key["kid"].as_str().unwrap());
        assert_eq!(ask(hydra, Method::DELETE, &path, None).await.0, 204);
    }
    world.set_pass("c").await;
    world.set_ready("c").await;
}
