//! The capacity that DynamoDB says each call consumed: the bill, counted where it arises.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Units consumed on one table and its indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    /// Read units.
    pub read: f64,
    /// Write units.
    pub write: f64,
}

/// A running count by table. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Capacity(Arc<Mutex<BTreeMap<String, Units>>>);

impl Capacity {
    /// What has been consumed so far, by table.
    pub fn by_table(&self) -> BTreeMap<String, Units> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What has been consumed so far, on all tables.
    pub fn total(&self) -> Units {
        let mut sum = Units::default();
        for units in self.by_table().values() {
            add(&mut sum, *units);
        }
        sum
    }

    /// Counts the answer to a write.
    pub(crate) fn wrote<'a>(&self, consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        self.count(consumed, |units| Units {
            read: 0.0,
            write: units,
        });
    }

    /// Counts the answer to a read.
    pub(crate) fn read<'a>(&self, consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        self.count(consumed, |units| Units {
            read: units,
            write: 0.0,
        });
    }

    fn count<'a>(
        &self,
        consumed: impl IntoIterator<Item = &'a ConsumedCapacity>,
        as_units: impl Fn(f64) -> Units,
    ) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in consumed {
            let table = part.table_name().unwrap_or("unknown").to_owned();
            add(
                tables.entry(table).or_default(),
                as_units(part.capacity_units().unwrap_or(0.0)),
            );
        }
    }
}

#[expect(
    clippy::float_arithmetic,
    reason = "DynamoDB reports halves of a unit; it is no money"
)]
fn add(sum: &mut Units, more: Units) {
    sum.read += more.read;
    sum.write += more.write;
}
