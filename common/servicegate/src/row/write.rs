//! From cells to the element of a record.
//!
//! The element is written in one way: no prefix, no white space between elements, the elements in
//! the order of the format. A text is written so that a reader gets every character back.

use std::fmt::Write as _;

use weir_domain::TransactionType;

use super::json::Json;
use super::{CellProblem, Place};
use crate::cells::{SPREAD, snake};
use crate::chars::{excerpt, is_xml_char};
use crate::element::NAME_ATTRIBUTE;
use crate::writer::escape;
use crate::{Column, Element, Occurs, PROBLEMS_PER_RECORD_MAX};

/// The element of a charge or refund whose cells these are, in the order of [`Column::all`]. Law:
/// [`cells_of`](crate::cells_of) gives the same cells back, where texts have no white space around
/// them and JSON is as it writes it.
///
/// # Errors
/// What cannot be written, each at its cell: a column that is not of the type, a character that XML
/// does not allow, a cell that is not the JSON of its element.
pub fn xml_of(kind: TransactionType, cells: &[Option<String>]) -> Result<String, Vec<CellProblem>> {
    let root = match kind {
        TransactionType::Charge => Element::Charge,
        TransactionType::Refund => Element::Refund,
    };
    let columns = Column::all();
    let mut element = Written::default();
    let cell = |within: Option<Element>, of: Element| {
        let is_it = |column: &Column| column.element == of && column.within == within;
        cells.get(columns.iter().position(is_it)?)?.as_deref()
    };
    for (column, cell) in columns.iter().zip(cells) {
        let parent = column.within.unwrap_or(column.element);
        let is_of_kind = root.children().iter().any(|child| child.element == parent);
        if !is_of_kind && cell.as_deref().is_some_and(|cell| !cell.is_empty()) {
            let kind = root.name();
            let message = format!("does not belong to a {kind}: leave the cell empty");
            element.refuse(Place::of(&column.name), message);
        }
    }
    element.tag("<", root);
    for child in root.children() {
        let child = child.element;
        if !SPREAD.contains(&child) {
            if let Some(cell) = cell(None, child) {
                element.cell(child, cell, Place::of(&snake(child)));
            }
            continue;
        }
        let inner = child.children().iter().map(|inner| inner.element);
        let inner: Vec<_> = inner
            .filter_map(|inner| Some((inner, cell(Some(child), inner)?)))
            .collect();
        if !inner.is_empty() {
            element.tag("<", child);
            for (inner, cell) in inner {
                let place = Place::of(&format!("{}_{}", snake(child), snake(inner)));
                element.cell(inner, cell, place);
            }
            element.tag("</", child);
        }
    }
    element.tag("</", root);
    if element.problems.is_empty() {
        Ok(element.xml)
    } else {
        Err(element.problems)
    }
}

/// An element that is being written.
#[derive(Default)]
struct Written {
    xml: String,
    problems: Vec<CellProblem>,
}

impl Written {
    fn refuse(&mut self, place: Place, message: String) {
        if self.problems.len() < PROBLEMS_PER_RECORD_MAX {
            self.problems.push(CellProblem { place, message });
        }
    }

    fn tag(&mut self, opening: &str, element: Element) {
        self.xml.push_str(opening);
        self.xml.push_str(element.name());
        self.xml.push('>');
    }

    fn cell(&mut self, element: Element, cell: &str, place: Place) {
        if element.holds_text() {
            self.leaf(element, cell, place);
            return;
        }
        match serde_json::from_str(cell) {
            Ok(value) => self.value(element, &value, place),
            Err(error) => self.refuse(place, format!("is not JSON: {error}")),
        }
    }

    fn leaf(&mut self, element: Element, text: &str, place: Place) {
        self.tag("<", element);
        self.text(text, place);
        self.tag("</", element);
    }

    fn text(&mut self, text: &str, place: Place) {
        match text.chars().find(|c| !is_xml_char(*c)) {
            None => self.xml.push_str(&escape(text)),
            Some(c) => {
                let code = u32::from(c);
                let message = format!("holds the character U+{code:04X}, which is not allowed");
                self.refuse(place, message);
            }
        }
    }

    fn value(&mut self, element: Element, value: &Json, place: Place) {
        if element == Element::Item {
            return self.item(value, place);
        }
        let children = element.children();
        let is_list = children.iter().all(|child| child.occurs == Occurs::Many);
        match value {
            Json::Text(text) if children.is_empty() => self.leaf(element, text, place),
            Json::List(items) if is_list && !children.is_empty() => {
                self.tag("<", element);
                // A list holds elements of one kind.
                for (child, (index, item)) in children.iter().cycle().zip(items.iter().enumerate())
                {
                    self.value(child.element, item, place.and(&index.to_string()));
                }
                self.tag("</", element);
            }
            Json::Object(members) if !is_list => {
                let names: Vec<String> = children.iter().map(|one| snake(one.element)).collect();
                self.check_names(members, &names, &place);
                self.tag("<", element);
                for (child, name) in children.iter().zip(&names) {
                    if let Some((_, value)) = members.iter().find(|(known, _)| known == name) {
                        self.value(child.element, value, place.and(name));
                    }
                }
                self.tag("</", element);
            }
            other => {
                let wanted = match (children.is_empty(), is_list) {
                    (true, _) => "a text in quotes",
                    (_, true) => "a list",
                    _ => "an object",
                };
                self.refuse(place, format!("must be {wanted}, it is {}", other.kind()));
            }
        }
    }

    /// `{"name": …, "value": …}`, both of which are wanted.
    fn item(&mut self, value: &Json, place: Place) {
        let Json::Object(members) = value else {
            let message = format!("must be an object, it is {}", value.kind());
            return self.refuse(place, message);
        };
        let names = [NAME_ATTRIBUTE, super::VALUE].map(str::to_owned);
        self.check_names(members, &names, &place);
        let mut texts = Vec::new();
        for name in &names {
            let place = place.and(name);
            match members.iter().find(|(known, _)| known == name) {
                Some((_, Json::Text(text))) => texts.push((text, place)),
                Some((_, other)) => {
                    let kind = other.kind();
                    self.refuse(place, format!("must be a text in quotes, it is {kind}"));
                }
                None => self.refuse(place, "is missing".to_owned()),
            }
        }
        let element = Element::Item.name();
        if let [(name, name_at), (value, value_at)] = texts.as_slice() {
            // Writing to a string cannot fail.
            let _ = write!(self.xml, "<{element} {NAME_ATTRIBUTE}=\"");
            self.text(name, name_at.clone());
            self.xml.push_str("\">");
            self.text(value, value_at.clone());
            self.tag("</", Element::Item);
        }
    }

    /// Refuses names that are not known, and one that comes twice.
    fn check_names(&mut self, members: &[(String, Json)], names: &[String], place: &Place) {
        for (at, (name, _)) in members.iter().enumerate() {
            let shown = place.and(&excerpt(name));
            if !names.contains(name) {
                let known = names.join(", ");
                self.refuse(shown, format!("is not known here: there may be {known}"));
            } else if members.iter().take(at).any(|(before, _)| before == name) {
                self.refuse(shown, "comes twice".to_owned());
            }
        }
    }
}
