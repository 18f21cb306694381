//! The planner: which way in reads least.
//!
//! | what is known | way in |
//! | --- | --- |
//! | ids | by id |
//! | a charge, or an order number with its sellers (lines only) | what leads from it to details |
//! | batches, or files | their ids, which say what is in them |
//! | sellers | the index by seller |
//! | programs, or clients with their programs | the index by program |
//! | nothing | the index by month, within the bounds of `created_at` |
//!
//! A way in only leaves out what the filters leave out too: every filter is tried on every row all
//! the same, so a wrong way could cost, but never show anything that does not belong.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weir_domain::{BatchId, ClientId, DetailId, FileId, LineNumber, ProgramId, SellerId};
use weir_store::{
    BatchesOf, CreatedId, CreatedRange, Direction, FilesOf, ReferenceKind, ReferencesOf, Store,
};

use crate::filter::{Filter, Operand, Test};
use crate::lines::detail_of;
use crate::resources::ids_of_file;
use crate::walk::{BEGINNING_MS, Way};
use crate::{Ask, QueryError};

/// Most sellers whose orders are looked up for one order number.
const SELLERS_MAX: usize = 25;
/// Most programs whose rows are merged for a client.
const PROGRAMS_MAX: usize = 100;
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
    let mut from = BEGINNING_MS;
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

/// The same for reference data, which may be older than Weir.
pub(crate) fn reference_range(filters: &[Filter], now: DateTime<Utc>) -> CreatedRange {
    let range = created_range(filters, now);
    if range.from.created_ms == BEGINNING_MS {
        CreatedRange {
            from: CreatedId::MIN,
            ..range
        }
    } else {
        range
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
    /// The fields that it narrows exactly.
    pub(crate) fields: &'static [&'static str],
}

const fn by(name: &'static str, fields: &'static [&'static str]) -> By {
    By { name, fields }
}

/// The way to batches: `id_field` is what their id is called among the filters.
pub(crate) async fn way_to_batches(
    ask: &Ask,
    filters: &[Filter],
    id_field: &str,
) -> Result<(Way<BatchesOf>, By), QueryError> {
    if let Some(ids) = ids(filters, id_field) {
        return Ok((Way::Known(ids), by("id", &[])));
    }
    if let Some(ids) = ids(filters, "file_id") {
        let files = ask.store.files(&of_kind::<FileId>(ids)).await?;
        let batches = files.iter().flat_map(ids_of_file).collect();
        let way = if files.len() == 1 {
            Way::Ordered(batches)
        } else {
            Way::Known(batches)
        };
        return Ok((way, by("file", &["file_id"])));
    }
    if let Some(ids) = ids(filters, "seller_id") {
        let sellers = of_kind::<SellerId>(ids).into_iter();
        let way = Way::Merged(sellers.map(BatchesOf::Seller).collect());
        return Ok((way, by("seller", &["seller_id"])));
    }
    match programs(&ask.store, filters).await? {
        Some(programs) => {
            let programs = programs.into_iter().map(BatchesOf::Program);
            Ok((
                Way::Merged(programs.collect()),
                by("program", &["program_id"]),
            ))
        }
        None => Ok((Way::Months, by("month", &[]))),
    }
}

/// The way to files. Their filters know no owner, so that the scope says all there is to know.
pub(crate) async fn way_to_files(
    ask: &Ask,
    filters: &[Filter],
) -> Result<(Way<FilesOf>, By), QueryError> {
    if let Some(ids) = ids(filters, "id") {
        return Ok((Way::Known(ids), by("id", &[])));
    }
    match programs(&ask.store, &ask.scope_filters()).await? {
        Some(programs) => {
            let programs = programs.into_iter().map(FilesOf::Program);
            Ok((
                Way::Merged(programs.collect()),
                by("program", &["program_id"]),
            ))
        }
        None => Ok((Way::Months, by("month", &[]))),
    }
}

/// The programs that the filters leave: those they name, or all of the clients they name.
pub(crate) async fn programs(
    store: &Store,
    filters: &[Filter],
) -> Result<Option<Vec<ProgramId>>, QueryError> {
    if let Some(ids) = ids(filters, "program_id") {
        return Ok(Some(of_kind(ids)));
    }
    let Some(clients) = ids(filters, "client_id") else {
        return Ok(None);
    };
    let mut programs = Vec::new();
    for client in of_kind::<ClientId>(clients) {
        let of_client = ReferencesOf {
            kind: ReferenceKind::Program,
            parent: Some(client.uuid()),
        };
        let limit = u32::try_from(PROGRAMS_MAX + 1).unwrap_or(u32::MAX);
        let keys = store
            .reference_keys(of_client, CreatedRange::ALL, Direction::Forward, limit)
            .await?;
        programs.extend(of_kind::<ProgramId>(
            keys.iter().map(|key| key.id).collect(),
        ));
    }
    // So many partitions side by side cost more than the months.
    Ok((programs.len() <= PROGRAMS_MAX).then_some(programs))
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
    if let Some(charges) = ids(filters, "charge_id") {
        let mut details = Vec::new();
        for charge in of_kind(charges) {
            details.extend(ask.store.details_of_charge(charge).await?);
        }
        return Ok(WayToLines::Lines(by_batch(details), "charge"));
    }
    if let (Some(numbers), Some(sellers)) = (order_numbers(filters), ids(filters, "seller_id"))
        && sellers.len() * numbers.len() <= SELLERS_MAX
    {
        let mut details = Vec::new();
        for seller in of_kind::<SellerId>(sellers) {
            for number in &numbers {
                details.extend(ask.store.details_of_order(seller, number).await?);
            }
        }
        return Ok(WayToLines::Lines(by_batch(details), "order"));
    }
    let (way, by) = way_to_batches(ask, filters, "batch_id").await?;
    Ok(WayToLines::Batches(way, by.name))
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
