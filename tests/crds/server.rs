//! Resources on a real API server, as JSON: what a person can send, which is more than the types can say.

use http::{Method, Request, StatusCode};
use kube::Client;
use serde_json::{Value, json};

use crate::support::ControlPlane;

/// The path of the kind's group and version.
const GROUP_VERSION: &str = "hydra.ory.sh/v1alpha1";

/// What becomes of a spec: `Err` holds a part of the message.
pub type Expected = Result<(), &'static str>;

/// A namespace of its own on the shared API server, for objects of one kind.
pub struct Server {
    client: Client,
    group_version: String,
    kind: &'static str,
    plural: &'static str,
    namespace: String,
}

impl Server {
    /// For `OAuth2Client`s.
    pub async fn new(test: &str) -> Self {
        Self::of(test, GROUP_VERSION).await
    }

    /// For `JsonWebKeySet`s.
    pub async fn for_key_sets(test: &str) -> Self {
        let server = Self::new(test).await;
        Self { kind: "JsonWebKeySet", plural: "jsonwebkeysets", ..server }
    }

    /// For `OAuth2Client`s of another group.
    pub async fn of(test: &str, group_version: &str) -> Self {
        let plane = ControlPlane::shared().await;
        Self {
            client: plane.client().await,
            group_version: group_version.to_owned(),
            kind: "OAuth2Client",
            plural: "oauth2clients",
            namespace: plane.namespace(test).await,
        }
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// An object with a spec.
    pub fn object(&self, name: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": self.group_version,
            "kind": self.kind,
            "metadata": { "name": name },
            "spec": spec,
        })
    }

    /// Creates an object of each spec: it is accepted or refused as expected.
    pub async fn check(&self, specs: impl IntoIterator<Item = (Value, Expected)>) {
        for (index, (spec, expected)) in specs.into_iter().enumerate() {
            let created = self.create(&self.object(&format!("case-{index}"), &spec)).await;
            match (&created, expected) {
                (Ok(_), Ok(())) => {}
                (Err(message), Err(part)) if message.contains(part) => {}
                _ => panic!("{spec}: expected {expected:?}, got {created:#?}"),
            }
        }
    }

    /// Creates an object as kubectl does: unknown fields are errors. A refusal is its message.
    pub async fn create(&self, object: &Value) -> Result<Value, String> {
        self.send(Method::POST, "?fieldValidation=Strict", "application/json", object).await
    }

    /// The same, of an object in YAML.
    pub async fn create_yaml(&self, object: &str) -> Result<Value, String> {
        let path = "?fieldValidation=Strict";
        self.send_bytes(Method::POST, path, "application/yaml", object.into()).await
    }

    /// A merge patch.
    pub async fn patch(&self, name: &str, patch: &Value) -> Result<Value, String> {
        self.send(Method::PATCH, &format!("/{name}"), "application/merge-patch+json", patch).await
    }

    /// A merge patch of the status.
    pub async fn patch_status(&self, name: &str, status: &Value) -> Result<Value, String> {
        let body = json!({ "status": status });
        let path = format!("/{name}/status");
        self.send(Method::PATCH, &path, "application/merge-patch+json", &body).await
    }

    /// A server-side apply of the status.
    pub async fn apply_status(&self, name: &str, by: &str, status: &Value) -> Value {
        let mut object = self.object(name, &Value::Null);
        object["status"] = status.clone();
        object.as_object_mut().unwrap().remove("spec");
        let path = format!("/{name}/status?fieldManager={by}");
        self.send(Method::PATCH, &path, "application/apply-patch+yaml", &object).await.unwrap()
    }

    pub async fn get(&self, name: &str) -> Value {
        let request = self.request(Method::GET, &format!("/{name}"), "application/json", vec![]);
        self.client.request(request).await.unwrap()
    }

    /// What `kubectl get` shows.
    pub async fn table(&self) -> Value {
        let mut request = self.request(Method::GET, "", "application/json", vec![]);
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
        request.headers_mut().insert(http::header::ACCEPT, accept.parse().unwrap());
        self.client.request(request).await.unwrap()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<Value, String> {
        self.send_bytes(method, path, content_type, serde_json::to_vec(body).unwrap()).await
    }

    async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Value, String> {
        let request = self.request(method, path, content_type, body);
        match self.client.request(request).await {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) if is_refusal(status.code) => Err(status.message.clone()),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    fn request(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Request<Vec<u8>> {
        let Self { group_version, plural, namespace, .. } = self;
        Request::builder()
            .method(method)
            .uri(format!("/apis/{group_version}/namespaces/{namespace}/{plural}{path}"))
            .header(http::header::CONTENT_TYPE, kind)
            .body(body)
            .unwrap()
    }
}

/// 422 by the schema and its rules, 400 for unknown fields.
fn is_refusal(code: u16) -> bool {
    code == StatusCode::UNPROCESSABLE_ENTITY || code == StatusCode::BAD_REQUEST
}

/// The least that a spec can be, and `more`.
pub fn spec(more: &Value) -> Value {
    let mut spec = json!({ "grantTypes": ["client_credentials"], "secretName": "app" });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}
