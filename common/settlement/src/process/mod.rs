//! Sends details to 3Rivers and records what came of each: never twice, settled in the end.
//!
//! A message wakes a group of details of one batch. For each that is due:
//!
//! 1. A lease is taken by a conditional write that also notes, before the first call, that a call
//!    is begun ([`Detail::attempted_at`]).
//! 2. The call carries a key that depends on nothing but the detail and the version of its
//!    request. Whatever is repeated, is repeated under that key and with the same body.
//! 3. The outcomes of the group are one transaction: details, events, the batch's counters.
//! 4. A call whose outcome was lost (a crash, no answer) is repeated under its key for as long as
//!    the key is surely valid, and given to a person after that.
//!
//! What is due is state in the tables. Messages only wake: one that is late, repeated or lost
//! costs time, never money. So a group that cannot be worked on now ends its message and sends a
//! later one, and fails it only when its state could not be read or written.

mod call;
mod charge;
mod decide;
mod key;
mod lease;
mod options;
mod outcome;
mod record;
mod wake;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;
use weir_domain::{BatchId, BatchStatus, LineNumber, SellerId};
use weir_runtime::{Clock, CorrelationId, Metric, Metrics, Random};
use weir_store::{Batch, Detail, DetailsMessage, Payload, Store, StoreError};
use weir_three_rivers::{ApiKey, Breakers, Client};

use crate::TimeLimit;
use crate::credentials::{Credentials, NoKey};
use call::CallResult;
use decide::{Decision, decide};
use lease::Leased;
pub use options::ProcessOptions;
pub(crate) use wake::put_off_with_message;
use wake::{Wakes, with_message};
use watch::CancelWatch;

/// How long finished outcomes wait for others to share their transaction.
const OUTCOMES_WAIT: Duration = Duration::from_millis(500);

/// A message that comes earlier than this before its detail is due is not sent again.
const EARLY_MAX: TimeDelta = TimeDelta::minutes(1);

/// Why a message was not dealt with and is to come again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProcessError {
    /// The tables or queues could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message for a batch that does not exist: it will end in the dead letters.
    #[error("there is no batch {0}")]
    NoBatch(weir_domain::BatchId),
    /// Too little time is left of the invocation for a single call.
    #[error(
        "the invocation has too little time left for a call: it needs more than WEIR_CALL_TIMEOUT"
    )]
    NoTime,
    /// A message with no lines, or with too many.
    #[error("a message must name 1 to {max} lines, not {0}", max = DetailsMessage::LINES_MAX)]
    Lines(usize),
    /// A batch that has details but no seller.
    #[error("the batch {0} has no seller")]
    NoSeller(weir_domain::BatchId),
    /// What is kept of some details cannot be read; the others are done.
    #[error("what is kept of {0} details cannot be read")]
    Unreadable(usize),
    /// Some details could not be leased, or the charges of some refunds not be looked up; the others
    /// are done.
    #[error("{count} details could not be taken: {reason}")]
    NotLeased {
        /// How many.
        count: usize,
        /// What the first one met.
        reason: String,
    },
}

/// The collaborators of processing. Clones share all of them.
#[derive(Debug, Clone)]
pub struct Processor {
    /// Tables and queues.
    pub store: Store,
    /// The platform.
    pub platform: Client,
    /// One breaker for each set of credentials.
    pub breakers: Breakers,
    /// Whose key is used.
    pub credentials: Credentials,
    /// Time.
    pub clock: Clock,
    /// Jitter.
    pub random: Random,
    /// Counts.
    pub metrics: Metrics,
    /// Limits and pauses.
    pub options: ProcessOptions,
    /// Bounds the calls that are under way at the same time in this process.
    pub calls: Arc<Semaphore>,
}

/// What all details of a group share.
struct Group<'a> {
    batch: &'a Batch,
    seller: SellerId,
    /// Without it nothing is sent.
    key: Result<ApiKey, NoKey>,
    correlation_id: &'a CorrelationId,
    limit: &'a TimeLimit,
    watch: CancelWatch,
}

impl Processor {
    /// Deals with one message: every detail in it that is due is sent, unless time runs short.
    ///
    /// `Ok` says that the message is done with: each of its details has an outcome, or does not
    /// need this message any more. An error hands it back to the queue.
    pub async fn process(
        &self,
        message: &DetailsMessage,
        correlation_id: &CorrelationId,
        limit: &TimeLimit,
    ) -> Result<(), ProcessError> {
        // Keys that are old are read again beside the work, which does not wait for them.
        let work = self.process_message(message, correlation_id, limit);
        let fresh = Box::pin(self.credentials.keep_fresh());
        let (done, ()) = join(work, fresh).await;
        done
    }

    async fn process_message(
        &self,
        message: &DetailsMessage,
        correlation_id: &CorrelationId,
        limit: &TimeLimit,
    ) -> Result<(), ProcessError> {
        let count = message.lines.len();
        if count == 0 || count > DetailsMessage::LINES_MAX {
            return Err(ProcessError::Lines(count));
        }
        let asked_at = self.clock.monotonic();
        let batch = self.store.batch(message.batch_id).await?;
        let batch = batch.ok_or(ProcessError::NoBatch(message.batch_id))?;
        // Whoever cancels it turns what is left of it.
        if watch::is_cancelling(&batch) {
            return Ok(());
        }
        let group = Group {
            seller: batch.seller_id.ok_or(ProcessError::NoSeller(batch.id))?,
            key: self.credentials.of(batch.client_id).await,
            batch: &batch,
            correlation_id,
            limit,
            watch: CancelWatch::new(&self.store, &self.clock, &batch, asked_at),
        };
        // Without the time for one call, nothing but leases would come and go.
        if !limit.allows(self.options.call_needs()) {
            return Err(ProcessError::NoTime);
        }
        let now = self.clock.now();
        let breaker = group.key.as_ref().ok().map(|key| self.breakers.of(key));
        if let Some(until) = breaker.and_then(|breaker| breaker.wait_until(now)) {
            let mut wakes = Wakes::new(now);
            // Nothing is written of this: without a message nobody would know that they wait.
            wakes.add_all(&message.lines, with_message(now, until));
            return Ok(self.send_wakes(&group, &wakes).await?);
        }
        self.process_group(&group, &message.lines).await
    }

    async fn process_group(
        &self,
        group: &Group<'_>,
        lines: &[LineNumber],
    ) -> Result<(), ProcessError> {
        let now = self.clock.now();
        let mut wakes = Wakes::new(now);
        let mut outcomes = Vec::new();
        let mut wanted = Vec::new();
        let place = group.batch.place();
        let read = self.store.readable_details_with_payloads(&place, lines);
        let (details, mut unreadable) = read.await?;
        for (line, (detail, payload)) in details {
            match decide(&detail, now, &self.options) {
                Decision::Nothing => {}
                // Whoever put it off further has sent a later message, or left it to the sweeper.
                Decision::NotBefore(until) if until - now > EARLY_MAX => {}
                Decision::NotBefore(until) => wakes.add(line, until),
                Decision::GiveUp(ended) => outcomes.push(self.give_up(group, detail, &ended, now)),
                Decision::Send => match self.payload_of(group, &detail, payload).await {
                    Ok(payload) => wanted.push((detail, payload)),
                    Err(StoreError::Corrupt { .. }) => drop(unreadable.insert(line)),
                    Err(error) => return Err(error.into()),
                },
            }
        }
        let taken = self.take_leases(group, wanted, now, &mut wakes, &mut outcomes);
        let taken = taken.await?;
        // From here on every step runs, whatever became of the others: what is leased is sent.
        let given_up = self.record_all(group, outcomes, &mut wakes).await;
        let settled = self.send_all(group, taken.leased, &mut wakes).await;
        let woken = self.send_wakes(group, &wakes).await;
        self.complete(group).await;
        given_up?;
        settled?;
        woken?;
        taken.failure.map_or(Ok(()), Err)?;
        self.tell_unreadable(group, unreadable)
    }

    /// Hands a message back, in the end to the dead letters, some lines of which cannot be read: all
    /// others of it are done.
    fn tell_unreadable(
        &self,
        group: &Group<'_>,
        unreadable: BTreeSet<LineNumber>,
    ) -> Result<(), ProcessError> {
        let count = unreadable.len();
        for line in unreadable {
            self.metrics.count(Metric::DetailsUnreadable, 1);
            let detail_id = group.batch.id.detail(line);
            tracing::error!(%detail_id, "a detail that cannot be read was not sent");
        }
        match count {
            0 => Ok(()),
            count => Err(ProcessError::Unreadable(count)),
        }
    }

    /// The payload of the version that is to be sent: mostly the first, which came with the detail.
    async fn payload_of(
        &self,
        group: &Group<'_>,
        detail: &Detail,
        first: Payload,
    ) -> Result<Payload, StoreError> {
        if detail.request_version <= 1 {
            return Ok(first);
        }
        let place = group.batch.place();
        let payload = self
            .store
            .payload(&place, detail.line(), detail.request_version)
            .await?;
        Ok(payload.unwrap_or_default())
    }

    /// Sends what is leased, and records outcomes as they come, several together.
    async fn send_all(
        &self,
        group: &Group<'_>,
        leased: Vec<Leased>,
        wakes: &mut Wakes,
    ) -> Result<(), ProcessError> {
        let mut calls: FuturesUnordered<_> = leased
            .into_iter()
            .map(|leased| self.send(group, leased))
            .collect();
        let mut outcomes = Vec::new();
        let mut released = Vec::new();
        let mut failure = None;
        loop {
            let next = if outcomes.is_empty() {
                Ok(calls.next().await)
            } else {
                self.clock.timeout(OUTCOMES_WAIT, calls.next()).await
            };
            match next {
                Ok(Some(CallResult::Outcome(outcome))) => outcomes.push(*outcome),
                Ok(Some(CallResult::Released { mut lease, until })) => {
                    let now = self.clock.now();
                    let until = with_message(now, until);
                    lease.after.next_attempt_at = Some(until);
                    wakes.add_set_at(lease.line, now, until);
                    released.push(*lease);
                }
                Ok(None) => break,
                // A failure must not cost the calls that are under way their outcomes.
                Err(_) => {
                    let together = std::mem::take(&mut outcomes);
                    if let Err(error) = self.record_all(group, together, wakes).await {
                        failure.get_or_insert(error);
                    }
                }
            }
        }
        // Giving a lease back spares others the wait for its end; failing to costs no more.
        if !released.is_empty() {
            let _ = self
                .store
                .change_leases(&group.batch.place(), &released)
                .await;
        }
        let recorded = self.record_all(group, outcomes, wakes).await;
        failure.map_or(recorded, Err)
    }

    /// Ends the batch when nothing of it is open any more. Should it fail, the sweeper ends it.
    async fn complete(&self, group: &Group<'_>) {
        if let Err(error) = self.try_complete(group.batch.id).await {
            tracing::warn!(batch_id = %group.batch.id, %error, "a batch could not be ended yet");
        }
    }

    async fn try_complete(&self, id: BatchId) -> Result<(), StoreError> {
        let Some(batch) = self.store.batch(id).await? else {
            return Ok(());
        };
        if batch.status == BatchStatus::Unprocessed
            && batch.counters.unprocessed == 0
            && self.store.complete_batch(&batch, self.clock.now()).await?
        {
            if batch.counters.error > 0 {
                self.metrics.count(Metric::BatchesError, 1);
            }
            tracing::info!(
                batch_id = %batch.id,
                details = batch.counters.details,
                errors = batch.counters.error,
                "the batch is done"
            );
        }
        Ok(())
    }
}
