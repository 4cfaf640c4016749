//! What status remembers of earlier passes: read, never trusted where the servers can be asked.

use super::error::Reason;
use crate::{
    api::{
        ConditionStatus, ConditionType, OAuth2Client, condition, oauth2client::UnsupportedFields,
    },
    hydra::ClientId,
    kubernetes::{SecretState, SecretVersion},
};

/// What status remembers of earlier passes, as far as a pass decides by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The id of the client that Hydra holds for the resource.
    pub client_id: Option<ClientId>,
    /// The version of the Secret whose credentials Hydra was last given.
    pub sent: Option<SecretVersion>,
    /// Whether the last pass brought this generation of the spec to Hydra, as far as that Hydra
    /// takes it.
    pub settled: bool,
    /// Whether a pass was asked for that has not been made.
    pub requested: bool,
    /// Members that some version of Hydra was seen not to keep, for this generation of the spec.
    pub unsupported: Option<UnsupportedFields>,
}

impl Record {
    /// What the status of `resource` remembers.
    #[must_use]
    pub fn of(resource: &OAuth2Client) -> Self {
        let requested = resource.reconcile_requested_at().map(ToOwned::to_owned);
        let Some(status) = &resource.status else {
            return Self { requested: requested.is_some(), ..Self::default() };
        };
        let current = status.observed_generation == resource.metadata.generation;
        let ready = condition::get(&status.conditions, ConditionType::Ready);
        let reached = ready.is_some_and(|ready| {
            // While suspended the condition stays that of the generation which was reached;
            // hydra-maester's conditions name none.
            ready.observed_generation.is_none_or(|of| Some(of) == resource.metadata.generation)
                && (ready.status == ConditionStatus::True
                    || ready.reason.as_deref() == Some(Reason::UnsupportedByHydra.as_str()))
        });
        Self {
            client_id: status.client_id.as_deref().and_then(|id| ClientId::parse(id).ok()),
            sent: status.secret.as_ref().map(|secret| SecretVersion {
                uid: secret.uid.clone(),
                resource_version: secret.resource_version.clone(),
            }),
            settled: current && reached,
            requested: requested.is_some() && requested != status.last_handled_reconcile_at,
            unsupported: status.unsupported.clone().filter(|_| current),
        }
    }

    /// The record of a client that is to be set up in another Hydra: of that one nothing is known,
    /// not even which secret it has, if it has the client.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        let unknown = SecretVersion { uid: String::new(), resource_version: String::new() };
        Self { sent: Some(unknown), settled: false, unsupported: None, ..self }
    }

    /// Whether nothing is known that a pass would have to do, given the Secret as it is now.
    #[must_use]
    pub fn is_idle(&self, secret: &SecretState) -> bool {
        let version = secret.version();
        self.settled && !self.requested && version.is_some() && version == self.sent.as_ref()
    }
}
