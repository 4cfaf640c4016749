//! What is being done, on stderr.

#![expect(clippy::print_stderr, reason = "stdout is the report's")]

use std::time::{Duration, Instant};

/// How often a long step says how far it is.
const INTERVAL: Duration = Duration::from_secs(5);

/// A part of the run begins.
pub fn heading(title: &str) {
    eprintln!("{title}");
}

/// A step was made.
pub fn note(text: &str) {
    eprintln!("  {text}");
}

/// How far a long step is.
pub struct Counter {
    what: String,
    total: usize,
    said: Instant,
}

impl Counter {
    /// Of `total` in all.
    pub fn new(what: impl Into<String>, total: usize) -> Self {
        Self { what: what.into(), total, said: Instant::now() }
    }

    /// `done` of them are done by now.
    pub fn at(&mut self, done: usize) {
        if self.said.elapsed() >= INTERVAL {
            self.said = Instant::now();
            note(&format!("{}: {done} of {}", self.what, self.total));
        }
    }
}
