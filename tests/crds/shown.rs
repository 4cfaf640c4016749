//! What people and tools see: the texts of `kubectl explain`, the columns of `kubectl get`, the first status.

use http::Request;
use hydra_operator::api::{ConditionType, OAuth2Client, condition};
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

use crate::{
    server::{Server, spec},
    support::ControlPlane,
};

/// The texts that the API server publishes are those of `kubectl explain`.
#[tokio::test]
async fn every_field_is_explained() {
    let server = Server::new("explain").await;
    let request = Request::get("/openapi/v3/apis/hydra.ory.sh/v1alpha1").body(vec![]).unwrap();
    let published: Value = server.client().request(request).await.unwrap();
    let schemas = published["components"]["schemas"].as_object().unwrap();
    for (kind, at_least) in [("OAuth2Client", 90), ("JsonWebKeySet", 60)] {
        let root = &schemas[&format!("sh.ory.hydra.v1alpha1.{kind}")];
        let mut fields = Vec::new();
        collect(&mut fields, "", root);
        assert!(fields.len() > at_least, "{kind}: {} fields", fields.len());
        assert!(!root["description"].as_str().unwrap_or_default().is_empty());
        let own = |path: &str| path.starts_with(".spec") || path.starts_with(".status");
        for (path, text) in fields.iter().filter(|(path, _)| own(path)) {
            assert!(text.ends_with('.'), "{kind}{path}: {text:?}");
            let rustdoc = ["[`", "::", "TODO", "maester"];
            assert!(!rustdoc.iter().any(|part| text.contains(part)), "{kind}{path}: {text:?}");
        }
    }

    let explained =
        ControlPlane::shared().await.kubectl(&["explain", "oauth2clients.spec.tokenLifespans"]);
    assert!(explained.contains("device_authorization_grant_id_token_lifespan"), "{explained}");
    assert!(explained.contains("Needs Hydra 25.4 or later."), "{explained}");
    let recursive = ["explain", "jsonwebkeyset", "--recursive"];
    assert!(ControlPlane::shared().await.kubectl(&recursive).contains("publishBefore"));
}

/// Paths and descriptions of the members below `schema`.
fn collect(fields: &mut Vec<(String, String)>, path: &str, schema: &Value) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let text = member["description"].as_str().unwrap_or_default().trim().to_owned();
        collect(fields, &path, member);
        collect(fields, &path, &member["items"]);
        collect(fields, &path, &member["additionalProperties"]);
        fields.push((path, text));
    }
}

#[tokio::test]
async fn the_columns_answer_whether_it_worked() {
    let server = Server::new("columns").await;
    server.create(&server.object("app", &spec(&json!({})))).await.unwrap();
    let status = json!({ "clientId": "one", "conditions": [
        { "type": "Stalled", "status": "False", "reason": "No", "message": "no" },
        { "type": "Ready", "status": "True", "reason": "Synced", "message": "all is well" },
    ] });
    server.patch_status("app", &status).await.unwrap();

    let table = server.table().await;
    let columns = table["columnDefinitions"].as_array().unwrap();
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    let shown: Vec<_> = columns
        .iter()
        .zip(cells)
        .filter(|(column, _)| column["name"] != "Age")
        .map(|(column, cell)| json!([column["name"], column["priority"], cell]))
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            ["Name", 0, "app"],
            ["Ready", 0, "True"],
            ["Reason", 0, "Synced"],
            ["Client ID", 0, "one"],
            ["Secret", 0, "app"],
            ["Message", 1, "all is well"],
        ])
    );
    assert!(columns.iter().any(|column| column["name"] == "Age" && column["type"] == "date"));
}

#[tokio::test]
async fn a_new_object_says_that_nobody_has_seen_it() {
    let server = Server::new("first-status").await;
    let unseen = json!({ "observedGeneration": -1 });
    let created = server.create(&server.object("app", &spec(&json!({})))).await.unwrap();
    assert_eq!(created["status"], unseen, "in the reply");
    assert_eq!(server.get("app").await["status"], unseen, "read again");
}

#[tokio::test]
async fn short_names_and_category_find_it() {
    let server = Server::new("names").await;
    server.create(&server.object("app", &spec(&json!({})))).await.unwrap();
    let plane = ControlPlane::shared().await;
    for name in ["oauth2", "hydraclient", "hydra", "oauth2clients.hydra.ory.sh"] {
        let found =
            plane.kubectl(&["get", name, "--namespace", server.namespace(), "--output=name"]);
        assert_eq!(found.trim(), "oauth2client.hydra.ory.sh/app", "{name}");
    }
}

/// The conditions of one writer survive those of another.
#[tokio::test]
async fn conditions_are_merged_by_type() {
    let server = Server::new("conditions").await;
    server.create(&server.object("app", &spec(&json!({})))).await.unwrap();
    let condition = |kind: &str| json!({ "conditions": [{ "type": kind, "status": "True" }] });
    server.apply_status("app", "one", &condition("Ready")).await;
    server.apply_status("app", "another", &condition("Audited")).await;

    let clients: Api<OAuth2Client> = Api::namespaced(server.client(), server.namespace());
    let listed = clients.list(&ListParams::default()).await.unwrap();
    let conditions = listed.items[0].status.clone().unwrap().conditions;
    assert!(condition::get(&conditions, ConditionType::Ready).is_some());
    assert_eq!(conditions.len(), 2);
}

#[tokio::test]
async fn a_condition_has_a_known_status() {
    let server = Server::new("condition-status").await;
    server.create(&server.object("app", &spec(&json!({})))).await.unwrap();
    let status = json!({ "conditions": [{ "type": "Ready", "status": "Perhaps" }] });
    let message = server.patch_status("app", &status).await.unwrap_err();
    assert!(message.contains("Unsupported value: \"Perhaps\""), "{message}");
}
