//! What people do to details that they name, and to what of a batch an action is for.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;
use weir_domain::{BatchAction, BatchStatus, DetailStatus, LineNumber};
use weir_runtime::Metric;
use weir_settlement::actions::{ActionError, Asked, Named, NamedRefusal, Refusal};
use weir_store::Detail;
use weir_tests::rig::{Rig, Settings};
use weir_tests::{drafts, text};

use super::actions_hand::{
    act, act_on, asked, assert_in_step, charges, history, ids, refusals, refused_charges, step,
    taken,
};

use BatchAction as Do;
use DetailStatus as Is;

/// After how long something counts as standing still.
const QUIET: Duration = Duration::from_mins(3);

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
    // A person must look: somebody is told of each, once.
    let told = || rig.counted.process.sum(Metric::OutcomeUnknown);
    assert_eq!(told(), 3);
    assert_eq!(rig.counted.process.sum(Metric::DetailsError), 3);
    assert_eq!(rig.counted.process.sum(Metric::BatchesError), 1);
    assert_in_step(&rig, file).await;
    // A retry of the whole batch leaves it, as does a cancel; one by its id takes it up again.
    for action in [Do::Retry, Do::Cancel] {
        act(&rig, file, action).await.unwrap();
        assert_eq!(rig.statuses(file).await, [[Is::Error; 3]]);
    }
    assert_eq!(told(), 3);
    // By its id as well, until somebody says that they have looked it up.
    let error = act_on(&rig, file, Do::Retry, &[1]).await.unwrap_err();
    assert_eq!(refusals(&error), [step(Refusal::OutcomeUnknown)]);
    let batch = rig.batch(file, 1).await;
    let looked_up = Named {
        ids: ids(&batch, &[1]),
        looked_up: true,
    };
    let actions = &rig.process.actions;
    let asked = asked();
    let retried = actions.act_on(&batch, Do::Retry, &looked_up, &asked);
    let batch = retried.await.unwrap();
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
        .act_on(&batch, Do::Retry, &named.into(), &asked())
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
    assert_eq!(rig.sweep().await.details_on_time, 40);
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
    let actions = &rig.process.actions;
    let batch = rig.batch(file, 1).await;
    actions
        .act_on_all(&batch, Do::Retry, &first, &rig.limit())
        .await
        .unwrap();
    rig.settle().await;
    let again = first;
    let batch = rig.batch(file, 1).await;
    actions
        .act_on_all(&batch, Do::Retry, &again, &rig.limit())
        .await
        .unwrap();
    let named = ids(&batch, &[1, 2]);
    actions
        .act_on(&batch, Do::Retry, &named.into(), &again)
        .await
        .unwrap();
    rig.settle().await;
    for line in 1..=3 {
        assert_eq!(history(&rig, file, line).await.len(), 3);
    }
    assert_in_step(&rig, file).await;
}
