//! What it costs to start when everything is as declared.

use std::time::Instant;

use crate::{
    figures::{Added, Restart, count},
    generator::Work,
    load, memory,
    options::Options,
    progress,
    requests::Requests,
    subject::Subject,
    usage,
    world::World,
};

/// Requests in flight while the clients are made that are there at a restart.
const CONCURRENCY: usize = 16;

/// Restarts with more and more converged clients, and the memory for Secrets of others at the fewest.
pub async fn restarts(
    world: &World,
    subject: &mut Subject,
    options: &Options,
) -> (Vec<Restart>, Added) {
    let (mut restarts, mut added, mut present) = (Vec::new(), None, 0);
    for &clients in &options.restart {
        progress::note(&format!("making {} clients", clients - present));
        load::wave(world, Work::Creation, clients - present, CONCURRENCY).await;
        present = clients;
        let restart = restart(world, subject, clients).await;
        progress::note(&format!(
            "restart with {clients} converged: {} requests, {} of them writes",
            restart.requests(),
            restart.writes
        ));
        restarts.push(restart);
        if added.is_none() {
            added = Some(memory::added(world, subject, clients, options.secrets).await);
        }
    }
    (restarts, added.expect("--restart names a number"))
}

async fn restart(world: &World, subject: &mut Subject, clients: usize) -> Restart {
    subject.quiet(0.0).await;
    subject.stop().await;
    let before = Requests::of(world).await;
    let start = Instant::now();
    subject.start_again().await;
    let end = subject.quiet(count(clients)).await;
    let requests = Requests::of(world).await - before;
    let pid = subject.pid();
    Restart {
        clients,
        reads: requests.reads,
        writes: requests.writes,
        elapsed: end - start,
        processor: usage::processor_time(pid),
        memory: usage::memory(pid),
    }
}
