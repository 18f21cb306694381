//! From an answer, or the lack of one, to what it means. The table is in [`crate::answer`].

use http::StatusCode;
use weir_runtime::HttpError;

use crate::answer::{Failure, FailureReason, Meaning, Refusal, Unexpected};
use crate::credentials::ApiKey;
use crate::error_body::{limited, refusal, synthetic_code};

/// The largest body of an answer that is read, in bytes.
pub const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// What a call expects when all is well.
pub(crate) struct Expected<'a, T> {
    /// The only status that means success.
    pub(crate) status: StatusCode,
    /// Reads the resource, or says why it is not the one.
    pub(crate) read: &'a (dyn Fn(&[u8]) -> Result<T, String> + Send + Sync),
}

/// What a whole answer means. `text` is its body with the caller's key blacked out; once more it is
/// blacked out in what was read from it, as JSON can spell a key in ways that a text does not show.
pub(crate) fn of_response<T>(
    expected: &Expected<'_, T>,
    credentials: &ApiKey,
    status: StatusCode,
    body: &[u8],
    text: &str,
) -> Meaning<T> {
    if status == expected.status {
        return match (expected.read)(body) {
            Ok(resource) => Meaning::Accepted(resource),
            Err(why) => Meaning::UnexpectedResponse(Unexpected::NotTheResource(limited(
                credentials.mask(&why).into_owned(),
            ))),
        };
    }
    of_status(status, || {
        let Refusal { code, message } = refusal(status, text);
        Refusal {
            code: credentials.mask(&code).into_owned(),
            message: credentials.mask(&message).into_owned(),
        }
    })
}

/// What the lack of a whole answer means.
pub(crate) fn of_error<T>(expected: &Expected<'_, T>, error: &HttpError) -> Meaning<T> {
    let failed = |reason, code: &str| {
        Meaning::Transient(Failure {
            reason,
            code: code.to_owned(),
            message: limited(error.to_string()),
        })
    };
    match error {
        HttpError::Connect { .. } | HttpError::Invalid { .. } => {
            failed(FailureReason::NotSent, "transport.not_sent")
        }
        HttpError::Timeout { .. } => failed(FailureReason::TimedOut, "transport.timed_out"),
        HttpError::ResponseTooLarge { status, limit } if *status == expected.status => {
            Meaning::UnexpectedResponse(Unexpected::TooLarge(*limit))
        }
        HttpError::ResponseTooLarge { status, .. } => of_status(*status, || Refusal {
            code: synthetic_code(*status),
            message: limited(error.to_string()),
        }),
        // Whatever else goes wrong, the platform may have seen the request.
        _ => failed(FailureReason::Cut, "transport.cut"),
    }
}

/// The status of an error, where the head of an answer had come.
pub(crate) fn status_of_error(error: &HttpError) -> Option<StatusCode> {
    match error {
        HttpError::Cut { status, .. } => *status,
        HttpError::ResponseTooLarge { status, .. } => Some(*status),
        _ => None,
    }
}

/// What a status other than the expected one means.
fn of_status<T>(status: StatusCode, refusal: impl FnOnce() -> Refusal) -> Meaning<T> {
    let transient = |reason, Refusal { code, message }| {
        Meaning::Transient(Failure {
            reason,
            code,
            message,
        })
    };
    match status.as_u16() {
        401 | 403 => Meaning::CredentialsRefused(refusal()),
        408 | 425 => transient(FailureReason::NotReady, refusal()),
        429 => transient(FailureReason::TooManyRequests, refusal()),
        400..=499 => Meaning::Refused(refusal()),
        500..=599 => transient(FailureReason::ServerError, refusal()),
        other => Meaning::UnexpectedResponse(Unexpected::Status(other)),
    }
}

/// The body as it is kept: text, the key blacked out, within the limit even where replacing bytes
/// that are no text has made it longer.
pub(crate) fn kept_body(credentials: &ApiKey, body: &[u8]) -> String {
    let mut text = credentials
        .mask(&String::from_utf8_lossy(body))
        .into_owned();
    text.truncate(text.floor_char_boundary(RESPONSE_BYTES_MAX));
    text
}
