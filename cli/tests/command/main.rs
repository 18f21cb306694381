//! The `weir` binary against a server that speaks the contract, well and badly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "test helpers"
)]

mod batches;
mod failures;
mod help;
mod keys;
mod messages;
mod pace;
mod seed;
mod server;
mod status;
mod submit;
mod submit_large;
mod submit_parts;
mod validate;
mod weir;
