//! A function as a process of its own, against the HTTP interface that Lambda gives it.
//!
//! The process is this test program again, told by a variable to be the function.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test helpers, and the process's own start"
)]

use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir_lambda::{BuildError, Deadline, Parts, start};
use weir_runtime::{Metric, Reader};

const FUNCTION: &str = "WEIR_TEST_FUNCTION";

struct State {
    limit: u64,
    parts: Parts,
}

fn read(reader: &mut Reader) -> u64 {
    let _ = reader.optional_secret("WEIR_TEST_SECRET");
    let _ = reader.optional_url("WEIR_TEST_URL");
    reader.integer_in("WEIR_TEST_LIMIT", 5, 1..=10)
}

async fn build(limit: u64, parts: Parts) -> Result<State, BuildError> {
    if limit == 9 {
        return Err("the table does not exist".into());
    }
    Ok(State { limit, parts })
}

async fn handle(state: &State, event: Value, deadline: Deadline) -> Result<Value, String> {
    match event["act"].as_str() {
        Some("fail") => Err("the queue is away".to_owned()),
        Some("panic") => panic!("a broken invariant"),
        Some("hand back") => Ok(json!({"batchItemFailures": [
            {"itemIdentifier": "m-0"}, {"itemIdentifier": "m-1"},
        ]})),
        _ => {
            tracing::info!("handling");
            state.parts.metrics.count(Metric::Swept, 2);
            Ok(json!({"limit": state.limit, "in_time": !deadline.is_over()}))
        }
    }
}

/// Not a test by itself: what the others start as a process.
#[test]
fn function() {
    if std::env::var_os(FUNCTION).is_some() {
        // What is no function of the system's may count what it likes.
        let code = start("tried", read, build, handle);
        std::process::exit(i32::from(code != ExitCode::SUCCESS));
    }
}

fn process(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "function", "--nocapture", "--test-threads=1"])
        .env_clear()
        .env(FUNCTION, "1")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn json_lines(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(output);
    // The test harness starts a line of its own on standard output before the function does.
    let starts = text
        .lines()
        .filter_map(|line| line.find('{').map(|at| &line[at..]));
    starts
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

const LAMBDA: [(&str, &str); 3] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "sweeper"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
];

/// Reads one request; gives its first line and its body.
async fn request(connection: &mut TcpStream) -> Option<(String, String)> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let first = lines.next().unwrap().to_owned();
            let length = lines
                .find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.parse().unwrap())
                })
                .unwrap_or(0);
            let whole = if head.to_lowercase().contains("transfer-encoding: chunked") {
                body.ends_with("0\r\n\r\n")
            } else {
                body.len() >= length
            };
            if whole {
                return Some((first, body.to_owned()));
            }
        }
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => received.extend_from_slice(&buffer[..length]),
        }
    }
}

/// What is left to be given to a function, and what it has answered.
struct Invoker {
    events: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    answers: Vec<(String, String)>,
    deadline: u128,
}

impl Invoker {
    /// What a request is answered with; nothing once there are no more events.
    fn answer(&mut self, first: String, body: String) -> Option<String> {
        if !first.contains("/invocation/next") {
            self.answers.push((first, body));
            return Some("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned());
        }
        let (number, event) = self.events.next()?;
        let (event, deadline) = (event.to_string(), self.deadline);
        Some(format!(
            "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: r-{number}\r\n\
             lambda-runtime-deadline-ms: {deadline}\r\n\
             lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:sweeper\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{event}",
            event.len()
        ))
    }
}

/// Gives a function the events one after another, then closes; tells what it answered and logged.
async fn invoke(events: Vec<Value>) -> (Vec<(String, String)>, Output) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = process(&LAMBDA);
    command.env("AWS_LAMBDA_RUNTIME_API", &address);
    let child = command.spawn().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let invoker = Arc::new(Mutex::new(Invoker {
        events: events.into_iter().enumerate(),
        answers: Vec::new(),
        deadline: now.as_millis() + 60_000,
    }));
    let (over, mut is_over) = tokio::sync::mpsc::channel::<()>(1);
    // The function may open connections that it never uses, so none is waited for alone.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let mut connection = tokio::select! {
            _ = is_over.recv() => break,
            accepted = listener.accept() => accepted.unwrap().0,
        };
        let (invoker, over) = (Arc::clone(&invoker), over.clone());
        connections.spawn(async move {
            while let Some((first, body)) = request(&mut connection).await {
                let Some(answer) = invoker.lock().unwrap().answer(first, body) else {
                    let _ = over.send(()).await;
                    return;
                };
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
    connections.shutdown().await;
    drop(listener);
    let answers = std::mem::take(&mut invoker.lock().unwrap().answers);
    (answers, child.wait_with_output().unwrap())
}

#[tokio::test]
async fn a_function_answers_its_events_and_outlives_failures_and_panics() {
    let events = [json!({"act": "fail"}), json!({"act": "panic"}), json!({})];
    let invoked = tokio::time::timeout(Duration::from_mins(1), invoke(events.into()));
    let (answers, output) = invoked.await.expect("the function asks for events");
    assert_eq!(answers.len(), 3, "{answers:?} {output:?}");
    let (failed, panicked, done) = (&answers[0], &answers[1], &answers[2]);
    assert!(failed.0.contains("/invocation/r-0/error"), "{failed:?}");
    assert!(failed.1.contains("the queue is away"), "{failed:?}");
    assert!(panicked.0.contains("/invocation/r-1/error"), "{panicked:?}");
    assert!(
        panicked.1.contains("Panicked") && !panicked.1.contains("invariant"),
        "{panicked:?}"
    );
    assert!(done.0.contains("/invocation/r-2/response"), "{done:?}");
    assert!(done.1.contains(r#"{"in_time":true,"limit":5}"#), "{done:?}");

    let logged = json_lines(&output.stderr);
    let line = |message: &str| logged.iter().find(|line| line["message"] == message);
    assert_eq!(line("handling").unwrap()["correlation_id"], "r-2");
    assert_eq!(line("panicked").unwrap()["correlation_id"], "r-1");
    assert_eq!(line("panicked").unwrap()["reason"], "a broken invariant");

    let metrics = json_lines(&output.stdout);
    let swept: u64 = metrics
        .iter()
        .filter_map(|line| line["swept"].as_u64())
        .sum();
    assert_eq!((metrics.len(), swept), (3, 2));
    assert!(metrics.iter().all(|line| line["_aws"].is_object()));
}

#[tokio::test]
async fn the_records_that_an_answer_hands_back_are_counted() {
    let events = [json!({"act": "fail"}), json!({"act": "hand back"})];
    let invoked = tokio::time::timeout(Duration::from_mins(1), invoke(events.into()));
    let (answers, output) = invoked.await.expect("the function asks for events");
    assert_eq!(answers.len(), 2, "{answers:?} {output:?}");
    let metrics = json_lines(&output.stdout);
    let counted: Vec<_> = metrics.iter().map(|line| &line["records_failed"]).collect();
    assert_eq!(counted, [&Value::Null, &json!(2)]);
}

#[test]
fn wrong_settings_end_the_process_with_all_problems_and_no_value() {
    let output = process(&[
        ("WEIR_LOG", "weir=s3cret"),
        ("WEIR_TEST_LIMIT", "11"),
        ("WEIR_TEST_SECRET", "s3cret"),
        ("WEIR_TEST_URL", "ftp://s3cret.example.com"),
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = json_lines(&output.stderr);
    assert_eq!(lines.len(), 1, "{output:?}");
    assert_eq!(lines[0]["level"], "ERROR");
    let error = lines[0]["error"].as_str().unwrap();
    for name in [
        "WEIR_LOG",
        "WEIR_TEST_LIMIT",
        "WEIR_TEST_URL",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    ] {
        assert!(error.contains(name), "{error}");
    }
    assert!(!String::from_utf8_lossy(&output.stderr).contains("s3cret"));
}

#[test]
fn a_state_that_cannot_be_built_ends_the_process_with_the_reason() {
    let mut command = process(&LAMBDA);
    command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1");
    command.env("WEIR_TEST_LIMIT", "9");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = json_lines(&output.stderr);
    assert_eq!(
        lines[0]["error"],
        "the state could not be built: the table does not exist"
    );
}
