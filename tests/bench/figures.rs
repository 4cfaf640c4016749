//! What was measured, as values.

use std::time::Duration;

/// What the servers can do.
#[derive(Clone, Debug)]
pub struct RawFigures {
    /// New clients, one after another.
    pub singles: Singles,
    /// New clients at once.
    pub waves: Vec<Wave>,
}

/// What a controller makes of it.
#[derive(Clone, Debug)]
pub struct Figures {
    /// New clients, one after another.
    pub singles: Singles,
    /// New clients at once.
    pub waves: Vec<Wave>,
    /// Starts with converged clients, fewest first.
    pub restarts: Vec<Restart>,
    /// Memory for Secrets of others.
    pub added: Added,
}

/// Times from the creation of the resource to what is seen of it.
#[derive(Clone, Debug)]
pub struct Times {
    /// To the Secret.
    pub secret: Distribution,
    /// To `Ready`.
    pub ready: Distribution,
}

/// New clients, one after another on an idle system.
#[derive(Clone, Debug)]
pub struct Singles {
    /// How many.
    pub clients: usize,
    /// Their times.
    pub times: Times,
}

/// New clients at once.
#[derive(Clone, Debug)]
pub struct Wave {
    /// How many.
    pub clients: usize,
    /// Requests in flight of who made them.
    pub concurrency: usize,
    /// From the first request to the last client that is Ready.
    pub elapsed: Duration,
    /// Their times.
    pub times: Times,
}

impl Wave {
    /// Clients a second.
    pub fn rate(&self) -> f64 {
        count(self.clients) / self.elapsed.as_secs_f64()
    }

    /// The fastest.
    pub fn best(waves: &[Self]) -> Option<&Self> {
        waves.iter().max_by(|a, b| a.rate().total_cmp(&b.rate()))
    }
}

/// Durations of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Half of them took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

impl Distribution {
    /// Of these durations (nearest rank); none if there are none.
    pub fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort();
        let ranked = |percent: usize| {
            let rank = (durations.len() * percent).div_ceil(100);
            durations.get(rank.checked_sub(1)?).copied()
        };
        Some(Self { p50: ranked(50)?, p99: ranked(99)? })
    }
}

/// A start with converged clients, until nothing happens any more.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// How many.
    pub clients: usize,
    /// Requests to both servers that change nothing.
    pub reads: u64,
    /// The others.
    pub writes: u64,
    /// Until the controller had looked at everything.
    pub elapsed: Duration,
    /// On a processor.
    pub processor: Duration,
    /// Afterwards.
    pub memory: Memory,
}

impl Restart {
    /// Requests in all.
    pub fn requests(&self) -> u64 {
        self.reads + self.writes
    }

    /// Processor time for each client that there is more of than in `smaller`, in seconds.
    pub fn marginal_cost(&self, smaller: &Self) -> f64 {
        let clients = count(self.clients) - count(smaller.clients);
        (self.processor.as_secs_f64() - smaller.processor.as_secs_f64()) / clients
    }
}

/// Bytes of a process that are in memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// The most so far.
    pub peak: u64,
}

/// Bytes that were added by Secrets of others.
#[derive(Clone, Copy, Debug)]
pub struct Added {
    /// How many Secrets.
    pub secrets: usize,
    /// To a process that saw them being created.
    pub while_running: i64,
    /// To a process that was started with them, compared with one that was started without.
    pub after_restart: i64,
}

impl Added {
    /// The greater of both.
    pub fn most(&self) -> i64 {
        self.while_running.max(self.after_restart)
    }
}

/// A number of things for arithmetic.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn count(things: usize) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let millis = |range: std::ops::RangeInclusive<u64>| range.map(Duration::from_millis);
        let of = |range| Distribution::of(millis(range).rev().collect());
        let expected = |p50, p99| {
            let (p50, p99) = (Duration::from_millis(p50), Duration::from_millis(p99));
            Some(Distribution { p50, p99 })
        };
        assert_eq!(of(1..=1), expected(1, 1));
        assert_eq!(of(1..=2), expected(1, 2));
        assert_eq!(of(1..=100), expected(50, 99));
        assert_eq!(of(1..=1000), expected(500, 990));
        assert_eq!(Distribution::of(Vec::new()), None);
    }
}
