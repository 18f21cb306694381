//! What Weir does, free of Lambda events and of HTTP.
//!
//! | module | use case |
//! | --- | --- |
//! | [`upload`] | read a file whole; only a sound one is split and put on the queue |
//! | [`process`] | send details to 3Rivers and record what came of it, never twice |
//! | [`actions`] | cancel, retry, take drafts on or drop them |
//! | [`mend`] | give the details in error out as a table |
//! | [`messages`] | apply the messages that bring reference data, in whatever order they come |
//! | [`dead_letters`] | keep what ended among the dead letters, and give its details to a person |
//! | [`mod@reference`] | create, replace and delete reference data |
//! | [`sweep`] | find what nothing is working on, and wake it |
//!
//! A use case takes its collaborators as arguments and returns a value or a typed error. Everything
//! it does can be interrupted at any point and begun again: what is done is seen from the tables.

pub mod actions;
pub mod credentials;
pub mod dead_letters;
mod json;
pub mod mend;
pub mod messages;
pub mod process;
pub mod reference;
mod request;
pub mod schema;
pub mod sweep;
mod time_limit;
pub mod upload;

pub use time_limit::TimeLimit;
