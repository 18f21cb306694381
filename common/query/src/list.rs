//! What a caller can ask of each resource: a list, one of them, and its heavy fields.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{BatchId, FileId};
use weir_store::{BatchesOf, CreatedId, CreatedRange, Direction, ReferencesOf, Store};

use crate::budget::{Budget, QueryLimits};
use crate::engine::{self, Answer, Collection, Source};
use crate::filter::{Filter, Operand, Test};
use crate::lines::{LineSource, OfLines, can_hold, detail_of, has_status};
use crate::parse::Query;
use crate::plan::{self, WayToLines};
use crate::resources::{
    BATCH, BatchRow, Batches, DetailRow, Details, FILE, FileRow, Files, History, HistoryRow,
    LogRow, Logs, MESSAGE, MessageRow, Messages, REPORT, ReferenceRow, References, Report, details,
    files, messages, references,
};
use crate::schema::Resource;
use crate::scope::Scope;
use crate::walk::{Keyed, Path, Sees, Walk, Way};
use crate::{QueryError, Row};

/// Who asks, and where.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is kept.
    pub store: Store,
    /// What the caller may see.
    pub scope: Scope,
    /// How much may be read.
    pub limits: QueryLimits,
    /// The time.
    pub now: DateTime<Utc>,
}

impl Ask {
    /// The scope as conditions on rows that have an owner.
    pub(crate) fn scope_filters(&self) -> Vec<Filter> {
        let owners = [
            ("client_id", self.scope.client_id.map(Uuid::from)),
            ("program_id", self.scope.program_id.map(Uuid::from)),
            ("seller_id", self.scope.seller_id.map(Uuid::from)),
        ];
        let filter = |(field, id): (&'static str, Option<Uuid>)| {
            Some(Filter {
                field,
                test: Test::In(vec![Operand::Id(id?)]),
            })
        };
        owners.into_iter().filter_map(filter).collect()
    }

    /// The query's conditions and those of the scope.
    fn filters(&self, query: &Query) -> Vec<Filter> {
        let mut filters = query.filters.clone();
        filters.extend(self.scope_filters());
        filters
    }
}

/// A condition that a row is under a certain other: what a path says.
pub fn under(field: &'static str, id: impl Into<Uuid>) -> Filter {
    Filter {
        field,
        test: Test::In(vec![Operand::Id(id.into())]),
    }
}

/// A resource that callers can ask for. What lies outside their scope is not there.
pub trait Listed: Send + Sync + 'static {
    /// One of them.
    type Row: Row;

    /// What each has.
    const RESOURCE: &'static Resource;

    /// A page of a list. Its rows lack their heavy fields.
    ///
    /// # Errors
    /// [`QueryError::TooWide`] or [`QueryError::TooHeavy`] when the page cannot be told without
    /// reading more than one request may; a table that cannot be read.
    fn list(
        ask: &Ask,
        query: &Query,
    ) -> impl Future<Output = Result<Answer<Self::Row>, QueryError>> + Send;

    /// The one with an id, without its heavy fields.
    ///
    /// # Errors
    /// A table that cannot be read.
    fn get(
        ask: &Ask,
        id: Uuid,
    ) -> impl Future<Output = Result<Option<Self::Row>, QueryError>> + Send;

    /// Fetches the heavy fields of some rows.
    ///
    /// # Errors
    /// A table that cannot be read.
    fn load(
        ask: &Ask,
        rows: &mut [Self::Row],
    ) -> impl Future<Output = Result<(), QueryError>> + Send {
        let _ = (ask, rows);
        async { Ok(()) }
    }
}

/// Rows that are read by a walk.
struct Walked<'a, K: Keyed> {
    ask: &'a Ask,
    resource: &'static Resource,
    budget: Budget,
    way: Way<K::Partition>,
    range: CreatedRange,
    sees: Sees<K>,
    is_exact: bool,
}

impl<K: Keyed> Collection for Walked<'_, K> {
    type Row = K::Row;
    type Source = Walk<K>;

    fn resource(&self) -> &'static Resource {
        self.resource
    }

    async fn open(
        &self,
        direction: Direction,
        after: Option<CreatedId>,
    ) -> Result<Walk<K>, QueryError> {
        let path = Path {
            way: self.way.clone(),
            range: plan::after(self.range, after, direction),
            direction,
            sees: Arc::clone(&self.sees),
            is_exact: self.is_exact,
        };
        Walk::begin(self.ask.store.clone(), self.budget.clone(), path).await
    }

    async fn load(&self, _: &mut [K::Row]) -> Result<(), QueryError> {
        Ok(())
    }

    async fn fetch(&self, positions: &[CreatedId]) -> Result<Vec<K::Row>, QueryError> {
        let ids: Vec<Uuid> = positions.iter().map(|position| position.id).collect();
        let mut rows = K::items(&self.ask.store, &ids).await?;
        rows.retain(|row| (self.sees)(row));
        Ok(rows)
    }
}

/// Whether filters say no more than a way in does, given the fields that it goes by.
fn is_exact(filters: &[Filter], by: &[&str]) -> bool {
    filters.iter().all(|filter| {
        let is_range = match &filter.test {
            Test::In(operands) => operands.len() == 1,
            Test::AtLeast(_) | Test::Above(_) | Test::AtMost(_) | Test::Below(_) => true,
            _ => false,
        };
        match filter.field {
            "created_at" => is_range,
            field => by.contains(&field) && matches!(filter.test, Test::In(_)),
        }
    })
}

impl Listed for Batches {
    type Row = BatchRow;
    const RESOURCE: &'static Resource = &BATCH;

    async fn list(ask: &Ask, query: &Query) -> Result<Answer<BatchRow>, QueryError> {
        let filters = ask.filters(query);
        let scope = ask.scope_filters();
        let (way, by) = plan::way_to_batches(ask, &filters, "id").await?;
        let batches = Walked::<Self> {
            ask,
            resource: &BATCH,
            budget: Budget::new(ask.limits, crate::resources::batches::NARROWER),
            range: plan::created_range(&filters, ask.now),
            sees: Arc::new(move |row| scope.iter().all(|filter| filter.keeps(row))),
            is_exact: is_exact(&filters, by.fields),
            way,
        };
        engine::answer(&batches, query, &batches.budget)
            .await
            .map(|answer| answer.by(by.name))
    }

    async fn get(ask: &Ask, id: Uuid) -> Result<Option<BatchRow>, QueryError> {
        let scope = ask.scope_filters();
        let found = Self::items(&ask.store, &[id]).await?.pop();
        Ok(found.filter(|row| scope.iter().all(|filter| filter.keeps(row))))
    }
}

impl Listed for Files {
    type Row = FileRow;
    const RESOURCE: &'static Resource = &FILE;

    async fn list(ask: &Ask, query: &Query) -> Result<Answer<FileRow>, QueryError> {
        let budget = Budget::new(ask.limits, files::NARROWER);
        let (way, by) = plan::way_to_files(ask, &query.filters).await?;
        let filters = ask.filters(query);
        let walked = Walked::<Self> {
            ask,
            resource: &FILE,
            range: plan::created_range(&filters, ask.now),
            sees: file_scope(ask, &budget).await?,
            is_exact: is_exact(&filters, by.fields),
            budget,
            way,
        };
        engine::answer(&walked, query, &walked.budget)
            .await
            .map(|answer| answer.by(by.name))
    }

    async fn get(ask: &Ask, id: Uuid) -> Result<Option<FileRow>, QueryError> {
        let Some(FileRow(file)) = Self::items(&ask.store, &[id]).await?.pop() else {
            return Ok(None);
        };
        let is_seen = match ask.scope.seller_id {
            Some(seller) if file.seller_id != Some(seller) => {
                holds_batch_of_scope(ask, &file).await?
            }
            _ => true,
        };
        let covers = ask
            .scope
            .covers(file.client_id, file.program_id, ask.scope.seller_id);
        Ok((covers && is_seen).then_some(FileRow(file)))
    }
}

/// Batches of a file that are read together.
const BATCHES_TOGETHER: usize = 100;

/// Whether a file holds a batch that the caller may see.
async fn holds_batch_of_scope(ask: &Ask, file: &weir_store::File) -> Result<bool, QueryError> {
    let scope = ask.scope_filters();
    for ids in crate::resources::ids_of_file(file).chunks(BATCHES_TOGETHER) {
        let batches = Batches::items(&ask.store, ids).await?;
        if batches
            .iter()
            .any(|row| scope.iter().all(|filter| filter.keeps(row)))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which files a caller may see: those of their client and program, and of these a seller those
/// that were sent for them or hold a batch of theirs.
async fn file_scope(ask: &Ask, budget: &Budget) -> Result<Sees<Files>, QueryError> {
    let scope = ask.scope;
    let Some(seller) = scope.seller_id else {
        return Ok(Arc::new(move |FileRow(file)| {
            scope.covers(file.client_id, file.program_id, None)
        }));
    };
    // A batch's id says which file it is in, so that the index alone tells them all.
    let mut holding: HashSet<FileId> = HashSet::new();
    let mut rest = Some(CreatedRange::ALL);
    while let Some(range) = rest {
        let of_seller = BatchesOf::Seller(seller);
        let keys = ask
            .store
            .batch_keys(of_seller, range, Direction::Forward, 1_000)
            .await?;
        budget.keys(keys.len())?;
        let batches = keys.iter().filter_map(|key| BatchId::try_from(key.id).ok());
        holding.extend(batches.map(BatchId::file));
        rest = keys
            .last()
            .filter(|_| keys.len() == 1_000)
            .and_then(|last| crate::walk::beyond(range, *last, Direction::Forward));
    }
    Ok(Arc::new(move |FileRow(file)| {
        let is_own = file.seller_id == Some(seller) || holding.contains(&file.id);
        is_own && scope.covers(file.client_id, file.program_id, Some(seller))
    }))
}

impl Listed for Messages {
    type Row = MessageRow;
    const RESOURCE: &'static Resource = &MESSAGE;

    /// A message belongs to nobody: whoever is narrowed to something sees none.
    async fn list(ask: &Ask, query: &Query) -> Result<Answer<MessageRow>, QueryError> {
        let is_operator = ask.scope.is_everything();
        let (way, by) = match plan::ids(&query.filters, "id") {
            _ if !is_operator => (Way::Known(Vec::new()), "nothing"),
            Some(ids) => (Way::Known(ids), "message"),
            None => (Way::Months, "month"),
        };
        let walked = Walked::<Self> {
            ask,
            resource: &MESSAGE,
            budget: Budget::new(ask.limits, messages::NARROWER),
            range: plan::created_range(&query.filters, ask.now),
            sees: Arc::new(move |_| is_operator),
            is_exact: is_exact(&query.filters, &[]),
            way,
        };
        engine::answer(&walked, query, &walked.budget)
            .await
            .map(|answer| answer.by(by))
    }

    async fn get(ask: &Ask, id: Uuid) -> Result<Option<MessageRow>, QueryError> {
        if !ask.scope.is_everything() {
            return Ok(None);
        }
        Ok(Self::items(&ask.store, &[id]).await?.pop())
    }
}

impl<R: references::Reference> Listed for References<R> {
    type Row = ReferenceRow<R>;
    const RESOURCE: &'static Resource = R::RESOURCE;

    async fn list(ask: &Ask, query: &Query) -> Result<Answer<ReferenceRow<R>>, QueryError> {
        let scope = ask.scope;
        let filters = ask.filters(query);
        let all = ReferencesOf {
            kind: R::KIND,
            parent: None,
        };
        let under_parents = |ids: Vec<Uuid>| {
            let partition = |parent| ReferencesOf {
                kind: R::KIND,
                parent: Some(parent),
            };
            Way::Merged(ids.into_iter().map(partition).collect())
        };
        let parents = R::PARENT.and_then(|field| plan::ids(&filters, field));
        let (way, name, by) = match (plan::ids(&query.filters, "id"), parents) {
            (Some(ids), _) => (Way::Known(ids), "id", Vec::new()),
            (None, Some(ids)) => (
                under_parents(ids),
                "parent",
                R::PARENT.into_iter().collect(),
            ),
            (None, None) => match R::PARENT {
                Some("program_id") => match plan::programs(&ask.store, &filters).await? {
                    Some(programs) => {
                        let ids = programs.into_iter().map(Uuid::from).collect();
                        (under_parents(ids), "parent", Vec::new())
                    }
                    None => (Way::Merged(vec![all]), "kind", Vec::new()),
                },
                _ => (Way::Merged(vec![all]), "kind", Vec::new()),
            },
        };
        let walked = Walked::<Self> {
            ask,
            resource: R::RESOURCE,
            budget: Budget::new(ask.limits, references::NARROWER),
            range: plan::reference_range(&query.filters, ask.now),
            sees: Arc::new(move |row: &ReferenceRow<R>| row.0.is_covered(&scope)),
            is_exact: is_exact(&filters, &by),
            way,
        };
        engine::answer(&walked, query, &walked.budget)
            .await
            .map(|answer| answer.by(name))
    }

    async fn get(ask: &Ask, id: Uuid) -> Result<Option<ReferenceRow<R>>, QueryError> {
        let found = Self::items(&ask.store, &[id]).await?.pop();
        Ok(found.filter(|row| row.0.is_covered(&ask.scope)))
    }
}

/// The two reports, which everybody may see.
#[derive(Debug)]
pub struct Reports;

/// Both, one after the other.
struct ReportSource(Vec<Report>);

impl Source for ReportSource {
    type Row = Report;

    async fn next(&mut self, _: usize) -> Result<Vec<Report>, QueryError> {
        Ok(std::mem::take(&mut self.0))
    }

    async fn pass(&mut self, _: u64) -> Result<u64, QueryError> {
        Ok(0)
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

/// The collection of both.
struct BothReports;

impl Collection for BothReports {
    type Row = Report;
    type Source = ReportSource;

    fn resource(&self) -> &'static Resource {
        &REPORT
    }

    async fn open(
        &self,
        direction: Direction,
        after: Option<CreatedId>,
    ) -> Result<ReportSource, QueryError> {
        let mut reports = Report::ALL.to_vec();
        reports.sort_unstable_by_key(Row::position);
        if direction == Direction::Backward {
            reports.reverse();
            reports.retain(|report| after.is_none_or(|after| report.position() < after));
        } else {
            reports.retain(|report| after.is_none_or(|after| report.position() > after));
        }
        Ok(ReportSource(reports))
    }

    async fn load(&self, _: &mut [Report]) -> Result<(), QueryError> {
        Ok(())
    }

    async fn fetch(&self, positions: &[CreatedId]) -> Result<Vec<Report>, QueryError> {
        let report = |position: &CreatedId| {
            let mut reports = Report::ALL.into_iter();
            reports.find(|report| report.id() == position.id)
        };
        Ok(positions.iter().filter_map(report).collect())
    }
}

impl Listed for Reports {
    type Row = Report;
    const RESOURCE: &'static Resource = &REPORT;

    async fn list(ask: &Ask, query: &Query) -> Result<Answer<Report>, QueryError> {
        let budget = Budget::new(ask.limits, &[]);
        engine::answer(&BothReports, query, &budget).await
    }

    async fn get(_: &Ask, id: Uuid) -> Result<Option<Report>, QueryError> {
        Ok(Report::ALL.into_iter().find(|report| report.id() == id))
    }
}

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
        let mut source = LineSource::new(store, direction, batches);
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
    let mut rows: BTreeMap<Uuid, L::Row> = BTreeMap::new();
    for batch in store.batches(&batches).await? {
        let batch = Arc::new(batch);
        let wanted = of_batches.remove(&batch.id).unwrap_or_default();
        let found = L::with_ids(store, &batch, &wanted).await?;
        rows.extend(found.into_iter().map(|row| (row.position().id, row)));
    }
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
    let is_of_batch = |filter: &Filter| {
        let field = filter.field;
        field == "batch_id" || L::SHARED.contains(&field)
    };
    let lines = Lined::<L> {
        ask,
        budget: Budget::new(ask.limits, details::NARROWER),
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
