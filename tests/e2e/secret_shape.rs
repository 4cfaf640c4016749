//! How a resource says what its Secret looks like, whose it is to make, and which client it is for.

use std::collections::BTreeMap;

use hydra_operator::api::CHANGE_CLIENT_ID_ANNOTATION;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::{
    on_each_generation,
    proxy::TlsProxy,
    support::{
        Generation, Hydra, Operator, OperatorOptions, eventually, folder::Folder,
        hydra_api::service_client, pki::Authority, ports::free_port,
    },
    world::{World, client_id, message, shown},
};

on_each_generation!(
    the_secret_has_the_form_that_the_resource_gives_it,
    values_of_the_discovery_document_reach_the_secret,
    a_discovery_document_that_changed_meanwhile_is_noticed,
    a_public_port_that_is_away_takes_no_readiness,
    the_public_port_may_have_a_private_authority,
    keys_that_are_renamed_keep_their_values,
    what_would_give_a_secret_a_meaning_is_refused,
    a_secret_of_others_is_waited_for,
    a_secret_of_others_that_goes_is_not_replaced,
    another_client_is_taken_at_the_users_word,
    a_secret_that_is_written_with_the_same_value_is_not_sent_again,
    duplicates_go_where_the_administrator_allows_it,
);

fn data(secret: &Secret) -> BTreeMap<String, String> {
    let pairs = secret.data.iter().flatten();
    pairs.map(|(key, value)| (key.clone(), String::from_utf8(value.0.clone()).unwrap())).collect()
}

async fn secret(world: &World) -> Secret {
    world.secrets.get("shop-credentials").await.unwrap()
}

async fn the_secret_has_the_form_that_the_resource_gives_it(generation: Generation) {
    let world = World::new("form", generation).await;
    let template = json!({
        "labels": { "team": "a" },
        "annotations": { "example.com/note": "n" },
        "data": { "region": { "value": "eu" } },
    });
    let keys = json!({ "clientId": "id", "clientIdAliases": ["ID"], "clientSecretAliases": ["S"] });
    world.create("shop", &json!({ "secretTemplate": template, "secretKeys": keys })).await;
    let id = client_id(&world.ready("shop").await);
    let made = secret(&world).await;
    let held = data(&made);
    let value = held["CLIENT_SECRET"].clone();
    let names: Vec<&str> = held.keys().map(String::as_str).collect();
    assert_eq!(names, ["CLIENT_SECRET", "ID", "S", "id", "region"]);
    assert_eq!([&held["id"], &held["ID"]], [&id, &id]);
    assert_eq!([&held["S"], &held["region"]], [&value, "eu"]);
    let labels = made.metadata.labels.unwrap();
    assert_eq!(labels["team"], "a");
    assert_eq!(made.metadata.annotations.unwrap()["example.com/note"], "n");
    assert!(world.hydra.token(&id, &value).await.is_ok());

    // What others add stays, and what is declared no more goes.
    world.edit_secret("shop-credentials", &json!({ "theirs": "x", "region": "us" })).await;
    let template = json!({ "labels": null, "data": { "region": null, "zone": { "value": "1" } } });
    world.edit("shop", &json!({ "secretTemplate": template, "secretKeys": null })).await;
    world.ready("shop").await;
    let made = secret(&world).await;
    let held = data(&made);
    let names: Vec<&str> = held.keys().map(String::as_str).collect();
    assert_eq!(names, ["CLIENT_ID", "CLIENT_SECRET", "theirs", "zone"]);
    assert_eq!((&held["CLIENT_ID"], &held["CLIENT_SECRET"]), (&id, &value));
    assert!(!made.metadata.labels.unwrap().contains_key("team"));
    assert!(world.hydra.token(&id, &value).await.is_ok());
    assert_eq!(world.hydra.client_ids_of(&world.owner("shop")).await, [id]);
    world.assert_no_secret_leaked(&[&value]).await;
}

async fn values_of_the_discovery_document_reach_the_secret(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let well_known = json!({
        "issuer": { "wellKnown": "issuer" },
        "token": { "wellKnown": "token_endpoint" },
        "auth": { "wellKnown": "authorization_endpoint" },
        "discovery": { "wellKnown": "discovery_url" },
    });
    let spec = json!({ "secretTemplate": { "data": well_known } });
    let public = format!("--hydra-public-url={}", hydra.public_url());
    let world = World::with_args("well-known", hydra, &[&public]).await;
    world.create("shop", &spec).await;
    world.ready("shop").await;
    let held = data(&secret(&world).await);
    let issuer = held["issuer"].trim_end_matches('/').to_owned();
    assert_eq!(held["token"], format!("{issuer}/oauth2/token"));
    assert_eq!(held["auth"], format!("{issuer}/oauth2/auth"));
    assert_eq!(held["discovery"], format!("{issuer}/.well-known/openid-configuration"));

    let world = World::new("unknown", generation).await;
    world.create("shop", &spec).await;
    let stalled = world.shows("shop", "Stalled=True InvalidSpec").await;
    assert!(message(&stalled).contains("--hydra-public-url"), "{}", message(&stalled));
    assert_eq!(world.count_secrets().await, 0);
}

/// A resource whose Secret has a value of the discovery document.
fn with_issuer() -> Value {
    json!({ "secretTemplate": { "data": { "issuer": { "wellKnown": "issuer" } } } })
}

/// As after an upgrade, or a change of Hydra's settings while the operator was down.
async fn a_discovery_document_that_changed_meanwhile_is_noticed(generation: Generation) {
    let (hydra, other) = (Hydra::shared(generation).await, Hydra::start(generation).await);
    let args = |url: &str| [format!("--hydra-public-url={url}"), "--resync-interval=1s".to_owned()];
    let before = args(hydra.public_url());
    let mut world = World::with_args("issuer", hydra, &before.each_ref().map(String::as_str)).await;
    world.create("shop", &with_issuer()).await;
    let shop = world.ready("shop").await;
    let made = secret(&world).await;
    let id = client_id(&shop);
    let client = world.in_hydra(&id).await;

    world.operator.process().terminate().await;
    world.operator.start_again().await;
    world.two_sweeps().await;
    assert_eq!(secret(&world).await, made, "a restart writes nothing");
    assert_eq!(world.in_hydra(&id).await, client, "a restart writes nothing");
    assert_eq!(world.ready("shop").await.metadata, shop.metadata, "a restart writes nothing");

    world.operator.process().terminate().await;
    let options = OperatorOptions::new(hydra.admin_url())
        .namespaces([&world.namespace])
        .args(args(other.public_url()));
    world.operator = Operator::start(&world.cp, options).await;
    eventually("the new issuer is in the Secret", async || {
        let issuer = data(&secret(&world).await)["issuer"].clone();
        if issuer.starts_with(other.public_url()) { Ok(()) } else { Err(issuer) }
    })
    .await;
    world.ready("shop").await;
    assert_eq!(world.in_hydra(&id).await, client, "nothing concerned Hydra");
}

async fn a_public_port_that_is_away_takes_no_readiness(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let public = format!("--hydra-public-url={}", hydra.public_url());
    let mut world = World::with_args("public", hydra, &[&public]).await;
    world.create("shop", &with_issuer()).await;
    let id = client_id(&world.ready("shop").await);
    world.operator.process().terminate().await;

    // What has changed in Hydra makes for a pass.
    let mut client = world.in_hydra(&id).await.unwrap();
    client["scope"] = json!("admin");
    assert_eq!(world.hydra.put_client(&id, &client).await.status, 200);
    let nobody = format!("--hydra-public-url=http://127.0.0.1:{}", free_port());
    let options = OperatorOptions::new(hydra.admin_url())
        .namespaces([&world.namespace])
        .args([&*nobody, "--resync-interval=1h"]);
    world.operator = Operator::start(&world.cp, options).await;
    let away = ("reason", "DiscoveryUnavailable");
    eventually("a pass has found the port away", async || {
        world.operator.metric("hydra_operator_outcomes_total", &[away]).await >= 2.0
    })
    .await;
    world.ready("shop").await;
    world.create("new", &with_issuer()).await;
    let waiting = world.shows("new", "Ready=False DiscoveryUnavailable").await;
    assert!(shown(&waiting).contains(&"Reconciling=True DiscoveryUnavailable".to_owned()));
    assert_eq!(world.events("shop").await.get("Warning DiscoveryUnavailable"), None);
    // The admin API is not suspected: there was one sweep, and the next one is in an hour.
    let sweeps = [("result", "success")];
    let sweeps = world.operator.metric("hydra_operator_sweeps_total", &sweeps).await;
    assert!(sweeps < 1.5, "{sweeps}");
}

async fn the_public_port_may_have_a_private_authority(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let (authority, folder) = (Authority::new(), Folder::new("public"));
    let public = TlsProxy::before(hydra.public_url(), &authority).await;
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let identity = authority.client("operator", None);
    let args = [
        format!("--hydra-public-url={}", public.url()),
        format!("--hydra-ca-file={}", file("ca.pem", &authority.certificate())),
        format!("--hydra-client-cert-file={}", file("tls.crt", &identity.certificate)),
        format!("--hydra-client-key-file={}", file("tls.key", &identity.key)),
    ];
    let world = World::with_args("authority", hydra, &args.each_ref().map(String::as_str)).await;
    world.create("shop", &with_issuer()).await;
    world.ready("shop").await;
    assert!(data(&secret(&world).await)["issuer"].starts_with(hydra.public_url()));
}

async fn keys_that_are_renamed_keep_their_values(generation: Generation) {
    let world = World::new("keys", generation).await;
    let keys = |id: &str, secret: &str| json!({ "secretKeys": { "clientId": id, "clientSecret": secret } });
    world.create("shop", &keys("a", "b")).await;
    let id = client_id(&world.ready("shop").await);
    let value = data(&secret(&world).await)["b"].clone();
    // One name alone, both in each other's place, and both to others.
    for (id_key, secret_key) in [("a", "s"), ("s", "a"), ("c", "d")] {
        world.edit("shop", &keys(id_key, secret_key)).await;
        world.ready("shop").await;
        let held = data(&secret(&world).await);
        assert_eq!((&held[id_key], &held[secret_key]), (&id, &value), "{id_key} {secret_key}");
        assert_eq!(held.len(), 2);
    }
    let expected: BTreeMap<String, String> =
        [("c", &id), ("d", &value)].map(|(key, value)| (key.to_owned(), value.clone())).into();
    assert_eq!(data(&secret(&world).await), expected);
    assert!(world.hydra.token(&id, &value).await.is_ok());
}

async fn what_would_give_a_secret_a_meaning_is_refused(generation: Generation) {
    let world = World::new("reserved", generation).await;
    let refused = [
        json!({ "labels": { "argocd.argoproj.io/secret-type": "cluster" } }),
        json!({ "annotations": { "kubernetes.io/service-account.name": "default" } }),
        json!({ "labels": { "app.kubernetes.io/managed-by": "me" } }),
        json!({ "data": { "CLIENT_ID": { "value": "another" } } }),
    ];
    for (n, template) in refused.iter().enumerate() {
        let name = format!("shop-{n}");
        world.create(&name, &json!({ "secretTemplate": template })).await;
        world.shows(&name, "Stalled=True InvalidSpec").await;
    }
    assert_eq!(world.count_secrets().await, 0);
    let mut typed = World::resource("typed", &json!({}));
    let template = json!({ "type": "kubernetes.io/service-account-token" });
    typed.spec.secret_template = serde_json::from_value(template).unwrap();
    let answer = world.resources.create(&PostParams::default(), &typed).await;
    assert!(answer.is_err(), "the schema lists the types");
}

async fn a_secret_of_others_is_waited_for(generation: Generation) {
    let world = World::alone("waits", generation).await;
    world.create("shop", &json!({ "requireExistingSecret": true })).await;
    world.shows("shop", "Reconciling=True WaitingForSecret").await;
    assert_eq!(world.hydra.counters().await.writes(), 0);
    world.create_secret("shop-credentials", &json!({ "CLIENT_ID": "half" })).await;
    world.pass("shop").await;
    world.shows("shop", "Reconciling=True WaitingForSecret").await;
    world.edit_secret("shop-credentials", &json!({ "CLIENT_SECRET": "made-elsewhere" })).await;
    assert_eq!(client_id(&world.ready("shop").await), "half");
    assert!(world.hydra.token("half", "made-elsewhere").await.is_ok());
    world.assert_no_secret_leaked(&["made-elsewhere"]).await;
}

async fn a_secret_of_others_that_goes_is_not_replaced(generation: Generation) {
    let world = World::new("goes", generation).await;
    let id = format!("by-hand-{}", world.namespace);
    let values = json!({ "CLIENT_ID": id, "CLIENT_SECRET": "made-elsewhere" });
    world.create_secret("shop-credentials", &values).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    world.delete_secret("shop-credentials").await;
    world.shows("shop", "Reconciling=True WaitingForSecret").await;
    assert_eq!(world.count_secrets().await, 0);
    assert!(world.hydra.token(&id, "made-elsewhere").await.is_ok(), "the client works on");
    let values = json!({ "CLIENT_ID": id, "CLIENT_SECRET": "made-once-more" });
    world.create_secret("shop-credentials", &values).await;
    world.ready("shop").await;
    assert!(world.hydra.token(&id, "made-once-more").await.is_ok());
    world.assert_no_secret_leaked(&["made-elsewhere", "made-once-more"]).await;
}

async fn another_client_is_taken_at_the_users_word(generation: Generation) {
    let world = World::new("another", generation).await;
    let [former, new] = ["former", "new"].map(|id| format!("{id}-{}", world.namespace));
    let values = json!({ "CLIENT_ID": former, "CLIENT_SECRET": "secret-of-former" });
    world.create_secret("shop-credentials", &values).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let values = json!({ "CLIENT_ID": new, "CLIENT_SECRET": "secret-of-new" });
    world.edit_secret("shop-credentials", &values).await;
    let stalled = world.shows("shop", "Stalled=True ClientIdChanged").await;
    assert!(message(&stalled).contains(CHANGE_CLIENT_ID_ANNOTATION), "{}", message(&stalled));
    assert!(world.hydra.token(&former, "secret-of-former").await.is_ok());

    world.annotate("shop", CHANGE_CLIENT_ID_ANNOTATION, "something-else").await;
    world.pass("shop").await;
    world.shows("shop", "Stalled=True ClientIdChanged").await;
    world.annotate("shop", CHANGE_CLIENT_ID_ANNOTATION, &new).await;
    assert_eq!(client_id(&world.ready("shop").await), new);
    assert!(world.hydra.token(&new, "secret-of-new").await.is_ok());
    assert_eq!(world.hydra.client_ids_of(&world.owner("shop")).await, [new]);
    eventually("the change is told", async || {
        world.events("shop").await.contains_key("Normal ClientReplaced")
    })
    .await;
}

async fn a_secret_that_is_written_with_the_same_value_is_not_sent_again(generation: Generation) {
    let world = World::alone("same-value", generation).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let writes = world.hydra.counters().await.writes();
    world.edit_secret("shop-credentials", &json!({ "note": "mine" })).await;
    let version = secret(&world).await.metadata.resource_version.unwrap();
    eventually("the version is recorded", async || {
        let resource = world.resources.get("shop").await.unwrap();
        resource.status.unwrap().secret.unwrap().resource_version == version
    })
    .await;
    assert_eq!(world.hydra.counters().await.writes(), writes);
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
}

async fn duplicates_go_where_the_administrator_allows_it(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let args = ["--resync-interval=1s", "--remove-duplicate-clients"];
    let world = World::with_args("duplicates", hydra, &args).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let foreign = format!("foreign-{}", world.namespace);
    for (other, owner) in [("a", "shop"), ("b", "shop"), ("c", "another")] {
        let mut client = service_client(&format!("{other}-{foreign}"), "a-secret-of-its-own");
        client["owner"] = Value::String(world.owner(owner));
        assert_eq!(world.hydra.post_client(&client).await.status, 201);
    }
    eventually("the duplicates are gone", async || {
        world.hydra.client_ids_of(&world.owner("shop")).await == [id.clone()]
    })
    .await;
    assert_eq!(world.hydra.client_ids_of(&world.owner("another")).await.len(), 1);
    eventually("each is told", async || {
        world.events("shop").await.get("Normal DuplicateClientDeleted") == Some(&2)
    })
    .await;
    world.ready("shop").await;
}
