//! Messages bring reference data, in whatever order they come; what cannot be dealt with is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use weir_domain::{DetailStatus, MessageId, MessageStatus};
use weir_runtime::{CorrelationId, Metrics};
use weir_settlement::dead_letters::DeadLetters;
use weir_settlement::messages::{
    Delivery, ReplayError, SyncError, SyncOptions, Synced, Synchronizer, replay,
};
use weir_store::{DetailsMessage, Message, ReferenceKind, Store};
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};
use weir_tests::parts::{Network, Parts};
use weir_tests::rig::Rig;
use weir_tests::text;

/// The id of a client, program, seller, customer or contact: few, so that messages meet.
fn id(kind: &str, number: u32) -> String {
    let place = match kind {
        "client" => 1,
        "program" => 2,
        "seller" => 3,
        "customer" => 4,
        _ => 5,
    };
    format!("0190a6a0-0000-7000-8000-{place:04}{number:08}")
}

/// One that is put belongs to the parent of its own number.
fn body(kind: &str, number: u32, action: &str, at: DateTime<Utc>, name: &str) -> String {
    let mut data = json!({"id": id(kind, number), "name": name});
    if kind != "client" {
        data["client_id"] = json!(id("client", number));
    }
    match kind {
        "program" => {
            data["status"] = json!("Active");
            for field in ["reply_to_email", "support_email", "sender_email"] {
                data[field] = json!(format!("{field}@example.com"));
            }
        }
        "seller" | "customer" => data["program_id"] = json!(id("program", number)),
        "seller_contact" => {
            data["program_id"] = json!(id("program", number));
            data["seller_id"] = json!(id("seller", number));
        }
        _ => {}
    }
    json!({"type": format!("{kind}.{action}"), "occurred_at": at, "data": data}).to_string()
}

fn delivery(message_id: &str, body: &str) -> Delivery {
    Delivery {
        message_id: message_id.to_owned(),
        body: body.to_owned(),
        attributes: BTreeMap::new(),
        message_attributes: BTreeMap::new(),
        queue_arn: Some("arn:aws:sqs:us-east-1:000000000000:messages".to_owned()),
        receive_count: 1,
        correlation_id: CorrelationId::new(message_id).unwrap(),
    }
}

fn received(mut delivery: Delivery, times: u32) -> Delivery {
    delivery.receive_count = times;
    delivery
}

fn synchronizer(parts: &Parts, store: Store) -> Synchronizer {
    let clock = parts.timeline.clock().clone();
    Synchronizer {
        store,
        metrics: Metrics::discarded(clock.clone()),
        clock,
        options: SyncOptions::default(),
    }
}

fn dead_letters(rig: &Rig) -> DeadLetters {
    let clock = rig.parts.timeline.clock().clone();
    DeadLetters {
        store: rig.parts.store.clone(),
        metrics: Metrics::discarded(clock.clone()),
        clock,
        random: rig.parts.random.clone(),
    }
}

async fn parts() -> Parts {
    Parts::start(&Network::new().await, 1, 1).await
}

async fn kept(store: &Store, delivery: &Delivery) -> Message {
    let id = delivery.to_message(Utc::now()).id;
    let mut found = store.messages(&[id]).await.unwrap();
    found.pop().expect("it was kept")
}

/// What there is, by name and the time of the message that brought it; `None` when it is not there.
async fn found(store: &Store, kind: &str, number: u32) -> Option<(String, DateTime<Utc>)> {
    let id = id(kind, number);
    match kind {
        "client" => {
            let client = store.client(id.parse().unwrap()).await.unwrap()?;
            Some((client.name, client.processed_message_ts?))
        }
        "program" => {
            let program = store.program(id.parse().unwrap()).await.unwrap()?;
            Some((program.name, program.processed_message_ts?))
        }
        "seller" => {
            let seller = store.seller(id.parse().unwrap()).await.unwrap()?;
            Some((seller.name, seller.processed_message_ts?))
        }
        "customer" => {
            let found = store.customers(&[id.parse().unwrap()]).await.unwrap();
            let customer = found.into_iter().next()?;
            Some((customer.name?, customer.processed_message_ts?))
        }
        _ => {
            let found = store.seller_contacts(&[id.parse().unwrap()]).await.unwrap();
            let contact = found.into_iter().next()?;
            Some((contact.name?, contact.processed_message_ts?))
        }
    }
}

const KINDS: [&str; 5] = ["client", "program", "seller", "customer", "seller_contact"];
/// So many there are of each kind.
const EACH: u32 = 2;

/// Messages about everything, each of its own time.
#[derive(Debug, Clone)]
struct Story {
    messages: Vec<(usize, u32, bool, DateTime<Utc>)>,
    /// The order of deliveries, each message at least once.
    order: Vec<usize>,
}

fn stories() -> impl Strategy<Value = Story> {
    let base: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let told = prop::collection::vec((0..KINDS.len(), 0..EACH, prop::bool::weighted(0.3)), 20);
    told.prop_flat_map(move |mut told| {
        // Of everything something is told, so that nothing waits for ever.
        for kind in 0..KINDS.len() {
            told.extend((0..EACH).map(|number| (kind, number, false)));
        }
        let count = told.len();
        let messages = Just(told).prop_shuffle().prop_map(move |told| {
            let seconds = (0..).map(TimeDelta::seconds);
            let timed = told.into_iter().zip(seconds);
            timed
                .map(|((kind, number, is_gone), after)| (kind, number, is_gone, base + after))
                .collect::<Vec<_>>()
        });
        let again = prop::collection::vec(0..count, 10);
        let order = again.prop_flat_map(move |again| {
            let order: Vec<usize> = (0..count).chain(again).collect();
            Just(order).prop_shuffle()
        });
        (messages, order).prop_map(|(messages, order)| Story { messages, order })
    })
}

impl Story {
    fn deliveries(&self) -> Vec<Delivery> {
        let told = self.messages.iter().enumerate();
        told.map(|(index, (kind, number, is_gone, at))| {
            let action = match (is_gone, index % 2) {
                (true, _) => "deleted",
                (false, 0) => "created",
                (false, _) => "updated",
            };
            let body = body(KINDS[*kind], *number, action, *at, &format!("name {index}"));
            delivery(&format!("m-{index}"), &body)
        })
        .collect()
    }

    /// The newest of each, whatever the order.
    fn end(&self) -> BTreeMap<(usize, u32), Option<(String, DateTime<Utc>)>> {
        let mut end = BTreeMap::new();
        // Times rise with the index.
        for (index, (kind, number, is_gone, at)) in self.messages.iter().enumerate() {
            let there = (!is_gone).then(|| (format!("name {index}"), *at));
            end.insert((*kind, *number), there);
        }
        end
    }

    async fn assert_end(&self, store: &Store) {
        for ((kind, number), expected) in self.end() {
            let kind = KINDS[kind];
            assert_eq!(
                found(store, kind, number).await,
                expected,
                "{kind} {number}"
            );
        }
        for delivery in self.deliveries() {
            let message = kept(store, &delivery).await;
            assert_eq!(message.status, MessageStatus::Processed, "{message:?}");
            assert_eq!(message.body, delivery.body);
        }
    }
}

/// Delivers three at a time, and what is handed back once more with the rest, until nothing is.
async fn deliver_all(synchronizer: &Synchronizer, mut waiting: Vec<Delivery>) {
    for _round in 0..200 {
        let mut handed_back = Vec::new();
        for together in waiting.chunks(3) {
            let syncs = together.iter().map(|delivery| synchronizer.sync(delivery));
            let synced = futures::future::join_all(syncs).await;
            for (delivery, synced) in together.iter().zip(synced) {
                match synced {
                    Ok(_) => {}
                    Err(_) => handed_back.push(delivery.clone()),
                }
            }
        }
        if handed_back.is_empty() {
            return;
        }
        waiting = handed_back;
    }
    panic!("{} messages wait for ever", waiting.len());
}

#[test]
fn any_order_and_repetition_of_messages_ends_in_the_same_reference_data() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let network = runtime.block_on(Network::new());
    let mut runner = TestRunner::new(Config {
        cases: 6,
        failure_persistence: None,
        max_shrink_iters: 20,
        ..Config::default()
    });
    let ran = runner.run(&stories(), |story| {
        runtime.block_on(async {
            let parts = Parts::start(&network, 1, 1).await;
            let synchronizer = synchronizer(&parts, parts.store.clone());
            let deliveries = story.deliveries();
            let ordered = story.order.iter();
            let ordered = ordered.map(|index| deliveries[*index].clone()).collect();
            deliver_all(&synchronizer, ordered).await;
            story.assert_end(&parts.store).await;
        });
        Ok(())
    });
    ran.unwrap();
}

#[tokio::test]
async fn whatever_goes_wrong_between_two_steps_the_end_is_the_same() {
    let network = Network::new().await;
    let parts = Parts::start(&network, 7, 1).await;
    let rates = Rates::default().of(
        Service::Dynamodb,
        &[
            (Fault::NotSent, 40),
            (Fault::AnswerLost, 40),
            (Fault::Late, 40),
            (Fault::Repeated, 40),
            (Fault::Throttled, 40),
            (Fault::Failed, 40),
        ],
    );
    let clock = parts.timeline.clock().clone();
    let slow_max = Duration::from_millis(20);
    let faulty = FaultyClient::new(network.aws, rates, parts.random.clone(), clock, slow_max);
    let store = parts.store_through(faulty.shared()).await;
    let synchronizer = synchronizer(&parts, store);
    let base: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let told = (0..40_i64).map(|index| {
        let kind = usize::try_from(index % 5).unwrap();
        let number = u32::from(index % 2 == 0);
        (
            kind,
            number,
            index % 7 == 6,
            base + TimeDelta::seconds(index),
        )
    });
    let story = Story {
        messages: told.collect(),
        order: Vec::new(),
    };
    let mut deliveries = story.deliveries();
    deliveries.reverse();
    deliver_all(&synchronizer, deliveries).await;
    faulty.heal().await;
    assert!(faulty.met().len() >= 6, "{:?}", faulty.met());
    story.assert_end(&parts.store).await;
}

#[tokio::test]
async fn a_message_that_says_nothing_is_kept_with_the_reason_and_comes_no_more() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    for (number, (body, why)) in [
        ("not JSON", "the message is not JSON"),
        (
            "{}",
            "/type: is required; /occurred_at: is required; /data: is required",
        ),
        (
            r#"{"type":"client.created","occurred_at":"2026-01-01T00:00:00Z","data":{"id":"x"}}"#,
            "/data/id: ",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let poison = delivery(&format!("p-{number}"), body);
        assert_eq!(synchronizer.sync(&poison).await.unwrap(), Synced::Failed);
        let message = kept(&parts.store, &poison).await;
        assert_eq!(message.status, MessageStatus::Failed);
        assert!(
            message.error_log.as_deref().unwrap().starts_with(why),
            "{message:?}"
        );
        assert_eq!((message.failure_count, message.body.as_str()), (1, body));
        assert!(message.failed_at.is_some() && message.processed_at.is_none());
        assert_eq!(
            message.queue_url,
            "https://sqs.us-east-1.amazonaws.com/000000000000/messages"
        );
    }
}

#[tokio::test]
async fn what_belongs_to_something_unknown_waits_for_it_and_fails_in_the_end() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let program = delivery("p", &body("program", 1, "created", at, "P"));
    let waits = synchronizer.sync(&program).await;
    assert!(matches!(waits, Err(SyncError::Waits(_))), "{waits:?}");
    let status = kept(&parts.store, &program).await.status;
    assert_eq!(status, MessageStatus::Unprocessed);
    let waits = synchronizer.sync(&received(program.clone(), 3)).await;
    assert!(matches!(waits, Err(SyncError::Waits(_))), "{waits:?}");

    let client = delivery("c", &body("client", 1, "created", at, "C"));
    assert_eq!(synchronizer.sync(&client).await.unwrap(), Synced::Applied);
    let again = received(program.clone(), 4);
    assert_eq!(synchronizer.sync(&again).await.unwrap(), Synced::Applied);
    let status = kept(&parts.store, &program).await.status;
    assert_eq!(status, MessageStatus::Processed);

    let orphan = received(delivery("o", &body("program", 2, "created", at, "O")), 4);
    assert_eq!(synchronizer.sync(&orphan).await.unwrap(), Synced::Failed);
    let why = kept(&parts.store, &orphan).await.error_log.unwrap();
    assert!(
        why.starts_with(&format!("there is no client {} yet", id("client", 2))),
        "{why}"
    );
    assert!(why.ends_with("it was received 4 times"), "{why}");
}

#[tokio::test]
async fn what_belongs_to_something_deleted_is_taken() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let at: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let gone = delivery("c", &body("client", 1, "deleted", at, "C"));
    assert_eq!(synchronizer.sync(&gone).await.unwrap(), Synced::Applied);
    let program = delivery("p", &body("program", 1, "created", at, "P"));
    assert_eq!(synchronizer.sync(&program).await.unwrap(), Synced::Applied);
    let older = at - TimeDelta::seconds(1);
    let late = delivery("l", &body("client", 1, "created", older, "C"));
    assert_eq!(synchronizer.sync(&late).await.unwrap(), Synced::Unchanged);
    assert_eq!(found(&parts.store, "client", 1).await, None);
    let id = id("client", 1).parse().unwrap();
    let known = parts.store.kept_reference(ReferenceKind::Client, id).await;
    assert!(known.unwrap().is_some_and(|kept| kept.reference.is_none()));
}

/// What the queue gives, as a delivery.
async fn next(queues: &aws_sdk_sqs::Client, url: &str) -> Delivery {
    let answer = queues
        .receive_message()
        .queue_url(url)
        .message_attribute_names("All")
        .send();
    let message = answer.await.unwrap().messages.unwrap().pop().unwrap();
    let mut delivery = delivery(message.message_id().unwrap(), message.body().unwrap());
    for (name, value) in message.message_attributes().unwrap() {
        let value = value.string_value().unwrap().to_owned();
        delivery.message_attributes.insert(name.clone(), value);
    }
    delivery
}

#[tokio::test]
async fn a_message_that_failed_is_applied_when_it_is_replayed_after_a_fix() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let made = parts.queues.create_queue().queue_name("messages").send();
    let url = made.await.unwrap().queue_url.unwrap();
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let program = received(delivery("p", &body("program", 1, "created", at, "P")), 4);
    assert_eq!(synchronizer.sync(&program).await.unwrap(), Synced::Failed);
    let message = kept(&parts.store, &program).await;

    replay(&parts.store, &url, message.id).await.unwrap();
    let again = received(next(&parts.queues, &url).await, 4);
    assert_eq!(again.replay_of(), Some(message.id));
    assert_eq!(synchronizer.sync(&again).await.unwrap(), Synced::Failed);
    assert_eq!(kept(&parts.store, &program).await.failure_count, 2);

    let client = delivery("c", &body("client", 1, "created", at, "C"));
    synchronizer.sync(&client).await.unwrap();
    replay(&parts.store, &url, message.id).await.unwrap();
    let again = next(&parts.queues, &url).await;
    assert_eq!(synchronizer.sync(&again).await.unwrap(), Synced::Applied);
    let mended = kept(&parts.store, &program).await;
    assert_eq!(mended.status, MessageStatus::Processed);
    assert_eq!(
        (mended.failure_count, mended.created_at),
        (2, message.created_at)
    );
    assert!(found(&parts.store, "program", 1).await.is_some());
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

#[tokio::test]
async fn a_dead_letter_is_kept_once_with_where_it_came_from() {
    let rig = Rig::start().await;
    let letters = dead_letters(&rig);
    for queue in ["uploads", "details", "messages"] {
        let mut dead = received(delivery(queue, "{\"v\": 1}"), 6);
        let arn = |name: &str| format!("arn:aws:sqs:us-east-1:000000000000:{name}");
        dead.queue_arn = Some(arn(&format!("{queue}-dead")));
        let source = ("DeadLetterQueueSourceArn".to_owned(), arn(queue));
        dead.attributes.extend([source]);
        for _ in 0..2 {
            assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 0);
            let message = kept(&rig.parts.store, &dead).await;
            assert_eq!(
                (message.status, message.failure_count),
                (MessageStatus::Failed, 1)
            );
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
        lease.lease_until = Some(now + TimeDelta::minutes(9))
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
    dead.queue_arn = Some("arn:aws:sqs:us-east-1:000000000000:details-dead".to_owned());
    let letters = dead_letters(&rig);
    assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 2);
    // The second time there is nothing left to mark.
    assert_eq!(letters.keep(&dead).await.unwrap().details_marked, 0);

    for (line, hint) in [
        (1, "look the detail up at 3Rivers"),
        (5, "no call was begun: retry it"),
    ] {
        let detail = rig.detail(file, 1, line).await;
        assert_eq!(detail.status, DetailStatus::Error);
        assert_eq!(detail.error_code.as_deref(), Some("bcs.undeliverable"));
        assert!(detail.error_description.unwrap().contains(hint));
        assert_eq!(detail.events, 1);
    }
    let statuses = [
        rig.detail(file, 1, 2).await.status,
        rig.detail(file, 1, 3).await.status,
        rig.detail(file, 1, 4).await.status,
    ];
    let open = DetailStatus::Unprocessed;
    assert_eq!(statuses, [open, open, DetailStatus::Processed]);
    let batch = rig
        .parts
        .store
        .batch(settled.id.batch())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((batch.counters.unprocessed, batch.counters.error), (2, 2));
}

#[tokio::test]
async fn a_body_that_no_item_can_hold_comes_back_whole() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let at: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    // Nothing that compresses: ids, one after another.
    let noise: String = (0..30_000)
        .map(|_| parts.random.uuid_v4().simple().to_string())
        .collect();
    let mut told: Value = serde_json::from_str(&body("client", 1, "created", at, "C")).unwrap();
    told["data"]["notes"] = json!(noise);
    let large = delivery("large", &told.to_string());
    assert!(large.body.len() > 900_000);
    assert_eq!(synchronizer.sync(&large).await.unwrap(), Synced::Applied);
    let message = kept(&parts.store, &large).await;
    assert_eq!(message.body, large.body);
    assert_eq!(message.status, MessageStatus::Processed);
    assert_eq!(synchronizer.sync(&large).await.unwrap(), Synced::Unchanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_messages_with_poison_among_them_each_is_accounted_for() {
    let parts = parts().await;
    let synchronizer = Arc::new(synchronizer(&parts, parts.store.clone()));
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let deliveries: Vec<Delivery> = (0..1_000_u32)
        .map(|number| match number % 100 {
            99 => delivery(&format!("m-{number}"), "{\"type\": \"client.created\"}"),
            _ => {
                let body = body("client", number, "created", at, &format!("C {number}"));
                delivery(&format!("m-{number}"), &body)
            }
        })
        .collect();
    for together in deliveries.chunks(10) {
        let syncs = together.iter().map(|delivery| synchronizer.sync(delivery));
        futures::future::try_join_all(syncs).await.unwrap();
    }
    let ids: Vec<MessageId> = deliveries.iter().map(|one| one.to_message(at).id).collect();
    let messages = parts.store.messages(&ids).await.unwrap();
    let count = |status| {
        messages
            .iter()
            .filter(|message| message.status == status)
            .count()
    };
    assert_eq!(count(MessageStatus::Processed), 990);
    assert_eq!(count(MessageStatus::Failed), 10);
    for number in [0, 500, 998] {
        let client = found(&parts.store, "client", number).await;
        assert_eq!(client, Some((format!("C {number}"), at)));
    }
}
