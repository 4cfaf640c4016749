//! What the passes over `OAuth2Client`s share.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kube::{Api, Client, core::PartialObjectMeta};

use super::{
    claims::Conflicts,
    desired::needs_secret,
    error::{self, Failure, Reason},
    hydra_admin::{Rules, place},
    key_sets::KeySets,
    observe_only::Observer,
    record::Record,
    relocation::{Held, held},
    secret_shape,
    sent::SentSecrets,
};
use crate::{
    api::{MANAGED_BY, MANAGED_BY_LABEL, OAuth2Client, OAuth2ClientSpec, OAuth2ClientStatus},
    controller::{Backoff, Looks, Passes, ResourceKey, Statuses},
    instance::Instance,
    instances::{Instances, Target},
    kubernetes::{KeyPair, Lookup, ObjectAccess, Secrets, events::Events, referrers::Referrers},
    metrics::Metrics,
};

/// What the passes over all `OAuth2Client`s share.
pub struct Context {
    /// Client of the Kubernetes API.
    pub client: Client,
    /// Whose Secrets may be used.
    pub access: ObjectAccess,
    /// The Hydras that hold the clients.
    pub instances: Instances,
    /// Which of them resources may ask for.
    pub rules: Rules,
    /// Publishes events.
    pub events: Events,
    /// Counts what is done.
    pub metrics: Metrics,
    /// Failures in a row, by resource.
    pub backoff: Backoff<ResourceKey>,
    /// Which resource refers to which Secret.
    pub referrers: Referrers<ResourceKey>,
    /// The sets whose keys resources are to have.
    pub key_sets: KeySets,
    /// Which resource has what several of them claim.
    pub conflicts: Conflicts,
    /// Where nothing is to be written: who tells what would be.
    pub observer: Option<Observer>,
    /// Which resources need a real look, whatever their records say.
    pub looks: Looks<ResourceKey>,
    /// The status last written, by resource: the watch may not have shown it yet.
    pub statuses: Statuses<OAuth2ClientStatus>,
    /// The secrets that Hydra was last given, as digests.
    pub sent: SentSecrets,
    /// Keys of the credentials in Secrets where a resource names no others.
    pub secret_keys: KeyPair,
    /// Whether clients that carry the owner mark of a resource beside its own are deleted.
    pub removes_duplicates: bool,
    /// Bounds the passes under way, over all namespaces.
    pub passes: Passes,
    /// Longest time that a pass may take.
    pub pass_limit: Duration,
    /// How often everything is compared with Hydra.
    pub resync_interval: Duration,
}

impl Context {
    /// The Hydra that `target` names.
    pub fn instance(&self, target: &Target) -> Result<Arc<Instance>, Failure> {
        self.instances.get(target).map_err(|error| {
            let message = format!("the connection to Hydra cannot be set up: {error}");
            Failure::transient(Reason::HydraUnreachable, message)
        })
    }

    /// The Hydra that `resource` asks for; the operator's own where it may not have that one.
    #[must_use]
    pub fn instance_of(&self, resource: &OAuth2Client) -> Arc<Instance> {
        let target = place(&resource.spec, &self.rules).map(|place| place.target);
        let instance = target.and_then(|target| self.instance(&target));
        instance.unwrap_or_else(|_| self.instances.default().clone())
    }

    /// Whether what a sweep of `instance` finds concerns `resource`: its client is to be there, or
    /// is to be revoked there.
    #[must_use]
    pub fn concerns(&self, instance: &Arc<Instance>, resource: &OAuth2Client) -> bool {
        let is = |target: &Target| self.instances.is(target, instance);
        place(&resource.spec, &self.rules).is_ok_and(|place| is(&place.target))
            || (!Record::of(resource).settled
                && matches!(held(resource.status.as_ref(), &self.rules), Held::At(target) if is(&target)))
    }

    /// What the status of `resource` remembers, in the light of the set whose keys it is to have.
    #[must_use]
    pub fn record(&self, resource: &OAuth2Client) -> Record {
        Record::of(resource).linked(&self.key_sets.link(resource))
    }

    /// The resources of `namespace`, of which only the metadata is read.
    #[must_use]
    pub fn metadata(&self, namespace: &str) -> Api<PartialObjectMeta<OAuth2Client>> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// How to look at the Secret of a resource of this `spec`.
    #[must_use]
    pub fn lookup(&self, spec: &OAuth2ClientSpec, record: &Record) -> Lookup {
        secret_shape::lookup(spec, &self.secret_keys, record, needs_secret(spec))
    }

    /// Whether the Secrets of `namespace` are the operator's to use.
    pub fn check_access(&self, namespace: &str) -> Result<(), Failure> {
        if self.access.allows(namespace) {
            Ok(())
        } else {
            Err(error::secrets_not_allowed(namespace))
        }
    }

    /// The Secrets of `namespace`.
    #[must_use]
    pub fn secrets(&self, namespace: &str) -> Secrets {
        let labels = BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned())]);
        Secrets::new(self.client.clone(), namespace, labels)
    }
}
