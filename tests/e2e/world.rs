//! What a test of the operator starts with, and the questions it asks.

use std::{collections::BTreeMap, ops::Deref};

use base64::{Engine, prelude::BASE64_STANDARD};
use hydra_operator::{
    api::{Condition, ConditionType, OAuth2Client, RECONCILE_REQUESTED_ANNOTATION, condition},
    jsonwebkeyset,
    oauth2client::{error::Reason, reasons::EVENTS},
};
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::counters::sum;
use crate::{
    kstatus::{assert_agrees, assert_verdict},
    support::{
        ControlPlane, Generation, Hydra, Operator, OperatorOptions, control_plane::unique,
        eventually, kstatus::Verdict,
    },
};

/// A namespace with an operator that serves it and nothing else.
pub struct World {
    pub cp: Server<ControlPlane>,
    pub hydra: Server<Hydra>,
    pub operator: Operator,
    pub namespace: String,
    pub client: Client,
    pub resources: Api<OAuth2Client>,
    pub secrets: Api<Secret>,
}

/// The credentials in a Secret.
pub struct Credentials {
    pub id: String,
    pub secret: Option<String>,
}

impl World {
    /// On the Hydra of `generation` that all tests share.
    pub async fn new(name: &str, generation: Generation) -> Self {
        Self::with_args(name, Hydra::shared(generation).await, &[]).await
    }

    /// With further arguments of the operator.
    pub async fn with_args(name: &str, hydra: impl Into<Server<Hydra>>, args: &[&str]) -> Self {
        Self::on(ControlPlane::shared().await, hydra, name, args).await
    }

    /// On a control plane that may be of this test alone, so that its counters are as well.
    pub async fn on(
        cp: impl Into<Server<ControlPlane>>,
        hydra: impl Into<Server<Hydra>>,
        name: &str,
        args: &[&str],
    ) -> Self {
        let (cp, hydra) = (cp.into(), hydra.into());
        let url = hydra.admin_url().to_owned();
        Self::start(cp, hydra, &url, name, args).await
    }

    /// With an operator that finds `hydra` at `url`, behind a proxy.
    pub async fn behind(url: &str, hydra: &'static Hydra, args: &[&str]) -> Self {
        let cp = ControlPlane::shared().await;
        Self::start(cp.into(), hydra.into(), url, "behind", args).await
    }

    /// With an operator that finds `hydra` at `hydra_url`.
    pub async fn start(
        cp: Server<ControlPlane>,
        hydra: Server<Hydra>,
        hydra_url: &str,
        name: &str,
        args: &[&str],
    ) -> Self {
        let namespace = cp.namespace(name).await;
        let options =
            OperatorOptions::new(hydra_url).namespaces([&namespace]).args(args.iter().copied());
        let operator = Operator::start(&cp, options).await;
        Self::with_operator(cp, hydra, operator, namespace).await
    }

    /// With an operator that was started in another way.
    pub async fn with_operator(
        cp: impl Into<Server<ControlPlane>>,
        hydra: impl Into<Server<Hydra>>,
        operator: Operator,
        namespace: String,
    ) -> Self {
        let (cp, hydra) = (cp.into(), hydra.into());
        let client = cp.client().await;
        Self {
            cp,
            hydra,
            operator,
            resources: Api::namespaced(client.clone(), &namespace),
            secrets: Api::namespaced(client.clone(), &namespace),
            namespace,
            client,
        }
    }

    /// With one operator for two namespaces, of which the second is returned.
    pub async fn with_two_namespaces(name: &str, generation: Generation) -> (Self, String) {
        let (cp, hydra) = (ControlPlane::shared().await, Hydra::shared(generation).await);
        let (first, second) = (cp.namespace(name).await, cp.namespace(name).await);
        let options = OperatorOptions::new(hydra.admin_url()).namespaces([&first, &second]);
        let operator = Operator::start(cp, options).await;
        (Self::with_operator(cp, hydra, operator, first).await, second)
    }

    /// Goes to another namespace, and returns the one that it leaves.
    pub fn enter(&mut self, namespace: &str) -> String {
        self.resources = Api::namespaced(self.client.clone(), namespace);
        self.secrets = Api::namespaced(self.client.clone(), namespace);
        std::mem::replace(&mut self.namespace, namespace.to_owned())
    }

    /// A resource with `spec` over that of a machine client.
    pub fn resource(name: &str, spec: &Value) -> OAuth2Client {
        let mut full = json!({
            "grantTypes": ["client_credentials"],
            "scope": "read write",
            "secretName": format!("{name}-credentials"),
        });
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "hydra.ory.sh/v1alpha1",
            "kind": "OAuth2Client",
            "metadata": { "name": name },
            "spec": full,
        }))
        .unwrap()
    }

    pub async fn create(&self, name: &str, spec: &Value) -> OAuth2Client {
        let resource = Self::resource(name, spec);
        let created = self.resources.create(&PostParams::default(), &resource).await.unwrap();
        assert_verdict(&created, Verdict::InProgress);
        created
    }

    pub async fn edit(&self, name: &str, spec: &Value) -> OAuth2Client {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let edited = self.resources.patch(name, &PatchParams::default(), &patch).await.unwrap();
        let observed = edited.status.as_ref().and_then(|status| status.observed_generation);
        // Otherwise the spec was like that before.
        if observed != edited.metadata.generation {
            let is_deleted = edited.metadata.deletion_timestamp.is_some();
            let expected = if is_deleted { Verdict::Terminating } else { Verdict::InProgress };
            assert_verdict(&edited, expected);
        }
        edited
    }

    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { annotation: value } } }));
        self.resources.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until `Ready` is true for the present generation.
    pub async fn ready(&self, name: &str) -> OAuth2Client {
        self.shows(name, "Ready=True Synced").await
    }

    /// Waits until the resource shows `expected`, such as `Ready=True Synced` or `Stalled=True
    /// InvalidSpec`, for the present generation.
    pub async fn shows(&self, name: &str, expected: &str) -> OAuth2Client {
        let resource = eventually(&format!("{name} shows {expected}"), async || {
            let resource = self.resources.get(name).await.map_err(|error| error.to_string())?;
            let shown = shown(&resource);
            if shown.iter().any(|condition| condition == expected) {
                Ok(resource)
            } else {
                Err(format!("{shown:?} {:?}", resource.status))
            }
        })
        .await;
        assert_agrees(&resource, expected);
        resource
    }

    pub async fn delete(&self, name: &str) {
        let deleted = self.resources.delete(name, &DeleteParams::default()).await.unwrap();
        // Without a finalizer it is gone at once, and the answer tells no more of it.
        if let Some(resource) = deleted.left() {
            assert_verdict(&resource, Verdict::Terminating);
        }
    }

    pub async fn gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), async || {
            match self.resources.get_opt(name).await.unwrap() {
                None => Ok(()),
                Some(resource) => Err(format!("{:?}", resource.status)),
            }
        })
        .await;
    }

    pub async fn credentials(&self, secret: &str) -> Credentials {
        let secret = self.secrets.get(secret).await.unwrap();
        let text = |key: &str| {
            let value = secret.data.as_ref()?.get(key)?;
            Some(String::from_utf8(value.0.clone()).unwrap())
        };
        Credentials { id: text("CLIENT_ID").unwrap(), secret: text("CLIENT_SECRET") }
    }

    /// Whether the credentials get a token by the client credentials grant.
    pub async fn gets_token(&self, credentials: &Credentials) -> bool {
        let secret = credentials.secret.as_deref().unwrap_or_default();
        self.hydra.token(&credentials.id, secret).await.is_ok()
    }

    /// The client in Hydra.
    pub async fn in_hydra(&self, id: &str) -> Option<Value> {
        self.hydra.get_client(id).await
    }

    /// The owner mark of the resource `name`.
    pub fn owner(&self, name: &str) -> String {
        format!("{name}/{}", self.namespace)
    }

    /// On a Hydra that serves nobody else: its counters tell of this operator and this test alone.
    pub async fn alone(name: &str, generation: Generation) -> Self {
        let hydra = Hydra::start(generation).await;
        Self::with_args(name, hydra, &[]).await
    }

    /// Asks for a pass over the resource and waits until it was made.
    pub async fn pass(&self, name: &str) -> OAuth2Client {
        let token = unique("pass");
        self.annotate(name, RECONCILE_REQUESTED_ANNOTATION, &token).await;
        eventually(&format!("{name} has had a pass"), async || {
            let resource = self.resources.get(name).await.unwrap();
            let handled = resource.status.as_ref()?.last_handled_reconcile_at.as_ref()?;
            (**handled == token).then_some(resource)
        })
        .await
    }

    /// Creates a Secret of a user's, with no mark of the operator.
    pub async fn create_secret(&self, name: &str, data: &Value) -> Secret {
        let secret = serde_json::from_value(json!({
            "metadata": { "name": name },
            "stringData": data,
        }));
        self.secrets.create(&PostParams::default(), &secret.unwrap()).await.unwrap()
    }

    /// Changes keys of a Secret, as a person would.
    pub async fn edit_secret(&self, name: &str, data: &Value) {
        let patch = Patch::Merge(json!({ "stringData": data }));
        self.secrets.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub async fn delete_secret(&self, name: &str) {
        self.secrets.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// How often each event about the resource was published, as `Type Reason`.
    pub async fn events(&self, name: &str) -> BTreeMap<String, i32> {
        let mut counts = BTreeMap::new();
        for event in self.all_events().await {
            if event.regarding.and_then(|regarding| regarding.name).as_deref() == Some(name) {
                let event_type = event.type_.unwrap_or_default();
                let kind = format!("{event_type} {}", event.reason.unwrap_or_default());
                *counts.entry(kind).or_default() += event.series.map_or(1, |series| series.count);
            }
        }
        counts
    }

    /// Events are published after the pass that they are about.
    pub async fn published(&self) {
        eventually("no event waits to be published", async || {
            match self.operator.metrics_if_running().await {
                Some(samples) => {
                    sum(&samples, "hydra_operator_events_waiting", |_| true).abs() < 0.5
                }
                None => true,
            }
        })
        .await;
    }

    pub async fn all_events(&self) -> Vec<Event> {
        self.published().await;
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let events = events.list(&ListParams::default()).await.unwrap().items;
        for event in &events {
            assert_documented(event);
            assert_reported_by_its_controller(event);
        }
        events
    }

    /// None of these secret values stands where people without access to Secrets can read: in the
    /// operator's log and metrics, in events, in the resources.
    pub async fn assert_no_secret_leaked(&self, values: &[&str]) {
        let resources = self.resources.list(&ListParams::default()).await.unwrap();
        let places = [
            ("the log", self.operator.log()),
            ("the metrics", self.operator.metrics_text().await),
            ("an event", serde_json::to_string(&self.all_events().await).unwrap()),
            ("an OAuth2Client", serde_json::to_string(&resources.items).unwrap()),
        ];
        for value in values {
            assert!(!value.is_empty(), "there is no value to look for");
            for shape in [(*value).to_owned(), BASE64_STANDARD.encode(value)] {
                for (place, text) in &places {
                    assert!(!text.is_empty(), "{place} says nothing, so it proves nothing");
                    assert!(!text.contains(&shape), "{place} holds a secret");
                }
            }
        }
    }
}

/// The page of the reasons names the event.
fn assert_documented(event: &Event) {
    let reason = event.reason.as_deref().unwrap_or_default();
    let kind = event.regarding.as_ref().and_then(|regarding| regarding.kind.as_deref());
    let (of_condition, events) = if kind == Some("JsonWebKeySet") {
        let mut known = jsonwebkeyset::error::Reason::ALL.iter().map(|known| known.as_str());
        (known.any(|known| known == reason), jsonwebkeyset::reasons::EVENTS)
    } else {
        (Reason::ALL.iter().any(|known| known.as_str() == reason), EVENTS)
    };
    let of_event = events
        .iter()
        .any(|known| known.reason == reason && Some(known.kind) == event.type_.as_deref());
    assert!(of_condition || of_event, "docs/reasons.md does not name {event:?}");
}

/// `kubectl get events` and alerts tell the controllers by it.
fn assert_reported_by_its_controller(event: &Event) {
    let kind = event.regarding.as_ref().and_then(|regarding| regarding.kind.as_deref());
    let controller = match kind {
        Some("OAuth2Client") => "hydra.ory.sh/oauth2client",
        Some("JsonWebKeySet") => "hydra.ory.sh/jsonwebkeyset",
        other => panic!("an event about a {other:?}: {event:?}"),
    };
    assert_eq!(event.reporting_controller.as_deref(), Some(controller), "{event:?}");
}

impl Credentials {
    /// The client secret.
    pub fn secret(&self) -> &str {
        self.secret.as_deref().expect("the Secret has no client secret")
    }
}

/// A server that all tests share, or one that this test alone uses and may disturb.
pub enum Server<T: 'static> {
    Shared(&'static T),
    Own(Box<T>),
}

impl<T> Server<T> {
    /// To stop it, freeze it or start it again.
    pub fn own(&mut self) -> &mut T {
        match self {
            Self::Shared(_) => panic!("other tests use this server too"),
            Self::Own(server) => server,
        }
    }
}

impl<T> Deref for Server<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match self {
            Self::Shared(server) => server,
            Self::Own(server) => server,
        }
    }
}

impl<T> From<&'static T> for Server<T> {
    fn from(server: &'static T) -> Self {
        Self::Shared(server)
    }
}

impl<T> From<T> for Server<T> {
    fn from(server: T) -> Self {
        Self::Own(Box::new(server))
    }
}

/// The conditions that hold for the present generation, as `Type=Status Reason`.
pub fn shown(resource: &OAuth2Client) -> Vec<String> {
    let Some(status) = &resource.status else { return Vec::new() };
    if status.observed_generation != resource.metadata.generation {
        return Vec::new();
    }
    shown_by(&status.conditions)
}

/// Conditions as `Type=Status Reason`.
pub fn shown_by(conditions: &[Condition]) -> Vec<String> {
    [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled]
        .into_iter()
        .filter_map(|kind| {
            let condition = condition::get(conditions, kind)?;
            let reason = condition.reason.as_deref().unwrap_or_default();
            Some(format!("{}={:?} {reason}", kind.as_str(), condition.status))
        })
        .collect()
}

/// The id in status.
pub fn client_id(resource: &OAuth2Client) -> String {
    let id = resource.status.as_ref().and_then(|status| status.client_id.clone());
    id.unwrap_or_else(|| panic!("{} has no client id", resource.name_any()))
}

/// The message of `Ready`.
pub fn message(resource: &OAuth2Client) -> String {
    let conditions = resource.status.as_ref().map(|status| status.conditions.as_slice());
    let ready = condition::get(conditions.unwrap_or_default(), ConditionType::Ready);
    ready.and_then(|ready| ready.message.as_deref()).unwrap_or_default().to_owned()
}

/// `status.reconciliationError.statusCode`.
pub fn status_code(resource: &OAuth2Client) -> Option<&str> {
    resource.status.as_ref()?.reconciliation_error.as_ref()?.status_code.as_deref()
}
