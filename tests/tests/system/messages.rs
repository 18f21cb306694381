//! Messages bring reference data; what cannot be understood is kept with its reason.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use weir_domain::MessageStatus;
use weir_runtime::{CorrelationId, Metrics};
use weir_settlement::messages::{Delivery, SyncError, SyncOptions, Synced, Synchronizer, replay};
use weir_store::{Message, ReferenceKind, Store};
use weir_tests::parts::{Network, Parts};

/// The id of a client, program, seller, customer or contact: few, so that messages meet.
pub(crate) fn id(kind: &str, number: u32) -> String {
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
pub(crate) fn body(kind: &str, number: u32, action: &str, at: DateTime<Utc>, name: &str) -> String {
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

pub(crate) fn delivery(message_id: &str, body: &str) -> Delivery {
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

pub(crate) fn received(mut delivery: Delivery, times: u32) -> Delivery {
    delivery.receive_count = times;
    delivery
}

pub(crate) fn synchronizer(parts: &Parts, store: Store) -> Synchronizer {
    let clock = parts.timeline.clock().clone();
    Synchronizer {
        store,
        metrics: Metrics::discarded(clock.clone()),
        clock,
        options: SyncOptions::default(),
    }
}

pub(crate) async fn parts() -> Parts {
    Parts::start(&Network::new().await, 1, 1).await
}

pub(crate) async fn kept(store: &Store, delivery: &Delivery) -> Message {
    let id = delivery.to_message(DateTime::UNIX_EPOCH).id;
    let mut found = store.messages(&[id]).await.unwrap();
    found.pop().expect("it was kept")
}

/// What there is, by name and the time of the message that brought it; `None` when it is not there.
pub(crate) async fn found(
    store: &Store,
    kind: &str,
    number: u32,
) -> Option<(String, DateTime<Utc>)> {
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
            r#"{"type":"client.created","occurred_at":"2026-01-01T00:00:00Z","data":{"id":"x","name":"A"}}"#,
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
