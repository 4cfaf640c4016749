//! What the metrics tell of the resources, from the stores of their watches.

use jiff::Timestamp;
use kube::runtime::reflector::Store;

use crate::{
    api::{JsonWebKeySet, jsonwebkeyset::KeyState},
    jsonwebkeyset, metrics, oauth2client,
};

/// The `OAuth2Client`s of a scope.
pub(super) struct Clients(pub(super) Store<oauth2client::Watched>);

impl metrics::Resources for Clients {
    fn kind(&self) -> &'static str {
        "OAuth2Client"
    }

    fn reason(&self, name: &str) -> Option<&'static str> {
        let mut reasons = oauth2client::error::Reason::ALL.iter().map(|reason| reason.as_str());
        reasons.find(|reason| *reason == name)
    }

    fn each(&self, visit: &mut dyn FnMut(metrics::Resource<'_>)) {
        for object in self.0.state() {
            let (metadata, status) = match &object.0 {
                Ok(resource) => (&resource.metadata, resource.status.as_ref()),
                Err(invalid) => (&invalid.metadata, None),
            };
            visit(metrics::Resource {
                namespace: metadata.namespace.as_deref().unwrap_or_default(),
                name: metadata.name.as_deref().unwrap_or_default(),
                conditions: status.map_or(&[], |status| &status.conditions),
                last_rotation: None,
                next_rotation: None,
            });
        }
    }
}

/// The `JsonWebKeySet`s of a scope.
pub(super) struct KeySets(pub(super) Store<jsonwebkeyset::Watched>);

impl metrics::Resources for KeySets {
    fn kind(&self) -> &'static str {
        "JsonWebKeySet"
    }

    fn reason(&self, name: &str) -> Option<&'static str> {
        let mut reasons = jsonwebkeyset::error::Reason::ALL.iter().map(|reason| reason.as_str());
        reasons.find(|reason| *reason == name)
    }

    fn each(&self, visit: &mut dyn FnMut(metrics::Resource<'_>)) {
        for object in self.0.state() {
            let (metadata, resource) = match &object.0 {
                Ok(resource) => (&resource.metadata, Some(resource)),
                Err(invalid) => (&invalid.metadata, None),
            };
            let status = resource.and_then(|resource| resource.status.as_ref());
            visit(metrics::Resource {
                namespace: metadata.namespace.as_deref().unwrap_or_default(),
                name: metadata.name.as_deref().unwrap_or_default(),
                conditions: status.map_or(&[], |status| &status.conditions),
                last_rotation: resource.and_then(last_rotation),
                next_rotation: resource.and_then(next_rotation),
            });
        }
    }
}

fn last_rotation(resource: &JsonWebKeySet) -> Option<Timestamp> {
    let keys = &resource.status.as_ref()?.keys;
    keys.iter().filter(|key| key.state == KeyState::Active).filter_map(|key| key.since).max()
}

/// One that is suspended or about to go has no rotation to come, whatever its status still says.
fn next_rotation(resource: &JsonWebKeySet) -> Option<Timestamp> {
    let rotates = !resource.is_suspended() && resource.metadata.deletion_timestamp.is_none();
    resource.status.as_ref()?.next_rotation.filter(|_| rotates)
}
