//! Applies the messages that bring reference data.
//!
//! A message is kept first, then applied, then marked. Wherever that stops, it comes again and goes on:
//! a message that is kept is the same one, a change that took effect is an older one the second time,
//! and a mark says the same twice.
//!
//! - Messages may come in any order and any number of times; see [`weir_store::Changed`]. What is
//!   older than what is known, or as old, changes nothing and counts as processed.
//! - What belongs to something that is not known yet, neither as it is nor as deleted, is handed back to
//!   the queue, as what it waits for may be on its way; so is a seller whose alternate id another one
//!   still has, and what names another client or program than what it belongs to has or had, as the change of
//!   that may be on its way. After some receives it fails.
//! - What something belongs to is what the first message said that made it: nothing moves to another client,
//!   program or seller while it is there, as what hangs on it would stay behind. What says otherwise waits
//!   for a deletion, and fails as well.
//! - Two sellers that are to swap their alternate ids wait for each other, and both fail. Whoever sends them
//!   takes the id off one of them first, and gives it the other's last.
//! - What was kept so long ago that a deletion since may be forgotten creates nothing anew: it fails.
//! - A deletion takes effect even where something hangs on what is deleted. Upstream has decided it, and
//!   a message that waits for others would make their order matter.
//! - What cannot be understood fails at once with everything that is wrong with it, and never comes
//!   again by itself. It can be replayed.

mod delivery;
mod event;
mod replay;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use uuid::Uuid;
use weir_domain::MessageStatus;
use weir_runtime::{Clock, Metric, Metrics, Reader};
use weir_store::{
    Changed, Message, MessageMark, Owner, Reference, ReferenceChange, ReferenceKind, Store,
    StoreError, TOMBSTONE_DAYS,
};

pub use delivery::Delivery;
pub(crate) use delivery::replayed;
pub use replay::{ReplayError, replay};

use event::Told;

/// How long after it was kept a message may create something that is not known. A deletion that a queue gave
/// before it, by as long as any queue holds a message, is remembered until then.
const CREATES_DAYS_MAX: i64 = TOMBSTONE_DAYS - 15;

/// When a message gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncOptions {
    /// After so many receives a message fails whose parent is not known. To be less than what sends it
    /// to the dead letters.
    pub receives_max: u32,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self { receives_max: 4 }
    }
}

impl SyncOptions {
    /// Reads `WEIR_MESSAGES_RECEIVES_MAX` (4), optional.
    pub fn read(reader: &mut Reader) -> Self {
        let receives = reader.integer_in("WEIR_MESSAGES_RECEIVES_MAX", 4, 1..=1_000);
        Self {
            receives_max: u32::try_from(receives).unwrap_or(u32::MAX),
        }
    }
}

/// The collaborators of applying messages.
#[derive(Debug, Clone)]
pub struct Synchronizer {
    /// Tables and bucket.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Metrics,
    /// When a message gives up.
    pub options: SyncOptions,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// It took effect.
    Applied,
    /// It is older than what is known, or has been dealt with before.
    Unchanged,
    /// It failed, and says why. One that was applied before does not: it stays as it is.
    Failed,
}

/// Why a message is handed back to its queue.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SyncError {
    /// What it needs may be on its way.
    #[error("the message waits: {0}")]
    Waits(String),
    /// The tables or the bucket could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Synchronizer {
    /// Keeps a message, applies and marks it. An error hands it back to its queue.
    pub async fn sync(&self, delivery: &Delivery) -> Result<Synced, SyncError> {
        let replayed = replayed(&self.store, delivery).await?;
        let is_replay = replayed.is_some();
        let message = if let Some(message) = replayed {
            message
        } else {
            let message = delivery.to_message(self.clock.now());
            self.store.keep_message(&message).await?
        };
        if message.status == MessageStatus::Processed && !is_replay {
            return Ok(Synced::Unchanged);
        }
        let told = match event::read(&message.body, self.clock.now()) {
            Ok(told) => told,
            Err(problems) => return self.fail(&message, problems.join("; ")).await,
        };
        if self.is_too_old(&message, &told).await? {
            let why = format!(
                "it was kept at {}, more than {CREATES_DAYS_MAX} days ago, and what it tells of is not \
                 known: it may have been deleted since. Have it sent anew if it is to be",
                message
                    .created_at
                    .to_rfc3339_opts(SecondsFormat::Secs, true)
            );
            return self.fail(&message, why).await;
        }
        let applied = match self.apply(&told).await? {
            Ok(applied) => applied,
            Err(why) if delivery.receive_count < self.options.receives_max => {
                return Err(SyncError::Waits(why));
            }
            Err(why) => {
                let receives = delivery.receive_count;
                let why = format!("{why}; it was received {receives} times");
                return self.fail(&message, why).await;
            }
        };
        let mark = MessageMark::Processed {
            at: self.clock.now(),
        };
        self.store.mark_message(message.id, &mark).await?;
        self.metrics.count(Metric::MessagesProcessed, 1);
        Ok(applied)
    }

    /// Whether it would create something of which nobody can know that it was not deleted since.
    async fn is_too_old(&self, message: &Message, told: &Told) -> Result<bool, StoreError> {
        let ReferenceChange::Put(reference) = &told.change else {
            return Ok(false);
        };
        if !is_long_ago(message.created_at, self.clock.now()) {
            return Ok(false);
        }
        let (kind, id) = (reference.kind(), reference.id());
        Ok(!self.store.is_reference_known(kind, id).await?)
    }

    /// Applies what a message tells; or says, in words, what it has to wait for.
    async fn apply(&self, told: &Told) -> Result<Result<Synced, String>, StoreError> {
        if let Some((kind, id)) = told.parent {
            let Some(parent) = self.store.kept_reference(kind, id).await? else {
                return Ok(Err(format!("there is no {kind} {id} yet")));
            };
            // What was deleted before it was ever known belonged to nobody knows what.
            if let (Some(of), ReferenceChange::Put(child)) = (parent.owner, &told.change)
                && let Some(why) = stranger(child, kind, id, of)
            {
                return Ok(Err(why));
            }
        }
        let changed = self.store.change_reference(&told.change, told.occurred_at);
        Ok(match changed.await? {
            Changed::Applied => Ok(Synced::Applied),
            Changed::Older => Ok(Synced::Unchanged),
            Changed::AlternateIdTaken(seller) => Err(format!(
                "/data/alternate_seller_id: the seller {seller} of the program has it: have that one sent \
                 without it first, also where the two are to swap, and this one again after it"
            )),
            Changed::Moves { member, is } => {
                let is = is.map_or_else(|| "none".to_owned(), |is| is.to_string());
                Err(format!(
                    "/data/{member}: it is {is} of what there is, and nothing moves to another: have it \
                     deleted first, or sent under an id of its own"
                ))
            }
        })
    }

    async fn fail(&self, message: &Message, why: String) -> Result<Synced, SyncError> {
        let mark = MessageMark::Failed {
            at: self.clock.now(),
            error_log: why,
        };
        if !self.store.mark_message(message.id, &mark).await? {
            tracing::warn!(message_id = %message.id, "a message failed that was applied before");
            return Ok(Synced::Unchanged);
        }
        tracing::error!(message_id = %message.id, "a message failed; its error log tells why");
        self.metrics.count(Metric::MessagesFailed, 1);
        Ok(Synced::Failed)
    }
}

/// Whether what was kept at a time may create nothing any more.
fn is_long_ago(kept_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - kept_at > TimeDelta::days(CREATES_DAYS_MAX)
}

/// Why something cannot belong to what it says, which is, or was, of others.
fn stranger(child: &Reference, kind: ReferenceKind, id: Uuid, of: Owner) -> Option<String> {
    let Owner {
        client_id,
        program_id,
        ..
    } = child.owner();
    let said = match kind {
        ReferenceKind::Program => Owner {
            client_id,
            ..Owner::default()
        },
        ReferenceKind::Seller => Owner {
            client_id,
            program_id,
            seller_id: None,
        },
        _ => return None,
    };
    let (member, is) = said.differing(&of)?;
    let (above, is) = (member.trim_end_matches("_id"), is?);
    Some(format!(
        "/data/{member}: the {kind} {id} is of the {above} {is}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_75_days_ago_may_create_something_and_a_moment_later_it_may_not() {
        let kept_at = DateTime::UNIX_EPOCH;
        let days = TimeDelta::days(75);
        let moment = TimeDelta::microseconds(1);
        for (age, expected) in [
            (TimeDelta::zero(), false),
            (days - moment, false),
            (days, false),
            (days + moment, true),
        ] {
            assert_eq!(is_long_ago(kept_at, kept_at + age), expected, "{age}");
        }
        // A queue holds nothing for longer than fourteen days.
        const { assert!(TOMBSTONE_DAYS - CREATES_DAYS_MAX > 14) };
    }
}
