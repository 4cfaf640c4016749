//! What the operator is yet to learn.

use std::time::Duration;

use axum::http::Method;
use hydra_operator::api::{FINALIZER, OAuth2Client};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{Answer, Fault, Faulty, crash::kills_while_the_secret_is_renamed, crashes::creation};
use crate::{
    on_each_generation,
    support::{
        ControlPlane, Generation, Hydra, control_plane::unique, eventually,
        hydra_api::service_client,
    },
    world::{Credentials, World, client_id, message},
};

on_each_generation!(
    kills_while_the_secret_is_renamed_lose_nothing,
    row_08_all_wait_as_long_as_hydra_asks_one_to,
    row_14_a_restored_database_gets_the_present_secrets,
    row_16_a_secret_that_others_set_in_hydra_is_put_back,
    row_17_a_required_secret_that_goes_is_waited_for,
    row_19_another_name_of_the_secret_moves_its_values,
    row_31_a_restored_secret_is_taken_over_before_it_is_collected,
    row_33_the_oldest_of_two_wins_and_the_other_follows,
    row_35_what_hydra_maester_left_is_taken_over_without_a_write,
    row_35_duplicates_that_hydra_maester_left_are_told_and_stay,
);

async fn kills_while_the_secret_is_renamed_lose_nothing(generation: Generation) {
    kills_while_the_secret_is_renamed(generation).await;
}

/// The time is what Hydra asks for: a request that comes later than that is no failure of the test.
async fn row_08_all_wait_as_long_as_hydra_asks_one_to(generation: Generation) {
    const SECONDS: u32 = 4;
    let world =
        Faulty::with_args("row-08", Hydra::shared(generation).await, &["--resync-interval=1s"])
            .await;
    for status in [429, 503] {
        let then = world.wire.now();
        let busy = Answer::hydra(status).retry_after(SECONDS);
        world.wire.inject(creation(Fault::Answer(busy)).times(1));
        world.create(&format!("first-{status}"), &json!({})).await;
        let refused = eventually("Hydra asks for a pause", async || {
            let creations = world.hydra_requests(then, &Method::POST);
            creations.into_iter().find(|seen| seen.status == Some(status))
        })
        .await;
        // Those are not in flight: they are made after Hydra has asked.
        let mut whole = Vec::new();
        for name in ["second", "third"] {
            world.create(&format!("{name}-{status}"), &json!({})).await;
        }
        for name in ["first", "second", "third"] {
            whole.push(world.assert_whole(&format!("{name}-{status}")).await);
        }
        let pause = Duration::from_secs(SECONDS.into());
        let early: Vec<_> = world
            .wire
            .since(then)
            .into_iter()
            .filter(|seen| seen.side == super::Side::Hydra && seen.at > refused.at)
            .filter(|seen| seen.at < refused.at + pause)
            .map(|seen| seen.describe())
            .collect();
        assert_eq!(early, Vec::<String>::new(), "{status}: in the time of the pause");
        let secrets: Vec<_> = whole.iter().map(Credentials::secret).collect();
        world.assert_no_secret_leaked(&secrets).await;
    }
}

/// The backup has the client with its former secret, and the time of its former change.
async fn row_14_a_restored_database_gets_the_present_secrets(generation: Generation) {
    let hydra = Hydra::start(generation).await;
    let mut world = Faulty::with_args("row-14", hydra, &["--resync-interval=1s"]).await;
    for name in ["secret", "fields"] {
        world.create(name, &json!({})).await;
        world.ready(name).await;
    }
    let former = world.credentials("secret-credentials").await;
    world.hydra.own().stop().await;
    world.hydra.own().back_up();
    world.hydra.own().start_again().await;
    world.edit_secret("secret-credentials", &json!({ "CLIENT_SECRET": "new-by-hand" })).await;
    world.edit("fields", &json!({ "scope": "admin" })).await;
    let present = world.credentials("secret-credentials").await;
    eventually("the new secret works", async || world.gets_token(&present).await).await;
    let fields = world.assert_whole("fields").await;

    world.hydra.own().stop().await;
    world.hydra.own().restore();
    world.hydra.own().start_again().await;
    eventually("the present secret works again", async || world.gets_token(&present).await).await;
    assert!(!world.gets_token(&former).await);
    eventually("the present fields are there again", async || {
        world.in_hydra(&fields.id).await.unwrap()["scope"] == "admin"
    })
    .await;
    assert!(world.gets_token(&fields).await);
    let stored = world.credentials("secret-credentials").await;
    assert!(stored.secret() == present.secret());
    world.assert_no_secret_leaked(&[former.secret(), present.secret(), fields.secret()]).await;
}

async fn row_16_a_secret_that_others_set_in_hydra_is_put_back(generation: Generation) {
    const OTHERS: &str = "set-by-somebody-else";
    let hydra = Hydra::shared(generation).await;
    let world = Faulty::with_args("row-16", hydra, &["--resync-interval=1s"]).await;
    world.create("app", &json!({})).await;
    let held = world.assert_whole("app").await;
    let mut client = world.in_hydra(&held.id).await.unwrap();
    let before = client["updated_at"].clone();
    client["client_secret"] = json!(OTHERS);
    // Hydra keeps whole seconds: a change within the second of the last one leaves no trace.
    eventually("the change leaves a trace", async || {
        assert_eq!(world.hydra.put_client(&held.id, &client).await.status, 200);
        world.in_hydra(&held.id).await.unwrap()["updated_at"] != before
    })
    .await;
    eventually("the secret of the Secret works again", async || world.gets_token(&held).await)
        .await;
    assert!(world.hydra.token(&held.id, OTHERS).await.is_err());
    world.ready("app").await;
    eventually("it is told", async || {
        world.events("app").await.contains_key("Warning DriftCorrected")
    })
    .await;
    // Putting it back is no reason to put it back once more.
    world.two_sweeps().await;
    let then = world.wire.now();
    world.two_sweeps().await;
    assert_eq!(world.writes(then), Vec::<String>::new());
    let stored = world.credentials("app-credentials").await;
    assert!(stored.secret() == held.secret());
    world.assert_no_secret_leaked(&[held.secret(), OTHERS]).await;
}

/// A value that only its user knows cannot be made again.
async fn row_17_a_required_secret_that_goes_is_waited_for(generation: Generation) {
    let world = World::new("row-17", generation).await;
    let data = json!({ "CLIENT_ID": unique("by-hand"), "CLIENT_SECRET": "chosen-by-hand" });
    world.create_secret("app-credentials", &data).await;
    world.create("app", &json!({ "requireExistingSecret": true })).await;
    world.ready("app").await;
    let held = world.credentials("app-credentials").await;
    world.delete_secret("app-credentials").await;
    world.shows("app", "Ready=False WaitingForSecret").await;
    assert!(world.secrets.get_opt("app-credentials").await.unwrap().is_none());
    assert!(world.gets_token(&held).await, "the client stays as it is");
    world.create_secret("app-credentials", &data).await;
    world.ready("app").await;
    assert!(world.gets_token(&held).await);
    world.assert_no_secret_leaked(&["chosen-by-hand"]).await;
}

async fn row_19_another_name_of_the_secret_moves_its_values(generation: Generation) {
    let world = World::new("row-19", generation).await;
    world.create("app", &json!({})).await;
    world.ready("app").await;
    let former = world.credentials("app-credentials").await;
    world.edit("app", &json!({ "secretName": "renamed" })).await;
    eventually("the former Secret is gone", async || {
        world.secrets.get_opt("app-credentials").await.unwrap().is_none()
    })
    .await;
    assert_eq!(client_id(&world.ready("app").await), former.id);
    let present = world.credentials("renamed").await;
    assert_eq!(present.id, former.id);
    assert!(present.secret() == former.secret());
    assert!(world.gets_token(&present).await);
    assert_eq!(world.hydra.client_ids_of(&world.owner("app")).await, [&*present.id]);

    // A Secret that is the user's is left where it is.
    let data = json!({ "CLIENT_ID": unique("by-hand"), "CLIENT_SECRET": "chosen-by-hand" });
    let users = world.create_secret("users", &data).await;
    world.create("users", &json!({ "secretName": "users" })).await;
    world.ready("users").await;
    world.edit("users", &json!({ "secretName": "moved" })).await;
    world.ready("users").await;
    assert_eq!(world.secrets.get("users").await.unwrap(), users);
    assert_eq!(world.credentials("moved").await.id, world.credentials("users").await.id);
    world.assert_no_secret_leaked(&[present.secret(), "chosen-by-hand"]).await;
}

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

fn backup_owner(
    secret: &Secret,
) -> Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>> {
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

const MAESTERS: &str = "secret-that-maester-made";

/// Leaves what hydra-maester leaves: its finalizer and status, a Secret whose owner reference names
/// no controller, a client with its owner mark. The operator does not run.
async fn left_by_maester(world: &World, name: &str) -> String {
    let mut resource = World::resource(name, &json!({}));
    resource.finalizers_mut().push(FINALIZER.to_owned());
    let resource = world.resources.create(&PostParams::default(), &resource).await.unwrap();
    let status = Patch::Merge(json!({ "status": {
        "observedGeneration": resource.metadata.generation,
        "conditions": [{ "type": "Ready", "status": "True" }],
        "reconciliationError": {},
    } }));
    world.resources.patch_status(name, &PatchParams::default(), &status).await.unwrap();
    let id = unique("by-maester");
    let secret = serde_json::from_value(json!({
        "metadata": {
            "name": format!("{name}-credentials"),
            "ownerReferences": [{
                "apiVersion": OAuth2Client::api_version(&()),
                "kind": OAuth2Client::kind(&()),
                "name": name,
                "uid": resource.uid(),
            }],
        },
        "stringData": { "CLIENT_ID": id, "CLIENT_SECRET": MAESTERS },
    }));
    world.secrets.create(&PostParams::default(), &secret.unwrap()).await.unwrap();
    assert_eq!(world.hydra.post_client(&maesters_client(world, name, &id)).await.status, 201);
    id
}

fn maesters_client(world: &World, name: &str, id: &str) -> Value {
    let mut client = service_client(id, MAESTERS);
    client["owner"] = json!(world.owner(name));
    client["scope"] = json!("read write");
    client
}

/// The row asks for a writer that is still there to be detected. It carries the same owner mark, so
/// nothing in Hydra tells the two apart; that both want the same is what keeps them at peace.
async fn row_35_what_hydra_maester_left_is_taken_over_without_a_write(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let mut world = Faulty::with_args("row-35", hydra, &["--resync-interval=1s"]).await;
    assert_eq!(world.operator.process().terminate().await, 0);
    let id = left_by_maester(&world, "app").await;
    let before = (
        world.in_hydra(&id).await.unwrap(),
        world.secrets.get("app-credentials").await.unwrap().data,
    );
    let then = world.wire.now();
    world.start_again().await;
    let whole = world.assert_whole("app").await;
    world.two_sweeps().await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        assert!(world.hydra_requests(then, &method).is_empty(), "{method}");
    }
    assert_eq!(whole.id, id);
    let after = (
        world.in_hydra(&id).await.unwrap(),
        world.secrets.get("app-credentials").await.unwrap().data,
    );
    assert!(after == before, "the client or the Secret has changed");

    // hydra-maester updates the client once more, to what it has been.
    let client = maesters_client(&world, "app", &id);
    assert_eq!(world.hydra.put_client(&id, &client).await.status, 200);
    world.two_sweeps().await;
    let then = world.wire.now();
    world.two_sweeps().await;
    assert_eq!(world.writes(then), Vec::<String>::new(), "two writers");
    let whole = world.assert_whole("app").await;
    assert!(whole.secret() == MAESTERS);
    world.assert_no_secret_leaked(&[MAESTERS]).await;
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
