//! What the operator is yet to learn: a test moves out of here when it passes.

mod secrets;
mod takeover;
