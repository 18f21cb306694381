//! What a message asks for.
//!
//! S3 form-encodes an object's key in its events (`a b+c` comes as `a+b%2Bc`), sends a test event
//! when notifications are set up, and may send an event twice and out of order.

use serde::Deserialize;
use serde_json::Value;
use weir_domain::{BatchId, FileId, ObjectIdentity};
use weir_store::{MESSAGES_PREFIX, UploadContinuation};

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Take this object.
    Object(ObjectIdentity),
    /// Go on with this file.
    Continue(FileId),
    /// Take one batch of a file again.
    Retake(BatchId),
}

/// A message that asks for nothing that this function does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON.
    #[error("the message is not JSON")]
    NotJson,
    /// JSON, but neither an S3 event nor a continuation.
    #[error("the message is neither an S3 object event nor a continuation: {0}")]
    Unknown(String),
    /// An S3 event whose key is not UTF-8 once decoded.
    #[error("the object's key {0} is not UTF-8")]
    Key(String),
}

#[derive(Deserialize)]
struct S3Event {
    #[serde(rename = "Records")]
    records: Vec<S3Record>,
}

#[derive(Deserialize)]
struct S3Record {
    #[serde(rename = "eventName")]
    event_name: String,
    s3: S3Entity,
}

#[derive(Deserialize)]
struct S3Entity {
    bucket: S3Bucket,
    object: S3Object,
}

#[derive(Deserialize)]
struct S3Bucket {
    name: String,
}

#[derive(Deserialize)]
struct S3Object {
    key: String,
    #[serde(rename = "eTag", default)]
    etag: String,
}

/// Whether S3 itself sent the event, without a queue between.
pub(crate) fn is_from_s3(event: &Value) -> bool {
    event
        .pointer("/Records/0/eventSource")
        .and_then(Value::as_str)
        == Some("aws:s3")
        || event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent")
}

/// Reads a message: an S3 event, S3's test event (nothing to do), or a continuation.
pub(crate) fn read(message: &Value) -> Result<Vec<Work>, EventError> {
    let unknown = |error: serde_json::Error| EventError::Unknown(error.to_string());
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if message.get("continue").is_some() {
        let next = UploadContinuation::deserialize(message).map_err(unknown)?;
        return Ok(vec![match next.batch_id {
            Some(batch) => Work::Retake(batch),
            None => Work::Continue(next.file_id),
        }]);
    }
    let event = S3Event::deserialize(message).map_err(unknown)?;
    event
        .records
        .into_iter()
        // Deletions and the like are not ours, should they be switched on.
        .filter(|record| {
            record
                .event_name
                .trim_start_matches("s3:")
                .starts_with("ObjectCreated:")
        })
        // Bodies of messages lie in the same bucket.
        .filter(|record| !record.s3.object.key.starts_with(MESSAGES_PREFIX))
        .map(|record| {
            let S3Entity { bucket, object } = record.s3;
            let key = decode_key(&object.key)?;
            Ok(Work::Object(ObjectIdentity::new(
                bucket.name,
                key,
                &object.etag,
            )))
        })
        .collect()
}

/// Undoes the form encoding of a key. A percent sign that begins no escape stands for itself.
fn decode_key(encoded: &str) -> Result<String, EventError> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                let mut digit = || {
                    char::from(ahead.next()?)
                        .to_digit(16)
                        .and_then(|d| u8::try_from(d).ok())
                };
                if let (Some(high), Some(low)) = (digit(), digit()) {
                    decoded.push(high << 4 | low);
                    bytes = ahead;
                } else {
                    decoded.push(b'%');
                }
            }
            other => decoded.push(other),
        }
    }
    String::from_utf8(decoded).map_err(|_| EventError::Key(encoded.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object_event(name: &str, key: &str) -> Value {
        json!({"Records": [{
            "eventSource": "aws:s3", "eventName": name,
            "s3": {"bucket": {"name": "uploads"}, "object": {"key": key, "eTag": "abc", "size": 9}},
        }]})
    }

    fn object(key: &str) -> Vec<Work> {
        vec![Work::Object(ObjectIdentity::new("uploads", key, "abc"))]
    }

    #[test]
    fn an_objects_key_is_decoded_as_s3_encodes_it() {
        for (encoded, key) in [
            ("a/b.xml", "a/b.xml"),
            ("a+b%2Bc.xml", "a b+c.xml"),
            ("%C3%BC.xml", "ü.xml"),
            ("100%.xml", "100%.xml"),
            ("%zz%4", "%zz%4"),
        ] {
            assert_eq!(
                read(&object_event("ObjectCreated:Put", encoded)),
                Ok(object(key)),
                "{key}"
            );
        }
        let broken = read(&object_event("ObjectCreated:Put", "%FF"));
        assert_eq!(broken, Err(EventError::Key("%FF".to_owned())));
    }

    #[test]
    fn only_new_objects_are_taken() {
        assert_eq!(
            read(&object_event("s3:ObjectCreated:Copy", "k")),
            Ok(object("k"))
        );
        assert_eq!(
            read(&object_event("ObjectRemoved:Delete", "k")),
            Ok(Vec::new())
        );
    }

    #[test]
    fn the_body_of_a_message_is_no_settlement_file() {
        let key = format!("{MESSAGES_PREFIX}0190a6a0-0000-8000-8000-000000000001");
        let event = object_event("ObjectCreated:Put", &key);
        assert_eq!(read(&event), Ok(Vec::new()));
        let beside = "messages.xml";
        let event = object_event("ObjectCreated:Put", beside);
        assert_eq!(read(&event), Ok(object(beside)));
    }

    #[test]
    fn the_test_event_of_s3_is_accepted_and_asks_for_nothing() {
        let event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"});
        assert_eq!(read(&event), Ok(Vec::new()));
        assert!(is_from_s3(&event));
    }

    #[test]
    fn a_continuation_names_its_file_and_anything_else_is_refused() {
        let id = FileId::of_object(&ObjectIdentity::new("b", "k", "e"));
        let next = json!({"continue": id, "correlation_id": "c-1"});
        assert_eq!(read(&next), Ok(vec![Work::Continue(id)]));
        for message in [
            json!({}),
            json!([]),
            json!({"continue": "x"}),
            json!({"Records": [{}]}),
        ] {
            assert!(
                matches!(read(&message), Err(EventError::Unknown(_))),
                "{message}"
            );
        }
    }
}
