//! The life of keys: pure, from the rules, the record, what is seen of the keys, and the time.
//!
//! ```text
//! Pending -> Published -> Active -> Retained -> gone
//! ```
//!
//! A key signs (`Active`) only after its public half has been seen wherever it is looked up for as long as the rules say, so that
//! nobody meets a signature whose key they do not know. The first key of a set, the one that follows a revoked key, and
//! those of Hydra's own sets, which sign as soon as they exist, cannot wait. Whatever has been public stays so for a while after it
//! has signed for the last time, unless it is revoked.

mod work;

use std::time::Duration;

use jiff::Timestamp;

pub use self::work::turn;
use crate::api::jsonwebkeyset::{KeyOrigin, KeyState};

/// What the keys of a set are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `alg` of RFC 7517.
    pub algorithm: String,
    /// `use` of RFC 7517.
    pub key_use: String,
    /// How long a key signs, if new ones are made by the clock.
    pub interval: Option<Duration>,
    /// How long the public half of a key is seen before the key signs.
    pub publish_before: Duration,
    /// How long the public half of a key stays after the key has signed for the last time.
    pub retain: Duration,
    /// Whether a key signs as soon as it exists, whatever is recorded: so do those of Hydra's own sets.
    pub signs_at_once: bool,
}

/// A key that is the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: String,
    /// What it is for.
    pub key_use: String,
    /// How far it has come.
    pub state: KeyState,
    /// Since when.
    pub since: Timestamp,
    /// Where it comes from.
    pub origin: KeyOrigin,
}

/// What is seen of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What there is of it.
    pub substance: Substance,
    /// Whether its public half is wherever it is looked up.
    pub published: bool,
}

/// What there is of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Substance {
    /// Nothing yet.
    Unmade,
    /// Its private half, too.
    Whole,
    /// Its private half is nowhere any more.
    Lost,
}

/// What people ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Whether a new key is asked for.
    pub rotate: bool,
    /// The id of a key that is compromised.
    pub revoke: Option<String>,
    /// The ids of the keys that somebody else provides, the current one first. None: keys are generated.
    pub provided: Option<Vec<String>>,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The keys from now on, the oldest first.
    pub keys: Vec<Key>,
    /// Keys that are to go, wherever they are.
    pub gone: Vec<Key>,
    /// When time alone changes something.
    pub due: Option<Timestamp>,
    /// When the next key is to take the place of the current one, as far as it is known.
    pub next_rotation: Option<Timestamp>,
}

impl Key {
    /// Whether it has not signed so far, and is to.
    #[must_use]
    pub const fn is_coming(&self) -> bool {
        matches!(self.state, KeyState::Pending | KeyState::Published)
    }

    fn turn(&mut self, state: KeyState, now: Timestamp) {
        (self.state, self.since) = (state, now);
    }
}

impl Rules {
    /// Whether `key` is what a new key would be.
    #[must_use]
    pub fn fit(&self, key: &Key) -> bool {
        key.algorithm == self.algorithm && key.key_use == self.key_use
    }

    fn lead(&self) -> Duration {
        if self.signs_at_once { Duration::ZERO } else { self.publish_before }
    }

    /// When `key`, which is to come, signs if everybody knows it from now on.
    #[must_use]
    pub fn expected(&self, key: &Key) -> Timestamp {
        later(key.since, self.lead())
    }

    /// When `key` is to leave its state by the clock, if it is; `provided`: whether somebody provides it still.
    #[must_use]
    pub fn until(&self, key: &Key, provided: bool) -> Option<Timestamp> {
        match key.state {
            KeyState::Pending => None,
            KeyState::Published => Some(later(key.since, self.publish_before)),
            KeyState::Active => self.interval.map(|interval| later(key.since, interval)),
            KeyState::Retained => (!provided).then(|| later(key.since, self.retain)),
        }
    }
}

/// The one that is signed with.
#[must_use]
pub fn active(keys: &[Key]) -> Option<&Key> {
    keys.iter().find(|key| key.state == KeyState::Active)
}

/// Dates the rotation that `turn` decided on to `now`, when what is handed out was written: until then people read the former key, and
/// it may be in use for as long as the rules say from then on. `before`: the keys as they were recorded. When something is due stays as
/// it was worked out: a pass that comes a moment too early finds when it really is.
pub fn date(turn: &mut Turn, before: &[Key], now: Timestamp) {
    let was = |kid: &str| before.iter().find(|key| key.kid == kid).map(|key| key.state);
    let Turn { keys, next_rotation, .. } = turn;
    for key in keys.iter_mut().filter(|key| was(&key.kid) != Some(key.state)) {
        if key.state == KeyState::Active {
            let late = now.duration_since(key.since);
            *next_rotation = next_rotation.map(|next| next.checked_add(late).unwrap_or(next));
        }
        if matches!(key.state, KeyState::Active | KeyState::Retained) {
            key.since = now;
        }
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod histories;
