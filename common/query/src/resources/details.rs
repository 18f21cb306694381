//! Batch details.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;
use weir_domain::{BatchId, CustomerId, DetailId, EventNumber, LineNumber};
use weir_store::{Batch, CreatedId, Customer, Detail, Store, StoreError};

use crate::lines::{OfLines, READS_AT_A_TIME, detail_of};
use crate::resources::Batches;
use crate::schema::{ANY_TEXT, COUNT, Field, Parameter, Resource, Rule, SOME_TEXT, text};
use crate::{Row, Value};

pub(crate) const STATUSES: &[&str] = &["Unprocessed", "Retry", "Processed", "Error", "Cancelled"];
pub(crate) const TYPES: &[&str] = &["Charge", "Refund"];
/// An amount of either sign.
const AMOUNT: Rule = Rule::Integer {
    min: i64::MIN,
    max: i64::MAX,
};

/// A batch detail: an answer to `/v1/batchdetails`.
pub static DETAIL: Resource = Resource {
    name: "batch detail",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The detail"),
        Field::text("correlation_id", "The correlation id of its file"),
        Field::id("client_id", "The client it is for"),
        Field::id("program_id", "The program it is for"),
        Field::id("customer_id", "The buyer's company"),
        Field::text("customer_name", "The name of the buyer's company").heavy(),
        Field::id("seller_id", "Its seller"),
        Field::id("charge_id", "The charge that was made, or that is refunded"),
        Field::id("file_id", "The file it came in"),
        Field::id("batch_id", "The batch it is in"),
        Field::text("batch_number", "The seller's number for the batch"),
        Field::text("order_number", "The order's number"),
        Field::one_of("transaction_type", TYPES, "What is made of it"),
        Field::text("xml_data", "Its element as it stands in the file").heavy(),
        Field::text(
            "request_data",
            "The request as it is sent to 3Rivers, as JSON",
        )
        .heavy(),
        Field::text(
            "draft_request_data",
            "A request that waits to be confirmed, as JSON",
        )
        .heavy(),
        Field::text("response_data", "The last answer of 3Rivers").heavy(),
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
            "How many attempts failed since it was last Unprocessed",
        ),
        Field::one_of("status", STATUSES, "Where it stands"),
        Field::time("processed_at", "When it was settled"),
        Field::text("error_code", "Why it is in Error or Retry, as a code"),
        Field::text("error_log", "The same in words"),
        Field::time("error_at", "When that happened"),
        Field::time("user_updated_at", "When a caller last changed it"),
        Field::text("user_updated_by", "Which caller"),
        Field::time("created_at", "When it was made"),
        Field::time("updated_at", "When it last changed"),
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::by("correlation_id", text(1_024)),
        Parameter::by("client_id", Rule::Id),
        Parameter::by("program_id", Rule::Id),
        Parameter::by("customer_id", Rule::Id),
        Parameter::by("customer_name", text(1_024)),
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
        Parameter::by("amount", AMOUNT),
        Parameter::by("currency", SOME_TEXT),
        Parameter::by("vehicle_odometer", SOME_TEXT),
        Parameter::by("vehicle_identification_number", SOME_TEXT),
        Parameter::by("vehicle_unit_number", SOME_TEXT),
        Parameter::by("status", Rule::OneOf(STATUSES)),
        Parameter::by("processed_at", Rule::Time),
        Parameter::by("error_code", SOME_TEXT),
        Parameter::of("error_description", "error_log", SOME_TEXT),
        Parameter::by("error_at", Rule::Time),
        Parameter::by("retry_count", COUNT),
        Parameter::by("user_updated_at", Rule::Time),
        Parameter::by("user_updated_by", ANY_TEXT),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// What a scan of history or logs is narrowed by, the best first. The time of a change says nothing
/// of when its batch was made.
pub(crate) const NARROWER_OF_CHANGES: &[&str] = &[
    "batch_detail_id",
    "batch_id",
    "file_id",
    "charge_id",
    "seller_id",
];
/// What a scan of details is narrowed by, the best first.
pub(crate) const NARROWER: &[&str] = &[
    "batch_id",
    "file_id",
    "charge_id",
    "order_number with seller_id",
    "seller_id",
    "created_at:gte",
];

/// The fields that all details of a batch share, and the batch has under the same name.
pub(crate) const SHARED: &[&str] = &[
    "correlation_id",
    "client_id",
    "program_id",
    "seller_id",
    "file_id",
    "batch_number",
    "created_at",
];

/// A detail as a row.
#[derive(Debug, Clone)]
pub struct DetailRow {
    /// The detail.
    pub detail: Detail,
    /// Its batch.
    pub batch: Arc<Batch>,
    /// What is fetched when it is needed.
    pub(crate) payload: Option<Box<Fetched>>,
}

/// The heavy fields of a detail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetched {
    pub(crate) xml: String,
    pub(crate) request: Option<String>,
    pub(crate) draft: Option<String>,
    pub(crate) response: Option<String>,
    pub(crate) customer_name: Option<String>,
}

impl Row for DetailRow {
    fn value(&self, field: &str) -> Value<'_> {
        match field {
            "id" => Value::id(self.detail.id),
            // Both are made at one moment, so that one order is the order of both.
            "created_at" => Value::Time(self.detail.created_at),
            "customer_name" => self.fetched(|fetched| fetched.customer_name.as_deref()),
            "xml_data" => self.fetched(|fetched| Some(fetched.xml.as_str())),
            "request_data" => self.fetched(|fetched| fetched.request.as_deref()),
            "draft_request_data" => self.fetched(|fetched| fetched.draft.as_deref()),
            "response_data" => self.fetched(|fetched| fetched.response.as_deref()),
            "batch_id" => Value::id(self.batch.id),
            field if SHARED.contains(&field) => Batches::value_of(&self.batch, field),
            field => own_value(&self.detail, field),
        }
    }

    fn position(&self) -> CreatedId {
        CreatedId {
            created_ms: self.batch.created_at.timestamp_millis(),
            id: self.detail.id.uuid(),
        }
    }

    fn unload(&mut self) {
        self.payload = None;
    }
}

impl DetailRow {
    fn fetched<'r>(&'r self, text: impl FnOnce(&'r Fetched) -> Option<&'r str>) -> Value<'r> {
        Value::opt_text(self.payload.as_deref().and_then(text))
    }
}

/// The value of a field that lies in the detail's own item: of a detail, or of a detail as it was.
pub(crate) fn own_value<'d>(detail: &'d Detail, field: &str) -> Value<'d> {
    match field {
        "customer_id" => Value::opt_id(detail.customer_id),
        "charge_id" => Value::opt_id(detail.charge_id),
        "order_number" => Value::opt_text(detail.order_number.as_deref()),
        "transaction_type" => Value::text(detail.transaction_type.name()),
        "amount" => detail
            .amount
            .map_or(Value::Absent, |amount| Value::Integer(amount.minor())),
        "currency" => detail.currency.map_or(Value::Absent, |currency| {
            Value::Text(currency.code().into())
        }),
        "vehicle_odometer" => Value::opt_text(detail.vehicle_odometer.as_deref()),
        "vehicle_identification_number" => {
            Value::opt_text(detail.vehicle_identification_number.as_deref())
        }
        "vehicle_unit_number" => Value::opt_text(detail.vehicle_unit_number.as_deref()),
        "retry_count" => Value::count(detail.retry_count),
        "status" => Value::text(detail.status.name()),
        "processed_at" => Value::opt_time(detail.processed_at),
        "error_code" => Value::opt_text(detail.error_code.as_deref()),
        "error_log" => Value::opt_text(detail.error_description.as_deref()),
        "error_at" => Value::opt_time(detail.error_at),
        "user_updated_at" => Value::opt_time(detail.user_updated_at),
        "user_updated_by" => Value::opt_text(detail.user_updated_by.as_deref()),
        "updated_at" => Value::Time(detail.updated_at),
        _ => Value::Absent,
    }
}

/// The details as they are kept.
#[derive(Debug)]
pub struct Details;

impl OfLines for Details {
    type Row = DetailRow;
    const IS_ONE_A_LINE: bool = true;
    const WINDOW_MAX: u32 = 5_000;

    async fn in_lines(
        store: &Store,
        batch: &Arc<Batch>,
        from: LineNumber,
        to: LineNumber,
    ) -> Result<Vec<DetailRow>, StoreError> {
        let details = store.details_in_lines(&batch.place(), from, to).await?;
        Ok(rows(batch, details))
    }

    async fn of_lines(
        store: &Store,
        batch: &Arc<Batch>,
        lines: &[LineNumber],
    ) -> Result<Vec<DetailRow>, StoreError> {
        let details = store.details(&batch.place(), lines).await?;
        Ok(rows(batch, details))
    }

    async fn with_ids(
        store: &Store,
        batch: &Arc<Batch>,
        ids: &[Uuid],
    ) -> Result<Vec<DetailRow>, StoreError> {
        let lines = ids.iter().filter_map(|id| detail_of(*id));
        let lines: Vec<LineNumber> = lines.map(DetailId::line).collect();
        Self::of_lines(store, batch, &lines).await
    }

    async fn load(store: &Store, rows: &mut [DetailRow]) -> Result<(), StoreError> {
        load(store, rows).await
    }

    const RESOURCE: &'static Resource = &DETAIL;
    const SHARED: &'static [&'static str] = SHARED;
    const DETAIL_ID: &'static str = "id";
}

fn rows(batch: &Arc<Batch>, details: Vec<Detail>) -> Vec<DetailRow> {
    let row = |detail| DetailRow {
        detail,
        batch: Arc::clone(batch),
        payload: None,
    };
    details.into_iter().map(row).collect()
}

/// Fetches the heavy fields of some details.
async fn load(store: &Store, rows: &mut [DetailRow]) -> Result<(), StoreError> {
    let customers: Vec<CustomerId> = rows
        .iter()
        .filter_map(|row| row.detail.customer_id)
        .collect();
    let known = store.customers(&customers).await?.into_iter();
    let known: HashMap<CustomerId, Customer> =
        known.map(|customer| (customer.id, customer)).collect();
    let snapshot = |row: &DetailRow| Snapshot::of(&row.detail);
    let wanted = rows
        .iter()
        .map(|row| (Arc::clone(&row.batch), snapshot(row)));
    let fetched = fetch_all(store, wanted.collect()).await?;
    for row in rows {
        let mut payload = fetched.get(&snapshot(row)).cloned().unwrap_or_default();
        // A file may name a customer of another program, whose name is not its to see.
        payload.customer_name = row
            .detail
            .customer_id
            .and_then(|id| known.get(&id))
            .filter(|customer| customer.program_id == row.batch.program_id)
            .and_then(|customer| customer.name.clone());
        row.payload = Some(Box::new(payload));
    }
    Ok(())
}

/// The payloads of some snapshots of any batches, several of these at a time.
pub(crate) async fn fetch_all(
    store: &Store,
    wanted: Vec<(Arc<Batch>, Snapshot)>,
) -> Result<HashMap<Snapshot, Fetched>, StoreError> {
    let mut of_batches: HashMap<BatchId, (Arc<Batch>, Vec<Snapshot>)> = HashMap::new();
    for (batch, snapshot) in wanted {
        let entry = of_batches
            .entry(batch.id)
            .or_insert_with(|| (batch, Vec::new()));
        entry.1.push(snapshot);
    }
    let reads = of_batches
        .into_values()
        .map(|(batch, wanted)| async move { fetch(store, &batch, &wanted).await });
    let fetched: Vec<HashMap<Snapshot, Fetched>> = stream::iter(reads)
        .buffer_unordered(READS_AT_A_TIME)
        .try_collect()
        .await?;
    Ok(fetched.into_iter().flatten().collect())
}

/// A detail as it is or was, as far as its payloads go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    id: DetailId,
    request_version: u32,
    draft_version: Option<u32>,
    answered_in: Option<EventNumber>,
}

impl Snapshot {
    pub(crate) fn of(detail: &Detail) -> Self {
        Self {
            id: detail.id,
            request_version: detail.request_version,
            draft_version: detail.draft_version,
            answered_in: detail.answered_in,
        }
    }
}

/// The payloads of some snapshots of one batch.
async fn fetch(
    store: &Store,
    batch: &Batch,
    wanted: &[Snapshot],
) -> Result<HashMap<Snapshot, Fetched>, StoreError> {
    let place = batch.place();
    let mut versions: Vec<(LineNumber, u32)> = Vec::new();
    let mut events: Vec<(LineNumber, EventNumber)> = Vec::new();
    for snapshot in wanted {
        // The first version holds the XML.
        versions.push((snapshot.id.line(), 1));
        let also = [
            Some(snapshot.request_version.max(1)),
            snapshot.draft_version,
        ];
        versions.extend(
            also.into_iter()
                .flatten()
                .map(|version| (snapshot.id.line(), version)),
        );
        events.extend(
            snapshot
                .answered_in
                .map(|event| (snapshot.id.line(), event)),
        );
    }
    versions.sort_unstable();
    versions.dedup();
    events.sort_unstable();
    events.dedup();
    let payloads = store.payload_versions(&place, &versions).await?;
    let mut responses = HashMap::new();
    for event in store.events(&place, &events).await? {
        let response = event.calls.into_iter().rev().find_map(|call| call.response);
        responses.insert((event.detail.line(), event.detail.events), response);
    }
    let fetched = |snapshot: &Snapshot| {
        let line = snapshot.id.line();
        let first = payloads.get(&(line, 1));
        let request = |version| {
            let payload = payloads.get(&(line, version))?;
            Some(payload.request.clone()).filter(|request| !request.is_empty())
        };
        let response = snapshot
            .answered_in
            .and_then(|event| responses.get(&(line, event.get())).cloned().flatten());
        let fetched = Fetched {
            xml: first.map(|payload| payload.xml.clone()).unwrap_or_default(),
            request: request(snapshot.request_version),
            draft: snapshot.draft_version.and_then(request),
            response,
            customer_name: None,
        };
        (*snapshot, fetched)
    };
    Ok(wanted.iter().map(fetched).collect())
}
