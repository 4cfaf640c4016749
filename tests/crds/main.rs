//! The custom resource definitions: the files of `crds/`, what they accept, and what a real API server makes of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code: a panic is how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod accepted;
mod generated;
mod key_sets;
mod rules;
mod server;
mod shown;
mod superset;
