//! What a plan would do, in words. Nothing here writes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Intent, Step};
use crate::{
    api::jsonwebkeyset::{KeyOrigin, OutputStatus},
    jsonwebkeyset::{
        apply::{private_content, public_content, refused},
        contents::material_name,
        error::Failure,
        pass::Decision,
        plan::{Changes, Make, Plan, Recorded},
        record::Record,
        rotation::{Key, active},
    },
    kubernetes::outputs::{Change, OutputError, OutputState, change},
};

/// What would be done with the resource `name`. Outputs have the labels `marks`.
pub fn describe(
    decision: &Decision,
    record: &Record,
    name: &str,
    marks: &BTreeMap<String, String>,
) -> Intent {
    let mut told = Told { decision, record, marks, steps: Vec::new(), why: Vec::new() };
    match &decision.plan {
        Plan::Record { keys, .. } => told.recorded(keys, name),
        Plan::Apply(changes) => {
            told.keys(changes, name);
            told.outputs(changes);
        }
    }
    if told.why.is_empty() {
        told.why.push("Hydra holds the keys, and the outputs say the same".to_owned());
    }
    Intent { steps: told.steps, why: told.why.join(", and ") }
}

struct Told<'a> {
    decision: &'a Decision,
    record: &'a Record,
    marks: &'a BTreeMap<String, String>,
    steps: Vec<Step>,
    why: Vec<String>,
}

impl Told<'_> {
    /// Keys that would be recorded, and then made.
    fn recorded(&mut self, keys: &[Recorded], name: &str) {
        let mut reasons = BTreeSet::new();
        for Recorded { key, .. } in keys {
            let (step, why) = match key.origin {
                KeyOrigin::Adopted => {
                    (Step::AdoptKey(key.kid.clone()), "the set holds keys, which may be taken over")
                }
                KeyOrigin::Imported => {
                    (Step::ImportKey(key.kid.clone()), "the Secret to import from holds them")
                }
                KeyOrigin::Hydra | KeyOrigin::Operator => {
                    (Step::MakeKey(key.algorithm.clone()), self.why_another())
                }
            };
            self.steps.push(step);
            reasons.insert(why);
        }
        self.why.extend(reasons.into_iter().map(ToOwned::to_owned));
        let is_new = |recorded: &Recorded| {
            matches!(recorded.key.origin, KeyOrigin::Hydra | KeyOrigin::Operator)
        };
        let algorithm = self.decision.desired.algorithm.as_str();
        if keys.iter().any(is_new) && !self.decision.observed.generation.can_make(algorithm) {
            self.keeps(name);
        }
        let adopts = keys.iter().any(|recorded| recorded.key.origin == KeyOrigin::Adopted);
        self.outputs_to_come(adopts);
    }

    fn why_another(&self) -> &'static str {
        let keys = self.record.rotating();
        let Some(current) = active(&keys) else { return "there is no key of this resource" };
        if !self.decision.desired.rules.fit(current) {
            "the current key is not as declared"
        } else if self.record.rotate {
            "a new key is asked for"
        } else {
            "the current key needs a successor"
        }
    }

    /// The Secret with the keys that the operator makes.
    fn keeps(&mut self, name: &str) {
        let what = format!("Secret {}", material_name(name));
        self.steps.push(match &self.decision.observed.material_state {
            Some(OutputState::Ours(_) | OutputState::Inherited { .. }) => Step::UpdateOutput(what),
            _ => Step::CreateOutput(what),
        });
    }

    /// What the outputs are to hold is not known before the keys are made.
    fn outputs_to_come(&mut self, adopts: bool) {
        let (desired, observed) = (&self.decision.desired, &self.decision.observed);
        // A key that is to come is shown, and handed out when it signs.
        let has_current = active(&self.record.rotating()).is_some() && !adopts;
        let public = desired.public.as_ref().zip(observed.public_state.as_ref());
        let private = desired.private.as_ref().zip(observed.private_state.as_ref());
        let public = public.map(|(public, state)| (format!("ConfigMap {}", public.name), state));
        let private = private.filter(|_| !has_current);
        let private = private.map(|(private, state)| (format!("Secret {}", private.name), state));
        for (what, state) in public.into_iter().chain(private) {
            let step = match state {
                OutputState::Absent => Step::CreateOutput(what),
                OutputState::Foreign(stranger) => {
                    blocked(&refused(&what, &OutputError::Foreign(stranger.clone())))
                }
                OutputState::Ours(_) | OutputState::Inherited { .. } => Step::UpdateOutput(what),
            };
            self.steps.push(step);
        }
    }

    fn keys(&mut self, changes: &Changes, name: &str) {
        for (kid, make) in &changes.makes {
            let Some(key) = changes.turn.keys.iter().find(|key| key.kid == *kid) else { continue };
            let is_known = self.record.public_key(kid).is_some() || !key.is_coming();
            match make {
                Make::ByHydra | Make::Here => {
                    self.steps.push(Step::MakeKey(key.algorithm.clone()));
                    self.why.push("a key is recorded that is not made".to_owned());
                }
                Make::Send(_) if !is_known && key.origin == KeyOrigin::Imported => {
                    self.steps.push(Step::ImportKey(kid.clone()));
                    self.why.push(format!("Hydra does not hold key {kid}"));
                }
                Make::Send(_) => {
                    self.steps.push(Step::RestoreKey(kid.clone()));
                    self.why.push(format!("key {kid} is gone from Hydra or altered"));
                }
            }
            if matches!(make, Make::Here) {
                self.keeps(name);
            }
        }
        let former = self.record.rotating();
        let kid = |keys: &[Key]| active(keys).map(|key| key.kid.clone());
        if let Some(next) =
            kid(&changes.turn.keys).filter(|next| kid(&former).as_ref() != Some(next))
        {
            self.why.push(format!("key {next} has been public for long enough"));
            self.steps.push(Step::ActivateKey(next));
        }
        for key in &changes.turn.gone {
            self.steps.push(Step::RemoveKey(key.kid.clone()));
            self.why.push(format!("key {} is not needed any more", key.kid));
        }
        if let Some(stranger) = &changes.stranger {
            self.why.push(format!("Hydra signs with key {stranger}, which is not this resource's"));
        }
    }

    fn outputs(&mut self, changes: &Changes) {
        if changes.makes.iter().any(|(_, make)| make.is_new()) {
            self.outputs_to_come(false);
        } else {
            self.outputs_as_planned(changes);
        }
        let (desired, outputs) = (&self.decision.desired, &self.record.outputs);
        let public = desired.public.as_ref().map(|public| &public.name);
        let private = desired.private.as_ref().map(|private| &private.name);
        let retired = [
            ("ConfigMap", &outputs.public_config_map, public),
            ("Secret", &outputs.private_secret, private),
        ];
        for (kind, former, name) in retired {
            let is_former = |former: &&OutputStatus| Some(&former.name) != name;
            if let Some(former) = former.as_ref().filter(is_former) {
                self.steps.push(Step::DeleteOutput(format!("{kind} {}", former.name)));
                self.why.push("spec.outputs has changed".to_owned());
            }
        }
    }

    fn outputs_as_planned(&mut self, changes: &Changes) {
        let Decision { desired, observed, .. } = self.decision;
        if let Some((public, state)) = desired.public.as_ref().zip(observed.public_state.as_ref()) {
            let change = change(state, &public_content(public, changes), self.marks);
            self.output(format!("ConfigMap {}", public.name), change);
        }
        let Some((private, state)) = desired.private.as_ref().zip(observed.private_state.as_ref())
        else {
            return;
        };
        match private_content(private, changes, observed) {
            Ok(Some(content)) => {
                let change = change(state, &content, self.marks);
                self.output(format!("Secret {}", private.name), change);
            }
            Ok(None) => {}
            Err(failure) => self.steps.push(blocked(&failure)),
        }
    }

    fn output(&mut self, what: String, change: Result<Option<Change>, OutputError>) {
        match change {
            Ok(None) => {}
            Ok(Some(Change::Create)) => {
                self.why.push(format!("there is no {what}"));
                self.steps.push(Step::CreateOutput(what));
            }
            Ok(Some(Change::Update)) => {
                self.why.push(format!("{what} is not what it shall be"));
                self.steps.push(Step::UpdateOutput(what));
            }
            Err(error) => self.steps.push(blocked(&refused(&what, &error))),
        }
    }
}

fn blocked(failure: &Failure) -> Step {
    Step::Blocked(failure.reason.as_str(), failure.message.clone())
}
