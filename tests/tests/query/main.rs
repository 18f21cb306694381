//! The query API on a world that one seed has made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_collect,
    clippy::format_push_string,
    missing_docs,
    reason = "helpers fail the test that called them"
)]

mod actions;
mod asked;
mod asking;
mod cases;
mod contract;
mod document;
mod file_problems;
mod files;
mod idempotency;
mod idempotency_faults;
mod laws;
mod look_ups;
mod mending;
mod mending_back;
mod mending_desk;
mod mending_limits;
mod model;
mod parameters;
mod reference_changes;
mod reference_deletion;
mod reference_rules;
mod robust;
mod schema;
mod senders;
mod settlements;
mod upload_parts;
mod upload_parts_faults;
mod uploads;
mod validation;
