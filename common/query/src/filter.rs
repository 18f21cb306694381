//! Filters: a parameter, an operator and what it is compared with.
//!
//! | operator | keeps a row whose value | for |
//! | --- | --- | --- |
//! | `field=` | is it; of a day, lies in it; of several, has them all | everything |
//! | `field:ne=` | is not it, or is absent | everything |
//! | `field:in=` | is one of some, separated by commas | everything |
//! | `field:gt=`, `:gte=`, `:lt=`, `:lte=` | is greater, at least, less, at most | numbers, times, texts |
//! | `field:prefix=` | begins with it | texts |
//!
//! A day is all of it: `:gte` begins with its first millisecond, `:lte` ends with its last, `:gt`
//! begins after it and `:lt` ends before it. Texts are compared by code points, letters by case. A
//! row without the value is kept by `:ne` alone.

use std::fmt::Write as _;

use uuid::Uuid;

use crate::schema::Rule;
use crate::time::{FORMS, Span};
use crate::{Parameter, Row, Value};

/// Most values of an `:in`.
pub const VALUES_MAX: usize = 100;
/// Characters of a UUID with hyphens.
const UUID_CHARS: usize = 36;

/// A condition on rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The parameter's field.
    pub field: &'static str,
    /// What its value has to be.
    pub test: Test,
}

/// What a value has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// One of these.
    In(Vec<Operand>),
    /// Not this.
    Not(Operand),
    /// Several values, among them all of these.
    Has(Vec<Operand>),
    /// Greater.
    Above(Operand),
    /// Greater or the same.
    AtLeast(Operand),
    /// Less.
    Below(Operand),
    /// Less or the same.
    AtMost(Operand),
    /// A text that begins so.
    Prefix(String),
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// An id.
    Id(Uuid),
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A day or a time.
    Span(Span),
}

/// How a parameter compares: what stands behind the colon of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Nothing stands there.
    Equal,
    /// `ne`
    NotEqual,
    /// `gt`
    Above,
    /// `gte`
    AtLeast,
    /// `lt`
    Below,
    /// `lte`
    AtMost,
    /// `in`
    In,
    /// `prefix`
    Prefix,
}

impl Operator {
    /// Every operator with its name; that of equality is empty.
    pub const ALL: [(&'static str, Self); 8] = [
        ("", Self::Equal),
        ("ne", Self::NotEqual),
        ("gt", Self::Above),
        ("gte", Self::AtLeast),
        ("lt", Self::Below),
        ("lte", Self::AtMost),
        ("in", Self::In),
        ("prefix", Self::Prefix),
    ];

    /// The operator with a name.
    pub fn named(name: &str) -> Option<Self> {
        let named = Self::ALL.iter().find(|(known, _)| *known == name);
        named.map(|(_, operator)| *operator)
    }

    /// Whether values under a rule can be compared so.
    pub fn applies_to(self, rule: Rule) -> bool {
        match self {
            Self::Equal | Self::NotEqual | Self::In => true,
            Self::Above | Self::AtLeast | Self::Below | Self::AtMost => {
                matches!(rule, Rule::Integer { .. } | Rule::Time | Rule::Text { .. })
            }
            Self::Prefix => matches!(rule, Rule::Text { .. }),
        }
    }
}

impl Filter {
    /// The condition that a parameter states, or the rule that it breaks in words.
    pub(crate) fn read(
        parameter: &'static Parameter,
        operator: Operator,
        text: &str,
    ) -> Result<Self, String> {
        let rule = parameter.rule;
        let one = || operand(rule, text);
        let condition = match operator {
            Operator::Equal => match rule {
                Rule::SomeOf(_) | Rule::Emails => Test::Has(operands(rule, text)?),
                _ => Test::In(vec![one()?]),
            },
            Operator::NotEqual => Test::Not(one()?),
            Operator::Above => Test::Above(one()?),
            Operator::AtLeast => Test::AtLeast(one()?),
            Operator::Below => Test::Below(one()?),
            Operator::AtMost => Test::AtMost(one()?),
            Operator::In => Test::In(operands(rule, text)?),
            // A beginning may be shorter than the whole.
            Operator::Prefix => match operand(unbounded(rule), text)? {
                Operand::Text(text) => Test::Prefix(text),
                _ => return Err("is not a text".to_owned()),
            },
        };
        Ok(Self {
            field: parameter.field,
            test: condition,
        })
    }

    /// Writes it out in a form that stays the same from one version to the next.
    pub(crate) fn write(&self, text: &mut String) {
        let (name, operands) = match &self.test {
            Test::In(operands) => ("in", operands.as_slice()),
            Test::Not(operand) => ("ne", std::slice::from_ref(operand)),
            Test::Has(operands) => ("has", operands.as_slice()),
            Test::Above(operand) => ("gt", std::slice::from_ref(operand)),
            Test::AtLeast(operand) => ("gte", std::slice::from_ref(operand)),
            Test::Below(operand) => ("lt", std::slice::from_ref(operand)),
            Test::AtMost(operand) => ("lte", std::slice::from_ref(operand)),
            Test::Prefix(prefix) => {
                let _ = write!(text, "\n{} prefix {prefix:?}", self.field);
                return;
            }
        };
        let _ = write!(text, "\n{} {name}", self.field);
        for operand in operands {
            let _ = match operand {
                Operand::Id(id) => write!(text, " {id}"),
                Operand::Text(value) => write!(text, " {value:?}"),
                Operand::Integer(number) => write!(text, " {number}"),
                Operand::Span(span) => {
                    let (from, to) = (span.from.timestamp_millis(), span.to.timestamp_millis());
                    write!(text, " {from}..{to}")
                }
            };
        }
    }

    /// Whether a row meets it.
    pub fn keeps(&self, row: &impl Row) -> bool {
        self.test.holds(&row.value(self.field))
    }
}

impl Test {
    /// Whether a value meets it.
    pub fn holds(&self, value: &Value<'_>) -> bool {
        match self {
            Self::In(operands) => operands.iter().any(|operand| operand.is(value)),
            Self::Not(operand) => !operand.is(value),
            Self::Has(operands) => operands.iter().all(|operand| operand.is(value)),
            Self::Above(operand) => operand.compare(value) == Some(Side::Above),
            Self::Below(operand) => operand.compare(value) == Some(Side::Below),
            Self::AtLeast(operand) => {
                matches!(operand.compare(value), Some(Side::Above | Side::Same))
            }
            Self::AtMost(operand) => {
                matches!(operand.compare(value), Some(Side::Below | Side::Same))
            }
            Self::Prefix(prefix) => match value {
                Value::Text(text) => text.starts_with(prefix.as_str()),
                _ => false,
            },
        }
    }

    /// The ids that it leaves, when it is one of some ids.
    pub(crate) fn ids(&self) -> Option<Vec<Uuid>> {
        let Self::In(operands) = self else {
            return None;
        };
        let id = |operand: &Operand| match operand {
            Operand::Id(id) => Some(*id),
            _ => None,
        };
        operands.iter().map(id).collect()
    }
}

/// Where a value lies, seen from an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Below,
    Same,
    Above,
}

impl Operand {
    fn is(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Id(wanted), Value::Id(id)) => wanted == id,
            (Self::Text(wanted), Value::Texts(texts)) => texts.contains(wanted),
            _ => self.compare(value) == Some(Side::Same),
        }
    }

    fn compare(&self, value: &Value<'_>) -> Option<Side> {
        use std::cmp::Ordering;
        let side = |order| match order {
            Ordering::Less => Side::Below,
            Ordering::Equal => Side::Same,
            Ordering::Greater => Side::Above,
        };
        match (self, value) {
            (Self::Text(wanted), Value::Text(text)) => Some(side(text.as_ref().cmp(wanted))),
            (Self::Integer(wanted), Value::Integer(number)) => Some(side(number.cmp(wanted))),
            (Self::Span(span), Value::Time(time)) if span.contains(*time) => Some(Side::Same),
            (Self::Span(span), Value::Time(time)) => Some(side(time.cmp(&span.from))),
            _ => None,
        }
    }
}

/// The rule without the bounds of a text's length.
fn unbounded(rule: Rule) -> Rule {
    match rule {
        Rule::Text { .. } => Rule::Text {
            chars_min: 1,
            chars_max: None,
            begins_with: "",
        },
        rule => rule,
    }
}

fn operands(rule: Rule, text: &str) -> Result<Vec<Operand>, String> {
    let texts: Vec<&str> = text.split(',').collect();
    if texts.len() > VALUES_MAX {
        return Err(format!("takes at most {VALUES_MAX} values"));
    }
    texts.iter().map(|text| operand(rule, text)).collect()
}

fn operand(rule: Rule, text: &str) -> Result<Operand, String> {
    match rule {
        Rule::Id => {
            let id = Some(text).filter(|text| text.len() == UUID_CHARS);
            let id = id.and_then(|text| Uuid::try_parse(text).ok());
            id.map(Operand::Id).ok_or_else(|| "must be a UUID".into())
        }
        Rule::Text {
            chars_min,
            chars_max,
            begins_with,
        } => {
            let chars = text.chars().count();
            if chars < chars_min || chars_max.is_some_and(|max| chars > max) {
                return Err(length_rule(chars_min, chars_max));
            }
            if !text.starts_with(begins_with) {
                return Err(format!("must begin with {begins_with}"));
            }
            Ok(Operand::Text(text.to_owned()))
        }
        Rule::Integer { min, max } => whole_number(text)
            .filter(|number| (min..=max).contains(number))
            .map(Operand::Integer)
            .ok_or_else(|| number_rule(min, max)),
        Rule::Time => Span::read(text)
            .map(Operand::Span)
            .ok_or_else(|| FORMS.to_owned()),
        Rule::OneOf(words) | Rule::SomeOf(words) => words
            .iter()
            .find(|word| **word == text)
            .map(|word| Operand::Text((*word).to_owned()))
            .ok_or_else(|| format!("must be one of {}", words.join(", "))),
        Rule::Emails => match text.split_once('@') {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
                Ok(Operand::Text(text.to_owned()))
            }
            _ => Err("must be an e-mail address".to_owned()),
        },
    }
}

/// Digits, perhaps with a minus before them.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn length_rule(min: usize, max: Option<usize>) -> String {
    match (min, max) {
        (min, Some(max)) => format!("must be of {min} to {max} characters"),
        (min, None) => format!("must be of at least {min} character{}", plural(min)),
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn number_rule(min: i64, max: i64) -> String {
    match (min, max) {
        (i64::MIN, i64::MAX) => "must be a whole number".to_owned(),
        (min, i64::MAX) => format!("must be a whole number of at least {min}"),
        (min, max) => format!("must be a whole number from {min} to {max}"),
    }
}
