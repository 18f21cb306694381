//! From the text of a query to a [`Query`], or to everything that is wrong with it.

use std::collections::BTreeSet;

use crate::cursor::Cursor;
use crate::filter::{Filter, Operator};
use crate::schema::{Field, Resource, Rule};

/// Most rows of a page.
pub const PAGE_SIZE_MAX: u32 = 250;
/// Rows of a page, unless asked otherwise.
pub const PAGE_SIZE: u32 = 10;
/// Most bytes of a query: what a gateway lets through and more than any form needs.
pub const QUERY_BYTES_MAX: usize = 8_192;
/// Most characters of a name that are repeated in an error.
const NAME_CHARS_SHOWN: usize = 100;

/// What is asked of a list.
#[derive(Debug, Clone)]
pub struct Query {
    /// What rows have to be: all of it.
    pub filters: Vec<Filter>,
    /// What they are sorted by, the first above all, each field once; in the order they are read in,
    /// if none.
    pub sort: Vec<SortColumn>,
    /// Most rows of the page.
    pub page_size: u32,
    /// Where the page begins.
    pub start: Start,
    /// The fields to be shown; all of them, if none are named.
    pub fields: Vec<&'static Field>,
}

/// A field to sort by.
#[derive(Debug, Clone, Copy)]
pub struct SortColumn {
    /// The field.
    pub field: &'static Field,
    /// Whether from the last to the first.
    pub is_descending: bool,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// After the pages before this one, from 1.
    Page(u32),
    /// After a row that an earlier page ended with.
    After(Cursor),
}

/// Something wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The parameter, as it was sent; shortened when it is long.
    pub parameter: String,
    /// The rule that it breaks.
    pub message: String,
}

impl Problem {
    /// A problem with a parameter, whose name is shortened when it is long.
    pub fn new(parameter: &str, message: impl Into<String>) -> Self {
        Self {
            parameter: parameter.chars().take(NAME_CHARS_SHOWN).collect(),
            message: message.into(),
        }
    }
}

/// A query before all of it is known.
struct Draft {
    query: Query,
    cursor: Option<String>,
    has_page_number: bool,
    problems: Vec<Problem>,
    seen: BTreeSet<String>,
}

impl Query {
    /// Reads the query of a list: what stands behind the `?`, percent-encoded, under the conditions
    /// that its path states. Parameters may come
    /// in any order; each at most once with the same operator, but for `sort_column[]` and those
    /// that take several values.
    ///
    /// # Errors
    /// Every problem there is, in the order of the parameters.
    pub fn parse(resource: &Resource, path: Vec<Filter>, text: &str) -> Result<Self, Vec<Problem>> {
        // A link adds a cursor to whatever was asked for.
        let is_cursor = |pair: &&str| pair.starts_with("cursor=");
        let cursors: usize = text.split('&').filter(is_cursor).map(str::len).sum();
        if text.len() - cursors > QUERY_BYTES_MAX {
            let message = format!("must be of at most {QUERY_BYTES_MAX} bytes in all");
            return Err(vec![Problem::new("", message)]);
        }
        let mut draft = Draft {
            query: Self {
                filters: path,
                ..Self::all(resource)
            },
            cursor: None,
            has_page_number: false,
            problems: Vec::new(),
            seen: BTreeSet::new(),
        };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => draft.take(resource, &name, &value),
                (read, _) => {
                    let name = read.unwrap_or_else(|| name.to_owned());
                    draft.refuse(&name, "must be percent-encoded UTF-8");
                }
            }
        }
        draft.finish(resource)
    }

    /// Reads the query of a single resource, which takes `fields` alone.
    ///
    /// # Errors
    /// Every problem there is, in the order of the parameters.
    pub fn parse_fields(
        resource: &Resource,
        text: &str,
    ) -> Result<Vec<&'static Field>, Vec<Problem>> {
        let is_fields = |pair: &str| pair.split('=').next() == Some("fields");
        let foreign = text
            .split('&')
            .filter(|pair| !pair.is_empty() && !is_fields(pair));
        let mut problems: Vec<_> = foreign
            .map(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                let name = decoded(name).unwrap_or_else(|| name.to_owned());
                Problem::new(
                    &name,
                    "is not a parameter of this operation; it takes fields",
                )
            })
            .collect();
        let own: Vec<&str> = text.split('&').filter(|pair| is_fields(pair)).collect();
        match Self::parse(resource, Vec::new(), &own.join("&")) {
            Ok(query) if problems.is_empty() => Ok(query.fields),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    /// The first page of everything.
    pub fn all(resource: &Resource) -> Self {
        Self {
            filters: Vec::new(),
            sort: Vec::new(),
            page_size: PAGE_SIZE,
            start: Start::Page(1),
            fields: resource.fields.iter().collect(),
        }
    }
}

impl Draft {
    fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(name, message));
    }

    fn take(&mut self, resource: &Resource, name: &str, value: &str) {
        if name == "sort_column[]" {
            return self.sort_by(resource, name, value);
        }
        let takes_several = resource
            .parameter(name)
            .is_some_and(|parameter| matches!(parameter.rule, Rule::SomeOf(_) | Rule::Emails));
        if !takes_several && !self.seen.insert(name.to_owned()) {
            return self.refuse(name, "must be given once");
        }
        match name {
            "page_size" => match number(value, PAGE_SIZE_MAX) {
                Ok(size) => self.query.page_size = size,
                Err(message) => self.refuse(name, message),
            },
            "page_number" => {
                self.has_page_number = true;
                match number(value, u32::MAX) {
                    Ok(number) => self.query.start = Start::Page(number),
                    Err(message) => self.refuse(name, message),
                }
            }
            "cursor" => self.cursor = Some(value.to_owned()),
            "fields" => match fields(resource, value) {
                Ok(fields) => self.query.fields = fields,
                Err(message) => self.refuse(name, message),
            },
            _ => self.filter(resource, name, value),
        }
    }

    fn sort_by(&mut self, resource: &Resource, name: &str, value: &str) {
        let (column, is_descending) = match value.strip_prefix('-') {
            Some(column) => (column, true),
            None => (value, false),
        };
        let Some(field) = resource.field(column) else {
            let message = format!(
                "must be a field, with - before it for the opposite order; a {} has {}",
                resource.name,
                names(resource)
            );
            return self.refuse(name, message);
        };
        // Rows that come to the second mention of a field are the same in it.
        let is_named = |known: &SortColumn| known.field.name == column;
        if !self.query.sort.iter().any(is_named) {
            self.query.sort.push(SortColumn {
                field,
                is_descending,
            });
        }
    }

    fn filter(&mut self, resource: &Resource, name: &str, value: &str) {
        let (plain, operator) = name.split_once(':').unwrap_or((name, ""));
        let Some(parameter) = resource.parameter(plain) else {
            return self.refuse(name, unknown(resource));
        };
        let known = Operator::named(operator).filter(|_| name == plain || !operator.is_empty());
        let Some(known) = known.filter(|operator| operator.applies_to(parameter.rule)) else {
            let applies = Operator::ALL
                .iter()
                .filter(|(name, operator)| !name.is_empty() && operator.applies_to(parameter.rule));
            let applies: Vec<_> = applies.map(|(name, _)| format!(":{name}")).collect();
            let message = format!(
                "has no such operator; it takes none, or {}",
                applies.join(", ")
            );
            return self.refuse(name, message);
        };
        match Filter::read(parameter, known, value) {
            Ok(filter) => self.query.filters.push(filter),
            Err(message) => self.refuse(name, message),
        }
    }

    fn finish(mut self, resource: &Resource) -> Result<Query, Vec<Problem>> {
        if let Some(text) = self.cursor.take() {
            if self.has_page_number {
                self.refuse("cursor", "cannot be given together with page_number");
            } else if self.problems.is_empty() {
                // Against anything else the cursor might only seem not to fit.
                match Cursor::read(&text, resource, &self.query) {
                    Ok(cursor) => self.query.start = Start::After(cursor),
                    Err(message) => self.refuse("cursor", message),
                }
            }
        }
        if self.problems.is_empty() {
            Ok(self.query)
        } else {
            Err(self.problems)
        }
    }
}

fn names(resource: &Resource) -> String {
    let names: Vec<_> = resource.fields.iter().map(|field| field.name).collect();
    names.join(", ")
}

fn unknown(resource: &Resource) -> String {
    let names: Vec<_> = resource.parameters.iter().map(|known| known.name).collect();
    format!(
        "is not a parameter of this operation; it takes sort_column[], page_size, page_number, \
         cursor, fields, {}",
        names.join(", ")
    )
}

/// A number from 1 to `max`.
fn number(text: &str, max: u32) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = digits.then(|| text.parse().ok()).flatten();
    parsed
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| format!("must be a whole number from 1 to {max}"))
}

/// Some fields, in the order of the resource.
fn fields(resource: &Resource, text: &str) -> Result<Vec<&'static Field>, String> {
    let wanted: BTreeSet<&str> = text.split(',').collect();
    if wanted.iter().any(|name| resource.field(name).is_none()) {
        return Err(format!(
            "must be fields, separated by commas; a {} has {}",
            resource.name,
            names(resource)
        ));
    }
    let chosen = |field: &&'static Field| wanted.contains(field.name);
    Ok(resource.fields.iter().filter(chosen).collect())
}

/// A percent-encoded text, where a plus is a space; `None` when it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(&spaced).collect();
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
