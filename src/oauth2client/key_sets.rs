//! The `JsonWebKeySet`s, as their watch shows them, and the clients that refer to them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{ResourceExt, core::DeserializeGuard, runtime::watcher::Event};

use super::{
    key_set::{KeySet, Link},
    survey::key_of,
};
use crate::{
    api::{JsonWebKeySet, OAuth2Client},
    controller::ResourceKey,
};

/// A set as the watch delivers it, which may be one that does not decode.
pub type WatchedSet = DeserializeGuard<JsonWebKeySet>;

/// The sets and their clients.
///
/// What is told of a set answers with the clients that need a pass for it.
#[derive(Default)]
pub struct KeySets {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sets: HashMap<ResourceKey, Arc<KeySet>>,
    /// The set that a client refers to.
    by_client: HashMap<ResourceKey, ResourceKey>,
    by_set: HashMap<ResourceKey, BTreeSet<ResourceKey>>,
    /// Namespaces whose sets are known; `None`: those of all.
    listed: BTreeSet<Option<String>>,
}

impl KeySets {
    /// `client` is as it is shown: what happens to its set concerns it from now on.
    pub fn refer(&self, client: &OAuth2Client) {
        let key = key_of(client);
        let set = client.spec.jwks_from.as_ref();
        let set = set.map(|reference| (key.0.clone(), reference.name.clone()));
        let mut inner = self.lock();
        if inner.by_client.get(&key) == set.as_ref() {
            return;
        }
        inner.forget(&key);
        if let Some(set) = set {
            inner.by_set.entry(set.clone()).or_default().insert(key.clone());
            inner.by_client.insert(key, set);
        }
    }

    /// The client is gone.
    pub fn forget(&self, client: &ResourceKey) {
        self.lock().forget(client);
    }

    /// What is known of the set that `client` refers to.
    #[must_use]
    pub fn link(&self, client: &OAuth2Client) -> Link {
        let Some(reference) = &client.spec.jwks_from else { return Link::None };
        let key = (key_of(client).0, reference.name.clone());
        let inner = self.lock();
        match inner.sets.get(&key) {
            Some(set) => Link::Found(set.clone()),
            None if inner.knows(&key.0) => Link::Absent,
            None => Link::Unknown,
        }
    }

    /// The clients that refer to `set`.
    #[must_use]
    pub fn clients_of(&self, set: &ResourceKey) -> Vec<ResourceKey> {
        self.lock().clients(set)
    }

    /// Takes in what the watch of `scope` tells. `listed` are the sets of the list under way.
    #[must_use]
    pub fn follow(
        &self,
        event: &Event<WatchedSet>,
        scope: Option<&str>,
        listed: &mut HashSet<ResourceKey>,
    ) -> Vec<ResourceKey> {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                listed.insert(name_of(object));
                return self.exists(object);
            }
            Event::InitDone => return self.relisted(scope, &std::mem::take(listed)),
            Event::Apply(object) => return self.exists(object),
            Event::Delete(object) => return self.gone(&name_of(object)),
        }
        Vec::new()
    }

    /// Of a set that does not decode any more, what was known of it stays true. One that never did is as good as none.
    fn exists(&self, object: &WatchedSet) -> Vec<ResourceKey> {
        let key = name_of(object);
        match &object.0 {
            Ok(set) => self.applied(key, KeySet::of(set)),
            Err(_) => Vec::new(),
        }
    }

    /// The set `key` is as `set` says.
    #[must_use]
    pub fn applied(&self, key: ResourceKey, set: KeySet) -> Vec<ResourceKey> {
        let mut inner = self.lock();
        if inner.sets.get(&key).is_some_and(|known| **known == set) {
            return Vec::new();
        }
        let clients = inner.clients(&key);
        inner.sets.insert(key, Arc::new(set));
        clients
    }

    /// The set `key` is gone.
    #[must_use]
    pub fn gone(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        let mut inner = self.lock();
        let known = inner.sets.remove(key);
        known.map(|_| inner.clients(key)).unwrap_or_default()
    }

    /// The sets of `scope`, a namespace or all, are those that are `listed`.
    #[must_use]
    pub fn relisted(&self, scope: Option<&str>, listed: &HashSet<ResourceKey>) -> Vec<ResourceKey> {
        let in_scope = |key: &ResourceKey| scope.is_none_or(|scope| key.0 == scope);
        let mut inner = self.lock();
        let stale = |key: &&ResourceKey| in_scope(key) && !listed.contains(*key);
        let gone: Vec<_> = inner.sets.keys().filter(stale).cloned().collect();
        let mut affected = Vec::new();
        for key in gone {
            inner.sets.remove(&key);
            affected.extend(inner.clients(&key));
        }
        // Until now nobody knew that they are not there.
        if inner.listed.insert(scope.map(ToOwned::to_owned)) {
            let absent = inner
                .by_client
                .iter()
                .filter(|(_, set)| in_scope(set) && !inner.sets.contains_key(*set));
            affected.extend(absent.map(|(client, _)| client.clone()));
        }
        affected
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn knows(&self, namespace: &str) -> bool {
        self.listed.iter().any(|scope| scope.as_deref().is_none_or(|scope| scope == namespace))
    }

    fn clients(&self, set: &ResourceKey) -> Vec<ResourceKey> {
        self.by_set.get(set).into_iter().flatten().cloned().collect()
    }

    fn forget(&mut self, client: &ResourceKey) {
        let Some(set) = self.by_client.remove(client) else { return };
        if let Some(clients) = self.by_set.get_mut(&set) {
            clients.remove(client);
            if clients.is_empty() {
                self.by_set.remove(&set);
            }
        }
    }
}

fn name_of(object: &WatchedSet) -> ResourceKey {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests;
