//! How long the platform asks to be left alone.
//!
//! `Retry-After` is a number of seconds or a date, in any of the three forms that HTTP knows. A date is
//! measured from the answer's own `Date` where there is one, so that a clock that is off does not
//! matter. What is neither is ignored; nothing is obeyed for longer than [`RETRY_AFTER_MAX`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// The longest wait that is obeyed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// The wait that an answer asks for. Only on 429 and 503 does the header mean one.
pub(crate) fn retry_after(
    status: StatusCode,
    headers: &HeaderMap,
    now: DateTime<Utc>,
) -> Option<Duration> {
    if status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are still a number, beyond the longest wait.
        text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let until = date(text)?;
        let from = header_date(headers, &DATE).unwrap_or(now);
        // A date that has passed asks for no wait.
        (until - from).to_std().unwrap_or(Duration::ZERO)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn header_date(headers: &HeaderMap, name: &HeaderName) -> Option<DateTime<Utc>> {
    date(headers.get(name)?.to_str().ok()?)
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    httpdate::parse_http_date(text).ok().map(DateTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 22 November 2026, 12:00:00 UTC.
    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_348_800, 0).unwrap()
    }

    fn read(status: u16, pairs: &[(&HeaderName, &str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        retry_after(StatusCode::from_u16(status).unwrap(), &headers, noon())
    }

    fn seconds(text: &str) -> Option<u64> {
        read(429, &[(&RETRY_AFTER, text)]).map(|wait| wait.as_secs())
    }

    #[test]
    fn it_is_obeyed_on_429_and_503_alone() {
        for status in [400, 408, 425, 428, 500, 502, 504, 301, 201] {
            assert_eq!(read(status, &[(&RETRY_AFTER, "7")]), None, "{status}");
        }
        for status in [429, 503] {
            let wait = read(status, &[(&RETRY_AFTER, "7")]);
            assert_eq!(wait, Some(Duration::from_secs(7)), "{status}");
            assert_eq!(read(status, &[]), None);
        }
    }

    #[test]
    fn seconds_are_obeyed_up_to_a_day() {
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("86399"), Some(86_399));
        assert_eq!(seconds("86400"), Some(86_400));
        assert_eq!(seconds("86401"), Some(86_400));
        assert_eq!(seconds("99999999999999999999999"), Some(86_400));
    }

    #[test]
    fn a_date_is_read_in_all_three_forms() {
        for text in [
            "Sun, 22 Nov 2026 12:00:30 GMT",
            "Sunday, 22-Nov-26 12:00:30 GMT",
            "Sun Nov 22 12:00:30 2026",
        ] {
            assert_eq!(seconds(text), Some(30), "{text}");
        }
        assert_eq!(seconds("Sun, 22 Nov 2026 12:00:00 GMT"), Some(0));
        assert_eq!(seconds("Sun, 22 Nov 2026 11:59:59 GMT"), Some(0));
        assert_eq!(seconds("Mon, 23 Nov 2026 11:59:59 GMT"), Some(86_399));
        assert_eq!(seconds("Mon, 23 Nov 2026 12:00:01 GMT"), Some(86_400));
    }

    #[test]
    fn a_date_is_measured_from_the_date_of_the_answer() {
        let wait = read(
            503,
            &[
                (&RETRY_AFTER, "Fri, 20 Nov 2026 08:00:45 GMT"),
                (&DATE, "Fri, 20 Nov 2026 08:00:00 GMT"),
            ],
        );
        assert_eq!(wait, Some(Duration::from_secs(45)));
    }

    #[test]
    fn what_is_neither_seconds_nor_a_date_is_ignored() {
        for text in ["", "-1", "+5", "1.5", "soon", "7 s", "2026-11-22T12:00:30Z"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_obeyed_for_longer_than_a_day(text in "[ -~]{0,40}") {
            prop_assert!(read(429, &[(&RETRY_AFTER, &text)]).is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }
}
