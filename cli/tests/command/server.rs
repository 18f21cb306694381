//! An HTTP server that answers by a script and remembers what it was asked.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};

pub const KEY: &str = "5d1f6c1e-1111-4222-8333-944444444444";
pub const FILE: &str = "8a0b7c6d-0000-8000-8000-000000000001";

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    Json(u16, Value),
    With(u16, &'static str, &'static str, String),
    Never,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self::Json(200, body)
    }
}

/// The answers to each kind of request, in turn; the last one for ever. Lists are cut into pages.
#[derive(Debug, Default)]
pub struct Script {
    pub submit: VecDeque<Answer>,
    pub file: VecDeque<Answer>,
    pub batches: VecDeque<Answer>,
    pub details: VecDeque<Answer>,
}

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Vec<Request>>>,
}

pub struct Server {
    pub url: String,
    shared: Shared,
}

impl Server {
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let shared = Shared {
            script: Arc::new(Mutex::new(script)),
            seen: Arc::default(),
        };
        let state = shared.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let limit = axum::extract::DefaultBodyLimit::disable();
                let router = Router::new()
                    .fallback(answer)
                    .layer(limit)
                    .with_state(state);
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { url, shared }
    }

    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn paths(&self) -> Vec<String> {
        let path = |request: &Request| format!("{} {}", request.method, request.uri);
        self.seen().iter().map(path).collect()
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.seen.lock().unwrap().push(Request {
        method: method.clone(),
        uri: uri.clone(),
        headers,
        body,
    });
    let next = {
        let mut script = shared.script.lock().unwrap();
        let path = uri.path();
        let answers = if path.ends_with("/batchdetails") {
            &mut script.details
        } else if path.ends_with("/batches") {
            &mut script.batches
        } else if method == Method::POST {
            &mut script.submit
        } else {
            &mut script.file
        };
        // A list is taken off the script with its last page only.
        let next = answers.front().cloned().expect("the script has an answer");
        let is_last_page = match &next {
            Answer::Json(200, Value::Array(all)) => page(&uri).end > all.len(),
            _ => true,
        };
        if answers.len() > 1 && is_last_page {
            answers.pop_front();
        }
        next
    };
    let (status, header, value, body) = match next {
        Answer::Never => std::future::pending().await,
        Answer::With(status, header, value, body) => (status, header, value, body),
        Answer::Json(status, Value::Array(all)) if status == 200 => {
            let rows = page(&uri);
            let page: Vec<_> = all.into_iter().skip(rows.start).take(rows.len()).collect();
            (status, "x-is", "page", Value::from(page).to_string())
        }
        Answer::Json(status, body) => (status, "x-is", "whole", body.to_string()),
    };
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header, value)
        .body(Body::from(body))
        .unwrap()
}

/// The rows of a page that was asked for.
fn page(uri: &Uri) -> std::ops::Range<usize> {
    let query = uri.query().unwrap_or_default();
    let parameter = |name: &str| -> usize {
        let mut pairs = query.split('&');
        let value = pairs.find_map(|pair| pair.strip_prefix(name));
        value.unwrap().parse().unwrap()
    };
    let (size, number) = (parameter("page_size="), parameter("page_number="));
    assert!((1..=250).contains(&size) && number > 0, "{uri}");
    (number - 1) * size..number * size
}

/// A file in a status, as the API shows one.
pub fn file(status: &str) -> Value {
    json!({
        "id": FILE,
        "correlation_id": "c-1",
        "name": "northwind.xml",
        "status": status,
        "retry_count": 0,
        "created_at": "2026-11-21T22:14:05.000Z",
    })
}

/// A batch with (details, unprocessed, error, cancelled).
pub fn batch(ordinal: u32, status: &str, counts: (u32, u32, u32, u32)) -> Value {
    json!({
        "id": batch_id(ordinal),
        "file_id": FILE,
        "batch_number": format!("20261121-{ordinal:02}"),
        "seller_id": "3f1c9f52-6f0e-4d7c-9f57-2f5f0f5d7a10",
        "seller_name": "Northwind Parts",
        "xml_data": "<BatchHeader/>",
        "status": status,
        "batch_detail_count": counts.0,
        "batch_detail_unprocessed_count": counts.1,
        "batch_detail_error_count": counts.2,
        "batch_detail_cancelled_count": counts.3,
        "batch_detail_draft_count": 0,
    })
}

pub fn batch_id(ordinal: u32) -> String {
    format!("8a0b7c6d-0000-8000-8000-{ordinal:012}")
}

pub fn detail(number: u32, status: &str, code: &str, log: &str) -> Value {
    json!({
        "id": format!("9a0b7c6d-0000-8000-8000-{number:012}"),
        "order_number": format!("SO-{number}"),
        "transaction_type": if number.is_multiple_of(2) { "Refund" } else { "Charge" },
        "amount": 11550,
        "currency": "USD",
        "status": status,
        "error_code": code,
        "error_log": log,
        "request_data": null,
    })
}
