//! What was there before: restored, held by another resource, or left by hydra-maester.

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::super::maester::{MAESTERS, left_by_maester, maesters_client};
use crate::{
    on_each_generation,
    support::{ControlPlane, Generation, Hydra, control_plane::unique, eventually},
    world::{World, client_id, message},
};

on_each_generation!(
    row_31_a_restored_secret_is_taken_over_before_it_is_collected,
    row_33_the_oldest_of_two_wins_and_the_other_follows,
    row_35_duplicates_that_hydra_maester_left_are_told_and_stay,
);

/// Restored from a backup: the resource has another uid, and its Secret names the one of before, so
/// Kubernetes is about to collect it.
async fn row_31_a_restored_secret_is_taken_over_before_it_is_collected(generation: Generation) {
    let cp = ControlPlane::start().await;
    let hydra = Hydra::shared(generation).await;
    let mut world = World::on(cp, hydra, "row-31", &[]).await;
    world.create("app", &json!({})).await;
    world.ready("app").await;
    let held = world.credentials("app-credentials").await;
    let backup = world.secrets.get("app-credentials").await.unwrap();

    // The cluster is lost with all that is in it, and nothing is revoked.
    assert_eq!(world.operator.process().terminate().await, 0);
    let released = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    world.resources.patch("app", &PatchParams::default(), &released).await.unwrap();
    world.delete("app").await;
    world.gone("app").await;
    eventually("the Secret is collected", async || {
        world.secrets.get_opt("app-credentials").await.unwrap().is_none()
    })
    .await;
    // Whoever is quicker in the real world: here the operator is.
    world.cp.own().controller_manager().freeze();
    let restored = world.create("app", &json!({})).await;
    let mut secret = Secret { metadata: backup.metadata.clone(), ..backup };
    for stale in [&mut secret.metadata.uid, &mut secret.metadata.resource_version] {
        *stale = None;
    }
    secret.metadata.creation_timestamp = None;
    secret.metadata.managed_fields = None;
    world.secrets.create(&PostParams::default(), &secret).await.unwrap();
    world.operator.start_again().await;
    world.ready("app").await;
    world.cp.own().controller_manager().thaw();

    // Kubernetes collects another Secret of a dead owner, so it has looked at this one too.
    let mut dead = Secret::default();
    dead.metadata.name = Some("dead".to_owned());
    dead.metadata.owner_references = backup_owner(&secret);
    world.secrets.create(&PostParams::default(), &dead).await.unwrap();
    eventually("the Secret of a dead owner is collected", async || {
        world.secrets.get_opt("dead").await.unwrap().is_none()
    })
    .await;
    let kept = world.secrets.get("app-credentials").await.unwrap();
    let owners = kept.metadata.owner_references.unwrap_or_default();
    assert!(owners.iter().all(|owner| Some(&owner.uid) == restored.uid().as_ref()), "{owners:?}");
    let present = world.credentials("app-credentials").await;
    assert_eq!(present.id, held.id);
    assert!(present.secret() == held.secret());
    assert!(world.gets_token(&present).await);
    assert_eq!(world.hydra.client_ids_of(&world.owner("app")).await, [&*held.id]);
    world.assert_no_secret_leaked(&[held.secret()]).await;
}

fn backup_owner(secret: &Secret) -> Option<Vec<OwnerReference>> {
    let owners = secret.metadata.owner_references.clone();
    assert!(owners.as_ref().is_some_and(|owners| !owners.is_empty()), "it has no owner");
    owners
}

async fn row_33_the_oldest_of_two_wins_and_the_other_follows(generation: Generation) {
    let mut world = World::new("row-33", generation).await;
    let id = unique("shared");
    let spec = json!({ "clientId": id });
    // Without a holder the oldest wins, whatever the names are.
    assert_eq!(world.operator.process().terminate().await, 0);
    let oldest = world.create("z-oldest", &spec).await;
    eventually("the other is younger", async || {
        let other = world.create("a-younger", &spec).await;
        let is_younger = other.creation_timestamp() > oldest.creation_timestamp();
        if !is_younger {
            world.delete("a-younger").await;
            world.gone("a-younger").await;
        }
        is_younger
    })
    .await;
    world.operator.start_again().await;
    world.ready("z-oldest").await;
    let stalled = world.shows("a-younger", "Stalled=True ClientIdTaken").await;
    assert!(message(&stalled).contains(&world.owner("z-oldest")), "{}", message(&stalled));
    let winner = world.credentials("z-oldest-credentials").await;
    assert!(world.gets_token(&winner).await);
    assert_eq!(world.in_hydra(&id).await.unwrap()["owner"], world.owner("z-oldest"));

    // Nothing but the end of the winner tells: the next look by itself is minutes away.
    world.delete("z-oldest").await;
    world.gone("z-oldest").await;
    world.ready("a-younger").await;
    let follower = world.credentials("a-younger-credentials").await;
    assert_eq!(follower.id, id);
    assert!(world.gets_token(&follower).await);
    assert!(!world.gets_token(&winner).await);
    assert_eq!(world.in_hydra(&id).await.unwrap()["owner"], world.owner("a-younger"));
    world.assert_no_secret_leaked(&[winner.secret(), follower.secret()]).await;
}

async fn row_35_duplicates_that_hydra_maester_left_are_told_and_stay(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let mut world = World::with_args("row-35", hydra, &["--resync-interval=1s"]).await;
    assert_eq!(world.operator.process().terminate().await, 0);
    let id = left_by_maester(&world, "app").await;
    let duplicate = unique("duplicate");
    let client = maesters_client(&world, "app", &duplicate);
    assert_eq!(world.hydra.post_client(&client).await.status, 201);
    world.operator.start_again().await;
    assert_eq!(client_id(&world.ready("app").await), id);
    let told = || world.cp.kubectl(&["get", "events", "-o", "yaml", "-n", &world.namespace]);
    eventually("the duplicate is told in an event", async || told().contains(&duplicate)).await;
    eventually("the duplicate is told in a condition", async || {
        let resource = world.resources.get("app").await.unwrap();
        let conditions = resource.status.unwrap().conditions;
        let told = |message: &String| message.contains(&duplicate);
        conditions.iter().any(|one| one.message.as_ref().is_some_and(told))
    })
    .await;
    world.two_sweeps().await;
    assert!(world.in_hydra(&duplicate).await.is_some(), "nobody has allowed to remove it");
    world.assert_no_secret_leaked(&[MAESTERS]).await;
}
