//! What the operator is yet to learn.

use crate::{on_each_generation, support::Generation};

use super::crash::kills_while_the_secret_is_renamed;

on_each_generation!(kills_while_the_secret_is_renamed_lose_nothing);

async fn kills_while_the_secret_is_renamed_lose_nothing(generation: Generation) {
    kills_while_the_secret_is_renamed(generation).await;
}
