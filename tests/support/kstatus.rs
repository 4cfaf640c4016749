//! What the kstatus library itself says of an object: its verdict is what Flux and kpt wait for.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

use serde::{Deserialize, Serialize};

use super::binaries;

/// The states that a resource of ours can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Verdict {
    /// The operator is at work, or has not seen the latest change.
    InProgress,
    /// All is as declared.
    Current,
    /// A person has to change something.
    Failed,
    /// It is being deleted.
    Terminating,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    message: String,
}

/// The checker, which ends when this process does: its standard input closes then.
struct Checker {
    // Not reaped: a static is never dropped.
    _process: Child,
    objects: ChildStdin,
    verdicts: BufReader<ChildStdout>,
}

/// The verdict about `object` as it stands, and why. One checker serves the test process.
pub fn verdict(object: &impl Serialize) -> (Verdict, String) {
    static CHECKER: Mutex<Option<Checker>> = Mutex::new(None);
    let mut line = serde_json::to_vec(object).unwrap();
    line.push(b'\n');
    let mut checker = CHECKER.lock().unwrap();
    let answer = checker.get_or_insert_with(Checker::start).ask(&line);
    let verdict = serde_json::from_value(answer.status.clone().into());
    let verdict =
        verdict.unwrap_or_else(|_| panic!("kstatus says {}: {}", answer.status, answer.message));
    (verdict, answer.message)
}

impl Checker {
    fn start() -> Self {
        let mut process = Command::new(binaries::kstatus())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let objects = process.stdin.take().unwrap();
        let verdicts = BufReader::new(process.stdout.take().unwrap());
        Self { _process: process, objects, verdicts }
    }

    fn ask(&mut self, object: &[u8]) -> Answer {
        self.objects.write_all(object).unwrap();
        let mut answer = String::new();
        self.verdicts.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }
}
