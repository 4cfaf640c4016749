//! Which algorithms of a client's assertion each generation of Hydra knows.

use crate::support::{
    Generation, Hydra,
    jose::{self, Generated, SigningKey},
    private_key_jwt::asserting_client,
};

const ACCEPTED: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

#[tokio::test]
async fn each_algorithm_but_eddsa_gets_a_token() {
    let keys = ACCEPTED.map(|alg| (alg, jose::generate(alg, "current")));
    for generation in Generation::ALL {
        let hydra = Hydra::shared(generation).await;
        for (alg, key) in &keys {
            let id = format!("asserting-{alg}");
            hydra.delete_client(&id).await;
            let created = hydra.post_client(&asserting_client(&id, alg, &[key.public_jwk()])).await;
            assert_eq!(created.status, 201, "{generation:?} {alg} {created:?}");

            let token = hydra.token_by_assertion(&id, &key.signing_key()).await;

            let token = token.unwrap_or_else(|why| panic!("{generation:?} {alg} {why:?}"));
            assert_eq!(hydra.introspect(&token).await["client_id"], id.as_str());
            // Not only once: each assertion is another one.
            hydra.token_by_assertion(&id, &key.signing_key()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_for_eddsa_cannot_be_made() {
    let key = jose::generate("EdDSA", "current");
    for generation in Generation::ALL {
        let hydra = Hydra::shared(generation).await;
        let client = asserting_client("asserting-EdDSA", "EdDSA", &[key.public_jwk()]);
        let refusal = hydra.post_client(&client).await;
        assert_eq!(refusal.status, 400, "{generation:?} {refusal:?}");
        assert_eq!(refusal.body["error"], "invalid_client_metadata");
        let why = refusal.body["error_description"].as_str().unwrap();
        for alg in ACCEPTED {
            assert!(why.contains(alg), "{generation:?} names {alg}: {why}");
        }
    }
}

#[tokio::test]
async fn a_client_that_names_no_algorithm_may_use_rs256_alone() {
    let keys = ["RS256", "PS256", "ES256", "EdDSA"].map(|alg| jose::generate(alg, alg));
    let public_keys: Vec<_> = keys.iter().map(Generated::public_jwk).collect();
    let mut client = asserting_client("no-algorithm", "", &public_keys);
    client.as_object_mut().unwrap().remove("token_endpoint_auth_signing_alg");
    for generation in Generation::ALL {
        let hydra = Hydra::shared(generation).await;
        hydra.delete_client("no-algorithm").await;
        let created = hydra.post_client(&client).await;
        assert_eq!(created.status, 201, "{generation:?} {created:?}");
        let mut outcomes = Vec::new();
        for key in &keys {
            outcomes.push(hydra.token_by_assertion("no-algorithm", &key.signing_key()).await);
        }
        let accepted: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(accepted, [true, false, false, false], "{generation:?} {outcomes:?}");
    }
}

/// What the tests of a rotation rely on: only the keys of the client sign for it, with its algorithm.
#[tokio::test]
async fn another_key_or_algorithm_is_refused() {
    let known = jose::generate("PS256", "current");
    let public_keys = [known.public_jwk()];
    let unknown = jose::generate("PS256", "other").signing_key();
    let in_its_name = jose::generate("PS256", "current").signing_key();
    let pem = known.pkcs8.clone().unwrap();
    let otherwise = SigningKey::Pem { pem, kid: "current".to_owned(), alg: "PS512".to_owned() };
    for generation in Generation::ALL {
        let hydra = Hydra::shared(generation).await;
        hydra.delete_client("refused").await;
        hydra.post_client(&asserting_client("refused", "PS256", &public_keys)).await;
        hydra.token_by_assertion("refused", &known.signing_key()).await.unwrap();
        for (key, expected) in [
            // Not a refused authentication.
            (&unknown, (400, "invalid_request")),
            (&in_its_name, (401, "invalid_client")),
            (&otherwise, (401, "invalid_client")),
        ] {
            let refusal = hydra.token_by_assertion("refused", key).await.unwrap_err();
            let error = refusal.body["error"].as_str().unwrap_or_default();
            assert_eq!((refusal.status, error), expected, "{generation:?} {refusal:?}");
        }
    }
}
