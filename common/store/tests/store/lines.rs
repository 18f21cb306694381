use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use weir_domain::{DetailStatus, EventNumber};
use weir_store::{Batch, Call, CounterChange, Detail, Event, Outcome, Payload, PutBuffer, Store};

use crate::make::{self, at, id, line};
use crate::tables_of::Tables;

fn call(response: Option<&str>) -> Call {
    Call {
        at: at(5),
        duration_ms: 12,
        request_version: 1,
        response_status: response.map(|_| 200),
        response: response.map(str::to_owned),
        failure: None,
    }
}

/// The event that follows on a detail.
fn next_event(detail: &Detail, is_answered: bool) -> Event {
    let number = detail.events + 1;
    let mut detail = detail.clone();
    detail.events = number;
    detail.version += 1;
    detail.status = DetailStatus::Retry;
    if is_answered {
        detail.answered_in = Some(EventNumber::new(number).unwrap());
    }
    Event {
        name: "Failed".to_owned(),
        actor: None,
        correlation_id: format!("c-{number}"),
        calls: vec![call(is_answered.then_some("{}"))],
        detail,
    }
}

/// Writes so many details, and of each line as many events as its number modulo four.
async fn written(store: &Store, batch: &Batch, lines: u32) -> (Vec<Detail>, Vec<Event>) {
    store.create_batch(batch).await.unwrap();
    let mut details: BTreeMap<u32, Detail> = BTreeMap::new();
    let mut puts = PutBuffer::new(store, 8);
    for number in 1..=lines {
        let detail = make::detail(batch, number);
        let payload = Payload {
            xml: format!("<Charge n=\"{number}\"/>"),
            request: "{}".to_owned(),
        };
        puts.put_detail(&batch.place(), id(1), &detail, &payload)
            .await
            .unwrap();
        details.insert(number, detail);
    }
    puts.flush().await.unwrap();
    let mut events = Vec::new();
    for round in 1..4 {
        let mut outcomes = Vec::new();
        for (number, detail) in &mut details {
            if number % 4 >= round {
                let event = next_event(detail, (number + round) % 2 == 0);
                let leased_version = detail.version;
                *detail = event.detail.clone();
                events.push(event.clone());
                outcomes.push(Outcome {
                    leased_version,
                    event,
                });
            }
        }
        for some in outcomes.chunks(25) {
            let change = CounterChange::default();
            store.record_outcomes(batch, some, &change).await.unwrap();
        }
    }
    events.sort_by_key(|event| (event.detail.line(), event.detail.events));
    (details.into_values().collect(), events)
}

#[test]
fn details_and_events_of_any_lines_are_those_of_a_plain_list() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tables = runtime.block_on(Tables::new());
    let store = &tables.store;
    let lines = 480;
    // As few shards as there are, fewer than blocks that are read one by one, and more.
    let worlds = [1, 3, 18].map(|shards| {
        let batch = Batch {
            shards,
            ..make::batch(1, shards)
        };
        let (details, events) = runtime.block_on(written(store, &batch, lines));
        (batch, details, events)
    });
    let ends = (1..=lines + 30, 1..=lines + 30);
    let mut runner = TestRunner::new(Config::with_cases(120));
    let checked = runner.run(&(0..worlds.len(), ends), |(world, (from, to))| {
        let (batch, details, events) = &worlds[world];
        let (from, to) = (line(from), line(to));
        let within = |detail: &Detail| (from..=to).contains(&detail.line());
        let read = runtime.block_on(store.details_in_lines(&batch.place(), from, to));
        let expected: Vec<_> = details
            .iter()
            .filter(|detail| within(detail))
            .cloned()
            .collect();
        prop_assert_eq!(read, Ok(expected));
        let read = runtime.block_on(store.events_in_lines(&batch.place(), from, to));
        let expected = events.iter().filter(|event| within(&event.detail));
        prop_assert_eq!(read, Ok(expected.cloned().collect()));
        Ok(())
    });
    checked.unwrap();
}

#[tokio::test]
async fn versions_of_payloads_are_told_apart_and_those_that_are_not_there_left_out() {
    let tables = Tables::new().await;
    let batch = make::batch(1, 1);
    written(&tables.store, &batch, 2).await;
    let wanted = [(line(1), 1), (line(1), 2), (line(2), 1), (line(3), 1)];
    let found = tables
        .store
        .payload_versions(&batch.place(), &wanted)
        .await
        .unwrap();
    let keys: Vec<_> = found.keys().copied().collect();
    assert_eq!(keys, [(line(1), 1), (line(2), 1)]);
    assert_eq!(found[&(line(2), 1)].xml, "<Charge n=\"2\"/>");
}
