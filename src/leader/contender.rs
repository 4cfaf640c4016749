//! When a replica may claim the Lease: pure.
//!
//! The times in a Lease are those of another machine's clock, so they are never compared with anything. What counts is for
//! how long this replica has seen the same version of it, by its own monotonic clock.

use std::time::Duration;

use tokio::time::Instant;

/// How long what lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long the others wait for a holder that is silent.
    pub lease: Duration,
    /// How long a holder goes on without a renewal; shorter than the lease.
    pub renew: Duration,
    /// Time between two attempts; shorter still.
    pub retry: Duration,
}

/// A Lease, as far as it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Changes with every write.
    pub version: String,
    /// `None`: released, or never held.
    pub holder: Option<String>,
    /// How long its holder wants to be waited for.
    pub duration: Option<Duration>,
}

/// What was seen last, and when first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    record: Option<Record>,
    since: Instant,
}

impl Observation {
    /// Who holds the Lease.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.record.as_ref()?.holder.as_deref()
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is one's own, and need not be renewed for so long.
    Hold(Duration),
    /// It is one's own, and is to be renewed.
    Renew,
    /// It is free: write it, as it was seen.
    Claim,
    /// It is somebody else's. Look again after so long.
    Wait(Duration),
}

/// One of those that want the Lease.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its name, which no other has or has ever had.
    pub me: String,
    /// Its settings.
    pub timing: Timing,
}

impl Contender {
    /// What is known after a look that ended at `now`.
    #[must_use]
    pub fn observe(
        &self,
        before: Option<Observation>,
        record: Option<Record>,
        now: Instant,
    ) -> Observation {
        match before {
            Some(before) if before.record == record => before,
            // Whoever holds it need not know yet that it was deleted.
            Some(before) if record.is_none() && !self.left(&before, now).is_zero() => before,
            _ => Observation { record, since: now },
        }
    }

    /// What to do at `now`.
    #[must_use]
    pub fn step(&self, seen: &Observation, now: Instant) -> Step {
        if seen.holder() == Some(&self.me) {
            let rest = (seen.since + self.timing.retry).saturating_duration_since(now);
            return if rest.is_zero() { Step::Renew } else { Step::Hold(rest) };
        }
        let left = self.left(seen, now);
        if left.is_zero() { Step::Claim } else { Step::Wait(left.min(self.timing.retry)) }
    }

    /// How long somebody else has to be waited for.
    fn left(&self, seen: &Observation, now: Instant) -> Duration {
        let Some(record) = &seen.record else { return Duration::ZERO };
        match &record.holder {
            Some(holder) if *holder != self.me => {
                let duration = record.duration.unwrap_or(self.timing.lease);
                (seen.since + duration).saturating_duration_since(now)
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests;
