//! What senders say of their messages is believed as far as it can be checked, and whatever they send is
//! kept and marked.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use weir_domain::{MessageId, MessageStatus};
use weir_runtime::Metrics;
use weir_settlement::dead_letters::DeadLetters;
use weir_settlement::messages::{Delivery, SyncError, Synced};
use weir_store::{Message, TOMBSTONE_DAYS};
use weir_tests::parts::Parts;

use crate::messages::{body, delivery, found, id, kept, parts, received, synchronizer};

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
        let mut told: Value =
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

/// A message about something of one number that names the client and the program of others.
fn of_others(kind: &str, client: u32, program: u32) -> String {
    let told = body(kind, 1, "updated", at(5), "changed");
    let mut told: Value = serde_json::from_str(&told).unwrap();
    told["data"]["client_id"] = json!(id("client", client));
    told["data"]["program_id"] = json!(id("program", program));
    told.to_string()
}

#[tokio::test]
async fn what_names_another_client_than_its_program_has_waits_and_fails_and_changes_nothing() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let kinds = ["client", "program", "seller", "customer", "seller_contact"];
    for number in [1, 2] {
        for kind in kinds {
            let told = body(kind, number, "created", at(0), "first");
            let told = delivery(&format!("{kind}-{number}"), &told);
            assert_eq!(synchronizer.sync(&told).await.unwrap(), Synced::Applied);
        }
    }
    let parent = [
        ("seller", 2, 1, "/data/client_id: the program"),
        ("customer", 2, 1, "/data/client_id: the program"),
        ("seller_contact", 2, 1, "/data/client_id: the seller"),
        ("seller_contact", 1, 2, "/data/program_id: the seller"),
    ];
    for (index, (kind, client, program, why)) in parent.into_iter().enumerate() {
        let told = delivery(&format!("x-{index}"), &of_others(kind, client, program));
        let waits = synchronizer.sync(&told).await;
        assert!(matches!(waits, Err(SyncError::Waits(_))), "{waits:?}");
        let told = received(told, 4);
        assert_eq!(synchronizer.sync(&told).await.unwrap(), Synced::Failed);
        let message = kept(&parts.store, &told).await;
        assert_eq!(message.status, MessageStatus::Failed);
        let told = message.error_log.unwrap();
        assert!(told.starts_with(why), "{told}");
        let left = found(&parts.store, kind, 1).await;
        assert_eq!(left, Some(("first".to_owned(), at(0))), "{kind}");
    }
    // What is gone still tells to whom it belonged, unless it was never known.
    for (number, why) in [(1, Some("/data/client_id: the program")), (9, None)] {
        let gone = body("program", number, "deleted", at(1), "");
        let gone = delivery(&format!("gone-{number}"), &gone);
        assert_eq!(synchronizer.sync(&gone).await.unwrap(), Synced::Applied);
        let told = of_others("customer", 2, number);
        let told = told.replace(&id("customer", 1), &id("customer", number + 10));
        let told = received(delivery(&format!("late-{number}"), &told), 4);
        let expected = if why.is_some() {
            Synced::Failed
        } else {
            Synced::Applied
        };
        assert_eq!(synchronizer.sync(&told).await.unwrap(), expected);
        let log = kept(&parts.store, &told)
            .await
            .error_log
            .unwrap_or_default();
        assert!(log.starts_with(why.unwrap_or_default()), "{log}");
    }
}

#[tokio::test]
async fn what_was_told_long_ago_creates_nothing_that_may_have_been_deleted_since() {
    const DAY: Duration = Duration::from_hours(24);
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    // Failed at first, as their client was not known.
    let told = |number| {
        received(
            delivery(
                &format!("p-{number}"),
                &body("program", number, "created", at(0), "P"),
            ),
            4,
        )
    };
    let replay = |number| {
        let original = told(number);
        replaying(
            received(delivery("again", &original.body), 4),
            original.to_message(at(0)).id,
        )
    };
    for number in 1..=3 {
        assert_eq!(
            synchronizer.sync(&told(number)).await.unwrap(),
            Synced::Failed
        );
    }
    let created = parts.timeline.now();
    for number in 1..=3 {
        let told = body("client", number, "created", at(0), "C");
        let told = delivery(&format!("c-{number}"), &told);
        assert_eq!(synchronizer.sync(&told).await.unwrap(), Synced::Applied);
    }
    // Known, it is changed however old the message is.
    assert_eq!(
        synchronizer.sync(&replay(3)).await.unwrap(),
        Synced::Applied
    );
    parts.timeline.jump(DAY * 74);
    assert_eq!(
        synchronizer.sync(&replay(1)).await.unwrap(),
        Synced::Applied
    );
    parts.timeline.jump(DAY * 2);
    assert!(parts.timeline.now() - created < TimeDelta::days(TOMBSTONE_DAYS));
    assert_eq!(synchronizer.sync(&replay(2)).await.unwrap(), Synced::Failed);
    assert_eq!(found(&parts.store, "program", 2).await, None);
    let why = kept(&parts.store, &told(2)).await.error_log.unwrap();
    assert!(why.starts_with("it was kept at "), "{why}");
    assert!(why.contains("more than 75 days ago"), "{why}");
    assert_eq!(
        synchronizer.sync(&replay(3)).await.unwrap(),
        Synced::Unchanged
    );
    // Sent anew it is as good as any.
    let anew = delivery("anew", &told(2).body);
    assert_eq!(synchronizer.sync(&anew).await.unwrap(), Synced::Applied);
}

#[tokio::test]
async fn what_is_there_moves_nowhere_and_a_replay_of_what_was_applied_fails_nothing() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    for number in [1, 2] {
        for kind in ["client", "program"] {
            let told = body(kind, number, "created", at(0), "first");
            let told = delivery(&format!("{kind}-{number}"), &told);
            assert_eq!(synchronizer.sync(&told).await.unwrap(), Synced::Applied);
        }
    }
    let first = delivery("s", &body("seller", 1, "created", at(0), "first"));
    assert_eq!(synchronizer.sync(&first).await.unwrap(), Synced::Applied);
    let moved = delivery("moved", &of_others("seller", 2, 2));
    let waits = synchronizer.sync(&moved).await;
    assert!(matches!(waits, Err(SyncError::Waits(_))), "{waits:?}");
    let moved = received(moved, 4);
    assert_eq!(synchronizer.sync(&moved).await.unwrap(), Synced::Failed);
    let log = kept(&parts.store, &moved).await.error_log.unwrap();
    let why = format!(
        "/data/client_id: it is {} of what there is",
        id("client", 1)
    );
    assert!(log.starts_with(&why), "{log}");
    let left = found(&parts.store, "seller", 1).await;
    assert_eq!(left, Some(("first".to_owned(), at(0))));

    // Once it is deleted it may come to belong to another, and what was applied before stays so.
    let gone = delivery("gone", &body("seller", 1, "deleted", at(4), ""));
    assert_eq!(synchronizer.sync(&gone).await.unwrap(), Synced::Applied);
    assert_eq!(synchronizer.sync(&moved).await.unwrap(), Synced::Applied);
    let again = replaying(first.clone(), kept(&parts.store, &first).await.id);
    assert_eq!(synchronizer.sync(&again).await.unwrap(), Synced::Unchanged);
    let message = kept(&parts.store, &first).await;
    assert_eq!(message.status, MessageStatus::Processed);
    assert_eq!(message.failure_count, 0);
}

#[tokio::test]
async fn sellers_swap_their_alternate_ids_in_three_messages_and_not_in_two() {
    let parts = parts().await;
    let synchronizer = synchronizer(&parts, parts.store.clone());
    let seller = |name: &str, number: u32, alternate: Option<&str>, seconds| {
        let told = body("seller", 1, "updated", at(seconds), "S");
        let mut told: Value = serde_json::from_str(&told).unwrap();
        told["data"]["id"] = json!(id("seller", number));
        told["data"]["alternate_seller_id"] = json!(alternate);
        received(delivery(name, &told.to_string()), 4)
    };
    for kind in ["client", "program"] {
        let told = delivery(kind, &body(kind, 1, "created", at(0), "first"));
        assert_eq!(synchronizer.sync(&told).await.unwrap(), Synced::Applied);
    }
    for (told, expected) in [
        (seller("1", 1, Some("A"), 1), Synced::Applied),
        (seller("2", 2, Some("B"), 1), Synced::Applied),
        (seller("3", 1, Some("B"), 2), Synced::Failed),
        (seller("4", 2, Some("A"), 2), Synced::Failed),
        // The remedy.
        (seller("5", 1, None, 3), Synced::Applied),
        (seller("6", 2, Some("A"), 4), Synced::Applied),
        (seller("7", 1, Some("B"), 5), Synced::Applied),
    ] {
        assert_eq!(
            synchronizer.sync(&told).await.unwrap(),
            expected,
            "{told:?}"
        );
        if expected == Synced::Failed {
            let log = kept(&parts.store, &told).await.error_log.unwrap();
            assert!(
                log.contains("has it: have that one sent without it first"),
                "{log}"
            );
        }
    }
    let program = id("program", 1).parse().unwrap();
    for (alternate, number) in [("A", 2), ("B", 1)] {
        let alternate = alternate.parse().unwrap();
        let found = parts
            .store
            .seller_by_alternate_id(program, &alternate)
            .await;
        assert_eq!(found.unwrap().unwrap().id.to_string(), id("seller", number));
    }
}
