//! A server that does exactly what it is told, byte by byte, and what a test sends to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir_domain::{BatchOrdinal, DetailId, FileId, LineNumber, ObjectIdentity, TransactionType};
use weir_runtime::{Clock, CorrelationId, Http, HttpOptions, Url};
use weir_three_rivers::{
    Answer, ApiKey, CONNECT_TIMEOUT, Client, ClientOptions, CreateRequest, Created, IdempotencyKey,
};

pub const CHARGE_ID: &str = "7d3f1c52-8a55-4a0e-9c39-1f1ad6f0a001";
pub const API_KEY: &str = "sk-secret-42";

/// The body of a charge and of the answer that makes it.
pub const CHARGE: &str = r#"{"total_amount":11550,"currency":"USD"}"#;
pub const MADE: &str = r#"{"id":"7d3f1c52-8a55-4a0e-9c39-1f1ad6f0a001","status":"Created","total_amount":11550,"currency":"USD"}"#;

#[derive(Clone)]
pub enum Act {
    Send(Vec<u8>),
    Wait(Duration),
    Stall,
}

/// An answer with a right length.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n");
    vec![Act::Send([head.as_bytes(), body.as_bytes()].concat())]
}

/// Any bytes.
pub fn raw(bytes: &str) -> Vec<Act> {
    vec![Act::Send(bytes.as_bytes().to_vec())]
}

pub struct Server {
    pub url: Url,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Does the acts on every connection once it has received a request, then closes it.
    pub async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(act(stream, acts.clone(), Arc::clone(&seen)));
            }
        });
        Self {
            url: url.parse().unwrap(),
            requests,
        }
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn act(mut stream: TcpStream, acts: Vec<Act>, seen: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&part[..read]),
        }
    }
    seen.lock()
        .unwrap()
        .push(String::from_utf8(request).unwrap());
    for act in acts {
        match act {
            // The other side may have gone, as it is to.
            Act::Send(bytes) => drop(stream.write_all(&bytes).await),
            Act::Wait(time) => Clock::system().sleep(time).await,
            Act::Stall => std::future::pending().await,
        }
    }
    drop(stream.shutdown().await);
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    body.len() >= length
}

pub fn credentials() -> ApiKey {
    API_KEY.parse().unwrap()
}

pub fn correlation() -> CorrelationId {
    "corr-1".parse().unwrap()
}

pub fn detail(line: u32) -> DetailId {
    FileId::of_object(&ObjectIdentity::new("bucket", "key", "etag"))
        .batch(BatchOrdinal::new(1).unwrap())
        .detail(LineNumber::new(line).unwrap())
}

pub fn key() -> IdempotencyKey {
    IdempotencyKey::of(detail(1), 1)
}

thread_local! {
    // Reading the machine's certificates takes longer than most tests; a test has its own thread.
    static HTTP: Http = Http::new(&HttpOptions {
        connect_timeout: CONNECT_TIMEOUT,
        ..HttpOptions::default()
    })
    .unwrap();
}

pub fn http() -> Http {
    HTTP.with(Http::clone)
}

pub fn client(url: &Url, call_timeout: Duration) -> Client {
    let options = ClientOptions {
        call_timeout,
        ..ClientOptions::new(url.clone())
    };
    Client::new(http(), Clock::system(), options).unwrap()
}

/// Sends the charge to the server.
pub async fn charge(server: &Server) -> Answer<Created> {
    charge_within(server, Duration::from_secs(20)).await
}

pub async fn charge_within(server: &Server, call_timeout: Duration) -> Answer<Created> {
    let request = CreateRequest::new(TransactionType::Charge, CHARGE).unwrap();
    client(&server.url, call_timeout)
        .create(&credentials(), &request, &key(), &correlation())
        .await
}
