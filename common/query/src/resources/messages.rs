//! SQS messages: what brought reference data, and what ended among the dead letters.

use uuid::Uuid;
use weir_domain::MessageId;
use weir_store::{CreatedId, CreatedRange, Direction, Message, Month, Store, StoreError};

use crate::schema::{ANY_TEXT, COUNT, Field, Parameter, Resource, Rule, SOME_TEXT, text};
use crate::walk::Keyed;
use crate::{Row, Value};

const STATUSES: &[&str] = &["Unprocessed", "Processed", "Failed"];

/// A message: an answer to `/v1/sqsmessages`.
pub static MESSAGE: Resource = Resource {
    name: "SQS message",
    is_in_order_of_creation: true,
    fields: &[
        Field::id("id", "The message as it is kept here"),
        Field::text("correlation_id", "The correlation id of its delivery"),
        Field::text("queue_url", "The queue that it came from"),
        Field::text("group_id", "The group that it was sent in"),
        Field::text("subject", "What it is about, as its sender says"),
        Field::text("body", "Its text").heavy(),
        Field::text("attributes", "Its attributes, as JSON"),
        Field::one_of("status", STATUSES, "Where it stands"),
        Field::text("error_log", "Why it failed"),
        Field::time("processed_at", "When it was applied"),
        Field::time("created_at", "When it came"),
        Field::time("updated_at", "When it last changed"),
    ],
    parameters: &[
        Parameter::by("id", Rule::Id),
        Parameter::by("correlation_id", text(1_024)),
        Parameter::by(
            "queue_url",
            Rule::Text {
                chars_min: 0,
                chars_max: Some(2_000),
                begins_with: "https://",
            },
        ),
        Parameter::by("group_id", ANY_TEXT),
        Parameter::by("subject", text(1_024)),
        Parameter::by("body", SOME_TEXT),
        Parameter::by("attributes", SOME_TEXT),
        Parameter::by("status", Rule::OneOf(STATUSES)),
        Parameter::by("error_log", SOME_TEXT),
        // These two are not shown: the contract's answer has no place for them.
        Parameter::by("failure_count", COUNT),
        Parameter::by("failed_at", Rule::Time),
        Parameter::by("processed_at", Rule::Time),
        Parameter::by("created_at", Rule::Time),
        Parameter::by("updated_at", Rule::Time),
    ],
};

/// What a scan of messages is narrowed by, the best first.
pub(crate) const NARROWER: &[&str] = &["id", "created_at:gte"];

/// A message as a row.
#[derive(Debug, Clone)]
pub struct MessageRow {
    /// The message; its body may lie elsewhere.
    message: Message,
    /// Where its body lies, if not beside it.
    body_object: Option<String>,
}

impl Row for MessageRow {
    fn value(&self, field: &str) -> Value<'_> {
        let message = &self.message;
        match field {
            "id" => Value::id(message.id),
            "correlation_id" => Value::text(&message.correlation_id),
            "queue_url" => Value::text(&message.queue_url),
            "group_id" => Value::opt_text(message.group_id.as_deref()),
            "subject" => Value::opt_text(message.subject.as_deref()),
            "body" if message.body.is_empty() => Value::Absent,
            "body" => Value::text(&message.body),
            "attributes" => Value::opt_text(message.attributes.as_deref()),
            "status" => Value::text(message.status.name()),
            "error_log" => Value::opt_text(message.error_log.as_deref()),
            "failure_count" => Value::count(message.failure_count),
            "failed_at" => Value::opt_time(message.failed_at),
            "processed_at" => Value::opt_time(message.processed_at),
            "created_at" => Value::Time(message.created_at),
            "updated_at" => Value::Time(message.updated_at),
            _ => Value::Absent,
        }
    }

    fn position(&self) -> CreatedId {
        CreatedId {
            created_ms: self.message.created_at.timestamp_millis(),
            id: self.message.id.uuid(),
        }
    }

    fn unload(&mut self) {
        if self.body_object.is_some() {
            self.message.body = String::new();
        }
    }
}

/// The messages as they are kept.
#[derive(Debug)]
pub struct Messages;

impl Keyed for Messages {
    type Row = MessageRow;
    type Partition = Month;
    /// Each with a body of some hundred kilobytes at most.
    const TOGETHER: usize = 100;

    fn month(month: Month) -> Option<Month> {
        Some(month)
    }

    async fn keys(
        store: &Store,
        partition: Month,
        range: CreatedRange,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<CreatedId>, StoreError> {
        store.message_keys(partition, range, direction, limit).await
    }

    async fn items(store: &Store, ids: &[Uuid]) -> Result<Vec<MessageRow>, StoreError> {
        let ids: Vec<MessageId> = ids.iter().filter_map(|id| (*id).try_into().ok()).collect();
        let messages = store.messages_unread(&ids).await?;
        let row = |(message, body_object)| MessageRow {
            message,
            body_object,
        };
        Ok(messages.into_iter().map(row).collect())
    }

    async fn load(store: &Store, rows: &mut [MessageRow]) -> Result<(), StoreError> {
        for row in rows {
            if let Some(object) = &row.body_object {
                row.message.body = store.read_body(row.message.id, object).await?;
            }
        }
        Ok(())
    }
}
