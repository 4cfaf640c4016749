//! Keeps one replica in the election: looks at the Lease, claims, renews and releases it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::PostParams};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Lost,
    contender::{Contender, Observation, Step},
    lease,
};
use crate::{admin::Gate, fence::Fence, kubernetes::ApiError, metrics::Metrics};

/// How long the release may delay the end of the process.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// No attempt at a renewal has failed since the last one: none was made, or its answer was not seen.
const NOTHING_FAILED: &str = "no attempt has failed, so this process did not run for some time";

/// One replica, and all that it knows of the Lease.
pub(super) struct Elector {
    pub(super) api: Api<Lease>,
    pub(super) name: String,
    /// The Lease, for people.
    pub(super) place: String,
    pub(super) contender: Contender,
    pub(super) fence: Fence,
    pub(super) metrics: Metrics,
    /// Opened once the Lease is known.
    pub(super) known: Gate,
    /// Cancelled once the Lease is won.
    pub(super) elected: CancellationToken,
    pub(super) seen: Option<Seen>,
    /// Until when it leads, if it ever did.
    pub(super) until: Option<Instant>,
    /// Whether a write has been sent whose outcome is unknown.
    pub(super) is_unsure: bool,
    /// Whether a renewal turned out to have been stored although its answer was lost: the deadline counts from the one
    /// before, so the next one is due at once.
    pub(super) is_behind: bool,
}

/// The Lease as it was seen last.
pub(super) struct Seen {
    lease: Option<Lease>,
    observation: Observation,
}

impl Elector {
    /// Stays in the election until the Lease is lost, or `stop` is cancelled: then it is released.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Lost> {
        self.metrics.leader(&self.name, false);
        let result = self.contend(&stop).await;
        self.fence.close();
        self.metrics.leader(&self.name, false);
        if result.is_ok() {
            self.release().await;
        }
        result
    }

    async fn contend(&mut self, stop: &CancellationToken) -> Result<(), Lost> {
        let timing = self.contender.timing;
        let mut trouble = None;
        while !stop.is_cancelled() {
            self.check(trouble.as_ref())?;
            let (started, until) = (Instant::now(), self.until);
            // A connection that hangs must leave time for another.
            let limit = self.bounded(started + timing.renew / 2);
            let attempt = timeout_at(limit, self.attempt()).await.unwrap_or_else(|_| {
                Err(ApiError::from(kube::Error::Service("no answer in time".into())))
            });
            let pause = match attempt {
                Ok(pause) => {
                    // Until it is renewed, what kept it from that is worth telling.
                    if self.until.is_none() || self.until != until {
                        trouble = None;
                    }
                    pause
                }
                Err(error) => {
                    warn!(%error, lease = self.place, "Could not look at the Lease or renew it");
                    trouble = Some(error);
                    timing.retry
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep_until(self.bounded(started + pause)) => {}
            }
        }
        Ok(())
    }

    /// `moment`, or the end of its leadership if that comes first.
    fn bounded(&self, moment: Instant) -> Instant {
        self.until.map_or(moment, |until| until.min(moment))
    }

    /// Fails if it has led and leads no more.
    fn check(&self, trouble: Option<&ApiError>) -> Result<(), Lost> {
        let Some(until) = self.until else { return Ok(()) };
        let lease = self.place.clone();
        match self.seen.as_ref().and_then(|seen| seen.observation.holder()) {
            Some(holder) if holder != self.contender.me => {
                Err(Lost::Taken { lease, holder: holder.to_owned() })
            }
            _ if Instant::now() >= until => {
                let trouble = trouble.map_or(NOTHING_FAILED.to_owned(), |error| {
                    format!("the last attempt that failed: {error}")
                });
                Err(Lost::Expired { lease, deadline: self.contender.timing.renew, trouble })
            }
            _ => Ok(()),
        }
    }

    /// A look, a write, or both. Returns the time from its begin to that of the next.
    async fn attempt(&mut self) -> Result<Duration, ApiError> {
        // What a leader has not heard of it is told by the conflict that its next renewal meets.
        if self.until.is_none() {
            self.look().await?;
        }
        match self.step() {
            Step::Hold(pause) if !self.is_behind => Ok(pause),
            Step::Wait(pause) => Ok(pause),
            Step::Hold(_) | Step::Claim | Step::Renew => self.write().await,
        }
    }

    fn step(&self) -> Step {
        let seen = self.seen.as_ref().map(|seen| &seen.observation);
        seen.map_or(Step::Wait(Duration::ZERO), |seen| self.contender.step(seen, Instant::now()))
    }

    async fn look(&mut self) -> Result<(), ApiError> {
        let lease = self.api.get_opt(&self.name).await?;
        self.is_unsure = false;
        self.learn(lease);
        Ok(())
    }

    async fn write(&mut self) -> Result<Duration, ApiError> {
        let timing = self.contender.timing;
        let seen = self.seen.as_ref().and_then(|seen| seen.lease.as_ref());
        let (me, now) = (&self.contender.me, Timestamp::now());
        let lease = lease::held(seen, &self.name, me, timing.lease, now);
        let exists = seen.is_some();
        self.is_unsure = true;
        let (sent, params) = (Instant::now(), PostParams::default());
        let written = if exists {
            self.api.replace(&self.name, &params, &lease).await
        } else {
            self.api.create(&params, &lease).await
        };
        match written.map_err(ApiError::from) {
            Ok(lease) => {
                (self.is_unsure, self.is_behind) = (false, false);
                self.learn(Some(lease));
                self.lead_until(sent + timing.renew);
                Ok(timing.retry)
            }
            // A Lease that was not there is no race with anybody: its namespace may be missing.
            Err(error) if error.is_conflict() || (exists && error.is_absent()) => {
                self.look().await?;
                let step = self.step();
                self.is_behind = matches!(step, Step::Hold(_));
                Ok(match step {
                    Step::Wait(pause) => pause,
                    // Others write as well: they come first.
                    Step::Hold(_) | Step::Claim | Step::Renew => timing.retry / 10,
                })
            }
            Err(error) => Err(error),
        }
    }

    fn learn(&mut self, lease: Option<Lease>) {
        let record = lease.as_ref().map(lease::record);
        let before = self.seen.take().map(|seen| seen.observation);
        let held_before = before.as_ref().and_then(|seen| seen.holder().map(ToOwned::to_owned));
        let observation = self.contender.observe(before, record, Instant::now());
        if let Some(holder) = observation.holder()
            && Some(holder) != held_before.as_deref()
            && holder != self.contender.me
        {
            info!(lease = self.place, holder, "Another replica leads");
            if self.until.is_some() {
                // It leads no more. That the process ends comes a moment later.
                self.fence.close();
            }
        }
        self.seen = Some(Seen { lease, observation });
        self.known.open();
    }

    fn lead_until(&mut self, deadline: Instant) {
        self.fence.open_until(deadline);
        if self.until.replace(deadline).is_none() {
            info!(lease = self.place, identity = self.contender.me, "Leading");
            self.metrics.leader(&self.name, true);
            self.elected.cancel();
        }
    }

    /// Lets the next replica begin at once. Where that fails it begins when the Lease has expired.
    async fn release(&mut self) {
        let place = self.place.clone();
        match timeout(RELEASE_LIMIT, self.try_release()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => info!(lease = place, "Released the Lease"),
            Ok(Err(error)) => warn!(%error, lease = place, "Could not release the Lease"),
            Err(_) => warn!(limit = ?RELEASE_LIMIT, lease = place, "Could not release the Lease"),
        }
    }

    async fn try_release(&mut self) -> Result<bool, ApiError> {
        if self.is_unsure {
            self.look().await?;
        }
        let Some(Seen { lease: Some(lease), observation }) = &self.seen else { return Ok(false) };
        if observation.holder() != Some(&self.contender.me) {
            return Ok(false);
        }
        let lease = lease::released(lease, Timestamp::now());
        self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        Ok(true)
    }
}
