//! Resources that claim one client, or one Secret: exactly one has it, and the next takes over.

use hydra_operator::api::OAuth2Client;
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::json;

use crate::{
    hydra_admin::{allowing, at},
    on_each_generation,
    support::{Generation, Hydra, eventually},
    world::{World, client_id, message, shown},
};

on_each_generation!(
    of_pairs_in_two_namespaces_one_has_the_client_and_the_other_takes_over,
    without_a_holder_the_oldest_has_the_client,
    a_holder_that_is_younger_keeps_its_client,
    one_secret_serves_one_resource_and_then_the_next,
    the_users_secret_serves_one_resource_at_a_time,
    whoever_lets_go_is_succeeded_at_once,
    whoever_cannot_go_on_keeps_nobody_waiting,
    whoever_is_refused_by_a_stranger_keeps_nobody_waiting,
    a_client_elsewhere_is_no_claim_on_the_same_id_here,
);

const PAIRS: usize = 20;

async fn of_pairs_in_two_namespaces_one_has_the_client_and_the_other_takes_over(
    generation: Generation,
) {
    let (mut world, second) = World::with_two_namespaces("pairs", generation).await;
    let namespaces = [world.namespace.clone(), second];
    let id = |n: usize| format!("{n}-{}", namespaces[0]);
    let creations = (0..PAIRS).flat_map(|n| {
        let (namespaces, client, id) = (&namespaces, &world.client, id(n));
        [n % 2, 1 - n % 2].map(move |which| {
            let resources: Api<OAuth2Client> = Api::namespaced(client.clone(), &namespaces[which]);
            let resource = World::resource(&format!("app-{n}"), &json!({ "clientId": id }));
            async move { resources.create(&PostParams::default(), &resource).await.unwrap() }
        })
    });
    futures::future::join_all(creations).await;

    let winners = decided(&world, &namespaces).await;
    assert_losers_left_no_trace(&world, &namespaces, &winners).await;
    world.operator.process().kill_9().await;
    world.operator.start_again().await;
    for namespace in &namespaces {
        world.enter(namespace);
        for n in 0..PAIRS {
            world.pass(&format!("app-{n}")).await;
        }
    }
    assert_eq!(decided(&world, &namespaces).await, winners, "a restart changes nothing");
    assert_losers_left_no_trace(&world, &namespaces, &winners).await;

    for (n, winner) in winners.iter().enumerate() {
        world.enter(&namespaces[*winner]);
        world.delete(&format!("app-{n}")).await;
    }
    for (n, winner) in winners.iter().enumerate() {
        let (name, secret) = (format!("app-{n}"), format!("app-{n}-credentials"));
        world.enter(&namespaces[1 - winner]);
        assert_eq!(client_id(&world.ready(&name).await), id(n));
        assert!(world.gets_token(&world.credentials(&secret).await).await);
        let client = world.in_hydra(&id(n)).await.unwrap();
        assert_eq!(client["owner"], world.owner(&name).as_str());
    }
}

/// Waits until one of each pair is Ready and the other says whom it lost to. Returns the winners.
async fn decided(world: &World, namespaces: &[String; 2]) -> Vec<usize> {
    eventually("each pair is decided", async || {
        let mut sides = Vec::new();
        for namespace in namespaces {
            let resources: Api<OAuth2Client> = Api::namespaced(world.client.clone(), namespace);
            sides.push(resources.list(&ListParams::default()).await.unwrap().items);
        }
        (0..PAIRS)
            .map(|n| winner(&sides, namespaces, &format!("app-{n}")))
            .collect::<Result<Vec<usize>, String>>()
    })
    .await
}

fn winner(
    sides: &[Vec<OAuth2Client>],
    namespaces: &[String; 2],
    name: &str,
) -> Result<usize, String> {
    let find = |side: usize| sides[side].iter().find(|resource| resource.name_any() == name);
    let (Some(first), Some(second)) = (find(0), find(1)) else { return Err("incomplete".into()) };
    let says = |resource, expected: &str| shown(resource).iter().any(|shown| shown == expected);
    for (winner, [has, has_not]) in [(0, [first, second]), (1, [second, first])] {
        let lost_to = format!("belongs to OAuth2Client {}/{name}", namespaces[winner]);
        if says(has, "Ready=True Synced") && says(has_not, "Stalled=True ClientIdTaken") {
            let told = message(has_not);
            return told.contains(&lost_to).then_some(winner).ok_or(told);
        }
    }
    Err(format!("{name}: {:?} and {:?}", shown(first), shown(second)))
}

async fn assert_losers_left_no_trace(world: &World, namespaces: &[String; 2], winners: &[usize]) {
    let clients = world.hydra.list_all_clients().await;
    for (n, winner) in winners.iter().enumerate() {
        let loser = &namespaces[1 - winner];
        let secrets: Api<k8s_openapi::api::core::v1::Secret> =
            Api::namespaced(world.client.clone(), loser);
        let secret = secrets.get_opt(&format!("app-{n}-credentials")).await.unwrap();
        assert!(secret.is_none(), "the loser of pair {n} has a Secret");
        let mark = format!("app-{n}/{loser}");
        assert!(clients.iter().all(|client| client["owner"] != mark.as_str()), "{mark}");
    }
}

/// Creates `name` once the clock shows another second than at the creation of `older`.
async fn create_younger(world: &World, older: &OAuth2Client, name: &str, spec: &serde_json::Value) {
    let created = older.metadata.creation_timestamp.as_ref().unwrap().0.as_second();
    eventually("a second is over", async || Timestamp::now().as_second() > created).await;
    world.create(name, spec).await;
}

async fn without_a_holder_the_oldest_has_the_client(generation: Generation) {
    let (mut world, second) = World::with_two_namespaces("oldest", generation).await;
    let id = format!("shop-{second}");
    assert_eq!(world.operator.process().terminate().await, 0);
    let first = world.enter(&second);
    let older = world.create("older", &json!({ "clientId": id })).await;
    world.enter(&first);
    // Its name and its namespace come first, and its watch may be the quicker one.
    create_younger(&world, &older, "a-younger", &json!({ "clientId": id })).await;
    world.operator.start_again().await;

    let stalled = world.shows("a-younger", "Stalled=True ClientIdTaken").await;
    assert!(message(&stalled).contains(&format!("{second}/older")), "{}", message(&stalled));
    assert!(world.secrets.get_opt("a-younger-credentials").await.unwrap().is_none());
    world.enter(&second);
    assert_eq!(client_id(&world.ready("older").await), id);
    assert_eq!(world.in_hydra(&id).await.unwrap()["owner"], world.owner("older").as_str());
}

async fn a_holder_that_is_younger_keeps_its_client(generation: Generation) {
    let mut world = World::new("younger-holder", generation).await;
    let id = format!("shop-{}", world.namespace);
    let older = world.create("older", &json!({ "clientId": id, "suspend": true })).await;
    create_younger(&world, &older, "younger", &json!({ "clientId": id })).await;
    world.ready("younger").await;
    let credentials = world.credentials("younger-credentials").await;
    let before = world.in_hydra(&id).await.unwrap();

    world.edit("older", &json!({ "suspend": null })).await;
    let stalled = world.shows("older", "Stalled=True ClientIdTaken").await;
    assert!(message(&stalled).contains("younger, which holds it"), "{}", message(&stalled));
    // A holder that is suspended, and one that a new process has to learn of, is still the holder.
    world.edit("younger", &json!({ "suspend": true })).await;
    world.shows("younger", "Stalled=False Suspended").await;
    assert_eq!(world.operator.process().terminate().await, 0);
    world.operator.start_again().await;
    world.pass("older").await;
    world.shows("older", "Stalled=True ClientIdTaken").await;
    assert_eq!(world.in_hydra(&id).await.unwrap(), before);
    assert!(world.gets_token(&credentials).await);
    assert!(world.secrets.get_opt("older-credentials").await.unwrap().is_none());

    world.delete("older").await;
    world.gone("older").await;
    assert_eq!(world.in_hydra(&id).await.unwrap(), before, "the loser's end writes nothing");
}

async fn one_secret_serves_one_resource_and_then_the_next(generation: Generation) {
    let world = World::new("one-secret", generation).await;
    let spec = json!({ "secretName": "shared" });
    let older = world.create("older", &spec).await;
    create_younger(&world, &older, "younger", &spec).await;
    world.create("youngest", &json!({ "secretName": "shared", "suspend": true })).await;
    world.ready("older").await;
    let stalled = world.shows("younger", "Stalled=True SecretNotOwned").await;
    assert!(message(&stalled).contains("/older, which holds it"), "{}", message(&stalled));
    assert!(world.hydra.client_ids_of(&world.owner("younger")).await.is_empty());

    // Nothing but the end of the holder, and then of its Secret, tells the next.
    world.delete("older").await;
    let id = client_id(&world.ready("younger").await);
    let credentials = world.credentials("shared").await;
    assert_eq!(credentials.id, id);
    assert!(world.gets_token(&credentials).await);
    assert!(world.hydra.client_ids_of(&world.owner("older")).await.is_empty());
}

async fn the_users_secret_serves_one_resource_at_a_time(generation: Generation) {
    let world = World::new("users-secret", generation).await;
    let id = format!("by-hand-{}", world.namespace);
    let data = json!({ "CLIENT_ID": id, "CLIENT_SECRET": "chosen-by-hand" });
    let secret = world.create_secret("shared", &data).await;
    let older = world.create("older", &json!({ "secretName": "shared" })).await;
    create_younger(&world, &older, "younger", &json!({ "secretName": "shared" })).await;
    world.ready("older").await;
    world.shows("younger", "Stalled=True SecretNotOwned").await;

    world.delete("older").await;
    world.gone("older").await;
    assert_eq!(client_id(&world.ready("younger").await), id);
    assert!(world.gets_token(&world.credentials("shared").await).await);
    assert_eq!(world.secrets.get("shared").await.unwrap(), secret);
    world.assert_no_secret_leaked(&["chosen-by-hand"]).await;
}

async fn whoever_lets_go_is_succeeded_at_once(generation: Generation) {
    let world = World::new("let-go", generation).await;
    let older = world.create("older", &json!({ "secretName": "shared" })).await;
    world.ready("older").await;
    create_younger(&world, &older, "younger", &json!({ "secretName": "shared" })).await;
    world.shows("younger", "Stalled=True SecretNotOwned").await;

    world.edit("older", &json!({ "secretName": "another" })).await;
    world.ready("younger").await;
    world.ready("older").await;
    for secret in ["shared", "another"] {
        assert!(world.gets_token(&world.credentials(secret).await).await, "{secret}");
    }
}

async fn whoever_cannot_go_on_keeps_nobody_waiting(generation: Generation) {
    let world = World::new("keeps-nobody", generation).await;
    let invalid = json!({ "secretName": "shared", "tokenEndpointAuthMethod": "private_key_jwt" });
    let older = world.create("invalid", &invalid).await;
    world.shows("invalid", "Stalled=True InvalidSpec").await;
    create_younger(&world, &older, "younger", &json!({ "secretName": "shared" })).await;
    world.ready("younger").await;
    world.edit("invalid", &json!({ "tokenEndpointAuthMethod": null })).await;
    let stalled = world.shows("invalid", "Stalled=True SecretNotOwned").await;
    assert!(message(&stalled).contains("/younger, which holds it"), "{}", message(&stalled));

    // The older one loses the client, the younger one is after the Secret that both name then.
    let id = format!("shop-{}", world.namespace);
    let both = json!({ "clientId": id, "secretName": "second" });
    let mut suspended = both.clone();
    suspended["suspend"] = json!(true);
    let older = world.create("loser", &suspended).await;
    let own = json!({ "clientId": id, "secretName": "first" });
    create_younger(&world, &older, "holder", &own).await;
    world.ready("holder").await;
    world.edit("loser", &json!({ "suspend": null })).await;
    world.shows("loser", "Stalled=True ClientIdTaken").await;
    world.edit("holder", &both).await;
    assert_eq!(client_id(&world.ready("holder").await), id);
    let credentials = world.credentials("second").await;
    assert!(world.gets_token(&credentials).await);
    world.shows("loser", "Stalled=True SecretNotOwned").await;
    world.delete("holder").await;
    world.gone("holder").await;
    assert_eq!(client_id(&world.ready("loser").await), id);
}

async fn whoever_is_refused_by_a_stranger_keeps_nobody_waiting(generation: Generation) {
    let world = World::new("stranger", generation).await;
    let id = format!("shop-{}", world.namespace);
    world.create_secret("strangers", &json!({ "password": "hunter22" })).await;
    let refused = json!({ "clientId": id, "secretName": "strangers" });
    let older = world.create("refused", &refused).await;
    world.shows("refused", "Stalled=True SecretNotOwned").await;
    create_younger(&world, &older, "younger", &json!({ "clientId": id })).await;
    assert_eq!(client_id(&world.ready("younger").await), id);
    assert!(world.gets_token(&world.credentials("younger-credentials").await).await);
    world.assert_no_secret_leaked(&["hunter22"]).await;
}

async fn a_client_elsewhere_is_no_claim_on_the_same_id_here(generation: Generation) {
    let other = Hydra::start(generation).await;
    let allow = allowing(&[other.admin_url()], generation);
    let world = World::with_args("elsewhere", Hydra::shared(generation).await, &[&allow]).await;
    let id = format!("shop-{}", world.namespace);
    let mover = world.create("mover", &json!({ "clientId": id })).await;
    world.ready("mover").await;
    let mut there = at(other.admin_url());
    there["clientId"] = json!(id);
    create_younger(&world, &mover, "holder", &there).await;
    world.ready("holder").await;
    let before = [world.in_hydra(&id).await, other.get_client(&id).await];

    world.edit("mover", &at(other.admin_url())).await;
    let stalled = world.shows("mover", "Stalled=True ClientIdTaken").await;
    assert!(message(&stalled).contains("/holder, which holds it"), "{}", message(&stalled));
    world.pass("holder").await;
    world.ready("holder").await;
    assert_eq!([world.in_hydra(&id).await, other.get_client(&id).await], before);

    world.edit("mover", &json!({ "hydraAdmin": null })).await;
    world.ready("mover").await;
    assert!(world.gets_token(&world.credentials("mover-credentials").await).await);
}
