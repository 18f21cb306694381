//! The order of creation, in which everything is listed: by time, then by id.
//!
//! The indexes hold a place in that order as a text, `<milliseconds since 1970, 13 digits>#<id>`, which
//! sorts as the place itself does from 1970 to November 2286. What lies outside of that is no place of
//! anything that is kept: a range may reach beyond, and finds nothing there.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use uuid::Uuid;

/// The last millisecond that thirteen digits can name, in November 2286.
const CREATED_MS_MAX: i64 = 9_999_999_999_999;

/// A text that is no [`CreatedId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be milliseconds in thirteen digits, `#` and a UUID in lower case")]
pub struct CreatedIdError;

/// A place in the order of creation: milliseconds since 1970, then the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CreatedId {
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// What was created.
    pub id: Uuid,
}

impl CreatedId {
    /// The first place that anything can have.
    pub const MIN: Self = Self {
        created_ms: 0,
        id: Uuid::nil(),
    };
    /// The last place that anything can have.
    pub const MAX: Self = Self {
        created_ms: CREATED_MS_MAX,
        id: Uuid::max(),
    };

    /// The place of what was created then.
    pub fn new(created_at: DateTime<Utc>, id: impl Into<Uuid>) -> Self {
        Self {
            created_ms: created_at.timestamp_millis(),
            id: id.into(),
        }
    }

    /// The place right after this one; that of [`CreatedId::MAX`] is beyond everything.
    #[must_use]
    pub fn next(self) -> Self {
        match self.id.as_u128().checked_add(1) {
            Some(id) => Self {
                id: Uuid::from_u128(id),
                ..self
            },
            None => Self {
                created_ms: self.created_ms.saturating_add(1),
                id: Uuid::nil(),
            },
        }
    }

    /// The place right before this one; that of [`CreatedId::MIN`] is before everything.
    #[must_use]
    pub fn previous(self) -> Self {
        match self.id.as_u128().checked_sub(1) {
            Some(id) => Self {
                id: Uuid::from_u128(id),
                ..self
            },
            None => Self {
                created_ms: self.created_ms.saturating_sub(1),
                id: Uuid::max(),
            },
        }
    }
}

impl fmt::Display for CreatedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:013}#{}", self.created_ms, self.id.hyphenated())
    }
}

impl FromStr for CreatedId {
    type Err = CreatedIdError;

    /// Takes exactly what [`fmt::Display`] writes of a place between [`CreatedId::MIN`] and
    /// [`CreatedId::MAX`].
    fn from_str(text: &str) -> Result<Self, CreatedIdError> {
        let (millis, id) = text.split_once('#').ok_or(CreatedIdError)?;
        let place = Self {
            created_ms: millis.parse().map_err(|_| CreatedIdError)?,
            id: Uuid::try_parse(id).map_err(|_| CreatedIdError)?,
        };
        let is_place = (Self::MIN..=Self::MAX).contains(&place) && place.to_string() == text;
        is_place.then_some(place).ok_or(CreatedIdError)
    }
}

/// A part of the order of creation, both ends included. Empty when it ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CreatedRange {
    /// The first place.
    pub from: CreatedId,
    /// The last place.
    pub to: CreatedId,
}

impl CreatedRange {
    /// Everything.
    pub const ALL: Self = Self {
        from: CreatedId::MIN,
        to: CreatedId::MAX,
    };

    /// What of it an index can hold; `None` when that is nothing.
    pub(crate) fn within_bounds(self) -> Option<Self> {
        let range = Self {
            from: self.from.max(CreatedId::MIN),
            to: self.to.min(CreatedId::MAX),
        };
        (range.from <= range.to).then_some(range)
    }
}

/// Which way to go through the order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The earliest first.
    Forward,
    /// The latest first.
    Backward,
}

/// A month of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i32,
    /// 1 to 12.
    month: u32,
}

impl Month {
    /// The month that a time lies in.
    pub fn of(time: DateTime<Utc>) -> Self {
        Self {
            year: time.year(),
            month: time.month(),
        }
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 {
            Self {
                year: self.year.saturating_add(1),
                month: 1,
            }
        } else {
            Self {
                month: self.month + 1,
                ..self
            }
        }
    }

    /// The month before.
    #[must_use]
    pub fn previous(self) -> Self {
        if self.month == 1 {
            Self {
                year: self.year.saturating_sub(1),
                month: 12,
            }
        } else {
            Self {
                month: self.month - 1,
                ..self
            }
        }
    }
}

impl fmt::Display for Month {
    /// As the indexes hold it, such as `2026-11`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = CreatedId> {
        let millis = prop_oneof![
            Just(0),
            Just(CREATED_MS_MAX),
            1_795_000_000_000..1_795_000_000_004_i64,
            0..=CREATED_MS_MAX
        ];
        let id = prop_oneof![Just(0), Just(u128::MAX), 0..4_u128, any::<u128>()];
        (millis, id).prop_map(|(created_ms, id)| CreatedId {
            created_ms,
            id: Uuid::from_u128(id),
        })
    }

    proptest! {
        #[test]
        fn places_sort_as_their_texts_do(one in place(), other in place()) {
            prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        }

        #[test]
        fn a_place_comes_back_from_its_text(place in place()) {
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }

        #[test]
        fn nothing_lies_between_a_place_and_the_next(one in place(), other in place()) {
            prop_assert!(one < one.next());
            prop_assert!(one.previous() < one);
            prop_assert_eq!(one.next().previous(), one);
            prop_assert_eq!(one.previous().next(), one);
            prop_assert!(other <= one || other >= one.next());
        }

        #[test]
        fn a_month_lies_between_its_neighbours(seconds in 0..253_000_000_000_i64) {
            let month = Month::of(DateTime::from_timestamp(seconds, 0).unwrap());
            prop_assert!(month.previous() < month && month < month.next());
            prop_assert_eq!(month.next().previous(), month);
            prop_assert_eq!(month.previous().next(), month);
            prop_assert!(month.to_string() < month.next().to_string());
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<CreatedId>();
        }
    }

    #[test]
    fn a_text_that_is_not_written_so_is_no_place() {
        let id = "0b9a2b9e-0d5d-4f0b-8f5b-6f0f4a6a2b11";
        assert!(format!("1795000000000#{id}").parse::<CreatedId>().is_ok());
        for text in [
            format!("795000000000#{id}"),
            format!("01795000000000#{id}"),
            format!("+795000000000#{id}"),
            format!("-000000000001#{id}"),
            format!("1795000000000#{}", id.to_uppercase()),
            format!("1795000000000#{}", id.replace('-', "")),
            "1795000000000".to_owned(),
            String::new(),
        ] {
            assert_eq!(text.parse::<CreatedId>(), Err(CreatedIdError), "{text}");
        }
    }

    #[test]
    fn the_year_changes_after_december() {
        let month = |text: &str| Month::of(text.parse().unwrap());
        let december = month("2026-12-31T23:59:59.999Z");
        assert_eq!(december.to_string(), "2026-12");
        assert_eq!(december.next().to_string(), "2027-01");
        assert_eq!(december.next(), month("2027-01-01T00:00:00Z"));
        assert_eq!(december.next().previous(), december);
    }

    #[test]
    fn a_range_beyond_the_bounds_is_cut_to_them_or_empty() {
        let ends = |from, to| CreatedRange { from, to }.within_bounds();
        assert_eq!(
            ends(CreatedId::MIN.previous(), CreatedId::MAX.next()),
            Some(CreatedRange::ALL)
        );
        assert_eq!(ends(CreatedId::MAX.next(), CreatedId::MAX.next()), None);
        assert_eq!(
            ends(CreatedId::MIN.previous(), CreatedId::MIN.previous()),
            None
        );
        assert_eq!(ends(CreatedId::MAX, CreatedId::MIN), None);
        let one = CreatedRange {
            from: CreatedId::MIN,
            to: CreatedId::MIN,
        };
        assert_eq!(one.within_bounds(), Some(one));
    }
}
