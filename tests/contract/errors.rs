//! The classes of errors that a real server can be made to show.

use std::sync::{Arc, Mutex};

use hydra_operator::hydra::{ErrorKind, Generation, Hydra, HydraConfig, Operation};
use serde_json::json;

use crate::server::{Program, Server};
use crate::{client, config, hydra, id, secret};

crate::on_both_generations!(
    refusals_are_classified_and_explained,
    ids_out_of_reach_are_not_sent,
    a_server_that_is_away_is_unreachable,
    the_address_may_be_the_one_that_maester_has,
);

async fn refusals_are_classified_and_explained(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    let v1 = hydra.generation().await.unwrap() == Generation::V1;
    hydra.create_client(&client(json!({"client_id": "taken"})), None).await.unwrap();
    let no_duration = if v1 { (500, ErrorKind::Transient) } else { (400, ErrorKind::Invalid) };
    for (members, (status, kind), explanation) in [
        (json!({"client_id": "taken"}), (409, ErrorKind::Conflict), "exists already"),
        (
            json!({"userinfo_signed_response_alg": "ES256"}),
            (400, ErrorKind::Invalid),
            "userinfo_signed_response_alg can either be",
        ),
        (
            json!({"redirect_uris": ["https://app.example/#fragment"]}),
            (400, ErrorKind::Invalid),
            "must not contain fragments",
        ),
        (
            json!({"jwks_uri": "https://app.example/", "jwks": {"keys": [{"kty": "oct", "k": "AQ"}]}}),
            (400, ErrorKind::Invalid),
            "jwks and jwks_uri can not both be set",
        ),
        (json!({"implicit_grant_id_token_lifespan": "1d"}), no_duration, ""),
    ] {
        let error = hydra.create_client(&client(members.clone()), None).await.err().unwrap();
        assert_eq!((error.status(), error.kind()), (Some(status), kind), "{members}: {error}");
        assert!(error.to_string().contains(explanation), "{error}");
        assert_eq!((error.retry_after(), error.refuses_chosen_ids()), (None, false));
    }
    let taken = client(json!({"client_id": "taken", "subject_type": "unknown"}));
    let error = hydra.replace_client(&id("taken"), &taken, None).await.err().unwrap();
    assert_eq!((error.operation(), error.kind()), (Operation::ReplaceClient, ErrorKind::Invalid));
}

async fn ids_out_of_reach_are_not_sent(program: Program) {
    let server = Server::start(program).await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let log = sent.clone();
    let hook = move |operation, _, _| log.lock().unwrap().push(operation);
    let hydra =
        Hydra::new(HydraConfig { on_request: Some(Arc::new(hook)), ..config(&server.admin_url()) });
    let hydra = hydra.unwrap();
    if hydra.generation().await.unwrap() == Generation::V25 {
        return;
    }
    let desired = client(json!({"client_id": "a/b"}));
    let errors = [
        hydra.get_client(&id("a/b")).await.err(),
        hydra.create_client(&desired, Some(&secret("secret"))).await.err(),
        hydra.replace_client(&id("a%b"), &desired, None).await.err(),
        hydra.delete_client(&id("a/b")).await.err(),
    ];
    for error in errors.map(Option::unwrap) {
        assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, None));
        assert!(error.to_string().contains("not sent"), "{error}");
    }
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    assert!(sent.iter().all(|operation| *operation == Operation::Discover), "{sent:?}");

    // What would happen otherwise: the client is created and then out of reach.
    let clients = if program == Program::Hydra1 { "clients" } else { "admin/clients" };
    let http = crate::https::plain_client();
    let collection = server.admin_url().join(clients).unwrap();
    let created =
        http.post(collection.clone()).body(r#"{"client_id":"a/b"}"#).send().await.unwrap();
    assert_eq!(created.status(), 201);
    let one = format!("{collection}/a%2Fb");
    assert_eq!(http.get(one).send().await.unwrap().status(), 404);
}

async fn a_server_that_is_away_is_unreachable(program: Program) {
    let server = Server::start(program).await;
    let known = hydra(&server.admin_url());
    known.generation().await.unwrap();
    let fresh = hydra(&server.admin_url());
    drop(server);
    for error in [
        known.get_client(&id("a")).await.err(),
        fresh.list_clients(None).await.err(),
        fresh.ready().await.err(),
        fresh.version().await.err(),
        hydra(&"http://hydra.invalid/".parse().unwrap()).ready().await.err(),
    ] {
        let error = error.unwrap();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, None), "{error}");
        assert!(error.to_string().contains("no connection"), "{error}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}

async fn the_address_may_be_the_one_that_maester_has(program: Program) {
    let server = Server::start(program).await;
    for path in ["clients", "admin/clients/", "admin"] {
        let hydra = hydra(&server.admin_url().join(path).unwrap());
        assert_eq!(hydra.list_clients(None).await.unwrap(), []);
        hydra.version().await.unwrap();
    }
    // Hydra's public port serves no list of clients.
    let error = hydra(&server.public_url()).generation().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("is this the address of Hydra's admin API?"), "{error}");
}
