//! What the passes over `JsonWebKeySet`s share.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, core::PartialObjectMeta};

use super::{
    claims::Rivals,
    desired::Permissions,
    observe::{Linked, Sources},
    observe_only::step::Observer,
};
use crate::{
    api::{JsonWebKeySet, JsonWebKeySetStatus, MANAGED_BY, MANAGED_BY_LABEL},
    controller::{Backoff, Looks, Passes, ResourceKey, Statuses},
    instance::Instance,
    kubernetes::{
        ObjectAccess, Owner, events::Events, outputs::Outputs, references::References,
        referrers::SecretRef,
    },
    metrics::Metrics,
};

/// What a Secret or a ConfigMap is to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It holds the keys to import.
    Import,
    /// The operator keeps keys in it.
    Material,
    /// It is handed out.
    Output,
}

/// The clients that take their keys from the set `key`.
pub type LinkedTo = Box<dyn Fn(&ResourceKey) -> Vec<Linked> + Send + Sync>;

/// What the passes over all `JsonWebKeySet`s share.
pub struct Context {
    /// Client of the Kubernetes API.
    pub client: Client,
    /// Whose Secrets and ConfigMaps may be used.
    pub access: ObjectAccess,
    /// The Hydra that holds the sets.
    pub instance: Arc<Instance>,
    /// What the administrator allows.
    pub permissions: Permissions,
    /// Publishes events.
    pub events: Events,
    /// Counts what is done.
    pub metrics: Metrics,
    /// Failures in a row, by resource.
    pub backoff: Backoff<ResourceKey>,
    /// Which resource refers to which Secrets.
    pub secret_references: References<ResourceKey, Role>,
    /// Which resource refers to which ConfigMap.
    pub config_map_references: References<ResourceKey, Role>,
    /// Which resource has which set.
    pub rivals: Rivals,
    /// Which resources need a real look, whatever their records say, and when each had one.
    pub looks: Looks<ResourceKey>,
    /// The status last written, by resource: the watch may not have shown it yet.
    pub statuses: Statuses<JsonWebKeySetStatus>,
    /// The clients that take their keys from a set.
    pub linked_to: LinkedTo,
    /// Where nothing is to be written: what would be done.
    pub observer: Option<Observer>,
    /// Bounds the passes under way, over all namespaces.
    pub passes: Passes,
    /// Longest time that a pass may take.
    pub pass_limit: Duration,
    /// How often everything is compared with Hydra.
    pub resync_interval: Duration,
}

impl Context {
    /// The resources of `namespace`, of which only the metadata is read.
    #[must_use]
    pub fn metadata(&self, namespace: &str) -> Api<PartialObjectMeta<JsonWebKeySet>> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Secrets of `namespace`.
    #[must_use]
    pub fn secrets(&self, namespace: &str) -> Outputs<Secret> {
        Outputs::new(self.client.clone(), namespace, marks())
    }

    /// The ConfigMaps of `namespace`.
    #[must_use]
    pub fn config_maps(&self, namespace: &str) -> Outputs<ConfigMap> {
        Outputs::new(self.client.clone(), namespace, marks())
    }

    /// Where a pass over a resource of `namespace` reads from.
    #[must_use]
    pub fn sources<'a>(
        &'a self,
        owner: &'a Owner,
        (secrets, config_maps): (&'a Outputs<Secret>, &'a Outputs<ConfigMap>),
        namespace: &'a str,
    ) -> Sources<'a> {
        let (instance, access) = (&*self.instance, &self.access);
        Sources { owner, secrets, config_maps, instance, access, namespace }
    }

    /// An object of this kind was written by a pass.
    pub fn written(
        &self,
        kind: &str,
        object: &SecretRef,
        version: &crate::kubernetes::SecretVersion,
    ) {
        match kind {
            "ConfigMap" => self.config_map_references.handled(object, version),
            _ => self.secret_references.handled(object, version),
        }
    }
}

/// The labels of all outputs.
#[must_use]
pub fn marks() -> BTreeMap<String, String> {
    BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned())])
}
