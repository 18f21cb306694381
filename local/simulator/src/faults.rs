//! Faults: what goes wrong, how often, and to which request.
//!
//! In JSON, with what is left out being none:
//!
//! ```json
//! {"latency": {"min_ms": 5, "max_ms": 40},
//!  "errors": {"429": 0.01, "500": 0.005, "503": 0.005},
//!  "retry_after_s": 2,
//!  "cut_before": 0.001, "cut_after_commit": 0.002, "cut_in_answer": 0.001, "never_answer": 0.0005}
//! ```
//!
//! | fault | what the caller sees | what was made |
//! | --- | --- | --- |
//! | `errors` | the status; a body of several forms, as platforms and proxies have | nothing |
//! | `cut_before` | the connection closed without an answer | nothing |
//! | `cut_after_commit` | the same | what was asked for |
//! | `cut_in_answer` | half of the answer, then the connection closed | what was asked for |
//! | `never_answer` | nothing, until it gives up | by half of them: what was asked for |
//! | `latency` | an answer that much later: half of the time passes before anything is made, half after | |
//!
//! At most one fault meets a request besides latency, so the rates may come to 1 at most. Which one is
//! a function of the seed, the idempotency key and how often the key has come: the order in which
//! requests arrive does not matter. Requests without a key are counted instead.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_domain::Decimal;

const PER_MILLION: u32 = 1_000_000;
/// The longest latency: beyond it `never_answer` is meant.
const LATENCY_MS_MAX: u32 = 600_000;
/// The longest wait that is asked for: a week.
const RETRY_AFTER_S_MAX: u32 = 604_800;

/// Why faults are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultsError {
    /// The rates come to more than one.
    #[error("the rates come to more than 1")]
    RatesTooHigh,
    /// A status that is no error.
    #[error("{0} is not an error: 400 to 599")]
    NotAnError(u16),
    /// The range is empty or goes too far.
    #[error("latency must have min_ms <= max_ms <= {LATENCY_MS_MAX}")]
    Latency,
    /// A wait that is too long.
    #[error("retry_after_s must be at most {RETRY_AFTER_S_MAX}")]
    RetryAfter,
}

/// Why a number is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number from 0 to 1 with at most six decimals")]
pub struct RateError;

/// How often something happens: 0 to 1, exact to a millionth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u32);

impl Rate {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// Always.
    pub const ALWAYS: Self = Self(PER_MILLION);

    /// A rate in millionths, at most a million.
    pub fn per_million(millionths: u32) -> Result<Self, RateError> {
        if millionths <= PER_MILLION {
            Ok(Self(millionths))
        } else {
            Err(RateError)
        }
    }
}

impl FromStr for Rate {
    type Err = RateError;
    fn from_str(text: &str) -> Result<Self, RateError> {
        let decimal: Decimal = text.parse().map_err(|_| RateError)?;
        Self::per_million(u32::try_from(decimal.millionths()).map_err(|_| RateError)?)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / PER_MILLION, self.0 % PER_MILLION);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{fraction:06}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Digit by digit, never through a float.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().parse().map_err(serde::de::Error::custom)
    }
}

/// How long an answer takes, all values within the bounds equally likely.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// The least, in milliseconds.
    pub min_ms: u32,
    /// The most, in milliseconds.
    pub max_ms: u32,
}

/// Everything that goes wrong. By default nothing does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// How long an answer takes.
    pub latency: Latency,
    /// How often each status is answered instead of anything being done.
    pub errors: BTreeMap<u16, Rate>,
    /// What those of 429 and 503 say in `Retry-After`, in seconds; absent: nothing.
    pub retry_after_s: Option<u32>,
    /// How often the connection is cut before anything is made.
    pub cut_before: Rate,
    /// How often the connection is cut without an answer although everything was made.
    pub cut_after_commit: Rate,
    /// How often the connection is cut within the answer.
    pub cut_in_answer: Rate,
    /// How often no answer ever comes.
    pub never_answer: Rate,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Error { status: u16, form: u64 },
    CutBefore,
    CutAfterCommit,
    CutInAnswer,
    NeverAnswer { is_made: bool },
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long it waits before it is judged.
    pub(crate) before: Duration,
    /// How long its answer waits.
    pub(crate) after: Duration,
    pub(crate) fault: Fault,
}

impl Plan {
    /// An answer at once.
    pub(crate) const NOTHING: Self = Self {
        before: Duration::ZERO,
        after: Duration::ZERO,
        fault: Fault::None,
    };
}

impl Faults {
    /// Checks what types alone do not.
    pub fn check(&self) -> Result<(), FaultsError> {
        if let Some(status) = self.errors.keys().find(|s| !(400..=599).contains(*s)) {
            return Err(FaultsError::NotAnError(*status));
        }
        let rates = self.rates().map(|(rate, _)| u64::from(rate.0));
        if rates.sum::<u64>() > u64::from(PER_MILLION) {
            return Err(FaultsError::RatesTooHigh);
        }
        let Latency { min_ms, max_ms } = self.latency;
        if min_ms > max_ms || max_ms > LATENCY_MS_MAX {
            return Err(FaultsError::Latency);
        }
        if self.retry_after_s.is_some_and(|s| s > RETRY_AFTER_S_MAX) {
            return Err(FaultsError::RetryAfter);
        }
        Ok(())
    }

    fn rates(&self) -> impl Iterator<Item = (Rate, Fault)> {
        let error = |(&status, &rate)| (rate, Fault::Error { status, form: 0 });
        self.errors.iter().map(error).chain([
            (self.cut_before, Fault::CutBefore),
            (self.cut_after_commit, Fault::CutAfterCommit),
            (self.cut_in_answer, Fault::CutInAnswer),
            (self.never_answer, Fault::NeverAnswer { is_made: false }),
        ])
    }

    /// Decides for the request that `draw` is of.
    fn plan(&self, draw: u64) -> Plan {
        let mut point = mixed(draw, 1) % u64::from(PER_MILLION);
        let mut fault = Fault::None;
        for (rate, candidate) in self.rates() {
            if point < u64::from(rate.0) {
                fault = candidate;
                break;
            }
            point -= u64::from(rate.0);
        }
        let coin = mixed(draw, 2);
        match &mut fault {
            Fault::Error { form, .. } => *form = coin,
            Fault::NeverAnswer { is_made } => *is_made = coin.is_multiple_of(2),
            _ => {}
        }
        let Latency { min_ms, max_ms } = self.latency;
        let spread = u64::from(max_ms.saturating_sub(min_ms)) + 1;
        let latency = Duration::from_millis(u64::from(min_ms) + mixed(draw, 3) % spread);
        Plan {
            before: latency / 2,
            after: latency / 2,
            fault,
        }
    }
}

/// Draws for requests. The same seed gives the same draw to the same key.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    /// How often a key has come; by its hash, as nothing hangs on two keys sharing one.
    times: HashMap<u64, u64>,
    without_key: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            times: HashMap::new(),
            without_key: 0,
        }
    }

    /// What happens to the next request with this key, or without one.
    pub(crate) fn plan(&mut self, faults: &Faults, key: Option<&str>) -> Plan {
        let (of, count) = match key {
            Some(key) => {
                let of = key
                    .bytes()
                    .fold(self.seed, |hash, byte| mixed(hash, u64::from(byte)));
                (of, self.times.entry(of).or_default())
            }
            None => (mixed(self.seed, u64::MAX), &mut self.without_key),
        };
        let draw = mixed(of, *count);
        *count = count.wrapping_add(1);
        faults.plan(draw)
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.seed);
    }
}

/// Mixes two numbers well (the finalizer of `SplitMix64`).
fn mixed(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
