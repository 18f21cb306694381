//! `Idempotency-Key` on a `POST`: the same request again gets the first answer again, for a day.
//!
//! One layer lies around every `POST` that must not be done twice; a request without the header passes
//! through it untouched. What is asked of a place for an upload has none: where its parts go and whether
//! they are all there is otherwise a minute later, and asking twice does no harm.
//!
//! | what comes | what it gets |
//! | --- | --- |
//! | a key that the caller has not used for a day | it runs |
//! | the same request again | the first answer, with `Idempotent-Replayed: true` |
//! | another request under the key | 409 `conflict` |
//! | the same request while it runs | 409 `conflict` with `Retry-After` |
//! | the same request after a run that ended without an answer to keep | it runs again |
//!
//! Invariants:
//!
//! - A key belongs to its caller. Who asks and whether they may is settled before it is looked at, so nobody
//!   else is told an answer, and no record is made for whoever may not ask.
//! - An answer to keep is given only once it is kept. Where that cannot be made sure of, the answer is 503.
//! - A request whose earlier run may have got anywhere runs with the same [`IdempotentRun::seed`], from
//!   which it makes the same things: a run that crashed creates nothing a second time.
//! - A run has a lease that outlasts its time limit, so two never run side by side.
//!
//! Which answers are kept: all but these. A 401, 403, 413, 415 or 429 says that nothing was done and may be
//! otherwise next time, so the key is free again. A 5xx, and whatever comes with a `Retry-After`, says to
//! try again, so a repetition runs again.
//!
//! Refused are a key that is not 1 to 255 visible ASCII characters, and more than one.

mod fingerprint;
mod run;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;
use weir_domain::Permission;
use weir_store::AnswerId;

use crate::auth::Known;
use crate::gateway::AnswerWithin;
use crate::settlements::BODY_BYTES_MAX;
use crate::{Api, ApiError, body};
use fingerprint::fingerprint;
use run::Begun;

/// The header that makes a request known again.
pub(crate) const KEY_HEADER: &str = "Idempotency-Key";
/// Most characters of it.
pub(crate) const KEY_CHARS_MAX: usize = 255;
/// The header that says that an answer is one that was given before.
pub(crate) const REPLAYED_HEADER: &str = "Idempotent-Replayed";

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a handler should know of a request that has an `Idempotency-Key`, as an extension of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotentRun {
    /// What new ids are to be made of: a UUID of version 7, the same in every run of the request.
    pub seed: Uuid,
    /// When its first run began, to the millisecond.
    pub first_at: DateTime<Utc>,
    /// Whether an earlier run may have got anywhere.
    pub is_rerun: bool,
}

/// The layer around a `POST` that needs a permission.
pub(crate) async fn once(
    State((api, permission)): State<(Api, Permission)>,
    request: Request,
    next: Next,
) -> Response {
    if !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    let answered = run_once(&api, permission, request, next).await;
    answered.unwrap_or_else(ApiError::into_response)
}

async fn run_once(
    api: &Api,
    permission: Permission,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let known = Known::of(&parts, api).await?;
    known.must(permission)?;
    let id = AnswerId::of(&known.key, key(&parts.headers)?);
    // No operation takes more, so each refuses it in its own words, and has done nothing.
    let body = match body::read(&parts.headers, body, BODY_BYTES_MAX, String::new).await {
        Ok(body) => body,
        Err(ApiError::TooLarge(_)) => {
            let length = HeaderValue::from(BODY_BYTES_MAX.saturating_add(1));
            parts.headers.insert(CONTENT_LENGTH, length);
            return Ok(next.run(Request::from_parts(parts, Body::empty())).await);
        }
        Err(error) => return Err(error),
    };
    let fingerprint = fingerprint(&parts, &body);
    let within = parts.extensions.get().map(|AnswerWithin(within)| *within);
    let run = match api.begin(id, fingerprint, within).await? {
        Begun::Run(run) => run,
        Begun::Answered(answer) => return run::replayed(answer),
    };
    parts.extensions.insert(run.told());
    let response = next.run(Request::from_parts(parts, body.into())).await;
    api.end(&run, response).await
}

/// The `Idempotency-Key` of a request that has one.
fn key(headers: &HeaderMap) -> Result<&[u8], ApiError> {
    let mut sent = headers.get_all(KEY).iter();
    let refused = |message: &str| Err(ApiError::invalid_header(KEY_HEADER, message));
    match (sent.next().map(HeaderValue::as_bytes), sent.next()) {
        (_, Some(_)) => refused("must be given once"),
        (Some(key), None)
            if (1..=KEY_CHARS_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic) =>
        {
            Ok(key)
        }
        _ => refused("must be 1 to 255 visible ASCII characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_has_1_to_255_visible_characters_and_comes_once() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, HeaderValue::from_bytes(value).unwrap());
            }
            key(&headers).map(<[u8]>::to_vec)
        };
        for length in [1, 254, 255] {
            let key = vec![b'k'; length];
            assert_eq!(read(&[&key]), Ok(key));
        }
        assert_eq!(read(&[b"!~"]), Ok(b"!~".to_vec()));
        for broken in [
            &[&b""[..]][..],
            &[&[b'k'; 256]],
            &[b"a b"],
            &[b"\xff"],
            &[b"a", b"a"],
        ] {
            assert!(
                matches!(read(broken), Err(ApiError::InvalidParameter(errors))
                    if errors[0].data_path == "/headers/Idempotency-Key"),
                "{broken:?}"
            );
        }
    }
}
