//! Settings from environment variables, every problem reported at once.
//!
//! A [`Reader`] is asked for one setting after another and notes what is wrong; [`Reader::finish`] then
//! gives one [`ConfigError`] that lists all of it, so that a deployment is mended in one go.
//!
//! Invariants: no value is ever shown, in an error or by `Debug`, as any variable may hold a secret by
//! mistake; a getter that found a problem gives a stand-in, which [`Reader::finish`] keeps from being
//! used. An empty variable counts as not set, as templates write empty ones.
//!
//! Refused: text with white space at its ends or with control characters, numbers outside the range
//! that the setting allows, URLs with credentials, a query or a fragment.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

/// Everything that is wrong with the settings. Its text has one line a problem and no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The problems, in the order in which the settings were asked for. Never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings with problems: {}", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// One setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub name: String,
    /// What it must hold, such as "a whole number from 1 to 100".
    pub expected: String,
    /// What is wrong with what it holds, without showing it.
    pub found: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            expected,
            found,
        } = self;
        write!(f, "{name}: expected {expected}, but it {found}")
    }
}

const NOT_SET: &str = "is not set";
const NOT_THAT: &str = "is something else";

/// Reads settings and collects what is wrong with them.
pub struct Reader {
    /// `None` for a value that is not Unicode.
    values: BTreeMap<String, Option<String>>,
    problems: Vec<Problem>,
}

impl Reader {
    /// Reads from the given variables.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::of(
            variables
                .into_iter()
                .map(|(name, value)| (name, Some(value))),
        )
    }

    /// Reads from the environment of the process, as it is now.
    pub fn from_env() -> Self {
        Self::of(std::env::vars_os().filter_map(|(name, value)| {
            // A name that is not Unicode is none of ours.
            Some((name.into_string().ok()?, value.into_string().ok()))
        }))
    }

    fn of(variables: impl Iterator<Item = (String, Option<String>)>) -> Self {
        let set = variables.filter(|(_, value)| value.as_deref() != Some(""));
        Self {
            values: set.collect(),
            problems: Vec::new(),
        }
    }

    /// Text that must be set.
    pub fn text(&mut self, name: &str) -> String {
        self.required(name, "text", plain).unwrap_or_default()
    }

    /// Text that may be absent.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        self.optional(name, "text", plain)
    }

    /// Text with a default.
    pub fn text_or(&mut self, name: &str, default: &str) -> String {
        self.optional_text(name)
            .unwrap_or_else(|| default.to_owned())
    }

    /// A secret that must be set. It is taken as it is.
    pub fn secret(&mut self, name: &str) -> SecretString {
        let value = self.required(name, "a secret", |value| Some(value.to_owned()));
        SecretString::from(value.unwrap_or_default())
    }

    /// A secret that may be absent.
    pub fn optional_secret(&mut self, name: &str) -> Option<SecretString> {
        self.optional(name, "a secret", |value| Some(value.to_owned()))
            .map(SecretString::from)
    }

    /// An `http` or `https` URL that must be set: with a host, without credentials, query and fragment.
    pub fn url(&mut self, name: &str) -> Url {
        self.required(name, URL, url).unwrap_or_else(stand_in_url)
    }

    /// A URL as [`Reader::url`] takes it that may be absent.
    pub fn optional_url(&mut self, name: &str) -> Option<Url> {
        self.optional(name, URL, url)
    }

    /// A whole number within `range`, with a default.
    pub fn integer_in(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.optional(name, &expected, |value| digits(value, &range))
            .unwrap_or(default)
    }

    /// A whole number of seconds within `range`, with a default in seconds.
    pub fn seconds(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> Duration {
        let (from, to) = (range.start(), range.end());
        let expected = format!("a whole number of seconds from {from} to {to}");
        let seconds = self.optional(name, &expected, |value| digits(value, &range));
        Duration::from_secs(seconds.unwrap_or(default))
    }

    /// One of the named choices, or `None` when absent.
    pub fn choice<T: Clone>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        self.optional(name, &names.join(" or "), |value| {
            let (_, choice) = choices.iter().find(|(name, _)| *name == value)?;
            Some(choice.clone())
        })
    }

    /// A value of a type that knows its own form, `expected` saying which, or `None` when absent.
    pub fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        self.optional(name, expected, |value| value.parse().ok())
    }

    /// Notes a problem that only the caller can see, such as two settings that exclude each other.
    /// `expected` must not repeat a value.
    pub fn problem(&mut self, name: &str, expected: &str) {
        self.note(name, expected, NOT_THAT);
    }

    /// Whether all was well.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem; what the getters gave is not to be used then.
    pub fn finish(self) -> Result<(), ConfigError> {
        let problems = self.problems;
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { problems })
        }
    }

    /// Whether a variable holds anything.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Notes that a variable is missing which only some others make necessary.
    pub(crate) fn not_set(&mut self, name: &str, expected: &str) {
        self.note(name, expected, NOT_SET);
    }

    fn required<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if !self.values.contains_key(name) {
            self.note(name, expected, NOT_SET);
        }
        self.optional(name, expected, read)
    }

    fn optional<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.values.get(name)?.as_deref() else {
            self.note(name, expected, "is not Unicode");
            return None;
        };
        let value = read(value);
        if value.is_none() {
            self.note(name, expected, NOT_THAT);
        }
        value
    }

    fn note(&mut self, name: &str, expected: &str, found: &'static str) {
        self.problems.push(Problem {
            name: name.to_owned(),
            expected: expected.to_owned(),
            found,
        });
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

const URL: &str = "an http or https URL with a host and without credentials, query or fragment";

fn plain(value: &str) -> Option<String> {
    let is_plain = value.trim() == value && !value.chars().any(char::is_control);
    is_plain.then(|| value.to_owned())
}

fn url(value: &str) -> Option<Url> {
    let url: Url = plain(value)?.parse().ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_plain.then_some(url)
}

fn digits(value: &str, range: &RangeInclusive<u64>) -> Option<u64> {
    // The standard parser takes a plus sign, which a person may mistake for an increment.
    let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| is_digits)?;
    range.contains(&number).then_some(number)
}

#[expect(
    clippy::expect_used,
    reason = "the text is a constant, so a test covers it"
)]
fn stand_in_url() -> Url {
    "http://not-set.invalid/"
        .parse()
        .expect("a constant that is a URL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    fn reader<const N: usize>(variables: [(&str, &str); N]) -> Reader {
        Reader::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn settings_are_read_with_their_types() {
        let mut reader = reader([
            ("NAME", "weir"),
            ("BASE", "https://api.example.com/x"),
            ("COUNT", "12"),
            ("WAIT", "30"),
            ("MODE", "fast"),
            ("KEY", "s3cret "),
        ]);
        assert_eq!(reader.text("NAME"), "weir");
        assert_eq!(reader.url("BASE").as_str(), "https://api.example.com/x");
        assert_eq!(reader.integer_in("COUNT", 1, 1..=12), 12);
        assert_eq!(reader.seconds("WAIT", 1, 1..=60), Duration::from_secs(30));
        let modes = [("slow", 1), ("fast", 2)];
        assert_eq!(reader.choice("MODE", &modes), Some(2));
        assert_eq!(reader.secret("KEY").expose_secret(), "s3cret ");
        reader.finish().unwrap();
    }

    #[test]
    fn what_is_absent_or_empty_has_its_default() {
        let mut reader = reader([("EMPTY", "")]);
        assert_eq!(reader.text_or("EMPTY", "info"), "info");
        assert_eq!(reader.optional_text("EMPTY"), None);
        assert_eq!(reader.optional_url("BASE"), None);
        assert_eq!(reader.integer_in("COUNT", 7, 1..=12), 7);
        assert!(reader.optional_secret("KEY").is_none());
        assert_eq!(reader.choice("MODE", &[("slow", 1)]), None);
        reader.finish().unwrap();
    }

    #[test]
    fn every_problem_is_reported_at_once_in_the_order_asked() {
        let mut reader = reader([
            ("BASE", "ftp://example.com"),
            ("COUNT", "13"),
            ("MODE", "yes"),
            ("NAME", " padded"),
        ]);
        let _ = reader.text("MISSING");
        let _ = reader.url("BASE");
        let _ = reader.integer_in("COUNT", 1, 1..=12);
        let _ = reader.choice("MODE", &[("slow", 1), ("fast", 2)]);
        let _ = reader.text("NAME");
        let _ = reader.secret("KEY");
        let _ = reader.url("ALSO_MISSING");
        reader.problem("BOTH", "only one of A and B");
        let error = reader.finish().unwrap_err();
        assert_eq!(
            error.to_string(),
            "settings with problems: 8\n  \
             MISSING: expected text, but it is not set\n  \
             BASE: expected an http or https URL with a host and without credentials, query or fragment, but it is something else\n  \
             COUNT: expected a whole number from 1 to 12, but it is something else\n  \
             MODE: expected slow or fast, but it is something else\n  \
             NAME: expected text, but it is something else\n  \
             KEY: expected a secret, but it is not set\n  \
             ALSO_MISSING: expected an http or https URL with a host and without credentials, query or fragment, but it is not set\n  \
             BOTH: expected only one of A and B, but it is something else"
        );
        assert_eq!(error.problems().len(), 8);
    }

    #[test]
    fn a_url_with_credentials_query_or_fragment_is_refused() {
        for value in [
            "https://user:pw@example.com/",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "example.com",
            "https://",
        ] {
            let mut reader = reader([("BASE", value)]);
            let _ = reader.url("BASE");
            assert!(reader.finish().is_err(), "{value}");
        }
    }

    #[test]
    fn a_number_is_taken_at_the_ends_of_its_range_and_refused_beyond() {
        for (value, is_taken) in [
            ("9", false),
            ("10", true),
            ("20", true),
            ("21", false),
            ("-1", false),
            ("+11", false),
            ("11.0", false),
            ("99999999999999999999", false),
        ] {
            let mut reader = reader([("COUNT", value)]);
            let _ = reader.integer_in("COUNT", 10, 10..=20);
            assert_eq!(reader.finish().is_ok(), is_taken, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_value_is_ever_shown(tail in "[a-z0-9]{8,20}") {
            let value = format!("sëcret\u{1}{tail}");
            let mut reader = reader([("A", value.as_str())]);
            let _ = reader.text("A");
            let _ = reader.url("A");
            let _ = reader.choice("A", &[("slow", 1)]);
            let _ = reader.integer_in("A", 1, 1..=2);
            let _ = reader.parsed::<u8>("A", "a byte");
            let shown = format!("{reader:?} {:?}", reader.secret("A"));
            let error = reader.finish().unwrap_err();
            let shown = format!("{shown} {error} {error:?}");
            prop_assert!(!shown.contains(&tail));
        }
    }
}
