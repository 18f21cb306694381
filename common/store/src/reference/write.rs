//! Writing reference data: one conditional transaction each.
//!
//! Whoever changes something has read it, as [`Kept`]. The write takes effect only if that is still
//! what is there; otherwise it is a [`StoreError::Conflict`], upon which one reads and decides again.
//! `revision` grows with every write, so it tells one state from the next, also where two have one time.
//! What a `put_…` has written has none, and counts as changed when it says it was updated. In the same
//! transaction:
//!
//! - what it is to belong to is there ([`Parent`]) and nobody is about to delete it ([`Deletion`]);
//! - the way to a seller from its alternate id moves along, and leads to one seller at most.
//!
//! What is deleted leaves a tombstone: an item that stands in no index and says when it was deleted,
//! so that an older change that comes late cannot bring it back. It also says what the thing belonged to,
//! if that was ever known. It goes after [`TOMBSTONE_DAYS`].

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnConsumedCapacity, TransactWriteItem, Update,
};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use weir_domain::{AlternateSellerId, ProgramId, SellerId};

use super::deletion::mark_of;
use super::model::Resource;
use super::owner::Owner;
use super::{
    Client, Customer, Deletion, Program, ReferenceKind, ReportSchedule, Seller, SellerContact,
    alternate_key, resource_from_item,
};
use crate::details::transaction_error;
use crate::error::unavailable;
use crate::item::{Item, Reader, Writer, number, text, time, uuid};
use crate::tables::REFERENCE;
use crate::{Store, StoreError};

/// How long it is remembered that something was deleted, from when that was written: longer than any
/// message is under way.
pub const TOMBSTONE_DAYS: i64 = 90;
/// What a tombstone has, and nothing that is there: when it goes, in seconds since 1970.
const EXPIRES_AT: &str = "expires_at";
/// When an item last changed, in microseconds since 1970.
const CHANGED_US: &str = "changed_us";
/// How often it has changed.
const REVISION: &str = "revision";

const WRITE: &str = "write reference data";

/// Reference data of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A client.
    Client(Client),
    /// A program.
    Program(Program),
    /// A seller.
    Seller(Seller),
    /// A customer.
    Customer(Customer),
    /// A seller's contact.
    SellerContact(SellerContact),
    /// A report's schedule.
    ReportSchedule(ReportSchedule),
}

/// What is kept under a kind and an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When it last changed, to the microsecond.
    pub changed_at: DateTime<Utc>,
    /// How often it has changed since it was written without having been read; 0 if never.
    pub revision: u64,
    /// What it is; `None` when it was deleted.
    pub reference: Option<Reference>,
    /// What it belongs to, or did when it was deleted; `None` where that was not known then.
    pub owner: Option<Owner>,
    /// The mark of whoever is about to delete it.
    pub deletion: Option<Deletion>,
}

/// What must be there of that to which something is to belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// Nothing is asked.
    Any,
    /// It must be there, and nobody about to delete it.
    There(ReferenceKind, Uuid),
    /// It must be there, marked by this deletion, whose mark is taken off: whoever it was is given up.
    Lapsed(ReferenceKind, Uuid, Uuid),
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It took effect.
    Done,
    /// This other seller of the program has the alternate id, so nothing was written.
    AlternateIdTaken(SellerId),
}

/// A write of reference data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceWrite {
    /// Of which kind.
    pub kind: ReferenceKind,
    /// Which one.
    pub id: Uuid,
    /// What was read; `None` when there was nothing, not even a tombstone.
    pub over: Option<Kept>,
    /// What is to be; `None` to delete it.
    pub after: Option<Reference>,
    /// When it changes, kept to the microsecond: not before what was read.
    pub changed_at: DateTime<Utc>,
    /// What must be there meanwhile.
    pub parent: Parent,
    /// The mark that must be on what was read; `None` when none is asked for.
    pub marked_by: Option<Uuid>,
}

/// What leads to a seller besides its id: its program, and its alternate id there.
type Way<'a> = (ProgramId, &'a AlternateSellerId);

/// What is to become of the way from an alternate id.
#[derive(Debug)]
struct WayChange {
    key: String,
    /// To whom it led when it was read.
    led_to: Option<SellerId>,
    /// Whether it is to lead to the seller that is written, or to go.
    is_made: bool,
}

impl Reference {
    /// Of which kind it is.
    pub fn kind(&self) -> ReferenceKind {
        match self {
            Self::Client(_) => ReferenceKind::Client,
            Self::Program(_) => ReferenceKind::Program,
            Self::Seller(_) => ReferenceKind::Seller,
            Self::Customer(_) => ReferenceKind::Customer,
            Self::SellerContact(_) => ReferenceKind::SellerContact,
            Self::ReportSchedule(_) => ReferenceKind::ReportSchedule,
        }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Client(it) => it.id.uuid(),
            Self::Program(it) => it.id.uuid(),
            Self::Seller(it) => it.id.uuid(),
            Self::Customer(it) => it.id.uuid(),
            Self::SellerContact(it) => it.id.uuid(),
            Self::ReportSchedule(it) => it.id.uuid(),
        }
    }

    /// When it was made.
    pub fn created_at(&self) -> DateTime<Utc> {
        match self {
            Self::Client(it) => it.created_at,
            Self::Program(it) => it.created_at,
            Self::Seller(it) => it.created_at,
            Self::Customer(it) => it.created_at,
            Self::SellerContact(it) => it.created_at,
            Self::ReportSchedule(it) => it.created_at,
        }
    }

    /// The same, made at another time.
    #[must_use]
    pub fn made_at(mut self, at: DateTime<Utc>) -> Self {
        match &mut self {
            Self::Client(it) => it.created_at = at,
            Self::Program(it) => it.created_at = at,
            Self::Seller(it) => it.created_at = at,
            Self::Customer(it) => it.created_at = at,
            Self::SellerContact(it) => it.created_at = at,
            Self::ReportSchedule(it) => it.created_at = at,
        }
        self
    }

    pub(super) fn to_item(&self) -> Item {
        match self {
            Self::Client(it) => it.to_item(),
            Self::Program(it) => it.to_item(),
            Self::Seller(it) => it.to_item(),
            Self::Customer(it) => it.to_item(),
            Self::SellerContact(it) => it.to_item(),
            Self::ReportSchedule(it) => it.to_item(),
        }
    }

    pub(super) fn of(kind: ReferenceKind, item: &Item) -> Result<Self, StoreError> {
        Ok(match kind {
            ReferenceKind::Client => Self::Client(resource_from_item(item)?),
            ReferenceKind::Program => Self::Program(resource_from_item(item)?),
            ReferenceKind::Seller => Self::Seller(resource_from_item(item)?),
            ReferenceKind::Customer => Self::Customer(resource_from_item(item)?),
            ReferenceKind::SellerContact => Self::SellerContact(resource_from_item(item)?),
            ReferenceKind::ReportSchedule => Self::ReportSchedule(resource_from_item(item)?),
        })
    }

    /// What leads to it besides its id.
    fn way(&self) -> Option<Way<'_>> {
        match self {
            Self::Seller(seller) => {
                let alternate = seller.alternate_seller_id.as_ref()?;
                Some((seller.program_id, alternate))
            }
            _ => None,
        }
    }
}

/// Whether an item only says that something was deleted.
pub(super) fn is_tombstone(item: &Item) -> bool {
    item.contains_key(EXPIRES_AT)
}

/// The condition that an item is what was read, and its values.
pub(super) fn is_unchanged(kept: &Kept) -> (String, HashMap<String, AttributeValue>) {
    if kept.revision == 0 {
        let condition = "attribute_not_exists(revision) AND updated_at = :read";
        let values = [(":read".to_owned(), time(kept.changed_at))];
        return (condition.to_owned(), values.into());
    }
    let values = [
        (":read".to_owned(), micros(kept.changed_at)),
        (":revision".to_owned(), number(kept.revision)),
    ];
    let condition = "revision = :revision AND changed_us = :read";
    (condition.to_owned(), values.into())
}

/// A time as microseconds since 1970.
fn micros(at: DateTime<Utc>) -> AttributeValue {
    number(at.timestamp_micros())
}

/// A time as it is kept of a change.
pub(super) fn to_micros(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

fn incomplete(_: BuildError) -> StoreError {
    unavailable(WRITE, "an item is incomplete")
}

impl ReferenceWrite {
    fn item(&self, now: DateTime<Utc>) -> Item {
        let revision = self.over.as_ref().map_or(0, |kept| kept.revision) + 1;
        if let Some(reference) = &self.after {
            let mut item = reference.to_item();
            item.insert(CHANGED_US.to_owned(), micros(self.changed_at));
            item.insert(REVISION.to_owned(), number(revision));
            return item;
        }
        let expires_at = self.changed_at.max(now) + TimeDelta::days(TOMBSTONE_DAYS);
        let tombstone = Writer::default()
            .with("id", text(self.kind.key(self.id)))
            .with(CHANGED_US, micros(self.changed_at))
            .with(REVISION, number(revision))
            .with(EXPIRES_AT, number(expires_at.timestamp()));
        let owner = self.over.as_ref().and_then(|kept| kept.owner);
        match owner {
            None => tombstone,
            Some(owner) => owner.write(tombstone),
        }
        .finish()
    }

    fn put(&self, table: &str, now: DateTime<Utc>) -> Result<TransactWriteItem, StoreError> {
        let item = self.item(now);
        let put = Put::builder().table_name(table).set_item(Some(item));
        let put = match &self.over {
            None => put.condition_expression("attribute_not_exists(id)"),
            Some(kept) => {
                let (mut condition, mut values) = is_unchanged(kept);
                if let Some(by) = self.marked_by {
                    condition += " AND deleting_by = :by";
                    values.insert(":by".to_owned(), uuid(by));
                }
                put.condition_expression(condition)
                    .set_expression_attribute_values(Some(values))
            }
        };
        let put = put.build().map_err(incomplete)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn parent_check(&self, table: &str) -> Result<Option<TransactWriteItem>, StoreError> {
        const IS_THERE: &str = "attribute_exists(id) AND attribute_not_exists(expires_at)";
        let (kind, id, condition) = match self.parent {
            Parent::Any => return Ok(None),
            Parent::There(kind, id) => {
                let is_unmarked = format!("{IS_THERE} AND attribute_not_exists(deleting_by)");
                (kind, id, is_unmarked)
            }
            Parent::Lapsed(kind, id, by) => {
                let unmark = Update::builder()
                    .table_name(table)
                    .key("id", text(kind.key(id)))
                    .update_expression("REMOVE deleting_by, deleting_until")
                    .condition_expression(format!("{IS_THERE} AND deleting_by = :by"))
                    .expression_attribute_values(":by", uuid(by))
                    .build()
                    .map_err(incomplete)?;
                let unmark = TransactWriteItem::builder().update(unmark).build();
                return Ok(Some(unmark));
            }
        };
        let check = ConditionCheck::builder()
            .table_name(table)
            .key("id", text(kind.key(id)))
            .condition_expression(condition)
            .build()
            .map_err(incomplete)?;
        let check = TransactWriteItem::builder().condition_check(check).build();
        Ok(Some(check))
    }

    /// The ways from the old and the new alternate id, where they differ.
    fn ways(&self) -> [Option<Way<'_>>; 2] {
        let before = self.over.as_ref().and_then(|kept| kept.reference.as_ref());
        let before = before.and_then(Reference::way);
        let after = self.after.as_ref().and_then(Reference::way);
        let differ = before != after;
        [before.filter(|_| differ), after.filter(|_| differ)]
    }
}

impl WayChange {
    fn action(&self, table: &str, seller: Uuid) -> Result<TransactWriteItem, StoreError> {
        let (condition, led_to) = match self.led_to {
            None => ("attribute_not_exists(id)", None),
            Some(led_to) => (
                "seller_id = :led_to",
                Some([(":led_to".to_owned(), uuid(led_to))].into()),
            ),
        };
        if self.is_made {
            let put = Put::builder()
                .table_name(table)
                .item("id", text(&self.key))
                .item("seller_id", uuid(seller))
                .condition_expression(condition)
                .set_expression_attribute_values(led_to)
                .build()
                .map_err(incomplete)?;
            return Ok(TransactWriteItem::builder().put(put).build());
        }
        let delete = Delete::builder()
            .table_name(table)
            .key("id", text(&self.key))
            .condition_expression(condition)
            .set_expression_attribute_values(led_to)
            .build()
            .map_err(incomplete)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

impl Store {
    /// What is kept under a kind and an id, strongly consistent; `None` when there is nothing, not
    /// even a tombstone.
    pub async fn kept_reference(
        &self,
        kind: ReferenceKind,
        id: Uuid,
    ) -> Result<Option<Kept>, StoreError> {
        let key = kind.key(id);
        let Some(item) = self.get_reference(&key).await? else {
            return Ok(None);
        };
        let read = Reader::new(REFERENCE.name, key, &item);
        let revision = read.opt_number(REVISION)?.unwrap_or(0);
        let changed_at = if revision == 0 {
            read.time("updated_at")?
        } else {
            let micros = DateTime::from_timestamp_micros(read.number(CHANGED_US)?);
            micros.ok_or_else(|| read.corrupt(CHANGED_US))?
        };
        let reference = if is_tombstone(&item) {
            None
        } else {
            Some(Reference::of(kind, &item)?)
        };
        let owner = match &reference {
            Some(reference) => Some(reference.owner()),
            None => Owner::of_tombstone(&read)?,
        };
        Ok(Some(Kept {
            changed_at,
            revision,
            reference,
            owner,
            deletion: mark_of(&read)?,
        }))
    }

    /// Makes a write, or none of it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when what was read is not what is there any more, or not marked as asked,
    /// or the parent is not there or marked: read again. [`StoreError::Unavailable`] also when the same items are being written at this
    /// moment.
    pub async fn write_reference(&self, write: &ReferenceWrite) -> Result<Written, StoreError> {
        let table = self.names.table(&REFERENCE);
        let mut actions = vec![write.put(&table, self.clock.now())?];
        actions.extend(write.parent_check(&table)?);
        let [before, after] = write.ways();
        if let Some((program, alternate)) = before {
            let key = alternate_key(program, alternate);
            let led_to = self.way_leads_to(&key).await?;
            // Where it leads to another seller by now, it is that one's.
            if led_to.map(Uuid::from) == Some(write.id) {
                let way = WayChange {
                    key,
                    led_to,
                    is_made: false,
                };
                actions.push(way.action(&table, write.id)?);
            }
        }
        if let Some((program, alternate)) = after {
            let key = alternate_key(program, alternate);
            let led_to = self.way_leads_to(&key).await?;
            let other = led_to.filter(|seller| seller.uuid() != write.id);
            if let Some(other) = other
                && self.has_alternate_id(other, (program, alternate)).await?
            {
                return Ok(Written::AlternateIdTaken(other));
            }
            let way = WayChange {
                key,
                led_to,
                is_made: true,
            };
            actions.push(way.action(&table, write.id)?);
        }
        let answer = self
            .dynamodb()
            .transact_write_items()
            .set_transact_items(Some(actions))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| transaction_error(WRITE, error))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(Written::Done)
    }

    /// Where the way from an alternate id leads: to the seller that it was last given to, which may be
    /// gone or have another one by now.
    async fn way_leads_to(&self, key: &str) -> Result<Option<SellerId>, StoreError> {
        match self.get_reference(key).await? {
            None => Ok(None),
            Some(item) => Reader::new(REFERENCE.name, key, &item)
                .id("seller_id")
                .map(Some),
        }
    }

    async fn has_alternate_id(&self, seller: SellerId, way: Way<'_>) -> Result<bool, StoreError> {
        let kept = self
            .kept_reference(ReferenceKind::Seller, seller.uuid())
            .await?;
        let reference = kept.and_then(|kept| kept.reference);
        Ok(reference.as_ref().and_then(Reference::way) == Some(way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_stays_for_its_days_from_when_it_is_written_however_old_the_deletion_is() {
        let at = |days: i64| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        for (changed, now, expires) in [(100, 100, 190), (1, 100, 190), (101, 100, 191)] {
            let write = ReferenceWrite {
                kind: ReferenceKind::Client,
                id: Uuid::from_u128(1),
                over: None,
                after: None,
                changed_at: at(changed),
                parent: Parent::Any,
                marked_by: None,
            };
            let seconds = number(at(expires).timestamp());
            assert_eq!(write.item(at(now))[EXPIRES_AT], seconds, "{changed} {now}");
        }
    }
}
