//! Messages that were taken from queues and kept: what brought reference data, and what ended among
//! the dead letters.
//!
//! A message is kept whole, whatever it holds. A body that no item has room for lies in the bucket, and so
//! do attributes: under `messages/<id>/<hash of the text>`, and the item says so. The object is there before
//! the item, and as its name follows from what it holds, nobody can put another text in its place: not
//! even one who makes up a message with the id of one that is kept.

mod item;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::MessageAttributeValue;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use weir_domain::{MessageId, MessageStatus};

use crate::error::{sorted, unavailable};
use crate::get::{in_order_of, keys_of};
use crate::item::{number, text, time};
use crate::tables::MESSAGES;
use crate::{Store, StoreError};
use item::{Apart, Stored, cut};

const WRITE: &str = "write a message";
const READ: &str = "read messages";
/// The attribute that names the message whose body is sent again.
const REPLAY_OF: &str = "replay_of";
/// The attribute that carries the correlation id.
const CORRELATION_ID: &str = "correlation_id";
/// The type of both.
const TEXT_TYPE: &str = "String";
/// Where texts lie that no item has room for, under their message's id. Nothing else is uploaded there: it
/// is no client's folder.
pub const MESSAGES_PREFIX: &str = "messages/";

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
    /// It could not be applied, once more.
    Failed {
        /// When.
        at: DateTime<Utc>,
        /// Why, in words; cut to 4 000 characters.
        error_log: String,
    },
}

impl Message {
    /// Most bytes that a queue takes for a message: its body, and the names, types and values of its
    /// attributes (a limit of SQS).
    pub const QUEUE_BYTES_MAX: usize = 1 << 20;

    /// The attributes with which it is put on its queue again.
    fn replay_attributes(&self) -> [(&'static str, String); 2] {
        [
            (REPLAY_OF, self.id.to_string()),
            (CORRELATION_ID, self.correlation_id.clone()),
        ]
    }

    /// How many bytes it is to a queue when it is put there again: more than when it came, by what says
    /// that it is no new one.
    pub fn replay_bytes(&self) -> usize {
        let attributes = self.replay_attributes();
        let attributes = attributes.iter();
        self.body.len()
            + attributes
                .map(|(name, value)| name.len() + TEXT_TYPE.len() + value.len())
                .sum::<usize>()
    }
}

impl Store {
    /// Writes a message as it is, whatever was there. A body that no item has room for goes to the
    /// bucket, and so do such attributes. Why it failed is cut to 4 000 characters.
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
        let Stored { item, objects } = message.to_item()?;
        for (key, text) in objects {
            self.put_object(key, text).await?;
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

    async fn put_object(&self, key: String, text: &str) -> Result<(), StoreError> {
        self.clients
            .s3
            .put_object()
            .bucket(&self.names.bucket)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(Bytes::copy_from_slice(text.as_bytes())))
            .send()
            .await
            .map_err(sorted("store a message's body"))?;
        Ok(())
    }

    /// The body of a message that lies in the bucket.
    pub async fn read_body(&self, id: MessageId, key: &str) -> Result<String, StoreError> {
        self.read_text(id, key, "body_object").await
    }

    async fn read_text(
        &self,
        id: MessageId,
        key: &str,
        attribute: &'static str,
    ) -> Result<String, StoreError> {
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
            attribute,
        })
    }

    /// Notes what applying a message came to, and tells whether that was noted: one that was processed
    /// stays so whatever fails later. Failures are counted here, each at least once.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is no such message.
    pub async fn mark_message(
        &self,
        id: MessageId,
        mark: &MessageMark,
    ) -> Result<bool, StoreError> {
        const OPERATION: &str = "mark a message";
        let (status, at, failure) = match mark {
            MessageMark::Processed { at } => (MessageStatus::Processed, *at, None),
            MessageMark::Failed { at, error_log } => (MessageStatus::Failed, *at, Some(error_log)),
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
            Some(error_log) => request
                .update_expression(
                    "SET #status = :status, failed_at = :at, updated_at = :at, \
                     error_log = :error_log ADD failure_count :once",
                )
                .condition_expression("attribute_exists(id) AND #status <> :processed")
                .expression_attribute_values(":processed", text(MessageStatus::Processed.name()))
                .expression_attribute_values(":error_log", text(cut(error_log)))
                .expression_attribute_values(":once", number(1)),
        };
        match request.send().await.map_err(sorted(OPERATION)) {
            Ok(answer) => {
                self.capacity.wrote(answer.consumed_capacity());
                Ok(true)
            }
            Err(StoreError::Conflict { operation }) => {
                let known = self.messages_unread(&[id]).await?;
                if known.is_empty() {
                    return Err(StoreError::Refused {
                        operation,
                        reason: format!("there is no message {id}"),
                    });
                }
                Ok(false)
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
    /// Attributes are there, wherever they lie.
    pub async fn messages_unread(
        &self,
        ids: &[MessageId],
    ) -> Result<Vec<(Message, Option<String>)>, StoreError> {
        let keys = keys_of(ids, |id| id.to_string());
        let items = self.items_by_key(&MESSAGES, READ, keys).await?;
        let mut found = Vec::with_capacity(items.len());
        for item in &items {
            let (mut message, Apart { body, attributes }) = Message::from_item(item)?;
            if let Some(key) = attributes {
                let read = self.read_text(message.id, &key, "attributes_object");
                message.attributes = Some(read.await?);
            }
            found.push((message, body));
        }
        let id = |(message, _): &(Message, Option<String>)| message.id;
        Ok(in_order_of(ids, id, found))
    }

    /// Puts the body of a kept message on a queue again, with the attributes that name it: whoever
    /// receives it knows that it is no new one. Fair by the message's group. A queue refuses one of more
    /// than [`Message::QUEUE_BYTES_MAX`], which [`Message::replay_bytes`] tells before.
    pub async fn send_replay(&self, queue_url: &str, message: &Message) -> Result<(), StoreError> {
        const OPERATION: &str = "replay a message";
        let attribute = |value: String| {
            MessageAttributeValue::builder()
                .data_type(TEXT_TYPE)
                .string_value(value)
                .build()
                .map_err(|_| unavailable(OPERATION, "an attribute is incomplete"))
        };
        let mut request = self
            .clients
            .sqs
            .send_message()
            .queue_url(queue_url)
            .message_body(&message.body)
            .set_message_group_id(message.group_id.clone());
        for (name, value) in message.replay_attributes() {
            request = request.message_attributes(name, attribute(value)?);
        }
        request.send().await.map_err(sorted(OPERATION))?;
        Ok(())
    }
}
