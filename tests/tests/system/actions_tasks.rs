//! What is done to a whole batch: from the note on it until nothing is left to do, whoever does it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::json;
use weir_domain::{BatchAction, BatchStatus, DetailStatus, FileId};
use weir_runtime::Clock;
use weir_settlement::TimeLimit;
use weir_settlement::actions::{ActionError, Asked, TaskProgress};
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};
use weir_tests::parts::{DETAILS, Network, Parts};
use weir_tests::rig::{Rig, Settings};
use weir_tests::{drafts, text};

use super::actions_hand::{
    act, act_on, asked, assert_in_step, begun, charges, history, ids, refused_charges, taken,
};

use BatchAction as Do;
use DetailStatus as Is;

/// After how long something counts as standing still.
const QUIET: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_batch_that_is_cancelled_before_it_is_sent_charges_nobody_and_says_who_did_it() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(70)).await;
    let messages = rig.messages().await;
    let batch = act(&rig, file, Do::Cancel).await.unwrap();
    assert_eq!(
        (batch.status, batch.counters.cancelled),
        (BatchStatus::Processed, 70)
    );
    assert_eq!(batch.user_updated_by.as_deref(), Some("ann (1)"));
    for message in &messages {
        rig.process(message).await.unwrap();
    }
    assert_eq!(rig.requests(), 0);
    for line in [1, 34, 70] {
        let events = history(&rig, file, line).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].name, "Cancelled");
        assert_eq!(events[0].actor.as_deref(), Some("ann (1)"));
        assert_eq!(events[0].correlation_id, "asked-by-ann");
        let detail = &events[0].detail;
        assert_eq!(detail.user_updated_by.as_deref(), Some("ann (1)"));
        assert!(detail.user_updated_at.is_some());
    }
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_cancel_of_the_batch_waits_for_the_calls_that_are_under_way() {
    let rig = Rig::with(Settings::default(), 10).await;
    rig.set_faults(json!({"latency": {"min_ms": 2_000, "max_ms": 2_000}}));
    let file = taken(&rig, &charges(30)).await;
    let messages = rig.messages().await;
    let (first, second) = (&messages[0], &messages[1]);
    let (processed, cancelled) = tokio::join!(rig.process(first), async {
        requested(&rig, 3).await;
        act(&rig, file, Do::Cancel).await.unwrap()
    });
    processed.unwrap();
    let sent = rig.requests();
    assert_eq!(cancelled.counters.unprocessed, 0, "{cancelled:#?}");
    rig.process(second).await.unwrap();
    assert_eq!(rig.requests(), sent);
    let settled = cancelled.counters.details - cancelled.counters.cancelled;
    assert_eq!((settled, cancelled.counters.error), (sent, 0));
    assert_eq!(rig.parts.simulator.summary().charges, sent);
    assert_in_step(&rig, file).await;
}

/// Waits until 3Rivers has had so many requests.
async fn requested(rig: &Rig, count: u64) {
    for _ in 0..30_000 {
        if rig.requests() >= count {
            return;
        }
        Clock::system().sleep(Duration::from_millis(1)).await;
    }
    panic!("{} requests of {count}", rig.requests());
}

/// When each call of a batch was begun.
async fn calls_begun(rig: &Rig, file: FileId) -> Vec<DateTime<Utc>> {
    let mut begun = Vec::new();
    for line in rig.batch(file, 1).await.lines() {
        let events = history(rig, file, line.get()).await;
        begun.extend(
            events
                .iter()
                .flat_map(|event| event.calls.iter().map(|call| call.at)),
        );
    }
    begun
}

/// Processes a batch one call at a time while it is cancelled, through tables that take up to `slow`
/// for an answer, and asserts that no call is begun later than a second after the cancel's answer.
async fn cancel_amid_calls(slow: Duration) {
    let network = Network::new().await;
    let parts = Parts::start(&network, 3, 10).await;
    let always = Rates::default().of(Service::Dynamodb, &[(Fault::Slow, 1_000)]);
    let clock = parts.timeline.clock().clone();
    let slow = FaultyClient::new(
        network.aws.clone(),
        always,
        parts.random.clone(),
        clock,
        slow,
    );
    slow.hold(true);
    let mut settings = Settings::default();
    settings.process.calls_max = 1;
    let mut rig = Rig::on(parts, settings, slow.shared()).await;
    // Whoever cancels is not slow.
    rig.process.actions.store = rig.parts.store.clone();
    rig.set_faults(json!({"latency": {"min_ms": 700, "max_ms": 700}}));
    let file = taken(&rig, &charges(25)).await;
    let messages = rig.messages().await;
    slow.hold(false);
    let (processed, answered_at) = tokio::join!(rig.process(&messages[0]), async {
        requested(&rig, 2).await;
        let limit = TimeLimit::after(Duration::from_secs(4), rig.parts.timeline.clock());
        let batch = rig.batch(file, 1).await;
        let actions = &rig.process.actions;
        let acted = actions
            .act_on_all(&batch, Do::Cancel, &asked(), &limit)
            .await;
        acted.unwrap();
        rig.parts.timeline.now()
    });
    processed.unwrap();
    slow.heal().await;
    rig.settle().await;
    let calls = calls_begun(&rig, file).await;
    let last = calls.iter().max().unwrap();
    // Where the time passes ten times as fast, a moment's delay of the machine counts ten times.
    let slack = TimeDelta::milliseconds(500);
    assert!(
        *last <= answered_at + TimeDelta::seconds(1) + slack,
        "{last} {answered_at}"
    );
    assert!(calls.len() < 25);
    let batch = rig.batch(file, 1).await;
    assert_eq!(batch.counters.unprocessed, 0);
    assert!(batch.counters.cancelled > 0);
    assert_in_step(&rig, file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_second_after_its_answer_a_cancel_of_the_batch_lets_no_call_begin() {
    Box::pin(cancel_amid_calls(Duration::from_millis(1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_answer_late_let_no_call_begin_that_a_cancel_forbids() {
    Box::pin(cancel_amid_calls(Duration::from_millis(2_500))).await;
}

#[tokio::test]
async fn a_task_that_nobody_goes_on_with_is_carried_on_by_the_sweeper() {
    for action in [Do::Cancel, Do::Retry] {
        let rig = Rig::start().await;
        let file = taken(&rig, &refused_charges(40)).await;
        rig.settle().await;
        begun(&rig, file, action).await;
        rig.sweep().await;
        rig.settle().await;
        assert!(rig.batch(file, 1).await.task.is_some());
        rig.parts.timeline.jump(QUIET);
        rig.sweep().await;
        assert_eq!(rig.parts.counts(DETAILS).ready, 1);
        rig.settle().await;
        assert_in_step(&rig, file).await;
        let events = history(&rig, file, 40).await;
        assert_eq!(events.len(), if action == Do::Cancel { 2 } else { 3 });
        assert_eq!(events[1].actor.as_deref(), Some("ann (1)"));
        assert_eq!(events[1].correlation_id, "asked-by-ann");
    }
}

#[tokio::test]
async fn a_task_that_runs_out_of_time_is_carried_on_by_a_message() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(80)).await;
    rig.messages().await;
    let batch = rig.batch(file, 1).await;
    let limit = TimeLimit::after(Duration::from_secs(3), rig.parts.timeline.clock());
    let actions = &rig.process.actions;
    let acted = actions
        .act_on_all(&batch, Do::Cancel, &asked(), &limit)
        .await;
    let acted = acted.unwrap();
    assert_eq!(acted.counters.cancelled, 0);
    assert_eq!(acted.task.unwrap().action, Do::Cancel);
    rig.settle().await;
    assert_eq!(rig.batch(file, 1).await.counters.cancelled, 80);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_cancel_whose_call_never_ends_is_carried_on_when_the_lease_is_over() {
    let rig = Rig::with(Settings::default(), 20).await;
    let file = taken(&rig, &charges(3)).await;
    rig.messages().await;
    let until = rig.parts.timeline.now() + TimeDelta::seconds(90);
    rig.change(file, 1, 2, |lease| {
        lease.lease_until = Some(until);
        lease.attempted_at = Some(until - TimeDelta::seconds(90));
    })
    .await;
    let acted = act(&rig, file, Do::Cancel).await.unwrap();
    assert_eq!(
        (acted.counters.cancelled, acted.counters.unprocessed),
        (2, 1)
    );
    assert!(acted.task.is_some());
    rig.settle().await;
    assert!(rig.parts.timeline.now() >= until);
    assert_eq!(
        rig.statuses(file).await,
        [[Is::Cancelled, Is::Error, Is::Cancelled]]
    );
    assert_in_step(&rig, file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_runners_of_a_task_change_each_detail_once() {
    for action in [Do::Cancel, Do::Retry, Do::ConfirmDrafts, Do::CancelDrafts] {
        let rig = Rig::start().await;
        let file = taken(&rig, &refused_charges(70)).await;
        rig.settle().await;
        let batch = rig.batch(file, 1).await;
        let mut expected = 2;
        if matches!(action, Do::ConfirmDrafts | Do::CancelDrafts) {
            expected += 1;
            let clock = rig.parts.timeline.clock();
            for line in 1..=70 {
                let mended = text::charge(&format!("MO-{line}"), "2.00");
                let drafted = drafts::write(&rig.parts.store, clock, &batch, line, &mended);
                drafted.await.unwrap();
            }
        }
        begun(&rig, file, action).await;
        let limit = rig.limit();
        let actions = &rig.process.actions;
        let runners = join_all((0..5).map(|_| actions.go_on(batch.id, &limit)));
        for progress in runners.await {
            assert_eq!(progress.unwrap(), TaskProgress::Done);
        }
        for line in 1..=70 {
            assert_eq!(history(&rig, file, line).await.len(), expected, "{action}");
        }
        rig.settle().await;
        assert_in_step(&rig, file).await;
        let charged = if action == Do::ConfirmDrafts { 70 } else { 0 };
        assert_eq!(rig.parts.simulator.summary().charges, charged);
    }
}

#[tokio::test]
async fn while_a_task_goes_on_nothing_else_is_done_to_its_batch_by_hand() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(3)).await;
    rig.settle().await;
    let before = rig.batch(file, 1).await;
    begun(&rig, file, Do::Retry).await;
    for action in [Do::Retry, Do::Revive, Do::ConfirmDrafts, Do::CancelDrafts] {
        let busy = Err(ActionError::Busy(Do::Retry));
        assert_eq!(act(&rig, file, action).await, busy);
        assert_eq!(act_on(&rig, file, action, &[1]).await, busy);
        // Also where the batch was read before the task was begun.
        let actions = &rig.process.actions;
        let late = actions
            .act_on(&before, Do::Retry, &ids(&before, &[1]).into(), &asked())
            .await;
        assert_eq!(late, busy);
        if action == Do::Retry {
            let late = actions
                .act_on_all(&before, action, &asked(), &rig.limit())
                .await;
            assert_eq!(late, busy);
        }
    }
    let actions = &rig.process.actions;
    assert_eq!(
        actions.retake(&before, &asked()).await,
        Err(ActionError::Busy(Do::Retry))
    );
    let mended = text::charge("SO-1", "2.00");
    let clock = rig.parts.timeline.clock();
    let drafted = drafts::write(&rig.parts.store, clock, &before, 1, &mended).await;
    assert!(
        matches!(drafted, Err(drafts::NotDrafted::Store(_))),
        "{drafted:?}"
    );
    assert_eq!(rig.statuses(file).await, [[Is::Error; 3]]);
    // The batch is found as long as the task stands, though it was done.
    assert_eq!(rig.batch(file, 1).await.status, BatchStatus::Error);
    let open = rig.parts.store.open_batches(None).await.unwrap();
    assert_eq!(open, [before.id]);
    let done = actions.go_on(before.id, &rig.limit()).await.unwrap();
    assert_eq!(done, TaskProgress::Done);
    assert_eq!(rig.statuses(file).await, [[Is::Unprocessed; 3]]);
    rig.settle().await;
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_cancel_takes_the_place_of_a_retry_that_is_going_on() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(40)).await;
    rig.settle().await;
    begun(&rig, file, Do::Retry).await;
    let batch = act(&rig, file, Do::Cancel).await.unwrap();
    assert_eq!((batch.counters.cancelled, batch.task), (40, None));
    // What carries the retry on finds nothing to do.
    let actions = &rig.process.actions;
    let progress = actions.go_on(batch.id, &rig.limit()).await;
    assert_eq!(progress, Ok(TaskProgress::Done));
    let requests = rig.requests();
    rig.settle().await;
    assert_eq!(rig.requests(), requests);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_request_that_was_told_to_try_again_does_all_of_it_then() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(3)).await;
    rig.settle().await;
    let request = Asked {
        id: Some(rig.parts.random.uuid_v7(rig.parts.timeline.now())),
        ..asked()
    };
    let actions = &rig.process.actions;
    let limit = rig.limit();
    begun(&rig, file, Do::Cancel).await;
    let batch = rig.batch(file, 1).await;
    let revive = actions.act_on_all(&batch, Do::Revive, &request, &limit);
    assert_eq!(revive.await, Err(ActionError::Busy(Do::Cancel)));
    actions.go_on(batch.id, &rig.limit()).await.unwrap();
    let batch = rig.batch(file, 1).await;
    assert_eq!(batch.counters.cancelled, 3);
    let revive = actions.act_on_all(&batch, Do::Revive, &request, &limit);
    let revived = revive.await.unwrap();
    assert_eq!(
        (revived.counters.cancelled, revived.counters.unprocessed),
        (0, 3)
    );
    // Once more, it has been done.
    let batch = act(&rig, file, Do::Cancel).await.unwrap();
    let again = actions.act_on_all(&batch, Do::Revive, &request, &limit);
    again.await.unwrap();
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_batch_that_was_taken_meanwhile_is_not_taken_again() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(2)).await;
    let batch = rig.batch(file, 1).await;
    let actions = &rig.process.actions;
    let retaken = actions.retake(&batch, &asked()).await;
    assert!(matches!(retaken, Err(ActionError::Busy(_))), "{retaken:?}");
    assert_eq!(rig.batch(file, 1).await.counters, batch.counters);
    rig.settle().await;
    assert_in_step(&rig, file).await;
}
