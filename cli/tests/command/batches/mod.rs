//! What people do to batches, with the command: on a local system, and on a script of answers where it
//! is about answers that do not come.

mod actions;
mod errors;
mod local;
mod repeated;
mod round_trip;
