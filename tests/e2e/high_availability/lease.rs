//! The Lease itself: who stands by, and what others may do to it.

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::replicas::{Replicas, is_lease};
use crate::support::eventually;

const STATUS: &str = "leader_election_master_status";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_ready_and_does_nothing() {
    let mut replicas = Replicas::start("standby", 2).await;
    replicas.create(3).await.unwrap();
    replicas.settled(3).await;
    let name = replicas.lease_name();
    for (number, leads) in [(0, 1.0), (1, 0.0)] {
        let status = replicas.operator(number).metric(STATUS, &[("name", &name)]).await;
        assert!((status - leads).abs() < 0.5, "replica {number}: {status}");
    }
    let strange: Vec<_> = replicas.wire(1).since(0);
    assert!(strange.iter().all(|seen| is_lease(seen) && seen.method == Method::GET), "{strange:?}");
    replicas.operator_mut(1).wait_ready().await;
    assert_eq!(replicas.operator_mut(1).process().terminate().await, 0);
    let spec = replicas.lease().await.spec.unwrap();
    assert!(spec.holder_identity.unwrap().starts_with("replica-0_"), "it released what it had not");
}

/// Times in a Lease are of a clock that may be wrong: its age is what a replica has seen itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_with_any_times_is_waited_for() {
    let mut replicas = Replicas::start("foreign", 1).await;
    assert_eq!(replicas.operator_mut(0).process().terminate().await, 0);
    for minutes in [-10, 10] {
        let time = Timestamp::now() + SignedDuration::from_mins(minutes);
        let lease = replicas.lease().await;
        let spec = LeaseSpec {
            holder_identity: Some("somebody".to_owned()),
            lease_duration_seconds: Some(3),
            acquire_time: Some(MicroTime(time)),
            renew_time: Some(MicroTime(time)),
            ..LeaseSpec::default()
        };
        let lease = Lease { spec: Some(spec), ..lease };
        let name = replicas.lease_name();
        replicas.leases.replace(&name, &PostParams::default(), &lease).await.unwrap();
        let number = replicas.add(0).await;
        replicas.leader(|leader| leader == number).await;
        let requests = replicas.wire(number).since(0);
        let looks = requests.iter().take_while(|seen| seen.method == Method::GET).count();
        assert!(looks > 2, "renewed {minutes} minutes from now, claimed after {looks} looks");
        assert_eq!(replicas.operator_mut(number).process().terminate().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_ends_when_somebody_else_holds_the_lease() {
    let mut replicas = Replicas::start("taken", 1).await;
    let take = Patch::Merge(json!({ "spec": { "holderIdentity": "somebody" } }));
    let name = replicas.lease_name();
    replicas.leases.patch(&name, &PatchParams::default(), &take).await.unwrap();
    let process = replicas.operator_mut(0).process();
    assert_eq!(process.wait().await, 1);
    let log = process.log();
    assert!(log.contains("which is held by somebody now"), "{log}");
    let spec = replicas.lease().await.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("somebody"), "it released what it had not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_deleted_is_made_again_by_its_holder() {
    let mut replicas = Replicas::start("deleted", 2).await;
    let name = replicas.lease_name();
    let before = replicas.lease().await.metadata.uid;
    // The standby has seen the holder, and waits for it.
    replicas.leases.delete(&name, &DeleteParams::default()).await.unwrap();
    eventually("there is another Lease", async || {
        let lease = replicas.leases.get_opt(&name).await.unwrap();
        lease.is_some_and(|lease| lease.metadata.uid != before)
    })
    .await;
    replicas.leader(|leader| leader == 0).await;
    assert!(replicas.operator_mut(0).process().is_running());
}
