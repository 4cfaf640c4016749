//! What the resources say of themselves, read from the stores of the watches when it is asked for: nothing is kept twice, and
//! what is gone is not told.
//!
//! Names of resources are labels only where the administrator has asked for them: they are as many as tenants like.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use super::labels::{ConditionLabels, KindLabels, ResourceLabels, RotationLabels};
use crate::api::{Condition, ConditionStatus, ConditionType, condition};

/// A resource, as far as the metrics tell it.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
    /// What it says.
    pub conditions: &'a [Condition],
    /// When a key last took its place as the current one.
    pub last_rotation: Option<Timestamp>,
    /// When the next one is to.
    pub next_rotation: Option<Timestamp>,
}

/// The resources of one kind in one scope.
pub trait Resources: Send + Sync {
    /// The kind.
    fn kind(&self) -> &'static str;

    /// The reason of this name, if the program has it: what stands in a status may be by anybody.
    fn reason(&self, name: &str) -> Option<&'static str>;

    /// Calls `visit` for each.
    fn each(&self, visit: &mut dyn FnMut(Resource<'_>));
}

/// All resources. Clones share them.
#[derive(Clone, Default)]
pub(super) struct AllResources {
    scopes: Arc<RwLock<Vec<Box<dyn Resources>>>>,
    named: Arc<AtomicBool>,
}

impl fmt::Debug for AllResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllResources").field("named", &self.named).finish_non_exhaustive()
    }
}

/// The reason of a condition that the program does not know.
const OTHER: &str = "Other";

impl AllResources {
    pub(super) fn add(&self, resources: Box<dyn Resources>) {
        self.scopes.write().unwrap_or_else(PoisonError::into_inner).push(resources);
    }

    pub(super) fn name_each(&self) {
        self.named.store(true, Ordering::Relaxed);
    }

    fn collect(&self) -> Collected {
        let named = self.named.load(Ordering::Relaxed);
        let mut collected = Collected::default();
        for scope in &*self.scopes.read().unwrap_or_else(PoisonError::into_inner) {
            let kind = scope.kind();
            collected.counts.entry(ResourceLabels::untold(kind)).or_default();
            scope.each(&mut |resource| {
                collected.count(kind, &**scope, &resource);
                if named {
                    collected.name(kind, &resource);
                }
            });
        }
        collected
    }
}

#[derive(Default)]
struct Collected {
    counts: BTreeMap<ResourceLabels, u32>,
    next_rotation: BTreeMap<KindLabels, Timestamp>,
    conditions: Vec<ConditionLabels>,
    rotations: Vec<(RotationLabels, Timestamp)>,
}

impl Collected {
    fn count(&mut self, kind: &'static str, scope: &dyn Resources, resource: &Resource<'_>) {
        let ready = condition::get(resource.conditions, ConditionType::Ready);
        let reason = ready.and_then(|ready| ready.reason.as_deref()).unwrap_or_default();
        let labels = ResourceLabels {
            kind,
            ready: ready.map_or(ConditionStatus::Unknown, |ready| ready.status).as_str(),
            reason: if reason.is_empty() { "" } else { scope.reason(reason).unwrap_or(OTHER) },
        };
        *self.counts.entry(labels).or_default() += 1;
        if let Some(next) = resource.next_rotation {
            let earliest = self.next_rotation.entry(KindLabels { kind }).or_insert(next);
            *earliest = next.min(*earliest);
        }
    }

    fn name(&mut self, kind: &'static str, resource: &Resource<'_>) {
        let (namespace, name) = (resource.namespace.to_owned(), resource.name.to_owned());
        for condition_type in ConditionType::ALL {
            if let Some(condition) = condition::get(resource.conditions, condition_type) {
                self.conditions.push(ConditionLabels {
                    kind,
                    namespace: namespace.clone(),
                    name: name.clone(),
                    r#type: condition_type.as_str(),
                    status: condition.status.as_str(),
                });
            }
        }
        let times = [("last", resource.last_rotation), ("next", resource.next_rotation)];
        for (rotation, time) in times {
            let (namespace, name) = (namespace.clone(), name.clone());
            let labels = RotationLabels { kind, namespace, name, rotation };
            self.rotations.extend(time.map(|time| (labels, time)));
        }
    }
}

impl Collector for AllResources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let collected = self.collect();
        let counts = collected.counts.iter().map(|(labels, count)| (labels, f64::from(*count)));
        family(
            &mut encoder,
            "hydra_operator_resources",
            "Resources by the status and the reason of their condition Ready.",
            None,
            counts,
        )?;
        family(
            &mut encoder,
            "hydra_operator_next_rotation_timestamp",
            "The earliest time at which a key is to be rotated, since 1970, of the resources that are not suspended.",
            Some(&Unit::Seconds),
            collected.next_rotation.iter().map(|(labels, time)| (labels, seconds(*time))),
        )?;
        family(
            &mut encoder,
            "hydra_operator_resource_condition",
            "With --resource-metrics: 1 for the status that a condition of a resource has.",
            None,
            collected.conditions.iter().map(|labels| (labels, 1.0)),
        )?;
        family(
            &mut encoder,
            "hydra_operator_rotation_timestamp",
            "With --resource-metrics: when a key was last rotated and when it is to be next, since 1970.",
            Some(&Unit::Seconds),
            collected.rotations.iter().map(|(labels, time)| (labels, seconds(*time))),
        )
    }
}

/// Seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn seconds(time: Timestamp) -> f64 {
    time.as_second() as f64
}

/// A family of gauges; nothing at all where it has no members.
fn family<'a, L: EncodeLabelSet + 'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    members: impl Iterator<Item = (&'a L, f64)>,
) -> fmt::Result {
    let mut members = members.peekable();
    if members.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in members {
        family.encode_family(labels)?.encode_gauge(&value)?;
    }
    Ok(())
}
