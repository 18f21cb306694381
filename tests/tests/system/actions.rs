//! What people do to batches and details, beside whatever else goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;
use weir_domain::{BatchAction, BatchStatus, DetailStatus, EventNumber, FileId, LineNumber};
use weir_runtime::Clock;
use weir_settlement::TimeLimit;
use weir_settlement::actions::{ActionError, Asked, NamedRefusal, Refusal, TaskProgress};
use weir_settlement::upload::Progress;
use weir_store::{Batch, BatchTask, Detail, Event};
use weir_tests::drafts;
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};
use weir_tests::parts::{DETAILS, Network, Parts};
use weir_tests::rig::{Rig, Settings};
use weir_tests::text;

use BatchAction as Do;
use DetailStatus as Is;

/// After how long something counts as standing still.
const QUIET: Duration = Duration::from_mins(3);

fn asked() -> Asked {
    Asked {
        actor: "ann (1)".to_owned(),
        correlation_id: "asked-by-ann".to_owned(),
        id: None,
        since: None,
    }
}

async fn act(rig: &Rig, file: FileId, action: Do) -> Result<Batch, ActionError> {
    let batch = rig.batch(file, 1).await;
    let actions = &rig.process.actions;
    actions
        .act_on_all(&batch, action, &asked(), &rig.limit())
        .await
}

async fn act_on(rig: &Rig, file: FileId, action: Do, lines: &[u32]) -> Result<Batch, ActionError> {
    let batch = rig.batch(file, 1).await;
    let ids = ids(&batch, lines);
    let actions = &rig.process.actions;
    actions.act_on(&batch, action, &ids, &asked()).await
}

fn ids(batch: &Batch, lines: &[u32]) -> Vec<Uuid> {
    let id = |line: &u32| batch.id.detail(LineNumber::new(*line).unwrap()).uuid();
    lines.iter().map(id).collect()
}

/// A file with these records, taken; its messages are on the queue.
async fn taken(rig: &Rig, records: &[String]) -> FileId {
    let file = text::one_batch("B-1", records);
    rig.take("actions.xml", file).await
}

fn charges(count: u32) -> Vec<String> {
    (1..=count)
        .map(|line| text::charge(&format!("SO-{line}"), "12.50"))
        .collect()
}

/// Charges that 3Rivers refuses.
fn refused_charges(count: u32) -> Vec<String> {
    (1..=count)
        .map(|line| text::charge_of(text::UNKNOWN_BUYER, &format!("SO-{line}"), "12.50"))
        .collect()
}

/// Everything that happened to a detail, in order.
async fn history(rig: &Rig, file: FileId, line: u32) -> Vec<Event> {
    let batch = rig.batch(file, 1).await;
    let detail = rig.detail(file, 1, line).await;
    let numbers: Vec<_> = (1..=detail.events)
        .map(|number| (detail.line(), EventNumber::new(number).unwrap()))
        .collect();
    let events = rig.parts.store.events(&batch.place(), &numbers).await;
    let events = events.unwrap();
    assert_eq!(events.len(), numbers.len(), "{detail:#?}");
    events
}

/// Asserts that a batch's counters and status are those of its details, and that nothing is done to
/// the whole of it.
async fn assert_in_step(rig: &Rig, file: FileId) {
    let batch = rig.batch(file, 1).await;
    let mut counted = weir_domain::Counters::default();
    for line in batch.lines() {
        let detail = rig.detail(file, 1, line.get()).await;
        counted.add(detail.status, detail.has_draft());
    }
    assert_eq!(batch.counters, counted);
    assert_eq!(batch.status, BatchStatus::of(&counted), "{batch:#?}");
    assert_eq!(batch.task, None);
    let is_open = rig.parts.store.open_batches(None).await.unwrap();
    assert_eq!(
        is_open.contains(&batch.id),
        batch.status == BatchStatus::Unprocessed
    );
}

/// Notes a task on the batch, and nothing more: as if whoever did it had died there.
async fn begun(rig: &Rig, file: FileId, action: Do) -> BatchTask {
    let task = BatchTask {
        id: rig.parts.random.uuid_v4(),
        action,
        actor: "ann (1)".to_owned(),
        correlation_id: "asked-by-ann".to_owned(),
        at: rig.parts.timeline.now(),
        next_line: 1,
        checkpoint: None,
    };
    let batch = rig.batch(file, 1).await;
    assert!(rig.parts.store.begin_task(batch.id, &task).await.unwrap());
    task
}

fn refusals(error: &ActionError) -> Vec<NamedRefusal> {
    match error {
        ActionError::Refused(refused) => refused.iter().map(|(_, why)| *why).collect(),
        other => panic!("{other:?}"),
    }
}

fn step(refusal: Refusal) -> NamedRefusal {
    NamedRefusal::Step(refusal)
}

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
    cancel_amid_calls(Duration::from_millis(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_answer_late_let_no_call_begin_that_a_cancel_forbids() {
    cancel_amid_calls(Duration::from_millis(2_500)).await;
}

#[tokio::test]
async fn a_detail_that_may_have_been_taken_is_never_shown_as_cancelled_by_a_cancel_of_the_batch() {
    let rig = Rig::with(Settings::default(), 20).await;
    let file = taken(&rig, &charges(3)).await;
    rig.set_faults(json!({"cut_after_commit": 1}));
    rig.process_messages().await;
    rig.set_faults(json!({}));
    // Whoever names such a detail is told to wait for what comes of it.
    let error = act_on(&rig, file, Do::Cancel, &[1, 2]).await.unwrap_err();
    assert_eq!(refusals(&error), [step(Refusal::CallUnknown); 2]);
    let batch = act(&rig, file, Do::Cancel).await.unwrap();
    assert_eq!((batch.counters.error, batch.counters.cancelled), (3, 0));
    let detail = rig.detail(file, 1, 1).await;
    assert_eq!(detail.error_code.as_deref(), Some("bcs.outcome_unknown"));
    assert!(detail.attempted_at.is_some());
    assert_in_step(&rig, file).await;
    // A retry of the whole batch leaves it, as does a cancel; one by its id takes it up again.
    for action in [Do::Retry, Do::Cancel] {
        act(&rig, file, action).await.unwrap();
        assert_eq!(rig.statuses(file).await, [[Is::Error; 3]]);
    }
    let batch = act_on(&rig, file, Do::Retry, &[1]).await.unwrap();
    assert_eq!(batch.status, BatchStatus::Unprocessed);
    assert_eq!(rig.detail(file, 1, 1).await.attempted_at, None);
    rig.settle().await;
    assert_eq!(rig.detail(file, 1, 1).await.status, Is::Processed);
    // One that a person has found not to be there is cancelled by its id.
    act_on(&rig, file, Do::Cancel, &[2]).await.unwrap();
    assert_eq!(rig.detail(file, 1, 2).await.status, Is::Cancelled);
    act(&rig, file, Do::Revive).await.unwrap();
    assert_eq!(rig.detail(file, 1, 2).await.status, Is::Cancelled);
    assert_eq!(rig.parts.simulator.summary().duplicates, 0);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_retry_of_the_batch_is_for_what_is_in_error_and_can_be_sent() {
    let rig = Rig::start().await;
    let mut records = refused_charges(3);
    records.push(text::wrong_charge("SO-4", "1.00"));
    records.push(text::charge("SO-5", "1.00"));
    records.extend(refused_charges(1));
    let file = taken(&rig, &records).await;
    rig.settle().await;
    act_on(&rig, file, Do::Cancel, &[2]).await.unwrap();
    let batch = rig.batch(file, 1).await;
    let clock = rig.parts.timeline.clock();
    let mended = text::charge("SO-3", "2.00");
    let drafted = drafts::write(&rig.parts.store, clock, &batch, 3, &mended).await;
    drafted.unwrap();
    let batch = act(&rig, file, Do::Retry).await.unwrap();
    let expected = [
        Is::Unprocessed,
        Is::Cancelled,
        Is::Error,
        Is::Error,
        Is::Processed,
        Is::Unprocessed,
    ];
    assert_eq!(rig.statuses(file).await, [expected]);
    assert_eq!((batch.counters.unprocessed, batch.counters.draft), (2, 1));
    // What was cancelled is sent again where that is asked for.
    act(&rig, file, Do::Revive).await.unwrap();
    assert_eq!(rig.detail(file, 1, 2).await.status, Is::Unprocessed);
    assert_eq!(rig.detail(file, 1, 2).await.retry_count, 0);
    rig.settle().await;
    assert_in_step(&rig, file).await;
    let names: Vec<_> = history(&rig, file, 1)
        .await
        .into_iter()
        .map(|event| event.name)
        .collect();
    assert_eq!(names, ["Rejected", "Retried", "Rejected"]);
    for (line, why) in [(3, Refusal::HasDraft), (4, Refusal::NothingToSend)] {
        let error = act_on(&rig, file, Do::Retry, &[line]).await.unwrap_err();
        assert_eq!(refusals(&error), [step(why)]);
    }
}

#[tokio::test]
async fn where_one_of_the_named_details_cannot_be_changed_none_is_and_each_is_told() {
    let rig = Rig::start().await;
    let mut records = refused_charges(50);
    records[6] = text::charge("SO-7", "1.00");
    let file = taken(&rig, &records).await;
    rig.settle().await;
    let batch = rig.batch(file, 1).await;
    let mut named = ids(&batch, &(1..=50).collect::<Vec<_>>());
    // Of another batch, of no line, no detail's id at all.
    let others = [
        batch
            .id
            .file()
            .batch(2.try_into().unwrap())
            .detail(LineNumber::new(1).unwrap())
            .uuid(),
        batch.id.detail(LineNumber::new(51).unwrap()).uuid(),
        Uuid::from_u128(3),
    ];
    named.extend(others);
    let actions = &rig.process.actions;
    let error = actions
        .act_on(&batch, Do::Retry, &named, &asked())
        .await
        .unwrap_err();
    let ActionError::Refused(refused) = error else {
        panic!("{error:?}");
    };
    let settled = ids(&batch, &[7])[0];
    let told: BTreeSet<Uuid> = refused.iter().map(|(id, _)| *id).collect();
    assert_eq!(told, others.into_iter().chain([settled]).collect());
    for (id, why) in refused {
        let expected = if id == settled {
            step(Refusal::Settled)
        } else {
            NamedRefusal::NotInBatch
        };
        assert_eq!(why, expected);
    }
    assert_eq!(rig.batch(file, 1).await, batch);
    assert_eq!(history(&rig, file, 1).await.len(), 1);
}

#[tokio::test]
async fn a_detail_that_is_named_twice_is_changed_once() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(40)).await;
    rig.settle().await;
    let mut lines: Vec<u32> = (1..=40).collect();
    lines.extend(1..=40);
    let batch = act_on(&rig, file, Do::Cancel, &lines).await.unwrap();
    assert_eq!((batch.counters.cancelled, batch.counters.error), (40, 0));
    assert_eq!(history(&rig, file, 40).await.len(), 2);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_named_detail_on_its_way_is_not_cancelled() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(2)).await;
    rig.messages().await;
    let until = rig.parts.timeline.now() + TimeDelta::seconds(60);
    rig.change(file, 1, 2, |lease| lease.lease_until = Some(until))
        .await;
    let error = act_on(&rig, file, Do::Cancel, &[1, 2]).await.unwrap_err();
    assert_eq!(refusals(&error), [step(Refusal::OnItsWay)]);
    assert_eq!(rig.statuses(file).await, [[Is::Unprocessed; 2]]);
    rig.parts.timeline.jump(Duration::from_secs(61));
    act_on(&rig, file, Do::Cancel, &[1, 2]).await.unwrap();
    assert_eq!(rig.statuses(file).await, [[Is::Cancelled; 2]]);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn while_a_task_goes_on_nothing_else_is_done_to_its_batch_by_hand() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(3)).await;
    rig.settle().await;
    let before = rig.batch(file, 1).await;
    begun(&rig, file, Do::Retry).await;
    for action in [
        Do::Cancel,
        Do::Retry,
        Do::Revive,
        Do::ConfirmDrafts,
        Do::CancelDrafts,
    ] {
        let busy = Err(ActionError::Busy(Do::Retry));
        assert_eq!(act(&rig, file, action).await, busy);
        assert_eq!(act_on(&rig, file, action, &[1]).await, busy);
        // Also where the batch was read before the task was begun.
        let actions = &rig.process.actions;
        let late = actions
            .act_on(&before, Do::Retry, &ids(&before, &[1]), &asked())
            .await;
        assert_eq!(late, busy);
        if action == Do::Cancel || action == Do::Retry {
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
async fn details_that_are_retried_and_whose_messages_are_lost_are_woken_by_the_sweeper() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(40)).await;
    rig.settle().await;
    act(&rig, file, Do::Retry).await.unwrap();
    let lost = rig.messages().await;
    assert_eq!(
        lost.iter()
            .map(|message| message.lines.len())
            .sum::<usize>(),
        40
    );
    rig.parts.timeline.jump(QUIET);
    assert_eq!(rig.sweep().await.details, 40);
    rig.settle().await;
    assert_eq!(rig.statuses(file).await, [[Is::Error; 40]]);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_confirmed_draft_is_sent_under_a_key_of_its_own_and_found_by_its_order() {
    let rig = Rig::start().await;
    let mut records = refused_charges(2);
    records.push(text::refund("MO-1", "1.00"));
    let file = taken(&rig, &records).await;
    rig.process_messages().await;
    let batch = rig.batch(file, 1).await;
    let clock = rig.parts.timeline.clock();
    for line in [1, 2] {
        let mended = text::charge(&format!("MO-{line}"), "2.00");
        drafts::write(&rig.parts.store, clock, &batch, line, &mended)
            .await
            .unwrap();
    }
    let batch = rig.batch(file, 1).await;
    assert_eq!((batch.counters.draft, batch.counters.error), (2, 2));
    act_on(&rig, file, Do::CancelDrafts, &[2]).await.unwrap();
    let error = act_on(&rig, file, Do::ConfirmDrafts, &[1, 2])
        .await
        .unwrap_err();
    assert_eq!(refusals(&error), [step(Refusal::NoDraft)]);
    let batch = act(&rig, file, Do::ConfirmDrafts).await.unwrap();
    assert_eq!((batch.counters.draft, batch.counters.error), (0, 1));
    let detail = rig.detail(file, 1, 1).await;
    assert_eq!((detail.request_version, detail.draft_version), (2, None));
    assert_eq!(detail.order_number.as_deref(), Some("MO-1"));
    rig.settle().await;
    let names: Vec<_> = history(&rig, file, 1)
        .await
        .into_iter()
        .map(|event| event.name)
        .collect();
    assert_eq!(names, ["Rejected", "Drafted", "DraftConfirmed", "Accepted"]);
    assert_eq!(rig.detail(file, 1, 3).await.status, Is::Processed);
    let summary = rig.parts.simulator.summary();
    assert_eq!(
        (summary.charges, summary.refunds, summary.duplicates),
        (1, 1, 0)
    );
    // A number is used once, also when its draft was dropped.
    let again = text::charge("MO-2", "3.00");
    drafts::write(&rig.parts.store, clock, &batch, 2, &again)
        .await
        .unwrap();
    act(&rig, file, Do::ConfirmDrafts).await.unwrap();
    assert_eq!(rig.detail(file, 1, 2).await.request_version, 3);
    rig.settle().await;
    assert_in_step(&rig, file).await;
}

/// Everything of a detail that an action could change.
fn shown(detail: &Detail) -> (Is, u64, u32) {
    (detail.status, detail.version, detail.events)
}

#[tokio::test]
async fn a_settled_detail_never_changes_whatever_is_done_to_it() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(2)).await;
    rig.settle().await;
    let before = rig.detail(file, 1, 1).await;
    for action in [
        Do::Cancel,
        Do::Retry,
        Do::Revive,
        Do::ConfirmDrafts,
        Do::CancelDrafts,
    ] {
        let error = act_on(&rig, file, action, &[1]).await.unwrap_err();
        assert_eq!(refusals(&error), [step(Refusal::Settled)]);
        act(&rig, file, action).await.unwrap();
    }
    assert_eq!(shown(&rig.detail(file, 1, 1).await), shown(&before));
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_request_that_is_run_again_does_nothing_to_what_came_of_its_first_run() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(3)).await;
    rig.settle().await;
    let first = Asked {
        id: Some(rig.parts.random.uuid_v4()),
        ..asked()
    };
    let since = rig.parts.timeline.now();
    let actions = &rig.process.actions;
    let batch = rig.batch(file, 1).await;
    actions
        .act_on_all(&batch, Do::Retry, &first, &rig.limit())
        .await
        .unwrap();
    rig.settle().await;
    let again = Asked {
        since: Some(since),
        ..first
    };
    let batch = rig.batch(file, 1).await;
    actions
        .act_on_all(&batch, Do::Retry, &again, &rig.limit())
        .await
        .unwrap();
    let named = ids(&batch, &[1, 2]);
    actions
        .act_on(&batch, Do::Retry, &named, &again)
        .await
        .unwrap();
    rig.settle().await;
    for line in 1..=3 {
        assert_eq!(history(&rig, file, line).await.len(), 3);
    }
    assert_in_step(&rig, file).await;
}

/// A file whose one batch is of a seller that nobody knows yet.
async fn untaken(rig: &Rig, records: &[String]) -> FileId {
    let file = text::file(&[text::batch("B-1", "LATE-1", records)]);
    let file = rig.take("untaken.xml", file).await;
    rig.settle().await;
    let batch = rig.batch(file, 1).await;
    assert_eq!(
        (batch.status, batch.counters.details),
        (BatchStatus::Error, 0)
    );
    file
}

async fn make_known(rig: &Rig) {
    let scope = weir_tests::parts::scope();
    let known = text::SELLERS[0].parse().unwrap();
    let store = &rig.parts.store;
    let like = store.seller_by_alternate_id(scope.program_id, &known).await;
    let mut seller = like.unwrap().unwrap();
    seller.id = rig.parts.random.uuid_v4().try_into().unwrap();
    seller.alternate_seller_id = Some("LATE-1".parse().unwrap());
    store.put_seller(&seller).await.unwrap();
}

async fn retake(rig: &Rig, file: FileId) -> Batch {
    let batch = rig.batch(file, 1).await;
    let batch = rig.process.actions.retake(&batch, &asked()).await.unwrap();
    assert_eq!(batch.status, BatchStatus::Unprocessed);
    assert_eq!(batch.task.as_ref().unwrap().action, Do::Retake);
    batch
}

#[tokio::test]
async fn a_batch_that_could_not_be_taken_is_taken_again_and_charged_once() {
    let rig = Rig::start().await;
    let file = untaken(&rig, &charges(30)).await;
    // In vain: the seller is as unknown as before.
    retake(&rig, file).await;
    rig.upload_messages().await;
    let batch = rig.batch(file, 1).await;
    assert_eq!((batch.status, &batch.task), (BatchStatus::Error, &None));
    assert!(batch.error_log.unwrap().contains("LATE-1"));
    make_known(&rig).await;
    let noted = retake(&rig, file).await;
    assert_eq!(
        rig.process.actions.retake(&noted, &asked()).await,
        Err(ActionError::Busy(Do::Retake))
    );
    // The message is lost; the sweeper has it gone on with. Several do.
    rig.parts.timeline.jump(QUIET);
    rig.sweep().await;
    let limit = rig.limit();
    let takers = join_all((0..3).map(|_| rig.upload.uploader.retake(noted.id, &limit)));
    for taken in takers.await {
        taken.unwrap();
    }
    rig.upload_messages().await;
    rig.settle().await;
    let batch = rig.batch(file, 1).await;
    assert_eq!(batch.user_updated_by.as_deref(), Some("ann (1)"));
    assert_eq!(
        (batch.status, batch.counters.details),
        (BatchStatus::Processed, 30)
    );
    assert_eq!(batch.error_log, None);
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.duplicates), (30, 0));
    assert_in_step(&rig, file).await;
    rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_batch_is_taken_again_in_as_many_runs_as_it_needs() {
    let rig = Rig::start().await;
    let file = untaken(&rig, &charges(6)).await;
    make_known(&rig).await;
    let batch = retake(&rig, file).await;
    rig.parts.timeline.jump(Duration::from_secs(1));
    let mut runs = 0;
    loop {
        let limit = TimeLimit::after(Duration::from_millis(1), rig.parts.timeline.clock());
        let progress = rig.upload.uploader.retake(batch.id, &limit).await.unwrap();
        runs += 1;
        if progress == Progress::Done {
            break;
        }
        assert!(runs < 20, "{:#?}", rig.batch(file, 1).await);
    }
    assert!(runs > 2, "{runs}");
    rig.parts.timeline.jump(QUIET);
    rig.sweep().await;
    rig.upload_messages().await;
    rig.settle().await;
    assert_eq!(rig.parts.simulator.summary().charges, 6);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_batch_whose_file_is_gone_is_in_error_again_and_says_so() {
    let rig = Rig::start().await;
    let file = untaken(&rig, &charges(2)).await;
    make_known(&rig).await;
    rig.parts
        .put("untaken.xml", text::one_batch("B-2", &charges(1)))
        .await;
    retake(&rig, file).await;
    rig.upload_messages().await;
    let batch = rig.batch(file, 1).await;
    assert_eq!((batch.status, &batch.task), (BatchStatus::Error, &None));
    let log = batch.error_log.unwrap();
    assert!(
        log.contains("it was replaced") && log.contains("in a new file"),
        "{log}"
    );
    let open = rig.parts.store.open_batches(None).await.unwrap();
    assert!(!open.contains(&batch.id));
}
