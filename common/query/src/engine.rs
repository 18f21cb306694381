//! From a question and a way to read rows to a page of them.
//!
//! A list in the order in which rows are read streams: it ends as soon as its page is full. Any
//! other sort reads everything that the filters leave, keeps of each row what it is sorted by, and
//! reads the page's rows again. Both stop at the request's [`Budget`] with an error, never with a
//! page that lacks something.

use std::cmp::Ordering;
use std::future::Future;

use weir_store::{CreatedId, Direction};

use crate::budget::Budget;
use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::parse::{Query, SortColumn, Start};
use crate::schema::Resource;
use crate::{QueryError, Row, Value};

/// Rows whose heavy fields are fetched together.
const LOADED_TOGETHER: usize = 50;
/// Rows that are asked for at once where all of them are wanted.
const READ_TOGETHER: usize = 5_000;

/// Rows in their natural order, one way or the other.
pub(crate) trait Source: Send {
    /// What it gives.
    type Row: Row;

    /// The next rows, all of which may be outside the filters; none at the end only. `wanted` says
    /// how many are needed if all fit.
    fn next(
        &mut self,
        wanted: usize,
    ) -> impl Future<Output = Result<Vec<Self::Row>, QueryError>> + Send;

    /// Passes over at most so many rows within the filters without reading them, and says over how
    /// many.
    fn pass(&mut self, count: u64) -> impl Future<Output = Result<u64, QueryError>> + Send;

    /// How many rows the filters keep in all, where that is known without counting them. Asked for
    /// once the page is read.
    fn total(&self) -> Option<u64>;
}

/// A collection that can be asked.
pub(crate) trait Collection: Sync {
    /// What it holds.
    type Row: Row;
    /// How it is read.
    type Source: Source<Row = Self::Row>;

    /// What a row has.
    fn resource(&self) -> &'static Resource;

    /// Begins to read, after a place where there is one.
    fn open(
        &self,
        direction: Direction,
        after: Option<CreatedId>,
    ) -> impl Future<Output = Result<Self::Source, QueryError>> + Send;

    /// Fetches the heavy fields of some rows.
    fn load(&self, rows: &mut [Self::Row]) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Rows by where they stand; those that are gone are missing.
    fn fetch(
        &self,
        positions: &[CreatedId],
    ) -> impl Future<Output = Result<Vec<Self::Row>, QueryError>> + Send;
}

/// A page. Its rows lack their heavy fields.
#[derive(Debug)]
pub struct Answer<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Whether there are more.
    pub has_more: bool,
    /// Where the next page begins, as a text for the `cursor` parameter.
    pub cursor: Option<String>,
    /// How many rows there are on all pages, where it is known without counting them.
    pub total: Option<u64>,
    /// How many rows were looked at.
    pub rows_read: u64,
    /// Which way in was taken.
    pub way: &'static str,
}

impl<R> Answer<R> {
    /// The same, with the way that was taken.
    pub(crate) fn by(self, way: &'static str) -> Self {
        Self { way, ..self }
    }
}

/// The page that a query asks for.
pub(crate) async fn answer<C: Collection>(
    collection: &C,
    query: &Query,
    budget: &Budget,
) -> Result<Answer<C::Row>, QueryError> {
    let resource = collection.resource();
    match natural(resource, &query.sort) {
        Some(direction) => stream(collection, query, budget, direction).await,
        None => sorted(collection, query, budget).await,
    }
}

/// The direction to read in, where the rows then come as they are to be sorted.
fn natural(resource: &Resource, sort: &[SortColumn]) -> Option<Direction> {
    match sort {
        [] => Some(Direction::Forward),
        [only] if only.field.name == "created_at" && resource.is_in_order_of_creation => {
            Some(if only.is_descending {
                Direction::Backward
            } else {
                Direction::Forward
            })
        }
        _ => None,
    }
}

/// How many rows come before the page, by its number.
fn before(query: &Query) -> u64 {
    match query.start {
        Start::Page(number) => u64::from(number.saturating_sub(1)) * u64::from(query.page_size),
        Start::After(_) => 0,
    }
}

fn size(query: &Query) -> usize {
    usize::try_from(query.page_size).unwrap_or(usize::MAX)
}

async fn stream<C: Collection>(
    collection: &C,
    query: &Query,
    budget: &Budget,
    direction: Direction,
) -> Result<Answer<C::Row>, QueryError> {
    let after = match &query.start {
        Start::After(cursor) => Some(cursor.position),
        Start::Page(_) => None,
    };
    let mut source = collection.open(direction, after).await?;
    let skipped = before(query);
    let passed = source.pass(skipped).await?;
    let mut left = skipped - passed;
    let filters = Filters::new(collection.resource(), &query.filters);
    // One more than the page, to know whether there is another.
    let most = size(query) + 1;
    let mut rows: Vec<C::Row> = Vec::new();
    let mut seen = passed;
    let mut is_whole = false;
    while rows.len() < most && !is_whole {
        let missing = u64::try_from(most - rows.len()).unwrap_or(u64::MAX) + left;
        let wanted = usize::try_from(missing).unwrap_or(READ_TOGETHER);
        let read = source.next(wanted.min(READ_TOGETHER)).await?;
        is_whole = read.is_empty();
        budget.rows(read.len())?;
        for row in filters.keep(collection, read).await? {
            seen += 1;
            if left > 0 {
                left -= 1;
            } else if rows.len() < most {
                rows.push(row);
            }
        }
    }
    let has_more = rows.len() == most;
    rows.truncate(size(query));
    let is_counted = is_whole && after.is_none();
    let total = source.total().or_else(|| is_counted.then_some(seen));
    Ok(finish(collection, query, rows, has_more, total, budget))
}

/// What a row is sorted by, and where it stands.
struct Key {
    values: Vec<Value<'static>>,
    position: CreatedId,
}

async fn sorted<C: Collection>(
    collection: &C,
    query: &Query,
    budget: &Budget,
) -> Result<Answer<C::Row>, QueryError> {
    let mut keys = keys(collection, query, budget).await?;
    keys.sort_unstable_by(|a, b| order(&query.sort, a, b));
    let first = match &query.start {
        Start::Page(_) => usize::try_from(before(query)).unwrap_or(usize::MAX),
        Start::After(cursor) if cursor.values.is_empty() => {
            let place = keys.iter().position(|key| key.position == cursor.position);
            place.ok_or(QueryError::LostCursor)? + 1
        }
        Start::After(cursor) => {
            let last = Key {
                values: cursor.values.clone(),
                position: cursor.position,
            };
            keys.partition_point(|key| order(&query.sort, key, &last) != Ordering::Greater)
        }
    };
    let first = first.min(keys.len());
    let end = first.saturating_add(size(query)).min(keys.len());
    let wanted = keys.get(first..end).unwrap_or_default();
    let positions: Vec<CreatedId> = wanted.iter().map(|key| key.position).collect();
    let mut rows = collection.fetch(&positions).await?;
    // They have been read again, and what has changed since may not belong any more.
    let filters = Filters::new(collection.resource(), &query.filters);
    rows.retain(|row| filters.light.iter().all(|filter| filter.keeps(row)));
    let total = u64::try_from(keys.len()).ok();
    let has_more = end < keys.len();
    let mut page = finish(collection, query, rows, has_more, total, budget);
    // By what was sorted: the row may have changed since, and heavy fields are not there.
    page.cursor = wanted.last().filter(|_| has_more).and_then(|key| {
        let cursor = Cursor {
            values: key.values.clone(),
            position: key.position,
        };
        cursor.write(collection.resource(), query)
    });
    Ok(page)
}

async fn keys<C: Collection>(
    collection: &C,
    query: &Query,
    budget: &Budget,
) -> Result<Vec<Key>, QueryError> {
    let resource = collection.resource();
    let filters = Filters::new(resource, &query.filters);
    let heavy_sort = query
        .sort
        .iter()
        .any(|column| resource.is_heavy(column.field.name));
    let mut source = collection.open(Direction::Forward, None).await?;
    let mut keys = Vec::new();
    let mut bytes = 0;
    loop {
        let read = source.next(READ_TOGETHER).await?;
        if read.is_empty() {
            return Ok(keys);
        }
        budget.rows(read.len())?;
        let mut kept = filters.keep(collection, read).await?;
        let together = if heavy_sort {
            LOADED_TOGETHER
        } else {
            READ_TOGETHER
        };
        while !kept.is_empty() {
            let rest = kept.split_off(kept.len().min(together));
            if heavy_sort {
                collection.load(&mut kept).await?;
            }
            for row in &kept {
                let values = query.sort.iter().map(|column| row.value(column.field.name));
                let values: Vec<_> = values.map(Value::into_owned).collect();
                bytes += size_of::<Key>() + values.iter().map(Value::weight).sum::<usize>();
                keys.push(Key {
                    values,
                    position: row.position(),
                });
            }
            budget.sort_bytes(bytes)?;
            kept = rest; // and what was loaded is given back
        }
    }
}

/// By the columns, then by id, in the direction of the last column.
fn order(sort: &[SortColumn], a: &Key, b: &Key) -> Ordering {
    let directed = |order: Ordering, is_descending| {
        if is_descending {
            order.reverse()
        } else {
            order
        }
    };
    for (column, (a, b)) in sort.iter().zip(a.values.iter().zip(&b.values)) {
        let order = directed(a.order(b), column.is_descending);
        if order != Ordering::Equal {
            return order;
        }
    }
    let last = sort.last().is_some_and(|column| column.is_descending);
    directed(a.position.id.cmp(&b.position.id), last)
}

fn finish<C: Collection>(
    collection: &C,
    query: &Query,
    rows: Vec<C::Row>,
    has_more: bool,
    total: Option<u64>,
    budget: &Budget,
) -> Answer<C::Row> {
    let cursor = rows.last().filter(|_| has_more).and_then(|row| {
        let values = query.sort.iter().map(|column| row.value(column.field.name));
        let cursor = Cursor {
            values: values.map(Value::into_owned).collect(),
            position: row.position(),
        };
        cursor.write(collection.resource(), query)
    });
    Answer {
        rows,
        has_more,
        cursor,
        total,
        rows_read: budget.rows_read(),
        way: "all",
    }
}

/// The filters of a query: those that rows can be tried by as they come, and the rest.
struct Filters<'q> {
    light: Vec<&'q Filter>,
    heavy: Vec<&'q Filter>,
}

impl<'q> Filters<'q> {
    fn new(resource: &Resource, filters: &'q [Filter]) -> Self {
        let (heavy, light) = filters
            .iter()
            .partition(|filter| resource.is_heavy(filter.field));
        Self { light, heavy }
    }

    /// The rows that all filters keep.
    async fn keep<C: Collection>(
        &self,
        collection: &C,
        mut rows: Vec<C::Row>,
    ) -> Result<Vec<C::Row>, QueryError> {
        rows.retain(|row| self.light.iter().all(|filter| filter.keeps(row)));
        if self.heavy.is_empty() {
            return Ok(rows);
        }
        let mut kept = Vec::new();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(LOADED_TOGETHER));
            collection.load(&mut rows).await?;
            rows.retain(|row| self.heavy.iter().all(|filter| filter.keeps(row)));
            // Thousands of rows may be kept, and all that is needed of them now is light.
            rows.iter_mut().for_each(Row::unload);
            kept.append(&mut rows);
            rows = rest;
        }
        Ok(kept)
    }
}
