//! What came from a queue, and the message that is kept of it.
//!
//! A body is an SNS envelope or the sender's own text; it is kept as it came, whatever it is. Its id
//! here follows from the id that SNS gave the notification, or else SQS the message, so that a
//! delivery that comes twice is one message. Of an envelope subject, group and correlation id are
//! taken where they are; nothing in a body is refused here. An id of a group that no queue would take is
//! left out, and the message refused when it is read.
//!
//! Whoever can send may say of a message that it brings a kept one again. It is believed only of one that
//! holds the same body ([`replayed`]); any other is a message of its own.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_domain::{MessageId, MessageStatus};
use weir_runtime::CorrelationId;
use weir_store::{Message, Store, StoreError};

/// The attribute that names the message whose body is sent again.
const REPLAY_OF: &str = "replay_of";
/// The attribute that carries the correlation id.
const CORRELATION_ID: &str = "correlation_id";
/// Most characters of a subject; what is longer is cut. SNS itself takes 100.
const SUBJECT_CHARACTERS_MAX: usize = 1_024;

/// A record of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The id that SQS knows it under.
    pub message_id: String,
    /// The text, as it was sent.
    pub body: String,
    /// SQS's own attributes, such as `SentTimestamp` and `MessageGroupId`.
    pub attributes: BTreeMap<String, String>,
    /// The sender's attributes.
    pub message_attributes: BTreeMap<String, String>,
    /// The queue's name in AWS.
    pub queue_arn: Option<String>,
    /// How often it was received, this time included; 0 when that is not known.
    pub receive_count: u32,
    /// What its sender calls the work, or else the message id.
    pub correlation_id: CorrelationId,
}

/// Most characters of the id of a group (a limit of SQS).
pub(super) const GROUP_ID_CHARACTERS_MAX: usize = 128;

/// Whether a queue takes a text for the id of a group: letters, digits and punctuation of ASCII.
pub(super) fn is_group_id(text: &str) -> bool {
    (1..=GROUP_ID_CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The kept message that a delivery brings again; `None` when it brings none, whatever its sender says.
pub(crate) async fn replayed(
    store: &Store,
    delivery: &Delivery,
) -> Result<Option<Message>, StoreError> {
    let Some(id) = delivery.replay_of() else {
        return Ok(None);
    };
    let known = store.messages(&[id]).await?.into_iter().next();
    let known = known.filter(|known| known.body == delivery.body);
    if known.is_none() {
        let message_id = &delivery.message_id;
        tracing::warn!(message_id, replay_of = %id, "it does not bring again what it says it does");
    }
    Ok(known)
}

/// What SNS wraps around a text.
#[derive(Debug, Clone, Deserialize)]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "MessageId")]
    message_id: String,
    #[serde(rename = "Subject")]
    subject: Option<String>,
    #[serde(rename = "Message")]
    message: String,
    #[serde(rename = "MessageAttributes", default)]
    attributes: BTreeMap<String, EnvelopeAttribute>,
}

#[derive(Debug, Clone, Deserialize)]
struct EnvelopeAttribute {
    #[serde(rename = "Value", default)]
    value: Value,
}

impl Envelope {
    fn of(body: &str) -> Option<Self> {
        let envelope: Self = serde_json::from_str(body).ok()?;
        (envelope.kind == "Notification" && !envelope.message_id.is_empty()).then_some(envelope)
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.value.as_str()
    }
}

/// The sender's own text in a body: what an SNS envelope holds, or the body itself.
pub(super) fn text_of(body: &str) -> String {
    Envelope::of(body).map_or_else(|| body.to_owned(), |envelope| envelope.message)
}

impl Delivery {
    /// The message whose body it brings again, as its sender says. Nothing follows from that alone.
    pub fn replay_of(&self) -> Option<MessageId> {
        self.message_attributes.get(REPLAY_OF)?.parse().ok()
    }

    /// The name of its queue, without where that is.
    pub fn queue_name(&self) -> &str {
        let arn = self.queue_arn.as_deref().unwrap_or_default();
        arn.rsplit(':').next().unwrap_or_default()
    }

    /// The message that is kept of it, not applied yet, unless it brings another one again.
    pub fn to_message(&self, now: DateTime<Utc>) -> Message {
        let envelope = Envelope::of(&self.body);
        let outside = envelope.as_ref();
        let id = match outside {
            Some(envelope) => MessageId::of_delivery("sns", &envelope.message_id),
            None => MessageId::of_delivery("sqs", &self.message_id),
        };
        let correlation_id = self
            .message_attributes
            .get(CORRELATION_ID)
            .map(String::as_str)
            .or_else(|| outside?.attribute(CORRELATION_ID))
            .and_then(|id| CorrelationId::new(id).ok())
            .unwrap_or_else(|| self.correlation_id.clone());
        let subject = outside.and_then(|envelope| envelope.subject.as_deref());
        let attributes = json!({
            "attributes": self.attributes,
            "messageAttributes": self.message_attributes,
        });
        Message {
            id,
            correlation_id: correlation_id.as_str().to_owned(),
            queue_url: self.queue_url(),
            group_id: self.group_id(outside),
            subject: subject
                .filter(|subject| !subject.is_empty())
                .map(|subject| subject.chars().take(SUBJECT_CHARACTERS_MAX).collect()),
            body: self.body.clone(),
            attributes: Some(attributes.to_string()),
            status: MessageStatus::Unprocessed,
            error_log: None,
            failure_count: 0,
            failed_at: None,
            processed_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Where the queue is, as AWS writes it. Nothing is sent there.
    fn queue_url(&self) -> String {
        let arn = self.queue_arn.as_deref().unwrap_or_default();
        let parts: Vec<&str> = arn.split(':').collect();
        match parts.as_slice() {
            ["arn", _, "sqs", region, account, name] => {
                format!("https://sqs.{region}.amazonaws.com/{account}/{name}")
            }
            _ => "https://sqs.amazonaws.com/".to_owned(),
        }
    }

    fn group_id(&self, envelope: Option<&Envelope>) -> Option<String> {
        #[derive(Deserialize)]
        struct Grouped {
            group_id: Option<String>,
        }
        if let Some(group) = self.attributes.get("MessageGroupId") {
            return Some(group.clone()).filter(|group| is_group_id(group));
        }
        let text = envelope.map_or(self.body.as_str(), |envelope| &envelope.message);
        let grouped: Grouped = serde_json::from_str(text).ok()?;
        grouped.group_id.filter(|group| is_group_id(group))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn delivery(message_id: &str, body: &str) -> Delivery {
        Delivery {
            message_id: message_id.to_owned(),
            body: body.to_owned(),
            attributes: BTreeMap::new(),
            message_attributes: BTreeMap::new(),
            queue_arn: Some("arn:aws:sqs:us-east-1:123456789012:messages".to_owned()),
            receive_count: 1,
            correlation_id: CorrelationId::new(message_id).unwrap(),
        }
    }

    fn envelope(id: &str, message: &str) -> String {
        json!({
            "Type": "Notification",
            "MessageId": id,
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:reference",
            "Subject": "sellers",
            "Message": message,
            "Timestamp": "2026-01-02T03:04:05.678Z",
            "MessageAttributes": {"correlation_id": {"Type": "String", "Value": "work-7"}},
        })
        .to_string()
    }

    #[test]
    fn a_notification_is_one_message_however_sqs_calls_its_deliveries() {
        let body = envelope("n-1", "{}");
        let now = DateTime::UNIX_EPOCH;
        let (one, two) = (delivery("a", &body), delivery("b", &body));
        assert_eq!(one.to_message(now).id, two.to_message(now).id);
        let other = delivery("a", &envelope("n-2", "{}"));
        assert_ne!(one.to_message(now).id, other.to_message(now).id);
        assert_eq!(one.to_message(now).id.uuid().get_version_num(), 8);
    }

    #[test]
    fn a_text_without_envelope_is_the_message_that_sqs_says_it_is() {
        let now = DateTime::UNIX_EPOCH;
        let id = |message_id, body| delivery(message_id, body).to_message(now).id;
        assert_eq!(id("a", "{}"), id("a", "{}"));
        assert_ne!(id("a", "{}"), id("b", "{}"));
        // What SNS calls so is another one.
        assert_ne!(id("a", "{}"), id("x", &envelope("a", "{}")));
    }

    #[test]
    fn what_is_around_a_text_is_kept_with_it() {
        let mut one = delivery("a", &envelope("n-1", r#"{"group_id": "g-1"}"#));
        let message = one.to_message(DateTime::UNIX_EPOCH);
        assert_eq!(message.correlation_id, "work-7");
        assert_eq!(message.subject.as_deref(), Some("sellers"));
        assert_eq!(message.group_id.as_deref(), Some("g-1"));
        assert_eq!(message.body, one.body);
        assert_eq!(
            message.queue_url,
            "https://sqs.us-east-1.amazonaws.com/123456789012/messages"
        );
        let group = ("MessageGroupId".to_owned(), "g-2".to_owned());
        one.attributes.extend([group]);
        let correlation = ("correlation_id".to_owned(), "work-8".to_owned());
        one.message_attributes.extend([correlation]);
        let message = one.to_message(DateTime::UNIX_EPOCH);
        assert_eq!(message.group_id.as_deref(), Some("g-2"));
        assert_eq!(message.correlation_id, "work-8");
        let attributes: Value = serde_json::from_str(&message.attributes.unwrap()).unwrap();
        assert_eq!(attributes["attributes"]["MessageGroupId"], "g-2");
        assert_eq!(attributes["messageAttributes"]["correlation_id"], "work-8");
    }

    #[test]
    fn whatever_a_body_is_it_is_kept_as_it_came() {
        for body in [
            "",
            "null",
            "no JSON",
            r#"{"Type":"Notification"}"#,
            "\u{0}",
            "[1]",
        ] {
            let message = delivery("a", body).to_message(DateTime::UNIX_EPOCH);
            assert_eq!(message.body, body);
            assert_eq!((message.subject, message.group_id), (None, None));
            assert_eq!(message.correlation_id, "a");
            assert_eq!(text_of(body), body);
        }
    }

    #[test]
    fn a_subject_is_cut_after_1024_characters() {
        for (chars, kept) in [
            (0, 0),
            (1, 1),
            (1_023, 1_023),
            (1_024, 1_024),
            (1_025, 1_024),
        ] {
            let body = json!({"Type": "Notification", "MessageId": "n-1", "Message": "{}",
                "Subject": "ü".repeat(chars)});
            let message = delivery("a", &body.to_string()).to_message(DateTime::UNIX_EPOCH);
            let expected = (kept > 0).then(|| "ü".repeat(kept));
            assert_eq!(message.subject, expected, "{chars}");
        }
    }

    #[test]
    fn what_a_message_says_of_another_does_not_make_it_that_one() {
        let mut replay = delivery("b", "{}");
        let id = |delivery: &Delivery| delivery.to_message(DateTime::UNIX_EPOCH).id;
        let own = id(&replay);
        let other = id(&delivery("a", "{}"));
        let named = ("replay_of".to_owned(), other.to_string());
        replay.message_attributes.extend([named]);
        assert_eq!((id(&replay), replay.replay_of()), (own, Some(other)));
        let nothing = ("replay_of".to_owned(), "x".to_owned());
        replay.message_attributes.extend([nothing]);
        assert_eq!(replay.replay_of(), None);
    }

    #[test]
    fn a_group_that_no_queue_would_take_is_left_out() {
        for (chars, is_taken) in [
            (0, false),
            (1, true),
            (127, true),
            (128, true),
            (129, false),
        ] {
            let group = "g".repeat(chars);
            let body = json!({ "group_id": group }).to_string();
            let message = delivery("a", &body).to_message(DateTime::UNIX_EPOCH);
            assert_eq!(message.group_id, is_taken.then_some(group), "{chars}");
        }
        for group in ["a b", "ü", "a\n"] {
            let body = json!({ "group_id": group }).to_string();
            let message = delivery("a", &body).to_message(DateTime::UNIX_EPOCH);
            assert_eq!(message.group_id, None, "{group}");
        }
    }
}
