//! Event source mappings: a queue's messages are handed to a function, and those that it does not
//! report as failed are deleted.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::time::Duration;

use anyhow::Context;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use weir_lambda::Deadline;
use weir_runtime::Clock;

use crate::embedded::{ACCOUNT_ID, REGION, Sqs};

/// How often a message is received before it goes to the dead letters.
const RECEIVES_MAX: u32 = 5;
/// How long a receive waits for messages.
const WAIT_SECONDS: i32 = 20;
/// The pause after a receive that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A queue and the time of the function behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueSpec {
    pub(super) name: &'static str,
    timeout: Duration,
}

impl QueueSpec {
    pub(super) fn new(name: &'static str, timeout: Duration) -> Self {
        Self { name, timeout }
    }

    /// Makes the queue and its dead-letter queue. A message is out of sight for six times the
    /// function's time, as AWS recommends.
    pub(super) async fn create(&self, sqs: &Client) -> anyhow::Result<()> {
        let dead = format!("{}-dead", self.name);
        sqs.create_queue()
            .queue_name(&dead)
            .send()
            .await
            .context("make a dead-letter queue")?;
        let redrive = json!({
            "deadLetterTargetArn": Sqs::queue_arn(&dead),
            "maxReceiveCount": RECEIVES_MAX,
        });
        let visibility = self.timeout.as_secs() * 6;
        sqs.create_queue()
            .queue_name(self.name)
            .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
            .attributes(
                QueueAttributeName::VisibilityTimeout,
                visibility.to_string(),
            )
            .send()
            .await
            .context("make a queue")?;
        Ok(())
    }
}

/// One event source mapping.
pub(super) struct Pump {
    pub(super) sqs: Client,
    pub(super) queue: QueueSpec,
    pub(super) url: String,
    pub(super) clock: Clock,
}

impl Pump {
    /// Hands messages to the handler for ever.
    pub(super) async fn run<H, F, E>(self, handler: H)
    where
        H: Fn(Value, Deadline) -> F,
        F: Future<Output = Result<Value, E>>,
        E: Display,
    {
        loop {
            match self.receive().await {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    let deadline = Deadline::after(self.queue.timeout, &self.clock);
                    match handler(self.event(&messages), deadline).await {
                        Ok(answer) => self.delete_done(&messages, &answer).await,
                        Err(error) => {
                            tracing::error!(%error, queue = self.queue.name, "an invocation failed");
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(%error, queue = self.queue.name, "nothing could be received");
                    self.clock.sleep(PAUSE).await;
                }
            }
        }
    }

    async fn receive(&self) -> anyhow::Result<Vec<Message>> {
        let answer = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .wait_time_seconds(WAIT_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await?;
        Ok(answer.messages.unwrap_or_default())
    }

    fn event(&self, messages: &[Message]) -> Value {
        let records: Vec<_> = messages
            .iter()
            .map(|message| self.record(message))
            .collect();
        json!({ "Records": records })
    }

    fn record(&self, message: &Message) -> Value {
        let attributes: HashMap<_, _> = message
            .attributes()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str().to_owned(), value.clone()))
            .collect();
        let own: HashMap<_, _> = message
            .message_attributes()
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                (
                    name.clone(),
                    json!({"stringValue": value.string_value(), "dataType": value.data_type()}),
                )
            })
            .collect();
        json!({
            "messageId": message.message_id(),
            "receiptHandle": message.receipt_handle(),
            "body": message.body(),
            "attributes": attributes,
            "messageAttributes": own,
            "md5OfBody": message.md5_of_body(),
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{}", self.queue.name),
            "awsRegion": REGION,
        })
    }

    async fn delete_done(&self, messages: &[Message], answer: &Value) {
        let failed: BTreeSet<&str> = answer
            .get("batchItemFailures")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|failure| failure.get("itemIdentifier")?.as_str())
            .collect();
        let entries: Vec<_> = messages
            .iter()
            .filter(|message| !message.message_id().is_some_and(|id| failed.contains(id)))
            .enumerate()
            .filter_map(|(index, message)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(message.receipt_handle()?)
                    .build()
                    .ok()
            })
            .collect();
        if entries.is_empty() {
            return;
        }
        let request = self.sqs.delete_message_batch().queue_url(&self.url);
        if let Err(error) = request.set_entries(Some(entries)).send().await {
            tracing::warn!(
                ?error,
                queue = self.queue.name,
                "messages could not be deleted"
            );
        }
    }
}

/// What EventBridge sends on a schedule.
pub(super) fn schedule_event(now: DateTime<Utc>) -> Value {
    json!({
        "version": "0",
        "source": "aws.scheduler",
        "detail-type": "Scheduled Event",
        "time": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": REGION,
        "account": ACCOUNT_ID,
        "detail": {},
    })
}
