//! Sync waves of Argo CD: the objects of a wave are applied once all of the wave before are Healthy, and one that is Degraded
//! ends the sync.

use serde_json::Value;

use crate::{
    argocd::{Health, health},
    support::{Generation, Hydra, Operator, OperatorOptions, eventually},
    tenant::Tenant,
};

/// What Argo CD does with a folder, but in the namespace of `tenant`.
fn waves(tenant: &Tenant, folder: &str) -> Vec<Vec<Value>> {
    let built = tenant.cp.kubectl(&["kustomize", folder]);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&built).unwrap();
    let resources = objects.into_iter().filter(|object| object["kind"] != "Namespace");
    let mut waves: Vec<Vec<Value>> = Vec::new();
    for object in resources {
        let wave = &object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"];
        let wave: usize = wave.as_str().unwrap_or("0").parse().unwrap();
        waves.resize(waves.len().max(wave + 1), Vec::new());
        waves[wave].push(object);
    }
    waves
}

struct Sync {
    tenant: Tenant,
    waves: Vec<Vec<Value>>,
    _operator: Operator,
}

impl Sync {
    async fn new(prefix: &str) -> Self {
        let (tenant, hydra) = (Tenant::new(prefix).await, Hydra::shared(Generation::V2).await);
        let options = OperatorOptions::new(hydra.admin_url()).namespaces([&tenant.namespace]);
        let operator = Operator::start(tenant.cp, options).await;
        let waves = waves(&tenant, "deploy/clients");
        let kinds: Vec<_> = waves
            .iter()
            .map(|wave| wave.iter().map(|object| object["kind"].as_str().unwrap()).collect())
            .collect();
        let kinds: Vec<Vec<&str>> = kinds;
        assert_eq!(kinds, [vec!["JsonWebKeySet"], vec!["OAuth2Client"; 2]]);
        Self { tenant, waves, _operator: operator }
    }

    async fn apply(&self, wave: usize) {
        for object in &self.waves[wave] {
            self.tenant.apply(object).await;
        }
    }

    async fn health(&self, object: &Value) -> Health {
        let name = object["metadata"]["name"].as_str().unwrap();
        let health = health(&self.tenant.get(object["kind"].as_str().unwrap(), name).await);
        assert_ne!(health.status, "Degraded", "this would end the sync: {name} {health:?}");
        health
    }

    async fn healthy(&self, wave: usize) {
        for object in &self.waves[wave] {
            eventually("it is Healthy", async || {
                let health = self.health(object).await;
                if health.status == "Healthy" { Ok(()) } else { Err(health) }
            })
            .await;
        }
    }

    /// Argo CD prunes the waves in reverse.
    async fn prune(&self) {
        for object in self.waves.iter().rev().flatten() {
            let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
            let (kind, name) = (kind.as_str().unwrap(), name.as_str().unwrap());
            self.tenant.delete(kind, name).await;
            eventually(&format!("{name} is gone"), async || {
                self.tenant.api(kind).get_opt(name).await.unwrap().is_none()
            })
            .await;
        }
    }
}

#[tokio::test]
async fn keys_come_before_the_clients_that_sign_with_them() {
    let sync = Sync::new("waves").await;
    for wave in 0..sync.waves.len() {
        sync.apply(wave).await;
        sync.healthy(wave).await;
    }
    sync.prune().await;
}

/// As Flux applies them, or Argo CD without waves.
#[tokio::test]
async fn in_the_other_order_they_converge_as_well() {
    let sync = Sync::new("waves-reversed").await;
    sync.apply(1).await;
    eventually("the client waits for its keys", async || {
        let mut healths = Vec::new();
        for object in &sync.waves[1] {
            healths.push(sync.health(object).await);
        }
        let waits = healths
            .iter()
            .any(|h| h.status == "Progressing" && h.message.contains("JsonWebKeySet"));
        if waits { Ok(()) } else { Err(healths) }
    })
    .await;
    sync.apply(0).await;
    sync.healthy(1).await;
    sync.healthy(0).await;
    sync.prune().await;
}
