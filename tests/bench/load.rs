//! New clients: at once, and one after another.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};

use crate::{
    figures::{Distribution, Singles, Times, Wave},
    generator::{Generator, Work},
    observer::{Observer, Seen},
    options::Options,
    progress,
    subject::Subject,
    world::World,
};

/// New clients, one after another, that open connections and fill caches before the first that counts.
const WARM_UP: usize = 5;
/// Lets the system become idle after each single client: nothing tells when a controller that has done everything
/// stops to look at it.
const PAUSE: Duration = Duration::from_millis(200);

/// One round of new clients at once for each concurrency. Each waits until `subject`, if it is one's work, is done with the
/// one before.
pub async fn waves(
    world: &World,
    work: Work,
    options: &Options,
    subject: Option<&Subject>,
) -> Vec<Wave> {
    let mut waves = Vec::new();
    for &concurrency in &options.concurrency {
        if let Some(subject) = subject {
            subject.quiet(0.0).await;
        }
        let wave = wave(world, work, options.clients, concurrency).await;
        progress::note(&format!(
            "{} new clients, {concurrency} requests in flight: {:.1}/s",
            wave.clients,
            wave.rate()
        ));
        waves.push(wave);
    }
    waves
}

/// Makes `clients` new clients in a namespace of their own, and waits until all are Ready.
pub async fn wave(world: &World, work: Work, clients: usize, concurrency: usize) -> Wave {
    let namespace = world.control_plane.namespace("wave").await;
    let observer = Observer::start(&world.admin, &namespace).await;
    let generator = Generator::new(world, &namespace, work).await;
    let start = Instant::now();
    let observation = tokio::spawn(observer.all(clients));
    let created: HashMap<_, _> = stream::iter(0..clients)
        // As tasks: one thread could not keep the servers busy.
        .map(|n| tokio::spawn(generator.clone().make(format!("app-{n}"))))
        .buffer_unordered(concurrency)
        .map(Result::unwrap)
        .collect()
        .await;
    let seen = observation.await.unwrap();
    let last = seen.values().filter_map(|seen| seen.ready).max().expect("at least one client");
    let lifes = created.iter().map(|(name, created)| (*created, seen[name]));
    Wave { clients, concurrency, elapsed: last - start, times: times(lifes.collect()) }
}

/// Makes new clients, each after the one before is Ready.
pub async fn singles(world: &World, work: Work, clients: usize) -> Singles {
    let namespace = world.control_plane.namespace("single").await;
    let mut observer = Observer::start(&world.admin, &namespace).await;
    let generator = Generator::new(world, &namespace, work).await;
    let mut lifes = Vec::new();
    for n in 0..WARM_UP + clients {
        let (name, created) = generator.clone().make(format!("app-{n}")).await;
        lifes.push((created, observer.one(&name).await));
        tokio::time::sleep(PAUSE).await;
    }
    let singles = Singles { clients, times: times(lifes.split_off(WARM_UP)) };
    let ready = singles.times.ready.p50;
    progress::note(&format!("{clients} new clients, one after another: Ready after {ready:.1?}"));
    singles
}

/// Times from the creation of each to what was seen of it. What is seen before the reply to the creation is there at once.
fn times(lifes: Vec<(Instant, Seen)>) -> Times {
    let (mut secret, mut ready) = (Vec::new(), Vec::new());
    for (created, seen) in lifes {
        secret.extend(seen.secret.map(|at| at.saturating_duration_since(created)));
        ready.extend(seen.ready.map(|at| at.saturating_duration_since(created)));
    }
    let distribution = |durations| Distribution::of(durations).expect("at least one client");
    Times { secret: distribution(secret), ready: distribution(ready) }
}
