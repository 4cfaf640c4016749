//! Replicas of one operator and what can happen to the one that leads. Each test prints a row of a table (`--nocapture`):
//! fault, time until another replica writes, clients lost, clients too many, writes of the former leader after that.

mod lease;
mod replicas;

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;

use self::replicas::{Replicas, is_work};
use crate::{
    faults::{Fault, Gate, Rule, Seen, Side},
    support::eventually,
};

/// Resources that are being created meanwhile.
const COUNT: usize = 200;
/// Passes at a time, by default.
const CONCURRENCY: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_is_killed() {
    const MANY: usize = 500;
    let mut replicas = Replicas::start("killed", 3).await;
    let load = replicas.create(MANY);
    replicas.ready(MANY / 10).await;
    let fault = Replicas::fault(0);
    replicas.signal(0, Signal::KILL);
    assert_eq!(replicas.operator_mut(0).process().wait().await, 128 + 9);
    replicas.leader(|leader| leader != 0).await;
    load.await.unwrap();
    replicas.assert_harmless("leader killed (three replicas)", &fault, MANY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_writes_nothing_to_hydra() {
    let stored = |seen: &Seen| seen.side == Side::Kubernetes && seen.path.ends_with("/secrets");
    stands_still("leader stopped while Secrets are stored", stored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_writes_nothing_to_kubernetes() {
    let created = |seen: &Seen| seen.side == Side::Hydra && seen.path.ends_with("/clients");
    stands_still("leader stopped while clients are created", created).await;
}

/// When it goes on, the answers to requests for which `held` holds have arrived, and all passes have their next write to do.
async fn stands_still(what: &str, held: impl Fn(&Seen) -> bool + Copy + Send + 'static) {
    let mut replicas = Replicas::start("stopped", 2).await;
    let gate = Gate::closed();
    let rule = Rule::on(Side::Kubernetes, Fault::HoldAnswer(gate.clone())).method(Method::POST);
    replicas.wire(0).inject(rule.when(held));
    let rule = Rule::on(Side::Hydra, Fault::HoldAnswer(gate.clone())).method(Method::POST);
    replicas.wire(0).inject(rule.when(held));
    let load = replicas.create(COUNT);
    eventually("all passes wait for an answer", async || {
        let seen = replicas.wire(0).since(0);
        let waiting =
            |seen: &&Seen| seen.method == Method::POST && held(seen) && seen.status.is_some();
        let waiting = seen.iter().filter(waiting).count();
        if waiting >= CONCURRENCY { Ok(()) } else { Err(waiting) }
    })
    .await;

    let fault = Replicas::fault(0);
    replicas.signal(0, Signal::STOP);
    replicas.leader(|leader| leader == 1).await;
    load.await.unwrap();
    replicas.settled(COUNT).await;
    let then = replicas.wire(0).now();
    gate.open();
    replicas.signal(0, Signal::CONT);
    assert_ends_without_the_lease(&mut replicas, 0).await;
    let writes: Vec<_> = replicas.wire(0).since(then);
    let writes: Vec<_> = writes.iter().filter(|seen| seen.is_write()).map(Seen::describe).collect();
    assert_eq!(writes, Vec::<String>::new(), "{what}");
    replicas.assert_harmless(what, &fault, COUNT).await;
}

async fn assert_ends_without_the_lease(replicas: &mut Replicas, number: usize) {
    let process = replicas.operator_mut(number).process();
    assert_eq!(process.wait().await, 1);
    let log = process.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("Error: lost the Lease "), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_is_cut_off_from_the_api_server() {
    let mut replicas = Replicas::start("cut-off", 2).await;
    let load = replicas.create(COUNT);
    replicas.ready(COUNT / 10).await;
    let fault = Replicas::fault(0);
    // What it watches still comes, and Hydra is there.
    replicas.wire(0).inject(Rule::on(Side::Kubernetes, Fault::LoseRequest));
    assert_ends_without_the_lease(&mut replicas, 0).await;
    replicas.leader(|leader| leader == 1).await;
    load.await.unwrap();
    replicas.assert_harmless("API server cut off from the leader", &fault, COUNT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_may_be_minutes_apart() {
    let mut replicas = Replicas::with_clocks("clocks", &[-600, 600]).await;
    let renewed = replicas.lease().await.spec.unwrap().renew_time.unwrap().0;
    let wrong = Timestamp::now().duration_since(renewed).as_secs();
    assert!((500..700).contains(&wrong), "the clock of the leader is wrong by {wrong} s");
    let load = replicas.create(COUNT);
    replicas.ready(COUNT / 10).await;
    let lease = replicas.lease().await.spec.unwrap();
    assert_eq!(
        lease.lease_transitions.unwrap_or_default(),
        0,
        "a replica with a fast clock took over"
    );
    let fault = Replicas::fault(0);
    replicas.signal(0, Signal::KILL);
    replicas.leader(|leader| leader == 1).await;
    load.await.unwrap();
    replicas.assert_harmless("leader killed, clocks 20 minutes apart", &fault, COUNT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_always_the_next_to_be_replaced() {
    let mut replicas = Replicas::start("rolling", 2).await;
    let load = replicas.create(COUNT);
    replicas.ready(COUNT / 10).await;
    replicas.add(0).await;
    assert_eq!(replicas.operator_mut(0).process().terminate().await, 0);
    let fault = released_by(&replicas, 0);
    let next = replicas.leader(|leader| leader != 0).await;
    replicas.ready(COUNT / 2).await;
    replicas.add(0).await;
    assert_eq!(replicas.operator_mut(next).process().terminate().await, 0);
    released_by(&replicas, next);
    replicas.leader(|leader| leader != 0 && leader != next).await;
    load.await.unwrap();
    replicas.assert_harmless("rolling update", &fault, COUNT).await;
}

/// The moment in which `old` released the Lease.
fn released_by(replicas: &Replicas, old: usize) -> replicas::Fault {
    let seen = replicas.wire(old).since(0);
    let last = seen.iter().rfind(|seen| replicas::is_lease(seen)).unwrap();
    assert!(last.is_write(), "{}", last.describe());
    let after = seen.iter().filter(|seen| is_work(seen) && seen.at > last.at).count();
    assert_eq!(after, 0, "it wrote after it released the Lease");
    let age = last.at.elapsed();
    let wall = Timestamp::now() - SignedDuration::try_from(age).unwrap();
    replicas::Fault { old, at: last.at, wall }
}
