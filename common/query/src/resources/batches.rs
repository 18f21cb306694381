//! Batches.

use std::ops::RangeInclusive;

use uuid::Uuid;
use weir_domain::{BatchId, FileStatus};
use weir_store::{Batch, BatchesOf, CreatedId, CreatedRange, Direction, Month, Store, StoreError};

use crate::schema::{ANY_TEXT, COUNT, Field, Parameter, Resource, Rule, SOME_TEXT, text};
use crate::walk::Keyed;
use crate::{Row, Value};

pub(crate) const STATUSES: &[&str] = &["Unprocessed", "Processed", "Error"];

/// What can be done to a whole batch, by name: the same as [`weir_domain::BatchAction`].
const TASKS: &[&str] = &[
    "Cancel",
    "Retry",
    "Revive",
    "ConfirmDrafts",
    "CancelDrafts",
    "Retake",
];

/// A batch: an answer to `/v1/batches`.
pub static BATCH: Resource = Resource {
    name: "batch",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The batch"),
        Field::text("correlation_id", "The correlation id of its file"),
        Field::id("client_id", "The client it is for"),
        Field::id("program_id", "The program it is for"),
        Field::id(
            "seller_id",
            "Its seller; absent when the seller is not known",
        ),
        Field::text("seller_name", "The seller's name when the batch was made"),
        Field::id("file_id", "The file it came in"),
        Field::text(
            "xml_data",
            "Its BatchHeader element as it stands in the file",
        ),
        Field::text("batch_number", "The seller's number for it"),
        Field::integer("batch_detail_count", "How many details it has"),
        Field::integer(
            "batch_detail_unprocessed_count",
            "How many of them are Unprocessed or Retry",
        ),
        Field::integer("batch_detail_error_count", "How many of them are in Error"),
        Field::integer("batch_detail_draft_count", "How many of them have a draft"),
        Field::integer(
            "batch_detail_cancelled_count",
            "How many of them are Cancelled",
        ),
        Field::one_of("status", STATUSES, "Where it stands"),
        Field::time("processed_at", "When its last detail was done"),
        Field::text("error_log", "Why it could not be taken"),
        Field::time("error_at", "When it came to Error"),
        Field::time("created_at", "When it was made"),
        Field::time("updated_at", "When it last changed"),
        Field::time("user_updated_at", "When a caller last changed it"),
        Field::text("user_updated_by", "Which caller"),
        // These are ours: the contract has no place for what is going on.
        Field::one_of(
            "task",
            TASKS,
            "What is being done to the whole of it by hand; absent while nothing is",
        ),
        Field::time("task_at", "When that was asked for"),
        Field::text("task_by", "Who asked for it"),
        Field::integer(
            "task_changed_count",
            "How many details it has changed by now",
        ),
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::of("batch_id", "id", Rule::Id),
        Parameter::by("correlation_id", text(1_024)),
        Parameter::by("client_id", Rule::Id),
        Parameter::by("program_id", Rule::Id),
        Parameter::by("seller_id", Rule::Id),
        Parameter::by("seller_name", text(1_024)),
        Parameter::by("file_id", Rule::Id),
        Parameter::by("xml_data", SOME_TEXT),
        Parameter::by("batch_number", text(20)),
        Parameter::by("status", Rule::OneOf(STATUSES)),
        Parameter::by("batch_detail_count", COUNT),
        Parameter::by("batch_detail_unprocessed_count", COUNT),
        Parameter::by("batch_detail_error_count", COUNT),
        Parameter::by("batch_detail_draft_count", COUNT),
        Parameter::by("batch_detail_cancelled_count", COUNT),
        Parameter::by("processed_at", Rule::Time),
        Parameter::by("error_log", SOME_TEXT),
        Parameter::by("error_at", Rule::Time),
        Parameter::by("user_updated_at", Rule::Time),
        Parameter::by("user_updated_by", ANY_TEXT),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// What a scan of batches is narrowed by, the best first.
pub(crate) const NARROWER: &[&str] = &["file_id", "seller_id", "program_id", "created_at:gte"];

/// A batch as a row.
#[derive(Debug, Clone)]
pub struct BatchRow(pub Batch);

impl Row for BatchRow {
    fn value(&self, field: &str) -> Value<'_> {
        Batches::value_of(&self.0, field)
    }

    fn position(&self) -> CreatedId {
        CreatedId {
            created_ms: self.0.created_at.timestamp_millis(),
            id: self.0.id.uuid(),
        }
    }
}

/// The batches as they are kept.
#[derive(Debug)]
pub struct Batches;

impl Batches {
    /// The value of a field that tells of what is being done to the whole batch.
    fn task_value<'b>(batch: &'b Batch, field: &str) -> Value<'b> {
        let Some(task) = &batch.task else {
            return Value::Absent;
        };
        match field {
            "task" => Value::text(task.action.name()),
            "task_at" => Value::Time(task.at),
            "task_by" => Value::text(&task.actor),
            "task_changed_count" => Value::count(task.changed),
            _ => Value::Absent,
        }
    }

    /// The value of a batch's field.
    pub(crate) fn value_of<'b>(batch: &'b Batch, field: &str) -> Value<'b> {
        match field {
            "id" => Value::id(batch.id),
            "correlation_id" => Value::text(&batch.correlation_id),
            "client_id" => Value::id(batch.client_id),
            "program_id" => Value::id(batch.program_id),
            "seller_id" => Value::opt_id(batch.seller_id),
            "seller_name" => Value::opt_text(batch.seller_name.as_deref()),
            "file_id" => Value::id(batch.id.file()),
            "xml_data" => Value::text(&batch.header_xml),
            "batch_number" => Value::text(&batch.batch_number),
            "batch_detail_count" => Value::count(batch.counters.details),
            "batch_detail_unprocessed_count" => Value::count(batch.counters.unprocessed),
            "batch_detail_error_count" => Value::count(batch.counters.error),
            "batch_detail_draft_count" => Value::count(batch.counters.draft),
            "batch_detail_cancelled_count" => Value::count(batch.counters.cancelled),
            "status" => Value::text(batch.status.name()),
            "processed_at" => Value::opt_time(batch.processed_at),
            "error_log" => Value::opt_text(batch.error_log.as_deref()),
            "error_at" => Value::opt_time(batch.error_at),
            "created_at" => Value::Time(batch.created_at),
            "updated_at" => Value::Time(batch.updated_at),
            "user_updated_at" => Value::opt_time(batch.user_updated_at),
            "user_updated_by" => Value::opt_text(batch.user_updated_by.as_deref()),
            name => Self::task_value(batch, name),
        }
    }
}

impl Keyed for Batches {
    type Row = BatchRow;
    type Partition = BatchesOf;
    /// Each with a header of 256 KiB at most, though hardly ever of more than one.
    const TOGETHER: usize = 500;

    fn month(month: Month) -> Option<BatchesOf> {
        Some(BatchesOf::Month(month))
    }

    async fn keys(
        store: &Store,
        partition: BatchesOf,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        store.batch_keys(partition, range, direction, limit).await
    }

    async fn items(store: &Store, ids: &[Uuid]) -> Result<Vec<BatchRow>, StoreError> {
        let ids: Vec<BatchId> = ids.iter().filter_map(|id| (*id).try_into().ok()).collect();
        let batches = store.batches(&ids).await?;
        Ok(batches.into_iter().map(BatchRow).collect())
    }
}

/// The ids of a file's batches, in order.
pub(crate) fn ids_of_file(file: &weir_store::File) -> Vec<Uuid> {
    // A file that was refused as a whole has left nothing behind.
    let count = match file.status {
        FileStatus::Error => 0,
        _ => file.batch_count,
    };
    let ordinals: RangeInclusive<u32> = 1..=count;
    let id = |ordinal| {
        let ordinal = weir_domain::BatchOrdinal::new(ordinal).ok()?;
        Some(file.id.batch(ordinal).uuid())
    };
    ordinals.map_while(id).collect()
}
