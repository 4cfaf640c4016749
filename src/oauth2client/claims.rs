//! Conflicts between resources: two that name one Secret, or one client of one Hydra.
//!
//! Hydra's owner mark and the owner reference of a Secret show a conflict to whoever comes second.
//! Which resource comes first is decided here, by [`Claims`], before anything is written.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use kube::{ResourceExt, core::DeserializeGuard, runtime::watcher::Event};

use super::{
    desired::{Desired, owner_mark},
    error::{Failure, Reason},
    hydra_admin::{Rules, place},
    observe::SecretSource,
    relocation::{Held, held, left},
};
use crate::{
    api::{ConditionStatus, ConditionType, OAuth2Client, condition},
    controller::{
        Claims, ResourceKey, Wakers,
        claims::{Claim, Claimant, Lost},
        observer::Population,
    },
    hydra::{self, ClientId},
    instances::Target,
    kubernetes::{SecretState, ownership::Foreign},
};

/// What only one resource can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A Secret.
    Secret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A client.
    Client {
        /// The name of its Hydra.
        instance: String,
        /// Its id.
        id: String,
    },
}

/// The reasons of those who have lost to another resource, or to a stranger.
pub const LOST: [Reason; 2] = [Reason::ClientIdTaken, Reason::SecretNotOwned];

/// Where the client of a resource is, and where it is to be: names of Hydras.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The Hydra that holds it. None: there is no client, or it is where the operator may not look.
    pub held: Option<String>,
    /// The Hydra that is to hold it. None: the resource may not have the one that it asks for.
    pub wanted: Option<String>,
}

/// Where the client of `resource` is and is to be; `name` names a Hydra.
#[must_use]
pub fn whereabouts(
    resource: &OAuth2Client,
    rules: &Rules,
    name: impl Fn(&Target) -> Option<String>,
) -> Whereabouts {
    let place = place(&resource.spec, rules).ok();
    let status = resource.status.as_ref();
    let wanted = place.as_ref().and_then(|place| name(&place.target));
    let stays = place.is_some_and(|place| left(status, &place, rules) == Held::Nowhere);
    let held = match held(status, rules) {
        Held::At(_) | Held::OutOfReach(_) if stays => wanted.clone(),
        Held::At(target) => name(&target),
        Held::Nowhere | Held::OutOfReach(_) => None,
    };
    Whereabouts { held, wanted }
}

/// What `resource` claims, by itself: its Secret, and the client of its id where that is and where
/// it is to be.
///
/// A resource that has a client is after no other id: the id of a client does not change.
#[must_use]
pub fn claimant(resource: &OAuth2Client, whereabouts: &Whereabouts) -> Claimant<Thing> {
    let mut named = client_claims(resource, whereabouts);
    let name = &resource.spec.secret_name;
    if !name.is_empty() {
        let namespace = resource.namespace().unwrap_or_default();
        let pushed = resource.status.as_ref().and_then(|status| status.secret.as_ref());
        let held = pushed.is_some_and(|secret| secret.name == *name);
        let claim = if held { Claim::Holds } else { Claim::Wants };
        named.insert(Thing::Secret { namespace, name: name.clone() }, claim);
    }
    let metadata = &resource.metadata;
    Claimant {
        uid: metadata.uid.clone(),
        created: metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
        active: metadata.deletion_timestamp.is_none() && !resource.is_suspended(),
        stuck: is_stuck(resource),
        named,
    }
}

fn client_claims(resource: &OAuth2Client, whereabouts: &Whereabouts) -> BTreeMap<Thing, Claim> {
    let recorded = resource.status.as_ref().and_then(|status| status.client_id.as_ref());
    let id = recorded.or(resource.spec.client_id.as_ref()).filter(|id| !id.is_empty());
    let Some(id) = id else { return BTreeMap::new() };
    let at = |instance: &String| Thing::Client { instance: instance.clone(), id: id.clone() };
    let claims = match (&whereabouts.held, &whereabouts.wanted) {
        (Some(held), Some(wanted)) if held != wanted => {
            vec![(at(held), Claim::Leaves), (at(wanted), Claim::Wants)]
        }
        (Some(held), _) => vec![(at(held), Claim::Holds)],
        (None, Some(wanted)) => vec![(at(wanted), Claim::Wants)],
        (None, None) => Vec::new(),
    };
    claims.into_iter().collect()
}

/// Whether the resource, as it is declared now, waits for a person for a reason that is no lost
/// conflict.
fn is_stuck(resource: &OAuth2Client) -> bool {
    let Some(status) = &resource.status else { return false };
    let stalled = condition::get(&status.conditions, ConditionType::Stalled);
    let lost = LOST.map(Reason::as_str);
    status.observed_generation == resource.metadata.generation
        && stalled.is_some_and(|stalled| {
            stalled.status == ConditionStatus::True
                && !stalled.reason.as_deref().is_some_and(|reason| lost.contains(&reason))
        })
}

/// The claims of all resources, and how those hear of it whom a change concerns.
#[derive(Default)]
pub struct Conflicts {
    claims: Claims<ResourceKey, Thing>,
    wakers: Wakers,
    /// Namespaces whose resources are not known yet; `None`: those of all.
    unlisted: Mutex<BTreeSet<Option<String>>>,
}

impl Conflicts {
    /// The resources of `namespace`, or of all, will be followed; `wake` gives one of them a pass.
    pub fn expect(
        &self,
        namespace: Option<String>,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) {
        self.unlisted().insert(namespace.clone());
        self.wakers.register(namespace, wake);
    }

    /// Takes in what the watch of `scope` tells. `listed` are the resources of the list under way,
    /// `whereabouts` tells where the client of a resource is and is to be.
    pub fn follow(
        &self,
        event: &Event<DeserializeGuard<OAuth2Client>>,
        scope: Option<&str>,
        listed: &mut HashSet<ResourceKey>,
        whereabouts: &dyn Fn(&OAuth2Client) -> Whereabouts,
    ) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                listed.insert(key_of(object));
                self.exists(object, whereabouts);
            }
            Event::InitDone => {
                let in_scope = |key: &ResourceKey| scope.is_none_or(|scope| key.0 == scope);
                self.wake(&self.claims.retain(in_scope, &std::mem::take(listed)));
                self.unlisted().remove(&scope.map(ToOwned::to_owned));
            }
            Event::Apply(object) => self.exists(object, whereabouts),
            Event::Delete(object) => self.wake(&self.claims.remove(&key_of(object))),
        }
    }

    /// Of an object that does not decode any more, what was known of it stays true.
    fn exists(
        &self,
        object: &DeserializeGuard<OAuth2Client>,
        whereabouts: &dyn Fn(&OAuth2Client) -> Whereabouts,
    ) {
        let key = key_of(object);
        match &object.0 {
            Ok(resource) => {
                let claimant = claimant(resource, &whereabouts(resource));
                self.wake(&self.claims.set(&key, claimant));
            }
            Err(_) if self.claims.knows(&key) => {}
            Err(invalid) => {
                let uid = invalid.metadata.uid.clone();
                self.wake(&self.claims.set(&key, Claimant::of_nothing(uid)));
            }
        }
    }

    /// Why `resource` may not have what it claims, if it may not.
    pub fn check(&self, resource: &ResourceKey) -> Result<(), Failure> {
        self.claims.lost(resource).map_or(Ok(()), |lost| Err(failure(&lost)))
    }

    /// A pass over `resource` is about to take what it claims. Fails where that is another's.
    pub fn begin<'a>(&'a self, resource: &'a ResourceKey) -> Result<Lease<'a>, Failure> {
        let is_client = |thing: &Thing| matches!(thing, Thing::Client { .. });
        if self.claims.is_after(resource, is_client) {
            self.all_listed()?;
        }
        match self.claims.begin(resource) {
            Some(lost) => Err(failure(&lost)),
            None => Ok(Lease { conflicts: self, resource }),
        }
    }

    /// The holder of a client may be in a namespace that was not looked at so far.
    fn all_listed(&self) -> Result<(), Failure> {
        let Some(scope) = self.unlisted().first().cloned() else { return Ok(()) };
        let place = scope.map_or("all namespaces".to_owned(), |name| format!("namespace {name}"));
        let message = format!(
            "the OAuth2Clients of {place} are not known yet: one of them may hold the client of \
             that id"
        );
        Err(Failure::conflict(Reason::KubernetesError, message))
    }

    /// `client` is there already: if its owner is one of those that claim it, it is the holder.
    pub fn concede_client(&self, client: &hydra::OAuth2Client, instance: &str) {
        let (Some(id), Some(owner)) = (&client.client_id, &client.owner) else { return };
        let thing = Thing::Client { instance: instance.to_owned(), id: id.clone() };
        self.wake(
            &self
                .claims
                .concede(&thing, |(namespace, name), _| owner_mark(namespace, name) == *owner),
        );
    }

    /// The Secret of `desired` is there already: if its owner is one of those that claim it, it is
    /// the holder.
    pub async fn concede_secret(
        &self,
        namespace: &str,
        desired: &Desired,
        from: &SecretSource<'_>,
    ) {
        let name = &desired.secret_name;
        let thing = Thing::Secret { namespace: namespace.to_owned(), name: name.clone() };
        if !self.claims.is_contested(&thing) {
            return;
        }
        // Where it cannot be read, the pass that has failed is made again anyway.
        let state = from.secrets.observe(name, from.owner, from.lookup).await;
        if let Ok(SecretState::Foreign(Foreign::OwnedBy { name, uid })) = state {
            self.wake(
                &self
                    .claims
                    .concede(&thing, |(_, claims), of| *claims == name && of == Some(uid.as_str())),
            );
        }
    }

    /// A pass over `resource` has failed because something belongs to somebody else. A stranger, who
    /// is none of the resources, may keep it for good.
    pub fn refused(&self, resource: &ResourceKey) {
        self.wake(&self.claims.refuse(resource));
    }

    /// Gives each of `resources` a pass.
    pub fn wake(&self, resources: &[ResourceKey]) {
        self.wakers.wake(resources);
    }

    fn unlisted(&self) -> MutexGuard<'_, BTreeSet<Option<String>>> {
        self.unlisted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Population for Conflicts {
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

/// What a pass is about to take is nobody else's meanwhile.
pub struct Lease<'a> {
    conflicts: &'a Conflicts,
    resource: &'a ResourceKey,
}

impl Lease<'_> {
    /// The client that the pass is about has this id. Fails where that is another's.
    pub fn found(&self, id: Option<&ClientId>, instance: &str) -> Result<(), Failure> {
        let thing = id.map(|id| Thing::Client { instance: instance.into(), id: id.to_string() });
        let (affected, lost) = self.conflicts.claims.find(self.resource, thing);
        self.conflicts.wake(&affected);
        lost.map_or(Ok(()), |lost| Err(failure(&lost)))
    }

    /// The pass has begun to write, so the resource is the holder from now on.
    pub fn keep(&self) {
        self.conflicts.wake(&self.conflicts.claims.prove(self.resource));
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.conflicts.wake(&self.conflicts.claims.end(self.resource));
    }
}

fn failure(lost: &Lost<ResourceKey, Thing>) -> Failure {
    let (namespace, name) = &lost.winner;
    let because = if lost.held {
        "which holds it"
    } else {
        "which is older, or of the same age and the first by name"
    };
    let rest = format!(
        "OAuth2Client {namespace}/{name}, {because}; this resource takes over once that one is \
         gone or lets go of it"
    );
    match &lost.thing {
        Thing::Secret { name, .. } => Failure::terminal(
            Reason::SecretNotOwned,
            format!("Secret {name} belongs to {rest}, or choose another spec.secretName"),
        ),
        Thing::Client { id, .. } => Failure::terminal(
            Reason::ClientIdTaken,
            format!("client {id} belongs to {rest}, or choose another id"),
        ),
    }
}

fn key_of(object: &DeserializeGuard<OAuth2Client>) -> ResourceKey {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests;
