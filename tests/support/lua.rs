//! Lua as Argo CD runs it (`tests/servers/lua`).

use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{binaries, lines::Answering};

#[derive(Deserialize)]
struct Answer {
    returned: Option<Value>,
    error: Option<String>,
}

/// What `script` returns for the global `obj`, or why it returns nothing. One interpreter serves the test process; each
/// script has a state of its own.
pub fn run(script: &str, obj: &Value) -> Result<Value, String> {
    static INTERPRETER: Mutex<Option<Answering>> = Mutex::new(None);
    let question = json!({ "script": script, "object": obj }).to_string().into_bytes();
    let mut interpreter = INTERPRETER.lock().unwrap();
    let interpreter = interpreter.get_or_insert_with(|| Answering::start(&binaries::lua()));
    let answer: Answer = interpreter.ask(question);
    answer.returned.ok_or_else(|| answer.error.unwrap_or_default())
}
