//! Every member of a client, written and read back.

use hydra_operator::hydra::meaning::{ServerDefaults, Unlearned, differences, learn};
use hydra_operator::hydra::{Generation, Hydra, OAuth2Client};
use serde_json::{Map, Value, json};

use crate::https::Authority;
use crate::scripted_server::{Reply, Scripted};
use crate::server::{Ports, Program, Server};
use crate::{client, hydra, id};

crate::on_both_generations!(every_member_is_read_back, every_default_is_read_back);

/// What a generation drops without an error.
fn dropped_by(generation: Generation) -> Vec<&'static str> {
    let since_2_1 = ["access_token_strategy", "skip_consent", "skip_logout_consent"];
    let since_25 = [
        "device_authorization_grant_access_token_lifespan",
        "device_authorization_grant_id_token_lifespan",
        "device_authorization_grant_refresh_token_lifespan",
    ];
    let until_1 = ["password_grant_access_token_lifespan", "password_grant_refresh_token_lifespan"];
    match generation {
        Generation::V1 => [since_2_1, since_25].concat(),
        Generation::V2 => [&since_25[..], &until_1].concat(),
        Generation::V25 => until_1.to_vec(),
    }
}

/// A client with every member but `jwks_uri`, none at its default.
fn complete(sector_identifier_uri: &str) -> Value {
    let mut members = json!({
        "client_id": "complete",
        "client_name": "Complete",
        "redirect_uris": ["https://app.example/b", "https://app.example/a", "com.example.app:/cb"],
        "grant_types": ["refresh_token", "authorization_code"],
        "response_types": ["id_token code", "code"],
        "scope": "openid offline profile",
        "audience": ["https://b.example", "https://a.example"],
        "owner": "name/namespace",
        "policy_uri": "https://app.example/policy",
        "tos_uri": "https://app.example/tos",
        "client_uri": "https://app.example/",
        "logo_uri": "https://app.example/logo.png",
        "allowed_cors_origins": ["https://b.example/", "HTTPS://A.example:8443"],
        "contacts": ["b@app.example", "a@app.example"],
        "subject_type": "pairwise",
        "sector_identifier_uri": sector_identifier_uri,
        "jwks": {"keys": [
            {"kty": "EC", "kid": "k", "use": "sig", "alg": "ES256", "crv": "P-256", "vendor": 1,
             "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
             "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
            {"kty": "OKP", "kid": "o", "use": "sig", "crv": "Ed25519",
             "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        ]},
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "request_uris": ["https://app.example/request"],
        "request_object_signing_alg": "RS256",
        "userinfo_signed_response_alg": "RS256",
        "frontchannel_logout_uri": "https://app.example/front",
        "frontchannel_logout_session_required": true,
        "backchannel_logout_uri": "https://app.example/back",
        "backchannel_logout_session_required": true,
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "metadata": {"text": "x", "list": [1, 2.5, null], "nested": {"b": true, "a": "\u{1f980}"}},
        "access_token_strategy": "Opaque",
        "skip_consent": true,
        "skip_logout_consent": true,
    });
    let lifespans = OAuth2Client::MEMBERS.iter().filter(|name| name.ends_with("_lifespan"));
    for (name, number) in lifespans.zip(1..) {
        members[name] = json!(format!("{number}h90m1.5s"));
    }
    members
}

/// The `https` document that Hydra fetches for `sector_identifier_uri`, and the setting by which
/// Hydra trusts it.
struct Sector {
    document: Scripted,
    authority: tempfile::NamedTempFile,
}

fn sector() -> Sector {
    let authority = Authority::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let document = Scripted::https(
        |_| Reply::json(200, &complete("")["redirect_uris"]),
        authority.server_config(None),
    );
    Sector { document, authority: file }
}

async fn assert_only_dropped(
    hydra: &Hydra,
    sent: &OAuth2Client,
    reply: &OAuth2Client,
    dropped: &[&str],
) {
    let differing = |observed| {
        let defaults = ServerDefaults::default();
        differences(sent, observed, &defaults, Unlearned::AssumeDifferent)
    };
    assert_eq!(differing(reply), dropped, "in the reply");
    let read = hydra.get_client(&id("complete")).await.unwrap();
    assert_eq!(differing(&read), dropped, "in what is read");
    let listed = hydra.list_clients(sent.owner.as_deref()).await.unwrap();
    assert_eq!(differing(&listed[0]), dropped, "in what is listed");
}

async fn every_member_is_read_back(program: Program) {
    let sector = sector();
    let settings = [
        ("OIDC_SUBJECT_IDENTIFIERS_SUPPORTED_TYPES", "public,pairwise"),
        ("OIDC_SUBJECT_IDENTIFIERS_PAIRWISE_SALT", "salt-for-tests"),
        ("SSL_CERT_FILE", sector.authority.path().to_str().unwrap()),
    ];
    let server = Server::start_with(program, Ports::free(), &settings).await;
    let hydra = hydra(&server.admin_url());
    let generation = hydra.generation().await.unwrap();
    let sent = client(complete(sector.document.url.as_str()));
    let mut managed = sent.managed();
    managed.push("jwks_uri");
    assert_eq!(managed.len(), OAuth2Client::MEMBERS.len(), "a member is not in this test");

    let reply = hydra.create_client(&sent, None).await.unwrap().client;
    assert_only_dropped(&hydra, &sent, &reply, &dropped_by(generation)).await;

    let uri = Some("https://app.example/jwks".to_owned());
    let sent = OAuth2Client { jwks: Some(json!({})), jwks_uri: uri, ..sent };
    let reply = hydra.replace_client(&id("complete"), &sent, None).await.unwrap();
    assert_only_dropped(&hydra, &sent, &reply, &dropped_by(generation)).await;

    // Back to the defaults: nothing stays behind.
    let sent = client(defaults());
    let reply = hydra.replace_client(&id("complete"), &sent, None).await.unwrap();
    let learned = learn(&sent, &reply);
    let found = differences(&sent, &reply, &learned, Unlearned::AssumeDifferent);
    assert_eq!(found, [""; 0]);
}

/// Every member that can be at a default, at it.
fn defaults() -> Value {
    let complete = complete("");
    let mut members = Map::new();
    for name in OAuth2Client::MEMBERS {
        let default = match &complete[name] {
            Value::Array(_) => json!([]),
            Value::Object(_) => json!({}),
            Value::Bool(_) => json!(false),
            _ => json!(""),
        };
        members.insert((*name).to_owned(), default);
    }
    Value::Object(members)
}

async fn every_default_is_read_back(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    let sent = client(defaults());
    let created = hydra.create_client(&sent, None).await.unwrap().client;
    let learned = learn(&sent, &created);
    let scope = "offline_access offline openid".to_owned();
    let expected = ServerDefaults { scope: Some(scope), subject_type: Some("public".to_owned()) };
    assert_eq!(learned, expected);
    let read = hydra.get_client(&id(created.client_id.as_deref().unwrap())).await.unwrap();
    for observed in [&created, &read] {
        let found = differences(&sent, observed, &learned, Unlearned::AssumeDifferent);
        assert_eq!(found, [""; 0]);
        let unlearned = ServerDefaults::default();
        let found = differences(&sent, observed, &unlearned, Unlearned::AssumeDifferent);
        assert_eq!(found, ["scope", "subject_type"]);
    }
}
