//! Actions on batches and details, as their callers see them.

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;
use weir_domain::{BatchAction, Permission};
use weir_query::Scope;
use weir_store::{Batch, BatchTask};
use weir_tests::{drafts, text};

use crate::mending_desk::Desk;

/// The largest body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The actions that are posted.
const POSTED: [&str; 4] = ["cancel", "retry", "confirm-drafts", "cancel-drafts"];

/// What an answer is.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// Its only error's code.
    fn code(&self) -> &str {
        assert_eq!(self.body.as_array().map(Vec::len), Some(1), "{self:?}");
        self.body[0]["code"].as_str().unwrap()
    }

    /// Where its violations are, and what they say.
    fn violations(&self) -> Vec<(&str, &str)> {
        let all = self.body[0]["validationErrors"].as_array();
        let all = all.unwrap_or_else(|| panic!("{self:?}"));
        all.iter()
            .map(|error| {
                let text = |name: &str| error[name].as_str().unwrap();
                (text("dataPath"), text("message"))
            })
            .collect()
    }

    /// The batch's counters: unprocessed, error, draft, cancelled.
    fn counters(&self) -> [u64; 4] {
        assert_eq!(self.status, 200, "{self:?}");
        ["unprocessed", "error", "draft", "cancelled"].map(|name| {
            let count = &self.body[format!("batch_detail_{name}_count")];
            count.as_u64().unwrap_or_else(|| panic!("{self:?}"))
        })
    }
}

async fn send(desk: &Desk, request: Request<Body>) -> Answer {
    let response = desk.router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

async fn act_as(desk: &Desk, key: &str, method: Method, target: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(target);
    let mut request = request.header("Authorization", key);
    if !body.is_empty() {
        request = request.header("Content-Type", "application/json");
    }
    send(desk, request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn post(desk: &Desk, batch: &Batch, action: &str, body: &str) -> Answer {
    act_as(desk, &desk.key, Method::POST, &target(batch, action), body).await
}

async fn put(desk: &Desk, target: &str, body: &str) -> Answer {
    act_as(desk, &desk.key, Method::PUT, target, body).await
}

fn batch_target(batch: &Batch) -> String {
    format!("/v1/files/{}/batches/{}", batch.id.file(), batch.id)
}

fn target(batch: &Batch, action: &str) -> String {
    format!("{}/{action}", batch_target(batch))
}

fn detail_id(batch: &Batch, line: u32) -> Uuid {
    batch.id.detail(line.try_into().unwrap()).uuid()
}

fn detail_target(batch: &Batch, line: u32) -> String {
    format!("{}/details/{}", batch_target(batch), detail_id(batch, line))
}

fn named(batch: &Batch, lines: &[u32]) -> String {
    let ids: Vec<Uuid> = lines.iter().map(|line| detail_id(batch, *line)).collect();
    json!({ "batch_detail_ids": ids }).to_string()
}

/// A batch with one detail settled and three in Error.
async fn three_errors(desk: &Desk) -> Batch {
    let refused = |line| text::charge_of(text::UNKNOWN_BUYER, &format!("SO-{line}"), "2.00");
    let mut records = vec![text::charge("SO-1", "1.00")];
    records.extend((2..=4).map(refused));
    desk.taken("B-1", &records).await.1
}

async fn drafted(desk: &Desk, batch: &Batch, line: u32) {
    let parts = &desk.rig.parts;
    let mended = text::charge(&format!("MO-{line}"), "3.00");
    let clock = parts.timeline.clock();
    drafts::write(&parts.store, clock, batch, line, &mended)
        .await
        .unwrap();
}

#[tokio::test]
async fn every_action_is_answered_with_the_batch_as_it_is_then() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    let answer = post(&desk, &batch, "cancel", &named(&batch, &[2])).await;
    assert_eq!(answer.counters(), [0, 2, 0, 1]);
    assert_eq!(answer.body["id"], batch.id.to_string());
    assert_eq!(
        answer.body["user_updated_by"],
        json!(format!("desk ({})", Uuid::from_u128(1)))
    );
    let answer = post(&desk, &batch, "retry", "").await;
    assert_eq!(answer.counters(), [2, 0, 0, 1]);
    assert_eq!(answer.body["status"], "Unprocessed");
    desk.rig.settle().await;
    let answer = post(&desk, &batch, "retry", r#"{"status":"Cancelled"}"#).await;
    assert_eq!(answer.counters(), [1, 2, 0, 0]);
    desk.rig.settle().await;
    for line in [2, 3, 4] {
        drafted(&desk, &batch, line).await;
    }
    let answer = post(&desk, &batch, "cancel-drafts", &named(&batch, &[2, 2])).await;
    assert_eq!(answer.counters(), [0, 3, 2, 0]);
    let answer = post(&desk, &batch, "confirm-drafts", &named(&batch, &[3])).await;
    assert_eq!(answer.counters(), [1, 2, 1, 0]);
    let answer = post(&desk, &batch, "confirm-drafts", "{}").await;
    assert_eq!(answer.counters(), [2, 1, 0, 0]);
    desk.rig.settle().await;
    let answer = post(&desk, &batch, "cancel", "").await;
    assert_eq!(answer.counters(), [0, 0, 0, 1]);
    assert_eq!(answer.body["status"], "Processed");
    // What there is nothing to do for is done.
    for action in POSTED {
        assert_eq!(
            post(&desk, &batch, action, "").await.counters(),
            [0, 0, 0, 1]
        );
    }
    // An empty list names none.
    let none = r#"{"batch_detail_ids":[]}"#;
    assert_eq!(
        post(&desk, &batch, "retry", none).await.counters(),
        [0, 0, 0, 1]
    );
}

#[tokio::test]
async fn a_status_put_to_unprocessed_has_a_batch_or_a_detail_sent_again() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    let again = r#"{"status":"Unprocessed"}"#;
    let answer = put(&desk, &detail_target(&batch, 2), again).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("Unprocessed"))
    );
    // Of one that is open it changes nothing.
    let once_more = put(&desk, &detail_target(&batch, 2), again).await;
    assert_eq!(once_more.status, 200);
    assert_eq!(once_more.body, answer.body);
    let answer = put(&desk, &batch_target(&batch), again).await;
    assert_eq!(answer.counters(), [3, 0, 0, 0]);
    let answer = put(&desk, &detail_target(&batch, 1), again).await;
    assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"));
    assert!(answer.violations()[0].1.contains("settled"), "{answer:?}");
    for body in ["{}", r#"{"status":"Processed"}"#, r#"{"status":7}"#] {
        for target in [batch_target(&batch), detail_target(&batch, 2)] {
            let answer = put(&desk, &target, body).await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "body_not_matching_json_schema")
            );
            assert_eq!(answer.violations()[0].0, "/status", "{body}");
        }
    }
    desk.rig.settle().await;
}

#[tokio::test]
async fn an_untaken_batch_whose_status_is_put_is_taken_again_from_its_file() {
    let desk = Desk::start().await;
    let file = text::file(&[text::batch(
        "B-1",
        "LATE-1",
        &[text::charge("SO-1", "1.00")],
    )]);
    let file = desk.rig.take("untaken.xml", file).await;
    let batch = desk.rig.batch(file, 1).await;
    let answer = put(&desk, &batch_target(&batch), r#"{"status":"Unprocessed"}"#).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("Unprocessed"))
    );
    let answer = put(&desk, &batch_target(&batch), r#"{"status":"Unprocessed"}"#).await;
    assert_eq!((answer.status, answer.code()), (409, "conflict"));
    desk.rig.upload_messages().await;
    let again = desk.rig.batch(file, 1).await;
    assert_eq!(
        (again.status, again.error_log),
        (batch.status, batch.error_log)
    );
}

#[tokio::test]
async fn named_details_that_cannot_be_changed_are_told_one_by_one_and_nothing_is_changed() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    let stranger = Uuid::from_u128(9);
    let mut ids: Vec<Uuid> = (1..=3).map(|line| detail_id(&batch, line)).collect();
    ids.push(stranger);
    let body = json!({ "batch_detail_ids": ids }).to_string();
    for (action, refused) in [("cancel", 2), ("retry", 2), ("confirm-drafts", 4)] {
        let answer = post(&desk, &batch, action, &body).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"));
        let told = answer.violations();
        assert_eq!(told.len(), refused, "{answer:?}");
        for (place, message) in &told {
            assert_eq!(*place, "/batch_detail_ids");
            assert!(
                ids.iter().any(|id| message.contains(&id.to_string())),
                "{message}"
            );
        }
        let strange = told
            .iter()
            .find(|(_, message)| message.contains(&stranger.to_string()));
        assert!(strange.unwrap().1.contains("not in this batch"));
    }
    assert_eq!(desk.rig.batch(batch.id.file(), 1).await, batch);
}

#[tokio::test]
async fn while_something_is_done_to_the_whole_batch_the_rest_is_told_when_to_come_again() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    let parts = &desk.rig.parts;
    let task = BatchTask {
        id: parts.random.uuid_v4(),
        action: BatchAction::Cancel,
        actor: "ann".to_owned(),
        correlation_id: "c".to_owned(),
        at: parts.timeline.now(),
        next_line: 1,
        checkpoint: None,
        changed: 0,
        left_out: BTreeSet::new(),
    };
    assert!(parts.store.begin_task(&batch, &task).await.unwrap());
    let again = r#"{"status":"Unprocessed"}"#;
    let mut answers = vec![
        put(&desk, &batch_target(&batch), again).await,
        put(&desk, &detail_target(&batch, 2), again).await,
    ];
    for action in POSTED {
        answers.push(post(&desk, &batch, action, "").await);
        answers.push(post(&desk, &batch, action, &named(&batch, &[2])).await);
    }
    for answer in answers {
        assert_eq!((answer.status, answer.code()), (409, "conflict"));
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(
            answer.body[0]["message"]
                .as_str()
                .unwrap()
                .contains("cancel"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn an_action_is_for_those_who_may_change_the_batch_and_see_it() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    let elsewhere = Scope {
        client_id: Some(Uuid::from_u128(4 << 76 | 2 << 62).try_into().unwrap()),
        ..Scope::default()
    };
    let both = [Permission::BatchesRead, Permission::BatchesWrite];
    let foreign = desk.key_of(&both, elsewhere).await;
    let reader = desk
        .key_of(&[Permission::BatchesRead], Scope::default())
        .await;
    let again = r#"{"status":"Unprocessed"}"#;
    let mut asked: Vec<(Method, String, &str)> = vec![
        (Method::PUT, batch_target(&batch), again),
        (Method::PUT, detail_target(&batch, 2), again),
    ];
    asked.extend(POSTED.map(|action| (Method::POST, target(&batch, action), "")));
    for (method, target, body) in &asked {
        let answer = act_as(&desk, &reader, method.clone(), target, body).await;
        assert_eq!(answer.status, 403, "{target} {answer:?}");
        let answer = act_as(&desk, &foreign, method.clone(), target, body).await;
        assert_eq!(answer.status, 404, "{target} {answer:?}");
        let answer = act_as(&desk, "", method.clone(), target, body).await;
        assert_eq!(answer.status, 401, "{target} {answer:?}");
        // Under another file, and under what is no id.
        let file = batch.id.file().to_string();
        let other = target.replace(&file, &Uuid::from_u128(5).to_string());
        let answer = act_as(&desk, &desk.key, method.clone(), &other, body).await;
        assert!([400, 404].contains(&answer.status), "{other} {answer:?}");
        let wrong = target.replace(&file, "seven");
        let answer = act_as(&desk, &desk.key, method.clone(), &wrong, body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_parameter"),
            "{wrong}"
        );
        let extra = format!("{target}?force=true");
        let answer = act_as(&desk, &desk.key, method.clone(), &extra, body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "invalid_parameter"),
            "{extra}"
        );
    }
    assert_eq!(desk.rig.batch(batch.id.file(), 1).await, batch);
}

#[tokio::test]
async fn a_body_that_is_not_as_it_should_be_is_refused_with_what_is_wrong_and_where() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    let id = detail_id(&batch, 2);
    let ids = |count: usize| json!({ "batch_detail_ids": vec![id; count] }).to_string();
    let violations: [(String, &[&str]); 5] = [
        (
            r#"{"batch_detail_ids":"all"}"#.to_owned(),
            &["/batch_detail_ids"],
        ),
        (
            r#"{"batch_detail_ids":null}"#.to_owned(),
            &["/batch_detail_ids"],
        ),
        (
            format!(r#"{{"batch_detail_ids":["x","{id}",7]}}"#),
            &["/batch_detail_ids/0", "/batch_detail_ids/2"],
        ),
        (ids(1_001), &["/batch_detail_ids"]),
        (
            r#"{"batch_detail_ids":[""]}"#.to_owned(),
            &["/batch_detail_ids/0"],
        ),
    ];
    for action in POSTED {
        for body in ["{", "[]", "7", "nothing"] {
            let answer = post(&desk, &batch, action, body).await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "invalid_data"),
                "{body}"
            );
        }
        for (body, places) in &violations {
            let answer = post(&desk, &batch, action, body).await;
            let code = answer.code();
            assert_eq!(
                (answer.status, code),
                (400, "body_not_matching_json_schema"),
                "{body}"
            );
            let found: Vec<&str> = answer
                .violations()
                .iter()
                .map(|(place, _)| *place)
                .collect();
            assert_eq!(found, *places);
        }
        let large = format!(r#"{{"x":"{}"}}"#, "y".repeat(BODY_BYTES_MAX));
        assert_eq!(post(&desk, &batch, action, &large).await.status, 413);
        for media in ["text/plain", "application/xml", "text/csv"] {
            let request = Request::post(target(&batch, action))
                .header("Authorization", &desk.key)
                .header("Content-Type", media);
            let answer = send(&desk, request.body(Body::from("{}")).unwrap()).await;
            assert_eq!(
                (answer.status, answer.code()),
                (415, "unsupported_media_type")
            );
        }
        let request = Request::post(target(&batch, action)).header("Authorization", &desk.key);
        let answer = send(&desk, request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.status, 415, "a body of no type");
    }
    let both = format!(r#"{{"batch_detail_ids":["{id}"],"status":"Error"}}"#);
    let answer = post(&desk, &batch, "retry", &both).await;
    assert_eq!((answer.status, answer.violations()[0].0), (400, "/status"));
    let answer = post(&desk, &batch, "retry", r#"{"status":"Processed"}"#).await;
    assert_eq!(
        (answer.status, answer.code()),
        (400, "body_not_matching_json_schema")
    );
    assert_eq!(desk.rig.batch(batch.id.file(), 1).await, batch);
    // As many as may be named, and each once.
    assert_eq!(
        post(&desk, &batch, "cancel", &ids(1_000)).await.counters(),
        [0, 2, 0, 1]
    );
}

/// A body of so many bytes, padded between its members.
fn padded(length: usize, status: &str) -> String {
    let text = format!(r#"{{"status":"{status}"}}"#);
    let pad = " ".repeat(length - text.len());
    text.replace(':', &format!(":{pad}"))
}

#[tokio::test]
async fn a_body_has_at_most_64_kib_whatever_is_done() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    let detail = detail_target(&batch, 2);
    for (length, status) in [
        (BODY_BYTES_MAX - 1, 200),
        (BODY_BYTES_MAX, 200),
        (BODY_BYTES_MAX + 1, 413),
    ] {
        // Nothing is cancelled, so there is nothing to do.
        let answer = post(&desk, &batch, "retry", &padded(length, "Cancelled")).await;
        assert_eq!(answer.status, status, "{length}");
        let body = padded(length, "Unprocessed");
        let answers = [
            put(&desk, &detail, &body).await,
            put(&desk, &batch_target(&batch), &body).await,
        ];
        for answer in answers {
            assert_eq!(answer.status, status, "{length}");
            if status == 413 {
                let message = answer.body[0]["message"].as_str().unwrap();
                assert!(message.contains("65536 bytes"), "{message}");
            }
        }
    }
    // The actions that take no status take what they do not know beside what they do.
    for action in POSTED {
        for (length, is_taken) in [
            (BODY_BYTES_MAX - 1, true),
            (BODY_BYTES_MAX, true),
            (BODY_BYTES_MAX + 1, false),
        ] {
            let text = r#"{"batch_detail_ids":[]}"#;
            let body = text.replace(':', &format!(":{}", " ".repeat(length - text.len())));
            assert_eq!(body.len(), length);
            let answer = post(&desk, &batch, action, &body).await;
            assert_eq!(answer.status, if is_taken { 200 } else { 413 }, "{action}");
        }
    }
}
