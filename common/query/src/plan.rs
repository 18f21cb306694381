//! The planner: which way in reads least.
//!
//! | what is known | way in |
//! | --- | --- |
//! | ids | by id |
//! | a charge, or an order number with its sellers (lines only) | what leads from it to details |
//! | batches, or files | their ids, which say what is in them |
//! | sellers | the index by seller |
//! | programs, or clients | the index by program, or by client |
//! | nothing | the index by month, within the bounds of `created_at` |
//!
//! A way in only leaves out what the filters leave out too: every filter is tried on every row all
//! the same, so a wrong way could cost, but never show anything that does not belong.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weir_domain::{BatchId, DetailId, FileId, LineNumber, SellerId};
use weir_store::{
    BatchesOf, CreatedId, CreatedRange, Direction, FilesOf, Month, ReferenceKind, ReferencesOf,
    Stage,
};

use crate::filter::{Filter, Operand, Test};
use crate::lines::detail_of;
use crate::resources::ids_of_file;
use crate::walk::{BEGINNING_MS, Way};
use crate::{Ask, QueryError};

/// Most orders that are looked up for one question.
const ORDERS_MAX: usize = 25;
/// Most details that charges or orders may lead to: with more, reading their batches is no dearer.
const DETAILS_MAX: usize = 2_000;
/// How far ahead of ours another machine's clock may be.
const CLOCK_SKEW: TimeDelta = TimeDelta::days(1);

/// The ids that the filters leave of a field, where one of them says so.
pub(crate) fn ids(filters: &[Filter], field: &str) -> Option<Vec<Uuid>> {
    let mut left: Option<Vec<Uuid>> = None;
    for filter in filters.iter().filter(|filter| filter.field == field) {
        if let Some(ids) = filter.test.ids() {
            left = Some(match left {
                None => ids,
                Some(left) => left.into_iter().filter(|id| ids.contains(id)).collect(),
            });
        }
    }
    left.map(|mut ids| {
        ids.sort_unstable();
        ids.dedup();
        ids
    })
}

/// The ids of one kind among some; others name nothing that exists.
fn of_kind<T: TryFrom<Uuid>>(ids: Vec<Uuid>) -> Vec<T> {
    ids.into_iter()
        .filter_map(|id| id.try_into().ok())
        .collect()
}

/// When rows may have been made, by the filters on `created_at` and all that is known of clocks.
pub(crate) fn created_range(filters: &[Filter], now: DateTime<Utc>) -> CreatedRange {
    range_since(BEGINNING_MS, filters, now)
}

/// The same for reference data, which may be older than Weir.
pub(crate) fn reference_range(filters: &[Filter], now: DateTime<Utc>) -> CreatedRange {
    range_since(0, filters, now)
}

fn range_since(beginning_ms: i64, filters: &[Filter], now: DateTime<Utc>) -> CreatedRange {
    let mut from = beginning_ms;
    let mut to = (now + CLOCK_SKEW).timestamp_millis();
    for filter in filters.iter().filter(|filter| filter.field == "created_at") {
        let bounds = bounds(&filter.test);
        from = from.max(bounds.0.unwrap_or(i64::MIN));
        to = to.min(bounds.1.unwrap_or(i64::MAX));
    }
    CreatedRange {
        from: CreatedId {
            created_ms: from,
            ..CreatedId::MIN
        },
        to: CreatedId {
            created_ms: to,
            ..CreatedId::MAX
        },
    }
}

/// The first and the last millisecond that a condition on a time leaves, where it has one.
fn bounds(test: &Test) -> (Option<i64>, Option<i64>) {
    let first = |operand: &Operand| match operand {
        Operand::Span(span) => Some(span.from.timestamp_millis()),
        _ => None,
    };
    let last = |operand: &Operand| match operand {
        Operand::Span(span) => Some(span.to.timestamp_millis()),
        _ => None,
    };
    match test {
        Test::In(operands) => (
            operands.iter().filter_map(first).min(),
            operands.iter().filter_map(last).max(),
        ),
        Test::AtLeast(operand) => (first(operand), None),
        Test::Above(operand) => (last(operand).map(|millis| millis + 1), None),
        Test::AtMost(operand) => (None, last(operand)),
        Test::Below(operand) => (None, first(operand).map(|millis| millis - 1)),
        _ => (None, None),
    }
}

/// A range less what comes up to a place.
pub(crate) fn after(
    range: CreatedRange,
    place: Option<CreatedId>,
    direction: Direction,
) -> CreatedRange {
    match (place, direction) {
        (None, _) => range,
        (Some(place), Direction::Forward) => CreatedRange {
            from: range.from.max(place.next()),
            ..range
        },
        (Some(place), Direction::Backward) => CreatedRange {
            to: range.to.min(place.previous()),
            ..range
        },
    }
}

/// The range of batches for lines after a place: the batch of the place is one of them.
pub(crate) fn batches_after(
    range: CreatedRange,
    place: Option<CreatedId>,
    direction: Direction,
) -> Result<CreatedRange, QueryError> {
    let Some(place) = place else {
        return Ok(range);
    };
    let detail = detail_of(place.id).ok_or(QueryError::ForeignCursor)?;
    let batch = CreatedId {
        created_ms: place.created_ms,
        id: detail.batch().uuid(),
    };
    Ok(match direction {
        Direction::Forward => CreatedRange {
            from: range.from.max(batch),
            ..range
        },
        Direction::Backward => CreatedRange {
            to: range.to.min(batch),
            ..range
        },
    })
}

/// What a way in goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The fields that it narrows exactly; none, if some of what it leads to may not be there.
    pub(crate) fields: Option<&'static [&'static str]>,
    /// Whether it goes by the time of creation.
    pub(crate) is_in_time: bool,
}

/// A way by ids: some of them may be of nothing.
const fn by_id(name: &'static str) -> By {
    By {
        name,
        fields: None,
        is_in_time: false,
    }
}

/// A way by an index.
const fn by_index(name: &'static str, fields: &'static [&'static str]) -> By {
    By {
        name,
        fields: Some(fields),
        is_in_time: true,
    }
}

impl By {
    /// Whether filters say no more than the way does.
    pub(crate) fn is_exact(&self, filters: &[Filter]) -> bool {
        let Some(fields) = self.fields else {
            return false;
        };
        filters.iter().all(|filter| {
            let is_range = match &filter.test {
                Test::In(operands) => operands.len() == 1,
                Test::AtLeast(_) | Test::Above(_) | Test::AtMost(_) | Test::Below(_) => true,
                _ => false,
            };
            match filter.field {
                "created_at" => self.is_in_time && is_range,
                field => fields.contains(&field) && matches!(filter.test, Test::In(_)),
            }
        })
    }
}

/// The way to batches: `id_field` is what their id is called among the filters.
pub(crate) async fn way_to_batches(
    ask: &Ask,
    filters: &[Filter],
    id_field: &str,
) -> Result<(Way<BatchesOf>, By), QueryError> {
    if let Some(ids) = ids(filters, id_field) {
        return Ok((Way::Known(ids), by_id("id")));
    }
    if let Some(ids) = ids(filters, "file_id") {
        let files = ask.store.files(&of_kind::<FileId>(ids)).await?;
        let batches = files.iter().flat_map(ids_of_file).collect();
        return Ok(match files.as_slice() {
            [file] => {
                // While a file is being split, not all of its batches are there.
                let is_split = matches!(file.stage, Stage::Enqueuing | Stage::Done);
                let by = By {
                    fields: is_split.then_some(&["file_id"]),
                    ..by_id("file")
                };
                (Way::Ordered(batches), by)
            }
            _ => (Way::Known(batches), by_id("file")),
        });
    }
    let partitions = |ids: Vec<BatchesOf>, by| Ok((Way::Merged(ids), by));
    if let Some(ids) = ids(filters, "seller_id") {
        let sellers = of_kind(ids).into_iter().map(BatchesOf::Seller);
        return partitions(sellers.collect(), by_index("seller", &["seller_id"]));
    }
    if let Some(ids) = ids(filters, "program_id") {
        let programs = of_kind(ids).into_iter().map(BatchesOf::Program);
        return partitions(programs.collect(), by_index("program", &["program_id"]));
    }
    if let Some(ids) = ids(filters, "client_id") {
        let clients = of_kind(ids).into_iter().map(BatchesOf::Client);
        return partitions(clients.collect(), by_index("client", &["client_id"]));
    }
    Ok((Way::Months, by_index("month", &[])))
}

/// The way to files. Their filters know no owner, so that the scope says all there is to know.
pub(crate) fn way_to_files(ask: &Ask, filters: &[Filter]) -> (Way<FilesOf>, By) {
    if let Some(ids) = ids(filters, "id") {
        return (Way::Known(ids), by_id("id"));
    }
    match (ask.scope.program_id, ask.scope.client_id) {
        (Some(program), _) => (
            Way::Merged(vec![FilesOf::Program(program)]),
            by_index("program", &["program_id"]),
        ),
        (None, Some(client)) => (
            Way::Merged(vec![FilesOf::Client(client)]),
            by_index("client", &["client_id"]),
        ),
        (None, None) => (Way::Months, by_index("month", &[])),
    }
}

/// The way to messages, which belong to nobody: whoever is narrowed to something sees none.
pub(crate) fn way_to_messages(ask: &Ask, filters: &[Filter]) -> (Way<Month>, By) {
    match ids(filters, "id") {
        _ if !ask.scope.is_everything() => (Way::Known(Vec::new()), by_id("nothing")),
        Some(ids) => (Way::Known(ids), by_id("id")),
        None => (Way::Months, by_index("month", &[])),
    }
}

/// The way to reference data of a kind, whose `parent` field an index holds together.
pub(crate) fn way_to_references(
    ask: &Ask,
    filters: &[Filter],
    kind: ReferenceKind,
    parent: Option<&'static str>,
) -> (Way<ReferencesOf>, By) {
    // A scope may name the very one that it sees.
    let scoped = match kind {
        ReferenceKind::Client => ask.scope.client_id.map(Uuid::from),
        ReferenceKind::Program => ask.scope.program_id.map(Uuid::from),
        ReferenceKind::Seller => ask.scope.seller_id.map(Uuid::from),
        _ => None,
    };
    if let Some(ids) = ids(filters, "id").or_else(|| scoped.map(|id| vec![id])) {
        return (Way::Known(ids), by_id("id"));
    }
    let of = |parent| ReferencesOf { kind, parent };
    match parent.and_then(|field| ids(filters, field)) {
        Some(parents) => {
            let by = match parent {
                Some("client_id") => by_index("parent", &["client_id"]),
                Some("program_id") => by_index("parent", &["program_id"]),
                _ => by_index("parent", &["seller_id"]),
            };
            let partitions = parents.into_iter().map(|parent| of(Some(parent)));
            (Way::Merged(partitions.collect()), by)
        }
        None => (Way::Merged(vec![of(None)]), by_index("kind", &[])),
    }
}

/// Where the lines are that the filters may keep.
pub(crate) enum WayToLines {
    /// In some batches.
    Batches(Way<BatchesOf>, &'static str),
    /// Some lines.
    Lines(HashMap<BatchId, Vec<LineNumber>>, &'static str),
}

/// The way to lines: `detail_field` is what a detail's id is called among the filters.
pub(crate) async fn way_to_lines(
    ask: &Ask,
    filters: &[Filter],
    detail_field: &str,
) -> Result<WayToLines, QueryError> {
    let by_id = ids(filters, "id").or_else(|| ids(filters, detail_field));
    if let Some(ids) = by_id {
        let details = ids.into_iter().filter_map(detail_of).collect();
        return Ok(WayToLines::Lines(by_batch(details), "id"));
    }
    if let Some(charges) = ids(filters, "charge_id")
        && let Some(details) = details_of_charges(ask, charges).await?
    {
        return Ok(WayToLines::Lines(by_batch(details), "charge"));
    }
    if let (Some(numbers), Some(sellers)) = (order_numbers(filters), ids(filters, "seller_id"))
        && let Some(details) = details_of_orders(ask, sellers, &numbers).await?
    {
        return Ok(WayToLines::Lines(by_batch(details), "order"));
    }
    let (way, by) = way_to_batches(ask, filters, "batch_id").await?;
    Ok(WayToLines::Batches(way, by.name))
}

/// The details of some charges; `None` where they are too many to be the narrower way.
async fn details_of_charges(
    ask: &Ask,
    charges: Vec<Uuid>,
) -> Result<Option<Vec<DetailId>>, QueryError> {
    let mut details = Vec::new();
    for charge in of_kind(charges) {
        match ask.store.details_of_charge(charge, DETAILS_MAX).await? {
            Some(found) if details.len() + found.len() <= DETAILS_MAX => details.extend(found),
            _ => return Ok(None),
        }
    }
    Ok(Some(details))
}

/// The details of some order numbers; `None` where they are too many to be the narrower way.
async fn details_of_orders(
    ask: &Ask,
    sellers: Vec<Uuid>,
    numbers: &[String],
) -> Result<Option<Vec<DetailId>>, QueryError> {
    if sellers.len() * numbers.len() > ORDERS_MAX {
        return Ok(None);
    }
    let mut details = Vec::new();
    for seller in of_kind::<SellerId>(sellers) {
        for number in numbers {
            match ask
                .store
                .details_of_order(seller, number, DETAILS_MAX)
                .await?
            {
                Some(found) if details.len() + found.len() <= DETAILS_MAX => details.extend(found),
                _ => return Ok(None),
            }
        }
    }
    Ok(Some(details))
}

/// The order numbers that a filter names.
fn order_numbers(filters: &[Filter]) -> Option<Vec<String>> {
    let text = |operand: &Operand| match operand {
        Operand::Text(text) => Some(text.clone()),
        _ => None,
    };
    let mut named = filters
        .iter()
        .filter(|filter| filter.field == "order_number");
    named.find_map(|filter| match &filter.test {
        Test::In(operands) => operands.iter().map(text).collect(),
        _ => None,
    })
}

fn by_batch(details: Vec<DetailId>) -> HashMap<BatchId, Vec<LineNumber>> {
    let mut lines: HashMap<BatchId, Vec<LineNumber>> = HashMap::new();
    for detail in details {
        lines.entry(detail.batch()).or_default().push(detail.line());
    }
    lines
}
