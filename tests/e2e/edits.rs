//! Every field that can be edited: what Hydra holds is what was asked for, and nothing else moves.

use serde_json::{Map, Value, json};

use crate::{
    on_each_generation,
    signing::ClientKey,
    support::{Generation, Hydra},
    world::{World, client_id},
};

on_each_generation!(
    each_group_of_fields_reaches_hydra_and_goes_back_to_its_default,
    keys_reach_hydra_and_give_way_to_their_address,
    all_fields_together_reach_hydra,
);

/// A change of the spec, and the members of the client that it changes.
struct Edit {
    what: &'static str,
    spec: Value,
    hydra: Value,
}

fn edit(what: &'static str, spec: Value, hydra: Value) -> Edit {
    Edit { what, spec, hydra }
}

async fn each_group_of_fields_reaches_hydra_and_goes_back_to_its_default(generation: Generation) {
    let world = pairwise_world("edits", generation).await;
    world.create("shop", &json!({})).await;
    let id = client_id(&world.ready("shop").await);
    let unedited = client(&world, &id).await;
    for Edit { what, spec, hydra } in edits(generation) {
        world.edit("shop", &spec).await;
        world.ready("shop").await;
        assert_same(what, &client(&world, &id).await, &with(&unedited, &hydra));

        world.edit("shop", &undo(&spec)).await;
        world.ready("shop").await;
        assert_same(&format!("{what}, and back"), &client(&world, &id).await, &unedited);
    }
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
}

/// Keys that the spec no longer names are not told apart from keys that somebody else put there,
/// and stay; the address of others replaces them.
async fn keys_reach_hydra_and_give_way_to_their_address(generation: Generation) {
    let world = World::new("jwks", generation).await;
    let (first, second) = (ClientKey::generate("first"), ClientKey::generate("second"));
    world.create("shop", &json!({ "jwks": { "keys": [first.public_jwk()] } })).await;
    let id = client_id(&world.ready("shop").await);
    let held = async || {
        let client = world.in_hydra(&id).await.unwrap();
        (client["jwks"].clone(), client["jwks_uri"].clone())
    };
    assert_eq!(held().await.0, json!({ "keys": [first.public_jwk()] }));

    let both = [second.public_jwk(), first.public_jwk()];
    world.edit("shop", &json!({ "jwks": { "keys": both } })).await;
    world.ready("shop").await;
    assert_eq!(held().await.0, json!({ "keys": both }));

    let address = "https://shop.example.com/keys.json";
    world.edit("shop", &json!({ "jwks": null, "jwksUri": address })).await;
    world.ready("shop").await;
    assert_eq!(held().await, (json!({}), json!(address)));

    world.edit("shop", &json!({ "jwks": { "keys": both }, "jwksUri": null })).await;
    world.ready("shop").await;
    assert_eq!(held().await.0, json!({ "keys": both }));
}

async fn all_fields_together_reach_hydra(generation: Generation) {
    let world = pairwise_world("all-fields", generation).await;
    let edits = edits(generation);
    let all = |pick: fn(&Edit) -> &Value| {
        edits.iter().fold(json!({}), |all, edit| with(&all, pick(edit)))
    };
    world.create("shop", &all(|edit| &edit.spec)).await;
    let created = client(&world, &client_id(&world.ready("shop").await)).await;
    assert_same("created", &created, &with(&created, &all(|edit| &edit.hydra)));

    world.create("late", &json!({})).await;
    world.ready("late").await;
    world.edit("late", &all(|edit| &edit.spec)).await;
    let edited = client(&world, &client_id(&world.ready("late").await)).await;
    let same = json!({ "client_id": created["client_id"], "owner": created["owner"] });
    assert_same("edited or created", &with(&edited, &same), &created);
}

/// On a Hydra that supports pairwise subjects, which is an option.
async fn pairwise_world(name: &str, generation: Generation) -> World {
    let settings = [
        ("OIDC_SUBJECT_IDENTIFIERS_SUPPORTED_TYPES", "public,pairwise"),
        ("OIDC_SUBJECT_IDENTIFIERS_PAIRWISE_SALT", "some-salt-of-tests"),
    ];
    let hydra = Box::leak(Box::new(Hydra::start_with(generation, &settings).await));
    World::with_args(name, hydra, &[]).await
}

/// The client, without the times that tell when it was written.
async fn client(world: &World, id: &str) -> Value {
    let mut client = world.in_hydra(id).await.unwrap();
    let members = client.as_object_mut().unwrap();
    members.remove("created_at");
    members.remove("updated_at");
    client
}

/// Names the members that differ.
fn assert_same(what: &str, found: &Value, expected: &Value) {
    let (found, expected) = (found.as_object().unwrap(), expected.as_object().unwrap());
    let differing: Vec<_> = found
        .keys()
        .chain(expected.keys())
        .filter(|name| found.get(*name) != expected.get(*name))
        .map(|name| format!("{name}: {:?} and not {:?}", found.get(name), expected.get(name)))
        .collect();
    assert!(differing.is_empty(), "{what}: {differing:#?}");
}

fn with(client: &Value, members: &Value) -> Value {
    let mut client = client.clone();
    client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    client
}

/// The patch that brings the spec back to that of [`World::resource`].
fn undo(spec: &Value) -> Value {
    let unedited = serde_json::to_value(World::resource("shop", &json!({})).spec).unwrap();
    let back = |name: &String| (name.clone(), unedited.get(name).cloned().unwrap_or_default());
    Value::Object(spec.as_object().unwrap().keys().map(back).collect::<Map<_, _>>())
}

fn edits(generation: Generation) -> Vec<Edit> {
    let mut edits: Vec<_> = [names(), scopes(), uses(), logout(), security(), vec![lifespans()]]
        .into_iter()
        .flatten()
        .collect();
    if generation == Generation::V2 {
        edits.push(edit(
            "what Hydra 2 added",
            json!({
                "skipConsent": true, "skipLogoutConsent": true, "accessTokenStrategy": "opaque",
            }),
            json!({
                "skip_consent": true, "skip_logout_consent": true, "access_token_strategy": "opaque",
            }),
        ));
    }
    edits
}

fn names() -> Vec<Edit> {
    vec![
        edit(
            "names and pages",
            json!({
                "clientName": "Shop & Söhne",
                "clientUri": "https://shop.example.com",
                "logoUri": "https://shop.example.com/logo.png",
                "policyUri": "https://shop.example.com/policy",
                "tosUri": "https://shop.example.com/terms",
            }),
            json!({
                "client_name": "Shop & Söhne",
                "client_uri": "https://shop.example.com",
                "logo_uri": "https://shop.example.com/logo.png",
                "policy_uri": "https://shop.example.com/policy",
                "tos_uri": "https://shop.example.com/terms",
            }),
        ),
        edit(
            "audience and contacts",
            json!({
                "audience": ["https://api.example.com", "reports"],
                "contacts": ["team@example.com", "https://chat.example.com/team"],
            }),
            json!({
                "audience": ["https://api.example.com", "reports"],
                "contacts": ["team@example.com", "https://chat.example.com/team"],
            }),
        ),
        edit(
            "metadata",
            json!({ "metadata": { "tier": "gold", "limits": { "rate": 5.5, "regions": ["eu", 2, true] } } }),
            json!({ "metadata": { "tier": "gold", "limits": { "rate": 5.5, "regions": ["eu", 2, true] } } }),
        ),
    ]
}

fn scopes() -> Vec<Edit> {
    vec![
        edit(
            "no scope",
            json!({ "scope": null }),
            json!({ "scope": "offline_access offline openid" }),
        ),
        edit("scope alone", json!({ "scope": "admin" }), json!({ "scope": "admin" })),
        edit(
            "scopeArray alone",
            json!({ "scope": null, "scopeArray": ["openid", "read"] }),
            json!({ "scope": "openid read" }),
        ),
        edit(
            "scopeArray and scope",
            json!({ "scope": "read write", "scopeArray": ["openid", "admin"] }),
            json!({ "scope": "openid admin read write" }),
        ),
    ]
}

fn uses() -> Vec<Edit> {
    let callbacks = ["https://shop.example.com/callback", "com.example.shop:/callback"];
    vec![
        edit(
            "grants and responses",
            json!({
                "grantTypes": ["client_credentials", "authorization_code", "refresh_token", "implicit",
                    "urn:ietf:params:oauth:grant-type:device_code",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer"],
                "responseTypes": ["code", "id_token token", "code id_token token"],
                "redirectUris": callbacks,
            }),
            json!({
                "grant_types": ["client_credentials", "authorization_code", "refresh_token", "implicit",
                    "urn:ietf:params:oauth:grant-type:device_code",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer"],
                "response_types": ["code", "id_token token", "code id_token token"],
                "redirect_uris": callbacks,
            }),
        ),
        edit(
            "addresses",
            json!({
                "redirectUris": callbacks,
                "postLogoutRedirectUris": ["https://shop.example.com/bye"],
                "allowedCorsOrigins": ["https://shop.example.com", "http://localhost:3000"],
                "requestUris": ["https://shop.example.com/request.jwt"],
            }),
            json!({
                "redirect_uris": callbacks,
                "post_logout_redirect_uris": ["https://shop.example.com/bye"],
                "allowed_cors_origins": ["https://shop.example.com", "http://localhost:3000"],
                "request_uris": ["https://shop.example.com/request.jwt"],
            }),
        ),
    ]
}

fn logout() -> Vec<Edit> {
    vec![
        edit(
            "front channel",
            json!({
                "frontChannelLogoutURI": "https://shop.example.com/front",
                "frontChannelLogoutSessionRequired": true,
            }),
            json!({
                "frontchannel_logout_uri": "https://shop.example.com/front",
                "frontchannel_logout_session_required": true,
            }),
        ),
        edit(
            "back channel",
            json!({
                "backChannelLogoutURI": "https://shop.example.com/back",
                "backChannelLogoutSessionRequired": true,
            }),
            json!({
                "backchannel_logout_uri": "https://shop.example.com/back",
                "backchannel_logout_session_required": true,
            }),
        ),
    ]
}

fn security() -> Vec<Edit> {
    vec![
        edit(
            "algorithms",
            json!({
                "requestObjectSigningAlg": "ES256",
                "tokenEndpointAuthSigningAlg": "PS512",
                "userinfoSignedResponseAlg": "RS256",
            }),
            json!({
                "request_object_signing_alg": "ES256",
                "token_endpoint_auth_signing_alg": "PS512",
                "userinfo_signed_response_alg": "RS256",
            }),
        ),
        edit(
            "subject type",
            json!({ "subjectType": "pairwise" }),
            json!({ "subject_type": "pairwise" }),
        ),
        edit(
            "address of keys",
            json!({ "jwksUri": "https://shop.example.com/keys.json" }),
            json!({ "jwks_uri": "https://shop.example.com/keys.json" }),
        ),
        edit(
            "authentication",
            json!({ "tokenEndpointAuthMethod": "client_secret_post" }),
            json!({ "token_endpoint_auth_method": "client_secret_post" }),
        ),
    ]
}

fn lifespans() -> Edit {
    const LIFESPANS: [&str; 10] = [
        "authorization_code_grant_access_token_lifespan",
        "authorization_code_grant_id_token_lifespan",
        "authorization_code_grant_refresh_token_lifespan",
        "client_credentials_grant_access_token_lifespan",
        "implicit_grant_access_token_lifespan",
        "implicit_grant_id_token_lifespan",
        "jwt_bearer_grant_access_token_lifespan",
        "refresh_token_grant_access_token_lifespan",
        "refresh_token_grant_id_token_lifespan",
        "refresh_token_grant_refresh_token_lifespan",
    ];
    // A value of its own for each: none can stand in for another.
    let each = |value: fn(usize) -> String| -> Map<String, Value> {
        LIFESPANS
            .iter()
            .enumerate()
            .map(|(n, name)| ((*name).into(), value(n + 1).into()))
            .collect()
    };
    let hydra = Value::Object(each(|n| format!("1h{n}m0s")));
    edit("lifespans", json!({ "tokenLifespans": each(|n| format!("{}m", 60 + n)) }), hydra)
}
