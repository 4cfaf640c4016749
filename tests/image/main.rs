//! The image of the operator: made as `make image` makes it, pushed to a registry, pulled by its digest, and run from what
//! is in it.
//!
//! The binary is of the profile `dev`: one of the profile `release` takes longer to build than most tests together.
//! `make check-image` sets `IMAGE_LAYOUT` and runs the same tests on what `make image` has made.

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
#[path = "../chart/pod.rs"]
#[allow(dead_code, reason = "made for the tests of the chart, which use all of it")]
mod pod;
#[path = "../e2e/proxy.rs"]
#[allow(dead_code, reason = "made for the tests of the operator, which use all of it")]
mod proxy;
#[path = "../chart/resources.rs"]
#[allow(dead_code, reason = "made for the tests of the chart, which use all of it")]
mod resources;

mod bill;
mod contents;
mod dockerfile;
mod made;
mod names;
mod running;
