//! The manifests of `deploy/argocd` and `deploy/flux`: that they name what is there, and that the chart with their values is
//! as it is after a sync.

use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    argocd::in_repository,
    helm::{CHART, Helm, objects},
    support::{
        ControlPlane, binaries, crds::read_manifest, eventually, folder::Folder, lines::Answering,
    },
    tenant::ARGOCD,
};

const APPLICATIONS: &str = "deploy/argocd/application.yaml";
const SYNC: &str = "deploy/flux/sync.yaml";
const RELEASE: &str = "deploy/flux/operator/release.yaml";
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

#[derive(Deserialize)]
struct Answer {
    error: String,
}

/// What the types of Flux have against an object; nothing if it is right.
fn refused(object: &Value) -> String {
    static READER: Mutex<Option<Answering>> = Mutex::new(None);
    let mut reader = READER.lock().unwrap();
    let reader = reader.get_or_insert_with(|| Answering::start(&binaries::flux()));
    let answer: Answer = reader.ask(object.to_string().into_bytes());
    answer.error
}

fn folder_is_there(path: &Value, file: &str) {
    let folder = in_repository(path.as_str().unwrap().trim_start_matches("./"));
    assert!(folder.join(file).exists(), "{path}");
}

#[test]
fn flux_reads_its_objects_and_finds_what_they_name() {
    let (sync, release) = (read_manifest(SYNC), read_manifest(RELEASE).remove(0));
    for object in sync.iter().chain([&release]) {
        assert_eq!(refused(object), "", "{object}");
        let mut mistyped = object.clone();
        mistyped["spec"]["intervall"] = json!("1m");
        assert!(refused(&mistyped).contains("intervall"), "the reader is strict");
    }
    let [repository, operator, clients] = &sync[..] else { panic!("{sync:?}") };
    let name = &repository["metadata"]["name"];
    assert_eq!(repository["spec"]["url"], REPOSITORY);
    assert_eq!(repository["spec"]["ref"], json!({ "tag": VERSION }));
    for kustomization in [operator, clients] {
        assert_eq!(kustomization["spec"]["sourceRef"]["name"], *name);
        assert_eq!(kustomization["metadata"]["namespace"], repository["metadata"]["namespace"]);
        assert_eq!(kustomization["spec"]["wait"], true);
    }
    folder_is_there(&operator["spec"]["path"], "release.yaml");
    folder_is_there(&clients["spec"]["path"], "kustomization.yaml");
    assert_eq!(clients["spec"]["dependsOn"], json!([{ "name": operator["metadata"]["name"] }]));

    let chart = &release["spec"]["chart"]["spec"];
    folder_is_there(&chart["chart"], "Chart.yaml");
    assert_eq!(chart["sourceRef"]["name"], *name);
    assert_eq!(chart["sourceRef"]["namespace"], repository["metadata"]["namespace"]);
    let namespace = &read_manifest("deploy/flux/operator/namespace.yaml")[0]["metadata"]["name"];
    assert_eq!(release["metadata"]["namespace"], *namespace);
}

#[test]
fn applications_name_what_is_there() {
    let applications = read_manifest(APPLICATIONS);
    let [operator, clients] = &applications[..] else { panic!("{applications:?}") };
    for application in [operator, clients] {
        let spec = &application["spec"];
        assert_eq!(spec["source"]["repoURL"], REPOSITORY);
        assert_eq!(spec["source"]["targetRevision"], VERSION);
        assert_eq!(spec["ignoreDifferences"], Value::Null);
        let options = spec["syncPolicy"]["syncOptions"].as_array().unwrap();
        assert!(options.contains(&json!("ServerSideApply=true")));
    }
    folder_is_there(&operator["spec"]["source"]["path"], "Chart.yaml");
    folder_is_there(&clients["spec"]["source"]["path"], "kustomization.yaml");
    let namespace = &read_manifest("deploy/clients/namespace.yaml")[0]["metadata"]["name"];
    assert_eq!(clients["spec"]["destination"]["namespace"], *namespace);
}

/// Name, generation and resourceVersion of the objects in a file.
fn versions(cp: &ControlPlane, file: &str) -> Vec<[Value; 4]> {
    let found = cp.kubectl(&["get", "--filename", file, "--output=json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let version = |object: &Value| {
        let of = |name: &str| object["metadata"][name].clone();
        [object["kind"].clone(), of("name"), of("generation"), of("resourceVersion")]
    };
    found["items"].as_array().unwrap().iter().map(version).collect()
}

#[tokio::test]
async fn the_chart_does_not_differ_after_a_sync() {
    let application = read_manifest(APPLICATIONS).remove(0);
    let values = &application["spec"]["source"]["helm"]["valuesObject"];
    assert_eq!(*values, read_manifest(RELEASE)[0]["spec"]["values"], "both are the same");
    let namespace = application["spec"]["destination"]["namespace"].as_str().unwrap();
    let folder = Folder::new("rendered");
    let file = folder.write("values.yaml", values.to_string());
    let rendered = Helm::new().run(&[
        "template",
        application["spec"]["source"]["helm"]["releaseName"].as_str().unwrap(),
        CHART,
        "--namespace",
        namespace,
        "--values",
        file.to_str().unwrap(),
    ]);
    let rendered_objects = objects(&rendered);
    let definitions: Vec<_> = rendered_objects
        .iter()
        .filter(|object| object["kind"] == "CustomResourceDefinition")
        .collect();
    assert_eq!(definitions.len(), 2);
    for definition in definitions {
        let options = &definition["metadata"]["annotations"]["argocd.argoproj.io/sync-options"];
        assert_eq!(options, "Prune=false,Delete=false", "a sync could delete all resources");
    }
    let file = folder.write("rendered.yaml", rendered);
    let file = file.to_str().unwrap();

    let cp = ControlPlane::shared().await;
    cp.kubectl(&["create", "namespace", namespace]);
    let sync = ["apply", "--server-side", "--field-manager", ARGOCD, "--filename", file];
    cp.kubectl(&sync);
    eventually("another sync writes nothing", async || {
        let before = versions(cp, file);
        assert!(before.len() >= 6, "{before:?}");
        cp.kubectl(&sync);
        let after = versions(cp, file);
        if before == after { Ok(()) } else { Err((before, after)) }
    })
    .await;
    cp.kubectl(&["diff", "--filename", file]);
    cp.kubectl(&["diff", "--server-side", "--field-manager", ARGOCD, "--filename", file]);
}
