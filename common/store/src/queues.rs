//! Queue messages. A message only wakes: what is to be done is read from the tables, so one too
//! many, a late or a repeated one changes nothing.

use std::time::Duration;

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use serde::{Deserialize, Serialize};
use weir_domain::{BatchId, FileId, LineNumber};

use crate::error::{sorted, unavailable};
use crate::{Batch, File, Store, StoreError};

/// Most messages in one request.
const MESSAGES_PER_REQUEST: usize = 10;
/// The longest that SQS holds a message back.
pub const DELAY_MAX: Duration = Duration::from_mins(15);

/// Wakes some details of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetailsMessage {
    /// Version of this form: 1.
    pub v: u32,
    /// The batch.
    pub batch_id: BatchId,
    /// The details' lines, at most [`DetailsMessage::LINES_MAX`].
    pub lines: Vec<LineNumber>,
    /// The correlation id of the work that sent it.
    pub correlation_id: String,
}

impl DetailsMessage {
    /// The version that is written and read.
    pub const VERSION: u32 = 1;
    /// Most lines in a message: what one transaction can record.
    pub const LINES_MAX: usize = crate::SHARD_BLOCK_LINES as usize;

    /// The messages that wake some lines, given in order: lines that lie together in a shard travel
    /// together.
    pub fn for_lines<'a>(
        batch_id: BatchId,
        lines: &'a [LineNumber],
        correlation_id: &'a str,
    ) -> impl Iterator<Item = Self> + 'a {
        let block = |line: &LineNumber| (line.get() - 1) / crate::SHARD_BLOCK_LINES;
        lines
            .chunk_by(move |a, b| block(a) == block(b))
            .map(move |lines| Self::new(batch_id, lines.to_vec(), correlation_id))
    }

    /// A message of the present version.
    pub fn new(batch_id: BatchId, lines: Vec<LineNumber>, correlation_id: &str) -> Self {
        Self {
            v: Self::VERSION,
            batch_id,
            lines,
            correlation_id: correlation_id.to_owned(),
        }
    }
}

/// Goes on with what is being done to the whole of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchTaskMessage {
    /// Version of this form: 1.
    pub v: u32,
    /// The batch.
    pub task_of: BatchId,
    /// The correlation id of the batch.
    pub correlation_id: String,
}

impl BatchTaskMessage {
    /// The message for a batch, of the present version.
    pub fn of(batch: &Batch) -> Self {
        Self {
            v: DetailsMessage::VERSION,
            task_of: batch.id,
            correlation_id: batch.correlation_id.clone(),
        }
    }
}

/// Goes on with a file where its checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadContinuation {
    /// The file.
    #[serde(rename = "continue")]
    pub file_id: FileId,
    /// The one batch of it that is to be taken again, if that is what goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// The correlation id of the upload.
    pub correlation_id: String,
}

impl UploadContinuation {
    /// Goes on with a file.
    pub fn of_file(file: &File) -> Self {
        Self {
            file_id: file.id,
            batch_id: None,
            correlation_id: file.correlation_id.clone(),
        }
    }

    /// Takes one batch again.
    pub fn of_batch(batch: &Batch) -> Self {
        Self {
            file_id: batch.id.file(),
            batch_id: Some(batch.id),
            correlation_id: batch.correlation_id.clone(),
        }
    }
}

impl Store {
    /// Puts messages on the details queue, each after its delay (at most 15 minutes; a longer one
    /// is shortened), fair by `group`.
    pub async fn send_details(
        &self,
        group: &str,
        messages: &[(DetailsMessage, Duration)],
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "wake details";
        for chunk in messages.chunks(MESSAGES_PER_REQUEST) {
            let mut entries = Vec::with_capacity(chunk.len());
            for (index, (message, delay)) in chunk.iter().enumerate() {
                let body = serde_json::to_string(message)
                    .map_err(|_| unavailable(OPERATION, "a message could not be written"))?;
                let seconds = delay.min(&DELAY_MAX).as_millis().div_ceil(1_000);
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(body)
                    .message_group_id(group)
                    .set_delay_seconds(
                        (seconds > 0).then_some(i32::try_from(seconds).unwrap_or(900)),
                    )
                    .build()
                    .map_err(|_| unavailable(OPERATION, "a message is incomplete"))?;
                entries.push(entry);
            }
            let answer = self
                .clients
                .sqs
                .send_message_batch()
                .queue_url(&self.names.details_queue)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(sorted(OPERATION))?;
            if let Some(failed) = answer.failed().first() {
                return Err(unavailable(OPERATION, failed.code()));
            }
        }
        Ok(())
    }

    /// Puts a message on the details queue that goes on with a batch's task, after a delay (at most
    /// 15 minutes; a longer one is shortened). Each batch's tasks are a group of their own.
    pub async fn send_batch_task(
        &self,
        message: &BatchTaskMessage,
        delay: Duration,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "carry a batch's task on";
        let body = serde_json::to_string(message)
            .map_err(|_| unavailable(OPERATION, "a message could not be written"))?;
        let seconds = delay.min(DELAY_MAX).as_millis().div_ceil(1_000);
        self.clients
            .sqs
            .send_message()
            .queue_url(&self.names.details_queue)
            .message_body(body)
            .message_group_id(message.task_of.to_string())
            .set_delay_seconds((seconds > 0).then_some(i32::try_from(seconds).unwrap_or(900)))
            .send()
            .await
            .map_err(sorted(OPERATION))?;
        Ok(())
    }

    /// Puts a continuation of a file on the uploads queue.
    pub async fn send_continuation(&self, next: &UploadContinuation) -> Result<(), StoreError> {
        const OPERATION: &str = "continue a file";
        let body = serde_json::to_string(next)
            .map_err(|_| unavailable(OPERATION, "a message could not be written"))?;
        self.clients
            .sqs
            .send_message()
            .queue_url(&self.names.uploads_queue)
            .message_body(body)
            .send()
            .await
            .map_err(sorted(OPERATION))?;
        Ok(())
    }

    /// About how many messages the details queue holds: waiting, held back or being worked on.
    pub async fn details_queue_length(&self) -> Result<u64, StoreError> {
        const OPERATION: &str = "measure the details queue";
        let counted = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let answer = self
            .clients
            .sqs
            .get_queue_attributes()
            .queue_url(&self.names.details_queue)
            .set_attribute_names(Some(counted.to_vec()))
            .send()
            .await
            .map_err(sorted(OPERATION))?;
        let mut length = 0_u64;
        for name in &counted {
            let count = answer
                .attributes()
                .and_then(|all| all.get(name)?.parse::<u64>().ok());
            length += count.ok_or_else(|| unavailable(OPERATION, "a number is missing"))?;
        }
        Ok(length)
    }
}
