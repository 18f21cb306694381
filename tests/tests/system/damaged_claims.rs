//! Numbers of batches of which something cannot be read, wanted by batches of later files.

use weir_domain::{BatchStatus, FileId, FileStatus};
use weir_tests::rig::Rig;
use weir_tests::{parts, text};

/// A file of two batches: one with a number that is in use, and one with a number of its own.
fn later() -> String {
    text::file(&[
        text::batch("B-1", text::SELLERS[0], &[text::charge("SO-2", "2.00")]),
        text::batch("B-2", text::SELLERS[0], &[text::charge("SO-3", "3.00")]),
    ])
}

async fn first(rig: &Rig) -> FileId {
    let file = text::one_batch("B-1", &[text::charge("SO-1", "1.00")]);
    rig.take("first.xml", file).await
}

/// The later file is taken but for its first batch, which says why; nothing else is charged.
async fn only_the_claimant_is_refused(rig: &Rig, words: &str) {
    let judged = rig.upload.uploader.validate(later().into(), parts::scope());
    let judged = judged.await.unwrap();
    assert!(judged.sound && judged.problem_count == 1, "{judged:#?}");
    let problem = judged.problems.first().unwrap();
    assert_eq!(problem.code, "batch.number_taken");
    assert!(problem.message.contains(words), "{}", problem.message);
    let before = rig.parts.simulator.summary().charges;
    let file = rig.take("later.xml", later()).await;
    assert_eq!(rig.file(file).await.status, FileStatus::Processed);
    let refused = rig.batch(file, 1).await;
    assert_eq!(
        (refused.status, refused.counters.details),
        (BatchStatus::Error, 0)
    );
    let log = refused.error_log.unwrap();
    assert!(
        log.contains("already has a batch B-1") && log.contains(words),
        "{log}"
    );
    // What was damaged is nobody's to settle; its message is handed back.
    for message in rig.messages().await {
        let outcome = rig.process(&message).await;
        assert_eq!(outcome.is_ok(), message.batch_id.file() == file);
    }
    let taken = rig.batch(file, 2).await;
    assert_eq!(taken.status, BatchStatus::Processed);
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges - before, summary.duplicates), (1, 0));
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_keeps_its_number_and_costs_only_the_batch_that_wants_it() {
    let rig = Rig::start().await;
    let file = first(&rig).await;
    let held = rig.batch(file, 1).await.id;
    rig.parts.damage_batch(held).await;
    only_the_claimant_is_refused(&rig, &held.to_string()).await;
}

#[tokio::test]
async fn a_claim_that_cannot_be_read_is_held_and_costs_only_the_batch_that_wants_it() {
    let rig = Rig::start().await;
    let file = first(&rig).await;
    rig.settle().await;
    let seller = rig.batch(file, 1).await.seller_id.unwrap();
    rig.parts.damage_claim(seller, "B-1").await;
    only_the_claimant_is_refused(&rig, "its claim cannot be read").await;
}

#[tokio::test]
async fn a_number_stays_with_a_batch_that_cannot_be_read_however_often_another_asks_for_it() {
    let rig = Rig::start().await;
    let file = first(&rig).await;
    rig.settle().await;
    let held = rig.batch(file, 1).await;
    rig.parts.damage_batch(held.id).await;
    let store = &rig.parts.store;
    let (seller, number) = (held.seller_id.unwrap(), "B-1".parse().unwrap());
    let other = file.batch(2.try_into().unwrap());
    for _ in 0..2 {
        let claimed = store.claim_batch_number(seller, &number, other).await;
        let holder = claimed.unwrap().unwrap();
        assert!(holder.is_damaged());
        assert_eq!(holder.batch(), Some(held.id));
    }
    // Its own batch has it as before.
    let own = store.claim_batch_number(seller, &number, held.id).await;
    assert_eq!(own.unwrap(), None);
}
