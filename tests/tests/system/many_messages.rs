//! Ten thousand messages through the local system's own queue and function, one in a hundred of them
//! poison: none is lost, each is accounted for, and what they tell is there.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use chrono::{DateTime, Utc};
use serde_json::json;
use weir_domain::{MessageId, MessageStatus};
use weir_local::system::{Ports, System, SystemOptions};
use weir_runtime::{AwsClients, AwsOptions, Clock, Reader};
use weir_simulator::Faults;
use weir_store::Store;

use crate::messages::{body, id};

/// Parents before children, as each waits for its parent half a minute otherwise.
const KINDS: [&str; 5] = ["client", "program", "seller", "customer", "seller_contact"];
/// So many of each.
const EACH: u32 = 2_000;
/// One in so many is poison.
const POISON_EVERY: u32 = 100;
/// Far more than it takes, as other work may keep the machine busy.
const TIME_MAX: Duration = Duration::from_mins(15);

struct Local {
    system: System,
    queues: aws_sdk_sqs::Client,
    url: String,
    clock: Clock,
    _folder: tempfile::TempDir,
}

impl Local {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let system = System::start(SystemOptions {
            data: folder.path().to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            ports: Ports::default(),
            faults: Faults::default(),
            seed: 1,
            register_sellers_of: None,
            sweep_every: Duration::from_secs(5),
            // What waits for a parent that never comes fails when it first comes.
            settings: vec![("WEIR_MESSAGES_RECEIVES_MAX".to_owned(), "1".to_owned())],
        });
        let system = system.await.unwrap();
        let mut reader = Reader::new(system.environment().iter().cloned());
        let (aws, url) = (
            AwsOptions::read(&mut reader),
            reader.text("WEIR_MESSAGES_QUEUE_URL"),
        );
        reader.finish().unwrap();
        Self {
            queues: AwsClients::new(&aws).await.sqs,
            system,
            url,
            clock: Clock::system(),
            _folder: folder,
        }
    }

    /// Sends bodies by tens; gives the ids of the messages that are to be kept of them, in their order.
    async fn send(&self, bodies: &[String]) -> Vec<MessageId> {
        let mut ids = Vec::new();
        for together in bodies.chunks(10) {
            let entry = |(at, body): (usize, &String)| {
                let entry = SendMessageBatchRequestEntry::builder().id(at.to_string());
                entry.message_body(body).build().unwrap()
            };
            let entries = together.iter().enumerate().map(entry).collect();
            let request = self.queues.send_message_batch().queue_url(&self.url);
            let sent = request.set_entries(Some(entries)).send().await.unwrap();
            assert!(sent.failed().is_empty());
            let by_place: BTreeMap<usize, &str> = sent
                .successful()
                .iter()
                .map(|one| (one.id().parse().unwrap(), one.message_id()))
                .collect();
            ids.extend(
                by_place
                    .values()
                    .map(|sent| MessageId::of_delivery("sqs", sent)),
            );
        }
        ids
    }

    /// Waits until nothing is on the queue, neither to be received nor being worked on.
    async fn drained(&self, begun: Duration) {
        loop {
            let request = self.queues.get_queue_attributes().queue_url(&self.url);
            let names = [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            ];
            let answer = request.set_attribute_names(Some(names.into())).send();
            let counts = answer.await.unwrap().attributes.unwrap();
            if counts.values().all(|count| count == "0") {
                return;
            }
            let took = self.clock.monotonic().saturating_sub(begun);
            assert!(took < TIME_MAX, "not done after {took:?}: {counts:?}");
            self.clock.sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What every hundredth message is instead, and how its error log begins.
fn poison(kind: &str, number: u32, at: DateTime<Utc>) -> (String, &'static str) {
    match (number / POISON_EVERY) % 4 {
        0 => ("<not JSON>".to_owned(), "the message is not JSON"),
        1 => (
            json!({"occurred_at": at, "data": {}}).to_string(),
            "/type: is required",
        ),
        2 => (
            json!({"type": format!("{kind}.created"), "occurred_at": at, "data": {"id": "x"}})
                .to_string(),
            "/data/",
        ),
        // A client belongs to nothing that could be missing.
        _ if kind == "client" => (
            body("customers", number, "created", at, "N"),
            "/type: must be one of",
        ),
        _ => (
            body(kind, number + 10 * EACH, "created", at, "N"),
            "there is no ",
        ),
    }
}

/// The names of everything of a kind, by id.
async fn names(store: &Store, kind: &str) -> BTreeMap<String, String> {
    let ids: Vec<String> = (0..EACH).map(|number| id(kind, number)).collect();
    macro_rules! found {
        ($read:ident, $name:expr) => {{
            let ids: Vec<_> = ids.iter().map(|id| id.parse().unwrap()).collect();
            let found = store.$read(&ids).await.unwrap();
            let named = found
                .into_iter()
                .map(|it| (it.id.to_string(), $name(it.name)));
            named.collect()
        }};
    }
    let sure = |name: Option<String>| name.unwrap();
    let as_is = |name: String| name;
    match kind {
        "client" => found!(clients, as_is),
        "program" => found!(programs, as_is),
        "seller" => found!(sellers, as_is),
        "customer" => found!(customers, sure),
        _ => found!(seller_contacts, sure),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_messages_through_the_queue_each_is_accounted_for() {
    let local = Local::start().await;
    let store = local.system.store();
    let at: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let begun = local.clock.monotonic();
    let (mut processed, mut failed) = (0, 0);
    for kind in KINDS {
        let is_poison = |number: u32| number % POISON_EVERY == POISON_EVERY - 1;
        let bodies: Vec<String> = (0..EACH)
            .map(|number| {
                if is_poison(number) {
                    poison(kind, number, at).0
                } else {
                    body(kind, number, "created", at, &format!("{kind} {number}"))
                }
            })
            .collect();
        let ids = local.send(&bodies).await;
        local.drained(begun).await;

        let messages = store.messages(&ids).await.unwrap();
        assert_eq!(messages.len(), ids.len(), "{kind}");
        for ((message, number), body) in messages.iter().zip(0..).zip(&bodies) {
            assert_eq!(message.body, *body);
            if is_poison(number) {
                let (_, why) = poison(kind, number, at);
                let log = message.error_log.as_deref().unwrap();
                assert!(log.starts_with(why), "{log}");
                assert_eq!(message.status, MessageStatus::Failed);
                assert_eq!(message.failure_count, 1);
                failed += 1;
            } else {
                assert_eq!(message.status, MessageStatus::Processed, "{message:?}");
                assert_eq!(message.failure_count, 0);
                processed += 1;
            }
        }
        let expected: BTreeMap<_, _> = (0..EACH)
            .filter(|number| !is_poison(*number))
            .map(|number| (id(kind, number), format!("{kind} {number}")))
            .collect();
        assert_eq!(names(store, kind).await, expected);
    }
    assert_eq!((processed, failed), (9_900, 100));
    let took = local.clock.monotonic().saturating_sub(begun);
    assert!(took < TIME_MAX, "{took:?}");
    let dead = format!("{}-dead", local.url);
    let request = local.queues.receive_message().queue_url(dead);
    assert!(request.send().await.unwrap().messages().is_empty());
    local.system.stop().await.unwrap();
}
