//! The last stage: every detail of every batch that was taken goes on the queue.
//!
//! A crash sends some of it again, which changes nothing: messages only wake.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_domain::{BatchOrdinal, BatchStatus, LineNumber};
use weir_store::{Batch, DetailsMessage, File};

use super::{Checkpoint, StageEnd, TIME_KEPT, UploadError, Uploader};
use crate::TimeLimit;

/// Batches read at a time.
const BATCHES_AT_A_TIME: u32 = 100;
/// Messages between two looks at the clock: twenty requests.
const MESSAGES_AT_A_TIME: usize = 200;

/// How far enqueuing has come.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct EnqueueState {
    /// The next batch, by ordinal.
    batch: u32,
    /// The next line of it.
    line: u32,
}

impl Default for EnqueueState {
    fn default() -> Self {
        Self { batch: 1, line: 1 }
    }
}

impl Uploader {
    /// Puts the details of a file on the queue.
    pub(super) async fn enqueue(
        &self,
        file: &File,
        mut state: EnqueueState,
        limit: &TimeLimit,
    ) -> Result<StageEnd, UploadError> {
        while state.batch <= file.batch_count {
            let inconsistent = |_| UploadError::Inconsistent(file.id);
            let last = (state.batch + BATCHES_AT_A_TIME - 1).min(file.batch_count);
            let from = BatchOrdinal::new(state.batch).map_err(inconsistent)?;
            let to = BatchOrdinal::new(last).map_err(inconsistent)?;
            let batches = self.store.batches_of_file(file.id, from, to).await?;
            // Every batch was written before this stage began.
            if u32::try_from(batches.len()).ok() != Some(last + 1 - state.batch) {
                return Err(UploadError::Inconsistent(file.id));
            }
            for batch in batches {
                if batch.id.ordinal().get() > state.batch {
                    state = EnqueueState {
                        batch: batch.id.ordinal().get(),
                        line: 1,
                    };
                }
                if !self.enqueue_batch(&batch, &mut state, limit).await? {
                    return Ok(StageEnd::Paused(Checkpoint::Enqueuing(state)));
                }
            }
            state = EnqueueState {
                batch: last + 1,
                line: 1,
            };
        }
        Ok(StageEnd::Finished)
    }

    /// Puts the rest of a batch's details on the queue; `false` when time runs short.
    pub(super) async fn enqueue_batch(
        &self,
        batch: &Batch,
        state: &mut EnqueueState,
        limit: &TimeLimit,
    ) -> Result<bool, UploadError> {
        let (Some(seller), BatchStatus::Unprocessed) = (batch.seller_id, batch.status) else {
            return Ok(true);
        };
        let lines: Vec<LineNumber> = batch
            .lines()
            .skip_while(|line| line.get() < state.line)
            .collect();
        let messages: Vec<_> = DetailsMessage::for_lines(batch.id, &lines, &batch.correlation_id)
            .map(|message| (message, Duration::ZERO))
            .collect();
        for messages in messages.chunks(MESSAGES_AT_A_TIME) {
            if !limit.allows(TIME_KEPT) {
                return Ok(false);
            }
            self.store
                .send_details(&seller.to_string(), messages)
                .await?;
            let last = messages
                .last()
                .and_then(|(message, _)| message.lines.last());
            state.line = last.map_or(state.line, |line| line.get() + 1);
        }
        Ok(true)
    }
}
