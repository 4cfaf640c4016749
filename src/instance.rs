//! One Hydra: its admin API and what was learned about it. Everything that belongs to one Hydra is
//! reached through its instance, although there is one so far.

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
            *facts = Facts::default();
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
            None => self.read_well_known().await.map(|read| read.map(|(known, _)| known)),
        }
    }

    /// Asks again what Hydra says about itself, if anybody wanted to know. Returns whether it says
    /// something else than before.
    pub async fn well_known_changed(&self) -> bool {
        if self.facts().well_known.is_none() {
            return false;
        }
        matches!(self.read_well_known().await, Some(Ok((_, true))))
    }

    async fn read_well_known(&self) -> Option<Result<(Arc<WellKnown>, bool), HydraError>> {
        let read = match self.hydra.well_known().await? {
            Ok(read) => Arc::new(read),
            Err(error) => return Some(Err(error)),
        };
        let former = self.facts().well_known.replace(read.clone());
        Some(Ok((read.clone(), former.is_some_and(|former| former != read))))
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
