//! A wire that is listened to: it lets every byte pass, and keeps what the caller sent.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What was sent over each connection so far.
type Sent = Arc<Mutex<Vec<Arc<Mutex<Vec<u8>>>>>>;

/// A wire to a service.
pub(super) struct Wire {
    /// Where it begins.
    pub(super) endpoint: String,
    sent: Sent,
}

/// A request that went over it.
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Wire {
    #[expect(clippy::disallowed_methods, reason = "it is the network here")]
    /// A wire to the service at `endpoint`, `http://` and an address.
    pub(super) async fn to(endpoint: &str) -> Self {
        let service = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Sent::default();
        let connections = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let kept = Arc::default();
                connections.lock().unwrap().push(Arc::clone(&kept));
                let service = TcpStream::connect(&service).await.unwrap();
                tokio::spawn(pass(caller, service, kept));
            }
        });
        Self {
            endpoint: format!("http://{address}"),
            sent,
        }
    }

    /// Every request that went over it.
    pub(super) fn requests(&self) -> Vec<Request> {
        let connections = self.sent.lock().unwrap();
        let of_one = |sent: &Arc<Mutex<Vec<u8>>>| requests(&sent.lock().unwrap());
        connections.iter().flat_map(of_one).collect()
    }
}

async fn pass(caller: TcpStream, service: TcpStream, kept: Arc<Mutex<Vec<u8>>>) {
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let there = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from_caller.read(&mut buffer).await {
            kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            if to_service.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    let back = tokio::io::copy(&mut from_service, &mut to_caller);
    // Whoever hangs up first hangs up for both, or the other would wait for an answer.
    tokio::select! {
        () = there => {}
        _ = back => {}
    }
}

/// The requests in what was sent over one connection.
fn requests(mut sent: &[u8]) -> Vec<Request> {
    let mut requests = Vec::new();
    while let Some(end) = sent.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
        let head = std::str::from_utf8(&sent[..end]).unwrap();
        let (first, lines) = head.split_once("\r\n").unwrap();
        let headers: Vec<_> = (lines.split("\r\n"))
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let mut words = first.split(' ').map(str::to_owned);
        let mut request = Request {
            method: words.next().unwrap(),
            target: words.next().unwrap(),
            headers,
            body: Vec::new(),
        };
        assert_ne!(request.header("transfer-encoding"), "chunked");
        let length = request.header("content-length").parse().unwrap_or(0);
        let body = &sent[end + 4..];
        // What was cut short was sent all the same.
        let (body, rest) = body.split_at(body.len().min(length));
        request.body = body.to_vec();
        requests.push(request);
        sent = rest;
    }
    requests
}

impl Request {
    /// A header's value; empty when there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}
