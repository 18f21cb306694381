//! Counts and durations in CloudWatch's embedded metric format: one JSON line a flush.
//!
//! What is recorded adds up in memory until [`Metrics::flush`] writes it; CloudWatch makes metrics
//! out of the line without a call being made. The names are a closed list, [`Metric`], and there is one
//! dimension, the function: each combination of dimensions is a metric of its own that is paid for.
//! A deployment has a [`Namespace`] of its own, so that none sets off the alarms of another.
//!
//! Invariants: a count is never lost between flushes, and saturates instead of wrapping; durations are
//! written before they pass the 100 values that the format allows a document; a flush with nothing to
//! say writes nothing. A line that cannot be written is lost, with a warning in the log: metrics never
//! fail the work that they measure.
//!
//! The format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::config::Reader;

/// How long a namespace may be, in characters, by CloudWatch.
pub const NAMESPACE_CHARS_MAX: usize = 255;

/// How many values of one metric a document may hold, by the format.
const VALUES_MAX: usize = 100;

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $unit:ident, $functions:expr;)*) => {
        /// Every metric there is. Counts are whole numbers, durations whole milliseconds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Metric {
            $($(#[$doc])* $variant,)*
        }

        impl Metric {
            /// Every metric, for documents and dashboards.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in CloudWatch.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its unit in CloudWatch.
            pub fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit,)* }
            }

            /// The functions that record it: wherever one is alarmed, so are the others.
            pub fn functions(self) -> &'static [&'static str] {
                match self { $(Self::$variant => $functions,)* }
            }
        }
    };
}

/// A unit of CloudWatch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How many.
    Count,
    /// How long, in whole milliseconds.
    Milliseconds,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

const UPLOAD: &str = "settlement-upload";
const PROCESSOR: &str = "detail-processor";
const SWEEPER: &str = "sweeper";
const SYNC: &str = "reference-sync";
const DEAD_LETTER: &str = "dead-letter";
const QUERY: &str = "query-api";
const ACTION: &str = "action-api";

/// Every function there is.
const EVERY: &[&str] = &[UPLOAD, PROCESSOR, SWEEPER, SYNC, DEAD_LETTER, QUERY, ACTION];

metrics! {
    /// Files that became known.
    FilesStored = "files_stored", Count, &[UPLOAD, ACTION];
    /// Files whose every detail is stored and on its queue.
    FilesProcessed = "files_processed", Count, &[UPLOAD];
    /// Files that cannot be trusted and became `Error`.
    FilesError = "files_error", Count, &[UPLOAD];
    /// Batches that could not be taken: nothing of them is settled. One may be counted twice, never not.
    BatchesRefused = "batches_refused", Count, &[UPLOAD];
    /// Batches that could not be taken or ended with a detail in `Error`.
    BatchesError = "batches_error", Count, &[UPLOAD, PROCESSOR, SWEEPER, DEAD_LETTER, ACTION];
    /// Details stored from files.
    DetailsStored = "details_stored", Count, &[UPLOAD];
    /// Details that were charged or refunded.
    DetailsProcessed = "details_processed", Count, &[PROCESSOR];
    /// Details that became `Error`, or were stored as such.
    DetailsError = "details_error", Count, &[UPLOAD, PROCESSOR, DEAD_LETTER, ACTION];
    /// Transient failures after which a detail waits for another attempt.
    DetailsRetried = "details_retried", Count, &[PROCESSOR];
    /// Details whose outcome nobody knows any more: each one needs a person.
    OutcomeUnknown = "outcome_unknown", Count, &[PROCESSOR, ACTION];
    /// Times that a breaker opened because the platform kept failing.
    BreakerOpen = "breaker_open", Count, &[PROCESSOR];
    /// Calls refused because of the credentials: every detail is affected.
    CredentialsRefused = "credentials_refused", Count, &[PROCESSOR];
    /// Details that wait because there is no key to send them with.
    CredentialsMissing = "credentials_missing", Count, &[PROCESSOR];
    /// Times that the secret with the keys could not be read, or something in it not be understood.
    CredentialsUnread = "credentials_unread", Count, &[PROCESSOR];
    /// Messages that brought reference data, or what was known already.
    MessagesProcessed = "messages_processed", Count, &[SYNC];
    /// Messages that could not be applied.
    MessagesFailed = "messages_failed", Count, &[SYNC];
    /// Messages that were set aside by their queues and kept.
    DeadLetters = "dead_letters", Count, &[DEAD_LETTER];
    /// Details that were left out of what was done because what is kept of them cannot be read.
    DetailsUnreadable = "details_unreadable", Count, &[PROCESSOR, SWEEPER, DEAD_LETTER, ACTION];
    /// Records of a queue that were handed back to it.
    RecordsFailed = "records_failed", Count, &[UPLOAD, PROCESSOR, SYNC, DEAD_LETTER];
    /// Details, tasks, files and batches that stood still, as their message was lost, and were woken.
    Swept = "swept", Count, &[SWEEPER];
    /// Details that were due later than a queue holds a message back, woken when they were due.
    DetailsWoken = "details_woken", Count, &[SWEEPER];
    /// One call to the platform.
    PlatformCallTime = "platform_call_time", Milliseconds, &[PROCESSOR];
    /// One invocation of a function.
    InvocationTime = "invocation_time", Milliseconds, EVERY;
}

/// What every metric of a deployment is in: 1 to 255 letters, digits and `.-_/#`, as CloudWatch takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(Arc<str>);

impl Default for Namespace {
    fn default() -> Self {
        Self(Arc::from("Weir"))
    }
}

impl Namespace {
    /// Reads `WEIR_METRICS_NAMESPACE`. Default: `Weir`. Anything else than a namespace is noted as a problem.
    pub fn read(reader: &mut Reader) -> Self {
        const NAME: &str = "WEIR_METRICS_NAMESPACE";
        let Some(name) = reader.optional_text(NAME) else {
            return Self::default();
        };
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte);
        if name.len() > NAMESPACE_CHARS_MAX || !name.bytes().all(is_known) {
            reader.problem(
                NAME,
                "1 to 255 letters, digits and `.-_/#`, such as `weir-dev`",
            );
        }
        Self(Arc::from(name))
    }
}

/// Where metrics are recorded. Clones record into the same place.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Mutex<State>>,
    clock: Clock,
    namespace: Namespace,
    function: Arc<str>,
}

struct State {
    counts: BTreeMap<Metric, u64>,
    durations: BTreeMap<Metric, Vec<u64>>,
    writer: Box<dyn Write + Send>,
}

impl Metrics {
    /// Metrics of the function `function`, written to `writer`, a line at a time.
    pub fn new(
        namespace: Namespace,
        function: impl Into<Arc<str>>,
        clock: Clock,
        writer: impl Write + Send + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                counts: BTreeMap::new(),
                durations: BTreeMap::new(),
                writer: Box::new(writer),
            })),
            clock,
            namespace,
            function: function.into(),
        }
    }

    /// Metrics on standard output, where Lambda reads them.
    pub fn stdout(namespace: Namespace, function: impl Into<Arc<str>>, clock: Clock) -> Self {
        Self::new(namespace, function, clock, io::stdout())
    }

    /// Metrics that go nowhere.
    pub fn discarded(clock: Clock) -> Self {
        Self::new(Namespace::default(), "none", clock, io::sink())
    }

    /// Adds `value` to a count. Zero is recorded too: it tells "none" from "not measured".
    pub fn count(&self, metric: Metric, value: u64) {
        debug_assert_eq!(metric.unit(), Unit::Count);
        debug_assert!(self.may_record(metric), "{metric:?}: {}", self.function);
        self.with(|state, _| {
            let count = state.counts.entry(metric).or_default();
            *count = count.saturating_add(value);
        });
    }

    /// Records a duration, in whole milliseconds rounded down.
    pub fn duration(&self, metric: Metric, duration: Duration) {
        debug_assert_eq!(metric.unit(), Unit::Milliseconds);
        debug_assert!(self.may_record(metric), "{metric:?}: {}", self.function);
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.with(|state, metrics| {
            let values = state.durations.entry(metric).or_default();
            values.push(millis);
            if values.len() >= VALUES_MAX {
                state.write(metrics);
            }
        });
    }

    /// Writes what was recorded since the last time.
    pub fn flush(&self) {
        self.with(State::write);
    }

    /// Whether the list of a metric's functions is told the truth. What is no function records what it likes.
    fn may_record(&self, metric: Metric) -> bool {
        metric.functions().contains(&&*self.function) || !EVERY.contains(&&*self.function)
    }

    fn with(&self, act: impl FnOnce(&mut State, &Self)) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut state, self);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("function", &self.function)
            .finish_non_exhaustive()
    }
}

impl State {
    fn write(&mut self, metrics: &Metrics) {
        let counts = std::mem::take(&mut self.counts);
        let durations = std::mem::take(&mut self.durations);
        let counts = counts
            .into_iter()
            .map(|(metric, count)| (metric, Value::from(count)));
        let durations = durations
            .into_iter()
            .map(|(metric, millis)| (metric, Value::from(millis)));
        let values: Vec<_> = counts.chain(durations).collect();
        if values.is_empty() {
            return;
        }
        let line = document(metrics, values);
        if let Err(error) = writeln!(self.writer, "{line}").and_then(|()| self.writer.flush()) {
            tracing::warn!(%error, "metrics are lost: they cannot be written");
        }
    }
}

fn document(metrics: &Metrics, values: Vec<(Metric, Value)>) -> Value {
    let definitions: Vec<_> = values
        .iter()
        .map(|(metric, _)| json!({"Name": metric.name(), "Unit": metric.unit().name()}))
        .collect();
    let mut members = Map::new();
    members.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": metrics.clock.now().timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": &*metrics.namespace.0,
                "Dimensions": [["function"]],
                "Metrics": definitions,
            }],
        }),
    );
    members.insert("function".to_owned(), json!(&*metrics.function));
    for (metric, value) in values {
        members.insert(metric.name().to_owned(), value);
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests;
