//! What a file says of something, against what is kept.

use chrono::{DateTime, Utc};
use weir_store::Reference;

/// A member that is not as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub member: &'static str,
    /// What is kept; `None` when there is none.
    pub is: Option<String>,
    /// What the file says; `None` when it says nothing, and it is to be removed.
    pub wanted: Option<String>,
}

/// To what something belongs: nothing moves from one to another.
const FIXED: [&str; 3] = ["client_id", "program_id", "seller_id"];

impl Difference {
    /// Whether it is for no file to change.
    pub fn is_fixed(&self) -> bool {
        FIXED.contains(&self.member)
    }
}

/// Every member in which what is kept is not what is wanted. Both are of one kind and id.
pub(crate) fn differences(is: &Reference, wanted: &Reference) -> Vec<Difference> {
    let pairs = members(is).into_iter().zip(members(wanted));
    pairs
        .filter(|((_, is), (_, wanted))| is != wanted)
        .map(|((member, is), (_, wanted))| Difference { member, is, wanted })
        .collect()
}

/// What a file may say of something, in the order of the contract.
fn members(reference: &Reference) -> Vec<(&'static str, Option<String>)> {
    let some = |value: &dyn ToString| Some(value.to_string());
    match reference {
        Reference::Client(it) => vec![("name", some(&it.name))],
        Reference::Program(it) => vec![
            ("client_id", some(&it.client_id)),
            ("name", some(&it.name)),
            ("status", some(&it.status)),
            ("reply_to_email", it.reply_to_email.clone()),
            ("support_email", it.support_email.clone()),
            ("sender_email", it.sender_email.clone()),
        ],
        Reference::Seller(it) => vec![
            ("client_id", some(&it.client_id)),
            ("program_id", some(&it.program_id)),
            (
                "alternate_seller_id",
                it.alternate_seller_id.as_ref().map(ToString::to_string),
            ),
            ("name", some(&it.name)),
            ("status", it.status.clone()),
        ],
        Reference::Customer(it) => vec![
            ("client_id", some(&it.client_id)),
            ("program_id", some(&it.program_id)),
            ("name", it.name.clone()),
        ],
        Reference::SellerContact(it) => vec![
            ("client_id", some(&it.client_id)),
            ("program_id", some(&it.program_id)),
            ("seller_id", some(&it.seller_id)),
            ("name", it.name.clone()),
            ("email", it.email.clone()),
            ("country", it.country.clone()),
            ("state", it.state.clone()),
            ("city", it.city.clone()),
            ("street", it.street.clone()),
            ("post_code", it.post_code.clone()),
        ],
        Reference::ReportSchedule(it) => vec![
            ("client_id", some(&it.client_id)),
            ("program_id", some(&it.program_id)),
            ("seller_id", it.seller_id.map(|id| id.to_string())),
            ("report_id", some(&it.report_id)),
            ("schedule_tz", some(&it.schedule_tz)),
            ("schedule_frequency", some(&it.schedule_frequency)),
            (
                "schedule_week_day",
                it.schedule_week_day.map(|day| day.to_string()),
            ),
            ("recipient_emails", Some(it.recipient_emails.join(", "))),
        ],
    }
}

/// What is to be kept: what is wanted, with what no file can say as it was before.
pub(crate) fn merged(
    before: Option<&Reference>,
    wanted: &Reference,
    at: DateTime<Utc>,
) -> Reference {
    let mut after = wanted
        .clone()
        .made_at(before.map_or(at, Reference::created_at));
    let message_ts = match before {
        Some(Reference::Client(it)) => it.processed_message_ts,
        Some(Reference::Program(it)) => it.processed_message_ts,
        Some(Reference::Seller(it)) => it.processed_message_ts,
        Some(Reference::Customer(it)) => it.processed_message_ts,
        Some(Reference::SellerContact(it)) => it.processed_message_ts,
        Some(Reference::ReportSchedule(_)) | None => None,
    };
    match &mut after {
        Reference::Client(it) => {
            (it.processed_message_ts, it.updated_at) = (message_ts, at);
        }
        Reference::Program(it) => {
            (it.processed_message_ts, it.updated_at) = (message_ts, at);
        }
        Reference::Seller(it) => {
            (it.processed_message_ts, it.updated_at) = (message_ts, at);
        }
        Reference::Customer(it) => {
            (it.processed_message_ts, it.updated_at) = (message_ts, at);
        }
        Reference::SellerContact(it) => {
            (it.processed_message_ts, it.updated_at) = (message_ts, at);
        }
        Reference::ReportSchedule(it) => {
            it.updated_at = at;
            if let Some(Reference::ReportSchedule(before)) = before {
                it.last_scheduled_at = before.last_scheduled_at;
            }
        }
    }
    after
}
