//! All queues, and every operation on them, without HTTP.
//!
//! Invariants: a request that is refused changes nothing; of a batch, each entry is done or refused by
//! itself; whoever waits on a queue is woken when a message becomes ready in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Notify;

use super::super::{ACCOUNT_ID, Outside, REGION, md5_hex};
use super::fault::{Fault, Kind};
use super::queue::{Attribute, Delivery, Letter, Queue, QueueCounts};
use super::settings::{DELAY_MAX_S, MESSAGE_MAX_BYTES, Settings};
use super::wire::{AttributeValue, Entry, NewMessage};

/// A batch has at most so many entries.
const BATCH_MAX: usize = 10;
/// A message has at most so many attributes.
const ATTRIBUTES_MAX: usize = 10;
/// A group id has at most so many characters.
const GROUP_MAX: usize = 128;

/// The queues of the one account and region there is.
#[derive(Debug)]
pub(super) struct Engine {
    outside: Outside,
    queues: Mutex<BTreeMap<String, Slot>>,
}

#[derive(Debug)]
struct Slot {
    queue: Queue,
    ready: Arc<Notify>,
}

/// What a message got when it was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) body_md5: String,
    pub(super) attributes: Arc<BTreeMap<String, Attribute>>,
}

/// What a receive brought, and until when nothing more will come by itself.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) next_at_ms: Option<u64>,
}

/// The ARN of a queue.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}

impl Engine {
    pub(super) fn new(outside: Outside) -> Self {
        Self {
            outside,
            queues: Mutex::default(),
        }
    }

    /// The wall time in milliseconds since 1970.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.outside.clock.now().timestamp_millis()).unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        // Nothing that could panic half-way runs under the lock.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Slot) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut queues = self.lock();
        let slot = queues.get_mut(name).ok_or_else(no_such_queue)?;
        work(slot)
    }

    /// Makes a queue. One that is there with the same settings is left as it is.
    pub(super) fn create(&self, name: &str, given: &BTreeMap<String, String>) -> Result<(), Fault> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 80 || !name.chars().all(allowed) {
            let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
            return Err(Fault::invalid("QueueName", name, reason));
        }
        let now_ms = self.now_ms();
        let mut queues = self.lock();
        if let Some(slot) = queues.get(name) {
            if slot.queue.settings.with(given)? == slot.queue.settings {
                return Ok(());
            }
            return Err(Fault::new(
                Kind::QueueNameExists,
                "A queue already exists with the same name and a different value for an attribute.",
            ));
        }
        let settings = Settings::default().with(given)?;
        check_target(&settings, &queues)?;
        let slot = Slot {
            queue: Queue::new(settings, now_ms),
            ready: Arc::default(),
        };
        queues.insert(name.to_owned(), slot);
        Ok(())
    }

    pub(super) fn delete_queue(&self, name: &str) -> Result<(), Fault> {
        let slot = self.lock().remove(name).ok_or_else(no_such_queue)?;
        // Whoever waits learns that there is nothing to wait for.
        slot.ready.notify_waiters();
        Ok(())
    }

    pub(super) fn exists(&self, name: &str) -> Result<(), Fault> {
        self.with(name, |_| Ok(()))
    }

    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        let queues = self.lock();
        let names = queues.keys().filter(|name| name.starts_with(prefix));
        names.cloned().collect()
    }

    pub(super) fn attributes(&self, name: &str) -> Result<BTreeMap<String, String>, Fault> {
        let now_ms = self.now_ms();
        self.with(name, |slot| {
            let counts = slot.queue.counts(now_ms);
            let mut attributes = slot.queue.settings.attributes();
            let created_s = slot.queue.created_at_ms.div_euclid(1_000).to_string();
            for (name, value) in [
                ("QueueArn", arn(name)),
                ("ApproximateNumberOfMessages", counts.ready.to_string()),
                (
                    "ApproximateNumberOfMessagesNotVisible",
                    counts.in_flight.to_string(),
                ),
                (
                    "ApproximateNumberOfMessagesDelayed",
                    counts.delayed.to_string(),
                ),
                ("CreatedTimestamp", created_s.clone()),
                ("LastModifiedTimestamp", created_s),
            ] {
                attributes.insert(name.to_owned(), value);
            }
            Ok(attributes)
        })
    }

    pub(super) fn set_attributes(
        &self,
        name: &str,
        given: &BTreeMap<String, String>,
    ) -> Result<(), Fault> {
        let mut queues = self.lock();
        let slot = queues.get(name).ok_or_else(no_such_queue)?;
        let settings = slot.queue.settings.with(given)?;
        check_target(&settings, &queues)?;
        if let Some(slot) = queues.get_mut(name) {
            slot.queue.settings = settings;
        }
        Ok(())
    }

    pub(super) fn counts(&self, name: &str) -> Result<QueueCounts, Fault> {
        let now_ms = self.now_ms();
        self.with(name, |slot| Ok(slot.queue.counts(now_ms)))
    }

    pub(super) fn purge(&self, name: &str) -> Result<(), Fault> {
        self.with(name, |slot| {
            slot.queue.purge();
            Ok(())
        })
    }

    pub(super) fn send(&self, name: &str, message: NewMessage) -> Result<Sent, Fault> {
        let letter_id = self.outside.random.uuid_v4().to_string();
        let now_ms = self.now_ms();
        self.with(name, |slot| {
            let (letter, delay_s) = letter(letter_id, message, &slot.queue.settings, now_ms)?;
            let sent = Sent {
                id: letter.id.clone(),
                body_md5: letter.body_md5.clone(),
                attributes: Arc::clone(&letter.attributes),
            };
            slot.queue.send(letter, delay_s, now_ms);
            // A delayed message wakes too: whoever waits has to wait for its moment now.
            slot.ready.notify_waiters();
            Ok(sent)
        })
    }

    /// Hands out up to `count_max` messages, moving those that came back too often to the dead letters.
    pub(super) fn receive(
        &self,
        name: &str,
        count_max: usize,
        visibility_s: Option<u64>,
    ) -> Result<Attempt, Fault> {
        let now_ms = self.now_ms();
        let mut queues = self.lock();
        let slot = queues.get_mut(name).ok_or_else(no_such_queue)?;
        let received = slot.queue.receive(count_max, visibility_s, now_ms)?;
        let target = slot.queue.settings.redrive.as_ref();
        let target = target.and_then(|redrive| redrive.target_arn.rsplit(':').next());
        if let (false, Some(target)) = (received.dead.is_empty(), target.map(str::to_owned)) {
            if let Some(grave) = queues.get_mut(&target) {
                for mut letter in received.dead {
                    letter.dead_from = Some(arn(name));
                    grave.queue.bury(letter, now_ms);
                }
                grave.ready.notify_waiters();
            } else {
                tracing::error!(
                    queue = name,
                    target,
                    lost = received.dead.len(),
                    "dead letters were lost: their queue was deleted"
                );
            }
        }
        Ok(Attempt {
            deliveries: received.deliveries,
            next_at_ms: received.next_at_ms,
        })
    }

    /// How long a receive that does not say waits, and what wakes it.
    pub(super) fn waiting(&self, name: &str) -> Result<(u64, Arc<Notify>), Fault> {
        self.with(name, |slot| {
            Ok((slot.queue.settings.wait_s, Arc::clone(&slot.ready)))
        })
    }

    /// Wakes everybody who waits.
    pub(super) fn wake_all(&self) {
        for slot in self.lock().values() {
            slot.ready.notify_waiters();
        }
    }

    pub(super) fn delete(&self, name: &str, receipt: &str) -> Result<(), Fault> {
        self.with(name, |slot| slot.queue.delete(receipt))
    }

    pub(super) fn change_visibility(
        &self,
        name: &str,
        receipt: &str,
        visibility_s: u64,
    ) -> Result<(), Fault> {
        let now_ms = self.now_ms();
        self.with(name, |slot| {
            slot.queue
                .change_visibility(receipt, visibility_s, now_ms)?;
            slot.ready.notify_waiters();
            Ok(())
        })
    }
}

fn no_such_queue() -> Fault {
    Fault::new(
        Kind::QueueDoesNotExist,
        "The specified queue does not exist.",
    )
}

fn check_target(settings: &Settings, queues: &BTreeMap<String, Slot>) -> Result<(), Fault> {
    let Some(redrive) = &settings.redrive else {
        return Ok(());
    };
    let known = queues.keys().any(|name| arn(name) == redrive.target_arn);
    known.then_some(()).ok_or_else(|| {
        Fault::invalid(
            "RedrivePolicy",
            &redrive.target_arn,
            "Dead letter target does not exist.",
        )
    })
}

/// Checks that a batch has 1 to 10 entries with distinct, well-formed ids.
pub(super) fn check_batch<T>(entries: &[Entry<T>]) -> Result<(), Fault> {
    if entries.is_empty() {
        return Err(Fault::new(
            Kind::EmptyBatchRequest,
            "There should be at least one entry in the request.",
        ));
    }
    if entries.len() > BATCH_MAX {
        return Err(Fault::new(
            Kind::TooManyEntriesInBatchRequest,
            format!(
                "Maximum number of entries per request are {BATCH_MAX}. You have sent {}.",
                entries.len()
            ),
        ));
    }
    let mut seen = BTreeSet::new();
    for Entry { id, .. } in entries {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if id.is_empty() || id.len() > 80 || !id.chars().all(allowed) {
            return Err(Fault::new(
                Kind::InvalidBatchEntryId,
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
            ));
        }
        if !seen.insert(id) {
            return Err(Fault::new(
                Kind::BatchEntryIdsNotDistinct,
                format!("Id {id} repeated."),
            ));
        }
    }
    Ok(())
}

/// Checks that the messages of a batch are together no larger than one may be.
pub(super) fn check_batch_size(entries: &[Entry<NewMessage>]) -> Result<(), Fault> {
    let size: u64 = entries.iter().map(|entry| size_bytes(&entry.content)).sum();
    if size > MESSAGE_MAX_BYTES {
        return Err(Fault::new(
            Kind::BatchRequestTooLong,
            format!(
                "Batch requests cannot be longer than {MESSAGE_MAX_BYTES} bytes. You have sent {size} bytes."
            ),
        ));
    }
    Ok(())
}

/// What a message weighs against the limit: its body and its attributes with their names and types.
fn size_bytes(message: &NewMessage) -> u64 {
    let attributes = message.message_attributes.iter().map(|(name, attribute)| {
        let value = attribute.string_value.as_ref().map_or(0, String::len);
        // Base64 carries three bytes in four characters.
        let binary = attribute
            .binary_value
            .as_ref()
            .map_or(0, |text| text.len() / 4 * 3);
        name.len() + attribute.data_type.len() + value + binary
    });
    let size = message.message_body.len() + attributes.sum::<usize>();
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// Checks a message and makes the letter and the delay of it.
fn letter(
    id: String,
    message: NewMessage,
    settings: &Settings,
    now_ms: u64,
) -> Result<(Letter, Option<u64>), Fault> {
    if message.message_body.is_empty() {
        return Err(Fault::new(
            Kind::MissingParameter,
            "The request must contain the parameter MessageBody.",
        ));
    }
    let size = size_bytes(&message);
    if size > settings.message_max_bytes {
        let reason = format!(
            "Message must be shorter than {} bytes.",
            settings.message_max_bytes
        );
        return Err(Fault::invalid("MessageBody", size, &reason));
    }
    if let Some(c) = message.message_body.chars().find(|&c| !is_allowed(c)) {
        return Err(Fault::new(
            Kind::InvalidMessageContents,
            format!(
                "Invalid character {:#x} was found in the message body.",
                u32::from(c)
            ),
        ));
    }
    if message.message_deduplication_id.is_some() {
        let reason = "The request includes a parameter that is not valid for this queue type.";
        return Err(Fault::invalid("MessageDeduplicationId", "(given)", reason));
    }
    if let Some(group) = &message.message_group_id
        && (group.is_empty()
            || group.len() > GROUP_MAX
            || !group.chars().all(|c| c.is_ascii_graphic()))
    {
        let reason = "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.";
        return Err(Fault::invalid("MessageGroupId", group, reason));
    }
    let delay_s = message
        .delay_seconds
        .map(|delay| in_range("DelaySeconds", delay, DELAY_MAX_S))
        .transpose()?;
    let trace_header = trace_header(message.message_system_attributes)?;
    let letter = Letter {
        id,
        body_md5: md5_hex(message.message_body.as_bytes()),
        body: message.message_body.into(),
        attributes: Arc::new(attributes(message.message_attributes)?),
        trace_header,
        group: message.message_group_id.map(Into::into),
        dead_from: None,
        sent_at_ms: now_ms,
    };
    Ok((letter, delay_s))
}

/// A number from zero to `most`.
pub(super) fn in_range(name: &str, value: i64, most: u64) -> Result<u64, Fault> {
    u64::try_from(value)
        .ok()
        .filter(|&value| value <= most)
        .ok_or_else(|| Fault::invalid(name, value, &format!("Must be from 0 to {most}.")))
}

/// The characters of XML 1.0, which a body may consist of.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn trace_header(given: BTreeMap<String, AttributeValue>) -> Result<Option<String>, Fault> {
    let mut header = None;
    for (name, attribute) in given {
        if name != "AWSTraceHeader" || attribute.data_type != "String" {
            let reason = "Only AWSTraceHeader of type String is supported.";
            return Err(Fault::invalid("MessageSystemAttributes", name, reason));
        }
        header = attribute.string_value;
    }
    Ok(header)
}

fn attributes(
    given: BTreeMap<String, AttributeValue>,
) -> Result<BTreeMap<String, Attribute>, Fault> {
    if given.len() > ATTRIBUTES_MAX {
        let reason =
            format!("Number of message attributes exceeds the allowed maximum [{ATTRIBUTES_MAX}].");
        return Err(Fault::invalid("MessageAttributes", given.len(), &reason));
    }
    let attribute = |(name, value): (String, AttributeValue)| {
        let refused = || {
            Fault::invalid(
                "MessageAttributes",
                &name,
                "The value must match its type and not be empty.",
            )
        };
        let data_type = value.data_type;
        let attribute = match data_type.split('.').next() {
            Some("String" | "Number") => Attribute::Text {
                data_type,
                value: value
                    .string_value
                    .filter(|text| !text.is_empty())
                    .ok_or_else(refused)?,
            },
            Some("Binary") => {
                let base64 = value.binary_value.ok_or_else(refused)?;
                let bytes = STANDARD.decode(&base64).map_err(|_| refused())?;
                Attribute::Binary {
                    data_type,
                    base64,
                    bytes,
                }
            }
            _ => return Err(refused()),
        };
        Ok((name, attribute))
    };
    given.into_iter().map(attribute).collect()
}
