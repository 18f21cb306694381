//! Takes one batch again that could not be taken: its seller was not known, or its number was in use.
//!
//! The file is read as it was when it was split, and of it the one batch. Nothing of the batch exists
//! before but the note that it was not taken; its details are written first, and then the batch in
//! place of the note, which ends the task that asked for it. Ids follow from the object, so a run that
//! is begun again writes the same.

use chrono::{DateTime, Utc};
use weir_domain::{BatchAction, BatchId, BatchStatus};
use weir_servicegate::{Item, Options};
use weir_store::{Batch, BatchTask, File, StoreError, UploadContinuation};

use super::enqueue::EnqueueState;
use super::items::{FileItems, NextError};
use super::split::{DETAILS_PER_CHECKPOINT, Split, SplitState};
use super::{Progress, TIME_KEPT, UploadError, Uploader};
use crate::TimeLimit;

impl Uploader {
    /// Goes on with taking a batch again, if that was asked for, until it is done or time runs short.
    pub async fn retake(&self, id: BatchId, limit: &TimeLimit) -> Result<Progress, UploadError> {
        let missing = || UploadError::NoFile(id.file());
        let note = self.store.batch(id).await?.ok_or_else(missing)?;
        let wanted = |task: &&BatchTask| task.action == BatchAction::Retake;
        let Some(task) = note.task.as_ref().filter(wanted) else {
            return Ok(Progress::Done);
        };
        let file = self.store.file(id.file()).await?.ok_or_else(missing)?;
        let batch = match self.taken_again(&file, &note, task, limit).await {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                self.wake_retake(&note).await?;
                return Ok(Progress::Continued);
            }
            Err(error) if is_final(&error) => not_taken(&note, &error, self.clock.now()),
            Err(error) => return Err(error),
        };
        let batch = Batch {
            user_updated_at: Some(task.at),
            user_updated_by: Some(task.actor.clone()),
            last_task: Some(task.id),
            updated_at: self.clock.now(),
            ..batch
        };
        if self.store.replace_batch(&batch, task).await? {
            tracing::info!(batch_id = %id, status = %batch.status, "a batch was taken again");
            self.count_made(&batch);
            // What is left of it when time runs short is the sweeper's to wake.
            self.enqueue_batch(&batch, &mut EnqueueState::default(), limit)
                .await?;
        }
        Ok(Progress::Done)
    }

    /// Puts a message on the queue that goes on with taking a batch again.
    pub async fn wake_retake(&self, batch: &Batch) -> Result<(), UploadError> {
        let next = UploadContinuation::of_batch(batch);
        Ok(self.store.send_continuation(&next).await?)
    }

    /// The batch as it is taken now, its details written; `None` when time runs short.
    async fn taken_again(
        &self,
        file: &File,
        note: &Batch,
        task: &BatchTask,
        limit: &TimeLimit,
    ) -> Result<Option<Batch>, UploadError> {
        let inconsistent = || UploadError::Inconsistent(file.id);
        let mut state = match &task.checkpoint {
            None => SplitState::new(note.shards, note.created_at),
            Some(text) => {
                serde_json::from_str(text).map_err(|_| UploadError::Checkpoint(file.id))?
            }
        };
        let ordinal = note.id.ordinal();
        let reader = state.reader.take();
        let object = file.object().ok_or_else(inconsistent)?;
        let mut items = FileItems::new(&self.store, object, reader, Options::default());
        let mut split = Split::new(self, file, state)?;
        loop {
            let item = match items.next().await {
                Ok(Some(item)) => item,
                Ok(None) | Err(NextError::File(_)) => return Err(inconsistent()),
                Err(NextError::Store(error)) => return Err(error.into()),
            };
            match item {
                Item::BatchStart(header) if header.ordinal == ordinal => {
                    split.begin(*header).await?;
                }
                Item::Record(record) if record.batch == ordinal => split.record(*record).await?,
                Item::BatchEnd(summary) if summary.ordinal == ordinal => {
                    return split.ended(&summary).await.map(Some);
                }
                Item::Problem(_) => return Err(inconsistent()),
                _ => {}
            }
            let late = !limit.allows(TIME_KEPT);
            if (late || split.details_since_checkpoint >= DETAILS_PER_CHECKPOINT)
                && let Some(here) = items.checkpoint()
            {
                split.puts.flush().await?;
                split.details_since_checkpoint = 0;
                split.state.reader = Some(here);
                let text = serde_json::to_string(&split.state)
                    .map_err(|_| UploadError::Checkpoint(file.id))?;
                split.state.reader = None;
                let now = self.clock.now();
                let (id, checkpoint) = (note.id, Some(text.as_str()));
                let is_noted = self
                    .store
                    .advance_task(id, task.id, 1, checkpoint, &task.left_out, now)
                    .await?;
                if late || !is_noted {
                    return Ok(None);
                }
            }
        }
    }
}

/// Whether another try could not end otherwise: the file is gone, or is not what it was.
fn is_final(error: &UploadError) -> bool {
    match error {
        UploadError::Store(error) => matches!(error, StoreError::ObjectChanged { .. }),
        UploadError::Inconsistent(_) | UploadError::Checkpoint(_) => true,
        UploadError::SameId { .. } | UploadError::NoFile(_) => false,
    }
}

/// The batch that cannot be taken any more. Whatever was written of its details is nothing without it,
/// and whoever wants its number next gets it.
fn not_taken(note: &Batch, why: &UploadError, now: DateTime<Utc>) -> Batch {
    Batch {
        status: BatchStatus::Error,
        error_log: Some(format!(
            "{why}: it cannot be taken from this file any more; upload the batch in a new file"
        )),
        error_at: Some(now),
        processed_at: Some(now),
        task: None,
        ..note.clone()
    }
}
