//! What has been made, as the journal tells it.
//!
//! Invariant: an entry is checked as a whole before any of it is taken in, so one that is refused
//! leaves the books as they were. What an entry has made is what it says it has made: the fields of
//! the body, which holds whatever the caller wrote, never decide it.

use std::collections::HashMap;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;
use weir_domain::Currency;

use crate::journal::{Entry, Made};

#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) account: Uuid,
    pub(crate) seller_id: Uuid,
    pub(crate) buyer_id: Uuid,
    pub(crate) currency: Currency,
    pub(crate) total: i64,
    pub(crate) refunded: i64,
    pub(crate) body: Bytes,
    pub(crate) refunds: Vec<Uuid>,
}

#[derive(Debug)]
pub(crate) struct Refund {
    pub(crate) account: Uuid,
    pub(crate) body: Bytes,
}

/// The first answer under a key.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) request: Uuid,
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) charges: HashMap<Uuid, Charge>,
    pub(crate) charges_in_order: Vec<Uuid>,
    pub(crate) refunds: HashMap<Uuid, Refund>,
    pub(crate) refunds_in_order: Vec<Uuid>,
    pub(crate) kept: HashMap<String, Kept>,
    made_by_detail: HashMap<Uuid, u64>,
    pub(crate) duplicates: u64,
    pub(crate) requests: u64,
    pub(crate) replays: u64,
}

/// An entry that the books can take.
#[derive(Debug)]
pub(crate) struct Change {
    status: StatusCode,
    made: Option<Resource>,
}

#[derive(Debug)]
enum Resource {
    Charge(ChargeBody),
    Refund(RefundBody),
}

/// What the books need of a charge.
#[derive(Debug, Deserialize)]
struct ChargeBody {
    id: Uuid,
    seller_id: Uuid,
    buyer_id: Uuid,
    currency: Currency,
    total_amount: i64,
}

/// What the books need of a refund.
#[derive(Debug, Deserialize)]
struct RefundBody {
    id: Uuid,
    charge_id: Uuid,
    total_amount: i64,
}

impl Books {
    /// What an entry will change, or why it cannot be taken in. Nothing is changed yet.
    pub(crate) fn check(&self, entry: &Entry) -> Result<Change, String> {
        let status = StatusCode::from_u16(entry.status).map_err(|error| error.to_string())?;
        let made = match entry.made {
            Made::Nothing => None,
            Made::Charge => Some(Resource::Charge(read(entry)?)),
            Made::Refund => Some(Resource::Refund(read(entry)?)),
        };
        match &made {
            Some(Resource::Charge(charge)) if self.charges.contains_key(&charge.id) => {
                Err("a charge that is there already".to_owned())
            }
            Some(Resource::Refund(refund)) if self.refunds.contains_key(&refund.id) => {
                Err("a refund that is there already".to_owned())
            }
            Some(Resource::Refund(refund)) if !self.charges.contains_key(&refund.charge_id) => {
                Err("a refund of an unknown charge".to_owned())
            }
            _ => Ok(Change { status, made }),
        }
    }

    /// Takes in an entry that was checked against these very books.
    pub(crate) fn take(&mut self, entry: Entry, change: Change) {
        let body = Bytes::copy_from_slice(entry.body.get().as_bytes());
        match change.made {
            None => {}
            Some(Resource::Charge(made)) => self.take_charge(entry.account, &made, body.clone()),
            Some(Resource::Refund(made)) => self.take_refund(entry.account, &made, body.clone()),
        }
        if let Some(detail) = entry.detail.filter(|_| entry.made != Made::Nothing) {
            let made = self.made_by_detail.entry(detail).or_default();
            *made = made.saturating_add(1);
            if *made == 2 {
                self.duplicates = self.duplicates.saturating_add(1);
            }
        }
        let kept = Kept {
            request: entry.request,
            status: change.status,
            body,
        };
        self.kept.insert(entry.key, kept);
        self.requests = self.requests.max(entry.requests);
        self.replays = self.replays.max(entry.replays);
    }

    fn take_charge(&mut self, account: Uuid, made: &ChargeBody, body: Bytes) {
        let charge = Charge {
            account,
            seller_id: made.seller_id,
            buyer_id: made.buyer_id,
            currency: made.currency,
            total: made.total_amount,
            refunded: 0,
            body,
            refunds: Vec::new(),
        };
        self.charges.insert(made.id, charge);
        self.charges_in_order.push(made.id);
    }

    fn take_refund(&mut self, account: Uuid, made: &RefundBody, body: Bytes) {
        if let Some(charge) = self.charges.get_mut(&made.charge_id) {
            charge.refunded = charge.refunded.saturating_add(made.total_amount);
            charge.refunds.push(made.id);
        }
        self.refunds.insert(made.id, Refund { account, body });
        self.refunds_in_order.push(made.id);
    }
}

fn read<'a, T: Deserialize<'a>>(entry: &'a Entry) -> Result<T, String> {
    serde_json::from_str(entry.body.get()).map_err(|error| error.to_string())
}
