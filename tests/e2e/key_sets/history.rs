//! What the API server showed of a set and its outputs, in the order in which it happened: the versions of objects of one API
//! server are numbered one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use hydra_operator::api::{
    JsonWebKeySetStatus,
    jsonwebkeyset::KeyState::{self, Active, Pending, Published, Retained},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::key_world::{KeyWorld, kids_in};

/// What there was at a moment.
pub enum Shown {
    Status(Box<JsonWebKeySetStatus>),
    /// The ids in the ConfigMap.
    Public(BTreeSet<String>),
    /// The current key in the Secret.
    Private(String),
}

/// A record under way.
pub struct History {
    shown: Arc<Mutex<BTreeMap<u64, Shown>>>,
    watches: Vec<JoinHandle<()>>,
}

impl History {
    /// Records from now on what becomes of the set `name`, and of its outputs `public` and `private`.
    pub fn start(world: &KeyWorld, name: &str, public: &str, private: &str) -> Self {
        let shown = Arc::default();
        let watches = vec![
            watch(world.sets.clone(), name, &shown, |set| {
                set.status.map(|status| Shown::Status(Box::new(status)))
            }),
            watch(world.config_maps.clone(), public, &shown, |map| {
                let document = map.data.as_ref()?.get("jwks.json")?;
                let kids = kids_in(&serde_json::from_str(document).unwrap());
                Some(Shown::Public(kids.into_iter().collect()))
            }),
            watch(world.secrets.clone(), private, &shown, |secret| {
                let kid = secret.data?.get("kid")?.0.clone();
                Some(Shown::Private(String::from_utf8(kid).unwrap()))
            }),
        ];
        Self { shown, watches }
    }

    /// How many keys have been current in the Secret so far.
    pub fn handed_out(&self) -> usize {
        let shown = self.shown.lock().unwrap();
        let kids = shown.values().filter_map(|shown| match shown {
            Shown::Private(kid) => Some(kid),
            _ => None,
        });
        kids.collect::<BTreeSet<_>>().len()
    }

    /// Panics unless it was a proper life of keys that are published before they sign, but for the first.
    pub fn check(&self) {
        let shown = self.shown.lock().unwrap();
        let mut states: BTreeMap<String, Vec<KeyState>> = BTreeMap::new();
        let (mut public, mut current) = (BTreeSet::new(), None::<String>);
        for moment in shown.values() {
            match moment {
                Shown::Status(set) => {
                    let active = set.keys.iter().filter(|key| key.state == Active);
                    let active: Vec<_> = active.map(|key| &key.kid).collect();
                    assert!(active.len() <= 1, "two keys are current: {active:?}");
                    assert!(current.is_none() || active.len() == 1, "no key is current");
                    for key in &set.keys {
                        let states = states.entry(key.kid.clone()).or_default();
                        if states.last() != Some(&key.state) {
                            states.push(key.state);
                        }
                    }
                }
                Shown::Public(kids) => {
                    assert!(current.as_ref().is_none_or(|kid| kids.contains(kid)));
                    public.clone_from(kids);
                }
                Shown::Private(kid) if current.as_ref() == Some(kid) => {}
                Shown::Private(kid) => {
                    assert!(public.contains(kid), "{kid} is handed out and not public");
                    let states = &states[kid];
                    let last = states.last();
                    assert!(current.is_none() || last == Some(&Published), "{states:?}");
                    current = Some(kid.clone());
                }
            }
        }
        let life = [Pending, Published, Active, Retained];
        let mut lives = states.values();
        let first = lives.next().unwrap();
        assert!(!first.is_empty());
        for states in states.values() {
            let mut rest = life.iter();
            assert!(states.iter().all(|state| rest.any(|next| next == state)), "{states:?}");
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        for watch in &self.watches {
            watch.abort();
        }
    }
}

fn watch<K>(
    api: Api<K>,
    name: &str,
    shown: &Arc<Mutex<BTreeMap<u64, Shown>>>,
    read: impl Fn(K) -> Option<Shown> + Send + 'static,
) -> JoinHandle<()>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let (shown, field) = (shown.clone(), format!("metadata.name={name}"));
    tokio::spawn(async move {
        let events = api.watch(&WatchParams::default().fields(&field), "0").await.unwrap();
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event.unwrap() {
                let version = object.resource_version().unwrap().parse().unwrap();
                if let Some(seen) = read(object) {
                    shown.lock().unwrap().insert(version, seen);
                }
            }
        }
    })
}
