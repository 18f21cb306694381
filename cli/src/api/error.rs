//! Why a request has not brought what was asked for, and what a person can do about it.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use weir_runtime::{CorrelationId, HttpError, HttpResponse};

use super::{Asked, Purpose};
use crate::failure::{ASK_AGAIN, SUBMIT_AGAIN, TOO_LARGE_REMEDY};
use crate::text::{cut, plain};

/// How much is shown of a body that is not in the API's own form, in terminal columns.
const FOREIGN_BODY_WIDTH_MAX: usize = 200;
/// Most of the API's errors, and of the parts that one of them names, that are shown.
const DETAILS_MAX: usize = 20;

/// Why a request has not brought what was asked for.
#[derive(Debug)]
pub(crate) struct ApiError {
    asked: Asked,
    correlation: CorrelationId,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// No whole answer.
    Unanswered(HttpError),
    /// Another status than 2xx.
    Refused {
        status: StatusCode,
        errors: Vec<Reason>,
        retry_after: Option<Duration>,
    },
    /// A 2xx whose body is not the resource.
    Unexpected { status: StatusCode, reason: String },
}

/// One error of the array that the API answers with.
#[derive(Debug, Deserialize)]
struct Reason {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "validationErrors")]
    validation_errors: Option<Vec<Part>>,
}

/// What is wrong with one part of what was sent.
#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default, rename = "dataPath")]
    data_path: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

impl ApiError {
    /// There is no whole answer.
    pub(super) fn unanswered(asked: Asked, correlation: CorrelationId, error: HttpError) -> Self {
        Self {
            asked,
            correlation,
            cause: Cause::Unanswered(error),
        }
    }

    /// The answer is not a 2xx.
    pub(super) fn refused(
        asked: Asked,
        correlation: CorrelationId,
        response: &HttpResponse,
    ) -> Self {
        let seconds = response.headers.get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Self {
            asked,
            correlation,
            cause: Cause::Refused {
                status: response.status,
                errors: reasons(&response.body),
                retry_after: seconds.map(Duration::from_secs),
            },
        }
    }

    /// The answer is a 2xx but not what it should be.
    pub(super) fn unexpected(
        asked: Asked,
        correlation: CorrelationId,
        status: StatusCode,
        error: &serde_json::Error,
    ) -> Self {
        Self {
            asked,
            correlation,
            cause: Cause::Unexpected {
                status,
                reason: error.to_string(),
            },
        }
    }

    /// What ties the request to the service's log lines.
    pub(crate) fn correlation(&self) -> &CorrelationId {
        &self.correlation
    }

    /// The status of the answer, when there is one and it refuses.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match &self.cause {
            Cause::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether something else is going on that ends by itself.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(
            &self.cause,
            Cause::Refused { status, retry_after, .. }
                if *status == StatusCode::CONFLICT && retry_after.is_some()
        )
    }

    /// What is wrong with a body, by place, when that is what was refused.
    pub(crate) fn faults(&self) -> Vec<(&str, &str)> {
        self.parts_of("body_not_matching_json_schema").collect()
    }

    /// The last line up to which a table fits that was too large.
    pub(super) fn fits_to(&self) -> Option<u32> {
        let mut parts = self.parts_of("invalid_parameter");
        parts.find_map(|(place, message)| {
            let (_, rest) = message.split_once("to_line=")?;
            let end = rest.find(|c: char| !c.is_ascii_digit());
            let digits = rest.get(..end.unwrap_or(rest.len()))?;
            let line = digits.parse().ok()?;
            (place == "/query/to_line").then_some(line)
        })
    }

    fn parts_of(&self, code: &str) -> impl Iterator<Item = (&str, &str)> {
        let errors = match &self.cause {
            Cause::Refused { errors, .. } => errors.as_slice(),
            _ => &[],
        };
        let of_code = errors
            .iter()
            .filter(move |error| error.code.as_deref() == Some(code));
        let parts = of_code.flat_map(|error| error.validation_errors.iter().flatten());
        parts.filter_map(|part| Some((part.data_path.as_deref()?, part.message.as_deref()?)))
    }

    /// How long to wait before asking again, when the failure is one that passes by itself.
    pub(crate) fn passes(&self) -> Option<Duration> {
        match &self.cause {
            Cause::Unanswered(
                HttpError::Connect { .. } | HttpError::Timeout { .. } | HttpError::Cut { .. },
            ) => Some(Duration::ZERO),
            Cause::Refused {
                status,
                retry_after,
                ..
            } if status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS => {
                Some(retry_after.unwrap_or_default())
            }
            Cause::Refused { retry_after, .. } if self.is_busy() => *retry_after,
            _ => None,
        }
    }

    /// What the API said is wrong, a line each, fit for a terminal.
    pub(crate) fn details(&self) -> Vec<String> {
        let Cause::Refused { errors, .. } = &self.cause else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for error in errors {
            let said = [error.code.as_deref(), error.message.as_deref()];
            let said: Vec<_> = said.into_iter().flatten().map(plain).collect();
            lines.push(said.join(": "));
            for part in error.validation_errors.iter().flatten() {
                let said = [part.data_path.as_deref(), part.message.as_deref()];
                let said: Vec<_> = said.into_iter().flatten().map(plain).collect();
                lines.push(said.join(": "));
            }
        }
        lines.retain(|line| !line.is_empty());
        let more = lines.len().saturating_sub(DETAILS_MAX);
        lines.truncate(DETAILS_MAX);
        if more > 0 {
            lines.push(format!("… and {more} more"));
        }
        lines
    }

    /// What to do about it, where there is something to do.
    pub(crate) fn help(&self) -> Option<String> {
        let purpose = self.asked.purpose();
        let help = match &self.cause {
            Cause::Unanswered(HttpError::Connect { .. }) => {
                "is the server running, and is WEIR_API (or --api) its address? `make run` starts \
                 one on this machine"
            }
            Cause::Unanswered(HttpError::Invalid { .. }) => "check WEIR_API (or --api)",
            Cause::Unanswered(_) if purpose == Purpose::Upload => SUBMIT_AGAIN,
            Cause::Unanswered(_) if purpose == Purpose::Change => ASK_AGAIN,
            Cause::Unanswered(_) => "try again",
            Cause::Unexpected { .. } => {
                "is WEIR_API (or --api) the address of Weir, and this command of the same version?"
            }
            Cause::Refused {
                status,
                retry_after,
                ..
            } => return refused_help(*status, *retry_after, purpose),
        };
        Some(help.to_owned())
    }
}

fn refused_help(
    status: StatusCode,
    retry_after: Option<Duration>,
    purpose: Purpose,
) -> Option<String> {
    let help = match status {
        StatusCode::UNAUTHORIZED => {
            "check the key in WEIR_API_KEY (or --api-key): it is sent as it is, without a word \
             before it"
        }
        StatusCode::FORBIDDEN => match purpose {
            Purpose::Upload => "the key needs the permission settlements:write",
            Purpose::Change => "the key needs the permission batches:write",
            Purpose::Look => "the key needs the permissions files:read and batches:read",
        },
        StatusCode::NOT_FOUND if purpose == Purpose::Upload => {
            "check WEIR_API (or --api): it is the address without `/v1`"
        }
        StatusCode::NOT_FOUND => {
            "check the id; what is outside of what the key may see is not found either"
        }
        StatusCode::PAYLOAD_TOO_LARGE if purpose == Purpose::Upload => TOO_LARGE_REMEDY,
        StatusCode::CONFLICT if retry_after.is_some() => {
            "something else is being done to the batch: try again once it is done"
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            return Some(match retry_after {
                Some(wait) => format!("try again in {} s", wait.as_secs()),
                None => "try again in a moment".to_owned(),
            });
        }
        _ if status.is_redirection() => {
            "redirects are not followed: set WEIR_API (or --api) to where the API itself is"
        }
        _ if status.is_server_error() => {
            "try again; if it stays, give the operator of the service the correlation id"
        }
        _ => return None,
    };
    Some(help.to_owned())
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { method, url } = &self.asked;
        match &self.cause {
            Cause::Unanswered(error) => write!(f, "{method} {url}: {}", plain(&error.to_string())),
            Cause::Refused { status, .. } => write!(f, "{method} {url} was answered with {status}"),
            Cause::Unexpected { status, reason } => write!(
                f,
                "{method} {url} was answered with {status}, but not with what was asked for: {}",
                plain(reason)
            ),
        }
    }
}

/// The errors in the body of a refusal: the API's array; else the `message` that a gateway in front
/// of it gives; else the beginning of whatever it is.
fn reasons(body: &[u8]) -> Vec<Reason> {
    if let Ok(reasons) = serde_json::from_slice::<Vec<Reason>>(body) {
        return reasons;
    }
    if let Ok(reason) = serde_json::from_slice::<Reason>(body)
        && (reason.code.is_some() || reason.message.is_some())
    {
        return vec![reason];
    }
    // A character takes at most four bytes; what is further back is not shown anyway.
    let start = body.get(..FOREIGN_BODY_WIDTH_MAX * 4).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    vec![Reason {
        code: None,
        message: Some(cut(text.trim(), FOREIGN_BODY_WIDTH_MAX)),
        validation_errors: None,
    }]
}
