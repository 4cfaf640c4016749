//! How often a resource is compared with Hydra, where it asks for another interval than that of the
//! sweep: pure, with the time passed in.

use std::time::{Duration, Instant};

use crate::{api::OAuth2ClientSpec, hydra::meaning};

/// The shortest interval that a resource can have: what a tenant writes costs Hydra requests.
const SHORTEST: Duration = Duration::from_secs(10);

/// The interval that `spec` asks for, if any. One that cannot be read, or is not positive, is none.
#[must_use]
pub fn own_interval(spec: &OAuth2ClientSpec) -> Option<Duration> {
    let interval = meaning::duration(spec.resync_interval.as_deref()?)?;
    (!interval.is_zero()).then(|| interval.max(SHORTEST))
}

/// Whether a sweep that begins at `now` is to compare a resource that was `last` looked at then.
#[must_use]
pub fn is_due(
    own: Option<Duration>,
    sweeps: Duration,
    last: Option<Instant>,
    now: Instant,
) -> bool {
    match (own, last) {
        (Some(own), Some(last)) if own > sweeps => now.saturating_duration_since(last) >= own,
        _ => true,
    }
}

/// The time until a resource is to be looked at by itself, which may be none. Sweeps that come as
/// often as it wants do it for those that have no own interval, or a longer one.
#[must_use]
pub fn time_left(
    own: Option<Duration>,
    sweeps: Duration,
    last: Option<Instant>,
    now: Instant,
) -> Option<Duration> {
    let own = own.filter(|own| *own < sweeps)?;
    let since = last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
    Some(own.saturating_sub(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_positive_and_not_too_short() {
        for (text, expected) in [
            (None, None),
            (Some("1h30m"), Some(5400)),
            (Some("1ms"), Some(10)),
            (Some("0s"), None),
            (Some("-1h"), None),
            (Some("soon"), None),
        ] {
            let spec = OAuth2ClientSpec {
                resync_interval: text.map(|text| Box::new(text.to_owned())),
                ..OAuth2ClientSpec::default()
            };
            assert_eq!(own_interval(&spec), expected.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn shorter_has_a_timer_and_longer_is_left_alone() {
        let start = Instant::now();
        let minutes = |n| Duration::from_mins(n);
        let at = |n| start + minutes(n);
        // Own interval, last look, now; due at a sweep, time left. Sweeps come every ten minutes.
        for (own, last, now, due, left) in [
            (None, None, 0, true, None),
            (None, Some(0), 5, true, None),
            (Some(10), Some(0), 5, true, None),
            (Some(4), None, 0, true, Some(4)),
            (Some(4), Some(0), 1, true, Some(3)),
            (Some(4), Some(0), 5, true, Some(0)),
            (Some(60), None, 0, true, None),
            (Some(60), Some(0), 59, false, None),
            (Some(60), Some(0), 60, true, None),
            (Some(60), Some(30), 20, false, None),
        ] {
            let (own, last) = (own.map(minutes), last.map(at));
            assert_eq!(is_due(own, minutes(10), last, at(now)), due, "{own:?} at {now}");
            let expected = left.map(minutes);
            assert_eq!(time_left(own, minutes(10), last, at(now)), expected, "{own:?} at {now}");
        }
    }
}
