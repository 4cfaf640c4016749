//! What the passes over `OAuth2Client`s share.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kube::{Api, Client};
use tokio::sync::Semaphore;

use super::{claims::Conflicts, sent::SentSecrets, statuses::Statuses};
use crate::{
    api::{MANAGED_BY, MANAGED_BY_LABEL, OAuth2Client},
    controller::{Backoff, Looks, ResourceKey},
    instance::Instance,
    kubernetes::{KeyPair, Secrets, events::Events, referrers::Referrers},
    metrics::Metrics,
};

/// What the passes over all `OAuth2Client`s share.
pub struct Context {
    /// Client of the Kubernetes API.
    pub client: Client,
    /// The Hydra that holds the clients.
    pub instance: Arc<Instance>,
    /// Publishes events.
    pub events: Events,
    /// Counts what is done.
    pub metrics: Metrics,
    /// Failures in a row, by resource.
    pub backoff: Backoff<ResourceKey>,
    /// Which resource refers to which Secret.
    pub referrers: Referrers<ResourceKey>,
    /// Which resource has what several of them claim.
    pub conflicts: Conflicts,
    /// Which resources need a real look, whatever their records say.
    pub looks: Looks<ResourceKey>,
    /// The status last written, by resource: the watch may not have shown it yet.
    pub statuses: Statuses,
    /// The secrets that Hydra was last given, as digests.
    pub sent: SentSecrets,
    /// Keys of the credentials in Secrets where a resource names no others.
    pub secret_keys: KeyPair,
    /// Bounds the passes under way, over all namespaces.
    pub limit: Semaphore,
    /// Longest time that a pass may take.
    pub pass_limit: Duration,
    /// How often everything is compared with Hydra.
    pub resync_interval: Duration,
}

impl Context {
    /// The resources of `namespace`.
    #[must_use]
    pub fn resources(&self, namespace: &str) -> Api<OAuth2Client> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Secrets of `namespace`.
    #[must_use]
    pub fn secrets(&self, namespace: &str) -> Secrets {
        let labels = BTreeMap::from([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned())]);
        Secrets::new(self.client.clone(), namespace, labels)
    }
}
