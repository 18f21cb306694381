//! Messages that were taken from queues and kept: what brought reference data, and what ended among
//! the dead letters.
//!
//! A message is kept whole. One whose body no item has room for keeps it in the bucket, under
//! `messages/<id>`: the object is there before the item that says so, and holds what the message's id
//! stands for, so it is the same however often it is put.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::MessageAttributeValue;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use weir_domain::{MessageId, MessageStatus};

use crate::error::{sorted, unavailable};
use crate::get::{in_order_of, keys_of};
use crate::item::{ITEM_BYTES_MAX, Item, Reader, Writer, bytes, number, size_bytes, text, time};
use crate::payload::{compress, decompress};
use crate::tables::MESSAGES;
use crate::{CreatedId, Month, Store, StoreError};

const WRITE: &str = "write a message";
const READ: &str = "read messages";
/// Where bodies lie that no item has room for, each under its message's id. Nothing else is uploaded
/// there: it is no client's folder.
pub const MESSAGES_PREFIX: &str = "messages/";
/// Most characters of why a message could not be applied; what is longer is cut.
const ERROR_CHARACTERS_MAX: usize = 4_000;

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

/// What applying a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageMark {
    /// It was applied, or is known to change nothing.
    Processed {
        /// When.
        at: DateTime<Utc>,
    },
    /// It could not be applied.
    Failed {
        /// When.
        at: DateTime<Utc>,
        /// Why, in words; cut to 4 000 characters.
        error_log: String,
        /// How often that has happened, this time included.
        failure_count: u32,
    },
}

fn refused(reason: String) -> StoreError {
    StoreError::Refused {
        operation: WRITE,
        reason,
    }
}

fn compressed(text: &str) -> Result<aws_sdk_dynamodb::types::AttributeValue, StoreError> {
    compress(text.as_bytes())
        .map(bytes)
        .ok_or_else(|| refused(format!("{} bytes are too long for it", text.len())))
}

fn opt_long(read: &Reader<'_>, name: &'static str) -> Result<Option<String>, StoreError> {
    let Some(blob) = read.opt_bytes(name)? else {
        return Ok(None);
    };
    decompress(blob)
        .and_then(|text| String::from_utf8(text).ok())
        .map(Some)
        .ok_or_else(|| read.corrupt(name))
}

fn cut(error_log: &str) -> String {
    error_log.chars().take(ERROR_CHARACTERS_MAX).collect()
}

impl Message {
    /// The item, and whether it has room for the body: if not, it only says where that lies.
    fn to_item(&self) -> Result<(Item, bool), StoreError> {
        let attributes = self.attributes.as_deref().map(compressed).transpose()?;
        let rest = Writer::default()
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
            .with_some("attributes", attributes)
            .with("status", text(self.status.name()))
            .with_some("error_log", self.error_log.as_ref().map(text))
            .with("failure_count", number(self.failure_count))
            .with_some("failed_at", self.failed_at.map(time))
            .with_some("processed_at", self.processed_at.map(time))
            .with("created_at", time(self.created_at))
            .with("updated_at", time(self.updated_at))
            .finish();
        let mut whole = rest.clone();
        whole.insert("body".to_owned(), compressed(&self.body)?);
        // What is said of the message later finds room too.
        if size_bytes(&whole) + ERROR_CHARACTERS_MAX * 4 <= ITEM_BYTES_MAX {
            return Ok((whole, true));
        }
        let mut apart = rest;
        apart.insert("body_object".to_owned(), text(self.object_key()));
        match size_bytes(&apart) {
            size if size <= ITEM_BYTES_MAX => Ok((apart, false)),
            size => Err(refused(format!(
                "without its body it takes {size} bytes, and an item holds at most {ITEM_BYTES_MAX}"
            ))),
        }
    }

    fn object_key(&self) -> String {
        format!("{MESSAGES_PREFIX}{}", self.id)
    }

    /// The message of an item, and where its body lies, if that is not in the item.
    fn from_item(item: &Item) -> Result<(Self, Option<String>), StoreError> {
        let key = item
            .get("id")
            .and_then(|value| value.as_s().ok())
            .cloned()
            .unwrap_or_default();
        let read = Reader::new(MESSAGES.name, key, item);
        let opt_text = |name| Ok::<_, StoreError>(read.opt_text(name)?.map(str::to_owned));
        let body_object = opt_text("body_object")?;
        let body = match opt_long(&read, "body")? {
            None if body_object.is_none() => return Err(read.corrupt("body")),
            body => body.unwrap_or_default(),
        };
        let message = Self {
            id: read.parsed("id")?,
            correlation_id: read.text("correlation_id")?.to_owned(),
            queue_url: read.text("queue_url")?.to_owned(),
            group_id: opt_text("group_id")?,
            subject: opt_text("subject")?,
            body,
            attributes: opt_long(&read, "attributes")?,
            status: read.parsed("status")?,
            error_log: opt_text("error_log")?,
            failure_count: read.number("failure_count")?,
            failed_at: read.opt_time("failed_at")?,
            processed_at: read.opt_time("processed_at")?,
            created_at: read.time("created_at")?,
            updated_at: read.time("updated_at")?,
        };
        Ok((message, body_object))
    }
}

impl Store {
    /// Writes a message as it is, whatever was there. A body that no item has room for goes to the
    /// bucket; attributes that none has room for are [`StoreError::Refused`].
    pub async fn put_message(&self, message: &Message) -> Result<(), StoreError> {
        self.write_message(message, None).await
    }

    /// Keeps a message unless there is one with its id, and gives the one that is there then.
    pub async fn keep_message(&self, message: &Message) -> Result<Message, StoreError> {
        let unless_there = Some("attribute_not_exists(id)");
        match self.write_message(message, unless_there).await {
            Ok(()) => Ok(message.clone()),
            // Somebody else's, or one of ours whose answer was lost.
            Err(StoreError::Conflict { operation }) => {
                let known = self.messages(&[message.id]).await?;
                let gone = StoreError::Conflict { operation };
                known.into_iter().next().ok_or(gone)
            }
            Err(error) => Err(error),
        }
    }

    async fn write_message(
        &self,
        message: &Message,
        condition: Option<&str>,
    ) -> Result<(), StoreError> {
        let (item, is_whole) = message.to_item()?;
        if !is_whole {
            self.put_body(message).await?;
        }
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&MESSAGES))
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted(WRITE))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    async fn put_body(&self, message: &Message) -> Result<(), StoreError> {
        self.clients
            .s3
            .put_object()
            .bucket(&self.names.bucket)
            .key(message.object_key())
            .content_type("application/json")
            .body(ByteStream::from(Bytes::from(message.body.clone())))
            .send()
            .await
            .map_err(sorted("store a message's body"))?;
        Ok(())
    }

    /// The body of a message that lies in the bucket.
    pub async fn read_body(&self, id: MessageId, key: &str) -> Result<String, StoreError> {
        let answer = self
            .clients
            .s3
            .get_object()
            .bucket(&self.names.bucket)
            .key(key)
            .send()
            .await
            .map_err(sorted("read a message's body"))?;
        let body = answer.body.collect().await;
        let body = body.map_err(|_| unavailable(READ, "the connection was cut"))?;
        String::from_utf8(body.to_vec()).map_err(|_| StoreError::Corrupt {
            table: MESSAGES.name,
            key: id.to_string(),
            attribute: "body_object",
        })
    }

    /// Notes what applying a message came to. One that was processed stays so whatever comes later,
    /// and is no error; one that is not there is a [`StoreError::Refused`].
    pub async fn mark_message(&self, id: MessageId, mark: &MessageMark) -> Result<(), StoreError> {
        const OPERATION: &str = "mark a message";
        let (status, at, failure) = match mark {
            MessageMark::Processed { at } => (MessageStatus::Processed, *at, None),
            MessageMark::Failed {
                at,
                error_log,
                failure_count,
            } => (MessageStatus::Failed, *at, Some((error_log, failure_count))),
        };
        let request = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&MESSAGES))
            .key("id", text(id.to_string()))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(status.name()))
            .expression_attribute_values(":at", time(at))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let request = match failure {
            None => request
                .update_expression("SET #status = :status, processed_at = :at, updated_at = :at")
                .condition_expression("attribute_exists(id)"),
            Some((error_log, failure_count)) => request
                .update_expression(
                    "SET #status = :status, failed_at = :at, updated_at = :at, \
                     error_log = :error_log, failure_count = :failure_count",
                )
                .condition_expression("attribute_exists(id) AND #status <> :processed")
                .expression_attribute_values(":processed", text(MessageStatus::Processed.name()))
                .expression_attribute_values(":error_log", text(cut(error_log)))
                .expression_attribute_values(":failure_count", number(*failure_count)),
        };
        match request.send().await.map_err(sorted(OPERATION)) {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(())
            }
            Err(StoreError::Conflict { operation }) => {
                let known = self.messages(&[id]).await?;
                if known.is_empty() {
                    return Err(StoreError::Refused {
                        operation,
                        reason: format!("there is no message {id}"),
                    });
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The messages with some ids, any number, in the order of the ids and each once; those that do
    /// not exist are missing. Strongly consistent. Bodies in the bucket are read one after another.
    pub async fn messages(&self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        let mut found = Vec::new();
        for (mut message, body_object) in self.messages_unread(ids).await? {
            if let Some(key) = body_object {
                message.body = self.read_body(message.id, &key).await?;
            }
            found.push(message);
        }
        Ok(found)
    }

    /// The same, where a body that lies in the bucket is left out and its object named instead.
    pub async fn messages_unread(
        &self,
        ids: &[MessageId],
    ) -> Result<Vec<(Message, Option<String>)>, StoreError> {
        let keys = keys_of(ids, |id| id.to_string());
        let items = self.items_by_key(&MESSAGES, READ, keys).await?;
        let found: Vec<_> = items
            .iter()
            .map(Message::from_item)
            .collect::<Result<_, _>>()?;
        let id = |(message, _): &(Message, Option<String>)| message.id;
        Ok(in_order_of(ids, id, found))
    }

    /// Puts the body of a kept message on a queue again, with the attributes that name it: whoever
    /// receives it knows that it is no new one. Fair by the message's group.
    pub async fn send_replay(&self, queue_url: &str, message: &Message) -> Result<(), StoreError> {
        const OPERATION: &str = "replay a message";
        let attribute = |value: String| {
            MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .map_err(|_| unavailable(OPERATION, "an attribute is incomplete"))
        };
        self.clients
            .sqs
            .send_message()
            .queue_url(queue_url)
            .message_body(&message.body)
            .set_message_group_id(message.group_id.clone())
            .message_attributes("replay_of", attribute(message.id.to_string())?)
            .message_attributes("correlation_id", attribute(message.correlation_id.clone())?)
            .send()
            .await
            .map_err(sorted(OPERATION))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn message(error_bytes: usize) -> Message {
        Message {
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
        }
    }

    #[test]
    fn a_body_is_in_its_item_as_long_as_that_has_room_for_it_and_for_what_is_said_later() {
        let rest = size_bytes(&message(0).to_item().unwrap().0);
        assert!(
            rest < 1_000,
            "a body of 256 KB that repeats itself takes {rest} bytes"
        );
        let room = ITEM_BYTES_MAX - ERROR_CHARACTERS_MAX * 4 - rest;
        for (error_bytes, is_whole) in [(room - 1, true), (room, true), (room + 1, false)] {
            let (item, whole) = message(error_bytes).to_item().unwrap();
            assert_eq!(whole, is_whole, "{error_bytes}");
            assert_eq!(item.contains_key("body_object"), !is_whole);
        }
    }

    #[test]
    fn a_message_is_refused_whose_item_has_no_room_without_its_body_either() {
        let without = message(0).object_key().len() + "body_object".len();
        let whole = message(0).to_item().unwrap().0;
        let body = size_bytes(&Item::from([("body".to_owned(), whole["body"].clone())]));
        let room = ITEM_BYTES_MAX - (size_bytes(&whole) - body + without);
        for error_bytes in [room - 1, room] {
            assert!(message(error_bytes).to_item().is_ok());
        }
        let refused = message(room + 1).to_item();
        assert!(matches!(refused, Err(StoreError::Refused { .. })));
    }

    #[test]
    fn the_reason_of_a_failure_is_cut_to_what_is_kept_free_for_it() {
        for (length, kept) in [(3_999, 3_999), (4_000, 4_000), (4_001, 4_000)] {
            assert_eq!(cut(&"é".repeat(length)).chars().count(), kept);
        }
    }
}
