//! Errors as callers see them: an array with one object a code.
//!
//! What went wrong inside is logged where the error is made, and never sent.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use weir_settlement::schema::{BodyError, Violation};
use weir_settlement::upload::UploadError;
use weir_store::StoreError;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidationError {
    /// Where, such as `/query/page_size`.
    #[serde(rename = "dataPath")]
    pub data_path: String,
    /// The broken rule.
    pub message: String,
}

impl ValidationError {
    /// A broken rule at a place.
    pub fn new(data_path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            data_path: data_path.into(),
            message: message.into(),
        }
    }
}

/// Why a request gets no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// 400: a parameter, with every problem that was found.
    InvalidParameter(Vec<ValidationError>),
    /// 400: the body.
    InvalidData(String),
    /// 400: the body breaks its schema, with every rule that it breaks.
    BodyNotMatchingSchema(Vec<ValidationError>),
    /// 401: no key, or one that is not valid, and why.
    Unauthenticated(&'static str),
    /// 403: the key may not do this.
    Unauthorized(String),
    /// 404: it does not exist, or not for this key.
    NotFound(String),
    /// 405: the path takes other methods.
    MethodNotAllowed,
    /// 409: it is at odds with what is there, and how.
    Conflict(String),
    /// 409: some of it was done and some is at odds with what is there: what, each with its place.
    PartlyDone(String, Vec<ValidationError>),
    /// 409: something else is going on; try again in so many seconds.
    Busy(String, u32),
    /// 413: the body is too large, and what to do instead.
    TooLarge(String),
    /// 415: the body is of another type than the operation takes.
    UnsupportedMediaType(&'static str),
    /// 503: the tables cannot be reached; try again.
    Unavailable,
    /// 500.
    Internal,
}

#[derive(Serialize)]
struct Body {
    code: &'static str,
    message: String,
    #[serde(rename = "validationErrors", skip_serializing_if = "Vec::is_empty")]
    validation_errors: Vec<ValidationError>,
}

impl ApiError {
    pub(crate) fn no_such_route() -> Self {
        Self::NotFound("There is no such path.".to_owned())
    }

    /// A resource that does not exist, or not for this key.
    pub(crate) fn no_such(what: &str) -> Self {
        Self::NotFound(format!("There is no such {what}."))
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::MethodNotAllowed
    }

    pub(crate) fn invalid_header(name: &str, message: &str) -> Self {
        Self::InvalidParameter(vec![ValidationError::new(
            format!("/headers/{name}"),
            message,
        )])
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::InvalidParameter(_) | Self::InvalidData(_) | Self::BodyNotMatchingSchema(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Unauthorized(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) | Self::PartlyDone(..) | Self::Busy(..) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(self) -> Body {
        let (code, message, validation_errors) = match self {
            Self::InvalidParameter(errors) => (
                "invalid_parameter",
                "A parameter is not valid.".to_owned(),
                errors,
            ),
            Self::InvalidData(message) => ("invalid_data", message, Vec::new()),
            Self::BodyNotMatchingSchema(errors) => (
                "body_not_matching_json_schema",
                "The body is not as it must be.".to_owned(),
                errors,
            ),
            Self::Unauthenticated(why) => ("unauthenticated", why.to_owned(), Vec::new()),
            Self::Unauthorized(why) => ("unauthorized", why, Vec::new()),
            Self::NotFound(what) => ("resource_not_found", what, Vec::new()),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                "The path takes other methods: see the Allow header.".to_owned(),
                Vec::new(),
            ),
            Self::Conflict(how) | Self::Busy(how, _) => ("conflict", how, Vec::new()),
            Self::PartlyDone(how, errors) => ("conflict", how, errors),
            Self::TooLarge(remedy) => ("payload_too_large", remedy, Vec::new()),
            Self::UnsupportedMediaType(takes) => {
                ("unsupported_media_type", takes.to_owned(), Vec::new())
            }
            Self::Unavailable => (
                "unavailable",
                "Not available for now: try again.".to_owned(),
                Vec::new(),
            ),
            Self::Internal => (
                "internal_error",
                "Something went wrong on our side: quote the X-Correlation-Id.".to_owned(),
                Vec::new(),
            ),
        };
        Body {
            code,
            message,
            validation_errors,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let retry_after = match self {
            Self::Unavailable => Some(1),
            Self::Busy(_, seconds) => Some(seconds),
            _ => None,
        };
        let mut response = (self.status(), Json([self.body()])).into_response();
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed");
        if error.is_transient() {
            Self::Unavailable
        } else {
            Self::Internal
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let told = |violations: Vec<Violation>| {
            let one = |violation: Violation| ValidationError::new(violation.place, violation.rule);
            violations.into_iter().map(one).collect()
        };
        match error {
            BodyError::NotAnObject(why) => Self::InvalidData(why),
            BodyError::Schema(violations) => Self::BodyNotMatchingSchema(told(violations)),
            BodyError::Invalid(violations) => Self::InvalidParameter(told(violations)),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a request failed");
                Self::Internal
            }
        }
    }
}
