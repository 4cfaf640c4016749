//! Passes under way, and how fast they follow each other.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

/// Without a pass that begins for so long, a crowd of resources is over.
const LULL: Duration = Duration::from_millis(100);

/// Lets so many passes be under way at the same time.
#[derive(Debug)]
pub struct Passes {
    places: Semaphore,
    last_began: Mutex<Option<Instant>>,
}

impl Passes {
    /// At most `concurrency` at the same time.
    #[must_use]
    pub fn new(concurrency: u16) -> Self {
        Self { places: Semaphore::new(concurrency.into()), last_began: Mutex::default() }
    }

    /// Waits for a place, which is free again when the answer is dropped. None when the process ends.
    pub async fn begin(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.places.acquire().await.ok()?;
        *self.last_began() = Some(Instant::now());
        Some(place)
    }

    /// Whether passes begin in quick succession. Those that hang do not count.
    #[must_use]
    pub fn are_frequent(&self) -> bool {
        follow(*self.last_began(), Instant::now())
    }

    fn last_began(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.last_began.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn follow(last_began: Option<Instant>, now: Instant) -> bool {
    last_began.is_some_and(|at| now.saturating_duration_since(at) < LULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_frequent_until_none_has_begun_for_a_while() {
        let now = Instant::now();
        for (last_began, expected) in [
            (None, false),
            (Some(now), true),
            (Some(now - LULL / 2), true),
            (Some(now - LULL), false),
            (Some(now + LULL), true),
        ] {
            assert_eq!(follow(last_began, now), expected, "{last_began:?}");
        }
    }

    #[tokio::test]
    async fn one_that_hangs_leaves_the_others_their_places() {
        let passes = Passes::new(2);
        let _hanging = passes.begin().await;
        assert!(passes.begin().await.is_some());
    }
}
