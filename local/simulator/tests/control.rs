//! What the simulator says of itself and how it is set: the summary, the rules, the address, the seed.

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

use http::Method;
use serde_json::json;
use support::{BUYER, charge_body, charge_for, start, start_with};
use weir_runtime::Clock;
use weir_simulator::{Faults, Simulator, SimulatorError, SimulatorOptions};

#[tokio::test]
async fn a_detail_with_more_than_one_charge_or_refund_is_a_duplicate() {
    let (platform, caller) = start_with(Faults::default()).await;
    let detail = |number: u32| format!("33333333-0000-8000-8000-{number:012}");
    let charge = caller
        .charge("any-1", &charge_for(&detail(1), 500))
        .await
        .id();
    caller.charge("any-2", &charge_for(&detail(2), 500)).await;
    assert_eq!(platform.summary().duplicates, 0);
    caller.charge("any-3", &charge_for(&detail(1), 500)).await;
    assert_eq!(platform.summary().duplicates, 1);
    caller.charge("any-4", &charge_for(&detail(1), 500)).await;
    assert_eq!(platform.summary().duplicates, 1);
    caller
        .refund(&format!("weir-{}-v1", detail(3)), &charge, 1)
        .await;
    caller.refund("no-detail", &charge, 1).await;
    caller.refund("no-detail-either", &charge, 1).await;
    assert_eq!(platform.summary().duplicates, 1);
    caller
        .refund(&format!("weir-{}-v2", detail(3)), &charge, 1)
        .await;
    assert_eq!(platform.summary().duplicates, 2);
    caller
        .charge(&format!("weir-{}-v1", detail(4)), &charge_body(1))
        .await;
    caller
        .charge(&format!("weir-{}-v2", detail(4)), &charge_body(1))
        .await;
    assert_eq!(platform.summary().duplicates, 3);
}

#[tokio::test]
async fn the_summary_has_five_numbers_and_a_reset_sets_them_to_zero() {
    let (_platform, caller) = start_with(Faults::default()).await;
    let charge = caller.charge("k1", &charge_body(500)).await.id();
    caller.charge("k1", &charge_body(500)).await;
    caller.refund("k2", &charge, 1).await;
    let summary = caller.get("/_sim/summary").await;
    let text = std::str::from_utf8(&summary.body).unwrap();
    assert_eq!(
        text,
        r#"{"charges":1,"refunds":1,"requests":3,"replays":1,"duplicates":0}"#
    );
    let reset = caller
        .send(Method::POST, "/_sim/reset", None, "")
        .await
        .unwrap();
    let zero = json!({"charges": 0, "refunds": 0, "requests": 0, "replays": 0, "duplicates": 0});
    assert_eq!((reset.status, reset.json()), (200, zero));
    assert_eq!(
        caller
            .get(&format!("/api/v2/charges/{charge}"))
            .await
            .status,
        404
    );
    assert_eq!(caller.charge("k1", &charge_body(501)).await.status, 201);
}

#[tokio::test]
async fn rules_are_shown_and_replaced_over_http() {
    let (_platform, caller) = start_with(Faults::default()).await;
    let rules = json!({"buyers": {"unknown_prefix": "", "suspended_prefix": "5059",
        "unknown": [BUYER]}, "forget_refusals": false});
    assert_eq!(caller.put("/_sim/rules", &rules).await.json(), rules);
    assert_eq!(caller.get("/_sim/rules").await.json(), rules);
    assert_eq!(
        caller.charge("k1", &charge_body(1)).await.code(),
        "buyer.not_found"
    );
    let refused = caller.put("/_sim/rules", &json!({"buyer": {}})).await;
    assert_eq!(refused.status, 400);
    assert_eq!(caller.get("/_sim/rules").await.json(), rules);
}

#[tokio::test]
async fn it_listens_on_the_loopback_alone() {
    for listen in ["0.0.0.0:0", "10.0.0.1:0", "[::]:0"] {
        let started = Simulator::start(
            listen.parse().unwrap(),
            SimulatorOptions::default(),
            Clock::system(),
        );
        assert!(
            matches!(started.await, Err(SimulatorError::NotLoopback(_))),
            "{listen}"
        );
    }
}

#[tokio::test]
async fn the_same_seed_and_key_give_the_same_id_and_another_seed_another() {
    let id = async |seed| {
        let options = SimulatorOptions {
            seed,
            ..SimulatorOptions::default()
        };
        let (_platform, caller) = start(options).await;
        caller.charge("k1", &charge_body(500)).await.id()
    };
    assert_eq!(id(1).await, id(1).await);
    assert_ne!(id(1).await, id(2).await);
}
