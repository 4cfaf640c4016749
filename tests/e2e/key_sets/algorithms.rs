//! Each algorithm, from the declaration to a signature that others make and check.

use hydra_operator::api::jsonwebkeyset::{KeyOrigin, KeyState};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    key_world::KeyWorld,
    on_each_generation,
    support::{
        Generation, eventually,
        jose::{SigningKey, load_jwks, load_pem, sign, verify},
    },
};

on_each_generation!(
    keys_of_curves_sign,
    rsa_keys_sign_pkcs1,
    rsa_keys_sign_pss,
    symmetric_keys_are_for_hydra_1,
    keys_for_encryption_are_called_so,
);

fn spec(name: &str, algorithm: &str) -> Value {
    json!({
        "algorithm": algorithm,
        "outputs": {
            "publicConfigMap": { "name": format!("{name}-public") },
            "privateSecret": { "name": format!("{name}-private") },
        },
    })
}

async fn keys_of_curves_sign(generation: Generation) {
    each(generation, &["ES256", "ES384", "ES512", "EdDSA"]).await;
}

async fn rsa_keys_sign_pkcs1(generation: Generation) {
    each(generation, &["RS256", "RS384", "RS512"]).await;
}

async fn rsa_keys_sign_pss(generation: Generation) {
    each(generation, &["PS256", "PS384", "PS512"]).await;
}

async fn each(generation: Generation, algorithms: &[&str]) {
    let world = KeyWorld::new("algorithms", generation).await;
    for algorithm in algorithms {
        let name = algorithm.to_lowercase();
        world.create_set(&name, &spec(&name, algorithm)).await;
        world.set_ready(&name).await;
        signs(&world, &name, algorithm).await;
    }
    world.assert_no_key_leaked().await;
    for algorithm in algorithms {
        let name = algorithm.to_lowercase();
        world.delete_set(&name).await;
        world.set_gone(&name).await;
        assert!(world.in_hydra_set(&name).await.is_empty());
    }
}

/// What is handed out is one key, everywhere the same, and good.
async fn signs(world: &KeyWorld, name: &str, algorithm: &str) {
    let generation = world.hydra.generation();
    let keys = world.settles(name, &[KeyState::Active]).await;
    let kid = keys[0].kid.clone();
    assert_eq!((keys[0].algorithm.as_str(), keys[0].r#use.as_str()), (algorithm, "sig"));
    world.hydra_agrees(name).await;

    let (private, public) = (format!("{name}-private"), format!("{name}-public"));
    let (jwks, public) = (world.private_jwks(&private).await, world.public_jwks(&public).await);
    let pem = world.secret_text(&private, "private.pem").await.unwrap();
    assert_eq!(world.secret_text(&private, "kid").await.as_ref(), Some(&kid));
    let whole = load_jwks(&jwks).unwrap();
    let halves = load_jwks(&public).unwrap();
    assert_eq!((whole.len(), halves.len()), (1, 1));
    assert!(whole[0].private && whole[0].valid && !halves[0].private && halves[0].valid);
    assert_eq!(whole[0].thumbprint, halves[0].thumbprint);
    for key in [&whole[0], &halves[0]] {
        assert_eq!((&*key.kid, &*key.alg, &*key.r#use), (&*kid, algorithm, "sig"));
        assert!(key.kty != "RSA" || key.size >= 2048);
    }
    let of_pem = load_pem(&pem).unwrap();
    let of_pem = load_jwks(&json!({ "keys": [of_pem[0].public] })).unwrap();
    assert_eq!(of_pem[0].thumbprint, halves[0].thumbprint);

    let alg = algorithm.to_owned();
    for key in [
        SigningKey::Jwks { jwks, kid: kid.clone(), alg: None },
        SigningKey::Pem { pem, kid: kid.clone(), alg },
    ] {
        let token = sign(&key, "hello").unwrap();
        let verified = verify(&public, &token).unwrap();
        assert_eq!((&*verified.payload, &verified.kid), ("hello", &kid));
        assert_eq!(verified.alg, algorithm);
    }
    // Hydra has the same.
    let in_hydra = load_jwks(&json!({ "keys": world.in_hydra_set(name).await })).unwrap();
    for key in &in_hydra {
        assert_eq!(key.thumbprint, halves[0].thumbprint);
        // Hydra 1 says the algorithm with one of the halves alone.
        let named = generation == Generation::V2;
        assert!(key.alg == algorithm || (!named && key.alg.is_empty()), "{}", key.alg);
        assert_eq!(key.r#use, "sig");
    }
    assert!(in_hydra.iter().any(|key| key.private));
}

async fn symmetric_keys_are_for_hydra_1(generation: Generation) {
    let world = KeyWorld::new("symmetric", generation).await;
    for (name, algorithm) in [("hs256", "HS256"), ("hs512", "HS512")] {
        let outputs = json!({ "privateSecret": { "name": name } });
        let spec = json!({ "algorithm": algorithm, "outputs": outputs });
        world.create_set(name, &spec).await;
        if generation == Generation::V2 {
            let reason = "Stalled=True UnsupportedAlgorithm";
            world.set_says(name, reason, "such as ES256").await;
            assert!(world.in_hydra_set(name).await.is_empty());
            world.edit_set(name, &json!({ "algorithm": "ES256" })).await;
            world.set_ready(name).await;
            continue;
        }
        world.set_ready(name).await;
        let keys = world.settles(name, &[KeyState::Active]).await;
        assert_eq!((&keys[0].public_key, keys[0].origin), (&None, KeyOrigin::Operator));
        let jwks = world.private_jwks(name).await;
        assert_eq!(world.secret_text(name, "private.pem").await, None);
        let loaded = load_jwks(&jwks).unwrap();
        assert_eq!((&*loaded[0].kty, &*loaded[0].alg), ("oct", algorithm));
        let token = sign(&world.signing_key(name).await, "hello").unwrap();
        assert_eq!(verify(&jwks, &token).unwrap().alg, algorithm);
        assert_eq!(world.in_hydra_set(name).await, *jwks["keys"].as_array().unwrap());
        a_lost_secret_comes_back(&world, name, &jwks["keys"][0]).await;
        assert_eq!(world.private_jwks(name).await, jwks);
    }
    world.assert_no_key_leaked().await;
}

/// Hydra has the key again as it was, whatever becomes of it there.
async fn a_lost_secret_comes_back(world: &KeyWorld, name: &str, key: &Value) {
    let kid = key["kid"].as_str().unwrap();
    let path = format!("/keys/k8s.{}.{name}/{kid}", world.namespace);
    let mut other = key.clone();
    other["k"] = json!("AAAA");
    for (method, altered) in [(Method::PUT, Some(&other)), (Method::DELETE, None)] {
        let answer = world.hydra.admin(method, &path, altered).await;
        assert!(matches!(answer.status, 200 | 204), "{}", answer.status);
        eventually("the key is as before", async || {
            world.in_hydra_set(name).await == std::slice::from_ref(key)
        })
        .await;
    }
    eventually("it is told", async || {
        world.events(name).await.get("Warning DriftCorrected") == Some(&2)
    })
    .await;
    let keys = world.settles(name, &[KeyState::Active]).await;
    assert_eq!(keys[0].kid, kid);
}

async fn keys_for_encryption_are_called_so(generation: Generation) {
    let world = KeyWorld::new("encryption", generation).await;
    let mut spec = spec("enc", "ES256");
    spec["use"] = json!("enc");
    world.create_set("enc", &spec).await;
    world.set_ready("enc").await;
    let jwks = [world.private_jwks("enc-private").await, world.public_jwks("enc-public").await];
    for jwks in &jwks {
        assert_eq!(load_jwks(jwks).unwrap()[0].r#use, "enc");
    }
    assert_eq!(world.in_hydra_set("enc").await[0]["use"], "enc");
    world.assert_no_key_leaked().await;
}
