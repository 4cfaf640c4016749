//! Many resources at once, and what the operator counts.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use hydra_operator::api::OAuth2Client;
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    kstatus::assert_verdict,
    support::{counters::sum, eventually, kstatus::Verdict},
    world::{World, shown},
};

/// Requests of a test at the same time.
const PARALLEL: usize = 16;

impl World {
    /// Creates `<prefix>-0`, `<prefix>-1`, …, each with its own spec (see [`World::resource`]).
    pub async fn create_many(&self, prefix: &str, count: usize, spec: impl Fn(usize) -> Value) {
        let resources = (0..count).map(|n| Self::resource(&format!("{prefix}-{n}"), &spec(n)));
        stream::iter(resources)
            .map(async |resource| self.resources.create(&PostParams::default(), &resource).await)
            .buffer_unordered(PARALLEL)
            .try_for_each(async |created| {
                assert_verdict(&created, Verdict::InProgress);
                Ok(())
            })
            .await
            .unwrap();
    }

    /// Waits until all resources of the namespace are Ready and there are `count` of them.
    pub async fn all_ready(&self, count: usize) -> Vec<OAuth2Client> {
        let resources = eventually(&format!("{count} resources are Ready"), async || {
            let resources = self.list().await;
            let is_ready = |resource: &&OAuth2Client| shown(resource)[..] == CONVERGED;
            let waiting: Vec<_> = resources.iter().filter(|r| !is_ready(r)).collect();
            if waiting.is_empty() && resources.len() == count {
                return Ok(resources);
            }
            let example = waiting.first().map(|r| (r.name_any(), shown(r), r.status.clone()));
            Err(format!("{} of {}, for example {example:?}", waiting.len(), resources.len()))
        })
        .await;
        for resource in &resources {
            assert_verdict(resource, Verdict::Current);
        }
        resources
    }

    /// All resources of the namespace.
    pub async fn list(&self) -> Vec<OAuth2Client> {
        self.resources.list(&ListParams::default()).await.unwrap().items
    }

    /// The number of Secrets in the namespace.
    pub async fn count_secrets(&self) -> usize {
        self.secrets.list_metadata(&ListParams::default()).await.unwrap().items.len()
    }

    /// Puts a label on the resource `name`: a reason for a pass that changes nothing.
    pub async fn label(&self, name: &str, label: &str, value: &str) {
        let patch = Patch::Merge(json!({ "metadata": { "labels": { label: value } } }));
        self.resources.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Puts a label on each resource of the namespace.
    pub async fn label_all(&self, label: &str, value: &str) {
        let resources = self.list().await;
        stream::iter(resources.iter().map(ResourceExt::name_any))
            .for_each_concurrent(PARALLEL, async |name| self.label(&name, label, value).await)
            .await;
    }

    /// Ids of the clients in Hydra that belong to resources of the namespace; panics if two of
    /// them belong to the same resource.
    pub async fn clients_in_hydra(&self) -> BTreeSet<String> {
        let namespace = format!("/{}", self.namespace);
        let clients = self.hydra.list_all_clients().await;
        let text = |client: &Value, member: &str| client[member].as_str().unwrap().to_owned();
        let ours: Vec<&Value> =
            clients.iter().filter(|client| text(client, "owner").ends_with(&namespace)).collect();
        let owners: BTreeSet<String> = ours.iter().map(|client| text(client, "owner")).collect();
        assert_eq!(owners.len(), ours.len(), "a resource has two clients: {ours:?}");
        ours.iter().map(|client| text(client, "client_id")).collect()
    }

    /// The ids in the Secrets `<prefix>-0-credentials`, …, each of which gets a token.
    pub async fn working_ids(&self, prefix: &str, count: usize) -> BTreeSet<String> {
        stream::iter(0..count)
            .map(async |n| {
                let credentials = self.credentials(&format!("{prefix}-{n}-credentials")).await;
                assert!(self.gets_token(&credentials).await, "{prefix}-{n} gets no token");
                credentials.id
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await
    }

    /// Passes since the start of the operator.
    pub async fn passes(&self) -> u64 {
        self.count("controller_runtime_reconcile_total", &[]).await
    }

    /// Passes since the start of the operator that ended with `reason`.
    pub async fn outcomes(&self, reason: &str) -> u64 {
        self.count("hydra_operator_outcomes_total", &[("reason", reason)]).await
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
    async fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.operator.metric(name, labels).await as u64
    }

    /// Waits until two more sweeps have begun and ended well.
    pub async fn two_sweeps(&self) {
        let sweeps =
            async || self.count("hydra_operator_sweeps_total", &[("result", "success")]).await;
        // One of them may be under way.
        let enough = sweeps().await + 3;
        eventually("two more sweeps", async || sweeps().await >= enough).await;
    }

    /// What the operator says about Hydra: 1 or 0, nothing before it has asked.
    pub async fn hydra_up(&self) -> Option<f64> {
        let samples = self.operator.metrics().await;
        let name = "hydra_operator_hydra_up";
        let known = samples.iter().any(|sample| sample.name == name);
        known.then(|| sum(&samples, name, |_| true))
    }
}

/// What [`shown`] says of a resource that is as declared.
pub const CONVERGED: [&str; 3] =
    ["Ready=True Synced", "Reconciling=False Synced", "Stalled=False Synced"];
