//! The page `docs/metrics.md`, made of what a process that has done a little of everything exposes.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use super::{Controller, Format, Metrics, ReconcileResult, Resource, Resources, ResponseCode};
use crate::api::{Condition, ConditionStatus, ConditionType};

const HEAD: &str = "<!-- Written by `make docs` from src/metrics/registration.rs and its neighbours. -->\n\
    # Metrics\n\n\
    What `/metrics` of the operator exposes. [Monitoring](monitoring.md) says what to make of it. A histogram has the suffixes\n\
    `_bucket` (with the label `le`), `_sum` and `_count`.\n\n\
    | metric | type | labels | |\n|---|---|---|---|\n";

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    let exposition = sample().encode(Format::Classic).unwrap_or_default();
    let mut page = HEAD.to_owned();
    for family in exposition.split("# HELP ").skip(1) {
        page.push_str(&row(family));
    }
    page
}

/// The row of a family, which begins with its name and its help.
fn row(family: &str) -> String {
    let mut lines = family.lines();
    let (name, help) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_default();
    let kind = lines.next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
    let labels: BTreeSet<_> = lines.flat_map(labels).filter(|label| *label != "le").collect();
    let labels: Vec<_> = labels.into_iter().map(|label| format!("`{label}`")).collect();
    let help = help.trim_end_matches('.').replace("<error>", "`<error>`");
    format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
}

/// The names of the labels of a sample. The values of [`sample`] have no quotes.
fn labels(line: &str) -> impl Iterator<Item = &str> {
    let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
    let labels = labels.map(|(labels, _)| labels).unwrap_or_default();
    labels.split(',').filter_map(|label| Some(label.split_once('=')?.0))
}

/// Metrics that each have a series.
fn sample() -> Metrics {
    let (metrics, controller) = (Metrics::new(), Controller::OAuth2Client);
    metrics.controller(controller, 1);
    metrics.reconcile_started(controller).finish(ReconcileResult::Success);
    metrics.kubernetes_request(ResponseCode::Status(200), "GET", "host");
    metrics.outcome(controller, "Synced");
    metrics.instance("default");
    metrics.hydra_up("default", true);
    metrics.hydra_request("default", "get_client", ResponseCode::Status(200), Duration::ZERO);
    metrics.observed(controller, "nothing", 1);
    metrics.leader("hydra-operator", true);
    metrics.resources(Box::new(One));
    metrics.name_resources();
    metrics
}

/// A resource that says all that resources can say.
struct One;

impl Resources for One {
    fn kind(&self) -> &'static str {
        "JsonWebKeySet"
    }

    fn reason(&self, _: &str) -> Option<&'static str> {
        Some("Synced")
    }

    fn each(&self, visit: &mut dyn FnMut(Resource<'_>)) {
        let (namespace, name) = ("namespace", "name");
        let ready = Condition::new(ConditionType::Ready, ConditionStatus::True, "Synced", "", None);
        visit(Resource {
            namespace,
            name,
            conditions: &[ready],
            last_rotation: Some(Timestamp::UNIX_EPOCH),
            next_rotation: Some(Timestamp::UNIX_EPOCH),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_metric_with_its_labels() {
        let page = page();
        for row in [
            "| `controller_runtime_reconcile_total` | counter | `controller`, `result` | Passes by result |",
            "| `workqueue_longest_running_processor_seconds` | gauge | `controller`, `name` | Age of",
            "| `rest_client_requests_total` | counter | `code`, `host`, `method` | Requests to",
            "| `hydra_operator_hydra_request_duration_seconds` | histogram | `hydra`, `operation` | ",
            "| `hydra_operator_resource_condition` | gauge | `kind`, `name`, `namespace`, `status`, `type` | ",
            "| `hydra_operator_build_info` | gauge | `version` | ",
            "| `process_resident_memory_bytes` | gauge |  | Resident memory |",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
    }
}
