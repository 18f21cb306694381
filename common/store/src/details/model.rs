//! What a detail is, and its items.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_domain::{
    Amount, BuyerId, ChargeId, Currency, CustomerId, DetailId, DetailStatus, EventNumber,
    LineNumber, RefundBody, RefundId, TransactionType,
};

use super::{DetailPlace, KIND_DETAIL, KIND_EVENT, KIND_PAYLOAD};
use crate::StoreError;
use crate::item::{Item, Reader, Writer, bytes, number, text, time, uuid};
use crate::payload::{compress, decompress};
use crate::tables::DETAILS;

/// A batch detail without its payloads: what lists and decisions need, under 1 KB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Its id; batch, file and line follow from it.
    pub id: DetailId,
    /// Grows with every write of the item; each write names the version it changes.
    pub version: u64,
    /// Where it stands.
    pub status: DetailStatus,
    /// Charge or refund.
    pub transaction_type: TransactionType,
    /// The order's number; missing on a record that has no valid one.
    pub order_number: Option<String>,
    /// The purchase order's number.
    pub po_number: Option<String>,
    /// The total in minor units; missing on a record that has no valid one.
    pub amount: Option<Amount>,
    /// The currency; missing on a record that has no valid one.
    pub currency: Option<Currency>,
    /// The buyer of a charge.
    pub buyer_id: Option<BuyerId>,
    /// The buyer's company.
    pub customer_id: Option<CustomerId>,
    /// What the vehicle's odometer showed.
    pub vehicle_odometer: Option<String>,
    /// The vehicle's identification number.
    pub vehicle_identification_number: Option<String>,
    /// The vehicle's number in the fleet.
    pub vehicle_unit_number: Option<String>,
    /// The charge that was made, or that is refunded. On a refund it is fixed before the first
    /// call, so that every repeat sends the same body under the same key.
    pub charge_id: Option<ChargeId>,
    /// The refund that was made.
    pub refund_id: Option<RefundId>,
    /// Which request is sent: 0 when the record allows none.
    pub request_version: u32,
    /// How many events it has gone through.
    pub events: u32,
    /// The last event with a call that was answered.
    pub answered_in: Option<EventNumber>,
    /// How many attempts failed since it was last Unprocessed.
    pub retry_count: u32,
    /// The payload version of a request that is to take the place of this one, once confirmed.
    pub draft_version: Option<u32>,
    /// The highest payload version there ever was: 1 from the file, one more for each draft. A number
    /// is used once, so a request version, and with it the key of its calls, never means two requests.
    pub payload_versions: u32,
    /// Since when a refund waits for its charge.
    pub waiting_since: Option<DateTime<Utc>>,
    /// Not to be sent before.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Until when somebody is working on it.
    pub lease_until: Option<DateTime<Utc>>,
    /// When the first call of this request version was begun whose effect is not known.
    pub attempted_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was settled.
    pub processed_at: Option<DateTime<Utc>>,
    /// Why it is in Error or Retry, as a code.
    pub error_code: Option<String>,
    /// The same in words, at most [`Detail::ERROR_CHARACTERS_MAX`] characters.
    pub error_description: Option<String>,
    /// When that happened.
    pub error_at: Option<DateTime<Utc>>,
    /// When a caller last changed it.
    pub user_updated_at: Option<DateTime<Utc>>,
    /// Which caller.
    pub user_updated_by: Option<String>,
    /// In which request, or task of the batch, that was, where it has an id that its repeats share.
    pub changed_in: Option<Uuid>,
}

/// The heavy part of a detail: its XML and one version of its request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// The element's text: as it stands in the file with the first version, as it was mended with
    /// others.
    pub xml: String,
    /// The request as JSON; empty when the record allows none.
    pub request: String,
}

/// One call to 3Rivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Which version of the request it sent.
    pub request_version: u32,
    /// The HTTP status; missing when no answer came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response_status: Option<u16>,
    /// The answer's body, secrets masked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response: Option<String>,
    /// What went wrong, when no answer came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
}

/// A change of a detail: history record and log records in one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub name: String,
    /// Who did it, when a caller did.
    pub actor: Option<String>,
    /// The correlation id of the work that did it.
    pub correlation_id: String,
    /// The calls that led to it, at most 16.
    pub calls: Vec<Call>,
    /// The detail as it became.
    pub detail: Detail,
}

impl Detail {
    /// Most characters of an error's description; what is longer is cut.
    pub const ERROR_CHARACTERS_MAX: usize = 400;

    /// Most payload versions of a detail: what a record's number has room for.
    pub const PAYLOAD_VERSIONS_MAX: u32 = super::RECORD_NUMBER_MAX;

    /// Whether a draft of another request waits.
    pub fn has_draft(&self) -> bool {
        self.draft_version.is_some()
    }

    /// The payload version that holds its record as it now counts: the request's, or the file's where
    /// the record allows no request.
    pub fn record_version(&self) -> u32 {
        self.request_version.max(1)
    }

    /// Its place in the batch.
    pub fn line(&self) -> LineNumber {
        self.id.line()
    }

    pub(super) fn to_item(&self, place: &DetailPlace) -> Item {
        let mut item = place.key(self.line(), KIND_DETAIL, 0);
        item.extend(self.attributes());
        item
    }

    fn attributes(&self) -> Item {
        let opt_text = |value: &Option<String>| value.as_ref().map(text);
        Writer::default()
            .with("version", number(self.version))
            .with("status", text(self.status.name()))
            .with("type", text(self.transaction_type.name()))
            .with_some("order_number", opt_text(&self.order_number))
            .with_some("po_number", opt_text(&self.po_number))
            .with_some("amount", self.amount.map(|amount| number(amount.minor())))
            .with_some(
                "currency",
                self.currency.map(|currency| text(currency.code())),
            )
            .with_some("buyer_id", self.buyer_id.map(uuid))
            .with_some("customer_id", self.customer_id.map(uuid))
            .with_some("vehicle_odometer", opt_text(&self.vehicle_odometer))
            .with_some("vehicle_id", opt_text(&self.vehicle_identification_number))
            .with_some("vehicle_unit", opt_text(&self.vehicle_unit_number))
            .with_some("charge_id", self.charge_id.map(uuid))
            .with_some("refund_id", self.refund_id.map(uuid))
            .with("request_version", number(self.request_version))
            .with("events", number(self.events))
            .with_some(
                "answered_in",
                self.answered_in.map(|event| number(event.get())),
            )
            .with("retry_count", number(self.retry_count))
            .with_some("draft_version", self.draft_version.map(number))
            .with("payload_versions", number(self.payload_versions))
            .with_some("waiting_since", self.waiting_since.map(time))
            .with_some("next_attempt_at", self.next_attempt_at.map(time))
            .with_some("lease_until", self.lease_until.map(time))
            .with_some("attempted_at", self.attempted_at.map(time))
            .with("created_at", time(self.created_at))
            .with("updated_at", time(self.updated_at))
            .with_some("processed_at", self.processed_at.map(time))
            .with_some("error_code", opt_text(&self.error_code))
            .with_some("error_description", opt_text(&self.error_description))
            .with_some("error_at", self.error_at.map(time))
            .with_some("user_updated_at", self.user_updated_at.map(time))
            .with_some("user_updated_by", opt_text(&self.user_updated_by))
            .with_some("changed_in", self.changed_in.map(uuid))
            .finish()
    }

    pub(super) fn from_item(id: DetailId, item: &Item) -> Result<Self, StoreError> {
        let read = Reader::new(DETAILS.name, id.to_string(), item);
        let opt_text = |name| Ok::<_, StoreError>(read.opt_text(name)?.map(str::to_owned));
        Ok(Self {
            id,
            version: read.number("version")?,
            status: read.parsed("status")?,
            transaction_type: read.parsed("type")?,
            order_number: opt_text("order_number")?,
            po_number: opt_text("po_number")?,
            amount: match read.opt_number("amount")? {
                Some(minor) => Some(Amount::from_minor(minor).map_err(|_| read.corrupt("amount"))?),
                None => None,
            },
            currency: read.opt_parsed("currency")?,
            buyer_id: read.opt_id("buyer_id")?,
            customer_id: read.opt_id("customer_id")?,
            vehicle_odometer: opt_text("vehicle_odometer")?,
            vehicle_identification_number: opt_text("vehicle_id")?,
            vehicle_unit_number: opt_text("vehicle_unit")?,
            charge_id: read.opt_id("charge_id")?,
            refund_id: read.opt_id("refund_id")?,
            request_version: read.number("request_version")?,
            events: read.number("events")?,
            answered_in: match read.opt_number("answered_in")? {
                Some(event) => {
                    Some(EventNumber::new(event).map_err(|_| read.corrupt("answered_in"))?)
                }
                None => None,
            },
            retry_count: read.number("retry_count")?,
            draft_version: read.opt_number("draft_version")?,
            payload_versions: read.number("payload_versions")?,
            waiting_since: read.opt_time("waiting_since")?,
            next_attempt_at: read.opt_time("next_attempt_at")?,
            lease_until: read.opt_time("lease_until")?,
            attempted_at: read.opt_time("attempted_at")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
            processed_at: read.opt_time("processed_at")?,
            error_code: opt_text("error_code")?,
            error_description: opt_text("error_description")?,
            error_at: read.opt_time("error_at")?,
            user_updated_at: read.opt_time("user_updated_at")?,
            user_updated_by: opt_text("user_updated_by")?,
            changed_in: read.opt_id("changed_in")?,
        })
    }
}

impl Payload {
    /// Whether the request is a refund's that names no charge.
    pub fn needs_charge(&self, detail: &Detail) -> bool {
        detail.transaction_type == TransactionType::Refund
            && serde_json::from_str::<RefundBody>(&self.request)
                .is_ok_and(|body| body.charge_id.is_none())
    }

    /// The request as it is sent: a refund gets the charge that was fixed with its lease. It is put
    /// into the stored text itself, so that every repeat, by whatever version of this code, sends
    /// the same bytes.
    pub fn sent_request(&self, detail: &Detail) -> String {
        match (detail.charge_id, self.request.strip_prefix('{')) {
            (Some(charge), Some(rest)) if self.needs_charge(detail) => {
                format!("{{\"charge_id\":\"{charge}\",{rest}")
            }
            _ => self.request.clone(),
        }
    }

    pub(super) fn to_item(
        &self,
        place: &DetailPlace,
        line: LineNumber,
        version: u32,
    ) -> Result<Item, StoreError> {
        // Both texts in one blob: the request repeats most of the XML, so it costs little there.
        let mut joined = Vec::with_capacity(4 + self.xml.len() + self.request.len());
        let xml_bytes = u32::try_from(self.xml.len()).unwrap_or(u32::MAX);
        joined.extend(xml_bytes.to_be_bytes());
        joined.extend(self.xml.as_bytes());
        joined.extend(self.request.as_bytes());
        let blob = compress(&joined).ok_or_else(|| StoreError::Refused {
            operation: "write a payload",
            reason: format!("it is too long: {} bytes", joined.len()),
        })?;
        let mut item = place.key(line, KIND_PAYLOAD, version);
        item.insert("blob".to_owned(), bytes(blob));
        Ok(item)
    }

    pub(super) fn from_item(key: &str, item: &Item) -> Result<Self, StoreError> {
        let read = Reader::new(DETAILS.name, key, item);
        let joined = decompress(read.bytes("blob")?).ok_or_else(|| read.corrupt("blob"))?;
        let parts = || {
            let (length, rest) = joined.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (xml, request) = rest.split_at_checked(length)?;
            let own = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
            Some(Self {
                xml: own(xml)?,
                request: own(request)?,
            })
        };
        parts().ok_or_else(|| read.corrupt("blob"))
    }
}

impl Event {
    pub(super) fn to_item(&self, place: &DetailPlace) -> Result<Item, StoreError> {
        let refused = || StoreError::Refused {
            operation: "write an event",
            reason: "its calls cannot be stored".to_owned(),
        };
        let mut item = place.key(self.detail.line(), KIND_EVENT, self.detail.events);
        item.extend(self.detail.attributes());
        item.insert("event".to_owned(), text(&self.name));
        item.insert("correlation_id".to_owned(), text(&self.correlation_id));
        if let Some(actor) = &self.actor {
            item.insert("actor".to_owned(), text(actor));
        }
        if !self.calls.is_empty() {
            let calls = serde_json::to_vec(&self.calls).map_err(|_| refused())?;
            item.insert(
                "calls".to_owned(),
                bytes(compress(&calls).ok_or_else(refused)?),
            );
        }
        Ok(item)
    }

    pub(super) fn from_item(id: DetailId, item: &Item) -> Result<Self, StoreError> {
        let read = Reader::new(DETAILS.name, id.to_string(), item);
        let calls = match read.opt_bytes("calls")? {
            None => Vec::new(),
            Some(blob) => decompress(blob)
                .and_then(|text| serde_json::from_slice(&text).ok())
                .ok_or_else(|| read.corrupt("calls"))?,
        };
        Ok(Self {
            name: read.text("event")?.to_owned(),
            actor: read.opt_text("actor")?.map(str::to_owned),
            correlation_id: read.text("correlation_id")?.to_owned(),
            calls,
            detail: Detail::from_item(id, item)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::size_bytes;
    use weir_domain::{BatchOrdinal, FileId, ObjectIdentity};

    fn id<T: TryFrom<Uuid>>() -> T {
        Uuid::max()
            .try_into()
            .unwrap_or_else(|_| panic!("any UUID is such an id"))
    }

    #[test]
    fn an_item_with_everything_in_it_stays_under_1_kb() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let some = |text: &str| Some(text.to_owned());
        let ordinal = BatchOrdinal::new(10_000).unwrap();
        let batch = FileId::of_object(&ObjectIdentity::new("b", "k", "e")).batch(ordinal);
        let detail = Detail {
            id: batch.detail(LineNumber::new(1_000_000).unwrap()),
            version: 200_000,
            status: DetailStatus::Unprocessed,
            transaction_type: TransactionType::Refund,
            order_number: some("SO-2026-1100000042"),
            po_number: some("PO-2026-1100000042"),
            amount: Amount::from_minor(900_000_000_000_000).ok(),
            currency: "USD".parse().ok(),
            buyer_id: Some(id()),
            customer_id: Some(id()),
            vehicle_odometer: some("123456"),
            vehicle_identification_number: some("1M8GDM9AXKP042788"),
            vehicle_unit_number: some("UNIT-0042"),
            charge_id: Some(id()),
            refund_id: Some(id()),
            request_version: 99_999,
            events: 65_535,
            answered_in: EventNumber::new(65_535).ok(),
            retry_count: 12,
            draft_version: Some(99_999),
            payload_versions: 99_999,
            waiting_since: Some(now),
            next_attempt_at: Some(now),
            lease_until: Some(now),
            attempted_at: Some(now),
            created_at: now,
            updated_at: now,
            processed_at: Some(now),
            error_code: some("bcs.retries_exhausted"),
            error_description: some("3Rivers answered 503: service unavailable for now"),
            error_at: Some(now),
            user_updated_at: Some(now),
            user_updated_by: some("reports (0b9a2b9e-0d5d-4f0b-8f5b-6f0f4a6a2b11)"),
            changed_in: Some(Uuid::max()),
        };
        let item = detail.to_item(&DetailPlace { batch, shards: 64 });
        assert!(size_bytes(&item) < 1_000, "{}", size_bytes(&item));
        let read = Detail::from_item(detail.id, &item);
        assert_eq!(read, Ok(detail));
    }
}
