//! Requests that are run again after somebody else has come in between.

use serde_json::json;
use weir_domain::{BatchAction, DetailStatus, FileId};
use weir_runtime::Metric;
use weir_settlement::actions::{ActionError, Asked};
use weir_store::Batch;
use weir_tests::rig::Rig;

use super::actions_hand::{
    act, act_on, asked, assert_in_step, begun, charges, ids, refused_charges, taken,
};
use super::refunds_aside::throttled;

use BatchAction as Do;

/// A request that has an id which its repeats share, as the API gives it: version 7.
fn repeatable(rig: &Rig) -> Asked {
    Asked {
        id: Some(rig.parts.random.uuid_v7(rig.parts.timeline.now())),
        ..asked()
    }
}

async fn retry(
    rig: &Rig,
    file: FileId,
    lines: &[u32],
    asked: &Asked,
) -> Result<Batch, ActionError> {
    let batch = rig.batch(file, 1).await;
    let named = ids(&batch, lines).into();
    let actions = &rig.process.actions;
    actions.act_on(&batch, Do::Retry, &named, asked).await
}

async fn cancelled(rig: &Rig, file: FileId) -> u64 {
    let statuses = rig.statuses(file).await.concat();
    let cancelled = statuses.iter().filter(|is| **is == DetailStatus::Cancelled);
    cancelled.count() as u64
}

#[tokio::test]
async fn a_whole_batch_task_that_a_cancel_ended_is_not_begun_again_by_its_repeat() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(5)).await;
    let _ = rig.messages().await;
    act(&rig, file, Do::Cancel).await.unwrap();
    // It is noted, and its request is answered that it be tried again.
    let revive = begun(&rig, file, Do::Revive).await;
    act(&rig, file, Do::Cancel).await.unwrap();
    let batch = rig.batch(file, 1).await;
    assert_ne!(batch.last_task, Some(revive.id));
    let repeat = Asked {
        id: Some(revive.id),
        ..asked()
    };
    let actions = &rig.process.actions;
    let limit = rig.limit();
    for _ in 0..2 {
        let again = actions
            .act_on_all(&batch, Do::Revive, &repeat, &limit)
            .await;
        assert_eq!(again.unwrap().counters.cancelled, 5);
    }
    assert!(!rig.parts.store.begin_task(&batch, &revive).await.unwrap());
    rig.settle().await;
    assert_eq!((rig.requests(), cancelled(&rig, file).await), (0, 5));
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_repeat_of_what_was_done_does_not_send_what_somebody_has_cancelled_since() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(3)).await;
    rig.settle().await;
    let request = repeatable(&rig);
    retry(&rig, file, &[1, 2], &request).await.unwrap();
    act_on(&rig, file, Do::Cancel, &[1]).await.unwrap();
    let requests = rig.requests();
    let repeated = retry(&rig, file, &[1, 2], &request).await.unwrap();
    assert_eq!(repeated.counters.cancelled, 1);
    rig.settle().await;
    assert_eq!(cancelled(&rig, file).await, 1);
    assert_eq!(rig.requests() - requests, 1);
    assert_in_step(&rig, file).await;
}

/// How many lines the requests name that are cut short: seven transactions.
const LINES: u32 = 200;

/// A request that retries every line, whose function dies after the first of its transactions; how
/// many lines were changed by then.
async fn cut_short(rig: &Rig, file: FileId, lines: &[u32], request: &Asked) -> u64 {
    let first_is_open =
        async { while rig.detail(file, 1, 1).await.status != DetailStatus::Unprocessed {} };
    tokio::select! {
        biased;
        () = first_is_open => {}
        done = retry(rig, file, lines, request) => panic!("it was done: {done:?}"),
    }
    let changed = rig.batch(file, 1).await.counters.unprocessed;
    assert!((1..u64::from(LINES)).contains(&changed), "{changed}");
    changed
}

#[tokio::test]
async fn a_repeat_of_what_was_done_in_part_goes_on_where_it_ended_and_leaves_the_rest_as_it_is() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(LINES)).await;
    rig.settle().await;
    let request = repeatable(&rig);
    let lines: Vec<u32> = (1..=LINES).collect();
    cut_short(&rig, file, &lines, &request).await;
    act_on(&rig, file, Do::Cancel, &[1]).await.unwrap();
    let requests = rig.requests();
    let repeated = retry(&rig, file, &lines, &request).await.unwrap();
    let counters = repeated.counters;
    assert_eq!((counters.cancelled, counters.unprocessed), (1, 199));
    rig.settle().await;
    assert_eq!(rig.requests() - requests, 199);
    assert_eq!(cancelled(&rig, file).await, 1);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn a_repeat_that_is_refused_says_what_its_first_run_has_changed() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(LINES)).await;
    rig.settle().await;
    let request = repeatable(&rig);
    let lines: Vec<u32> = (1..=LINES).collect();
    let changed = cut_short(&rig, file, &lines, &request).await;
    act_on(&rig, file, Do::Retry, &[LINES]).await.unwrap();
    match retry(&rig, file, &lines, &request).await {
        Err(ActionError::PartlyRefused {
            changed: told,
            refused,
        }) => assert_eq!((told as u64, refused.len()), (changed, 1)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn details_that_were_perhaps_given_up_by_a_write_without_an_answer_are_told_of() {
    let (rig, client) = throttled().await;
    let file = taken(&rig, &charges(2)).await;
    rig.set_faults(json!({"cut_after_commit": 1}));
    rig.process_messages().await;
    rig.set_faults(json!({}));
    let told = || rig.counted.process.sum(Metric::OutcomeUnknown);
    // Only what gives them up: the task is noted, and every try of the transaction ends without an answer.
    client.throttle(Some("bcs.outcome_unknown"));
    let _ = act(&rig, file, Do::Cancel).await;
    client.throttle(None);
    assert_eq!(told(), 2);
    assert_eq!(rig.detail(file, 1, 1).await.status, DetailStatus::Retry);
}
