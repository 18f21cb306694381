//! A refund waits for its charge, and stays with the one that it began with.

use std::time::Duration;

use serde_json::json;
use weir_domain::DetailStatus;
use weir_tests::rig::{Rig, Settings};
use weir_tests::text;

#[tokio::test]
async fn a_refund_waits_for_its_charge_without_using_up_attempts_and_then_settles() {
    let rig = Rig::start().await;
    let records = [text::refund("SO-1", "5.00"), text::charge("SO-1", "12.50")];
    let file = rig
        .take("refund-first.xml", text::one_batch("B-1", &records))
        .await;
    rig.process_messages().await;
    let refund = rig.detail(file, 1, 1).await;
    assert_eq!(refund.status, DetailStatus::Unprocessed);
    assert_eq!((refund.retry_count, refund.events), (0, 0));
    assert!(refund.waiting_since.is_some());
    assert_eq!((refund.lease_until, refund.attempted_at), (None, None));
    let words = refund.error_description.unwrap();
    assert!(words.contains("waits for its charge"), "{words}");
    assert_eq!(rig.detail(file, 1, 2).await.status, DetailStatus::Processed);
    rig.settle().await;
    rig.audit(&[file]).await;
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.refunds), (1, 1));
}

#[tokio::test]
async fn a_refund_whose_charge_never_settles_is_given_up_after_three_days_and_not_before() {
    let rig = Rig::start().await;
    let refused = text::charge_of(text::UNKNOWN_BUYER, "SO-2", "12.50");
    let records = [
        text::refund("SO-1", "5.00"),
        refused,
        text::refund("SO-2", "5.00"),
    ];
    let file = rig
        .take("no-charge.xml", text::one_batch("B-1", &records))
        .await;
    let messages = rig.messages().await;
    rig.process(&messages[0]).await.unwrap();
    rig.parts
        .timeline
        .jump(Duration::from_hours(72) - Duration::from_mins(1));
    rig.process(&messages[0]).await.unwrap();
    for line in [1, 3] {
        let refund = rig.detail(file, 1, line).await;
        assert_eq!(refund.status, DetailStatus::Unprocessed);
    }
    // The longest pause between two looks is a quarter of an hour.
    rig.parts.timeline.jump(Duration::from_mins(16));
    rig.process(&messages[0]).await.unwrap();
    for line in [1, 3] {
        let refund = rig.detail(file, 1, line).await;
        assert_eq!(refund.status, DetailStatus::Error);
        assert_eq!(refund.error_code.as_deref(), Some("bcs.charge_not_settled"));
        assert_eq!(refund.retry_count, 0);
    }
    rig.audit(&[file]).await;
    assert_eq!(rig.parts.simulator.summary().refunds, 0);
}

#[tokio::test]
async fn a_refund_is_of_the_latest_charge_of_its_order() {
    let rig = Rig::start().await;
    let charge =
        |number: &str, total: &str| text::one_batch(number, &[text::charge("SO-1", total)]);
    let mut files = Vec::new();
    for (number, total) in [("B-1", "10.00"), ("B-2", "20.00")] {
        files.push(rig.take(number, charge(number, total)).await);
        rig.settle().await;
    }
    let refund = text::one_batch("B-3", &[text::refund("SO-1", "15.00")]);
    files.push(rig.take("refund.xml", refund).await);
    rig.settle().await;
    let latest = rig.detail(files[1], 1, 1).await.charge_id;
    assert_eq!(rig.detail(files[2], 1, 1).await.charge_id, latest);
    rig.audit(&files).await;
}

#[tokio::test]
async fn a_refund_that_was_begun_stays_with_its_charge_though_a_newer_one_appears() {
    let rig = Rig::with(Settings::default(), 20).await;
    let first = text::one_batch("B-1", &[text::charge("SO-1", "10.00")]);
    let first = rig.take("first.xml", first).await;
    rig.settle().await;
    let refund = text::one_batch("B-2", &[text::refund("SO-1", "5.00")]);
    let refund = rig.take("refund.xml", refund).await;
    rig.set_faults(json!({"cut_after_commit": 1}));
    rig.process_messages().await;
    let begun = rig.detail(refund, 1, 1).await;
    assert_eq!(begun.status, DetailStatus::Retry);
    assert_eq!(rig.parts.simulator.summary().refunds, 1);

    rig.set_faults(json!({}));
    let newer = text::one_batch("B-3", &[text::charge("SO-1", "30.00")]);
    let newer = rig.take("newer.xml", newer).await;
    rig.settle().await;
    let done = rig.detail(refund, 1, 1).await;
    assert_eq!(done.status, DetailStatus::Processed, "{done:#?}");
    assert_eq!(done.charge_id, begun.charge_id);
    assert_eq!(done.charge_id, rig.detail(first, 1, 1).await.charge_id);
    assert_eq!(rig.parts.simulator.summary().refunds, 1);
    rig.audit(&[first, refund, newer]).await;
}

#[tokio::test]
async fn a_refund_that_names_its_charge_is_sent_at_once() {
    let rig = Rig::start().await;
    let charge = text::one_batch("B-1", &[text::charge("SO-1", "10.00")]);
    let charge = rig.take("charge.xml", charge).await;
    rig.settle().await;
    let id = rig.detail(charge, 1, 1).await.charge_id.unwrap();
    let named = text::refund("SO-OTHER", "4.00").replace(
        "</OrderNumber>",
        &format!("</OrderNumber><ChargeId>{id}</ChargeId>"),
    );
    let refund = rig
        .take("refund.xml", text::one_batch("B-2", &[named]))
        .await;
    rig.process_messages().await;
    assert_eq!(
        rig.detail(refund, 1, 1).await.status,
        DetailStatus::Processed
    );
    rig.audit(&[charge, refund]).await;
}

#[tokio::test]
async fn refunds_above_their_charge_are_refused_with_the_platforms_words() {
    let rig = Rig::start().await;
    let records = [text::charge("SO-1", "10.00"), text::refund("SO-1", "10.01")];
    let file = rig
        .take("too-much.xml", text::one_batch("B-1", &records))
        .await;
    rig.settle().await;
    let refund = rig.detail(file, 1, 2).await;
    assert_eq!(refund.status, DetailStatus::Error);
    assert!(!refund.error_code.unwrap().starts_with("bcs."));
    assert_eq!(refund.retry_count, 0);
    rig.audit(&[file]).await;
}
