//! What outlives the process: a stop, a kill, a torn line; and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "test helpers"
)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Caller, charge_body, charge_for, start, with_state};
use weir_runtime::{Clock, HttpError};
use weir_simulator::{JournalError, Simulator, SimulatorError};

async fn refused(path: &Path) -> JournalError {
    let listen = "127.0.0.1:0".parse().unwrap();
    match Simulator::start(listen, with_state(path), Clock::system()).await {
        Err(SimulatorError::Journal(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_made_and_answered_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.jsonl");
    let (platform, caller) = start(with_state(&path)).await;
    let charge = caller.charge("k1", &charge_for("a detail", 500)).await;
    let refund = caller.refund("k2", &charge.id(), 300).await;
    let refusal = caller.refund("k3", &charge.id(), 300).await;
    caller.charge("k1", &charge_for("a detail", 500)).await;
    caller.charge("k4", &charge_for("a detail", 7)).await;
    let before = platform.summary();
    assert_eq!((before.charges, before.duplicates), (2, 1));
    platform.stop().await;

    let (platform, caller) = start(with_state(&path)).await;
    assert_eq!(platform.summary(), before);
    let again = caller.charge("k1", &charge_for("a detail", 500)).await;
    assert_eq!(again.body, charge.body);
    assert_eq!(
        caller.refund("k2", &charge.id(), 300).await.body,
        refund.body
    );
    assert_eq!(
        caller.refund("k3", &charge.id(), 300).await.body,
        refusal.body
    );
    assert_eq!(caller.charge("k1", &charge_body(500)).await.status, 409);
    assert_eq!(caller.refund("k5", &charge.id(), 201).await.status, 422);
    assert_eq!(caller.refund("k6", &charge.id(), 200).await.status, 201);
    let other = Caller::new(platform.base_url(), "api-key-2");
    assert_eq!(other.refund("k7", &charge.id(), 1).await.status, 404);
    let listed = caller.get("/api/v2/charges").await.json();
    assert_eq!(listed[0]["id"], charge.id());
    platform.stop().await;
}

#[tokio::test]
async fn an_answer_with_line_ends_in_it_is_kept_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.jsonl");
    let body = serde_json::to_string_pretty(&charge_body(500)).unwrap();
    let body = body.replace('\n', "\r\n");
    let send = async |caller: &Caller| {
        caller
            .send(
                http::Method::POST,
                "/api/v2/charges",
                Some("k1"),
                body.clone(),
            )
            .await
            .unwrap()
    };
    let (platform, caller) = start(with_state(&path)).await;
    let first = send(&caller).await;
    assert_eq!(first.status, 201);
    platform.stop().await;
    let (_platform, caller) = start(with_state(&path)).await;
    assert_eq!(send(&caller).await.body, first.body);
}

#[tokio::test]
async fn a_charge_with_the_fields_of_a_refund_is_a_charge_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.jsonl");
    let (platform, caller) = start(with_state(&path)).await;
    let first = caller.charge("k1", &charge_body(500)).await;
    let foreign = [
        json!(first.id()),
        json!("33333333-0000-4000-8000-000000000009"),
        json!("no id"),
        json!(null),
    ];
    let mut answers = Vec::new();
    for (index, charge_id) in foreign.into_iter().enumerate() {
        let mut body = charge_body(500);
        body["charge_id"] = charge_id;
        let answer = caller.charge(&format!("foreign-{index}"), &body).await;
        assert_eq!(answer.status, 201, "{body}");
        answers.push((body, answer));
    }
    let before = platform.summary();
    assert_eq!((before.charges, before.refunds), (5, 0));
    // Nothing of the first charge is taken up by them.
    assert_eq!(caller.refund("k2", &first.id(), 500).await.status, 201);
    platform.stop().await;

    let (platform, caller) = start(with_state(&path)).await;
    let after = platform.summary();
    assert_eq!((after.charges, after.refunds), (5, 1));
    for (index, (body, answer)) in answers.iter().enumerate() {
        let again = caller.charge(&format!("foreign-{index}"), body).await;
        assert_eq!(again.body, answer.body);
    }
}

#[tokio::test]
async fn a_reset_is_kept_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.jsonl");
    let (platform, caller) = start(with_state(&path)).await;
    caller.charge("k1", &charge_body(500)).await;
    caller
        .send(http::Method::POST, "/_sim/reset", None, "")
        .await
        .unwrap();
    caller.charge("k2", &charge_body(500)).await;
    platform.stop().await;
    let (platform, caller) = start(with_state(&path)).await;
    assert_eq!(platform.summary().charges, 1);
    assert_eq!(caller.charge("k1", &charge_body(9)).await.status, 201);
}

#[tokio::test]
async fn a_last_line_cut_off_at_any_byte_is_dropped_and_the_others_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.jsonl");
    let (platform, caller) = start(with_state(&path)).await;
    caller.charge("k1", &charge_body(1)).await;
    caller.charge("k2", &charge_body(2)).await;
    platform.stop().await;
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let lengths = [
        first,
        first + 1,
        first + 20,
        whole.len() - 2,
        whole.len() - 1,
    ];
    for length in lengths {
        fs::write(&path, &whole[..length]).unwrap();
        let (platform, caller) = start(with_state(&path)).await;
        assert_eq!(platform.summary().charges, 1, "{length}");
        assert_eq!(caller.charge("k2", &charge_body(2)).await.status, 201);
        platform.stop().await;
        let (platform, _) = start(with_state(&path)).await;
        assert_eq!(platform.summary().charges, 2, "{length}");
        platform.stop().await;
    }
}

#[tokio::test]
async fn a_broken_line_before_the_last_is_refused_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.jsonl");
    let (platform, caller) = start(with_state(&path)).await;
    caller.charge("k1", &charge_body(1)).await;
    platform.stop().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"{\"key\":\n");
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(
        refused(&path).await,
        JournalError::Corrupt { line: 2, .. }
    ));
    // What is refused is left as it is.
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_second_process_is_kept_off_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.jsonl");
    let (platform, _) = start(with_state(&path)).await;
    assert!(matches!(refused(&path).await, JournalError::InUse { .. }));
    platform.stop().await;
    start(with_state(&path)).await.0.stop().await;
    let nowhere = folder.path().join("none/state.jsonl");
    assert!(matches!(
        refused(&nowhere).await,
        JournalError::Unusable { .. }
    ));
}

struct Process {
    child: Child,
    base_url: String,
}

impl Process {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_weir-simulator"))
            .args([
                "--seed",
                "3",
                "--cut-after-commit",
                "0.2",
                "--error",
                "500=0.1",
            ])
            .args([
                "--api-key",
                "api-key-1",
                "--latency-ms",
                "0-2",
                "--state-file",
            ])
            .arg(path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["ready"], json!(true));
        let base_url = ready["three_rivers"].as_str().unwrap().to_owned();
        Self { child, base_url }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Repeats a charge until it is answered.
async fn settled(caller: &Caller, key: &str) -> support::Reply {
    let body = charge_for(key, 500).to_string();
    for _ in 0..100 {
        let sent = caller.send(
            http::Method::POST,
            "/api/v2/charges",
            Some(key),
            body.clone(),
        );
        match sent.await {
            Ok(reply) if reply.status == 201 => return reply,
            _ => {}
        }
    }
    panic!("never answered");
}

#[tokio::test]
async fn a_killed_process_forgets_nothing_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.jsonl");
    let clock = Clock::system();
    let mut answered: Vec<(String, String)> = Vec::new();
    for round in 0..4 {
        let process = Process::start(&path);
        let caller = Caller::new(process.base_url.clone(), "api-key-1");
        for (key, id) in &answered {
            assert_eq!(&settled(&caller, key).await.id(), id);
        }
        let seen = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let (caller, seen) = (caller.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    for number in 0.. {
                        let key = format!("r{round}-w{worker}-{number}");
                        let body = charge_for(&key, 500).to_string();
                        let sent =
                            caller.send(http::Method::POST, "/api/v2/charges", Some(&key), body);
                        match sent.await {
                            Ok(reply) if reply.status == 201 => {
                                seen.lock().unwrap().push((key, reply.id()));
                            }
                            Err(HttpError::Connect { .. }) => return,
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        while seen.lock().unwrap().len() < 50 {
            clock.sleep(Duration::from_millis(1)).await;
        }
        // The drop sends SIGKILL, whatever is under way.
        drop(process);
        for worker in workers {
            worker.await.unwrap();
        }
        answered.append(&mut seen.lock().unwrap());
    }
    assert!(answered.len() >= 200);
    let process = Process::start(&path);
    let caller = Caller::new(process.base_url.clone(), "api-key-1");
    let summary = caller.get("/_sim/summary").await.json();
    assert_eq!(summary["duplicates"], json!(0));
    assert!(summary["charges"].as_u64().unwrap() >= answered.len() as u64);
}
