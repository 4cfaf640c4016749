//! What the kstatus library itself says of an object: its verdict is what Flux and kpt wait for.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::{binaries, lines::Answering};

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

/// The verdict about `object` as it stands, and why. One checker serves the test process.
pub fn verdict(object: &impl Serialize) -> (Verdict, String) {
    static CHECKER: Mutex<Option<Answering>> = Mutex::new(None);
    let line = serde_json::to_vec(object).unwrap();
    let mut checker = CHECKER.lock().unwrap();
    let checker = checker.get_or_insert_with(|| Answering::start(&binaries::kstatus()));
    let answer: Answer = checker.ask(line);
    let verdict = serde_json::from_value(answer.status.clone().into());
    let verdict =
        verdict.unwrap_or_else(|_| panic!("kstatus says {}: {}", answer.status, answer.message));
    (verdict, answer.message)
}
