//! Of several replicas, one leads: the one that holds a Lease (`coordination.k8s.io/v1`).
//!
//! Each write of the Lease names the version that it replaces, so that of two contenders one fails. A leader whose Lease is
//! not renewed in time loses it before another can claim it; from then on the [`Fence`] lets no write pass, and the process
//! ends. Why it is made like this: `docs/decisions/leader-election.md`.

mod contender;
mod elector;
mod lease;

use std::time::Duration;

use kube::{Api, Client};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::contender::Timing;
use self::{contender::Contender, elector::Elector};
use crate::{admin::Readiness, fence::Fence, metrics::Metrics};

/// Which Lease, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The namespace of the Lease; `None`: that of the pod, or of the kubeconfig.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// How long what lasts.
    pub timing: Timing,
}

/// Why a replica that led leads no more. Its process has to end, and start anew.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The Lease was not renewed in time.
    #[error(
        "lost the Lease {lease}, which was not renewed within {}: {trouble}",
        humantime::format_duration(*deadline)
    )]
    Expired {
        /// Namespace and name.
        lease: String,
        /// Within which time it would have had to be.
        deadline: Duration,
        /// What went wrong last.
        trouble: String,
    },
    /// Somebody else holds it.
    #[error("lost the Lease {lease}, which is held by {holder} now")]
    Taken {
        /// Namespace and name.
        lease: String,
        /// Who holds it.
        holder: String,
    },
    /// The election itself failed.
    #[error("the leader election ended by itself")]
    Ended,
}

/// The part of this replica in the election, which takes place in the background.
pub struct Election {
    fence: Fence,
    elected: CancellationToken,
    stop: CancellationToken,
    elector: JoinHandle<Result<(), Lost>>,
}

impl Election {
    /// Stands for election. `client` is used by nobody else, so that renewals wait for nothing; `pod` names this replica.
    #[must_use]
    pub fn stand(
        client: Client,
        settings: &Settings,
        pod: Option<&str>,
        metrics: &Metrics,
        readiness: &Readiness,
    ) -> Self {
        let (fence, elected, stop) = Default::default();
        let own = client.default_namespace().to_owned();
        let namespace = settings.namespace.as_deref().unwrap_or(&own);
        let place = format!("{namespace}/{}", settings.name);
        let me = format!("{}_{}", pod.unwrap_or("hydra-operator"), Uuid::new_v4());
        let elector = Elector {
            api: Api::namespaced(client, namespace),
            name: settings.name.clone(),
            known: readiness.gate(format!("the Lease {place}")),
            place,
            contender: Contender { me, timing: settings.timing },
            fence: Fence::clone(&fence),
            metrics: metrics.clone(),
            elected: CancellationToken::clone(&elected),
            seen: None,
            until: None,
            is_unsure: false,
        };
        let elector = tokio::spawn(elector.run(CancellationToken::clone(&stop)));
        Self { fence, elected, stop, elector }
    }

    /// Open while this replica leads.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Runs `work` once this replica leads, and releases the Lease after it. Fails as soon as the Lease is lost: `work` is
    /// abandoned then. Without having led it ends when `shutdown` is cancelled.
    pub async fn lead(
        mut self,
        work: impl Future<Output = ()>,
        shutdown: &CancellationToken,
    ) -> Result<(), Lost> {
        let leads = async {
            tokio::select! {
                () = self.elected.cancelled() => work.await,
                () = shutdown.cancelled() => {}
            }
        };
        tokio::select! {
            biased;
            ended = &mut self.elector => return ended.unwrap_or(Err(Lost::Ended)),
            () = leads => {}
        }
        self.stop.cancel();
        self.elector.await.unwrap_or(Err(Lost::Ended))
    }
}
