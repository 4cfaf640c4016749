//! Which of several resources has a set.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use kube::{ResourceExt, runtime::watcher::Event};

use super::{
    Watched,
    error::{Failure, Reason},
};
use crate::{
    api::JsonWebKeySet,
    controller::{
        Claims, ResourceKey, Wakers,
        claims::{Claim, Claimant, Lost},
        observer::Population,
    },
};

/// The claims of all resources on sets, by their names, and how those hear of it whom a change concerns.
#[derive(Default)]
pub struct Rivals {
    claims: Claims<ResourceKey, String>,
    wakers: Wakers,
    /// Namespaces whose resources are not known yet; `None`: those of all.
    unlisted: Mutex<BTreeSet<Option<String>>>,
}

/// What a pass is about to take is nobody else's meanwhile.
pub struct Lease<'a> {
    rivals: &'a Rivals,
    resource: &'a ResourceKey,
}

/// What `resource` claims: its set, which it holds once a key of it is recorded.
#[must_use]
pub fn claimant(resource: &JsonWebKeySet) -> Claimant<String> {
    let metadata = &resource.metadata;
    let status = resource.status.as_ref();
    let name = resource.set_name();
    let holds = status
        .is_some_and(|status| !status.keys.is_empty() && status.set_name.as_deref() == Some(&name));
    let claim = if holds { Claim::Holds } else { Claim::Wants };
    Claimant {
        uid: metadata.uid.clone(),
        created: metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
        active: metadata.deletion_timestamp.is_none() && !resource.is_suspended(),
        stuck: false,
        named: BTreeMap::from([(name, claim)]),
    }
}

impl Rivals {
    /// The resources of `namespace`, or of all, will be followed; `wake` gives one of them a pass.
    pub fn expect(
        &self,
        namespace: Option<String>,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) {
        self.unlisted().insert(namespace.clone());
        self.wakers.register(namespace, wake);
    }

    /// Takes in what the watch of `scope` tells. `listed` are the resources of the list under way.
    pub fn follow(
        &self,
        event: &Event<Watched>,
        scope: Option<&str>,
        listed: &mut HashSet<ResourceKey>,
    ) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                listed.insert(key_of(object));
                self.exists(object);
            }
            Event::InitDone => {
                let in_scope = |key: &ResourceKey| scope.is_none_or(|scope| key.0 == scope);
                self.wake(&self.claims.retain(in_scope, &std::mem::take(listed)));
                self.unlisted().remove(&scope.map(ToOwned::to_owned));
            }
            Event::Apply(object) => self.exists(object),
            Event::Delete(object) => self.wake(&self.claims.remove(&key_of(object))),
        }
    }

    /// Of an object that does not decode any more, what was known of it stays true.
    fn exists(&self, object: &Watched) {
        let key = key_of(object);
        match &object.0 {
            Ok(resource) => self.wake(&self.claims.set(&key, claimant(resource))),
            Err(_) if self.claims.knows(&key) => {}
            Err(invalid) => {
                let uid = invalid.metadata.uid.clone();
                self.wake(&self.claims.set(&key, Claimant::of_nothing(uid)));
            }
        }
    }

    /// A pass over `resource` is about to take its set. Fails where that is another's. `is_own`: the name of the set is one that
    /// nobody in another namespace may have.
    pub fn begin<'a>(
        &'a self,
        resource: &'a ResourceKey,
        is_own: bool,
    ) -> Result<Lease<'a>, Failure> {
        let may_hold_it = |scope: &&Option<String>| {
            !is_own || scope.as_ref().is_none_or(|namespace| *namespace == resource.0)
        };
        if let Some(scope) = self.unlisted().iter().find(may_hold_it) {
            let place = scope
                .as_ref()
                .map_or("all namespaces".to_owned(), |name| format!("namespace {name}"));
            let message = format!(
                "the JsonWebKeySets of {place} are not known yet: one of them may hold the set of that name"
            );
            return Err(Failure::conflict(Reason::KubernetesError, message));
        }
        match self.claims.begin(resource) {
            Some(lost) => Err(failure(&lost)),
            None => Ok(Lease { rivals: self, resource }),
        }
    }

    /// Why `resource` may not have its set, if it may not.
    pub fn check(&self, resource: &ResourceKey) -> Result<(), Failure> {
        self.claims.lost(resource).map_or(Ok(()), |lost| Err(failure(&lost)))
    }

    /// Gives each of `resources` a pass.
    pub fn wake(&self, resources: &[ResourceKey]) {
        self.wakers.wake(resources);
    }

    fn unlisted(&self) -> MutexGuard<'_, BTreeSet<Option<String>>> {
        self.unlisted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Population for Rivals {
    fn knows(&self, resource: &ResourceKey) -> bool {
        self.claims.knows(resource)
    }

    fn len(&self) -> usize {
        self.claims.len()
    }

    fn is_complete(&self) -> bool {
        self.unlisted().is_empty()
    }
}

impl Lease<'_> {
    /// The pass has recorded keys or found them recorded, so the resource is the holder from now on.
    pub fn keep(&self) {
        self.rivals.wake(&self.rivals.claims.prove(self.resource));
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.rivals.wake(&self.rivals.claims.end(self.resource));
    }
}

fn failure(lost: &Lost<ResourceKey, String>) -> Failure {
    let (namespace, name) = &lost.winner;
    let because = if lost.held {
        "which holds it"
    } else {
        "which is older, or of the same age and the first by name"
    };
    Failure::terminal(
        Reason::KeySetTaken,
        format!(
            "set {} belongs to JsonWebKeySet {namespace}/{name}, {because}; this resource takes over once that one is gone, or \
             create another with another spec.setName",
            lost.thing
        ),
    )
}

fn key_of(object: &Watched) -> ResourceKey {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource(name: &str, second: u8, keys: &serde_json::Value) -> Watched {
        let set = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": name,
                "creationTimestamp": format!("2026-11-21T12:00:0{second}Z"),
            },
            "spec": { "algorithm": "ES256", "setName": "k8s.shop.one" },
            "status": { "setName": "k8s.shop.one", "keys": keys },
        }));
        kube::core::DeserializeGuard(Ok(set.unwrap()))
    }

    fn reason(rivals: &Rivals, name: &str) -> Option<Reason> {
        let key = ("shop".to_owned(), name.to_owned());
        rivals.begin(&key, false).err().map(|failure| failure.reason)
    }

    #[test]
    fn the_holder_keeps_a_set_and_the_oldest_gets_it() {
        let rivals = Rivals::default();
        let mut listed = HashSet::new();
        let mut tell = |event| rivals.follow(&event, None, &mut listed);
        let key = json!([{ "kid": "a", "algorithm": "ES256", "use": "sig", "state": "Active", "origin": "Hydra" }]);
        tell(Event::Apply(resource("old", 1, &json!([]))));
        tell(Event::Apply(resource("new", 2, &json!([]))));
        assert_eq!(
            (reason(&rivals, "old"), reason(&rivals, "new")),
            (None, Some(Reason::KeySetTaken))
        );
        tell(Event::Apply(resource("new", 2, &key)));
        assert_eq!(
            (reason(&rivals, "old"), reason(&rivals, "new")),
            (Some(Reason::KeySetTaken), None)
        );
        tell(Event::Delete(resource("new", 2, &key)));
        assert_eq!(reason(&rivals, "old"), None);
    }

    #[test]
    fn nobody_takes_anything_before_all_are_known() {
        let rivals = Rivals::default();
        rivals.expect(Some("shop".into()), |_| ());
        let mut listed = HashSet::new();
        assert_eq!(reason(&rivals, "old"), Some(Reason::KubernetesError));
        for event in
            [Event::Init, Event::InitApply(resource("old", 1, &json!([]))), Event::InitDone]
        {
            rivals.follow(&event, Some("shop"), &mut listed);
        }
        assert_eq!(reason(&rivals, "old"), None);
    }

    #[test]
    fn whose_set_nobody_else_may_have_waits_for_its_own_namespace_alone() {
        let rivals = Rivals::default();
        for namespace in ["shop", "unreadable"] {
            rivals.expect(Some(namespace.into()), |_| ());
        }
        let key = ("shop".to_owned(), "old".to_owned());
        let begins = |is_own| rivals.begin(&key, is_own).is_ok();
        assert!(!begins(true), "its own namespace is not known");
        rivals.follow(&Event::InitDone, Some("shop"), &mut HashSet::new());
        assert!(begins(true));
        assert!(!begins(false), "somebody in the other namespace may hold it");
    }
}
