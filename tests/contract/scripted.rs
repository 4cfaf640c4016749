//! What a real server cannot be made to do.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hydra_operator::hydra::meaning::merged;
use hydra_operator::hydra::{Deletion, ErrorKind, Generation, Hydra, HydraConfig, Operation};
use serde_json::{Value, json};

use crate::scripted_server::{Reply, Request, Scripted};
use crate::{client, config, hydra, id, secret};

/// Answers discovery as `generation` does, and everything else by `respond`.
pub fn server(
    generation: Generation,
    respond: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Scripted {
    Scripted::http(move |request| {
        if !request.is_discovery() {
            return respond(request);
        }
        let list = Reply::json(200, &json!([]));
        match (generation, request.path()) {
            (Generation::V1, "/clients") | (Generation::V2, "/admin/clients") => {
                list.with("X-Total-Count", "0")
            }
            (Generation::V25, "/admin/clients") => list,
            _ => no_route(),
        }
    })
}

pub fn no_route() -> Reply {
    Reply::json(
        404,
        &json!({"error": {"code": 404, "message": "Not Found", "reason": "No route."}}),
    )
}

pub fn absent() -> Reply {
    let body = json!({"error": "Unable to locate the resource", "error_description": ""});
    Reply::json(404, &body)
}

#[tokio::test]
async fn waits_that_servers_ask_for_are_reported() {
    for (status, header, expected) in [
        (429, Some(("Retry-After", "7")), Some(7)),
        (429, Some(("x-ratelimit-reset", "12")), Some(12)),
        (503, Some(("Retry-After", "3")), Some(3)),
        (503, None, None),
        (502, None, None),
    ] {
        let server = server(Generation::V25, move |_| match header {
            Some((name, value)) => Reply::html(status).with(name, value),
            None => Reply::html(status),
        });
        let error = hydra(&server.url).get_client(&id("a")).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Transient, Some(status)));
        assert_eq!(error.retry_after(), expected.map(Duration::from_secs));
        assert!(!error.to_string().contains("another program"), "{error}");
        assert_eq!(server.requests().len(), 1, "a request was repeated");
    }
}

/// One that asks to wait is asked nothing until then, about no client.
#[tokio::test]
async fn a_server_that_asks_to_wait_is_left_alone() {
    for (status, header, wait) in
        [(429, "Retry-After", 1), (503, "Retry-After", 1), (429, "x-ratelimit-reset", 1)]
    {
        let is_free = Arc::new(AtomicBool::new(false));
        let free = is_free.clone();
        let server = server(Generation::V25, move |_| {
            if free.load(Ordering::SeqCst) {
                Reply::json(200, &json!({ "client_id": "a" }))
            } else {
                Reply::html(status).with(header, &wait.to_string())
            }
        });
        let hydra = hydra(&server.url);
        assert!(hydra.get_client(&id("a")).await.is_err());
        is_free.store(true, Ordering::SeqCst);
        let errors = [
            hydra.get_client(&id("b")).await.err(),
            hydra.delete_client(&id("a")).await.err(),
            hydra.create_client(&client(json!({})), None).await.err(),
            hydra.list_clients(None).await.err(),
        ];
        for error in errors {
            let error = error.unwrap();
            assert_eq!((error.kind(), error.status()), (ErrorKind::Transient, None));
            assert!(error.retry_after().unwrap() <= Duration::from_secs(wait), "{error}");
        }
        assert_eq!(server.requests().len(), 1, "it was not left alone");
        // Another way to the same server has not been asked to wait.
        assert!(crate::hydra(&server.url).get_client(&id("a")).await.is_ok());
        let over = async || hydra.get_client(&id("a")).await.is_ok();
        while !over().await {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.requests().len(), 3);
    }
}

/// However long it asks for.
#[tokio::test]
async fn nobody_waits_for_longer_than_five_minutes() {
    let server = server(Generation::V25, |_| Reply::html(503).with("Retry-After", "86400"));
    let error = hydra(&server.url).get_client(&id("a")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_mins(5)));
}

#[tokio::test]
async fn a_page_of_another_program_is_not_an_absent_client() {
    for reply in [|| Reply::html(404), no_route, || Reply::json(404, &json!({"error": "no"}))] {
        let server = server(Generation::V2, move |_| reply());
        let hydra = hydra(&server.url);
        let errors = [
            hydra.get_client(&id("a")).await.err(),
            hydra.delete_client(&id("a")).await.err(),
            hydra.replace_client(&id("a"), &client(json!({})), None).await.err(),
        ];
        for error in errors {
            let error = error.unwrap();
            assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, Some(404)));
        }
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Scripted::http(|_| Reply::json(200, &json!({"client_id": "a"})));
    let location = elsewhere.url.to_string();
    let server = server(Generation::V2, move |_| Reply::html(307).with("Location", &location));
    let error = hydra(&server.url).get_client(&id("a")).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, Some(307)));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn the_redirect_of_2_x_leads_to_its_generation() {
    let upgraded = Arc::new(AtomicUsize::new(0));
    let state = upgraded.clone();
    let server = Scripted::http(move |request| {
        let list = Reply::json(200, &json!([])).with("X-Total-Count", "0");
        match (state.load(Ordering::SeqCst), request.path()) {
            (0, "/clients") | (1, "/admin/clients") => list,
            (1, path) if path.starts_with("/clients") => {
                Reply::html(307).with("Location", "http:///admin/clients")
            }
            (1, _) => absent(),
            _ => no_route(),
        }
    });
    let hydra = hydra(&server.url);
    assert_eq!(hydra.generation().await.unwrap(), Generation::V1);
    upgraded.store(1, Ordering::SeqCst);
    assert_eq!(hydra.delete_client(&id("a")).await.unwrap(), Deletion::Absent);
    assert_eq!(hydra.generation().await.unwrap(), Generation::V2);
}

#[tokio::test]
async fn answers_without_an_end_are_given_up() {
    for (reply, words) in [
        ((|| Reply::Cut) as fn() -> Reply, "broke off"),
        (|| Reply::Endless, "larger than 4 MiB"),
        (|| Reply::Silent, "within the time allowed"),
    ] {
        let server = server(Generation::V2, move |_| reply());
        let request_timeout = Duration::from_secs(2);
        let hydra = Hydra::new(HydraConfig { request_timeout, ..config(&server.url) }).unwrap();
        let error = hydra.get_client(&id("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("localhost"), "{error}");
    }
}

#[tokio::test]
async fn answers_that_are_not_hydras_are_errors() {
    for body in [json!([]), json!("x"), json!({"client_id": 3})] {
        let server = server(Generation::V2, move |_| Reply::json(200, &body));
        let error = hydra(&server.url).get_client(&id("a")).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Unreachable, Some(200)));
    }
    let front = Scripted::http(|_| Reply::html(200));
    let error = hydra(&front.url).generation().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unreachable, Operation::Discover));
}

#[tokio::test]
async fn the_refusal_of_chosen_ids_is_recognised() {
    let server = server(Generation::V2, |request| {
        if request.body.contains("client_id") {
            Reply::json(
                400,
                &json!({
                    "error": "The request was malformed or contained invalid parameters",
                    "error_description": "It is no longer possible to set an OAuth2 Client ID as a user. The system will generate a unique ID for you.",
                }),
            )
        } else {
            Reply::json(201, &json!({"client_id": "chosen", "client_secret": "by-the-server"}))
        }
    });
    let hydra = hydra(&server.url);
    let error = hydra.create_client(&client(json!({"client_id": "a"})), None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.refuses_chosen_ids());
    let created = hydra.create_client(&client(json!({})), None).await.unwrap();
    assert_eq!(created.client.client_id.as_deref(), Some("chosen"));
    assert_eq!(created.secret.unwrap().expose(), "by-the-server");
}

#[tokio::test]
async fn unauthorized_means_absent_only_where_1_x_says_so() {
    let of_hydra = json!({
        "error": "The request could not be authorized", "status_code": 401, "request_id": "",
        "error_description": "The requested OAuth 2.0 client does not exist or you did not provide the necessary credentials",
    });
    let of_proxy = json!({"error": "unauthorized", "error_description": "No token."});
    for (generation, body, expected) in [
        (Generation::V1, &of_hydra, ErrorKind::Absent),
        (Generation::V1, &of_proxy, ErrorKind::Forbidden),
        (Generation::V2, &of_hydra, ErrorKind::Forbidden),
    ] {
        let body = body.clone();
        let server = server(generation, move |_| Reply::json(401, &body));
        let hydra = hydra(&server.url);
        assert_eq!(hydra.get_client(&id("a")).await.unwrap_err().kind(), expected);
        assert_eq!(hydra.delete_client(&id("a")).await.unwrap_err().kind(), ErrorKind::Forbidden);
    }
    let closed = Scripted::http(|_| Reply::html(403));
    let error = hydra(&closed.url).get_client(&id("a")).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Forbidden, Operation::Discover));
}

#[tokio::test]
async fn requests_carry_the_headers_that_are_set() {
    let server = server(Generation::V2, |_| absent());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "# proxy\nAuthorization: Bearer ory_pat_first\n").unwrap();
    let hydra = Hydra::new(HydraConfig {
        headers_file: Some(file.path().to_owned()),
        forwarded_proto: Some("https".into()),
        ..config(&server.url)
    })
    .unwrap();
    hydra.get_client(&id("a b")).await.unwrap_err();
    std::fs::write(file.path(), "Authorization: Bearer ory_pat_second\nX-Team: a\n").unwrap();
    hydra.get_client(&id("a b")).await.unwrap_err();
    std::fs::write(file.path(), "broken").unwrap();
    hydra.get_client(&id("a b")).await.unwrap_err();

    let requests = server.requests();
    let authorization: Vec<_> =
        requests.iter().map(|request| request.header("authorization").unwrap()).collect();
    let expected = ["Bearer ory_pat_first", "Bearer ory_pat_second", "Bearer ory_pat_second"];
    assert_eq!(authorization, expected);
    for request in &requests {
        assert_eq!(request.path(), "/admin/clients/a%20b");
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("x-forwarded-proto"), Some("https"));
        assert!(request.header("user-agent").unwrap().starts_with("hydra-operator/"));
    }
}

#[test]
fn an_unusable_file_of_headers_is_named_without_its_values() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "X-A: b\nhunter22").unwrap();
    let url = "http://localhost/".parse().unwrap();
    let headers_file = Some(file.path().to_owned());
    let error = Hydra::new(HydraConfig { headers_file, ..config(&url) }).unwrap_err().to_string();
    assert!(error.contains("line 2") && !error.contains("hunter22"), "{error}");
    assert!(error.contains(file.path().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn no_secret_comes_back_in_an_error() {
    let server = server(Generation::V2, |request| {
        let said = format!("{} {}", request.body, request.header("authorization").unwrap());
        Reply::json(400, &json!({"error": "invalid_request", "error_description": said}))
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Authorization: Bearer ory_pat_1234\n").unwrap();
    let headers_file = Some(file.path().to_owned());
    let hydra = Hydra::new(HydraConfig { headers_file, ..config(&server.url) }).unwrap();
    let (desired, secret) = (client(json!({"client_name": "shown"})), secret("hunter22hunter22"));
    for error in [
        hydra.create_client(&desired, Some(&secret)).await.err(),
        hydra.replace_client(&id("a"), &desired, Some(&secret)).await.err(),
    ] {
        let text = format!("{0} {0:?}", error.unwrap());
        assert!(text.contains("shown"), "{text}");
        assert!(!text.contains("hunter22") && !text.contains("ory_pat_1234"), "{text}");
    }
}

#[tokio::test]
async fn unknown_members_survive_a_put() {
    let stored = json!({
        "client_id": "a", "client_name": "old", "require_pkce": true, "later": {"x": [1, null]},
        "jwks": {}, "registration_access_token": "t0k3n", "client_secret_expires_at": 0,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    let server = server(Generation::V25, move |_| Reply::json(200, &stored));
    let hydra = hydra(&server.url);
    let observed = hydra.get_client(&id("a")).await.unwrap();
    let body = merged(&client(json!({"client_name": "new"})), &observed);
    hydra.replace_client(&id("a"), &body, None).await.unwrap();
    hydra.replace_client(&id("a"), &body, Some(&secret("new-secret"))).await.unwrap();

    let sent: Vec<Value> = server.requests()[1..]
        .iter()
        .map(|request| {
            assert_eq!(request.method, "PUT");
            assert_eq!(request.header("content-type"), Some("application/json"));
            serde_json::from_str(&request.body).unwrap()
        })
        .collect();
    let mut expected = json!({
        "client_id": "a", "client_name": "new", "require_pkce": true, "later": {"x": [1, null]},
    });
    assert_eq!(sent[0], expected);
    expected["client_secret"] = json!("new-secret");
    assert_eq!(sent[1], expected);
}

#[tokio::test]
async fn the_base_path_is_kept() {
    let server = Scripted::http(|request| match request.path() {
        "/hydra/admin/clients" => Reply::json(200, &json!([])),
        "/hydra/version" => Reply::json(200, &json!({"version": "master"})),
        _ => Reply::html(500),
    });
    for base in ["hydra", "hydra/", "hydra/admin/clients"] {
        let hydra = hydra(&server.url.join(base).unwrap());
        assert_eq!(hydra.list_clients(Some("n&a=b/ns")).await.unwrap(), []);
        assert_eq!(hydra.version().await.unwrap(), "master");
        assert_eq!(hydra.generation().await.unwrap(), Generation::V25);
    }
    let target = "/hydra/admin/clients?page_size=500&owner=n%26a%3Db%2Fns";
    assert!(server.requests().iter().any(|request| request.target == target));
}

/// 25.x: pages smaller than asked for, tokens that expire.
#[tokio::test]
async fn a_listing_starts_again_when_its_token_expires() {
    let expired = Arc::new(AtomicUsize::new(0));
    let state = expired.clone();
    let server = server(Generation::V25, move |request| {
        // A link to another place: only its token counts.
        let next = r#"<https://elsewhere.example/?page_token=2>; rel="next""#;
        match request.target.contains("page_token=2") {
            false => Reply::json(200, &json!([{"client_id": "a"}, {"client_id": "b"}]))
                .with("Link", next),
            true if state.fetch_add(1, Ordering::SeqCst) == 0 => {
                Reply::json(400, &json!({"error": "bad token", "error_description": ""}))
            }
            true => Reply::json(200, &json!([{"client_id": "b"}, {"client_id": "c"}])),
        }
    });
    let listed = hydra(&server.url).list_clients(None).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|client| client.client_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_listing_that_turns_in_a_circle_is_an_error() {
    let server = server(Generation::V25, |_| {
        let next = r#"</admin/clients?page_token=same>; rel="next""#;
        Reply::json(200, &json!([{"client_id": "a"}])).with("Link", next)
    });
    let error = hydra(&server.url).list_clients(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(server.requests().len(), 2);
}

/// Releases before 1.10.5 ignore the filter; one client shows up on two pages.
#[tokio::test]
async fn a_listing_is_filtered_and_has_each_client_once() {
    let server = server(Generation::V1, |request| {
        let first = !request.target.contains("offset=500");
        let page: Vec<_> = (0..if first { 500 } else { 10 })
            .map(|number| if first { number } else { number + 495 })
            .map(|number| {
                let owner = if number % 2 == 0 { "even/ns" } else { "odd/ns" };
                json!({ "client_id": format!("c{number}"), "owner": owner })
            })
            .collect();
        Reply::json(200, &json!(page))
    });
    let hydra = hydra(&server.url);
    assert_eq!(hydra.list_clients(Some("even/ns")).await.unwrap().len(), 253);
    assert_eq!(hydra.list_clients(None).await.unwrap().len(), 505);
    assert_eq!(server.requests()[1].target, "/clients?limit=500&offset=500&owner=even%2Fns");
}

/// Serves `clients` by pages as `generation` does, whose size it takes from the query. 1.x and 2.x
/// round offsets down to a multiple of it.
fn paged(generation: Generation, clients: Vec<String>) -> Scripted {
    server(generation, move |request| {
        let query: HashMap<_, _> =
            request.target.split(['?', '&']).filter_map(|pair| pair.split_once('=')).collect();
        let number = |name| query.get(name).and_then(|value| value.parse::<usize>().ok());
        let size = number("limit").or(number("page_size")).unwrap();
        let start = number("offset").or(number("page_token")).unwrap_or(0);
        let start = if generation == Generation::V25 { start } else { start / size * size };
        let end = (start + size).min(clients.len());
        let page = Reply::json_text(200, &format!("[{}]", clients[start.min(end)..end].join(",")));
        let next = format!(r#"</admin/clients?page_token={end}>; rel="next""#);
        match generation {
            Generation::V2 => page.with("X-Total-Count", "600").with("Link", &next),
            Generation::V25 if end < clients.len() => page.with("Link", &next),
            Generation::V1 | Generation::V25 => page,
        }
    })
}

#[tokio::test]
async fn a_listing_with_large_clients_is_read_by_smaller_pages() {
    let large = json!({ "text": "x".repeat(1024 * 1024) });
    let clients: Vec<_> = (0..600)
        .map(|number| match number {
            500..520 => json!({ "client_id": format!("c{number}"), "metadata": large }),
            _ => json!({ "client_id": format!("c{number}") }),
        })
        .map(|client| client.to_string())
        .collect();
    for generation in [Generation::V1, Generation::V2, Generation::V25] {
        let server = paged(generation, clients.clone());
        let listed = hydra(&server.url).list_clients(None).await.unwrap();
        let ids: HashSet<_> = listed.iter().map(|client| client.client_id.clone()).collect();
        assert_eq!((listed.len(), ids.len()), (600, 600), "{generation:?}");
        let requests = server.requests();
        for size in [500, 250, 125, 62, 31, 15] {
            let asked = format!("={size}");
            assert!(requests.iter().any(|request| request.target.contains(&asked)), "{size}");
        }
        assert!(requests.last().unwrap().target.contains("=15"), "{requests:?}");
    }
}

#[tokio::test]
async fn a_listing_with_a_client_beyond_all_bounds_is_an_error() {
    let discovered = AtomicBool::new(false);
    let server = Scripted::http(move |_| {
        if discovered.swap(true, Ordering::SeqCst) {
            return Reply::Endless;
        }
        Reply::json(200, &json!([])).with("X-Total-Count", "0")
    });
    let error = hydra(&server.url).list_clients(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
    // The last, by one client, looks like the request that finds out the generation.
    let sizes: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.target.rsplit('=').next().unwrap().to_owned())
        .collect();
    assert_eq!(sizes, ["500", "250", "125", "62", "31", "15", "7", "3"]);
}

/// The API server takes 1.5 MiB, to which Hydra adds its own members.
#[tokio::test]
async fn a_client_as_large_as_kubernetes_allows_can_be_read_and_deleted() {
    let large = json!({ "client_id": "a", "metadata": { "text": "x".repeat(3 * 1024 * 1024) } });
    let server = server(Generation::V2, move |request| match &*request.method {
        "DELETE" => Reply::json(204, &json!(null)),
        _ => Reply::json(200, &large),
    });
    let hydra = hydra(&server.url);
    let read = hydra.get_client(&id("a")).await.unwrap();
    hydra.replace_client(&id("a"), &read, None).await.unwrap();
    assert_eq!(hydra.delete_client(&id("a")).await.unwrap(), Deletion::Deleted);
}

#[tokio::test]
async fn what_a_generation_cannot_address_is_named() {
    for (generation, unusable, words) in [
        (Generation::V1, "a/b", "holds `/` or `%`"),
        (Generation::V2, "a%", "holds `/` or `%`"),
        (Generation::V25, "a/", "ends with `/`"),
    ] {
        let server = server(generation, |_| absent());
        let error = hydra(&server.url).get_client(&id(unusable)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(words), "{error}");
        assert!(server.requests().is_empty());
    }
}

#[tokio::test]
async fn every_request_is_reported_once() {
    let server = server(Generation::V1, |_| absent());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let on_request: hydra_operator::hydra::RequestHook =
        Arc::new(move |operation, outcome, time| {
            assert!(time > Duration::ZERO);
            log.lock().unwrap().push(format!("{} {}", operation.as_str(), outcome.as_str()));
        });
    let on_request = Some(on_request);
    let url = server.url.clone();
    let hydra = Hydra::new(HydraConfig { on_request: on_request.clone(), ..config(&url) }).unwrap();
    hydra.delete_client(&id("a")).await.unwrap();
    let closed = "http://localhost:1/".parse().unwrap();
    Hydra::new(HydraConfig { on_request, ..config(&closed) }).unwrap().ready().await.unwrap_err();
    let expected = ["discover 404", "discover 200", "delete_client 404", "ready error"];
    assert_eq!(*seen.lock().unwrap(), expected);
}
