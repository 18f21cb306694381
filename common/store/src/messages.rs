//! Messages that were taken from queues and kept: what brought reference data, and what ended among
//! the dead letters.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use chrono::{DateTime, Utc};
use weir_domain::{MessageId, MessageStatus};

use crate::error::sorted;
use crate::get::{in_order_of, keys_of};
use crate::item::{ITEM_BYTES_MAX, Item, Reader, Writer, bytes, number, size_bytes, text, time};
use crate::payload::{compress, decompress};
use crate::tables::MESSAGES;
use crate::{CreatedId, Month, Store, StoreError};

const WRITE: &str = "write a message";

/// A message that was taken from a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id here, which is not the queue's.
    pub id: MessageId,
    /// The correlation id of its delivery.
    pub correlation_id: String,
    /// The queue that it came from.
    pub queue_url: String,
    /// The group that it was sent in.
    pub group_id: Option<String>,
    /// What it is about, as its sender says.
    pub subject: Option<String>,
    /// Its text, as it came.
    pub body: String,
    /// Its attributes, as JSON.
    pub attributes: Option<String>,
    /// Where it stands.
    pub status: MessageStatus,
    /// Why it could not be applied.
    pub error_log: Option<String>,
    /// How often applying it failed.
    pub failure_count: u32,
    /// When that happened last.
    pub failed_at: Option<DateTime<Utc>>,
    /// When it was applied.
    pub processed_at: Option<DateTime<Utc>>,
    /// When it was kept.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Message {
    fn to_item(&self) -> Result<Item, StoreError> {
        let refused = |reason: String| StoreError::Refused {
            operation: WRITE,
            reason,
        };
        let compressed = |text: &String| {
            compress(text.as_bytes())
                .map(bytes)
                .ok_or_else(|| refused(format!("{} bytes are too long for it", text.len())))
        };
        let attributes = self.attributes.as_ref().map(compressed).transpose()?;
        let item = Writer::default()
            .with("id", text(self.id.to_string()))
            .with("month", text(Month::of(self.created_at).to_string()))
            .with(
                "created_id",
                text(CreatedId::new(self.created_at, self.id).to_string()),
            )
            .with("correlation_id", text(&self.correlation_id))
            .with("queue_url", text(&self.queue_url))
            .with_some("group_id", self.group_id.as_ref().map(text))
            .with_some("subject", self.subject.as_ref().map(text))
            .with("body", compressed(&self.body)?)
            .with_some("attributes", attributes)
            .with("status", text(self.status.name()))
            .with_some("error_log", self.error_log.as_ref().map(text))
            .with("failure_count", number(self.failure_count))
            .with_some("failed_at", self.failed_at.map(time))
            .with_some("processed_at", self.processed_at.map(time))
            .with("created_at", time(self.created_at))
            .with("updated_at", time(self.updated_at))
            .finish();
        match size_bytes(&item) {
            size if size <= ITEM_BYTES_MAX => Ok(item),
            size => Err(refused(format!(
                "compressed it takes {size} bytes, and an item holds at most {ITEM_BYTES_MAX}"
            ))),
        }
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let key = item
            .get("id")
            .and_then(|value| value.as_s().ok())
            .cloned()
            .unwrap_or_default();
        let read = Reader::new(MESSAGES.name, key, item);
        let opt_text = |name| Ok::<_, StoreError>(read.opt_text(name)?.map(str::to_owned));
        let opt_long = |name| match read.opt_bytes(name)? {
            None => Ok(None),
            Some(blob) => decompress(blob)
                .and_then(|text| String::from_utf8(text).ok())
                .map(Some)
                .ok_or_else(|| read.corrupt(name)),
        };
        Ok(Self {
            id: read.parsed("id")?,
            correlation_id: read.text("correlation_id")?.to_owned(),
            queue_url: read.text("queue_url")?.to_owned(),
            group_id: opt_text("group_id")?,
            subject: opt_text("subject")?,
            body: opt_long("body")?.ok_or_else(|| read.corrupt("body"))?,
            attributes: opt_long("attributes")?,
            status: read.parsed("status")?,
            error_log: opt_text("error_log")?,
            failure_count: read.number("failure_count")?,
            failed_at: read.opt_time("failed_at")?,
            processed_at: read.opt_time("processed_at")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        })
    }
}

impl Store {
    /// Writes a message as it is, whatever was there. One that takes more than 400 KB, its body and
    /// attributes compressed, is [`StoreError::Refused`].
    pub async fn put_message(&self, message: &Message) -> Result<(), StoreError> {
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&MESSAGES))
            .set_item(Some(message.to_item()?))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted(WRITE))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// The messages with some ids, any number, in the order of the ids and each once; those that do
    /// not exist are missing. Strongly consistent.
    pub async fn messages(&self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        let keys = keys_of(ids, |id| id.to_string());
        let items = self.items_by_key(&MESSAGES, "read messages", keys).await?;
        let found: Result<Vec<_>, _> = items.iter().map(Message::from_item).collect();
        Ok(in_order_of(ids, |message: &Message| message.id, found?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_message_is_taken_up_to_what_an_item_holds_and_refused_beyond() {
        let message = |error_bytes: usize| Message {
            id: Uuid::from_u128(1).try_into().unwrap(),
            correlation_id: "c".to_owned(),
            queue_url: "https://queue.example.com/messages".to_owned(),
            group_id: None,
            subject: None,
            body: "{}".repeat(128 << 10),
            attributes: None,
            status: MessageStatus::Failed,
            error_log: Some("x".repeat(error_bytes)),
            failure_count: 1,
            failed_at: None,
            processed_at: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        let rest = size_bytes(&message(0).to_item().unwrap());
        assert!(
            rest < 1_000,
            "a body of 256 KB that repeats itself takes {rest} bytes"
        );
        let room = ITEM_BYTES_MAX - rest;
        for error_bytes in [room - 1, room] {
            assert!(message(error_bytes).to_item().is_ok());
        }
        let refused = message(room + 1).to_item();
        assert!(matches!(refused, Err(StoreError::Refused { .. })));
    }
}
