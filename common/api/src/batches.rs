//! Batches of a file.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use weir_domain::{BatchId, BatchOrdinal, ClientId, FileId, ProgramId, SellerId};
use weir_store::{Batch, File};

use crate::auth::{Allowed, BatchesRead, Scope};
use crate::files::{times, visible_file};
use crate::list::List;
use crate::page::Page;
use crate::path::{BatchPath, FilePath, NO_BATCH};
use crate::{Api, ApiError};

/// How many batches are read together: with headers of 256 KiB each, what one answer of the table
/// holds.
pub(crate) const BATCHES_AT_A_TIME: u32 = 50;

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
    FilePath(id): FilePath,
    page: Page,
) -> Result<List, ApiError> {
    let file = visible_file(&api, &allowed.scope, id).await?;
    page_of(&api, &allowed.scope, &file, page).await
}

/// `GET /v1/files/{file_id}/batches/{batch_id}`
pub(crate) async fn get(
    State(api): State<Api>,
    allowed: Allowed<BatchesRead>,
    path: BatchPath,
) -> Result<Json<BatchBody>, ApiError> {
    let batch = visible_batch(&api, &allowed.scope, path).await?;
    Ok(Json(batch.into()))
}

/// A batch of a file, if both exist for the caller.
pub(crate) async fn visible_batch(
    api: &Api,
    scope: &Scope,
    path: BatchPath,
) -> Result<Batch, ApiError> {
    if path.batch.file() != path.file {
        return Err(NO_BATCH);
    }
    let batch = api.store.batch(path.batch).await?;
    batch
        .filter(|batch| scope.covers_batch(batch))
        .ok_or(NO_BATCH)
}

/// The batches of a page, in the order of the file, among those that the caller may see.
async fn page_of(api: &Api, scope: &Scope, file: &File, page: Page) -> Result<List, ApiError> {
    // Without a seller to narrow by, every ordinal is a row, and the page's are known.
    let narrowed = scope.seller_id.is_some();
    let (mut next, mut skip) = if narrowed {
        (1, page.skipped())
    } else {
        (u32::try_from(page.skipped() + 1).unwrap_or(u32::MAX), 0)
    };
    let mut page_rows = List::new();
    while page.size > page_rows.rows() && next <= file.batch_count {
        let most = if narrowed {
            BATCHES_AT_A_TIME
        } else {
            BATCHES_AT_A_TIME.min(page.size - page_rows.rows())
        };
        let last = next.saturating_add(most - 1).min(file.batch_count);
        let (Ok(from), Ok(to)) = (BatchOrdinal::new(next), BatchOrdinal::new(last)) else {
            break;
        };
        for batch in api.store.batches_of_file(file.id, from, to).await? {
            if !scope.covers_batch(&batch) {
                continue;
            }
            if skip > 0 {
                skip -= 1;
            } else if page.size > page_rows.rows() {
                page_rows.push(&BatchBody::from(batch))?;
            }
        }
        next = last + 1;
    }
    Ok(page_rows)
}
