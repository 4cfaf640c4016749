//! What Argo CD, Flux and `kubectl` make of the resources: health, differences after a sync, pruning, waves, and the
//! manifests of `deploy/` for them. Neither of them runs here: their own libraries judge (kstatus) and run scripts
//! (gopher-lua), and `kubectl` and the API server do what they would ask for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a panic is how a test fails"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../chart/helm.rs"]
#[allow(dead_code, reason = "made for the tests of the chart, which use all of it")]
mod helm;

mod actions;
mod argocd;
mod documented;
mod kinds;
mod manifests;
mod normal;
mod prune;
mod states;
mod tenant;
mod unchanged;
mod waves;
