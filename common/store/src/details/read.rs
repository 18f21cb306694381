//! Reading details: by line, by range, payloads and events.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use futures::stream::{StreamExt, TryStreamExt};
use weir_domain::{DetailId, EventNumber, LineNumber};

use super::{
    Detail, DetailPlace, Event, KIND_DETAIL, KIND_EVENT, KIND_PAYLOAD, Payload, SHARD_BLOCK_LINES,
    sort_number, sort_parts,
};
use crate::error::{sorted, unavailable};
use crate::item::{Item, Reader, number, text};
use crate::tables::DETAILS;
use crate::{Store, StoreError};

/// Most keys in one request (`BatchGetItem`).
const KEYS_PER_REQUEST: usize = 100;
/// How often keys that DynamoDB left unread are asked for again before giving up.
const ROUNDS_MAX: u32 = 10;
/// How many blocks or shards are read at a time.
const READS_AT_A_TIME: usize = 8;

impl Store {
    /// The details of some lines with the first version of their payloads, strongly consistent,
    /// by line; lines that do not exist are missing.
    pub async fn details_with_payloads(
        &self,
        place: &DetailPlace,
        lines: &[LineNumber],
    ) -> Result<BTreeMap<LineNumber, (Detail, Payload)>, StoreError> {
        let mut keys = Vec::with_capacity(lines.len() * 2);
        for line in lines {
            keys.push(place.key(*line, KIND_DETAIL, 0));
            keys.push(place.key(*line, KIND_PAYLOAD, 1));
        }
        let mut details = BTreeMap::new();
        let mut payloads = BTreeMap::new();
        for item in self.details_by_key(keys).await? {
            let (kind, line) = kind_and_line(&item)?;
            if kind == KIND_DETAIL {
                details.insert(line, Detail::from_item(place.batch.detail(line), &item)?);
            } else {
                payloads.insert(
                    line,
                    Payload::from_item(&place.batch.detail(line).to_string(), &item)?,
                );
            }
        }
        Ok(details
            .into_iter()
            .map(|(line, detail)| (line, (detail, payloads.remove(&line).unwrap_or_default())))
            .collect())
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
            let (_, line) = kind_and_line(&item)?;
            details.push(Detail::from_item(place.batch.detail(line), &item)?);
        }
        details.sort_unstable_by_key(Detail::line);
        Ok(details)
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

    /// Some versions of details' payloads, one a line, by line; those that do not exist are missing.
    pub async fn payloads(
        &self,
        place: &DetailPlace,
        wanted: &[(LineNumber, u32)],
    ) -> Result<BTreeMap<LineNumber, Payload>, StoreError> {
        let keys = wanted
            .iter()
            .map(|(line, version)| place.key(*line, KIND_PAYLOAD, *version))
            .collect();
        let mut payloads = BTreeMap::new();
        for item in self.details_by_key(keys).await? {
            let (_, line) = kind_and_line(&item)?;
            let key = place.batch.detail(line).to_string();
            payloads.insert(line, Payload::from_item(&key, &item)?);
        }
        Ok(payloads)
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
                let (_, line) = kind_and_line(item)?;
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
        let (first, last) = (from.get(), to.get());
        let block_of = |line: u32| (line - 1) / SHARD_BLOCK_LINES;
        let blocks = block_of(first)..=block_of(last);
        let ranges: Vec<(u32, u32, u32)> = if blocks.clone().count() <= 16 {
            blocks
                .map(|block| {
                    let start = block * SHARD_BLOCK_LINES + 1;
                    let end = start + SHARD_BLOCK_LINES - 1;
                    (block % place.shards.max(1), first.max(start), last.min(end))
                })
                .collect()
        } else {
            (0..place.shards.max(1))
                .map(|shard| (shard, first, last))
                .collect()
        };
        let mut details: Vec<Detail> = futures::stream::iter(ranges)
            .map(|(shard, first, last)| self.shard_range(place, shard, first, last))
            .buffer_unordered(READS_AT_A_TIME)
            .try_concat()
            .await?;
        details.sort_unstable_by_key(Detail::line);
        Ok(details)
    }

    async fn shard_range(
        &self,
        place: &DetailPlace,
        shard: u32,
        first: u32,
        last: u32,
    ) -> Result<Vec<Detail>, StoreError> {
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
                .expression_attribute_values(":shard", text(place.shard_key(shard)))
                .expression_attribute_values(":first", number(sort_number(KIND_DETAIL, first, 0)))
                .expression_attribute_values(":last", number(sort_number(KIND_DETAIL, last, 0)))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(sorted("list details"))?;
            self.capacity.read(answer.consumed_capacity());
            for item in answer.items() {
                let (_, line) = kind_and_line(item)?;
                found.push(Detail::from_item(place.batch.detail(line), item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// Items by key, a hundred a request, asking again for what DynamoDB leaves unread.
    async fn details_by_key(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        const OPERATION: &str = "read details";
        let table = self.names.table(&DETAILS);
        let mut found = Vec::with_capacity(keys.len());
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            let mut left: Vec<Item> = keys.by_ref().take(KEYS_PER_REQUEST).collect();
            for round in 0..=ROUNDS_MAX {
                if left.is_empty() {
                    break;
                }
                if round == ROUNDS_MAX {
                    return Err(unavailable(OPERATION, "throttled throughout"));
                }
                if round > 0 {
                    let most = Duration::from_millis(25).saturating_mul(1 << round);
                    self.clock.sleep(self.random.jitter(most)).await;
                }
                let wanted = KeysAndAttributes::builder()
                    .set_keys(Some(left))
                    .consistent_read(true)
                    .build()
                    .map_err(|_| unavailable(OPERATION, "no keys"))?;
                let answer = self
                    .dynamodb()
                    .batch_get_item()
                    .request_items(&table, wanted)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total)
                    .send()
                    .await
                    .map_err(sorted(OPERATION))?;
                self.capacity.read(answer.consumed_capacity());
                let unread: Option<HashMap<_, _>> = answer.unprocessed_keys;
                left = unread
                    .and_then(|mut tables| tables.remove(&table))
                    .map(|unread| unread.keys)
                    .unwrap_or_default();
                found.extend(
                    answer
                        .responses
                        .and_then(|mut tables| tables.remove(&table))
                        .unwrap_or_default(),
                );
            }
        }
        Ok(found)
    }

    /// Where a detail lies, when its batch exists.
    pub async fn place_of(&self, detail: DetailId) -> Result<Option<DetailPlace>, StoreError> {
        Ok(self.batch(detail.batch()).await?.map(|batch| batch.place()))
    }
}

/// The kind of a record and the line it belongs to.
fn kind_and_line(item: &Item) -> Result<(u64, LineNumber), StoreError> {
    let shard = item
        .get("shard")
        .and_then(|value| value.as_s().ok())
        .cloned()
        .unwrap_or_default();
    let read = Reader::new(DETAILS.name, shard, item);
    let (kind, line, _) = sort_parts(read.number("record")?);
    let line = u32::try_from(line)
        .ok()
        .and_then(|line| LineNumber::new(line).ok())
        .ok_or_else(|| read.corrupt("record"))?;
    Ok((kind, line))
}
