//! The members of one entry, each by the rules of the API and of the messages.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use weir_domain::{
    ClientId, EmailAddress, Permission, ProgramId, ReportScope, ScheduleFrequency, SellerId,
};
use weir_query::{Report, Row, Value as Shown};
use weir_settlement::reference::{Body, SchedulableReport, ScheduleBody};
use weir_settlement::schema::{BodyError, Violation};
use weir_store::{
    Client, Customer, Program, Reference, ReferenceKind, ReportSchedule, Seller, SellerContact,
};

use crate::file::Place;
use crate::node::{Held, Node, Problem};

/// Most characters of a text that has no limit of its own.
const TEXT_CHARACTERS_MAX: usize = 1_024;
/// Most characters of a contact's e-mail address.
const EMAIL_CHARACTERS_MAX: usize = 200;
/// Reference data of a file has no times.
const NO_TIME: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// The members of an entry, and what is wrong with those that were asked for.
pub(crate) struct Fields<'a> {
    node: &'a Node,
    place: &'a Place,
    pub(crate) problems: Vec<Problem>,
}

/// What an entry of a kind has besides the members of the API's body: always, and maybe.
fn own_members(kind: ReferenceKind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        ReferenceKind::Client => (&["id"], &[]),
        ReferenceKind::Program => (&["id", "client_id"], &[]),
        ReferenceKind::Seller => (&["id", "client_id", "program_id"], &["status"]),
        ReferenceKind::Customer => (&["id", "client_id", "program_id"], &[]),
        ReferenceKind::SellerContact => (
            &["id", "client_id", "program_id", "seller_id"],
            &[
                "name",
                "email",
                "country",
                "state",
                "city",
                "street",
                "post_code",
            ],
        ),
        ReferenceKind::ReportSchedule => (&["id", "client_id", "program_id"], &["seller_id"]),
    }
}

/// The reports that a schedule may name.
fn reports() -> Vec<SchedulableReport> {
    let frequencies = |report: &Report| match report.value("supported_schedule_frequencies") {
        Shown::Texts(names) => names.iter().filter_map(|name| name.parse().ok()).collect(),
        _ => Vec::<ScheduleFrequency>::new(),
    };
    let one = |report: Report| SchedulableReport {
        id: report.id(),
        frequencies: frequencies(&report),
    };
    Report::ALL.map(one).into()
}

impl<'a> Fields<'a> {
    pub(crate) fn of(node: &'a Node, place: &'a Place) -> Self {
        Self {
            node,
            place,
            problems: Vec::new(),
        }
    }

    /// Notes what is wrong at a place within the entry.
    pub(crate) fn wrong(&mut self, place: &str, reason: &str) {
        let path = format!("{}{place}", self.place.path);
        let at = self.node.at_place(place).at;
        self.problems.push(Problem::new(at, path, reason));
    }

    /// Refuses members of any other name.
    pub(crate) fn only(&mut self, names: &[&str]) {
        let Held::Map(members) = &self.node.held else {
            return;
        };
        for (name, _) in members {
            if !names.contains(&name.as_str()) {
                let reason = format!("there is no such member: it may have {}", names.join(", "));
                self.wrong(&format!("/{name}"), &reason);
            }
        }
    }

    /// Refuses one member without the other.
    pub(crate) fn needs(&mut self, name: &str, other: &str) {
        if self.node.member(name).is_some() && self.node.member(other).is_none() {
            self.wrong(&format!("/{name}"), &format!("needs {other} as well"));
        }
    }

    fn opt_text(&mut self, name: &str, characters_max: usize) -> Option<String> {
        let Held::Text(text) = &self.node.member(name)?.held else {
            let reason = "must be a text: put it in quotes if it looks like something else, or leave \
                          the name out if there is none";
            self.wrong(&format!("/{name}"), reason);
            return None;
        };
        let count = text.chars().count();
        if (1..=characters_max).contains(&count) {
            return Some(text.clone());
        }
        let reason = format!("must have 1 to {characters_max} characters, has {count}");
        self.wrong(&format!("/{name}"), &reason);
        None
    }

    fn is_there(&mut self, name: &str) -> bool {
        let is_there = self.node.member(name).is_some();
        if !is_there {
            self.wrong(&format!("/{name}"), "is required");
        }
        is_there
    }

    pub(crate) fn text(&mut self, name: &str, characters_max: usize) -> Option<String> {
        let is_there = self.is_there(name);
        is_there
            .then(|| self.opt_text(name, characters_max))
            .flatten()
    }

    fn opt(&mut self, name: &str) -> Option<String> {
        self.opt_text(name, TEXT_CHARACTERS_MAX)
    }

    /// A text that is parsed into a type, whose own words tell what is wrong.
    pub(crate) fn opt_parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.opt(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(&format!("/{name}"), &T::Err::to_string(&error));
                None
            }
        }
    }

    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let is_there = self.is_there(name);
        is_there.then(|| self.opt_parsed(name)).flatten()
    }

    /// What a key may do: at least one thing, each once.
    pub(crate) fn permissions(&mut self) -> Vec<Permission> {
        let mut found = Vec::new();
        if !self.is_there("permissions") {
            return found;
        }
        let items = match self.node.member("permissions").map(|node| &node.held) {
            Some(Held::List(items)) if !items.is_empty() => items,
            _ => {
                self.wrong("/permissions", "must be a list with at least one item");
                return found;
            }
        };
        for (number, item) in items.iter().enumerate() {
            let text = match &item.held {
                Held::Text(text) => text.as_str(),
                _ => "",
            };
            match text.parse::<Permission>() {
                Ok(one) if found.contains(&one) => {
                    self.wrong(&format!("/permissions/{number}"), "comes twice");
                }
                Ok(one) => found.push(one),
                Err(error) => self.wrong(&format!("/permissions/{number}"), &error.to_string()),
            }
        }
        found
    }

    /// The members that the API's body of a kind has.
    fn body(&mut self, kind: ReferenceKind) -> Option<Body> {
        let Value::Object(members) = self.node.to_value() else {
            return None;
        };
        match Body::of(kind, &members, &reports()) {
            Ok(body) => Some(body),
            Err(BodyError::Schema(violations) | BodyError::Invalid(violations)) => {
                for Violation { place, rule } in violations {
                    self.wrong(&place, &rule);
                }
                None
            }
            Err(BodyError::NotAnObject(reason)) => {
                self.wrong("", &reason);
                None
            }
        }
    }

    /// What the entry is to be. What is missing of it has been noted.
    pub(crate) fn reference(&mut self, kind: ReferenceKind) -> Option<Reference> {
        let (always, maybe) = own_members(kind);
        let of_body = Body::schema(kind).map_or(&[][..], |schema| schema.members);
        let of_body = of_body.iter().map(|member| member.name);
        let names: Vec<&str> = always.iter().chain(maybe).copied().chain(of_body).collect();
        self.only(&names);
        if kind == ReferenceKind::SellerContact {
            return self.seller_contact();
        }
        let body = self.body(kind);
        let ids = self.ids(kind, always);
        let status = if kind == ReferenceKind::Seller {
            self.opt("status")
        } else {
            None
        };
        made(body?, &ids?, status)
    }

    /// Everything that is wrong with any of them is told, so none returns early.
    fn ids(&mut self, kind: ReferenceKind, always: &[&str]) -> Option<Ids> {
        let id: Option<ClientId> = self.parsed("id");
        let client = match kind {
            ReferenceKind::Client => id,
            _ => self.parsed("client_id"),
        };
        let program = if always.contains(&"program_id") {
            self.parsed("program_id")
        } else {
            id.and_then(|id| id.uuid().try_into().ok())
        };
        let seller = match kind {
            ReferenceKind::ReportSchedule => self.opt_parsed("seller_id"),
            _ => None,
        };
        Some(Ids {
            id: id?.uuid(),
            client: client?,
            program: program?,
            seller,
        })
    }

    fn seller_contact(&mut self) -> Option<Reference> {
        let (id, client_id) = (self.parsed("id"), self.parsed("client_id"));
        let (program_id, seller_id) = (self.parsed("program_id"), self.parsed("seller_id"));
        let email: Option<EmailAddress> = match self.opt_text("email", EMAIL_CHARACTERS_MAX) {
            Some(_) => self.opt_parsed("email"),
            None => None,
        };
        let contact = SellerContact {
            name: self.opt("name"),
            email: email.map(|email| email.to_string()),
            country: self.opt("country"),
            state: self.opt("state"),
            city: self.opt("city"),
            street: self.opt("street"),
            post_code: self.opt("post_code"),
            id: id?,
            client_id: client_id?,
            program_id: program_id?,
            seller_id: seller_id?,
            processed_message_ts: None,
            created_at: NO_TIME,
            updated_at: NO_TIME,
        };
        Some(Reference::SellerContact(contact))
    }
}

/// What an entry and what it belongs to are known by. A client is its own client, a program its own
/// program, and a client has none: its own id stands there.
struct Ids {
    id: Uuid,
    client: ClientId,
    program: ProgramId,
    seller: Option<SellerId>,
}

/// What a body makes under some ids.
fn made(body: Body, ids: &Ids, status: Option<String>) -> Option<Reference> {
    let (client_id, program_id) = (ids.client, ids.program);
    let (processed_message_ts, created_at, updated_at) = (None, NO_TIME, NO_TIME);
    Some(match body {
        Body::Client(body) => Reference::Client(Client {
            id: client_id,
            name: body.name,
            processed_message_ts,
            created_at,
            updated_at,
        }),
        Body::Program(body) => Reference::Program(Program {
            id: program_id,
            client_id,
            name: body.name,
            status: body.status,
            reply_to_email: Some(body.reply_to_email),
            support_email: Some(body.support_email),
            sender_email: Some(body.sender_email),
            processed_message_ts,
            created_at,
            updated_at,
        }),
        Body::Seller(body) => Reference::Seller(Seller {
            id: ids.id.try_into().ok()?,
            client_id,
            program_id,
            alternate_seller_id: body.alternate_seller_id,
            name: body.name,
            status,
            processed_message_ts,
            created_at,
            updated_at,
        }),
        Body::Customer(body) => Reference::Customer(Customer {
            id: ids.id.try_into().ok()?,
            client_id,
            program_id,
            name: body.name,
            processed_message_ts,
            created_at,
            updated_at,
        }),
        Body::ReportSchedule(body) => Reference::ReportSchedule(schedule(body, ids)?),
    })
}

fn schedule(body: ScheduleBody, ids: &Ids) -> Option<ReportSchedule> {
    let addresses = body.recipient_emails.iter();
    Some(ReportSchedule {
        id: ids.id.try_into().ok()?,
        client_id: ids.client,
        program_id: ids.program,
        seller_id: ids.seller,
        report_id: body.report_id,
        report_scope: match ids.seller {
            Some(_) => ReportScope::Seller,
            None => ReportScope::Client,
        },
        schedule_tz: body.schedule_tz,
        schedule_frequency: body.schedule_frequency,
        schedule_week_day: body.schedule_week_day,
        recipient_emails: addresses.map(ToString::to_string).collect(),
        last_scheduled_at: None,
        created_at: NO_TIME,
        updated_at: NO_TIME,
    })
}
