//! Actions on batches of which something cannot be read, and the records that tell of it.

use std::time::Duration;

use weir_domain::{AskedAction, BatchAction, BatchStatus, FileId};
use weir_settlement::actions::{ActionError, NamedRefusal, Refusal};
use weir_settlement::process::ProcessError;
use weir_store::{AskedRecord, Batch, CreatedRange, DetailsMessage, Direction};
use weir_tests::rig::Rig;
use weir_tests::{drafts, text};

use super::actions_hand::{
    act, act_on, assert_in_step, begun, charges, refusals, refused_charges, step, taken,
};

use BatchAction as Do;

/// What was asked of a file, in order.
async fn recorded(rig: &Rig, file: FileId) -> Vec<AskedRecord> {
    let range = CreatedRange::ALL;
    let read = rig.parts.store.asked(file, range, Direction::Forward, 100);
    read.await.unwrap()
}

/// What the last record says: what was asked, for how many, changed, left out, and whether it ended.
async fn last_record(rig: &Rig, file: FileId) -> (AskedAction, [u64; 3], bool) {
    let record = recorded(rig, file).await.pop().unwrap();
    let counts = [record.detail_count, record.changed_count, record.left_count];
    (record.action, counts, record.ended_at.is_some())
}

async fn cancelled_but_one(rig: &Rig, batch: &Batch) {
    assert_eq!(batch.task, None);
    assert_eq!(
        (batch.counters.unprocessed, batch.counters.cancelled),
        (1, 69)
    );
    let record = last_record(rig, batch.id.file()).await;
    assert_eq!(record, (AskedAction::Cancel, [70, 69, 1], true));
}

#[tokio::test]
async fn a_cancel_leaves_out_what_cannot_be_read_and_ends_and_nothing_is_charged() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(70)).await;
    let messages = rig.messages().await;
    let batch = rig.batch(file, 1).await;
    rig.parts.damage(batch.id, 40, None).await;
    let batch = act(&rig, file, Do::Cancel).await.unwrap();
    cancelled_but_one(&rig, &batch).await;
    for message in &messages {
        // What cannot be read fails its message, and only that.
        let _ = rig.process(message).await;
    }
    assert_eq!(rig.requests(), 0);
    // Nothing hinders what is done by hand: the next is another task, and another record.
    let again = act_on(&rig, file, Do::Retry, &[3]).await.unwrap();
    assert_eq!(again.counters.cancelled, 68);
    let record = last_record(&rig, file).await;
    assert_eq!(record, (AskedAction::Retry, [1, 1, 0], true));
}

#[tokio::test]
async fn a_task_that_was_begun_before_an_item_was_damaged_is_carried_on_to_its_end() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(70)).await;
    begun(&rig, file, Do::Cancel).await;
    let batch = rig.batch(file, 1).await;
    rig.parts.damage(batch.id, 1, None).await;
    let actions = &rig.process.actions;
    actions.go_on(batch.id, &rig.limit()).await.unwrap();
    cancelled_but_one(&rig, &rig.batch(file, 1).await).await;
}

#[tokio::test]
async fn what_cannot_be_read_keeps_none_of_its_neighbours_from_being_sent_or_woken() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(70)).await;
    let messages = rig.messages().await;
    let batch = rig.batch(file, 1).await;
    rig.parts.damage(batch.id, 40, None).await;
    let of_40 = |message: &&DetailsMessage| message.lines.iter().any(|line| line.get() == 40);
    // The message that names it is handed back, with all others of it done.
    let message = messages.iter().find(of_40).unwrap();
    let failed = rig.process(message).await.unwrap_err();
    assert!(matches!(failed, ProcessError::Unreadable(1)), "{failed}");
    assert_eq!(rig.requests(), message.lines.len() as u64 - 1);
    // Those whose messages are lost are woken.
    rig.parts.timeline.jump(Duration::from_hours(2));
    rig.sweep().await;
    for message in rig.messages().await {
        rig.process(&message).await.unwrap();
    }
    assert_eq!(rig.requests(), 69);
}

#[tokio::test]
async fn a_confirmed_draft_that_cannot_be_read_keeps_none_of_its_neighbours_from_being_sent() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(3)).await;
    rig.settle().await;
    let batch = rig.batch(file, 1).await;
    let clock = rig.parts.timeline.clock();
    for line in 1..=3 {
        let mended = text::charge(&format!("MO-{line}"), "3.00");
        let written = drafts::write(&rig.parts.store, clock, &batch, line, &mended);
        written.await.unwrap();
    }
    act(&rig, file, Do::ConfirmDrafts).await.unwrap();
    rig.parts.damage(batch.id, 2, Some(2)).await;
    let requests = rig.requests();
    let messages = rig.messages().await;
    assert_eq!(messages.len(), 1);
    let failed = rig.process(&messages[0]).await.unwrap_err();
    assert!(matches!(failed, ProcessError::Unreadable(1)), "{failed}");
    assert_eq!(rig.requests() - requests, 2);
}

#[tokio::test]
async fn a_named_detail_that_cannot_be_read_is_told_and_nothing_is_changed() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(3)).await;
    rig.settle().await;
    let batch = rig.batch(file, 1).await;
    rig.parts.damage(batch.id, 2, None).await;
    let error = act_on(&rig, file, Do::Cancel, &[1, 2, 3])
        .await
        .unwrap_err();
    assert_eq!(refusals(&error), [step(Refusal::Unreadable)]);
    assert_eq!(rig.batch(file, 1).await, batch);
    assert_eq!(recorded(&rig, file).await, []);
}

#[tokio::test]
async fn drafts_are_confirmed_but_for_those_that_cannot_be_read() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(3)).await;
    rig.settle().await;
    let batch = rig.batch(file, 1).await;
    let clock = rig.parts.timeline.clock();
    for line in 1..=3 {
        let mended = text::charge(&format!("MO-{line}"), "3.00");
        let written = drafts::write(&rig.parts.store, clock, &batch, line, &mended);
        written.await.unwrap();
    }
    rig.parts.damage(batch.id, 2, Some(2)).await;
    let requests = rig.requests();
    let named = act_on(&rig, file, Do::ConfirmDrafts, &[2]).await;
    assert_eq!(
        refusals(&named.unwrap_err()),
        [NamedRefusal::Step(Refusal::DraftUnreadable)]
    );
    let confirmed = act(&rig, file, Do::ConfirmDrafts).await.unwrap();
    assert_eq!(
        (confirmed.task.as_ref(), confirmed.counters.draft),
        (None, 1)
    );
    let record = last_record(&rig, file).await;
    assert_eq!(record, (AskedAction::ConfirmDrafts, [3, 2, 1], true));
    rig.settle().await;
    assert_eq!(rig.requests() - requests, 2);
    // The draft can be dropped, and another be written.
    act_on(&rig, file, Do::CancelDrafts, &[2]).await.unwrap();
    let batch = rig.batch(file, 1).await;
    assert_eq!(
        (batch.counters.draft, batch.status),
        (0, BatchStatus::Error)
    );
}

#[tokio::test]
async fn what_a_cancel_takes_the_place_of_is_recorded_as_ended_by_it() {
    let rig = Rig::start().await;
    let file = taken(&rig, &refused_charges(40)).await;
    rig.settle().await;
    let retry = begun(&rig, file, Do::Retry).await;
    let going_on = rig.batch(file, 1).await.task.unwrap();
    assert_eq!((going_on.actor, going_on.changed), (retry.actor, 0));
    act(&rig, file, Do::Cancel).await.unwrap();
    let mut records = recorded(&rig, file).await;
    records.sort_by_key(|record| record.id != retry.id);
    let [retried, cancel] = &records[..] else {
        panic!("{records:#?}");
    };
    assert_eq!(
        (retried.action, retried.changed_count),
        (AskedAction::Retry, 0)
    );
    assert_eq!(retried.ended_by, Some(cancel.id));
    assert_eq!(
        (cancel.action, cancel.changed_count),
        (AskedAction::Cancel, 40)
    );
    assert!(retried.ended_at.is_some() && cancel.ended_at.is_some());
    assert_eq!(cancel.ended_by, None);
    assert_in_step(&rig, file).await;
}

#[tokio::test]
async fn what_is_asked_while_a_task_goes_on_leaves_no_record() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(3)).await;
    begun(&rig, file, Do::Cancel).await;
    let refused = act(&rig, file, Do::CancelDrafts).await;
    assert_eq!(refused, Err(ActionError::Busy(Do::Cancel)));
    assert_eq!(recorded(&rig, file).await.len(), 1);
}
