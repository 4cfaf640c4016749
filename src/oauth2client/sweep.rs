//! The sweep: one paged list of the clients of a Hydra finds the resources that need a pass.
//!
//! A converged resource has no timer of its own. What the list shows is only a reason to look: the
//! pass that follows reads the client again before anything is concluded from its absence.

use std::{collections::BTreeMap, time::Duration};

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

/// What a sweep has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// All clients of the Hydra, by id.
    pub clients: BTreeMap<String, hydra::OAuth2Client>,
    /// What that Hydra puts in place of an empty value, as far as it is known.
    pub defaults: ServerDefaults,
    /// Whether the sweep before this one found Hydra away.
    pub after_absence: bool,
}

/// Whether `resource` needs a pass, given what a sweep has seen.
#[must_use]
pub fn needs_pass(resource: &OAuth2Client, seen: &Seen) -> bool {
    let deleting = resource.metadata.deletion_timestamp.is_some();
    if resource.is_suspended() && !deleting {
        return false;
    }
    let record = Record::of(resource);
    if deleting || !record.settled {
        return seen.after_absence && waits_for_hydra(resource);
    }
    let Some(id) = &record.client_id else { return true };
    let Some(client) = seen.clients.get(id.as_str()) else { return true };
    let unsupported = record.unsupported.map(|unsupported| unsupported.fields).unwrap_or_default();
    desired(resource).is_ok_and(|desired| {
        meaning::differences(&desired.client, client, &seen.defaults, Unlearned::AssumeEqual)
            .iter()
            .any(|member| !unsupported.iter().any(|known| known == member))
    })
}

/// Whether the resource waits out a backoff because Hydra did not answer. Only its return ends
/// that: a sweep that succeeds while it is there must not undo the backoff of what it refuses.
fn waits_for_hydra(resource: &OAuth2Client) -> bool {
    let ready = resource
        .status
        .as_ref()
        .and_then(|status| condition::get(&status.conditions, ConditionType::Ready));
    ready.and_then(|ready| ready.reason.as_deref()) == Some(Reason::HydraUnreachable.as_str())
}

/// Sweeps at once and then once per `interval`, and sooner after Hydra was away. `wake` is called
/// with what each sweep has seen.
pub async fn run(instance: &Instance, interval: Duration, metrics: &Metrics, wake: impl Fn(&Seen)) {
    let mut failures = 0;
    loop {
        match sweep(instance).await {
            Ok(clients) => {
                let after_absence = std::mem::take(&mut failures) > 0;
                metrics.hydra_up(instance.name(), true);
                wake(&Seen { clients, defaults: instance.defaults(), after_absence });
                metrics.sweep(instance.name(), true);
            }
            Err(error) => {
                failures += 1;
                metrics.hydra_up(instance.name(), false);
                metrics.sweep(instance.name(), false);
                if failures == 1 {
                    tracing::warn!(instance = instance.name(), %error, "Hydra could not be listed");
                }
            }
        }
        wait(instance, interval, failures).await;
    }
}

async fn wait(instance: &Instance, interval: Duration, failures: u32) {
    if failures > 0 {
        let absence = backoff::delay(failures, rand()).min(LONGEST_ABSENCE);
        return tokio::time::sleep(absence.min(interval)).await;
    }
    tokio::select! {
        () = tokio::time::sleep(jittered(interval, rand())) => {}
        // A pass found Hydra away: a sweep that succeeds is what tells that it is back.
        () = instance.troubled() => tokio::time::sleep(backoff::FIRST_DELAY).await,
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
        let cases = [
            ("same", ready(&plain), same(), false),
            ("scope differs", ready(&plain), other("scope", "admin"), true),
            ("owner differs", ready(&plain), other("owner", "bank/team-b"), true),
            ("not listed", ready(&plain), BTreeMap::new(), true),
            ("suspended", ready(&json!({ "suspend": true })), BTreeMap::new(), false),
            ("being deleted", deleting, BTreeMap::new(), false),
            ("stalled", resource("False", "SecretNotOwned", &plain), BTreeMap::new(), false),
            ("waits for Hydra", resource("False", "HydraUnreachable", &plain), same(), false),
        ];
        for (name, resource, clients, expected) in cases {
            let seen = Seen { clients, ..Seen::default() };
            assert_eq!(needs_pass(&resource, &seen), expected, "{name}");
        }
    }

    #[test]
    fn the_return_of_hydra_ends_the_waiting_for_it_and_no_other() {
        let seen = Seen { after_absence: true, ..Seen::default() };
        let waits = |reason| needs_pass(&resource("False", reason, &json!({})), &seen);
        assert!(waits("HydraUnreachable"));
        assert!(!waits("HydraError"));
        assert!(!waits("RejectedByHydra"));
    }
}
