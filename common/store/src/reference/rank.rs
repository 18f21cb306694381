//! Which of two changes of one time stays.
//!
//! The order in which they come must not decide it. So a deletion stays before anything else, and of two
//! others the one whose content is the greater: by the names and then the values of what is kept of it, in
//! the order of their bytes. When something was made and when it was written are no part of its content, as
//! they tell when a change came.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Reference;
use crate::item::Item;

/// What tells of the coming of a change, and not of what changed.
const OF_ITS_COMING: &[&str] = &["created_at", "created_id", "updated_at"];

/// The rank of a change among those of its time: the greater stays.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It is so.
    Put(Vec<(String, Content)>),
    /// It is gone.
    Gone,
}

/// A value, in an order that no version of any library changes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    Other,
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Content>),
}

impl Rank {
    /// Of what is to be, or is; `None` when that is nothing.
    pub(super) fn of(reference: Option<&Reference>) -> Self {
        let Some(reference) = reference else {
            return Self::Gone;
        };
        let item: Item = reference.to_item();
        let mut members: Vec<_> = item
            .into_iter()
            .filter(|(name, _)| !OF_ITS_COMING.contains(&name.as_str()))
            .map(|(name, value)| (name, Content::of(value)))
            .collect();
        members.sort_unstable();
        Self::Put(members)
    }
}

impl Content {
    fn of(value: AttributeValue) -> Self {
        match value {
            AttributeValue::S(text) | AttributeValue::N(text) => Self::Text(text),
            AttributeValue::B(bytes) => Self::Bytes(bytes.into_inner()),
            AttributeValue::L(values) => Self::List(values.into_iter().map(Self::of).collect()),
            _ => Self::Other,
        }
    }
}
