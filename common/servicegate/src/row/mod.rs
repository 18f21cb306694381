//! A charge or refund from the cells of a table: what [`cells_of`](crate::cells_of) takes apart, put
//! together again.
//!
//! The cells become the element that they stand for, and that is read by the same reader, under the
//! same limits and rules, as an element of a file. What is wrong with it is told at the cell that it
//! stands in.
//!
//! # What is refused
//! - a column that does not belong to the type of the transaction, unless its cell is empty;
//! - a cell of JSON with a name that is not known, a name that comes twice, or another kind of value
//!   than its element has: every single value is a text in quotes;
//! - whatever the format refuses of a record.

mod json;
mod write;

pub use write::xml_of;

use std::fmt;

use weir_domain::{Currency, TransactionType};

use crate::cells::{SPREAD, snake};
use crate::element::{NAME_ATTRIBUTE, VERSION_ATTRIBUTE};
use crate::{Element, FileProblem, Item, NAMESPACE, Options, Parser, Record, Step, VERSION};

/// What an `Item` of the metadata holds besides its name.
const VALUE: &str = "value";

/// A place in a row: nothing for the row itself, a column, or a part of a cell of JSON as a pointer
/// (RFC 6901) below the column, such as `lines/0/quantity`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place(String);

impl Place {
    /// A column.
    pub fn of(column: &str) -> Self {
        Self(column.to_owned())
    }

    /// A part of it.
    fn and(&self, step: &str) -> Self {
        let step = step.replace('~', "~0").replace('/', "~1");
        let between = if self.0.is_empty() { "" } else { "/" };
        Self(format!("{}{between}{step}", self.0))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct CellProblem {
    /// Where.
    pub place: Place,
    /// The broken rule and the remedy.
    pub message: String,
}

/// Reads the charge or refund whose cells these are, in the order of
/// [`Column::all`](crate::Column::all), as one of a batch with such a currency. The record holds the
/// element that was read; it is sound.
///
/// # Errors
/// Everything that is wrong with it, at most a hundred problems.
pub fn record_of(
    kind: TransactionType,
    currency: Option<Currency>,
    cells: &[Option<String>],
) -> Result<Box<Record>, Vec<CellProblem>> {
    let xml = xml_of(kind, cells)?;
    let mut parser = Parser::new(Options::default());
    parser.push(file_with(&xml, currency).as_bytes());
    parser.finish();
    let mut sound = None;
    loop {
        let item = match parser.next() {
            Ok(Step::Item(item)) => item,
            Ok(Step::Done) => break,
            // Neither can be: the file is there, its headers first.
            Ok(Step::NeedInput | Step::Rewind { .. }) => return Err(vec![unread()]),
            Err(problem) => return Err(vec![of_file(&problem)]),
        };
        match item {
            Item::Record(record) => sound = Some(record),
            Item::Problem(problem) => return Err(vec![of_file(&problem)]),
            _ => {}
        }
    }
    let record = sound.ok_or_else(|| vec![unread()])?;
    match &record.transaction {
        Ok(_) => Ok(record),
        Err(rejected) => {
            let problems = rejected.problems.iter().map(|problem| CellProblem {
                place: place_of(&problem.path),
                message: problem.message.clone(),
            });
            Err(problems.collect())
        }
    }
}

/// The smallest file that holds a record, in a batch of that currency.
fn file_with(xml: &str, currency: Option<Currency>) -> String {
    let leaf = |element: Element, text: &str| {
        let name = element.name();
        format!("<{name}>{text}</{name}>")
    };
    let currency = currency.map(|currency| leaf(Element::Currency, currency.code()));
    let header = [
        leaf(Element::BatchNumber, "1"),
        leaf(Element::AlternateSellerId, "1"),
        currency.unwrap_or_default(),
    ];
    let header = leaf(Element::BatchHeader, &header.concat());
    let batch = leaf(Element::Batch, &format!("{header}{xml}"));
    let root = Element::SettlementFile.name();
    format!("<{root} xmlns=\"{NAMESPACE}\" {VERSION_ATTRIBUTE}=\"{VERSION}\">{batch}</{root}>")
}

fn unread() -> CellProblem {
    CellProblem {
        place: Place::default(),
        message: "the row cannot be read".to_owned(),
    }
}

fn of_file(problem: &FileProblem) -> CellProblem {
    CellProblem {
        place: place_of(&problem.path),
        message: problem.rule.to_string(),
    }
}

/// The cell of an element's path, such as `/SettlementFile/Batch[1]/Charge[1]/Lines/Line[2]/Sku`.
fn place_of(path: &str) -> Place {
    let mut place = Place::default();
    // Before the record stand nothing, the root and the batch.
    let mut steps = path.split('/').skip(3);
    let Some(record) = steps.next().map(step) else {
        return place;
    };
    let records = [Element::Charge, Element::Refund];
    let Some(mut parent) = records.into_iter().find(|known| known.name() == record.0) else {
        return place;
    };
    let mut spread = None;
    for (name, index) in steps.map(step) {
        if name.strip_prefix('@') == Some(NAME_ATTRIBUTE) {
            return place.and(NAME_ATTRIBUTE);
        }
        let Some((_, child)) = parent.find_child(name, 0) else {
            return place;
        };
        parent = child.element;
        if place == Place::default() && spread.is_none() && SPREAD.contains(&parent) {
            spread = Some(parent);
            continue;
        }
        let name = match spread.take() {
            Some(within) => format!("{}_{}", snake(within), snake(parent)),
            None => index.map_or_else(|| snake(parent), |index| index.to_string()),
        };
        place = place.and(&name);
    }
    match parent {
        Element::Item => place.and(VALUE),
        _ => place,
    }
}

/// A step of a path: its name, and its number from 0 where it has one.
fn step(step: &str) -> (&str, Option<usize>) {
    let numbered = || {
        let (name, rest) = step.split_once('[')?;
        let number: usize = rest.strip_suffix(']')?.parse().ok()?;
        Some((name, Some(number.checked_sub(1)?)))
    };
    numbered().unwrap_or((step, None))
}

#[cfg(test)]
mod tests;
