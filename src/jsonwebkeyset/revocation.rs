//! The end of a compromised key, whatever else may be wrong with the resource: out of Hydra, and out of what was handed out.

mod remainder;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use self::remainder::without;
use super::{
    Context, desired,
    error::{self, Failure},
    observe::Sources,
    record::Record,
    status::Outcome,
};
use crate::{
    api::{
        JsonWebKeySet,
        jsonwebkeyset::{KeyStatus, OutputStatus},
    },
    kubernetes::outputs::{OutputKind, OutputState, Outputs},
};

/// Removes the key `compromised`, which `record` has. None: it is one of Hydra's own sets, which is to have another key first.
pub async fn revoke(
    compromised: &KeyStatus,
    resource: &JsonWebKeySet,
    record: &Record,
    context: &Context,
    from: &Sources<'_>,
) -> Result<Option<Outcome>, Failure> {
    let (set, is_system) = desired::set(resource, &context.permissions)?;
    if is_system {
        return Ok(None);
    }
    let hydra = from.instance.hydra();
    let failed = |error| error::hydra(&format!("revoke key {}", compromised.kid), &error);
    let stored = hydra.get_key_set(&set).await.map_err(failed)?;
    if let Some(stored) = stored.as_ref().and_then(|set| set.get(&compromised.kid)) {
        hydra.delete_key(&set, stored).await.map_err(failed)?;
    }
    let (mut left, outputs) = (Vec::new(), &record.outputs);
    for output in [&outputs.private_secret, &outputs.key_material].into_iter().flatten() {
        left.extend(withdraw::<Secret>(from.secrets, output, compromised, from).await?);
    }
    if let Some(output) = &outputs.public_config_map {
        left.extend(withdraw::<ConfigMap>(from.config_maps, output, compromised, from).await?);
    }
    Ok(Some(Outcome::Revoked { kid: compromised.kid.clone(), left }))
}

/// Takes the key out of an output, which the next pass may not reach; one that cannot be without it is deleted. Returns the name of
/// one that the operator may not read or write: whoever may has to be told, and the clients are not to wait for it.
async fn withdraw<K: OutputKind>(
    outputs: &Outputs<K>,
    output: &OutputStatus,
    compromised: &KeyStatus,
    from: &Sources<'_>,
) -> Result<Option<String>, Failure> {
    let name = &output.name;
    let what = format!("{} {name}", K::kind(&()));
    if from.check(&what).is_err() {
        return Ok(Some(what));
    }
    let state = match outputs.observe(name, from.owner).await {
        Err(error) if error.is_forbidden() => return Ok(Some(what)),
        state => state.map_err(|error| error::read(&what, &error))?,
    };
    let OutputState::Ours(held) = state else { return Ok(None) };
    let changes = without(&held, compromised);
    let written = match outputs.replace(name, &held, &changes).await {
        Err(error) if error.is_invalid() => outputs.delete(name, held.version()).await,
        written => written,
    };
    match written {
        Err(error) if error.is_forbidden() => Ok(Some(what)),
        written => written.map(|()| None).map_err(|error| error::output_write(&what, &error)),
    }
}
