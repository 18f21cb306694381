//! Reading fields one by one, so that every one that is wrong can be told.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;
use weir_domain::{Currency, Decimal};

use super::Invalid;
use crate::reply::Problem;

/// Problems that are told of one request; a request with more is hopeless anyway.
const PROBLEMS_MAX: usize = 100;

/// A field as it came, unread; JSON's null is an absent field.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// Where a field is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    /// In the request itself.
    Root,
    /// In an object that is an item of a field.
    Item(&'a Path<'a>, &'static str, usize),
}

impl Path<'_> {
    fn write(&self, text: &mut String) {
        // Writing to a text cannot fail.
        match self {
            Path::Root => {}
            Path::Item(parent, name, index) => {
                parent.write(text);
                let _ = write!(text, ".{name}[{index}]");
            }
        }
    }
}

/// Reads a field's value or says what it must be.
type Reader<'a, T> = fn(&'a str) -> Result<T, Cow<'static, str>>;

/// What was found to be wrong so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    is_malformed: bool,
}

impl Findings {
    /// Notes that a field is not of the documented shape.
    pub(super) fn malformed(&mut self, at: Path<'_>, name: &str, message: &str) {
        self.is_malformed = true;
        self.note(at, name, message);
    }

    /// Notes that an amount does not fit the others.
    pub(super) fn unfit(&mut self, at: Path<'_>, name: &str, message: &str) {
        self.note(at, name, message);
    }

    fn note(&mut self, at: Path<'_>, name: &str, message: &str) {
        if self.problems.len() >= PROBLEMS_MAX {
            return;
        }
        let mut data_path = String::new();
        at.write(&mut data_path);
        if !name.is_empty() {
            let _ = write!(data_path, ".{name}");
        }
        self.problems.push(Problem {
            data_path,
            message: message.to_owned(),
        });
    }

    pub(super) fn required<'a, T>(
        &mut self,
        at: Path<'_>,
        name: &str,
        raw: Raw<'a>,
        read: Reader<'a, T>,
    ) -> Option<T> {
        if raw.is_none() {
            self.malformed(at, name, "is required");
        }
        self.optional(at, name, raw, read)
    }

    pub(super) fn optional<'a, T>(
        &mut self,
        at: Path<'_>,
        name: &str,
        raw: Raw<'a>,
        read: Reader<'a, T>,
    ) -> Option<T> {
        match read(raw?.get()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.malformed(at, name, &message);
                None
            }
        }
    }

    /// The fields of an object, or a note that it is none.
    pub(super) fn object<'a, T: Deserialize<'a>>(
        &mut self,
        at: Path<'_>,
        json: &'a str,
    ) -> Option<T> {
        // A derived reader would take an array for an object.
        if !json.trim_start().starts_with('{') {
            self.malformed(at, "", "must be an object");
            return None;
        }
        match serde_json::from_str(json) {
            Ok(value) => Some(value),
            Err(error) => {
                self.malformed(at, "", &error.to_string());
                None
            }
        }
    }

    /// Refuses what the platform sets itself.
    pub(super) fn reserved(&mut self, fields: &[(&str, Raw<'_>)]) {
        for (name, raw) in fields {
            if raw.is_some() {
                self.malformed(Path::Root, name, "is set by the platform");
            }
        }
    }

    pub(super) fn finish(self) -> Result<(), Invalid> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Invalid {
            is_malformed: self.is_malformed,
            problems: self.problems,
        })
    }
}

fn string(json: &str) -> Option<Cow<'_, str>> {
    // Borrowed where nothing is escaped.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(json)
        .ok()
        .map(|text| text.0)
}

pub(super) fn uuid(json: &str) -> Result<Uuid, Cow<'static, str>> {
    string(json)
        .filter(|text| text.len() == 36)
        .and_then(|text| Uuid::try_parse(&text).ok())
        .ok_or(Cow::Borrowed("must be a UUID"))
}

pub(super) fn text(json: &str) -> Result<Cow<'_, str>, Cow<'static, str>> {
    string(json).ok_or(Cow::Borrowed("must be a string"))
}

pub(super) fn text_up_to<const MAX: usize>(json: &str) -> Result<Cow<'_, str>, Cow<'static, str>> {
    let text = text(json)?;
    if text.len() > MAX && text.chars().count() > MAX {
        return Err(Cow::Owned(format!("must have at most {MAX} characters")));
    }
    Ok(text)
}

pub(super) fn whole(json: &str) -> Result<i64, Cow<'static, str>> {
    json.parse()
        .map_err(|_| Cow::Borrowed("must be a whole number of minor units"))
}

pub(super) fn not_negative(json: &str) -> Result<i64, Cow<'static, str>> {
    whole(json).and_then(|amount| {
        if amount < 0 {
            Err(Cow::Borrowed("must not be negative"))
        } else {
            Ok(amount)
        }
    })
}

pub(super) fn positive(json: &str) -> Result<i64, Cow<'static, str>> {
    whole(json).and_then(|amount| {
        if amount <= 0 {
            Err(Cow::Borrowed("must be above zero"))
        } else {
            Ok(amount)
        }
    })
}

pub(super) fn decimal(json: &str) -> Result<Decimal, Cow<'static, str>> {
    json.parse()
        .map_err(|_| Cow::Borrowed("must be a number that is not negative"))
}

pub(super) fn currency(json: &str) -> Result<Currency, Cow<'static, str>> {
    string(json)
        .and_then(|code| code.parse().ok())
        .ok_or(Cow::Borrowed("must be an ISO 4217 currency"))
}

pub(super) fn object(json: &str) -> Result<&str, Cow<'static, str>> {
    if json.starts_with('{') {
        Ok(json)
    } else {
        Err(Cow::Borrowed("must be an object"))
    }
}

pub(super) fn array(json: &str) -> Result<Vec<&RawValue>, Cow<'static, str>> {
    serde_json::from_str(json).map_err(|_| Cow::Borrowed("must be an array"))
}
