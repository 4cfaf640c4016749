use std::time::Duration;

use super::*;
use crate::figures::{Added, Memory, Singles, Times};

const MIB: u64 = 1024 * 1024;

fn times(secret: u64, ready: u64) -> Times {
    let of = |millis| Distribution {
        p50: Duration::from_millis(millis),
        p99: Duration::from_millis(10 * millis),
    };
    Times { secret: of(secret), ready: of(ready) }
}

fn waves(seconds: &[u64]) -> Vec<Wave> {
    let wave = |(index, seconds): (usize, &u64)| Wave {
        clients: 1000,
        concurrency: 8 << index,
        elapsed: Duration::from_secs(*seconds),
        times: times(100 * seconds, 200 * seconds),
    };
    seconds.iter().enumerate().map(wave).collect()
}

fn restart(clients: usize, reads: u64, writes: u64, processor: u64, peak: u64) -> Restart {
    Restart {
        clients,
        reads,
        writes,
        elapsed: Duration::from_millis(1500),
        processor: Duration::from_millis(processor),
        memory: Memory { resident: peak * MIB / 2, peak: peak * MIB },
    }
}

fn raw() -> RawFigures {
    RawFigures {
        singles: Singles { clients: 30, times: times(10, 20) },
        waves: waves(&[12, 10, 11]),
    }
}

fn good() -> Figures {
    Figures {
        singles: Singles { clients: 30, times: times(12, 30) },
        waves: waves(&[20, 12]),
        restarts: vec![
            restart(100, 10, 0, 50, 20),
            restart(1000, 54, 0, 140, 30),
            restart(10_000, 90, 0, 1040, 64),
        ],
        added: Added {
            secrets: 5000,
            while_running: -MIB.cast_signed() / 2,
            after_restart: ADDED - 1,
        },
    }
}

fn bad() -> Figures {
    Figures {
        singles: Singles { clients: 30, times: times(31, 31) },
        waves: waves(&[13]),
        restarts: vec![
            restart(100, 10, 1, 50, 20),
            restart(1000, 55, 0, 140, 65),
            restart(10_000, 10_000, 0, 1500, 65),
        ],
        added: Added { secrets: 5000, while_running: ADDED, after_restart: 0 },
    }
}

fn report(operator: Figures, maester: Option<Figures>) -> String {
    let context = Context {
        command: "make bench".into(),
        date: "2026-01-02".into(),
        machine: "2 cores".into(),
        software: vec!["Hydra v2".into()],
    };
    Report { context, raw: raw(), operator, maester }.to_string()
}

/// The cells of each line of the table.
fn table(report: &str) -> Vec<Vec<&str>> {
    let lines = report.lines().filter(|line| line.starts_with("| "));
    lines.map(|line| line.trim_matches(['|', ' ']).split(" | ").collect()).collect()
}

fn verdicts(report: &str) -> Vec<&str> {
    table(report).iter().skip(1).map(|cells| cells[4]).collect()
}

#[test]
fn the_values_of_each_column() {
    let report = report(good(), Some(bad()));
    let rows = table(&report);
    let cells = |work: &str| {
        rows.iter().find(|cells| cells[0].contains(work)).unwrap_or_else(|| panic!("no {work}"))
            [1..]
            .to_vec()
    };
    let expected = [
        "at least 0.8 of raw",
        "100.0/s (16 in flight)",
        "83.3/s (0.83 of raw)",
        "met",
        "76.9/s (0.77 of raw)",
    ];
    assert_eq!(cells("1,000 new clients at once: rate"), expected);
    let expected = ["–", "–", "1.20 s / 12.00 s", "–", "1.30 s / 13.00 s"];
    assert_eq!(cells("from resource to Secret"), expected);
    let expected = [
        "p50 at most 1.5 of raw Ready",
        "20.0 ms / 200.0 ms",
        "30.0 ms / 300.0 ms (1.50 of raw Ready)",
        "met",
        "31.0 ms / 310.0 ms (1.55 of raw Ready)",
    ];
    assert_eq!(cells("… Ready, p50"), expected);
    let expected = ["at most 90, no write", "–", "90 (0 writes)", "met", "10,000 (0 writes)"];
    assert_eq!(cells("Restart with 10,000 converged: requests"), expected);
    let expected = ["–", "100 µs, then 100 µs", "met", "100 µs, then 151 µs"];
    assert_eq!(cells("each further client")[1..], expected);
    let expected = ["–", "-0.5 MiB / 10.0 MiB", "met", "10.0 MiB / 0.0 MiB"];
    assert_eq!(cells("5,000 Secrets of others")[1..], expected);
}

#[test]
fn a_goal_is_met_or_missed() {
    let count = |report: &str, verdict| verdicts(report).iter().filter(|v| **v == verdict).count();
    let (good, bad) = (report(good(), None), report(bad(), None));
    let goals = count(&good, "met");
    assert_eq!((goals, count(&good, "**missed**")), (11, 0), "{good}");
    // Few clients need little memory in any case.
    assert_eq!((count(&bad, "met"), count(&bad, "**missed**")), (1, goals - 1), "{bad}");
}

#[test]
fn what_was_not_measured_is_said() {
    let report = report(good(), None);
    let rows = table(&report);
    assert!(rows[1..].iter().all(|cells| cells[5] == "not measured (`MAESTER_BIN` is not set)"));
    assert!(report.contains("    make bench\n") && report.contains("2026-01-02"), "{report}");
}
