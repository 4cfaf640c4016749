//! Clients that follow their set: an assertion signed with the current key of the Secret is never refused, whatever happens.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hydra_operator::api::{
    JsonWebKeySetStatus, ROTATE_REQUESTED_ANNOTATION, jsonwebkeyset::KeyState,
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    key_world::{KeyWorld, private_values, set_message},
    on_each_generation,
    support::{
        Generation, Hydra, control_plane::unique, eventually, hydra_api::Answer, jose::SigningKey,
    },
    world::{World, client_id},
};

on_each_generation!(
    no_assertion_is_refused_through_five_rotations,
    no_assertion_is_refused_while_the_operator_is_killed,
    a_rotation_waits_for_all_its_clients,
    a_client_may_come_in_the_middle_of_a_rotation,
);

/// How long the former key of the sets below is good for after the next one has taken its place.
const RETAIN: Duration = Duration::from_secs(2);

/// By the clock, one rotation each four seconds.
fn rotating() -> Value {
    spec(&json!({ "interval": "4s", "publishBefore": "1s", "retain": "2s" }))
}

fn spec(rotation: &Value) -> Value {
    json!({
        "algorithm": "ES256",
        "rotation": rotation,
        "outputs": { "privateSecret": { "name": "signing-keys" } },
    })
}

fn linked() -> Value {
    json!({ "tokenEndpointAuthMethod": "private_key_jwt", "jwksFrom": { "name": "signing" } })
}

/// A program that signs assertions, each with the key that the Secret holds at that moment.
struct Signer {
    seen: Arc<Mutex<Seen>>,
    ends: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    tokens: u32,
    refusals: Vec<(String, Answer)>,
    /// Refused only when the former key might have been gone: the machine was too slow to tell.
    late: u32,
    /// The keys that it got tokens with, in order.
    kids: Vec<String>,
    private: BTreeSet<String>,
}

impl Signer {
    /// Every 100 ms, for the client `id`, until it is stopped.
    fn start(world: &KeyWorld, hydra: &'static Hydra, id: String) -> Self {
        let (seen, ends) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
        let task = tokio::spawn({
            let (seen, ends) = (seen.clone(), ends.clone());
            async move {
                let mut ticks = tokio::time::interval(Duration::from_millis(100));
                ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                while !ends.load(Ordering::SeqCst) {
                    ticks.tick().await;
                    let read = Instant::now();
                    let secret = secrets.get("signing-keys").await.unwrap();
                    let text = secret.data.unwrap()["jwks.json"].0.clone();
                    let text = String::from_utf8(text).unwrap();
                    let jwks: Value = serde_json::from_str(&text).unwrap();
                    let kid = jwks["keys"][0]["kid"].as_str().unwrap().to_owned();
                    let key = SigningKey::Jwks { jwks, kid: kid.clone(), alg: None };
                    let answer = hydra.token_by_assertion(&id, &key).await;
                    let mut seen = seen.lock().unwrap();
                    seen.private.extend(private_values(&text));
                    match answer {
                        Ok(_) => seen.accepted(kid),
                        Err(_) if read.elapsed() >= RETAIN => seen.late += 1,
                        Err(refusal) => seen.refusals.push((kid, refusal)),
                    }
                }
            }
        });
        Self { seen, ends, task }
    }

    fn kids(&self) -> Vec<String> {
        self.seen.lock().unwrap().kids.clone()
    }

    fn tokens(&self) -> u32 {
        self.seen.lock().unwrap().tokens
    }

    /// Waits for so many more tokens.
    async fn goes_on(&self) {
        let before = self.tokens();
        eventually("it gets tokens", async || self.tokens() >= before + 5).await;
    }

    /// Waits until it has got tokens with so many keys.
    async fn has_used(&self, count: usize) {
        eventually(&format!("tokens by {count} keys"), async || {
            let kids = self.kids();
            if kids.len() >= count { Ok(()) } else { Err(kids) }
        })
        .await;
    }

    /// Nothing was refused. Returns what it saw.
    async fn stop(self) -> Seen {
        self.ends.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let rotations = seen.kids.len() - 1;
        println!(
            "{} tokens by {} keys, {rotations} rotations, {} refusals, {} late",
            seen.tokens,
            seen.kids.len(),
            seen.refusals.len(),
            seen.late
        );
        assert!(seen.refusals.is_empty(), "{:?}", seen.refusals);
        assert!(seen.late < seen.tokens / 10, "the machine was too slow for this to show anything");
        seen
    }
}

impl Seen {
    fn accepted(&mut self, kid: String) {
        self.tokens += 1;
        if self.kids.last() != Some(&kid) {
            assert!(!self.kids.contains(&kid), "a former key is the current one again");
            self.kids.push(kid);
        }
    }
}

/// Nothing but the clock and the watches wakes the operator.
async fn world(name: &str, generation: Generation) -> (KeyWorld, &'static Hydra) {
    let hydra = Hydra::shared(generation).await;
    (World::with_args(name, hydra, &["--resync-interval=1h"]).await.into(), hydra)
}

impl KeyWorld {
    async fn linked_client(&self, name: &str) -> String {
        self.create(name, &linked()).await;
        client_id(&self.ready(name).await)
    }

    async fn ask_for_rotation(&self) {
        self.annotate_set("signing", ROTATE_REQUESTED_ANNOTATION, &unique("rotate")).await;
    }

    /// Waits until the status of the set is as `is` wants it.
    async fn status_is(
        &self,
        what: &str,
        is: impl Fn(&JsonWebKeySetStatus) -> bool,
    ) -> JsonWebKeySetStatus {
        eventually(what, async || {
            let status = self.set_status("signing").await;
            if is(&status) { Ok(status) } else { Err(status) }
        })
        .await
    }

    /// Waits until the rotation stands still because of `client`, and checks that it does.
    async fn waits_for_client(&self, client: &str, current: &str) {
        // On a busy machine another client may be in trouble for a moment, and be named first.
        eventually(&format!("the rotation waits for {client}"), async || {
            let set = self.set_shows("signing", "Ready=False WaitingForClient").await;
            let said = set_message(&set);
            if said.contains(&format!("OAuth2Client {client},")) { Ok(()) } else { Err(said) }
        })
        .await;
        let start = Instant::now();
        while start.elapsed() < RETAIN {
            self.set_pass("signing").await;
            let status = self.set_status("signing").await;
            let found: Vec<_> = status.keys.iter().map(|key| key.state).collect();
            assert_eq!(found, [KeyState::Active, KeyState::Pending]);
            assert_eq!(status.current_key.as_deref(), Some(current));
        }
        self.set_shows("signing", "Ready=False WaitingForClient").await;
    }
}

async fn no_assertion_is_refused_through_five_rotations(generation: Generation) {
    let (world, hydra) = world("assertions", generation).await;
    world.create_set("signing", &rotating()).await;
    world.set_ready("signing").await;
    let id = world.linked_client("app").await;
    let signer = Signer::start(&world, hydra, id);
    signer.has_used(6).await;
    let seen = signer.stop().await;
    world.assert_not_leaked(&seen.private.into_iter().collect::<Vec<_>>()).await;
}

async fn no_assertion_is_refused_while_the_operator_is_killed(generation: Generation) {
    use KeyState::{Active, Pending, Published, Retained};
    let (mut world, hydra) = world("killed", generation).await;
    world.create_set("signing", &rotating()).await;
    world.set_ready("signing").await;
    let id = world.linked_client("app").await;
    let signer = Signer::start(&world, hydra, id);
    let moments = [Pending, Published, Retained, Active];
    for (n, state) in moments.into_iter().cycle().take(6).enumerate() {
        world
            .status_is(&format!("a key is {state:?}"), |status| {
                status.keys.iter().any(|key| key.state == state)
            })
            .await;
        world.operator.process().kill_9().await;
        signer.goes_on().await;
        world.operator.start_again().await;
        signer.has_used(n + 2).await;
    }
    let seen = signer.stop().await;
    world.assert_not_leaked(&seen.private.into_iter().collect::<Vec<_>>()).await;
}

/// Of those that cannot follow, people hear, and nothing is taken from them.
async fn a_rotation_waits_for_all_its_clients(generation: Generation) {
    let (world, hydra) = world("waits", generation).await;
    let durations = json!({ "publishBefore": "1s", "retain": "2s" });
    world.create_set("signing", &spec(&durations)).await;
    let mut current = world.set_ready("signing").await.status.unwrap().current_key.unwrap();
    let mut signers = Vec::new();
    for name in ["app", "other"] {
        let id = world.linked_client(name).await;
        signers.push(Signer::start(&world, hydra, id));
    }
    let ways_out = [json!({ "suspend": null }), json!({ "jwksFrom": null }), Value::Null];
    for (n, way_out) in ways_out.into_iter().enumerate() {
        world.edit("other", &json!({ "suspend": true })).await;
        world.ask_for_rotation().await;
        world.waits_for_client("other", &current).await;
        for signer in &signers {
            signer.goes_on().await;
            assert_eq!(signer.kids().last(), Some(&current));
        }
        if n == 1 {
            // From now on it does not follow.
            signers.pop().unwrap().stop().await;
        }
        if way_out.is_null() {
            world.delete("other").await;
        } else {
            world.edit("other", &way_out).await;
        }
        let is_next = |status: &JsonWebKeySetStatus| {
            let states: Vec<_> = status.keys.iter().map(|key| key.state).collect();
            status.current_key.as_ref() != Some(&current) && states == [KeyState::Active]
        };
        current = world.status_is("the next key is on its own", is_next).await.current_key.unwrap();
        for signer in &signers {
            signer.has_used(n + 2).await;
        }
        if n == 1 {
            let back = json!({ "suspend": null, "jwksFrom": { "name": "signing" } });
            world.edit("other", &back).await;
            world.ready("other").await;
        }
    }
    for signer in signers {
        signer.stop().await;
    }
    world.assert_no_key_leaked().await;
}

async fn a_client_may_come_in_the_middle_of_a_rotation(generation: Generation) {
    use KeyState::{Active, Pending, Published, Retained};
    let (world, hydra) = world("newcomers", generation).await;
    let durations = json!({ "publishBefore": "1s", "retain": "2s" });
    world.create_set("signing", &spec(&durations)).await;
    let mut current = world.set_ready("signing").await.status.unwrap().current_key;
    let mut signers = vec![Signer::start(&world, hydra, world.linked_client("app").await)];
    for state in [Pending, Published, Retained] {
        world.ask_for_rotation().await;
        // A state may be over before anybody looks.
        world
            .status_is(&format!("a key is {state:?} or was"), |status| {
                status.keys.iter().any(|key| key.state == state || key.state == Retained)
                    || status.current_key != current
            })
            .await;
        let name = format!("app-{}", signers.len());
        let id = world.linked_client(&name).await;
        signers.push(Signer::start(&world, hydra, id));
        // The annotation may not have been acted on yet.
        let is_next = |status: &JsonWebKeySetStatus| status.current_key != current;
        current = world.status_is("there is another key", is_next).await.current_key;
        world.settles("signing", &[Active]).await;
        for signer in &signers {
            signer.goes_on().await;
        }
    }
    for signer in signers {
        signer.stop().await;
    }
    world.assert_no_key_leaked().await;
}
