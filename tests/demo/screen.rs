//! What the demo looks like: numbered steps, commands as they would be typed, their output below.
//!
//! Colour only where somebody looks: on a terminal, unless `NO_COLOR` is set (no-color.org).

use std::{
    env,
    io::{self, IsTerminal, Write},
    panic,
    sync::{LazyLock, Mutex, PoisonError},
    time::Instant,
};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";

static COLOURED: LazyLock<bool> = LazyLock::new(|| {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !refused
});

/// What is being done, for the message of a failure.
static ACTIVITY: Mutex<String> = Mutex::new(String::new());

/// Starts a part of the demo.
pub fn heading(title: &str) {
    remember(title);
    line(&format!("\n{}", styled(BOLD, title)));
}

/// A command as a person would type it.
pub fn command(text: &str) {
    line(&format!("   {} {}", styled(CYAN, "$"), styled(CYAN, text)));
}

/// What a command printed.
pub fn output(text: &str) {
    for output in text.trim_end().lines() {
        line(&format!("   {output}"));
    }
}

/// A remark of the demo itself.
pub fn note(text: &str) {
    line(&format!("   {}", styled(DIM, text)));
}

/// The last words.
pub fn done(text: &str) {
    line(&format!("\n{}", styled(GREEN, text)));
}

/// Does something that takes a moment, and says how long it took.
pub async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    remember(what);
    write(&format!("   {what} ... "));
    let start = Instant::now();
    let result = work.await;
    line(&format!("ready after {:.1} s", start.elapsed().as_secs_f64()));
    result
}

/// Makes every panic, those of the harness included, say what the demo was doing.
pub fn explain_failures() {
    panic::set_hook(Box::new(|info| {
        let activity = ACTIVITY.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = info.payload_as_str().unwrap_or("for an unknown reason");
        line(&format!("\n{} {activity}: {reason}", styled(RED, "FAILED:")));
    }));
}

/// `words` as a line for a shell.
pub fn quoted(words: &[&str]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    let quote = |word: &&str| {
        if !word.is_empty() && word.chars().all(is_plain) {
            (*word).to_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn remember(activity: &str) {
    activity.clone_into(&mut ACTIVITY.lock().unwrap_or_else(PoisonError::into_inner));
}

fn styled(style: &str, text: &str) -> String {
    if *COLOURED { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}

fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// A reader who has gone (`make demo | head`) is no failure of the demo.
fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
