//! The deployment's template, held to the code: what it makes is what the functions rely on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test helpers"
)]

mod alarms;
mod bucket;
mod deployment;
mod events;
mod functions;
mod permissions;
mod queues;
mod rights;
mod routes;
mod scripts;
mod tables;
mod tags;
mod template;
