//! Batches: one light item each, with the five counters.

mod counters;
mod task;

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use chrono::{DateTime, Utc};
pub use counters::{ChangedBy, CounterChange};
pub use task::BatchTask;
use uuid::Uuid;
use weir_domain::{
    BatchId, BatchOrdinal, BatchStatus, ClientId, Counters, Currency, FileId, LineNumber,
    ProgramId, SellerId,
};

use crate::error::{sorted, unavailable};
use crate::get::{in_order_of, keys_of};
use crate::item::{Item, Reader, Writer, bytes, number, text, time, uuid};
use crate::payload::{compress, decompress};
use crate::tables::BATCHES;
use crate::{CreatedId, DetailPlace, Month, Store, StoreError};

/// What stands in the sparse `open` index.
pub(crate) const OPEN: &str = "open";

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its id; its file follows from it.
    pub id: BatchId,
    /// The client it is for.
    pub client_id: ClientId,
    /// The program it is for.
    pub program_id: ProgramId,
    /// Its seller; missing when the seller is not known.
    pub seller_id: Option<SellerId>,
    /// The seller's name when the batch was made.
    pub seller_name: Option<String>,
    /// The seller's number for it.
    pub batch_number: String,
    /// The currency of its header.
    pub currency: Option<Currency>,
    /// Its `BatchHeader` element as it stands in the file.
    pub header_xml: String,
    /// Where its element begins in the object, in bytes.
    pub byte_start: u64,
    /// Where its element ends in the object.
    pub byte_end: u64,
    /// How many shards its details are spread over.
    pub shards: u32,
    /// How its details stand.
    pub counters: Counters,
    /// Where it stands.
    pub status: BatchStatus,
    /// The correlation id of its file.
    pub correlation_id: String,
    /// Why it could not be taken.
    pub error_log: Option<String>,
    /// When it came to Error.
    pub error_at: Option<DateTime<Utc>>,
    /// When its last detail was done.
    pub processed_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When a caller last changed it.
    pub user_updated_at: Option<DateTime<Utc>>,
    /// Which caller.
    pub user_updated_by: Option<String>,
    /// What is being done to the whole of it.
    pub task: Option<BatchTask>,
    /// The last task that was ended: it is not begun again, however late its beginning is repeated.
    pub last_task: Option<Uuid>,
}

impl Batch {
    /// Where its details lie.
    pub fn place(&self) -> DetailPlace {
        DetailPlace {
            batch: self.id,
            shards: self.shards,
        }
    }

    /// Whether it was not taken, and nobody is about to: of its details there is none.
    pub fn is_given_up(&self) -> bool {
        self.status == BatchStatus::Error && self.counters.details == 0 && self.task.is_none()
    }

    /// Its lines, from the first to the last.
    pub fn lines(&self) -> impl Iterator<Item = LineNumber> + use<> {
        let last = u32::try_from(self.counters.details).unwrap_or(u32::MAX);
        (1..=last).map_while(|line| LineNumber::new(line).ok())
    }

    fn to_item(&self) -> Result<Item, StoreError> {
        let header = compress(self.header_xml.as_bytes())
            .ok_or_else(|| unavailable("write a batch", "its header cannot be compressed"))?;
        let open = self.status == BatchStatus::Unprocessed || self.task.is_some();
        let task = self.task.as_ref().map(BatchTask::attributes);
        Ok(Writer::default()
            .with("id", text(self.id.to_string()))
            .with_some("open", open.then(|| text(OPEN)))
            .with("month", text(Month::of(self.created_at).to_string()))
            .with("program", text(self.program_id.to_string()))
            .with(
                "created_id",
                text(CreatedId::new(self.created_at, self.id).to_string()),
            )
            .with_some(
                "seller",
                self.seller_id.map(|seller| text(seller.to_string())),
            )
            .with("client", text(self.client_id.to_string()))
            .with_some("seller_name", self.seller_name.as_ref().map(text))
            .with("batch_number", text(&self.batch_number))
            .with_some(
                "currency",
                self.currency.map(|currency| text(currency.code())),
            )
            .with("header_xml", bytes(header))
            .with("byte_start", number(self.byte_start))
            .with("byte_end", number(self.byte_end))
            .with("shards", number(self.shards))
            .with("detail_count", number(self.counters.details))
            .with("unprocessed_count", number(self.counters.unprocessed))
            .with("error_count", number(self.counters.error))
            .with("draft_count", number(self.counters.draft))
            .with("cancelled_count", number(self.counters.cancelled))
            .with("status", text(self.status.name()))
            .with("correlation_id", text(&self.correlation_id))
            .with_some("error_log", self.error_log.as_ref().map(text))
            .with_some("error_at", self.error_at.map(time))
            .with_some("processed_at", self.processed_at.map(time))
            .with("created_at", time(self.created_at))
            .with("updated_at", time(self.updated_at))
            .with_some("user_updated_at", self.user_updated_at.map(time))
            .with_some("user_updated_by", self.user_updated_by.as_ref().map(text))
            .with_all(task.into_iter().flatten())
            .with_some("last_task", self.last_task.map(uuid))
            .finish())
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let key = item
            .get("id")
            .and_then(|value| value.as_s().ok())
            .cloned()
            .unwrap_or_default();
        let read = Reader::new(BATCHES.name, key, item);
        let opt_text = |name| Ok::<_, StoreError>(read.opt_text(name)?.map(str::to_owned));
        let header = decompress(read.bytes("header_xml")?)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .ok_or_else(|| read.corrupt("header_xml"))?;
        Ok(Self {
            id: read.parsed("id")?,
            client_id: read.parsed("client")?,
            program_id: read.parsed("program")?,
            seller_id: read.opt_parsed("seller")?,
            seller_name: opt_text("seller_name")?,
            batch_number: read.text("batch_number")?.to_owned(),
            currency: read.opt_parsed("currency")?,
            header_xml: header,
            byte_start: read.number("byte_start")?,
            byte_end: read.number("byte_end")?,
            shards: read.number("shards")?,
            counters: Counters {
                details: read.number("detail_count")?,
                unprocessed: read.number("unprocessed_count")?,
                error: read.number("error_count")?,
                draft: read.number("draft_count")?,
                cancelled: read.number("cancelled_count")?,
            },
            status: read.parsed("status")?,
            correlation_id: read.text("correlation_id")?.to_owned(),
            error_log: opt_text("error_log")?,
            error_at: read.opt_time("error_at")?,
            processed_at: read.opt_time("processed_at")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
            user_updated_at: read.opt_time("user_updated_at")?,
            user_updated_by: opt_text("user_updated_by")?,
            task: BatchTask::read(&read)?,
            last_task: read.opt_id("last_task")?,
        })
    }
}

impl Store {
    /// A batch, strongly consistent.
    pub async fn batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&BATCHES))
            .key("id", text(id.to_string()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("read a batch"))?;
        self.capacity.read(answer.consumed_capacity());
        answer.item().map(Batch::from_item).transpose()
    }

    /// The batches of a file with ordinals `from..=to`, in order; those that do not exist are
    /// missing. At most a hundred at a time.
    pub async fn batches_of_file(
        &self,
        file: FileId,
        from: BatchOrdinal,
        to: BatchOrdinal,
    ) -> Result<Vec<Batch>, StoreError> {
        let ids: Vec<BatchId> = (from.get()..=to.get())
            .take(100)
            .filter_map(|ordinal| BatchOrdinal::new(ordinal).ok())
            .map(|ordinal| file.batch(ordinal))
            .collect();
        self.batches(&ids).await
    }

    /// The batches with some ids, any number, in the order of the ids and each once; those that do
    /// not exist are missing. Strongly consistent.
    pub async fn batches(&self, ids: &[BatchId]) -> Result<Vec<Batch>, StoreError> {
        let keys = keys_of(ids, |id| id.to_string());
        let items = self.items_by_key(&BATCHES, "read batches", keys).await?;
        let found: Result<Vec<_>, _> = items.iter().map(Batch::from_item).collect();
        Ok(in_order_of(ids, |batch: &Batch| batch.id, found?))
    }

    /// The batches with some ids that can be read, in any order, and the ids of those that cannot.
    pub(crate) async fn readable_batches(
        &self,
        ids: &[BatchId],
    ) -> Result<(Vec<Batch>, HashSet<BatchId>), StoreError> {
        let keys = keys_of(ids, |id| id.to_string());
        let mut found = Vec::new();
        let mut unreadable = HashSet::new();
        for item in self.items_by_key(&BATCHES, "read batches", keys).await? {
            match Batch::from_item(&item) {
                Ok(batch) => found.push(batch),
                // Its key can be read: it was asked for by it.
                Err(error) => {
                    let id = Reader::new(BATCHES.name, "a batch", &item).parsed("id");
                    unreadable.insert(id.map_err(|_: StoreError| error)?);
                }
            }
        }
        Ok((found, unreadable))
    }

    /// Makes a batch; one that exists stays as it is, because whoever made it wrote the same.
    pub async fn create_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&BATCHES))
            .set_item(Some(batch.to_item()?))
            .condition_expression("attribute_not_exists(id)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("make a batch"));
        match answer {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(())
            }
            Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends a batch of which nothing is open: Processed, or Error when some are in Error. `false`
    /// when it is not so (any more), which is no failure.
    pub async fn complete_batch(
        &self,
        batch: &Batch,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let status = BatchStatus::of(&batch.counters);
        if status == BatchStatus::Unprocessed {
            return Ok(false);
        }
        let failed = status == BatchStatus::Error;
        let mut update = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&BATCHES))
            .key("id", text(batch.id.to_string()))
            .condition_expression(
                "#status = :was AND unprocessed_count = :none AND error_count = :errors \
                 AND attribute_not_exists(task_id)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":was", text(BatchStatus::Unprocessed.name()))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":errors", number(batch.counters.error))
            .expression_attribute_values(":status", text(status.name()))
            .expression_attribute_values(":now", time(now))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        update = update.update_expression(if failed {
            "SET #status = :status, processed_at = :now, updated_at = :now, error_at = :now REMOVE #open"
        } else {
            "SET #status = :status, processed_at = :now, updated_at = :now REMOVE #open"
        });
        match update.send().await.map_err(sorted("complete a batch")) {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ids of batches that are not done, a page at a time; give the last id of a page to go on.
    pub async fn open_batches(&self, after: Option<BatchId>) -> Result<Vec<BatchId>, StoreError> {
        let ids = self
            .open_ids(&BATCHES, after.map(|id| id.to_string()))
            .await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// A page of the ids in a table's `open` index.
    pub(crate) async fn open_ids(
        &self,
        table: &crate::Table,
        after: Option<String>,
    ) -> Result<Vec<String>, StoreError> {
        let answer = self
            .dynamodb()
            .query()
            .table_name(self.names.table(table))
            .index_name(OPEN)
            .key_condition_expression("#open = :open AND id > :after")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open", text(OPEN))
            .expression_attribute_values(":after", text(after.unwrap_or_else(|| "0".to_owned())))
            .limit(1_000)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("list what is open"))?;
        self.capacity.read(answer.consumed_capacity());
        let id = |item: &Item| {
            item.get("id")
                .and_then(|id: &AttributeValue| id.as_s().ok())
                .cloned()
        };
        Ok(answer.items().iter().filter_map(id).collect())
    }
}
