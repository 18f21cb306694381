//! Refunds whose charges cannot be looked up for a while, beside details that need no look-up.

use std::time::Duration;

use weir_domain::{DetailStatus, FileId};
use weir_settlement::process::{ProcessError, ProcessOptions};
use weir_store::DetailsMessage;
use weir_tests::faults::{FaultyClient, Rates};
use weir_tests::parts::{Network, Parts};
use weir_tests::rig::{Rig, Settings};
use weir_tests::text;

use DetailStatus::{Processed, Unprocessed};

/// Past the end of every lease.
const PAST_THE_LEASE: Duration = Duration::from_mins(10);

/// Functions with a client that can be told what to throttle; time passes fast, as whoever is throttled
/// waits.
pub(super) async fn throttled() -> (Rig, FaultyClient) {
    let network = Network::new().await;
    let parts = Parts::start(&network, 1, 20).await;
    let clock = parts.timeline.clock().clone();
    let (inner, random) = (network.aws.clone(), parts.random.clone());
    let client = FaultyClient::new(inner, Rates::default(), random, clock, Duration::ZERO);
    let rig = Rig::on(parts, Settings::default(), client.shared()).await;
    (rig, client)
}

/// Charges that are settled, and one message of another batch with two refunds of them and two charges.
async fn refunds_beside_charges(rig: &Rig) -> ([FileId; 2], DetailsMessage) {
    let settled = [text::charge("SO-1", "10.00"), text::charge("SO-2", "10.00")];
    let first = text::one_batch("B-1", &settled);
    let charges = rig.take("charges.xml", first).await;
    rig.settle().await;
    let records = [
        text::refund("SO-1", "1.00"),
        text::charge("SO-3", "3.00"),
        text::refund("SO-2", "2.00"),
        text::charge("SO-4", "4.00"),
    ];
    let file = rig
        .take("refunds.xml", text::one_batch("B-2", &records))
        .await;
    let mut messages = rig.messages().await;
    assert_eq!(messages.len(), 1);
    ([charges, file], messages.remove(0))
}

/// Works on the message while some requests are throttled. Tells how many details were put aside.
async fn put_aside(rig: &Rig, client: &FaultyClient, words: &str, of: &DetailsMessage) -> usize {
    client.throttle(Some(words));
    let failed = rig.process(of).await.unwrap_err();
    client.throttle(None);
    let ProcessError::NotLeased { count, reason } = failed else {
        panic!("{failed}");
    };
    assert!(reason.contains("Throttling"), "{reason}");
    count
}

/// The message comes again: everything is settled, and nothing twice.
async fn then_all_is_settled(rig: &Rig, files: [FileId; 2], message: &DetailsMessage) {
    rig.parts.timeline.jump(PAST_THE_LEASE);
    rig.process(message).await.unwrap();
    rig.settle().await;
    assert_eq!(rig.statuses(files[1]).await, [[Processed; 4]]);
    let summary = rig.parts.simulator.summary();
    assert_eq!((summary.charges, summary.refunds), (4, 2));
    assert_eq!(summary.duplicates, 0);
    rig.audit(&files).await;
}

#[tokio::test]
async fn a_refund_whose_charge_cannot_be_looked_up_is_put_aside_and_all_beside_it_is_sent() {
    let (rig, client) = throttled().await;
    let (files, message) = refunds_beside_charges(&rig).await;
    let count = put_aside(&rig, &client, "Charge#=SO-1", &message).await;
    assert_eq!(count, 1);
    let statuses = [Unprocessed, Processed, Processed, Processed];
    assert_eq!(rig.statuses(files[1]).await, [statuses]);
    let refund = rig.detail(files[1], 1, 1).await;
    assert_eq!((refund.lease_until, refund.attempted_at), (None, None));
    then_all_is_settled(&rig, files, &message).await;
}

#[tokio::test]
async fn refunds_whose_ways_from_their_charges_cannot_be_written_are_put_aside_untied() {
    let (rig, client) = throttled().await;
    let (files, message) = refunds_beside_charges(&rig).await;
    let count = put_aside(&rig, &client, "refund-of#", &message).await;
    assert_eq!(count, 2);
    let statuses = [Unprocessed, Processed, Unprocessed, Processed];
    assert_eq!(rig.statuses(files[1]).await, [statuses]);
    for line in [1, 3] {
        let refund = rig.detail(files[1], 1, line).await;
        assert_eq!((refund.charge_id, refund.lease_until), (None, None));
    }
    then_all_is_settled(&rig, files, &message).await;
}

#[tokio::test]
async fn a_refund_whose_charge_cannot_be_read_waits_for_it_no_longer_than_for_any_and_keeps_no_neighbour()
 {
    let rig = Rig::start().await;
    let (files, message) = refunds_beside_charges(&rig).await;
    rig.parts
        .damage(files[0].batch(1.try_into().unwrap()), 1, None)
        .await;
    rig.process(&message).await.unwrap();
    let statuses = [Unprocessed, Processed, Processed, Processed];
    assert_eq!(rig.statuses(files[1]).await, [statuses]);
    let refund = rig.detail(files[1], 1, 1).await;
    assert!(refund.waiting_since.is_some() && refund.next_attempt_at.is_some());
    let words = refund.error_description.unwrap();
    assert!(words.contains("cannot be read"), "{words}");
    let requests = rig.requests();
    rig.parts
        .timeline
        .jump(ProcessOptions::default().charge_wait);
    rig.process(&message).await.unwrap();
    let statuses = [DetailStatus::Error, Processed, Processed, Processed];
    assert_eq!(rig.statuses(files[1]).await, [statuses]);
    assert_eq!(rig.requests(), requests);
}
