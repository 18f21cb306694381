//! What came of a call, and what it means to whoever made it.
//!
//! | answer | [`Meaning`] |
//! | --- | --- |
//! | 201 to a create, 200 to a look-up, with the documented resource of this request | `Accepted` |
//! | the same without it; any other 2xx; 3xx, as redirects are not followed | `UnexpectedResponse` |
//! | 400, 404, 409, 422, any other 4xx | `Refused` |
//! | 401, 403 | `CredentialsRefused` |
//! | 408, 425, 429, 5xx; no connection, no answer in time, a connection cut | `Transient` |
//!
//! A replay under the same key is the first answer again, so a 409 is never one and is a refusal. A
//! 2xx or 3xx that is not documented leaves open whether something was made: a person has to look.
//! An answer that breaks off means nothing, whatever status it began with: under the same key the
//! platform gives it again, whole.

use std::fmt;
use std::time::Duration;

/// What came of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The status, where at least the head of an answer came.
    pub http_status: Option<u16>,
    /// What it means.
    pub meaning: Meaning<T>,
    /// The body as text, at most 1 MiB, the caller's key blacked out and bytes that are not UTF-8
    /// replaced; absent where no whole answer came, or one that was too large.
    pub response_body: Option<String>,
    /// For how long the platform wants no more calls; on 429 and 503 alone, at most a day.
    pub retry_after: Option<Duration>,
    /// How long the call took.
    pub duration: Duration,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning<T> {
    /// Done: the resource is there.
    Accepted(T),
    /// This request will never be taken as it is.
    Refused(Refusal),
    /// Nothing will be taken with these credentials: an alarm, not the request's fault.
    CredentialsRefused(Refusal),
    /// Nothing is decided: send it again later, under the same key.
    Transient(Failure),
    /// The platform said something that it does not say; what was made is not known. Never to be
    /// sent again without a person's decision.
    UnexpectedResponse(Unexpected),
}

/// Why a request was refused, in the platform's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The platform's code, or `http.STATUS` where it gave none. Never begins with `bcs.`.
    pub code: String,
    /// The platform's message with its validation errors, or one that names the status.
    pub message: String,
}

/// Why nothing is decided yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The kind of failure.
    pub reason: FailureReason,
    /// The platform's code, `http.STATUS`, or `transport.…` where no answer came.
    pub code: String,
    /// What happened.
    pub message: String,
}

impl Failure {
    /// Whether it is certain that the platform has seen nothing of the request.
    pub fn never_sent(&self) -> bool {
        self.reason == FailureReason::NotSent
    }
}

/// Kinds of failure that another attempt may get over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// No connection: nothing was sent.
    NotSent,
    /// No whole answer in time: the platform may have acted.
    TimedOut,
    /// The connection was lost after sending had begun: the platform may have acted.
    Cut,
    /// 429.
    TooManyRequests,
    /// 408 or 425: the platform was not ready for the request.
    NotReady,
    /// 5xx: the platform failed, and may have acted.
    ServerError,
}

/// What was not expected of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexpected {
    /// A 2xx that the call does not have, a redirect, or a status that is none.
    Status(u16),
    /// The right status with a body above the limit, in bytes.
    TooLarge(usize),
    /// The right status with a body that is not the documented resource of this request.
    NotTheResource(String),
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the platform answered with status {status}"),
            Self::TooLarge(limit) => write!(f, "the answer is larger than {limit} bytes"),
            Self::NotTheResource(why) => write!(f, "the answer is not the resource: {why}"),
        }
    }
}
