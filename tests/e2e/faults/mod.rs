//! Faults on real sockets between the operator and its two servers.
//!
//! A [`wire::Wire`] stands between the shipped binary and Hydra, and between it and the API server.
//! It decides per request, by rules, what goes wrong. The rows are those of a list of faults that
//! users of operators expect to be survived; each test names its row.

mod answers;
mod api_server;
mod crash;
mod crashes;
mod credentials;
mod fault;
mod key_answers;
mod key_api_server;
mod key_crash;
mod key_drift;
mod key_ends;
pub mod key_sets;
mod line;
mod listener;
mod maester;
mod moves;
mod surroundings;
mod takeover;
mod wire;
mod world;

pub use self::{
    fault::{Answer, Fault, Gate, Rule, Seen, Side},
    maester::{MAESTERS, left_by_maester_in},
    wire::Wire,
    world::Faulty,
};
