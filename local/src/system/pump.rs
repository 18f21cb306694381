//! Event source mappings: a queue's messages are handed to a function, and those that it says are done
//! are deleted.
//!
//! Invariant: a message is deleted only on an answer that was understood and does not name it. An
//! invocation that failed, panicked or ran out of time deletes nothing, and the next one follows.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{DisplayErrorContext, SdkError};
use aws_sdk_sqs::operation::create_queue::CreateQueueError;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use serde_json::{Value, json};
use weir_lambda::Deadline;
use weir_runtime::Clock;

use crate::embedded::{ACCOUNT_ID, REGION, Sqs};
use crate::system::SystemError;
use crate::system::answer::failures;
use crate::system::invoke::invoke;

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
    pub(super) timeout: Duration,
}

impl QueueSpec {
    /// Makes the queue and its dead-letter queue. A message is out of sight for six times the
    /// function's time, as AWS recommends.
    pub(super) async fn create(&self, sqs: &Client) -> Result<(), SystemError> {
        let dead = format!("{}-dead", self.name);
        let failed = |queue: &str, error: SdkError<CreateQueueError>| SystemError::Queue {
            queue: queue.to_owned(),
            reason: DisplayErrorContext(error).to_string(),
        };
        let request = sqs.create_queue().queue_name(&dead);
        let made = request.send().await;
        made.map_err(|error| failed(&dead, error))?;
        let redrive = json!({
            "deadLetterTargetArn": Sqs::queue_arn(&dead),
            "maxReceiveCount": RECEIVES_MAX,
        });
        let visibility = self.timeout.as_secs() * 6;
        let request = sqs.create_queue().queue_name(self.name);
        let request = request.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string());
        let visibility_name = QueueAttributeName::VisibilityTimeout;
        let request = request.attributes(visibility_name, visibility.to_string());
        let made = request.send().await;
        made.map_err(|error| failed(self.name, error))?;
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
        F: Future<Output = Result<Value, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let QueueSpec { name, timeout } = self.queue;
        loop {
            let messages = match self.receive().await {
                Ok(messages) if messages.is_empty() => continue,
                Ok(messages) => messages,
                Err(error) => {
                    let error = DisplayErrorContext(error);
                    tracing::error!(%error, queue = name, "nothing could be received");
                    self.clock.sleep(PAUSE).await;
                    continue;
                }
            };
            let deadline = Deadline::after(timeout, &self.clock);
            let invocation = handler(self.event(&messages), deadline);
            match invoke(&self.clock, timeout, invocation).await {
                Ok(answer) => self.delete_done(&messages, answer).await,
                Err(error) => {
                    tracing::error!(%error, queue = name, "an invocation failed: all messages stay");
                }
            }
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, SdkError<ReceiveMessageError>> {
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

    /// Deletes what the answer says is done: nothing, when it cannot be understood.
    async fn delete_done(&self, messages: &[Message], answer: Value) {
        let queue = self.queue.name;
        let batch = messages.iter().filter_map(Message::message_id).collect();
        let failed = match failures(answer, &batch) {
            Ok(failed) => failed,
            Err(error) => {
                tracing::error!(%error, queue, "an answer that says nothing: all messages stay");
                return;
            }
        };
        let entries: Vec<_> = messages
            .iter()
            // A message without an id could not be named as failed.
            .filter(|message| message.message_id().is_some_and(|id| !failed.contains(id)))
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
        match request.set_entries(Some(entries)).send().await {
            Ok(answer) => {
                for refused in answer.failed() {
                    let (code, reason) = (refused.code(), refused.message());
                    tracing::warn!(code, reason, queue, "a message was not deleted");
                }
            }
            Err(error) => {
                let error = DisplayErrorContext(error);
                tracing::warn!(%error, queue, "messages could not be deleted");
            }
        }
    }
}

#[cfg(test)]
mod tests;
