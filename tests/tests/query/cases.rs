//! Every operation that reads, with something to ask it about.
//!
//! The cases are made of [`weir_api::operations()`]: an operation that is new has its cases at once,
//! and one for which the world holds nothing to ask about fails every test of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use serde_json::Value;
use weir_api::{Answers, Operation, operations};
use weir_domain::Permission;
use weir_query::{ASKED, Resource, Scope};

use crate::asking::{Answered, Asked};
use crate::schema::check;

/// An operation with something to ask it about.
pub(crate) struct Case {
    pub(crate) operation: Operation,
    pub(crate) resource: &'static Resource,
    /// The list of all there is of it.
    pub(crate) everything: &'static str,
    /// What the path leads to, or to what is beside it; as an operator sees it.
    pub(crate) row: Value,
    /// The ids of the path.
    pub(crate) ids: Vec<(&'static str, String)>,
}

/// A key that may and sees everything.
pub(crate) fn operator(asked: &Asked) -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| asked.key(Permission::ALL, Scope::default()))
}

/// Every operation that reads.
pub(crate) fn cases(asked: &Asked) -> Vec<Case> {
    // What is no list of rows that are kept has its own tests.
    let is_of_rows = |one: &Operation| !matches!(one.answers, Answers::Problems(_));
    let operations = operations().into_iter().filter(Operation::is_read);
    let operations = operations.filter(is_of_rows);
    operations
        .map(|operation| Case::of(asked, operation))
        .collect()
}

/// The list of a resource under nothing else, where there is one.
fn everything(asked: &Asked, resource: &Resource) -> &'static str {
    if resource.name == ASKED.name {
        return asked.acted; // they are listed under their file alone
    }
    let operations = operations();
    let is_it = |operation: &&Operation| {
        operation.answers.resource().name == resource.name
            && matches!(operation.answers, Answers::List(_))
            && operation.path_ids().next().is_none()
    };
    operations.iter().find(is_it).unwrap().path
}

/// The first rows of a list, as an operator sees them.
fn rows_of(asked: &Asked, everything: &'static str) -> Vec<Value> {
    static ROWS: Mutex<BTreeMap<&'static str, Vec<Value>>> = Mutex::new(BTreeMap::new());
    let mut rows = ROWS.lock().unwrap();
    let read = || asked.get(operator(asked), &format!("{everything}?page_size=250"));
    let rows = rows
        .entry(everything)
        .or_insert_with(|| read().rows().clone());
    rows.clone()
}

impl Case {
    fn of(asked: &Asked, operation: Operation) -> Self {
        let resource = operation.answers.resource();
        let everything = everything(asked, resource);
        let rows = rows_of(asked, everything);
        let names: Vec<_> = operation.path_ids().collect();
        let found = rows.iter().find_map(|row| {
            let id = |name: &&'static str| {
                Some((*name, row[field(&operation, name)].as_str()?.to_owned()))
            };
            let ids: Option<Vec<_>> = names.iter().map(id).collect();
            Some((row.clone(), ids?))
        });
        let (row, ids) = found.unwrap_or_else(|| panic!("nothing to ask {} about", operation.path));
        Self {
            operation,
            resource,
            everything,
            row,
            ids,
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.operation.answers, Answers::List(_))
    }

    /// Whether it answers rows as JSON, of which fields can be chosen.
    pub(crate) fn has_fields(&self) -> bool {
        matches!(self.operation.answers, Answers::One(_) | Answers::List(_))
    }

    /// The target with its own ids.
    pub(crate) fn target(&self) -> String {
        self.target_with(&[])
    }

    /// The target with some ids replaced.
    pub(crate) fn target_with(&self, replaced: &[(&str, &str)]) -> String {
        let mut target = self.operation.path.to_owned();
        for (name, id) in &self.ids {
            let other = replaced.iter().find(|(replaced, _)| replaced == name);
            let id = other.map_or(id.as_str(), |(_, id)| id);
            target = target.replace(&format!("{{{name}}}"), id);
        }
        target
    }

    /// What it answers a key that sees everything, which is checked against the document.
    pub(crate) fn get(&self, asked: &Asked, query: &str) -> Answered {
        self.checked(asked.get(operator(asked), &format!("{}{query}", self.target())))
    }

    pub(crate) fn checked(&self, answered: Answered) -> Answered {
        check(&self.operation, &answered);
        answered
    }
}

/// The field of a row that an id of a path stands for.
pub(crate) fn field(operation: &Operation, name: &'static str) -> &'static str {
    let is_last = operation.path_ids().last() == Some(name);
    let is_own = matches!(operation.answers, Answers::One(_)) && is_last;
    if is_own { "id" } else { name }
}
