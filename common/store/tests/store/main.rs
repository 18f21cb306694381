//! The store on a real database: lists, reads by id, details and the ways to them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod answers;
mod api_keys;
mod by_id;
mod capacity;
mod changes;
mod keys;
mod lines;
mod lookups;
mod make;
mod tables;
mod tables_of;
