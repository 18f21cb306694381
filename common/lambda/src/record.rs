//! The records of an SQS event.
//!
//! Each record is decoded by itself and its body stays a string: a typed body would let one malformed
//! message fail the whole batch. A record that is known by its message id but cannot be read is kept,
//! so that it alone can be handed back.
//!
//! Refused as a whole: what is no SQS event, and a record without a message id, since only an id can
//! say that a record failed. An answer that left it out would delete the message unhandled.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_runtime::CorrelationId;

/// The message attribute that carries the correlation id.
const CORRELATION_ATTRIBUTE: &str = "correlation_id";

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsRecord {
    /// The id under which SQS knows the message: 1 to 1024 visible characters.
    pub message_id: String,
    /// The body, as it was sent.
    pub body: String,
    /// The system attributes, such as `SentTimestamp` and `MessageGroupId`.
    pub attributes: BTreeMap<String, String>,
    /// The sender's attributes that are strings or numbers.
    pub message_attributes: BTreeMap<String, String>,
    /// How often the message was received, this time included; 0 when the event does not say.
    pub receive_count: u32,
    /// The queue's name in AWS, if the event says it.
    pub queue_arn: Option<String>,
    /// What the message belongs to: the sender's `correlation_id`, or else the message id.
    pub correlation_id: CorrelationId,
    /// Why the record cannot be handled. The runners hand such a record back unseen.
    pub unreadable: Option<&'static str>,
}

impl SqsRecord {
    /// A record with nothing but an id and a body.
    ///
    /// # Errors
    /// [`DecodeError::MessageId`] when the id is empty, too long or has invisible characters.
    pub fn new(
        message_id: impl Into<String>,
        body: impl Into<String>,
    ) -> Result<Self, DecodeError> {
        let message_id = message_id.into();
        let correlation_id = CorrelationId::new(message_id.as_str())
            .map_err(|_| DecodeError::MessageId { index: 0 })?;
        Ok(Self {
            message_id,
            body: body.into(),
            attributes: BTreeMap::new(),
            message_attributes: BTreeMap::new(),
            receive_count: 0,
            queue_arn: None,
            correlation_id,
            unreadable: None,
        })
    }
}

/// Why no record of an event can be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The event is not SQS's.
    #[error("the event is no SQS event: it has no list of SQS `Records`")]
    NotSqs,
    /// A record has no usable message id, so its failure could not be reported.
    #[error("record {index} has no message id of 1 to 1024 visible characters")]
    MessageId {
        /// Which record, from 0.
        index: usize,
    },
}

/// Takes an SQS event apart, in the order of its records.
///
/// # Errors
/// [`DecodeError`]; the invocation is then to fail, which hands the whole batch back.
pub fn decode(event: Value) -> Result<Vec<SqsRecord>, DecodeError> {
    let Value::Object(mut event) = event else {
        return Err(DecodeError::NotSqs);
    };
    let Some(Value::Array(records)) = event.remove("Records") else {
        return Err(DecodeError::NotSqs);
    };
    let records = records.into_iter().enumerate();
    records
        .map(|(index, record)| decode_one(index, record))
        .collect()
}

fn decode_one(index: usize, mut record: Value) -> Result<SqsRecord, DecodeError> {
    let source = record.get("eventSource").and_then(Value::as_str);
    if source.is_some_and(|source| source != "aws:sqs") {
        return Err(DecodeError::NotSqs);
    }
    let mut take = |name| record.get_mut(name).map(Value::take);
    let Some(Value::String(message_id)) = take("messageId") else {
        return Err(DecodeError::MessageId { index });
    };
    let body = match take("body") {
        Some(Value::String(body)) => Some(body),
        _ => None,
    };
    let is_readable = body.is_some();
    let mut decoded = SqsRecord::new(message_id, body.unwrap_or_default())
        .map_err(|_| DecodeError::MessageId { index })?;
    decoded.unreadable = (!is_readable).then_some("its body is not a string");
    decoded.attributes = texts(take("attributes"), |value| Some(value.take()));
    decoded.message_attributes = texts(take("messageAttributes"), |value| {
        value.get_mut("stringValue").map(Value::take)
    });
    decoded.receive_count = decoded
        .attributes
        .get("ApproximateReceiveCount")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    if let Some(Value::String(arn)) = take("eventSourceARN") {
        decoded.queue_arn = Some(arn);
    }
    let sent = decoded.message_attributes.get(CORRELATION_ATTRIBUTE);
    if let Some(sent) = sent.and_then(|id| CorrelationId::new(id.as_str()).ok()) {
        decoded.correlation_id = sent;
    }
    Ok(decoded)
}

/// The members of an object that are, or hold, text.
fn texts(
    members: Option<Value>,
    text: impl Fn(&mut Value) -> Option<Value>,
) -> BTreeMap<String, String> {
    let Some(Value::Object(members)) = members else {
        return BTreeMap::new();
    };
    let texts = members.into_iter().filter_map(|(name, mut value)| {
        let Some(Value::String(text)) = text(&mut value) else {
            return None;
        };
        Some((name, text))
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn event() -> Value {
        json!({"Records": [{
            "messageId": "m-1",
            "receiptHandle": "handle",
            "body": "{\"file\": 1}",
            "attributes": {
                "ApproximateReceiveCount": "3",
                "SentTimestamp": "1795348800123",
                "MessageGroupId": "seller-1"
            },
            "messageAttributes": {
                "correlation_id": {"stringValue": "c-1", "dataType": "String"},
                "picture": {"binaryValue": "AAAA", "dataType": "Binary"}
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:details",
            "awsRegion": "us-east-1"
        }]})
    }

    #[test]
    fn a_record_is_decoded_with_its_attributes_and_its_body_as_it_is() {
        let records = decode(event()).unwrap();
        assert_eq!(records.len(), 1);
        let record = &records[0];
        assert_eq!(record.message_id, "m-1");
        assert_eq!(record.body, "{\"file\": 1}");
        assert_eq!(record.receive_count, 3);
        assert_eq!(record.attributes["MessageGroupId"], "seller-1");
        assert_eq!(record.message_attributes["correlation_id"], "c-1");
        assert_eq!(record.message_attributes.len(), 1);
        assert_eq!(record.correlation_id.as_str(), "c-1");
        assert_eq!(
            record.queue_arn.as_deref(),
            Some("arn:aws:sqs:us-east-1:123456789012:details")
        );
        assert_eq!(record.unreadable, None);
    }

    #[test]
    fn an_empty_batch_is_no_error() {
        assert_eq!(decode(json!({"Records": []})), Ok(Vec::new()));
    }

    #[test]
    fn without_a_usable_correlation_the_message_id_stands_in() {
        for correlation in [json!({"stringValue": "not visible"}), json!({}), json!(7)] {
            let mut event = event();
            event["Records"][0]["messageAttributes"]["correlation_id"] = correlation;
            assert_eq!(decode(event).unwrap()[0].correlation_id.as_str(), "m-1");
        }
    }

    #[test]
    fn a_record_without_a_text_body_is_kept_as_unreadable() {
        for body in [Value::Null, json!({"file": 1}), json!(7)] {
            let mut event = event();
            event["Records"][0]["body"] = body;
            assert!(decode(event).unwrap()[0].unreadable.is_some());
        }
    }

    #[test]
    fn a_record_without_a_message_id_fails_the_batch() {
        for id in [Value::Null, json!(""), json!(7), json!("a b")] {
            let mut event = event();
            let mut second = event["Records"][0].clone();
            second["messageId"] = id;
            event["Records"].as_array_mut().unwrap().push(second);
            assert_eq!(decode(event), Err(DecodeError::MessageId { index: 1 }));
        }
    }

    #[test]
    fn what_is_not_from_sqs_is_refused() {
        let s3 = json!({"Records": [{"eventSource": "aws:s3", "messageId": "m"}]});
        for event in [Value::Null, json!([]), json!({}), json!({"Records": 1}), s3] {
            assert_eq!(decode(event), Err(DecodeError::NotSqs));
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_every_record_in_order_or_refuses_the_event(
            records in proptest::collection::vec((".{0,5}", proptest::option::of(".{0,9}")), 0..20)
        ) {
            let written: Vec<_> = records
                .iter()
                .map(|(id, body)| json!({"messageId": id, "body": body}))
                .collect();
            match decode(json!({"Records": written})) {
                Ok(decoded) => {
                    prop_assert_eq!(decoded.len(), records.len());
                    for (decoded, (id, body)) in decoded.iter().zip(&records) {
                        prop_assert_eq!(&decoded.message_id, id);
                        prop_assert_eq!(decoded.unreadable.is_none(), body.is_some());
                    }
                }
                Err(error) => {
                    let first_bad = records.iter().position(|(id, _)| CorrelationId::new(id.as_str()).is_err());
                    prop_assert_eq!(Some(error), first_bad.map(|index| DecodeError::MessageId { index }));
                }
            }
        }
    }
}
