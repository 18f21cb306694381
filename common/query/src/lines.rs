//! What belongs to the lines of batches, read batch by batch: details, their history, their logs.
//!
//! Batches are the index of details. A batch that the filters rule out by its own attributes, or by
//! its counters, costs nothing but its key; within a batch whole windows of lines are read at once.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;
use weir_domain::{BatchId, DetailId, DetailStatus, HistoryId, LineNumber, LogId};
use weir_store::{Batch, CreatedId, Direction, Store, StoreError};

use crate::budget::Budget;
use crate::engine::Source;
use crate::filter::{Filter, Operand, Test};
use crate::resources::{BatchRow, Batches};
use crate::schema::Resource;
use crate::walk::Walk;
use crate::{QueryError, Row, Value};

/// Lines that are read together at first where not all may fit the filters.
const WINDOW_MIN: u32 = 250;
/// Batches that are read ahead.
const BATCHES_AHEAD: usize = 25;
/// Most windows, each of its batch, that are read together: small batches are read several at once.
const WINDOWS_TOGETHER: usize = 32;
/// Requests that are under way at the same time.
pub(crate) const READS_AT_A_TIME: usize = 8;

/// What belongs to lines.
pub(crate) trait OfLines: Send + Sync + 'static {
    /// One of them.
    type Row: Row;
    /// Whether every line has exactly one.
    const IS_ONE_A_LINE: bool;
    /// Most lines that are read together.
    const WINDOW_MAX: u32;

    /// Those of the lines `from..=to`, in order.
    fn in_lines(
        store: &Store,
        batch: &Arc<Batch>,
        from: LineNumber,
        to: LineNumber,
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// Those of some lines, in order.
    fn of_lines(
        store: &Store,
        batch: &Arc<Batch>,
        lines: &[LineNumber],
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// Those with some ids, in any order; others may be among them, and those that are gone are
    /// missing.
    fn with_ids(
        store: &Store,
        batch: &Arc<Batch>,
        ids: &[Uuid],
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// Fetches the heavy fields of some.
    fn load(
        store: &Store,
        rows: &mut [Self::Row],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What each has.
    const RESOURCE: &'static Resource;
    /// The fields that all of a batch share, and the batch has under the same name.
    const SHARED: &'static [&'static str];
    /// What the detail's id is called.
    const DETAIL_ID: &'static str;
}

/// Rows of lines, one way or the other.
pub(crate) struct LineSource<L: OfLines> {
    store: Store,
    budget: Budget,
    direction: Direction,
    /// The batches, those that are ruled out left out.
    batches: Walk<Batches>,
    /// The only lines to look at, where they are known.
    pub(crate) only: Option<HashMap<BatchId, Vec<LineNumber>>>,
    /// Rows up to here have been given.
    pub(crate) after: Option<CreatedId>,
    /// Whether every row of the batches is one that the filters keep.
    pub(crate) is_exact: bool,
    /// Whether there is one batch at most.
    pub(crate) is_one_batch: bool,
    ahead: VecDeque<BatchRow>,
    current: Option<Current>,
    window: u32,
    of: std::marker::PhantomData<fn() -> L>,
}

/// A batch that is being read, and what is left of it.
struct Current {
    batch: Arc<Batch>,
    left: Left,
}

enum Left {
    /// Lines from the first to the second.
    Range(u32, u32),
    /// Some lines, in order.
    Lines(VecDeque<LineNumber>),
}

impl<L: OfLines> LineSource<L> {
    /// Sets out.
    pub(crate) fn new(
        store: Store,
        budget: Budget,
        direction: Direction,
        batches: Walk<Batches>,
    ) -> Self {
        Self {
            store,
            budget,
            direction,
            batches,
            only: None,
            after: None,
            is_exact: false,
            is_one_batch: false,
            ahead: VecDeque::new(),
            current: None,
            window: WINDOW_MIN,
            of: std::marker::PhantomData,
        }
    }

    /// Makes sure that there is a batch with lines left; `false` at the end.
    async fn has_current(&mut self) -> Result<bool, QueryError> {
        loop {
            if self
                .current
                .as_ref()
                .is_some_and(|current| !current.left.is_empty())
            {
                return Ok(true);
            }
            if self.ahead.is_empty() {
                self.ahead = self.batches.next_items(BATCHES_AHEAD).await?.into();
            }
            let Some(BatchRow(batch)) = self.ahead.pop_front() else {
                return Ok(false);
            };
            self.current = Some(self.enter(batch));
        }
    }

    /// A batch with what is left of it after the place where the rows begin.
    fn enter(&self, batch: Batch) -> Current {
        let last = u32::try_from(batch.counters.details).unwrap_or(u32::MAX);
        let resumed = self
            .after
            .and_then(|after| detail_of(after.id))
            .filter(|detail| detail.batch() == batch.id)
            .map(DetailId::line);
        let (mut from, mut to) = (1, last);
        // The line itself may hold more than the row that was last.
        match (resumed, self.direction) {
            (Some(line), Direction::Forward) => from = line.get(),
            (Some(line), Direction::Backward) => to = line.get().min(last),
            (None, _) => {}
        }
        let left = match &self.only {
            None => Left::Range(from, to),
            Some(only) => {
                let mut lines = only.get(&batch.id).cloned().unwrap_or_default();
                lines.retain(|line| (from..=to).contains(&line.get()));
                lines.sort_unstable();
                lines.dedup();
                Left::Lines(lines.into())
            }
        };
        Current {
            batch: Arc::new(batch),
            left,
        }
    }

    /// The next windows, of some lines together: of one batch, or of several small ones.
    async fn next_windows(
        &mut self,
        lines_max: u32,
    ) -> Result<Vec<(Arc<Batch>, Window)>, QueryError> {
        let mut windows = Vec::new();
        let mut left = lines_max;
        while left > 0 && windows.len() < WINDOWS_TOGETHER && self.has_current().await? {
            let Some(current) = &mut self.current else {
                break;
            };
            let window = current.left.take(left, self.direction);
            left -= window.lines().min(left);
            windows.push((Arc::clone(&current.batch), window));
        }
        Ok(windows)
    }

    /// The rows of some windows, in order.
    async fn read(&self, windows: Vec<(Arc<Batch>, Window)>) -> Result<Vec<L::Row>, QueryError> {
        let lines: u32 = windows.iter().map(|(_, window)| window.lines()).sum();
        let reads = windows.into_iter().map(|(batch, window)| {
            let (store, direction) = (self.store.clone(), self.direction);
            async move { read_window::<L>(&store, &batch, window, direction).await }
        });
        let mut rows: Vec<L::Row> = stream::iter(reads)
            .buffered(READS_AT_A_TIME)
            .try_concat()
            .await?;
        // A line is looked at even if it has nothing to show.
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        self.budget.rows(lines.saturating_sub(rows.len()))?;
        if let Some(after) = self.after {
            rows.retain(|row| match self.direction {
                Direction::Forward => row.position() > after,
                Direction::Backward => row.position() < after,
            });
        }
        Ok(rows)
    }
}

async fn read_window<L: OfLines>(
    store: &Store,
    batch: &Arc<Batch>,
    window: Window,
    direction: Direction,
) -> Result<Vec<L::Row>, StoreError> {
    let mut rows = match window {
        Window::Range(from, to) => L::in_lines(store, batch, from, to).await?,
        Window::Lines(lines) => L::of_lines(store, batch, &lines).await?,
        Window::Nothing => Vec::new(),
    };
    if direction == Direction::Backward {
        rows.reverse();
    }
    Ok(rows)
}

impl<L: OfLines> Source for LineSource<L> {
    type Row = L::Row;

    async fn next(&mut self, wanted: usize) -> Result<Vec<L::Row>, QueryError> {
        loop {
            let most = if self.is_exact && L::IS_ONE_A_LINE {
                // One more line may be the one that the last page ended with.
                let most = u32::try_from(wanted.saturating_add(1)).unwrap_or(L::WINDOW_MAX);
                most.min(L::WINDOW_MAX)
            } else {
                self.window.min(L::WINDOW_MAX)
            };
            // No further than may be looked at: what comes beyond may not be needed.
            let left = u32::try_from(self.budget.rows_left()).unwrap_or(u32::MAX);
            let windows = self.next_windows(most.min(left)).await?;
            if windows.is_empty() {
                return Ok(Vec::new());
            }
            let rows = self.read(windows).await?;
            self.window = self.window.saturating_mul(2).min(L::WINDOW_MAX);
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    async fn pass(&mut self, count: u64) -> Result<u64, QueryError> {
        let can_pass = self.is_exact && L::IS_ONE_A_LINE && self.after.is_none();
        let mut passed = 0;
        while can_pass && passed < count && self.has_current().await? {
            let Some(current) = &mut self.current else {
                break;
            };
            passed += current.left.pass(count - passed, self.direction);
        }
        Ok(passed)
    }

    fn total(&self) -> Option<u64> {
        let is_known = self.is_exact && L::IS_ONE_A_LINE && self.is_one_batch;
        let current = self.current.as_ref().filter(|_| is_known);
        current.map(|current| current.batch.counters.details)
    }
}

/// Lines of a batch that are read together.
enum Window {
    Range(LineNumber, LineNumber),
    Lines(Vec<LineNumber>),
    Nothing,
}

impl Window {
    /// How many lines it has.
    fn lines(&self) -> u32 {
        match self {
            Self::Range(from, to) => to.get() - from.get() + 1,
            Self::Lines(lines) => u32::try_from(lines.len()).unwrap_or(u32::MAX),
            Self::Nothing => 0,
        }
    }
}

impl Left {
    fn is_empty(&self) -> bool {
        match self {
            Self::Range(from, to) => from > to,
            Self::Lines(lines) => lines.is_empty(),
        }
    }

    /// Takes at most so many lines off the side that is read next.
    fn take(&mut self, most: u32, direction: Direction) -> Window {
        match self {
            Self::Range(from, to) => {
                let (first, last) = match direction {
                    Direction::Forward => (*from, from.saturating_add(most - 1).min(*to)),
                    Direction::Backward => (to.saturating_sub(most - 1).max(*from), *to),
                };
                match direction {
                    Direction::Forward => *from = last.saturating_add(1),
                    // A range that would end before the first line is one of no line.
                    Direction::Backward if first == *from => (*from, *to) = (1, 0),
                    Direction::Backward => *to = first - 1,
                }
                match (LineNumber::new(first), LineNumber::new(last)) {
                    (Ok(first), Ok(last)) if first <= last => Window::Range(first, last),
                    _ => Window::Nothing,
                }
            }
            Self::Lines(lines) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX).min(lines.len());
                match direction {
                    Direction::Forward => Window::Lines(lines.drain(..most).collect()),
                    Direction::Backward => {
                        Window::Lines(lines.split_off(lines.len() - most).into())
                    }
                }
            }
        }
    }

    /// Passes over at most so many lines, and says over how many.
    fn pass(&mut self, count: u64, direction: Direction) -> u64 {
        let Self::Range(from, to) = self else {
            return 0;
        };
        let all = u64::from(*to) + 1 - u64::from(*from);
        let passed = count.min(all);
        let lines = u32::try_from(passed).unwrap_or(u32::MAX);
        match direction {
            Direction::Forward => *from = from.saturating_add(lines),
            Direction::Backward if passed == all => (*from, *to) = (1, 0),
            Direction::Backward => *to -= lines,
        }
        passed
    }
}

/// The detail that an id of a detail, of a history record or of a log record is about.
pub(crate) fn detail_of(id: Uuid) -> Option<DetailId> {
    let history = || {
        let (detail, _) = HistoryId::try_from(id).ok()?.place()?;
        Some(detail)
    };
    let log = || {
        let (detail, _, _) = LogId::try_from(id).ok()?.place()?;
        Some(detail)
    };
    DetailId::try_from(id).ok().or_else(history).or_else(log)
}

/// Whether a batch can hold a row that a filter keeps, by what all rows of a batch share: `shared`
/// names the fields of a row that are the batch's own.
pub(crate) fn can_hold(batch: &Batch, filters: &[Filter], shared: &[&str]) -> bool {
    filters.iter().all(|filter| match filter.field {
        "batch_id" => filter.test.holds(&Value::id(batch.id)),
        field if shared.contains(&field) => filter.test.holds(&Batches::value_of(batch, field)),
        _ => true,
    })
}

/// Whether a batch has a detail whose status a filter keeps, by its counters.
pub(crate) fn has_status(batch: &Batch, filters: &[Filter]) -> bool {
    filters.iter().all(|filter| match &filter.test {
        Test::In(statuses) if filter.field == "status" => statuses.iter().any(|status| {
            let Operand::Text(status) = status else {
                return true;
            };
            status
                .parse()
                .is_ok_and(|status| most_in_status(batch, status) > 0)
        }),
        _ => true,
    })
}

/// How many details of a batch can be in a status, by its counters.
fn most_in_status(batch: &Batch, status: DetailStatus) -> u64 {
    let counters = &batch.counters;
    match status {
        DetailStatus::Unprocessed | DetailStatus::Retry => counters.unprocessed,
        DetailStatus::Error => counters.error,
        DetailStatus::Cancelled => counters.cancelled,
        DetailStatus::Processed => counters
            .details
            .saturating_sub(counters.unprocessed)
            .saturating_sub(counters.error)
            .saturating_sub(counters.cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines that windows of some sizes give, after some were passed over.
    fn walked(mut left: Left, passed: u64, sizes: &[u32], direction: Direction) -> Vec<u32> {
        left.pass(passed, direction);
        let mut lines = Vec::new();
        for size in sizes.iter().cycle() {
            if left.is_empty() {
                break;
            }
            let mut window: Vec<u32> = match left.take(*size, direction) {
                Window::Range(from, to) => (from.get()..=to.get()).collect(),
                Window::Lines(lines) => lines.into_iter().map(LineNumber::get).collect(),
                Window::Nothing => Vec::new(),
            };
            if direction == Direction::Backward {
                window.reverse();
            }
            lines.extend(window);
        }
        lines
    }

    proptest! {
        #[test]
        fn windows_give_every_line_once_in_either_direction(
            from in 1..5_u32,
            count in 0..60_u32,
            passed in 0..80_u64,
            sizes in proptest::collection::vec(1..9_u32, 1..4),
            is_backward in any::<bool>(),
        ) {
            let to = from + count - 1;
            let direction = if is_backward { Direction::Backward } else { Direction::Forward };
            let mut expected: Vec<u32> = (from..=to).collect();
            if is_backward {
                expected.reverse();
            }
            let expected: Vec<u32> =
                expected.into_iter().skip(usize::try_from(passed).unwrap()).collect();
            prop_assert_eq!(walked(Left::Range(from, to), passed, &sizes, direction), expected);
        }

        #[test]
        fn known_lines_are_given_once_in_either_direction(
            lines in proptest::collection::btree_set(1..50_u32, 0..30),
            sizes in proptest::collection::vec(1..9_u32, 1..4),
            is_backward in any::<bool>(),
        ) {
            let direction = if is_backward { Direction::Backward } else { Direction::Forward };
            let known = lines.iter().map(|line| LineNumber::new(*line).unwrap()).collect();
            let mut expected: Vec<u32> = lines.into_iter().collect();
            if is_backward {
                expected.reverse();
            }
            prop_assert_eq!(walked(Left::Lines(known), 0, &sizes, direction), expected);
        }
    }
}
