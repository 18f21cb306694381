//! The HTTP API: routes, who asks, errors, response forms.
//!
//! [`operations()`] lists what can be asked: the routes, the permissions, the API document and the
//! tests go by it.
//!
//! Invariants: every answer but the reference page is JSON; every error is an array of `{code, message,
//! validationErrors}`; a parameter that is not known is refused by name; what lies outside the
//! caller's scope does not exist. A value that is absent is left out of the JSON. Every answer
//! carries `X-Correlation-Id`, the caller's or a new one.

mod actions;
mod auth;
mod body;
mod document;
mod error;
mod files;
mod form;
mod gateway;
mod idempotency;
mod list;
mod mending;
mod operations;
mod path;
mod problems;
mod references;
mod resources;
mod settlements;
mod uploads;

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method};
use tracing::Instrument;
use weir_query::{Ask, QueryLimits, Scope};
use weir_runtime::telemetry::span;
use weir_runtime::{Clock, CorrelationId, Metrics, Random};
use weir_settlement::upload::Uploader;
use weir_store::Store;

use auth::KeyCache;
pub use auth::{AuthOptions, AuthorisedByIam, Caller, Permitted, permission};
pub use document::document;
pub use error::{ApiError, ValidationError};
use gateway::AnswerWithin;
pub use gateway::Gateway;
pub use idempotency::IdempotentRun;
pub use operations::{Answers, Operation, Takes, operations};
use operations::{Both, Changes, Reads, Side, elsewhere, of_side};
pub use problems::{PROBLEM, PROBLEMS_PAGE_SIZE, PROBLEMS_PAGE_SIZE_MAX};
pub use references::REFERENCE_BYTES_MAX;
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
    auth: AuthOptions,
    limits: QueryLimits,
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
            auth: AuthOptions::default(),
            limits: QueryLimits::default(),
        }
    }

    /// The same API that knows its callers another way than by their keys.
    #[must_use]
    pub fn with_auth(mut self, auth: AuthOptions) -> Self {
        self.auth = auth;
        self
    }

    /// The same API with other limits of what one request may read.
    #[must_use]
    pub fn with_limits(mut self, limits: QueryLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What a caller may ask now, what it reads being counted by itself.
    fn ask(&self, scope: Scope) -> Ask {
        Ask {
            store: self.store.measured(),
            scope,
            limits: self.limits,
            now: self.clock.now(),
        }
    }

    /// The routes, all of them.
    pub fn router(self) -> Router {
        self.routes::<Both>()
    }

    /// The routes of what only reads, the API document and its page among them. What changes
    /// something is answered with 405.
    pub fn reading_router(self) -> Router {
        self.routes::<Reads>()
    }

    /// The routes of what changes something. What only reads is answered with 405.
    pub fn changing_router(self) -> Router {
        self.routes::<Changes>()
    }

    fn routes<S: Side>(self) -> Router {
        let mut router = Router::new();
        router = if S::READS {
            router
                .route("/", get(document::reference))
                .route("/openapi.json", get(document::openapi))
        } else {
            router
                .route("/", elsewhere(&Method::GET))
                .route("/openapi.json", elsewhere(&Method::GET))
        };
        for operation in of_side::<S>() {
            let guard = (self.clone(), operation.permission);
            let takes_key = operation.takes_key();
            let (path, mut route) = operation.into_route();
            if S::CHANGES && takes_key {
                route = route.route_layer(from_fn_with_state(guard, idempotency::once));
            }
            router = router.route(path, route);
        }
        router
            .fallback(|| async { ApiError::no_such_route() })
            .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
            .layer(from_fn_with_state(self.clone(), around))
            .with_state(self)
    }
}

/// What surrounds every request: its correlation id, and an answer even when a handler panics.
async fn around(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    api.auth.strip(request.headers_mut());
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
    let limit = request.extensions().get().copied();
    let response = contained(&api.clock, limit, next.run(request));
    with_correlation(response.instrument(span).await, &correlation_id)
}

/// An answer in any case: also when the handler panics, or is not done in time.
async fn contained(
    clock: &Clock,
    limit: Option<AnswerWithin>,
    handling: impl Future<Output = Response>,
) -> Response {
    let handling = AssertUnwindSafe(handling).catch_unwind();
    let handled = match limit {
        None => handling.await,
        Some(AnswerWithin(limit)) => match clock.timeout(limit, handling).await {
            Ok(handled) => handled,
            Err(elapsed) => {
                tracing::error!(%elapsed, "a request was given up");
                return ApiError::Unavailable.into_response();
            }
        },
    };
    // The panic hook has logged it, within the span.
    handled.unwrap_or_else(|_| ApiError::Internal.into_response())
}

fn with_correlation(mut response: Response, id: &CorrelationId) -> Response {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(CORRELATION_HEADER, value);
    }
    response
}
