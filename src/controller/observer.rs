//! `--observe`: what would be done with the resources of one kind, as far as it was found out, and how it is told.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::runtime::controller::Action;

use super::{
    Backoff, Class, Reported, ResourceKey,
    backoff::{self, chance, jittered},
};
use crate::metrics::{Controller, Metrics, ReconcileResult};

/// The action of resources with nothing to do.
pub const NOTHING: &str = "nothing";

/// A write, or why there would be none.
pub trait Step: fmt::Display + PartialEq {
    /// Values of the label `action`, in their order: [`NOTHING`], and those of all steps.
    const ACTIONS: &'static [&'static str];

    /// That of this step.
    fn action(&self) -> &'static str;

    /// Nothing can be done, for this reason.
    fn blocked(reason: &'static str, message: String) -> Self;
}

/// What would be done with one resource, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent<S> {
    /// The writes, in their order; none: there is nothing to do.
    pub steps: Vec<S>,
    /// The reason, for a person.
    pub why: String,
}

impl<S: Step> Intent<S> {
    /// There is nothing to do.
    pub fn nothing(why: impl Into<String>) -> Self {
        Self { steps: Vec::new(), why: why.into() }
    }

    /// There is something to do that cannot be done.
    pub fn blocked(class: Class, reason: &'static str, message: impl Into<String>) -> Self {
        let why = match class {
            Class::Terminal => "a person has to change something",
            Class::Waiting => "it goes on by itself when that is there",
            Class::Transient | Class::Conflict | Class::Unobserved => "it is tried again",
        };
        Self { steps: vec![S::blocked(reason, message.into())], why: why.to_owned() }
    }
}

impl<S: Step> fmt::Display for Intent<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str(NOTHING);
        }
        let steps: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
        f.write_str(&steps.join("; "))
    }
}

/// Which resources there are.
pub trait Population {
    /// Whether this one exists.
    fn knows(&self, resource: &ResourceKey) -> bool;

    /// How many exist.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all that exist are known.
    fn is_complete(&self) -> bool;
}

/// What the passes have at hand.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The resources.
    pub population: &'a dyn Population,
    /// Where the counts are shown.
    pub metrics: &'a Metrics,
    /// Failures in a row.
    pub backoff: &'a Backoff<ResourceKey>,
    /// How often a resource is looked at.
    pub resync_interval: Duration,
}

/// What was found out so far about the resources of one kind, and told.
pub struct Observer<S> {
    controller: Controller,
    /// The resources, in words.
    kind: &'static str,
    seen: Mutex<Seen<S>>,
}

struct Seen<S> {
    intents: BTreeMap<ResourceKey, Intent<S>>,
    told: Option<String>,
}

impl<S: Step> Observer<S> {
    /// Nothing is known so far. `kind` are the resources in words.
    #[must_use]
    pub fn new(controller: Controller, kind: &'static str) -> Self {
        let seen = Mutex::new(Seen { intents: BTreeMap::new(), told: None });
        Self { controller, kind, seen }
    }

    /// Tells what would be done with the resource `key`, where that is new, and when to look again. `class`: that of the failure
    /// that stands in the way.
    pub fn report(
        &self,
        key: &ResourceKey,
        intent: Intent<S>,
        class: Option<Class>,
        around: Surroundings<'_>,
    ) -> Reported {
        if around.population.knows(key) {
            self.tell(key, intent, around);
        }
        match class {
            None | Some(Class::Terminal | Class::Waiting) => {
                around.backoff.reset(key);
                let result =
                    if class.is_none() { ReconcileResult::Success } else { ReconcileResult::Error };
                (Action::requeue(jittered(around.resync_interval, chance())), result)
            }
            Some(Class::Transient | Class::Conflict | Class::Unobserved) => {
                let failures = around.backoff.failed(key.clone());
                (Action::requeue(backoff::delay(failures, chance())), ReconcileResult::Error)
            }
        }
    }

    fn tell(&self, key: &ResourceKey, intent: Intent<S>, around: Surroundings<'_>) {
        let mut seen = self.lock();
        if seen.intents.get(key) == Some(&intent) {
            return;
        }
        let (namespace, name) = (key.0.as_str(), key.1.as_str());
        tracing::info!(namespace, name, what = %intent, why = intent.why, "Observed");
        seen.intents.insert(key.clone(), intent);
        self.summarize(&mut seen, around);
    }

    /// The resources that exist may have become fewer.
    pub fn prune(&self, around: Surroundings<'_>) {
        let mut seen = self.lock();
        seen.intents.retain(|key, _| around.population.knows(key));
        self.summarize(&mut seen, around);
    }

    /// Once all resources have been looked at, and then whenever a count changes.
    fn summarize(&self, seen: &mut Seen<S>, around: Surroundings<'_>) {
        let Surroundings { population, metrics, .. } = around;
        if !population.is_complete() || seen.intents.len() < population.len() {
            return;
        }
        let counts = counts(seen.intents.values());
        self.show(&counts, metrics);
        let summary = summary::<S>(self.kind, seen.intents.len(), &counts);
        if seen.told.as_ref() != Some(&summary) {
            tracing::info!("{summary}");
            seen.told = Some(summary);
        }
    }

    fn show(&self, counts: &BTreeMap<&'static str, i64>, metrics: &Metrics) {
        for action in S::ACTIONS {
            let resources = counts.get(action).copied().unwrap_or_default();
            metrics.observed(self.controller, action, resources);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen<S>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many resources each action concerns; a resource with two steps counts for both.
fn counts<'a, S: Step + 'a>(
    intents: impl Iterator<Item = &'a Intent<S>>,
) -> BTreeMap<&'static str, i64> {
    let mut counts = BTreeMap::new();
    for intent in intents {
        let mut actions: Vec<_> = intent.steps.iter().map(Step::action).collect();
        if actions.is_empty() {
            actions.push(NOTHING);
        }
        actions.sort_unstable();
        actions.dedup();
        for action in actions {
            *counts.entry(action).or_default() += 1;
        }
    }
    counts
}

fn summary<S: Step>(kind: &str, resources: usize, counts: &BTreeMap<&'static str, i64>) -> String {
    let counted = S::ACTIONS
        .iter()
        .filter_map(|action| Some(format!("{} {}", action.replace('_', " "), counts.get(action)?)));
    let counted: Vec<String> = counted.collect();
    let of = if counted.is_empty() { String::new() } else { format!(": {}", counted.join(", ")) };
    format!("Observed all {kind}, {resources}{of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Chore {
        Write,
        Delete(u8),
        Blocked(String),
    }

    impl fmt::Display for Chore {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Write => f.write_str("write it"),
                Self::Delete(n) => write!(f, "delete {n}"),
                Self::Blocked(why) => write!(f, "blocked: {why}"),
            }
        }
    }

    impl Step for Chore {
        const ACTIONS: &'static [&'static str] = &[NOTHING, "write_it", "delete", "blocked"];

        fn action(&self) -> &'static str {
            match self {
                Self::Write => "write_it",
                Self::Delete(_) => "delete",
                Self::Blocked(_) => "blocked",
            }
        }

        fn blocked(reason: &'static str, message: String) -> Self {
            Self::Blocked(format!("{reason} {message}"))
        }
    }

    #[test]
    fn resources_are_counted_once_for_each_thing_to_do() {
        let of = |steps: &[Chore]| Intent { steps: steps.to_vec(), why: String::new() };
        let blocked = Intent::<Chore>::blocked(Class::Terminal, "Odd", "it is odd");
        assert_eq!(blocked.to_string(), "blocked: Odd it is odd");
        assert_eq!(blocked.why, "a person has to change something");
        let mixed = of(&[Chore::Delete(1), Chore::Write, Chore::Delete(2)]);
        assert_eq!(mixed.to_string(), "delete 1; write it; delete 2");
        let intents = [Intent::nothing(""), mixed, of(&[Chore::Write]), blocked];
        let counts = counts(intents.iter());
        assert_eq!(
            summary::<Chore>("Things", intents.len(), &counts),
            "Observed all Things, 4: nothing 1, write it 2, delete 1, blocked 1"
        );
        assert_eq!(summary::<Chore>("Things", 0, &BTreeMap::new()), "Observed all Things, 0");

        let metrics = Metrics::new();
        Observer::<Chore>::new(Controller::JsonWebKeySet, "Things").show(&counts, &metrics);
        let text = metrics.encode(crate::metrics::Format::OpenMetrics).unwrap();
        for (action, count) in [("nothing", 1), ("write_it", 2), ("delete", 1)] {
            let labels = format!("controller=\"jsonwebkeyset\",action=\"{action}\"");
            let line = format!("hydra_operator_observed_resources{{{labels}}} {count}\n");
            assert!(text.contains(&line), "{text}");
        }
    }
}
