//! What the 3Rivers simulator has made, read as any client of the platform would.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use serde_json::Value;
use weir_runtime::{Http, HttpRequest};
use weir_simulator::Summary;

/// The key that the functions are given here, and so the account that charges are made on.
pub const API_KEY: &str = "local-three-rivers-key";
/// The largest page of a collection.
const PAGE_SIZE: usize = 1_000;

/// A simulator to be asked.
#[derive(Debug, Clone)]
pub struct Platform {
    http: Http,
    base_url: String,
}

impl Platform {
    /// The simulator at `base_url`.
    pub fn new(http: Http, base_url: impl Into<String>) -> Self {
        Self {
            http,
            base_url: base_url.into(),
        }
    }

    /// Every charge, by id.
    pub async fn charges(&self) -> BTreeMap<String, Value> {
        self.all("charges").await
    }

    /// Every refund, by id.
    pub async fn refunds(&self) -> BTreeMap<String, Value> {
        self.all("refunds").await
    }

    /// What has happened so far.
    pub async fn summary(&self) -> Summary {
        serde_json::from_value(self.get("_sim/summary").await).unwrap()
    }

    /// Takes every fault away.
    pub async fn heal(&self) {
        let url = format!("{}/_sim/faults", self.base_url).parse().unwrap();
        let mut request = HttpRequest::new(Method::PUT, url);
        request.body = Bytes::from_static(b"{}");
        let answer = self.http.send(request).await.unwrap();
        assert!(answer.status.is_success(), "{answer:?}");
    }

    async fn all(&self, collection: &str) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for page in 1.. {
            let path = format!("api/v2/{collection}?page_size={PAGE_SIZE}&page_number={page}");
            let Value::Array(rows) = self.get(&path).await else {
                panic!("{path} is no array");
            };
            let count = rows.len();
            for row in rows {
                all.insert(row["id"].as_str().unwrap().to_owned(), row);
            }
            if count < PAGE_SIZE {
                break;
            }
        }
        all
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/{path}", self.base_url).parse().unwrap();
        let mut request = HttpRequest::new(Method::GET, url);
        let key = HeaderValue::try_from(format!("Bearer {API_KEY}")).unwrap();
        request.headers.insert(AUTHORIZATION, key);
        request.response_bytes_max = 64 << 20;
        // What is asked for here is not what faults are about: they are asked again.
        for _ in 0..50 {
            match self.http.send(request.clone()).await {
                Ok(answer) if answer.status.is_success() => {
                    return serde_json::from_slice(&answer.body).unwrap();
                }
                _ => {}
            }
        }
        panic!("{path} is not answered");
    }
}
