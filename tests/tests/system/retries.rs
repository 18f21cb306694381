//! What 3Rivers cannot do now is tried again, at the pace that it asks for, and not for ever.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use weir_domain::{DetailStatus, FileId};
use weir_tests::rig::{Rig, Settings};
use weir_tests::text;

/// Settings under which no breaker opens.
fn without_breaker() -> Settings {
    let mut settings = Settings::default();
    settings.breaker.failures_max = u32::MAX;
    settings
}

async fn charges(rig: &Rig, count: u32) -> FileId {
    let records: Vec<_> = (1..=count)
        .map(|line| text::charge(&format!("SO-{line}"), "12.50"))
        .collect();
    rig.take("charges.xml", text::one_batch("B-1", &records))
        .await
}

#[tokio::test]
async fn a_detail_that_fails_at_every_attempt_is_given_up_after_the_last() {
    let settings = without_breaker();
    let attempts_max = settings.process.attempts_max;
    let rig = Rig::with(settings, 50).await;
    rig.set_faults(json!({"errors": {"500": 1}}));
    let file = charges(&rig, 1).await;
    let message = rig.messages().await.remove(0);
    for attempt in 1..attempts_max {
        let requests = rig.requests();
        rig.process(&message).await.unwrap();
        let detail = rig.detail(file, 1, 1).await;
        assert_eq!(detail.status, DetailStatus::Retry);
        assert_eq!((detail.retry_count, detail.events), (attempt, attempt));
        // An attempt is up to three calls.
        assert!((1..=3).contains(&(rig.requests() - requests)));
        let next = detail.next_attempt_at.unwrap();
        // Before its time it is left alone.
        let requests = rig.requests();
        rig.process(&message).await.unwrap();
        assert_eq!(rig.requests(), requests);
        let ahead = (next - rig.parts.timeline.now()).to_std();
        rig.parts.timeline.jump(ahead.unwrap_or_default());
    }
    rig.process(&message).await.unwrap();
    let detail = rig.detail(file, 1, 1).await;
    assert_eq!(detail.status, DetailStatus::Error);
    assert_eq!(detail.error_code.as_deref(), Some("bcs.retries_exhausted"));
    let requests = rig.requests();
    rig.process(&message).await.unwrap();
    assert_eq!(rig.requests(), requests);
    rig.set_faults(json!({}));
    rig.audit(&[file]).await;
    assert_eq!(rig.parts.simulator.summary().charges, 0);
}

#[tokio::test]
async fn a_wait_that_the_platform_asks_for_is_kept_by_every_detail() {
    let rig = Rig::start().await;
    rig.set_faults(json!({"errors": {"429": 1}, "retry_after_s": 120}));
    let file = charges(&rig, 40).await;
    let messages = rig.messages().await;
    let begun = rig.parts.timeline.now();
    for message in &messages {
        rig.process(message).await.unwrap();
    }
    let first = rig.detail(file, 1, 1).await;
    let next = first.next_attempt_at.unwrap();
    let wait = next - begun;
    assert!(wait >= TimeDelta::seconds(120), "{wait}");
    assert!(wait < TimeDelta::seconds(150), "{wait}");
    // The first answers said it for all: at most as many calls as were under way together.
    let requests = rig.requests();
    assert!(requests <= 32, "{requests}");
    rig.set_faults(json!({}));
    rig.parts.timeline.jump(Duration::from_secs(100));
    for message in &messages {
        rig.process(message).await.unwrap();
    }
    assert_eq!(rig.requests(), requests);
    rig.settle().await;
    rig.audit(&[file]).await;
    assert_eq!(rig.parts.simulator.summary().charges, 40);
}

#[tokio::test]
async fn while_the_breaker_is_open_details_wait_without_using_up_attempts() {
    let rig = Rig::with(Settings::default(), 5).await;
    rig.set_faults(json!({"errors": {"503": 1}}));
    let file = charges(&rig, 200).await;
    rig.process_messages().await;
    let requests = rig.requests();
    // Eight failures in a row open it; calls under way then are not many.
    assert!((8..=60).contains(&requests), "{requests}");
    let mut untouched = 0;
    for line in 1..=200 {
        let detail = rig.detail(file, 1, line).await;
        assert!(detail.retry_count <= 1);
        if detail.retry_count == 0 {
            assert_eq!(detail.status, DetailStatus::Unprocessed);
            assert_eq!((detail.lease_until, detail.attempted_at), (None, None));
            untouched += 1;
        }
    }
    assert!(untouched >= 140, "{untouched}");
    rig.set_faults(json!({}));
    rig.settle().await;
    rig.audit(&[file]).await;
    assert_eq!(rig.parts.simulator.summary().charges, 200);
}

#[tokio::test]
async fn a_refusal_is_final_at_once_and_carries_the_platforms_code() {
    let rig = Rig::start().await;
    let records = [
        text::charge_of(text::UNKNOWN_BUYER, "SO-1", "12.50"),
        text::charge("SO-2", "12.50"),
    ];
    let file = rig
        .take("refused.xml", text::one_batch("B-1", &records))
        .await;
    rig.settle().await;
    assert_eq!(rig.requests(), 2);
    let refused = rig.detail(file, 1, 1).await;
    assert_eq!(refused.status, DetailStatus::Error);
    assert_eq!((refused.retry_count, refused.events), (0, 1));
    assert!(!refused.error_code.unwrap().starts_with("bcs."));
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn transient_failures_of_every_kind_end_in_one_charge() {
    let rig = Rig::with(without_breaker(), 50).await;
    rig.set_faults(json!({
        "latency": {"min_ms": 0, "max_ms": 400},
        "errors": {"408": 0.03, "425": 0.03, "429": 0.05, "500": 0.05, "502": 0.03, "503": 0.05,
                   "504": 0.03},
        "retry_after_s": 1,
        "cut_before": 0.05, "cut_after_commit": 0.08, "cut_in_answer": 0.05, "never_answer": 0.04,
    }));
    let (bytes, contents) = text::generated("KINDS", 5, 2, 90, 0);
    let file = rig.take("kinds.xml", bytes).await;
    rig.settle().await;
    rig.set_faults(json!({}));
    let summary = rig.parts.simulator.summary();
    assert_eq!(summary.charges, contents.charges);
    assert_eq!(summary.refunds, contents.refunds);
    assert!(summary.replays > 0);
    rig.audit(&[file]).await;
}
