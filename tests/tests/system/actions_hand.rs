//! What a hand does in the tests of actions, and how a batch is looked at afterwards.

use std::collections::BTreeSet;

use uuid::Uuid;
use weir_domain::{BatchAction, BatchStatus, EventNumber, FileId, LineNumber};
use weir_settlement::actions::{ActionError, Asked, NamedRefusal, Refusal};
use weir_store::{Batch, BatchTask, Event};
use weir_tests::rig::Rig;
use weir_tests::text;

use BatchAction as Do;

pub(super) fn asked() -> Asked {
    Asked {
        actor: "ann (1)".to_owned(),
        correlation_id: "asked-by-ann".to_owned(),
        id: None,
    }
}

pub(super) async fn act(rig: &Rig, file: FileId, action: Do) -> Result<Batch, ActionError> {
    let batch = rig.batch(file, 1).await;
    let actions = &rig.process.actions;
    actions
        .act_on_all(&batch, action, &asked(), &rig.limit())
        .await
}

pub(super) async fn act_on(
    rig: &Rig,
    file: FileId,
    action: Do,
    lines: &[u32],
) -> Result<Batch, ActionError> {
    let batch = rig.batch(file, 1).await;
    let named = ids(&batch, lines).into();
    let actions = &rig.process.actions;
    actions.act_on(&batch, action, &named, &asked()).await
}

pub(super) fn ids(batch: &Batch, lines: &[u32]) -> Vec<Uuid> {
    let id = |line: &u32| batch.id.detail(LineNumber::new(*line).unwrap()).uuid();
    lines.iter().map(id).collect()
}

/// A file with these records, taken; its messages are on the queue.
pub(super) async fn taken(rig: &Rig, records: &[String]) -> FileId {
    let file = text::one_batch("B-1", records);
    rig.take("actions.xml", file).await
}

pub(super) fn charges(count: u32) -> Vec<String> {
    (1..=count)
        .map(|line| text::charge(&format!("SO-{line}"), "12.50"))
        .collect()
}

/// Charges that 3Rivers refuses.
pub(super) fn refused_charges(count: u32) -> Vec<String> {
    (1..=count)
        .map(|line| text::charge_of(text::UNKNOWN_BUYER, &format!("SO-{line}"), "12.50"))
        .collect()
}

/// Everything that happened to a detail, in order.
pub(super) async fn history(rig: &Rig, file: FileId, line: u32) -> Vec<Event> {
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
pub(super) async fn assert_in_step(rig: &Rig, file: FileId) {
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
pub(super) async fn begun(rig: &Rig, file: FileId, action: Do) -> BatchTask {
    let task = BatchTask {
        id: rig.parts.random.uuid_v7(rig.parts.timeline.now()),
        action,
        actor: "ann (1)".to_owned(),
        correlation_id: "asked-by-ann".to_owned(),
        at: rig.parts.timeline.now(),
        next_line: 1,
        checkpoint: None,
        changed: 0,
        left_out: BTreeSet::new(),
    };
    let batch = rig.batch(file, 1).await;
    assert!(rig.parts.store.begin_task(&batch, &task).await.unwrap());
    task
}

pub(super) fn refusals(error: &ActionError) -> Vec<NamedRefusal> {
    match error {
        ActionError::Refused(refused) => refused.iter().map(|(_, why)| *why).collect(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn step(refusal: Refusal) -> NamedRefusal {
    NamedRefusal::Step(refusal)
}
