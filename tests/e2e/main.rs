//! The operator at work: its real binary, as its ServiceAccount, on a real control plane and real
//! Hydras.
//!
//! Each test has a namespace and an operator of its own. What holds for every generation of Hydra
//! is tested on each: `v1::…` and `v2::…`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a panic is how a test fails"
)]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "made for the tests of the contract, which use more of it")]
#[path = "../contract/scripted_server.rs"]
mod scripted_server;

mod assertions;
mod conflicts;
mod corpus;
mod crowd;
mod deletion;
mod drop_in;
mod edits;
mod faults;
mod fields;
mod guards;
mod high_availability;
mod hostile;
mod hostile_keys;
mod hydra_admin;
mod key_observe;
mod key_sets;
mod key_steady;
mod key_truth;
mod key_world;
mod kstatus;
mod lifecycle;
mod linked_keys;
mod maester;
mod metrics;
mod modes;
mod observe;
mod outage;
mod outputs;
mod permissions;
mod probes;
mod process;
mod proxy;
mod refusals;
mod restart;
mod rivals;
mod scale;
mod secret_shape;
mod secrets;
mod set_names;
mod signing;
mod steady_state;
mod system_sets;
mod takeover;
mod telemetry;
mod threats;
mod world;

/// Makes of each function a test per generation of Hydra: `v1::name` and `v2::name`.
macro_rules! on_each_generation {
    ($($test:ident),+ $(,)?) => {
        mod v1 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::support::Generation::V1).await;
                }
            )+
        }
        mod v2 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::support::Generation::V2).await;
                }
            )+
        }
    };
}
pub(crate) use on_each_generation;
