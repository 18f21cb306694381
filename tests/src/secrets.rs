//! AWS Secrets Manager as far as `GetSecretValue` goes, over HTTP on the loopback.
//!
//! It keeps what it holds and what goes wrong with it, both to be changed while it runs, and counts the
//! requests that came. A request that is not signed for the service fails the test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_credential_types::Credentials;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use weir_local::embedded::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use weir_runtime::{AwsClients, AwsOptions, Secrets};

use crate::parts::Network;

/// How requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// With the secret.
    Well,
    /// 400 with `ThrottlingException`.
    Throttled,
    /// 400 with `AccessDeniedException`.
    Denied,
    /// 200 with the secret in JSON that breaks off.
    Damaged,
    /// The connection is cut.
    Cut,
    /// Not before [`SecretService::go_on`].
    Late,
}

/// The service. It ends with the test's runtime.
#[derive(Debug)]
pub struct SecretService {
    endpoint: String,
    shared: Arc<Mutex<State>>,
    going_on: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    secrets: BTreeMap<String, String>,
    answers: Answers,
    requests: usize,
}

impl SecretService {
    /// Starts it, holding nothing.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(State {
            secrets: BTreeMap::new(),
            answers: Answers::Well,
            requests: 0,
        }));
        let (going_on, held) = watch::channel(false);
        tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((caller, _)) = listener.accept().await {
                    tokio::spawn(serve(caller, Arc::clone(&shared), held.clone()));
                }
            }
        });
        Self {
            endpoint,
            shared,
            going_on,
        }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of it that waits so long for all its attempts together.
    pub async fn client(&self, network: &Network, patience: Duration) -> Secrets {
        let mut options = AwsOptions::new(REGION);
        options.endpoint_secrets = Some(self.endpoint.clone());
        options.http_client = Some(network.aws.clone());
        options.timeouts_secrets.attempt = patience;
        options.timeouts_secrets.operation = patience;
        options.credentials = Some(Credentials::from_keys(
            ACCESS_KEY_ID,
            SECRET_ACCESS_KEY,
            None,
        ));
        AwsClients::new(&options).await.secrets(&options)
    }

    /// Puts a new version of a secret.
    pub fn put(&self, id: &str, text: impl Into<String>) {
        let mut state = self.state();
        state.secrets.insert(id.to_owned(), text.into());
    }

    /// How it answers from now on.
    pub fn set_answers(&self, answers: Answers) {
        self.state().answers = answers;
    }

    /// Gives the answers that are late, and all others at once.
    pub fn go_on(&self) {
        self.set_answers(Answers::Well);
        self.going_on.send_replace(true);
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap()
    }
}

async fn serve(mut caller: TcpStream, shared: Arc<Mutex<State>>, held: watch::Receiver<bool>) {
    let mut bytes = Vec::new();
    while let Some((body, rest)) = request(&mut caller, bytes).await {
        bytes = rest;
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let id = asked["SecretId"].as_str().unwrap().to_owned();
        let answers = {
            let mut state = shared.lock().unwrap();
            state.requests += 1;
            state.answers
        };
        if answers == Answers::Late {
            let mut held = held.clone();
            held.wait_for(|is_going_on| *is_going_on).await.unwrap();
        }
        let secret = shared.lock().unwrap().secrets.get(&id).cloned();
        let (status, body) = match (answers, secret) {
            (Answers::Cut, _) => return,
            (Answers::Throttled, _) => refusal("ThrottlingException"),
            (Answers::Denied, _) => refusal("AccessDeniedException"),
            (_, None) => refusal("ResourceNotFoundException"),
            (Answers::Well | Answers::Late, Some(text)) => {
                (200, json!({"Name": id, "SecretString": text}).to_string())
            }
            (Answers::Damaged, Some(text)) => {
                let mut body = json!({"SecretString": text}).to_string();
                body.truncate(body.len() - 3);
                (200, body)
            }
        };
        let first = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = [first.into_bytes(), body.into_bytes()].concat();
        if caller.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn refusal(kind: &str) -> (u16, String) {
    let body = json!({"__type": kind, "Message": "not now"});
    (400, body.to_string())
}

/// The next request's body, and what came after it; nothing when the caller hangs up.
async fn request(caller: &mut TcpStream, mut bytes: Vec<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(':'));
                let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
                found.unwrap_or_else(|| panic!("no {name}")).1.trim()
            };
            let length: usize = header("content-length").parse().unwrap();
            if bytes.len() >= end + 4 + length {
                assert_eq!(header("x-amz-target"), "secretsmanager.GetSecretValue");
                let signed = header("authorization");
                assert!(
                    signed.contains("/secretsmanager/aws4_request"),
                    "not signed"
                );
                let rest = bytes.split_off(end + 4 + length);
                return Some((bytes.split_off(end + 4), rest));
            }
        }
        if caller.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
