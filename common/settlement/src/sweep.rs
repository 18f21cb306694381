//! Finds what nothing is working on, and wakes it.
//!
//! Messages can get lost: a crash between a write and its message, a queue that was emptied. What is
//! open stands in sparse indexes, so a sweep reads little: the open files and batches, and of a batch
//! that has been quiet the details. Waking something that is being worked on does no harm, nor do two
//! sweeps at once: a message only wakes, and a batch is ended by a conditional write.
//!
//! What is due later than a queue holds a message back has none: waking it is the rule, and counted as
//! such. So is waking a detail that was never put off while its message may still come: a breaker sends
//! a later one and writes nothing, and what was handed back is seen again after a while. Everything else
//! that is woken had a message and lost it, or stood still otherwise, which is counted as swept.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use weir_domain::{BatchAction, BatchId, BatchStatus, FileId, FileStatus, LineNumber};
use weir_runtime::{Clock, Metric, Metrics, Random, Reader};
use weir_store::{
    Batch, BatchTask, BatchTaskMessage, DELAY_MAX, Detail, DetailsMessage, Store, StoreError,
    UploadContinuation,
};

use crate::TimeLimit;
use crate::process::put_off_with_message;
use crate::upload::{UploadError, Uploader, patience};

/// Lines read at a time of a batch: whole shards of most batches.
const LINES_AT_A_TIME: u32 = 10_000;
/// For how much longer than it takes to be quiet a message may be held back or out of sight: by the longest
/// delay and a quarter, which is more than a function may keep it.
const MESSAGE_LATE_MAX: Duration = Duration::from_secs(DELAY_MAX.as_secs() * 5 / 4);
/// What must be left of the time to look at another file or batch.
const TIME_KEPT: Duration = Duration::from_secs(5);

/// When something counts as standing still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepOptions {
    /// A file or batch that has not changed for so long.
    pub quiet: Duration,
    /// The same for a batch while the queue is long: its messages are probably still in it.
    pub quiet_behind_queue: Duration,
    /// From how many messages on the queue is long.
    pub queue_long: u64,
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self {
            quiet: Duration::from_mins(3),
            quiet_behind_queue: Duration::from_hours(1),
            queue_long: 100,
        }
    }
}

impl SweepOptions {
    /// Reads `WEIR_SWEEP_QUIET` (180 s), `WEIR_SWEEP_QUIET_BEHIND_QUEUE` (3 600 s) and
    /// `WEIR_SWEEP_QUEUE_LONG` (100 messages), all optional.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            quiet: reader.seconds("WEIR_SWEEP_QUIET", 180, 0..=86_400),
            quiet_behind_queue: reader.seconds("WEIR_SWEEP_QUIET_BEHIND_QUEUE", 3_600, 0..=86_400),
            queue_long: reader.integer_in("WEIR_SWEEP_QUEUE_LONG", 100, 0..=1_000_000),
        }
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Files put on their queue again.
    pub files: u64,
    /// Details put on their queue again whose message was lost.
    pub details: u64,
    /// Details put on their queue that were due later than a queue holds a message back, and had none, or
    /// whose message may still come.
    pub details_on_time: u64,
    /// Batches whose task was put on its queue again.
    pub tasks: u64,
    /// Batches that were done without having been ended.
    pub batches_completed: u64,
    /// Whether everything open was looked at.
    pub complete: bool,
}

/// The collaborators of sweeping.
#[derive(Debug, Clone)]
pub struct Sweeper {
    /// Tables and queues.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Where a run begins.
    pub random: Random,
    /// Counts.
    pub metrics: Metrics,
    /// When something counts as standing still.
    pub options: SweepOptions,
}

/// Why nothing could be swept at all.
#[derive(Debug, Clone, thiserror::Error)]
#[error("what is open could not be listed: {0}")]
pub struct SweepError(#[from] StoreError);

impl Sweeper {
    /// Looks at everything that is open, as far as time allows. What cannot be read is logged and
    /// passed over: it must not keep the rest waiting.
    pub async fn sweep(&self, limit: &TimeLimit) -> Result<Swept, SweepError> {
        let mut swept = Swept::default();
        let files = self.sweep_files(&mut swept, limit).await;
        let batches = self.sweep_batches(&mut swept, limit).await;
        let (files, batches) = (files?, batches?);
        swept.complete = files && batches;
        let count = swept.files + swept.details + swept.tasks + swept.batches_completed;
        self.metrics.count(Metric::Swept, count);
        let on_time = swept.details_on_time;
        self.metrics.count(Metric::DetailsWoken, on_time);
        if !swept.complete {
            tracing::error!(
                ?swept,
                "there was no time to look at everything that is open"
            );
        } else if count > 0 || on_time > 0 {
            tracing::info!(?swept, "swept");
        }
        Ok(swept)
    }

    async fn sweep_files(&self, swept: &mut Swept, limit: &TimeLimit) -> Result<bool, SweepError> {
        let mut after = None;
        loop {
            let ids = self.store.open_files(after).await?;
            after = ids.last().copied();
            if ids.is_empty() {
                return Ok(true);
            }
            for id in ids {
                if !limit.allows(TIME_KEPT) {
                    return Ok(false);
                }
                match self.sweep_file(id).await {
                    Ok(woken) => swept.files += u64::from(woken),
                    Err(error) => tracing::error!(file_id = %id, %error, "a file was not swept"),
                }
            }
        }
    }

    async fn sweep_file(&self, id: FileId) -> Result<bool, UploadError> {
        let uploader = Uploader {
            store: self.store.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        let Some(file) = self.store.file(id).await? else {
            return Ok(false);
        };
        let leased = file
            .lease_until
            .is_some_and(|until| until > self.clock.now());
        let quiet = self.options.quiet.saturating_mul(patience(&file));
        if leased || !self.is_quiet(file.updated_at, quiet) {
            return Ok(false);
        }
        uploader.wake(&file).await?;
        Ok(true)
    }

    fn is_quiet(&self, since: DateTime<Utc>, quiet: Duration) -> bool {
        let quiet = TimeDelta::from_std(quiet).unwrap_or(TimeDelta::MAX);
        self.clock.now() - since >= quiet
    }

    async fn sweep_batches(
        &self,
        swept: &mut Swept,
        limit: &TimeLimit,
    ) -> Result<bool, SweepError> {
        let quiet = if self.store.details_queue_length().await? >= self.options.queue_long {
            self.options.quiet_behind_queue
        } else {
            self.options.quiet
        };
        let mut after = None;
        loop {
            let mut ids = self.store.open_batches(after).await?;
            after = ids.last().copied();
            if ids.is_empty() {
                return Ok(true);
            }
            // Each run begins elsewhere, so that where time runs out it is not always the same
            // ones that go without.
            let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            ids.rotate_left(usize::try_from(self.random.below(count)).unwrap_or(0));
            for id in ids {
                if !limit.allows(TIME_KEPT) {
                    return Ok(false);
                }
                if let Err(error) = self.sweep_batch(id, quiet, swept, limit).await {
                    tracing::error!(batch_id = %id, %error, "a batch was not swept");
                }
            }
        }
    }

    async fn sweep_batch(
        &self,
        id: BatchId,
        quiet: Duration,
        swept: &mut Swept,
        limit: &TimeLimit,
    ) -> Result<(), StoreError> {
        let Some(batch) = self.store.batch(id).await? else {
            return Ok(());
        };
        if let Some(task) = &batch.task {
            // Its message waits behind no others: a queue that is long is no reason to be patient.
            if self.is_quiet(batch.updated_at, self.options.quiet) {
                self.wake_task(&batch, task).await?;
                swept.tasks += 1;
            }
            return Ok(());
        }
        if batch.status != BatchStatus::Unprocessed || !self.is_quiet(batch.updated_at, quiet) {
            return Ok(());
        }
        if batch.counters.unprocessed == 0 {
            let completed = self.store.complete_batch(&batch, self.clock.now()).await?;
            swept.batches_completed += u64::from(completed);
            if completed && batch.counters.error > 0 {
                self.metrics.count(Metric::BatchesError, 1);
            }
        } else if let Some(since) = self.standing_since(&batch, quiet).await? {
            self.wake_details(&batch, since, quiet, swept, limit)
                .await?;
        }
        Ok(())
    }

    /// Has what is being done to a whole batch gone on with.
    async fn wake_task(&self, batch: &Batch, task: &BatchTask) -> Result<(), StoreError> {
        tracing::info!(batch_id = %batch.id, action = %task.action, "a batch's task is woken");
        if task.action == BatchAction::Retake {
            let next = UploadContinuation::of_batch(batch);
            return self.store.send_continuation(&next).await;
        }
        let message = BatchTaskMessage::of(batch);
        self.store.send_batch_task(&message, Duration::ZERO).await
    }

    /// Since when nothing has come of a quiet batch. A batch whose file is not on the queue yet is the
    /// upload's business, and one whose file has just come there is older than its messages.
    async fn standing_since(
        &self,
        batch: &Batch,
        quiet: Duration,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let file = self.store.file(batch.id.file()).await?;
        let file = file.filter(|file| file.status == FileStatus::Processed);
        Ok(file
            .map(|file| file.processed_at.unwrap_or(file.updated_at))
            .filter(|sent_at| self.is_quiet(*sent_at, quiet))
            .map(|sent_at| sent_at.max(batch.updated_at)))
    }

    /// Wakes what is due of a batch, as far as time allows.
    async fn wake_details(
        &self,
        batch: &Batch,
        since: DateTime<Utc>,
        quiet: Duration,
        swept: &mut Swept,
        limit: &TimeLimit,
    ) -> Result<(), StoreError> {
        let is_message_lost = self.is_quiet(since, quiet.saturating_add(MESSAGE_LATE_MAX));
        let now = self.clock.now();
        let last = u32::try_from(batch.counters.details).unwrap_or(u32::MAX);
        let group = batch
            .seller_id
            .map(|seller| seller.to_string())
            .unwrap_or_default();
        let mut first = 1;
        while first <= last && limit.allows(TIME_KEPT) {
            let to = first.saturating_add(LINES_AT_A_TIME - 1).min(last);
            let (Ok(from), Ok(until)) = (LineNumber::new(first), LineNumber::new(to)) else {
                break;
            };
            // What cannot be read keeps nobody else waiting. It is told, at every sweep, until it is mended.
            let read = self
                .store
                .readable_details_in_lines(&batch.place(), from, until)
                .await?;
            for line in &read.unreadable {
                self.metrics.count(Metric::DetailsUnreadable, 1);
                let detail_id = batch.id.detail(*line);
                tracing::error!(%detail_id, "a detail that cannot be read is not woken");
            }
            let mut due: Vec<LineNumber> = Vec::new();
            for detail in &read.details {
                match standing(detail, now, quiet, is_message_lost) {
                    Standing::Left => continue,
                    Standing::OnTime => swept.details_on_time += 1,
                    Standing::Still => swept.details += 1,
                }
                due.push(detail.line());
            }
            let messages: Vec<_> = DetailsMessage::for_lines(batch.id, &due, &batch.correlation_id)
                .map(|message| (message, Duration::ZERO))
                .collect();
            self.store.send_details(&group, &messages).await?;
            first = to.saturating_add(1);
        }
        Ok(())
    }
}

/// How a detail of a quiet batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is not open, somebody works on it, it is not due, or is left to its message.
    Left,
    /// It is due, and nobody else was to wake it, or its message may be late.
    OnTime,
    /// Its message should have come.
    Still,
}

/// `is_message_lost` tells whether a message that was sent when the batch was last heard of has had all
/// the time it may take.
fn standing(
    detail: &Detail,
    now: DateTime<Utc>,
    quiet: Duration,
    is_message_lost: bool,
) -> Standing {
    let is_leased = detail.lease_until.is_some_and(|until| until > now);
    if !detail.status.is_open() || is_leased {
        return Standing::Left;
    }
    // Its message was sent at once, but may have been sent again later, or handed back.
    let Some(due_at) = detail.next_attempt_at else {
        return if is_message_lost {
            Standing::Still
        } else {
            Standing::OnTime
        };
    };
    if due_at > now {
        return Standing::Left;
    }
    let Some(put_off) = put_off_with_message(detail, due_at) else {
        return Standing::OnTime;
    };
    // A message is shared, and may come late by a quarter of the pause.
    let quiet = TimeDelta::from_std(quiet).unwrap_or(TimeDelta::MAX);
    if now - due_at >= quiet.checked_add(&(put_off / 4)).unwrap_or(quiet) {
        Standing::Still
    } else {
        Standing::Left
    }
}
