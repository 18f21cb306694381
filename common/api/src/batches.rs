//! Batches of a file.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use weir_domain::{BatchId, BatchOrdinal, ClientId, FileId, ProgramId, SellerId};
use weir_store::{Batch, File};

use crate::auth::{Allowed, BatchesRead, Scope};
use crate::files::{path_id, times, visible_file};
use crate::page::Page;
use crate::{Api, ApiError};

/// A batch as callers see it. `xml_data` is its `BatchHeader`; its transactions are its details.
#[derive(Debug, Serialize)]
pub(crate) struct BatchBody {
    id: BatchId,
    correlation_id: String,
    client_id: ClientId,
    program_id: ProgramId,
    #[serde(skip_serializing_if = "Option::is_none")]
    seller_id: Option<SellerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seller_name: Option<String>,
    file_id: FileId,
    xml_data: String,
    batch_number: String,
    batch_detail_count: u64,
    batch_detail_unprocessed_count: u64,
    batch_detail_error_count: u64,
    batch_detail_draft_count: u64,
    batch_detail_cancelled_count: u64,
    status: &'static str,
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    processed_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_log: Option<String>,
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    error_at: Option<DateTime<Utc>>,
    #[serde(with = "times")]
    created_at: Option<DateTime<Utc>>,
    #[serde(with = "times")]
    updated_at: Option<DateTime<Utc>>,
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    user_updated_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_updated_by: Option<String>,
}

impl From<Batch> for BatchBody {
    fn from(batch: Batch) -> Self {
        Self {
            id: batch.id,
            correlation_id: batch.correlation_id,
            client_id: batch.client_id,
            program_id: batch.program_id,
            seller_id: batch.seller_id,
            seller_name: batch.seller_name,
            file_id: batch.id.file(),
            xml_data: batch.header_xml,
            batch_number: batch.batch_number,
            batch_detail_count: batch.counters.details,
            batch_detail_unprocessed_count: batch.counters.unprocessed,
            batch_detail_error_count: batch.counters.error,
            batch_detail_draft_count: batch.counters.draft,
            batch_detail_cancelled_count: batch.counters.cancelled,
            status: batch.status.name(),
            processed_at: batch.processed_at,
            error_log: batch.error_log,
            error_at: batch.error_at,
            created_at: Some(batch.created_at),
            updated_at: Some(batch.updated_at),
            user_updated_at: batch.user_updated_at,
            user_updated_by: batch.user_updated_by,
        }
    }
}

/// `GET /v1/files/{file_id}/batches`
pub(crate) async fn list(
    State(api): State<Api>,
    allowed: Allowed<BatchesRead>,
    Path(file_id): Path<String>,
    page: Page,
) -> Result<Json<Vec<BatchBody>>, ApiError> {
    let file = visible_file(&api, &allowed.scope, &file_id).await?;
    let batches = page_of(&api, &allowed.scope, &file, page).await?;
    Ok(Json(batches.into_iter().map(BatchBody::from).collect()))
}

/// `GET /v1/files/{file_id}/batches/{batch_id}`
pub(crate) async fn get(
    State(api): State<Api>,
    allowed: Allowed<BatchesRead>,
    Path((file_id, batch_id)): Path<(String, String)>,
) -> Result<Json<BatchBody>, ApiError> {
    let batch = visible_batch(&api, &allowed.scope, &file_id, &batch_id).await?;
    Ok(Json(batch.into()))
}

/// A batch of a file, if both exist for the caller.
pub(crate) async fn visible_batch(
    api: &Api,
    scope: &Scope,
    file_id: &str,
    batch_id: &str,
) -> Result<Batch, ApiError> {
    const NONE: &str = "there is no such batch";
    let file: FileId = path_id("file_id", file_id, NONE)?;
    let id: BatchId = path_id("batch_id", batch_id, NONE)?;
    let batch = if id.file() == file {
        api.store.batch(id).await?
    } else {
        None
    };
    batch
        .filter(|batch| scope.covers_batch(batch))
        .ok_or(ApiError::NotFound(NONE))
}

/// The batches of a page, in the order of the file, among those that the caller may see.
async fn page_of(
    api: &Api,
    scope: &Scope,
    file: &File,
    page: Page,
) -> Result<Vec<Batch>, ApiError> {
    // Without a seller to narrow by, every ordinal is a row, and the page's are known.
    let narrowed = scope.seller_id.is_some();
    let (mut next, mut skip) = if narrowed {
        (1, page.skipped())
    } else {
        (u32::try_from(page.skipped() + 1).unwrap_or(u32::MAX), 0)
    };
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let mut rows = Vec::with_capacity(size);
    while rows.len() < size && next <= file.batch_count {
        let last = next.saturating_add(99).min(file.batch_count);
        let (Ok(from), Ok(to)) = (BatchOrdinal::new(next), BatchOrdinal::new(last)) else {
            break;
        };
        for batch in api.store.batches_of_file(file.id, from, to).await? {
            if !scope.covers_batch(&batch) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
            } else if rows.len() < size {
                rows.push(batch);
            }
        }
        next = last + 1;
    }
    Ok(rows)
}
