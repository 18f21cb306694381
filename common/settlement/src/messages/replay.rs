//! Applies a kept message again, once what kept it from being applied has been put right.

use weir_domain::MessageId;
use weir_store::{Message, Store, StoreError};

/// Why a message was not sent again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplayError {
    /// There is none with this id.
    #[error("there is no message {0}")]
    Unknown(MessageId),
    /// It was kept from another queue, whose messages nobody takes on the messages queue.
    #[error(
        "the message {id} came from {queue_url}: only messages of the messages queue can be replayed"
    )]
    OtherQueue {
        /// The message.
        id: MessageId,
        /// Its queue.
        queue_url: String,
    },
    /// With what names it, which it did not have when it came, it is more than a queue takes.
    #[error(
        "the message {id} cannot be replayed: with what names it it has {bytes} bytes, and a queue takes at \
         most {}; have it sent anew",
        Message::QUEUE_BYTES_MAX
    )]
    TooLarge {
        /// The message.
        id: MessageId,
        /// How many bytes it would have.
        bytes: usize,
    },
    /// Tables or queue could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts the body of a message on the messages queue again, named as what it is: the message itself is
/// applied again and marked, and no other one is made. Gives the message as it stands.
///
/// A message that was processed may be replayed too, which changes nothing.
pub async fn replay(
    store: &Store,
    messages_queue_url: &str,
    id: MessageId,
) -> Result<Message, ReplayError> {
    let found = store.messages(&[id]).await?.into_iter().next();
    let message = found.ok_or(ReplayError::Unknown(id))?;
    if !is_of(&message.queue_url, messages_queue_url) {
        return Err(ReplayError::OtherQueue {
            id,
            queue_url: message.queue_url,
        });
    }
    if let Some(too_large) = too_large(&message) {
        return Err(too_large);
    }
    store.send_replay(messages_queue_url, &message).await?;
    Ok(message)
}

/// Why a queue would not take a message again.
fn too_large(message: &Message) -> Option<ReplayError> {
    let (id, bytes) = (message.id, message.replay_bytes());
    (bytes > Message::QUEUE_BYTES_MAX).then_some(ReplayError::TooLarge { id, bytes })
}

/// Whether a message's queue is this one, or the one of its dead letters. Where a queue is may be
/// written in several ways; its name is what counts.
fn is_of(queue_url: &str, messages_queue_url: &str) -> bool {
    let name = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
    let (queue, messages) = (name(queue_url), name(messages_queue_url));
    let rest = queue.strip_prefix(&messages);
    !messages.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use weir_domain::MessageStatus;

    #[test]
    fn a_message_is_replayed_up_to_what_a_queue_takes_with_its_attributes() {
        // The names, types and values of `replay_of` and `correlation_id`.
        let attributes = 9 + 6 + 36 + 14 + 6 + 6;
        for (bytes, is_taken) in [
            ((1 << 20) - 1, true),
            (1 << 20, true),
            ((1 << 20) + 1, false),
        ] {
            let at = DateTime::UNIX_EPOCH;
            let message = Message {
                id: MessageId::of_delivery("sqs", "a"),
                correlation_id: "work-7".to_owned(),
                queue_url: String::new(),
                group_id: None,
                subject: None,
                body: "x".repeat(bytes - attributes),
                attributes: None,
                status: MessageStatus::Failed,
                error_log: None,
                failure_count: 1,
                failed_at: Some(at),
                processed_at: None,
                created_at: at,
                updated_at: at,
            };
            assert_eq!(message.replay_bytes(), bytes);
            assert_eq!(too_large(&message).is_none(), is_taken, "{bytes}");
        }
    }

    #[test]
    fn a_message_is_of_the_messages_queue_or_of_its_dead_letters() {
        for (queue, expected) in [
            ("https://sqs.us-east-1.amazonaws.com/1/weir-messages", true),
            (
                "https://sqs.us-east-1.amazonaws.com/1/weir-messages-dead",
                true,
            ),
            ("https://sqs.us-east-1.amazonaws.com/1/weir-details", false),
            (
                "https://sqs.us-east-1.amazonaws.com/1/weir-details-dead",
                false,
            ),
            (
                "https://sqs.us-east-1.amazonaws.com/1/weir-messages2",
                false,
            ),
            ("https://sqs.amazonaws.com/", false),
        ] {
            let found = is_of(queue, "http://127.0.0.1:9324/123456789012/weir-messages");
            assert_eq!(found, expected, "{queue}");
        }
        assert!(!is_of("https://sqs.amazonaws.com/", "http://127.0.0.1/"));
    }
}
