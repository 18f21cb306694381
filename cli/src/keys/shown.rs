//! A key as people and programs see it: never the key itself.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use weir_store::ApiKeyRecord;

use crate::text::{Align, Cell, Paint, Table, cell};

/// Whether a key is good, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Expired,
    Revoked,
}

impl State {
    /// The state at a moment. What was revoked stays so.
    pub(super) fn of(record: &ApiKeyRecord, now: DateTime<Utc>) -> Self {
        if record.revoked_at.is_some() {
            Self::Revoked
        } else if record.expires_at.is_some_and(|at| at <= now) {
            Self::Expired
        } else {
            Self::Active
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    fn cell(self) -> Cell {
        let paint: fn(Paint, &str) -> String = match self {
            Self::Active => Paint::good,
            Self::Expired | Self::Revoked => Paint::bad,
        };
        (self.name().to_owned(), paint)
    }
}

/// A key as a JSON object; what it does not have is left out.
pub(crate) fn json(record: &ApiKeyRecord, now: DateTime<Utc>) -> Value {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut shown = json!({
        "id": record.id,
        "name": record.name,
        "permissions": record.permissions,
        "created_at": time(record.created_at),
        "state": State::of(record, now).name(),
    });
    let optional = [
        ("client_id", record.client_id.map(|id| id.to_string())),
        ("program_id", record.program_id.map(|id| id.to_string())),
        ("seller_id", record.seller_id.map(|id| id.to_string())),
        ("expires_at", record.expires_at.map(time)),
        ("revoked_at", record.revoked_at.map(time)),
    ];
    for (name, value) in optional {
        if let (Some(members), Some(value)) = (shown.as_object_mut(), value) {
            members.insert(name.to_owned(), value.into());
        }
    }
    shown
}

/// A JSON document as it is printed.
pub(crate) fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Keys as a table.
pub(super) fn table(keys: &[ApiKeyRecord], now: DateTime<Utc>, paint: Paint) -> String {
    if keys.is_empty() {
        return "There are no keys.\n".to_owned();
    }
    let columns = [
        "Id",
        "Name",
        "Created",
        "Expires",
        "State",
        "Scope",
        "Permissions",
    ];
    // Ids are to be copied, and what a key may do is to be seen whole.
    let mut table = Table::uncut(columns.map(|name| (name, Align::Left)).to_vec());
    for record in keys {
        table.row(vec![
            cell(record.id.to_string()),
            cell(&record.name),
            cell(minute(record.created_at)),
            cell(expires(record)),
            State::of(record, now).cell(),
            cell(scope(record)),
            cell(record.permissions.join(" ")),
        ]);
    }
    table.render(paint)
}

/// A time to the minute, in UTC.
fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%MZ").to_string()
}

/// When a key expires.
pub(super) fn expires(record: &ApiKeyRecord) -> String {
    record.expires_at.map_or_else(|| "never".to_owned(), minute)
}

/// What a key is limited to: the narrowest of it, which the rest follows from.
pub(crate) fn scope(record: &ApiKeyRecord) -> String {
    if let Some(id) = record.seller_id {
        format!("seller {id}")
    } else if let Some(id) = record.program_id {
        format!("program {id}")
    } else if let Some(id) = record.client_id {
        format!("client {id}")
    } else {
        "everything".to_owned()
    }
}
