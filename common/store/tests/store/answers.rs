use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use chrono::TimeDelta;
use uuid::Uuid;
use weir_runtime::Random;
use weir_store::{
    ANSWER_BYTES_MAX, ANSWER_KEPT, Answer, AnswerClaim, AnswerId, AnswerRecord, AnswerState,
    ApiKeyHash, StoreError,
};

use crate::make::at;
use crate::tables_of::Tables;

fn id() -> AnswerId {
    AnswerId::of(&ApiKeyHash::of("caller"), b"key")
}

/// A claim at a time, for ten seconds.
fn claim(run: u128, millis: i64) -> AnswerClaim {
    AnswerClaim {
        run: Uuid::from_u128(run),
        fingerprint: [7; 32],
        seed: Uuid::from_u128(run + 100),
        at: at(millis),
        lease_until: at(millis + 10_000),
    }
}

fn answer(body: impl Into<Bytes>) -> Answer {
    Answer {
        status: 200,
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("link".to_owned(), "<a:b>; rel=\"next\"".to_owned()),
        ],
        body: body.into(),
    }
}

fn is_conflict<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict { .. }))
}

#[tokio::test]
async fn one_claims_a_request_and_its_answer_is_found_as_it_was() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let id = &id();
    assert_eq!(store.answer_record(id, at(0)).await, Ok(None));
    store.claim_answer(id, &claim(1, 0)).await.unwrap();
    assert!(is_conflict(&store.claim_answer(id, &claim(2, 1)).await));
    let running = AnswerRecord {
        fingerprint: [7; 32],
        seed: Uuid::from_u128(101),
        run: Uuid::from_u128(1),
        first_at: at(0),
        ends_at: at(0) + ANSWER_KEPT,
        state: AnswerState::Running(at(10_000)),
    };
    let found = store.answer_record(id, at(2)).await;
    assert_eq!(found, Ok(Some(running.clone())));
    let keep = async |run, millis| {
        let run = Uuid::from_u128(run);
        store.keep_answer(id, run, at(millis), &answer("{}")).await
    };
    assert!(is_conflict(&keep(2, 3).await), "another run's");
    keep(1, 4).await.unwrap();
    assert!(is_conflict(&keep(1, 5).await), "the first answer stays");
    let answered = AnswerRecord {
        ends_at: at(4) + ANSWER_KEPT,
        state: AnswerState::Answered(answer("{}")),
        ..running
    };
    let found = store.answer_record(id, at(6)).await;
    assert_eq!(found, Ok(Some(answered)));
    // Nothing takes it away any more.
    store.release_answer(id, Uuid::from_u128(1)).await.unwrap();
    store.forget_answer(id, Uuid::from_u128(1)).await.unwrap();
    assert!(is_conflict(
        &store
            .take_over_answer(id, Uuid::from_u128(1), &claim(3, 7))
            .await
    ));
    let found = store.answer_record(id, at(8)).await.unwrap().unwrap();
    assert_eq!(found.state, AnswerState::Answered(answer("{}")));
}

#[tokio::test]
async fn an_answer_counts_until_a_day_after_it_and_no_longer() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let id = &id();
    store.claim_answer(id, &claim(1, 0)).await.unwrap();
    let run = Uuid::from_u128(1);
    let kept = store.keep_answer(id, run, at(5_000), &answer("x")).await;
    kept.unwrap();
    let end_ms = 5_000 + ANSWER_KEPT.num_milliseconds();
    for (millis, counts) in [(end_ms - 1, true), (end_ms, false), (end_ms + 1, false)] {
        let found = store.answer_record(id, at(millis)).await.unwrap();
        assert_eq!(found.is_some(), counts, "{millis}");
    }
    assert!(is_conflict(
        &store.claim_answer(id, &claim(2, end_ms - 1)).await
    ));
    store.claim_answer(id, &claim(2, end_ms)).await.unwrap();
    let found = store.answer_record(id, at(end_ms)).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.seed, Uuid::from_u128(102), "it begins anew");
    assert_eq!(found.state, AnswerState::Running(at(end_ms + 10_000)));
}

#[tokio::test]
async fn what_is_taken_over_keeps_its_seed_and_whoever_had_it_is_out() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let id = &id();
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    store.claim_answer(id, &claim(1, 0)).await.unwrap();
    store.release_answer(id, one).await.unwrap();
    let found = store.answer_record(id, at(1)).await.unwrap().unwrap();
    assert_eq!(found.state, AnswerState::GivenUp);
    store
        .take_over_answer(id, one, &claim(2, 20_000))
        .await
        .unwrap();
    assert!(
        is_conflict(&store.take_over_answer(id, one, &claim(3, 20_000)).await),
        "one of two takes it over"
    );
    let found = store.answer_record(id, at(20_000)).await;
    let expected = AnswerRecord {
        fingerprint: [7; 32],
        seed: Uuid::from_u128(101),
        run: two,
        first_at: at(0),
        ends_at: at(20_000) + ANSWER_KEPT,
        state: AnswerState::Running(at(30_000)),
    };
    assert_eq!(found, Ok(Some(expected.clone())));
    // What the first run still sends comes too late.
    assert!(is_conflict(
        &store
            .keep_answer(id, one, at(20_001), &answer("late"))
            .await
    ));
    store.release_answer(id, one).await.unwrap();
    store.forget_answer(id, one).await.unwrap();
    let found = store.answer_record(id, at(20_002)).await;
    assert_eq!(found, Ok(Some(expected)));
    store.forget_answer(id, two).await.unwrap();
    assert_eq!(store.answer_record(id, at(20_003)).await, Ok(None));
}

/// Bytes that do not shrink.
fn noise(length: usize) -> Vec<u8> {
    let random = Random::seeded(5);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(random.u64().to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[tokio::test]
async fn an_answer_of_any_size_up_to_the_limit_comes_back_and_a_longer_one_is_refused() {
    let tables = Tables::new().await;
    let store = &tables.store;
    // What is stored is a little longer than noise, so the step into parts lies just below 300 KiB.
    let step = 300 << 10;
    let near = (step - 40..step + 8).step_by(4);
    let mut parts_seen = std::collections::BTreeSet::new();
    let sizes = [0, 1].into_iter().chain(near).chain([2 * step]);
    for (number, size) in sizes.enumerate() {
        let id = AnswerId::of(&ApiKeyHash::of("caller"), &number.to_be_bytes());
        store.claim_answer(&id, &claim(1, 0)).await.unwrap();
        let answer = answer(noise(size));
        let run = Uuid::from_u128(1);
        store.keep_answer(&id, run, at(1), &answer).await.unwrap();
        let found = store.answer_record(&id, at(2)).await.unwrap().unwrap();
        assert_eq!(found.state, AnswerState::Answered(answer), "{size}");
    }
    let scanned = tables.clients.dynamodb.scan();
    let mut pages = scanned
        .table_name("weir-test-answers")
        .into_paginator()
        .items()
        .send();
    while let Some(item) = pages.next().await {
        let item = item.unwrap();
        let number = |value: &AttributeValue| value.as_n().unwrap().parse::<usize>().unwrap();
        parts_seen.extend(item.get("answer_parts").map(number));
        // DynamoDB never removes what still counts.
        let expires_at = number(&item["expires_at"]);
        let day_after = (at(1) + ANSWER_KEPT).timestamp();
        assert!(i64::try_from(expires_at).unwrap() > day_after);
    }
    assert_eq!(parts_seen, [0, 2, 3].into());

    for (number, (size, is_kept)) in [
        (ANSWER_BYTES_MAX - 1, true),
        (ANSWER_BYTES_MAX, true),
        (ANSWER_BYTES_MAX + 1, false),
    ]
    .into_iter()
    .enumerate()
    {
        let id = AnswerId::of(&ApiKeyHash::of("other"), &number.to_be_bytes());
        store.claim_answer(&id, &claim(1, 0)).await.unwrap();
        let answer = answer(noise(size));
        let run = Uuid::from_u128(1);
        let kept = store.keep_answer(&id, run, at(1), &answer).await;
        assert_eq!(kept.is_ok(), is_kept, "{size}: {kept:?}");
        if is_kept {
            let found = store.answer_record(&id, at(2)).await.unwrap().unwrap();
            assert_eq!(found.state, AnswerState::Answered(answer), "{size}");
        }
    }
}

#[tokio::test]
async fn a_lease_is_told_as_it_was_taken() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let id = &id();
    let claimed = claim(1, 123);
    store.claim_answer(id, &claimed).await.unwrap();
    let found = store.answer_record(id, at(0)).await.unwrap().unwrap();
    assert_eq!(found.first_at, claimed.at);
    assert_eq!(found.state, AnswerState::Running(claimed.lease_until));
    assert_eq!(
        found.ends_at - found.first_at,
        TimeDelta::hours(24),
        "a claim is remembered for as long as an answer"
    );
}
