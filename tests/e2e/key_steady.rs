//! Converged key sets cause no write, by the counters of the servers, and a restart among many no storm.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use hydra_operator::api::JsonWebKeySet;
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    crowd::CONVERGED,
    faults::key_sets::{Sets, shown},
    on_each_generation,
    support::{
        ControlPlane, Generation, Hydra, counters::ApiserverCounters, eventually,
        eventually::within, jose,
    },
    world::World,
};

on_each_generation!(
    converged_sets_cause_no_write,
    a_restart_among_many_sets_writes_nothing_and_reads_little,
);

async fn converged_sets_cause_no_write(generation: Generation) {
    let (cp, hydra) = (ControlPlane::start().await, Hydra::start(generation).await);
    let mut world = World::on(cp, hydra, "keys-steady", &["--resync-interval=1s"]).await;
    let names = create_all_kinds(&world, generation).await;
    all_ready(&world, names.len()).await;
    // Keys that Hydra publishes are seen by then, and what was written was looked at.
    for name in &names {
        Sets(&world).pass(name).await;
    }
    two_looks(&world).await;
    world.published().await;
    let (writes, versions) = (Writes::of(&world).await, versions(&world).await);
    for _ in 0..3 {
        two_looks(&world).await;
    }
    assert_eq!(Writes::of(&world).await, writes);

    world.operator.process().terminate().await;
    world.operator.start_again().await;
    two_looks(&world).await;
    world.published().await;
    assert_eq!(Writes::of(&world).await, writes);
    assert_eq!(self::versions(&world).await, versions);
}

/// One of each kind. A key takes minutes to be published, so that none is rotated meanwhile.
async fn create_all_kinds(world: &World, generation: Generation) -> Vec<String> {
    let sets = Sets(world);
    let keys = ["first", "second"].map(|kid| jose::generate("ES256", kid).jwk);
    let secret = json!({ "jwks.json": json!({ "keys": keys }).to_string() });
    world.create_secret("import", &secret).await;
    let all_keys = json!({
        "publicConfigMap": { "name": "all-public", "key": "keys", "labels": { "a": "b" } },
        "privateSecret": {
            "name": "all-private", "allKeys": true, "formats": ["PEM"],
            "template": { "labels": { "a": "b" }, "data": { "further": { "value": "text" } } },
        },
    });
    let mut kinds = vec![
        ("plain", json!({})),
        ("edwards", json!({ "algorithm": "EdDSA" })),
        ("here", json!({ "algorithm": "ES384" })),
        ("rsa", json!({ "algorithm": "RS256" })),
        ("bare", json!({ "outputs": null })),
        ("imported", json!({ "import": { "secretRef": { "name": "import" } } })),
        ("all", json!({ "outputs": all_keys, "resyncInterval": "1s" })),
        (
            "clocked",
            json!({ "rotation": { "interval": "20h", "publishBefore": "5h", "retain": "24h" } }),
        ),
        ("encrypts", json!({ "use": "enc" })),
    ];
    if generation == Generation::V1 {
        let outputs = json!({ "privateSecret": { "name": "symmetric-private" } });
        kinds.push(("symmetric", json!({ "algorithm": "HS256", "outputs": outputs })));
    }
    for (name, spec) in &kinds {
        sets.create(name, spec).await;
    }
    kinds.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// ES256, which takes Hydra a moment.
async fn a_restart_among_many_sets_writes_nothing_and_reads_little(generation: Generation) {
    const CONCURRENT: usize = 16;
    // Making so many is what takes the time, with the same requests to either.
    let count = match generation {
        Generation::V1 => 200,
        Generation::V2 => 1000,
    };
    let (cp, hydra) = (ControlPlane::start().await, Hydra::start(generation).await);
    let args = ["--resync-interval=1h", "--concurrency=4"];
    let mut world = World::on(cp, hydra, "keys-many", &args).await;
    let sets = Sets(&world);
    stream::iter(0..count)
        .map(async |n| {
            let resource = Sets::resource(&format!("set-{n}"), &json!({}));
            sets.api().create(&PostParams::default(), &resource).await.unwrap();
        })
        .buffer_unordered(CONCURRENT)
        .collect::<Vec<()>>()
        .await;
    all_ready(&world, count).await;
    world.published().await;
    world.operator.process().terminate().await;
    let (writes, reads) = (Writes::of(&world).await, world.hydra.counters().await.reads());
    let of_outputs = reads_of_outputs(&world).await;
    world.operator.start_again().await;
    eventually("there was a pass over each", async || {
        let passes = world.passes().await;
        if passes >= count as u64 { Ok(()) } else { Err(passes) }
    })
    .await;
    assert_eq!(Writes::of(&world).await, writes);
    let reads = world.hydra.counters().await.reads() - reads;
    // The first looks are spread over the hour.
    assert!(reads < count as u64 / 5, "{reads} reads of Hydra");
    let of_outputs = reads_of_outputs(&world).await - of_outputs;
    assert!(of_outputs < count as u64 / 5, "{of_outputs} reads of Secrets and ConfigMaps");
    println!("{generation:?}: {reads} reads of Hydra, {of_outputs} of outputs, no write");
}

/// Waits until all sets are Ready and no key is on its way.
async fn all_ready(world: &World, count: usize) {
    let limit = std::time::Duration::from_mins(10);
    let is_ready = |set: &&JsonWebKeySet| shown(set)[..] == CONVERGED;
    let ready = within(limit, async || {
        let sets = Sets(world).api().list(&ListParams::default()).await.unwrap().items;
        let waiting: Vec<_> = sets.iter().filter(|set| !is_ready(set)).collect();
        if waiting.is_empty() && sets.len() == count {
            return Ok(());
        }
        let example = waiting.first().map(|set| (set.name_any(), set.status.clone()));
        Err(format!("{} of {}, for example {example:?}", waiting.len(), sets.len()))
    });
    ready.await.unwrap_or_else(|state| panic!("not all are Ready: {state}"));
}

/// Waits until each set was looked at twice more, as far as the number of looks says.
async fn two_looks(world: &World) {
    let sets = Sets(world).api().list(&ListParams::default()).await.unwrap().items.len();
    let looks = async || {
        let operation = [("operation", "get_key_set")];
        world.operator.metric("hydra_operator_hydra_requests_total", &operation).await
    };
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let enough = looks().await + 3.0 * sets as f64;
    eventually("all sets were looked at twice", async || {
        let looks = looks().await;
        if looks >= enough { Ok(()) } else { Err(looks) }
    })
    .await;
}

async fn reads_of_outputs(world: &World) -> u64 {
    let counters = ApiserverCounters::read(&world.client).await;
    ["secrets", "configmaps"].iter().map(|what| counters.requests(what, &["GET"])).sum()
}

/// Writes that the servers have counted, whoever sent them and however they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Writes {
    sets: u64,
    secrets: u64,
    config_maps: u64,
    events: u64,
    hydra: u64,
}

impl Writes {
    async fn of(world: &World) -> Self {
        let counters = ApiserverCounters::read(&world.client).await;
        Self {
            sets: counters.writes("jsonwebkeysets"),
            secrets: counters.writes("secrets"),
            config_maps: counters.writes("configmaps"),
            events: counters.writes("events"),
            hydra: world.hydra.counters().await.writes(),
        }
    }
}

/// The versions of all that the operator writes.
async fn versions(world: &World) -> BTreeMap<(String, String), Value> {
    let sets = Sets(world);
    let params = ListParams::default();
    let all = [
        ("set", sets.api().list_metadata(&params).await.unwrap().items),
        (
            "Secret",
            world
                .secrets
                .list_metadata(&params)
                .await
                .unwrap()
                .items
                .into_iter()
                .map(retyped)
                .collect(),
        ),
        (
            "ConfigMap",
            sets.config_maps()
                .list_metadata(&params)
                .await
                .unwrap()
                .items
                .into_iter()
                .map(retyped)
                .collect(),
        ),
    ];
    let all = all.into_iter().flat_map(|(kind, items)| {
        items.into_iter().map(move |item| {
            let version = json!(item.metadata.resource_version);
            ((kind.to_owned(), item.name_any()), version)
        })
    });
    all.collect()
}

fn retyped<K, L>(object: kube::core::PartialObjectMeta<K>) -> kube::core::PartialObjectMeta<L> {
    kube::core::PartialObjectMeta {
        types: object.types,
        metadata: object.metadata,
        _phantom: std::marker::PhantomData,
    }
}
