//! What people asked of files and batches, as it can be looked up afterwards.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_domain::Permission;
use weir_query::Scope;
use weir_store::Batch;
use weir_tests::text;

use crate::mending_desk::Desk;

/// Who asks at the desk.
fn desk_name() -> String {
    format!("desk ({})", Uuid::from_u128(1))
}

fn batch_target(batch: &Batch) -> String {
    format!("/v1/files/{}/batches/{}", batch.id.file(), batch.id)
}

/// A batch with three details in Error, which a retry can send.
async fn three_errors(desk: &Desk) -> Batch {
    let refused = |line| text::charge_of(text::UNKNOWN_BUYER, &format!("SO-{line}"), "2.00");
    let records: Vec<String> = (1..=3).map(refused).collect();
    desk.taken("B-1", &records).await.1
}

async fn ask(
    desk: &Desk,
    method: Method,
    target: &str,
    body: &str,
    correlation: &str,
) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("Authorization", &desk.key)
        .header("X-Correlation-Id", correlation)
        .header("Idempotency-Key", correlation)
        .header("Content-Type", "application/json");
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let (status, text) = desk.ask(request).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn post(desk: &Desk, batch: &Batch, action: &str, body: &str) -> (StatusCode, Value) {
    let target = format!("{}/{action}", batch_target(batch));
    ask(desk, Method::POST, &target, body, action).await
}

/// What is recorded, as the key sees it.
async fn recorded_for(desk: &Desk, key: &str, target: &str) -> Vec<Value> {
    let request = Request::get(target).header("Authorization", key);
    let (status, text) = desk.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn recorded(desk: &Desk, target: &str) -> Vec<Value> {
    recorded_for(desk, &desk.key, &format!("{target}/actions")).await
}

/// Some members of a record.
fn told(record: &Value) -> (&str, &str, [u64; 3]) {
    let count = |name: &str| record[name].as_u64().unwrap();
    (
        record["action"].as_str().unwrap(),
        record["request_data"].as_str().unwrap(),
        ["detail_count", "changed_count", "left_count"].map(count),
    )
}

#[tokio::test]
async fn whoever_changes_details_is_recorded_with_what_they_asked_and_what_came_of_it() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    let second = batch.id.detail(2.try_into().unwrap()).uuid();
    let named = json!({ "batch_detail_ids": [second] }).to_string();
    for (action, body) in [
        ("cancel", named.as_str()),
        ("retry", ""),
        ("cancel", ""),
        ("retry", r#"{"status":"Cancelled"}"#),
    ] {
        let target = format!("{}/{action}", batch_target(&batch));
        let correlation = format!("{action}-{}", body.len());
        let (status, answer) = ask(&desk, Method::POST, &target, body, &correlation).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    desk.rig.settle().await;
    let table = desk.table(&batch).await;
    let mut mended = table.clone();
    mended.set(0, "buyer_id", text::BUYER);
    mended.set(2, "buyer_id", text::BUYER);
    assert_eq!(desk.put_back(&batch, &mended).await.0, StatusCode::OK);
    let detail = format!("{}/details/{second}", batch_target(&batch));
    let again = r#"{"status":"Unprocessed"}"#;
    let (status, answer) = ask(&desk, Method::PUT, &detail, again, "put").await;
    assert_eq!(status, StatusCode::OK, "{answer}");

    let records = recorded(&desk, &batch_target(&batch)).await;
    let all: Vec<_> = records.iter().map(told).collect();
    assert_eq!(
        all,
        [
            ("Cancel", r#"{"lines":"2"}"#, [1, 1, 0]),
            ("Retry", "{}", [2, 2, 0]),
            ("Cancel", "{}", [2, 2, 0]),
            ("Revive", r#"{"status":"Cancelled"}"#, [3, 3, 0]),
            ("WriteDrafts", r#"{"lines":"1,3"}"#, [2, 2, 0]),
            ("Retry", r#"{"lines":"2"}"#, [1, 1, 0]),
        ]
    );
    for record in &records {
        assert_eq!(record["user_updated_by"], desk_name());
        assert_eq!(record["batch_id"], batch.id.to_string());
        assert_eq!(record["file_id"], batch.id.file().to_string());
        assert_eq!(record["seller_id"], batch.seller_id.unwrap().to_string());
        for time in ["user_updated_at", "created_at", "updated_at", "ended_at"] {
            assert!(record[time].is_string(), "{time} of {record}");
        }
    }
    assert_eq!(
        records[0]["correlation_id"],
        format!("cancel-{}", named.len())
    );
    // The file has them all, and any list is narrowed as all lists are.
    let file = format!("/v1/files/{}", batch.id.file());
    assert_eq!(recorded(&desk, &file).await, records);
    let narrowed = format!("{file}/actions?action=Retry&sort_column[]=-created_at&page_size=1");
    assert_eq!(
        recorded_for(&desk, &desk.key, &narrowed).await,
        records[5..]
    );
    let sorted = format!("{file}/actions?sort_column[]=-detail_count&page_size=1");
    assert_eq!(recorded_for(&desk, &desk.key, &sorted).await, records[3..4]);
}

#[tokio::test]
async fn a_request_that_comes_again_is_recorded_once_and_one_that_is_refused_never() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    for _ in 0..2 {
        assert_eq!(post(&desk, &batch, "cancel", "").await.0, StatusCode::OK);
    }
    let first = batch.id.detail(1.try_into().unwrap()).uuid();
    let named = json!({ "batch_detail_ids": [first] }).to_string();
    // It is cancelled by now and has no draft, there are none to confirm, and a body is broken.
    for (action, body) in [("confirm-drafts", named.as_str()), ("retry", "[]")] {
        let (status, answer) = post(&desk, &batch, action, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    assert_eq!(
        post(&desk, &batch, "cancel-drafts", "").await.0,
        StatusCode::OK
    );
    let records = recorded(&desk, &batch_target(&batch)).await;
    assert_eq!(
        records.iter().map(told).collect::<Vec<_>>(),
        [("Cancel", "{}", [3, 3, 0])]
    );
}

#[tokio::test]
async fn a_batch_that_is_taken_again_says_who_asked_for_it_and_when_it_ended() {
    let desk = Desk::start().await;
    let file = text::file(&[text::batch(
        "B-1",
        "LATE-1",
        &[text::charge("SO-1", "1.00")],
    )]);
    let file = desk.rig.take("untaken.xml", file).await;
    let batch = desk.rig.batch(file, 1).await;
    let target = batch_target(&batch);
    let again = r#"{"status":"Unprocessed"}"#;
    let (status, answer) = ask(&desk, Method::PUT, &target, again, "again").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["task"], "Retake");
    assert_eq!(answer["task_by"], desk_name());
    assert_eq!(answer["task_changed_count"], 0);
    assert!(answer["task_at"].is_string());
    let going_on = recorded(&desk, &target).await;
    assert_eq!(told(&going_on[0]), ("Retake", again, [0, 0, 0]));
    assert_eq!(going_on[0].get("ended_at"), None);
    desk.rig.upload_messages().await;
    let ended = recorded(&desk, &target).await;
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["correlation_id"], "again");
    assert_eq!(ended[0]["user_updated_by"], desk_name());
    assert!(ended[0]["ended_at"].is_string());
    let request = Request::get(&target).header("Authorization", &desk.key);
    let (_, text) = desk.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap().get("task"),
        None
    );
}

#[tokio::test]
async fn what_was_asked_is_seen_by_whoever_sees_the_batch_and_by_nobody_else() {
    let desk = Desk::start().await;
    let batch = three_errors(&desk).await;
    assert_eq!(post(&desk, &batch, "cancel", "").await.0, StatusCode::OK);
    let list = format!("{}/actions", batch_target(&batch));
    let read = [Permission::BatchesRead];
    let own = Scope {
        seller_id: batch.seller_id,
        ..Scope::default()
    };
    let own = desk.key_of(&read, own).await;
    assert_eq!(recorded_for(&desk, &own, &list).await.len(), 1);
    let elsewhere = Scope {
        seller_id: Some(Uuid::from_u128(4 << 76 | 2 << 62).try_into().unwrap()),
        ..Scope::default()
    };
    let foreign = desk.key_of(&read, elsewhere).await;
    let without = desk
        .key_of(&[Permission::FilesRead], Scope::default())
        .await;
    for (key, refused) in [
        (foreign, StatusCode::NOT_FOUND),
        (without, StatusCode::FORBIDDEN),
    ] {
        let request = Request::get(&list).header("Authorization", key);
        let (status, _) = desk.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, refused);
    }
}
