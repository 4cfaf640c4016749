//! What Secrets of others cost.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use crate::{
    figures::{Added, count},
    progress::{self, Counter},
    subject::Subject,
    usage,
    world::World,
};

/// Bytes in each.
const SIZE: usize = 5000;
/// Requests in flight while they are made.
const CONCURRENCY: usize = 16;

/// The memory that `secrets` Secrets add to a controller of `clients` converged clients that has just been started. They
/// are gone afterwards.
pub async fn added(world: &World, subject: &mut Subject, clients: usize, secrets: usize) -> Added {
    let without = usage::memory(subject.pid()).resident;
    let namespace = world.control_plane.namespace("unrelated").await;
    let api: Api<Secret> = Api::namespaced(world.admin.clone(), &namespace);
    create(&api, secrets).await;
    subject.quiet(0.0).await;
    let running = usage::memory(subject.pid()).resident;
    subject.stop().await;
    subject.start_again().await;
    subject.quiet(count(clients)).await;
    let restarted = usage::memory(subject.pid()).resident;
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let added = Added {
        secrets,
        while_running: running.cast_signed() - without.cast_signed(),
        after_restart: restarted.cast_signed() - without.cast_signed(),
    };
    progress::note(&format!("{secrets} Secrets of others add {} bytes", added.most()));
    added
}

async fn create(api: &Api<Secret>, secrets: usize) {
    let mut counter = Counter::new("Secrets of others", secrets);
    let mut created = stream::iter(0..secrets)
        .map(async |n| {
            let secret = json!({
                "metadata": { "name": format!("unrelated-{n}") },
                "stringData": { "data": "x".repeat(SIZE) },
            });
            let secret: Secret = serde_json::from_value(secret).unwrap();
            api.create(&PostParams::default(), &secret).await.unwrap();
        })
        .buffer_unordered(CONCURRENCY)
        .enumerate();
    while let Some((done, ())) = created.next().await {
        counter.at(done);
    }
}
