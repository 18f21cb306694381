//! Details of a batch.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use weir_domain::{
    Amount, BatchId, ChargeId, ClientId, Currency, CustomerId, DetailId, EventNumber, FileId,
    LineNumber, ProgramId, SellerId,
};
use weir_store::{Batch, Detail, Payload};

use crate::auth::{Allowed, BatchesRead};
use crate::batches::visible_batch;
use crate::files::times;
use crate::page::DetailPage;
use crate::{Api, ApiError, ValidationError};

/// The largest answer: API Gateway and Lambda carry 6 MB, escaped once more on the way.
const ANSWER_BYTES_MAX: usize = 5_000_000;

/// Lines looked at together where a status is asked for.
const LINES_AT_A_TIME: u64 = 5_000;

/// A detail as callers see it. `xml_data`, `request_data` and `response_data` are texts.
#[derive(Debug, Serialize)]
struct DetailBody {
    id: DetailId,
    correlation_id: String,
    client_id: ClientId,
    program_id: ProgramId,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seller_id: Option<SellerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge_id: Option<ChargeId>,
    file_id: FileId,
    batch_id: BatchId,
    batch_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_number: Option<String>,
    transaction_type: &'static str,
    xml_data: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vehicle_odometer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vehicle_identification_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vehicle_unit_number: Option<String>,
    retry_count: u32,
    status: &'static str,
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    processed_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_log: Option<String>,
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    error_at: Option<DateTime<Utc>>,
    #[serde(with = "times", skip_serializing_if = "Option::is_none")]
    user_updated_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_updated_by: Option<String>,
    #[serde(with = "times")]
    created_at: Option<DateTime<Utc>>,
    #[serde(with = "times")]
    updated_at: Option<DateTime<Utc>>,
}

/// `GET /v1/files/{file_id}/batches/{batch_id}/batchdetails`, in the order of the lines.
pub(crate) async fn list(
    State(api): State<Api>,
    allowed: Allowed<BatchesRead>,
    Path((file_id, batch_id)): Path<(String, String)>,
    wanted: DetailPage,
) -> Result<Response, ApiError> {
    let batch = visible_batch(&api, &allowed.scope, &file_id, &batch_id).await?;
    let lines = lines_of_page(&api, &batch, wanted).await?;
    let rows = bodies(&api, &batch, &lines).await?;
    let json = serde_json::to_vec(&rows).map_err(|_| ApiError::Internal)?;
    if json.len() > ANSWER_BYTES_MAX {
        return Err(too_large(json.len(), rows.len()));
    }
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

/// The lines of the details that a page holds.
async fn lines_of_page(
    api: &Api,
    batch: &Batch,
    DetailPage { page, status }: DetailPage,
) -> Result<Vec<LineNumber>, ApiError> {
    let line = |row: u64| LineNumber::new(u32::try_from(row).ok()?).ok();
    let Some(status) = status else {
        return Ok(page.rows(batch.counters.details).filter_map(line).collect());
    };
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let mut skip = page.skipped();
    let mut found = Vec::with_capacity(size);
    let mut first = 1;
    while found.len() < size
        && let (Some(from), Some(to)) = (
            line(first),
            line((first + LINES_AT_A_TIME - 1).min(batch.counters.details)),
        )
        && from <= to
    {
        for detail in api.store.details_in_lines(&batch.place(), from, to).await? {
            if detail.status == status {
                if skip > 0 {
                    skip -= 1;
                } else if found.len() < size {
                    found.push(detail.line());
                }
            }
        }
        first += LINES_AT_A_TIME;
    }
    Ok(found)
}

/// The rows with their payloads, their last answers and their customers' names.
async fn bodies(
    api: &Api,
    batch: &Batch,
    lines: &[LineNumber],
) -> Result<Vec<DetailBody>, ApiError> {
    let place = batch.place();
    let details = api.store.details_with_payloads(&place, lines).await?;
    let last_events: Vec<(LineNumber, EventNumber)> = details
        .iter()
        .filter_map(|(line, (detail, _))| Some((*line, EventNumber::new(detail.events).ok()?)))
        .collect();
    let mut responses: HashMap<DetailId, Option<String>> = HashMap::new();
    for event in api.store.events(&place, &last_events).await? {
        let response = event.calls.into_iter().rev().find_map(|call| call.response);
        responses.insert(event.detail.id, response);
    }
    let customers: Vec<CustomerId> = details
        .values()
        .filter_map(|(detail, _)| detail.customer_id)
        .collect();
    let names: HashMap<CustomerId, Option<String>> = api
        .store
        .customers(&customers)
        .await?
        .into_iter()
        .filter(|customer| customer.program_id == batch.program_id)
        .map(|customer| (customer.id, customer.name))
        .collect();
    let mut rows = Vec::with_capacity(details.len());
    for (line, (detail, mut payload)) in details {
        if detail.request_version > 1 {
            let later = api
                .store
                .payload(&place, line, detail.request_version)
                .await?;
            payload.request = later.unwrap_or_default().request;
        }
        let response = responses.remove(&detail.id).flatten();
        let name = detail
            .customer_id
            .and_then(|id| names.get(&id).cloned().flatten());
        rows.push(body(batch, detail, payload, response, name));
    }
    Ok(rows)
}

fn body(
    batch: &Batch,
    detail: Detail,
    payload: Payload,
    response: Option<String>,
    customer_name: Option<String>,
) -> DetailBody {
    DetailBody {
        id: detail.id,
        correlation_id: batch.correlation_id.clone(),
        client_id: batch.client_id,
        program_id: batch.program_id,
        customer_id: detail.customer_id,
        customer_name,
        seller_id: batch.seller_id,
        charge_id: detail.charge_id,
        file_id: batch.id.file(),
        batch_id: batch.id,
        batch_number: batch.batch_number.clone(),
        order_number: detail.order_number,
        transaction_type: detail.transaction_type.name(),
        xml_data: payload.xml,
        request_data: payload.request,
        response_data: response,
        amount: detail.amount,
        currency: detail.currency,
        vehicle_odometer: detail.vehicle_odometer,
        vehicle_identification_number: detail.vehicle_identification_number,
        vehicle_unit_number: detail.vehicle_unit_number,
        retry_count: detail.retry_count,
        status: detail.status.name(),
        processed_at: detail.processed_at,
        error_code: detail.error_code,
        error_log: detail.error_description,
        error_at: detail.error_at,
        user_updated_at: detail.user_updated_at,
        user_updated_by: detail.user_updated_by,
        created_at: Some(detail.created_at),
        updated_at: Some(detail.updated_at),
    }
}

fn too_large(bytes: usize, rows: usize) -> ApiError {
    let fits = (rows * (ANSWER_BYTES_MAX / 2) / bytes.max(1)).max(1);
    let message = format!("the page would be larger than an answer can be: {fits} rows fit");
    ApiError::InvalidParameter(vec![ValidationError::new("/query/page_size", message)])
}
