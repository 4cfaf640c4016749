//! The admin API of Ory Hydra.

mod id;
pub mod meaning;
mod oauth2_client;
mod secret;

pub use id::{ClientId, InvalidId};
pub use oauth2_client::OAuth2Client;
pub use secret::{ClientSecret, InvalidSecret};
