//! Files.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use weir_domain::{BatchOrdinal, FileId};
use weir_store::File;

use crate::auth::{Allowed, FilesRead, Scope};
use crate::batches::BATCHES_AT_A_TIME;
use crate::path::{FilePath, NO_FILE};
use crate::{Api, ApiError};

/// A file as callers see it.
#[derive(Debug, Serialize)]
pub(crate) struct FileBody {
    id: FileId,
    correlation_id: String,
    name: String,
    status: &'static str,
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    processed_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_log: Option<String>,
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    error_at: Option<DateTime<Utc>>,
    retry_count: u32,
    #[serde(with = "times")]
    created_at: Option<DateTime<Utc>>,
    #[serde(with = "times")]
    updated_at: Option<DateTime<Utc>>,
}

impl From<File> for FileBody {
    fn from(file: File) -> Self {
        Self {
            id: file.id,
            correlation_id: file.correlation_id,
            name: file.name,
            status: file.status.name(),
            processed_at: file.processed_at,
            error_log: file.error_log,
            error_at: file.error_at,
            retry_count: file.retry_count,
            created_at: Some(file.created_at),
            updated_at: Some(file.updated_at),
        }
    }
}

/// Times with milliseconds, in UTC.
pub(crate) mod times {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::Serializer;

    #[expect(clippy::ref_option, reason = "the form that serde calls")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<DateTime<Utc>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => {
                serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
            }
            None => serializer.serialize_none(),
        }
    }
}

/// `GET /v1/files/{file_id}`
pub(crate) async fn get(
    State(api): State<Api>,
    allowed: Allowed<FilesRead>,
    FilePath(id): FilePath,
) -> Result<Json<FileBody>, ApiError> {
    let file = visible_file(&api, &allowed.scope, id).await?;
    Ok(Json(file.into()))
}

/// A file, if it exists for the caller.
pub(crate) async fn visible_file(api: &Api, scope: &Scope, id: FileId) -> Result<File, ApiError> {
    let file = api.store.file(id).await?.ok_or(NO_FILE)?;
    if !scope.covers_program_of(&file) {
        return Err(NO_FILE);
    }
    if let Some(seller) = scope.seller_id
        && file.seller_id != Some(seller)
        && !holds_batch_of_scope(api, scope, &file).await?
    {
        return Err(NO_FILE);
    }
    Ok(file)
}

/// Whether a file holds a batch that the caller may see.
async fn holds_batch_of_scope(api: &Api, scope: &Scope, file: &File) -> Result<bool, ApiError> {
    let mut next = 1;
    while let (Ok(from), Ok(to)) = (
        BatchOrdinal::new(next),
        BatchOrdinal::new((next + BATCHES_AT_A_TIME - 1).min(file.batch_count)),
    ) && from <= to
    {
        let batches = api.store.batches_of_file(file.id, from, to).await?;
        if batches.iter().any(|batch| scope.covers_batch(batch)) {
            return Ok(true);
        }
        next += BATCHES_AT_A_TIME;
    }
    Ok(false)
}
