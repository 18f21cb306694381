//! What every function starts with: set-up, deadlines and the batch runner.
//!
//! A function is a state, built once, and a handler
//! `async fn handle(state: &State, event: serde_json::Value, deadline: Deadline) -> Result<serde_json::Value, _>`.
//! [`start`] runs it in Lambda; the local system calls the same handler itself.
//!
//! A function that is triggered by a queue takes its event apart with [`decode`] and gives the records
//! to [`run_batch`], which answers with exactly the records that are to come again: one bad record, one
//! panic or the end of the time never costs the others their result, and nothing that failed is ever
//! reported as done.
//!
//! A function that API Gateway calls has its event turned into a request, and the response into an
//! answer, by [`answer_http`].

mod batch;
mod deadline;
mod http;
mod record;
mod start;

pub use batch::{BatchItemFailure, BatchResponse, run_batch};
pub use deadline::Deadline;
pub use http::{HEADERS_MAX, HttpEventError, Sender, answer_http};
pub use record::{DecodeError, SqsRecord, decode};
pub use start::{BuildError, Parts, start};
