//! The contract between the Hydra client and the admin API: every operation, member and class of
//! error against real servers of two generations, and against a scripted one what a real one cannot
//! be made to do.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod clients;
mod errors;
mod fence;
mod generations;
mod https;
mod keys;
mod listing;
mod members;
#[path = "../support/ports.rs"]
mod ports;
mod scripted;
mod scripted_keys;
mod scripted_server;
mod server;

use hydra_operator::hydra::{ClientId, ClientSecret, Hydra, HydraConfig, OAuth2Client};
use serde_json::Value;
use url::Url;

/// Makes of each `async fn(Program)` one test per generation: `v1::name` and `v2::name`.
macro_rules! on_both_generations {
    ($($name:ident),+ $(,)?) => {
        mod v1 {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(crate::server::Program::Hydra1).await;
                }
            )+
        }
        mod v2 {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(crate::server::Program::Hydra2).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_generations;

fn config(url: &Url) -> HydraConfig {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    HydraConfig::new(url.clone())
}

fn hydra(url: &Url) -> Hydra {
    Hydra::new(config(url)).unwrap()
}

fn id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}

fn secret(text: &str) -> ClientSecret {
    ClientSecret::parse(text).unwrap()
}

fn client(value: Value) -> OAuth2Client {
    serde_json::from_value(value).unwrap()
}
