//! The item of a message, and what lies beside it for want of room.
//!
//! No item grows beyond what DynamoDB takes: room is kept free in each for all that a mark writes later, so
//! that no message can be kept and then not be marked.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use super::{MESSAGES_PREFIX, Message, WRITE};
use crate::item::{ITEM_BYTES_MAX, Item, Reader, Writer, bytes, number, size_bytes, text, time};
use crate::payload::{compress, decompress};
use crate::tables::MESSAGES;
use crate::{CreatedId, Month, StoreError};

/// Most characters of why a message could not be applied; what is longer is cut.
const ERROR_CHARACTERS_MAX: usize = 4_000;
/// What a mark sets: why, at up to four bytes a character, and beside it two times and a count.
const MARK_BYTES_MAX: usize = ERROR_CHARACTERS_MAX * 4 + 128;
/// What a mark sets that may not be there before.
const MARKED: &[&str] = &["error_log", "failed_at", "processed_at"];

/// What is to be written of a message.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    pub(super) item: Item,
    /// What is to be in the bucket before, under its keys.
    pub(super) objects: Vec<(String, &'a str)>,
}

/// Where texts of a message lie that are not in its item.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Apart {
    pub(super) body: Option<String>,
    pub(super) attributes: Option<String>,
}

pub(super) fn cut(error_log: &str) -> String {
    error_log.chars().take(ERROR_CHARACTERS_MAX).collect()
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

/// Whether an item has room for all that it may come to hold.
fn has_room(item: &Item) -> bool {
    let marked: Item = item
        .iter()
        .filter(|(name, _)| MARKED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    size_bytes(item) - size_bytes(&marked) + MARK_BYTES_MAX <= ITEM_BYTES_MAX
}

impl Message {
    /// The item, and what is to lie beside it: as little as has to.
    pub(super) fn to_item(&self) -> Result<Stored<'_>, StoreError> {
        let body = compress(self.body.as_bytes()).map(bytes);
        let attributes = self.attributes.as_deref().unwrap_or_default();
        let compressed = compress(attributes.as_bytes()).map(bytes);
        for (is_body_in, are_attributes_in) in
            [(true, true), (false, true), (true, false), (false, false)]
        {
            let mut item = self.rest();
            let mut objects = Vec::new();
            let mut put = |name: &str, value: &Option<AttributeValue>, text, is_in| {
                let (name, value) = match value {
                    Some(value) if is_in => (name.to_owned(), value.clone()),
                    _ => {
                        let key = self.object_key(text);
                        objects.push((key.clone(), text));
                        (format!("{name}_object"), AttributeValue::S(key))
                    }
                };
                item.insert(name, value);
            };
            put("body", &body, self.body.as_str(), is_body_in);
            if self.attributes.is_some() {
                put("attributes", &compressed, attributes, are_attributes_in);
            }
            if has_room(&item) {
                return Ok(Stored { item, objects });
            }
        }
        let size = size_bytes(&self.rest());
        Err(StoreError::Refused {
            operation: WRITE,
            reason: format!(
                "without its body it takes {size} bytes, and an item holds at most {ITEM_BYTES_MAX}"
            ),
        })
    }

    /// All but its long texts.
    fn rest(&self) -> Item {
        let error_log = self.error_log.as_deref().map(cut);
        Writer::default()
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
            .with("status", text(self.status.name()))
            .with_some("error_log", error_log.map(text))
            .with("failure_count", number(self.failure_count))
            .with_some("failed_at", self.failed_at.map(time))
            .with_some("processed_at", self.processed_at.map(time))
            .with("created_at", time(self.created_at))
            .with("updated_at", time(self.updated_at))
            .finish()
    }

    /// Where one of its texts lies: no two texts at one place.
    fn object_key(&self, text: &str) -> String {
        let mut key = format!("{MESSAGES_PREFIX}{}/", self.id);
        for byte in Sha256::digest(text.as_bytes()) {
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// The message of an item, without what lies beside it.
    pub(super) fn from_item(item: &Item) -> Result<(Self, Apart), StoreError> {
        let key = item
            .get("id")
            .and_then(|value| value.as_s().ok())
            .cloned()
            .unwrap_or_default();
        let read = Reader::new(MESSAGES.name, key, item);
        let opt_text = |name| Ok::<_, StoreError>(read.opt_text(name)?.map(str::to_owned));
        let apart = Apart {
            body: opt_text("body_object")?,
            attributes: opt_text("attributes_object")?,
        };
        let body = match opt_long(&read, "body")? {
            None if apart.body.is_none() => return Err(read.corrupt("body")),
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
        Ok((message, apart))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use uuid::Uuid;
    use weir_domain::MessageStatus;

    fn message() -> Message {
        Message {
            id: Uuid::from_u128(1).try_into().unwrap(),
            correlation_id: "c".to_owned(),
            queue_url: "https://queue.example.com/messages".to_owned(),
            group_id: None,
            subject: Some(String::new()),
            body: "{}".to_owned(),
            attributes: None,
            status: MessageStatus::Unprocessed,
            error_log: None,
            failure_count: 0,
            failed_at: None,
            processed_at: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    /// A message whose item has so many bytes when all is in it.
    fn of_size(message: &Message, size: usize) -> Message {
        let mut message = message.clone();
        let now = size_bytes(&message.to_item().unwrap().item);
        message.subject = Some("x".repeat(size - now));
        message
    }

    fn names(message: &Message) -> Vec<String> {
        let stored = message.to_item().unwrap();
        assert!(size_bytes(&stored.item) + MARK_BYTES_MAX <= ITEM_BYTES_MAX);
        let mut apart: Vec<String> = stored
            .item
            .into_keys()
            .filter(|name| name.ends_with("_object"))
            .collect();
        assert_eq!(apart.len(), stored.objects.len());
        apart.sort();
        apart
    }

    #[test]
    fn a_body_is_in_its_item_as_long_as_that_has_room_for_it_and_for_what_a_mark_says_later() {
        // The same again and again takes next to nothing.
        let long = Message {
            body: "{}".repeat(128 << 10),
            ..message()
        };
        assert!(size_bytes(&long.to_item().unwrap().item) < 1_000);
        let room = ITEM_BYTES_MAX - MARK_BYTES_MAX;
        for (size, expected) in [
            (room - 1, &[][..]),
            (room, &[]),
            (room + 1, &["body_object"]),
        ] {
            // What is put in the bucket makes room only if it took more than its key does.
            let noise: String = (0..400_u128)
                .map(|n| Uuid::from_u128(n * n * n).to_string())
                .collect();
            let message = Message {
                body: noise,
                ..message()
            };
            assert_eq!(names(&of_size(&message, size)), expected, "{size}");
        }
    }

    #[test]
    fn what_a_mark_has_written_takes_no_room_from_the_body() {
        let whole = of_size(&message(), ITEM_BYTES_MAX - MARK_BYTES_MAX);
        let failed = Message {
            error_log: Some("\u{10348}".repeat(5_000)),
            failed_at: Some(DateTime::UNIX_EPOCH),
            processed_at: Some(DateTime::UNIX_EPOCH),
            ..whole.clone()
        };
        let stored = failed.to_item().unwrap();
        assert!(stored.objects.is_empty());
        assert!(size_bytes(&stored.item) <= ITEM_BYTES_MAX);
        let stored = stored.item["error_log"].as_s().unwrap().chars().count();
        assert_eq!(stored, ERROR_CHARACTERS_MAX);
    }

    #[test]
    fn a_message_is_refused_whose_item_has_no_room_without_its_long_texts_either() {
        let room = ITEM_BYTES_MAX - MARK_BYTES_MAX;
        // Its body takes as much as its key.
        let message = message();
        for (bytes, is_taken) in [(room - 1, true), (room, true), (room + 200, false)] {
            let stored = Message {
                subject: Some(
                    "x".repeat(of_size(&message, room).subject.unwrap().len() + bytes - room),
                ),
                ..message.clone()
            };
            assert_eq!(stored.to_item().is_ok(), is_taken, "{bytes}");
        }
    }

    #[test]
    fn each_text_has_a_place_of_its_own() {
        let message = message();
        assert_eq!(message.object_key("a"), message.object_key("a"));
        assert_ne!(message.object_key("a"), message.object_key("b"));
        assert!(message.object_key("a").starts_with("messages/00000000-"));
    }

    #[test]
    fn the_reason_of_a_failure_is_cut_to_what_is_kept_free_for_it() {
        for (length, kept) in [(3_999, 3_999), (4_000, 4_000), (4_001, 4_000)] {
            assert_eq!(cut(&"é".repeat(length)).chars().count(), kept);
        }
    }
}
