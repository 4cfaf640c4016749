//! What the former schema accepts, ours accepts: by comparison of the schemas, and with objects that were made before.

use hydra_operator::api::OAuth2Client;
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

use crate::{
    server::Server,
    support::{crds, eventually},
};

const FORMER: &str = "tests/crds/former.yaml";
const OURS: &str = "crds/hydra.ory.sh.yaml";

/// That of `OAuth2Client`: the others are new.
fn definition(path: &str) -> Value {
    let mut documents = crds::read_manifest(path);
    documents.retain(|document| document["spec"]["names"]["kind"] == "OAuth2Client");
    assert_eq!(documents.len(), 1, "{path}");
    documents.remove(0)
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

#[test]
fn nothing_is_tighter_than_before() {
    let (former, ours) = (definition(FORMER), definition(OURS));
    let mut findings = Vec::new();
    compare(&mut findings, "", schema(&former), schema(&ours));
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn names_and_scope_are_as_before() {
    let (former, ours) = (definition(FORMER), definition(OURS));
    for member in ["kind", "plural", "singular"] {
        assert_eq!(former["spec"]["names"][member], ours["spec"]["names"][member]);
    }
    assert_eq!(former["spec"]["scope"], ours["spec"]["scope"]);
    assert_eq!(ours["metadata"]["name"], "oauth2clients.hydra.ory.sh");
}

/// Lists what `ours` accepts less of than `former`, or treats otherwise.
fn compare(findings: &mut Vec<String>, path: &str, former: &Value, ours: &Value) {
    let mut finding = |holds: bool, what: &str| {
        if !holds {
            findings.push(format!("{path}: {what}: {} was {}", ours[what], former[what]));
        }
    };
    for same in ["type", "pattern", "default", "nullable", "x-kubernetes-preserve-unknown-fields"] {
        // The status says more at once than it did: an object that nobody has seen is marked.
        finding(path == ".status" && same == "default" || former[same] == ours[same], same);
    }
    for least in ["minItems", "minLength", "minimum"] {
        finding(ours[least].as_f64() <= former[least].as_f64(), least);
    }
    for most in ["maxItems", "maxLength", "maximum"] {
        let unlimited = |value: &Value| value.as_f64().unwrap_or(f64::INFINITY);
        finding(unlimited(&ours[most]) >= unlimited(&former[most]), most);
    }
    let items =
        |schema: &Value, member: &str| schema[member].as_array().cloned().unwrap_or_default();
    let values = items(ours, "enum");
    finding(
        values.is_empty()
            || items(former, "enum").iter().all(|value| values.contains(value))
                && !former["enum"].is_null(),
        "enum",
    );
    let required = items(former, "required");
    finding(items(ours, "required").iter().all(|name| required.contains(name)), "required");

    for (name, member) in former["properties"].as_object().into_iter().flatten() {
        let ours = &ours["properties"][name];
        // The API server itself knows the members of every object.
        let path = format!("{path}.{name}");
        if !["apiVersion", "kind", "metadata"].map(|name| format!(".{name}")).contains(&path) {
            compare(findings, &path, member, ours);
        }
    }
    if former["items"].is_object() {
        compare(findings, &format!("{path}[]"), &former["items"], &ours["items"]);
    }
}

/// The members whose odd values the former schema lets through.
fn odd_specs() -> Vec<Value> {
    let spec = crate::server::spec;
    vec![
        spec(&json!({ "secretName": "My_Secret of old!" })),
        spec(&json!({ "redirectUris": ["see urn:x or so", "a:b"] })),
        spec(
            &json!({ "tokenLifespans": { "jwt_bearer_grant_access_token_lifespan": "about 1h" } }),
        ),
        spec(&json!({ "hydraAdmin": { "port": -5, "forwardedProto": "not https" } })),
        spec(&json!({ "scope": "§ \t \"quoted\"" })),
        spec(&json!({ "jwksUri": "", "logoUri": "", "clientName": "", "metadata": null })),
        spec(&json!({ "grantTypes": ["implicit", "implicit"], "audience": ["a", "a"] })),
    ]
}

/// Values that came in before there was a schema that refuses them.
fn ancient_specs() -> Vec<Value> {
    let spec = crate::server::spec;
    vec![
        spec(&json!({ "grantTypes": ["password"], "deletionPolicy": "archive" })),
        spec(&json!({ "secretName": "", "subjectType": "ephemeral" })),
        spec(&json!({ "tokenLifespans": { "implicit_grant_id_token_lifespan": "one day" } })),
        json!({ "secretName": "app", "grantTypes": [] }),
    ]
}

/// Ours, or one without any validation, in the place of the former definition.
fn in_group(mut definition: Value, group: &str) -> Value {
    definition["metadata"]["name"] = json!(format!("oauth2clients.{group}"));
    definition["spec"]["group"] = json!(group);
    // Two groups with the same short names would answer for each other.
    definition["spec"]["names"].as_object_mut().unwrap().remove("shortNames");
    definition["spec"]["names"].as_object_mut().unwrap().remove("categories");
    definition
}

fn unchecked(mut definition: Value) -> Value {
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
        json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    definition
}

/// Makes objects under `before`, replaces it by ours, and goes on with them as an operator and as their owner.
async fn upgrade(group: &str, before: Value, specs: Vec<Value>) {
    let client = crate::support::ControlPlane::shared().await.client().await;
    crds::install(&client, vec![in_group(before, group)]).await;
    let server = Server::of("upgrade", &format!("{group}/v1alpha1")).await;
    let status = json!({
        "observedGeneration": 2,
        "reconciliationError": {},
        "conditions": [{ "type": "Ready", "status": "True" }],
    });
    let names: Vec<_> = (0..=specs.len()).map(|index| format!("case-{index}")).collect();
    for (name, spec) in names.iter().zip(specs.iter().map(Some).chain([None])) {
        let mut object = server.object(name, spec.unwrap_or(&Value::Null));
        if spec.is_none() {
            object.as_object_mut().unwrap().remove("spec");
        }
        object["metadata"]["finalizers"] = json!(["finalizer.ory.hydra.sh"]);
        server.create(&object).await.unwrap();
        server.patch_status(name, &status).await.unwrap();
    }
    server.create(&server.object("unseen", &specs[0])).await.unwrap();

    crds::install(&client, vec![in_group(definition(OURS), group)]).await;
    eventually("our schema is in force", async || {
        server.get("unseen").await["status"]["observedGeneration"] == -1
    })
    .await;

    for name in &names {
        let changed = json!({ "metadata": { "labels": { "team": "a" } } });
        server.patch(name, &changed).await.unwrap();
        server.patch_status(name, &json!({ "observedGeneration": 3 })).await.unwrap();
        let more =
            json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": "New" }] });
        server.patch_status(name, &more).await.unwrap();
    }
    for name in names.iter().zip(&specs).map(|(name, _)| name) {
        server.patch(name, &json!({ "spec": { "clientName": "changed" } })).await.unwrap();
    }
    for name in &names {
        server.patch(name, &json!({ "metadata": { "finalizers": null } })).await.unwrap();
    }
}

#[tokio::test]
async fn objects_made_under_the_former_schema_stay_writable() {
    upgrade("former.example.com", definition(FORMER), odd_specs()).await;
}

#[tokio::test]
async fn objects_that_no_schema_would_accept_stay_writable() {
    let unchecked = unchecked(definition(FORMER));
    upgrade("ancient.example.com", unchecked, ancient_specs()).await;
}

#[tokio::test]
async fn what_the_former_schema_accepts_can_still_be_created_and_decoded() {
    let server = Server::new("odd").await;
    let specs = odd_specs();
    for (index, spec) in specs.iter().enumerate() {
        server.create(&server.object(&format!("case-{index}"), spec)).await.unwrap();
    }
    let mut without = server.object("without-spec", &Value::Null);
    without.as_object_mut().unwrap().remove("spec");
    server.create(&without).await.unwrap();

    let clients: Api<OAuth2Client> = Api::namespaced(server.client(), server.namespace());
    let listed = clients.list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items.len(), specs.len() + 1);
}
