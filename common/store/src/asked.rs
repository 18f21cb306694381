//! What people asked for: a record of every change that somebody made by hand, one item each.
//!
//! A record lies among the look-ups, `asked#<file>` and its place in the order of asking. It is written
//! in the very transactions that make the change, each of which adds what it changed: there is no
//! change without its record, none that is recorded and was not made, and nothing is counted twice.
//! Records are never removed.
//!
//! Who sent a file is recorded by a write of its own, as a transaction would double the price of the file's
//! item: after the file is made and before its sender is answered. It is one write unit, as long as the
//! request brings no correlation id of more than some two hundred characters.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, TransactWriteItem, Update};
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weir_domain::{AskedAction, BatchAction, BatchId, ClientId, FileId, ProgramId, SellerId};

use crate::error::{sorted, unavailable};
use crate::item::{Item, Reader, Writer, number, text, time, uuid};
use crate::tables::LOOKUPS;
use crate::{Batch, BatchTask, CreatedId, CreatedRange, Direction, File, Store, StoreError};

const OPERATION: &str = "record what was asked for";
/// Most records of one answer.
const RECORDS_MAX: usize = 1_000;

/// Something that somebody asked for, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRecord {
    /// Its id: that of the request, or of the task that it began.
    pub id: Uuid,
    /// The file that it is about.
    pub file_id: FileId,
    /// The batch, when it is about one.
    pub batch_id: Option<BatchId>,
    /// Whose client's the file or batch is.
    pub client_id: Option<ClientId>,
    /// Whose program's.
    pub program_id: Option<ProgramId>,
    /// Whose seller's.
    pub seller_id: Option<SellerId>,
    /// What was to be done.
    pub action: AskedAction,
    /// What the request said besides, as JSON.
    pub asked: String,
    /// Who asked.
    pub actor: String,
    /// The correlation id of the request.
    pub correlation_id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// How many details it was for when it was asked.
    pub detail_count: u64,
    /// How many were changed by it, up to now.
    pub changed_count: u64,
    /// How many were left out because they cannot be read.
    pub left_count: u64,
    /// When it last changed something.
    pub updated_at: DateTime<Utc>,
    /// When all of it was done, or something took its place; missing while it goes on, and where the
    /// rest was refused.
    pub ended_at: Option<DateTime<Utc>>,
    /// What took its place before it was done.
    pub ended_by: Option<Uuid>,
}

/// When something with an id was asked for: every run of the same request finds the same time.
fn asked_at(id: Uuid, now: DateTime<Utc>) -> DateTime<Utc> {
    let known = id.get_timestamp().and_then(|known| {
        let (seconds, nanos) = known.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    });
    known.unwrap_or(now)
}

fn key_of(file: FileId) -> String {
    format!("asked#{file}")
}

impl AskedRecord {
    /// Something that was asked of a batch, nothing of which is done yet.
    pub fn of_batch(
        batch: &Batch,
        action: AskedAction,
        id: Uuid,
        by: (&str, &str),
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            batch_id: Some(batch.id),
            client_id: Some(batch.client_id),
            program_id: Some(batch.program_id),
            seller_id: batch.seller_id,
            ..Self::begun(batch.id.file(), action, id, by, now)
        }
    }

    /// Something that was asked of a file, and is done at once.
    pub fn of_file(
        file: &File,
        action: AskedAction,
        id: Uuid,
        by: (&str, &str),
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            client_id: file.client_id,
            program_id: file.program_id,
            seller_id: file.seller_id,
            ended_at: Some(now),
            ..Self::begun(file.id, action, id, by, now)
        }
    }

    /// Something that was asked, of nobody yet, nothing of which is done.
    fn begun(
        file_id: FileId,
        action: AskedAction,
        id: Uuid,
        (actor, correlation_id): (&str, &str),
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            file_id,
            batch_id: None,
            client_id: None,
            program_id: None,
            seller_id: None,
            action,
            asked: "{}".to_owned(),
            actor: actor.to_owned(),
            correlation_id: correlation_id.to_owned(),
            at: asked_at(id, now),
            detail_count: 0,
            changed_count: 0,
            left_count: 0,
            updated_at: now,
            ended_at: None,
            ended_by: None,
        }
    }

    /// The record of a task of a batch, as it is when it begins.
    pub fn of_task(batch: &Batch, task: &BatchTask) -> Self {
        let counters = &batch.counters;
        let detail_count = match task.action {
            BatchAction::Cancel => counters.unprocessed.saturating_add(counters.error),
            BatchAction::Retry => counters.error,
            BatchAction::Revive => counters.cancelled,
            BatchAction::ConfirmDrafts | BatchAction::CancelDrafts => counters.draft,
            BatchAction::Retake => 0,
        };
        let asked = match task.action {
            BatchAction::Revive => r#"{"status":"Cancelled"}"#,
            BatchAction::Retake => r#"{"status":"Unprocessed"}"#,
            _ => "{}",
        };
        let by = (task.actor.as_str(), task.correlation_id.as_str());
        Self {
            asked: asked.to_owned(),
            detail_count,
            ..Self::of_batch(batch, task.action.into(), task.id, by, task.at)
        }
    }

    /// Where it stands in the order of asking.
    pub fn place(&self) -> CreatedId {
        CreatedId::new(self.at, self.id)
    }

    fn from_item(file: FileId, item: &Item) -> Result<Self, StoreError> {
        let read = Reader::new(LOOKUPS.name, key_of(file), item);
        Ok(Self {
            id: read.id("id")?,
            file_id: file,
            batch_id: read.opt_id("batch_id")?,
            client_id: read.opt_id("client_id")?,
            program_id: read.opt_id("program_id")?,
            seller_id: read.opt_id("seller_id")?,
            action: read.parsed("action")?,
            asked: read.text("asked")?.to_owned(),
            actor: read.text("actor")?.to_owned(),
            correlation_id: read.text("correlation_id")?.to_owned(),
            at: read.time("at")?,
            detail_count: read.number("detail_count")?,
            changed_count: read.opt_number("changed_count")?.unwrap_or_default(),
            left_count: read.opt_number("left_count")?.unwrap_or_default(),
            updated_at: read.time("updated_at")?,
            ended_at: read.opt_time("ended_at")?,
            ended_by: read.opt_id("ended_by")?,
        })
    }

    /// What it says from its beginning on, whatever becomes of it.
    fn attributes(&self) -> Vec<(&'static str, AttributeValue)> {
        let mut attributes = vec![
            ("id", uuid(self.id)),
            ("action", text(self.action.name())),
            ("asked", text(&self.asked)),
            ("actor", text(&self.actor)),
            ("correlation_id", text(&self.correlation_id)),
            ("at", time(self.at)),
            ("detail_count", number(self.detail_count)),
        ];
        let owners = [
            ("batch_id", self.batch_id.map(uuid)),
            ("client_id", self.client_id.map(uuid)),
            ("program_id", self.program_id.map(uuid)),
            ("seller_id", self.seller_id.map(uuid)),
        ];
        attributes.extend(
            owners
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        attributes
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskEnd {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// What took its place, when it was not done.
    pub(crate) by: Option<Uuid>,
    /// How many details it changed, where its transactions have not said so.
    pub(crate) changed: Option<u64>,
    /// How many were left out.
    pub(crate) left: usize,
}

impl Store {
    /// The part of a transaction that says what is done by it: writes the record, or adds to it.
    pub(crate) fn asked_update(
        &self,
        record: &AskedRecord,
        changed: usize,
        now: DateTime<Utc>,
    ) -> Result<TransactWriteItem, StoreError> {
        built(self.asked_add(record, changed, now))
    }

    /// The part of a transaction that begins a task: the record of one that has ended, because it was
    /// done or because something took its place, does not let it begin again.
    pub(crate) fn asked_begin(
        &self,
        record: &AskedRecord,
        now: DateTime<Utc>,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = self.asked_add(record, 0, now);
        built(update.condition_expression("attribute_not_exists(ended_at)"))
    }

    fn asked_add(&self, record: &AskedRecord, changed: usize, now: DateTime<Utc>) -> UpdateBuilder {
        let mut set = "ADD changed_count :changed SET updated_at = :now".to_owned();
        let mut update = self.asked_at_place(record.file_id, record.place());
        if let Some(ended_at) = record.ended_at {
            set.push_str(", ended_at = :ended_at");
            update = update.expression_attribute_values(":ended_at", time(ended_at));
        }
        said_once(update, &mut set, record)
            .update_expression(set)
            .expression_attribute_values(":changed", number(i128::try_from(changed).unwrap_or(0)))
            .expression_attribute_values(":now", time(now))
    }

    /// The part of a transaction that says that a task has ended.
    pub(crate) fn asked_end(
        &self,
        batch: &Batch,
        task: &BatchTask,
        end: TaskEnd,
    ) -> Result<TransactWriteItem, StoreError> {
        let record = AskedRecord::of_task(batch, task);
        let mut set = "SET ended_at = :now, updated_at = :now, left_count = :left".to_owned();
        let mut update = self.asked_at_place(record.file_id, record.place());
        if let Some(by) = end.by {
            set.push_str(", ended_by = :by");
            update = update.expression_attribute_values(":by", uuid(by));
        }
        if let Some(changed) = end.changed {
            set.push_str(", changed_count = :changed");
            update = update.expression_attribute_values(":changed", number(changed));
        }
        let left = u64::try_from(end.left).unwrap_or(u64::MAX);
        // A task that began before there were records has one all the same.
        let update = said_once(update, &mut set, &record)
            .update_expression(set)
            .expression_attribute_values(":left", number(left))
            .expression_attribute_values(":now", time(end.at));
        built(update)
    }

    /// The record of what was asked once already, strongly consistent; `None` when it is not known. Its
    /// place is all that is looked at of what is given.
    pub async fn asked_before(
        &self,
        record: &AskedRecord,
    ) -> Result<Option<AskedRecord>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&LOOKUPS))
            .key("key", text(key_of(record.file_id)))
            .key("target", text(record.place().to_string()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("look for what was asked for"))?;
        self.capacity.read(answer.consumed_capacity());
        let item = answer.item();
        item.map(|item| AskedRecord::from_item(record.file_id, item))
            .transpose()
    }

    /// Writes the record of something that is done already, by one write of its own. One that is there
    /// stays as it is: a request that comes again may have another correlation id.
    pub async fn record_asked(&self, record: &AskedRecord) -> Result<(), StoreError> {
        let done = [
            ("updated_at", Some(time(record.updated_at))),
            ("ended_at", record.ended_at.map(time)),
        ];
        let done = done
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let item = Writer::default()
            .with("key", text(key_of(record.file_id)))
            .with("target", text(record.place().to_string()))
            .with_all(record.attributes())
            .with_all(done)
            .finish();
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&LOOKUPS))
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", "key")
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted(OPERATION));
        match answer {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(())
            }
            Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn asked_at_place(&self, file: FileId, place: CreatedId) -> UpdateBuilder {
        Update::builder()
            .table_name(self.names.table(&LOOKUPS))
            .key("key", text(key_of(file)))
            .key("target", text(place.to_string()))
    }

    /// What was asked of a file and its batches within a range, strongly consistent; at most `limit`,
    /// which counts as 1 000 beyond that. Fewer come only at the end of the range.
    pub async fn asked(
        &self,
        file: FileId,
        range: CreatedRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<AskedRecord>, StoreError> {
        let limit = limit.min(RECORDS_MAX);
        let mut found = Vec::new();
        let Some(range) = range.within_bounds() else {
            return Ok(found);
        };
        let mut start = None;
        while found.len() < limit {
            let left = i32::try_from(limit - found.len()).unwrap_or(i32::MAX);
            let answer = self
                .dynamodb()
                .query()
                .table_name(self.names.table(&LOOKUPS))
                .key_condition_expression("#key = :key AND target BETWEEN :from AND :to")
                .expression_attribute_names("#key", "key")
                .expression_attribute_values(":key", text(key_of(file)))
                .expression_attribute_values(":from", text(range.from.to_string()))
                .expression_attribute_values(":to", text(range.to.to_string()))
                .scan_index_forward(direction == Direction::Forward)
                .limit(left)
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(sorted("list what was asked for"))?;
            self.capacity.read(answer.consumed_capacity());
            for item in answer.items() {
                match AskedRecord::from_item(file, item) {
                    Ok(record) => found.push(record),
                    // One that is damaged must not hide the others for good.
                    Err(error) => {
                        tracing::error!(file_id = %file, %error, "a record of what was asked for is left out");
                    }
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// Adds what a record says from its beginning on, unless it is said: a repeat sees less of it.
fn said_once(mut update: UpdateBuilder, set: &mut String, record: &AskedRecord) -> UpdateBuilder {
    for (place, (name, value)) in record.attributes().into_iter().enumerate() {
        let _ = write!(set, ", #a{place} = if_not_exists(#a{place}, :a{place})");
        update = update
            .expression_attribute_names(format!("#a{place}"), name)
            .expression_attribute_values(format!(":a{place}"), value);
    }
    update
}

fn built(update: UpdateBuilder) -> Result<TransactWriteItem, StoreError> {
    let update = update
        .build()
        .map_err(|_| unavailable(OPERATION, "the update is incomplete"))?;
    Ok(TransactWriteItem::builder().update(update).build())
}
