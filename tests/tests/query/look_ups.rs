//! How far the look-ups of charges and orders are followed before a list is read another way.

use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;
use weir_domain::{ChargeId, FileId, ObjectIdentity, Permission, TransactionType};
use weir_query::Scope;
use weir_store::{Detail, PutBuffer};
use weir_tests::text::{self, charge};

use crate::settlements::changed;
use crate::validation::take;

/// Which way a list of details was read, as an operator is told.
fn way(query: &str) -> String {
    let operator = changed().key(Permission::ALL, Scope::default());
    let answered = changed().get(&operator, &format!("/v1/batchdetails?page_size=1&{query}"));
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
    let read = answered.headers["x-weir-read"].to_str().unwrap();
    let way = read.split("; ").find_map(|part| part.strip_prefix("way="));
    way.unwrap_or_else(|| panic!("{read}")).to_owned()
}

/// A detail of a batch that was settled, to be made others of.
fn detail(number: &str) -> (Detail, Value) {
    let bytes = text::one_batch(number, &[charge(number, "1.00")]);
    let file = take(
        changed(),
        &weir_tests::parts::scope().key(&format!("{number}.xml")),
        bytes,
    );
    let store = &changed().parts.store;
    let batch = file.id.batch(1.try_into().unwrap());
    changed().wait(async {
        let batch = store.batch(batch).await.unwrap().unwrap();
        let lines = [1.try_into().unwrap()];
        let mut details = store.details(&batch.place(), &lines).await.unwrap();
        let seller = batch.seller_id.unwrap().to_string();
        (details.remove(0), seller.into())
    })
}

/// Makes a charge lead to so many refunds, none of which is there.
fn lead(charge: ChargeId, like: &Detail, count: u32) {
    let nowhere = FileId::of_object(&ObjectIdentity::new("b", charge.to_string(), "e"));
    let batch = nowhere.batch(1.try_into().unwrap());
    changed().wait(async {
        let mut ways = PutBuffer::new(&changed().parts.store, 4);
        for line in 1..=count {
            let refund = Detail {
                id: batch.detail(line.try_into().unwrap()),
                transaction_type: TransactionType::Refund,
                ..like.clone()
            };
            ways.put_charge(charge, &refund).await.unwrap();
        }
        ways.flush().await.unwrap();
    });
}

#[test]
fn charges_are_followed_to_2000_details_and_no_further() {
    let (like, _) = detail("LEADS-1");
    let charge = |number: u128| ChargeId::try_from(Uuid::from_u128(0x1ead_0000 + number)).unwrap();
    let counts = [1_999, 2_000, 2_001, 1];
    for (number, count) in (0..).zip(counts) {
        lead(charge(number), &like, count);
    }
    let charges = |numbers: &[u128]| {
        let ids = numbers.iter().map(|number| charge(*number).to_string());
        way(&format!(
            "charge_id:in={}",
            ids.collect::<Vec<_>>().join(",")
        ))
    };
    for (numbers, is_followed) in [
        (&[0][..], true),
        (&[1], true),
        (&[2], false),
        (&[0, 3], true),
        (&[1, 3], false),
    ] {
        assert_eq!(charges(numbers) == "charge", is_followed, "{numbers:?}");
    }
}

#[test]
fn at_most_25_orders_are_looked_up() {
    let (_, seller) = detail("ORDERS-1");
    let seller = seller.as_str().unwrap();
    let other = Uuid::from_u128(0x0dd);
    let orders = |sellers: &str, count: u32| {
        let numbers: Vec<_> = (1..=count).map(|number| format!("SO-{number}")).collect();
        way(&format!(
            "seller_id:in={sellers}&order_number:in={}",
            numbers.join(",")
        ))
    };
    for (count, is_followed) in [(24, true), (25, true), (26, false)] {
        assert_eq!(orders(seller, count) == "order", is_followed, "{count}");
    }
    // Each with each of the sellers.
    let both = format!("{seller},{other}");
    for (count, is_followed) in [(12, true), (13, false)] {
        assert_eq!(orders(&both, count) == "order", is_followed, "{count}");
    }
}
