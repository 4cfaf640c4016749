//! Every field that can be edited: what Hydra holds is what was asked for, and nothing else moves.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    fields::{Edit, edits},
    on_each_generation,
    signing::ClientKey,
    support::{Generation, Hydra},
    world::{World, client_id},
};

on_each_generation!(
    each_group_of_fields_reaches_hydra_and_goes_back_to_its_default,
    keys_reach_hydra_and_give_way_to_their_address,
    all_fields_together_reach_hydra,
);

async fn each_group_of_fields_reaches_hydra_and_goes_back_to_its_default(generation: Generation) {
    let world = pairwise_world("edits", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let unedited = client(&world, &id).await;
    for Edit { what, spec, hydra } in edits(generation) {
        world.edit("shop", &spec).await;
        world.ready("shop").await;
        assert_same(what, &client(&world, &id).await, &with(&unedited, &hydra));

        world.edit("shop", &undo(&spec)).await;
        world.ready("shop").await;
        assert_same(&format!("{what}, and back"), &client(&world, &id).await, &unedited);
    }
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
}

/// Hydra takes either the keys or their address: the one that is declared replaces the other.
async fn keys_reach_hydra_and_give_way_to_their_address(generation: Generation) {
    let world = World::new("jwks", generation).await;
    let (first, second) = (ClientKey::generate("first"), ClientKey::generate("second"));
    world.create("shop", &json!({ "jwks": { "keys": [first.public_jwk()] } })).await;
    let id = client_id(&world.ready("shop").await);
    let held = async || {
        let client = world.in_hydra(&id).await.unwrap();
        (client["jwks"].clone(), client["jwks_uri"].clone())
    };
    assert_eq!(held().await.0, json!({ "keys": [first.public_jwk()] }));

    let both = [second.public_jwk(), first.public_jwk()];
    world.edit("shop", &json!({ "jwks": { "keys": both } })).await;
    world.ready("shop").await;
    assert_eq!(held().await.0, json!({ "keys": both }));

    let address = "https://shop.example.com/keys.json";
    world.edit("shop", &json!({ "jwks": null, "jwksUri": address })).await;
    world.ready("shop").await;
    assert_eq!(held().await, (json!({}), json!(address)));

    world.edit("shop", &json!({ "jwks": { "keys": both }, "jwksUri": null })).await;
    world.ready("shop").await;
    assert_eq!(held().await.0, json!({ "keys": both }));
}

async fn all_fields_together_reach_hydra(generation: Generation) {
    let world = pairwise_world("all-fields", generation).await;
    let edits = edits(generation);
    let all = |pick: fn(&Edit) -> &Value| {
        edits.iter().fold(json!({}), |all, edit| with(&all, pick(edit)))
    };
    world.create("shop", &all(|edit| &edit.spec)).await;
    let created = client(&world, &client_id(&world.ready("shop").await)).await;
    assert_same("created", &created, &with(&created, &all(|edit| &edit.hydra)));

    world.create("late", &json!({})).await;
    world.ready("late").await;
    world.edit("late", &all(|edit| &edit.spec)).await;
    let edited = client(&world, &client_id(&world.ready("late").await)).await;
    let same = json!({ "client_id": created["client_id"], "owner": created["owner"] });
    assert_same("edited or created", &with(&edited, &same), &created);
}

/// On a Hydra that supports pairwise subjects, which is an option.
async fn pairwise_world(name: &str, generation: Generation) -> World {
    let settings = [
        ("OIDC_SUBJECT_IDENTIFIERS_SUPPORTED_TYPES", "public,pairwise"),
        ("OIDC_SUBJECT_IDENTIFIERS_PAIRWISE_SALT", "some-salt-of-tests"),
    ];
    let hydra = Hydra::start_with(generation, &settings).await;
    World::with_args(name, hydra, &[]).await
}

/// The client, without the times that tell when it was written.
async fn client(world: &World, id: &str) -> Value {
    let mut client = world.in_hydra(id).await.unwrap();
    let members = client.as_object_mut().unwrap();
    members.remove("created_at");
    members.remove("updated_at");
    client
}

/// Names the members that differ.
fn assert_same(what: &str, found: &Value, expected: &Value) {
    let (found, expected) = (found.as_object().unwrap(), expected.as_object().unwrap());
    let names: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let differing: Vec<_> = names
        .into_iter()
        .filter(|name| found.get(*name) != expected.get(*name))
        .map(|name| format!("{name}: {:?} and not {:?}", found.get(name), expected.get(name)))
        .collect();
    assert!(differing.is_empty(), "{what}: {differing:#?}");
}

fn with(client: &Value, members: &Value) -> Value {
    let mut client = client.clone();
    client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    client
}

/// The patch that brings the spec back to that of [`World::resource`].
fn undo(spec: &Value) -> Value {
    let unedited = serde_json::to_value(World::resource("shop", &json!({})).spec).unwrap();
    let back = |name: &String| (name.clone(), unedited.get(name).cloned().unwrap_or_default());
    Value::Object(spec.as_object().unwrap().keys().map(back).collect::<Map<_, _>>())
}
