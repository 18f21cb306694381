//! The HTTP API: routes, who asks, errors, response forms.
//!
//! | operation | permission |
//! | --- | --- |
//! | `POST /v1/settlements` | `settlements:write` |
//! | `GET /v1/files/{file_id}` | `files:read` |
//! | `GET /v1/files/{file_id}/batches` | `batches:read` |
//! | `GET /v1/files/{file_id}/batches/{batch_id}` | `batches:read` |
//! | `GET /v1/files/{file_id}/batches/{batch_id}/batchdetails` | `batches:read` |
//!
//! Invariants: every answer is JSON; every error is an array of `{code, message,
//! validationErrors}`; a parameter that is not known is refused by name; what lies outside the
//! caller's scope does not exist. A value that is absent is left out of the JSON. Every answer
//! carries `X-Correlation-Id`, the caller's or a new one.

mod auth;
mod batches;
mod details;
mod error;
mod files;
mod list;
mod page;
mod path;
mod settlements;

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::FutureExt;
use http::{HeaderName, HeaderValue};
use tracing::Instrument;
use weir_runtime::telemetry::span;
use weir_runtime::{Clock, CorrelationId, Metrics, Random};
use weir_settlement::upload::Uploader;
use weir_store::Store;

use auth::KeyCache;
pub use error::{ApiError, ValidationError};
pub use settlements::BODY_BYTES_MAX;

/// The header that carries a correlation id, both ways.
pub const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");

/// The collaborators of the API. Clones share all of them.
#[derive(Debug, Clone)]
pub struct Api {
    store: Store,
    clock: Clock,
    random: Random,
    uploader: Uploader,
    keys: KeyCache,
}

impl Api {
    /// Puts the parts together.
    pub fn new(store: Store, clock: Clock, random: Random, metrics: Metrics) -> Self {
        let uploader = Uploader {
            store: store.clone(),
            clock: clock.clone(),
            metrics,
        };
        Self {
            store,
            clock,
            random,
            uploader,
            keys: KeyCache::default(),
        }
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/v1/settlements", post(settlements::create))
            .route("/v1/files/{file_id}", get(files::get))
            .route("/v1/files/{file_id}/batches", get(batches::list))
            .route("/v1/files/{file_id}/batches/{batch_id}", get(batches::get))
            .route(
                "/v1/files/{file_id}/batches/{batch_id}/batchdetails",
                get(details::list),
            )
            .fallback(|| async { ApiError::no_such_route() })
            .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
            .layer(from_fn_with_state(self.clone(), around))
            .with_state(self)
    }
}

/// What surrounds every request: its correlation id, and an answer even when a handler panics.
async fn around(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let sent = request.headers().get(CORRELATION_HEADER);
    let correlation_id = match sent.map(|value| value.to_str().map(CorrelationId::new)) {
        None => CorrelationId::generate(&api.random, &api.clock),
        Some(Ok(Ok(id))) => id,
        Some(_) => {
            let id = CorrelationId::generate(&api.random, &api.clock);
            let error = ApiError::invalid_header(
                "X-Correlation-Id",
                "must be 1 to 1024 visible ASCII characters",
            );
            return with_correlation(error.into_response(), &id);
        }
    };
    request.extensions_mut().insert(correlation_id.clone());
    let span = span(&correlation_id);
    let handled = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span)
        .await;
    // The panic hook has logged it, within the span.
    let response = handled.unwrap_or_else(|_| ApiError::Internal.into_response());
    with_correlation(response, &correlation_id)
}

fn with_correlation(mut response: Response, id: &CorrelationId) -> Response {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(CORRELATION_HEADER, value);
    }
    response
}
