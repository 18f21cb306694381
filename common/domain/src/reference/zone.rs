//! The time zones whose days a report's schedule goes by.
//!
//! A zone is a name of the IANA database, such as `Europe/Vienna`, or `GMT` with the hours and
//! minutes that its clocks are ahead (`GMT+10`, `GMT+5:30`) or behind (`GMT-3`), up to fourteen hours.
//! The sign means what it says: the IANA database's own `Etc/GMT+10` is ten hours behind, which is how
//! names that begin with `Etc/` are still read.

use std::fmt;
use std::str::FromStr;

use chrono::FixedOffset;
use chrono_tz::Tz;

/// Most hours that a zone is ahead or behind.
const HOURS_MAX: i32 = 14;

/// A text that is no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a time zone of the IANA database, or GMT with an offset such as GMT+10 or GMT-3:30"
)]
pub struct ZoneError;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleZone {
    /// One of the IANA database.
    Named(Tz),
    /// A fixed offset from UTC.
    Fixed(FixedOffset),
}

impl FromStr for ScheduleZone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        match offset(text) {
            Some(offset) => Ok(Self::Fixed(offset)),
            // The database has `GMT`, `GMT0` and the like by themselves.
            None => text.parse().map(Self::Named).map_err(|_| ZoneError),
        }
    }
}

/// `GMT±h[h][:mm]`.
fn offset(text: &str) -> Option<FixedOffset> {
    let rest = text.strip_prefix("GMT")?;
    let (sign, rest) = match rest.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, rest.strip_prefix('-')?),
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "00"));
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| -> Option<i32> {
        let is_number = lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    let (hours, minutes) = (digits(hours, 1..=2)?, digits(minutes, 2..=2)?);
    let ahead = hours * 60 + minutes;
    if minutes > 59 || ahead > HOURS_MAX * 60 {
        return None;
    }
    FixedOffset::east_opt(sign * ahead * 60)
}

impl fmt::Display for ScheduleZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(zone) => f.write_str(zone.name()),
            Self::Fixed(offset) => write!(f, "GMT{offset}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds_ahead(text: &str) -> Option<i32> {
        match text.parse() {
            Ok(ScheduleZone::Fixed(offset)) => Some(offset.local_minus_utc()),
            _ => None,
        }
    }

    #[test]
    fn a_zone_of_the_database_goes_by_its_name() {
        for text in [
            "UTC",
            "GMT",
            "Europe/Vienna",
            "America/New_York",
            "Etc/GMT+10",
        ] {
            let zone: ScheduleZone = text.parse().unwrap();
            assert_eq!(zone.to_string(), text);
        }
        for text in [
            "",
            "europe/vienna",
            "Europe/Nowhere",
            "UTC ",
            "CEST+1",
            "Local",
        ] {
            assert_eq!(text.parse::<ScheduleZone>(), Err(ZoneError), "{text}");
        }
    }

    #[test]
    fn gmt_with_a_plus_is_ahead_of_utc() {
        assert_eq!(seconds_ahead("GMT+10"), Some(36_000));
        assert_eq!(seconds_ahead("GMT-3"), Some(-10_800));
        assert_eq!(seconds_ahead("GMT+5:30"), Some(19_800));
        assert_eq!(seconds_ahead("GMT+05:30"), Some(19_800));
        assert_eq!(seconds_ahead("GMT-0:01"), Some(-60));
    }

    #[test]
    fn an_offset_is_at_most_fourteen_hours() {
        assert_eq!(seconds_ahead("GMT+13:59"), Some(50_340));
        assert_eq!(seconds_ahead("GMT+14"), Some(50_400));
        assert_eq!(seconds_ahead("GMT-14:00"), Some(-50_400));
        for text in [
            "GMT+14:01",
            "GMT-15",
            "GMT+1:60",
            "GMT+1:5",
            "GMT+001",
            "GMT+",
            "GMT+:30",
            "GMT10",
            "gmt+10",
            "GMT +10",
            "GMT+1:",
            "GMT+-1",
            "GMT+1:00:00",
        ] {
            assert_eq!(text.parse::<ScheduleZone>(), Err(ZoneError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_minute_within_the_bounds_is_an_offset(minutes in -840..=840_i32) {
            let sign = if minutes < 0 { '-' } else { '+' };
            let text = format!("GMT{sign}{}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            prop_assert_eq!(seconds_ahead(&text), Some(minutes * 60));
        }

        #[test]
        fn any_text_is_a_zone_or_refused_without_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<ScheduleZone>();
        }
    }
}
