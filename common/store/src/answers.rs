//! First answers to requests that are known again by a key of their caller.
//!
//! A request is claimed before it runs, and its answer is kept once it has run:
//!
//! ```text
//! (none) ── claim ──▶ running ── keep ──▶ answered
//!                     │  ▲ │
//!                forget  │ release, or the lease lapses
//!                     ▼  │ ▼
//!                (none)  given up
//!                  take over
//! ```
//!
//! Invariants:
//!
//! - Every step is a conditional write. A run changes nothing once another has taken its place: it is
//!   known by `claimed_by`, and no two runs have the same.
//! - What was claimed keeps its `seed` and `first_at` through every run, so that a run that comes after
//!   one of which nobody knows how far it got makes the same things.
//! - What is past its `ends_at` counts as nothing, whether DynamoDB has removed it by then or not.
//! - An answer that is too long for one item lies in parts beside it, which are there before it is.
//!
//! Refused are answers longer than [`ANSWER_BYTES_MAX`].

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::sorted;
use crate::item::{Item, Reader, Writer, bytes, number, text, texts, time, uuid};
use crate::payload::{compress, decompress};
use crate::tables::ANSWERS;
use crate::{ApiKeyHash, Store, StoreError};

/// How long an answer is kept; and how long a claim is remembered of which there is none.
pub const ANSWER_KEPT: TimeDelta = TimeDelta::hours(24);
/// The longest body of an answer: above what a gateway lets through, so none is refused in fact.
pub const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Most bytes of a compressed body in one item: what DynamoDB takes, and room for all else.
const PART_BYTES_MAX: usize = 300 << 10;
/// How much longer parts are there than the answer that names them.
const PARTS_LONGER: TimeDelta = TimeDelta::hours(1);

/// What an answer is found by: a caller's own key for a request. It tells neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerId(String);

impl AnswerId {
    /// The id of what a caller calls `key`. No two callers share one.
    pub fn of(caller: &ApiKeyHash, key: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [caller.as_hex().as_bytes(), key] {
            // With their lengths, so that no two lists of parts are the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hex = |hex: String, byte: u8| format!("{hex}{byte:02x}");
        Self(hash.finalize().into_iter().fold(String::new(), hex))
    }

    fn part(&self, run: Uuid, number: usize) -> String {
        format!("{}.{run}.{number}", self.0)
    }
}

/// What a run claims a request with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerClaim {
    /// Which run: no two are alike.
    pub run: Uuid,
    /// SHA-256 of the request.
    pub fingerprint: [u8; 32],
    /// What new ids are to be made of, unless an earlier run has settled that.
    pub seed: Uuid,
    /// When it is claimed.
    pub at: DateTime<Utc>,
    /// From when on another may take it over.
    pub lease_until: DateTime<Utc>,
}

/// What is kept of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRecord {
    /// SHA-256 of the request.
    pub fingerprint: [u8; 32],
    /// What new ids are made of, in every run.
    pub seed: Uuid,
    /// The run that has it, or had it last.
    pub run: Uuid,
    /// When it was first claimed.
    pub first_at: DateTime<Utc>,
    /// From when on nothing of this counts any more.
    pub ends_at: DateTime<Utc>,
    /// Where it stands.
    pub state: AnswerState,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerState {
    /// It runs, until then at the latest.
    Running(DateTime<Utc>),
    /// It ended without an answer that could be kept; whether it took effect is not known.
    GivenUp,
    /// It was answered.
    Answered(Answer),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names and values of its headers; neither holds a line break.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl AnswerClaim {
    fn item(&self, id: &AnswerId) -> Item {
        let ends_at = self.at + ANSWER_KEPT;
        Writer::default()
            .with("id", text(&id.0))
            .with("fingerprint", bytes(self.fingerprint.to_vec()))
            .with("seed", uuid(self.seed))
            .with("claimed_by", uuid(self.run))
            .with("first_at", time(self.at))
            .with("lease_until", time(self.lease_until))
            .with("ends_at", time(ends_at))
            .with("expires_at", expiry(ends_at))
            .finish()
    }
}

/// A time to live: not before the whole second after.
fn expiry(at: DateTime<Utc>) -> AttributeValue {
    number(at.timestamp() + 1)
}

fn head_lines(answer: &Answer) -> Vec<String> {
    let line = |(name, value): &(String, String)| format!("{name}:{value}");
    answer.headers.iter().map(line).collect()
}

impl Store {
    /// Claims a request that nobody has claimed, or whose answer is not kept any longer.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody has: see [`Store::answer_record`].
    pub async fn claim_answer(&self, id: &AnswerId, claim: &AnswerClaim) -> Result<(), StoreError> {
        let answer = self
            .dynamodb()
            .put_item()
            .table_name(self.names.table(&ANSWERS))
            .set_item(Some(claim.item(id)))
            .condition_expression("attribute_not_exists(id) OR ends_at <= :now")
            .expression_attribute_values(":now", time(claim.at))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("claim a request"))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// Takes over what the run `from` had and ended without an answer. Seed and first time stay.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when that is no longer so.
    pub async fn take_over_answer(
        &self,
        id: &AnswerId,
        from: Uuid,
        claim: &AnswerClaim,
    ) -> Result<(), StoreError> {
        let ends_at = claim.at + ANSWER_KEPT;
        let set = "SET claimed_by = :run, lease_until = :lease_until, ends_at = :ends_at, \
                   expires_at = :expires_at";
        let answer = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&ANSWERS))
            .key("id", text(&id.0))
            .update_expression(set)
            .condition_expression("claimed_by = :from AND attribute_not_exists(answer_status)")
            .expression_attribute_values(":from", uuid(from))
            .expression_attribute_values(":run", uuid(claim.run))
            .expression_attribute_values(":lease_until", time(claim.lease_until))
            .expression_attribute_values(":ends_at", time(ends_at))
            .expression_attribute_values(":expires_at", expiry(ends_at))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("take a request over"))?;
        self.capacity.wrote(answer.consumed_capacity());
        Ok(())
    }

    /// Keeps the answer of a run, for [`ANSWER_KEPT`] from `at` on.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the run does not have the request any more, or is answered.
    pub async fn keep_answer(
        &self,
        id: &AnswerId,
        run: Uuid,
        at: DateTime<Utc>,
        answer: &Answer,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "keep an answer";
        let body = compress(&answer.body).ok_or_else(|| StoreError::Refused {
            operation: OPERATION,
            reason: "it is too long".to_owned(),
        })?;
        let ends_at = at + ANSWER_KEPT;
        let parts = if body.len() > PART_BYTES_MAX {
            self.put_answer_parts(id, run, ends_at, &body).await?
        } else {
            0
        };
        let inside = if parts == 0 { body } else { Vec::new() };
        let set = "SET answer_status = :status, answer_headers = :headers, answer_body = :body, \
                   answer_parts = :parts, ends_at = :ends_at, expires_at = :expires_at \
                   REMOVE lease_until";
        let answered = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&ANSWERS))
            .key("id", text(&id.0))
            .update_expression(set)
            .condition_expression("claimed_by = :run AND attribute_not_exists(answer_status)")
            .expression_attribute_values(":run", uuid(run))
            .expression_attribute_values(":status", number(answer.status))
            .expression_attribute_values(":headers", texts(&head_lines(answer)))
            .expression_attribute_values(":body", bytes(inside))
            .expression_attribute_values(":parts", number(parts as u64))
            .expression_attribute_values(":ends_at", time(ends_at))
            .expression_attribute_values(":expires_at", expiry(ends_at))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted(OPERATION))?;
        self.capacity.wrote(answered.consumed_capacity());
        Ok(())
    }

    /// Gives the request up: whoever comes next may take it over at once. What the run does not have
    /// any more stays as it is.
    pub async fn release_answer(&self, id: &AnswerId, run: Uuid) -> Result<(), StoreError> {
        let released = self
            .dynamodb()
            .update_item()
            .table_name(self.names.table(&ANSWERS))
            .key("id", text(&id.0))
            .update_expression("REMOVE lease_until")
            .condition_expression("claimed_by = :run AND attribute_not_exists(answer_status)")
            .expression_attribute_values(":run", uuid(run))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("give a request up"));
        match released {
            Ok(answer) => self.capacity.wrote(answer.consumed_capacity()),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Forgets a request that did nothing in its only run. What the run does not have any more stays
    /// as it is.
    pub async fn forget_answer(&self, id: &AnswerId, run: Uuid) -> Result<(), StoreError> {
        let forgotten = self
            .dynamodb()
            .delete_item()
            .table_name(self.names.table(&ANSWERS))
            .key("id", text(&id.0))
            .condition_expression("claimed_by = :run AND attribute_not_exists(answer_status)")
            .expression_attribute_values(":run", uuid(run))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("forget a request"));
        match forgotten {
            Ok(answer) => self.capacity.wrote(answer.consumed_capacity()),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What is kept of a request, strongly consistent; `None` when there is nothing, or it has ended
    /// by `now`.
    pub async fn answer_record(
        &self,
        id: &AnswerId,
        now: DateTime<Utc>,
    ) -> Result<Option<AnswerRecord>, StoreError> {
        let answer = self
            .dynamodb()
            .get_item()
            .table_name(self.names.table(&ANSWERS))
            .key("id", text(&id.0))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(sorted("read an answer"))?;
        self.capacity.read(answer.consumed_capacity());
        let Some(item) = answer.item else {
            return Ok(None);
        };
        let read = Reader::new(ANSWERS.name, &id.0, &item);
        let ends_at = read.time("ends_at")?;
        if ends_at <= now {
            return Ok(None);
        }
        let run = read.id("claimed_by")?;
        let fingerprint = read.bytes("fingerprint")?.try_into();
        Ok(Some(AnswerRecord {
            fingerprint: fingerprint.map_err(|_| read.corrupt("fingerprint"))?,
            seed: read.id("seed")?,
            run,
            first_at: read.time("first_at")?,
            ends_at,
            state: match read.opt_number("answer_status")? {
                Some(status) => {
                    AnswerState::Answered(self.read_answer(id, run, status, &read).await?)
                }
                None => match read.opt_time("lease_until")? {
                    Some(until) => AnswerState::Running(until),
                    None => AnswerState::GivenUp,
                },
            },
        }))
    }

    async fn put_answer_parts(
        &self,
        id: &AnswerId,
        run: Uuid,
        ends_at: DateTime<Utc>,
        body: &[u8],
    ) -> Result<usize, StoreError> {
        let mut count = 0;
        for part in body.chunks(PART_BYTES_MAX) {
            // Nobody looks at a part but through an answer of this run, so it needs no condition.
            let item = Writer::default()
                .with("id", text(id.part(run, count)))
                .with("answer_body", bytes(part.to_vec()))
                .with("expires_at", expiry(ends_at + PARTS_LONGER))
                .finish();
            let answer = self
                .dynamodb()
                .put_item()
                .table_name(self.names.table(&ANSWERS))
                .set_item(Some(item))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(sorted("keep a part of an answer"))?;
            self.capacity.wrote(answer.consumed_capacity());
            count += 1;
        }
        Ok(count)
    }

    async fn read_answer(
        &self,
        id: &AnswerId,
        run: Uuid,
        status: u16,
        read: &Reader<'_>,
    ) -> Result<Answer, StoreError> {
        let mut body = read.bytes("answer_body")?.to_vec();
        for number in 0..read.number::<usize>("answer_parts")? {
            let answer = self
                .dynamodb()
                .get_item()
                .table_name(self.names.table(&ANSWERS))
                .key("id", text(id.part(run, number)))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(sorted("read a part of an answer"))?;
            self.capacity.read(answer.consumed_capacity());
            let item = answer.item.ok_or_else(|| read.corrupt("answer_parts"))?;
            let part = Reader::new(ANSWERS.name, id.part(run, number), &item);
            body.extend_from_slice(part.bytes("answer_body")?);
        }
        let body = decompress(&body).ok_or_else(|| read.corrupt("answer_body"))?;
        let headers = read.texts("answer_headers")?.into_iter();
        let header = |line: String| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let headers: Option<Vec<_>> = headers.map(header).collect();
        Ok(Answer {
            status,
            headers: headers.ok_or_else(|| read.corrupt("answer_headers"))?,
            body: body.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caller_has_keys_of_its_own() {
        let id = |caller: &str, key: &[u8]| AnswerId::of(&ApiKeyHash::of(caller), key);
        assert_eq!(id("a", b"k"), id("a", b"k"));
        assert_ne!(id("a", b"k"), id("b", b"k"));
        assert_ne!(id("a", b"k"), id("a", b"K"));
        assert_eq!(id("a", b"k").0.len(), 64);
    }
}
