//! Input that means harm: whatever a spec or a name says, the requests to Hydra are those for its set.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use hydra_operator::{
    api::JsonWebKeySet,
    hydra::{self, Generation, HydraConfig, KeyId, KeyRequest},
    jose::Jwk,
    jsonwebkeyset::desired::{Desired, Permissions, desired},
};
use kube::CustomResourceExt;
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseResult, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    hostile::{CASES, check_headers, of_schema, text},
    scripted_server::{Reply, Request, Scripted},
};

/// A resource, and the id of a key that somebody provides.
#[derive(Clone, Debug)]
struct Hostile {
    name: String,
    namespace: String,
    spec: Value,
    kid: String,
}

#[test]
fn whatever_is_declared_the_requests_are_for_its_set() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sent = AtomicUsize::new(0);
    for generation in [Generation::V1, Generation::V2, Generation::V25] {
        let server = hydra_of(generation);
        let hydra = hydra::Hydra::new(HydraConfig::new(server.url.clone())).unwrap();
        // To find out the generation.
        runtime.block_on(hydra.generation()).unwrap();
        let attack = |hostile| {
            let before = server.requests().len();
            if let Some(desired) = runtime.block_on(requests_for(&hydra, &hostile))? {
                sent.fetch_add(1, Ordering::Relaxed);
                check(generation, &hostile, &desired, &server.requests()[before..])?;
            } else {
                prop_assert_eq!(server.requests().len(), before, "what is refused is not sent");
            }
            Ok(())
        };
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&hostile(), attack)
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
    let (sent, all) = (sent.into_inner(), CASES as usize * 3);
    assert!(sent > all / 8, "only {sent} of {all} reached Hydra");
}

/// Makes all requests about the set that `hostile` declares; none if the operator refuses it before.
async fn requests_for(
    hydra: &hydra::Hydra,
    hostile: &Hostile,
) -> Result<Option<Desired>, TestCaseError> {
    let object = json!({
        "metadata": { "name": hostile.name, "namespace": hostile.namespace },
        "spec": hostile.spec,
    });
    let Ok(resource) = serde_json::from_value::<JsonWebKeySet>(object) else { return Ok(None) };
    // An administrator who allows all that can be allowed.
    let names = BTreeSet::from([(hostile.namespace.clone(), "*".to_owned())]);
    let permissions = Permissions { names, ..Permissions::default() };
    let (Ok(desired), Ok(kid)) = (desired(&resource, &permissions), KeyId::parse(&hostile.kid))
    else {
        return Ok(None);
    };
    let request = KeyRequest {
        kid: &kid,
        algorithm: desired.algorithm.as_str(),
        key_use: &desired.rules.key_use,
    };
    let key = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "another" });
    let Ok(key) = Jwk::from_value(key) else { return Ok(None) };
    let _ = hydra.create_key(&desired.set, &request).await;
    let put = hydra.put_key(&desired.set, &kid, &key).await;
    prop_assert!(put.is_ok(), "{put:?}");
    let read = hydra.get_key_set(&desired.set).await;
    prop_assert!(read.is_ok());
    let deleted = hydra.delete_key_of_id(&desired.set, &kid).await;
    prop_assert!(deleted.is_ok(), "{deleted:?}");
    Ok(Some(desired))
}

/// The requests are those for this set and nothing else.
fn check(
    generation: Generation,
    hostile: &Hostile,
    desired: &Desired,
    asked: &[Request],
) -> TestCaseResult {
    let keys = if generation == Generation::V1 { "/keys" } else { "/admin/keys" };
    // The name has no character that is written in another way in a path.
    let set = format!("{keys}/{}", desired.set);
    let own = format!("k8s.{}.", hostile.namespace);
    let name = desired.set.as_str();
    prop_assert!(name.starts_with(&own) || !name.starts_with("k8s."), "{}", name);
    prop_assert!(!name.starts_with("hydra."), "{}", name);
    let key = format!("{set}/{}", hostile.kid);
    for request in asked {
        check_headers(request)?;
        let expected = match request.method.as_str() {
            "GET" | "POST" => &set,
            "PUT" | "DELETE" => &key,
            other => return Err(TestCaseError::fail(format!("a {other} request"))),
        };
        prop_assert_eq!(&request.target, expected, "{}", request.method);
    }
    let methods: Vec<_> = asked.iter().map(|request| request.method.as_str()).collect();
    prop_assert_eq!(&methods[..1], ["POST"]);
    let body: Value = serde_json::from_str(&asked[0].body).unwrap();
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    prop_assert_eq!(members, ["alg", "kid", "use"]);
    Ok(())
}

/// A server that answers as Hydra does, whatever it is asked.
fn hydra_of(generation: Generation) -> Scripted {
    Scripted::http(move |request| {
        let in_place = request.path().starts_with("/admin") != (generation == Generation::V1);
        if !in_place {
            return Reply::json(404, &json!({ "error": { "code": 404, "message": "no route" } }));
        }
        let reply = match request.method.as_str() {
            "DELETE" => Reply::json(204, &Value::Null),
            _ if request.path().contains("/clients") => Reply::json(200, &json!([])),
            _ => Reply::json(200, &json!({ "keys": [] })),
        };
        if generation == Generation::V25 { reply } else { reply.with("X-Total-Count", "0") }
    })
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let definition = serde_json::to_value(JsonWebKeySet::crd()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = of_schema(&schema["properties"]["spec"]);
    let name = || prop_oneof![1 => text().boxed(), 2 => "[a-z0-9-]{1,36}".boxed()];
    let kid = prop_oneof![1 => text().boxed(), 3 => "[A-Za-z0-9._~-]{1,36}".boxed()];
    let set = prop_oneof![
        text().prop_map(Some).boxed(),
        Just(None).boxed(),
        "k8s\\.[a-z]{1,3}\\.[a-z./%]{1,6}".prop_map(Some).boxed(),
        "[a-z.]{1,8}".prop_map(Some).boxed(),
    ];
    (name(), name(), spec, kid, set, prop::bool::weighted(0.8)).prop_map(
        |(name, namespace, mut spec, kid, set, tame)| {
            // Most are to get past what the operator itself refuses.
            if tame {
                let members = spec.as_object_mut().unwrap();
                members.retain(|name, _| matches!(name.as_str(), "outputs" | "suspend"));
                members.insert("algorithm".to_owned(), json!("RS256"));
                members.extend(set.map(|set| ("setName".to_owned(), json!(set))));
                if let Some(outputs) = members.get_mut("outputs").and_then(Value::as_object_mut) {
                    for output in outputs.values_mut() {
                        output["name"] = json!("output");
                    }
                }
            }
            Hostile { name, namespace, spec, kid }
        },
    )
}
