//! The platform without faults: who may ask, what is made, what is refused.

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

use std::sync::Arc;

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{BUYER, Caller, DETAIL, SELLER, charge_body, charge_for, start, start_with};
use weir_simulator::{BuyerRule, Faults, Rules, SimulatorOptions};

#[tokio::test]
async fn a_charge_repeats_the_request_and_adds_what_the_platform_knows() {
    let (_platform, caller) = start_with(Faults::default()).await;
    let body = charge_for(DETAIL, 11_550);
    let reply = caller.charge("k1", &body).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.headers["content-type"], "application/json");
    let made = reply.json();
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(made["status"], "Created");
    assert_eq!(made["original_total_amount"], 11_550);
    assert_eq!(made["foreign_exchange_fee"], 0);
    assert_eq!(made["paid_amount"], 0);
    assert_eq!(made["paid_amount_currency"], "USD");
    for name in ["id", "due_date", "invoice_url", "created", "modified"] {
        assert!(made[name].is_string(), "{name}");
    }
    let found = caller.get(&format!("/api/v2/charges/{}", reply.id())).await;
    assert_eq!((found.status, found.body), (200, reply.body));
}

#[tokio::test]
async fn a_refund_repeats_the_request_and_adds_seller_buyer_and_currency() {
    let (_platform, caller) = start_with(Faults::default()).await;
    let charge = caller.charge("k1", &charge_body(500)).await.id();
    let reply = caller.refund("k2", &charge, 200).await;
    assert_eq!(reply.status, 201);
    let made = reply.json();
    assert_eq!(made["charge_id"], charge);
    assert_eq!(made["total_amount"], 200);
    assert_eq!(made["seller_id"], SELLER);
    assert_eq!(made["buyer_id"], BUYER);
    assert_eq!(made["currency"], "USD");
    assert_eq!(made["status"], "Created");
    assert!(made["refund_memo_url"].is_string());
    let found = caller.get(&format!("/api/v2/refunds/{}", reply.id())).await;
    assert_eq!((found.status, found.body), (200, reply.body));
}

#[tokio::test]
async fn nobody_is_answered_without_an_accepted_key() {
    let (platform, _) = start(SimulatorOptions {
        api_keys: Some(vec!["api-key-1".into(), "api-key-2".into()]),
        ..SimulatorOptions::default()
    })
    .await;
    for (api_key, status) in [
        ("api-key-1", 404),
        ("api-key-2", 404),
        ("api-key-3", 401),
        ("", 401),
    ] {
        let caller = Caller::new(platform.base_url(), api_key);
        let reply = caller.get(&format!("/api/v2/charges/{DETAIL}")).await;
        assert_eq!(reply.status, status, "{api_key}");
        if status == 401 {
            assert_eq!(reply.code(), "authorization.unauthenticated_not_allowed");
        }
    }
    let (_any, caller) = start_with(Faults::default()).await;
    assert_eq!(caller.get("/api/v2/charges").await.status, 200);
}

#[tokio::test]
async fn a_create_needs_an_idempotency_key_of_up_to_255_characters() {
    let (platform, caller) = start_with(Faults::default()).await;
    let body = charge_body(500).to_string();
    let long = |length| "k".repeat(length);
    for (key, status) in [
        (None, 400),
        (Some(String::new()), 400),
        (Some("with space".to_owned()), 400),
        (Some(long(254)), 201),
        (Some(long(255)), 201),
        (Some(long(256)), 400),
    ] {
        let reply = caller.send(
            Method::POST,
            "/api/v2/charges",
            key.as_deref(),
            body.clone(),
        );
        let reply = reply.await.unwrap();
        assert_eq!(reply.status, status, "{key:?}");
        if status == 400 {
            assert_eq!(reply.code(), "idempotency.key_missing");
        }
    }
    assert_eq!(platform.summary().charges, 2);
}

#[tokio::test]
async fn the_same_key_gives_the_first_answer_and_with_another_request_a_conflict() {
    let (platform, caller) = start_with(Faults::default()).await;
    let first = caller.charge("k1", &charge_body(500)).await;
    let again = caller.charge("k1", &charge_body(500)).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    let other = caller.charge("k1", &charge_body(501)).await;
    assert_eq!(
        (other.status, other.code()),
        (409, "idempotency.key_reused".to_owned())
    );
    let elsewhere = caller
        .post("/api/v2/refunds", "k1", &charge_body(500))
        .await;
    assert_eq!(elsewhere.status, 409);
    let another_account = Caller::new(platform.base_url(), "api-key-2");
    let replayed = another_account.charge("k1", &charge_body(500)).await;
    assert_eq!(replayed.body, first.body);
    let summary = platform.summary();
    assert_eq!(
        (summary.charges, summary.requests, summary.replays),
        (1, 5, 2)
    );
}

#[tokio::test]
async fn a_refusal_is_the_first_answer_as_well_unless_refusals_are_forgotten() {
    let (platform, caller) = start_with(Faults::default()).await;
    let mut body = charge_body(500);
    body["buyer_id"] = json!("dead0000-0000-4000-8000-000000000001");
    let refused = caller.charge("k1", &body).await;
    assert_eq!(
        (refused.status, refused.code()),
        (422, "buyer.not_found".to_owned())
    );
    let everybody = BuyerRule {
        unknown_prefix: String::new(),
        ..BuyerRule::default()
    };
    platform.set_rules(Rules {
        buyers: everybody.clone(),
        forget_refusals: false,
    });
    assert_eq!(caller.charge("k1", &body).await.body, refused.body);
    platform.set_rules(Rules {
        buyers: everybody,
        forget_refusals: true,
    });
    let taken = caller.charge("k1", &body).await;
    assert_eq!(taken.status, 201);
    assert_eq!(caller.charge("k1", &body).await.body, taken.body);
    assert_eq!(platform.summary().charges, 1);
}

#[tokio::test]
async fn an_unknown_or_suspended_buyer_is_refused_and_looked_up_as_such() {
    let (_platform, caller) = start_with(Faults::default()).await;
    for (buyer, status, code, found) in [
        (
            "dead0000-0000-4000-8000-000000000001",
            422,
            "buyer.not_found",
            404,
        ),
        (
            "50590000-0000-4000-8000-000000000001",
            422,
            "buyer.not_active",
            200,
        ),
    ] {
        let mut body = charge_body(500);
        body["buyer_id"] = json!(buyer);
        let reply = caller.charge(buyer, &body).await;
        assert_eq!((reply.status, reply.code()), (status, code.to_owned()));
        assert_eq!(reply.json()["validationErrors"][0]["dataPath"], ".buyer_id");
        let reply = caller.get(&format!("/api/v2/buyers/{buyer}")).await;
        assert_eq!(reply.status, found);
        if found == 200 {
            assert_eq!(reply.json()["buyer_status"], "Suspended");
        }
    }
    let active = caller.get(&format!("/api/v2/buyers/{BUYER}")).await.json();
    assert_eq!(
        (&active["id"], &active["buyer_status"]),
        (&json!(BUYER), &json!("Active"))
    );
}

#[tokio::test]
async fn wrong_totals_are_422_and_missing_fields_400_each_with_its_path() {
    let (platform, caller) = start_with(Faults::default()).await;
    let mut body = charge_body(500);
    body["total_amount"] = json!(501);
    let reply = caller.charge("k1", &body).await;
    assert_eq!(
        (reply.status, reply.code()),
        (422, "request.invalid".to_owned())
    );
    assert_eq!(
        reply.json()["validationErrors"][0]["dataPath"],
        ".total_amount"
    );
    let reply = caller.charge("k2", &json!({})).await;
    assert_eq!(
        (reply.status, reply.code()),
        (400, "request.malformed".to_owned())
    );
    assert_eq!(
        reply.json()["validationErrors"].as_array().unwrap().len(),
        10
    );
    for body in ["", "[", "null", "{\"a\":1"] {
        let key = format!("k-{body}");
        let sent = caller.send(Method::POST, "/api/v2/charges", Some(&key), body);
        assert_eq!(sent.await.unwrap().status, 400, "{body}");
    }
    let no_text = vec![b'{', 0xFF, b'}'];
    let sent = caller.send(Method::POST, "/api/v2/charges", Some("k3"), no_text);
    assert_eq!(sent.await.unwrap().status, 400);
    assert_eq!(platform.summary().charges, 0);
}

#[tokio::test]
async fn refunds_of_a_charge_come_to_its_total_and_no_further() {
    let (platform, caller) = start_with(Faults::default()).await;
    let charge = caller.charge("k1", &charge_body(500)).await.id();
    assert_eq!(
        caller.refund("r1", &charge, 501).await.code(),
        "refund.exceeds_charge"
    );
    assert_eq!(caller.refund("r2", &charge, 300).await.status, 201);
    assert_eq!(caller.refund("r2", &charge, 300).await.status, 201);
    assert_eq!(caller.refund("r3", &charge, 201).await.status, 422);
    assert_eq!(caller.refund("r4", &charge, 200).await.status, 201);
    assert_eq!(caller.refund("r5", &charge, 1).await.status, 422);
    assert_eq!(platform.summary().refunds, 2);
    let listed = caller
        .get(&format!("/api/v2/refunds?charge_id={charge}"))
        .await
        .json();
    let totals: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["total_amount"])
        .collect();
    assert_eq!(totals, [&json!(300), &json!(200)]);
}

#[tokio::test]
async fn a_charge_is_that_of_the_key_that_made_it() {
    let (platform, caller) = start_with(Faults::default()).await;
    let other = Caller::new(platform.base_url(), "api-key-2");
    let charge = caller.charge("k1", &charge_body(500)).await.id();
    let refund = caller.refund("r1", &charge, 1).await.id();
    let refused = other.refund("r2", &charge, 1).await;
    assert_eq!(
        (refused.status, refused.code()),
        (404, "charge.not_found".to_owned())
    );
    for path in [format!("charges/{charge}"), format!("refunds/{refund}")] {
        assert_eq!(other.get(&format!("/api/v2/{path}")).await.status, 404);
        assert_eq!(caller.get(&format!("/api/v2/{path}")).await.status, 200);
    }
    for path in [
        "charges".to_owned(),
        "refunds".to_owned(),
        format!("refunds?charge_id={charge}"),
    ] {
        assert_eq!(
            other.get(&format!("/api/v2/{path}")).await.json(),
            json!([])
        );
        let own = caller.get(&format!("/api/v2/{path}")).await.json();
        assert_eq!(own.as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn collections_come_in_pages_in_the_order_of_making() {
    let (_platform, caller) = start_with(Faults::default()).await;
    for number in 1..=5 {
        caller
            .charge(&format!("k{number}"), &charge_body(number))
            .await;
    }
    let totals = async |query: &str| -> Vec<Value> {
        let page = caller.get(&format!("/api/v2/charges?{query}")).await.json();
        let items = page.as_array().unwrap().iter();
        items.map(|charge| charge["total_amount"].clone()).collect()
    };
    assert_eq!(totals("").await, [1, 2, 3, 4, 5]);
    assert_eq!(totals("page_size=2").await, [1, 2]);
    assert_eq!(totals("page_size=2&page_number=3").await, [5]);
    assert_eq!(totals("page_size=2&page_number=4").await, [0; 0]);
    assert_eq!(totals("page_size=1000").await.len(), 5);
    for query in [
        "page_size=0",
        "page_size=1001",
        "page_size=x",
        "page_number=0",
        "charge_id=x",
    ] {
        let reply = caller.get(&format!("/api/v2/charges?{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_404_and_what_cannot_be_done_405() {
    let (_platform, caller) = start_with(Faults::default()).await;
    for path in [
        "/",
        "/api/v2/",
        "/api/v2/orders",
        "/api/v2/buyers",
        "/_sim/x",
        "/api/v1/charges",
        "/api/v2/charges/7",
        "/api/v2/refunds/7",
        "/api/v2/buyers/7",
    ] {
        assert_eq!(caller.get(path).await.status, 404, "{path}");
    }
    for path in [
        "/api/v2/charges",
        "/api/v2/refunds/7",
        "/_sim/summary",
        "/_sim/reset",
    ] {
        let reply = caller.send(Method::DELETE, path, None, "").await.unwrap();
        assert_eq!(reply.status, 405, "{path}");
    }
}

#[tokio::test]
async fn a_request_of_one_mebibyte_is_read_and_a_byte_more_is_not() {
    let (_platform, caller) = start_with(Faults::default()).await;
    let limit = 1024 * 1024;
    for (length, status) in [(limit - 1, 201), (limit, 201), (limit + 1, 413)] {
        let body = charge_body(500).to_string();
        let body = format!("{body}{}", " ".repeat(length - body.len()));
        let key = format!("k{length}");
        let reply = caller
            .send(Method::POST, "/api/v2/charges", Some(&key), body)
            .await;
        assert_eq!(reply.unwrap().status, status, "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_order_of_concurrent_repeats_of_a_key_makes_one_charge(
        order in prop::collection::vec(0..4_usize, 1..40), seed in any::<u64>(), latency in 0..4_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let faults = json!({"latency": {"min_ms": 0, "max_ms": latency}});
            let (platform, _) = start(SimulatorOptions {
                seed,
                faults: serde_json::from_value(faults).unwrap(),
                ..SimulatorOptions::default()
            })
            .await;
            let caller = Arc::new(Caller::fresh(platform.base_url(), "api-key-1"));
            let sent = order.iter().map(|&number| {
                let caller = Arc::clone(&caller);
                tokio::spawn(async move {
                    let body = charge_for(&format!("detail {number}"), 100);
                    (number, caller.charge(&format!("k{number}"), &body).await)
                })
            });
            let mut answers: [Option<support::Reply>; 4] = [const { None }; 4];
            for sent in sent.collect::<Vec<_>>() {
                let (number, reply) = sent.await.unwrap();
                assert_eq!(reply.status, 201);
                let first = answers[number].get_or_insert_with(|| reply.clone());
                assert_eq!(first.body, reply.body);
            }
            let summary = platform.summary();
            let keys = answers.iter().flatten().count();
            assert_eq!(summary.charges, keys as u64);
            assert_eq!(summary.duplicates, 0);
            assert_eq!(summary.replays, (order.len() - keys) as u64);
            platform.stop().await;
        });
    }
}
