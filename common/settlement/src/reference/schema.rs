//! What the bodies of requests that change reference data hold.
//!
//! One table serves the check of a body, the API document and its tests. A member that no table names
//! is accepted and ignored.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;
use weir_domain::EmailAddress;

/// What a body holds.
#[derive(Debug)]
pub struct BodySchema {
    /// What it is the body of, such as `client`.
    pub name: &'static str,
    /// Its members.
    pub members: &'static [Member],
}

/// A member of a body.
#[derive(Debug)]
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
pub(super) enum Checked {
    Text(String),
    Emails(Vec<EmailAddress>),
    Id(Uuid),
}

/// The members of a body that its schema names, each checked.
pub(super) type CheckedMembers = BTreeMap<&'static str, Checked>;

const NAME: MemberRule = MemberRule::Text {
    chars_min: 1,
    chars_max: Some(1_024),
};
const ADDRESS: MemberRule = MemberRule::Email { chars_max: 200 };

const fn required(name: &'static str, rule: MemberRule, about: &'static str) -> Member {
    Member {
        name,
        rule,
        is_required: true,
        about,
    }
}

const fn optional(name: &'static str, rule: MemberRule, about: &'static str) -> Member {
    Member {
        name,
        rule,
        is_required: false,
        about,
    }
}

/// The body of a client.
pub(super) static CLIENT_BODY: BodySchema = BodySchema {
    name: "client",
    members: &[required("name", NAME, "Its name")],
};

/// The body of a program.
pub(super) static PROGRAM_BODY: BodySchema = BodySchema {
    name: "program",
    members: &[
        required("name", NAME, "Its name"),
        required(
            "status",
            MemberRule::OneOf(&["Created", "Active", "Inactive", "Terminated", "Archived"]),
            "Where it stands",
        ),
        required("reply_to_email", ADDRESS, "Where answers to its mail go"),
        required("support_email", ADDRESS, "Where its people are helped"),
        required("sender_email", ADDRESS, "Where its mail comes from"),
    ],
};

/// The body of a seller.
pub(super) static SELLER_BODY: BodySchema = BodySchema {
    name: "seller",
    members: &[
        optional(
            "alternate_seller_id",
            MemberRule::Text {
                chars_min: 1,
                chars_max: Some(50),
            },
            "The client's own id of it, which no other seller of the program has",
        ),
        required("name", NAME, "Its name"),
    ],
};

/// The body of a customer.
pub(super) static CUSTOMER_BODY: BodySchema = BodySchema {
    name: "customer",
    members: &[optional("name", NAME, "Its name")],
};

/// The body of a report's schedule.
pub(super) static SCHEDULE_BODY: BodySchema = BodySchema {
    name: "report schedule",
    members: &[
        required("report_id", MemberRule::Id, "The report"),
        required(
            "schedule_tz",
            MemberRule::Text {
                chars_min: 0,
                chars_max: None,
            },
            "The time zone whose days it goes by: of the IANA database, or GMT with an offset, such \
             as GMT+10, which is ten hours ahead of UTC",
        ),
        required(
            "schedule_frequency",
            MemberRule::OneOf(&["Daily", "Weekly", "Monthly"]),
            "How often it is due",
        ),
        optional(
            "schedule_week_day",
            MemberRule::OneOf(&[
                "Sunday",
                "Monday",
                "Tuesday",
                "Wednesday",
                "Thursday",
                "Friday",
                "Saturday",
            ]),
            "The day of a weekly one; no other has one",
        ),
        required("recipient_emails", MemberRule::Emails, "Who gets it"),
    ],
};

impl BodySchema {
    /// Checks every member.
    ///
    /// # Errors
    /// Every rule that is broken.
    pub(super) fn check(
        &self,
        members: &Map<String, Value>,
    ) -> Result<CheckedMembers, Vec<Violation>> {
        let mut checked = CheckedMembers::new();
        let mut violations = Vec::new();
        for member in self.members {
            let place = format!("/{}", member.name);
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
}

impl MemberRule {
    fn check(self, place: &str, value: &Value) -> Result<Checked, Vec<Violation>> {
        let checked = match self {
            Self::Emails => return emails(place, value),
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
            Self::Id => text(value).and_then(|text| {
                let id = Some(text).filter(|text| text.len() == 36);
                let id = id.and_then(|text| Uuid::try_parse(text).ok());
                id.map(Checked::Id).ok_or("must be a UUID".to_owned())
            }),
        };
        checked.map_err(|rule| {
            vec![Violation {
                place: place.to_owned(),
                rule,
            }]
        })
    }
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
    let broken = |place: String, rule: &str| Violation {
        place,
        rule: rule.to_owned(),
    };
    let Some(items) = value.as_array() else {
        return Err(vec![broken(place.to_owned(), "must be an array")]);
    };
    if items.is_empty() {
        return Err(vec![broken(place.to_owned(), "must have at least 1 item")]);
    }
    let mut addresses = Vec::with_capacity(items.len());
    let mut violations = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let address = text(item).and_then(|text| {
            text.parse()
                .map_err(|error: weir_domain::EmailError| error.to_string())
        });
        match address {
            Ok(address) => addresses.push(address),
            Err(rule) => violations.push(broken(format!("{place}/{number}"), &rule)),
        }
    }
    if violations.is_empty() {
        Ok(Checked::Emails(addresses))
    } else {
        Err(violations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_domain::{AlternateSellerId, ProgramStatus, ScheduleFrequency, WeekDay};

    fn words(schema: &BodySchema, name: &str) -> Vec<&'static str> {
        let member = schema.members.iter().find(|member| member.name == name);
        match member.unwrap().rule {
            MemberRule::OneOf(words) => words.to_vec(),
            rule => panic!("{rule:?}"),
        }
    }

    #[test]
    fn the_words_of_a_member_are_those_of_its_type() {
        let names: Vec<_> = ProgramStatus::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(words(&PROGRAM_BODY, "status"), names);
        let names: Vec<_> = ScheduleFrequency::ALL
            .iter()
            .map(|one| one.name())
            .collect();
        assert_eq!(words(&SCHEDULE_BODY, "schedule_frequency"), names);
        let names: Vec<_> = WeekDay::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(words(&SCHEDULE_BODY, "schedule_week_day"), names);
    }

    #[test]
    fn an_alternate_id_has_the_length_of_its_type() {
        let member = SELLER_BODY.members.first().unwrap();
        assert_eq!(
            member.rule,
            MemberRule::Text {
                chars_min: 1,
                chars_max: Some(AlternateSellerId::CHARACTERS_MAX),
            }
        );
    }

    #[test]
    fn a_length_is_counted_in_characters() {
        for (count, is_good) in [(0, false), (1, true), (1_024, true), (1_025, false)] {
            let body = serde_json::json!({"name": "ü".repeat(count)});
            let checked = CLIENT_BODY.check(body.as_object().unwrap());
            assert_eq!(checked.is_ok(), is_good, "{count}");
        }
    }
}
