//! The logs of batch details: one record for each call to 3Rivers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;
use weir_domain::{BatchId, CallNumber, EventNumber, LineNumber, LogId};
use weir_store::{Batch, Call, CreatedId, DetailPlace, Event, Store, StoreError};

use super::history::{SHARED, events_of_lines};
use crate::lines::{OfLines, READS_AT_A_TIME};
use crate::resources::Batches;
use crate::schema::{Field, Parameter, Resource, Rule, SOME_TEXT, text};
use crate::{Row, Value};

/// A log record: an answer to `/v1/batchdetaillogs`.
pub static LOG: Resource = Resource {
    name: "batch detail log",
    is_in_order_of_creation: false,
    fields: &[
        Field::id("id", "The record"),
        Field::text(
            "correlation_id",
            "The correlation id of the work that made the call",
        ),
        Field::id("client_id", "The client the detail is for"),
        Field::id("program_id", "The program the detail is for"),
        Field::id("customer_id", "The buyer's company"),
        Field::id("seller_id", "The seller"),
        Field::id("charge_id", "The charge that was made, or that is refunded"),
        Field::id("file_id", "The file the detail came in"),
        Field::id("batch_id", "The batch the detail is in"),
        Field::id("batch_detail_id", "The detail the call was made for"),
        Field::text("request_data", "The request that was sent, as JSON").heavy(),
        Field::text(
            "response_data",
            "The answer, secrets masked; what went wrong, if none came",
        ),
        Field::integer(
            "response_status",
            "The answer's HTTP status; absent when none came",
        ),
        Field::time("created_at", "When the call began"),
        Field::time("updated_at", "When it ended"),
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::of("batch_detail_log_id", "id", Rule::Id),
        Parameter::by("correlation_id", text(1_024)),
        Parameter::by("client_id", Rule::Id),
        Parameter::by("program_id", Rule::Id),
        Parameter::by("customer_id", Rule::Id),
        Parameter::by("seller_id", Rule::Id),
        Parameter::by("charge_id", Rule::Id),
        Parameter::by("file_id", Rule::Id),
        Parameter::by("batch_id", Rule::Id),
        Parameter::by("batch_detail_id", Rule::Id),
        Parameter::by("request_data", SOME_TEXT),
        Parameter::by("response_data", SOME_TEXT),
        Parameter::by("response_status", Rule::Integer { min: 100, max: 599 }),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// A log record as a row.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// What the call led to.
    event: Arc<Event>,
    /// Which of its calls.
    number: CallNumber,
    call: Call,
    batch: Arc<Batch>,
    request: Option<String>,
}

impl Row for LogRow {
    fn value(&self, field: &str) -> Value<'_> {
        let detail = &self.event.detail;
        match field {
            "id" => Value::Id(self.position().id),
            "batch_detail_id" => Value::id(detail.id),
            "correlation_id" => Value::text(&self.event.correlation_id),
            "batch_id" => Value::id(self.batch.id),
            "customer_id" => Value::opt_id(detail.customer_id),
            "charge_id" => Value::opt_id(detail.charge_id),
            "request_data" => Value::opt_text(self.request.as_deref()),
            "response_data" => {
                let call = &self.call;
                Value::opt_text(call.response.as_deref().or(call.failure.as_deref()))
            }
            "response_status" => self
                .call
                .response_status
                .map_or(Value::Absent, |status| Value::Integer(status.into())),
            "created_at" => Value::Time(self.call.at),
            "updated_at" => Value::Time(ended_at(&self.call)),
            field if SHARED.contains(&field) => Batches::value_of(&self.batch, field),
            _ => Value::Absent,
        }
    }

    fn position(&self) -> CreatedId {
        let detail = &self.event.detail;
        // An event that is kept has a number.
        let event = EventNumber::new(detail.events);
        let id = event.map_or(detail.id.uuid(), |event| {
            detail.id.log(event, self.number).uuid()
        });
        CreatedId {
            created_ms: self.batch.created_at.timestamp_millis(),
            id,
        }
    }

    fn unload(&mut self) {
        self.request = None;
    }
}

fn ended_at(call: &Call) -> DateTime<Utc> {
    let took = i64::try_from(call.duration_ms).unwrap_or(i64::MAX);
    let took = TimeDelta::try_milliseconds(took).unwrap_or_default();
    call.at.checked_add_signed(took).unwrap_or(call.at)
}

/// The logs as they are kept.
#[derive(Debug)]
pub struct Logs;

impl OfLines for Logs {
    type Row = LogRow;
    const IS_ONE_A_LINE: bool = false;
    /// Their events hold the answers of all calls.
    const WINDOW_MAX: u32 = 500;

    async fn in_lines(
        store: &Store,
        batch: &Arc<Batch>,
        from: LineNumber,
        to: LineNumber,
    ) -> Result<Vec<LogRow>, StoreError> {
        let events = store.events_in_lines(&batch.place(), from, to).await?;
        Ok(rows(batch, events))
    }

    async fn of_lines(
        store: &Store,
        batch: &Arc<Batch>,
        lines: &[LineNumber],
    ) -> Result<Vec<LogRow>, StoreError> {
        let events = events_of_lines(store, batch, lines).await?;
        Ok(rows(batch, events))
    }

    async fn with_ids(
        store: &Store,
        batch: &Arc<Batch>,
        ids: &[Uuid],
    ) -> Result<Vec<LogRow>, StoreError> {
        let place = |id: &Uuid| {
            let (detail, event, _) = LogId::try_from(*id).ok()?.place()?;
            Some((detail.line(), event))
        };
        let mut places: Vec<_> = ids.iter().filter_map(place).collect();
        // Calls of one event share it, and no key may be asked for twice.
        places.sort_unstable();
        places.dedup();
        let events = store.events(&batch.place(), &places).await?;
        Ok(rows(batch, events))
    }

    async fn load(store: &Store, rows: &mut [LogRow]) -> Result<(), StoreError> {
        load(store, rows).await
    }

    const RESOURCE: &'static Resource = &LOG;
    const SHARED: &'static [&'static str] = SHARED;
    const DETAIL_ID: &'static str = "batch_detail_id";
}

fn rows(batch: &Arc<Batch>, events: Vec<Event>) -> Vec<LogRow> {
    let mut rows = Vec::new();
    for mut event in events {
        let calls = std::mem::take(&mut event.calls);
        let event = Arc::new(event);
        for (number, call) in (0..)
            .map_while(|number| CallNumber::new(number).ok())
            .zip(calls)
        {
            rows.push(LogRow {
                event: Arc::clone(&event),
                number,
                call,
                batch: Arc::clone(batch),
                request: None,
            });
        }
    }
    rows
}

/// Fetches the requests of some records.
async fn load(store: &Store, rows: &mut [LogRow]) -> Result<(), StoreError> {
    let version = |row: &LogRow| (row.event.detail.line(), row.call.request_version);
    let mut of_batches: HashMap<BatchId, (DetailPlace, BTreeSet<_>)> = HashMap::new();
    for row in rows.iter() {
        let entry = of_batches.entry(row.batch.id);
        let (_, versions) = entry.or_insert_with(|| (row.batch.place(), BTreeSet::new()));
        versions.insert(version(row));
    }
    let reads = of_batches
        .into_iter()
        .map(|(batch, (place, versions))| async move {
            let versions: Vec<(LineNumber, u32)> = versions.into_iter().collect();
            let payloads = store.payload_versions(&place, &versions).await?;
            Ok::<_, StoreError>((batch, payloads))
        });
    let payloads: HashMap<BatchId, _> = stream::iter(reads)
        .buffer_unordered(READS_AT_A_TIME)
        .try_collect()
        .await?;
    for row in rows {
        let of_batch = payloads.get(&row.batch.id);
        let payload = of_batch.and_then(|payloads| payloads.get(&version(row)));
        row.request = payload.map(|payload| payload.sent_request(&row.event.detail));
    }
    Ok(())
}
