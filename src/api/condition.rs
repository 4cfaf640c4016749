//! Conditions: what a resource says about itself, one entry for each type.

use std::{borrow::Cow, sync::Arc};

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_with::skip_serializing_none;

// `metav1.Condition`, but with all members optional except `type` and `status`: resources exist whose conditions have
// nothing else.
/// One aspect of the state of a resource.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about: Ready, Reconciling or Stalled.
    #[serde(deserialize_with = "known_type")]
    pub r#type: Cow<'static, str>,
    /// Whether it is so: True, False or Unknown.
    pub status: ConditionStatus,
    /// Why the status is what it is, in one CamelCase word for programs.
    pub reason: Option<Arc<str>>,
    /// Why the status is what it is, and what can be done about it, for people.
    pub message: Option<Arc<str>>,
    /// The metadata.generation that the condition was computed from.
    pub observed_generation: Option<i64>,
    /// When the status last changed from one value to another.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_transition_time: Option<Timestamp>,
}

/// Whether a [`Condition`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ConditionStatus {
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    True,
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    False,
    #[expect(missing_docs, reason = "a doc comment would turn the enum of the schema into a oneOf")]
    #[serde(other)]
    Unknown,
}

impl ConditionStatus {
    /// The `status` of a condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The condition types that the operator sets, with the meaning that kstatus gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// The desired state is reached.
    Ready,
    /// The operator is working towards the desired state, or will try again by itself.
    Reconciling,
    /// Nothing will change until a person changes something.
    Stalled,
}

impl ConditionType {
    /// The `type` of the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

impl ConditionType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Reconciling, Self::Stalled];
}

impl Condition {
    /// A condition without a transition time, which [`set`] gives it.
    #[must_use]
    pub fn new(
        condition_type: ConditionType,
        status: ConditionStatus,
        reason: impl Into<Arc<str>>,
        message: impl Into<Arc<str>>,
        observed_generation: Option<i64>,
    ) -> Self {
        Self {
            r#type: condition_type.as_str().into(),
            status,
            reason: Some(reason.into()),
            message: Some(message.into()),
            observed_generation,
            last_transition_time: None,
        }
    }

    /// Whether it is of type `condition_type`.
    #[must_use]
    pub fn is(&self, condition_type: ConditionType) -> bool {
        self.r#type == condition_type.as_str()
    }
}

/// Decodes conditions so that what several of them say is in memory once: as a rule all three of a
/// resource say the same, and there is one such list for each resource of the cluster.
pub fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    let mut conditions = Vec::<Condition>::deserialize(deserializer)?;
    let mut known: Vec<Arc<str>> = Vec::new();
    let texts = conditions
        .iter_mut()
        .flat_map(|condition| condition.reason.iter_mut().chain(condition.message.iter_mut()));
    for text in texts {
        match known.iter().find(|known| *known == text) {
            Some(known) => *text = known.clone(),
            None => known.push(text.clone()),
        }
    }
    conditions.shrink_to_fit();
    Ok(conditions)
}

/// The types that the operator sets take no memory.
fn known_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, str>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let known = ConditionType::ALL.into_iter().find(|known| known.as_str() == name);
    Ok(known.map_or(Cow::Owned(name), |known| known.as_str().into()))
}

/// The condition of a type.
#[must_use]
pub fn get(conditions: &[Condition], condition_type: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.is(condition_type))
}

/// Puts `new` into `conditions`, in the place of those of its type.
///
/// `lastTransitionTime` stays while the status does not change, and is `now` in whole seconds otherwise, whatever `new`
/// says. Conditions of other types keep their content and order.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition, now: Timestamp) {
    let position = conditions.iter().position(|old| old.r#type == new.r#type);
    let kept = position
        .map(|position| &conditions[position])
        .filter(|old| old.status == new.status)
        .and_then(|old| old.last_transition_time);
    new.last_transition_time = Some(kept.unwrap_or_else(|| whole_seconds(now)));
    let r#type = new.r#type.clone();
    match position {
        Some(position) => conditions[position] = new,
        None => conditions.push(new),
    }
    let mut seen = false;
    conditions
        .retain(|condition| condition.r#type != r#type || !std::mem::replace(&mut seen, true));
}

/// Whether `Ready` outlives that its resource is suspended: it is about a generation that was reached, and an edit that
/// follows reaches nobody, so it ends `Ready`. Setting `spec.suspend` (`by_spec`) is itself an edit; what else that edit
/// changes cannot be told from it. `suspended` is the reason that the conditions give while a resource is suspended.
#[must_use]
pub fn ready_outlives_suspension(
    conditions: &[Condition],
    observed_generation: Option<i64>,
    generation: Option<i64>,
    by_spec: bool,
    suspended: &str,
) -> bool {
    let reason = get(conditions, ConditionType::Stalled).and_then(|c| c.reason.as_deref());
    let edits = generation.unwrap_or_default() - observed_generation.unwrap_or_default();
    let own_edit = i64::from(by_spec && reason != Some(suspended));
    get(conditions, ConditionType::Ready).is_some() && edits <= own_edit
}

/// What Kubernetes stores of a time.
fn whole_seconds(time: Timestamp) -> Timestamp {
    time.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const EARLIER: i64 = 1_700_000_000;
    const LATER: i64 = 1_700_000_060;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn ready(status: ConditionStatus, reason: &str) -> Condition {
        Condition::new(ConditionType::Ready, status, reason, "", Some(1))
    }

    #[test]
    fn the_transition_time_stays_while_the_status_does() {
        let mut conditions = Vec::new();
        set(&mut conditions, ready(ConditionStatus::False, "A"), at(EARLIER));
        set(&mut conditions, ready(ConditionStatus::False, "B"), at(LATER));
        assert_eq!(conditions[0].reason.as_deref(), Some("B"));
        assert_eq!(conditions[0].last_transition_time, Some(at(EARLIER)));
        set(&mut conditions, ready(ConditionStatus::True, "B"), at(LATER));
        assert_eq!(conditions[0].last_transition_time, Some(at(LATER)));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn a_condition_of_type_and_status_alone_decodes_and_gets_a_time() {
        let mut conditions: Vec<Condition> =
            serde_json::from_value(json!([{ "type": "Ready", "status": "True" }])).unwrap();
        set(&mut conditions, ready(ConditionStatus::True, "Synced"), at(EARLIER));
        assert_eq!(conditions[0].last_transition_time, Some(at(EARLIER)));
    }

    #[test]
    fn a_status_that_is_not_known_decodes_as_unknown() {
        let condition: Condition =
            serde_json::from_value(json!({ "type": "Ready", "status": "Perhaps" })).unwrap();
        assert_eq!(condition.status, ConditionStatus::Unknown);
    }

    #[test]
    fn the_time_is_written_in_whole_seconds() {
        let mut conditions = Vec::new();
        let now = "2026-03-04T05:06:07.987654321Z".parse().unwrap();
        set(&mut conditions, ready(ConditionStatus::True, "Synced"), now);
        let written = serde_json::to_value(&conditions).unwrap();
        assert_eq!(
            written,
            json!([{ "type": "Ready", "status": "True", "reason": "Synced", "message": "",
                "observedGeneration": 1, "lastTransitionTime": "2026-03-04T05:06:07Z" }])
        );
    }

    fn any_condition() -> impl Strategy<Value = Condition> {
        let types = prop_oneof![Just("Ready"), Just("Stalled"), Just("Foreign"), Just("Other")];
        let statuses = prop_oneof![
            Just(ConditionStatus::True),
            Just(ConditionStatus::False),
            Just(ConditionStatus::Unknown)
        ];
        (types, statuses, proptest::option::of(0..EARLIER)).prop_map(|(name, status, time)| {
            Condition {
                r#type: name.into(),
                last_transition_time: time.map(at),
                ..ready(status, "Before")
            }
        })
    }

    proptest! {
        #[test]
        fn one_of_its_type_others_untouched_and_the_second_time_changes_nothing(
            before in proptest::collection::vec(any_condition(), 0..6),
            new in any_condition(),
        ) {
            let mut once = before.clone();
            set(&mut once, new.clone(), at(EARLIER));
            prop_assert_eq!(once.iter().filter(|c| c.r#type == new.r#type).count(), 1);
            let others = |conditions: &[Condition]| -> Vec<Condition> {
                conditions.iter().filter(|c| c.r#type != new.r#type).cloned().collect()
            };
            prop_assert_eq!(others(&before), others(&once));

            let mut twice = once.clone();
            set(&mut twice, new.clone(), at(LATER));
            prop_assert_eq!(once, twice);
        }
    }
}
