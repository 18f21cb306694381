//! What there is, in the order of its creation: keys from the indexes, which hold nothing else.
//!
//! An index follows its table within moments, not at once: it may not have yet what has just been
//! made, and may still have what has just been removed. Whoever follows a key reads the item.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, SellerId};

use crate::error::sorted;
use crate::item::{Reader, text};
use crate::tables::{
    BATCHES, BY_CLIENT, BY_KIND, BY_MONTH, BY_PARENT, BY_PROGRAM, BY_SELLER, FILES,
};
use crate::tables::{MESSAGES, REFERENCE};
use crate::{
    CreatedId, CreatedRange, Direction, Index, Month, ReferenceKind, Store, StoreError, Table,
};

/// Most keys of one answer.
const KEYS_MAX: u32 = 1_000;

/// Some batches, as an index holds them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchesOf {
    /// Those made in a month.
    Month(Month),
    /// Those of a client.
    Client(ClientId),
    /// Those of a program.
    Program(ProgramId),
    /// Those of a seller.
    Seller(SellerId),
}

/// Some files, as an index holds them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilesOf {
    /// Those that became known in a month.
    Month(Month),
    /// Those of a client; a file whose key names none is in no client.
    Client(ClientId),
    /// Those of a program; a file whose key names none is in no program.
    Program(ProgramId),
}

/// Some reference data, as an index holds it together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReferencesOf {
    /// Of which kind.
    pub kind: ReferenceKind,
    /// Only what belongs to this: programs to a client; sellers, customers and report schedules to a
    /// program; seller contacts to a seller; clients to nothing.
    pub parent: Option<Uuid>,
}

/// What reference data of a kind under a parent stands under in its index.
pub(crate) fn parent_key(kind: ReferenceKind, parent: Uuid) -> String {
    format!("{kind}#{parent}")
}

impl Store {
    /// The places of batches within a range, eventually consistent; at most `limit`, which counts as
    /// 1 000 beyond that. Fewer come only at the end of the range.
    pub async fn batch_keys(
        &self,
        of: BatchesOf,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        let (index, partition) = match of {
            BatchesOf::Month(month) => (&BY_MONTH, month.to_string()),
            BatchesOf::Client(client) => (&BY_CLIENT, client.to_string()),
            BatchesOf::Program(program) => (&BY_PROGRAM, program.to_string()),
            BatchesOf::Seller(seller) => (&BY_SELLER, seller.to_string()),
        };
        self.keys_in_order(&BATCHES, index, partition, range, direction, limit)
            .await
    }

    /// The places of files; the rest is as for [`Store::batch_keys`].
    pub async fn file_keys(
        &self,
        of: FilesOf,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        let (index, partition) = match of {
            FilesOf::Month(month) => (&BY_MONTH, month.to_string()),
            FilesOf::Client(client) => (&BY_CLIENT, client.to_string()),
            FilesOf::Program(program) => (&BY_PROGRAM, program.to_string()),
        };
        self.keys_in_order(&FILES, index, partition, range, direction, limit)
            .await
    }

    /// The places of the messages of a month; the rest is as for [`Store::batch_keys`].
    pub async fn message_keys(
        &self,
        of: Month,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        self.keys_in_order(
            &MESSAGES,
            &BY_MONTH,
            of.to_string(),
            range,
            direction,
            limit,
        )
        .await
    }

    /// The places of reference data; the rest is as for [`Store::batch_keys`].
    pub async fn reference_keys(
        &self,
        of: ReferencesOf,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        let (index, partition) = match of.parent {
            None => (&BY_KIND, of.kind.to_string()),
            Some(parent) => (&BY_PARENT, parent_key(of.kind, parent)),
        };
        self.keys_in_order(&REFERENCE, index, partition, range, direction, limit)
            .await
    }

    async fn keys_in_order(
        &self,
        table: &Table,
        index: &Index,
        partition: String,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        let limit = usize::try_from(limit.min(KEYS_MAX)).unwrap_or_default();
        let mut keys = Vec::new();
        let Some(range) = range.within_bounds() else {
            return Ok(keys);
        };
        let mut start = None;
        while keys.len() < limit {
            let left = i32::try_from(limit - keys.len()).unwrap_or(i32::MAX);
            let answer = self
                .dynamodb()
                .query()
                .table_name(self.names.table(table))
                .index_name(index.name)
                .key_condition_expression(
                    "#partition = :partition AND #place BETWEEN :from AND :to",
                )
                .expression_attribute_names("#partition", index.partition.0)
                .expression_attribute_names("#place", index.sort.0)
                .expression_attribute_values(":partition", text(&partition))
                .expression_attribute_values(":from", text(range.from.to_string()))
                .expression_attribute_values(":to", text(range.to.to_string()))
                .scan_index_forward(direction == Direction::Forward)
                .limit(left)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(sorted("list keys"))?;
            self.capacity.read(answer.consumed_capacity());
            for item in answer.items() {
                let read = Reader::new(table.name, &partition, item);
                keys.push(read.parsed(index.sort.0)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(keys)
    }
}
