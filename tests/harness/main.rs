//! The harness itself: what the other tests rely on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code: a panic is how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod control_plane;
mod counters;
mod hydra;
mod jose;
mod login;
mod private_key_jwt;
mod process;
mod rbac;
