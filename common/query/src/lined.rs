//! Lists of what belongs to lines: details, their history, their logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;
use weir_domain::BatchId;
use weir_store::{CreatedId, CreatedRange, Direction, Store};

use crate::budget::Budget;
use crate::engine::{self, Answer, Collection};
use crate::filter::Filter;
use crate::lines::{LineSource, OfLines, READS_AT_A_TIME, can_hold, detail_of, has_status};
use crate::list::{Ask, Listed};
use crate::parse::Query;
use crate::plan::{self, WayToLines};
use crate::resources::{BatchRow, DetailRow, Details, History, HistoryRow, LogRow, Logs, details};
use crate::schema::Resource;
use crate::walk::{Path, Walk, Way};
use crate::{QueryError, Row};

/// What belongs to lines, and is read by batches.
struct Lined<'a, L> {
    ask: &'a Ask,
    budget: Budget,
    way: WayToLines,
    range: CreatedRange,
    filters: Arc<Vec<Filter>>,
    is_exact: bool,
    of: std::marker::PhantomData<fn() -> L>,
}

impl<L: OfLines> Collection for Lined<'_, L> {
    type Row = L::Row;
    type Source = LineSource<L>;

    fn resource(&self) -> &'static Resource {
        L::RESOURCE
    }

    async fn open(
        &self,
        direction: Direction,
        after: Option<CreatedId>,
    ) -> Result<LineSource<L>, QueryError> {
        let (store, budget) = (self.ask.store.clone(), self.budget.clone());
        let (way, only) = match &self.way {
            WayToLines::Batches(way, _) => (way.clone(), None),
            WayToLines::Lines(lines, _) => {
                let batches = lines.keys().map(|batch| batch.uuid()).collect();
                (Way::Known(batches), Some(lines.clone()))
            }
        };
        let is_one_batch = matches!(&way, Way::Known(ids) if ids.len() == 1) && only.is_none();
        let filters = Arc::clone(&self.filters);
        let path = Path {
            way,
            range: plan::batches_after(self.range, after, direction)?,
            direction,
            sees: Arc::new(move |BatchRow(batch): &BatchRow| {
                let counts = !L::IS_ONE_A_LINE || has_status(batch, &filters);
                counts && can_hold(batch, &filters, L::SHARED)
            }),
            is_exact: false,
        };
        let batches = Walk::begin(store.clone(), budget.clone(), path).await?;
        let mut source = LineSource::new(store, budget, direction, batches);
        source.only = only;
        source.after = after;
        source.is_exact = self.is_exact;
        source.is_one_batch = is_one_batch;
        Ok(source)
    }

    async fn load(&self, rows: &mut [L::Row]) -> Result<(), QueryError> {
        Ok(L::load(&self.ask.store, rows).await?)
    }

    async fn fetch(&self, positions: &[CreatedId]) -> Result<Vec<L::Row>, QueryError> {
        let ids: Vec<Uuid> = positions.iter().map(|position| position.id).collect();
        with_ids::<L>(&self.ask.store, &ids).await
    }
}

/// Rows of lines by id, in the order of the ids; those that are gone are missing.
async fn with_ids<L: OfLines>(store: &Store, ids: &[Uuid]) -> Result<Vec<L::Row>, QueryError> {
    let mut of_batches: BTreeMap<BatchId, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        if let Some(detail) = detail_of(*id) {
            of_batches.entry(detail.batch()).or_default().push(*id);
        }
    }
    let batches: Vec<BatchId> = of_batches.keys().copied().collect();
    let found = store.batches(&batches).await?.into_iter().map(Arc::new);
    let reads = found.map(|batch| {
        let wanted = of_batches.remove(&batch.id).unwrap_or_default();
        async move { L::with_ids(store, &batch, &wanted).await }
    });
    let reads: Vec<_> = reads.collect();
    let rows: Vec<L::Row> = stream::iter(reads)
        .buffer_unordered(READS_AT_A_TIME)
        .try_concat()
        .await?;
    let mut rows: BTreeMap<Uuid, L::Row> = rows
        .into_iter()
        .map(|row| (row.position().id, row))
        .collect();
    Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
}

async fn list_lines<L: OfLines>(ask: &Ask, query: &Query) -> Result<Answer<L::Row>, QueryError> {
    let filters = ask.filters(query);
    let way = plan::way_to_lines(ask, &filters, L::DETAIL_ID).await?;
    let (WayToLines::Batches(_, name) | WayToLines::Lines(_, name)) = &way;
    let name = *name;
    let made = plan::created_range(&filters, ask.now);
    let range = if L::RESOURCE.is_in_order_of_creation {
        made
    } else {
        // What comes of a batch comes after it: only the later bound says anything of the batch.
        CreatedRange {
            to: made.to,
            ..plan::created_range(&[], ask.now)
        }
    };
    let narrower = if L::IS_ONE_A_LINE {
        details::NARROWER
    } else {
        details::NARROWER_OF_CHANGES
    };
    let is_of_batch = |filter: &Filter| {
        let field = filter.field;
        field == "batch_id" || L::SHARED.contains(&field)
    };
    let lines = Lined::<L> {
        ask,
        budget: Budget::new(ask.limits, narrower, &filters),
        is_exact: matches!(way, WayToLines::Batches(..)) && filters.iter().all(is_of_batch),
        way,
        range,
        filters: Arc::new(filters),
        of: std::marker::PhantomData,
    };
    engine::answer(&lines, query, &lines.budget)
        .await
        .map(|answer| answer.by(name))
}

async fn get_line<L: OfLines>(ask: &Ask, id: Uuid) -> Result<Option<L::Row>, QueryError> {
    let scope = ask.scope_filters();
    let found = with_ids::<L>(&ask.store, &[id]).await?.pop();
    Ok(found.filter(|row| scope.iter().all(|filter| filter.keeps(row))))
}

/// The three resources of lines are listed in one way.
macro_rules! of_lines {
    ($($resource:ty = $row:ty),+) => {
        $(
            impl Listed for $resource {
                type Row = $row;
                const RESOURCE: &'static Resource = <$resource as OfLines>::RESOURCE;

                async fn list(
                    ask: &Ask,
                    query: &Query,
                ) -> Result<Answer<$row>, QueryError> {
                    list_lines::<$resource>(ask, query).await
                }

                async fn get(
                    ask: &Ask,
                    id: Uuid,
                ) -> Result<Option<$row>, QueryError> {
                    get_line::<$resource>(ask, id).await
                }

                async fn load(
                    ask: &Ask,
                    rows: &mut [$row],
                ) -> Result<(), QueryError> {
                    Ok(<$resource as OfLines>::load(&ask.store, rows).await?)
                }
            }
        )+
    };
}

of_lines!(Details = DetailRow, History = HistoryRow, Logs = LogRow);
