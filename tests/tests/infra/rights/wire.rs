//! A wire that is listened to: it lets every request pass, unless it is told to turn some away, and
//! keeps what was asked and how that was answered.
//!
//! A request passes once all of it is there; one that its caller gave up halfway has asked for nothing.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How DynamoDB turns away what is too much.
const THROTTLED: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Rate exceeded"}"#;
/// How the status line of an answer begins; its number follows.
const STATUS_LINE: &[u8] = b"HTTP/1.1 ";

/// Whether a request is to be turned away.
type IsThrottled = Box<dyn Fn(&Request) -> bool + Send>;

/// A wire to a service.
pub(super) struct Wire {
    /// Where it begins.
    pub(super) endpoint: String,
    log: Arc<Mutex<Log>>,
}

/// What a wire keeps, of all its connections.
#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    is_throttled: Option<IsThrottled>,
}

/// A request that went over it.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// How the service answered; `None` while it has not.
    pub(super) status: Option<u16>,
}

impl Wire {
    #[expect(clippy::disallowed_methods, reason = "it is the network here")]
    /// A wire to the service at `endpoint`, `http://` and an address.
    pub(super) async fn to(endpoint: &str) -> Self {
        let service = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::<Mutex<Log>>::default();
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let service = TcpStream::connect(&service).await.unwrap();
                tokio::spawn(pass(caller, service, Arc::clone(&kept)));
            }
        });
        Self {
            endpoint: format!("http://{address}"),
            log,
        }
    }

    /// Every request that went over it.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().requests.clone()
    }

    /// Turns some requests away from now on, as a table does that has too much to do.
    pub(super) fn throttle(&self, is_meant: impl Fn(&Request) -> bool + Send + 'static) {
        self.log.lock().unwrap().is_throttled = Some(Box::new(is_meant));
    }

    /// Lets every request pass again.
    pub(super) fn let_pass(&self) {
        self.log.lock().unwrap().is_throttled = None;
    }
}

impl Log {
    /// Keeps a request; tells where it is kept, and whether it passes.
    fn take(&mut self, request: Request) -> (usize, bool) {
        let passes = (self.is_throttled.as_ref()).is_none_or(|is_meant| !is_meant(&request));
        self.requests.push(request);
        (self.requests.len() - 1, passes)
    }
}

async fn pass(caller: TcpStream, service: TcpStream, log: Arc<Mutex<Log>>) {
    let (mut from_caller, to_caller) = caller.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let to_caller = tokio::sync::Mutex::new(to_caller);
    // A connection carries one request at a time: the next one comes after the answer.
    let unanswered: Mutex<Option<usize>> = Mutex::default();
    let there = async {
        let (mut sent, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        while let Ok(count @ 1..) = from_caller.read(&mut buffer).await {
            sent.extend_from_slice(&buffer[..count]);
            while let Some((request, length)) = Request::first_of(&sent) {
                let (number, passes) = log.lock().unwrap().take(request);
                let done = if passes {
                    *unanswered.lock().unwrap() = Some(number);
                    to_service.write_all(&sent[..length]).await
                } else {
                    let answer = throttled();
                    to_caller.lock().await.write_all(answer.as_bytes()).await
                };
                if done.is_err() {
                    return;
                }
                sent.drain(..length);
            }
        }
    };
    let back = async {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from_service.read(&mut buffer).await {
            let answer = &buffer[..count];
            let begun = unanswered.lock().unwrap().take();
            if let Some(number) = begun {
                log.lock().unwrap().requests[number].status = Some(status(answer));
            }
            if to_caller.lock().await.write_all(answer).await.is_err() {
                return;
            }
        }
    };
    // Whoever hangs up first hangs up for both, or the other would wait for an answer.
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

fn throttled() -> String {
    let length = THROTTLED.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\n\
         content-length: {length}\r\n\r\n{THROTTLED}"
    )
}

/// The status with which an answer begins.
fn status(answer: &[u8]) -> u16 {
    let rest = answer.strip_prefix(STATUS_LINE).unwrap();
    let status = std::str::from_utf8(&rest[..3]).unwrap();
    status.parse().unwrap()
}

impl Request {
    /// The first request of what was sent, and its length; `None` while some of it is missing.
    fn first_of(sent: &[u8]) -> Option<(Self, usize)> {
        let end = sent.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&sent[..end]).unwrap();
        let (first, lines) = head.split_once("\r\n").unwrap();
        let headers: Vec<_> = (lines.split("\r\n"))
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let mut words = first.split(' ').map(str::to_owned);
        let mut request = Self {
            method: words.next().unwrap(),
            target: words.next().unwrap(),
            headers,
            body: Vec::new(),
            status: None,
        };
        // Neither is spoken here: a body would be waited for that does not come, or be cut off.
        assert_eq!(request.header("expect"), "");
        assert_ne!(request.header("transfer-encoding"), "chunked");
        let length = request.header("content-length").parse().unwrap_or(0);
        let body = sent.get(end + 4..end + 4 + length)?;
        request.body = body.to_vec();
        Some((request, end + 4 + length))
    }

    /// A header's value; empty when there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}
