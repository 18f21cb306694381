//! Whatever the order of a file, and wherever loading it stops: in the end it is there, once.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use weir_seed::{ApplyError, Format, Policy, Seed};
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};

use crate::{counts, file, kept, load, parts, seed, seeder};

/// The same entries in another order, written out: a map of values would sort its names.
fn shuffled(each: u32, word: &'static str) -> impl Strategy<Value = String> {
    let whole = file(each, word);
    let lists: Vec<_> = whole
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, list)| {
            let list = Just(list.as_array().unwrap().clone()).prop_shuffle();
            (Just(name.clone()), list)
        })
        .collect();
    let lists = lists.prop_flat_map(|lists| Just(lists).prop_shuffle());
    lists.prop_map(|lists| {
        let members: Vec<String> = lists
            .iter()
            .map(|(name, list)| format!("\"{name}\": {}", Value::from(list.clone())))
            .collect();
        format!("{{{}}}", members.join(",\n"))
    })
}

#[tokio::test]
async fn any_order_of_the_entries_ends_the_same() {
    let orders: Vec<String> = {
        let mut runner = TestRunner::new(Config::default());
        let orders = (0..4).map(|_| shuffled(3, "a").new_tree(&mut runner).unwrap().current());
        orders.collect()
    };
    let straight = {
        let parts = parts().await;
        load(
            &seeder(&parts, parts.store.clone()),
            &file(3, "a"),
            Policy::Refuse,
        )
        .await;
        kept(&parts.store, &file(3, "a")).await
    };
    for order in orders {
        let seed = Seed::parse(Format::Json, order.as_bytes()).unwrap();
        let parts = parts().await;
        let seeder = seeder(&parts, parts.store.clone());
        let plan = seeder.plan(&seed, &mut || {}).await.unwrap();
        let applied = seeder.apply(&plan, Policy::Refuse, &mut || {}).await;
        assert_eq!(counts(&applied), [17, 0, 0, 0]);
        assert_eq!(kept(&parts.store, &file(3, "a")).await, straight);
    }
}

#[tokio::test]
async fn wherever_it_stops_doing_it_again_ends_the_same() {
    let wanted = {
        let parts = parts().await;
        load(
            &seeder(&parts, parts.store.clone()),
            &file(2, "b"),
            Policy::Refuse,
        )
        .await;
        kept(&parts.store, &file(2, "b")).await
    };
    for stop_after in 0..12 {
        let parts = parts().await;
        let sound = seeder(&parts, parts.store.clone());
        load(&sound, &file(1, "a"), Policy::Refuse).await;
        let plan = sound.plan(&seed(&file(2, "b")), &mut || {}).await.unwrap();
        // The machine goes down after so many entries.
        let (seeder, store) = (sound.clone(), parts.store.clone());
        let (done, mut stopped) = tokio::sync::mpsc::unbounded_channel();
        let work = tokio::spawn(async move {
            let mut count = 0;
            let mut progress = || {
                count += 1;
                let _ = done.send(count);
            };
            seeder.apply(&plan, Policy::Update, &mut progress).await
        });
        while let Some(count) = stopped.recv().await {
            if count > stop_after {
                work.abort();
                break;
            }
        }
        let _ = work.await;
        let (_, applied) = load(&sound, &file(2, "b"), Policy::Update).await;
        assert_eq!(applied.stopped, None);
        assert_eq!(kept(&store, &file(2, "b")).await, wanted, "{stop_after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_tables_stop_it_or_not_and_it_ends_the_same() {
    let rates = Rates::default().of(
        Service::Dynamodb,
        &[
            (Fault::NotSent, 40),
            (Fault::AnswerLost, 60),
            (Fault::Late, 30),
            (Fault::Repeated, 40),
            (Fault::Throttled, 40),
            (Fault::Failed, 40),
        ],
    );
    let parts = parts().await;
    let http = FaultyClient::new(
        parts.network.aws.clone(),
        rates,
        parts.random.clone(),
        parts.timeline.clock().clone(),
        Duration::from_millis(50),
    );
    let faulty = seeder(&parts, parts.store_through(http.shared()).await);
    for word in ["a", "b"] {
        let wanted = file(5, word);
        let mut is_done = false;
        for _ in 0..50 {
            let Ok(plan) = faulty.plan(&seed(&wanted), &mut || {}).await else {
                continue;
            };
            let applied = faulty.apply(&plan, Policy::Update, &mut || {}).await;
            match applied.stopped {
                None => {
                    is_done = true;
                    break;
                }
                // A write of which no answer came may arrive when the next run has read.
                Some(ApplyError::Store(_) | ApplyError::Meanwhile(..)) => {}
                Some(error) => panic!("{error}"),
            }
        }
        assert!(is_done, "{word}");
    }
    http.heal().await;
    let sound = seeder(&parts, parts.store.clone());
    let (_, again) = load(&sound, &file(5, "b"), Policy::Refuse).await;
    assert_eq!(counts(&again), [0, 0, 27, 0]);
    let met = http.met();
    assert!(met.len() >= 6, "{met:?}");
}
