//! What a user would see of the clients of a namespace, and when: by watches, in every case the same.

use std::{
    collections::HashMap,
    fmt::Debug,
    pin::pin,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use hydra_operator::api::{ConditionType, OAuth2Client, condition};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use crate::{generator::SECRET_SUFFIX, progress::Counter};

/// Nothing takes so long, not even for the slowest.
const LIMIT: Duration = Duration::from_mins(2);

/// Watches a namespace until it is dropped.
pub struct Observer {
    sightings: mpsc::UnboundedReceiver<Sighting>,
    _watches: JoinSet<()>,
    seen: HashMap<String, Seen>,
}

/// When the parts of a client were first seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Its Secret.
    pub secret: Option<Instant>,
    /// `Ready`, for the present generation.
    pub ready: Option<Instant>,
}

impl Seen {
    fn is_complete(&self) -> bool {
        self.secret.is_some() && self.ready.is_some()
    }
}

enum Part {
    Secret,
    Ready,
}

struct Sighting {
    name: String,
    part: Part,
    at: Instant,
}

impl Observer {
    /// Starts to watch. What is created from now on is seen.
    pub async fn start(client: &Client, namespace: &str) -> Self {
        let (sender, sightings) = mpsc::unbounded_channel();
        let (resources_listed, resources_ready) = oneshot::channel();
        let (secrets_listed, secrets_ready) = oneshot::channel();
        let mut watches = JoinSet::new();
        let resources: Api<OAuth2Client> = Api::namespaced(client.clone(), namespace);
        let resources = watcher(resources, watcher::Config::default());
        watches.spawn(follow(resources, resources_listed, sender.clone(), ready));
        let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), namespace);
        let secrets = watcher(secrets, watcher::Config::default());
        watches.spawn(follow(secrets, secrets_listed, sender, secret));
        for listed in [resources_ready, secrets_ready] {
            timeout(LIMIT, listed).await.expect("the first list is answered").unwrap();
        }
        Self { sightings, _watches: watches, seen: HashMap::new() }
    }

    /// Waits until `clients` clients are Ready and have their Secret.
    pub async fn all(mut self, clients: usize) -> HashMap<String, Seen> {
        let mut counter = Counter::new("clients that are Ready", clients);
        let mut complete = 0;
        while complete < clients {
            counter.at(complete);
            let what = format!("{complete} of {clients} clients are Ready");
            complete += usize::from(self.next(&what).await.1.is_complete());
        }
        self.seen
    }

    /// Waits until the client `name` is Ready and has its Secret.
    pub async fn one(&mut self, name: &str) -> Seen {
        loop {
            let (seen_name, seen) = self.next(&format!("{name} is not Ready")).await;
            if seen_name == name && seen.is_complete() {
                return seen;
            }
        }
    }

    /// The next part of a client that was not seen before, and what was seen of that client by then.
    async fn next(&mut self, state: &str) -> (String, Seen) {
        loop {
            let sighting = timeout(LIMIT, self.sightings.recv()).await;
            let sighting = sighting.unwrap_or_else(|_| panic!("nothing in {LIMIT:?}: {state}"));
            let Sighting { name, part, at } = sighting.expect("the watches go on");
            let seen = self.seen.entry(name.clone()).or_default();
            let place = match part {
                Part::Secret => &mut seen.secret,
                Part::Ready => &mut seen.ready,
            };
            if place.is_none() {
                *place = Some(at);
                return (name, *seen);
            }
        }
    }
}

/// Reports what `see` sees in each object. A watch that breaks is begun again.
async fn follow<K: ResourceExt + Clone + Debug>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    listed: oneshot::Sender<()>,
    sightings: mpsc::UnboundedSender<Sighting>,
    see: fn(&K) -> Option<(String, Part)>,
) {
    let mut events = pin!(events.default_backoff());
    let mut listed = Some(listed);
    while let Some(event) = events.next().await {
        let at = Instant::now();
        match event {
            Ok(Event::InitDone) => listed.take().map_or((), |listed| listed.send(()).unwrap_or(())),
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                if let Some((name, part)) = see(&object)
                    && sightings.send(Sighting { name, part, at }).is_err()
                {
                    return;
                }
            }
            Ok(Event::Init | Event::Delete(_)) | Err(_) => {}
        }
    }
}

fn secret(secret: &PartialObjectMeta<Secret>) -> Option<(String, Part)> {
    let name = secret.name_any();
    name.strip_suffix(SECRET_SUFFIX).map(|client| (client.to_owned(), Part::Secret))
}

fn ready(resource: &OAuth2Client) -> Option<(String, Part)> {
    let status = resource.status.as_ref()?;
    let ready = condition::get(&status.conditions, ConditionType::Ready)?;
    let holds = ready.status == hydra_operator::api::ConditionStatus::True;
    let is_present = status.observed_generation == resource.metadata.generation;
    (holds && is_present).then(|| (resource.name_any(), Part::Ready))
}
