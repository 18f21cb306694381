//! Whatever comes twice is charged once.

use futures::future::join_all;
use weir_domain::{BatchStatus, DetailStatus};
use weir_tests::rig::Rig;
use weir_tests::text;

fn sample(prefix: &str) -> (Vec<u8>, u64) {
    let (bytes, contents) = text::generated(prefix, 11, 2, 40, 0);
    (bytes, contents.charges)
}

#[tokio::test]
async fn an_object_event_that_comes_many_times_at_once_charges_once() {
    let mut rig = Rig::start().await;
    let (bytes, charges) = sample("MANY");
    let object = rig.parts.put("many.xml", bytes).await;
    let event = rig.parts.next_event().await;
    let handled = join_all((0..6).map(|_| rig.upload_event(event.clone())));
    handled.await;
    // Again once it is on the queue, and once it is settled.
    rig.upload_event(event.clone()).await;
    rig.settle().await;
    rig.upload_event(event).await;
    rig.settle().await;
    let file = weir_domain::FileId::of_object(&object);
    rig.audit(&[file]).await;
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.replays), (charges, 0));
}

#[tokio::test]
async fn events_of_two_objects_under_one_key_in_the_wrong_order_charge_each_once() {
    let mut rig = Rig::start().await;
    let first = text::one_batch("V-1", &[text::charge("SO-1", "1.00")]);
    let second = text::one_batch("V-2", &[text::charge("SO-2", "2.00")]);
    let first = rig.parts.put("same-key.xml", first).await;
    let early = rig.parts.next_event().await;
    let second = rig.parts.put("same-key.xml", second).await;
    let late = rig.parts.next_event().await;
    rig.upload_event(late).await;
    // What it announces has been replaced: of those bytes nothing can be read any more.
    rig.upload_event(early).await;
    rig.settle().await;
    let gone = weir_domain::FileId::of_object(&first);
    let log = rig.file(gone).await.error_log.unwrap();
    assert!(log.contains("it was replaced"), "{log}");
    weir_tests::laws::assert_nothing_of(&rig.parts.store, gone).await;
    let file = weir_domain::FileId::of_object(&second);
    rig.audit(&[file]).await;
    assert_eq!(rig.parts.simulator.summary().charges, 1);
}

#[tokio::test]
async fn a_file_under_two_names_charges_once() {
    let rig = Rig::start().await;
    let (bytes, charges) = sample("NAMES");
    let one = rig.take("one.xml", bytes.clone()).await;
    let other = rig.take("other.xml", bytes).await;
    assert_ne!(one, other);
    rig.settle().await;
    rig.audit(&[one, other]).await;
    assert_eq!(rig.parts.simulator.summary().charges, charges);
    for ordinal in [1, 2] {
        assert_eq!(rig.batch(one, ordinal).await.status, BatchStatus::Processed);
        let refused = rig.batch(other, ordinal).await;
        assert_eq!(refused.status, BatchStatus::Error);
        assert!(refused.error_log.unwrap().contains("already has a batch"));
    }
}

#[tokio::test]
async fn a_file_under_two_names_at_the_same_moment_charges_once() {
    let rig = Rig::start().await;
    let (bytes, charges) = sample("RACE");
    let names = ["a.xml", "b.xml", "c.xml"];
    let files = join_all(names.map(|name| rig.take(name, bytes.clone()))).await;
    rig.settle().await;
    let books = rig.audit(&files).await;
    assert_eq!(rig.parts.simulator.summary().charges, charges);
    let taken: usize = books
        .iter()
        .map(|books| books.count(DetailStatus::Processed))
        .sum();
    let refunds = rig.parts.simulator.summary().refunds;
    assert_eq!(u64::try_from(taken).unwrap(), charges + refunds);
}

#[tokio::test]
async fn a_message_that_comes_again_and_again_sends_nothing_again() {
    let rig = Rig::start().await;
    let records: Vec<_> = (1..=30)
        .map(|line| text::charge(&format!("SO-{line}"), "3.00"))
        .collect();
    let file = rig
        .take("again.xml", text::one_batch("AGAIN", &records))
        .await;
    let messages = rig.messages().await;
    assert!(messages.len() >= 2);
    for _ in 0..3 {
        for message in messages.iter().rev() {
            rig.process(message).await.unwrap();
        }
    }
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.requests), (30, 30));
    rig.audit(&[file]).await;
}
