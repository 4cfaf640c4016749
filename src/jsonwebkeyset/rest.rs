//! Whether there is anything to do: pure but for the indexes that are asked, without a request.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Context,
    contents::material_name,
    desired::{Desired, desired},
    observe::Linked,
    record::Record,
    rotation::{Key, Sight, Substance, Wishes, turn},
    status::tells_who_is_waited_for,
    waiting::waiting,
};
use crate::{
    api::{
        JsonWebKeySet,
        jsonwebkeyset::{KeyOrigin, KeyState, KeyStatus},
    },
    controller::ResourceKey,
};

/// That there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// When the clock changes that, if it does.
    pub until: Option<Timestamp>,
}

/// If a pass over `resource` at `now` would neither do nor tell anything new, as far as can be told without a request: when the
/// clock changes that, if it does. What happens in Hydra, looks at the interval find.
#[must_use]
pub fn at_rest(
    resource: &JsonWebKeySet,
    key: &ResourceKey,
    context: &Context,
    now: Timestamp,
) -> Option<Rest> {
    let record = Record::of(resource);
    let desired = desired(resource, &context.permissions).ok()?;
    let is_settled = record.settled
        && !record.requested
        && !record.revoke_is_new
        && context.rivals.check(key).is_ok()
        && outputs_are_as_written(&record, &desired, key, context);
    if !is_settled {
        return None;
    }
    let linked = (context.linked_to)(key);
    let conditions = resource.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let waiting = waiting(&desired.rules, &record.rotating(), &linked);
    if !tells_who_is_waited_for(conditions, &waiting.names()) || !waiting.held_up_by(now).is_empty()
    {
        return None;
    }
    let rest = nothing_is_due(&record, &desired, &linked, now)?;
    Some(Rest { until: rest.until.into_iter().chain(waiting.overdue_from(now)).min() })
}

fn outputs_are_as_written(
    record: &Record,
    desired: &Desired,
    key: &ResourceKey,
    context: &Context,
) -> bool {
    let object = |name: &str| (key.0.clone(), name.to_owned());
    let secret = |name: &str| context.secret_references.version(&object(name));
    let outputs = &record.outputs;
    let public = desired.public.as_ref().map(|public| public.name.as_str());
    let private = desired.private.as_ref().map(|private| private.name.as_str());
    let import = desired.import.as_ref().map(|import| import.name.as_str());
    let material = material_name(&key.1);
    let material = outputs.key_material.as_ref().map(|_| material.as_str());
    let map = public.and_then(|name| context.config_map_references.version(&object(name)));
    Record::is_same(outputs.public_config_map.as_ref(), public, map.as_ref())
        && Record::is_same(
            outputs.private_secret.as_ref(),
            private,
            private.and_then(secret).as_ref(),
        )
        && Record::is_same(outputs.import.as_ref(), import, import.and_then(secret).as_ref())
        && Record::is_same(
            outputs.key_material.as_ref(),
            material,
            material.and_then(secret).as_ref(),
        )
}

/// If the rotation leaves the keys as they are, provided that they are where they were: when the clock changes that, if it does.
#[must_use]
pub fn nothing_is_due(
    record: &Record,
    desired: &Desired,
    linked: &[Linked],
    now: Timestamp,
) -> Option<Rest> {
    let keys = record.rotating();
    let lacks = |kid: &str| linked.iter().any(|client| client.lacks(kid));
    let sight = |key: &Key| Sight {
        substance: Substance::Whole,
        published: !key.is_coming() || !lacks(&key.kid),
    };
    let sights: BTreeMap<_, _> = keys.iter().map(|key| (key.kid.clone(), sight(key))).collect();
    // The Secret that they come from is as it was when they were read: its first key is the current one, or is to be it. Those
    // that were in it no more have an end.
    let is_provided = |key: &&KeyStatus| {
        key.origin == KeyOrigin::Imported
            && (key.state != KeyState::Retained || key.until.is_none())
    };
    let mut provided: Vec<&KeyStatus> = record.keys.iter().filter(is_provided).collect();
    provided.sort_by_key(|key| match key.state {
        KeyState::Pending | KeyState::Published => 0,
        KeyState::Active => 1,
        KeyState::Retained => 2,
    });
    let provided = provided.into_iter().map(|key| key.kid.clone()).collect();
    let wishes = Wishes {
        rotate: record.rotate,
        revoke: None,
        provided: desired.import.is_some().then_some(provided),
    };
    // What is recorded is to be made.
    let is_made = |key: &Key| record.public_key(&key.kid).is_some();
    if keys.iter().any(|key| key.state == KeyState::Pending && !is_made(key)) {
        return None;
    }
    let turned = turn(&desired.rules, &keys, &sights, &wishes, "", now);
    (turned.keys == keys && turned.gone.is_empty()).then_some(Rest { until: turned.due })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jsonwebkeyset::desired::Permissions;

    const NOW: &str = "2026-11-21T12:00:00Z";

    const FOREVER: Option<Rest> = Some(Rest { until: None });

    fn until(time: &str) -> Rest {
        Rest { until: Some(time.parse().unwrap()) }
    }

    /// Whether a set with these keys is at rest.
    fn rest(spec: &Value, keys: &Value, linked: &[Linked]) -> Option<Rest> {
        let set = serde_json::from_value::<JsonWebKeySet>(json!({
            "metadata": { "name": "signing", "namespace": "shop" },
            "spec": spec,
            "status": { "keys": keys },
        }))
        .unwrap();
        let desired = desired(&set, &Permissions::default()).unwrap();
        nothing_is_due(&Record::of(&set), &desired, linked, NOW.parse().unwrap())
    }

    fn key(kid: &str, state: &str, since: &str, made: bool) -> Value {
        let public = made.then(|| json!({ "kty": "EC", "kid": kid }));
        json!({
            "kid": kid, "algorithm": "ES256", "use": "sig", "state": state, "since": since, "origin": "Hydra",
            "publicKey": public,
        })
    }

    fn client(holds: &[&str]) -> Linked {
        let holds = holds.iter().map(ToString::to_string).collect();
        Linked { name: "shop".into(), holds, ever_linked: true, trouble: None }
    }

    #[test]
    fn rest_lasts_until_the_clock_says_otherwise() {
        let daily = json!({ "algorithm": "ES256", "rotation": { "interval": "24h" } });
        let spec = json!({ "algorithm": "ES256" });
        let active = |since| key("a", "Active", since, true);
        let (fresh, old) = ("2026-11-21T11:00:00Z", "2026-11-20T12:00:00Z");
        assert_eq!(rest(&spec, &json!([active(old)]), &[]), FOREVER);
        let due = Some(until("2026-11-22T10:00:00Z"));
        assert_eq!(rest(&daily, &json!([active(fresh)]), &[]), due);
        assert_eq!(rest(&daily, &json!([active(old)]), &[]), None, "the next key is to be made");
        assert_eq!(rest(&spec, &json!([]), &[]), None, "there is no key");
        let other = json!({ "algorithm": "RS256" });
        assert_eq!(rest(&other, &json!([active(fresh)]), &[]), None, "another algorithm");
        let retained = json!([key("b", "Retained", fresh, true), active(fresh)]);
        let due = Some(until("2026-11-22T11:00:00Z"));
        assert_eq!(rest(&spec, &retained, &[]), due);
    }

    #[test]
    fn a_key_that_is_recorded_is_to_be_made_whoever_lacks_it() {
        let spec = json!({ "algorithm": "ES256" });
        let keys = |made| json!([key("a", "Active", NOW, true), key("b", "Pending", NOW, made)]);
        assert_eq!(rest(&spec, &keys(false), &[client(&["a"])]), None);
        assert_eq!(rest(&spec, &keys(true), &[client(&["a"])]), FOREVER, "it waits for the client");
        assert_eq!(rest(&spec, &keys(true), &[client(&["a", "b"])]), None);
    }

    #[test]
    fn an_imported_key_that_is_in_its_secret_no_more_has_an_end() {
        let import = json!({ "secretRef": { "name": "source" } });
        let spec = json!({ "algorithm": "ES256", "import": import });
        let imported = |kid, state, end: Option<&str>| {
            let mut key = key(kid, state, "2026-11-21T11:00:00Z", true);
            key["origin"] = json!("Imported");
            key["until"] = json!(end);
            key
        };
        let current = imported("b", "Active", None);
        let beside = json!([current, imported("c", "Retained", None)]);
        assert_eq!(rest(&spec, &beside, &[]), FOREVER);
        let end = "2026-11-22T11:00:00Z";
        let former = json!([imported("a", "Retained", Some(end)), current]);
        assert_eq!(rest(&spec, &former, &[]), Some(until(end)));
        let next = json!([current, imported("c", "Published", Some("2026-11-21T12:00:00Z"))]);
        assert_eq!(rest(&spec, &next, &[]), None, "it is to be the current one");
    }
}
