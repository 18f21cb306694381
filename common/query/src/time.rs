//! Days and times in queries: `2026-11-22`, `2026-11-22T08:30:00Z`, `2026-11-22T08:30:00.250Z`.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

/// What a query calls a time: a day in UTC, or one moment. Both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first millisecond.
    pub from: DateTime<Utc>,
    /// Its last millisecond.
    pub to: DateTime<Utc>,
}

/// What a time has to look like.
pub(crate) const FORMS: &str = "must be a day such as 2026-11-22 or a time in UTC such as \
                                2026-11-22T08:30:00Z or 2026-11-22T08:30:00.250Z";

impl Span {
    /// Whether a time, known to the millisecond, lies in it.
    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        let millis = time.timestamp_millis();
        self.from.timestamp_millis() <= millis && millis <= self.to.timestamp_millis()
    }

    /// Reads one of the three forms; everything else is `None`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text.len() {
            10 => {
                let day = NaiveDate::parse_from_str(day_of(text)?, "%Y-%m-%d").ok()?;
                let from = day.and_time(NaiveTime::MIN).and_utc();
                let next = from.checked_add_days(Days::new(1))?;
                let to = next - TimeDelta::milliseconds(1);
                Some(Self { from, to })
            }
            20 => Self::moment(text, "%Y-%m-%dT%H:%M:%SZ"),
            24 => Self::moment(text, "%Y-%m-%dT%H:%M:%S%.3fZ"),
            _ => None,
        }
    }

    fn moment(text: &str, form: &str) -> Option<Self> {
        day_of(text)?;
        // A leap second is no moment that a clock of ours shows.
        let seconds = text.get(17..19)?;
        let time = NaiveDateTime::parse_from_str(text, form).ok()?.and_utc();
        (seconds != "60").then_some(Self {
            from: time,
            to: time,
        })
    }
}

/// The day that a text begins with, if it is written with digits in every place.
fn day_of(text: &str) -> Option<&str> {
    let day = text.get(..10)?;
    let in_form = day.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    in_form.then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_day_is_its_first_to_its_last_millisecond_in_utc() {
        let day = Span::read("2026-02-28").unwrap();
        assert_eq!(day.from.to_rfc3339(), "2026-02-28T00:00:00+00:00");
        assert_eq!(day.to.to_rfc3339(), "2026-02-28T23:59:59.999+00:00");
    }

    #[test]
    fn a_time_is_one_millisecond() {
        for text in ["2026-02-28T07:08:09Z", "2026-02-28T07:08:09.010Z"] {
            let span = Span::read(text).unwrap();
            assert_eq!(span.from, span.to, "{text}");
        }
    }

    #[test]
    fn every_other_form_is_refused() {
        for text in [
            "",
            "2026",
            "2026-2-28",
            "2026-02-30",
            "+026-02-28",
            "2026-02-28T07:08:09",
            "2026-02-28T07:08:09+01:00",
            "2026-02-28T07:08:60Z",
            "2026-02-28T24:00:00Z",
            "2026-02-28t07:08:09z",
            "2026-02-28 07:08:09Z",
            "2026-02-28T07:08:09.01Z",
            "2026-02-28T07:08:09.0100Z",
            "9999-99-99",
        ] {
            assert_eq!(Span::read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,30}") {
            let _ = Span::read(&text);
        }

        #[test]
        fn a_time_as_it_is_shown_is_read_as_itself(millis in 0_i64..4_000_000_000_000) {
            let time = DateTime::from_timestamp_millis(millis).unwrap();
            let span = Span::read(&crate::value::shown_time(time)).unwrap();
            prop_assert!(span.from == time && span.contains(time));
        }
    }
}
