//! The history of batch details: each as it became with a change.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;
use weir_domain::{HistoryId, LineNumber};
use weir_store::{Batch, CreatedId, Event, Store, StoreError};

use super::details::{self, Fetched, STATUSES, Snapshot, TYPES};
use crate::lines::{OfLines, READS_AT_A_TIME};
use crate::resources::Batches;
use crate::schema::{ANY_TEXT, COUNT, Field, Parameter, Resource, Rule, SOME_TEXT, text};
use crate::{Row, Value};

/// A history record: an answer to `/v1/batchdetailhistory`.
pub static HISTORY: Resource = Resource {
    name: "batch detail history",
    is_in_order_of_creation: false,
    fields: &[
        Field::id("id", "The record"),
        Field::id("batch_detail_id", "The detail it is about"),
        Field::text(
            "correlation_id",
            "The correlation id of what changed the detail",
        ),
        Field::id("client_id", "The client the detail is for"),
        Field::id("program_id", "The program the detail is for"),
        Field::id("customer_id", "The buyer's company"),
        Field::id("seller_id", "The seller"),
        Field::id("charge_id", "The charge that was made, or that is refunded"),
        Field::id("file_id", "The file the detail came in"),
        Field::id("batch_id", "The batch the detail is in"),
        Field::text("batch_number", "The seller's number for the batch"),
        Field::text("order_number", "The order's number"),
        Field::one_of("transaction_type", TYPES, "What is made of the detail"),
        Field::text("xml_data", "The detail's element as it stands in the file").heavy(),
        Field::text("request_data", "The request as it was then, as JSON").heavy(),
        Field::text("draft_request_data", "The draft as it was then, as JSON").heavy(),
        Field::text("response_data", "The last answer of 3Rivers by then").heavy(),
        Field::integer("amount", "The total in minor units of the currency"),
        Field::text("currency", "The currency, three letters of ISO 4217"),
        Field::text("vehicle_odometer", "What the vehicle's odometer showed"),
        Field::text(
            "vehicle_identification_number",
            "The vehicle's identification number",
        ),
        Field::text("vehicle_unit_number", "The vehicle's number in the fleet"),
        Field::integer(
            "retry_count",
            "How many attempts had failed since it was last Unprocessed",
        ),
        Field::one_of("status", STATUSES, "Where the detail stood then"),
        Field::time(
            "processed_at",
            "When the detail was settled, if it was by then",
        ),
        Field::text("error_code", "Why it was in Error or Retry, as a code"),
        Field::text("error_log", "The same in words"),
        Field::time("error_at", "When that had happened"),
        Field::time(
            "user_updated_at",
            "When a caller had last changed the detail",
        ),
        Field::text("user_updated_by", "Which caller"),
        Field::time(
            "created_at",
            "When the change was made, and this record of it",
        ),
        Field::time("updated_at", "The same: a record never changes"),
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::by("batch_detail_id", Rule::Id),
        Parameter::by("correlation_id", text(1_024)),
        Parameter::by("client_id", Rule::Id),
        Parameter::by("program_id", Rule::Id),
        Parameter::by("customer_id", Rule::Id),
        Parameter::by("seller_id", Rule::Id),
        Parameter::by("charge_id", Rule::Id),
        Parameter::by("file_id", Rule::Id),
        Parameter::by("batch_id", Rule::Id),
        Parameter::by("batch_number", text(20)),
        Parameter::by("order_number", text(824)),
        Parameter::by("transaction_type", Rule::OneOf(TYPES)),
        Parameter::by("xml_data", SOME_TEXT),
        Parameter::by("request_data", SOME_TEXT),
        Parameter::by("draft_request_data", SOME_TEXT),
        Parameter::by("response_data", SOME_TEXT),
        Parameter::by(
            "amount",
            Rule::Integer {
                min: i64::MIN,
                max: i64::MAX,
            },
        ),
        Parameter::by("currency", SOME_TEXT),
        Parameter::by("vehicle_odometer", SOME_TEXT),
        Parameter::by("vehicle_identification_number", SOME_TEXT),
        Parameter::by("vehicle_unit_number", SOME_TEXT),
        Parameter::by("status", Rule::OneOf(STATUSES)),
        Parameter::by("processed_at", Rule::Time),
        Parameter::by("error_code", SOME_TEXT),
        Parameter::by("error_log", SOME_TEXT),
        Parameter::by("error_at", Rule::Time),
        Parameter::by("retry_count", COUNT),
        Parameter::by("user_updated_at", Rule::Time),
        Parameter::by("user_updated_by", ANY_TEXT),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// The fields that all records of a batch share, and the batch has under the same name.
pub(crate) const SHARED: &[&str] = &[
    "client_id",
    "program_id",
    "seller_id",
    "file_id",
    "batch_number",
];

/// A history record as a row.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// The change.
    pub event: Event,
    /// The detail's batch.
    pub batch: Arc<Batch>,
    pub(crate) payload: Option<Box<Fetched>>,
}

impl Row for HistoryRow {
    fn value(&self, field: &str) -> Value<'_> {
        let detail = &self.event.detail;
        match field {
            "id" => Value::Id(self.position().id),
            "batch_detail_id" => Value::id(detail.id),
            "correlation_id" => Value::text(&self.event.correlation_id),
            "batch_id" => Value::id(self.batch.id),
            "created_at" => Value::Time(detail.updated_at),
            "xml_data" => self.fetched(|fetched| Some(fetched.xml.as_str())),
            "request_data" => self.fetched(|fetched| fetched.request.as_deref()),
            "draft_request_data" => self.fetched(|fetched| fetched.draft.as_deref()),
            "response_data" => self.fetched(|fetched| fetched.response.as_deref()),
            field if SHARED.contains(&field) => Batches::value_of(&self.batch, field),
            field => details::own_value(detail, field),
        }
    }

    fn position(&self) -> CreatedId {
        let detail = &self.event.detail;
        // An event that is kept has a number.
        let number = weir_domain::EventNumber::new(detail.events);
        let id = number.map_or(detail.id.uuid(), |event| detail.id.history(event).uuid());
        CreatedId {
            created_ms: self.batch.created_at.timestamp_millis(),
            id,
        }
    }

    fn unload(&mut self) {
        self.payload = None;
    }
}

impl HistoryRow {
    fn fetched<'r>(&'r self, text: impl FnOnce(&'r Fetched) -> Option<&'r str>) -> Value<'r> {
        Value::opt_text(self.payload.as_deref().and_then(text))
    }
}

/// The history as it is kept.
#[derive(Debug)]
pub struct History;

impl OfLines for History {
    type Row = HistoryRow;
    const IS_ONE_A_LINE: bool = false;
    /// Their events hold the answers of all calls.
    const WINDOW_MAX: u32 = 500;

    async fn in_lines(
        store: &Store,
        batch: &Arc<Batch>,
        from: LineNumber,
        to: LineNumber,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let events = store.events_in_lines(&batch.place(), from, to).await?;
        Ok(rows(batch, events))
    }

    async fn of_lines(
        store: &Store,
        batch: &Arc<Batch>,
        lines: &[LineNumber],
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let events = events_of_lines(store, batch, lines).await?;
        Ok(rows(batch, events))
    }

    async fn with_ids(
        store: &Store,
        batch: &Arc<Batch>,
        ids: &[Uuid],
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let place = |id: &Uuid| {
            let (detail, event) = HistoryId::try_from(*id).ok()?.place()?;
            Some((detail.line(), event))
        };
        let places: Vec<_> = ids.iter().filter_map(place).collect();
        let events = store.events(&batch.place(), &places).await?;
        Ok(rows(batch, events))
    }

    async fn load(store: &Store, rows: &mut [HistoryRow]) -> Result<(), StoreError> {
        load(store, rows).await
    }

    const RESOURCE: &'static Resource = &HISTORY;
    const SHARED: &'static [&'static str] = SHARED;
    const DETAIL_ID: &'static str = "batch_detail_id";
}

/// Every event of some lines, by line and number.
pub(crate) async fn events_of_lines(
    store: &Store,
    batch: &Batch,
    lines: &[LineNumber],
) -> Result<Vec<Event>, StoreError> {
    // Neighbours are read together.
    let neighbours = lines.chunk_by(|a, b| a.get() + 1 == b.get());
    let ranges = neighbours.filter_map(|lines| Some((*lines.first()?, *lines.last()?)));
    let ranges: Vec<(LineNumber, LineNumber)> = ranges.collect();
    let place = batch.place();
    stream::iter(ranges)
        .map(|(from, to)| store.events_in_lines(&place, from, to))
        .buffered(READS_AT_A_TIME)
        .try_concat()
        .await
}

fn rows(batch: &Arc<Batch>, events: Vec<Event>) -> Vec<HistoryRow> {
    let row = |event| HistoryRow {
        event,
        batch: Arc::clone(batch),
        payload: None,
    };
    events.into_iter().map(row).collect()
}

/// Fetches the heavy fields of some records.
async fn load(store: &Store, rows: &mut [HistoryRow]) -> Result<(), StoreError> {
    let snapshot = |row: &HistoryRow| Snapshot::of(&row.event.detail);
    let wanted = rows
        .iter()
        .map(|row| (Arc::clone(&row.batch), snapshot(row)));
    let fetched = details::fetch_all(store, wanted.collect()).await?;
    for row in rows {
        let payload = fetched.get(&snapshot(row)).cloned().unwrap_or_default();
        row.payload = Some(Box::new(payload));
    }
    Ok(())
}
