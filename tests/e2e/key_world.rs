//! What tests of `JsonWebKeySet`s start with, and the questions they ask.

use std::ops::{Deref, DerefMut};

use base64::{Engine, prelude::BASE64_STANDARD};
use hydra_operator::api::{
    ConditionType, JsonWebKeySet, JsonWebKeySetStatus, RECONCILE_REQUESTED_ANNOTATION, condition,
    jsonwebkeyset::{KeyState, KeyStatus},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    kstatus::{assert_agrees, assert_verdict},
    support::{
        Generation, Hydra, control_plane::unique, eventually, jose::SigningKey, kstatus::Verdict,
    },
    world::{World, shown_by},
};

/// A world with key sets in it.
pub struct KeyWorld {
    world: World,
    pub sets: Api<JsonWebKeySet>,
    pub config_maps: Api<ConfigMap>,
}

impl From<World> for KeyWorld {
    fn from(world: World) -> Self {
        let (client, namespace) = (&world.client, &world.namespace);
        Self {
            sets: Api::namespaced(client.clone(), namespace),
            config_maps: Api::namespaced(client.clone(), namespace),
            world,
        }
    }
}

impl Deref for KeyWorld {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for KeyWorld {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl KeyWorld {
    /// On the Hydra of `generation` that all tests share. A set is compared with Hydra every second.
    pub async fn new(name: &str, generation: Generation) -> Self {
        let hydra = Hydra::shared(generation).await;
        World::with_args(name, hydra, &["--resync-interval=1s"]).await.into()
    }

    pub async fn create_set(&self, name: &str, spec: &Value) -> JsonWebKeySet {
        let set = serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec }));
        let created = self.sets.create(&PostParams::default(), &set.unwrap()).await.unwrap();
        assert_verdict(&created, Verdict::InProgress);
        created
    }

    pub async fn set(&self, name: &str) -> JsonWebKeySet {
        self.sets.get(name).await.unwrap()
    }

    pub async fn set_status(&self, name: &str) -> JsonWebKeySetStatus {
        self.set(name).await.status.unwrap_or_default()
    }

    /// `status.keys`.
    pub async fn set_keys(&self, name: &str) -> Vec<KeyStatus> {
        self.set_status(name).await.keys
    }

    /// The current key, which there has to be.
    pub async fn current(&self, name: &str) -> String {
        let current = self.set_status(name).await.current_key;
        current.unwrap_or_else(|| panic!("{name} has no current key"))
    }

    pub async fn set_ready(&self, name: &str) -> JsonWebKeySet {
        self.set_shows(name, "Ready=True Synced").await
    }

    /// Waits until the set shows `expected`, such as `Ready=True Synced`, for the present generation.
    pub async fn set_shows(&self, name: &str, expected: &str) -> JsonWebKeySet {
        let set = eventually(&format!("{name} shows {expected}"), async || {
            let set = self.sets.get(name).await.map_err(|error| error.to_string())?;
            let shown = set_shown(&set);
            if shown.iter().any(|condition| condition == expected) {
                Ok(set)
            } else {
                Err(format!("{shown:?} {:?}", set.status))
            }
        })
        .await;
        assert_agrees(&set, expected);
        set
    }

    /// As [`Self::set_shows`], with words in the message, which is returned.
    pub async fn set_says(&self, name: &str, expected: &str, words: &str) -> String {
        eventually(&format!("{name} says {words}"), async || {
            let said = set_message(&self.set_shows(name, expected).await);
            if said.contains(words) { Ok(said) } else { Err(said) }
        })
        .await
    }

    /// Waits until the keys of the set are in these states, the oldest first, and Hydra and the status agree about them.
    pub async fn settles(&self, name: &str, states: &[KeyState]) -> Vec<KeyStatus> {
        eventually(&format!("the keys of {name} are {states:?}"), async || {
            let keys = self.set_keys(name).await;
            let found: Vec<_> = keys.iter().map(|key| key.state).collect();
            if found == states { Ok(keys) } else { Err(found) }
        })
        .await
    }

    pub async fn edit_set(&self, name: &str, spec: &Value) -> JsonWebKeySet {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let edited = self.sets.patch(name, &PatchParams::default(), &patch).await.unwrap();
        let observed = edited.status.as_ref().and_then(|status| status.observed_generation);
        if observed != edited.metadata.generation {
            assert_verdict(&edited, Verdict::InProgress);
        }
        edited
    }

    pub async fn annotate_set(&self, name: &str, annotation: &str, value: &str) {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { annotation: value } } }));
        self.sets.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Asks for a pass over the set and waits until it was made.
    pub async fn set_pass(&self, name: &str) -> JsonWebKeySet {
        let token = unique("pass");
        self.annotate_set(name, RECONCILE_REQUESTED_ANNOTATION, &token).await;
        eventually(&format!("{name} has had a pass"), async || {
            let set = self.sets.get(name).await.unwrap();
            let handled = set.status.as_ref()?.last_handled_reconcile_at.as_ref()?;
            (*handled == token).then_some(set)
        })
        .await
    }

    pub async fn delete_set(&self, name: &str) {
        let deleted = self.sets.delete(name, &DeleteParams::default()).await.unwrap();
        if let Some(set) = deleted.left() {
            assert_verdict(&set, Verdict::Terminating);
        }
    }

    pub async fn set_gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), async || {
            match self.sets.get_opt(name).await.unwrap() {
                None => Ok(()),
                Some(set) => Err(format!("{:?}", set.status)),
            }
        })
        .await;
    }

    /// The keys of the set of `name` as Hydra's admin API has them.
    pub async fn in_hydra_set(&self, name: &str) -> Vec<Value> {
        let path = format!("/keys/k8s.{}.{name}", self.namespace);
        let answer = self.hydra.admin(Method::GET, &path, None).await;
        match answer.status {
            200 => answer.body["keys"].as_array().cloned().unwrap_or_default(),
            404 => Vec::new(),
            _ => panic!("GET of a key set: {}", answer.status),
        }
    }

    /// Their ids, without the prefixes of Hydra 1, each once, sorted.
    pub async fn hydra_kids(&self, name: &str) -> Vec<String> {
        let keys = self.in_hydra_set(name).await;
        let bare = |key: &Value| {
            let kid = key["kid"].as_str().unwrap();
            let kid = kid.strip_prefix("private:").or(kid.strip_prefix("public:")).unwrap_or(kid);
            kid.to_owned()
        };
        let mut kids: Vec<_> = keys.iter().map(bare).collect();
        kids.sort();
        kids.dedup();
        kids
    }

    /// Waits until Hydra holds the keys of the status and no others.
    pub async fn hydra_agrees(&self, name: &str) {
        eventually("Hydra holds the keys of the status", async || {
            let mut recorded = kids(&self.set_keys(name).await);
            recorded.sort();
            let held = self.hydra_kids(name).await;
            if held == recorded { Ok(()) } else { Err((held, recorded)) }
        })
        .await;
    }

    /// A value of a Secret, or nothing.
    pub async fn secret_text(&self, name: &str, key: &str) -> Option<String> {
        let secret = self.secrets.get_opt(name).await.unwrap()?;
        Some(String::from_utf8(secret.data?.get(key)?.0.clone()).unwrap())
    }

    /// The private keys of an output.
    pub async fn private_jwks(&self, secret: &str) -> Value {
        let text = self.secret_text(secret, "jwks.json").await.expect("there is no private JWKS");
        serde_json::from_str(&text).unwrap()
    }

    /// The public keys of an output.
    pub async fn public_jwks(&self, config_map: &str) -> Value {
        let map = self.config_maps.get(config_map).await.unwrap();
        serde_json::from_str(&map.data.unwrap()["jwks.json"]).unwrap()
    }

    /// The current key of the output `secret`, to sign with.
    pub async fn signing_key(&self, secret: &str) -> SigningKey {
        let jwks = self.private_jwks(secret).await;
        let kid = jwks["keys"][0]["kid"].as_str().unwrap().to_owned();
        SigningKey::Jwks { jwks, kid, alg: None }
    }

    /// Nothing private of the keys that any of the Secrets hold stands where people without access to Secrets can read.
    pub async fn assert_no_key_leaked(&self) {
        let mut values = Vec::new();
        for secret in self.secrets.list(&ListParams::default()).await.unwrap() {
            for bytes in secret.data.unwrap_or_default().into_values() {
                values.extend(private_values(&String::from_utf8_lossy(&bytes.0)));
            }
        }
        self.assert_not_leaked(&values).await;
    }

    /// None of these values stands where people without access to Secrets can read.
    pub async fn assert_not_leaked(&self, values: &[String]) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        assert!(!values.is_empty(), "there is no value to look for");
        self.assert_no_secret_leaked(&values).await;
        let sets = self.sets.list(&ListParams::default()).await.unwrap().items;
        let maps = self.config_maps.list(&ListParams::default()).await.unwrap().items;
        let sets = serde_json::to_string(&sets).unwrap();
        let maps = serde_json::to_string(&maps).unwrap();
        for value in values {
            for shape in [value.to_owned(), BASE64_STANDARD.encode(value)] {
                assert!(!sets.contains(&shape), "a JsonWebKeySet holds a secret");
                assert!(!maps.contains(&shape), "a ConfigMap holds a secret");
            }
        }
    }
}

/// The values of private members, and the lines of PEM, in a document. Lines that are as good as the same in all keys of a
/// type tell nothing.
pub fn private_values(document: &str) -> Vec<String> {
    let mut values = Vec::new();
    if let Ok(jwks) = serde_json::from_str::<Value>(document) {
        let alone = vec![jwks.clone()];
        for key in jwks["keys"].as_array().unwrap_or(&alone) {
            let members = ["d", "p", "q", "dp", "dq", "qi", "k"].map(|member| key[member].as_str());
            values.extend(members.into_iter().flatten().map(ToOwned::to_owned));
        }
    } else if document.contains("-----BEGIN") {
        let lines = document.lines().filter(|line| !line.starts_with("-----") && line.len() > 20);
        values.extend(lines.map(ToOwned::to_owned));
    }
    values
}

/// The ids of keys.
pub fn kids(keys: &[KeyStatus]) -> Vec<String> {
    keys.iter().map(|key| key.kid.clone()).collect()
}

/// The ids in a JSON Web Key set.
pub fn kids_in(jwks: &Value) -> Vec<String> {
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The conditions that hold for the present generation, as `Type=Status Reason`.
pub fn set_shown(set: &JsonWebKeySet) -> Vec<String> {
    let Some(status) = &set.status else { return Vec::new() };
    if status.observed_generation != set.metadata.generation {
        return Vec::new();
    }
    shown_by(&status.conditions)
}

/// The message of `Ready`.
pub fn set_message(set: &JsonWebKeySet) -> String {
    let conditions = set.status.as_ref().map(|status| status.conditions.as_slice());
    let ready = condition::get(conditions.unwrap_or_default(), ConditionType::Ready);
    ready.and_then(|ready| ready.message.as_deref()).unwrap_or_default().to_owned()
}
