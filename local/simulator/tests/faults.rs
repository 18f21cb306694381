//! Faults: what the caller sees, and what was made all the same.

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

use std::time::Duration;

use serde_json::json;
use support::{Caller, charge_body, charge_for, start_with};
use weir_runtime::{Clock, HttpError};
use weir_simulator::{Faults, Running};

async fn with(faults: serde_json::Value) -> (Running, Caller) {
    // As text, since a rate is read digit by digit.
    start_with(serde_json::from_str(&faults.to_string()).unwrap()).await
}

async fn charge(caller: &Caller, key: &str) -> Result<support::Reply, HttpError> {
    let body = charge_body(500).to_string();
    caller
        .send(http::Method::POST, "/api/v2/charges", Some(key), body)
        .await
}

#[tokio::test]
async fn an_error_is_answered_and_nothing_made_nor_remembered() {
    for status in [429, 500, 503] {
        let (platform, caller) = with(json!({"errors": {status.to_string(): 1}})).await;
        assert_eq!(charge(&caller, "k1").await.unwrap().status, status);
        assert_eq!(platform.summary().charges, 0);
        platform.set_faults(Faults::default()).unwrap();
        assert_eq!(charge(&caller, "k1").await.unwrap().status, 201);
    }
}

#[tokio::test]
async fn retry_after_is_said_on_429_and_503_alone() {
    for (status, is_said) in [(429, true), (503, true), (500, false), (408, false)] {
        let faults = json!({"errors": {status.to_string(): 1}, "retry_after_s": 7});
        let (_platform, caller) = with(faults).await;
        let reply = charge(&caller, "k1").await.unwrap();
        let said = reply
            .headers
            .get("retry-after")
            .map(|v| v.to_str().unwrap());
        assert_eq!(said, is_said.then_some("7"), "{status}");
    }
}

#[tokio::test]
async fn server_errors_come_with_and_without_a_body_of_the_platforms_form() {
    let (_platform, caller) = with(json!({"errors": {"502": 1}})).await;
    let mut kinds = std::collections::BTreeSet::new();
    for number in 0..30 {
        let reply = charge(&caller, &format!("k{number}")).await.unwrap();
        kinds.insert((
            reply.headers["content-type"].to_str().unwrap().to_owned(),
            reply.body.is_empty(),
        ));
    }
    let json = "application/json".to_owned();
    let expected = [
        (json.clone(), false),
        (json, true),
        ("text/html".to_owned(), false),
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_cut_before_makes_nothing() {
    let (platform, caller) = with(json!({"cut_before": 1})).await;
    let error = charge(&caller, "k1").await.unwrap_err();
    assert!(
        matches!(error, HttpError::Cut { status: None, .. }),
        "{error}"
    );
    assert_eq!(platform.summary().charges, 0);
}

#[tokio::test]
async fn a_cut_after_the_commit_makes_the_charge_and_the_key_gives_its_answer() {
    let (platform, caller) = with(json!({"cut_after_commit": 1})).await;
    for _ in 0..3 {
        let error = charge(&caller, "k1").await.unwrap_err();
        assert!(
            matches!(error, HttpError::Cut { status: None, .. }),
            "{error}"
        );
    }
    assert_eq!(platform.summary().charges, 1);
    platform.set_faults(Faults::default()).unwrap();
    assert_eq!(charge(&caller, "k1").await.unwrap().status, 201);
    assert_eq!(platform.summary().charges, 1);
}

#[tokio::test]
async fn a_cut_in_the_answer_comes_after_its_status() {
    let (platform, caller) = with(json!({"cut_in_answer": 1})).await;
    let error = charge(&caller, "k1").await.unwrap_err();
    let status = http::StatusCode::CREATED;
    assert!(
        matches!(error, HttpError::Cut { status: Some(is), .. } if is == status),
        "{error}"
    );
    assert_eq!(platform.summary().charges, 1);
}

#[tokio::test]
async fn what_is_never_answered_is_made_in_half_of_the_cases_and_does_not_hold_up_the_end() {
    let (platform, caller) = with(json!({"never_answer": 1})).await;
    let clock = Clock::system();
    let waiting = (0..40).map(|number| {
        let caller = caller.clone();
        async move { charge(&caller, &format!("k{number}")).await }
    });
    let limit = Duration::from_millis(500);
    let waiting = futures::future::join_all(waiting);
    assert!(clock.timeout(limit, waiting).await.is_err());
    let made = platform.summary().charges;
    assert!((5..=35).contains(&made), "{made}");
    let again = tokio::spawn(async move { charge(&caller, "k1").await });
    clock.sleep(Duration::from_millis(100)).await;
    let before = clock.monotonic();
    platform.stop().await;
    assert!(clock.monotonic().saturating_sub(before) < Duration::from_millis(1_900));
    assert!(again.await.unwrap().is_err());
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let (_platform, caller) = with(json!({"latency": {"min_ms": 80, "max_ms": 120}})).await;
    let clock = Clock::system();
    let before = clock.monotonic();
    charge(&caller, "k1").await.unwrap();
    let took = clock.monotonic().saturating_sub(before);
    assert!(took >= Duration::from_millis(80), "{took:?}");
}

#[tokio::test]
async fn a_caller_that_gives_up_halfway_may_have_made_the_charge() {
    let (platform, caller) = with(json!({"latency": {"min_ms": 2000, "max_ms": 2000}})).await;
    let clock = Clock::system();
    let given_up = clock
        .timeout(Duration::from_millis(1_500), charge(&caller, "k1"))
        .await;
    assert!(given_up.is_err());
    assert_eq!(platform.summary().charges, 1);
}

#[tokio::test]
async fn faults_are_shown_and_replaced_over_http_and_control_is_spared_from_them() {
    let (_platform, caller) = with(json!({"cut_before": 1})).await;
    let faults = r#"{"latency":{"min_ms":0,"max_ms":3},"errors":{"503":0.25},"retry_after_s":1,"cut_before":0,"cut_after_commit":0.5,"cut_in_answer":0.25,"never_answer":0}"#;
    let put = async |body: &str| {
        caller
            .send(http::Method::PUT, "/_sim/faults", None, body.to_owned())
            .await
            .unwrap()
    };
    assert_eq!(put(faults).await.body, faults);
    assert_eq!(caller.get("/_sim/faults").await.body, faults);
    for refused in [
        "",
        "[]",
        r#"{"cut":1}"#,
        r#"{"cut_before":1.5}"#,
        r#"{"cut_before":0.5,"never_answer":0.6}"#,
        r#"{"errors":{"200":0.1}}"#,
        r#"{"latency":{"min_ms":2,"max_ms":1}}"#,
    ] {
        assert_eq!(put(refused).await.status, 400, "{refused}");
    }
    assert_eq!(caller.get("/_sim/faults").await.body, faults);
    put("{}").await;
    assert_eq!(charge(&caller, "k1").await.unwrap().status, 201);
}

#[tokio::test]
async fn the_same_seed_fails_the_same_requests() {
    let outcomes = async || {
        let faults = json!({"errors": {"500": 0.3}, "cut_after_commit": 0.3});
        let (_platform, caller) = with(faults).await;
        let mut outcomes = Vec::new();
        for number in 0..60 {
            let key = format!("k{}", number % 20);
            outcomes.push(charge(&caller, &key).await.map(|reply| reply.status).ok());
        }
        outcomes
    };
    let first = outcomes().await;
    assert_eq!(outcomes().await, first);
    assert!(first.contains(&None) && first.contains(&Some(500)) && first.contains(&Some(201)));
}

#[tokio::test]
async fn under_every_fault_at_once_repeats_make_each_detail_once() {
    let (platform, caller) = with(json!({
        "latency": {"min_ms": 0, "max_ms": 5}, "errors": {"429": 0.1, "500": 0.1},
        "cut_before": 0.1, "cut_after_commit": 0.2, "cut_in_answer": 0.2,
    }))
    .await;
    let settled = (0..50).map(|number| {
        let caller = caller.clone();
        async move {
            let detail = format!("33333333-0000-8000-8000-{number:012}");
            let (key, body) = (
                format!("weir-{detail}-v1"),
                charge_for(&detail, 500).to_string(),
            );
            for _ in 0..200 {
                let sent = caller.send(
                    http::Method::POST,
                    "/api/v2/charges",
                    Some(&key),
                    body.clone(),
                );
                if sent.await.is_ok_and(|reply| reply.status == 201) {
                    return;
                }
            }
            panic!("never settled");
        }
    });
    futures::future::join_all(settled).await;
    let summary = platform.summary();
    assert_eq!((summary.charges, summary.duplicates), (50, 0));
}
