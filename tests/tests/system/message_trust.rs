//! What senders say of their messages is believed as far as it can be checked, and whatever they send is
//! kept and marked.

use chrono::{DateTime, Utc};
use serde_json::json;
use weir_domain::{MessageId, MessageStatus};
use weir_runtime::Metrics;
use weir_settlement::dead_letters::DeadLetters;
use weir_settlement::messages::{Delivery, Synced};
use weir_store::Message;
use weir_tests::parts::Parts;

use crate::messages::{body, delivery, found, kept, parts, received, synchronizer};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
}

fn replaying(mut delivery: Delivery, id: MessageId) -> Delivery {
    let named = ("replay_of".to_owned(), id.to_string());
    delivery.message_attributes.extend([named]);
    delivery
}

/// Nothing that compresses.
fn noise(parts: &Parts, bytes: usize) -> String {
    let mut noise = String::new();
    while noise.len() < bytes {
        noise += &parts.random.uuid_v4().simple().to_string();
    }
    noise.truncate(bytes);
    noise
}

async fn message_of(parts: &Parts, id: MessageId) -> Option<Message> {
    parts.store.messages(&[id]).await.unwrap().pop()
}

#[tokio::test]
async fn a_message_brings_another_again_only_if_it_holds_the_same() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let program = received(delivery("p", &body("program", 1, "created", at(0), "P")), 4);
    assert_eq!(synchronizer.sync(&program).await.unwrap(), Synced::Failed);
    let failed = kept(&parts.store, &program).await;

    // Another body is another message, whatever its sender says, and so is one that was never kept.
    let other = body("client", 7, "created", at(0), "C");
    let forged = replaying(delivery("f", &other), failed.id);
    assert_eq!(synchronizer.sync(&forged).await.unwrap(), Synced::Applied);
    assert_eq!(message_of(&parts, failed.id).await, Some(failed.clone()));
    assert_eq!(kept(&parts.store, &forged).await.body, other);
    let unknown = MessageId::of_delivery("sqs", "nothing");
    let lost = replaying(
        delivery("l", &body("client", 8, "created", at(0), "D")),
        unknown,
    );
    assert_eq!(synchronizer.sync(&lost).await.unwrap(), Synced::Applied);
    assert_eq!(message_of(&parts, unknown).await, None);
    assert_eq!(
        kept(&parts.store, &lost).await.status,
        MessageStatus::Processed
    );

    let client = delivery("c", &body("client", 1, "created", at(0), "C"));
    synchronizer.sync(&client).await.unwrap();
    let again = replaying(delivery("again", &program.body), failed.id);
    assert_eq!(synchronizer.sync(&again).await.unwrap(), Synced::Applied);
    let mended = message_of(&parts, failed.id).await.unwrap();
    assert_eq!(mended.status, MessageStatus::Processed);
    let own = again.to_message(at(0)).id;
    assert_eq!(message_of(&parts, own).await, None);
}

#[tokio::test]
async fn a_dead_letter_fails_no_message_but_the_one_that_it_brings_again() {
    let parts = parts().await;
    let clock = parts.timeline.clock().clone();
    let letters = DeadLetters {
        store: parts.store.clone(),
        metrics: Metrics::discarded(clock.clone()),
        clock,
        random: parts.random.clone(),
    };
    let first = delivery("a", &body("program", 1, "created", at(0), "P"));
    letters.keep(&first).await.unwrap();
    let message = kept(&parts.store, &first).await;
    letters
        .keep(&replaying(delivery("b", "{}"), message.id))
        .await
        .unwrap();
    assert_eq!(kept(&parts.store, &first).await, message);
    let again = replaying(delivery("c", &first.body), message.id);
    letters.keep(&again).await.unwrap();
    let after = kept(&parts.store, &first).await;
    assert_eq!((after.id, after.failure_count), (message.id, 2));
}

#[tokio::test]
async fn a_made_up_id_of_a_notification_puts_no_other_body_in_place_of_a_kept_one() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let envelope = |text: String| {
        let text = json!({"type": "client.created", "occurred_at": at(0),
            "data": {"id": "0190a6a0-0000-7000-8000-000100000001", "name": "C", "notes": text}});
        json!({"Type": "Notification", "MessageId": "n-1", "Message": text.to_string()}).to_string()
    };
    let first = delivery("a", &envelope(noise(&parts, 900_000)));
    assert_eq!(synchronizer.sync(&first).await.unwrap(), Synced::Applied);
    let second = delivery("b", &envelope(noise(&parts, 900_000)));
    assert_eq!(synchronizer.sync(&second).await.unwrap(), Synced::Unchanged);
    assert_eq!(kept(&parts.store, &first).await.body, first.body);
}

#[tokio::test]
async fn whatever_attributes_and_body_a_message_has_it_is_kept_whole_and_marked() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let mut number = 0;
    for body_bytes in [0, 390_000, 800_000] {
        for attribute_bytes in [0, 390_000, 800_000] {
            number += 1;
            let text = noise(&parts, body_bytes);
            let mut large = received(delivery(&format!("m-{number}"), &text), 4);
            let attribute = ("notes".to_owned(), noise(&parts, attribute_bytes));
            large.message_attributes.extend([attribute]);
            // It is kept, refused with its reason, and told whole.
            assert_eq!(synchronizer.sync(&large).await.unwrap(), Synced::Failed);
            let message = kept(&parts.store, &large).await;
            assert_eq!(message.status, MessageStatus::Failed);
            assert_eq!(message.body, text);
            assert_eq!(message.attributes, large.to_message(at(0)).attributes);
            assert!(
                message
                    .error_log
                    .unwrap()
                    .starts_with("the message is not JSON")
            );
        }
    }
}

#[tokio::test]
async fn a_group_that_is_too_long_fails_the_message_with_its_reason() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    for (chars, expected) in [
        (127, Synced::Applied),
        (128, Synced::Applied),
        (129, Synced::Failed),
        (300_000, Synced::Failed),
    ] {
        let mut told: serde_json::Value =
            serde_json::from_str(&body("client", chars, "created", at(0), "C")).unwrap();
        told["group_id"] = json!("g".repeat(chars.try_into().unwrap()));
        let one = delivery(&format!("g-{chars}"), &told.to_string());
        assert_eq!(synchronizer.sync(&one).await.unwrap(), expected, "{chars}");
        let message = kept(&parts.store, &one).await;
        assert_eq!(message.group_id.is_some(), expected == Synced::Applied);
        let is_there = found(&parts.store, "client", chars).await.is_some();
        assert_eq!(is_there, expected == Synced::Applied);
        if expected == Synced::Failed {
            let why = message.error_log.unwrap();
            assert!(
                why.starts_with("/group_id: must have 1 to 128 characters"),
                "{why}"
            );
        }
    }
}
