//! The JSON of the SQS protocol: what requests carry, and how messages are written in answers.
//!
//! Names are those of the SQS API reference. Unknown members are ignored, as SQS does.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::md5_hex;
use super::queue::{Attribute, Delivery};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    pub(super) queue_name: String,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueName {
    pub(super) queue_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrl {
    pub(super) queue_url: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    pub(super) queue_name_prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    pub(super) queue_url: String,
    #[serde(default)]
    pub(super) attribute_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    pub(super) queue_url: String,
    pub(super) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    pub(super) queue_url: String,
    #[serde(flatten)]
    pub(super) message: NewMessage,
}

/// A message to send, by itself or as an entry of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewMessage {
    #[serde(default)]
    pub(super) message_body: String,
    pub(super) delay_seconds: Option<i64>,
    #[serde(default)]
    pub(super) message_attributes: BTreeMap<String, AttributeValue>,
    #[serde(default)]
    pub(super) message_system_attributes: BTreeMap<String, AttributeValue>,
    pub(super) message_group_id: Option<String>,
    pub(super) message_deduplication_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttributeValue {
    pub(super) data_type: String,
    pub(super) string_value: Option<String>,
    pub(super) binary_value: Option<String>,
}

/// Several entries of one kind, for one queue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    pub(super) queue_url: String,
    pub(super) entries: Vec<Entry<T>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry<T> {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) content: T,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    pub(super) queue_url: String,
    pub(super) max_number_of_messages: Option<i64>,
    pub(super) visibility_timeout: Option<i64>,
    pub(super) wait_time_seconds: Option<i64>,
    /// The older name of the next member.
    #[serde(default)]
    pub(super) attribute_names: Vec<String>,
    #[serde(default)]
    pub(super) message_system_attribute_names: Vec<String>,
    #[serde(default)]
    pub(super) message_attribute_names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    pub(super) queue_url: String,
    pub(super) receipt_handle: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeVisibility {
    pub(super) queue_url: String,
    #[serde(flatten)]
    pub(super) change: Visibility,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Visibility {
    pub(super) receipt_handle: String,
    #[serde(default)]
    pub(super) visibility_timeout: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receipt {
    pub(super) receipt_handle: String,
}

/// A received message with the attributes that the receiver asked for, and no others: a receiver that
/// forgets to ask does without here too.
pub(super) fn message(delivery: Delivery, request: &ReceiveMessage) -> Value {
    let letter = delivery.letter;
    let mut message = Map::new();
    let mut put = |name: &str, value: Value| message.insert(name.to_owned(), value);
    put("MessageId", letter.id.into());
    put("ReceiptHandle", delivery.receipt.into());
    put("MD5OfBody", letter.body_md5.into());
    put("Body", (*letter.body).into());

    let mut system = vec![
        ("SenderId", Some(super::super::ACCESS_KEY_ID.to_owned())),
        ("SentTimestamp", Some(letter.sent_at_ms.to_string())),
        (
            "ApproximateReceiveCount",
            Some(delivery.receives_count.to_string()),
        ),
        (
            "ApproximateFirstReceiveTimestamp",
            Some(delivery.first_received_at_ms.to_string()),
        ),
    ];
    system.push(("AWSTraceHeader", letter.trace_header));
    system.push((
        "MessageGroupId",
        letter.group.map(|group| (*group).to_owned()),
    ));
    system.push(("DeadLetterQueueSourceArn", letter.dead_from));
    let asked = |name: &str| {
        let names = request.attribute_names.iter();
        names
            .chain(&request.message_system_attribute_names)
            .any(|wanted| wanted == "All" || wanted == name)
    };
    let system: Map<String, Value> = system
        .into_iter()
        .filter(|(name, _)| asked(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
        .collect();
    if !system.is_empty() {
        put("Attributes", system.into());
    }

    let chosen: BTreeMap<&String, &Attribute> = letter
        .attributes
        .iter()
        .filter(|(name, _)| wants_attribute(&request.message_attribute_names, name))
        .collect();
    if !chosen.is_empty() {
        put(
            "MD5OfMessageAttributes",
            attributes_md5(chosen.iter().map(|(&name, &value)| (name, value))).into(),
        );
        let values: Map<String, Value> = chosen
            .into_iter()
            .map(|(name, value)| (name.clone(), attribute(value)))
            .collect();
        put("MessageAttributes", values.into());
    }
    message.into()
}

/// Attributes are asked for by name, by `prefix.*`, or all of them by `All` or `.*`.
fn wants_attribute(wanted: &[String], name: &str) -> bool {
    wanted.iter().any(|wanted| {
        wanted == "All"
            || wanted == name
            || wanted
                .strip_suffix(".*")
                .is_some_and(|prefix| name.starts_with(prefix))
    })
}

fn attribute(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Text { data_type, value } => {
            json!({"DataType": data_type, "StringValue": value})
        }
        Attribute::Binary {
            data_type, base64, ..
        } => {
            json!({"DataType": data_type, "BinaryValue": base64})
        }
    }
}

/// The digest of attributes as the SQS developer guide defines it: in the order of their names, each
/// part with its length before it.
pub(super) fn attributes_md5<'a>(
    attributes: impl Iterator<Item = (&'a String, &'a Attribute)>,
) -> String {
    let mut bytes = Vec::new();
    let mut put = |part: &[u8], transport: Option<u8>| {
        bytes.extend(transport);
        // An attribute is at most as long as a message, so its length always fits.
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(part);
    };
    for (name, attribute) in attributes {
        put(name.as_bytes(), None);
        match attribute {
            Attribute::Text { data_type, value } => {
                put(data_type.as_bytes(), None);
                put(value.as_bytes(), Some(1));
            }
            Attribute::Binary {
                data_type, bytes, ..
            } => {
                put(data_type.as_bytes(), None);
                put(bytes, Some(2));
            }
        }
    }
    md5_hex(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_asked_for_by_name_prefix_or_all() {
        let wants = |wanted: &str, name| wants_attribute(&[wanted.to_owned()], name);
        assert!(wants("All", "a.b") && wants(".*", "a.b") && wants("a.*", "a.b"));
        assert!(wants("a.b", "a.b") && !wants("a", "a.b") && !wants("b.*", "a.b"));
        assert!(!wants_attribute(&[], "a.b"));
    }
}
