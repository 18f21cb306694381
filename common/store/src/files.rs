//! Files: what was uploaded and how far its reading has come.
//!
//! Whoever works on a file holds its lease, a time until which nobody else may begin. Every write
//! names the version it read, so a worker whose lease has passed to another can change nothing.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use weir_domain::{
    BatchOrdinal, ClientId, FileId, FileStatus, ObjectIdentity, ProgramId, SellerId,
};

use crate::error::sorted;
use crate::get::{in_order_of, keys_of};
use crate::item::{Item, Reader, Writer, bytes, number, text, time, uuid};
use crate::payload::{compress, decompress};
use crate::tables::FILES;
use crate::{CreatedId, Month, Store, StoreError};

/// Which part of the work a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Is being read as a whole; nothing of it exists.
    Checking,
    /// Found sound; its batches and details are being written.
    Splitting,
    /// Everything is written, and from here on nothing is rewritten; details go on the queue.
    Enqueuing,
    /// Done, well or not.
    Done,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Checking, Self::Splitting, Self::Enqueuing, Self::Done];

    fn name(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Splitting => "splitting",
            Self::Enqueuing => "enqueuing",
            Self::Done => "done",
        }
    }
}

/// What is known under a file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// Nothing: the name was registered, and that is all.
    Nothing,
    /// An object that is yet to come.
    Awaited {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
        /// How it comes, where it comes in parts.
        parts: Option<AwaitedParts>,
    },
    /// The object that holds it.
    Object(ObjectIdentity),
}

/// An upload in parts of an object that is yet to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedParts {
    /// What S3 calls the upload.
    pub upload_id: String,
    /// How many bytes the object is to have.
    pub size_bytes: u64,
    /// Its composite SHA-256, in S3's notation.
    pub checksum: String,
}

/// A batch whose number an earlier batch of its file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatedNumber {
    /// The batch.
    pub batch: BatchOrdinal,
    /// The first batch of the file with that number.
    pub first: BatchOrdinal,
}

impl RepeatedNumber {
    /// Both numbers, four bytes each.
    fn blob(all: &[Self]) -> Vec<u8> {
        let bytes = |of: &Self| [of.batch.get().to_be_bytes(), of.first.get().to_be_bytes()];
        all.iter().flat_map(bytes).flatten().collect()
    }

    /// `None` where the bytes are none of these.
    fn of_blob(blob: &[u8]) -> Option<Vec<Self>> {
        let (numbers, []) = blob.as_chunks::<4>() else {
            return None;
        };
        let number = |bytes: &[u8; 4]| BatchOrdinal::new(u32::from_be_bytes(*bytes)).ok();
        let (pairs, []) = numbers.as_chunks::<2>() else {
            return None;
        };
        let pair = |[batch, first]: &[[u8; 4]; 2]| {
            Some(Self {
                batch: number(batch)?,
                first: number(first)?,
            })
        };
        pairs.iter().map(pair).collect()
    }
}

/// A settlement file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its id, derived from its object.
    pub id: FileId,
    /// Grows with every write.
    pub version: u64,
    /// What is known under its name.
    pub content: FileContent,
    /// What callers call it.
    pub name: String,
    /// The client it was uploaded for; missing when its key does not say.
    pub client_id: Option<ClientId>,
    /// The program it was uploaded for; missing when its key does not say.
    pub program_id: Option<ProgramId>,
    /// The only seller whose batches it may hold, when it was uploaded for one.
    pub seller_id: Option<SellerId>,
    /// The correlation id of the upload.
    pub correlation_id: String,
    /// Where it stands.
    pub status: FileStatus,
    /// Which part of the work it is in.
    pub stage: Stage,
    /// How far that part has come, as the worker wrote it.
    pub checkpoint: Option<String>,
    /// Until when somebody works on it.
    pub lease_until: Option<DateTime<Utc>>,
    /// Readings that failed and were begun again.
    pub retry_count: u32,
    /// Times in a row that somebody began to work on it without getting any further.
    pub stalled_count: u32,
    /// How many batches it holds, once that is known.
    pub batch_count: u32,
    /// How many details it holds, once that is known.
    pub detail_count: u64,
    /// Of a file that is only judged: batches whose number an earlier one of the file has, in order.
    pub repeated_numbers: Vec<RepeatedNumber>,
    /// Why it is in Error.
    pub error_log: Option<String>,
    /// When it came to Error.
    pub error_at: Option<DateTime<Utc>>,
    /// When everything was on the queue.
    pub processed_at: Option<DateTime<Utc>>,
    /// When it became known.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl File {
    /// The object that holds it, where there is one.
    pub fn object(&self) -> Option<&ObjectIdentity> {
        match &self.content {
            FileContent::Object(object) => Some(object),
            FileContent::Nothing | FileContent::Awaited { .. } => None,
        }
    }

    /// Whether an item is the very one that was written, times being kept to the millisecond.
    pub(crate) fn is_same_write(&self, written: &Self) -> bool {
        let millis = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_millis());
        self.version == written.version
            && self.name == written.name
            && self.content == written.content
            && self.status == written.status
            && self.stage == written.stage
            && self.checkpoint == written.checkpoint
            && millis(self.lease_until) == millis(written.lease_until)
            && millis(Some(self.updated_at)) == millis(Some(written.updated_at))
    }

    pub(crate) fn to_item(&self) -> Result<Item, StoreError> {
        let (place, object) = match &self.content {
            FileContent::Nothing => (None, None),
            FileContent::Awaited { bucket, key, .. } => (Some((bucket, key)), None),
            FileContent::Object(object) => (Some((&object.bucket, &object.key)), Some(object)),
        };
        let parts = match &self.content {
            FileContent::Awaited { parts, .. } => parts.as_ref(),
            FileContent::Nothing | FileContent::Object(_) => None,
        };
        // Nothing waits for a name.
        let open =
            object.is_some() && matches!(self.status, FileStatus::Stored | FileStatus::Processing);
        let checkpoint = match &self.checkpoint {
            None => None,
            Some(text) => Some(
                compress(text.as_bytes()).ok_or_else(|| StoreError::Refused {
                    operation: "write a file",
                    reason: "its checkpoint is too long".to_owned(),
                })?,
            ),
        };
        let repeated = RepeatedNumber::blob(&self.repeated_numbers);
        let repeated = Some(repeated).filter(|repeated| !repeated.is_empty());
        Ok(Writer::default()
            .with("id", text(self.id.to_string()))
            .with("version", number(self.version))
            .with_some("open", open.then(|| text("open")))
            .with("month", text(Month::of(self.created_at).to_string()))
            .with_some("program", self.program_id.map(|id| text(id.to_string())))
            .with(
                "created_id",
                text(CreatedId::new(self.created_at, self.id).to_string()),
            )
            .with_some("bucket", place.map(|(bucket, _)| text(bucket)))
            .with_some("object_key", place.map(|(_, key)| text(key)))
            .with_some("etag", object.map(|object| text(&object.etag)))
            .with_some("upload_id", parts.map(|parts| text(&parts.upload_id)))
            .with_some("upload_size", parts.map(|parts| number(parts.size_bytes)))
            .with_some("upload_checksum", parts.map(|parts| text(&parts.checksum)))
            .with("name", text(&self.name))
            .with_some("client", self.client_id.map(|id| text(id.to_string())))
            .with_some("seller_id", self.seller_id.map(uuid))
            .with("correlation_id", text(&self.correlation_id))
            .with("status", text(self.status.name()))
            .with("stage", text(self.stage.name()))
            .with_some("checkpoint", checkpoint.map(bytes))
            .with_some("lease_until", self.lease_until.map(time))
            .with("retry_count", number(self.retry_count))
            .with("stalled_count", number(self.stalled_count))
            .with("batch_count", number(self.batch_count))
            .with("detail_count", number(self.detail_count))
            .with_some("repeated_numbers", repeated.map(bytes))
            .with_some("error_log", self.error_log.as_ref().map(text))
            .with_some("error_at", self.error_at.map(time))
            .with_some("processed_at", self.processed_at.map(time))
            .with("created_at", time(self.created_at))
            .with("updated_at", time(self.updated_at))
            .finish())
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let key = item
            .get("id")
            .and_then(|value| value.as_s().ok())
            .cloned()
            .unwrap_or_default();
        let read = Reader::new(FILES.name, key, item);
        let stage = read.text("stage")?;
        let checkpoint = match read.opt_bytes("checkpoint")? {
            None => None,
            Some(blob) => Some(
                decompress(blob)
                    .and_then(|text| String::from_utf8(text).ok())
                    .ok_or_else(|| read.corrupt("checkpoint"))?,
            ),
        };
        Ok(Self {
            id: read.parsed("id")?,
            version: read.number("version")?,
            content: match (read.opt_text("object_key")?, read.opt_text("etag")?) {
                (None, _) => FileContent::Nothing,
                (Some(key), None) => FileContent::Awaited {
                    bucket: read.text("bucket")?.to_owned(),
                    key: key.to_owned(),
                    parts: match read.opt_text("upload_id")? {
                        None => None,
                        Some(id) => Some(AwaitedParts {
                            upload_id: id.to_owned(),
                            size_bytes: read.number("upload_size")?,
                            checksum: read.text("upload_checksum")?.to_owned(),
                        }),
                    },
                },
                (Some(key), Some(etag)) => FileContent::Object(ObjectIdentity {
                    bucket: read.text("bucket")?.to_owned(),
                    key: key.to_owned(),
                    etag: etag.to_owned(),
                }),
            },
            name: read.text("name")?.to_owned(),
            client_id: read.opt_parsed("client")?,
            program_id: read.opt_parsed("program")?,
            seller_id: read.opt_id("seller_id")?,
            correlation_id: read.text("correlation_id")?.to_owned(),
            status: read.parsed("status")?,
            stage: Stage::ALL
                .into_iter()
                .find(|value| value.name() == stage)
                .ok_or_else(|| read.corrupt("stage"))?,
            checkpoint,
            lease_until: read.opt_time("lease_until")?,
            retry_count: read.number("retry_count")?,
            stalled_count: read.number("stalled_count")?,
            batch_count: read.number("batch_count")?,
            detail_count: read.number("detail_count")?,
            repeated_numbers: match read.opt_bytes("repeated_numbers")? {
                None => Vec::new(),
                Some(blob) => {
                    RepeatedNumber::of_blob(blob).ok_or_else(|| read.corrupt("repeated_numbers"))?
                }
            },
            error_log: read.opt_text("error_log")?.map(str::to_owned),
            error_at: read.opt_time("error_at")?,
            processed_at: read.opt_time("processed_at")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        })
    }
}

impl Store {
    /// A file, strongly consistent.
    pub async fn file(&self, id: FileId) -> Result<Option<File>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&FILES))
            .key("id", text(id.to_string()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("read a file"))?;
        self.capacity.read(answer.consumed_capacity());
        answer.item().map(File::from_item).transpose()
    }

    /// The files with some ids, any number, in the order of the ids and each once; those that do not
    /// exist are missing. Strongly consistent.
    pub async fn files(&self, ids: &[FileId]) -> Result<Vec<File>, StoreError> {
        let keys = keys_of(ids, |id| id.to_string());
        let items = self.items_by_key(&FILES, "read files", keys).await?;
        let found: Result<Vec<_>, _> = items.iter().map(File::from_item).collect();
        Ok(in_order_of(ids, |file: &File| file.id, found?))
    }

    /// Makes a file; [`StoreError::Conflict`] when it exists.
    pub async fn create_file(&self, file: &File) -> Result<(), StoreError> {
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&FILES))
            .set_item(Some(file.to_item()?))
            .condition_expression("attribute_not_exists(id)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("make a file"))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// Writes a file as it has become and adds one to its version; [`StoreError::Conflict`] when
    /// somebody else wrote it since. Unless it succeeds, `file` stays at the version it has.
    pub async fn save_file(&self, file: &mut File) -> Result<(), StoreError> {
        let mut written = file.clone();
        written.version += 1;
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&FILES))
            .set_item(Some(written.to_item()?))
            .condition_expression("version = :read")
            .expression_attribute_values(":read", number(file.version))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("write a file"));
        match answer {
            Ok(answer) => self.capacity.wrote(answer.consumed_capacity()),
            // The first try may have taken effect and only its answer been lost.
            Err(conflict @ StoreError::Conflict { .. }) => {
                let stored = self.file(file.id).await?;
                if !stored.is_some_and(|stored| stored.is_same_write(&written)) {
                    return Err(conflict);
                }
            }
            Err(error) => return Err(error),
        }
        *file = written;
        Ok(())
    }

    /// Ids of files that are not done, a page at a time; give the last id of a page to go on.
    pub async fn open_files(&self, after: Option<FileId>) -> Result<Vec<FileId>, StoreError> {
        let ids = self
            .open_ids(&FILES, after.map(|id| id.to_string()))
            .await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}
