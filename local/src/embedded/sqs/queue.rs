//! One queue: what is ready, what is hidden, who comes next.
//!
//! Invariants:
//! - a message is in exactly one state: ready, or hidden until a moment (delayed or in flight);
//! - a ready message is in its group's line exactly once; lines take turns, so that a group with a
//!   million messages does not hold up another's ten; within a line the order is that of arrival;
//! - a receipt is good for the receive it came from: after the next receive of the same message it
//!   deletes nothing, as SQS warns, so code that relies on the opposite fails here too.
//!
//! Every operation takes time logarithmic in the number of messages. The queue reads no clock: `now_ms`
//! is the wall time in milliseconds since 1970.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::fault::{Fault, Kind};
use super::settings::{Settings, VISIBILITY_MAX_S};

/// SQS lets so many messages be in flight from one standard queue.
pub(super) const IN_FLIGHT_MAX: usize = 120_000;

/// An attribute that a sender gave to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attribute {
    /// `data_type` is `String`, `Number` or one of their labels.
    Text { data_type: String, value: String },
    /// `base64` is `bytes` as they travel.
    Binary {
        data_type: String,
        base64: String,
        bytes: Vec<u8>,
    },
}

/// A message as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) body: Arc<str>,
    pub(super) body_md5: String,
    pub(super) attributes: Arc<BTreeMap<String, Attribute>>,
    pub(super) trace_header: Option<String>,
    pub(super) group: Option<Arc<str>>,
    /// The ARN of the queue from which it came here as a dead letter.
    pub(super) dead_from: Option<String>,
    pub(super) sent_at_ms: u64,
}

/// A message handed to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) letter: Letter,
    pub(super) receipt: String,
    pub(super) receives_count: u32,
    pub(super) first_received_at_ms: u64,
}

/// What a receive brought.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) deliveries: Vec<Delivery>,
    /// Messages that came back too often, to be moved to the dead-letter queue.
    pub(super) dead: Vec<Letter>,
    /// When the next hidden message shows itself.
    pub(super) next_at_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Delayed { until_ms: u64 },
    InFlight { until_ms: u64, since_ms: u64 },
}

#[derive(Debug)]
struct Held {
    letter: Letter,
    state: State,
    receives_count: u32,
    first_received_at_ms: Option<u64>,
}

/// A queue with its messages.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) settings: Settings,
    pub(super) created_at_ms: u64,
    held: HashMap<u64, Held>,
    lines: Lines,
    /// By the moment at which they show themselves.
    hidden: BTreeSet<(u64, u64)>,
    in_flight_count: usize,
    sent_ever: u64,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Could be received now.
    pub ready: usize,
    /// Received, and neither deleted nor visible again.
    pub in_flight: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
}

impl Queue {
    pub(super) fn new(settings: Settings, now_ms: u64) -> Self {
        Self {
            settings,
            created_at_ms: now_ms,
            held: HashMap::new(),
            lines: Lines::default(),
            hidden: BTreeSet::new(),
            in_flight_count: 0,
            sent_ever: 0,
        }
    }

    /// Puts a message in; `delay_s` wins over the queue's own delay, also when it is zero.
    pub(super) fn send(&mut self, letter: Letter, delay_s: Option<u64>, now_ms: u64) {
        let hidden_for_ms = delay_s
            .unwrap_or(self.settings.delay_s)
            .saturating_mul(1_000);
        self.put(letter, now_ms.saturating_add(hidden_for_ms), now_ms);
    }

    /// Puts a dead letter in: it keeps its id and its age, starts to count anew and has no delay.
    pub(super) fn bury(&mut self, letter: Letter, now_ms: u64) {
        self.put(letter, now_ms, now_ms);
    }

    fn put(&mut self, letter: Letter, visible_at_ms: u64, now_ms: u64) {
        let number = self.sent_ever;
        self.sent_ever = number.saturating_add(1);
        let state = if visible_at_ms > now_ms {
            self.hidden.insert((visible_at_ms, number));
            State::Delayed {
                until_ms: visible_at_ms,
            }
        } else {
            self.lines.push(letter.group.clone(), number);
            State::Ready
        };
        self.held.insert(
            number,
            Held {
                letter,
                state,
                receives_count: 0,
                first_received_at_ms: None,
            },
        );
    }

    /// Hands out up to `count_max` messages and hides each for `visibility_s`, or as long as the queue
    /// says. With a visibility of zero they are ready again at once.
    ///
    /// # Errors
    /// Too many messages are in flight.
    pub(super) fn receive(
        &mut self,
        count_max: usize,
        visibility_s: Option<u64>,
        now_ms: u64,
    ) -> Result<Received, Fault> {
        self.show_due(now_ms);
        let hidden_for_ms = visibility_s
            .unwrap_or(self.settings.visibility_s)
            .saturating_mul(1_000);
        let until_ms = now_ms.saturating_add(hidden_for_ms);
        let mut received = Received::default();
        let mut again = Vec::new();
        while received.deliveries.len() < count_max {
            if self.in_flight_count >= IN_FLIGHT_MAX {
                if received.deliveries.is_empty() {
                    return Err(Fault::new(Kind::OverLimit, "Too many messages in flight."));
                }
                break;
            }
            let Some(number) = self.next_ready() else {
                break;
            };
            if self.take_out_expired_or_dead(number, now_ms, &mut received.dead) {
                continue;
            }
            let Some(held) = self.held.get_mut(&number) else {
                continue;
            };
            held.receives_count = held.receives_count.saturating_add(1);
            let first_received_at_ms = *held.first_received_at_ms.get_or_insert(now_ms);
            received.deliveries.push(Delivery {
                receipt: Receipt::write(number, held),
                letter: held.letter.clone(),
                receives_count: held.receives_count,
                first_received_at_ms,
            });
            held.state = State::InFlight {
                until_ms,
                since_ms: now_ms,
            };
            self.in_flight_count = self.in_flight_count.saturating_add(1);
            self.hidden.insert((until_ms, number));
            if hidden_for_ms == 0 {
                again.push(number);
            }
        }
        // Only after the loop, or one receive would hand out the same message twice.
        for number in again {
            self.show(number);
        }
        received.next_at_ms = self.hidden.first().map(|&(at_ms, _)| at_ms);
        Ok(received)
    }

    /// Deletes the message that the receipt belongs to. One that is gone already, or was received
    /// again since, is no error and changes nothing.
    ///
    /// # Errors
    /// The receipt is not one of this service.
    pub(super) fn delete(&mut self, receipt: &str) -> Result<(), Fault> {
        let receipt = Receipt::read(receipt)?;
        if self.held_by(&receipt).is_some() {
            self.remove(receipt.number);
        }
        Ok(())
    }

    /// Hides a message in flight for `visibility_s` from now; zero makes it ready at once.
    ///
    /// # Errors
    /// The receipt is not one of this service, its message is no longer in flight, or it would be
    /// hidden for more than twelve hours in all.
    pub(super) fn change_visibility(
        &mut self,
        receipt: &str,
        visibility_s: u64,
        now_ms: u64,
    ) -> Result<(), Fault> {
        self.show_due(now_ms);
        let receipt = Receipt::read(receipt)?;
        let state = self.held_by(&receipt).map(|held| held.state);
        let Some(State::InFlight { until_ms, since_ms }) = state else {
            return Err(Fault::new(
                Kind::MessageNotInflight,
                "The message referred to is not in flight.",
            ));
        };
        let new_until_ms = now_ms.saturating_add(visibility_s.saturating_mul(1_000));
        if new_until_ms.saturating_sub(since_ms) > VISIBILITY_MAX_S.saturating_mul(1_000) {
            return Err(Fault::invalid(
                "VisibilityTimeout",
                visibility_s,
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
            ));
        }
        self.hidden.remove(&(until_ms, receipt.number));
        self.hidden.insert((new_until_ms, receipt.number));
        if let Some(held) = self.held.get_mut(&receipt.number) {
            held.state = State::InFlight {
                until_ms: new_until_ms,
                since_ms,
            };
        }
        self.show_due(now_ms);
        Ok(())
    }

    /// Drops every message.
    pub(super) fn purge(&mut self) {
        self.held.clear();
        self.hidden.clear();
        self.lines = Lines::default();
        self.in_flight_count = 0;
    }

    pub(super) fn counts(&mut self, now_ms: u64) -> QueueCounts {
        self.show_due(now_ms);
        let hidden = self.hidden.len();
        QueueCounts {
            ready: self.held.len().saturating_sub(hidden),
            in_flight: self.in_flight_count,
            delayed: hidden.saturating_sub(self.in_flight_count),
        }
    }

    /// Makes ready whatever is hidden no longer.
    fn show_due(&mut self, now_ms: u64) {
        while let Some(&(at_ms, number)) = self.hidden.first() {
            if at_ms > now_ms {
                break;
            }
            self.show(number);
        }
    }

    fn show(&mut self, number: u64) {
        self.unhide(number);
        if let Some(held) = self.held.get_mut(&number) {
            held.state = State::Ready;
            self.lines.push(held.letter.group.clone(), number);
        }
    }

    /// Takes a message off the hidden ones, if it is one.
    fn unhide(&mut self, number: u64) {
        match self.held.get(&number).map(|held| held.state) {
            Some(State::Delayed { until_ms }) => {
                self.hidden.remove(&(until_ms, number));
            }
            Some(State::InFlight { until_ms, .. }) => {
                self.hidden.remove(&(until_ms, number));
                self.in_flight_count = self.in_flight_count.saturating_sub(1);
            }
            Some(State::Ready) | None => {}
        }
    }

    fn remove(&mut self, number: u64) -> Option<Letter> {
        self.unhide(number);
        self.held.remove(&number).map(|held| held.letter)
    }

    /// The next message in turn. A ready message that was deleted leaves its number in line.
    fn next_ready(&mut self) -> Option<u64> {
        loop {
            let number = self.lines.pop()?;
            if self.held.contains_key(&number) {
                return Some(number);
            }
        }
    }

    /// Whether the message is out of the queue now: too old, or received too often already.
    fn take_out_expired_or_dead(
        &mut self,
        number: u64,
        now_ms: u64,
        dead: &mut Vec<Letter>,
    ) -> bool {
        let Some(held) = self.held.get(&number) else {
            return true;
        };
        let retention_ms = self.settings.retention_s.saturating_mul(1_000);
        let expired = now_ms.saturating_sub(held.letter.sent_at_ms) >= retention_ms;
        let spent = self
            .settings
            .redrive
            .as_ref()
            .is_some_and(|redrive| held.receives_count >= redrive.receives_max);
        if !expired && !spent {
            return false;
        }
        let letter = self.remove(number);
        if !expired {
            dead.extend(letter);
        }
        true
    }

    /// The message of a receipt, as long as the receipt is its newest.
    fn held_by(&self, receipt: &Receipt<'_>) -> Option<&Held> {
        self.held.get(&receipt.number).filter(|held| {
            held.letter.id == receipt.message_id && held.receives_count == receipt.receives_count
        })
    }
}

/// Which message, and which receive of it.
#[derive(Debug, PartialEq, Eq)]
struct Receipt<'a> {
    message_id: &'a str,
    number: u64,
    receives_count: u32,
}

impl<'a> Receipt<'a> {
    fn write(number: u64, held: &Held) -> String {
        format!("{}.{number}.{}", held.letter.id, held.receives_count)
    }

    fn read(text: &'a str) -> Result<Self, Fault> {
        let parts = || {
            let (rest, receives_count) = text.rsplit_once('.')?;
            let (message_id, number) = rest.rsplit_once('.')?;
            Some(Self {
                message_id,
                number: number.parse().ok()?,
                receives_count: receives_count.parse().ok()?,
            })
        };
        parts().ok_or_else(|| {
            Fault::new(
                Kind::ReceiptHandleIsInvalid,
                format!("The input receipt handle \"{text}\" is not a valid receipt handle."),
            )
        })
    }
}

/// The ready messages, one line a group, the lines taking turns.
#[derive(Debug, Default)]
struct Lines {
    /// The groups that have a line, the next to be served first.
    turns: VecDeque<Option<Arc<str>>>,
    lines: HashMap<Option<Arc<str>>, VecDeque<u64>>,
}

impl Lines {
    fn push(&mut self, group: Option<Arc<str>>, number: u64) {
        let line = self.lines.entry(group.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(group);
        }
        line.push_back(number);
    }

    fn pop(&mut self) -> Option<u64> {
        let group = self.turns.pop_front()?;
        let line = self.lines.get_mut(&group)?;
        let number = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&group);
        } else {
            self.turns.push_back(group);
        }
        number
    }
}

#[cfg(test)]
mod tests;
