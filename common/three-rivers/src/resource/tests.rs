use super::*;
use serde_json::{Value, json};

const ID: &str = "7d3f1c52-8a55-4a0e-9c39-1f1ad6f0a001";
const CHARGE: &str = "7d3f1c52-8a55-4a0e-9c39-1f1ad6f0a002";

fn charge_request() -> CreateRequest {
    let body = json!({"total_amount": 11_550, "currency": "USD", "details": []});
    CreateRequest::new(TransactionType::Charge, body.to_string()).unwrap()
}

fn refund_request() -> CreateRequest {
    let body = json!({"total_amount": 2_000, "charge_id": CHARGE});
    CreateRequest::new(TransactionType::Refund, body.to_string()).unwrap()
}

fn made_charge() -> Value {
    json!({"id": ID, "status": "Created", "total_amount": 11_550, "currency": "USD", "more": [1]})
}

fn made_refund() -> Value {
    json!({"id": ID, "status": "Created", "total_amount": 2_000, "charge_id": CHARGE})
}

fn with(mut value: Value, name: &str, other: Value) -> Vec<u8> {
    value[name] = other;
    value.to_string().into_bytes()
}

fn without(mut value: Value, name: &str) -> Vec<u8> {
    value.as_object_mut().unwrap().remove(name);
    value.to_string().into_bytes()
}

#[test]
fn a_created_charge_is_known_by_its_id() {
    let created = charge_request().created(made_charge().to_string().as_bytes());
    let charge = ID.parse().unwrap();
    assert_eq!(created, Ok(Created::Charge { charge }));
    assert_eq!(created.clone().unwrap().charge_id(), charge);
    assert_eq!(created.unwrap().refund_id(), None);
}

#[test]
fn a_created_refund_is_known_by_its_id_and_keeps_the_refunded_charge() {
    let created = refund_request().created(made_refund().to_string().as_bytes());
    let created = created.unwrap();
    assert_eq!(created.charge_id(), CHARGE.parse().unwrap());
    assert_eq!(created.refund_id(), Some(ID.parse().unwrap()));
}

#[test]
fn every_documented_status_is_taken_and_an_unknown_one_only_of_a_charge() {
    let charge = |status: Value| charge_request().created(&with(made_charge(), "status", status));
    for status in ["Created", "Cancelled", "Paid", "Past Due", &"x".repeat(100)] {
        assert!(charge(json!(status)).is_ok(), "{status}");
    }
    for status in [json!(""), json!("x".repeat(101)), json!(7), Value::Null] {
        assert!(charge(status.clone()).is_err(), "{status}");
    }
    let refund =
        |status: &str| refund_request().created(&with(made_refund(), "status", json!(status)));
    assert!(refund("Created").is_ok());
    assert!(refund("Paid").is_ok());
    assert!(refund("Cancelled").is_err());
}

#[test]
fn a_charge_that_differs_from_what_was_sent_is_not_the_one() {
    for (name, other) in [
        ("id", json!("1")),
        ("id", json!(1)),
        ("id", json!(ID.replace('-', ""))),
        ("total_amount", json!(11_549)),
        ("total_amount", json!(11_551)),
        ("total_amount", json!(11_550.5)),
        ("total_amount", json!("11550")),
        ("currency", json!("EUR")),
        ("currency", json!("usd")),
    ] {
        let answer = with(made_charge(), name, other.clone());
        let created = charge_request().created(&answer);
        // A UUID without hyphens is one all the same.
        assert_eq!(
            created.is_ok(),
            other == json!(ID.replace('-', "")),
            "{name} {other}"
        );
    }
    for name in ["id", "status", "total_amount", "currency"] {
        let created = charge_request().created(&without(made_charge(), name));
        assert!(created.is_err(), "{name}");
    }
}

#[test]
fn a_refund_that_differs_from_what_was_sent_is_not_the_one() {
    for (name, other) in [
        ("total_amount", json!(1_999)),
        ("charge_id", json!(ID)),
        ("charge_id", json!("x")),
    ] {
        let created = refund_request().created(&with(made_refund(), name, other));
        assert!(created.is_err(), "{name}");
    }
    for name in ["id", "status", "total_amount", "charge_id"] {
        let created = refund_request().created(&without(made_refund(), name));
        assert!(created.is_err(), "{name}");
    }
}

#[test]
fn what_is_no_json_object_is_no_resource() {
    let as_array = json!([ID, "Created", 11_550, "USD"])
        .to_string()
        .into_bytes();
    let mut not_text = made_charge().to_string().into_bytes();
    not_text.extend(b" ");
    let mut bad = json!({"more": "X"}).to_string().into_bytes();
    bad[9] = 0xFF;
    let cut = made_charge().to_string().into_bytes();
    let twice = format!("{0}{0}", made_charge()).into_bytes();
    for body in [
        as_array,
        bad,
        cut[..cut.len() - 1].to_vec(),
        twice,
        b"".to_vec(),
        b"null".to_vec(),
        b"<html></html>".to_vec(),
        "{\"a\":".repeat(100_000).into_bytes(),
    ] {
        assert!(charge_request().created(&body).is_err());
    }
    assert!(charge_request().created(&not_text).is_ok());
}

#[test]
fn a_request_says_what_its_answer_must_repeat_or_is_refused() {
    let of = |kind, body: Value| CreateRequest::new(kind, body.to_string());
    let (charge, refund) = (TransactionType::Charge, TransactionType::Refund);
    assert_eq!(charge_request().kind(), charge);
    assert_eq!(refund_request().kind(), refund);
    for (kind, body) in [
        (charge, json!({"total_amount": 1})),
        (charge, json!({"currency": "USD"})),
        (charge, json!({"total_amount": 1, "charge_id": CHARGE})),
        (refund, json!({"total_amount": 1, "currency": "USD"})),
        (refund, json!({"total_amount": 1, "charge_id": null})),
        (refund, json!([1, CHARGE])),
    ] {
        let refused = of(kind, body.clone());
        assert!(
            matches!(refused, Err(CreateRequestError::Malformed { .. })),
            "{body}"
        );
    }
}

#[test]
fn a_request_of_one_mebibyte_is_taken_and_one_byte_more_refused() {
    let of = |bytes: usize| {
        let mut body = charge_request().body().to_vec();
        body.resize(bytes, b' ');
        CreateRequest::new(TransactionType::Charge, body)
    };
    assert!(of(REQUEST_BYTES_MAX - 1).is_ok());
    assert!(of(REQUEST_BYTES_MAX).is_ok());
    assert_eq!(of(REQUEST_BYTES_MAX + 1), Err(CreateRequestError::TooLarge));
}

#[test]
fn a_request_does_not_show_its_body() {
    assert!(!format!("{:?}", charge_request()).contains("details"));
}

#[test]
fn what_is_looked_up_must_be_what_was_asked_for() {
    let buyer = json!({"id": ID, "buyer_status": "Applied for Credit", "credit_limit": 5});
    let found: Result<Buyer, _> = found(ID.parse().unwrap(), buyer.to_string().as_bytes());
    assert_eq!(found.unwrap().buyer_status, BuyerStatus::AppliedForCredit);
    let other: Result<Buyer, _> =
        super::found(CHARGE.parse().unwrap(), buyer.to_string().as_bytes());
    assert!(other.is_err());
    let unknown = with(buyer, "buyer_status", json!("Sleeping"));
    assert!(super::found::<Buyer>(ID.parse().unwrap(), &unknown).is_err());
}
