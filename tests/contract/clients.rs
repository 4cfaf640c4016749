//! The operations on one client.

use std::time::Duration;

use hydra_operator::hydra::meaning::{ServerDefaults, Unlearned, differences, merged};
use hydra_operator::hydra::{Deletion, ErrorKind, OAuth2Client};
use serde_json::json;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::server::{Program, Server};
use crate::{client, hydra, id, secret};

crate::on_both_generations!(
    a_client_lives_and_dies,
    hydra_chooses_what_is_left_open,
    a_secret_is_kept_or_changed,
    what_is_not_managed_survives,
    an_addressable_id_is_addressed,
    writers_at_once_are_transient_at_worst,
);

async fn a_client_lives_and_dies(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    hydra.ready().await.unwrap();
    let a = id("a");
    assert_eq!(hydra.get_client(&a).await.unwrap_err().kind(), ErrorKind::Absent);
    let missing = hydra.replace_client(&a, &OAuth2Client::default(), None).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Absent);

    let desired = client(json!({"client_id": "a", "client_name": "first", "owner": "n/ns"}));
    let created = hydra.create_client(&desired, Some(&secret("chosen-secret"))).await.unwrap();
    assert_eq!(created.client.client_name.as_deref(), Some("first"));
    assert_eq!(created.secret.unwrap().expose(), "chosen-secret");
    let observed = hydra.get_client(&a).await.unwrap();
    assert_eq!(observed.owner.as_deref(), Some("n/ns"));
    assert!(observed.created_at.is_some() && observed.updated_at.is_some());

    // The id in the body does not count.
    let second = client(json!({"client_id": "b", "client_name": "second"}));
    let replaced = hydra.replace_client(&a, &second, None).await.unwrap();
    assert_eq!(replaced.client_id.as_deref(), Some("a"));
    let observed = hydra.get_client(&a).await.unwrap();
    assert_eq!(observed.client_name.as_deref(), Some("second"));
    assert_eq!(observed.owner.as_deref(), Some(""));

    assert_eq!(hydra.delete_client(&a).await.unwrap(), Deletion::Deleted);
    assert_eq!(hydra.delete_client(&a).await.unwrap(), Deletion::Absent);
    assert_eq!(hydra.get_client(&a).await.unwrap_err().kind(), ErrorKind::Absent);
}

async fn hydra_chooses_what_is_left_open(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    for (method, has_secret) in
        [("client_secret_basic", true), ("private_key_jwt", true), ("none", false)]
    {
        let desired = client(json!({
            "token_endpoint_auth_method": method,
            "jwks_uri": if method == "private_key_jwt" { "https://app.example/jwks" } else { "" },
        }));
        let created = hydra.create_client(&desired, None).await.unwrap();
        let chosen = created.client.client_id.unwrap();
        assert!(!chosen.is_empty());
        assert_eq!(created.secret.is_some(), has_secret, "{method}");
        hydra.get_client(&id(&chosen)).await.unwrap();
    }
}

/// The status of a token request by the client-credentials grant (RFC 6749, section 4.4).
async fn token(public: &Url, id: &str, secret: &str) -> u16 {
    let form =
        Serializer::new(String::new()).append_pair("grant_type", "client_credentials").finish();
    let request = crate::https::plain_client()
        .post(public.join("oauth2/token").unwrap())
        .header("content-type", "application/x-www-form-urlencoded")
        .basic_auth(id, Some(secret));
    request.body(form).send().await.unwrap().status().as_u16()
}

async fn a_secret_is_kept_or_changed(program: Program) {
    let server = Server::start(program).await;
    let (hydra, public) = (hydra(&server.admin_url()), server.public_url());
    let mut desired = client(json!({"client_id": "a", "grant_types": ["client_credentials"]}));
    hydra.create_client(&desired, Some(&secret("the-first-secret"))).await.unwrap();
    assert_eq!(token(&public, "a", "the-first-secret").await, 200);

    desired.client_name = Some("changed".into());
    hydra.replace_client(&id("a"), &desired, None).await.unwrap();
    assert_eq!(token(&public, "a", "the-first-secret").await, 200);

    let longest = "x".repeat(72);
    hydra.replace_client(&id("a"), &desired, Some(&secret(&longest))).await.unwrap();
    assert_eq!(token(&public, "a", "the-first-secret").await, 401);
    assert_eq!(token(&public, "a", &longest).await, 200);

    hydra.delete_client(&id("a")).await.unwrap();
    assert_eq!(token(&public, "a", &longest).await, 401);
}

async fn what_is_not_managed_survives(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    // Hydra answers this client with `jwks: {}`, which it refuses to take back.
    let desired = client(json!({
        "client_id": "a", "client_name": "old", "logo_uri": "https://app.example/logo",
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/jwks",
        "contacts": ["a@app.example"], "metadata": {"a": [1, 2.5]},
        "implicit_grant_id_token_lifespan": "90m",
    }));
    let before = hydra.create_client(&desired, None).await.unwrap().client;

    let desired = client(json!({"client_name": "new", "contacts": []}));
    let observed = hydra.get_client(&id("a")).await.unwrap();
    let body = merged(&desired, &observed);
    hydra.replace_client(&id("a"), &body, None).await.unwrap();
    let after = hydra.get_client(&id("a")).await.unwrap();
    let differing = |desired, observed| {
        let defaults = ServerDefaults::default();
        differences(desired, observed, &defaults, Unlearned::AssumeDifferent)
    };
    assert_eq!(differing(&desired, &after), [""; 0]);
    assert_eq!(differing(&before, &after), ["client_name", "contacts"]);
}

async fn an_addressable_id_is_addressed(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    let generation = hydra.generation().await.unwrap();
    let printable = (b' '..=b'~').filter(|byte| !byte.is_ascii_alphanumeric());
    let in_the_middle = printable.map(|byte| format!("x{}y", char::from(byte)));
    let others = ["...", " x ", "x.", "..x", "grüße", "日本", "a\u{202e}b"].map(str::to_owned);
    for text in in_the_middle.chain(others).chain(["x".repeat(255)]) {
        let id = id(&text);
        let created = hydra.create_client(&client(json!({ "client_id": text })), None).await;
        if generation.addresses(&id) {
            created.unwrap();
            assert_eq!(hydra.get_client(&id).await.unwrap().client_id, Some(text.clone()));
            hydra.replace_client(&id, &OAuth2Client::default(), None).await.unwrap();
            assert_eq!(hydra.delete_client(&id).await.unwrap(), Deletion::Deleted, "{text:?}");
        } else {
            assert_eq!(created.err().unwrap().kind(), ErrorKind::Invalid, "{text:?}");
            assert!(text.contains(['/', '%']), "{text:?}");
        }
    }
    assert_eq!(hydra.list_clients(None).await.unwrap(), []);
}

async fn writers_at_once_are_transient_at_worst(program: Program) {
    let server = Server::start_on_disk(program).await;
    let hydra = hydra(&server.admin_url());
    let writers = (0..32).map(|number| {
        let hydra = hydra.clone();
        tokio::spawn(async move {
            let desired = client(json!({ "client_id": format!("c{number}") }));
            for _ in 0..100 {
                match hydra.create_client(&desired, None).await {
                    Ok(_) => return,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("c{number} cannot be created");
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(hydra.list_clients(None).await.unwrap().len(), 32);
}
