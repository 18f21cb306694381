//! Messages in any order, any number of times, with faults between two steps, and many of them: they end
//! in the same reference data, and each is accounted for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use weir_domain::{MessageId, MessageStatus};
use weir_settlement::messages::{Delivery, Synchronizer};
use weir_store::Store;
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};
use weir_tests::parts::{Network, Parts};

use crate::messages::{body, delivery, found, kept, parts, synchronizer};

const KINDS: [&str; 5] = ["client", "program", "seller", "customer", "seller_contact"];
/// So many there are of each kind.
const EACH: u32 = 2;

/// A name, and the time of the message that brought it.
type Named = (String, DateTime<Utc>);

/// How far apart the times of two messages are: seconds, or less than what a clock of milliseconds tells
/// apart, or nothing.
const APART: [TimeDelta; 4] = [
    TimeDelta::seconds(1),
    TimeDelta::microseconds(1),
    TimeDelta::nanoseconds(1),
    TimeDelta::zero(),
];

/// Messages about everything, some of one time.
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
        let apart = prop::collection::vec(prop::sample::select(APART.to_vec()), count);
        let messages = (Just(told).prop_shuffle(), apart).prop_map(move |(told, apart)| {
            let mut at = base;
            let timed = told.into_iter().zip(apart);
            timed
                .map(|((kind, number, is_gone), apart)| {
                    at += apart;
                    (kind, number, is_gone, at)
                })
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
            let body = body(
                KINDS[*kind],
                *number,
                action,
                *at,
                &format!("name {index:03}"),
            );
            delivery(&format!("m-{index}"), &body)
        })
        .collect()
    }

    /// The newest of each, whatever the order: to the microsecond, a deletion before anything else of its
    /// time, and otherwise the name that is the last in the alphabet.
    fn end(&self) -> BTreeMap<(usize, u32), Option<Named>> {
        let mut end: BTreeMap<_, (i64, bool, String)> = BTreeMap::new();
        for (index, (kind, number, is_gone, at)) in self.messages.iter().enumerate() {
            let told = (at.timestamp_micros(), *is_gone, format!("name {index:03}"));
            let newest = end.entry((*kind, *number)).or_insert_with(|| told.clone());
            if told > *newest {
                *newest = told;
            }
        }
        let shown = |micros: i64| DateTime::from_timestamp_millis(micros / 1_000).unwrap();
        let ends = end.into_iter().map(|(which, (micros, is_gone, name))| {
            (which, (!is_gone).then(|| (name, shown(micros))))
        });
        ends.collect()
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
    let tale = Story {
        messages: told.collect(),
        order: Vec::new(),
    };
    let mut deliveries = tale.deliveries();
    deliveries.reverse();
    deliver_all(&synchronizer, deliveries).await;
    faulty.heal().await;
    assert!(faulty.met().len() >= 6, "{:?}", faulty.met());
    tale.assert_end(&parts.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_messages_with_poison_among_them_each_is_accounted_for() {
    let parts = parts().await;
    let synchronizer = Arc::new(synchronizer(&parts, parts.store.clone()));
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let deliveries: Vec<Delivery> = (0..1_000_u32)
        .map(|number| {
            let body = if number % 100 == 99 {
                "{\"type\": \"client.created\"}".to_owned()
            } else {
                body("client", number, "created", at, &format!("C {number}"))
            };
            delivery(&format!("m-{number}"), &body)
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
