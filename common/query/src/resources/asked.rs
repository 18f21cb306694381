//! What people asked of files and batches.

use std::collections::VecDeque;

use weir_domain::FileId;
use weir_store::{AskedRecord, CreatedId, CreatedRange, Direction, Store};

use crate::budget::Budget;
use crate::engine::{self, Answer, Collection, Source};
use crate::filter::Filter;
use crate::list::{Ask, Listed};
use crate::parse::Query;
use crate::plan;
use crate::schema::{COUNT, Field, Parameter, Resource, Rule, text};
use crate::walk::beyond;
use crate::{QueryError, Row, Value};

/// What can be asked for, by name: the same as [`weir_domain::AskedAction`].
pub(crate) const ACTIONS: &[&str] = &[
    "Cancel",
    "Retry",
    "Revive",
    "ConfirmDrafts",
    "CancelDrafts",
    "Retake",
    "WriteDrafts",
    "UploadFile",
    "RegisterFile",
    "RenameFile",
];
/// What a list is narrowed by, the best first.
const NARROWER: &[&str] = &["created_at:gte"];
/// Most records that are read together.
const TOGETHER: usize = 1_000;

/// Something that somebody asked for: ours, the contract has no such resource.
pub static ASKED: Resource = Resource {
    name: "action",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The action"),
        Field::text(
            "correlation_id",
            "The correlation id of the request: history has the same",
        ),
        Field::id("client_id", "Whose client's the file or batch is"),
        Field::id("program_id", "Whose program's"),
        Field::id("seller_id", "Whose seller's"),
        Field::id("file_id", "The file that it is about"),
        Field::id(
            "batch_id",
            "The batch; absent when it is about the file itself",
        ),
        Field::one_of("action", ACTIONS, "What was to be done"),
        Field::text(
            "request_data",
            "What the request said besides, as JSON: lines of the details that were named, names, \
             the size of a file",
        ),
        Field::integer(
            "detail_count",
            "How many details it was for when it was asked",
        ),
        Field::integer("changed_count", "How many were changed by it, up to now"),
        Field::integer(
            "left_count",
            "How many were left out because what is kept of them cannot be read",
        ),
        Field::time("user_updated_at", "When it was asked"),
        Field::text("user_updated_by", "Who asked"),
        Field::time(
            "ended_at",
            "When all of it was done, or something took its place; absent while it goes on, and \
             where the rest was refused",
        ),
        Field::id(
            "ended_by",
            "The action that took its place before it was done",
        ),
        Field::time("created_at", "When it was asked"),
        Field::time("updated_at", "When it last changed something"),
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::by("correlation_id", text(1_024)),
        Parameter::by("batch_id", Rule::Id),
        Parameter::by("action", Rule::OneOf(ACTIONS)),
        Parameter::by("detail_count", COUNT),
        Parameter::by("changed_count", COUNT),
        Parameter::by("left_count", COUNT),
        Parameter::by("user_updated_at", Rule::Time),
        Parameter::by("user_updated_by", text(1_024)),
        Parameter::by("ended_at", Rule::Time),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// Something that was asked for, as a row.
#[derive(Debug, Clone)]
pub struct AskedRow(pub AskedRecord);

impl Row for AskedRow {
    fn value(&self, field: &str) -> Value<'_> {
        let record = &self.0;
        match field {
            "id" => Value::id(record.id),
            "correlation_id" => Value::text(&record.correlation_id),
            "client_id" => Value::opt_id(record.client_id),
            "program_id" => Value::opt_id(record.program_id),
            "seller_id" => Value::opt_id(record.seller_id),
            "file_id" => Value::id(record.file_id),
            "batch_id" => Value::opt_id(record.batch_id),
            "action" => Value::text(record.action.name()),
            "request_data" => Value::text(&record.asked),
            "detail_count" => Value::count(record.detail_count),
            "changed_count" => Value::count(record.changed_count),
            "left_count" => Value::count(record.left_count),
            "user_updated_at" | "created_at" => Value::Time(record.at),
            "user_updated_by" => Value::text(&record.actor),
            "ended_at" => Value::opt_time(record.ended_at),
            "ended_by" => Value::opt_id(record.ended_by),
            "updated_at" => Value::Time(record.updated_at),
            _ => Value::Absent,
        }
    }

    fn position(&self) -> CreatedId {
        self.0.place()
    }
}

/// What was asked, as it is recorded: always that of one file.
#[derive(Debug)]
pub struct AskedOf;

/// What was asked of a file, as far as the caller may see it.
struct OfFile<'a> {
    ask: &'a Ask,
    file: Option<FileId>,
    range: CreatedRange,
    scope: Vec<Filter>,
}

struct AskedSource {
    store: Store,
    file: Option<FileId>,
    direction: Direction,
    rest: Option<CreatedRange>,
    scope: Vec<Filter>,
    found: VecDeque<AskedRow>,
}

impl Source for AskedSource {
    type Row = AskedRow;

    async fn next(&mut self, wanted: usize) -> Result<Vec<AskedRow>, QueryError> {
        while self.found.is_empty() {
            let (Some(file), Some(range)) = (self.file, self.rest.take()) else {
                return Ok(Vec::new());
            };
            let limit = wanted.clamp(1, TOGETHER);
            let read = self.store.asked(file, range, self.direction, limit);
            let read = read.await?;
            if let (Some(last), true) = (read.last(), read.len() == limit) {
                self.rest = beyond(range, last.place(), self.direction);
            }
            let rows = read.into_iter().map(AskedRow);
            let scope = &self.scope;
            self.found
                .extend(rows.filter(|row| scope.iter().all(|filter| filter.keeps(row))));
        }
        Ok(self.found.drain(..).collect())
    }

    async fn pass(&mut self, _: u64) -> Result<u64, QueryError> {
        Ok(0)
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

impl Collection for OfFile<'_> {
    type Row = AskedRow;
    type Source = AskedSource;

    fn resource(&self) -> &'static Resource {
        &ASKED
    }

    async fn open(
        &self,
        direction: Direction,
        after: Option<CreatedId>,
    ) -> Result<AskedSource, QueryError> {
        Ok(AskedSource {
            store: self.ask.store.clone(),
            file: self.file,
            direction,
            rest: Some(plan::after(self.range, after, direction)),
            scope: self.scope.clone(),
            found: VecDeque::new(),
        })
    }

    async fn load(&self, _: &mut [AskedRow]) -> Result<(), QueryError> {
        Ok(())
    }

    async fn fetch(&self, positions: &[CreatedId]) -> Result<Vec<AskedRow>, QueryError> {
        let mut rows = Vec::with_capacity(positions.len());
        let Some(file) = self.file else {
            return Ok(rows);
        };
        for place in positions {
            let range = CreatedRange {
                from: *place,
                to: *place,
            };
            let store = &self.ask.store;
            let found = store.asked(file, range, Direction::Forward, 1).await?;
            rows.extend(found.into_iter().map(AskedRow));
        }
        Ok(rows)
    }
}

impl Listed for AskedOf {
    type Row = AskedRow;
    const RESOURCE: &'static Resource = &ASKED;

    /// The list of the file that the query is narrowed to; without one it is empty.
    async fn list(ask: &Ask, query: &Query) -> Result<Answer<AskedRow>, QueryError> {
        let filters = ask.filters(query);
        let budget = Budget::new(ask.limits, NARROWER, &filters);
        let files = plan::ids(&filters, "file_id").unwrap_or_default();
        let listed = OfFile {
            ask,
            file: files.first().and_then(|id| FileId::try_from(*id).ok()),
            range: plan::created_range(&filters, ask.now),
            scope: ask.scope_filters(),
        };
        engine::answer(&listed, query, &budget)
            .await
            .map(|answer| answer.by("file"))
    }
}
