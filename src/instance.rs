//! One Hydra: its API and what was learned about it. Everything that belongs to one Hydra is
//! reached through its instance: the operator's own, or one that resources ask for.

mod census;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use census::{Census, Findings};

use tokio::sync::Notify;

use crate::hydra::{Hydra, HydraError, WellKnown, meaning::ServerDefaults};

/// The version of a Hydra that does not tell it.
const UNKNOWN_VERSION: &str = "unknown";

/// One Hydra.
pub struct Instance {
    name: String,
    hydra: Hydra,
    facts: Mutex<Facts>,
    trouble: Notify,
    census: Census,
}

#[derive(Default)]
struct Facts {
    version: Option<String>,
    defaults: ServerDefaults,
    refuses_chosen_ids: bool,
    well_known: Option<Arc<WellKnown>>,
    /// What it was when all resources that ask for it were last told to look.
    announced: Option<Arc<WellKnown>>,
}

impl Instance {
    /// The Hydra behind `hydra`, known as `name` in metrics.
    #[must_use]
    pub fn new(name: impl Into<String>, hydra: Hydra) -> Self {
        Self {
            name: name.into(),
            hydra,
            facts: Mutex::default(),
            trouble: Notify::new(),
            census: Census::default(),
        }
    }

    /// Name of the instance, as in metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The admin API.
    #[must_use]
    pub fn hydra(&self) -> &Hydra {
        &self.hydra
    }

    /// Whose clients it holds, as far as it is known.
    #[must_use]
    pub fn census(&self) -> &Census {
        &self.census
    }

    /// The version that Hydra says it has (`GET /version`), asked once; "unknown" when it says
    /// none.
    pub async fn version(&self) -> String {
        if let Some(version) = self.facts().version.clone() {
            return version;
        }
        self.refresh().await
    }

    /// Asks for the version again: Hydra may have been upgraded.
    pub async fn refresh(&self) -> String {
        let told = self.hydra.version().await.ok();
        let mut facts = self.facts();
        // No answer is no other version.
        let Some(version) = told.or_else(|| facts.version.clone()) else {
            return UNKNOWN_VERSION.to_owned();
        };
        // Another version may do otherwise in everything that was learned.
        if facts.version.as_ref().is_some_and(|known| *known != version) {
            // The announcement stays: otherwise nobody would hear what the upgrade has changed.
            let announced = facts.announced.take();
            *facts = Facts { announced, ..Facts::default() };
        }
        facts.version = Some(version.clone());
        version
    }

    /// Whether clients are created with an id of the operator's choice. Hydra 2.0 and 2.1 choose
    /// ids themselves; that shows when one is refused.
    #[must_use]
    pub fn takes_chosen_ids(&self) -> bool {
        !self.facts().refuses_chosen_ids
    }

    /// A client with a chosen id was refused for its id.
    pub fn refused_chosen_id(&self) {
        self.facts().refuses_chosen_ids = true;
    }

    /// What Hydra puts in place of an empty value, as far as it was seen.
    #[must_use]
    pub fn defaults(&self) -> ServerDefaults {
        self.facts().defaults.clone()
    }

    /// Adds what a reply showed, and returns all that is known now.
    pub fn learn(&self, seen: &ServerDefaults) -> ServerDefaults {
        let mut facts = self.facts();
        facts.defaults.update(seen.clone());
        facts.defaults.clone()
    }

    /// What Hydra says about itself, asked once. `None`: the address of its public API is not set.
    pub async fn well_known(&self) -> Option<Result<Arc<WellKnown>, HydraError>> {
        let known = self.facts().well_known.clone();
        match known {
            Some(known) => Some(Ok(known)),
            None => self.read_well_known().await,
        }
    }

    /// Asks again what Hydra says about itself. Returns whether whoever wants to know has to look:
    /// it says something else than the last time that this was true, or this is the first time in
    /// this process, so that nobody knows what it said before.
    pub async fn well_known_is_news(&self) -> bool {
        let Some(Ok(read)) = self.read_well_known().await else { return false };
        self.facts().announced.replace(read.clone()) != Some(read)
    }

    async fn read_well_known(&self) -> Option<Result<Arc<WellKnown>, HydraError>> {
        let read = self.hydra.well_known().await?.map(Arc::new);
        if let Ok(read) = &read {
            self.facts().well_known = Some(read.clone());
        }
        Some(read)
    }

    /// A pass found Hydra away: whoever waits in [`Self::troubled`] should look.
    pub fn report_trouble(&self) {
        self.trouble.notify_one();
    }

    /// Completes when a pass has found Hydra away.
    pub async fn troubled(&self) {
        self.trouble.notified().await;
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::State, routing::get};
    use serde_json::json;
    use tokio::{net::TcpListener, task::JoinSet};
    use url::Url;

    use super::*;
    use crate::hydra::HydraConfig;

    /// What the server says: its version and its issuer.
    type Says = Arc<Mutex<(&'static str, &'static str)>>;

    async fn served(says: &Says) -> (Instance, JoinSet<()>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let version = |State(says): State<Says>| async move {
            json!({ "version": says.lock().unwrap().0 }).to_string()
        };
        let discovery = |State(says): State<Says>| async move {
            json!({ "issuer": says.lock().unwrap().1 }).to_string()
        };
        let router = Router::new()
            .route("/version", get(version))
            .route("/.well-known/openid-configuration", get(discovery))
            .with_state(says.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse::<Url>().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = HydraConfig { public_url: Some(url.clone()), ..HydraConfig::new(url) };
        (Instance::new("a", Hydra::new(config).unwrap()), server)
    }

    async fn issuer(instance: &Instance) -> String {
        let known = instance.well_known().await.unwrap().unwrap();
        known.get("issuer").unwrap().to_owned()
    }

    #[tokio::test]
    async fn what_changes_with_an_upgrade_is_news() {
        let says = Says::new(Mutex::new(("v1", "https://a")));
        let (instance, _server) = served(&says).await;
        assert_eq!(instance.refresh().await, "v1");
        // A pass may have asked before: who else has the former value is not known.
        assert_eq!(issuer(&instance).await, "https://a");
        assert!(instance.well_known_is_news().await, "the first time");
        assert!(!instance.well_known_is_news().await);

        *says.lock().unwrap() = ("v2", "https://b");
        assert_eq!(instance.refresh().await, "v2");
        assert_eq!(issuer(&instance).await, "https://b", "it may have changed with the version");
        assert!(instance.well_known_is_news().await);
        assert!(!instance.well_known_is_news().await);

        *says.lock().unwrap() = ("v3", "https://b");
        assert_eq!(instance.refresh().await, "v3");
        assert!(!instance.well_known_is_news().await, "only the version is another");
    }
}
