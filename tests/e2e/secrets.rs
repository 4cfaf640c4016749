//! Secrets that a user made, and Secrets that a person edits or deletes.

use serde_json::json;

use crate::{
    on_each_generation,
    support::{Generation, eventually},
    world::{Credentials, World, client_id, message},
};

on_each_generation!(
    a_users_secret_is_used_and_never_written,
    row_18_a_new_secret_value_replaces_the_former_in_hydra,
    a_secret_value_that_hydra_would_refuse_is_not_sent,
    row_17_a_deleted_secret_is_made_again_for_the_same_client,
    row_18_an_edited_id_is_put_back,
    another_name_of_the_secret_keeps_the_client,
);

async fn a_users_secret_is_used_and_never_written(generation: Generation) {
    let world = World::new("users-secret", generation).await;
    let id = format!("by-hand-{}", world.namespace);
    let data = json!({ "CLIENT_ID": id, "CLIENT_SECRET": "chosen-by-hand", "note": "ours" });
    let made = world.create_secret("shop-credentials", &data).await;
    world.create("shop", &json!({})).await;
    assert_eq!(client_id(&world.ready("shop").await), id);
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
    world.pass("shop").await;
    world.delete("shop").await;
    world.gone("shop").await;
    assert_eq!(world.in_hydra(&id).await, None);
    assert_eq!(world.secrets.get("shop-credentials").await.unwrap(), made, "to the last byte");
    world.assert_no_secret_leaked(&["chosen-by-hand"]).await;
}

async fn row_18_a_new_secret_value_replaces_the_former_in_hydra(generation: Generation) {
    let world = World::new("new-value", generation).await;
    let id = format!("by-hand-{}", world.namespace);
    let data = json!({ "CLIENT_ID": id, "CLIENT_SECRET": "former-by-hand" });
    world.create_secret("users-credentials", &data).await;
    world.create("users", &json!({})).await;
    world.create("generated", &json!({})).await;
    for name in ["users", "generated"] {
        world.ready(name).await;
        let secret = format!("{name}-credentials");
        let former = world.credentials(&secret).await;
        assert!(world.gets_token(&former).await);

        world.edit_secret(&secret, &json!({ "CLIENT_SECRET": "new-by-hand" })).await;
        let new = world.credentials(&secret).await;
        eventually(&format!("{name}: the new secret works"), async || world.gets_token(&new).await)
            .await;
        assert!(!world.gets_token(&former).await, "{name}: the former is refused");
        assert_eq!(world.credentials(&secret).await.secret(), "new-by-hand");
        world.ready(name).await;
        eventually(&format!("{name}: it is told"), async || {
            world.events(name).await.get("Normal ClientUpdated") == Some(&1)
        })
        .await;
        world.assert_no_secret_leaked(&[former.secret(), new.secret()]).await;
    }
}

async fn a_secret_value_that_hydra_would_refuse_is_not_sent(generation: Generation) {
    let world = World::alone("short-value", generation).await;
    let mut messages = Vec::new();
    for value in ["Zq", "Zqx7Q"] {
        let data = json!({ "CLIENT_ID": "by-hand", "CLIENT_SECRET": value });
        world.create_secret("shop-credentials", &data).await;
        world.create("shop", &json!({})).await;
        let stalled = world.shows("shop", "Stalled=True InvalidSecret").await;
        world.pass("shop").await;
        messages.push(message(&stalled));
        world.assert_no_secret_leaked(&[value]).await;
        world.delete("shop").await;
        world.gone("shop").await;
        world.delete_secret("shop-credentials").await;
    }
    assert_eq!(messages[0], messages[1], "the length is not told");
    assert_eq!(world.hydra.counters().await.writes(), 0);

    let data = json!({ "CLIENT_ID": "by-hand", "CLIENT_SECRET": "Zqx7Q" });
    world.create_secret("shop-credentials", &data).await;
    world.create("shop", &json!({})).await;
    world.shows("shop", "Stalled=True InvalidSecret").await;
    world.edit_secret("shop-credentials", &json!({ "CLIENT_SECRET": "Zqx7Q-longer" })).await;
    world.ready("shop").await;
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
}

async fn row_17_a_deleted_secret_is_made_again_for_the_same_client(generation: Generation) {
    let world = World::new("deleted-secret", generation).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let former = world.credentials("shop-credentials").await;
    world.delete_secret("shop-credentials").await;
    let new = works_with_another_secret(&world, "shop-credentials", &former).await;
    assert_eq!(new.id, former.id);
    assert!(!world.gets_token(&former).await);
    assert_eq!(world.hydra.client_ids_of(&world.owner("shop")).await, [&*former.id]);
    world.ready("shop").await;
    let told = async || world.events("shop").await;
    // The first was told with its client.
    eventually("it is told", async || told().await.contains_key("Normal SecretCreated")).await;
    world.assert_no_secret_leaked(&[former.secret(), new.secret()]).await;
}

async fn row_18_an_edited_id_is_put_back(generation: Generation) {
    let world = World::new("edited-id", generation).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let credentials = world.credentials("shop-credentials").await;
    world
        .edit_secret("shop-credentials", &json!({ "CLIENT_ID": "somebody", "note": "mine" }))
        .await;
    eventually("the id is put back", async || {
        world.credentials("shop-credentials").await.id == credentials.id
    })
    .await;
    let ready = world.ready("shop").await;
    assert_eq!(client_id(&ready), credentials.id);
    let secret = world.secrets.get("shop-credentials").await.unwrap();
    assert!(secret.data.unwrap().contains_key("note"), "what others add stays");
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
    assert_eq!(world.hydra.client_ids_of(&world.owner("shop")).await, [credentials.id]);
}

async fn another_name_of_the_secret_keeps_the_client(generation: Generation) {
    let world = World::new("renamed-secret", generation).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let former = world.credentials("shop-credentials").await;
    world.edit("shop", &json!({ "secretName": "renamed" })).await;
    world.ready("shop").await;
    let new = world.credentials("renamed").await;
    assert_eq!(new.id, former.id);
    assert!(world.gets_token(&new).await);
    world.delete("shop").await;
    world.gone("shop").await;
    assert_eq!(world.in_hydra(&former.id).await, None);
}

/// Waits until the Secret holds a secret other than that of `former` which gets a token.
async fn works_with_another_secret(world: &World, name: &str, former: &Credentials) -> Credentials {
    eventually(&format!("Secret {name} has a secret that works"), async || {
        world.secrets.get_opt(name).await.unwrap()?;
        let new = world.credentials(name).await;
        (new.secret != former.secret && world.gets_token(&new).await).then_some(new)
    })
    .await
}
