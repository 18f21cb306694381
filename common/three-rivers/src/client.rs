//! The calls.
//!
//! A call never fails: whatever goes wrong is an [`Answer`]. The client holds no credentials: each
//! call brings its own, as every seller has some.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, USER_AGENT as AGENT,
};
use http::{HeaderValue, Method, StatusCode};
use uuid::Uuid;
use weir_domain::{BuyerId, ChargeId, RefundId, TransactionType};
use weir_runtime::http::is_private;
use weir_runtime::{Clock, CorrelationId, Http, HttpError, HttpRequest, HttpResponse, Url};

use crate::answer::Answer;
use crate::classify::{
    Expected, RESPONSE_BYTES_MAX, kept_body, of_error, of_response, status_of_error,
};
use crate::credentials::ApiKey;
use crate::idempotency::IdempotencyKey;
use crate::resource::{Buyer, Charge, CreateRequest, Created, Refund, Resource, found};
use crate::retry_after::retry_after;

/// How long a connection may take to open: for `HttpOptions::connect_timeout` of the [`Http`] that a
/// client is given.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a whole call may take, unless set otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest that it can be set to: no function lives longer.
pub const CALL_TIMEOUT_MAX: Duration = Duration::from_mins(15);
/// What the client says it is.
pub const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

const API_PATH: [&str; 2] = ["api", "v2"];
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where the platform is, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// The base URL, without `/api/v2`: `https`, or `http` on the loopback.
    pub base_url: Url,
    /// How long a call may take, from the connection to the last byte of the answer. Above zero, at
    /// most [`CALL_TIMEOUT_MAX`].
    pub call_timeout: Duration,
}

impl ClientOptions {
    /// Options with a call's usual time.
    pub fn new(base_url: Url) -> Self {
        Self {
            base_url,
            call_timeout: CALL_TIMEOUT,
        }
    }
}

/// Why options are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientOptionsError {
    /// The key would travel in the clear.
    #[error("the base URL must be https, or http on the loopback")]
    NotSecure,
    /// Credentials, a query or a fragment in the base URL.
    #[error("the base URL must have no user, password, query or fragment")]
    NotABase,
    /// Zero, or above the longest.
    #[error("the time of a call must be above zero and at most {CALL_TIMEOUT_MAX:?}")]
    CallTimeout,
}

/// The client. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    clock: Clock,
    base_url: Url,
    call_timeout: Duration,
}

/// One call, before it has credentials.
struct Call {
    method: Method,
    url: Url,
    body: Bytes,
    idempotency_key: Option<HeaderValue>,
}

impl Client {
    /// A client that sends through `http` and measures by `clock`.
    pub fn new(
        http: Http,
        clock: Clock,
        options: ClientOptions,
    ) -> Result<Self, ClientOptionsError> {
        let base_url = options.base_url;
        if !is_private(&base_url) {
            return Err(ClientOptionsError::NotSecure);
        }
        let has_more = !base_url.username().is_empty()
            || base_url.password().is_some()
            || base_url.query().is_some()
            || base_url.fragment().is_some();
        if has_more {
            return Err(ClientOptionsError::NotABase);
        }
        if options.call_timeout.is_zero() || options.call_timeout > CALL_TIMEOUT_MAX {
            return Err(ClientOptionsError::CallTimeout);
        }
        Ok(Self {
            http,
            clock,
            base_url,
            call_timeout: options.call_timeout,
        })
    }

    /// Makes a charge or refund, once for a key however often it is called.
    pub async fn create(
        &self,
        credentials: &ApiKey,
        request: &CreateRequest,
        key: &IdempotencyKey,
        correlation_id: &CorrelationId,
    ) -> Answer<Created> {
        let collection = match request.kind() {
            TransactionType::Charge => "charges",
            TransactionType::Refund => "refunds",
        };
        let call = Call {
            method: Method::POST,
            url: self.url(&[collection]),
            body: request.body().clone(),
            idempotency_key: key.header_value(),
        };
        let expected = Expected {
            status: StatusCode::CREATED,
            read: &|body| request.created(body),
        };
        self.call(credentials, call, correlation_id, &expected)
            .await
    }

    /// Looks a charge up. One that does not exist is a refusal with status 404.
    pub async fn charge(
        &self,
        credentials: &ApiKey,
        id: ChargeId,
        correlation_id: &CorrelationId,
    ) -> Answer<Charge> {
        self.look_up(credentials, "charges", id.uuid(), correlation_id)
            .await
    }

    /// Looks a refund up. One that does not exist is a refusal with status 404.
    pub async fn refund(
        &self,
        credentials: &ApiKey,
        id: RefundId,
        correlation_id: &CorrelationId,
    ) -> Answer<Refund> {
        self.look_up(credentials, "refunds", id.uuid(), correlation_id)
            .await
    }

    /// Looks a buyer up. One that does not exist is a refusal with status 404.
    pub async fn buyer(
        &self,
        credentials: &ApiKey,
        id: BuyerId,
        correlation_id: &CorrelationId,
    ) -> Answer<Buyer> {
        self.look_up(credentials, "buyers", id.uuid(), correlation_id)
            .await
    }

    async fn look_up<T: Resource>(
        &self,
        credentials: &ApiKey,
        collection: &str,
        id: Uuid,
        correlation_id: &CorrelationId,
    ) -> Answer<T> {
        let call = Call {
            method: Method::GET,
            url: self.url(&[collection, &id.hyphenated().to_string()]),
            body: Bytes::new(),
            idempotency_key: None,
        };
        let expected = Expected {
            status: StatusCode::OK,
            read: &|body| found(id, body),
        };
        self.call(credentials, call, correlation_id, &expected)
            .await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base_url.clone();
        // Only a URL that cannot have a path has no segments, and such a one is not http.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(API_PATH).extend(path);
        }
        url
    }

    async fn call<T>(
        &self,
        credentials: &ApiKey,
        call: Call,
        correlation_id: &CorrelationId,
        expected: &Expected<'_, T>,
    ) -> Answer<T> {
        let started = self.clock.monotonic();
        let outcome = match headers(credentials, &call, correlation_id) {
            Some(headers) => {
                let request = HttpRequest {
                    method: call.method,
                    url: call.url,
                    headers,
                    body: call.body,
                    timeout: self.call_timeout,
                    response_bytes_max: RESPONSE_BYTES_MAX,
                };
                self.http.send(request).await
            }
            // All of them are of types that can be sent, so this is never met.
            None => Err(HttpError::Invalid {
                reason: "a header has characters that cannot be sent".to_owned(),
            }),
        };
        let duration = self.clock.monotonic().saturating_sub(started);
        match outcome {
            Ok(response) => self.whole(credentials, &response, expected, duration),
            Err(error) => Answer {
                http_status: status_of_error(&error).map(|status| status.as_u16()),
                meaning: of_error(expected, &error),
                response_body: None,
                retry_after: None,
                duration,
            },
        }
    }

    fn whole<T>(
        &self,
        credentials: &ApiKey,
        response: &HttpResponse,
        expected: &Expected<'_, T>,
        duration: Duration,
    ) -> Answer<T> {
        let text = kept_body(credentials, &response.body);
        Answer {
            http_status: Some(response.status.as_u16()),
            meaning: of_response(
                expected,
                credentials,
                response.status,
                &response.body,
                &text,
            ),
            retry_after: retry_after(response.status, &response.headers, self.clock.now()),
            response_body: Some(text),
            duration,
        }
    }
}

fn headers(credentials: &ApiKey, call: &Call, correlation_id: &CorrelationId) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(AUTHORIZATION, credentials.authorization()?);
    headers.insert(AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(ACCEPT, JSON);
    let correlation_id = HeaderValue::from_str(correlation_id.as_str()).ok()?;
    headers.insert(CORRELATION_ID, correlation_id);
    if call.method == Method::POST {
        headers.insert(CONTENT_TYPE, JSON);
        // A create without its key could charge twice: none is sent.
        headers.insert(IDEMPOTENCY_KEY, call.idempotency_key.clone()?);
    }
    Some(headers)
}
