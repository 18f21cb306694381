//! The values of fields, as filters and sorts see them and as JSON shows them.

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The value of one field of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// The row has none.
    Absent,
    /// An id.
    Id(Uuid),
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// A time, known to the millisecond.
    Time(DateTime<Utc>),
    /// Some texts.
    Texts(Cow<'a, [String]>),
}

impl<'a> Value<'a> {
    /// A text that lives as long as its row.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// A text, where there is one.
    pub fn opt_text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, Self::text)
    }

    /// An id.
    pub fn id(id: impl Into<Uuid>) -> Self {
        Self::Id(id.into())
    }

    /// An id, where there is one.
    pub fn opt_id(id: Option<impl Into<Uuid>>) -> Self {
        id.map_or(Self::Absent, Self::id)
    }

    /// A time, where there is one.
    pub fn opt_time(time: Option<DateTime<Utc>>) -> Self {
        time.map_or(Self::Absent, Self::Time)
    }

    /// A count. None that is kept comes near the largest number there is.
    pub fn count(count: impl TryInto<i64>) -> Self {
        Self::Integer(count.try_into().unwrap_or(i64::MAX))
    }

    /// The same, owing nothing to its row.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Absent => Value::Absent,
            Self::Id(id) => Value::Id(id),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Integer(number) => Value::Integer(number),
            Self::Time(time) => Value::Time(time),
            Self::Texts(texts) => Value::Texts(Cow::Owned(texts.into_owned())),
        }
    }

    /// How it stands to another of the same field: by number, by time, by the code points of a
    /// text; what is absent comes last, and first
    /// where the order is turned round.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Absent, Self::Absent) => Ordering::Equal,
            (Self::Absent, _) => Ordering::Greater,
            (_, Self::Absent) => Ordering::Less,
            (Self::Id(a), Self::Id(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.timestamp_millis().cmp(&b.timestamp_millis()),
            (Self::Texts(a), Self::Texts(b)) => a.cmp(b),
            // A field has values of one kind.
            _ => Ordering::Equal,
        }
    }

    /// Bytes that it takes, about.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Texts(texts) => texts.iter().map(|text| text.len() + 24).sum(),
                _ => 0,
            }
    }
}

/// A time as it is shown: UTC, to the millisecond.
pub fn shown_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_none(),
            Self::Id(id) => id.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Time(time) => serializer.serialize_str(&shown_time(*time)),
            Self::Texts(texts) => texts.serialize(serializer),
        }
    }
}
