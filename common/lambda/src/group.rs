//! Runs the records of a batch together, where one call can serve many of them.
//!
//! The handler has all readable records at once and says of each one when it is done. What it has
//! not said is done when it ends, fails, panics or runs out of time is reported as failed: silence
//! never loses a message.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tracing::Instrument;
use weir_runtime::telemetry::span;

use crate::batch::{BatchResponse, Failure, log};
use crate::deadline::Deadline;
use crate::record::SqsRecord;

/// Where a group's handler says which of its records are done. Clones say it to the same place.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    message_ids: Arc<Mutex<BTreeSet<String>>>,
}

impl Settled {
    /// Says that the record with this message id is done. All of its effects are to be durable: the
    /// message is deleted whatever happens afterwards. An unknown id has no effect.
    pub fn done(&self, message_id: &str) {
        self.lock().insert(message_id.to_owned());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // Inserting leaves the set whole whatever happens around it.
        self.message_ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `handler` once for all readable records, until it is done or the deadline's usable time is over.
///
/// The handler runs on a task of its own, which contains its panics. A batch without a readable record
/// does not run it. Each failed record is logged once.
pub async fn run_group<H, F, E>(
    records: Vec<SqsRecord>,
    deadline: &Deadline,
    handler: H,
) -> BatchResponse
where
    H: FnOnce(Vec<SqsRecord>, Settled) -> F + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let entries: Vec<_> = records
        .iter()
        .map(|record| {
            let span = span(&record.correlation_id);
            (record.message_id.clone(), record.unreadable, span)
        })
        .collect();
    let readable: Vec<_> = records
        .into_iter()
        .filter(|record| record.unreadable.is_none())
        .collect();
    let settled = Settled::default();
    let failure = run(readable, deadline, handler, settled.clone()).await;
    let done = settled.lock().clone();
    let mut failed = Vec::new();
    for (message_id, unreadable, span) in entries {
        let failure = match unreadable {
            Some(reason) => &Failure::Unreadable(reason),
            None if done.contains(&message_id) => continue,
            None => &failure,
        };
        log(&span, &message_id, failure);
        failed.push(message_id);
    }
    BatchResponse::of(failed.iter().map(String::as_str))
}

/// Why records that were not said to be done were not done.
async fn run<H, F, E>(
    records: Vec<SqsRecord>,
    deadline: &Deadline,
    handler: H,
    settled: Settled,
) -> Failure
where
    H: FnOnce(Vec<SqsRecord>, Settled) -> F + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let unsaid = || Failure::Handler("its handler did not say that it was done".to_owned());
    if records.is_empty() {
        return unsaid();
    }
    if deadline.is_over() {
        return Failure::Late;
    }
    // The task is aborted when the set is dropped.
    let mut tasks = JoinSet::new();
    let work = async move {
        let outcome = handler(records, settled).await;
        outcome.map_err(|error| error.to_string())
    };
    tasks.spawn(work.in_current_span());
    tokio::select! {
        biased;
        joined = tasks.join_next() => match joined.map(Failure::of) {
            Some(Err(failure)) => failure,
            Some(Ok(())) | None => unsaid(),
        },
        () = deadline.over() => Failure::Late,
    }
}
