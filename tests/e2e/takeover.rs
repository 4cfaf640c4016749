//! The first start where hydra-maester was before: everything is found as it is, and nothing is written but status.

use futures::{StreamExt, TryStreamExt, stream};
use hydra_operator::api::{OAuth2Client, oauth2client::TokenEndpointAuthMethod};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    corpus::regular,
    maester::write_model,
    on_each_generation,
    signing::ClientKey,
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, control_plane::unique,
        eventually, hydra_api::Authentication,
    },
    world::{World, client_id},
};

on_each_generation!(
    two_hundred_resources_are_taken_over_without_a_write,
    secrets_with_the_former_keys_are_taken_over_without_a_write,
    keys_that_were_set_by_hand_survive,
);

/// Resources of each test of many.
const COUNT: usize = 200;
/// Requests at the same time: more, and `SQLite` refuses some.
const PARALLEL: usize = 4;
const FINALIZER: &str = "finalizer.ory.hydra.sh";
const KEYS: [&str; 2] = ["CLIENT_ID", "CLIENT_SECRET"];
/// Before its version 0.0.31.
const FORMER_KEYS: [&str; 2] = ["client_id", "client_secret"];

/// Who made the Secret, and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// hydra-maester, with these keys.
    Generated([&'static str; 2]),
    /// A user, before the resource.
    Users,
}

/// A namespace with what hydra-maester left, and a Hydra that nobody else uses.
struct Left {
    cp: &'static ControlPlane,
    hydra: Hydra,
    namespace: String,
    client: Client,
}

impl Left {
    async fn new(generation: Generation) -> Self {
        let cp = ControlPlane::shared().await;
        let namespace = cp.namespace("takeover").await;
        let hydra = Hydra::start(generation).await;
        Self { cp, hydra, namespace, client: cp.client().await }
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A resource as it left it, with `spec` over that of a machine client.
    async fn resource(&self, name: &str, spec: &Value, origin: Origin) {
        let spec = full_spec(name, spec);
        let client = self.registered(name, &spec, origin).await;
        let resource = self.stored(name, &spec).await;
        let [id, secret] = match origin {
            Origin::Generated(keys) => keys,
            Origin::Users => KEYS,
        };
        let mut data = json!({ id: client["client_id"] });
        if let Some(value) = client["client_secret"].as_str() {
            data[secret] = json!(value);
        }
        let mut metadata = json!({ "name": format!("{name}-credentials") });
        if origin != Origin::Users {
            metadata["ownerReferences"] = json!([{
                "apiVersion": "hydra.ory.sh/v1alpha1",
                "kind": "OAuth2Client",
                "name": name,
                "uid": resource.metadata.uid,
            }]);
        }
        let manifest = json!({ "metadata": metadata, "stringData": data, "type": "Opaque" });
        let manifest = serde_json::from_value(manifest).unwrap();
        self.secrets().create(&PostParams::default(), &manifest).await.unwrap();
    }

    /// The client, as Hydra answered when it was created.
    async fn registered(&self, name: &str, spec: &Value, origin: Origin) -> Value {
        let mut body = write_model(&format!("{name}/{}", self.namespace), spec);
        if origin == Origin::Users {
            body["client_id"] = json!(unique(name));
            body["client_secret"] = json!("a-secret-chosen-by-the-user");
        }
        let mut created = eventually(&format!("the client of {name} is created"), async || {
            let answer = self.hydra.post_client(&body).await;
            if answer.status == 201 { Ok(answer.body) } else { Err(answer) }
        })
        .await;
        // Hydra 1 shows a secret of public clients as well, and nobody kept it.
        if spec["tokenEndpointAuthMethod"] == "none" {
            created["client_secret"] = Value::Null;
        }
        created
    }

    /// The resource, with finalizer and status.
    async fn stored(&self, name: &str, spec: &Value) -> OAuth2Client {
        let resources: Api<OAuth2Client> = Api::namespaced(self.client.clone(), &self.namespace);
        let manifest = json!({
            "apiVersion": "hydra.ory.sh/v1alpha1",
            "kind": "OAuth2Client",
            "metadata": { "name": name, "namespace": self.namespace, "finalizers": [FINALIZER] },
            "spec": spec,
        });
        // Not by our types, which would leave out what it writes as empty.
        let collection =
            format!("/apis/hydra.ory.sh/v1alpha1/namespaces/{}/oauth2clients", self.namespace);
        let request = http::Request::post(collection).header("Content-Type", "application/json");
        let request = request.body(manifest.to_string().into_bytes()).unwrap();
        let created: Value = self.client.request(request).await.unwrap();
        let status = json!({ "status": {
            "observedGeneration": created["metadata"]["generation"],
            "conditions": [{ "type": "Ready", "status": "True" }],
            "reconciliationError": {},
        } });
        let patch = Patch::Merge(status);
        resources.patch_status(name, &PatchParams::default(), &patch).await.unwrap()
    }

    /// Starts the operator.
    async fn take_over(self) -> World {
        let options = OperatorOptions::new(self.hydra.admin_url())
            .namespaces([&self.namespace])
            .args(["--resync-interval=1s"]);
        let operator = Operator::start(self.cp, options).await;
        World::with_operator(self.cp, self.hydra, operator, self.namespace).await
    }
}

/// `spec` over that of a machine client, with all that hydra-maester writes into each resource.
fn full_spec(name: &str, spec: &Value) -> Value {
    let mut full = json!({
        "grantTypes": ["client_credentials"],
        "scope": "read write",
        "secretName": format!("{name}-credentials"),
        "hydraAdmin": {},
        "tokenLifespans": {},
        "metadata": null,
        "skipConsent": false,
        "skipLogoutConsent": false,
        "frontChannelLogoutSessionRequired": false,
        "backChannelLogoutSessionRequired": false,
    });
    full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    full
}

async fn two_hundred_resources_are_taken_over_without_a_write(generation: Generation) {
    taken_over(generation, |n| match n % 5 {
        0 => Origin::Users,
        _ => Origin::Generated(KEYS),
    })
    .await;
}

async fn secrets_with_the_former_keys_are_taken_over_without_a_write(generation: Generation) {
    taken_over(generation, |n| match n % 3 {
        0 => Origin::Generated(KEYS),
        _ => Origin::Generated(FORMER_KEYS),
    })
    .await;
}

async fn taken_over(generation: Generation, origin: fn(usize) -> Origin) {
    let specs = specs();
    let left = Left::new(generation).await;
    stream::iter(0..COUNT)
        .for_each_concurrent(PARALLEL, async |n| {
            left.resource(&format!("app-{n}"), &specs[n % specs.len()], origin(n)).await;
        })
        .await;
    let secrets = left.secrets().list(&ListParams::default()).await.unwrap().items;
    let clients = left.hydra.list_all_clients().await;
    let writes = left.hydra.counters().await.writes();

    let world = left.take_over().await;
    let resources = world.all_ready(COUNT).await;
    world.two_sweeps().await;
    assert_eq!(world.hydra.counters().await.writes(), writes, "Hydra was written to");
    assert_eq!(world.hydra.list_all_clients().await, clients);
    let now = world.secrets.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(now, secrets, "a Secret was written");
    assert!(
        resources.iter().all(|r| r.metadata.finalizers.as_deref() == Some(&[FINALIZER.into()]))
    );
    credentials_work(&world, &secrets, &resources).await;
    let values = secrets.iter().flat_map(|secret| secret.data.clone().unwrap());
    let values = values.filter(|(key, _)| key.to_lowercase() == "client_secret");
    let values: Vec<_> = values.map(|(_, value)| String::from_utf8(value.0).unwrap()).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    world.assert_no_secret_leaked(&values).await;
}

/// The specs of the corpus with the machine grant, which a token is got by, that each Hydra keeps by default.
fn specs() -> Vec<Value> {
    let others = [
        "grantTypes",
        "private_key_jwt",
        "pairwise",
        "skipConsent",
        "skipLogoutConsent",
        "accessTokenStrategy",
    ];
    let specs = regular("").into_iter().map(|case| case.spec);
    specs.filter(|spec| !others.iter().any(|other| spec.to_string().contains(other))).collect()
}

/// Each Secret that has a secret gets a token, in the way that the spec says; the others name a client.
async fn credentials_work(world: &World, secrets: &[Secret], resources: &[OAuth2Client]) {
    let with_secret = |secret: &&Secret| secret.data.as_ref().unwrap().len() == 2;
    assert!(secrets.iter().filter(with_secret).count() > COUNT / 2);
    stream::iter(resources)
        .map(async |resource| {
            let name = resource.metadata.name.as_deref().unwrap();
            let secret = secrets
                .iter()
                .find(|s| s.metadata.name.as_deref() == Some(&resource.spec.secret_name));
            let mut values = secret.unwrap().data.clone().unwrap().into_iter();
            let mut text = || values.next().map(|(_, value)| String::from_utf8(value.0).unwrap());
            let (id, secret) = (text().unwrap(), text());
            if id != client_id(resource) {
                return Err(format!("{name} has another client"));
            }
            let Some(secret) = secret else { return Ok(()) };
            let method = resource.spec.token_endpoint_auth_method.as_ref();
            let way = match method.map(TokenEndpointAuthMethod::as_str) {
                Some("client_secret_post") => Authentication::Post,
                _ => Authentication::Basic,
            };
            let token = world.hydra.token_by(way, &id, &secret).await;
            token.map(|_| ()).map_err(|refusal| format!("{name}: {refusal:?}"))
        })
        .buffer_unordered(PARALLEL)
        .try_for_each(async |()| Ok(()))
        .await
        .unwrap();
}

/// hydra-maester has no field for keys: whoever needed them put them into Hydra.
async fn keys_that_were_set_by_hand_survive(generation: Generation) {
    let left = Left::new(generation).await;
    left.resource("shop", &json!({}), Origin::Generated(KEYS)).await;
    let owner = format!("shop/{}", left.namespace);
    let id = left.hydra.client_ids_of(&owner).await.remove(0);
    let keys = json!({ "keys": [ClientKey::generate("by-hand").public_jwk()] });
    let mut client = left.hydra.get_client(&id).await.unwrap();
    client["jwks"] = keys.clone();
    assert_eq!(left.hydra.put_client(&id, &client).await.status, 200);

    let world = left.take_over().await;
    world.ready("shop").await;
    assert_eq!(world.in_hydra(&id).await.unwrap()["jwks"], keys);
    world.edit("shop", &json!({ "scope": "admin" })).await;
    world.ready("shop").await;
    let client = world.in_hydra(&id).await.unwrap();
    assert_eq!((&client["jwks"], &client["scope"]), (&keys, &json!("admin")));
    assert!(world.gets_token(&world.credentials("shop-credentials").await).await);
}
