//! Input that means harm: whatever a spec, a name or a Secret says, the requests to Hydra are those for its client.

use std::sync::atomic::{AtomicUsize, Ordering};

use hydra_operator::{
    api::OAuth2Client,
    hydra::{self, ClientId, ClientSecret, Generation, HydraConfig},
    oauth2client::{desired::desired, key_set::Link},
};
use kube::{
    Api, CustomResourceExt,
    api::{Patch, PatchParams},
};
use percent_encoding::percent_decode_str;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseResult, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::{
    maester::write_model,
    scripted_server::{Reply, Request, Scripted},
    support::{self, ControlPlane, Hydra, crds, eventually},
    world::World,
};

pub const CASES: u32 = 300;
/// What tries to leave a path, a query, a header, a text or an object.
const ATTACKS: [&str; 16] = [
    "",
    ".",
    "..",
    "../keys/hydra.openid.id-token",
    "x/../../keys",
    "%2e%2e%2fkeys",
    "a?owner=b&page_size=1",
    "a#b",
    "a\r\nX-Forwarded-Proto: https\r\n\r\n",
    "a\nHost: elsewhere",
    "\u{0}",
    "\u{202e}\u{feff}",
    "\"},\"client_id\":\"other\",\"x\":{\"",
    "a\\\u{2028}b",
    "http://user:password@elsewhere:1/",
    "\u{1f980} \u{e9}",
];

/// A resource, and the credentials in its Secret.
#[derive(Clone, Debug)]
struct Hostile {
    name: String,
    namespace: String,
    spec: Value,
    id: String,
    secret: String,
}

#[test]
fn whatever_is_declared_the_requests_are_for_its_client() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sent = AtomicUsize::new(0);
    for generation in [Generation::V1, Generation::V2, Generation::V25] {
        let server = hydra_of(generation);
        let hydra = hydra::Hydra::new(HydraConfig::new(server.url.clone())).unwrap();
        let attack = |hostile| {
            let before = server.requests().len();
            let requests = requests_for(&hydra, generation, &hostile);
            if runtime.block_on(requests)? {
                sent.fetch_add(1, Ordering::Relaxed);
                check(generation, &hostile, &server.requests()[before..])?;
            }
            Ok(())
        };
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&hostile(), attack)
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
    let (sent, all) = (sent.into_inner(), CASES as usize * 3);
    assert!(sent > all / 2, "only {sent} of {all} reached Hydra");
}

/// Makes all requests about the client that `hostile` declares; false if the operator refuses it before.
async fn requests_for(
    hydra: &hydra::Hydra,
    generation: Generation,
    hostile: &Hostile,
) -> Result<bool, TestCaseError> {
    let object = json!({
        "metadata": { "name": hostile.name, "namespace": hostile.namespace },
        "spec": hostile.spec,
    });
    let Ok(resource) = serde_json::from_value::<OAuth2Client>(object) else { return Ok(false) };
    let (Ok(desired), Ok(id), Ok(secret)) = (
        desired(&resource, &Link::None),
        ClientId::parse(&hostile.id),
        ClientSecret::parse(&hostile.secret),
    ) else {
        return Ok(false);
    };
    let client_id = Some(id.as_str().to_owned());
    let client = hydra::OAuth2Client { client_id, ..desired.client };
    let answers = [
        hydra.create_client(&client, Some(&secret)).await.map(drop),
        hydra.replace_client(&id, &client, Some(&secret)).await.map(drop),
        hydra.get_client(&id).await.map(drop),
        hydra.delete_client(&id).await.map(drop),
    ];
    let listed = hydra.list_clients(client.owner.as_deref()).await;
    prop_assert!(listed.is_ok(), "{listed:?}");
    let in_reach = generation.addresses(&id);
    for answer in answers {
        prop_assert_eq!(answer.is_ok(), in_reach, "{:?}", answer);
    }
    Ok(in_reach)
}

/// The requests are those for this client and nothing else.
fn check(generation: Generation, hostile: &Hostile, asked: &[Request]) -> TestCaseResult {
    let clients = if generation == Generation::V1 { "/clients" } else { "/admin/clients" };
    let methods: Vec<_> = asked.iter().map(|request| request.method.as_str()).collect();
    prop_assert_eq!(methods, ["POST", "PUT", "GET", "DELETE", "GET"]);
    let owner = format!("{}/{}", hostile.name, hostile.namespace);
    for (request, number) in asked.iter().zip(0..) {
        check_headers(request)?;
        match number {
            0 => prop_assert_eq!(&request.target, clients),
            4 => check_query(request, clients, &owner)?,
            _ => {
                let segment = request.target.strip_prefix(&format!("{clients}/"));
                let segment = segment.unwrap_or("/");
                prop_assert!(!segment.contains(['/', '?', '#']), "{}", request.target);
                let id = percent_decode_str(segment).decode_utf8().unwrap();
                prop_assert_eq!(&id, &hostile.id);
            }
        }
        if number < 2 {
            check_body(request, hostile, &owner)?;
        } else {
            prop_assert_eq!(&request.body, "");
        }
    }
    Ok(())
}

pub fn check_headers(request: &Request) -> TestCaseResult {
    let mut names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let with_body =
        ["accept", "content-length", "content-type", "host", "user-agent", "x-request-id"];
    let without = ["accept", "host", "user-agent", "x-request-id"];
    let expected = if request.body.is_empty() { &without[..] } else { &with_body };
    prop_assert_eq!(names, expected);
    Ok(())
}

fn check_query(request: &Request, clients: &str, owner: &str) -> TestCaseResult {
    let (path, query) = request.target.split_once('?').unwrap_or_default();
    prop_assert_eq!(path, clients);
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let owners: Vec<_> = pairs.iter().filter(|(name, _)| name == "owner").collect();
    prop_assert_eq!(owners.len(), 1);
    prop_assert_eq!(&owners[0].1, owner);
    let known = ["owner", "page_size", "page_token", "limit", "offset"];
    prop_assert!(pairs.iter().all(|(name, _)| known.contains(&&**name)), "{}", query);
    Ok(())
}

/// Every member that hydra-maester would send arrives as it was declared, and none comes from within a text.
fn check_body(request: &Request, hostile: &Hostile, owner: &str) -> TestCaseResult {
    let body: Map<String, Value> = serde_json::from_str(&request.body).unwrap();
    for name in body.keys() {
        let known = hydra::OAuth2Client::MEMBERS.contains(&name.as_str());
        prop_assert!(known || name == "client_id" || name == "client_secret", "{}", name);
    }
    prop_assert_eq!(&body["client_id"], &hostile.id);
    prop_assert_eq!(&body["client_secret"], &hostile.secret);
    let mut expected = write_model(owner, &hostile.spec);
    let expected = expected.as_object_mut().unwrap();
    // Hydra ignores the first; unset, the second is `{}` as well as null.
    expected.remove("client_secret_expires_at");
    expected.retain(|_, value| !value.is_null());
    for (name, value) in expected {
        prop_assert_eq!(body.get(name), Some(&*value), "{}", name);
    }
    Ok(())
}

/// A server that answers as Hydra does, whatever it is asked.
fn hydra_of(generation: Generation) -> Scripted {
    Scripted::http(move |request| {
        let in_place = request.path().starts_with("/admin") != (generation == Generation::V1);
        if !in_place {
            return Reply::json(404, &json!({ "error": { "code": 404, "message": "no route" } }));
        }
        let lists = request.target.contains('?');
        let reply = match request.method.as_str() {
            "POST" => Reply::json(201, &json!({ "client_id": "a" })),
            "DELETE" => Reply::json(204, &Value::Null),
            _ if lists => Reply::json(200, &json!([])),
            _ => Reply::json(200, &json!({ "client_id": "a" })),
        };
        if generation == Generation::V25 { reply } else { reply.with("X-Total-Count", "0") }
    })
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let definition = serde_json::to_value(OAuth2Client::crd()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let spec = of_schema(&schema["properties"]["spec"]);
    let former = crds::read_manifest("tests/crds/former.yaml").remove(0);
    let former = former["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        ["properties"]
        .clone();
    // Most specs are to get past what the operator itself refuses.
    let spec = (spec, prop::bool::weighted(0.9))
        .prop_map(move |(spec, tame)| if tame { tamed(spec, &former) } else { spec });
    let id = prop_oneof![text(), "[a-z0-9-]{1,36}"];
    let secret = prop_oneof![text(), "[ -~]{8,40}"];
    (text(), text(), spec, id, secret).prop_map(|(name, namespace, spec, id, secret)| Hostile {
        name,
        namespace,
        spec,
        id,
        secret,
    })
}

pub fn text() -> impl Strategy<Value = String> {
    let any = vec(any::<char>(), 0..24).prop_map(String::from_iter);
    prop_oneof![select(&ATTACKS[..]).prop_map(ToOwned::to_owned), any]
}

/// Values of the type that the schema asks for, with every field that it has.
pub fn of_schema(schema: &Value) -> BoxedStrategy<Value> {
    match (schema["type"].as_str(), schema["properties"].as_object()) {
        (Some("string"), _) => text().prop_map(Value::String).boxed(),
        (Some("integer"), _) => any::<i64>().prop_map(Value::from).boxed(),
        (Some("boolean"), _) => any::<bool>().prop_map(Value::Bool).boxed(),
        (Some("array"), _) => vec(of_schema(&schema["items"]), 0..4).prop_map(Value::Array).boxed(),
        (_, Some(properties)) => {
            let names: Vec<_> = properties.keys().cloned().collect();
            let values: Vec<_> = properties.values().map(|s| option::of(of_schema(s))).collect();
            values.prop_map(move |values| members(&names, values)).boxed()
        }
        _ => anything(),
    }
}

fn members(names: &[String], values: Vec<Option<Value>>) -> Value {
    let present = names.iter().cloned().zip(values);
    Value::Object(present.filter_map(|(name, value)| Some((name, value?))).collect())
}

fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let object = vec((text(), inner.clone()), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()));
        prop_oneof![vec(inner, 0..4).prop_map(Value::Array), object]
    })
    .boxed()
}

/// Without what is refused as a whole. Every other field is as it was.
fn tamed(mut spec: Value, former: &Value) -> Value {
    let members = spec.as_object_mut().unwrap();
    // What hydra-maester lacks has rules of its own, and mostly does not concern Hydra.
    members.retain(|name, _| former.get(name).is_some() && name != "hydraAdmin");
    members.insert("secretName".to_owned(), json!("shop-credentials"));
    let grants = members.entry("grantTypes").or_insert_with(|| json!([]));
    if grants.as_array().is_some_and(Vec::is_empty) {
        *grants = json!(["client_credentials"]);
    }
    let lifespans = members.get_mut("tokenLifespans").and_then(Value::as_object_mut);
    for lifespan in lifespans.into_iter().flat_map(Map::values_mut) {
        *lifespan = json!("1h30m");
    }
    spec
}

/// An object from under another definition stops neither the watch nor the work on others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_does_not_decode_stops_nothing_else() {
    let cp = ControlPlane::start().await;
    let hydra = Hydra::shared(support::Generation::V2).await;
    let mut world = World::on(cp, hydra, "undecodable", &[]).await;
    world.create("before", &json!({})).await;
    world.ready("before").await;
    let mut definitions = crds::committed();
    for definition in &mut definitions {
        let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema.as_object_mut().unwrap().remove("x-kubernetes-validations");
        schema["properties"]["spec"] =
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    }
    crds::install(&world.client, definitions).await;
    let odd = json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "OAuth2Client",
        "metadata": { "name": "odd", "namespace": world.namespace },
        "spec": { "grantTypes": "client_credentials", "secretName": 7 },
    });
    crds::apply(&world.client, odd).await;
    let definition = OAuth2Client::api_resource();
    let raw: Api<kube::api::DynamicObject> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &definition);
    let stalls = async || {
        eventually("the odd one says so", async || {
            let odd = raw.get("odd").await.unwrap();
            let conditions = odd.data["status"]["conditions"].to_string();
            if conditions.contains("Undecodable") { Ok(()) } else { Err(conditions) }
        })
        .await;
    };
    stalls().await;
    works(&world, "during").await;
    assert_eq!(world.operator.process().terminate().await, 0);
    world.operator.start_again().await;
    works(&world, "after-a-restart").await;
    stalls().await;

    let mended = json!({ "spec": { "grantTypes": ["client_credentials"], "secretName": "odd" } });
    raw.patch("odd", &PatchParams::default(), &Patch::Merge(mended)).await.unwrap();
    world.ready("odd").await;
}

/// Creation, edit and deletion are served.
async fn works(world: &World, name: &str) {
    world.create(name, &json!({})).await;
    world.ready(name).await;
    world.edit(name, &json!({ "scope": "admin" })).await;
    world.ready(name).await;
    world.edit("before", &json!({ "clientName": name })).await;
    world.ready("before").await;
    world.delete(name).await;
    world.gone(name).await;
}
