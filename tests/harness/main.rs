//! The harness itself: what the other tests rely on.

#[path = "../support/mod.rs"]
mod support;

mod control_plane;
mod counters;
mod hydra;
mod process;
mod rbac;
