//! Bodies of requests: their type, and their bytes within a limit.

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Uri};

use crate::{ApiError, ValidationError};

/// Refuses a body of another type than these; parameters such as a charset are not looked at.
pub(crate) fn check_type(
    headers: &HeaderMap,
    types: &[&str],
    remedy: &'static str,
) -> Result<(), ApiError> {
    let sent = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim();
    if types.iter().any(|one| essence.eq_ignore_ascii_case(one)) {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType(remedy))
    }
}

/// Reads a body of JSON, of at most `bytes_max` bytes.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    sent: Body,
    bytes_max: usize,
) -> Result<Bytes, ApiError> {
    let remedy = "Send the body as application/json.";
    check_type(headers, &["application/json"], remedy)?;
    let remedy = || format!("A body may have {bytes_max} bytes.");
    read(headers, sent, bytes_max, remedy).await
}

/// Refuses a query, for operations that take no parameters.
pub(crate) fn no_query(uri: &Uri) -> Result<(), Vec<ValidationError>> {
    let Some(query) = uri.query().filter(|query| !query.is_empty()) else {
        return Ok(());
    };
    let name = query.split(['=', '&']).next().unwrap_or_default();
    let name: String = name.chars().take(100).collect();
    Err(vec![ValidationError::new(
        format!("/query/{name}"),
        "this operation takes no parameters",
    )])
}

/// Reads a body of at most `bytes_max` bytes; `remedy` is told to whoever sends more. A length that is
/// announced is believed when it is too large.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    remedy: impl Fn() -> String,
) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > bytes_max) {
        return Err(ApiError::TooLarge(remedy()));
    }
    to_bytes(body, bytes_max).await.map_err(|error| {
        let is_limit = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        if is_limit {
            ApiError::TooLarge(remedy())
        } else {
            ApiError::InvalidData(
                "The body could not be read to its end: send it again.".to_owned(),
            )
        }
    })
}
