//! What Lambda shows to a function of itself: the runtime API, of which it takes its events and where it
//! leaves its answers. Of version 2018-06-01, as much of it as a runtime needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use weir_runtime::Clock;

/// How much time an invocation has, as it is told.
const TIME: Duration = Duration::from_mins(5);

/// What a function did.
pub(super) enum Seen {
    /// It asked for an event.
    Asked(Duration),
    /// It answered the last one.
    Answered(Value),
    /// It failed.
    Failed(String),
}

/// The API for one function. Ends when it is dropped.
pub(super) struct RuntimeApi {
    pub(super) address: SocketAddr,
    events: mpsc::UnboundedSender<Value>,
    seen: mpsc::UnboundedReceiver<Seen>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    events: Arc<Mutex<mpsc::UnboundedReceiver<Value>>>,
    seen: mpsc::UnboundedSender<Seen>,
    clock: Clock,
}

impl RuntimeApi {
    /// Listens on a free port of the loopback.
    pub(super) async fn start(clock: &Clock) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let (events, waiting) = mpsc::unbounded_channel();
        let (on_seen, seen) = mpsc::unbounded_channel();
        let shared = Shared {
            events: Arc::new(Mutex::new(waiting)),
            seen: on_seen,
            clock: clock.clone(),
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(answered),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .with_state(shared);
        let server = tokio::spawn(async move {
            // It ends with the process it serves.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            events,
            seen,
            server,
        })
    }

    /// What the function does next.
    pub(super) async fn see(&mut self) -> anyhow::Result<Seen> {
        self.seen.recv().await.context("the runtime API has ended")
    }

    /// Gives the function an event.
    pub(super) fn send(&self, event: Value) -> anyhow::Result<()> {
        self.events.send(event).context("nobody takes events")
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(api): State<Shared>) -> Response {
    let _ = api.seen.send(Seen::Asked(api.clock.monotonic()));
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let until = api.clock.now() + TIME;
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "bench".to_owned()),
        (
            "Lambda-Runtime-Deadline-Ms",
            until.timestamp_millis().to_string(),
        ),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:000000000000:function:bench".to_owned(),
        ),
    ];
    (headers, event.to_string()).into_response()
}

async fn answered(State(api): State<Shared>, body: Bytes) -> StatusCode {
    let seen = match serde_json::from_slice(&body) {
        Ok(answer) => Seen::Answered(answer),
        Err(error) => Seen::Failed(error.to_string()),
    };
    let _ = api.seen.send(seen);
    StatusCode::ACCEPTED
}

async fn failed(State(api): State<Shared>, body: Bytes) -> StatusCode {
    let _ = (api.seen).send(Seen::Failed(String::from_utf8_lossy(&body).into_owned()));
    StatusCode::ACCEPTED
}
