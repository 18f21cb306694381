//! What the runners report, whatever their handlers do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test helpers"
)]

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use weir_lambda::{BatchResponse, Deadline, SqsRecord, decode, run_batch};
use weir_runtime::Clock;
use weir_runtime::telemetry::{self, TelemetryOptions};

fn records(count: usize) -> Vec<SqsRecord> {
    let ids = (0..count).map(|n| format!("m-{n}"));
    ids.map(|id| SqsRecord::new(id, "{}").unwrap()).collect()
}

fn a_minute() -> Deadline {
    Deadline::after(Duration::from_mins(1), &Clock::system())
}

fn failed(response: &BatchResponse) -> Vec<&str> {
    let failures = response.failures().iter();
    failures.map(|f| f.item_identifier.as_str()).collect()
}

#[tokio::test]
async fn an_empty_batch_is_answered_with_an_empty_list() {
    let handler = |_| async { Ok::<_, String>(()) };
    let response = run_batch(Vec::new(), &a_minute(), 10, handler).await;
    assert_eq!(response.into_value(), json!({"batchItemFailures": []}));
}

#[tokio::test]
async fn a_panic_of_one_of_ten_records_fails_that_one_alone() {
    let response = run_batch(records(10), &a_minute(), 10, |record| async move {
        assert_ne!(record.message_id, "m-4", "a broken invariant");
        Ok::<_, String>(())
    })
    .await;
    assert_eq!(
        response.into_value(),
        json!({"batchItemFailures": [{"itemIdentifier": "m-4"}]})
    );
}

#[tokio::test]
async fn a_handler_that_panics_before_it_waits_is_contained_too() {
    let response = run_batch(records(2), &a_minute(), 1, |record| {
        assert_ne!(record.message_id, "m-0", "a broken invariant");
        std::future::ready(Ok::<_, String>(()))
    })
    .await;
    assert_eq!(failed(&response), ["m-0"]);
}

#[tokio::test]
async fn a_bad_body_fails_its_record_alone() {
    let event = json!({"Records": [
        {"messageId": "good", "body": "7"},
        {"messageId": "bad", "body": "seven"},
        {"messageId": "none"},
    ]});
    let parse = |record: SqsRecord| async move { record.body.parse::<u8>().map(|_| ()) };
    let response = run_batch(decode(event).unwrap(), &a_minute(), 10, parse).await;
    assert_eq!(failed(&response), ["bad", "none"]);
}

#[tokio::test]
async fn a_message_that_is_in_the_batch_twice_is_reported_once_if_either_failed() {
    for good_first in [true, false] {
        let bodies = if good_first { ["7", "x"] } else { ["x", "7"] };
        let records = bodies.map(|body| SqsRecord::new("m-0", body).unwrap());
        let parse = |record: SqsRecord| async move { record.body.parse::<u8>().map(|_| ()) };
        let response = run_batch(records.into(), &a_minute(), 10, parse).await;
        assert_eq!(failed(&response), ["m-0"]);
    }
}

#[tokio::test]
async fn at_the_deadline_what_is_done_is_done_and_the_rest_comes_again() {
    let (clock, hand) = Clock::manual(chrono::DateTime::from_timestamp_millis(0).unwrap());
    let deadline = Deadline::after(Duration::from_secs(11), &clock);
    let sleeping = clock.clone();
    // m-0 and m-1 run first; m-0 is done in time and m-2 takes its place, m-3 is never begun.
    let run = run_batch(records(4), &deadline, 2, move |record| {
        let clock = sleeping.clone();
        async move {
            let seconds = if record.message_id == "m-0" { 5 } else { 60 };
            clock.sleep(Duration::from_secs(seconds)).await;
            Ok::<_, String>(())
        }
    });
    let time = async {
        for step in [5, 5] {
            while hand.sleepers_count() < 3 {
                tokio::task::yield_now().await;
            }
            hand.advance(Duration::from_secs(step));
        }
    };
    let (response, ()) = tokio::join!(run, time);
    assert_eq!(failed(&response), ["m-1", "m-2", "m-3"]);
    assert_eq!(deadline.remaining(), Duration::from_secs(1));
}

#[tokio::test]
async fn past_the_deadline_nothing_is_begun() {
    let deadline = Deadline::after(Duration::from_secs(1), &Clock::system());
    let handler = |_| async { panic!("begun") };
    let response = run_batch::<_, _, String>(records(3), &deadline, 10, handler).await;
    assert_eq!(response.failures().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_computes_without_end_does_not_keep_the_answer_back() {
    let deadline =
        Deadline::after(Duration::from_millis(200), &Clock::system()).with_margin(Duration::ZERO);
    let stop = Arc::new(AtomicUsize::new(0));
    let stopped = Arc::clone(&stop);
    let response = run_batch(records(2), &deadline, 2, move |record| {
        let stopped = Arc::clone(&stopped);
        async move {
            while record.message_id == "m-0" && stopped.load(Ordering::Relaxed) == 0 {
                std::hint::spin_loop();
            }
            Ok::<_, String>(())
        }
    })
    .await;
    stop.store(1, Ordering::Relaxed);
    assert_eq!(failed(&response), ["m-0"]);
}

#[tokio::test]
async fn no_more_records_run_at_once_than_asked_for() {
    for (concurrency, most_expected) in [(0, 1), (1, 1), (3, 3), (100, 10)] {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (now, highest) = (Arc::clone(&running), Arc::clone(&most));
        let response = run_batch(records(10), &a_minute(), concurrency, move |_| {
            let (now, highest) = (Arc::clone(&now), Arc::clone(&highest));
            async move {
                highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, String>(())
            }
        })
        .await;
        assert!(response.failures().is_empty());
        assert_eq!(most.load(Ordering::SeqCst), most_expected);
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_failed_record_is_logged_once_with_its_message_id_and_correlation() {
    let event = json!({"Records": [
        {"messageId": "m-0", "body": "7"},
        {"messageId": "m-1", "body": "x", "messageAttributes": {
            "correlation_id": {"stringValue": "c-1", "dataType": "String"}
        }},
        {"messageId": "m-2"},
    ]});
    let logged = Logged::default();
    let writer = logged.clone();
    let options = TelemetryOptions::default();
    let subscriber = telemetry::subscriber(&options, Clock::system(), move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber);
    let parse = |record: SqsRecord| async move { record.body.parse::<u8>().map(|_| ()) };
    let response = run_batch(decode(event).unwrap(), &a_minute(), 10, parse).await;
    drop(guard);
    assert_eq!(failed(&response), ["m-1", "m-2"]);
    let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said = |field: &str| -> Vec<_> { lines.iter().map(|l| l[field].clone()).collect() };
    assert_eq!(said("message_id"), ["m-1", "m-2"]);
    assert_eq!(said("correlation_id"), ["c-1", "m-2"]);
    assert_eq!(
        said("reason"),
        ["invalid digit found in string", "its body is not a string"]
    );
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Done,
    DoneLater,
    Fails,
    Panics,
    PanicsLater,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        Just(Fate::Done),
        Just(Fate::DoneLater),
        Just(Fate::Fails),
        Just(Fate::Panics),
        Just(Fate::PanicsLater)
    ];
    proptest::collection::vec(fate, 0..24)
}

proptest! {
    #[test]
    fn exactly_the_records_whose_handler_failed_are_reported(fates in fates(), concurrency in 0_usize..30) {
        std::panic::set_hook(Box::new(|_| {}));
        let expected: BTreeSet<_> = fates
            .iter()
            .enumerate()
            .filter(|(_, fate)| !matches!(fate, Fate::Done | Fate::DoneLater))
            .map(|(n, _)| format!("m-{n}"))
            .collect();
        let records = records(fates.len());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let response = runtime.block_on(run_batch(records, &a_minute(), concurrency, move |record| {
            let fate = fates[record.message_id[2..].parse::<usize>().unwrap()];
            assert!(fate != Fate::Panics, "a broken invariant");
            async move {
                if matches!(fate, Fate::DoneLater | Fate::PanicsLater) {
                    tokio::task::yield_now().await;
                }
                assert!(fate != Fate::PanicsLater, "a broken invariant");
                if fate == Fate::Fails { Err("refused") } else { Ok(()) }
            }
        }));
        let reported: BTreeSet<_> = failed(&response).into_iter().map(str::to_owned).collect();
        prop_assert_eq!(response.failures().len(), reported.len());
        prop_assert_eq!(reported, expected);
    }
}
