//! The format as a specification: each test's name is a sentence of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_collect,
    clippy::type_complexity,
    missing_docs,
    reason = "test helpers"
)]

mod amounts;
mod controls;
mod encodings;
mod laws;
mod limits;
mod made;
mod order;
mod records;
mod resume;
mod samples;
mod schema;
mod support;
mod trust;
mod written;
