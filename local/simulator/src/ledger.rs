//! What the platform has made, and what it answered under which key.
//!
//! Invariants: under one key at most one thing is made; nothing is made that is not in the journal
//! first; the refunds of a charge never come to more than its total. The ledger counts for itself, by
//! batch detail and over all keys, how often something was made: that is what [`Summary::duplicates`]
//! tells, and no caller can hide it by choosing its keys badly.

use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::books::Books;
use crate::check::{ChargeFacts, RefundFacts};
use crate::journal::{Entry, Journal, JournalError, Made};
use crate::reply::{Problem, Reply};
use crate::rules::{BuyerStanding, Rules};

/// How long a buyer has to pay.
const DUE_DAYS: i64 = 30;

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Charges made.
    pub charges: u64,
    /// Refunds made.
    pub refunds: u64,
    /// Requests to the API, whatever became of them. With a state file, the requests before a restart
    /// are counted up to the last one that made something.
    pub requests: u64,
    /// First answers given again, counted likewise.
    pub replays: u64,
    /// Batch details with more than one charge or refund made. A charge names its detail in the
    /// metadata item `batch_detail_id`; what does not is of the detail that its idempotency key
    /// (`weir-DETAIL-vVERSION`) names.
    pub duplicates: u64,
}

/// A create whose own amounts fit together.
#[derive(Debug)]
pub(crate) enum Facts {
    Charge(ChargeFacts),
    Refund(RefundFacts),
}

/// A create, checked as far as that goes without the ledger.
#[derive(Debug)]
pub(crate) struct Create<'a> {
    pub(crate) key: &'a str,
    pub(crate) account: Uuid,
    /// The collection and body that the key stands for.
    pub(crate) request: Uuid,
    /// The request, a JSON object.
    pub(crate) json: &'a str,
    /// What is to be made, or why not.
    pub(crate) facts: Result<Facts, Reply>,
    pub(crate) now: DateTime<Utc>,
}

/// The ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    seed: u64,
    journal: Option<Journal>,
    books: Books,
}

impl Ledger {
    /// An empty ledger, or the one that the file holds.
    pub(crate) fn open(seed: u64, state_file: Option<&Path>) -> Result<Self, JournalError> {
        let mut books = Books::default();
        let journal = state_file
            .map(|path| {
                Journal::open(path, |entry| {
                    let change = books.check(&entry)?;
                    books.take(entry, change);
                    Ok(())
                })
            })
            .transpose()?;
        Ok(Self {
            seed,
            journal,
            books,
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Summary {
            charges: count(self.books.charges.len()),
            refunds: count(self.books.refunds.len()),
            requests: self.books.requests,
            replays: self.books.replays,
            duplicates: self.books.duplicates,
        }
    }

    pub(crate) fn count_request(&mut self) {
        self.books.requests = self.books.requests.saturating_add(1);
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) -> std::io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.clear()?;
        }
        self.books = Books::default();
        Ok(())
    }

    /// Makes what is asked for, or gives the first answer again, or refuses.
    pub(crate) fn create(&mut self, create: &Create<'_>, rules: &Rules) -> Reply {
        if let Some(kept) = self.books.kept.get(create.key) {
            if kept.request != create.request {
                return Reply::error(
                    StatusCode::CONFLICT,
                    "idempotency.key_reused",
                    "The Idempotency-Key was used with another request",
                );
            }
            let is_remembered = kept.status.is_success() || !rules.forget_refusals;
            if is_remembered {
                let reply = Reply::json(kept.status, kept.body.clone());
                self.books.replays = self.books.replays.saturating_add(1);
                return reply;
            }
        }
        let (made, reply) = self.judge(create, rules);
        let detail = match &create.facts {
            Ok(facts) => detail_of(facts, create.key),
            Err(_) => None,
        };
        match self.keep(create, made, detail, &reply) {
            Ok(()) => reply,
            Err(why) => Reply::internal(&why),
        }
    }

    /// What the answer is; nothing is made yet.
    fn judge(&self, create: &Create<'_>, rules: &Rules) -> (Made, Reply) {
        let judged = match &create.facts {
            Ok(Facts::Charge(facts)) => self
                .charge_body(create, facts, rules)
                .map(|body| (Made::Charge, body)),
            Ok(Facts::Refund(facts)) => self
                .refund_body(create, *facts)
                .map(|body| (Made::Refund, body)),
            Err(refusal) => Err(refusal.clone()),
        };
        match judged {
            Ok((made, body)) => (made, Reply::json(StatusCode::CREATED, body)),
            Err(refusal) => (Made::Nothing, refusal),
        }
    }

    fn charge_body(
        &self,
        create: &Create<'_>,
        facts: &ChargeFacts,
        rules: &Rules,
    ) -> Result<String, Reply> {
        match rules.buyers.standing(facts.buyer_id) {
            BuyerStanding::Active => {}
            BuyerStanding::Unknown => {
                return Err(unfit(
                    "buyer.not_found",
                    ".buyer_id",
                    "is not a known buyer",
                ));
            }
            BuyerStanding::Suspended => {
                return Err(unfit(
                    "buyer.not_active",
                    ".buyer_id",
                    "is not an active buyer",
                ));
            }
        }
        let id = self.derived_id("charge", create.key);
        let now = create.now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let due = create
            .now
            .checked_add_signed(TimeDelta::days(DUE_DAYS))
            .unwrap_or(create.now)
            .format("%Y-%m-%d");
        let (total, currency) = (facts.total, facts.currency);
        Ok(spliced(
            &format!(
                r#""id":"{id}","status":"Created","original_total_amount":{total},"foreign_exchange_fee":0,"paid_amount":0,"paid_amount_currency":"{currency}","due_date":"{due}","invoice_url":"https://invoices.example.com/{id}","created":"{now}","modified":"{now}""#
            ),
            create.json,
        ))
    }

    fn refund_body(&self, create: &Create<'_>, facts: RefundFacts) -> Result<String, Reply> {
        let charge = self.books.charges.get(&facts.charge_id);
        let Some(charge) = charge.filter(|charge| charge.account == create.account) else {
            return Err(not_found("charge"));
        };
        let left = charge.total.saturating_sub(charge.refunded);
        if facts.total > left {
            let message = format!("must be at most {left}: what is left of the charge");
            return Err(unfit("refund.exceeds_charge", ".total_amount", &message));
        }
        let id = self.derived_id("refund", create.key);
        let now = create.now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let (seller, buyer, currency) = (charge.seller_id, charge.buyer_id, charge.currency);
        Ok(spliced(
            &format!(
                r#""id":"{id}","seller_id":"{seller}","buyer_id":"{buyer}","currency":"{currency}","status":"Created","refund_memo_url":"https://invoices.example.com/memos/{id}","created":"{now}","modified":"{now}""#
            ),
            create.json,
        ))
    }

    /// Writes the answer down, then takes it into the books. What the books refuse is not written
    /// down: a journal with such a line in it could never be opened again.
    fn keep(
        &mut self,
        create: &Create<'_>,
        made: Made,
        detail: Option<Uuid>,
        reply: &Reply,
    ) -> Result<(), String> {
        let body = std::str::from_utf8(&reply.body).map_err(|error| error.to_string())?;
        let entry = Entry {
            key: create.key.to_owned(),
            request: create.request,
            made,
            account: create.account,
            detail,
            status: reply.status.as_u16(),
            requests: self.books.requests,
            replays: self.books.replays,
            body: RawValue::from_string(body.to_owned()).map_err(|error| error.to_string())?,
        };
        let change = self.books.check(&entry)?;
        if let Some(journal) = &mut self.journal {
            journal.append(&entry).map_err(|error| error.to_string())?;
        }
        self.books.take(entry, change);
        Ok(())
    }

    /// The same seed and key give the same id.
    fn derived_id(&self, kind: &str, key: &str) -> Uuid {
        let hash = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(kind)
            .chain_update([0])
            .chain_update(key)
            .finalize();
        uuid::Builder::from_custom_bytes(head(&hash)).into_uuid()
    }

    pub(crate) fn charge(&self, account: Uuid, id: Uuid) -> Option<Bytes> {
        let charge = self.books.charges.get(&id)?;
        (charge.account == account).then(|| charge.body.clone())
    }

    pub(crate) fn refund(&self, account: Uuid, id: Uuid) -> Option<Bytes> {
        let refund = self.books.refunds.get(&id)?;
        (refund.account == account).then(|| refund.body.clone())
    }

    /// A page of charges in the order in which they were made.
    pub(crate) fn charges(&self, account: Uuid, skip: usize, take: usize) -> Bytes {
        let ids = self.books.charges_in_order.iter();
        array(
            ids.filter_map(|id| self.charge(account, *id))
                .skip(skip)
                .take(take),
        )
    }

    /// A page of refunds, of one charge or of all, in the order in which they were made.
    pub(crate) fn refunds(
        &self,
        account: Uuid,
        charge: Option<Uuid>,
        skip: usize,
        take: usize,
    ) -> Bytes {
        let of_charge = charge.map(|id| self.books.charges.get(&id));
        let ids = match of_charge {
            None => self.books.refunds_in_order.as_slice(),
            Some(Some(charge)) => charge.refunds.as_slice(),
            Some(None) => &[],
        };
        array(
            ids.iter()
                .filter_map(|id| self.refund(account, *id))
                .skip(skip)
                .take(take),
        )
    }
}

/// The batch detail that something is made for.
fn detail_of(facts: &Facts, key: &str) -> Option<Uuid> {
    if let Facts::Charge(ChargeFacts {
        batch_detail_id: Some(text),
        ..
    }) = facts
    {
        // What is not an id is told apart all the same.
        let hash = || uuid::Builder::from_custom_bytes(head(&Sha256::digest(text))).into_uuid();
        return Some(Uuid::try_parse(text).unwrap_or_else(|_| hash()));
    }
    let (detail, _) = key.strip_prefix("weir-")?.rsplit_once("-v")?;
    Uuid::try_parse(detail).ok()
}

/// The head of a SHA-256.
pub(crate) fn head(hash: &[u8]) -> [u8; 16] {
    let mut head = [0; 16];
    for (to, from) in head.iter_mut().zip(hash) {
        *to = *from;
    }
    head
}

/// The request with what the platform adds, which it has checked not to be in it. Line ends between
/// the fields become spaces: an answer is one line of the journal.
fn spliced(added: &str, request: &str) -> String {
    let request = request.trim();
    let fields = request.strip_prefix('{').unwrap_or(request);
    format!("{{{added},{fields}").replace(['\n', '\r'], " ")
}

fn array(items: impl Iterator<Item = Bytes>) -> Bytes {
    let mut all = vec![b'['];
    for (index, item) in items.enumerate() {
        if index > 0 {
            all.push(b',');
        }
        all.extend_from_slice(&item);
    }
    all.push(b']');
    Bytes::from(all)
}

fn unfit(code: &str, path: &str, message: &str) -> Reply {
    let problem = Problem {
        data_path: path.to_owned(),
        message: message.to_owned(),
    };
    let message = format!("{} {message}", path.trim_start_matches('.'));
    Reply::refused(StatusCode::UNPROCESSABLE_ENTITY, code, &message, &[problem])
}

/// Something that does not exist, or that another account has.
pub(crate) fn not_found(what: &str) -> Reply {
    let code = format!("{what}.not_found");
    Reply::error(
        StatusCode::NOT_FOUND,
        &code,
        &format!("There is no such {what}"),
    )
}
