//! A detail is one worker's at a time, and a call that may have taken effect is repeated under its
//! key or not at all.

use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;
use weir_domain::{DetailStatus, FileId};
use weir_settlement::TimeLimit;
use weir_settlement::process::{ProcessError, Processor};
use weir_store::DetailsMessage;
use weir_tests::rig::{Rig, Settings, correlation};
use weir_tests::text;

/// A file with so many charges, taken; its messages are on the queue.
async fn charges(rig: &Rig, count: u32) -> FileId {
    let records: Vec<_> = (1..=count)
        .map(|line| text::charge(&format!("SO-{line}"), "12.50"))
        .collect();
    rig.take("charges.xml", text::one_batch("B-1", &records))
        .await
}

async fn process_with(rig: &Rig, processor: &Processor, message: &DetailsMessage) {
    processor
        .process(message, &correlation(), &rig.limit())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn processors_that_get_the_same_messages_at_the_same_moment_send_each_detail_once() {
    let rig = Rig::start().await;
    rig.set_faults(json!({"latency": {"min_ms": 5, "max_ms": 50}}));
    let file = charges(&rig, 60).await;
    let messages = rig.messages().await;
    let settings = Settings::default();
    let processors: Vec<_> = (0..4).map(|_| rig.another_processor(&settings)).collect();
    let everything = processors.iter().flat_map(|processor| {
        let with = |message| process_with(&rig, processor, message);
        messages.iter().map(with).collect::<Vec<_>>()
    });
    join_all(everything).await;
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.requests, summary.replays), (60, 0));
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_lease_that_is_not_over_keeps_others_away_and_one_that_is_over_does_not() {
    let rig = Rig::start().await;
    let file = charges(&rig, 1).await;
    let until = rig.parts.timeline.now() + TimeDelta::seconds(90);
    rig.change(file, 1, 1, |lease| {
        lease.lease_until = Some(until);
        lease.attempted_at = Some(until - TimeDelta::seconds(90));
    })
    .await;
    let messages = rig.messages().await;
    rig.process(&messages[0]).await.unwrap();
    rig.parts.timeline.jump(Duration::from_secs(80));
    rig.process(&messages[0]).await.unwrap();
    assert_eq!(rig.requests(), 0);
    rig.parts.timeline.jump(Duration::from_secs(10));
    rig.process(&messages[0]).await.unwrap();
    assert_eq!(rig.requests(), 1);
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_repeated_under_its_key_and_charges_once() {
    let rig = Rig::with(Settings::default(), 20).await;
    let file = charges(&rig, 5).await;
    rig.set_faults(json!({"cut_after_commit": 1}));
    rig.process_messages().await;
    assert_eq!(rig.statuses(file).await, [[DetailStatus::Retry; 5]]);
    assert_eq!(rig.parts.simulator.summary().charges, 5);
    rig.set_faults(json!({}));
    rig.settle().await;
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.duplicates), (5, 0));
    assert!(summary.replays >= 5);
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_call_without_outcome_is_repeated_while_its_key_is_valid_and_never_after() {
    let rig = Rig::with(Settings::default(), 20).await;
    let file = charges(&rig, 2).await;
    rig.set_faults(json!({"cut_after_commit": 1}));
    let messages = rig.messages().await;
    rig.process(&messages[0]).await.unwrap();
    rig.set_faults(json!({}));
    let begun = rig.detail(file, 1, 1).await.attempted_at.unwrap();
    // The second one was begun two hours later: a key is left unused for the last twentieth of the
    // day that it is valid for.
    rig.change(file, 1, 2, |lease| {
        lease.attempted_at = Some(begun + TimeDelta::hours(2));
    })
    .await;
    let requests = rig.requests();
    rig.parts.timeline.jump(Duration::from_hours(24));
    rig.process(&messages[0]).await.unwrap();
    assert_eq!(rig.requests(), requests + 1);
    let given_up = rig.detail(file, 1, 1).await;
    assert_eq!(given_up.status, DetailStatus::Error);
    assert_eq!(given_up.error_code.as_deref(), Some("bcs.outcome_unknown"));
    let words = given_up.error_description.unwrap();
    assert!(words.contains(&begun.to_rfc3339()), "{words}");
    let repeated = rig.detail(file, 1, 2).await;
    assert_eq!(repeated.status, DetailStatus::Processed);
    rig.process(&messages[0]).await.unwrap();
    assert_eq!(rig.requests(), requests + 1);
    assert_eq!(rig.parts.simulator.summary().charges, 2);
    let batch = rig.batch(file, 1).await;
    assert_eq!((batch.counters.unprocessed, batch.counters.error), (0, 1));
}

#[tokio::test]
async fn a_worker_that_wakes_up_after_its_lease_is_over_charges_nobody_again() {
    let rig = Rig::start().await;
    let file = charges(&rig, 3).await;
    rig.set_faults(json!({"latency": {"min_ms": 30_000, "max_ms": 30_000}}));
    let messages = rig.messages().await;
    let asleep = rig.another_processor(&Settings::default());
    let (message, limit) = (messages[0].clone(), rig.limit());
    let asleep = tokio::spawn(async move {
        asleep
            .process(&message, &correlation(), &limit)
            .await
            .unwrap();
    });
    while rig.requests() < 3 {
        tokio::task::yield_now().await;
    }
    // It is stopped in the middle of its calls, for longer than its lease.
    rig.set_faults(json!({}));
    rig.parts.timeline.jump(Duration::from_secs(91));
    rig.process(&messages[0]).await.unwrap();
    asleep.await.unwrap();
    rig.settle().await;
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.duplicates), (3, 0));
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_worker_without_time_for_a_call_hands_its_message_back_and_takes_no_lease() {
    let rig = Rig::start().await;
    let file = charges(&rig, 3).await;
    let messages = rig.messages().await;
    let call_timeout = Settings::default().process.call_timeout;
    let too_short = TimeLimit::after(call_timeout, rig.parts.timeline.clock());
    let processor = &rig.process.processor;
    let handed_back = processor
        .process(&messages[0], &correlation(), &too_short)
        .await;
    assert!(matches!(handed_back, Err(ProcessError::NoTime)));
    assert_eq!(rig.requests(), 0);
    let detail = rig.detail(file, 1, 1).await;
    assert_eq!((detail.version, detail.lease_until), (1, None));
    rig.process(&messages[0]).await.unwrap();
    assert_eq!(rig.parts.simulator.summary().charges, 3);
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_worker_that_runs_out_of_time_amid_its_calls_leaves_the_rest_to_another() {
    let rig = Rig::start().await;
    let file = charges(&rig, 25).await;
    let messages = rig.messages().await;
    rig.set_faults(json!({"latency": {"min_ms": 300, "max_ms": 300}}));
    let mut settings = Settings::default();
    settings.process.calls_max = 1;
    let slow = rig.another_processor(&settings);
    let enough_for_some = settings.process.call_timeout + Duration::from_secs(3);
    let limit = TimeLimit::after(enough_for_some, rig.parts.timeline.clock());
    slow.process(&messages[0], &correlation(), &limit)
        .await
        .unwrap();
    let sent = rig.requests();
    assert!((1..25).contains(&sent), "{sent}");
    for line in 1..=25 {
        let detail = rig.detail(file, 1, line).await;
        assert_eq!((detail.lease_until, detail.attempted_at), (None, None));
    }
    rig.set_faults(json!({}));
    rig.settle().await;
    assert_eq!(rig.requests(), 25);
    rig.audit(&[file]).await;
}
