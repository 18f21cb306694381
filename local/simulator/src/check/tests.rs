use super::*;
use serde_json::{Value, json};

const ID: &str = "7d3f1c52-8a55-4a0e-9c39-1f1ad6f0a001";

fn sound_charge() -> Value {
    json!({
        "seller_id": ID, "buyer_id": ID, "currency": "USD", "total_amount": 11_550,
        "tax_amount": 1_000, "discount_amount": 0, "shipping_amount": 500,
        "shipping_tax_amount": 60, "shipping_discount_amount": 10,
        "shipping_tax_details": [{"tax_type": "STATE", "tax_rate": 10.5, "tax_amount": 60}],
        "details": [{
            "sku": "BRK-9", "description": "Brake kit", "quantity": 10, "unit_price": 1_000,
            "tax_amount": 1_000, "discount_amount": 0, "subtotal": 11_000,
            "tax_details": [{"tax_type": "STATE", "tax_amount": 1_000}],
        }],
        "order_number": "SO-1", "ship_to": {}, "supplier": {},
        "metadata": [{"name": "vehicle_odometer", "value": "7"}, {"name": "batch_detail_id", "value": ID}],
    })
}

fn sound_refund() -> Value {
    json!({"charge_id": ID, "total_amount": 2_000, "refund_reason": "Merchandise Damaged"})
}

/// Sets the value at a JSON pointer; null is the same as absent.
fn with(mut value: Value, pointer: &str, other: Value) -> Value {
    match value.pointer_mut(pointer) {
        Some(place) => *place = other,
        None => value[pointer.trim_start_matches('/')] = other,
    }
    value
}

fn paths(result: Result<(), Invalid>) -> (bool, Vec<String>) {
    let invalid = result.unwrap_err();
    let paths = invalid.problems.into_iter().map(|p| p.data_path).collect();
    (invalid.is_malformed, paths)
}

fn of_charge(value: &Value) -> (bool, Vec<String>) {
    paths(charge(&value.to_string()).map(drop))
}

fn of_refund(value: &Value) -> (bool, Vec<String>) {
    paths(refund(&value.to_string()).map(drop))
}

#[test]
fn a_sound_charge_is_taken() {
    let facts = charge(&sound_charge().to_string()).unwrap();
    assert_eq!(facts.total, 11_550);
    assert_eq!(facts.currency.code(), "USD");
    assert_eq!(facts.batch_detail_id.as_deref(), Some(ID));
}

#[test]
fn each_field_that_a_charge_needs_is_missed() {
    for name in [
        "seller_id",
        "buyer_id",
        "currency",
        "total_amount",
        "tax_amount",
        "discount_amount",
        "shipping_amount",
        "shipping_tax_amount",
        "shipping_discount_amount",
        "details",
    ] {
        let found = of_charge(&with(sound_charge(), &format!("/{name}"), Value::Null));
        assert_eq!(found, (true, vec![format!(".{name}")]));
    }
    for name in [
        "quantity",
        "unit_price",
        "tax_amount",
        "discount_amount",
        "subtotal",
    ] {
        let found = of_charge(&with(
            sound_charge(),
            &format!("/details/0/{name}"),
            Value::Null,
        ));
        assert_eq!(found, (true, vec![format!(".details[0].{name}")]));
    }
}

#[test]
fn each_field_of_another_shape_is_told_with_its_path() {
    for (pointer, other, path) in [
        ("/seller_id", json!("7"), ".seller_id"),
        ("/buyer_id", json!(7), ".buyer_id"),
        ("/customer_id", json!("x"), ".customer_id"),
        ("/authorization_id", json!("x"), ".authorization_id"),
        ("/previous_charge_id", json!("x"), ".previous_charge_id"),
        ("/currency", json!("usd"), ".currency"),
        ("/total_amount", json!(0), ".total_amount"),
        ("/total_amount", json!(1.5), ".total_amount"),
        ("/total_amount", json!("11550"), ".total_amount"),
        ("/shipping_amount", json!(-1), ".shipping_amount"),
        ("/order_number", json!("x".repeat(825)), ".order_number"),
        ("/po_number", json!("x".repeat(201)), ".po_number"),
        ("/comment", json!(7), ".comment"),
        ("/ship_to", json!([]), ".ship_to"),
        ("/supplier", json!("x"), ".supplier"),
        ("/metadata", json!({}), ".metadata"),
        ("/metadata/0/value", json!(7), ".metadata[0].value"),
        ("/metadata/1/name", Value::Null, ".metadata[1].name"),
        ("/details", json!({}), ".details"),
        ("/details/0", json!([]), ".details[0]"),
        ("/details/0/quantity", json!("10"), ".details[0].quantity"),
        ("/details/0/quantity", json!(-1), ".details[0].quantity"),
        (
            "/details/0/tax_details/0/tax_type",
            json!(7),
            ".details[0].tax_details[0].tax_type",
        ),
        (
            "/shipping_tax_details/0/tax_rate",
            json!("x"),
            ".shipping_tax_details[0].tax_rate",
        ),
        (
            "/shipping_tax_details/0/tax_amount",
            Value::Null,
            ".shipping_tax_details[0].tax_amount",
        ),
        ("/id", json!(ID), ".id"),
        ("/status", json!("Paid"), ".status"),
        ("/modified", json!("x"), ".modified"),
    ] {
        let found = of_charge(&with(sound_charge(), pointer, other));
        assert_eq!(found, (true, vec![path.to_owned()]), "{pointer}");
    }
}

#[test]
fn texts_may_be_as_long_as_documented() {
    for (name, max) in [("order_number", 824), ("po_number", 200)] {
        for length in [max - 1, max] {
            let value = with(
                sound_charge(),
                &format!("/{name}"),
                json!("é".repeat(length)),
            );
            assert!(charge(&value.to_string()).is_ok(), "{name} {length}");
        }
    }
}

#[test]
fn the_total_must_be_the_sum_of_subtotals_and_shipping() {
    for total in [11_549, 11_551] {
        let found = of_charge(&with(sound_charge(), "/total_amount", json!(total)));
        assert_eq!(found, (false, vec![".total_amount".to_owned()]));
    }
    let shipping = of_charge(&with(
        sound_charge(),
        "/shipping_discount_amount",
        json!(11),
    ));
    assert_eq!(shipping, (false, vec![".total_amount".to_owned()]));
}

#[test]
fn a_subtotal_is_quantity_times_price_plus_tax_less_discount_rounded_half_up() {
    let line = |quantity: Value, price: i64, subtotal: i64| {
        let value = json!([{"quantity": quantity, "unit_price": price, "tax_amount": 3,
            "discount_amount": 1, "subtotal": subtotal}]);
        let total = with(sound_charge(), "/total_amount", json!(subtotal + 550));
        charge(&with(total, "/details", value).to_string()).map(drop)
    };
    assert_eq!(line(json!(1.5), 3, 7), Ok(()));
    assert_eq!(line(json!(0.5), 1, 3), Ok(()));
    assert_eq!(line(json!(0.49), 1, 2), Ok(()));
    assert_eq!(line(json!(1), -1, 1), Ok(()));
    let wrong = paths(line(json!(1.5), 3, 6));
    assert_eq!(wrong, (false, vec![".details[0].subtotal".to_owned()]));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_up_to_a_hundred() {
    let found = of_charge(&json!({"details": [{}, 7]}));
    assert!(found.0);
    assert_eq!(found.1.len(), 9 + 5 + 1);
    let many = json!({"details": vec![7; 1_000]});
    assert_eq!(of_charge(&many).1.len(), 100);
}

#[test]
fn what_is_no_object_is_malformed() {
    for json in ["", "[]", "7", "null", "{", "{}}", "{\"a\":}", "nonsense"] {
        assert!(charge(json).unwrap_err().is_malformed, "{json}");
        assert!(refund(json).unwrap_err().is_malformed, "{json}");
        assert!(!charge(json).unwrap_err().problems.is_empty(), "{json}");
    }
}

#[test]
fn a_refund_needs_its_charge_and_a_total_and_no_lines() {
    let facts = refund(&sound_refund().to_string()).unwrap();
    assert_eq!(
        (facts.total, facts.charge_id.to_string().as_str()),
        (2_000, ID)
    );
    for name in ["charge_id", "total_amount"] {
        let found = of_refund(&with(sound_refund(), &format!("/{name}"), Value::Null));
        assert_eq!(found, (true, vec![format!(".{name}")]));
    }
}

#[test]
fn a_refund_with_lines_must_fit_together_as_well() {
    let lines = |subtotal: i64| {
        let line = json!([{"quantity": 2, "unit_price": 900, "tax_amount": 100,
            "discount_amount": 0, "subtotal": subtotal}]);
        let value = with(sound_refund(), "/shipping_amount", json!(100));
        with(value, "/details", line)
    };
    assert!(refund(&lines(1_900).to_string()).is_ok());
    let (is_malformed, paths) = of_refund(&lines(1_901));
    assert!(!is_malformed);
    assert_eq!(paths, [".details[0].subtotal", ".total_amount"]);
}

#[test]
fn a_refund_has_one_of_the_ten_reasons_and_no_field_of_the_platform() {
    for (pointer, other) in [
        ("/refund_reason", json!("Because")),
        ("/refund_comment", json!(1)),
        ("/seller_id", json!(ID)),
        ("/currency", json!("USD")),
        ("/tax_amount", json!(-1)),
        ("/shipping_tax_amount", json!("1")),
    ] {
        let (is_malformed, paths) = of_refund(&with(sound_refund(), pointer, other));
        assert!(is_malformed);
        assert_eq!(paths, [pointer.replace('/', ".")]);
    }
}
