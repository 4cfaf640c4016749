//! The Lease as Kubernetes has it: what is read from it, and what is written.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

use super::contender::Record;

/// What of `lease` decides.
pub(super) fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.clone());
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: holder.filter(|holder| !holder.is_empty()),
        duration: seconds.and_then(|seconds| Some(Duration::from_secs(seconds.try_into().ok()?))),
    }
}

/// The Lease `name`, held by `me` from `now` on. Written in place of `seen`, it is refused where that has changed since. The
/// times in it are for people.
pub(super) fn held(
    seen: Option<&Lease>,
    name: &str,
    me: &str,
    duration: Duration,
    now: Timestamp,
) -> Lease {
    let mut lease = seen.cloned().unwrap_or_default();
    lease.metadata.name = Some(name.to_owned());
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(me) {
        if seen.is_some() {
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        }
        spec.holder_identity = Some(me.to_owned());
        spec.acquire_time = Some(MicroTime(now));
    }
    spec.renew_time = Some(MicroTime(now));
    spec.lease_duration_seconds = Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX));
    lease
}

/// `lease`, given up at `now`, in the form of client-go, so that its contenders too see it at once.
pub(super) fn released(lease: &Lease, now: Timestamp) -> Lease {
    let spec = LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        ..lease.spec.clone().unwrap_or_default()
    };
    Lease { spec: Some(spec), ..lease.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn lease(holder: Option<&str>, seconds: Option<i32>) -> Lease {
        let spec = LeaseSpec {
            holder_identity: holder.map(ToOwned::to_owned),
            lease_duration_seconds: seconds,
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        };
        let mut lease = Lease { spec: Some(spec), ..Lease::default() };
        lease.metadata.resource_version = Some("7".to_owned());
        lease
    }

    #[test]
    fn what_is_read() {
        for (holder, seconds, expected) in [
            (None, None, (None, None)),
            (Some(""), Some(1), (None, Some(1))),
            (Some("a"), Some(15), (Some("a"), Some(15))),
            (Some("a"), Some(-1), (Some("a"), None)),
        ] {
            let record = record(&lease(holder, seconds));
            assert_eq!(record.version, "7");
            let duration = record.duration.map(|duration| duration.as_secs());
            assert_eq!((record.holder.as_deref(), duration), expected);
        }
        assert_eq!(record(&Lease::default()).holder, None);
    }

    #[test]
    fn what_is_written() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let new = held(None, "name", "me", DURATION, first);
        assert_eq!(new.metadata.name.as_deref(), Some("name"));
        assert_eq!(new.metadata.resource_version, None);
        assert_eq!(new.spec.as_ref().unwrap().lease_transitions, None);

        let claimed = held(Some(&lease(Some("other"), Some(3))), "name", "me", DURATION, first);
        assert_eq!(claimed.metadata.resource_version.as_deref(), Some("7"), "the precondition");
        let spec = claimed.spec.clone().unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some("me"));
        assert_eq!((spec.lease_transitions, spec.lease_duration_seconds), (Some(5), Some(15)));
        assert_eq!(spec.acquire_time, Some(MicroTime(first)));

        let renewed = held(Some(&claimed), "name", "me", DURATION, later);
        let expected = LeaseSpec { renew_time: Some(MicroTime(later)), ..spec.clone() };
        assert_eq!(renewed.spec, Some(expected));

        let released = released(&renewed, later);
        assert_eq!(released.metadata, claimed.metadata);
        assert_eq!(record(&released).holder, None);
        let spec = released.spec.unwrap();
        assert_eq!((spec.lease_transitions, spec.lease_duration_seconds), (Some(5), Some(1)));
    }
}
