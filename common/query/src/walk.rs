//! Walks over what is kept in the order of its creation: keys from an index, then items by id.
//!
//! | way | reads |
//! | --- | --- |
//! | [`Way::Known`] | some items by id, and puts them in order |
//! | [`Way::Ordered`] | items by id, which are in order, some at a time |
//! | [`Way::Merged`] | partitions of an index side by side, the earliest key first |
//! | [`Way::Months`] | the partitions of the months, one after the other |
//!
//! The keys come from an index, which may lag behind by moments; the items are as they are now.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use chrono::DateTime;
use uuid::Uuid;
use weir_store::{CreatedId, CreatedRange, Direction, Month, Store, StoreError};

use crate::budget::Budget;
use crate::engine::Source;
use crate::{QueryError, Row};

/// Fewest and most keys that are read at once.
const KEYS_MIN: usize = 25;
const KEYS_MAX: usize = 1_000;
/// Items that are fetched together.
const ITEMS_TOGETHER: usize = 100;
/// The first moment of 2025, in milliseconds since 1970: nothing is older than Weir itself.
pub(crate) const BEGINNING_MS: i64 = 1_735_689_600_000;

/// Something that is kept in the order of its creation.
///
/// Items are as large as they are: `TOGETHER` says how many may be in memory at once.
pub(crate) trait Keyed: Send + Sync + 'static {
    /// An item.
    type Row: Row;
    /// A part of it that an index holds together.
    type Partition: Clone + Send + Sync;
    /// Most items that are read together.
    const TOGETHER: usize = KEYS_MAX;

    /// The partition of a month, where there is such an index.
    fn month(month: Month) -> Option<Self::Partition>;

    /// At most so many keys of a partition within a range; fewer at its end only.
    fn keys(
        store: &Store,
        partition: Self::Partition,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<CreatedId>, StoreError>> + Send;

    /// Fetches the heavy fields of some, where there are any.
    fn load(
        store: &Store,
        rows: &mut [Self::Row],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let _ = (store, rows);
        async { Ok(()) }
    }

    /// Items by id, in the order of the ids; those that are gone are missing.
    fn items(
        store: &Store,
        ids: &[Uuid],
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;
}

/// Which items to look at.
#[derive(Debug, Clone)]
pub(crate) enum Way<P> {
    /// These, whatever order they are in.
    Known(Vec<Uuid>),
    /// These, which are in the order of their creation, as of their ids.
    Ordered(Vec<Uuid>),
    /// Those of some partitions.
    Merged(Vec<P>),
    /// All of them, by months.
    Months,
}

/// Whether a row is to be seen at all.
pub(crate) type Sees<K> = Arc<dyn Fn(&<K as Keyed>::Row) -> bool + Send + Sync>;

/// A walk to take: its way, its bounds, and what to leave out on it.
pub(crate) struct Path<K: Keyed> {
    pub(crate) way: Way<K::Partition>,
    pub(crate) range: CreatedRange,
    pub(crate) direction: Direction,
    pub(crate) sees: Sees<K>,
    /// Whether every key on the way is a row that the filters keep, so that some can be passed over
    /// unread.
    pub(crate) is_exact: bool,
}

/// A walk under way.
pub(crate) struct Walk<K: Keyed> {
    store: Store,
    budget: Budget,
    direction: Direction,
    sees: Sees<K>,
    is_exact: bool,
    /// How many items there are on the way, where their ids are known.
    known_count: Option<usize>,
    keys: Keys<K>,
}

enum Keys<K: Keyed> {
    Known(VecDeque<K::Row>),
    Ordered(VecDeque<Uuid>),
    Streams {
        range: CreatedRange,
        streams: Vec<Stream<K::Partition>>,
        months: VecDeque<Month>,
    },
}

/// One partition's keys, some read ahead.
struct Stream<P> {
    partition: P,
    ahead: VecDeque<CreatedId>,
    /// What has not been read; `None` once all has been.
    rest: Option<CreatedRange>,
}

impl<K: Keyed> Walk<K> {
    /// Sets out.
    pub(crate) async fn begin(
        store: Store,
        budget: Budget,
        path: Path<K>,
    ) -> Result<Self, QueryError> {
        let Path {
            way,
            range,
            direction,
            sees,
            is_exact,
        } = path;
        let streams = |streams| Keys::Streams {
            range,
            streams,
            months: VecDeque::new(),
        };
        let known_count = match &way {
            Way::Ordered(ids) => Some(ids.len()),
            _ => None,
        };
        let keys = match way {
            Way::Known(ids) => {
                budget.items(ids.len())?;
                Keys::Known(known::<K>(&store, &ids, range, direction).await?)
            }
            Way::Ordered(mut ids) => {
                // They were all made at one moment, so that the ids alone say what is in the range
                // of a cursor.
                ids.retain(|id| (range.from.id..=range.to.id).contains(id));
                if direction == Direction::Backward {
                    ids.reverse();
                }
                Keys::Ordered(ids.into())
            }
            Way::Merged(partitions) => {
                let stream = |partition| Stream::new(partition, range);
                streams(partitions.into_iter().map(stream).collect())
            }
            Way::Months => Keys::Streams {
                range,
                streams: Vec::new(),
                months: months(range, direction),
            },
        };
        Ok(Self {
            store,
            budget,
            direction,
            sees,
            is_exact,
            known_count,
            keys,
        })
    }

    /// At most so many keys, in order.
    async fn next_keys(&mut self, most: usize) -> Result<Vec<CreatedId>, QueryError> {
        let Keys::Streams {
            range,
            streams,
            months,
        } = &mut self.keys
        else {
            return Ok(Vec::new());
        };
        let mut keys = Vec::with_capacity(most);
        while keys.len() < most {
            for stream in streams.iter_mut() {
                stream.fill::<K>(&self.store, self.direction, most).await?;
            }
            streams.retain(|stream| !stream.ahead.is_empty());
            let head = |stream: &Stream<K::Partition>| stream.ahead.front().copied();
            let next = match self.direction {
                Direction::Forward => streams.iter_mut().min_by_key(|stream| head(stream)),
                Direction::Backward => streams.iter_mut().max_by_key(|stream| head(stream)),
            };
            if let Some(stream) = next {
                keys.extend(stream.ahead.pop_front());
            } else if let Some(partition) = months.pop_front().map(K::month) {
                streams.extend(partition.map(|partition| Stream::new(partition, *range)));
            } else {
                break;
            }
        }
        Ok(keys)
    }

    /// The next items that are to be seen; none at the end only.
    pub(crate) async fn next_items(&mut self, wanted: usize) -> Result<Vec<K::Row>, QueryError> {
        let mut most = wanted.clamp(KEYS_MIN, KEYS_MAX).min(K::TOGETHER);
        loop {
            let left = usize::try_from(self.budget.items_left()).unwrap_or(usize::MAX);
            let most_now = most.min(left);
            let mut rows = match &mut self.keys {
                Keys::Known(rows) => {
                    let most = most_now.min(rows.len());
                    rows.drain(..most).collect()
                }
                Keys::Ordered(ids) => {
                    let most = most_now.min(ids.len()).min(ITEMS_TOGETHER);
                    let ids: Vec<Uuid> = ids.drain(..most).collect();
                    if ids.is_empty() {
                        return Ok(Vec::new());
                    }
                    self.budget.items(ids.len())?;
                    K::items(&self.store, &ids).await?
                }
                Keys::Streams { .. } => {
                    let keys = self.next_keys(most_now).await?;
                    if keys.is_empty() {
                        return Ok(Vec::new());
                    }
                    self.budget.items(keys.len())?;
                    let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
                    K::items(&self.store, &ids).await?
                }
            };
            let is_end = rows.is_empty() && matches!(self.keys, Keys::Known(_));
            rows.retain(|row| (self.sees)(row));
            if is_end || !rows.is_empty() {
                return Ok(rows);
            }
            // Nothing of these is wanted, so there may be a long way to go.
            most = (most * 2).min(K::TOGETHER);
        }
    }
}

impl<K: Keyed> Source for Walk<K> {
    type Row = K::Row;

    async fn next(&mut self, wanted: usize) -> Result<Vec<K::Row>, QueryError> {
        self.next_items(wanted).await
    }

    async fn pass(&mut self, count: u64) -> Result<u64, QueryError> {
        let mut passed = 0;
        while self.is_exact && passed < count {
            let left = usize::try_from(count - passed).unwrap_or(usize::MAX);
            let keys = match &mut self.keys {
                Keys::Known(_) => 0,
                Keys::Ordered(ids) => {
                    let most = left.min(ids.len());
                    ids.drain(..most).count()
                }
                Keys::Streams { .. } => self.next_keys(left.min(KEYS_MAX)).await?.len(),
            };
            if keys == 0 {
                break;
            }
            self.budget.keys(keys)?;
            passed += u64::try_from(keys).unwrap_or(u64::MAX);
        }
        Ok(passed)
    }

    fn total(&self) -> Option<u64> {
        let known = self.known_count.filter(|_| self.is_exact);
        known.and_then(|count| u64::try_from(count).ok())
    }
}

impl<P: Clone> Stream<P> {
    fn new(partition: P, range: CreatedRange) -> Self {
        Self {
            partition,
            ahead: VecDeque::new(),
            rest: Some(range),
        }
    }

    /// Reads ahead where nothing is left.
    async fn fill<K: Keyed<Partition = P>>(
        &mut self,
        store: &Store,
        direction: Direction,
        wanted: usize,
    ) -> Result<(), QueryError> {
        let Some(rest) = self.rest.filter(|_| self.ahead.is_empty()) else {
            return Ok(());
        };
        let most = wanted.clamp(KEYS_MIN, KEYS_MAX);
        let limit = u32::try_from(most).unwrap_or(u32::MAX);
        let keys = K::keys(store, self.partition.clone(), rest, direction, limit).await?;
        self.rest = match keys.last().filter(|_| keys.len() >= most) {
            Some(last) => beyond(rest, *last, direction),
            None => None,
        };
        self.ahead = keys.into();
        Ok(())
    }
}

/// Items by id within a range, put in order.
async fn known<K: Keyed>(
    store: &Store,
    ids: &[Uuid],
    range: CreatedRange,
    direction: Direction,
) -> Result<VecDeque<K::Row>, QueryError> {
    let mut rows = K::items(store, ids).await?;
    rows.retain(|row| (range.from..=range.to).contains(&row.position()));
    rows.sort_unstable_by_key(Row::position);
    rows.dedup_by_key(|row| row.position());
    if direction == Direction::Backward {
        rows.reverse();
    }
    Ok(rows.into())
}

/// The months of a range, in order.
fn months(range: CreatedRange, direction: Direction) -> VecDeque<Month> {
    let month = |millis: i64| {
        let time = DateTime::from_timestamp_millis(millis.max(BEGINNING_MS));
        time.map(Month::of)
    };
    let (Some(first), Some(last)) = (month(range.from.created_ms), month(range.to.created_ms))
    else {
        return VecDeque::new();
    };
    let mut months = VecDeque::new();
    let mut month = first;
    while month <= last {
        match direction {
            Direction::Forward => months.push_back(month),
            Direction::Backward => months.push_front(month),
        }
        month = month.next();
    }
    months
}

/// What of a range lies beyond a key.
pub(crate) fn beyond(
    range: CreatedRange,
    key: CreatedId,
    direction: Direction,
) -> Option<CreatedRange> {
    let rest = match direction {
        Direction::Forward => CreatedRange {
            from: key.next(),
            ..range
        },
        Direction::Backward => CreatedRange {
            to: key.previous(),
            ..range
        },
    };
    (rest.from <= rest.to).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: &str) -> CreatedRange {
        let place = |text: &str, end: CreatedId| CreatedId {
            created_ms: text
                .parse::<DateTime<chrono::Utc>>()
                .unwrap()
                .timestamp_millis(),
            ..end
        };
        CreatedRange {
            from: place(from, CreatedId::MIN),
            to: place(to, CreatedId::MAX),
        }
    }

    fn names(months: &VecDeque<Month>) -> Vec<String> {
        months.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_months_of_a_range_are_walked_in_its_direction() {
        let range = range("2025-11-30T23:59:59.999Z", "2026-02-01T00:00:00Z");
        let forward = names(&months(range, Direction::Forward));
        assert_eq!(forward, ["2025-11", "2025-12", "2026-01", "2026-02"]);
        let mut backward = names(&months(range, Direction::Backward));
        backward.reverse();
        assert_eq!(backward, forward);
    }

    #[test]
    fn no_month_before_the_beginning_is_looked_at() {
        let range = range("1970-01-01T00:00:00Z", "2025-01-31T00:00:00Z");
        assert_eq!(names(&months(range, Direction::Forward)), ["2025-01"]);
    }

    #[test]
    fn an_empty_range_has_no_month() {
        let range = range("2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z");
        assert!(months(range, Direction::Forward).is_empty());
    }

    #[test]
    fn what_lies_beyond_a_key_begins_right_after_it() {
        let all = CreatedRange::ALL;
        let key = CreatedId {
            created_ms: 5,
            id: Uuid::from_u128(7),
        };
        let forward = beyond(all, key, Direction::Forward).unwrap();
        assert_eq!((forward.from, forward.to), (key.next(), all.to));
        let backward = beyond(all, key, Direction::Backward).unwrap();
        assert_eq!((backward.from, backward.to), (all.from, key.previous()));
        let one = CreatedRange { from: key, to: key };
        assert_eq!(beyond(one, key, Direction::Forward), None);
    }
}
