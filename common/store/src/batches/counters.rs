//! How the counters of a batch follow its details: in the same transaction.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{BatchStatus, DetailStatus};

use super::{Batch, OPEN};
use crate::error::unavailable;
use crate::item::{number, text, time, uuid};
use crate::tables::BATCHES;
use crate::{AskedRecord, Detail, Store, StoreError};

/// How the counters of a batch change with some outcomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CounterChange {
    /// Change of the number that is Unprocessed or Retry.
    pub unprocessed: i64,
    /// Change of the number in Error.
    pub error: i64,
    /// Change of the number with a draft.
    pub draft: i64,
    /// Change of the number that is Cancelled.
    pub cancelled: i64,
    /// The time of the change.
    pub at: DateTime<Utc>,
}

/// Who changes details by hand, and as part of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedBy {
    /// Who asked for it, and for what.
    pub record: AskedRecord,
    /// The task of the batch that it is part of, which must still be going on. Without one, no task
    /// may be going on.
    pub task: Option<Uuid>,
}

impl CounterChange {
    /// How the counters change when one detail becomes another.
    pub fn add(&mut self, before: &Detail, after: &Detail) {
        let step = |is_now: bool, was: bool| i64::from(is_now) - i64::from(was);
        let (was, is_now) = (before.status, after.status);
        self.unprocessed += step(is_now.is_open(), was.is_open());
        self.error += step(is_now == DetailStatus::Error, was == DetailStatus::Error);
        self.cancelled += step(
            is_now == DetailStatus::Cancelled,
            was == DetailStatus::Cancelled,
        );
        self.draft += step(after.has_draft(), before.has_draft());
    }

    fn is_nothing(&self) -> bool {
        self.unprocessed == 0 && self.error == 0 && self.draft == 0 && self.cancelled == 0
    }
}

impl Store {
    /// The action that changes a batch's counters within a transaction; none when nothing changes
    /// and no caller is to be noted.
    ///
    /// What a caller changes takes effect only under its guard, and counts as so many details that
    /// its task has changed. Where it changes what is open or in
    /// error, the batch is `Unprocessed` until it is completed again.
    pub(crate) fn counter_update(
        &self,
        batch: &Batch,
        change: &CounterChange,
        by: Option<(&ChangedBy, usize)>,
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        if change.is_nothing() && by.is_none() {
            return Ok(None);
        }
        let mut expression = "ADD unprocessed_count :unprocessed, error_count :error, draft_count \
             :draft, cancelled_count :cancelled SET updated_at = :now"
            .to_owned();
        let mut update = Update::builder()
            .table_name(self.names.table(&BATCHES))
            .key("id", text(batch.id.to_string()));
        let mut condition = "attribute_exists(id)";
        if let Some((by, changed)) = by {
            expression.push_str(", user_updated_at = :now, user_updated_by = :actor");
            update = update.expression_attribute_values(":actor", text(&by.record.actor));
            condition = match by.task {
                None => "attribute_exists(id) AND attribute_not_exists(task_id)",
                Some(task) => {
                    expression = expression.replacen("ADD ", "ADD task_changed :changed, ", 1);
                    let changed = i128::try_from(changed).unwrap_or_default();
                    update = update
                        .expression_attribute_values(":task", uuid(task))
                        .expression_attribute_values(":changed", number(changed));
                    "task_id = :task"
                }
            };
            if change.unprocessed != 0 || change.error != 0 {
                expression.push_str(
                    ", #status = :unprocessed_status, #open = :open REMOVE processed_at, error_at",
                );
                update = update
                    .expression_attribute_names("#status", "status")
                    .expression_attribute_names("#open", "open")
                    .expression_attribute_values(
                        ":unprocessed_status",
                        text(BatchStatus::Unprocessed.name()),
                    )
                    .expression_attribute_values(":open", text(OPEN));
            }
        }
        let update = update
            .condition_expression(condition)
            .update_expression(expression)
            .expression_attribute_values(":unprocessed", number(change.unprocessed))
            .expression_attribute_values(":error", number(change.error))
            .expression_attribute_values(":draft", number(change.draft))
            .expression_attribute_values(":cancelled", number(change.cancelled))
            .expression_attribute_values(":now", time(change.at))
            .build()
            .map_err(|_| unavailable("change a batch's counters", "the update is incomplete"))?;
        Ok(Some(TransactWriteItem::builder().update(update).build()))
    }
}
