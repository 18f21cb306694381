//! A batch that could not be taken, taken again.

use std::time::Duration;

use futures::future::join_all;
use weir_domain::{BatchAction, BatchStatus, FileId};
use weir_settlement::TimeLimit;
use weir_settlement::actions::ActionError;
use weir_settlement::upload::Progress;
use weir_store::Batch;
use weir_tests::rig::Rig;
use weir_tests::text;

use super::actions_hand::{asked, assert_in_step, charges};

use BatchAction as Do;

/// After how long something counts as standing still.
const QUIET: Duration = Duration::from_mins(3);

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

#[tokio::test]
async fn a_number_whose_batch_could_not_be_taken_after_all_is_free_for_another() {
    let rig = Rig::start().await;
    let file = untaken(&rig, &charges(6)).await;
    make_known(&rig).await;
    let batch = retake(&rig, file).await;
    rig.parts.timeline.jump(Duration::from_secs(1));
    // Its number is claimed, and a part of it written, when its object is replaced.
    let limit = TimeLimit::after(Duration::from_millis(1), rig.parts.timeline.clock());
    let progress = rig.upload.uploader.retake(batch.id, &limit).await.unwrap();
    assert_eq!(progress, Progress::Continued);
    let same_number = |records: &[String]| text::file(&[text::batch("B-1", "LATE-1", records)]);
    let meanwhile = rig.take("meanwhile.xml", same_number(&charges(2))).await;
    let refused = rig.batch(meanwhile, 1).await;
    assert_eq!(refused.status, BatchStatus::Error, "{refused:#?}");
    assert!(refused.error_log.unwrap().contains(&batch.id.to_string()));
    rig.parts
        .put("untaken.xml", text::one_batch("B-2", &charges(1)))
        .await;
    rig.parts.timeline.jump(QUIET);
    rig.sweep().await;
    rig.upload_messages().await;
    let given_up = rig.batch(file, 1).await;
    assert_eq!(
        (given_up.status, &given_up.task),
        (BatchStatus::Error, &None)
    );
    // Two want it now: one gets it.
    let wanted = [refused.id, meanwhile.batch(2.try_into().unwrap())];
    let seller = rig.batch(meanwhile, 1).await.seller_id.unwrap();
    let number = "B-1".parse().unwrap();
    let claims = wanted.map(|batch| rig.parts.store.claim_batch_number(seller, &number, batch));
    let claims = join_all(claims).await;
    let got: Vec<_> = claims.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        got.iter().filter(|held| held.is_none()).count(),
        1,
        "{got:?}"
    );
    // The first cannot have it back.
    retake(&rig, file).await;
    rig.upload_messages().await;
    let again = rig.batch(file, 1).await;
    assert_eq!(
        (again.status, again.counters.details),
        (BatchStatus::Error, 0)
    );
    rig.settle().await;
    assert_eq!(rig.parts.simulator.summary().charges, 0);
}
