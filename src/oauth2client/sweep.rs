//! The sweep: one paged list of the clients of a Hydra finds the resources that need a pass.
//!
//! A converged resource has no timer of its own. What the list shows is only a reason to look: the
//! pass that follows reads the client again before anything is concluded from its absence.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{desired::desired, error::Reason, record::Record};
use crate::{
    api::{ConditionType, OAuth2Client, condition},
    controller::backoff::{self, jittered},
    hydra::{
        self,
        meaning::{self, ServerDefaults, Unlearned},
    },
    instance::Instance,
    metrics::Metrics,
};

/// Longest wait between two looks at a Hydra that is away.
const LONGEST_ABSENCE: Duration = Duration::from_secs(15);

/// How long a Hydra counts as just back: passes that were under way when it returned end as if it
/// were still away.
const RETURN: Duration = Duration::from_mins(2);

/// What a sweep found.
pub struct Listing {
    /// All clients that Hydra holds, by id.
    pub clients: BTreeMap<String, hydra::OAuth2Client>,
    /// What Hydra puts in place of an empty value, as far as it is known.
    pub defaults: ServerDefaults,
    /// Whether a sweep failed lately.
    pub hydra_is_back: bool,
}

/// Whether `resource` needs a pass, given what a sweep found.
#[must_use]
pub fn needs_pass(resource: &OAuth2Client, listing: &Listing) -> bool {
    let deleting = resource.metadata.deletion_timestamp.is_some();
    if resource.is_suspended() && !deleting {
        return false;
    }
    let record = Record::of(resource);
    if deleting || !record.settled {
        return listing.hydra_is_back && waits_for_hydra(resource);
    }
    let Some(id) = &record.client_id else { return true };
    let Some(client) = listing.clients.get(id.as_str()) else { return true };
    let unsupported = record.unsupported.map(|unsupported| unsupported.fields).unwrap_or_default();
    desired(resource).is_ok_and(|desired| {
        let defaults = &listing.defaults;
        meaning::differences(&desired.client, client, defaults, Unlearned::AssumeEqual)
            .iter()
            .any(|member| !unsupported.iter().any(|known| known == member))
    })
}

/// Whoever is waiting out a backoff because Hydra did not answer, or let nobody in, can go on when
/// it does. A Hydra that answers the sweep all along and refuses other requests is none that comes
/// back: then the backoff stands.
fn waits_for_hydra(resource: &OAuth2Client) -> bool {
    let ready = resource
        .status
        .as_ref()
        .and_then(|status| condition::get(&status.conditions, ConditionType::Ready));
    ready
        .and_then(|ready| ready.reason.as_deref())
        .is_some_and(|reason| Reason::HYDRA_AWAY.iter().any(|away| away.as_str() == reason))
}

/// Sweeps at once and then once per `interval`, and sooner after Hydra was away. `wake` is called
/// with what each sweep found.
pub async fn run(
    instance: &Instance,
    interval: Duration,
    metrics: &Metrics,
    wake: impl Fn(&Listing),
) {
    let mut course = Course::default();
    loop {
        match sweep(instance).await {
            Ok(clients) => {
                metrics.hydra_up(instance.name(), true);
                let hydra_is_back =
                    course.last_failure.is_some_and(|failure| failure.elapsed() < RETURN);
                wake(&Listing { clients, defaults: instance.defaults(), hydra_is_back });
                metrics.sweep(instance.name(), true);
                course.failures = 0;
            }
            Err(error) => {
                metrics.hydra_up(instance.name(), false);
                metrics.sweep(instance.name(), false);
                if course.failures == 0 {
                    tracing::warn!(instance = instance.name(), %error, "Hydra could not be listed");
                }
                course = Course {
                    failures: course.failures + 1,
                    alarms: 0,
                    last_failure: Some(Instant::now()),
                };
            }
        }
        course.alarms = if wait(instance, interval, &course).await { course.alarms + 1 } else { 0 };
    }
}

/// How the sweeps went lately.
#[derive(Default)]
struct Course {
    /// Sweeps in a row that failed.
    failures: u32,
    /// When a sweep last failed.
    last_failure: Option<Instant>,
    /// Sweeps in a row that were made because a pass was in trouble, and found Hydra well.
    alarms: u32,
}

/// Waits until the next sweep is due. Returns whether that is because a pass was in trouble.
async fn wait(instance: &Instance, interval: Duration, course: &Course) -> bool {
    let pause = |n| backoff::delay(n, rand()).min(interval);
    if course.failures > 0 {
        tokio::time::sleep(pause(course.failures).min(LONGEST_ABSENCE)).await;
        return false;
    }
    tokio::select! {
        () = tokio::time::sleep(jittered(interval, rand())) => false,
        // A sweep shows whether Hydra is away, and later ones when it is back. False alarms cost a
        // list of all clients, so they are followed up less and less eagerly.
        () = instance.troubled() => {
            tokio::time::sleep(pause(course.alarms + 1)).await;
            true
        }
    }
}

async fn sweep(
    instance: &Instance,
) -> Result<BTreeMap<String, hydra::OAuth2Client>, hydra::HydraError> {
    let listed = instance.hydra().list_clients(None).await?;
    instance.refresh().await;
    Ok(listed.into_iter().filter_map(|client| Some((client.client_id.clone()?, client))).collect())
}

fn rand() -> f64 {
    super::random::chance()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::oauth2client::testing::with_status;

    fn resource(ready: &str, reason: &str, spec: &Value) -> OAuth2Client {
        let mut full =
            json!({ "grantTypes": ["client_credentials"], "scope": "a b", "secretName": "s" });
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        with_status(
            &full,
            &json!({
                "observedGeneration": 2,
                "clientId": "id-1",
                "conditions": [{ "type": "Ready", "status": ready, "reason": reason }],
            }),
        )
    }

    fn listed(client: Value) -> BTreeMap<String, hydra::OAuth2Client> {
        BTreeMap::from([("id-1".to_owned(), serde_json::from_value(client).unwrap())])
    }

    #[test]
    fn only_what_differs_needs_a_pass() {
        let same = || {
            listed(json!({
                "client_id": "id-1", "owner": "shop/team-a", "scope": "b a",
                "grant_types": ["client_credentials"],
            }))
        };
        let other = |member: &str, value: &str| {
            let mut clients = same();
            let mut client = serde_json::to_value(&clients["id-1"]).unwrap();
            client[member] = value.into();
            clients.insert("id-1".into(), serde_json::from_value(client).unwrap());
            clients
        };
        let ready = |spec: &Value| resource("True", "Synced", spec);
        let plain = json!({});
        let mut deleting = ready(&plain);
        deleting.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let away = |reason| resource("False", reason, &plain);
        let cases = [
            ("same", ready(&plain), same(), false),
            ("scope differs", ready(&plain), other("scope", "admin"), true),
            ("owner differs", ready(&plain), other("owner", "bank/team-b"), true),
            ("not listed", ready(&plain), BTreeMap::new(), true),
            ("suspended", ready(&json!({ "suspend": true })), BTreeMap::new(), false),
            ("being deleted", deleting, BTreeMap::new(), false),
            ("stalled", resource("False", "SecretNotOwned", &plain), BTreeMap::new(), false),
        ];
        for (name, resource, clients, expected) in cases {
            for hydra_is_back in [false, true] {
                let defaults = ServerDefaults::default();
                let listing = Listing { clients: clients.clone(), defaults, hydra_is_back };
                assert_eq!(needs_pass(&resource, &listing), expected, "{name}");
            }
        }
        for reason in ["HydraUnreachable", "HydraError", "HydraForbidden"] {
            for hydra_is_back in [false, true] {
                let defaults = ServerDefaults::default();
                let listing = Listing { clients: same(), defaults, hydra_is_back };
                assert_eq!(needs_pass(&away(reason), &listing), hydra_is_back, "{reason}");
            }
        }
    }
}
