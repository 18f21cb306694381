//! Outgoing HTTP/1.1, with errors that say whether anything was sent.
//!
//! A payment may not be repeated blindly, so what matters about a failed request is whether the other
//! side can have seen it: [`HttpError::Connect`] and [`HttpError::Invalid`] mean that it cannot, every
//! other error that it may have.
//!
//! Invariants: redirects are not followed and proxies from the environment not used; nothing is
//! repeated here; a response is never larger in memory than the request allows; neither `Debug` nor
//! an error shows a header's value, a query or a body.
//!
//! A request goes through a [`Transport`]. The one that opens connections is in this module and made
//! by [`Http::new`]; a test puts its own in its place, or around it, to inject faults exactly where
//! the request would leave the process.

mod transport;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{Stream, TryStreamExt};
use http::{HeaderMap, Method, StatusCode};

use crate::clock::Clock;

pub use reqwest::Url;

/// What cannot be set a request at a time.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// How long a connection, with its name look-up and TLS handshake, may take. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long a connection is kept for the next request. Default: 60 s.
    pub pool_idle_timeout: Duration,
    /// How many idle connections are kept to one host. Default: 64.
    pub pool_idle_max: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            pool_idle_timeout: Duration::from_mins(1),
            pool_idle_max: 64,
        }
    }
}

/// One request.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Where to: `http` or `https`, with a host.
    pub url: Url,
    /// The headers. `Host` and `Content-Length` are added.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// How long all of it may take, from the connection to the last byte of the response.
    pub timeout: Duration,
    /// How large the body of the response may be, in bytes.
    pub response_bytes_max: usize,
}

impl HttpRequest {
    /// A request without headers or body that may take 20 s and be answered by 1 MiB.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(20),
            response_bytes_max: 1024 * 1024,
        }
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .field("headers", &HeaderNames(&self.headers))
            .field("body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .field("response_bytes_max", &self.response_bytes_max)
            .finish()
    }
}

/// A body that is sent as it is produced.
pub struct StreamBody {
    /// How many bytes the stream will produce: announced as `Content-Length`. A stream that produces
    /// more or fewer fails the request as [`HttpError::Cut`].
    pub length_bytes: u64,
    /// The bytes. An error of the stream fails the request.
    pub stream: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
}

impl fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBody")
            .field("length_bytes", &self.length_bytes)
            .finish_non_exhaustive()
    }
}

/// A response that arrived whole, whatever its status.
#[derive(Clone)]
pub struct HttpResponse {
    /// The status; redirects come as they are.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most as large as the request allowed.
    pub body: Bytes,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("headers", &HeaderNames(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// There was no connection: nothing was sent.
    #[error("no connection: {reason}")]
    Connect {
        /// What the network said.
        reason: String,
    },
    /// The time ran out. The request may have been received and acted upon.
    #[error("no complete response within {limit:?}")]
    Timeout {
        /// How long the request was given.
        limit: Duration,
    },
    /// The connection was lost, or spoke no HTTP, after sending had begun. The request may have been
    /// received and acted upon.
    #[error("the connection was cut: {reason}")]
    Cut {
        /// The status, when the response had begun.
        status: Option<StatusCode>,
        /// What the network said.
        reason: String,
    },
    /// The body of the response is larger than the request allows. The request was received.
    #[error("the body of the response with status {status} is larger than {limit} bytes")]
    ResponseTooLarge {
        /// The status of the response.
        status: StatusCode,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The request, or the client, cannot be built: nothing was sent.
    #[error("the request cannot be made: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
}

impl HttpError {
    /// Whether it is certain that the other side has seen nothing of the request.
    pub fn never_sent(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Invalid { .. })
    }
}

/// What carries a request to the other side.
///
/// An implementation need not watch [`HttpRequest::timeout`]: [`Http`] does, and drops the future
/// when the time is over. It must keep to [`HttpRequest::response_bytes_max`].
pub trait Transport: Send + Sync + 'static {
    /// Sends the request and reads the whole response.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>>;

    /// Sends the request with `body` in place of its own. Unless an implementation knows better, the
    /// body is collected in memory first.
    fn send_stream(
        &self,
        mut request: HttpRequest,
        body: StreamBody,
    ) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(async move {
            let collect = transport::exactly(body).try_fold(Vec::new(), |mut all, part| {
                all.extend_from_slice(&part);
                std::future::ready(Ok(all))
            });
            request.body = Bytes::from(collect.await.map_err(|error| HttpError::Cut {
                status: None,
                reason: error.to_string(),
            })?);
            self.send(request).await
        })
    }
}

/// The client. Clones share its connections.
#[derive(Clone)]
pub struct Http {
    transport: Arc<dyn Transport>,
    clock: Clock,
}

impl Http {
    /// A client that opens connections, with TLS 1.2 and up, and trusts the machine's certificate
    /// authorities.
    ///
    /// # Errors
    /// [`HttpError::Invalid`] when the machine has no certificate authorities: install
    /// `ca-certificates`, or name a file of them in `SSL_CERT_FILE`.
    pub fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        Ok(Self::with_transport(Arc::new(transport::Network::new(
            options,
        )?)))
    }

    /// A client that sends through `transport`.
    pub fn with_transport(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            clock: Clock::system(),
        }
    }

    /// The same client, its time-outs measured by `clock` instead of the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sends a request and reads the whole response. Any status is a response, not an error.
    ///
    /// Dropping the future closes the connection; whether the request was received is then unknown.
    ///
    /// # Errors
    /// See [`HttpError`]; [`HttpError::never_sent`] tells those after which nothing can have happened.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let limit = request.timeout;
        self.within(limit, self.transport.send(request)).await
    }

    /// Sends a request whose body is produced as it is sent, for what is too large for memory.
    ///
    /// # Errors
    /// As [`Http::send`]; besides, [`HttpError::Cut`] when `body` fails or has another length than it
    /// says.
    pub async fn send_stream(
        &self,
        request: HttpRequest,
        body: StreamBody,
    ) -> Result<HttpResponse, HttpError> {
        let limit = request.timeout;
        self.within(limit, self.transport.send_stream(request, body))
            .await
    }

    async fn within(
        &self,
        limit: Duration,
        response: BoxFuture<'_, Result<HttpResponse, HttpError>>,
    ) -> Result<HttpResponse, HttpError> {
        self.clock
            .timeout(limit, response)
            .await
            .unwrap_or(Err(HttpError::Timeout { limit }))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// Header values may be credentials, so only the names are shown.
struct HeaderNames<'a>(&'a HeaderMap);

impl fmt::Debug for HeaderNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Whether nobody between here and there can read what is sent: `https`, or `http` that stays on this
/// machine. Where credentials or payments go, no other URL will do.
pub fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The URL without what may be a credential: user, password, query and fragment.
fn shown(url: &Url) -> String {
    let mut text = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        text.push(':');
        text.push_str(&port.to_string());
    }
    text.push_str(url.path());
    if url.query().is_some() {
        text.push_str("?…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_keep_what_is_sent_to_themselves() {
        for (url, expected) in [
            ("https://api.example.com/", true),
            ("http://localhost:8080/", true),
            ("http://127.0.0.1:8080/", true),
            ("http://127.8.9.1/", true),
            ("http://127.1/", true),
            ("http://[::1]:8080/", true),
            ("http://api.example.com/", false),
            ("http://localhost.example.com/", false),
            ("http://128.0.0.1/", false),
            ("http://126.255.255.255/", false),
            ("http://0.0.0.0/", false),
            ("http://[::2]/", false),
            ("ftp://127.0.0.1/", false),
            ("data:,127.0.0.1", false),
        ] {
            assert_eq!(is_private(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
