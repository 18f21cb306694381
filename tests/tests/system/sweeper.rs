//! What nothing is working on is found, and nothing else is disturbed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use weir_domain::{BatchAction, BatchStatus, DetailStatus, FileStatus};
use weir_runtime::Metric;
use weir_settlement::process::ProcessOptions;
use weir_store::Detail;
use weir_tests::parts::{DETAILS, UPLOADS};
use weir_tests::rig::{Rig, Settings, correlation};
use weir_tests::text;

use super::actions_hand::{begun, charges, taken};

/// After how long something counts as standing still.
const QUIET: Duration = Duration::from_mins(3);
/// For how much longer the message of what was never put off may be on its way.
const LATE: Duration = Duration::from_secs(1_125);

#[tokio::test]
async fn details_whose_messages_were_lost_are_woken_once_they_stand_still() {
    let rig = Rig::start().await;
    let (bytes, contents) = text::generated("LOST", 2, 2, 60, 20);
    let file = rig.take("lost.xml", bytes).await;
    assert!(!rig.messages().await.is_empty());
    rig.parts.timeline.jump(QUIET / 2);
    assert_eq!(rig.sweep().await.details, 0);
    rig.parts.timeline.jump(QUIET / 2);
    // Woken at once; only when no message can come any more is it known that they were lost.
    let all = contents.charges + contents.refunds;
    let swept = rig.sweep().await;
    assert_eq!((swept.details, swept.details_on_time), (0, all));
    rig.messages().await;
    rig.parts.timeline.jump(LATE);
    let swept = rig.sweep().await;
    assert_eq!((swept.details, swept.details_on_time), (all, 0));
    assert!(swept.complete);
    // Another sweep wakes them once more, which sends nothing twice.
    rig.sweep().await;
    rig.settle().await;
    rig.audit(&[file]).await;
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.replays), (contents.charges, 0));
}

#[tokio::test]
async fn while_the_queue_is_long_a_quiet_batch_is_left_to_its_messages() {
    let mut settings = Settings::default();
    settings.sweep.queue_long = 2;
    let rig = Rig::with(settings, 1).await;
    let (bytes, _) = text::generated("LONG", 2, 1, 75, 0);
    let file = rig.take("long.xml", bytes).await;
    assert!(rig.parts.counts(DETAILS).ready >= 2);
    rig.parts.timeline.jump(QUIET);
    assert_eq!(rig.sweep().await.details, 0);
    rig.parts.timeline.jump(Duration::from_hours(1));
    assert_eq!(rig.sweep().await.details_on_time, 75);
    rig.settle().await;
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_detail_of_a_worker_that_died_is_woken_when_its_lease_is_over() {
    let rig = Rig::start().await;
    let records = [text::charge("SO-1", "1.00"), text::charge("SO-2", "2.00")];
    let file = rig.take("died.xml", text::one_batch("B-1", &records)).await;
    rig.messages().await;
    let until = rig.parts.timeline.now() + TimeDelta::minutes(10);
    rig.change(file, 1, 1, |lease| {
        lease.lease_until = Some(until);
        lease.attempted_at = Some(until - TimeDelta::minutes(10));
    })
    .await;
    rig.parts.timeline.jump(QUIET);
    assert_eq!(rig.sweep().await.details_on_time, 1);
    rig.settle().await;
    assert_eq!(
        rig.detail(file, 1, 1).await.status,
        DetailStatus::Unprocessed
    );
    rig.parts.timeline.jump(Duration::from_mins(10));
    assert_eq!(rig.sweep().await.details_on_time, 1);
    rig.settle().await;
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn what_was_never_put_off_is_counted_as_swept_only_when_its_message_cannot_come_any_more() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(3)).await;
    rig.messages().await;
    let moment = Duration::from_secs(10);
    rig.parts.timeline.jump(QUIET + LATE.saturating_sub(moment));
    let swept = rig.sweep().await;
    assert_eq!((swept.details, swept.details_on_time), (0, 3));
    rig.parts.timeline.jump(moment);
    let swept = rig.sweep().await;
    assert_eq!((swept.details, swept.details_on_time), (3, 0));
    assert_eq!(counted(&rig), (3, 3));
    rig.settle().await;
    rig.audit(&[file]).await;
}

/// What the sweeper has counted: as standing still, and as woken on time.
fn counted(rig: &Rig) -> (u64, u64) {
    let sum = |metric| rig.counted.sweep.sum(metric);
    (sum(Metric::Swept), sum(Metric::DetailsWoken))
}

#[tokio::test]
async fn a_detail_that_is_due_later_than_a_queue_can_hold_is_woken_when_it_is_due_and_not_counted_as_swept()
 {
    let settings = Settings {
        process: ProcessOptions {
            retry_first: Duration::from_hours(1),
            ..ProcessOptions::default()
        },
        ..Settings::default()
    };
    let rig = Rig::with(settings, 1).await;
    rig.set_faults(json!({"errors": {"503": 1.0}}));
    let file = taken(&rig, &charges(3)).await;
    rig.settle().await;
    let due = |detail: Detail| detail.next_attempt_at.unwrap();
    let mut dues = Vec::new();
    for line in 1..=3 {
        dues.push(due(rig.detail(file, 1, line).await));
    }
    let (first, last) = (*dues.iter().min().unwrap(), *dues.iter().max().unwrap());
    let jump_to = |at: DateTime<Utc>| {
        let ahead = (at - rig.parts.timeline.now()).to_std().unwrap();
        rig.parts.timeline.jump(ahead);
    };
    rig.set_faults(json!({}));
    jump_to(first - TimeDelta::seconds(5));
    let swept = rig.sweep().await;
    assert_eq!((swept.details, swept.details_on_time), (0, 0));
    jump_to(last);
    let swept = rig.sweep().await;
    assert_eq!((swept.details, swept.details_on_time), (0, 3));
    assert_eq!(counted(&rig), (0, 3));
    rig.settle().await;
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_detail_whose_message_is_due_is_left_to_it_for_as_long_as_it_may_take_and_swept_after_that()
 {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(1)).await;
    rig.messages().await;
    // Put off by ten minutes, by a breaker for example: its message may come two and a half late.
    let due = rig.parts.timeline.now() + TimeDelta::minutes(10);
    rig.change(file, 1, 1, |lease| lease.next_attempt_at = Some(due))
        .await;
    rig.parts.timeline.jump(Duration::from_mins(10));
    let moment = Duration::from_secs(10);
    let late = QUIET + Duration::from_mins(10) / 4;
    rig.parts.timeline.jump(late.saturating_sub(moment));
    assert_eq!(rig.sweep().await.details, 0);
    rig.parts.timeline.jump(moment);
    assert_eq!(rig.sweep().await.details, 1);
    assert_eq!(counted(&rig), (1, 0));
    rig.settle().await;
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_batch_whose_file_has_just_come_to_its_queue_does_not_stand_still() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(1)).await;
    rig.parts.timeline.jump(QUIET);
    // Its batches are as old as the reading of the file, which may take long.
    let mut read = rig.file(file).await;
    read.processed_at = Some(rig.parts.timeline.now());
    rig.parts.store.save_file(&mut read).await.unwrap();
    assert_eq!(rig.sweep().await.details_on_time, 0);
    rig.parts.timeline.jump(QUIET);
    assert_eq!(rig.sweep().await.details_on_time, 1);
}

#[tokio::test]
async fn a_task_that_lost_its_message_is_woken_and_counted_as_swept() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(3)).await;
    rig.messages().await;
    begun(&rig, file, BatchAction::Cancel).await;
    assert_eq!(rig.sweep().await.tasks, 0);
    rig.parts.timeline.jump(QUIET);
    let swept = rig.sweep().await;
    assert_eq!((swept.tasks, swept.details), (1, 0));
    assert_eq!(counted(&rig), (1, 0));
    rig.settle().await;
    assert_eq!(rig.batch(file, 1).await.counters.cancelled, 3);
}

#[tokio::test]
async fn two_sweeps_at_once_wake_what_stands_still_and_nothing_is_sent_twice_or_ended_twice() {
    let rig = Rig::start().await;
    let still = taken(&rig, &charges(30)).await;
    let records = [text::charge("SO-1", "1.00")];
    let file = text::file(&[text::batch("DONE-1", text::SELLERS[0], &records)]);
    let done = rig.take("done.xml", file).await;
    rig.messages().await;
    rig.parts.timeline.jump(QUIET);
    tokio::join!(rig.sweep(), rig.sweep(), rig.sweep());
    rig.settle().await;
    rig.audit(&[still, done]).await;
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.replays), (31, 0));
    rig.parts.reopen(rig.batch(done, 1).await.id).await;
    rig.parts.timeline.jump(QUIET);
    let (one, other) = tokio::join!(rig.sweep(), rig.sweep());
    assert_eq!(one.batches_completed + other.batches_completed, 1);
    rig.audit(&[still, done]).await;
}

#[tokio::test]
async fn a_batch_that_is_done_but_was_not_ended_is_ended() {
    let rig = Rig::start().await;
    let records = [
        text::charge("SO-1", "1.00"),
        text::wrong_charge("SO-2", "1.00"),
    ];
    let file = rig
        .take("ended.xml", text::one_batch("B-1", &records))
        .await;
    rig.settle().await;
    assert_eq!(rig.batch(file, 1).await.status, BatchStatus::Error);
    // As it was just before its last worker ended it.
    rig.parts.reopen(rig.batch(file, 1).await.id).await;
    assert_eq!(rig.batch(file, 1).await.status, BatchStatus::Unprocessed);
    rig.parts.timeline.jump(QUIET);
    let swept = rig.sweep().await;
    assert_eq!((swept.batches_completed, swept.details), (1, 0));
    assert_eq!(rig.batch(file, 1).await.status, BatchStatus::Error);
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_file_whose_event_was_lost_is_taken() {
    let rig = Rig::start().await;
    let bytes = text::one_batch("B-1", &[text::charge("SO-1", "1.00")]);
    let object = rig.parts.put("stored.xml", bytes).await;
    let uploader = &rig.upload.uploader;
    let file = uploader.register(object, &correlation()).await.unwrap().id;
    assert_eq!(rig.sweep().await.files, 0);
    rig.parts.timeline.jump(QUIET);
    assert_eq!(rig.sweep().await.files, 1);
    assert_eq!(rig.parts.counts(UPLOADS).ready, 1);
    rig.upload_messages().await;
    assert_eq!(rig.file(file).await.status, FileStatus::Processed);
    rig.settle().await;
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_file_that_somebody_works_on_is_left_alone_until_the_lease_is_over() {
    let rig = Rig::start().await;
    let bytes = text::one_batch("B-1", &[text::charge("SO-1", "1.00")]);
    let object = rig.parts.put("leased.xml", bytes).await;
    let uploader = &rig.upload.uploader;
    let mut file = uploader.register(object, &correlation()).await.unwrap();
    file.lease_until = Some(rig.parts.timeline.now() + TimeDelta::minutes(10));
    rig.parts.store.save_file(&mut file).await.unwrap();
    rig.parts.timeline.jump(QUIET);
    assert_eq!(rig.sweep().await.files, 0);
    rig.parts.timeline.jump(Duration::from_mins(10));
    assert_eq!(rig.sweep().await.files, 1);
    rig.upload_messages().await;
    rig.settle().await;
    rig.audit(&[file.id]).await;
}

#[tokio::test]
async fn where_nothing_stands_still_a_sweep_does_nothing() {
    let rig = Rig::start().await;
    let (bytes, _) = text::generated("DONE", 2, 2, 30, 10);
    let file = rig.take("done.xml", bytes).await;
    rig.settle().await;
    rig.parts.timeline.jump(Duration::from_hours(24));
    let swept = rig.sweep().await;
    assert_eq!(
        (swept.files, swept.details, swept.batches_completed),
        (0, 0, 0)
    );
    assert_eq!(rig.parts.counts(DETAILS).ready, 0);
    rig.audit(&[file]).await;
}
