//! The Helm chart and the manifests of `deploy/`: that they are up to date, that a real API server accepts each variant
//! under the Pod Security Standard `restricted`, and that the operator works as each of them starts it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a panic is how a test fails"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../e2e/proxy.rs"]
#[allow(dead_code, reason = "made for the tests of the operator, which use all of it")]
mod proxy;

#[path = "../e2e/maester.rs"]
mod write_model;

mod aggregation;
mod cluster;
mod documented;
mod generated;
mod helm;
mod lifecycle;
mod maester;
mod migration;
mod page;
#[allow(dead_code, reason = "the tests of the image use the rest")]
mod pod;
mod resources;
mod secret_namespaces;
mod values;
mod values_checked;
mod variants;
