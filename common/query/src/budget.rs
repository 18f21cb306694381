//! What one request may read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weir_runtime::Reader;

use crate::QueryError;
use crate::filter::{Filter, Test};

/// Keys that may be passed over for each row that may be looked at: they cost so much less.
const KEYS_PER_ROW: u64 = 10;

/// Limits of a request.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Most rows that are looked at, whether they are shown or not.
    pub rows_max: u64,
    /// Most bytes of the values that a list is sorted by.
    pub sort_bytes_max: usize,
}

impl Default for QueryLimits {
    /// 100 000 rows: some seconds of reading, and well within a gateway's 29. 64 MiB of values.
    fn default() -> Self {
        Self {
            rows_max: 100_000,
            sort_bytes_max: 64 << 20,
        }
    }
}

impl QueryLimits {
    /// Reads `WEIR_QUERY_ROWS_MAX`; what is wrong is noted in the reader.
    pub fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        Self {
            rows_max: reader.integer_in("WEIR_QUERY_ROWS_MAX", default.rows_max, 1..=10_000_000),
            ..default
        }
    }
}

/// What is left of a request's reading. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limits: QueryLimits,
    spent: Arc<Spent>,
    narrower: Arc<Vec<&'static str>>,
}

#[derive(Debug, Default)]
struct Spent {
    rows: AtomicU64,
    items: AtomicU64,
    keys: AtomicU64,
}

impl Budget {
    /// All of it. `narrower` are the parameters that would narrow the question, the best first;
    /// those that its filters hold already are not recommended again.
    pub(crate) fn new(
        limits: QueryLimits,
        narrower: &'static [&'static str],
        filters: &[Filter],
    ) -> Self {
        // Who has the batch or the file already is not helped by what all of it shares.
        let is_named = |field: &str| {
            let names = |filter: &Filter| matches!(filter.test, Test::In(_));
            filters
                .iter()
                .any(|filter| filter.field == field && names(filter))
        };
        let within =
            |held: &str, shared: &[&str], field: &str| is_named(held) && shared.contains(&field);
        let has_lower = filters.iter().any(|filter| {
            let bounds = !matches!(filter.test, Test::AtMost(_) | Test::Below(_) | Test::Not(_));
            filter.field == "created_at" && bounds
        });
        let is_held = |name: &str| {
            let field = name.split([':', ' ']).next().unwrap_or_default();
            is_named(field)
                || (field == "created_at" && has_lower)
                || within("batch_id", &["file_id", "seller_id", "created_at"], field)
                || within("file_id", &["created_at"], field)
        };
        let narrower = narrower.iter().copied().filter(|name| !is_held(name));
        Self {
            limits,
            spent: Arc::default(),
            narrower: Arc::new(narrower.collect()),
        }
    }

    /// How many rows have been looked at.
    pub(crate) fn rows_read(&self) -> u64 {
        self.spent.rows.load(Ordering::Relaxed)
    }

    /// How many rows may still be looked at; one at least, so that the next says that it is too much.
    pub(crate) fn rows_left(&self) -> u64 {
        let most = self.limits.rows_max;
        most.saturating_sub(self.rows_read()).max(1)
    }

    /// How many items may still be read; one at least.
    pub(crate) fn items_left(&self) -> u64 {
        let read = self.spent.items.load(Ordering::Relaxed);
        self.limits.rows_max.saturating_sub(read).max(1)
    }

    /// Counts rows that were looked at.
    pub(crate) fn rows(&self, count: usize) -> Result<(), QueryError> {
        self.spend(&self.spent.rows, count, 1)
    }

    /// Counts items that were read to find rows in them, or to find that there are none.
    pub(crate) fn items(&self, count: usize) -> Result<(), QueryError> {
        self.spend(&self.spent.items, count, 1)
    }

    /// Counts keys that were passed over.
    pub(crate) fn keys(&self, count: usize) -> Result<(), QueryError> {
        self.spend(&self.spent.keys, count, KEYS_PER_ROW)
    }

    /// Refuses values that take too much memory.
    pub(crate) fn sort_bytes(&self, bytes: usize) -> Result<(), QueryError> {
        if bytes <= self.limits.sort_bytes_max {
            return Ok(());
        }
        Err(QueryError::TooHeavy {
            bytes_max: self.limits.sort_bytes_max,
            narrower: self.narrower.to_vec(),
        })
    }

    fn spend(&self, spent: &AtomicU64, count: usize, per_row: u64) -> Result<(), QueryError> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let before = spent.fetch_add(count, Ordering::Relaxed);
        if before.saturating_add(count) <= self.limits.rows_max.saturating_mul(per_row) {
            return Ok(());
        }
        Err(QueryError::TooWide {
            rows_max: self.limits.rows_max,
            narrower: self.narrower.to_vec(),
        })
    }
}
