//! Actions on whole batches: begun by a note on the batch, carried on until they are done.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::Instrument;
use weir_domain::{BatchAction, BatchId, BatchStatus, LineNumber};
use weir_runtime::{CorrelationId, Metric, telemetry::span};
use weir_store::{
    AskedRecord, Batch, BatchTask, BatchTaskMessage, ChangedBy, Detail, DetailChange, StoreError,
    UploadContinuation,
};

use super::apply::{Change, was_done};
use super::named::is_sending;
use super::step::{Reach, Refusal, Step, step};
use super::{ActionError, Actions, Asked};
use crate::TimeLimit;

/// Lines that are read together: whole shards of most batches.
const LINES_TOGETHER: u32 = 5_000;
/// What must be left of the time to go on.
const TIME_KEPT: Duration = Duration::from_secs(3);
/// How often details whose calls are under way are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How often the beginning or end of a task is tried.
const TASK_TRIES_MAX: u32 = 20;
/// For how long a run waits for them before it leaves them to another.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Most lines that a task notes as left out, each with a line of the log. What is beyond them is left out
/// too, and each run says only how many it met.
const LEFT_OUT_MAX: usize = 1_000;

/// What a run of a task has met that is not as it should be for it.
struct Seen {
    /// Details on which a call is under way, and until when.
    awaited: Vec<(LineNumber, DateTime<Utc>)>,
    /// Lines of which what is kept cannot be read.
    left_out: BTreeSet<u32>,
    /// More of them than are noted.
    beyond: BTreeSet<u32>,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskProgress {
    /// It is done, or there was none.
    Done,
    /// Time ran short; a message carries it on.
    Continued,
}

impl Actions {
    /// Applies an action to all of a batch that it is for, as far as the time allows, and gives the
    /// batch as it is then. What is left is carried on without the request; a cancel holds from a
    /// second after this returns, whatever is left.
    ///
    /// A cancel takes the place of a retry or of what is done to drafts: what these have not come to is
    /// left as it is, and what they have opened is cancelled.
    ///
    /// # Errors
    /// [`ActionError::Busy`] while something else is done to the whole batch.
    pub async fn act_on_all(
        &self,
        batch: &Batch,
        action: BatchAction,
        asked: &Asked,
        limit: &TimeLimit,
    ) -> Result<Batch, ActionError> {
        if let Some(task) = batch.task.as_ref().filter(|task| asked.id != Some(task.id))
            && !gives_way(task.action, action)
        {
            return Err(ActionError::Busy(task.action));
        }
        let is_done = asked.id.is_some() && asked.id == batch.last_task;
        if is_done || (batch.task.is_none() && is_nothing_to_do(batch, action)) {
            return Ok(batch.clone());
        }
        let task = self.task(action, asked);
        if !self.begin(batch, &task).await? {
            return self.settled(batch.id).await;
        }
        tracing::info!(batch_id = %batch.id, %action, actor = task.actor, "a batch's task begins");
        // Whatever becomes of the rest, the task stands: it is carried on by the queue or the sweeper.
        match self.go_on(batch.id, limit).await {
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(batch_id = %batch.id, %error, "a batch's task is to be carried on");
                self.carry_on(batch, Duration::from_secs(1)).await;
            }
        }
        self.settled(batch.id).await
    }

    /// Has a batch taken again, from its file, that could not be taken; gives it as it is then. The
    /// upload function does it.
    ///
    /// # Errors
    /// [`ActionError::Busy`] while it is being taken already.
    pub async fn retake(&self, batch: &Batch, asked: &Asked) -> Result<Batch, ActionError> {
        let task = self.task(BatchAction::Retake, asked);
        if self.begin(batch, &task).await? {
            let next = UploadContinuation::of_batch(batch);
            if let Err(error) = self.store.send_continuation(&next).await {
                tracing::warn!(batch_id = %batch.id, %error, "a batch is left to the sweeper to take");
            }
        }
        let missing = ActionError::NoBatch(batch.id);
        self.store.batch(batch.id).await?.ok_or(missing)
    }

    fn task(&self, action: BatchAction, asked: &Asked) -> BatchTask {
        let now = self.clock.now();
        BatchTask {
            id: asked.id.unwrap_or_else(|| self.random.uuid_v7(now)),
            action,
            actor: asked.actor.clone(),
            correlation_id: asked.correlation_id.clone(),
            at: now,
            next_line: 1,
            checkpoint: None,
            changed: 0,
            left_out: BTreeSet::new(),
        }
    }

    /// Begins a task of a batch, as it was seen or as it is by now; `false` when it has ended, which is
    /// then the end of it: something else may have taken its place, and must not be undone by a repeat.
    async fn begin(&self, batch: &Batch, task: &BatchTask) -> Result<bool, ActionError> {
        let mut seen = batch.clone();
        for tries in 0..TASK_TRIES_MAX {
            if seen.last_task == Some(task.id) {
                return Ok(false);
            }
            match &seen.task {
                Some(other) if other.id == task.id => return Ok(true),
                Some(other) if !gives_way(other.action, task.action) => {
                    return Err(ActionError::Busy(other.action));
                }
                _ => {}
            }
            match self.store.begin_task(&seen, task).await {
                Ok(true) => return Ok(true),
                Ok(false) if self.has_ended(&seen, task).await? => return Ok(false),
                // It was taken meanwhile, or never was in a state to be.
                Ok(false) if task.action == BatchAction::Retake && tries > 0 => break,
                Ok(false) => {}
                Err(error) if error.is_transient() && tries + 1 < TASK_TRIES_MAX => {
                    self.pause_after(tries).await;
                }
                Err(error) => return Err(error.into()),
            }
            let found = self.store.batch(batch.id).await?;
            seen = found.ok_or(ActionError::NoBatch(batch.id))?;
        }
        let other = seen.task.map_or(task.action, |task| task.action);
        Err(ActionError::Busy(other))
    }

    async fn has_ended(&self, batch: &Batch, task: &BatchTask) -> Result<bool, ActionError> {
        let record = AskedRecord::of_task(batch, task);
        let before = self.store.asked_before(&record).await?;
        Ok(before.is_some_and(|before| before.ended_at.is_some()))
    }

    /// Goes on with the task of a batch, if there is one. Any number of calls, at any time, come to
    /// the same end.
    pub async fn go_on(&self, id: BatchId, limit: &TimeLimit) -> Result<TaskProgress, ActionError> {
        let batch = self
            .store
            .batch(id)
            .await?
            .ok_or(ActionError::NoBatch(id))?;
        let Some(task) = batch.task.clone() else {
            return Ok(TaskProgress::Done);
        };
        // From here on the logs tell of the request, not of the message that led here.
        let span = match CorrelationId::new(task.correlation_id.as_str()) {
            Ok(id) => span(&id),
            Err(_) => tracing::Span::current(),
        };
        match self.run(&batch, &task, limit).instrument(span).await {
            // Somebody else has ended it.
            Err(ActionError::TaskOver) => Ok(TaskProgress::Done),
            done => done,
        }
    }

    async fn run(
        &self,
        batch: &Batch,
        task: &BatchTask,
        limit: &TimeLimit,
    ) -> Result<TaskProgress, ActionError> {
        let mut seen = Seen {
            awaited: Vec::new(),
            left_out: task.left_out.clone(),
            beyond: BTreeSet::new(),
        };
        let progress = self.run_on(batch, task, limit, &mut seen).await;
        let count = seen.beyond.len() as u64;
        if count > 0 {
            self.metrics.count(Metric::DetailsUnreadable, count);
            tracing::error!(
                batch_id = %batch.id,
                action = %task.action,
                count,
                "more details that cannot be read were left out than are named"
            );
        }
        progress
    }

    async fn run_on(
        &self,
        batch: &Batch,
        task: &BatchTask,
        limit: &TimeLimit,
        seen: &mut Seen,
    ) -> Result<TaskProgress, ActionError> {
        let asked = Asked {
            actor: task.actor.clone(),
            correlation_id: task.correlation_id.clone(),
            id: Some(task.id),
        };
        let change = Change {
            batch,
            action: task.action,
            reach: Reach::Whole,
            asked: &asked,
            by: ChangedBy {
                record: AskedRecord::of_task(batch, task),
                task: Some(task.id),
            },
        };
        let last = u32::try_from(batch.counters.details).unwrap_or(u32::MAX);
        let mut next = task.next_line.max(1);
        while next <= last {
            let to = next.saturating_add(LINES_TOGETHER - 1).min(last);
            let stopped_at = self.lines(&change, (next, to), limit, seen).await?;
            if let Some(stopped_at) = stopped_at {
                // What is awaited comes again with its lines.
                let first = seen.awaited.iter().map(|(line, _)| line.get()).min();
                let from = first.map_or(stopped_at, |first| first.min(stopped_at));
                return self.pause(batch, task, seen, from, Duration::ZERO).await;
            }
            next = to.saturating_add(1);
            if seen.awaited.is_empty() && next <= last {
                self.advance(batch.id, task, seen, next).await?;
            }
        }
        if let Some((first, until)) = self.await_calls(&change, seen, limit).await? {
            let wait = (until - self.clock.now()).to_std().unwrap_or_default();
            let wait = wait.max(Duration::from_secs(1));
            return self.pause(batch, task, seen, first.get(), wait).await;
        }
        self.end(batch.id, task, &seen.left_out).await?;
        Ok(TaskProgress::Done)
    }

    /// Deals with some lines; gives the first that there was no time for, if any.
    async fn lines(
        &self,
        change: &Change<'_>,
        (from, to): (u32, u32),
        limit: &TimeLimit,
        seen: &mut Seen,
    ) -> Result<Option<u32>, ActionError> {
        let (Ok(first), Ok(last)) = (LineNumber::new(from), LineNumber::new(to)) else {
            return Ok(None);
        };
        let place = change.batch.place();
        let now = self.clock.now();
        let read = self
            .store
            .readable_details_in_lines(&place, first, last)
            .await?;
        self.leave_out(change, seen, read.unreadable);
        let is_meant = |detail: &&Detail| {
            !was_done(change.action, detail, change.asked)
                && !matches!(
                    step(change.action, detail, Reach::Whole, now),
                    Step::Refused(_)
                )
        };
        let lines: Vec<LineNumber> = read
            .details
            .iter()
            .filter(is_meant)
            .map(Detail::line)
            .collect();
        for together in lines.chunks(DetailChange::TOGETHER_MAX) {
            if !limit.allows(TIME_KEPT) {
                return Ok(together.first().map(|line| line.get()));
            }
            let applied = self.apply(change, together).await?;
            seen.awaited.extend(applied.on_their_way);
            self.leave_out(change, seen, unreadable(&applied.refused));
            if is_sending(change.action) {
                self.wake(change.batch, &applied.changed, &change.asked.correlation_id)
                    .await;
            }
        }
        Ok(None)
    }

    /// Waits, for a while, for calls that are under way, and deals with what they leave. Gives the
    /// first line that is left, and when its call has surely ended.
    async fn await_calls(
        &self,
        change: &Change<'_>,
        seen: &mut Seen,
        limit: &TimeLimit,
    ) -> Result<Option<(LineNumber, DateTime<Utc>)>, ActionError> {
        let begun = self.clock.monotonic();
        while !seen.awaited.is_empty() {
            let awaited = &mut seen.awaited;
            let waited = self.clock.monotonic().saturating_sub(begun);
            if waited >= WAIT_MAX || !limit.allows(TIME_KEPT + LOOK_AGAIN) {
                let first = awaited.iter().map(|(line, _)| *line).min();
                let until = awaited.iter().map(|(_, until)| *until).min();
                return Ok(first.zip(until));
            }
            self.clock.sleep(LOOK_AGAIN).await;
            let lines: Vec<LineNumber> = awaited.iter().map(|(line, _)| *line).collect();
            awaited.clear();
            for together in lines.chunks(DetailChange::TOGETHER_MAX) {
                let applied = self.apply(change, together).await?;
                seen.awaited.extend(applied.on_their_way);
                self.leave_out(change, seen, unreadable(&applied.refused));
            }
        }
        Ok(None)
    }

    /// Notes lines of which what is kept cannot be read, and tells of those that are new.
    fn leave_out(
        &self,
        change: &Change<'_>,
        seen: &mut Seen,
        lines: impl IntoIterator<Item = LineNumber>,
    ) {
        for line in lines {
            if seen.left_out.contains(&line.get()) {
                continue;
            }
            if seen.left_out.len() >= LEFT_OUT_MAX {
                seen.beyond.insert(line.get());
                continue;
            }
            seen.left_out.insert(line.get());
            self.metrics.count(Metric::DetailsUnreadable, 1);
            let detail_id = change.batch.id.detail(line);
            tracing::error!(%detail_id, action = %change.action, "a detail that cannot be read was left out");
        }
    }

    async fn advance(
        &self,
        batch: BatchId,
        task: &BatchTask,
        seen: &Seen,
        next_line: u32,
    ) -> Result<(), ActionError> {
        let now = self.clock.now();
        if self
            .store
            .advance_task(batch, task.id, next_line, None, &seen.left_out, now)
            .await?
        {
            Ok(())
        } else {
            Err(ActionError::TaskOver)
        }
    }

    async fn pause(
        &self,
        batch: &Batch,
        task: &BatchTask,
        seen: &Seen,
        next_line: u32,
        wait: Duration,
    ) -> Result<TaskProgress, ActionError> {
        self.advance(batch.id, task, seen, next_line).await?;
        self.carry_on(batch, wait).await;
        Ok(TaskProgress::Continued)
    }

    /// Has the task gone on with later. Should it fail, the sweeper does.
    async fn carry_on(&self, batch: &Batch, wait: Duration) {
        let sent = self.wake_task(batch, wait).await;
        if let Err(error) = sent {
            tracing::warn!(batch_id = %batch.id, %error, "a task is left to the sweeper");
        }
    }

    /// Puts a message on the queue that carries a batch's task on.
    pub(crate) async fn wake_task(&self, batch: &Batch, wait: Duration) -> Result<(), StoreError> {
        let message = BatchTaskMessage::of(batch);
        self.store.send_batch_task(&message, wait).await
    }

    async fn end(
        &self,
        id: BatchId,
        task: &BatchTask,
        left_out: &BTreeSet<u32>,
    ) -> Result<(), ActionError> {
        for tries in 0.. {
            let batch = self.store.batch(id).await?;
            let batch = batch.ok_or(ActionError::NoBatch(id))?;
            if batch.task.as_ref().map(|task| task.id) != Some(task.id) {
                return Ok(());
            }
            let now = self.clock.now();
            match self.store.end_task(&batch, task, left_out, now).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) if error.is_transient() && tries < TASK_TRIES_MAX => {
                    self.pause_after(tries).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let batch = self.settled(id).await?;
        tracing::info!(batch_id = %id, action = %task.action, status = %batch.status, "a batch's task is done");
        Ok(())
    }
}

/// The lines that were refused because they cannot be read.
fn unreadable(refused: &[(LineNumber, Refusal)]) -> Vec<LineNumber> {
    let is_unreadable =
        |why: &Refusal| matches!(why, Refusal::Unreadable | Refusal::DraftUnreadable);
    let refused = refused.iter().filter(|(_, why)| is_unreadable(why));
    refused.map(|(line, _)| *line).collect()
}

/// Whether a task makes room for another: a mistake must be possible to stop.
fn gives_way(task: BatchAction, to: BatchAction) -> bool {
    to == BatchAction::Cancel && !matches!(task, BatchAction::Cancel | BatchAction::Retake)
}

/// Whether a batch has nothing that an action could be for. Its counters equal its details.
fn is_nothing_to_do(batch: &Batch, action: BatchAction) -> bool {
    let counters = &batch.counters;
    match action {
        BatchAction::Cancel => counters.unprocessed == 0 && counters.error == 0,
        BatchAction::Retry => counters.error == 0,
        BatchAction::Revive => counters.cancelled == 0,
        BatchAction::ConfirmDrafts | BatchAction::CancelDrafts => counters.draft == 0,
        BatchAction::Retake => batch.status != BatchStatus::Error || counters.details > 0,
    }
}
