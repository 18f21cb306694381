//! Small items that lead from what people know to what is kept.
//!
//! | key | target | for |
//! | --- | --- | --- |
//! | `order#<seller>#<type>#…` | `<created>#<detail id>` | charges, or refunds, by order number, the latest last |
//! | `charge#<charge id>` | `<detail id>` | the detail that made a charge |
//! | `refund-of#<charge id>` | `<detail id>` | the details that refund a charge |
//! | `batch#<seller>#<number>` | `claim` | the one batch of a seller with that number |
//! | `file-name#<program>#<name>` | `claim` | the one file of a program that a caller gave that name |
//! | `asked#<file>` | `<asked>#<id>` | what people asked of the file and its batches, the latest last |
//!
//! The first three are hints: each is there before its detail says the same, so none is missed, and
//! whoever follows one checks the detail. The fourth is the guard against settling a batch twice. It
//! and the last are claimed by a condition.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use aws_smithy_runtime_api::client::result::SdkError;
use sha2::{Digest, Sha256};
use weir_domain::{
    BatchId, BatchNumber, BatchStatus, ChargeId, DetailId, SellerId, TransactionType,
};

use crate::error::{sorted, unavailable};
use crate::item::{Item, Reader, Writer, number as number_value, text, uuid};
use crate::tables::{BATCHES, LOOKUPS};
use crate::{Batch, CreatedId, Detail, PutBuffer, Store, StoreError};

/// Order numbers longer than this are hashed: a partition key holds at most 2 048 bytes, and an
/// order number may have 3 296.
const PLAIN_BYTES_MAX: usize = 256;
/// The target of a batch number.
const CLAIM: &str = "claim";
/// Most charges that are looked at for a refund.
const CHARGES_MAX: i32 = 20;

fn order_key(seller: SellerId, kind: TransactionType, order_number: &str) -> String {
    if order_number.len() <= PLAIN_BYTES_MAX {
        return format!("order#{seller}#{kind}#={order_number}");
    }
    let hash = Sha256::digest(order_number.as_bytes());
    let mut key = format!("order#{seller}#{kind}#~");
    for byte in hash {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// Where a detail stands among those with its order number.
fn order_target(detail: &Detail) -> String {
    CreatedId::new(detail.created_at, detail.id).to_string()
}

pub(crate) fn order_item(seller: SellerId, order_number: &str, detail: &Detail) -> Item {
    let key = order_key(seller, detail.transaction_type, order_number);
    Writer::default()
        .with("key", text(key))
        .with("target", text(order_target(detail)))
        .finish()
}

/// Which side of a refund charges are looked for on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Charges made before it: in earlier files, or on earlier lines.
    Before,
    /// Charges made after it.
    After,
}

/// Where the detail of a charge, or those of its refunds, are found.
fn charge_key(charge: ChargeId, kind: TransactionType) -> String {
    match kind {
        TransactionType::Charge => format!("charge#{charge}"),
        TransactionType::Refund => format!("refund-of#{charge}"),
    }
}

pub(crate) fn charge_item(charge: ChargeId, detail: &Detail) -> Item {
    let key = charge_key(charge, detail.transaction_type);
    Writer::default()
        .with("key", text(key))
        .with("target", text(detail.id.to_string()))
        .finish()
}

/// Who has a number that another batch wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberHolder {
    /// A batch.
    Batch(BatchId),
    /// A batch whose item cannot be read.
    Unreadable(BatchId),
    /// What says which batch it is cannot be read.
    Unknown,
}

impl NumberHolder {
    /// The batch, where it is known.
    pub fn batch(&self) -> Option<BatchId> {
        match self {
            Self::Batch(id) | Self::Unreadable(id) => Some(*id),
            Self::Unknown => None,
        }
    }

    /// Whether something that is kept of it was damaged.
    pub fn is_damaged(&self) -> bool {
        !matches!(self, Self::Batch(_))
    }
}

impl fmt::Display for NumberHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(id) => write!(f, "{id}"),
            Self::Unreadable(id) => write!(f, "{id}, of which what is kept cannot be read"),
            Self::Unknown => f.write_str("one that is not known, as its claim cannot be read"),
        }
    }
}

impl PutBuffer {
    /// Adds the way from a charge to a detail that made it, or that refunds it.
    pub async fn put_charge(
        &mut self,
        charge: ChargeId,
        detail: &Detail,
    ) -> Result<(), StoreError> {
        self.put(&LOOKUPS, charge_item(charge, detail)).await
    }
}

impl Store {
    /// The seller's charges with a refund's order number on one side of it, the latest first; at
    /// most twenty of them.
    pub async fn charges_of_order(
        &self,
        seller: SellerId,
        refund: &Detail,
        side: Side,
    ) -> Result<Vec<DetailId>, StoreError> {
        let order_number = refund.order_number.as_deref().unwrap_or_default();
        let key = order_key(seller, TransactionType::Charge, order_number);
        let condition = match side {
            Side::Before => "#key = :key AND target < :refund",
            Side::After => "#key = :key AND target > :refund",
        };
        let answer = self
            .dynamodb()
            .query()
            .table_name(self.names.table(&LOOKUPS))
            .key_condition_expression(condition)
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":key", text(key))
            .expression_attribute_values(":refund", text(order_target(refund)))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(CHARGES_MAX)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("look up an order"))?;
        self.capacity.read(answer.consumed_capacity());
        answer.items().iter().map(order_target_of).collect()
    }

    /// The detail that made a charge, when it was made here.
    pub async fn detail_of_charge(&self, charge: ChargeId) -> Result<Option<DetailId>, StoreError> {
        let key = charge_key(charge, TransactionType::Charge);
        let (found, _) = self.targets(&key, Some(1), None).await?;
        found.first().map(target_of).transpose()
    }

    /// The details that made or refunded a charge, or may have: whoever follows one looks at its
    /// `charge_id`. The charge's own comes first. `None` where there are more than `most`.
    pub async fn details_of_charge(
        &self,
        charge: ChargeId,
        most: usize,
    ) -> Result<Option<Vec<DetailId>>, StoreError> {
        let mut details = Vec::new();
        for kind in [TransactionType::Charge, TransactionType::Refund] {
            let key = charge_key(charge, kind);
            let Some(found) = self.all_targets(&key, most).await? else {
                return Ok(None);
            };
            for item in &found {
                details.push(target_of(item)?);
            }
        }
        Ok(Some(details))
    }

    /// The seller's charges with an order number, the earliest first, and then its refunds. Some may
    /// belong to a batch that is not there yet. `None` where there are more than `most` of either.
    pub async fn details_of_order(
        &self,
        seller: SellerId,
        order_number: &str,
        most: usize,
    ) -> Result<Option<Vec<DetailId>>, StoreError> {
        let mut details = Vec::new();
        for kind in [TransactionType::Charge, TransactionType::Refund] {
            let key = order_key(seller, kind, order_number);
            let Some(found) = self.all_targets(&key, most).await? else {
                return Ok(None);
            };
            for item in &found {
                details.push(order_target_of(item)?);
            }
        }
        Ok(Some(details))
    }

    /// Every entry under a key, in the order of their targets; `None` where there are more than
    /// `most`.
    async fn all_targets(&self, key: &str, most: usize) -> Result<Option<Vec<Item>>, StoreError> {
        // One more than may be, to know whether there is one.
        let limit = i32::try_from(most.saturating_add(1)).unwrap_or(i32::MAX);
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let (items, rest) = self.targets(key, Some(limit), start).await?;
            found.extend(items);
            if found.len() > most {
                return Ok(None);
            }
            start = rest;
            if start.is_none() {
                return Ok(Some(found));
            }
        }
    }

    /// A page of the entries under a key, strongly consistent, and where the next one begins.
    async fn targets(
        &self,
        key: &str,
        limit: Option<i32>,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let answer = self
            .dynamodb()
            .query()
            .table_name(self.names.table(&LOOKUPS))
            .key_condition_expression("#key = :key")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":key", text(key))
            .consistent_read(true)
            .set_limit(limit)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("look up details"))?;
        self.capacity.read(answer.consumed_capacity());
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }

    /// Claims a batch number for a batch: `None` when it is this batch's now or was already,
    /// otherwise who has it. A batch that was given up, because taking it again failed late, has none
    /// any more. One that cannot be read keeps it: it may have been charged.
    pub async fn claim_batch_number(
        &self,
        seller: SellerId,
        number: &BatchNumber,
        batch: BatchId,
    ) -> Result<Option<NumberHolder>, StoreError> {
        let holder = match self.try_claim(seller, number, batch).await {
            Ok(None) => return Ok(None),
            Ok(Some(holder)) => holder,
            Err(StoreError::Corrupt { .. }) => return Ok(Some(NumberHolder::Unknown)),
            Err(error) => return Err(error),
        };
        let held = Some(NumberHolder::Batch(holder));
        match self.batch(holder).await {
            Ok(Some(found)) if found.is_given_up() => {}
            Ok(_) => return Ok(held),
            Err(StoreError::Corrupt { .. }) => return Ok(Some(NumberHolder::Unreadable(holder))),
            Err(error) => return Err(error),
        }
        let is_ours = self
            .take_claim_over(seller, number, (holder, batch))
            .await?;
        Ok(held.filter(|_| !is_ours))
    }

    /// Takes a claim from a batch that is given up in this very moment: it is in no task, and begins
    /// none that would not meet the new claim. `false` when it is so no more.
    async fn take_claim_over(
        &self,
        seller: SellerId,
        number: &BatchNumber,
        (holder, batch): (BatchId, BatchId),
    ) -> Result<bool, StoreError> {
        const OPERATION: &str = "take a batch number over";
        let incomplete = |_| unavailable(OPERATION, "a request could not be built");
        let put = Put::builder()
            .table_name(self.names.table(&LOOKUPS))
            .item("key", text(claim_key(seller, number)))
            .item("target", text(CLAIM))
            .item("batch", uuid(batch))
            .condition_expression("#batch = :holder")
            .expression_attribute_names("#batch", "batch")
            .expression_attribute_values(":holder", uuid(holder))
            .build()
            .map_err(incomplete)?;
        let check = ConditionCheck::builder()
            .table_name(self.names.table(&BATCHES))
            .key("id", text(holder.to_string()))
            .condition_expression(
                "#status = :error AND detail_count = :none AND attribute_not_exists(task_id)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":error", text(BatchStatus::Error.name()))
            .expression_attribute_values(":none", number_value(0))
            .build()
            .map_err(incomplete)?;
        let put = TransactWriteItem::builder().put(put).build();
        let check = TransactWriteItem::builder().condition_check(check).build();
        self.together(OPERATION, vec![put, check]).await
    }

    /// Claims a batch number that is free or this batch's own; gives the batch that has it otherwise.
    async fn try_claim(
        &self,
        seller: SellerId,
        number: &BatchNumber,
        batch: BatchId,
    ) -> Result<Option<BatchId>, StoreError> {
        const OPERATION: &str = "claim a batch number";
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&LOOKUPS))
            .item("key", text(claim_key(seller, number)))
            .item("target", text(CLAIM))
            .item("batch", uuid(batch))
            .condition_expression("attribute_not_exists(#key) OR #batch = :batch")
            .expression_attribute_names("#key", "key")
            .expression_attribute_names("#batch", "batch")
            .expression_attribute_values(":batch", uuid(batch))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(None)
            }
            Err(SdkError::ServiceError(error))
                if error.err().is_conditional_check_failed_exception() =>
            {
                let PutItemError::ConditionalCheckFailedException(held) = error.into_err() else {
                    return Err(StoreError::Conflict {
                        operation: OPERATION,
                    });
                };
                let item: Item = held.item().cloned().unwrap_or_default();
                Reader::new(LOOKUPS.name, "a batch number", &item)
                    .id("batch")
                    .map(Some)
            }
            Err(error) => Err(sorted(OPERATION)(error)),
        }
    }
}

impl Store {
    /// Which of some numbers of sellers' batches are taken, and by whom: not by a batch that was given
    /// up. Strongly consistent.
    pub async fn batches_numbered(
        &self,
        numbers: &[(SellerId, BatchNumber)],
    ) -> Result<HashMap<(SellerId, BatchNumber), NumberHolder>, StoreError> {
        let mut by_key: HashMap<String, &(SellerId, BatchNumber)> = HashMap::new();
        for number in numbers {
            by_key.insert(claim_key(number.0, &number.1), number);
        }
        let keys = by_key.keys().map(|key| {
            Item::from([
                ("key".to_owned(), text(key)),
                ("target".to_owned(), text(CLAIM)),
            ])
        });
        let keys = keys.collect();
        let items = self.items_by_key(&LOOKUPS, "look up batch numbers", keys);
        let mut taken = HashMap::new();
        for item in items.await? {
            let read = reader(&item);
            if let Some(number) = by_key.get(read.text("key")?) {
                let holder = read.id("batch").map(NumberHolder::Batch);
                taken.insert((*number).clone(), holder.unwrap_or(NumberHolder::Unknown));
            }
        }
        let holders: Vec<BatchId> = taken.values().filter_map(NumberHolder::batch).collect();
        let (found, unreadable) = self.readable_batches(&holders).await?;
        let given_up = found.into_iter().filter(Batch::is_given_up);
        let given_up: HashSet<BatchId> = given_up.map(|batch| batch.id).collect();
        taken.retain(|_, holder| holder.batch().is_none_or(|id| !given_up.contains(&id)));
        for holder in taken.values_mut() {
            if let Some(id) = holder.batch().filter(|id| unreadable.contains(id)) {
                *holder = NumberHolder::Unreadable(id);
            }
        }
        Ok(taken)
    }
}

fn claim_key(seller: SellerId, number: &BatchNumber) -> String {
    format!("batch#{seller}#{number}")
}

fn reader(item: &Item) -> Reader<'_> {
    let key = item
        .get("key")
        .and_then(|value: &AttributeValue| value.as_s().ok());
    Reader::new(LOOKUPS.name, key.cloned().unwrap_or_default(), item)
}

fn target_of(item: &Item) -> Result<DetailId, StoreError> {
    reader(item).parsed("target")
}

fn order_target_of(item: &Item) -> Result<DetailId, StoreError> {
    let read = reader(item);
    let (_, id) = read
        .text("target")?
        .split_once('#')
        .ok_or_else(|| read.corrupt("target"))?;
    id.parse().map_err(|_| read.corrupt("target"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_key_fits_its_2048_bytes_for_the_longest_order_number() {
        let seller = SellerId::try_from(Uuid::from_u128(7)).unwrap();
        for length in [1, PLAIN_BYTES_MAX - 1, PLAIN_BYTES_MAX, PLAIN_BYTES_MAX + 1] {
            assert!(order_key(seller, TransactionType::Charge, &"x".repeat(length)).len() <= 2_048);
        }
        let longest = "\u{10ffff}".repeat(824);
        assert!(order_key(seller, TransactionType::Charge, &longest).len() <= 2_048);
    }

    #[test]
    fn a_plain_number_never_meets_a_hashed_one() {
        let seller = SellerId::try_from(Uuid::from_u128(7)).unwrap();
        let hashed = order_key(seller, TransactionType::Charge, &"x".repeat(300));
        let (_, hash) = hashed.split_once('~').unwrap();
        assert_ne!(order_key(seller, TransactionType::Charge, hash), hashed);
        assert_ne!(
            order_key(seller, TransactionType::Charge, &format!("~{hash}")),
            hashed
        );
    }
}
