//! What is being done to the whole of a batch: at most one thing at a time, noted on the batch itself.
//!
//! A task is begun by a conditional write, goes on from the line it has come to, whoever works on it,
//! and is ended by a conditional write. While it is there the batch stands in the `open` index, so
//! that the sweeper finds what nobody goes on with, and no other change by hand takes effect.

use std::collections::BTreeSet;
use std::num::ParseIntError;
use std::str::FromStr;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem, Update,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{BatchAction, BatchId, BatchStatus};

use super::OPEN;
use crate::asked::TaskEnd;
use crate::details::transaction_error;
use crate::error::{sorted, unavailable};
use crate::item::{Reader, number, text, time, uuid};
use crate::tables::BATCHES;
use crate::{AskedRecord, Batch, Store, StoreError};

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
    /// How many details it has changed.
    pub changed: u64,
    /// The lines of details that it has left out because they cannot be read.
    pub left_out: BTreeSet<u32>,
}

/// Lines with commas between them.
#[derive(Default)]
struct LinesText(BTreeSet<u32>);

impl FromStr for LinesText {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let lines = text.split(',').map(str::parse);
        lines.collect::<Result<_, _>>().map(Self)
    }
}

impl BatchTask {
    /// Its attributes on the batch as it begins.
    pub(super) fn attributes(&self) -> [(&'static str, AttributeValue); 7] {
        [
            ("task_id", uuid(self.id)),
            ("task_action", text(self.action.name())),
            ("task_actor", text(&self.actor)),
            ("task_correlation_id", text(&self.correlation_id)),
            ("task_at", time(self.at)),
            ("task_next_line", number(self.next_line)),
            ("task_changed", number(self.changed)),
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
            changed: read.opt_number("task_changed")?.unwrap_or_default(),
            left_out: read
                .opt_parsed::<LinesText>("task_left")?
                .unwrap_or_default()
                .0,
        }))
    }
}

/// When a task may begin in the place of what was seen to be going on, if anything; never when it was
/// ended already.
fn condition(action: BatchAction, replaced: Option<&BatchTask>) -> String {
    let mut condition = match replaced {
        Some(_) => "task_id = :replaced",
        None => "attribute_exists(id) AND attribute_not_exists(task_id)",
    }
    .to_owned();
    if action == BatchAction::Retake {
        condition.push_str(" AND #status = :error AND detail_count = :none");
    }
    condition.push_str(" AND (attribute_not_exists(last_task) OR last_task <> :task_id)");
    condition
}

impl Store {
    /// Begins a task of a batch in the place of the one that it is seen to have, if any; `false` when
    /// another is going on by now, or this one, or its record says that it has ended. The batch counts as changed
    /// by its actor; one that is to be taken again is `Unprocessed` from here on, and must be one of
    /// which there is nothing. The record of what was asked begins with it, and that of the task whose
    /// place it takes ends.
    pub async fn begin_task(&self, batch: &Batch, task: &BatchTask) -> Result<bool, StoreError> {
        const OPERATION: &str = "begin a batch's task";
        const RESET: &str = ", #status = :status REMOVE processed_at, error_at, error_log, ";
        const SET: &str = "SET task_id = :task_id, task_action = :task_action, \
             task_actor = :task_actor, task_correlation_id = :task_correlation_id, \
             task_at = :task_at, task_next_line = :task_next_line, task_changed = :task_changed, \
             #open = :open, updated_at = :task_at, user_updated_at = :task_at, \
             user_updated_by = :task_actor";
        const REMOVED: &str = "task_checkpoint, task_left";
        let replaced = batch.task.as_ref();
        let mut update = self
            .batch_update(batch.id)
            .condition_expression(condition(task.action, replaced))
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open", text(OPEN));
        update = match task.action {
            BatchAction::Retake => update
                .update_expression(format!("{SET}{RESET}{REMOVED}"))
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", text(BatchStatus::Unprocessed.name()))
                .expression_attribute_values(":error", text(BatchStatus::Error.name()))
                .expression_attribute_values(":none", number(0)),
            _ => update.update_expression(format!("{SET} REMOVE {REMOVED}")),
        };
        for (name, value) in task.attributes() {
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        let mut actions = Vec::with_capacity(3);
        if let Some(replaced) = replaced {
            update = update.expression_attribute_values(":replaced", uuid(replaced.id));
            let end = TaskEnd {
                at: task.at,
                by: Some(task.id),
                changed: None,
                left: replaced.left_out.len(),
            };
            actions.push(self.asked_end(batch, replaced, end)?);
        }
        actions.push(built(update, OPERATION)?);
        actions.push(self.asked_begin(&AskedRecord::of_task(batch, task), task.at)?);
        self.together(OPERATION, actions).await
    }

    /// Notes how far a task has come, and which lines it has left out; `false` when it is not going on
    /// any more. A checkpoint is a few kilobytes at most.
    pub async fn advance_task(
        &self,
        batch: BatchId,
        task: Uuid,
        next_line: u32,
        checkpoint: Option<&str>,
        left_out: &BTreeSet<u32>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut set = "SET task_next_line = :next, updated_at = :now".to_owned();
        let mut update = self.dynamodb().update_item();
        if !left_out.is_empty() {
            set.push_str(", task_left = :left");
            update = update.expression_attribute_values(":left", left_attribute(left_out));
        }
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

    /// Ends a task, and its record. A batch that was done before it began, and still is, leaves the
    /// `open` index with it; any other is completed as always. `false` when the batch or its task is
    /// not what was read.
    pub async fn end_task(
        &self,
        batch: &Batch,
        task: &BatchTask,
        left_out: &BTreeSet<u32>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const OPERATION: &str = "end a batch's task";
        const ENDED: &str = "SET updated_at = :now, last_task = :task REMOVE task_id, task_action, \
             task_actor, task_correlation_id, task_at, task_next_line, task_checkpoint, \
             task_changed, task_left";
        let is_done = batch.status != BatchStatus::Unprocessed;
        let mut update = self
            .batch_update(batch.id)
            .condition_expression("task_id = :task AND #status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":task", uuid(task.id))
            .expression_attribute_values(":status", text(batch.status.name()))
            .expression_attribute_values(":now", time(now));
        update = if is_done {
            update
                .update_expression(format!("{ENDED}, #open"))
                .expression_attribute_names("#open", "open")
        } else {
            update.update_expression(ENDED)
        };
        let end = TaskEnd {
            at: now,
            by: None,
            changed: None,
            left: left_out.len(),
        };
        let actions = vec![built(update, OPERATION)?, self.asked_end(batch, task, end)?];
        self.together(OPERATION, actions).await
    }

    /// Puts a batch that was taken again in the place of what was noted of it when it was not, and
    /// ends the task that did it, and its record; `false` when that task is not going on any more.
    pub async fn replace_batch(&self, batch: &Batch, task: &BatchTask) -> Result<bool, StoreError> {
        const OPERATION: &str = "take a batch again";
        let put = Put::builder()
            .table_name(self.names.table(&BATCHES))
            .set_item(Some(batch.to_item()?))
            .condition_expression("task_id = :task AND detail_count = :none")
            .expression_attribute_values(":task", uuid(task.id))
            .expression_attribute_values(":none", number(0))
            .build()
            .map_err(|_| unavailable(OPERATION, "the put is incomplete"))?;
        let end = TaskEnd {
            at: batch.updated_at,
            by: None,
            changed: Some(batch.counters.details),
            left: 0,
        };
        let actions = vec![
            TransactWriteItem::builder().put(put).build(),
            self.asked_end(batch, task, end)?,
        ];
        self.together(OPERATION, actions).await
    }

    fn batch_update(&self, batch: BatchId) -> UpdateBuilder {
        Update::builder()
            .table_name(self.names.table(&BATCHES))
            .key("id", text(batch.to_string()))
    }

    /// A transaction; `false` when its condition does not hold.
    pub(crate) async fn together(
        &self,
        operation: &'static str,
        actions: Vec<TransactWriteItem>,
    ) -> Result<bool, StoreError> {
        let answer = self
            .dynamodb()
            .transact_write_items()
            .set_transact_items(Some(actions))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| transaction_error(operation, error));
        match answer {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn built(update: UpdateBuilder, operation: &'static str) -> Result<TransactWriteItem, StoreError> {
    let update = update
        .build()
        .map_err(|_| unavailable(operation, "the update is incomplete"))?;
    Ok(TransactWriteItem::builder().update(update).build())
}

fn left_attribute(lines: &BTreeSet<u32>) -> AttributeValue {
    let lines: Vec<String> = lines.iter().map(u32::to_string).collect();
    text(lines.join(","))
}
