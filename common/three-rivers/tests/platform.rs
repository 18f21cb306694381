//! The client against the simulated platform, with and without faults.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "test helpers"
)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use support::{client, correlation, credentials, detail};
use weir_domain::{ChargeId, TransactionType};
use weir_runtime::Clock;
use weir_simulator::{Faults, Rate, Running, Simulator, SimulatorOptions};
use weir_three_rivers::{
    Answer, BuyerStatus, ChargeStatus, Client, CreateRequest, Created, IdempotencyKey, Meaning,
    RefundStatus,
};

const SELLER: &str = "11111111-0000-4000-8000-000000000001";
const BUYER: &str = "22222222-0000-4000-8000-000000000001";

async fn platform(faults: Faults) -> (Running, Client) {
    platform_within(faults, Duration::from_secs(10)).await
}

async fn platform_within(faults: Faults, call_timeout: Duration) -> (Running, Client) {
    let options = SimulatorOptions {
        seed: 7,
        api_keys: Some(vec![support::API_KEY.into()]),
        faults,
        ..SimulatorOptions::default()
    };
    let listen = "127.0.0.1:0".parse().unwrap();
    let running = Simulator::start(listen, options, Clock::system())
        .await
        .unwrap();
    let client = client(&running.base_url().parse().unwrap(), call_timeout);
    (running, client)
}

fn charge(line: u32, total: i64) -> (CreateRequest, IdempotencyKey) {
    let body = json!({
        "seller_id": SELLER, "buyer_id": BUYER, "currency": "USD", "total_amount": total,
        "tax_amount": 0, "discount_amount": 0, "shipping_amount": 0, "shipping_tax_amount": 0,
        "shipping_discount_amount": 0,
        "details": [{"quantity": 1, "unit_price": total, "tax_amount": 0, "discount_amount": 0,
            "subtotal": total}],
        "metadata": [{"name": "batch_detail_id", "value": detail(line).to_string()}],
    });
    let request = CreateRequest::new(TransactionType::Charge, body.to_string()).unwrap();
    (request, IdempotencyKey::of(detail(line), 1))
}

fn refund(line: u32, charge: ChargeId, total: i64) -> (CreateRequest, IdempotencyKey) {
    let body = json!({"charge_id": charge, "total_amount": total}).to_string();
    let request = CreateRequest::new(TransactionType::Refund, body).unwrap();
    (request, IdempotencyKey::of(detail(line), 1))
}

async fn send(
    client: &Client,
    (request, key): &(CreateRequest, IdempotencyKey),
) -> Answer<Created> {
    client
        .create(&credentials(), request, key, &correlation())
        .await
}

fn created(answer: Answer<Created>) -> Created {
    match answer.meaning {
        Meaning::Accepted(created) => created,
        other => panic!("not accepted: {other:?}"),
    }
}

#[tokio::test]
async fn a_charge_is_made_looked_up_and_refunded() {
    let (platform, client) = platform(Faults::default()).await;
    let charge = created(send(&client, &charge(1, 11_550)).await).charge_id();
    let refund = created(send(&client, &refund(2, charge, 2_000)).await);
    assert_eq!(refund.charge_id(), charge);
    let (credentials, correlation) = (credentials(), correlation());
    let found = client.charge(&credentials, charge, &correlation).await;
    let Meaning::Accepted(found) = found.meaning else {
        panic!("{found:?}")
    };
    assert_eq!((found.id, found.status), (charge, ChargeStatus::Created));
    assert_eq!(found.total_amount.minor(), 11_550);
    assert_eq!(found.metadata[0].value, detail(1).to_string());
    let id = refund.refund_id().unwrap();
    let found = client.refund(&credentials, id, &correlation).await;
    let Meaning::Accepted(found) = found.meaning else {
        panic!("{found:?}")
    };
    assert_eq!(
        (found.charge_id, found.status),
        (charge, RefundStatus::Created)
    );
    let buyer = client
        .buyer(&credentials, BUYER.parse().unwrap(), &correlation)
        .await;
    assert!(matches!(buyer.meaning,
        Meaning::Accepted(buyer) if buyer.buyer_status == BuyerStatus::Active));
    platform.stop().await;
}

#[tokio::test]
async fn the_same_key_gives_the_same_charge_and_another_body_is_refused() {
    let (platform, client) = platform(Faults::default()).await;
    let first = created(send(&client, &charge(1, 500)).await);
    assert_eq!(created(send(&client, &charge(1, 500)).await), first);
    let other = send(&client, &charge(1, 501)).await;
    assert_eq!(other.http_status, Some(409));
    assert!(matches!(other.meaning, Meaning::Refused(_)));
    let summary = platform.summary();
    assert_eq!((summary.charges, summary.replays), (1, 1));
    platform.stop().await;
}

#[tokio::test]
async fn what_the_platform_does_not_take_is_refused_with_its_words() {
    let (platform, client) = platform(Faults::default()).await;
    let charge = created(send(&client, &charge(1, 500)).await).charge_id();
    let above = send(&client, &refund(2, charge, 501)).await;
    let Meaning::Refused(refusal) = above.meaning else {
        panic!("{above:?}")
    };
    assert_eq!(refusal.code, "refund.exceeds_charge");
    assert!(refusal.message.contains("at most 500"), "{refusal}");
    let nobody = "dead0000-0000-4000-8000-000000000001".parse().unwrap();
    let unknown = client.buyer(&credentials(), nobody, &correlation()).await;
    assert_eq!(unknown.http_status, Some(404));
    assert!(matches!(unknown.meaning, Meaning::Refused(_)));
    platform.stop().await;
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_from_a_wrong_request() {
    let (platform, client) = platform(Faults::default()).await;
    let (request, key) = charge(1, 500);
    let wrong = "another-key".parse().unwrap();
    let answer = client.create(&wrong, &request, &key, &correlation()).await;
    let Meaning::CredentialsRefused(refusal) = answer.meaning else {
        panic!("{answer:?}")
    };
    assert_eq!(refusal.code, "authorization.unauthenticated_not_allowed");
    platform.stop().await;
}

#[tokio::test]
async fn whatever_fails_on_the_way_repeating_under_the_key_makes_everything_once() {
    let rate = |text: &str| text.parse::<Rate>().unwrap();
    let faults = Faults {
        errors: BTreeMap::from([(429, rate("0.1")), (500, rate("0.1")), (503, rate("0.1"))]),
        cut_before: rate("0.1"),
        cut_after_commit: rate("0.1"),
        cut_in_answer: rate("0.1"),
        never_answer: rate("0.05"),
        ..Faults::default()
    };
    let (platform, client) = platform_within(faults, Duration::from_millis(400)).await;
    let details = 60;
    let calls = (1..=details).map(|line| {
        let client = client.clone();
        async move {
            for _ in 0..100 {
                let answer = send(&client, &charge(line, 500)).await;
                match answer.meaning {
                    Meaning::Accepted(created) => return created,
                    Meaning::Transient(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            panic!("never accepted")
        }
    });
    let made = futures::future::join_all(calls).await;
    let summary = platform.summary();
    assert_eq!(summary.charges, u64::from(details));
    assert_eq!(summary.duplicates, 0);
    assert!(summary.replays > 0 && summary.requests > u64::from(details));
    let mut ids: Vec<_> = made.into_iter().map(Created::charge_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), details as usize);
    platform.stop().await;
}
