//! What the tests of faults do with key sets, and ask about them.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use hydra_operator::api::{
    ConditionType, JsonWebKeySet, RECONCILE_REQUESTED_ANNOTATION, condition,
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    events::v1::Event,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    crowd::CONVERGED,
    support::{
        Generation,
        control_plane::unique,
        eventually,
        jose::{self, SigningKey},
        kstatus::{Verdict, verdict},
    },
    world::World,
};

/// Members of a JSON Web Key that nobody else may see (RFC 7518 section 6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
/// Those that tell two public keys apart.
const MATERIAL: [&str; 6] = ["kty", "crv", "x", "y", "n", "e"];

/// The key sets of a namespace.
pub struct Sets<'a>(pub &'a World);

/// A set that is as its status says, everywhere.
pub struct Whole {
    /// The ids of its keys, the oldest first.
    pub kids: Vec<String>,
    /// The one that is signed with.
    pub current: String,
    /// The public halves, by id.
    pub publics: BTreeMap<String, Value>,
    /// All that is private of the keys that were handed out.
    pub secrets: Vec<String>,
}

impl Sets<'_> {
    pub fn api(&self) -> Api<JsonWebKeySet> {
        Api::namespaced(self.0.client.clone(), &self.0.namespace)
    }

    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.0.client.clone(), &self.0.namespace)
    }

    /// A resource with `spec` over that of a set that is handed out.
    pub fn resource(name: &str, spec: &Value) -> JsonWebKeySet {
        let mut full = json!({
            "algorithm": "ES256",
            "rotation": { "publishBefore": "1s", "retain": "1s" },
            "outputs": {
                "publicConfigMap": { "name": format!("{name}-public") },
                "privateSecret": { "name": format!("{name}-private") },
            },
        });
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({ "metadata": { "name": name }, "spec": full })).unwrap()
    }

    pub async fn create(&self, name: &str, spec: &Value) -> JsonWebKeySet {
        let resource = Self::resource(name, spec);
        let created = self.api().create(&PostParams::default(), &resource).await.unwrap();
        assert_eq!(verdict(&created).0, Verdict::InProgress);
        created
    }

    pub async fn edit(&self, name: &str, spec: &Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { annotation: value } } }));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        let deleted = self.api().delete(name, &DeleteParams::default()).await.unwrap();
        if let Some(resource) = deleted.left() {
            assert_eq!(verdict(&resource).0, Verdict::Terminating);
        }
    }

    pub async fn gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), async || {
            match self.api().get_opt(name).await.unwrap() {
                None => Ok(()),
                Some(resource) => Err(resource.status),
            }
        })
        .await;
    }

    /// Waits until the resource shows `expected`, such as `Ready=True Synced`, for the present generation.
    pub async fn shows(&self, name: &str, expected: &str) -> JsonWebKeySet {
        let set = eventually(&format!("{name} shows {expected}"), async || {
            let set = self.api().get(name).await.map_err(|error| error.to_string())?;
            let shown = shown(&set);
            if shown.iter().any(|one| one == expected) {
                Ok(set)
            } else {
                Err(format!("{shown:?} {:?}", set.status))
            }
        })
        .await;
        if set.metadata.deletion_timestamp.is_none() {
            let agreed = match expected.split_once('=') {
                Some(("Stalled", value)) if value.starts_with("True") => Some(Verdict::Failed),
                Some(("Ready", value)) if value.starts_with("True") => Some(Verdict::Current),
                Some(("Reconciling", value)) if value.starts_with("True") => {
                    Some(Verdict::InProgress)
                }
                _ => None,
            };
            let (found, why) = verdict(&set);
            assert!(agreed.is_none_or(|agreed| agreed == found), "{found:?}: {why}");
        }
        set
    }

    pub async fn ready(&self, name: &str) -> JsonWebKeySet {
        self.shows(name, "Ready=True Synced").await
    }

    /// Asks for a pass over the resource and waits until it was made.
    pub async fn pass(&self, name: &str) {
        let token = unique("pass");
        self.annotate(name, RECONCILE_REQUESTED_ANNOTATION, &token).await;
        eventually(&format!("{name} has had a pass"), async || {
            let status = self.api().get(name).await.unwrap().status?;
            status.last_handled_reconcile_at.is_some_and(|handled| handled == token).then_some(())
        })
        .await;
    }

    /// The name of the set in Hydra.
    pub fn set_name(&self, name: &str) -> String {
        format!("k8s.{}.{name}", self.0.namespace)
    }

    /// What Hydra stores, row by row.
    pub async fn rows(&self, name: &str) -> Vec<Value> {
        let path = format!("/keys/{}", self.set_name(name));
        let answer = self.0.hydra.admin(Method::GET, &path, None).await;
        match answer.status {
            200 => answer.body["keys"].as_array().unwrap().clone(),
            404 => Vec::new(),
            status => panic!("GET of the set {name}: {status}"),
        }
    }

    /// Somebody else writes a key into the set.
    pub async fn put_row(&self, name: &str, row: &Value) {
        let path = format!("/keys/{}/{}", self.set_name(name), row["kid"].as_str().unwrap());
        assert_eq!(self.0.hydra.admin(Method::PUT, &path, Some(row)).await.status, 200);
    }

    /// Somebody else deletes a row.
    pub async fn delete_row(&self, name: &str, kid: &str) {
        let path = format!("/keys/{}/{kid}", self.set_name(name));
        assert!(self.0.hydra.admin(Method::DELETE, &path, None).await.status < 300);
    }

    /// Somebody else deletes the set.
    pub async fn delete_set(&self, name: &str) {
        let path = format!("/keys/{}", self.set_name(name));
        assert!(self.0.hydra.admin(Method::DELETE, &path, None).await.status < 300);
    }

    /// The public halves of the keys in Hydra, each of which is there with its private half, as this generation stores it.
    pub async fn in_hydra(&self, name: &str) -> Result<BTreeMap<String, Value>, String> {
        let mut keys: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for row in self.rows(name).await {
            let kid = row["kid"].as_str().unwrap();
            let plain = kid.strip_prefix("public:").or_else(|| kid.strip_prefix("private:"));
            keys.entry(plain.unwrap_or(kid).to_owned()).or_default().push(row);
        }
        let mut found = BTreeMap::new();
        for (kid, rows) in keys {
            let is_private = |row: &&Value| row.get("d").is_some() || row.get("k").is_some();
            let private = rows.iter().filter(is_private).count();
            let expected = match self.0.hydra.generation() {
                Generation::V1 => (2, 1),
                Generation::V2 => (1, 1),
            };
            if (rows.len(), private) != expected {
                return Err(format!("{kid} has {} rows, {private} of them private", rows.len()));
            }
            let public = material(&rows[0]);
            if rows.iter().any(|row| material(row) != public) {
                return Err(format!("the rows of {kid} are different keys"));
            }
            found.insert(kid, public);
        }
        Ok(found)
    }

    pub async fn public(&self, name: &str) -> Option<Value> {
        let map = self.config_maps().get_opt(&format!("{name}-public")).await.unwrap()?;
        serde_json::from_str(map.data?.get("jwks.json")?).ok()
    }

    pub async fn private(&self, name: &str) -> Option<Secret> {
        self.0.secrets.get_opt(&format!("{name}-private")).await.unwrap()
    }

    /// Waits until the resource has `count` keys, of which one is signed with, and is as declared: the keys that status
    /// records are in Hydra and no others, the Secret has the current one, and go-jose checks what was signed with it by the
    /// ConfigMap.
    pub async fn whole(&self, name: &str, count: usize) -> Whole {
        let what = format!("{name} is whole, with {count} keys");
        eventually(&what, async || self.look(name, count).await).await
    }

    async fn look(&self, name: &str, count: usize) -> Result<Whole, String> {
        let set = self.api().get(name).await.map_err(|error| error.to_string())?;
        let (shown, status) = (shown(&set), set.status.clone().unwrap_or_default());
        if shown[..] != CONVERGED {
            return Err(format!("{shown:?} {status:?}"));
        }
        let recorded: BTreeMap<String, Value> = status
            .keys
            .iter()
            .map(|key| (key.kid.clone(), material(&json!(key.public_key))))
            .collect();
        let held = self.in_hydra(name).await?;
        if recorded != held || recorded.len() != count {
            let held: Vec<_> = held.keys().collect();
            return Err(format!("Hydra holds {held:?}, and status is {status:?}"));
        }
        let current = status.current_key.ok_or("no current key")?;
        let public = self.public(name).await.ok_or("no ConfigMap")?;
        let shown: BTreeMap<String, Value> = public["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| (key["kid"].as_str().unwrap().to_owned(), material(key)))
            .collect();
        if shown != recorded {
            return Err(format!("the ConfigMap holds {:?}", shown.keys()));
        }
        let secrets = self.signs(name, &current, &public).await?;
        Ok(Whole {
            kids: status.keys.into_iter().map(|key| key.kid).collect(),
            current,
            publics: recorded,
            secrets,
        })
    }

    /// Signs with both forms of the Secret. Returns what is private of it.
    async fn signs(
        &self,
        name: &str,
        current: &str,
        public: &Value,
    ) -> Result<Vec<String>, String> {
        let secret = self.private(name).await.ok_or("no Secret")?;
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| {
            let value = data.get(key).ok_or_else(|| format!("the Secret has no {key}"))?;
            Ok::<_, String>(String::from_utf8(value.0.clone()).unwrap())
        };
        let (kid, pem) = (text("kid")?, text("private.pem")?);
        if kid != current {
            return Err(format!("the Secret has {kid}, and {current} is the current key"));
        }
        let jwks: Value = serde_json::from_str(&text("jwks.json")?).unwrap();
        let alg = jwks["keys"][0]["alg"].as_str().unwrap().to_owned();
        let secrets = private_values(&jwks, &pem);
        let keys = [
            SigningKey::Jwks { jwks, kid: kid.clone(), alg: None },
            SigningKey::Pem { pem, kid: kid.clone(), alg },
        ];
        for key in keys {
            let verified = jose::verify(public, &jose::sign(&key, "payload")?)?;
            assert_eq!((verified.payload.as_str(), verified.kid), ("payload", kid.clone()));
        }
        Ok(secrets)
    }

    async fn all_events(&self) -> Vec<Event> {
        self.0.published().await;
        let events: Api<Event> = Api::namespaced(self.0.client.clone(), &self.0.namespace);
        events.list(&ListParams::default()).await.unwrap().items
    }

    /// How often each event about the resource was published, as `Type Reason`.
    pub async fn events(&self, name: &str) -> BTreeMap<String, i32> {
        let mut counts = BTreeMap::new();
        for event in self.all_events().await {
            if event.regarding.and_then(|regarding| regarding.name).as_deref() == Some(name) {
                let kind = event.type_.unwrap_or_default();
                let kind = format!("{kind} {}", event.reason.unwrap_or_default());
                *counts.entry(kind).or_default() += event.series.map_or(1, |series| series.count);
            }
        }
        counts
    }

    /// None of these values stands where people without access to Secrets can read.
    pub async fn assert_no_secret_leaked(&self, values: &BTreeSet<String>) {
        assert!(!values.is_empty(), "there is no value to look for");
        let sets = self.api().list(&ListParams::default()).await.unwrap();
        let maps = self.config_maps().list(&ListParams::default()).await.unwrap();
        let places = [
            ("the log", self.0.operator.log()),
            ("the metrics", self.0.operator.metrics_text().await),
            ("an event", serde_json::to_string(&self.all_events().await).unwrap()),
            ("a JsonWebKeySet", serde_json::to_string(&sets.items).unwrap()),
            ("a ConfigMap", serde_json::to_string(&maps.items).unwrap()),
        ];
        for value in values {
            assert!(value.len() > 20, "too short to look for");
            for shape in [value.clone(), BASE64_STANDARD.encode(value)] {
                for (place, text) in &places {
                    assert!(!text.is_empty(), "{place} says nothing, so it proves nothing");
                    assert!(!text.contains(&shape), "{place} holds a private key");
                }
            }
        }
    }
}

/// What is private of these keys.
pub fn private_values(jwks: &Value, pem: &str) -> Vec<String> {
    let keys = jwks["keys"].as_array().unwrap().iter();
    let members = keys.flat_map(|key| PRIVATE.iter().filter_map(|member| key[*member].as_str()));
    let lines = pem.lines().filter(|line| !line.starts_with('-') && line.len() > 40);
    members.chain(lines).map(ToOwned::to_owned).collect()
}

fn material(key: &Value) -> Value {
    let members = MATERIAL.iter().filter_map(|name| Some((*name, key.get(*name)?.clone())));
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The conditions that hold for the present generation, as `Type=Status Reason`.
pub fn shown(set: &JsonWebKeySet) -> Vec<String> {
    let Some(status) = &set.status else { return Vec::new() };
    if status.observed_generation != set.metadata.generation {
        return Vec::new();
    }
    [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled]
        .into_iter()
        .filter_map(|kind| {
            let condition = condition::get(&status.conditions, kind)?;
            let reason = condition.reason.as_deref().unwrap_or_default();
            Some(format!("{}={:?} {reason}", kind.as_str(), condition.status))
        })
        .collect()
}

/// The message of `Ready`.
pub fn message(set: &JsonWebKeySet) -> String {
    let conditions = &set.status.as_ref().unwrap().conditions;
    let ready = condition::get(conditions, ConditionType::Ready).unwrap();
    ready.message.clone().unwrap_or_default().to_string()
}
