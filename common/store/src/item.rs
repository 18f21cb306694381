//! Items to and from DynamoDB's attribute values, by hand: the hot path writes several for every
//! detail, and a UUID as 16 bytes instead of 36 keeps an item under 1 KB.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::StoreError;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(crate) fn bytes(value: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

pub(crate) fn uuid(value: impl Into<Uuid>) -> AttributeValue {
    bytes(value.into().as_bytes().to_vec())
}

/// A list of texts.
pub(crate) fn texts(values: &[String]) -> AttributeValue {
    AttributeValue::L(values.iter().map(text).collect())
}

/// A time as milliseconds since 1970.
pub(crate) fn time(value: DateTime<Utc>) -> AttributeValue {
    number(value.timestamp_millis())
}

/// Most bytes of an item, the names of its attributes counted (a limit of DynamoDB).
pub(crate) const ITEM_BYTES_MAX: usize = 400 << 10;

/// How large DynamoDB takes an item for, give or take what a number is packed to.
pub(crate) fn size_bytes(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value_bytes(value))
        .sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::L(values) => values.iter().map(|value| 1 + value_bytes(value)).sum(),
        _ => 1,
    }
}

/// Builds an item; what is `None` is left out.
#[derive(Default)]
pub(crate) struct Writer(Item);

impl Writer {
    pub(crate) fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn with_some(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn with_all(
        self,
        attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Self {
        let with = |writer: Self, (name, value): (&str, _)| writer.with(name, value);
        attributes.into_iter().fold(self, with)
    }

    pub(crate) fn finish(self) -> Item {
        self.0
    }
}

/// Takes an item apart; every failure names the table, the key and the attribute.
pub(crate) struct Reader<'a> {
    table: &'static str,
    key: String,
    item: &'a Item,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(table: &'static str, key: impl Into<String>, item: &'a Item) -> Self {
        Self {
            table,
            key: key.into(),
            item,
        }
    }

    pub(crate) fn corrupt(&self, attribute: &'static str) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            key: self.key.clone(),
            attribute,
        }
    }

    /// An attribute that may be missing, read by `read`; of another form it is corrupt.
    fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&'a AttributeValue) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.item.get(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.corrupt(name)),
        }
    }

    pub(crate) fn opt_text(&self, name: &'static str) -> Result<Option<&'a str>, StoreError> {
        self.optional(name, |value| value.as_s().ok().map(String::as_str))
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<&'a str, StoreError> {
        self.opt_text(name)?.ok_or_else(|| self.corrupt(name))
    }

    /// A text that is parsed into a type.
    pub(crate) fn opt_parsed<T: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.optional(name, |value| value.as_s().ok()?.parse().ok())
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        self.opt_parsed(name)?.ok_or_else(|| self.corrupt(name))
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &'static str) -> Result<Vec<String>, StoreError> {
        let list = self.optional(name, |value| {
            let texts = value.as_l().ok()?.iter();
            texts.map(|text| text.as_s().ok().cloned()).collect()
        })?;
        list.ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn opt_number<T: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.optional(name, |value| value.as_n().ok()?.parse().ok())
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        self.opt_number(name)?.ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn opt_bytes(&self, name: &'static str) -> Result<Option<&'a [u8]>, StoreError> {
        self.optional(name, |value| value.as_b().ok().map(Blob::as_ref))
    }

    pub(crate) fn bytes(&self, name: &'static str) -> Result<&'a [u8], StoreError> {
        self.opt_bytes(name)?.ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn opt_id<T: TryFrom<Uuid>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.optional(name, |value| {
            Uuid::from_slice(value.as_b().ok()?.as_ref())
                .ok()?
                .try_into()
                .ok()
        })
    }

    pub(crate) fn id<T: TryFrom<Uuid>>(&self, name: &'static str) -> Result<T, StoreError> {
        self.opt_id(name)?.ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn opt_time(&self, name: &'static str) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.optional(name, |value| {
            DateTime::from_timestamp_millis(value.as_n().ok()?.parse().ok()?)
        })
    }

    pub(crate) fn time(&self, name: &'static str) -> Result<DateTime<Utc>, StoreError> {
        self.opt_time(name)?.ok_or_else(|| self.corrupt(name))
    }
}
