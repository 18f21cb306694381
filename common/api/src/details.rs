//! Details of a batch.

use std::collections::HashMap;

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use weir_domain::{
    Amount, BatchId, ChargeId, ClientId, Counters, Currency, CustomerId, DetailId, DetailStatus,
    EventNumber, FileId, LineNumber, ProgramId, SellerId,
};
use weir_store::{Batch, Detail, Payload};

use crate::auth::{Allowed, BatchesRead};
use crate::batches::visible_batch;
use crate::files::times;
use crate::list::List;
use crate::page::{DetailPage, Page};
use crate::path::BatchPath;
use crate::{Api, ApiError, ValidationError};

/// Details whose payloads are read together: two keys each, a hundred in a request.
const PAYLOADS_AT_A_TIME: usize = 50;
/// Lines looked at together where a status is asked for.
const LINES_AT_A_TIME: u64 = 5_000;
/// Most lines looked at for a page of a status: some seconds of reading.
const LINES_SCANNED_MAX: u64 = 100_000;

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
    path: BatchPath,
    DetailPage { page, status }: DetailPage,
) -> Result<List, ApiError> {
    let batch = visible_batch(&api, &allowed.scope, path).await?;
    let lines = match status {
        Some(status) => lines_in_status(&api, &batch, page, status).await?,
        None => page.rows(batch.counters.details).filter_map(line).collect(),
    };
    let mut list = List::new();
    for lines in lines.chunks(PAYLOADS_AT_A_TIME) {
        for row in bodies(&api, &batch, lines).await? {
            list.push(&row)?;
        }
    }
    Ok(list)
}

fn line(row: u64) -> Option<LineNumber> {
    LineNumber::new(u32::try_from(row).ok()?).ok()
}

/// The lines of a page of the details in one status, as far as the first
/// [`LINES_SCANNED_MAX`] lines hold them.
async fn lines_in_status(
    api: &Api,
    batch: &Batch,
    page: Page,
    status: DetailStatus,
) -> Result<Vec<LineNumber>, ApiError> {
    let wanted = page.rows(most_in_status(&batch.counters, status));
    let mut found = Vec::new();
    let (mut hits, mut first) = (0, 1);
    while !wanted.is_empty()
        && hits < *wanted.end()
        && let (Some(from), Some(to)) = (
            line(first),
            line((first + LINES_AT_A_TIME - 1).min(batch.counters.details)),
        )
        && from <= to
    {
        if first > LINES_SCANNED_MAX {
            return Err(too_far(page));
        }
        for detail in api.store.details_in_lines(&batch.place(), from, to).await? {
            if detail.status == status {
                hits += 1;
                if wanted.contains(&hits) {
                    found.push(detail.line());
                }
            }
        }
        first += LINES_AT_A_TIME;
    }
    Ok(found)
}

/// How many details can be in a status, by the counters of their batch.
fn most_in_status(counters: &Counters, status: DetailStatus) -> u64 {
    match status {
        DetailStatus::Unprocessed | DetailStatus::Retry => counters.unprocessed,
        DetailStatus::Error => counters.error,
        DetailStatus::Cancelled => counters.cancelled,
        DetailStatus::Processed => counters
            .details
            .saturating_sub(counters.unprocessed)
            .saturating_sub(counters.error)
            .saturating_sub(counters.cancelled),
    }
}

fn too_far(page: Page) -> ApiError {
    let advice = if page.number > 1 {
        "ask for an earlier page, or list the batch without status"
    } else {
        "ask for a smaller page, or list the batch without status"
    };
    let message = format!(
        "the first {LINES_SCANNED_MAX} details of the batch do not fill this page, and no more are \
         looked through: {advice}"
    );
    ApiError::InvalidParameter(vec![ValidationError::new("/query/status", message)])
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
    let changed: Vec<(LineNumber, u32)> = details
        .iter()
        .map(|(line, (detail, _))| (*line, detail.request_version))
        .filter(|(_, version)| *version > 1)
        .collect();
    let mut changed = api.store.payloads(&place, &changed).await?;
    let mut rows = Vec::with_capacity(details.len());
    for (line, (detail, mut payload)) in details {
        if detail.request_version > 1 {
            payload.request = changed.remove(&line).unwrap_or_default().request;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_say_how_many_details_can_be_in_a_status() {
        let counters = Counters {
            details: 20,
            unprocessed: 7,
            error: 4,
            draft: 3,
            cancelled: 2,
        };
        for (status, most) in [
            (DetailStatus::Unprocessed, 7),
            (DetailStatus::Retry, 7),
            (DetailStatus::Processed, 7),
            (DetailStatus::Error, 4),
            (DetailStatus::Cancelled, 2),
        ] {
            assert_eq!(most_in_status(&counters, status), most, "{status:?}");
        }
    }
}
