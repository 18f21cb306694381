//! What the tests of the whole system share. The tests themselves lie in `tests/` beside it, and
//! those that kill the local system's process in `local/tests/`.
//!
//! | module | gives |
//! | --- | --- |
//! | [`timeline`] | time that passes by itself and can be moved on at will |
//! | [`parts`] | the embedded services and the simulator, with nothing that works on them |
//! | [`rig`] | the functions on those parts, driven one step at a time |
//! | [`counted`] | metrics that can be read |
//! | [`drafts`] | drafts, written without the table of errors |
//! | [`faults`] | faults where the AWS clients send their requests |
//! | [`delivery`] | queues that deliver twice, late and out of order |
//! | [`secrets`] | Secrets Manager, which the embedded services have not |
//! | [`service`] | a whole running system, as its callers see it |
//! | [`platform`] | what the simulator has made |
//! | [`laws`] | what must be true of settled files, whatever happened on the way |
//! | [`text`] | settlement files |
//! | [`world`] | a world to ask questions about |
//!
//! No part is replaced by a double: what a test drives is what is deployed. A helper that cannot do
//! its work panics, because the test that called it has failed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a helper fails the test that called it"
)]

pub mod counted;
pub mod delivery;
pub mod drafts;
pub mod faults;
pub mod laws;
pub mod parts;
pub mod platform;
pub mod rig;
pub mod secrets;
pub mod service;
pub mod text;
pub mod timeline;
pub mod world;
