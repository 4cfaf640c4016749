//! The settings of the leader election.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    LEADER_ELECTION_LEASE_DURATION, LEADER_ELECTION_NAMESPACE, LEADER_ELECTION_RENEW_DEADLINE,
    LEADER_ELECTION_RETRY_PERIOD, SettingsError, is_dns_label, within,
};
use crate::{
    cli::LeaderElectionArgs,
    leader::{Settings, Timing},
};

/// A Lease counts in whole seconds; beyond the longest nobody would wait for another leader.
const LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

/// More requests than ten a second would be load without use.
const RETRY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(5);

/// The settings, if there is to be an election. They are checked even if not.
pub(super) fn settings(args: LeaderElectionArgs) -> Result<Option<Settings>, SettingsError> {
    let namespace = args.leader_election_namespace.filter(|name| !name.trim().is_empty());
    let namespace = namespace.map(|name| name.trim().to_owned());
    if let Some(name) = namespace.as_ref().filter(|name| !is_dns_label(name)) {
        return Err(SettingsError::Namespace(LEADER_ELECTION_NAMESPACE, name.clone()));
    }
    let name = args.leader_election_id;
    if name.len() > 253 || !name.split('.').all(is_dns_label) {
        return Err(SettingsError::LeaseName(name));
    }
    let timing = timing(
        args.leader_election_lease_duration,
        args.leader_election_renew_deadline,
        args.leader_election_retry_period,
    )?;
    Ok(args.leader_elect.then_some(Settings { namespace, name, timing }))
}

fn timing(lease: Duration, renew: Duration, retry: Duration) -> Result<Timing, SettingsError> {
    within(LEADER_ELECTION_LEASE_DURATION, LEASE, lease)?;
    within(LEADER_ELECTION_RETRY_PERIOD, RETRY, retry)?;
    if lease.subsec_nanos() != 0 {
        return Err(SettingsError::LeaseDuration(lease));
    }
    let order = |shorter, longer| Err(SettingsError::ElectionOrder { shorter, longer });
    if renew >= lease {
        return order(LEADER_ELECTION_RENEW_DEADLINE, LEADER_ELECTION_LEASE_DURATION);
    }
    if retry >= renew {
        return order(LEADER_ELECTION_RETRY_PERIOD, LEADER_ELECTION_RENEW_DEADLINE);
    }
    Ok(Timing { lease, renew, retry })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings(args: &[&str]) -> Result<Option<Settings>, SettingsError> {
        let line = ["hydra-operator", "run", "--hydra-admin-url=http://hydra", "--leader-elect"];
        match Cli::try_parse_from(line.iter().chain(args)).expect("clap accepts the line").command {
            Command::Run(args) => super::settings(args.leader_election),
            _ => panic!("not a run"),
        }
    }

    #[test]
    fn defaults_are_those_of_controller_runtime() {
        let secs = Duration::from_secs;
        let timing = Timing { lease: secs(15), renew: secs(10), retry: secs(2) };
        let expected = Settings { namespace: None, name: "hydra-operator".to_owned(), timing };
        assert_eq!(settings(&["--leader-election-namespace="]).unwrap(), Some(expected));
    }

    #[test]
    fn every_value_arrives_at_its_field() {
        let settings = settings(&[
            "--leader-election-namespace= operators ",
            "--leader-election-id=hydra.example",
            "--leader-election-lease-duration=3s",
            "--leader-election-renew-deadline=2s",
            "--leader-election-retry-period=500ms",
        ]);
        let millis = Duration::from_millis;
        let timing = Timing { lease: millis(3000), renew: millis(2000), retry: millis(500) };
        let (namespace, name) = (Some("operators".to_owned()), "hydra.example".to_owned());
        assert_eq!(settings.unwrap(), Some(Settings { namespace, name, timing }));
    }

    #[test]
    fn what_could_make_two_leaders_is_refused() {
        let (lease, renew, retry) = (
            "--leader-election-lease-duration",
            "--leader-election-renew-deadline",
            "--leader-election-retry-period",
        );
        for (setting, value, expected) in [
            (
                renew,
                "15s",
                format!("{renew} (LEADER_ELECTION_RENEW_DEADLINE) must be shorter than {lease}"),
            ),
            (
                retry,
                "10s",
                format!("{retry} (LEADER_ELECTION_RETRY_PERIOD) must be shorter than {renew}"),
            ),
            (lease, "10s", format!("must be shorter than {lease}")),
            (lease, "15s 500ms", "write whole seconds".to_owned()),
            (lease, "11m", "write a duration from 1s to 10m".to_owned()),
            (retry, "10ms", "write a duration from 100ms to 5m".to_owned()),
            ("--leader-election-id", "A", "cannot be the name of a Lease".to_owned()),
            ("--leader-election-id", "a..b", "cannot be the name of a Lease".to_owned()),
            ("--leader-election-namespace", "a.b", "cannot be the name of a namespace".to_owned()),
        ] {
            let error = settings(&[&format!("{setting}={value}")]).unwrap_err().to_string();
            assert!(error.contains(&expected), "{setting}={value}: {error}");
        }
    }
}
