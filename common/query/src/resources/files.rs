//! Files.

use uuid::Uuid;
use weir_domain::FileId;
use weir_store::{CreatedId, CreatedRange, Direction, File, FilesOf, Month, Store, StoreError};

use crate::schema::{COUNT, Field, Parameter, Resource, Rule, SOME_TEXT, text};
use crate::walk::Keyed;
use crate::{Row, Value};

const STATUSES: &[&str] = &["Stored", "Processing", "Processed", "Error"];

/// A settlement file: an answer to `/v1/files`.
pub static FILE: Resource = Resource {
    name: "file",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The file"),
        Field::text("correlation_id", "The correlation id of its upload"),
        Field::text("name", "What it was called when it was uploaded"),
        Field::one_of("status", STATUSES, "Where it stands"),
        Field::time("processed_at", "When all of it was stored and on its way"),
        Field::text("error_log", "What is wrong with it"),
        Field::time("error_at", "When that was found"),
        Field::integer("retry_count", "How many readings of it failed"),
        Field::time("created_at", "When it became known"),
        Field::time("updated_at", "When it last changed"),
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::by("correlation_id", text(1_024)),
        Parameter::by("name", SOME_TEXT),
        Parameter::by("status", Rule::OneOf(STATUSES)),
        Parameter::by("processed_at", Rule::Time),
        Parameter::by("error_log", SOME_TEXT),
        Parameter::by("error_at", Rule::Time),
        Parameter::by("retry_count", COUNT),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// What a scan of files is narrowed by, the best first.
pub(crate) const NARROWER: &[&str] = &["id", "created_at:gte"];

/// A file as a row.
#[derive(Debug, Clone)]
pub struct FileRow(pub File);

impl Row for FileRow {
    fn value(&self, field: &str) -> Value<'_> {
        let file = &self.0;
        match field {
            "id" => Value::id(file.id),
            "correlation_id" => Value::text(&file.correlation_id),
            "name" => Value::text(&file.name),
            "status" => Value::text(file.status.name()),
            "processed_at" => Value::opt_time(file.processed_at),
            "error_log" => Value::opt_text(file.error_log.as_deref()),
            "error_at" => Value::opt_time(file.error_at),
            "retry_count" => Value::count(file.retry_count),
            "created_at" => Value::Time(file.created_at),
            "updated_at" => Value::Time(file.updated_at),
            _ => Value::Absent,
        }
    }

    fn position(&self) -> CreatedId {
        CreatedId {
            created_ms: self.0.created_at.timestamp_millis(),
            id: self.0.id.uuid(),
        }
    }
}

/// The files as they are kept.
#[derive(Debug)]
pub struct Files;

impl Keyed for Files {
    type Row = FileRow;
    type Partition = FilesOf;

    fn month(month: Month) -> Option<FilesOf> {
        Some(FilesOf::Month(month))
    }

    async fn keys(
        store: &Store,
        partition: FilesOf,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        store.file_keys(partition, range, direction, limit).await
    }

    async fn items(store: &Store, ids: &[Uuid]) -> Result<Vec<FileRow>, StoreError> {
        let ids: Vec<FileId> = ids.iter().filter_map(|id| (*id).try_into().ok()).collect();
        let files = store.files(&ids).await?;
        Ok(files.into_iter().map(FileRow).collect())
    }
}
