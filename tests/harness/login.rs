//! ID tokens of both generations, and what a new key means to them.

use reqwest::Method;
use serde_json::json;

use crate::support::{Generation, Hydra, control_plane::unique, jose};

const SET: &str = "/keys/hydra.openid.id-token";

#[tokio::test]
async fn id_tokens_verify_before_and_after_a_new_key() {
    for generation in Generation::ALL {
        let hydra = Hydra::start(generation).await;
        let before = hydra.log_in("alice").await;
        let first = jose::verify(&hydra.published_keys().await, &before.id_token).unwrap();
        assert_eq!(first.claims()["sub"], "alice", "{generation:?}");
        assert_eq!(hydra.introspect(&before.access_token).await["sub"], "alice");

        let kid = unique("kid");
        let key = json!({ "alg": "RS256", "use": "sig", "kid": kid });
        let created = hydra.admin(Method::POST, SET, Some(&key)).await;
        assert_eq!(created.status, 201, "{generation:?}");

        let after = hydra.log_in("bob").await;
        let published = hydra.published_keys().await;
        let second = jose::verify(&published, &after.id_token).unwrap();
        assert_eq!(second.claims()["sub"], "bob", "{generation:?}");
        let expected = match generation {
            Generation::V1 => format!("public:{kid}"),
            Generation::V2 => kid,
        };
        assert_eq!(second.kid, expected, "the newest key signs at once");
        assert_ne!(second.kid, first.kid);
        assert_eq!(jose::verify(&published, &before.id_token).unwrap(), first);
    }
}
