//! The move of a client from one Hydra to another: it is set up where the resource wants it, and
//! only then revoked where it was.

mod holders;

use std::sync::Arc;

use kube::{Resource, ResourceExt};

pub use holders::find_holders;

use super::{
    Context,
    apply::{Applied, ClientChange},
    error::{self, Failure, Reason},
    hydra_admin::{Place, Rules, place},
    notices::RECONCILE,
};
use crate::{
    api::{
        OAuth2Client, OAuth2ClientSpec,
        oauth2client::{HydraAdminStatus, OAuth2ClientStatus},
    },
    hydra::{self, Base, ClientId, ErrorKind},
    instance::Instance,
    instances::{ForwardedProto, Target},
    kubernetes::events::Notice,
};

/// Where the client of a resource is, by what its status says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// No client is recorded, or none elsewhere.
    Nowhere,
    /// In a Hydra that the operator may call.
    At(Target),
    /// In one that it may not call, or shall not touch: its address.
    OutOfReach(String),
}

/// What status shall record of the place of a client.
#[must_use]
pub fn recorded(spec: &OAuth2ClientSpec, rules: &Rules) -> Option<HydraAdminStatus> {
    let Target::Other { address, forwarded_proto } = place(spec, rules).ok()?.target else {
        return None;
    };
    let forwarded_proto = forwarded_proto.as_str().map(ToOwned::to_owned);
    Some(HydraAdminStatus { url: address.base().to_string(), forwarded_proto })
}

/// Where the client is, by what `status` says.
#[must_use]
pub fn held(status: Option<&OAuth2ClientStatus>, rules: &Rules) -> Held {
    let Some(status) = status.filter(|status| status.client_id.is_some()) else {
        return Held::Nowhere;
    };
    let Some(recorded) = &status.hydra_admin else { return Held::At(Target::Own) };
    let base = Base::parse(&recorded.url).ok();
    let allowed = rules.allowed.iter().find(|allowed| Some(allowed.base()) == base);
    match allowed {
        Some(address) => {
            let proto = recorded.forwarded_proto.as_deref().and_then(ForwardedProto::parse);
            let forwarded_proto = proto.unwrap_or_default();
            Held::At(Target::Other { address: address.clone(), forwarded_proto })
        }
        None if base.as_ref() == Some(&rules.own) => Held::At(Target::Own),
        None => Held::OutOfReach(recorded.url.clone()),
    }
}

/// The Hydra that a resource leaves when its client is set up in `place`; none where it stays.
///
/// A change of the operator's own settings leaves clients where they are: nothing is deleted
/// because of it.
#[must_use]
pub fn left(status: Option<&OAuth2ClientStatus>, place: &Place, rules: &Rules) -> Held {
    let held = held(status, rules);
    let base = match &held {
        Held::Nowhere => return held,
        Held::At(target) => Some(base(target, rules)),
        Held::OutOfReach(address) => Base::parse(address).ok(),
    };
    let next = self::base(&place.target, rules);
    match base {
        Some(base) if base == next => Held::Nowhere,
        Some(base) if place.port_is_operators && base.differs_only_in_port(&next) => {
            Held::OutOfReach(base.to_string())
        }
        Some(_) | None => held,
    }
}

fn base(target: &Target, rules: &Rules) -> Base {
    match target {
        Target::Own => rules.own.clone(),
        Target::Other { address, .. } => address.base(),
    }
}

/// A move, as it stands before the client is set up in its new place.
pub enum Relocation {
    /// There is none.
    Stays,
    /// From a Hydra that is left as it is: its address.
    LeavesBehind(String),
    /// From a Hydra whose client is to be revoked.
    From(Former),
}

/// The Hydra that is left.
pub struct Former {
    instance: Arc<Instance>,
    id: ClientId,
    /// The client as it was there before it was set up elsewhere.
    seen: Result<Option<Seen>, Failure>,
}

/// What tells a client from another of the same id.
#[derive(PartialEq, Eq)]
struct Seen {
    owner: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl Relocation {
    /// Looks at what `resource` leaves on its way to `place`.
    pub async fn begin(
        resource: &OAuth2Client,
        place: &Place,
        context: &Context,
    ) -> Result<Self, Failure> {
        let status = resource.status.as_ref();
        let id = status.and_then(|status| ClientId::parse(status.client_id.as_deref()?).ok());
        let (target, id) = match (left(status, place, &context.rules), id) {
            (Held::Nowhere, _) | (_, None) => return Ok(Self::Stays),
            (Held::OutOfReach(address), Some(_)) => return Ok(Self::LeavesBehind(address)),
            (Held::At(target), Some(id)) => (target, id),
        };
        let instance = context.instance(&target)?;
        let seen = read(&id, &instance).await;
        Ok(Self::From(Former { instance, id, seen }))
    }

    /// The client that is to be revoked in its former place.
    #[must_use]
    pub fn revokes(&self) -> Option<&ClientId> {
        match self {
            Self::From(former) => Some(&former.id),
            Self::Stays | Self::LeavesBehind(_) => None,
        }
    }

    /// Whether the client changes its place.
    #[must_use]
    pub fn moves(&self) -> bool {
        !matches!(self, Self::Stays)
    }

    /// Revokes the client where it was, now that it is set up in `here`.
    pub async fn finish(
        self,
        resource: &OAuth2Client,
        applied: &Applied,
        here: &Instance,
        context: &Context,
    ) -> Result<(), Failure> {
        let id = &applied.client_id;
        let notice = match self {
            Self::Stays => None,
            Self::LeavesBehind(address) => Some(left_behind(format!(
                "Client {id} is set up in another Hydra; the one at {address} still has it, \
                 because the operator may not change it there"
            ))),
            Self::From(former) => former.leave(resource, applied, here).await?,
        };
        let notices = notice.into_iter().collect();
        context.events.publish(&resource.object_ref(&()), notices);
        Ok(())
    }
}

impl Former {
    async fn leave(
        self,
        resource: &OAuth2Client,
        applied: &Applied,
        here: &Instance,
    ) -> Result<Option<Notice>, Failure> {
        let Self { instance, id, seen } = self;
        let failed = |failure: Failure| {
            if Reason::HYDRA_AWAY.contains(&failure.reason) {
                instance.report_trouble();
            }
            let message = format!(
                "the client is set up in its new Hydra, and the former one ({}) still has it: {}",
                instance.name(),
                failure.message
            );
            Failure { message, ..failure }
        };
        let namespace = resource.namespace().unwrap_or_default();
        let mark = super::desired::owner_mark(&namespace, &resource.name_any());
        let owned = seen.map_err(failed)?.filter(|client| client.owner.as_ref() == Some(&mark));
        if owned.is_none() {
            return Ok(None);
        }
        // A client that could be created was not there before. Of one that was, the times of its
        // creation and its last change tell whether both addresses lead to the same Hydra.
        let created = applied.client_change == Some(ClientChange::Created);
        if !created && read(&id, here).await? == read(&id, &instance).await.map_err(failed)? {
            return Ok(Some(left_behind(format!(
                "Client {id} was not revoked in the former Hydra ({}): it was created and changed \
                 there at the same times as in the new one, so both seem to be the same",
                instance.name()
            ))));
        }
        instance
            .hydra()
            .delete_client(&id)
            .await
            .map_err(|error| failed(error::hydra(&format!("delete client {id}"), &error)))?;
        let note = format!("Deleted client {id} from its former Hydra ({})", instance.name());
        Ok(Some(Notice::normal("ClientDeleted", RECONCILE, note)))
    }
}

fn left_behind(note: String) -> Notice {
    Notice::warning("ClientLeftBehind", RECONCILE, note)
}

async fn read(id: &ClientId, instance: &Instance) -> Result<Option<Seen>, Failure> {
    match instance.hydra().get_client(id).await {
        Ok(hydra::OAuth2Client { owner, created_at, updated_at, .. }) => {
            Ok(Some(Seen { owner, created_at, updated_at }))
        }
        Err(error) if error.kind() == ErrorKind::Absent => Ok(None),
        Err(error) => Err(error::hydra(&format!("read client {id} from Hydra"), &error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use url::Url;

    use super::*;
    use crate::{hydra::ClientsAddress, oauth2client::testing::with_status};

    pub(super) fn rules() -> Rules {
        let allowed = ["http://b:4445/admin/clients", "http://b:5555/clients", "http://c/clients"];
        Rules {
            own: Base::of(&Url::parse("http://hydra:4445").unwrap()),
            own_port: Some(4445),
            allowed: allowed.map(|text| ClientsAddress::parse(text).unwrap()).into(),
        }
    }

    pub(super) fn resource(hydra_admin: &Value, status: &Value) -> OAuth2Client {
        let spec = json!({
            "grantTypes": ["client_credentials"], "secretName": "s", "hydraAdmin": hydra_admin,
        });
        with_status(&spec, status)
    }

    pub(super) fn name(target: &Target) -> String {
        match target {
            Target::Own => "own".to_owned(),
            Target::Other { address, forwarded_proto } => {
                format!("{} {}", address.label(), forwarded_proto.as_str().unwrap_or_default())
            }
        }
    }

    #[test]
    fn a_change_of_place_leaves_what_is_recorded() {
        let at = |url: &str| json!({ "clientId": "id-1", "hydraAdmin": { "url": url } });
        let own = json!({ "clientId": "id-1" });
        let cases = [
            ("first pass", json!({ "url": "http://b" }), json!({}), "nowhere"),
            ("stays", json!({}), own.clone(), "nowhere"),
            ("stays elsewhere", json!({ "url": "http://b" }), at("http://b:4445"), "nowhere"),
            ("to another", json!({ "url": "http://b" }), own, "own"),
            ("back", json!({}), at("http://b:4445"), "b:4445/admin/clients "),
            ("on", json!({ "url": "http://c:80" }), at("http://b:4445"), "b:4445/admin/clients "),
            ("own by name", json!({}), at("http://hydra:4445"), "nowhere"),
            ("from what is allowed no more", json!({}), at("http://d"), "left http://d"),
            ("from nonsense", json!({}), at("d"), "left d"),
            (
                "by its own port",
                json!({ "url": "http://b", "port": 4445 }),
                at("http://b:5555"),
                "b:5555/clients ",
            ),
            (
                "by the operator's port",
                json!({ "url": "http://b" }),
                at("http://b:5555"),
                "left http://b:5555",
            ),
        ];
        for (case, hydra_admin, status, expected) in cases {
            let resource = resource(&hydra_admin, &status);
            let place = place(&resource.spec, &rules()).unwrap();
            let found = match left(resource.status.as_ref(), &place, &rules()) {
                Held::Nowhere => "nowhere".to_owned(),
                Held::At(target) => name(&target),
                Held::OutOfReach(address) => format!("left {address}"),
            };
            assert_eq!(found, expected, "{case}");
        }
    }

    #[test]
    fn what_is_recorded_leads_back_to_its_place() {
        for hydra_admin in [
            json!({}),
            json!({ "url": "http://b" }),
            json!({ "url": "http://b", "forwardedProto": "https" }),
            json!({ "url": "http://c:80", "forwardedProto": "off" }),
        ] {
            let resource = resource(&hydra_admin, &json!({}));
            let status = OAuth2ClientStatus {
                client_id: Some("id-1".into()),
                hydra_admin: recorded(&resource.spec, &rules()).map(Box::new),
                ..OAuth2ClientStatus::default()
            };
            let place = place(&resource.spec, &rules()).unwrap();
            assert_eq!(held(Some(&status), &rules()), Held::At(place.target.clone()));
            assert_eq!(left(Some(&status), &place, &rules()), Held::Nowhere);
        }
    }
}
