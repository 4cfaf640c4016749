//! The `JsonWebKeySet`s, as their watch shows them, and the clients that refer to them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{ResourceExt, core::DeserializeGuard, runtime::watcher::Event};

use super::{
    key_set::{KeySet, Link, LinkedClient},
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
    /// The set that a client refers to, and how the client stands to it.
    by_client: HashMap<ResourceKey, (ResourceKey, LinkedClient)>,
    by_set: HashMap<ResourceKey, BTreeSet<ResourceKey>>,
    /// Namespaces whose sets are known; `None`: those of all.
    listed: BTreeSet<Option<String>>,
}

impl KeySets {
    /// What happens to the set of `client` concerns it from now on.
    pub fn refer(&self, client: &OAuth2Client) {
        let known = self.lock().by_client.get(&key_of(client)).map(|(set, _)| set.clone());
        if known != set_of(client) {
            let _ = self.shown(client);
        }
    }

    /// `client` is as its watch shows it. One that is being deleted needs no keys any more. Returns the sets whose rotation may go on with that, or has to wait.
    #[must_use]
    pub fn shown(&self, client: &OAuth2Client) -> Vec<ResourceKey> {
        let key = key_of(client);
        let set = set_of(client).filter(|_| client.metadata.deletion_timestamp.is_none());
        let now = set.map(|set| (set, LinkedClient::of(client)));
        let mut inner = self.lock();
        if inner.by_client.get(&key) == now.as_ref() {
            return Vec::new();
        }
        let mut affected = Vec::from_iter(inner.forget(&key));
        if let Some((set, client)) = now {
            inner.by_set.entry(set.clone()).or_default().insert(key.clone());
            if !affected.contains(&set) {
                affected.push(set.clone());
            }
            inner.by_client.insert(key, (set, client));
        }
        affected
    }

    /// The client is gone. Returns the set that it referred to.
    pub fn forget(&self, client: &ResourceKey) -> Option<ResourceKey> {
        self.lock().forget(client)
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

    /// The clients that refer to `set`, but those that are being deleted.
    #[must_use]
    pub fn linked(&self, set: &ResourceKey) -> Vec<LinkedClient> {
        let inner = self.lock();
        let clients = inner.by_set.get(set).into_iter().flatten();
        let known = clients.filter_map(|client| inner.by_client.get(client));
        known.map(|(_, client)| client.clone()).collect()
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
                .filter(|(_, (set, _))| in_scope(set) && !inner.sets.contains_key(set));
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

    /// Returns the set that it referred to.
    fn forget(&mut self, client: &ResourceKey) -> Option<ResourceKey> {
        let (set, _) = self.by_client.remove(client)?;
        if let Some(clients) = self.by_set.get_mut(&set) {
            clients.remove(client);
            if clients.is_empty() {
                self.by_set.remove(&set);
            }
        }
        Some(set)
    }
}

fn set_of(client: &OAuth2Client) -> Option<ResourceKey> {
    let reference = client.spec.jwks_from.as_ref()?;
    Some((key_of(client).0, reference.name.clone()))
}

fn name_of(object: &WatchedSet) -> ResourceKey {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests;
