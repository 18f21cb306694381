//! What a file holds, with the place of each value, whatever it was written in.

use std::fmt;

use serde_json::{Map, Value};

/// How deep lists and maps may stand within each other. The deepest that means something is 4.
pub(crate) const DEPTH_MAX: usize = 8;

/// Where something stands: from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What it is about, such as `/sellers/0/name`; empty for the file as a whole.
    pub path: String,
    /// What is wrong, and what is right.
    pub reason: String,
}

impl Problem {
    pub(crate) fn new(at: Position, path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            line: at.line,
            column: at.column,
            path: path.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.reason)
    }
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) held: Held,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    Text(String),
    /// A number, true, false or nothing: no member of a file is one of them.
    NoText,
    List(Vec<Node>),
    /// Members in their order, repeated names included.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The member of a map.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match &self.held {
            Held::Map(members) => {
                let mut members = members.iter();
                members.find(|(found, _)| found == name).map(|(_, it)| it)
            }
            _ => None,
        }
    }

    /// The node at a place such as `/recipient_emails/0`, or the nearest above it.
    pub(crate) fn at_place(&self, place: &str) -> &Self {
        let mut node = self;
        for part in place.split('/').skip(1) {
            let next = match &node.held {
                Held::Map(_) => node.member(part),
                Held::List(items) => part.parse().ok().and_then(|at: usize| items.get(at)),
                Held::Text(_) | Held::NoText => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// The value for whoever checks texts; what is none stands as nothing.
    pub(crate) fn to_value(&self) -> Value {
        match &self.held {
            Held::Text(text) => Value::String(text.clone()),
            Held::NoText => Value::Null,
            Held::List(items) => items.iter().map(Self::to_value).collect(),
            Held::Map(members) => {
                let members = members.iter();
                let members = members.map(|(name, it)| (name.clone(), it.to_value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// Tells of every name that comes twice in one map.
    pub(crate) fn repeated_names(&self, path: &str, problems: &mut Vec<Problem>) {
        match &self.held {
            Held::Text(_) | Held::NoText => {}
            Held::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    item.repeated_names(&format!("{path}/{number}"), problems);
                }
            }
            Held::Map(members) => {
                let mut seen = std::collections::BTreeSet::new();
                for (name, member) in members {
                    let path = format!("{path}/{name}");
                    if !seen.insert(name) {
                        let reason = "the name comes twice: keep one of them";
                        problems.push(Problem::new(member.at, &path, reason));
                    }
                    member.repeated_names(&path, problems);
                }
            }
        }
    }
}
