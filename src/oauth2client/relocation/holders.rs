//! Where the client of a resource that is being deleted may be.

use std::sync::Arc;

use super::{Held, base, held};
use crate::{
    api::{
        ConditionStatus, ConditionType, OAuth2Client, OAuth2ClientSpec, condition,
        oauth2client::OAuth2ClientStatus,
    },
    instance::Instance,
    instances::Target,
    oauth2client::{
        Context,
        error::{self, Failure, Reason},
        hydra_admin::{Rules, place},
        observe::SecretSource,
        record::Record,
    },
};

/// The Hydras that may hold the client of a resource that is being deleted. Reads its Secret where
/// nothing else tells whether it has one.
pub async fn find_holders(
    resource: &OAuth2Client,
    record: &Record,
    from: &SecretSource<'_>,
    context: &Context,
) -> Result<Vec<Arc<Instance>>, Failure> {
    let (spec, status) = (&resource.spec, resource.status.as_ref());
    if let Some(failure) = out_of_sight(spec, status, &context.rules)
        && (was_ready(status) || names_client(&spec.secret_name, record, from).await?)
    {
        return Err(failure);
    }
    let targets = holders(spec, status, &context.rules)?;
    targets.iter().map(|target| context.instance(target)).collect()
}

/// Why a client may be where nobody looks for it: none is recorded, and the Hydra that `spec` asks
/// for is not allowed. hydra-maester needs no permission for it, and records neither id nor place.
///
/// Only a resource that shows signs of a client is to be kept for it. One that was refused from the
/// start has none, and can go.
fn out_of_sight(
    spec: &OAuth2ClientSpec,
    status: Option<&OAuth2ClientStatus>,
    rules: &Rules,
) -> Option<Failure> {
    if held(status, rules) != Held::Nowhere {
        return None;
    }
    let failure = place(spec, rules).err()?;
    (failure.reason == Reason::HydraAdminNotAllowed).then(|| Failure {
        message: format!(
            "its Secret or its former status shows that it has a client, and {}",
            failure.message
        ),
        ..failure
    })
}

/// Whether it was Ready for hydra-maester, as long as no pass has said otherwise.
fn was_ready(status: Option<&OAuth2ClientStatus>) -> bool {
    let conditions = status.map(|status| &status.conditions[..]).unwrap_or_default();
    let ready = condition::get(conditions, ConditionType::Ready);
    ready.is_some_and(|ready| ready.status == ConditionStatus::True)
}

/// Whether the Secret names a client, or cannot be asked: what has the finalizer may have one. The operator makes none before
/// it may have the Hydra.
async fn names_client(
    name: &str,
    record: &Record,
    from: &SecretSource<'_>,
) -> Result<bool, Failure> {
    if from.access.is_err() {
        return Ok(true);
    }
    let name = record.secret_name.as_deref().unwrap_or(name);
    let secret = from.secrets.observe(name, from.owner, from.lookup).await;
    let secret = secret.map_err(|error| error::secret_read(name, &error))?;
    Ok(secret.stored().is_some_and(|stored| stored.id.is_some()))
}

/// Where the client was recorded, and where it was about to go.
fn holders(
    spec: &OAuth2ClientSpec,
    status: Option<&OAuth2ClientStatus>,
    rules: &Rules,
) -> Result<Vec<Target>, Failure> {
    let wanted = place(spec, rules).ok().map(|place| place.target);
    match held(status, rules) {
        Held::Nowhere => Ok(vec![wanted.unwrap_or(Target::Own)]),
        Held::OutOfReach(address) => Err(Failure::terminal(
            Reason::HydraAdminNotAllowed,
            format!(
                "its client is in the Hydra at {address}, which the administrator of the operator \
                 does not allow any more; ask them to allow it again"
            ),
        )),
        Held::At(target) => {
            let same = |wanted: &Target| base(wanted, rules) == base(&target, rules);
            // How it is spoken to now counts, where it is the same Hydra.
            Ok(match wanted {
                Some(wanted) if same(&wanted) => vec![wanted],
                wanted => [target].into_iter().chain(wanted).collect(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::tests::{name, resource, rules},
        *,
    };

    #[test]
    fn deletion_looks_where_the_client_was_and_where_it_was_to_go() {
        let at = |url: &str| json!({ "clientId": "id-1", "hydraAdmin": { "url": url, "forwardedProto": "https" } });
        let (b, c) = (json!({ "url": "http://b" }), json!({ "url": "http://c:80" }));
        let cases: [(Value, Value, &[&str]); 8] = [
            (json!({}), json!({}), &["own"]),
            (b.clone(), json!({}), &["b:4445/admin/clients "]),
            (json!({ "url": "http://d" }), json!({}), &["own"]),
            (json!({ "url": "http://d" }), json!({ "clientId": "id-1" }), &["own"]),
            (b.clone(), json!({ "clientId": "id-1" }), &["own", "b:4445/admin/clients "]),
            (b.clone(), at("http://b:4445"), &["b:4445/admin/clients "]),
            (c, at("http://b:4445"), &["b:4445/admin/clients https", "c:80/clients "]),
            (b, at("http://d"), &["HydraAdminNotAllowed"]),
        ];
        for (hydra_admin, status, expected) in cases {
            let resource = resource(&hydra_admin, &status);
            let found = match holders(&resource.spec, resource.status.as_ref(), &rules()) {
                Ok(targets) => targets.iter().map(name).collect(),
                Err(failure) => vec![failure.reason.as_str().to_owned()],
            };
            assert_eq!(found, expected, "{hydra_admin} {status}");
        }
    }

    #[test]
    fn a_client_that_nobody_recorded_may_be_where_the_operator_may_not_look() {
        let (b, d) = (json!({ "url": "http://b" }), json!({ "url": "http://d" }));
        let ready = |status: &str| json!({ "conditions": [{ "type": "Ready", "status": status }] });
        let recorded = json!({ "clientId": "id-1" });
        for (hydra_admin, status, expected) in [
            (&d, ready("True"), (true, true)),
            (&d, ready("False"), (true, false)),
            (&d, json!({}), (true, false)),
            (&d, recorded, (false, false)),
            (&b, ready("True"), (false, true)),
            (&json!({}), ready("True"), (false, true)),
            // An invalid spec is no reason to keep a resource.
            (&json!({ "url": "http://d", "port": -1 }), ready("True"), (false, true)),
        ] {
            let resource = resource(hydra_admin, &status);
            let status = resource.status.as_ref();
            let failure = out_of_sight(&resource.spec, status, &rules());
            let found = (failure.is_some(), was_ready(status));
            assert_eq!(found, expected, "{hydra_admin} {status:?}");
        }
    }
}
