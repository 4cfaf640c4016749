//! Converged resources cause no write, by the counters of the servers.

use std::collections::BTreeMap;

use kube::api::{ListParams, ObjectMeta};
use serde_json::{Value, json};

use crate::{
    on_each_generation,
    support::{ControlPlane, Generation, Hydra, counters::ApiserverCounters, eventually},
    world::World,
};

const COUNT: usize = 200;

on_each_generation!(converged_resources_cause_no_write);

async fn converged_resources_cause_no_write(generation: Generation) {
    let (cp, hydra) = (ControlPlane::start().await, Hydra::start(generation).await);
    let mut world = World::on(cp, hydra, "steady", &["--resync-interval=1s"]).await;
    let refused = refusals(&world).await;
    world.create_many("app", COUNT, |n| spec(n % SPECS)).await;
    world.all_ready(COUNT).await;
    world.two_sweeps().await;
    world.published().await;
    let (writes, versions) = (Writes::of(&world).await, versions(&world).await);

    let passes = world.passes().await;
    world.label_all("team", "a").await;
    passes_over_all(&world, passes).await;
    let labels = Writes { resources: COUNT as u64, ..Writes::default() };
    assert_eq!(Writes::of(&world).await.since(writes), labels);
    let labelled = self::versions(&world).await;
    assert_ne!(labelled.0, versions.0);
    assert_eq!(labelled.1, versions.1);

    let writes = Writes::of(&world).await;
    world.operator.process().terminate().await;
    world.operator.start_again().await;
    passes_over_all(&world, 0).await;
    world.two_sweeps().await;
    assert_eq!(Writes::of(&world).await.since(writes), Writes::default());
    assert_eq!(self::versions(&world).await, labelled);

    // Nor do sweeps take resources for different that are not.
    let passes = world.passes().await;
    world.two_sweeps().await;
    assert_eq!(world.passes().await, passes);
    assert_eq!(refusals(&world).await, refused);
}

/// Ways to say a thing that Hydra says in another way.
const SPECS: usize = 8;

fn spec(n: usize) -> Value {
    match n {
        0 => json!({ "scope": null }),
        1 => json!({ "scope": "" }),
        2 => json!({ "scope": "write  read", "audience": ["b", "a"] }),
        3 => json!({
            "grantTypes": ["refresh_token", "authorization_code"],
            "responseTypes": ["code"],
            "redirectUris": ["https://b.example/cb", "https://a.example/cb"],
            "postLogoutRedirectUris": ["https://b.example/out", "https://a.example/out"],
            "allowedCorsOrigins": ["https://b.example/", "https://a.example"],
            "tokenEndpointAuthMethod": "none",
        }),
        4 => json!({
            "tokenLifespans": {
                "client_credentials_grant_access_token_lifespan": "1h",
                "authorization_code_grant_access_token_lifespan": "90m",
            },
        }),
        5 => json!({
            "clientName": "Nested",
            "metadata": { "z": { "b": [1, { "c": null }], "a": 1.5 }, "a": "é" },
            "tokenEndpointAuthMethod": "client_secret_post",
        }),
        6 => json!({ "metadata": null, "tokenLifespans": {}, "hydraAdmin": {}, "audience": [] }),
        _ => json!({
            "backChannelLogoutURI": "https://a.example/logout",
            "backChannelLogoutSessionRequired": true,
            "frontChannelLogoutURI": "",
            "skipConsent": false,
        }),
    }
}

/// Waits until there was a pass for each resource after `passes`.
async fn passes_over_all(world: &World, passes: u64) {
    let enough = passes + COUNT as u64;
    eventually("a pass over each resource", async || {
        let passes = world.passes().await;
        if passes >= enough { Ok(()) } else { Err(passes) }
    })
    .await;
}

/// Writes that the servers have counted, whoever sent them and however they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Writes {
    resources: u64,
    secrets: u64,
    events: u64,
    hydra: u64,
}

impl Writes {
    async fn of(world: &World) -> Self {
        let counters = ApiserverCounters::read(&world.client).await;
        Self {
            resources: counters.writes("oauth2clients"),
            secrets: counters.writes("secrets"),
            events: counters.writes("events"),
            hydra: world.hydra.counters().await.writes(),
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            resources: self.resources - earlier.resources,
            secrets: self.secrets - earlier.secrets,
            events: self.events - earlier.events,
            hydra: self.hydra - earlier.hydra,
        }
    }
}

/// The versions of all resources and of all Secrets.
async fn versions(world: &World) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let version = |metadata: &ObjectMeta| {
        (metadata.name.clone().unwrap(), metadata.resource_version.clone().unwrap())
    };
    let secrets = world.secrets.list_metadata(&ListParams::default()).await.unwrap();
    let resources = world.list().await;
    (
        resources.iter().map(|resource| version(&resource.metadata)).collect(),
        secrets.items.iter().map(|secret| version(&secret.metadata)).collect(),
    )
}

/// Requests that the API server has refused for want of a right.
async fn refusals(world: &World) -> u64 {
    ApiserverCounters::read(&world.client).await.refusals()
}
