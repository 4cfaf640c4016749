//! What a running operator exposes, and what alerts and the dashboard make of it, judged by Prometheus itself.

#![allow(
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    reason = "counts, and times in whole seconds"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hydra_operator::metrics::Format;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{
    key_world::KeyWorld,
    support::{
        Generation, Hydra, binaries, eventually,
        folder::Folder,
        hydra_api::http,
        ports::free_port,
        process::{Process, Program, ready, start_with_retry},
    },
    world::World,
};

/// What only some operators expose: with `--leader-elect`, with `--observe`.
const SOMETIMES: [&str; 2] = ["leader_election_master_status", "hydra_operator_observed_resources"];
/// What the names of metrics begin with.
const PREFIXES: [&str; 6] = [
    "controller_runtime_",
    "hydra_operator_",
    "leader_election_",
    "process_",
    "rest_client_",
    "workqueue_",
];

fn chart(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/hydra-operator/files").join(file)
}

/// An operator with a client that is ready, one that is not, and a set of keys.
async fn world(name: &str) -> KeyWorld {
    let args = ["--resync-interval=1s", "--resource-metrics"];
    let world: KeyWorld =
        World::with_args(name, Hydra::shared(Generation::V2).await, &args).await.into();
    world.create("app", &json!({})).await;
    world.create("waiting", &json!({ "requireExistingSecret": true })).await;
    world
        .create_set("keys", &json!({ "algorithm": "ES256", "rotation": { "interval": "24h" } }))
        .await;
    world.ready("app").await;
    world.shows("waiting", "Ready=False WaitingForSecret").await;
    world.set_ready("keys").await;
    // The watch brings it after the status says it.
    eventually("the rotation is told", async || {
        world.operator.metric("hydra_operator_next_rotation_timestamp_seconds", &[]).await > 0.0
    })
    .await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_finds_no_fault_with_the_exposition() {
    let world = world("promtool").await;
    let url = format!("{}/metrics", world.operator.admin_url());
    let classic = http().get(&url).send().await.unwrap();
    assert_eq!(classic.headers()[CONTENT_TYPE], Format::Classic.media_type());
    let text = classic.text().await.unwrap();
    let openmetrics =
        http().get(&url).header(ACCEPT, "application/openmetrics-text; version=1.0.0");
    let openmetrics = openmetrics.send().await.unwrap();
    assert_eq!(openmetrics.headers()[CONTENT_TYPE], Format::OpenMetrics.media_type());
    assert!(openmetrics.text().await.unwrap().ends_with("# EOF\n"));

    let mut promtool = Command::new(binaries::promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");

    let documented = fs::read_to_string("docs/metrics.md").unwrap();
    for family in families(&text) {
        assert!(documented.contains(&format!("| `{family}` |")), "docs/metrics.md lacks {family}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_are_told_as_long_as_they_are_there() {
    let world = world("told").await;
    let count = async |kind: &str, ready: &str, reason: &str| {
        let labels = [("kind", kind), ("ready", ready), ("reason", reason)];
        world.operator.metric("hydra_operator_resources", &labels).await
    };
    eventually("the counts", async || {
        let counts = [
            count("OAuth2Client", "True", "Synced").await,
            count("OAuth2Client", "False", "WaitingForSecret").await,
            count("JsonWebKeySet", "True", "Synced").await,
        ];
        if counts == [1.0; 3] { Ok(()) } else { Err(counts) }
    })
    .await;
    let condition = async |name: &str, status: &str| {
        let labels = [
            ("kind", "OAuth2Client"),
            ("namespace", world.namespace.as_str()),
            ("name", name),
            ("type", "Ready"),
            ("status", status),
        ];
        world.operator.metric("hydra_operator_resource_condition", &labels).await
    };
    assert_eq!((condition("app", "True").await, condition("app", "False").await), (1.0, 0.0));
    assert_eq!(condition("waiting", "False").await, 1.0);

    let of_set =
        async |name: &str, labels: &[(&str, &str)]| world.operator.metric(name, labels).await;
    let per_set = "hydra_operator_rotation_timestamp_seconds";
    eventually("the rotations are told", async || {
        let set = world.set_status("keys").await;
        let next = set.next_rotation?.as_second();
        let last = set.keys.first()?.since?.as_second();
        let earliest = "hydra_operator_next_rotation_timestamp_seconds";
        let told = [
            of_set(earliest, &[("kind", "JsonWebKeySet")]).await as i64,
            of_set(per_set, &[("name", "keys"), ("rotation", "next")]).await as i64,
            of_set(per_set, &[("name", "keys"), ("rotation", "last")]).await as i64,
        ];
        (told == [next, next, last]).then_some(())
    })
    .await;

    world.delete("waiting").await;
    world.gone("waiting").await;
    eventually("it is told no more", async || {
        condition("waiting", "False").await == 0.0
            && count("OAuth2Client", "False", "WaitingForSecret").await == 0.0
    })
    .await;
    let method = |method| vec![("code", "200"), ("method", method)];
    assert!(of_set("rest_client_requests_total", &method("GET")).await > 0.0);
    assert!(of_set("rest_client_requests_total", &method("PATCH")).await > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_resources_have_to_be_asked_for() {
    let world = World::new("unnamed", Generation::V2).await;
    world.create("app-with-a-name", &json!({})).await;
    world.ready("app-with-a-name").await;
    let text = eventually("it is counted", async || {
        let text = world.operator.metrics_text().await;
        text.contains("hydra_operator_resources{kind=\"OAuth2Client\",ready=\"True\"")
            .then_some(text)
    })
    .await;
    assert!(!text.contains("app-with-a-name") && !text.contains(&world.namespace), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_answers_each_query_of_alerts_and_dashboard() {
    let world = world("prometheus").await;
    let exposed = eventually("a sweep has told whether Hydra is up", async || {
        let exposed = families(&world.operator.metrics_text().await);
        exposed.contains("hydra_operator_hydra_up").then_some(exposed)
    })
    .await;
    let queries = queries();
    for query in &queries {
        let named = names(query);
        assert!(!named.is_empty(), "{query} names no metric of the operator");
        for name in named.iter().filter(|name| !SOMETIMES.contains(&name.as_str())) {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(exposed.contains(family), "{query} names {name}, which is not exposed");
        }
    }

    let prometheus = Prometheus::scraping(world.operator.admin_url()).await;
    for query in &queries {
        let answers = eventually(&format!("an answer to {query}"), async || {
            let answer = prometheus.get("query", &[("query", query)]).await;
            assert_eq!(answer["status"], "success", "{query}: {answer}");
            let results = answer["data"]["result"].as_array().unwrap().clone();
            // A rate needs two scrapes, and what is compared may be as it should.
            let is_absent = names(query).iter().any(|name| SOMETIMES.contains(&name.as_str()));
            (!results.is_empty() || is_absent || is_alert(query)).then_some(results)
        })
        .await;
        assert!(answers.len() < 100, "{query} has {} answers", answers.len());
    }

    eventually("the alert on what is not ready", async || {
        let rules = prometheus.get("rules", &[]).await;
        let rules = rules["data"]["groups"][0]["rules"].as_array().cloned().unwrap_or_default();
        let healthy = rules.iter().all(|rule| rule["health"] == "ok");
        let pending: Vec<_> = rules
            .iter()
            .filter(|rule| rule["state"] == "pending")
            .map(|rule| &rule["name"])
            .collect();
        if healthy && pending == ["HydraOperatorResourcesNotReady"] { Ok(()) } else { Err(rules) }
    })
    .await;
}

#[test]
fn alerts_fire_when_they_should() {
    let test = Command::new(binaries::promtool())
        .args(["test", "rules"])
        .arg(chart("alerts_test.yaml"))
        .output()
        .unwrap();
    assert!(
        test.status.success(),
        "{}",
        String::from_utf8_lossy(&[test.stdout, test.stderr].concat())
    );
    let check = Command::new(binaries::promtool())
        .args(["check", "rules"])
        .arg(chart("alerts.yaml"))
        .output();
    let check = check.unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let tests = fs::read_to_string(chart("alerts_test.yaml")).unwrap();
    let rules = fs::read_to_string(chart("alerts.yaml")).unwrap();
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(
            tests.contains(&format!("alertname: {alert}\n        exp_alerts:")),
            "{alert} is not tested"
        );
    }
}

/// The names of the families of a classic exposition.
fn families(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// The metrics of the operator that a query names.
fn names(query: &str) -> BTreeSet<String> {
    query
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .map(ToOwned::to_owned)
        .collect()
}

/// Whether a query compares, so that no answer is a good one.
fn is_alert(query: &str) -> bool {
    query.contains("absent(") || query.contains(" == ") || query.contains(" > ")
}

/// All expressions of the dashboard, with its variables filled in, and of the alerts.
fn queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(chart("dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = targets.map(|target| target["expr"].as_str().unwrap());
    let mut queries: Vec<_> = expressions
        .map(|query| query.replace("$__rate_interval", "1m").replace("$job", ".+"))
        .collect();
    let rules: Value =
        serde_saphyr::from_str(&fs::read_to_string(chart("alerts.yaml")).unwrap()).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    queries.extend(rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned()));
    assert!(queries.len() > 20, "{queries:?}");
    queries
}

/// A running Prometheus. It ends when dropped.
struct Prometheus {
    url: String,
    _process: Process,
    _folder: Folder,
}

impl Prometheus {
    /// Scrapes the operator and judges the alerts, each second.
    async fn scraping(admin_url: &str) -> Self {
        let target = admin_url.strip_prefix("http://").unwrap();
        start_with_retry(async || {
            let folder = Folder::new("prometheus");
            let config = json!({
                "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
                "rule_files": [chart("alerts.yaml")],
                "scrape_configs": [{
                    "job_name": "hydra-operator",
                    "honor_labels": true,
                    "static_configs": [{ "targets": [target] }],
                }],
            });
            // JSON is YAML.
            fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
            let address = format!("127.0.0.1:{}", free_port());
            let mut process = Program::new("prometheus", binaries::prometheus())
                .arg("--config.file=prometheus.yml")
                .arg("--storage.tsdb.path=data")
                .arg(format!("--web.listen-address={address}"))
                .start(&folder);
            let url = format!("http://{address}");
            ready(&mut process, async || {
                let answer = http().get(format!("{url}/-/ready")).send().await;
                answer.and_then(reqwest::Response::error_for_status).map(drop)
            })
            .await?;
            Ok(Self { url, _process: process, _folder: folder })
        })
        .await
    }

    async fn get(&self, what: &str, query: &[(&str, &str)]) -> Value {
        let url =
            url::Url::parse_with_params(&format!("{}/api/v1/{what}", self.url), query).unwrap();
        let text = http().get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {text}"))
    }
}
