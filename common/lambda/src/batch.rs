//! Runs the records of a batch one by one and answers with exactly those that failed.
//!
//! Invariants, for every record of the batch: it is reported as failed when its handler failed or
//! panicked, when it could not be read, or when the time ran out before its handler was done; it is
//! not reported when its handler was done. Where two records have the same message id, the id is
//! reported once as soon as either failed. The answer is always there, empty or not.
//!
//! A panic is contained by the task that a record runs on, which needs a build that unwinds. A handler
//! is dropped where it waits when the time runs out: it must be able to be run again from any point.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::Instrument;
use weir_runtime::telemetry::span;

use crate::deadline::Deadline;
use crate::record::SqsRecord;

/// What a batch is answered with: the records that are to come again, all others being done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a failure that is not reported loses its message"]
pub struct BatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

/// One record that is to come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its message id.
    pub item_identifier: String,
}

impl BatchResponse {
    /// The records that failed, in the order of the batch, each message id once.
    pub fn failures(&self) -> &[BatchItemFailure] {
        &self.batch_item_failures
    }

    /// The response as SQS's event source mapping expects it.
    pub fn into_value(self) -> Value {
        json!({ "batchItemFailures": self.batch_item_failures })
    }

    fn of<'a>(failed: impl Iterator<Item = &'a str>) -> Self {
        let mut seen = BTreeSet::new();
        let ids = failed.filter(|id| seen.insert(*id));
        Self {
            batch_item_failures: ids
                .map(|id| BatchItemFailure {
                    item_identifier: id.to_owned(),
                })
                .collect(),
        }
    }
}

/// Why a record failed.
enum Failure {
    Unreadable(&'static str),
    Handler(String),
    Panicked,
    Late,
}

impl Failure {
    fn of(outcome: Result<Result<(), String>, JoinError>) -> Result<(), Self> {
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(Self::Handler(reason)),
            // The panic hook has logged where and why.
            Err(error) if error.is_panic() => Err(Self::Panicked),
            Err(_) => Err(Self::Late),
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Unreadable(reason) => reason,
            Self::Handler(reason) => reason,
            Self::Panicked => "its handler panicked",
            Self::Late => "the time ran out",
        }
    }
}

/// What is kept of a record while its handler owns it.
struct Entry {
    message_id: String,
    span: tracing::Span,
    outcome: Option<Result<(), Failure>>,
}

/// Runs `handler` for every record, at most `concurrency` (at least one) at a time, until all are done
/// or the deadline's usable time is over.
///
/// Each record runs on a task of its own, in a span with its correlation id. A failure is logged once,
/// with the message id and the reason.
pub async fn run_batch<H, F, E>(
    records: Vec<SqsRecord>,
    deadline: &Deadline,
    concurrency: usize,
    handler: H,
) -> BatchResponse
where
    H: Fn(SqsRecord) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let handler = Arc::new(handler);
    let mut entries: Vec<_> = records.iter().map(Entry::of).collect();
    let mut waiting = records.into_iter().enumerate();
    let mut tasks = JoinSet::new();
    let mut running = HashMap::<Id, usize>::new();
    let over = deadline.over();
    tokio::pin!(over);
    let mut is_over = deadline.is_over();
    while !is_over {
        while tasks.len() < concurrency.max(1)
            && let Some((index, record)) = waiting.next()
        {
            if record.unreadable.is_some() {
                continue;
            }
            let handler = Arc::clone(&handler);
            let work = async move { handler(record).await.map_err(|error| error.to_string()) };
            let span = entries.get(index).map(|entry| entry.span.clone());
            let task = tasks.spawn(work.instrument(span.unwrap_or_else(tracing::Span::none)));
            running.insert(task.id(), index);
        }
        tokio::select! {
            biased;
            joined = tasks.join_next_with_id() => match joined {
                None => break,
                Some(joined) => settle(&mut entries, &mut running, joined),
            },
            () = &mut over => is_over = true,
        }
    }
    // Who was done in the very last moment is done.
    while let Some(joined) = tasks.try_join_next_with_id() {
        settle(&mut entries, &mut running, joined);
    }
    tasks.abort_all();
    respond(entries)
}

fn settle(
    entries: &mut [Entry],
    running: &mut HashMap<Id, usize>,
    joined: Result<(Id, Result<(), String>), JoinError>,
) {
    let (id, outcome) = match joined {
        Ok((id, outcome)) => (id, Ok(outcome)),
        Err(error) => (error.id(), Err(error)),
    };
    let index = running.remove(&id);
    if let Some(entry) = index.and_then(|index| entries.get_mut(index)) {
        entry.outcome = Some(Failure::of(outcome));
    }
}

impl Entry {
    fn of(record: &SqsRecord) -> Self {
        Self {
            message_id: record.message_id.clone(),
            span: span(&record.correlation_id),
            outcome: record
                .unreadable
                .map(|reason| Err(Failure::Unreadable(reason))),
        }
    }
}

fn respond(entries: Vec<Entry>) -> BatchResponse {
    let mut failed = Vec::new();
    for entry in entries {
        // Whatever has no outcome was not done: nothing is ever lost by omission.
        if let Err(failure) = entry.outcome.unwrap_or(Err(Failure::Late)) {
            log(&entry.span, &entry.message_id, &failure);
            failed.push(entry.message_id);
        }
    }
    BatchResponse::of(failed.iter().map(String::as_str))
}

fn log(span: &tracing::Span, message_id: &str, failure: &Failure) {
    let reason = failure.reason();
    span.in_scope(|| tracing::error!(message_id, reason, "record handed back to its queue"));
}
