//! Answers, and bodies that break off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) retry_after_s: Option<u32>,
    pub(crate) is_html: bool,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "dataPath")]
    pub(crate) data_path: String,
    pub(crate) message: String,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(rename = "validationErrors", skip_serializing_if = "<[_]>::is_empty")]
    validation_errors: &'a [Problem],
}

impl Reply {
    /// A body of JSON text.
    pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
            retry_after_s: None,
            is_html: false,
        }
    }

    /// A value as JSON.
    pub(crate) fn of<T: Serialize>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::json(StatusCode::OK, body),
            Err(error) => Self::internal(&error.to_string()),
        }
    }

    /// An error in the documented form.
    pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self::refused(status, code, message, &[])
    }

    /// An error with what is wrong, field by field.
    pub(crate) fn refused(
        status: StatusCode,
        code: &str,
        message: &str,
        problems: &[Problem],
    ) -> Self {
        let body = ErrorBody {
            code,
            message,
            validation_errors: problems,
        };
        // Texts always have a JSON form.
        Self::json(status, serde_json::to_vec(&body).unwrap_or_default())
    }

    /// Something that the simulator itself could not do.
    pub(crate) fn internal(why: &str) -> Self {
        tracing::error!(why, "the simulator could not answer");
        Self::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong",
        )
    }

    /// An error that a fault makes up. `form` chooses among the bodies that are met in the wild.
    pub(crate) fn made_up(status: u16, retry_after_s: Option<u32>, form: u64) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let name = status.canonical_reason().unwrap_or("Error");
        let mut reply = match form % 3 {
            _ if status.is_client_error() => Self::error(status, "request.rejected", name),
            0 => Self::error(status, "internal", name),
            1 => Self::json(status, Bytes::new()),
            _ => Self {
                is_html: true,
                ..Self::json(status, format!("<html><body>{name}</body></html>"))
            },
        };
        if matches!(status.as_u16(), 429 | 503) {
            reply.retry_after_s = retry_after_s;
        }
        reply
    }

    /// As it is sent; or cut off after half of its body.
    pub(crate) fn into_response(self, is_cut: bool) -> Response<ReplyBody> {
        let kind = if self.is_html {
            "text/html"
        } else {
            "application/json"
        };
        let mut response = Response::new(ReplyBody::new(self.body, is_cut));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A body that is sent whole, or announced whole and broken off in the middle.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    left: Option<Bytes>,
    length_bytes: u64,
    cut: Cut,
}

#[derive(Debug, PartialEq, Eq)]
enum Cut {
    Never,
    /// What was sent is still to leave the process.
    Flushing,
    Now,
}

impl ReplyBody {
    fn new(mut whole: Bytes, is_cut: bool) -> Self {
        let length_bytes = u64::try_from(whole.len()).unwrap_or(u64::MAX);
        if is_cut {
            whole.truncate(whole.len() / 2);
        }
        Self {
            left: Some(whole).filter(|part| !part.is_empty()),
            length_bytes,
            cut: if is_cut { Cut::Flushing } else { Cut::Never },
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if let Some(part) = this.left.take() {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match this.cut {
            Cut::Never => Poll::Ready(None),
            Cut::Flushing => {
                this.cut = Cut::Now;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Cut::Now => Poll::Ready(Some(Err(io::Error::other("cut on purpose")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && self.cut == Cut::Never
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length_bytes)
    }
}
