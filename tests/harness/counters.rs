//! What the servers count is what was asked of them.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::support::{
    ControlPlane, Generation, Hydra,
    counters::{ApiserverCounters, parse, sum},
    hydra_api::service_client,
};

#[test]
fn prometheus_text_is_read() {
    let samples = parse(
        "# HELP a what it is\n# TYPE a counter\n\
         a 1\na{} 2\na{x=\"1\",y=\"\"} 3.5 1700000000\n\
         a{ x=\"quote \\\" back \\\\ line \\n brace } comma ,\", } 4e2\nb{le=\"+Inf\"} +Inf\n",
    );
    let labels: Vec<_> = samples.iter().map(|sample| sample.label("x")).collect();
    assert_eq!(labels, ["", "", "1", "quote \" back \\ line \n brace } comma ,", ""]);
    assert!((sum(&samples, "a", |_| true) - 406.5).abs() < f64::EPSILON);
    assert!((sum(&samples, "a", |sample| sample.label("x") == "1") - 3.5).abs() < f64::EPSILON);
    assert!(sum(&samples, "b", |_| true).is_infinite());
    assert!(sum(&samples, "absent", |_| true).abs() < f64::EPSILON);
}

#[tokio::test]
async fn hydra_counts_reads_and_writes() {
    for generation in Generation::ALL {
        let hydra = Hydra::start(generation).await;
        let client = service_client("counted", "a-secret-of-the-test");
        let before = hydra.counters().await;

        hydra.post_client(&client).await;
        hydra.put_client("counted", &client).await;
        hydra.get_client("counted").await;
        hydra.delete_client("counted").await;
        assert_eq!(hydra.delete_client("counted").await.status, 404);

        let after = hydra.counters().await;
        assert_eq!(after.writes() - before.writes(), 4, "{generation:?}");
        // Hydra 1 counts the reading of its counters too.
        let reads = match generation {
            Generation::V1 => 2,
            Generation::V2 => 1,
        };
        assert_eq!(after.reads() - before.reads(), reads, "{generation:?}");
    }
}

#[tokio::test]
async fn kube_apiserver_counts_writes_by_resource() {
    let cp = ControlPlane::shared().await;
    let namespace = cp.namespace("counters").await;
    let client = cp.client().await;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace); // which no other test writes
    let before = ApiserverCounters::read(&client).await;

    let mut object = ConfigMap::default();
    object.metadata.name = Some("counted".to_owned());
    let mut object = api.create(&PostParams::default(), &object).await.unwrap();
    object.data = Some([("key".to_owned(), "value".to_owned())].into());
    api.replace("counted", &PostParams::default(), &object).await.unwrap();
    let merge = Patch::Merge(json!({ "data": { "key": "merged" } }));
    api.patch("counted", &PatchParams::default(), &merge).await.unwrap();
    let apply = Patch::Apply(json!({ "apiVersion": "v1", "kind": "ConfigMap" }));
    api.patch("counted", &PatchParams::apply("counters"), &apply).await.unwrap();
    let dry_run = PostParams { dry_run: true, field_manager: None };
    api.replace("counted", &dry_run, &api.get("counted").await.unwrap()).await.unwrap();
    api.delete("counted", &DeleteParams::default()).await.unwrap();
    assert!(api.delete("counted", &DeleteParams::default()).await.is_err());

    let after = ApiserverCounters::read(&client).await;
    assert_eq!(after.writes("configmaps") - before.writes("configmaps"), 6);
    let gets = |counters: &ApiserverCounters| counters.requests("configmaps", &["GET"]);
    assert_eq!(gets(&after) - gets(&before), 1);
}

#[tokio::test]
async fn kube_apiserver_counts_a_status_patch_as_a_write() {
    let cp = ControlPlane::start().await; // other tests write oauth2clients
    let namespace = cp.namespace("counters").await;
    let client = cp.client().await;
    let manifest = json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "OAuth2Client",
        "metadata": { "name": "counted", "namespace": namespace },
        "spec": { "grantTypes": ["client_credentials"], "scope": "read", "secretName": "counted" },
    });
    crate::support::crds::apply(&client, manifest).await;
    let before = ApiserverCounters::read(&client).await;

    cp.kubectl(&[
        "patch",
        "oauth2clients",
        "counted",
        "--namespace",
        &namespace,
        "--subresource=status",
        "--type=merge",
        "--patch",
        r#"{"status":{"observedGeneration":1}}"#,
    ]);

    let after = ApiserverCounters::read(&client).await;
    assert_eq!(after.writes("oauth2clients") - before.writes("oauth2clients"), 1);
    assert_eq!(after.writes("secrets"), before.writes("secrets"));
    assert_eq!(after.writes("events"), before.writes("events"));
}
