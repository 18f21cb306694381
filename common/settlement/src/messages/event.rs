//! What a message says: which reference data is to be how, and since when.
//!
//! `{"type": "seller.updated", "occurred_at": "2026-01-02T03:04:05Z", "data": {…}}`
//!
//! | kind | `data` |
//! | --- | --- |
//! | `client` | `id`, `name` |
//! | `program` | `id`, `client_id`, `name`, `status`, `reply_to_email`, `support_email`, `sender_email` |
//! | `seller` | `id`, `client_id`, `program_id`, `name`; `alternate_seller_id`, `status` |
//! | `customer` | `id`, `client_id`, `program_id`; `name` |
//! | `seller_contact` | `id`, `client_id`, `program_id`, `seller_id`; `name`, `email`, `country`, `state`, `city`, `street`, `post_code` |
//!
//! What stands after the semicolon may be missing, or `null`, and is then removed. `created` and `updated` mean the
//! same: that it is so now. For `deleted` the `id` is enough. A `group_id` beside `type` is kept with the
//! message. Members besides these are ignored. Refused,
//! with every violation at once: a name that comes twice, other types, a time that is none or lies more than five minutes
//! ahead, which would keep out whatever truly comes later, and data that breaks the rules of the API's bodies.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;
use weir_domain::{ClientId, EmailAddress};
use weir_store::{
    Client, Customer, Program, Reference, ReferenceChange, ReferenceKind, Seller, SellerContact,
};

use super::delivery::{GROUP_ID_CHARACTERS_MAX, is_group_id, text_of};
use crate::json;
use crate::reference::Body;
use crate::schema::{BodyError, Violation};

/// Most characters of a name, and of every text that has no limit of its own.
const TEXT_CHARACTERS_MAX: usize = 1_024;
/// Most characters of an e-mail address.
const EMAIL_CHARACTERS_MAX: usize = 200;
/// How far ahead of the clock here another may be: more than any clock that is kept right.
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);

/// The kinds that messages tell of, as they call them.
const KINDS: &[(&str, ReferenceKind)] = &[
    ("client", ReferenceKind::Client),
    ("program", ReferenceKind::Program),
    ("seller", ReferenceKind::Seller),
    ("customer", ReferenceKind::Customer),
    ("seller_contact", ReferenceKind::SellerContact),
];

/// A message that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// When it came to be so.
    pub(super) occurred_at: DateTime<Utc>,
    /// What is to change.
    pub(super) change: ReferenceChange,
    /// What has to be known for it.
    pub(super) parent: Option<(ReferenceKind, Uuid)>,
}

/// Reads the body of a message, in its envelope or without; or tells everything that is wrong with it.
pub(super) fn read(body: &str, now: DateTime<Utc>) -> Result<Told, Vec<String>> {
    let one = |problem: String| vec![problem];
    let text = text_of(body);
    let value =
        json::value(&text).map_err(|error| one(format!("the message is not JSON: {error}")))?;
    let Value::Object(mut members) = value else {
        return Err(one("the message must be an object".to_owned()));
    };
    if let Some(Value::Object(data)) = members.get_mut("data") {
        data.retain(|_, value| !value.is_null());
    }
    let mut top = Members::of(&members, "", now);
    let kind = top.kind();
    let occurred_at = top.occurred_at();
    top.check_group_id();
    let mut problems = top.problems;
    let data = match members.get("data") {
        Some(Value::Object(data)) => Some(data),
        Some(_) => {
            problems.push("/data: must be an object".to_owned());
            None
        }
        None => {
            problems.push("/data: is required".to_owned());
            None
        }
    };
    let mut told = None;
    if let (Some((kind, action)), Some(data)) = (kind, data) {
        let mut data = Members::of(data, "/data", now);
        // What is missing stands for itself here: its problem is told, and nothing is applied.
        let at = occurred_at.unwrap_or(now);
        told = data.told(kind, action, at);
        problems.extend(data.problems);
    }
    match told {
        Some(told) if problems.is_empty() => Ok(told),
        _ => Err(problems),
    }
}

/// What came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Put,
    Delete,
}

/// The members of an object, and what is wrong with those that were asked for.
struct Members<'a> {
    members: &'a Map<String, Value>,
    path: &'static str,
    now: DateTime<Utc>,
    problems: Vec<String>,
}

impl<'a> Members<'a> {
    fn of(members: &'a Map<String, Value>, path: &'static str, now: DateTime<Utc>) -> Self {
        Self {
            members,
            path,
            now,
            problems: Vec::new(),
        }
    }

    fn wrong(&mut self, name: &str, why: &str) {
        self.problems.push(format!("{}/{name}: {why}", self.path));
    }

    /// A text of 1 to some characters that may be missing.
    fn opt_text(&mut self, name: &str, characters_max: usize) -> Option<&'a str> {
        let Some(text) = self.members.get(name)?.as_str() else {
            self.wrong(name, "must be a text");
            return None;
        };
        let count = text.chars().count();
        if (1..=characters_max).contains(&count) {
            return Some(text);
        }
        self.wrong(
            name,
            &format!("must have 1 to {characters_max} characters, has {count}"),
        );
        None
    }

    fn opt_owned(&mut self, name: &str) -> Option<String> {
        self.opt_text(name, TEXT_CHARACTERS_MAX).map(str::to_owned)
    }

    fn is_there(&mut self, name: &str) -> bool {
        let is_there = self.members.contains_key(name);
        if !is_there {
            self.wrong(name, "is required");
        }
        is_there
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.is_there(name).then(|| self.opt_owned(name)).flatten()
    }

    /// A text that is parsed into a type, whose own words tell what is wrong.
    fn opt_parsed<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &str,
        characters_max: usize,
    ) -> Option<T> {
        match self.opt_text(name, characters_max)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(name, &T::Err::to_string(&error));
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let is_there = self.is_there(name);
        is_there
            .then(|| self.opt_parsed(name, TEXT_CHARACTERS_MAX))
            .flatten()
    }

    fn opt_email(&mut self, name: &str) -> Option<String> {
        let address: EmailAddress = self.opt_parsed(name, EMAIL_CHARACTERS_MAX)?;
        Some(address.to_string())
    }

    fn kind(&mut self) -> Option<(ReferenceKind, Action)> {
        let kind_of = |text: &str| {
            let (kind, action) = text.split_once('.')?;
            let action = match action {
                "created" | "updated" => Action::Put,
                "deleted" => Action::Delete,
                _ => return None,
            };
            let (_, kind) = KINDS.iter().find(|(name, _)| *name == kind)?;
            Some((*kind, action))
        };
        let text = self.text("type")?;
        let kind = kind_of(&text);
        if kind.is_none() {
            let kinds: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            let kinds = kinds.join(", ");
            let why = format!("must be one of {kinds} with .created, .updated or .deleted");
            self.wrong("type", &why);
        }
        kind
    }

    fn occurred_at(&mut self) -> Option<DateTime<Utc>> {
        let text = self.text("occurred_at")?;
        let Ok(at) = DateTime::parse_from_rfc3339(&text) else {
            self.wrong("occurred_at", "must be a time such as 2026-01-02T03:04:05Z");
            return None;
        };
        let at = at.to_utc();
        if at - self.now > AHEAD_MAX {
            let why = format!(
                "must not be more than {} minutes ahead of the clock here, which says {}",
                AHEAD_MAX.num_minutes(),
                self.now.to_rfc3339_opts(SecondsFormat::Secs, true)
            );
            self.wrong("occurred_at", &why);
        } else if at < DateTime::UNIX_EPOCH {
            self.wrong("occurred_at", "must not be before 1970");
        }
        // Times are kept to the microsecond, and compared as they are kept.
        DateTime::from_timestamp_micros(at.timestamp_micros())
    }

    /// A group that may be missing, or empty for none.
    fn check_group_id(&mut self) {
        let is_good = match self.members.get("group_id") {
            None | Some(Value::Null) => true,
            Some(Value::String(group)) => group.is_empty() || is_group_id(group),
            Some(_) => false,
        };
        if !is_good {
            let why = format!(
                "must have 1 to {GROUP_ID_CHARACTERS_MAX} characters, letters, digits and punctuation \
                 of ASCII"
            );
            self.wrong("group_id", &why);
        }
    }

    fn told(&mut self, kind: ReferenceKind, action: Action, at: DateTime<Utc>) -> Option<Told> {
        let told = |change, parent| Told {
            occurred_at: at,
            change,
            parent,
        };
        if action == Action::Delete {
            // Of whichever kind, an id is a UUID with its hyphens.
            let id: ClientId = self.parsed("id")?;
            return Some(told(ReferenceChange::Delete(kind, id.uuid()), None));
        }
        let (reference, parent) = match kind {
            ReferenceKind::Client => (self.client(at)?, None),
            ReferenceKind::Program => self.program(at)?,
            ReferenceKind::Seller => self.seller(at)?,
            ReferenceKind::Customer => self.customer(at)?,
            ReferenceKind::SellerContact => self.seller_contact(at)?,
            // No message tells of one.
            ReferenceKind::ReportSchedule => return None,
        };
        Some(told(ReferenceChange::Put(Box::new(reference)), parent))
    }

    /// The members that the API's body of a kind has too.
    fn body(&mut self, kind: ReferenceKind) -> Option<Body> {
        let violations = match Body::of(kind, self.members, &[]) {
            Ok(body) => return Some(body),
            Err(BodyError::Schema(violations) | BodyError::Invalid(violations)) => violations,
            Err(BodyError::NotAnObject(why)) => {
                self.problems.push(format!("{}: {why}", self.path));
                return None;
            }
        };
        let path = self.path;
        let told = violations.into_iter();
        let told = told.map(|Violation { place, rule }| format!("{path}{place}: {rule}"));
        self.problems.extend(told);
        None
    }

    fn client(&mut self, at: DateTime<Utc>) -> Option<Reference> {
        let (body, id) = (self.body(ReferenceKind::Client), self.parsed("id"));
        let Some(Body::Client(body)) = body else {
            return None;
        };
        Some(Reference::Client(Client {
            id: id?,
            name: body.name,
            processed_message_ts: Some(at),
            created_at: self.now,
            updated_at: self.now,
        }))
    }

    fn program(&mut self, at: DateTime<Utc>) -> Option<(Reference, Parent)> {
        let body = self.body(ReferenceKind::Program);
        let (id, client_id) = (self.parsed("id"), self.parsed("client_id"));
        let Some(Body::Program(body)) = body else {
            return None;
        };
        let program = Program {
            id: id?,
            client_id: client_id?,
            name: body.name,
            status: body.status,
            reply_to_email: Some(body.reply_to_email),
            support_email: Some(body.support_email),
            sender_email: Some(body.sender_email),
            processed_message_ts: Some(at),
            created_at: self.now,
            updated_at: self.now,
        };
        let parent = Some((ReferenceKind::Client, program.client_id.uuid()));
        Some((Reference::Program(program), parent))
    }

    fn seller(&mut self, at: DateTime<Utc>) -> Option<(Reference, Parent)> {
        let body = self.body(ReferenceKind::Seller);
        let (id, client_id) = (self.parsed("id"), self.parsed("client_id"));
        let (program_id, status) = (self.parsed("program_id"), self.opt_owned("status"));
        let Some(Body::Seller(body)) = body else {
            return None;
        };
        let seller = Seller {
            id: id?,
            client_id: client_id?,
            program_id: program_id?,
            alternate_seller_id: body.alternate_seller_id,
            name: body.name,
            status,
            processed_message_ts: Some(at),
            created_at: self.now,
            updated_at: self.now,
        };
        let parent = Some((ReferenceKind::Program, seller.program_id.uuid()));
        Some((Reference::Seller(seller), parent))
    }

    fn customer(&mut self, at: DateTime<Utc>) -> Option<(Reference, Parent)> {
        let body = self.body(ReferenceKind::Customer);
        let (id, client_id) = (self.parsed("id"), self.parsed("client_id"));
        let program_id = self.parsed("program_id");
        let Some(Body::Customer(body)) = body else {
            return None;
        };
        let customer = Customer {
            id: id?,
            client_id: client_id?,
            program_id: program_id?,
            name: body.name,
            processed_message_ts: Some(at),
            created_at: self.now,
            updated_at: self.now,
        };
        let parent = Some((ReferenceKind::Program, customer.program_id.uuid()));
        Some((Reference::Customer(customer), parent))
    }

    fn seller_contact(&mut self, at: DateTime<Utc>) -> Option<(Reference, Parent)> {
        let (id, client_id) = (self.parsed("id"), self.parsed("client_id"));
        let (program_id, seller_id) = (self.parsed("program_id"), self.parsed("seller_id"));
        let contact = SellerContact {
            name: self.opt_owned("name"),
            email: self.opt_email("email"),
            country: self.opt_owned("country"),
            state: self.opt_owned("state"),
            city: self.opt_owned("city"),
            street: self.opt_owned("street"),
            post_code: self.opt_owned("post_code"),
            id: id?,
            client_id: client_id?,
            program_id: program_id?,
            seller_id: seller_id?,
            processed_message_ts: Some(at),
            created_at: self.now,
            updated_at: self.now,
        };
        let parent = Some((ReferenceKind::Seller, contact.seller_id.uuid()));
        Some((Reference::SellerContact(contact), parent))
    }
}

type Parent = Option<(ReferenceKind, Uuid)>;

#[cfg(test)]
mod tests;
