//! Exponential backoff per object.
//!
//! kube-runtime calls its error policy without telling it of successes, so the number of failures
//! in a row is counted here and forgotten when a pass succeeds or the object goes away.

use std::{collections::HashMap, hash::Hash, sync::Mutex, time::Duration};

/// First delay after a failure.
pub const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Longest delay between two attempts.
pub const LONGEST_DELAY: Duration = Duration::from_mins(5);
/// Share of a delay by which it may be longer, so that objects that failed together come back
/// spread out.
const JITTER: f64 = 0.2;

/// The delay after `failures` failures in a row: doubling from [`FIRST_DELAY`] to
/// [`LONGEST_DELAY`], longer by up to a fifth. `chance` is a random value of 0 to 1.
#[must_use]
pub fn delay(failures: u32, chance: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    jittered(FIRST_DELAY.saturating_mul(doubled).min(LONGEST_DELAY), chance)
}

/// `delay`, longer by up to a fifth. `chance` is a random value of 0 to 1.
#[must_use]
pub fn jittered(delay: Duration, chance: f64) -> Duration {
    delay.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0))
}

/// Failures in a row, by object.
#[derive(Debug)]
pub struct Backoff<K> {
    failures: Mutex<HashMap<K, u32>>,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self { failures: Mutex::default() }
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// Counts one more failure of `object` and returns how many there were in a row.
    pub fn failed(&self, object: K) -> u32 {
        let mut failures = self.lock();
        let count = failures.entry(object).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// Forgets the failures of `object`: its pass succeeded, or it is gone.
    pub fn reset(&self, object: &K) {
        self.lock().remove(object);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, u32>> {
        // The map is valid whatever a panicking holder was about to do.
        self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A value of 0 to 1 to spread delays with; not for secrets.
#[must_use]
pub fn chance() -> f64 {
    // Without randomness delays are not spread, and nothing else suffers.
    f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delays_double_from_a_second_to_five_minutes() {
        let seconds: Vec<u64> = (1..=10).map(|n| delay(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    }

    #[test]
    fn a_success_starts_over_and_objects_do_not_mix() {
        let backoff = Backoff::default();
        assert_eq!([backoff.failed("a"), backoff.failed("a"), backoff.failed("b")], [1, 2, 1]);
        backoff.reset(&"a");
        assert_eq!(backoff.failed("a"), 1);
    }

    proptest! {
        #[test]
        fn delays_stay_within_their_bounds(failures in any::<u32>(), chance in -1.0..2.0_f64) {
            let delay = delay(failures, chance);
            prop_assert!(delay >= FIRST_DELAY && delay <= LONGEST_DELAY.mul_f64(1.0 + JITTER));
        }
    }
}
