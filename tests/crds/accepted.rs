//! Manifests as they are in the field: each is accepted without a warning, and decodes to what it says.

use std::{fs, path::Path};

use hydra_operator::api::{OAuth2Client, oauth2client::TokenEndpointAuthMethod};
use serde_json::{Value, json};

use crate::{server::Server, support::crds::read_manifest};

const CORPUS: &str = "tests/crds/corpus";

fn corpus() -> Vec<Value> {
    let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(CORPUS)).unwrap();
    let mut names: Vec<_> =
        folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.iter().flat_map(|name| read_manifest(&format!("{CORPUS}/{name}"))).collect()
}

fn named(name: &str) -> OAuth2Client {
    let manifest = corpus().into_iter().find(|manifest| manifest["metadata"]["name"] == name);
    serde_json::from_value(manifest.unwrap()).unwrap()
}

#[tokio::test]
async fn every_manifest_is_accepted_and_decodes_unchanged() {
    let server = Server::new("corpus").await;
    for manifest in corpus() {
        let created = server.create(&manifest).await.unwrap();
        let client: OAuth2Client = serde_json::from_value(created.clone()).unwrap();
        // What is read and written again is what the server holds: no member is lost on the way.
        let mut stored = created["spec"].clone();
        stored.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(json!(client.spec), stored, "{}", manifest["metadata"]["name"]);
    }
}

#[test]
fn every_spelling_of_unset_decodes() {
    let spec = named("unset").spec;
    assert_eq!(spec.metadata, None);
    assert_eq!(spec.hydra_admin.unwrap().port, Some(0));
    assert_eq!(spec.jwks_uri.as_deref().map(String::as_str), Some(""));
    let empty = named("unset-objects").spec;
    assert_eq!(empty.hydra_admin, Some(Box::default()));
    assert_eq!(empty.token_lifespans, Some(Box::default()));
    assert_eq!(empty.metadata.as_deref(), Some(&json!({})));
}

#[test]
fn every_field_has_its_place() {
    let spec = named("everything").spec;
    assert_eq!(spec.token_endpoint_auth_method, Some(TokenEndpointAuthMethod::PrivateKeyJwt));
    assert_eq!(spec.front_channel_logout_uri.unwrap().as_str(), "https://app.example.com/front");
    assert_eq!(spec.back_channel_logout_uri.unwrap().as_str(), "https://app.example.com/back");
    assert!(spec.skip_consent && spec.skip_logout_consent);
    assert!(spec.front_channel_logout_session_required);
    assert!(spec.back_channel_logout_session_required);
    assert_eq!(spec.client_secret_expires_at, Some(0));
    assert_eq!(
        spec.metadata.as_deref(),
        Some(&json!({ "team": "a", "nested": { "deep": [1, "two", null] } }))
    );
    let lifespans = spec.token_lifespans.unwrap();
    assert_eq!(json!(lifespans).as_object().unwrap().len(), 13);
}
