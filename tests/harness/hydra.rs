//! Both generations of Hydra do what a test needs of them.

use futures::{StreamExt, future::join_all, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Generation, Hydra,
    hydra_api::{Authentication, service_client},
};

/// With characters that the two ways of authentication encode differently.
const SECRET: &str = "a secret+of%the/test:é";

#[tokio::test]
async fn client_gets_a_token() {
    for generation in Generation::ALL {
        let hydra = Hydra::shared(generation).await;
        let mut client = service_client("token", SECRET);
        for (authentication, method) in [
            (Authentication::Basic, "client_secret_basic"),
            (Authentication::Post, "client_secret_post"),
        ] {
            client["token_endpoint_auth_method"] = method.into();
            hydra.delete_client("token").await;
            assert_eq!(hydra.post_client(&client).await.status, 201, "{generation:?}");

            let token = hydra.token_by(authentication, "token", SECRET).await.unwrap();

            let introspection = hydra.introspect(&token).await;
            assert_eq!(introspection["active"], true, "{generation:?} {introspection}");
            assert_eq!(introspection["client_id"], "token");
            let refusal = hydra.token_by(authentication, "token", "wrong").await.unwrap_err();
            assert_eq!(refusal.status, 401, "{generation:?} {refusal:?}");
        }
        hydra.delete_client("token").await;
        assert_eq!(hydra.get_client("token").await, None);
        assert_eq!(hydra.introspect("no-token").await["active"], false);
    }
}

#[tokio::test]
async fn restart_keeps_ports_and_clients() {
    for generation in Generation::ALL {
        let mut hydra = Hydra::start(generation).await;
        let admin_url = hydra.admin_url().to_owned();
        hydra.post_client(&service_client("kept", SECRET)).await;

        hydra.stop().await;
        assert!(reqwest_refused(&admin_url).await, "{generation:?} still answers");
        hydra.start_again().await;
        assert_eq!(hydra.admin_url(), admin_url);
        assert!(hydra.token("kept", SECRET).await.is_ok(), "{generation:?}");

        hydra.process().kill_9().await;
        hydra.start_again().await;
        assert!(hydra.token("kept", SECRET).await.is_ok(), "{generation:?}");
    }
}

async fn reqwest_refused(url: &str) -> bool {
    let answer = crate::support::hydra_api::http().get(url).send().await;
    answer.is_err_and(|error| error.is_connect())
}

#[tokio::test]
async fn parallel_writers_do_not_disturb_each_other() {
    for generation in Generation::ALL {
        let hydra = &Hydra::start(generation).await;
        let ids: Vec<_> = (0..250).map(|number| format!("parallel-{number:03}")).collect();
        let create = |id: String| async move {
            let status = hydra.post_client(&service_client(&id, SECRET)).await.status;
            (status, hydra.token(&id, SECRET).await.is_ok())
        };
        let created: Vec<_> =
            stream::iter(ids.clone()).map(create).buffer_unordered(16).collect().await;
        assert!(created.iter().all(|outcome| *outcome == (201, true)), "{generation:?}");

        // More than a page.
        let mut listed: Vec<_> = hydra.list_all_clients().await;
        listed.sort_by_key(|client| client["client_id"].to_string());
        let listed: Vec<_> = listed.iter().map(|client| client["client_id"].as_str()).collect();
        assert_eq!(listed, ids.iter().map(|id| Some(id.as_str())).collect::<Vec<_>>());

        let delete = |id: String| async move { hydra.delete_client(&id).await.status };
        let deleted: Vec<_> = stream::iter(ids).map(delete).buffer_unordered(16).collect().await;
        assert!(deleted.iter().all(|status| *status == 204), "{generation:?}");
        assert!(hydra.list_all_clients().await.is_empty(), "{generation:?}");
    }
}

#[tokio::test]
async fn settings_reach_the_server() {
    let settings = [("OIDC_SUBJECT_IDENTIFIERS_SUPPORTED_TYPES", "public")];
    let hydra = Hydra::start_with(Generation::V2, &settings).await;
    let mut client = service_client("pairwise", SECRET);
    client["subject_type"] = "pairwise".into();
    assert_eq!(hydra.post_client(&client).await.status, 400);
}

/// A set of two rows is stored in a transaction, and a client is replaced in one that reads first.
#[tokio::test]
async fn parallel_transactions_do_not_disturb_each_other() {
    const WRITERS: usize = 12;
    const ROUNDS: usize = 20;
    for generation in Generation::ALL {
        let hydra = &Hydra::start(generation).await;
        let send = async |method: Method, path: String, body: Option<Value>, expected: u16| {
            let answer = hydra.admin(method.clone(), &path, body.as_ref()).await;
            assert_eq!(answer.status, expected, "{generation:?} {method} {path}: {answer:?}");
        };
        let keys = async |id: String| {
            let set = format!("/keys/{id}");
            let key = json!({ "alg": "ES256", "use": "sig", "kid": "key" });
            send(Method::POST, set.clone(), Some(key), 201).await;
            send(Method::GET, set.clone(), None, 200).await;
            send(Method::DELETE, set, None, 204).await;
        };
        let client = async |id: String| {
            let client = service_client(&id, SECRET);
            send(Method::POST, "/clients".to_owned(), Some(client.clone()), 201).await;
            send(Method::PUT, format!("/clients/{id}"), Some(client), 200).await;
            send(Method::DELETE, format!("/clients/{id}"), None, 204).await;
        };
        let writers = (0..WRITERS).map(async |writer| {
            for round in 0..ROUNDS {
                let id = format!("transaction-{writer}-{round}");
                if writer % 2 == 0 { keys(id).await } else { client(id).await }
            }
        });
        join_all(writers).await;
    }
}
