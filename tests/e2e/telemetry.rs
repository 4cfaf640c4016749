//! The log and the traces of a running operator.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    proxy::Proxy,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, eventually, folder::Folder,
    },
    world::World,
};

const COUNT: usize = 20;

/// The lines of a log in JSON, from a line on.
fn lines(world: &World, from: usize) -> Vec<Value> {
    let log = world.operator.log();
    let line =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    log.lines().skip(from).map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_per_change_and_none_without() {
    let hydra = Hydra::start(Generation::V2).await;
    let proxy = Proxy::start(&hydra).await;
    let url = proxy.url().to_owned();
    let cp = ControlPlane::shared().await;
    let args = ["--resync-interval=1s", "--log-format=json"];
    let world = World::start(cp.into(), hydra.into(), &url, "log", &args).await;
    world.create_many("app", COUNT, |_| json!({})).await;
    world.all_ready(COUNT).await;
    world.two_sweeps().await;
    world.published().await;

    let (quiet, passes) = (lines(&world, 0).len(), world.passes().await);
    world.label_all("team", "a").await;
    eventually("a pass over each", async || world.passes().await >= passes + COUNT as u64).await;
    world.two_sweeps().await;
    assert_eq!(lines(&world, quiet), Vec::<Value>::new(), "nothing has changed");

    world.edit("app-0", &json!({ "scope": "read" })).await;
    world.ready("app-0").await;
    world.two_sweeps().await;
    let changed = lines(&world, quiet);
    assert_eq!(changed.len(), 1, "{changed:?}");
    let line = &changed[0];
    assert_eq!((&line["level"], &line["event"]), (&json!("INFO"), &json!("ClientUpdated")));
    assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
    let span = line["spans"].as_array().unwrap().iter().find(|span| span["resource"] == "app-0");
    let span = span.unwrap_or_else(|| panic!("{line}"));
    assert_eq!(span["namespace"], world.namespace);
    assert_eq!(span["controller"], "oauth2client");

    // One that fails all the time says so once.
    let before = lines(&world, 0).len();
    proxy.take_out_of_service(Method::POST);
    world.create("late", &json!({})).await;
    world.shows("late", "Ready=False HydraError").await;
    eventually("three passes in vain", async || world.outcomes("HydraError").await >= 3).await;
    let about: Vec<_> =
        lines(&world, before).into_iter().map(|line| line["event"].clone()).collect();
    assert_eq!(about.iter().filter(|event| *event == "HydraError").count(), 1, "{about:?}");
    assert!(about.len() <= 2, "{about:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_level_follows_a_file_and_requests_have_ids() {
    let folder = Folder::new("level");
    let file = folder.path().join("level");
    let hydra = Hydra::shared(Generation::V2).await;
    let proxy = Proxy::start(hydra).await;
    let arg = format!("--log-level-file={}", file.display());
    let world = World::behind(proxy.url(), hydra, &[&arg, "--log-format=json"]).await;
    world.create("first", &json!({})).await;
    world.ready("first").await;
    let says = async |words: &str| {
        eventually(words, async || world.operator.log().contains(words)).await;
    };
    assert!(!world.operator.log().contains("Asked Hydra"));

    fs::write(&file, "info,hydra_operator=debug\n").unwrap();
    says("\"level\":\"info,hydra_operator=debug\"").await;
    world.create("second", &json!({})).await;
    world.ready("second").await;
    says("Asked Hydra").await;
    let lines = lines(&world, 0);
    let asked = lines.iter().filter(|line| line["message"] == "Asked Hydra");
    let ids: Vec<_> = asked
        .flat_map(|line| line["spans"].as_array().unwrap())
        .filter_map(|span| span["request_id"].as_str())
        .collect();
    assert!(!ids.is_empty());
    for id in &ids {
        let sent =
            proxy.seen().into_iter().filter(|seen| seen.headers["x-request-id"] == *id).count();
        assert_eq!(sent, 1, "{id}");
    }
    let credentials = world.credentials("second-credentials").await;
    world.assert_no_secret_leaked(&[credentials.secret()]).await;

    fs::write(&file, "loud").unwrap();
    says("Kept the log level").await;
    fs::remove_file(&file).unwrap();
    says("as at the start").await;
    let asked = world.operator.log().matches("Asked Hydra").count();
    world.create("third", &json!({})).await;
    world.ready("third").await;
    assert_eq!(world.operator.log().matches("Asked Hydra").count(), asked);
}

/// What a collector was sent.
type Sent = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A collector, its URL, and what it was sent. It runs as long as the set.
async fn collector() -> (String, Sent, JoinSet<()>) {
    let sent = Sent::default();
    let take = async |State(sent): State<Sent>, headers: HeaderMap, body: Bytes| {
        sent.lock().unwrap().push((headers, body));
    };
    let router = Router::new().route("/v1/traces", post(take)).with_state(sent.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, sent, server)
}

fn holds(body: &Bytes, part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_that_wait_to_be_sent_are_sent_at_the_end() {
    let (collector, sent, _server) = collector().await;
    let (cp, hydra) = (ControlPlane::shared().await, Hydra::shared(Generation::V2).await);
    let namespace = cp.namespace("last-traces").await;
    let options = OperatorOptions::new(hydra.admin_url())
        .namespaces([&namespace])
        .args([format!("--otlp-endpoint={collector}")])
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let operator = Operator::start(cp, options).await;
    let mut world = World::with_operator(cp, hydra, operator, namespace).await;
    world.create("app", &json!({})).await;
    world.ready("app").await;
    assert_eq!(sent.lock().unwrap().len(), 0, "they wait for an hour");
    assert_eq!(world.operator.process().terminate().await, 0);
    let sent = sent.lock().unwrap();
    for part in [&b"reconcile"[..], b"create_client"] {
        assert!(sent.iter().any(|(_, body)| holds(body, part)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_join_the_operator_and_hydra() {
    let (collector, sent, _server) = collector().await;
    let (cp, hydra) = (ControlPlane::shared().await, Hydra::shared(Generation::V2).await);
    let proxy = Proxy::start(hydra).await;
    let namespace = cp.namespace("traces").await;
    let options = OperatorOptions::new(proxy.url())
        .namespaces([&namespace])
        .args([format!("--otlp-endpoint={collector}")])
        .env("OTEL_BSP_SCHEDULE_DELAY", "200");
    let operator = Operator::start(cp, options).await;
    let mut world = World::with_operator(cp, hydra, operator, namespace).await;
    world.create("app", &json!({})).await;
    world.ready("app").await;

    let created = proxy.seen().into_iter().find(|seen| seen.method == Method::POST).unwrap();
    let parent = created.headers["traceparent"].to_str().unwrap().to_owned();
    let parts: Vec<_> = parent.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { panic!("{parent}") };
    assert_eq!((version, trace.len(), span.len(), flags), ("00", 32, 16, "01"), "{parent}");
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    let (trace, span) = (bytes(trace), bytes(span));
    // What is left is sent at the end.
    world.operator.process().terminate().await;
    let sent = sent.lock().unwrap();
    for part in [&trace[..], &span, b"reconcile", b"create_client", b"hydra-operator", b"app"] {
        let found = sent.iter().any(|(headers, body)| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            holds(body, part)
        });
        assert!(found, "no trace holds {}", String::from_utf8_lossy(part));
    }
}
