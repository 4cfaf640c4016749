//! From a resource to a client and back.

use hydra_operator::api::OAuth2Client;
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::{
    on_each_generation,
    signing::ClientKey,
    support::{
        ControlPlane, Generation, Hydra,
        hydra_api::{Authentication, http},
    },
    world::{World, client_id},
};

on_each_generation!(
    a_resource_becomes_a_client_with_working_credentials,
    an_edit_leaves_the_secret_as_it_is,
    a_public_client_has_no_secret,
    a_client_with_keys_authenticates_with_them,
    the_secret_is_presented_as_the_spec_says,
    a_client_that_gives_up_being_public_gets_a_secret,
    kubectl_tells_how_it_went,
);

async fn a_resource_becomes_a_client_with_working_credentials(generation: Generation) {
    // Everything that it and its libraries can log is searched for secrets in the end.
    let (hydra, most) = (Hydra::shared(generation).await, ["--log-level=trace"]);
    let world = World::with_args("create", hydra, &most).await;
    world.create("shop", &json!({})).await;
    let ready = world.ready("shop").await;
    let credentials = world.credentials("shop-credentials").await;
    assert_eq!(client_id(&ready), credentials.id);
    assert!(world.gets_token(&credentials).await);
    let client = world.in_hydra(&credentials.id).await.unwrap();
    assert_eq!(client["owner"], world.owner("shop"));

    world.delete("shop").await;
    world.gone("shop").await;
    assert_eq!(world.in_hydra(&credentials.id).await, None);
    assert!(!world.gets_token(&credentials).await);
    world.assert_no_secret_leaked(&[credentials.secret()]).await;
}

async fn an_edit_leaves_the_secret_as_it_is(generation: Generation) {
    let world = World::new("edit", generation).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let before = world.secrets.get("shop-credentials").await.unwrap();

    world.edit("shop", &json!({ "scope": "admin", "clientName": "Shop" })).await;
    let ready = world.ready("shop").await;
    assert_eq!(world.in_hydra(&client_id(&ready)).await.unwrap()["scope"], "admin");
    assert_eq!(world.secrets.get("shop-credentials").await.unwrap(), before);
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
}

async fn a_public_client_has_no_secret(generation: Generation) {
    let world = World::new("public", generation).await;
    let callback = "http://127.0.0.1/callback";
    let spec = json!({
        "grantTypes": ["authorization_code"],
        "responseTypes": ["code"],
        "redirectUris": [callback],
        "tokenEndpointAuthMethod": "none",
    });
    world.create("app", &spec).await;
    let ready = world.ready("app").await;
    let secret = world.secrets.get("app-credentials").await.unwrap();
    assert_eq!(secret.data.unwrap().into_keys().collect::<Vec<_>>(), ["CLIENT_ID"]);
    let id = world.credentials("app-credentials").await.id;
    assert_eq!(id, client_id(&ready));
    let client = world.in_hydra(&id).await.unwrap();
    assert_eq!(client["token_endpoint_auth_method"], "none");

    let endpoint = format!("{}/oauth2/auth", world.hydra.public_url());
    let asks = |id: &str| {
        format!(
            "{endpoint}?client_id={id}&response_type=code&scope=read&state=some-state&\
             redirect_uri={callback}&code_challenge_method=S256&\
             code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        )
    };
    let leads_to = async |id| http().get(asks(id)).send().await.unwrap().url().to_string();
    assert!(leads_to(&id).await.contains("login_challenge="), "{}", leads_to(&id).await);
    assert!(leads_to("nobody").await.contains("invalid_client"));
}

async fn a_client_with_keys_authenticates_with_them(generation: Generation) {
    let world = World::new("keys", generation).await;
    let (first, second) = (ClientKey::generate("first"), ClientKey::generate("second"));
    let spec = json!({
        "tokenEndpointAuthMethod": "private_key_jwt",
        "tokenEndpointAuthSigningAlg": "ES256",
        "jwks": { "keys": [first.public_jwk()] },
    });
    world.create("robot", &spec).await;
    let id = client_id(&world.ready("robot").await);
    let secret = world.secrets.get("robot-credentials").await.unwrap();
    assert_eq!(secret.data.unwrap().into_keys().collect::<Vec<_>>(), ["CLIENT_ID"]);
    assert!(first.gets_token(&world.hydra, &id).await);
    assert!(!second.gets_token(&world.hydra, &id).await);

    world.edit("robot", &json!({ "jwks": { "keys": [second.public_jwk()] } })).await;
    world.ready("robot").await;
    assert!(second.gets_token(&world.hydra, &id).await);
    assert!(!first.gets_token(&world.hydra, &id).await, "a key that was removed");
}

async fn the_secret_is_presented_as_the_spec_says(generation: Generation) {
    use Authentication::{Basic, Post};
    let world = World::new("methods", generation).await;
    world.create("shop", &json!({})).await;
    world.ready("shop").await;
    let credentials = world.credentials("shop-credentials").await;
    let ways = [
        (json!(null), vec![Basic]),
        (json!("client_secret_post"), vec![Post]),
        (json!("none"), vec![]),
        (json!("client_secret_basic"), vec![Basic]),
    ];
    for (method, accepted) in ways {
        world.edit("shop", &json!({ "tokenEndpointAuthMethod": method })).await;
        world.ready("shop").await;
        for way in [Basic, Post] {
            let (id, secret) = (&credentials.id, credentials.secret());
            let token = world.hydra.token_by(way, id, secret).await;
            assert_eq!(token.is_ok(), accepted.contains(&way), "{method} by {way:?}: {token:?}");
        }
    }
    let kept = world.credentials("shop-credentials").await;
    assert_eq!((kept.id, kept.secret), (credentials.id.clone(), credentials.secret.clone()));
    world.assert_no_secret_leaked(&[credentials.secret()]).await;
}

/// Hydra gives a client that it makes without a secret one that nobody knows.
async fn a_client_that_gives_up_being_public_gets_a_secret(generation: Generation) {
    let world = World::new("confidential", generation).await;
    world.create("shop", &json!({ "tokenEndpointAuthMethod": "none" })).await;
    let id = client_id(&world.ready("shop").await);
    assert!(world.credentials("shop-credentials").await.secret.is_none());
    world.edit("shop", &json!({ "tokenEndpointAuthMethod": "client_secret_basic" })).await;
    world.ready("shop").await;
    let credentials = world.credentials("shop-credentials").await;
    assert_eq!(credentials.id, id);
    assert!(world.gets_token(&credentials).await);
    world.assert_no_secret_leaked(&[credentials.secret()]).await;
}

async fn kubectl_tells_how_it_went(generation: Generation) {
    let world = World::new("kubectl", generation).await;
    world.create("shop", &json!({})).await;
    let kubectl =
        |args: &[&str]| world.cp.kubectl(&[&["--namespace", &world.namespace], args].concat());
    kubectl(&["wait", "oauth2client/shop", "--for=condition=Ready", "--timeout=60s"]);
    let id = world.credentials("shop-credentials").await.id;
    for name in ["oauth2clients", "oauth2", "hydraclient"] {
        let table = kubectl(&["get", name]);
        let lines: Vec<_> = table.lines().collect();
        let cells: Vec<_> = lines[1].split_whitespace().collect();
        let header = lines[0].split("  ").map(str::trim).filter(|title| !title.is_empty());
        let titles = ["NAME", "READY", "REASON", "CLIENT ID", "SECRET", "AGE"];
        assert_eq!(header.collect::<Vec<_>>(), titles);
        assert_eq!(cells[..5], ["shop", "True", "Synced", &*id, "shop-credentials"]);
    }
    assert!(kubectl(&["get", "oauth2", "-o", "wide"]).contains("the Secret holds its credentials"));
    assert_eq!(kubectl(&["get", "hydra", "-o", "name"]), "oauth2client.hydra.ory.sh/shop\n");
    kubectl(&["delete", "oauth2", "shop", "--wait", "--timeout=60s"]);
    assert_eq!(world.in_hydra(&id).await, None);
}

/// kstatus takes a resource without a status for one that is in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_no_operator_has_seen_says_so() {
    let cp = ControlPlane::shared().await;
    let namespace = cp.namespace("unseen").await;
    let resources: Api<OAuth2Client> = Api::namespaced(cp.client().await, &namespace);
    let resource = World::resource("shop", &json!({}));
    resources.create(&PostParams::default(), &resource).await.unwrap();
    let status = resources.get("shop").await.unwrap().status.unwrap();
    assert_eq!(status.observed_generation, Some(-1));
    assert!(status.conditions.is_empty());
}
