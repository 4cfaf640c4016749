//! What tools that wait for resources say: the kstatus library, and `kubectl wait`. [`World`] asks the library wherever it
//! creates, edits, deletes or waits, so each test of the operator asks it.

use kube::ResourceExt;
use serde::Serialize;
use serde_json::json;

use crate::{
    crowd::CONVERGED,
    on_each_generation,
    support::{
        Generation,
        kstatus::{Verdict, verdict},
    },
    world::{World, shown},
};

on_each_generation!(tools_that_wait_are_told_the_truth);

/// Panics unless kstatus says `expected` of `resource`.
pub fn assert_verdict(resource: &(impl ResourceExt + Serialize), expected: Verdict) {
    let (verdict, why) = verdict(resource);
    let (name, whole) = (resource.name_any(), serde_json::to_value(resource).unwrap());
    let status = &whole["status"];
    assert_eq!(verdict, expected, "kstatus says of {name}: {why}; its status: {status}");
}

/// Panics unless kstatus agrees with `shown`, such as `Stalled=True InvalidSpec`, which the resource shows.
pub fn assert_agrees(resource: &(impl ResourceExt + Serialize), shown: &str) {
    let expected = match shown.split_once('=') {
        _ if resource.meta().deletion_timestamp.is_some() => Verdict::Terminating,
        Some(("Stalled", value)) if value.starts_with("True") => Verdict::Failed,
        Some(("Reconciling", value)) if value.starts_with("True") => Verdict::InProgress,
        Some(("Ready", value)) if value.starts_with("True") => Verdict::Current,
        _ => return,
    };
    assert_verdict(resource, expected);
}

async fn tools_that_wait_are_told_the_truth(generation: Generation) {
    let world = World::new("waiting", generation).await;
    let wait = async |condition: &str| {
        let condition = format!("--for=condition={condition}");
        let args = ["wait", &condition, "oauth2client/shop", "--timeout=60s", "-n"];
        let (cp, namespace) = (&world.cp, world.namespace.clone());
        tokio::task::block_in_place(|| cp.kubectl(&[&args[..], &[&namespace]].concat()))
    };
    world.create("shop", &json!({})).await;
    assert!(wait("Ready").await.contains("condition met"));
    world.ready("shop").await;

    world.edit("shop", &json!({ "tokenEndpointAuthMethod": "private_key_jwt" })).await;
    assert!(wait("Stalled").await.contains("condition met"));
    assert!(wait("Ready=false").await.contains("condition met"));
    world.shows("shop", "Stalled=True InvalidSpec").await;

    world.edit("shop", &json!({ "tokenEndpointAuthMethod": null })).await;
    assert!(wait("Ready").await.contains("condition met"));

    // Ready of a former generation is not what was waited for.
    world.edit("shop", &json!({ "scope": "admin" })).await;
    wait("Ready").await;
    let shop = world.resources.get("shop").await.unwrap();
    assert_eq!(shown(&shop)[..], CONVERGED);
    assert_verdict(&shop, Verdict::Current);
    world.delete("shop").await;
    world.gone("shop").await;
}
