//! Batch details: the light item, its payloads, its events.
//!
//! One table holds them all. A batch's items are spread over a number of shards that is fixed when
//! the batch is created: blocks of [`SHARD_BLOCK_LINES`] consecutive lines go round the shards, so
//! that the writes of a large batch meet several partitions while a page of its list meets few.
//!
//! ```text
//! shard   (partition) = <batch id>.<shard>
//! record  (sort)      = kind · 10^12 + line · 10^5 + number
//!   kind 0  the detail itself         number 0
//!   kind 1  its XML and its request   number = request version
//!   kind 2  an event                  number = event number: the detail as it became, and the calls
//! ```
//!
//! So the light items of a shard lie side by side, in the order of their lines: a list reads them
//! densely packed and strongly consistent, without an index. An event is the detail's history
//! record and, with its calls, its log records.

mod model;
mod read;
mod record;

pub use model::{Call, Detail, Event, Payload};
pub use read::{DetailsWithPayloads, ReadDetails};
pub(crate) use record::transaction_error;
pub use record::{DetailChange, Lease, LeaseOutcome, LeaseState, Outcome};

use aws_sdk_dynamodb::types::AttributeValue;
use weir_domain::{BatchId, LineNumber};

use crate::item::{Item, number, text};

/// Lines that lie together in a shard, and that travel together in a queue message.
pub const SHARD_BLOCK_LINES: u32 = 25;
/// How many details a shard is meant for.
const DETAILS_PER_SHARD: u32 = 1_000;
/// The most shards of a batch: enough for some ten thousand writes a second.
const SHARDS_MAX: u32 = 64;

const KIND_DETAIL: u64 = 0;
const KIND_PAYLOAD: u64 = 1;
const KIND_EVENT: u64 = 2;
/// The greatest number that the sort key has room for; events and versions stay below it.
const RECORD_NUMBER_MAX: u32 = 99_999;

/// How many shards a batch of so many details gets: one for each thousand, at most 64.
pub fn shard_count_for(details: u32) -> u32 {
    details.div_ceil(DETAILS_PER_SHARD).clamp(1, SHARDS_MAX)
}

/// Where a batch's details lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetailPlace {
    /// The batch.
    pub batch: BatchId,
    /// Its number of shards, fixed when it was created.
    pub shards: u32,
}

impl DetailPlace {
    fn shard_of(&self, line: LineNumber) -> u32 {
        (line.get() - 1) / SHARD_BLOCK_LINES % self.shards.max(1)
    }

    fn shard_key(&self, shard: u32) -> String {
        format!("{}.{shard}", self.batch)
    }

    fn partition(&self, line: LineNumber) -> AttributeValue {
        text(self.shard_key(self.shard_of(line)))
    }

    fn key(&self, line: LineNumber, kind: u64, record: u32) -> Item {
        Item::from([
            ("shard".to_owned(), self.partition(line)),
            (
                "record".to_owned(),
                number(sort_number(kind, line.get(), record)),
            ),
        ])
    }
}

/// The sort key of a record: kind, line and number, readable in decimal.
fn sort_number(kind: u64, line: u32, record: u32) -> u64 {
    kind * 1_000_000_000_000 + u64::from(line) * 100_000 + u64::from(record)
}

/// The parts of a sort key.
fn sort_parts(sort: u64) -> (u64, u64, u64) {
    (
        sort / 1_000_000_000_000,
        sort / 100_000 % 10_000_000,
        sort % 100_000,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_domain::{BatchOrdinal, FileId, ObjectIdentity};

    #[test]
    fn a_batch_gets_one_shard_for_each_thousand_details_and_at_most_64() {
        for (details, shards) in [
            (1, 1),
            (999, 1),
            (1_000, 1),
            (1_001, 2),
            (63_000, 63),
            (64_000, 64),
            (64_001, 64),
            (1_000_000, 64),
        ] {
            assert_eq!(shard_count_for(details), shards, "{details}");
        }
    }

    #[test]
    fn a_block_of_lines_lies_in_one_shard_and_the_next_block_in_the_next() {
        let batch = FileId::of_object(&ObjectIdentity::new("b", "k", "e"))
            .batch(BatchOrdinal::new(1).unwrap());
        let place = DetailPlace { batch, shards: 3 };
        let shard = |line| place.shard_of(LineNumber::new(line).unwrap());
        assert_eq!(
            [shard(1), shard(25), shard(26), shard(75), shard(76)],
            [0, 0, 1, 2, 0]
        );
    }

    proptest! {
        #[test]
        fn sort_keys_order_by_kind_then_line_then_number(
            a in (0..3_u64, 1..=1_000_000_u32, 0..=65_535_u32),
            b in (0..3_u64, 1..=1_000_000_u32, 0..=65_535_u32),
        ) {
            let key = |(kind, line, record)| sort_number(kind, line, record);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert_eq!(sort_parts(key(a)), (a.0, u64::from(a.1), u64::from(a.2)));
        }
    }
}
