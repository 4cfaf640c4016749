//! Hydra's own sets: their rotation takes nothing from anybody, and nobody has them without permission.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, http::Method, routing::get};
use hydra_operator::api::{
    ROTATE_REQUESTED_ANNOTATION,
    jsonwebkeyset::{KeyOrigin, KeyState, KeyStatus},
};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    key_world::{KeyWorld, set_message},
    on_each_generation,
    proxy::{Proxy, Seen},
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, control_plane::unique,
        eventually, hydra_api::http, jose,
    },
    world::World,
};

on_each_generation!(
    former_id_tokens_verify_through_two_rotations,
    a_set_is_opened_to_one_namespace,
    what_hydra_cannot_sign_with_is_never_sent,
    a_key_of_somebody_else_signs_until_the_next_rotation,
    two_operators_do_not_answer_each_other,
    a_former_key_that_signs_again_loses_its_place,
    a_key_is_current_once_hydra_publishes_it,
    a_set_that_hydra_does_not_publish_is_no_matter_of_its_publication,
);

const ID_TOKENS: &str = "hydra.openid.id-token";

fn spec(rotation: &Value) -> Value {
    json!({ "setName": ID_TOKENS, "algorithm": "RS256", "rotation": rotation })
}

/// A Hydra of its own behind a proxy, and an operator for two namespaces, of which the first may have Hydra's sets.
struct Own {
    world: KeyWorld,
    proxy: Proxy,
    /// The namespace that may not.
    other: String,
}

impl Own {
    async fn new(name: &str, generation: Generation) -> Self {
        Self::with_public(name, generation, |_| None).await
    }

    async fn with_public(
        name: &str,
        generation: Generation,
        public_url: impl Fn(&Hydra) -> Option<String>,
    ) -> Self {
        let (cp, hydra) = (ControlPlane::shared().await, Hydra::start(generation).await);
        has_its_keys(&hydra).await;
        let proxy = Proxy::start(&hydra).await;
        let (namespace, other) = (cp.namespace(name).await, cp.namespace(name).await);
        let mut args = vec![
            format!("--system-key-sets-from={namespace}"),
            // A look each second, and nothing that looks on its own.
            "--resync-interval=1s".to_owned(),
        ];
        args.extend(public_url(&hydra).map(|url| format!("--hydra-public-url={url}")));
        let options = OperatorOptions::new(proxy.url()).namespaces([&namespace, &other]).args(args);
        let operator = Operator::start(cp, options).await;
        let world = World::with_operator(cp, hydra, operator, namespace).await.into();
        Self { world, proxy, other }
    }

    /// Writes to the key sets of Hydra so far, as `METHOD path`.
    fn writes(&self) -> Vec<String> {
        let is_write = |seen: &Seen| seen.method != Method::GET && seen.path.contains("/keys");
        let seen = self.proxy.seen();
        let writes = seen.iter().filter(|seen| is_write(seen));
        writes.map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    fn written(&self, method: &str) -> usize {
        self.writes().iter().filter(|write| write.starts_with(method)).count()
    }

    async fn rotate(&self) -> String {
        let former = self.world.current("own").await;
        self.world.annotate_set("own", ROTATE_REQUESTED_ANNOTATION, &unique("rotate")).await;
        self.succeeded(&former).await
    }

    /// Waits until another key is the current one.
    async fn succeeded(&self, former: &str) -> String {
        eventually("another key is the current one", async || {
            let status = self.world.set_status("own").await;
            let current = status.current_key.clone().filter(|current| current != former);
            current.ok_or(status)
        })
        .await
    }

    /// Somebody logs in and gets a token, signed with the key `kid`.
    async fn token_of(&self, kid: &str) -> String {
        let token = self.world.hydra.log_in("ann").await.id_token;
        let verified = self.verify(&token).await.unwrap();
        assert_eq!(bare(&verified.kid), kid);
        token
    }

    async fn verify(&self, token: &str) -> Result<jose::Verified, String> {
        jose::verify(&self.world.hydra.published_keys().await, token)
    }

    /// The ids of the private keys of the set in Hydra, the newest first.
    async fn in_hydra(&self) -> Vec<String> {
        let answer = self.world.hydra.admin(Method::GET, &format!("/keys/{ID_TOKENS}"), None).await;
        let keys = answer.body["keys"].as_array().unwrap();
        let private = keys.iter().filter(|key| key.get("d").is_some());
        private.map(|key| bare(key["kid"].as_str().unwrap()).to_owned()).collect()
    }

    /// The values of the private members of all keys of the set.
    async fn private_values(&self) -> Vec<String> {
        let answer = self.world.hydra.admin(Method::GET, &format!("/keys/{ID_TOKENS}"), None).await;
        crate::key_world::private_values(&answer.body.to_string())
    }

    async fn ready(&self) -> Vec<KeyStatus> {
        self.world.set_ready("own").await.status.unwrap().keys
    }

    /// How often the events of this reason were published.
    async fn told(&self, event: &str) -> i32 {
        self.world.events("own").await.get(event).copied().unwrap_or_default()
    }
}

/// Hydra 2 makes its keys when they are asked for, which takes longer than it has to answer where the machine is busy.
async fn has_its_keys(hydra: &Hydra) {
    let url = format!("{}/.well-known/jwks.json", hydra.public_url());
    eventually("Hydra has its keys", async || {
        let answer = http().get(&url).send().await.map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
    })
    .await;
}

/// Stores a key of somebody else, which is the newest then.
async fn intrude(hydra: &Hydra) {
    let theirs = jose::generate("RS256", "theirs");
    let rows = match hydra.generation() {
        Generation::V1 => {
            vec![("private:theirs", theirs.jwk.clone()), ("public:theirs", theirs.public_jwk())]
        }
        Generation::V2 => vec![("theirs", theirs.jwk.clone())],
    };
    for (row, mut key) in rows {
        key["kid"] = row.into();
        key["use"] = "sig".into();
        let path = format!("/keys/{ID_TOKENS}/{row}");
        assert_eq!(hydra.admin(Method::PUT, &path, Some(&key)).await.status, 200);
    }
}

/// Without the prefixes of Hydra 1.
fn bare(kid: &str) -> &str {
    kid.strip_prefix("private:").or(kid.strip_prefix("public:")).unwrap_or(kid)
}

async fn former_id_tokens_verify_through_two_rotations(generation: Generation) {
    let own = Own::new("own-sets", generation).await;
    let world = &own.world;
    let token = world.hydra.log_in("ann").await.id_token;
    let first = bare(&own.verify(&token).await.unwrap().kid).to_owned();
    world.create_set("own", &spec(&json!({ "retain": "1h" }))).await;
    let keys = own.ready().await;
    let current: Vec<_> = keys.iter().filter(|key| key.state == KeyState::Active).collect();
    assert_eq!(current.len(), 1, "{keys:?}");
    assert_eq!((current[0].kid.as_str(), current[0].origin), (first.as_str(), KeyOrigin::Adopted));
    assert_eq!(own.told("Normal KeysAdopted").await, 1);
    assert_eq!(own.writes(), [""; 0]);

    let (mut kids, mut tokens) = (vec![first.clone()], vec![token]);
    for _ in 0..2 {
        let kid = own.rotate().await;
        tokens.push(own.token_of(&kid).await);
        kids.push(kid);
        for (kid, token) in kids.iter().zip(&tokens) {
            assert_eq!(bare(&own.verify(token).await.unwrap().kid), kid);
        }
    }
    let private = own.private_values().await;
    world.set_pass("own").await;
    assert_eq!(own.writes().len(), 2, "{:?}", own.writes());
    assert_eq!(own.written("POST"), 2);

    world.edit_set("own", &spec(&json!({ "retain": "1s" }))).await;
    eventually("the former keys are gone", async || {
        let held = own.in_hydra().await;
        if held == kids[2..] { Ok(()) } else { Err(held) }
    })
    .await;
    // Status follows what was done.
    eventually("status has one key", async || {
        let keys = own.ready().await;
        if keys.len() == 1 { Ok(()) } else { Err(keys) }
    })
    .await;
    assert_eq!(own.written("PUT"), 0);
    assert_eq!(own.written("POST"), 2);
    let deletions: Vec<_> =
        own.writes().into_iter().filter(|write| write.starts_with("DELETE")).collect();
    let of_a_key = format!("/keys/{ID_TOKENS}/");
    assert!(deletions.iter().all(|write| write.contains(&of_a_key)), "{deletions:?}");
    assert!(own.verify(&tokens[2]).await.is_ok());
    assert!(own.verify(&tokens[0]).await.is_err(), "it is gone from what is published, too");
    own.token_of(&kids[2]).await;
    world.assert_not_leaked(&private).await;

    world.delete_set("own").await;
    world.set_gone("own").await;
    assert_eq!(own.in_hydra().await, kids[2..]);
    assert_eq!(own.told("Normal KeysOrphaned").await, 1);
    assert!(own.verify(&tokens[2]).await.is_ok());
}

async fn a_set_is_opened_to_one_namespace(generation: Generation) {
    let mut own = Own::new("opened", generation).await;
    let spec = spec(&json!({ "retain": "1h" }));
    let with_private = json!({ "outputs": { "privateSecret": { "name": "stolen" } } });
    let mut refused = spec.clone();
    refused.as_object_mut().unwrap().extend(with_private.as_object().unwrap().clone());
    let refused = serde_json::from_value(json!({ "metadata": { "name": "own" }, "spec": refused }));
    let refused =
        own.world.sets.create(&PostParams::default(), &refused.unwrap()).await.unwrap_err();
    assert!(refused.to_string().contains("remove outputs.privateSecret"), "{refused}");

    own.world.sets = Api::namespaced(own.world.client.clone(), &own.other);
    let closed = &own.world;
    closed.create_set("own", &spec).await;
    let set = closed.set_shows("own", "Stalled=True KeySetNameNotAllowed").await;
    let way_out = format!("--system-key-sets-from={}", own.other);
    assert!(set_message(&set).contains(&way_out), "{}", set_message(&set));
    assert!(set.status.unwrap().keys.is_empty());
    closed.delete_set("own").await;
    closed.set_gone("own").await;
    assert!(own.proxy.seen().iter().all(|seen| seen.method == Method::GET));
}

async fn what_hydra_cannot_sign_with_is_never_sent(generation: Generation) {
    let own = Own::new("own-algorithm", generation).await;
    let world = &own.world;
    let first = own.in_hydra().await;
    let spec =
        json!({ "setName": ID_TOKENS, "algorithm": "ES256", "rotation": { "retain": "1h" } });
    world.create_set("own", &spec).await;
    if generation == Generation::V2 {
        own.ready().await;
        let kid = own.succeeded(&first[0]).await;
        let token = own.token_of(&kid).await;
        assert_eq!(own.verify(&token).await.unwrap().alg, "ES256");
        return;
    }
    let set = world.set_shows("own", "Stalled=True UnsupportedAlgorithm").await;
    assert!(set_message(&set).contains("write RS256"), "{}", set_message(&set));
    assert!(set.status.unwrap().keys.is_empty(), "nothing is taken over for nothing");
    assert_eq!(own.writes(), [""; 0]);
    world.edit_set("own", &json!({ "algorithm": "RS256" })).await;
    own.ready().await;
    assert_eq!(world.current("own").await, first[0]);
    // Once it is ours, nothing else is sent either.
    world.edit_set("own", &json!({ "algorithm": "ES256" })).await;
    world.set_shows("own", "Stalled=True UnsupportedAlgorithm").await;
    assert_eq!(own.writes(), [""; 0]);
    own.token_of(&first[0]).await;
}

async fn a_key_of_somebody_else_signs_until_the_next_rotation(generation: Generation) {
    let own = Own::new("usurped", generation).await;
    let world = &own.world;
    world.create_set("own", &spec(&json!({ "retain": "1h" }))).await;
    own.ready().await;
    let former = world.current("own").await;
    intrude(&world.hydra).await;
    let token = own.token_of("theirs").await;
    let signs = "Stalled=True ForeignKeySigns";
    let said = world.set_says("own", signs, "key theirs of set").await;
    assert!(said.contains("ask for a rotation"), "{said}");
    for _ in 0..3 {
        world.set_pass("own").await;
    }
    world.set_shows("own", signs).await;
    assert_eq!(world.current("own").await, former);
    assert_eq!(own.writes(), [""; 0]);

    let current = own.rotate().await;
    own.token_of(&current).await;
    let status = world.set_ready("own").await.status.unwrap();
    assert_eq!(status.foreign_keys, ["theirs"]);
    assert!(own.verify(&token).await.is_ok(), "it is left as it is");
    world.set_pass("own").await;
    assert_eq!(world.current("own").await, current);
    assert_eq!((own.written("POST"), own.writes().len()), (1, 1));
    for event in ["Warning ForeignKeys", "Warning ForeignKeySigns", "Normal Synced"] {
        assert_eq!(own.told(event).await, 1, "{event}");
    }
    assert_eq!(own.told("Warning SigningKeyDisplaced").await, 0);
}

/// As in two clusters that share a Hydra. Each takes the newer key of the other for that of somebody else.
async fn two_operators_do_not_answer_each_other(generation: Generation) {
    let own = Own::new("two", generation).await;
    let cp = ControlPlane::shared().await;
    let second = cp.namespace("two-second").await;
    let args = [format!("--system-key-sets-from={second}"), "--resync-interval=1s".to_owned()];
    let options = OperatorOptions::new(own.proxy.url()).namespaces([&second]).args(args);
    let other = Operator::start(cp, options).await;
    let hydra = Hydra::shared(generation).await;
    let other: KeyWorld = World::with_operator(cp, hydra, other, second).await.into();
    let world = &own.world;
    for world in [world, &other] {
        world.create_set("own", &spec(&json!({ "retain": "1h" }))).await;
        world.set_ready("own").await;
    }
    let before = own.in_hydra().await.len();
    let signs = "Stalled=True ForeignKeySigns";
    own.rotate().await;
    other.set_says("own", signs, "let one operator alone have the set").await;
    own.ready().await;
    other.annotate_set("own", ROTATE_REQUESTED_ANNOTATION, &unique("rotate")).await;
    other.set_ready("own").await;
    world.set_shows("own", signs).await;
    for _ in 0..5 {
        for world in [world, &other] {
            world.set_pass("own").await;
        }
    }
    world.set_shows("own", signs).await;
    other.set_ready("own").await;
    assert_eq!(own.in_hydra().await.len(), before + 2);
    assert_eq!(own.writes().len(), 2, "{:?}", own.writes());
}

/// Such as by somebody who restores a copy of the set.
async fn a_former_key_that_signs_again_loses_its_place(generation: Generation) {
    let own = Own::new("restored", generation).await;
    let world = &own.world;
    world.create_set("own", &spec(&json!({ "retain": "1h" }))).await;
    own.ready().await;
    let former = world.current("own").await;
    let path = format!("/keys/{ID_TOKENS}");
    let copy = world.hydra.admin(Method::GET, &path, None).await.body;
    let current = own.rotate().await;
    for key in copy["keys"].as_array().unwrap() {
        let kid = key["kid"].as_str().unwrap();
        let put = world.hydra.admin(Method::PUT, &format!("{path}/{kid}"), Some(key)).await;
        assert_eq!(put.status, 200);
    }
    assert_eq!(own.in_hydra().await.first(), Some(&former));

    let next = own.succeeded(&current).await;
    own.token_of(&next).await;
    let keys = own.ready().await;
    assert!(keys.iter().any(|key| key.kid == former && key.state == KeyState::Retained));
    assert_eq!(own.told("Warning SigningKeyDisplaced").await, 1);
    assert_eq!(own.written("PUT"), 0);
}

/// A public API whose document is what the test says.
struct Published {
    url: String,
    document: Arc<Mutex<Value>>,
    _server: JoinSet<()>,
}

impl Published {
    async fn start() -> Self {
        async fn document(State(document): State<Arc<Mutex<Value>>>) -> String {
            document.lock().unwrap().to_string()
        }
        let shown = Arc::new(Mutex::new(json!({ "keys": [] })));
        let router = Router::new().route("/.well-known/jwks.json", get(document));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        let router = router.with_state(shown.clone());
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, document: shown, _server: server }
    }
}

async fn a_key_is_current_once_hydra_publishes_it(generation: Generation) {
    let published = Published::start().await;
    let url = published.url.clone();
    let own = Own::with_public("published", generation, |_| Some(url.clone())).await;
    let world = &own.world;
    let first = own.in_hydra().await;
    *published.document.lock().unwrap() = world.hydra.published_keys().await;
    world.create_set("own", &spec(&json!({ "retain": "1s" }))).await;
    own.ready().await;
    world.annotate_set("own", ROTATE_REQUESTED_ANNOTATION, &unique("rotate")).await;
    eventually("the key is made", async || own.written("POST") == 1).await;
    for _ in 0..3 {
        let status = world.set_pass("own").await.status.unwrap();
        assert_eq!(status.current_key.as_ref(), first.first());
    }
    world.settles("own", &[KeyState::Active, KeyState::Pending]).await;
    *published.document.lock().unwrap() = world.hydra.published_keys().await;
    own.succeeded(&first[0]).await;
    world.settles("own", &[KeyState::Active]).await;
    assert_eq!(own.written("POST"), 1);
}

/// Hydra 1 shows those keys only where access tokens are signed with them.
async fn a_set_that_hydra_does_not_publish_is_no_matter_of_its_publication(generation: Generation) {
    let public = |hydra: &Hydra| Some(hydra.public_url().to_owned());
    let own = Own::with_public("unpublished", generation, public).await;
    let spec = json!({ "setName": "hydra.jwt.access-token", "algorithm": "RS256" });
    own.world.create_set("own", &spec).await;
    own.ready().await;
    own.rotate().await;
    own.ready().await;
}
