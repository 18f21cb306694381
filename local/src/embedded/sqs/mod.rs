//! SQS in memory, behind its JSON protocol.
//!
//! An engine of our own, because delivery is where a settlement service breaks, and the mocks to be had
//! skip over just that: they drop trace headers and groups, fail a whole batch for one entry, poll where
//! they should wait, accept what SQS refuses, and slow down with the length of the queue.
//!
//! Standard queues only: delivery at least once, in no promised order; in fact messages are handed out
//! group by group in turn, as fair queues do. A receive waits without polling, and wakes the moment a
//! message is sent, becomes visible or arrives as a dead letter.
//!
//! Refused: FIFO queues, the query protocol, and whatever SQS itself refuses.

mod engine;
mod fault;
mod operations;
mod queue;
mod settings;
mod wire;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Value, json};

use self::fault::{Fault, Kind};
use self::operations::Operations;
pub use self::queue::QueueCounts;
use super::listener::{self, Server};
use super::{EmbeddedError, Outside};

const NAME: &str = "SQS";

/// A request may have so many bytes: a batch of 1 MiB with everything escaped, and room to spare.
const REQUEST_MAX_BYTES: usize = 8 * 1024 * 1024;

/// A running SQS. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Sqs {
    operations: Arc<Operations>,
    server: Server,
}

impl Sqs {
    /// Starts without any queue. Without a port it takes any free one. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The port is in use or cannot be had.
    pub fn start(port: Option<u16>, outside: Outside) -> Result<Self, EmbeddedError> {
        let (listener, addr) = listener::bind(NAME, port)?;
        let clock = outside.clock.clone();
        let operations = Arc::new(Operations::new(addr, outside));
        let serving = Arc::clone(&operations);
        let service = service_fn(move |request| {
            let operations = Arc::clone(&serving);
            async move { Ok::<_, Infallible>(answer(&operations, request).await) }
        });
        let server = Server::start(NAME, (listener, addr), clock, service)?;
        Ok(Self { operations, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The URL for an AWS client.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// The URL of a queue, whether it exists or not.
    pub fn queue_url(&self, name: &str) -> String {
        self.operations.queue_url(name)
    }

    /// The ARN of a queue, whether it exists or not.
    pub fn queue_arn(name: &str) -> String {
        engine::arn(name)
    }

    /// How many messages a queue holds; `None` when there is no such queue.
    pub fn counts(&self, name: &str) -> Option<QueueCounts> {
        self.operations.counts(name)
    }

    /// Waits until it serves no more, which it does of itself only when something is badly wrong.
    pub async fn ended(&self) {
        self.server.ended().await;
    }

    /// Ends the receives that wait, with nothing; lets requests under way finish; then stops. The
    /// messages are gone.
    pub async fn stop(self) {
        self.operations.close();
        self.server.stop().await;
    }
}

async fn answer(operations: &Operations, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let target = request.headers().get("x-amz-target");
    let operation = target
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.strip_prefix("AmazonSQS."))
        .map(str::to_owned);
    let body = Limited::new(request.into_body(), REQUEST_MAX_BYTES);
    let outcome = match (operation, body.collect().await) {
        (Some(operation), Ok(body)) => operations.run(&operation, &body.to_bytes()).await,
        (None, _) => Err(Fault::new(
            Kind::UnsupportedOperation,
            "Only the JSON protocol is offered: the header X-Amz-Target must name an operation.",
        )),
        (_, Err(error)) => Err(Fault::new(
            Kind::BatchRequestTooLong,
            format!("The request could not be read: {error}"),
        )),
    };
    let (status, body, fault) = match outcome {
        Ok(body) => (StatusCode::OK, body, None),
        Err(fault) => {
            let body = json!({"__type": fault.shape(), "message": fault.message()});
            (StatusCode::BAD_REQUEST, body, Some(fault))
        }
    };
    respond(status, &body, fault.as_ref())
}

fn respond(status: StatusCode, body: &Value, fault: Option<&Fault>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    if let Some(fault) = fault
        && let Ok(value) = HeaderValue::from_str(&format!("{};Sender", fault.query_code()))
    {
        headers.insert("x-amzn-query-error", value);
    }
    response
}
