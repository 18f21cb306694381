//! Keeps what ended among the dead letters, and gives the details that it was for to a person.
//!
//! A message that could not be dealt with, however often it came, is set aside by its queue, which
//! forgets it after some days. Here it is kept as a failed message, with where it came from. One that
//! woke details leaves them behind: those that are as they were when it was sent, and that nobody
//! works on, are put in Error with what to do, by the same conditional write as any outcome. Whoever
//! settles one of them meanwhile was faster, and nothing is marked.
//!
//! A detail that has changed since has another message, or the sweeper, to wake it. One with a call
//! whose outcome is not known is left to them as well: it is to be asked for again under its key while
//! that is valid, and nobody may take it for one that was never sent.
//!
//! A dead letter that comes twice is the same message, and finds no detail left to mark. It counts each
//! time: whether its queue has repeated it or it has been replayed and died again is not to be told. Of one that
//! was kept before, what was told of it stays, and this is added.
//!
//! A detail that cannot be read is passed over and told of; those beside it are marked all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use weir_domain::{DetailEvent, ErrorCode, LineNumber, MessageStatus};
use weir_runtime::{Clock, Metric, Metrics, Random};
use weir_store::{
    Batch, CounterChange, Detail, DetailsMessage, Event, MessageMark, Outcome, Store, StoreError,
};

use crate::messages::{Delivery, replayed};

/// What the name of the queue that wakes details holds, and that of its dead letters.
const DETAILS_QUEUE: &str = "details";
/// Most outcomes of one transaction.
const TOGETHER_MAX: usize = 25;
/// How often a transaction is tried.
const TRIES_MAX: u32 = 8;
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The collaborators of keeping dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    /// Tables and bucket.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Pauses.
    pub random: Random,
    /// Counts.
    pub metrics: Metrics,
}

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Details that were put in Error.
    pub details_marked: u64,
}

impl DeadLetters {
    /// Keeps a dead letter and marks its details. An error hands it back to its queue: whatever was
    /// done is not done twice when it comes again.
    pub async fn keep(&self, delivery: &Delivery) -> Result<Kept, StoreError> {
        let now = self.clock.now();
        let why = why(delivery);
        let message = delivery.to_message(now);
        let failed = weir_store::Message {
            status: MessageStatus::Failed,
            error_log: Some(why.clone()),
            failure_count: 1,
            failed_at: Some(now),
            ..message
        };
        let known = match replayed(&self.store, delivery).await? {
            Some(known) => known,
            None => self.store.keep_message(&failed).await?,
        };
        // Kept just now, also where the answer was lost.
        let at = |time: DateTime<Utc>| time.timestamp_millis();
        let is_noted = known.status == MessageStatus::Failed
            && known.failure_count == 1
            && known.failed_at.map(at) == Some(at(now));
        if !is_noted {
            let mark = MessageMark::Failed {
                at: now,
                error_log: told_after(known.error_log.as_deref(), why),
            };
            self.store.mark_message(known.id, &mark).await?;
        }
        // Before the details: what keeps them from being marked must not keep it from being told.
        self.metrics.count(Metric::DeadLetters, 1);
        let details_marked = self.mark_details(delivery, &known.correlation_id).await?;
        tracing::error!(
            message_id = %known.id,
            queue = delivery.queue_name(),
            receive_count = delivery.receive_count,
            details_marked,
            "a message could not be dealt with and was set aside"
        );
        Ok(Kept { details_marked })
    }

    /// Puts the details in Error that a details message names. A message of another kind names none.
    async fn mark_details(
        &self,
        delivery: &Delivery,
        correlation_id: &str,
    ) -> Result<u64, StoreError> {
        let message: DetailsMessage = match serde_json::from_str(&delivery.body) {
            Ok(message) if delivery.queue_name().contains(DETAILS_QUEUE) => message,
            _ => return Ok(0),
        };
        let Some(batch) = self.store.batch(message.batch_id).await? else {
            return Ok(0);
        };
        let mut marked = 0;
        for lines in message.lines.chunks(TOGETHER_MAX) {
            marked += self
                .mark_lines(&batch, lines, delivery, correlation_id)
                .await?;
        }
        // Also when nothing was marked: an earlier delivery may have stopped here.
        if let Some(batch) = self.store.batch(batch.id).await?
            && batch.counters.unprocessed == 0
            && self.store.complete_batch(&batch, self.clock.now()).await?
            && batch.counters.error > 0
        {
            self.metrics.count(Metric::BatchesError, 1);
        }
        Ok(marked)
    }

    async fn mark_lines(
        &self,
        batch: &Batch,
        lines: &[LineNumber],
        delivery: &Delivery,
        correlation_id: &str,
    ) -> Result<u64, StoreError> {
        // Without it nothing tells which details have changed since.
        let Some(sent_at) = sent_at(delivery) else {
            return Ok(0);
        };
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines.dedup();
        let mut attempt = 0;
        loop {
            let now = self.clock.now();
            let read = self.store.readable_details(&batch.place(), &lines).await?;
            if attempt == 0 {
                self.tell_unreadable(batch, &read.unreadable);
            }
            let outcomes: Vec<Outcome> = read
                .details
                .into_iter()
                .filter(|detail| is_left_behind(detail, sent_at, now))
                .filter_map(|detail| undeliverable(detail, delivery, correlation_id, now))
                .collect();
            if outcomes.is_empty() {
                return Ok(0);
            }
            let count = i64::try_from(outcomes.len()).unwrap_or(i64::MAX);
            let change = CounterChange {
                at: now,
                unprocessed: -count,
                error: count,
                ..CounterChange::default()
            };
            match self.store.record_outcomes(batch, &outcomes, &change).await {
                Ok(()) => {
                    let marked = outcomes.len() as u64;
                    self.metrics.count(Metric::DetailsError, marked);
                    return Ok(marked);
                }
                Err(error) if error.is_transient() && attempt + 1 < TRIES_MAX => {
                    // The details tell whether it took effect all the same.
                    let most = Duration::from_millis(20).saturating_mul(1 << attempt);
                    let pause = self.random.jitter(most.min(PAUSE_MAX));
                    self.clock.sleep(pause).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells of details that cannot be read. They keep those beside them from nothing.
    fn tell_unreadable(&self, batch: &Batch, unreadable: &BTreeSet<LineNumber>) {
        for line in unreadable {
            self.metrics.count(Metric::DetailsUnreadable, 1);
            let detail_id = batch.id.detail(*line);
            tracing::error!(%detail_id, "a detail that cannot be read was not marked");
        }
    }
}

/// When a message was sent.
fn sent_at(delivery: &Delivery) -> Option<DateTime<Utc>> {
    let millis = delivery.attributes.get("SentTimestamp")?;
    DateTime::from_timestamp_millis(millis.parse().ok()?)
}

/// Whether an open detail is as it was when its message was sent, and nobody works on it.
fn is_left_behind(detail: &Detail, sent_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    detail.status.is_open()
        && detail.attempted_at.is_none()
        && detail.next_attempt_at.is_none()
        && detail.waiting_since.is_none()
        && detail.updated_at.timestamp_millis() <= sent_at.timestamp_millis()
        && detail.lease_until.is_none_or(|until| until <= now)
}

/// The outcome that gives a detail to a person; none when its status takes no such step.
fn undeliverable(
    mut detail: Detail,
    delivery: &Delivery,
    correlation_id: &str,
    now: DateTime<Utc>,
) -> Option<Outcome> {
    let leased_version = detail.version;
    let event = DetailEvent::Rejected;
    detail.status = detail.status.after(event).ok()?;
    let words = format!(
        "the message that was to have it sent was received {} times in vain; no call was begun: \
         retry it",
        delivery.receive_count.max(1)
    );
    detail.error_code = Some(ErrorCode::Undeliverable.code().to_owned());
    detail.error_description = Some(words.chars().take(Detail::ERROR_CHARACTERS_MAX).collect());
    detail.error_at = Some(now);
    detail.next_attempt_at = None;
    detail.waiting_since = None;
    detail.lease_until = None;
    detail.version = leased_version + 1;
    detail.events += 1;
    detail.updated_at = now;
    Some(Outcome {
        leased_version,
        event: Event {
            name: event.name().to_owned(),
            actor: None,
            correlation_id: correlation_id.to_owned(),
            calls: Vec::new(),
            detail,
        },
    })
}

/// What is told of a message that died, after what was told of it before: that says more, so it stays first,
/// and what has no room is cut at the end.
fn told_after(before: Option<&str>, why: String) -> String {
    match before {
        None | Some("") => why,
        Some(before) if before.ends_with(&why) => before.to_owned(),
        Some(before) => format!("{before}; {why}"),
    }
}

/// Why a message is among the dead letters, as far as that can be known there.
fn why(delivery: &Delivery) -> String {
    let source = delivery.attributes.get("DeadLetterQueueSourceArn");
    let source = source.and_then(|arn| arn.rsplit(':').next());
    let from = match source {
        Some(source) => format!("from the queue {source}, by {}", delivery.queue_name()),
        None => format!("from {}", delivery.queue_name()),
    };
    format!(
        "taken {from}, after it was received {} times and could not be dealt with: the function's log \
         tells why, under its correlation id",
        delivery.receive_count.max(1)
    )
}
