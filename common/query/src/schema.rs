//! What a resource has: its fields, and the parameters that its lists take.
//!
//! One description serves the filters, the sorts, the answers and the API document, so that they
//! cannot disagree.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::Value;

/// A resource.
#[derive(Debug)]
pub struct Resource {
    /// What one is called in a sentence, such as `batch detail`.
    pub name: &'static str,
    /// What an answer shows, in this order.
    pub fields: &'static [Field],
    /// What a list is narrowed by.
    pub parameters: &'static [Parameter],
    /// Whether a list that is not sorted is in the order of `created_at`, then of `id`.
    pub is_in_order_of_creation: bool,
}

/// A field of an answer.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it takes to have its value.
    pub cost: Cost,
    /// What it means, as a sentence without its full stop.
    pub about: &'static str,
}

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UUIDs.
    Id,
    /// Texts.
    Text,
    /// Whole numbers.
    Integer,
    /// Times.
    Time,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Several of some words; any words where none are listed.
    Several(&'static [&'static str]),
}

/// What it takes to have a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// It comes with the row.
    Light,
    /// It lies elsewhere, and is fetched for the rows that need it.
    Heavy,
}

/// A parameter of a list that narrows it by a field.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The field: mostly of the same name, and not always one that is shown.
    pub field: &'static str,
    /// What may be asked for.
    pub rule: Rule,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A UUID.
    Id,
    /// A text of at least and at most so many characters.
    Text {
        /// Fewest characters.
        chars_min: usize,
        /// Most characters, where there is a bound.
        chars_max: Option<usize>,
        /// What it begins with.
        begins_with: &'static str,
    },
    /// A whole number from the first to the second.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A day or a time.
    Time,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Some of these words; the row has them all.
    SomeOf(&'static [&'static str]),
    /// Some e-mail addresses; the row has them all.
    Emails,
}

/// A text of 1 to `chars_max` characters.
pub(crate) const fn text(chars_max: usize) -> Rule {
    Rule::Text {
        chars_min: 1,
        chars_max: Some(chars_max),
        begins_with: "",
    }
}

/// A text that is not empty.
pub(crate) const SOME_TEXT: Rule = Rule::Text {
    chars_min: 1,
    chars_max: None,
    begins_with: "",
};
/// Any text.
pub(crate) const ANY_TEXT: Rule = Rule::Text {
    chars_min: 0,
    chars_max: None,
    begins_with: "",
};
/// A number of things.
pub(crate) const COUNT: Rule = Rule::Integer {
    min: 0,
    max: i64::MAX,
};

impl Resource {
    /// The field with a name, where there is one.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The parameter with a name, where there is one.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters
            .iter()
            .find(|parameter| parameter.name == name)
    }

    /// Whether a field's value must be fetched. What is filtered by and never shown is light.
    pub(crate) fn is_heavy(&self, field: &str) -> bool {
        self.field(field)
            .is_some_and(|field| field.cost == Cost::Heavy)
    }
}

/// One of what a resource has many of.
pub trait Row: Send + Sync {
    /// The value of a field, or of what only a parameter names. A heavy one is absent until it
    /// has been fetched.
    fn value(&self, field: &str) -> Value<'_>;

    /// Where it stands in the order in which rows are read.
    fn position(&self) -> weir_store::CreatedId;

    /// Gives the memory of fetched fields back.
    fn unload(&mut self) {}
}

/// A row as JSON: an object of some fields; what is absent is left out.
#[derive(Debug)]
pub struct Shown<'a, R> {
    /// The row.
    pub row: &'a R,
    /// The fields, in the order to be shown.
    pub fields: &'a [&'static Field],
}

impl<R: Row> Serialize for Shown<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in self.fields {
            let value = self.row.value(field.name);
            if value != Value::Absent {
                map.serialize_entry(field.name, &value)?;
            }
        }
        map.end()
    }
}

impl Field {
    const fn light(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self {
            name,
            kind,
            cost: Cost::Light,
            about,
        }
    }

    pub(crate) const fn id(name: &'static str, about: &'static str) -> Self {
        Self::light(name, Kind::Id, about)
    }

    pub(crate) const fn text(name: &'static str, about: &'static str) -> Self {
        Self::light(name, Kind::Text, about)
    }

    pub(crate) const fn integer(name: &'static str, about: &'static str) -> Self {
        Self::light(name, Kind::Integer, about)
    }

    pub(crate) const fn time(name: &'static str, about: &'static str) -> Self {
        Self::light(name, Kind::Time, about)
    }

    pub(crate) const fn one_of(
        name: &'static str,
        words: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self::light(name, Kind::OneOf(words), about)
    }

    pub(crate) const fn several(
        name: &'static str,
        words: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self::light(name, Kind::Several(words), about)
    }

    /// The same, to be fetched.
    pub(crate) const fn heavy(self) -> Self {
        Self {
            cost: Cost::Heavy,
            ..self
        }
    }
}

impl Parameter {
    /// A parameter called as its field is.
    pub(crate) const fn by(name: &'static str, rule: Rule) -> Self {
        Self::of(name, name, rule)
    }

    /// A parameter of another name than its field's.
    pub(crate) const fn of(name: &'static str, field: &'static str, rule: Rule) -> Self {
        Self { name, field, rule }
    }
}
