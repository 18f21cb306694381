//! A running simulator and plain requests to it.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use weir_runtime::{Clock, Http, HttpError, HttpOptions, HttpRequest, HttpResponse};
use weir_simulator::{Faults, Running, Simulator, SimulatorOptions};

pub const SELLER: &str = "11111111-0000-4000-8000-000000000001";
pub const BUYER: &str = "22222222-0000-4000-8000-000000000001";
pub const DETAIL: &str = "33333333-0000-8000-8000-000000000001";

thread_local! {
    // Reading the machine's certificates takes longer than most tests; a test has its own thread.
    static HTTP: Http = Http::new(&HttpOptions::default()).unwrap();
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// Who asks where.
#[derive(Clone)]
pub struct Caller {
    http: Http,
    base_url: String,
    api_key: String,
}

impl Caller {
    pub fn new(base_url: String, api_key: &str) -> Self {
        Self {
            http: HTTP.with(Http::clone),
            base_url,
            api_key: api_key.to_owned(),
        }
    }

    /// With connections of its own: they belong to the runtime that they were opened in.
    pub fn fresh(base_url: String, api_key: &str) -> Self {
        Self {
            http: Http::new(&HttpOptions::default()).unwrap(),
            ..Self::new(base_url, api_key)
        }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Result<Reply, HttpError> {
        let url = format!("{}{path}", self.base_url).parse().unwrap();
        let mut request = HttpRequest::new(method, url);
        request.body = body.into();
        if !self.api_key.is_empty() {
            let value = format!("Bearer {}", self.api_key).parse().unwrap();
            request.headers.insert("authorization", value);
        }
        if let Some(key) = key {
            request
                .headers
                .insert("idempotency-key", key.parse().unwrap());
        }
        let HttpResponse {
            status,
            headers,
            body,
        } = self.http.send(request).await?;
        Ok(Reply {
            status: status.as_u16(),
            headers,
            body,
        })
    }

    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, Some(key), body.to_string())
            .await
            .unwrap()
    }

    pub async fn charge(&self, key: &str, body: &Value) -> Reply {
        self.post("/api/v2/charges", key, body).await
    }

    pub async fn refund(&self, key: &str, charge: &str, total: i64) -> Reply {
        let body = json!({"charge_id": charge, "total_amount": total});
        self.post("/api/v2/refunds", key, &body).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None, "").await.unwrap()
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, None, body.to_string())
            .await
            .unwrap()
    }
}

pub async fn start(options: SimulatorOptions) -> (Running, Caller) {
    let listen = "127.0.0.1:0".parse().unwrap();
    let running = Simulator::start(listen, options, Clock::system())
        .await
        .unwrap();
    let caller = Caller::new(running.base_url(), "api-key-1");
    (running, caller)
}

pub async fn start_with(faults: Faults) -> (Running, Caller) {
    start(SimulatorOptions {
        faults,
        ..SimulatorOptions::default()
    })
    .await
}

pub fn with_state(path: &Path) -> SimulatorOptions {
    SimulatorOptions {
        seed: 7,
        state_file: Some(path.to_owned()),
        ..SimulatorOptions::default()
    }
}

pub fn charge_body(total: i64) -> Value {
    json!({
        "seller_id": SELLER, "buyer_id": BUYER, "currency": "USD", "total_amount": total,
        "tax_amount": 0, "discount_amount": 0, "shipping_amount": 0, "shipping_tax_amount": 0,
        "shipping_discount_amount": 0, "order_number": "SO-1",
        "details": [{"sku": "A", "quantity": 1, "unit_price": total, "tax_amount": 0,
            "discount_amount": 0, "subtotal": total}],
    })
}

/// A charge that says which detail it is for.
pub fn charge_for(detail: &str, total: i64) -> Value {
    let mut body = charge_body(total);
    body["metadata"] = json!([{"name": "batch_detail_id", "value": detail}]);
    body
}
