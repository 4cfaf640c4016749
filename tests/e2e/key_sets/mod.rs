//! `JsonWebKeySet`s on real servers: their keys, their rotation, where they come from and where they go.

mod algorithms;
mod history;
mod import;
mod outputs;
mod revocation;
mod rotation;
