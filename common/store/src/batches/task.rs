//! What is being done to the whole of a batch: at most one thing at a time, noted on the batch itself.
//!
//! A task is begun by a conditional write, goes on from the line it has come to, whoever works on it,
//! and is ended by a conditional write. While it is there the batch stands in the `open` index, so
//! that the sweeper finds what nobody goes on with, and no other change by hand takes effect.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{BatchAction, BatchId, BatchStatus};

use super::OPEN;
use crate::error::sorted;
use crate::item::{Reader, number, text, time, uuid};
use crate::tables::BATCHES;
use crate::{Batch, Store, StoreError};

/// Something that is being done to the whole of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchTask {
    /// Its id.
    pub id: Uuid,
    /// What is done.
    pub action: BatchAction,
    /// Who asked for it.
    pub actor: String,
    /// The correlation id of the request.
    pub correlation_id: String,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// The first line that has not been dealt with.
    pub next_line: u32,
    /// How far it has come, where lines do not tell.
    pub checkpoint: Option<String>,
}

impl BatchTask {
    /// Its attributes on the batch.
    pub(super) fn attributes(&self) -> [(&'static str, AttributeValue); 6] {
        [
            ("task_id", uuid(self.id)),
            ("task_action", text(self.action.name())),
            ("task_actor", text(&self.actor)),
            ("task_correlation_id", text(&self.correlation_id)),
            ("task_at", time(self.at)),
            ("task_next_line", number(self.next_line)),
        ]
    }

    pub(super) fn read(read: &Reader<'_>) -> Result<Option<Self>, StoreError> {
        let Some(id) = read.opt_id("task_id")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            id,
            action: read.parsed("task_action")?,
            actor: read.text("task_actor")?.to_owned(),
            correlation_id: read.text("task_correlation_id")?.to_owned(),
            at: read.time("task_at")?,
            next_line: read.number("task_next_line")?,
            checkpoint: read.opt_text("task_checkpoint")?.map(str::to_owned),
        }))
    }
}

/// When a task may begin: also when the answer to a first try was lost, and never when it was ended.
fn condition(action: BatchAction) -> &'static str {
    match action {
        BatchAction::Retake => {
            "(task_id = :task_id OR (attribute_not_exists(task_id) AND #status = :error \
             AND detail_count = :none)) AND (attribute_not_exists(last_task) OR last_task <> :task_id)"
        }
        BatchAction::Cancel => {
            "attribute_exists(id) AND (attribute_not_exists(task_id) OR task_id = :task_id \
             OR NOT task_action IN (:cancel, :retake)) \
             AND (attribute_not_exists(last_task) OR last_task <> :task_id)"
        }
        _ => {
            "attribute_exists(id) AND (attribute_not_exists(task_id) OR task_id = :task_id) \
             AND (attribute_not_exists(last_task) OR last_task <> :task_id)"
        }
    }
}

impl Store {
    /// Begins a task, unless one is going on or it was ended already: `false`. The batch counts as changed by its actor; one
    /// that is to be taken again is `Unprocessed` from here on, and must be one of which there is
    /// nothing. A cancel takes the place of whatever else is going on but a taking.
    pub async fn begin_task(&self, batch: BatchId, task: &BatchTask) -> Result<bool, StoreError> {
        const RESET: &str = ", #status = :status REMOVE processed_at, error_at, error_log";
        const SET: &str = "SET task_id = :task_id, task_action = :task_action, \
             task_actor = :task_actor, task_correlation_id = :task_correlation_id, \
             task_at = :task_at, task_next_line = :task_next_line, #open = :open, \
             updated_at = :task_at, user_updated_at = :task_at, user_updated_by = :task_actor";
        let mut update = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&BATCHES))
            .key("id", text(batch.to_string()))
            .condition_expression(condition(task.action))
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open", text(OPEN))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        update = match task.action {
            BatchAction::Retake => update
                .update_expression(format!("{SET}{RESET}"))
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", text(BatchStatus::Unprocessed.name()))
                .expression_attribute_values(":error", text(BatchStatus::Error.name()))
                .expression_attribute_values(":none", number(0)),
            BatchAction::Cancel => update
                .update_expression(format!("{SET} REMOVE task_checkpoint"))
                .expression_attribute_values(":cancel", text(BatchAction::Cancel.name()))
                .expression_attribute_values(":retake", text(BatchAction::Retake.name())),
            _ => update.update_expression(SET),
        };
        for (name, value) in task.attributes() {
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        match update.send().await.map_err(sorted("begin a batch's task")) {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes how far a task has come; `false` when it is not going on any more. A checkpoint is a few
    /// kilobytes at most.
    pub async fn advance_task(
        &self,
        batch: BatchId,
        task: Uuid,
        next_line: u32,
        checkpoint: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut set = "SET task_next_line = :next, updated_at = :now".to_owned();
        let mut update = self.dynamodb().update_item();
        if let Some(checkpoint) = checkpoint {
            set.push_str(", task_checkpoint = :checkpoint");
            update = update.expression_attribute_values(":checkpoint", text(checkpoint));
        }
        let update = update
            .table_name(self.names.table(&BATCHES))
            .key("id", text(batch.to_string()))
            .update_expression(set)
            .condition_expression("task_id = :task")
            .expression_attribute_values(":next", number(next_line))
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":task", uuid(task))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match update
            .send()
            .await
            .map_err(sorted("advance a batch's task"))
        {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends a task. A batch that was done before it began, and still is, leaves the `open` index with
    /// it; any other is completed as always. `false` when the batch or its task is not what was read.
    pub async fn end_task(
        &self,
        batch: &Batch,
        task: Uuid,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const REMOVED: &str = "REMOVE task_id, task_action, task_actor, task_correlation_id, \
             task_at, task_next_line, task_checkpoint";
        let is_done = batch.status != BatchStatus::Unprocessed;
        let mut update = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&BATCHES))
            .key("id", text(batch.id.to_string()))
            .condition_expression("task_id = :task AND #status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":task", uuid(task))
            .expression_attribute_values(":status", text(batch.status.name()))
            .expression_attribute_values(":now", time(now))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        update = if is_done {
            update
                .update_expression(format!(
                    "SET updated_at = :now, last_task = :task {REMOVED}, #open"
                ))
                .expression_attribute_names("#open", "open")
        } else {
            update.update_expression(format!(
                "SET updated_at = :now, last_task = :task {REMOVED}"
            ))
        };
        match update.send().await.map_err(sorted("end a batch's task")) {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts a batch that was taken again in the place of what was noted of it when it was not, and
    /// ends the task that did it; `false` when that task is not going on any more.
    pub async fn replace_batch(&self, batch: &Batch, task: Uuid) -> Result<bool, StoreError> {
        let put = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&BATCHES))
            .set_item(Some(batch.to_item()?))
            .condition_expression("task_id = :task AND detail_count = :none")
            .expression_attribute_values(":task", uuid(task))
            .expression_attribute_values(":none", number(0))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match put.send().await.map_err(sorted("take a batch again")) {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
