//! What the bodies of requests hold.
//!
//! One table serves the check of a body, the API document and its tests. A member that no table names
//! is accepted and ignored.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;
use weir_domain::EmailAddress;

use crate::json;

/// What a body holds.
#[derive(Debug)]
pub struct BodySchema {
    /// What it is the body of, such as `client`.
    pub name: &'static str,
    /// Its members.
    pub members: &'static [Member],
}

/// A member of a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub rule: MemberRule,
    /// Whether it must be there.
    pub is_required: bool,
    /// What it means, as a sentence without its full stop.
    pub about: &'static str,
}

/// What a member may be. Lengths are in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberRule {
    /// A text of at least and at most so many characters.
    Text {
        /// Fewest.
        chars_min: usize,
        /// Most, where there is a bound.
        chars_max: Option<usize>,
    },
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// An e-mail address of at most so many characters.
    Email {
        /// Most.
        chars_max: usize,
    },
    /// Some e-mail addresses, at least one.
    Emails,
    /// A UUID with its hyphens.
    Id,
    /// A whole number from the least to the greatest.
    Whole {
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// `true` or `false`.
    Flag,
    /// UUIDs with their hyphens; none, too.
    Ids {
        /// Most.
        items_max: usize,
    },
    /// Objects of a kind, at least and at most so many.
    Objects {
        /// What each holds.
        members: &'static [Member],
        /// Fewest.
        items_min: usize,
        /// Most.
        items_max: usize,
    },
}

/// A rule that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The place, such as `/recipient_emails/0`.
    pub place: String,
    /// The rule.
    pub rule: String,
}

/// The value of a member, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    Text(String),
    Emails(Vec<EmailAddress>),
    Id(Uuid),
    Ids(Vec<Uuid>),
    Flag(bool),
    Whole(u64),
    Objects(Vec<CheckedMembers>),
}

/// The members of a body that its schema names, each checked.
pub(crate) type CheckedMembers = BTreeMap<&'static str, Checked>;

pub(crate) const fn required(name: &'static str, rule: MemberRule, about: &'static str) -> Member {
    Member {
        name,
        rule,
        is_required: true,
        about,
    }
}

pub(crate) const fn optional(name: &'static str, rule: MemberRule, about: &'static str) -> Member {
    Member {
        name,
        rule,
        is_required: false,
        about,
    }
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// It is no JSON object, for a reason.
    NotAnObject(String),
    /// It breaks its schema: every rule.
    Schema(Vec<Violation>),
    /// Its members are good each by itself, and not together: every problem.
    Invalid(Vec<Violation>),
}

impl BodySchema {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no JSON object, or every rule that it breaks.
    pub(crate) fn read(&self, bytes: &[u8]) -> Result<CheckedMembers, BodyError> {
        let members = json::object(bytes).map_err(BodyError::NotAnObject)?;
        self.check(&members).map_err(BodyError::Schema)
    }

    /// Checks every member.
    ///
    /// # Errors
    /// Every rule that is broken.
    pub(crate) fn check(
        &self,
        members: &Map<String, Value>,
    ) -> Result<CheckedMembers, Vec<Violation>> {
        check_members("", self.members, members)
    }
}

/// Checks every member of what lies at a place.
fn check_members(
    within: &str,
    rules: &[Member],
    members: &Map<String, Value>,
) -> Result<CheckedMembers, Vec<Violation>> {
    let mut checked = CheckedMembers::new();
    let mut violations = Vec::new();
    for member in rules {
        let place = format!("{within}/{}", member.name);
        match members.get(member.name) {
            None if member.is_required => violations.push(Violation {
                place,
                rule: "is required".to_owned(),
            }),
            None => {}
            Some(value) => match member.rule.check(&place, value) {
                Ok(value) => _ = checked.insert(member.name, value),
                Err(broken) => violations.extend(broken),
            },
        }
    }
    if violations.is_empty() {
        Ok(checked)
    } else {
        Err(violations)
    }
}

impl MemberRule {
    fn check(self, place: &str, value: &Value) -> Result<Checked, Vec<Violation>> {
        let checked = match self {
            Self::Emails => return emails(place, value),
            Self::Ids { items_max } => return ids(place, value, items_max),
            Self::Objects {
                members,
                items_min,
                items_max,
            } => {
                let object = |place: &str, value: &Value| match value.as_object() {
                    Some(object) => check_members(place, members, object),
                    None => Err(vec![Violation {
                        place: place.to_owned(),
                        rule: "must be an object".to_owned(),
                    }]),
                };
                return items(place, value, (items_min, items_max), object).map(Checked::Objects);
            }
            Self::Text {
                chars_min,
                chars_max,
            } => text(value).and_then(|text| bounded(text, chars_min, chars_max)),
            Self::OneOf(words) => text(value).and_then(|text| {
                if words.contains(&text) {
                    Ok(Checked::Text(text.to_owned()))
                } else {
                    Err(format!("must be one of {}", words.join(", ")))
                }
            }),
            Self::Email { chars_max } => text(value).and_then(|text| {
                let address: EmailAddress = text.parse().map_err(|error| format!("{error}"))?;
                bounded(address.as_str(), 0, Some(chars_max))
            }),
            Self::Id => id(value).map(Checked::Id),
            Self::Flag => {
                let flag = value.as_bool().map(Checked::Flag);
                flag.ok_or("must be true or false".to_owned())
            }
            Self::Whole { min, max } => {
                let whole = value.as_u64().filter(|whole| (min..=max).contains(whole));
                let rule = || format!("must be a whole number from {min} to {max}");
                whole.map(Checked::Whole).ok_or_else(rule)
            }
        };
        checked.map_err(|rule| {
            vec![Violation {
                place: place.to_owned(),
                rule,
            }]
        })
    }
}

fn id(value: &Value) -> Result<Uuid, String> {
    let text = Some(text(value)?).filter(|text| text.len() == 36);
    let id = text.and_then(|text| Uuid::try_parse(text).ok());
    id.ok_or("must be a UUID".to_owned())
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or("must be a string".to_owned())
}

fn bounded(text: &str, min: usize, max: Option<usize>) -> Result<Checked, String> {
    let count = text.chars().count();
    if count < min {
        return Err(match min {
            1 => "must not be empty".to_owned(),
            min => format!("must have at least {min} characters, has {count}"),
        });
    }
    match max {
        Some(max) if count > max => Err(format!("must have at most {max} characters, has {count}")),
        _ => Ok(Checked::Text(text.to_owned())),
    }
}

fn emails(place: &str, value: &Value) -> Result<Checked, Vec<Violation>> {
    let address = |value: &Value| {
        text(value)?
            .parse()
            .map_err(|error: weir_domain::EmailError| error.to_string())
    };
    items(place, value, (1, usize::MAX), by_itself(address)).map(Checked::Emails)
}

fn ids(place: &str, value: &Value, items_max: usize) -> Result<Checked, Vec<Violation>> {
    items(place, value, (0, items_max), by_itself(id)).map(Checked::Ids)
}

/// Reads an item that breaks one rule at most.
fn by_itself<T>(
    read: impl Fn(&Value) -> Result<T, String>,
) -> impl Fn(&str, &Value) -> Result<T, Vec<Violation>> {
    move |place, value| {
        read(value).map_err(|rule| {
            vec![Violation {
                place: place.to_owned(),
                rule,
            }]
        })
    }
}

/// The items of an array of at least and at most so many, each read by itself.
fn items<T>(
    place: &str,
    value: &Value,
    (items_min, items_max): (usize, usize),
    read: impl Fn(&str, &Value) -> Result<T, Vec<Violation>>,
) -> Result<Vec<T>, Vec<Violation>> {
    let whole = |rule: String| {
        vec![Violation {
            place: place.to_owned(),
            rule,
        }]
    };
    let found = value.as_array();
    let found = found.ok_or_else(|| whole("must be an array".to_owned()))?;
    match found.len() {
        count if count < items_min => {
            return Err(whole(format!("must have at least {items_min} item")));
        }
        count if count > items_max => {
            return Err(whole(format!(
                "must have at most {items_max} items, has {count}"
            )));
        }
        _ => {}
    }
    let mut read_items = Vec::with_capacity(found.len());
    let mut violations = Vec::new();
    for (number, item) in found.iter().enumerate() {
        match read(&format!("{place}/{number}"), item) {
            Ok(item) => read_items.push(item),
            Err(broken) => violations.extend(broken),
        }
    }
    if violations.is_empty() {
        Ok(read_items)
    } else {
        Err(violations)
    }
}
