//! Real servers for tests, the demo and benchmarks: a Kubernetes control plane, Hydra 1 and 2, and the operator itself.
//!
//! ```ignore
//! #[path = "../support/mod.rs"]
//! mod support;
//!
//! let cp = ControlPlane::shared().await;             // one per test process; `start()` for one of one's own
//! let hydra = Hydra::shared(Generation::V2).await;   // `start()` for one that can be stopped and started again
//! let namespace = cp.namespace("create").await;
//! let operator = Operator::start(cp, OperatorOptions::new(hydra.admin_url()).namespaces([&namespace])).await;
//! eventually("the Secret exists", async || secrets.get_opt("app").await.unwrap()).await;
//! ```
//!
//! Everything listens on loopback only, on ports of its own. Every process ends with the test process, however that one
//! ends (`supervise`), and every folder goes with it unless a test failed or `KEEP_LOGS` is set (`folder`).
//! What cannot be done is a panic that names it; nothing is skipped.

#![allow(dead_code, reason = "each test target uses a part of the harness")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code: a panic is how a test fails"
)]

pub mod binaries;
pub mod control_plane;
pub mod counters;
pub mod crds;
pub mod eventually;
pub mod folder;
pub mod hydra;
pub mod hydra_api;
pub mod jose;
pub mod kstatus;
pub mod kubeconfig;
pub mod lines;
pub mod login;
pub mod lua;
pub mod operator;
pub mod pki;
pub mod ports;
pub mod private_key_jwt;
pub mod process;
pub mod rbac;
pub mod root;

#[allow(unused_imports, reason = "each test target uses a part of the harness")]
pub use self::{
    control_plane::ControlPlane,
    eventually::eventually,
    hydra::{Generation, Hydra},
    operator::{Operator, OperatorOptions},
};
