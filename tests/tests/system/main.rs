//! The whole system, from a file that is put to what 3Rivers has made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    missing_docs,
    reason = "tests"
)]

mod actions;
mod actions_checks;
mod actions_damaged;
mod actions_damaged_log;
mod actions_hand;
mod actions_model;
mod actions_repeats;
mod actions_retake;
mod actions_table;
mod actions_tasks;
mod bad_input;
mod cost;
mod damaged_claims;
mod dead_letters;
mod end_to_end;
mod faults;
mod keys;
mod leases;
mod many_messages;
mod message_order;
mod message_trust;
mod messages;
mod objects;
mod refunds;
mod refunds_aside;
mod retries;
mod sweeper;
mod twice;
