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
pub struct Capacity {
    tables: Arc<Mutex<BTreeMap<String, Units>>>,
    /// A wider count, to which everything is added too.
    within: Option<Arc<Capacity>>,
}

impl Capacity {
    /// A count that begins at nothing; whatever it counts, this one counts too.
    #[must_use]
    pub fn part(&self) -> Self {
        Self {
            tables: Arc::default(),
            within: Some(Arc::new(self.clone())),
        }
    }

    /// What has been consumed so far, by table.
    pub fn by_table(&self) -> BTreeMap<String, Units> {
        self.tables
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
        for part in consumed {
            let table = part.table_name().unwrap_or("unknown");
            self.add(table, as_units(part.capacity_units().unwrap_or(0.0)));
        }
    }

    fn add(&self, table: &str, units: Units) {
        let mut count = Some(self);
        while let Some(capacity) = count {
            let mut tables = capacity
                .tables
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            add(tables.entry(table.to_owned()).or_default(), units);
            drop(tables);
            count = capacity.within.as_deref();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn consumed(table: &str, units: f64) -> ConsumedCapacity {
        ConsumedCapacity::builder()
            .table_name(table)
            .capacity_units(units)
            .build()
    }

    #[test]
    fn what_a_part_counts_the_whole_counts_too_and_not_the_other_way_round() {
        let whole = Capacity::default();
        whole.read(&[consumed("batches", 0.5)]);
        let (one, other) = (whole.part(), whole.part());
        one.read(&[consumed("batches", 1.5), consumed("files", 1.0)]);
        other.wrote(&[consumed("batches", 3.0)]);
        one.part().read(&[consumed("files", 4.0)]);
        let units = |read, write| Units { read, write };
        assert_eq!(one.total(), units(6.5, 0.0));
        assert_eq!(one.by_table()["files"], units(5.0, 0.0));
        assert_eq!(other.total(), units(0.0, 3.0));
        assert_eq!(whole.total(), units(7.0, 3.0));
    }
}
