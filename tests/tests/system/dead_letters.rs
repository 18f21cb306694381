//! What no function could deal with is kept, and its details go to a person.

use std::time::Duration;

use chrono::TimeDelta;
use weir_domain::{DetailStatus, MessageId, MessageStatus};
use weir_runtime::{Metric, Metrics};
use weir_settlement::dead_letters::DeadLetters;
use weir_settlement::messages::{ReplayError, replay};
use weir_store::DetailsMessage;
use weir_tests::counted::Counted;
use weir_tests::rig::Rig;
use weir_tests::text;

use crate::messages::{body, delivery, kept, received, synchronizer};

fn dead_letters(rig: &Rig) -> DeadLetters {
    let clock = rig.parts.timeline.clock().clone();
    DeadLetters {
        store: rig.parts.store.clone(),
        metrics: Metrics::discarded(clock.clone()),
        clock,
        random: rig.parts.random.clone(),
    }
}

#[tokio::test]
async fn a_dead_letter_is_kept_once_with_where_it_came_from_and_counts_each_time() {
    let rig = Rig::start().await;
    let letters = dead_letters(&rig);
    for queue in ["uploads", "details", "messages"] {
        let mut dead = received(delivery(queue, "{\"v\": 1}"), 6);
        let arn = |name: &str| format!("arn:aws:sqs:us-east-1:000000000000:{name}");
        dead.queue_arn = Some(arn(&format!("{queue}-dead")));
        let source = ("DeadLetterQueueSourceArn".to_owned(), arn(queue));
        dead.attributes.extend([source]);
        let mut failed_at = None;
        for times in 1..=3 {
            assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 0);
            let message = kept(&rig.parts.store, &dead).await;
            assert_eq!(
                (message.status, message.failure_count),
                (MessageStatus::Failed, times)
            );
            assert!(message.failed_at > failed_at);
            failed_at = message.failed_at;
            rig.parts.timeline.jump(Duration::from_secs(1));
            let why = message.error_log.unwrap();
            let words = format!("from the queue {queue}, by {queue}-dead, after it was received 6");
            assert!(why.contains(&words), "{why}");
        }
    }
}

#[tokio::test]
async fn a_message_that_was_kept_before_it_died_stays_one_message() {
    let rig = Rig::start().await;
    let synchronizer = synchronizer(&rig.parts, rig.parts.store.clone());
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let program = delivery("p", &body("program", 1, "created", at, "P"));
    synchronizer.sync(&program).await.unwrap_err();
    let before = kept(&rig.parts.store, &program).await;
    dead_letters(&rig)
        .keep(&received(program.clone(), 6))
        .await
        .unwrap();
    let after = kept(&rig.parts.store, &program).await;
    assert_eq!((before.id, before.created_at), (after.id, after.created_at));
    assert_eq!(after.status, MessageStatus::Failed);
}

#[tokio::test]
async fn details_whose_message_died_go_to_a_person_unless_somebody_has_them() {
    let rig = Rig::start().await;
    let records: Vec<String> = (1..=5)
        .map(|number| text::charge(&format!("SO-{number}"), "1.00"))
        .collect();
    let file = rig.take("dead.xml", text::one_batch("B-1", &records)).await;
    let messages = rig.messages().await;
    let now = rig.parts.timeline.now();
    rig.change(file, 1, 1, |lease| lease.attempted_at = Some(now))
        .await;
    rig.change(file, 1, 2, |lease| {
        lease.lease_until = Some(now + TimeDelta::minutes(9));
    })
    .await;
    let later = now + TimeDelta::minutes(9);
    rig.change(file, 1, 3, |lease| lease.next_attempt_at = Some(later))
        .await;
    let settled = rig.detail(file, 1, 4).await;
    let only = DetailsMessage::new(settled.id.batch(), vec![settled.line()], "c");
    rig.process(&only).await.unwrap();

    let [message] = messages.as_slice() else {
        panic!("the five travel together");
    };
    let mut dead = received(delivery("d", &serde_json::to_string(message).unwrap()), 6);
    let arn = |queue: &str| Some(format!("arn:aws:sqs:us-east-1:000000000000:{queue}"));
    let sent = |at: i64| [("SentTimestamp".to_owned(), at.to_string())];
    let letters = dead_letters(&rig);
    // One that does not come from the details' queue, or was sent before they changed, says nothing.
    dead.queue_arn = arn("messages-dead");
    dead.attributes.extend(sent(now.timestamp_millis()));
    assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 0);
    dead.queue_arn = arn("details-dead");
    dead.attributes.extend(sent(0));
    assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 0);
    dead.attributes.extend(sent(now.timestamp_millis()));
    assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 1);
    // The second time there is nothing left to mark.
    assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 0);

    let detail = rig.detail(file, 1, 5).await;
    assert_eq!(detail.status, DetailStatus::Error);
    assert_eq!(detail.error_code.as_deref(), Some("bcs.undeliverable"));
    let words = detail.error_description.unwrap();
    assert!(words.contains("no call was begun: retry it"), "{words}");
    assert_eq!(detail.events, 1);
    let statuses = [
        // Begun, and to be asked for again under its key.
        rig.detail(file, 1, 1).await.status,
        rig.detail(file, 1, 2).await.status,
        rig.detail(file, 1, 3).await.status,
        rig.detail(file, 1, 4).await.status,
    ];
    let open = DetailStatus::Unprocessed;
    assert_eq!(statuses, [open, open, open, DetailStatus::Processed]);
    let batch = rig
        .parts
        .store
        .batch(settled.id.batch())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((batch.counters.unprocessed, batch.counters.error), (3, 1));
}

#[tokio::test]
async fn a_detail_that_cannot_be_read_keeps_its_dead_letter_from_nothing_and_no_neighbour_from_a_person()
 {
    let rig = Rig::start().await;
    let records = ["SO-1", "SO-2", "SO-3"].map(|order| text::charge(order, "1.00"));
    let file = rig.take("dead.xml", text::one_batch("B-1", &records)).await;
    let messages = rig.messages().await;
    let batch = rig.batch(file, 1).await.id;
    rig.parts.damage(batch, 2, None).await;
    let mut dead = received(
        delivery("d", &serde_json::to_string(&messages[0]).unwrap()),
        6,
    );
    dead.queue_arn = Some("arn:aws:sqs:us-east-1:000000000000:details-dead".to_owned());
    let sent_at = rig.parts.timeline.now().timestamp_millis().to_string();
    dead.attributes.insert("SentTimestamp".to_owned(), sent_at);
    let counted = Counted::of("dead-letters", rig.parts.timeline.clock());
    let letters = DeadLetters {
        metrics: counted.metrics.clone(),
        ..dead_letters(&rig)
    };
    assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 2);
    for line in [1, 3] {
        assert_eq!(rig.detail(file, 1, line).await.status, DetailStatus::Error);
    }
    let sums = [
        Metric::DeadLetters,
        Metric::DetailsUnreadable,
        Metric::DetailsError,
    ]
    .map(|metric| counted.sum(metric));
    assert_eq!(sums, [1, 1, 2]);
}

#[tokio::test]
async fn what_is_no_message_of_the_messages_queue_is_not_replayed() {
    let rig = Rig::start().await;
    let url = "http://127.0.0.1:9/000000000000/messages";
    let id: MessageId = "0190a6a0-0000-8000-8000-000000000001".parse().unwrap();
    let unknown = replay(&rig.parts.store, url, id).await;
    assert!(
        matches!(unknown, Err(ReplayError::Unknown(_))),
        "{unknown:?}"
    );
    let mut dead = delivery("d", "{}");
    dead.queue_arn = Some("arn:aws:sqs:us-east-1:000000000000:uploads-dead".to_owned());
    dead_letters(&rig).keep(&dead).await.unwrap();
    let id = kept(&rig.parts.store, &dead).await.id;
    let other = replay(&rig.parts.store, url, id).await;
    assert!(
        matches!(other, Err(ReplayError::OtherQueue { .. })),
        "{other:?}"
    );
}
