//! The operator as a process: its start, its end, its settings.

use std::process::{Command, Output};

use hydra_operator::api::OAuth2Client;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use crate::{
    crowd::CONVERGED,
    on_each_generation,
    proxy::{Proxy, TlsProxy},
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, counters::ApiserverCounters,
        eventually, folder::Folder, hydra_api::http, pki::Authority,
    },
    world::{World, shown},
};

on_each_generation!(
    sigterm_lets_passes_finish,
    a_proxy_may_want_a_header,
    hydra_may_be_behind_mutual_tls,
);

async fn sigterm_lets_passes_finish(generation: Generation) {
    const COUNT: usize = 60;
    let mut world = World::new("drain", generation).await;
    world.operator.process().freeze();
    world.create_many("app", COUNT, |_| json!({})).await;
    world.operator.process().thaw();
    eventually("work has begun", async || world.count_secrets().await > 5).await;
    assert_eq!(world.operator.process().terminate().await, 0);

    let stored = world.count_secrets().await;
    assert!(stored < COUNT, "the operator was told too late");
    let ready = world.list().await.into_iter().filter(|resource| shown(resource) == CONVERGED);
    let ids: Vec<_> = ready.map(|resource| crate::world::client_id(&resource)).collect();
    assert_eq!(ids.len(), stored, "a pass was cut short");
    assert_eq!(world.clients_in_hydra().await, ids.into_iter().collect());

    world.operator.start_again().await;
    world.all_ready(COUNT).await;
    assert_eq!(world.clients_in_hydra().await, world.working_ids("app", COUNT).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_for_the_definition_and_then_serves_all_namespaces() {
    let (cp, hydra) = (ControlPlane::start().await, Hydra::shared(Generation::V2).await);
    let client = cp.client().await;
    remove_definition(&client).await;
    let refusals = ApiserverCounters::read(&client).await.refusals();

    let options = OperatorOptions::new(hydra.admin_url());
    let mut operator = Operator::start_unready(&cp, options).await;
    eventually("the operator says what it waits for", async || {
        let (status, text) = readyz(&operator).await;
        if status == 503 && text.contains("hydra.ory.sh/v1alpha1") { Ok(()) } else { Err(text) }
    })
    .await;
    cp.install_crds().await;
    operator.wait_ready().await;
    assert!(operator.process().is_running());

    for namespace in [cp.namespace("first").await, cp.namespace("second").await] {
        let resources = Api::namespaced(client.clone(), &namespace);
        create(&resources, "app").await;
        converged(&resources, "app").await;
        resources.delete("app", &DeleteParams::default()).await.unwrap();
        let gone = async || resources.get_opt("app").await.unwrap().is_none();
        eventually("the resource is gone", gone).await;
    }
    assert_eq!(ApiserverCounters::read(&client).await.refusals(), refusals);
}

/// A forgotten Role must not make it a process that only SIGKILL ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_an_operator_that_may_not_list() {
    let (cp, hydra) = (ControlPlane::shared().await, Hydra::shared(Generation::V2).await);
    let (allowed, forbidden) = (cp.namespace("allowed").await, cp.namespace("forbidden").await);
    let options = OperatorOptions::new(hydra.admin_url())
        .namespaces([&allowed])
        .args([format!("--namespaces={forbidden}")]);
    let mut operator = Operator::start_unready(cp, options).await;
    eventually("only the namespace without a Role is waited for", async || {
        let (status, text) = readyz(&operator).await;
        let waits = text.contains(&forbidden) && !text.contains(&allowed);
        if status == 503 && waits { Ok(()) } else { Err(text) }
    })
    .await;
    assert_eq!(operator.process().terminate().await, 0);
}

async fn remove_definition(client: &Client) {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let name = "oauth2clients.hydra.ory.sh";
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    eventually("the definition is gone", async || {
        let served = client.list_api_group_resources("hydra.ory.sh/v1alpha1").await;
        served.is_ok_and(|served| served.resources.iter().all(|kind| kind.name != "oauth2clients"))
    })
    .await;
}

async fn readyz(operator: &Operator) -> (u16, String) {
    let url = format!("{}/readyz", operator.admin_url());
    let response = http().get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_the_named_namespaces_under_one_limit() {
    let (cp, hydra) = (ControlPlane::shared().await, Hydra::shared(Generation::V2).await);
    let proxy = Proxy::start(hydra).await;
    let client = cp.client().await;
    let mut namespaces = Vec::new();
    for name in ["served", "served-too", "ignored"] {
        namespaces.push(cp.namespace(name).await);
    }
    let resources = |namespace: &String| Api::namespaced(client.clone(), namespace);
    let [a, b, ignored] = [0, 1, 2].map(|n| resources(&namespaces[n]));
    create(&ignored, "app").await;
    let options = OperatorOptions::new(proxy.url()).namespaces(&namespaces[..2]);
    let operator = Operator::start(cp, options.args(["--concurrency=2"])).await;
    // After the sweep at the start, whose requests count against no limit.
    let up = async || operator.metric("hydra_operator_hydra_up", &[]).await > 0.0;
    eventually("Hydra is known to be up", up).await;

    proxy.hold();
    for n in 0..6 {
        create(&a, &format!("app-{n}")).await;
        create(&b, &format!("app-{n}")).await;
    }
    eventually("two passes are under way", async || proxy.under_way() == 2).await;
    proxy.release();
    for n in 0..6 {
        converged(&a, &format!("app-{n}")).await;
        converged(&b, &format!("app-{n}")).await;
    }
    assert_eq!(proxy.most_under_way(), 2);
    let untouched = ignored.get("app").await.unwrap();
    assert!(untouched.metadata.finalizers.is_none());
    assert!(shown(&untouched).is_empty());
}

async fn create(resources: &Api<OAuth2Client>, name: &str) {
    let resource = World::resource(name, &json!({}));
    resources.create(&PostParams::default(), &resource).await.unwrap();
}

async fn converged(resources: &Api<OAuth2Client>, name: &str) {
    eventually(&format!("{name} is as declared"), async || {
        let shown = shown(&resources.get(name).await.unwrap());
        if shown == CONVERGED { Ok(()) } else { Err(shown) }
    })
    .await;
}

#[test]
fn a_wrong_kubeconfig_is_named_and_not_repeated() {
    let folder = Folder::new("kubeconfig");
    let missing = folder.path().join("missing").display().to_string();
    let malformed = "users: [{name: a, user: {token: hunter22\n  token: hunter23}}]";
    let mistyped = "users: {user: {token: hunter22}}";
    let file = |name, content| folder.write(name, content).display().to_string();
    let files = [missing, file("empty", ""), file("bad", malformed), file("typed", mistyped)];
    let none = operator(&folder, &[]);
    let inferred = operator(&folder, &[("KUBECONFIG", &files[2])]);
    let by_flag = files.iter().map(|path| operator(&folder, &[("--kubeconfig", path)]));
    for output in by_flag.chain([none, inferred]) {
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        let last = message.lines().last().unwrap();
        assert!(last.starts_with("Error: ") && last.contains("--kubeconfig"), "{message}");
        assert!(!message.contains("hunter"), "{message}");
    }
}

/// Runs it with these flags and variables, to its end.
fn operator(folder: &Folder, settings: &[(&str, &str)]) -> Output {
    let (flags, variables): (Vec<_>, Vec<_>) =
        settings.iter().copied().partition(|(name, _)| name.starts_with("--"));
    Command::new(env!("CARGO_BIN_EXE_hydra-operator"))
        .args(["run", "--hydra-admin-url=http://127.0.0.1:1", "--admin-listen=127.0.0.1:0"])
        .args(flags.iter().flat_map(|(flag, value)| [flag, value]))
        .env_clear()
        .env("HOME", folder.path())
        .envs(variables)
        .output()
        .unwrap()
}

async fn a_proxy_may_want_a_header(generation: Generation) {
    let (wrong, right) = ("wrong-0aWm49sYb2", "right-Qk3v81Zp0c");
    let hydra = Hydra::shared(generation).await;
    let proxy = Proxy::wanting(hydra, Some(&format!("Bearer {right}"))).await;
    let folder = Folder::new("headers");
    let file = folder.write("headers", format!("Authorization: Bearer {wrong}"));
    let file = format!("--hydra-headers-file={}", file.display());
    let args = [&*file, "--hydra-forwarded-proto=https", "--log-level=debug"];
    let world = World::behind(proxy.url(), hydra, &args).await;
    world.create("app", &json!({})).await;
    let refused = world.shows("app", "Ready=False HydraForbidden").await;
    assert_eq!(shown(&refused)[1], "Reconciling=True HydraForbidden");
    let said = format!("{:?}", refused.status);
    assert!(said.contains("I do not know"), "Hydra's own words are missing: {said}");

    folder.write("headers", format!("Authorization: Bearer {right}\nX-Team: identity\n"));
    world.ready("app").await;
    let seen = proxy.seen();
    assert!(seen.iter().all(|request| request.headers["x-forwarded-proto"] == "https"));
    assert_eq!(seen.last().unwrap().headers["x-team"], "identity");

    let events = world.cp.kubectl(&["get", "events", "-o", "yaml", "-n", &world.namespace]);
    assert!(events.contains("HydraForbidden"), "{events}");
    let resources = serde_json::to_string(&world.list().await).unwrap();
    let metrics = world.operator.metrics_text().await;
    for text in [said, events, resources, metrics, world.operator.log()] {
        assert!(!text.contains(wrong) && !text.contains(right), "a header is told: {text}");
    }
}

async fn hydra_may_be_behind_mutual_tls(generation: Generation) {
    let hydra = Hydra::shared(generation).await;
    let authority = Authority::new();
    let proxy = TlsProxy::start(hydra, &authority).await;
    let identity = authority.client("hydra-operator", None);
    let folder = Folder::new("tls");
    let file = |flag: &str, content: &str| {
        format!("--hydra-{flag}-file={}", folder.write(flag, content).display())
    };
    let ca = file("ca", &authority.certificate());
    let certificate = file("client-cert", &identity.certificate);
    let key = file("client-key", &identity.key);

    let world = World::behind(proxy.url(), hydra, &[&ca, &certificate, &key]).await;
    world.create("app", &json!({})).await;
    world.ready("app").await;

    for args in [&[&*certificate, &*key][..], &[&*ca][..]] {
        let world = World::behind(proxy.url(), hydra, args).await;
        world.create("app", &json!({})).await;
        let away = world.shows("app", "Ready=False HydraUnreachable").await;
        let said = format!("{:?}", away.status);
        assert!(said.to_lowercase().contains("certificate"), "{args:?}: {said}");
    }
}
