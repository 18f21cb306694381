//! Reading details: by line, by range, payloads and events.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures::stream::{StreamExt, TryStreamExt};
use weir_domain::{DetailId, EventNumber, LineNumber};

use super::{
    Detail, DetailPlace, Event, KIND_DETAIL, KIND_EVENT, KIND_PAYLOAD, Payload, RECORD_NUMBER_MAX,
    SHARD_BLOCK_LINES, sort_number, sort_parts,
};
use crate::error::sorted;
use crate::item::{Item, Reader, number, text};
use crate::tables::DETAILS;
use crate::{Store, StoreError};

/// How many blocks or shards are read at a time.
const READS_AT_A_TIME: usize = 8;
/// Up to how many blocks are read one by one, rather than each shard from end to end; more only where
/// there are more shards.
const BLOCKS_MAX: u32 = 16;

/// Details, as far as they can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadDetails {
    /// Those that can, in the order of their lines.
    pub details: Vec<Detail>,
    /// The lines of those that are not as this code writes them, or not there at all.
    pub unreadable: BTreeSet<LineNumber>,
}

impl ReadDetails {
    fn of(
        place: &DetailPlace,
        wanted: impl IntoIterator<Item = LineNumber>,
        items: &[Item],
    ) -> Self {
        let mut unreadable: BTreeSet<LineNumber> = wanted.into_iter().collect();
        let mut details = Vec::with_capacity(items.len());
        for item in items {
            let detail = record_of(item)
                .and_then(|(_, line, _)| Detail::from_item(place.batch.detail(line), item));
            if let Ok(detail) = detail {
                unreadable.remove(&detail.line());
                details.push(detail);
            }
        }
        details.sort_unstable_by_key(Detail::line);
        Self {
            details,
            unreadable,
        }
    }
}

/// Details with the first version of their payloads, by line.
pub type DetailsWithPayloads = BTreeMap<LineNumber, (Detail, Payload)>;

/// The lines `first..=last` of one shard.
#[derive(Debug, Clone, Copy)]
struct ShardRange {
    shard: u32,
    first: u32,
    last: u32,
}

impl DetailPlace {
    /// Which parts of the shards hold the lines `from..=to`.
    fn ranges(&self, from: LineNumber, to: LineNumber) -> Vec<ShardRange> {
        let (first, last) = (from.get(), to.get());
        if first > last {
            return Vec::new();
        }
        let block_of = |line: u32| (line - 1) / SHARD_BLOCK_LINES;
        let blocks = block_of(first)..=block_of(last);
        let shards = self.shards.max(1);
        let blocks_count = block_of(last) - block_of(first) + 1;
        if shards == 1 || blocks_count > shards.max(BLOCKS_MAX) {
            let whole = |shard| ShardRange { shard, first, last };
            return (0..shards).map(whole).collect();
        }
        blocks
            .map(|block| {
                let start = block * SHARD_BLOCK_LINES + 1;
                ShardRange {
                    shard: block % shards,
                    first: first.max(start),
                    last: last.min(start + SHARD_BLOCK_LINES - 1),
                }
            })
            .collect()
    }
}

impl Store {
    /// The details of some lines with the first version of their payloads, strongly consistent, by
    /// line; lines that do not exist are missing. Those of which either cannot be read come apart.
    pub async fn readable_details_with_payloads(
        &self,
        place: &DetailPlace,
        lines: &[LineNumber],
    ) -> Result<(DetailsWithPayloads, BTreeSet<LineNumber>), StoreError> {
        let mut keys = Vec::with_capacity(lines.len() * 2);
        for line in lines {
            keys.push(place.key(*line, KIND_DETAIL, 0));
            keys.push(place.key(*line, KIND_PAYLOAD, 1));
        }
        let mut details = BTreeMap::new();
        let mut payloads = BTreeMap::new();
        let mut unreadable = BTreeSet::new();
        for item in self.details_by_key(keys).await? {
            let (kind, line, _) = record_of(&item)?;
            let id = place.batch.detail(line);
            let is_read = if kind == KIND_DETAIL {
                let detail = Detail::from_item(id, &item);
                detail.map(|detail| drop(details.insert(line, detail)))
            } else {
                let payload = Payload::from_item(&id.to_string(), &item);
                payload.map(|payload| drop(payloads.insert(line, payload)))
            };
            if is_read.is_err() {
                unreadable.insert(line);
            }
        }
        details.retain(|line, _| !unreadable.contains(line));
        let with_payload = |(line, detail)| {
            let payload = payloads.remove(&line).unwrap_or_default();
            (line, (detail, payload))
        };
        let details = details.into_iter().map(with_payload).collect();
        Ok((details, unreadable))
    }

    /// The details of some lines, strongly consistent, in the order of their lines.
    pub async fn details(
        &self,
        place: &DetailPlace,
        lines: &[LineNumber],
    ) -> Result<Vec<Detail>, StoreError> {
        let keys = lines
            .iter()
            .map(|line| place.key(*line, KIND_DETAIL, 0))
            .collect();
        let mut details = Vec::with_capacity(lines.len());
        for item in self.details_by_key(keys).await? {
            let (_, line, _) = record_of(&item)?;
            details.push(Detail::from_item(place.batch.detail(line), &item)?);
        }
        details.sort_unstable_by_key(Detail::line);
        Ok(details)
    }

    /// The same as far as they can be read.
    pub async fn readable_details(
        &self,
        place: &DetailPlace,
        lines: &[LineNumber],
    ) -> Result<ReadDetails, StoreError> {
        let keys = lines
            .iter()
            .map(|line| place.key(*line, KIND_DETAIL, 0))
            .collect();
        let items = self.details_by_key(keys).await?;
        Ok(ReadDetails::of(place, lines.iter().copied(), &items))
    }

    /// One detail.
    pub async fn detail(
        &self,
        place: &DetailPlace,
        line: LineNumber,
    ) -> Result<Option<Detail>, StoreError> {
        Ok(self.details(place, &[line]).await?.pop())
    }

    /// One version of a detail's payload.
    pub async fn payload(
        &self,
        place: &DetailPlace,
        line: LineNumber,
        version: u32,
    ) -> Result<Option<Payload>, StoreError> {
        let items = self
            .details_by_key(vec![place.key(line, KIND_PAYLOAD, version)])
            .await?;
        let key = place.batch.detail(line).to_string();
        items
            .first()
            .map(|item| Payload::from_item(&key, item))
            .transpose()
    }

    /// Some versions of details' payloads, by line and version, each wanted once; those that do not
    /// exist are missing.
    pub async fn payload_versions(
        &self,
        place: &DetailPlace,
        wanted: &[(LineNumber, u32)],
    ) -> Result<BTreeMap<(LineNumber, u32), Payload>, StoreError> {
        let keys = wanted
            .iter()
            .map(|(line, version)| place.key(*line, KIND_PAYLOAD, *version))
            .collect();
        let mut payloads = BTreeMap::new();
        for item in self.details_by_key(keys).await? {
            let (_, line, version) = record_of(&item)?;
            let key = place.batch.detail(line).to_string();
            payloads.insert((line, version), Payload::from_item(&key, &item)?);
        }
        Ok(payloads)
    }

    /// The same; those that cannot be read are missing too.
    pub async fn readable_payloads(
        &self,
        place: &DetailPlace,
        wanted: &[(LineNumber, u32)],
    ) -> Result<BTreeMap<(LineNumber, u32), Payload>, StoreError> {
        let keys = wanted
            .iter()
            .map(|(line, version)| place.key(*line, KIND_PAYLOAD, *version))
            .collect();
        let items = self.details_by_key(keys).await?;
        let payloads = items.iter().filter_map(|item| {
            let (_, line, version) = record_of(item).ok()?;
            let key = place.batch.detail(line).to_string();
            let payload = Payload::from_item(&key, item).ok()?;
            Some(((line, version), payload))
        });
        Ok(payloads.collect())
    }

    /// Some events of details, by id and number; those that do not exist are missing.
    pub async fn events(
        &self,
        place: &DetailPlace,
        wanted: &[(LineNumber, EventNumber)],
    ) -> Result<Vec<Event>, StoreError> {
        let keys = wanted
            .iter()
            .map(|(line, event)| place.key(*line, KIND_EVENT, event.get()))
            .collect();
        let items = self.details_by_key(keys).await?;
        items
            .iter()
            .map(|item| {
                let (_, line, _) = record_of(item)?;
                Event::from_item(place.batch.detail(line), item)
            })
            .collect()
    }

    /// Every detail of a batch with lines `from..=to`, in the order of their lines, strongly
    /// consistent. Reads whole shards where the range is wide, blocks where it is narrow.
    pub async fn details_in_lines(
        &self,
        place: &DetailPlace,
        from: LineNumber,
        to: LineNumber,
    ) -> Result<Vec<Detail>, StoreError> {
        let items = self.records_in_lines(place, KIND_DETAIL, from, to).await?;
        let mut details = Vec::with_capacity(items.len());
        for item in &items {
            let (_, line, _) = record_of(item)?;
            details.push(Detail::from_item(place.batch.detail(line), item)?);
        }
        details.sort_unstable_by_key(Detail::line);
        Ok(details)
    }

    /// The same as far as they can be read.
    pub async fn readable_details_in_lines(
        &self,
        place: &DetailPlace,
        from: LineNumber,
        to: LineNumber,
    ) -> Result<ReadDetails, StoreError> {
        let items = self.records_in_lines(place, KIND_DETAIL, from, to).await?;
        let lines = (from.get()..=to.get()).filter_map(|line| LineNumber::new(line).ok());
        Ok(ReadDetails::of(place, lines, &items))
    }

    /// Every event of the details of a batch with lines `from..=to`, by line and number, read as
    /// [`Store::details_in_lines`] reads.
    pub async fn events_in_lines(
        &self,
        place: &DetailPlace,
        from: LineNumber,
        to: LineNumber,
    ) -> Result<Vec<Event>, StoreError> {
        let items = self.records_in_lines(place, KIND_EVENT, from, to).await?;
        let mut events = Vec::with_capacity(items.len());
        for item in &items {
            let (_, line, number) = record_of(item)?;
            let event = Event::from_item(place.batch.detail(line), item)?;
            events.push(((line, number), event));
        }
        events.sort_unstable_by_key(|(place, _)| *place);
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    /// The records of a kind that belong to lines `from..=to`, in any order.
    async fn records_in_lines(
        &self,
        place: &DetailPlace,
        kind: u64,
        from: LineNumber,
        to: LineNumber,
    ) -> Result<Vec<Item>, StoreError> {
        futures::stream::iter(place.ranges(from, to))
            .map(|range| self.shard_range(place, kind, range))
            .buffer_unordered(READS_AT_A_TIME)
            .try_concat()
            .await
    }

    async fn shard_range(
        &self,
        place: &DetailPlace,
        kind: u64,
        range: ShardRange,
    ) -> Result<Vec<Item>, StoreError> {
        let first = sort_number(kind, range.first, 0);
        let last = sort_number(kind, range.last, RECORD_NUMBER_MAX);
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let answer = self
                .dynamodb()
                .query()
                .table_name(self.names.table(&DETAILS))
                .key_condition_expression("#shard = :shard AND #record BETWEEN :first AND :last")
                .expression_attribute_names("#shard", "shard")
                .expression_attribute_names("#record", "record")
                .expression_attribute_values(":shard", text(place.shard_key(range.shard)))
                .expression_attribute_values(":first", number(first))
                .expression_attribute_values(":last", number(last))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(sorted("list details"))?;
            self.capacity.read(answer.consumed_capacity());
            found.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn details_by_key(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        self.items_by_key(&DETAILS, "read details", keys).await
    }

    /// Where a detail lies, when its batch exists.
    pub async fn place_of(&self, detail: DetailId) -> Result<Option<DetailPlace>, StoreError> {
        Ok(self.batch(detail.batch()).await?.map(|batch| batch.place()))
    }
}

/// The kind of a record, the line it belongs to, and its number.
fn record_of(item: &Item) -> Result<(u64, LineNumber, u32), StoreError> {
    let shard = item
        .get("shard")
        .and_then(|value| value.as_s().ok())
        .cloned()
        .unwrap_or_default();
    let read = Reader::new(DETAILS.name, shard, item);
    let (kind, line, record) = sort_parts(read.number("record")?);
    let numbers = u32::try_from(line)
        .ok()
        .and_then(|line| LineNumber::new(line).ok())
        .zip(u32::try_from(record).ok());
    let (line, record) = numbers.ok_or_else(|| read.corrupt("record"))?;
    Ok((kind, line, record))
}
