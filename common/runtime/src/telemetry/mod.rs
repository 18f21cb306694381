//! Logs: one JSON object a line on standard error, each with the correlation id it belongs to.
//!
//! A [`CorrelationId`] follows a piece of work from the request or message that asked for it to the
//! platform that charges. [`span`] opens a span that carries it; every line that is logged inside, in
//! whatever library, has it as `correlation_id`. A line outside of any has `null` there, so that the
//! field can always be searched for.
//!
//! ```text
//! {"timestamp":"2026-11-22T14:48:03.120Z","level":"INFO","message":"file stored","correlation_id":"…",
//!  "target":"weir_settlement::split","file_id":"…"}
//! ```
//!
//! Invariants: a line is one write, so lines never mix; a text field is cut at 8 KiB; the fields of all
//! enclosing spans are in the line, the innermost winning. Nothing here masks secrets: they are
//! kept in types that do not show them.

mod lines;

use std::fmt;
use std::str::FromStr;

use tracing::{Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::clock::Clock;
use crate::config::Reader;
use crate::random::Random;

/// How long a correlation id may be, in characters.
pub const CORRELATION_ID_CHARS_MAX: usize = 1024;

/// What ties together everything that one request or message has caused.
///
/// 1 to 1024 visible ASCII characters, so that it can travel in a header and a log line as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId(String);

/// A text that cannot be a correlation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id has 1 to {CORRELATION_ID_CHARS_MAX} visible ASCII characters")]
pub struct InvalidCorrelationId;

impl CorrelationId {
    /// Takes an id that came from outside.
    ///
    /// # Errors
    /// [`InvalidCorrelationId`] when it is empty, too long, or has a character that is not visible ASCII.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidCorrelationId> {
        let id = id.into();
        let is_valid = (1..=CORRELATION_ID_CHARS_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        is_valid.then_some(Self(id)).ok_or(InvalidCorrelationId)
    }

    /// A new id, for work that came with none: a UUID of version 7.
    pub fn generate(random: &Random, clock: &Clock) -> Self {
        Self(random.uuid_v7(clock.now()).to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::new(id)
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CorrelationId({})", self.0)
    }
}

/// A span for all that is done under `id`. Instrument a future with it, or enter it.
pub fn span(id: &CorrelationId) -> Span {
    // At the highest level, as a span below the level that is logged would take the id with it.
    tracing::error_span!("work", correlation_id = id.as_str())
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryOptions {
    filter: String,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
        }
    }
}

impl TelemetryOptions {
    /// Reads `WEIR_LOG`: a level, or levels by module such as `info, weir_store=debug`. Default: `info`.
    /// Spaces do not matter, and what lies empty between commas says nothing.
    pub fn read(reader: &mut Reader) -> Self {
        let Some(filter) = reader.optional_text("WEIR_LOG") else {
            return Self::default();
        };
        let filter = tidied(&filter);
        if filter.is_empty() {
            return Self::default();
        }
        if !filter.split(',').all(is_meant) || filter.parse::<Targets>().is_err() {
            reader.problem(
                "WEIR_LOG",
                "a level (off, error, warn, info, debug or trace), or levels by module as in \
                 `info, weir_store=debug`",
            );
        }
        Self { filter }
    }
}

/// Whether a part is a level, or a module with one. The parser takes more, and amiss: a misspelt level
/// for a module of which everything is logged, a module without a level behind its `=` for one of which
/// errors are.
fn is_meant(part: &str) -> bool {
    let is_level = |text: &str| !text.is_empty() && text.parse::<LevelFilter>().is_ok();
    let is_module = |text: &str| {
        let mut names = text.split("::");
        names.all(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    };
    match part.split_once('=') {
        None => is_level(part),
        Some((module, level)) => is_module(module) && is_level(level),
    }
}

/// Levels by module without what the parser takes amiss: a part that is empty would be the level of errors
/// for everything, and a space a piece of a module's name.
fn tidied(filter: &str) -> String {
    let parts = filter.split(',').map(|part| {
        let sides = part.split('=').map(str::trim);
        sides.collect::<Vec<_>>().join("=")
    });
    let parts = parts.filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(",")
}

/// Why logging could not be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// Another part of the process has set it up.
    #[error("logging is set up already")]
    AlreadySet,
}

/// Sets up logging for the whole process, to standard error, and a panic hook that logs.
///
/// # Errors
/// [`TelemetryError::AlreadySet`] when that was done before; nothing is changed then.
pub fn init(options: &TelemetryOptions, clock: &Clock) -> Result<(), TelemetryError> {
    let subscriber = subscriber(options, clock.clone(), std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadySet)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// What [`init`] sets up, writing to `writer`: for a process that has its own place for logs.
pub fn subscriber<W>(
    options: &TelemetryOptions,
    clock: Clock,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Levels by module need no regular expressions, which the usual filter brings.
    let filter: Targets =
        (options.filter.parse()).unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    Registry::default()
        .with(filter)
        .with(lines::JsonLines::new(clock, writer))
}

fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let reason = info.payload_as_str().unwrap_or("no reason given");
    let location = info.location().map(ToString::to_string);
    tracing::error!(reason, location, "panicked");
}

#[cfg(test)]
mod tests;
