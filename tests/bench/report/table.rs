//! The table of the report, and how values are written in it.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

const HEAD: [&str; 6] = ["work", "goal", "raw limit", "hydra-operator", "verdict", "hydra-maester"];

/// A line of the table.
pub struct Row {
    work: String,
    goal: Option<(String, bool)>,
    raw: Option<String>,
    operator: String,
    maester: Option<String>,
}

impl Row {
    /// A line about some work; `maester` is none where it was not measured.
    pub fn new(work: impl Into<String>, operator: String, maester: Option<String>) -> Self {
        Self { work: work.into(), goal: None, raw: None, operator, maester }
    }

    /// With what the servers can do.
    pub fn raw(self, raw: String) -> Self {
        Self { raw: Some(raw), ..self }
    }

    /// With a goal of the operator, and whether it is met.
    pub fn goal(self, goal: String, is_met: bool) -> Self {
        Self { goal: Some((goal, is_met)), ..self }
    }
}

/// Writes a Markdown table.
pub fn write(f: &mut Formatter<'_>, rows: &[Row]) -> fmt::Result {
    writeln!(f, "| {} |", HEAD.join(" | "))?;
    writeln!(f, "|{}", "---|".repeat(HEAD.len()))?;
    rows.iter().try_for_each(|row| {
        let (goal, verdict) = match &row.goal {
            Some((goal, true)) => (goal.as_str(), "met"),
            Some((goal, false)) => (goal.as_str(), "**missed**"),
            None => ("–", "–"),
        };
        let raw = row.raw.as_deref().unwrap_or("–");
        let maester = row.maester.as_deref().unwrap_or("not measured (`MAESTER_BIN` is not set)");
        let Row { work, operator, .. } = row;
        writeln!(f, "| {work} | {goal} | {raw} | {operator} | {verdict} | {maester} |")
    })
}

/// A whole number with separators: `12,345`.
pub fn thousands(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes in MiB.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

/// A duration in milliseconds, or in seconds where these are many.
pub fn millis(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}
