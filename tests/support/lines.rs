//! A program that answers each line of its standard input with a line.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::de::DeserializeOwned;

/// It ends when this process does: its standard input closes then.
pub struct Answering {
    // Not reaped: one in a static is never dropped.
    _process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Answering {
    /// Starts it.
    pub fn start(program: &Path) -> Self {
        let mut process =
            Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { _process: process, questions, answers }
    }

    /// Its answer to one line. A panic quotes neither, as there may be a private key in them.
    pub fn ask<Answer: DeserializeOwned>(&mut self, mut question: Vec<u8>) -> Answer {
        question.push(b'\n');
        self.questions.write_all(&question).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        // serde_json's own text quotes values.
        serde_json::from_str(&answer).unwrap_or_else(|error| {
            panic!("{} bytes, {:?} at column {}", answer.len(), error.classify(), error.column())
        })
    }
}
