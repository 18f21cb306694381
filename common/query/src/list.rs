//! What a caller can ask of each resource: a list, one of them, and its heavy fields.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{BatchId, FileId};
use weir_store::{BatchesOf, CreatedId, CreatedRange, Direction, File, Store};

use crate::budget::{Budget, QueryLimits};
use crate::engine::{self, Answer, Collection};
use crate::filter::{Filter, Operand, Test};
use crate::parse::Query;
use crate::plan;
use crate::resources::{
    BATCH, BatchRow, Batches, FILE, FileRow, Files, MESSAGE, MessageRow, Messages, ReferenceRow,
    References, batches, files, messages, references,
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
    pub(crate) fn filters(&self, query: &Query) -> Vec<Filter> {
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

    /// The one with an id, without its heavy fields. What is only ever listed under something else is
    /// not found by its id.
    ///
    /// # Errors
    /// A table that cannot be read.
    fn get(
        ask: &Ask,
        id: Uuid,
    ) -> impl Future<Output = Result<Option<Self::Row>, QueryError>> + Send {
        let _ = (ask, id);
        async { Ok(None) }
    }

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

    async fn load(&self, rows: &mut [K::Row]) -> Result<(), QueryError> {
        Ok(K::load(&self.ask.store, rows).await?)
    }

    async fn fetch(&self, positions: &[CreatedId]) -> Result<Vec<K::Row>, QueryError> {
        let ids: Vec<Uuid> = positions.iter().map(|position| position.id).collect();
        let mut rows = K::items(&self.ask.store, &ids).await?;
        rows.retain(|row| (self.sees)(row));
        Ok(rows)
    }
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
            budget: Budget::new(ask.limits, batches::NARROWER, &filters),
            range: plan::created_range(&filters, ask.now),
            sees: Arc::new(move |row| scope.iter().all(|filter| filter.keeps(row))),
            is_exact: by.is_exact(&filters),
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
        let filters = ask.filters(query);
        let budget = Budget::new(ask.limits, files::NARROWER, &filters);
        let (way, by) = plan::way_to_files(ask, &query.filters);
        let sees = match &way {
            Way::Known(ids) => files_seen(ask, &budget, ids).await?,
            _ => file_scope(ask, &budget, &filters).await?,
        };
        let walked = Walked::<Self> {
            ask,
            resource: &FILE,
            range: plan::created_range(&filters, ask.now),
            sees,
            is_exact: by.is_exact(&filters),
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
        Ok(is_file_seen(ask, None, &file)
            .await?
            .then_some(FileRow(file)))
    }
}

/// Whether a caller may see a file.
async fn is_file_seen(ask: &Ask, budget: Option<&Budget>, file: &File) -> Result<bool, QueryError> {
    // What is not of the caller's program is not looked into: how long that takes would tell.
    if !ask
        .scope
        .covers(file.client_id, file.program_id, ask.scope.seller_id)
    {
        return Ok(false);
    }
    match ask.scope.seller_id {
        Some(seller) if file.seller_id != Some(seller) => {
            holds_batch_of_scope(ask, budget, file).await
        }
        _ => Ok(true),
    }
}

/// Which of some files a caller may see.
async fn files_seen(ask: &Ask, budget: &Budget, ids: &[Uuid]) -> Result<Sees<Files>, QueryError> {
    let mut seen: HashSet<FileId> = HashSet::new();
    for FileRow(file) in Files::items(&ask.store, ids).await? {
        if is_file_seen(ask, Some(budget), &file).await? {
            seen.insert(file.id);
        }
    }
    Ok(Arc::new(move |FileRow(file)| seen.contains(&file.id)))
}

/// Batches of a file that are read together.
const BATCHES_TOGETHER: usize = 100;

/// Whether a file holds a batch that the caller may see.
async fn holds_batch_of_scope(
    ask: &Ask,
    budget: Option<&Budget>,
    file: &File,
) -> Result<bool, QueryError> {
    let scope = ask.scope_filters();
    for ids in crate::resources::ids_of_file(file).chunks(BATCHES_TOGETHER) {
        if let Some(budget) = budget {
            budget.items(ids.len())?;
        }
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
async fn file_scope(
    ask: &Ask,
    budget: &Budget,
    filters: &[Filter],
) -> Result<Sees<Files>, QueryError> {
    let scope = ask.scope;
    let Some(seller) = scope.seller_id else {
        return Ok(Arc::new(move |FileRow(file)| {
            scope.covers(file.client_id, file.program_id, None)
        }));
    };
    // A batch's id says which file it is in, so that the index alone tells them all.
    let mut holding: HashSet<FileId> = HashSet::new();
    // A file's batches are made after the file has become known.
    let mut rest = Some(CreatedRange {
        to: CreatedId::MAX,
        ..plan::created_range(filters, ask.now)
    });
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
        let (way, by) = plan::way_to_messages(ask, &query.filters);
        let walked = Walked::<Self> {
            ask,
            resource: &MESSAGE,
            budget: Budget::new(ask.limits, messages::NARROWER, &query.filters),
            range: plan::created_range(&query.filters, ask.now),
            sees: Arc::new(move |_| is_operator),
            is_exact: by.is_exact(&query.filters),
            way,
        };
        engine::answer(&walked, query, &walked.budget)
            .await
            .map(|answer| answer.by(by.name))
    }

    async fn get(ask: &Ask, id: Uuid) -> Result<Option<MessageRow>, QueryError> {
        if !ask.scope.is_everything() {
            return Ok(None);
        }
        Ok(Self::items(&ask.store, &[id]).await?.pop())
    }

    async fn load(ask: &Ask, rows: &mut [MessageRow]) -> Result<(), QueryError> {
        Ok(<Self as Keyed>::load(&ask.store, rows).await?)
    }
}

impl<R: references::Reference> Listed for References<R> {
    type Row = ReferenceRow<R>;
    const RESOURCE: &'static Resource = R::RESOURCE;

    async fn list(ask: &Ask, query: &Query) -> Result<Answer<ReferenceRow<R>>, QueryError> {
        let scope = ask.scope;
        let filters = ask.filters(query);
        let (way, by) = plan::way_to_references(ask, &filters, R::KIND, R::PARENT);
        let walked = Walked::<Self> {
            ask,
            resource: R::RESOURCE,
            budget: Budget::new(ask.limits, references::narrower(R::KIND), &filters),
            range: plan::reference_range(&query.filters, ask.now),
            sees: Arc::new(move |row: &ReferenceRow<R>| row.0.is_covered(&scope)),
            is_exact: by.is_exact(&filters),
            way,
        };
        engine::answer(&walked, query, &walked.budget)
            .await
            .map(|answer| answer.by(by.name))
    }

    async fn get(ask: &Ask, id: Uuid) -> Result<Option<ReferenceRow<R>>, QueryError> {
        let found = Self::items(&ask.store, &[id]).await?.pop();
        Ok(found.filter(|row| row.0.is_covered(&ask.scope)))
    }
}
