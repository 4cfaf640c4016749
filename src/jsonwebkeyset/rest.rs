//! Whether there is anything to do: pure but for the indexes that are asked, without a request.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Context,
    desired::{Desired, desired},
    observe::{Linked, material_name},
    record::Record,
    rotation::{Key, Sight, Substance, Wishes, turn},
};
use crate::{
    api::{
        JsonWebKeySet,
        jsonwebkeyset::{KeyOrigin, KeyState},
    },
    controller::ResourceKey,
};

/// If a pass over `resource` at `now` would neither do nor tell anything new, as far as can be told without a request: when the
/// clock changes that, if it does. What happens in Hydra, looks at the interval find.
#[must_use]
pub fn at_rest(
    resource: &JsonWebKeySet,
    key: &ResourceKey,
    context: &Context,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
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
    nothing_is_due(&record, &desired, &(context.linked_to)(key), now)
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
) -> Option<Option<Timestamp>> {
    let keys = record.rotating();
    let lacks =
        |kid: &str| linked.iter().any(|client| client.ever_linked && !client.holds.contains(kid));
    let sight = |key: &Key| Sight {
        substance: Substance::Whole,
        published: key.state != KeyState::Pending || !lacks(&key.kid),
    };
    let sights: BTreeMap<_, _> = keys.iter().map(|key| (key.kid.clone(), sight(key))).collect();
    // The Secret that they come from is as it was when they were read: the current one is the first.
    let mut provided: Vec<&Key> =
        keys.iter().filter(|key| key.origin == KeyOrigin::Imported).collect();
    provided.sort_by_key(|key| key.state == KeyState::Retained);
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
    (turned.keys == keys && turned.gone.is_empty()).then_some(turned.due)
}
