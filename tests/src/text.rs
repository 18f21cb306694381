//! Settlement files: written out where a test is about a few records, generated where it is about
//! many.

use std::fmt::Write as _;

use uuid::Uuid;
use weir_domain::Currency;
use weir_local::demo;
use weir_servicegate::generate::{Contents, Plan, generate};

/// The alternate ids of the demo's two sellers.
pub const SELLERS: [&str; 2] = ["NW-0042", "CT-0007"];
/// A buyer that the simulator knows.
pub const BUYER: &str = "cf771e8a-5c1a-462f-b4c9-fc745f02d0de";
/// A buyer that the simulator does not know.
pub const UNKNOWN_BUYER: &str = "dead1e8a-5c1a-462f-b4c9-fc745f02d0de";

/// A charge of a known buyer.
pub fn charge(order: &str, total: &str) -> String {
    charge_of(BUYER, order, total)
}

/// A charge.
pub fn charge_of(buyer: &str, order: &str, total: &str) -> String {
    format!(
        "<Charge><OrderNumber>{order}</OrderNumber><BuyerId>{buyer}</BuyerId>\
         <TotalAmount>{total}</TotalAmount></Charge>"
    )
}

/// A refund of the seller's latest charge with the order number.
pub fn refund(order: &str, total: &str) -> String {
    format!("<Refund><OrderNumber>{order}</OrderNumber><TotalAmount>{total}</TotalAmount></Refund>")
}

/// A charge whose record is wrong: its buyer is no UUID.
pub fn wrong_charge(order: &str, total: &str) -> String {
    charge_of("nobody", order, total)
}

/// A batch of a seller by alternate id, without controls.
pub fn batch(number: &str, seller: &str, records: &[String]) -> String {
    let records = records.concat();
    format!(
        "<Batch><BatchHeader><BatchNumber>{number}</BatchNumber>\
         <AlternateSellerId>{seller}</AlternateSellerId><Currency>USD</Currency></BatchHeader>\
         {records}</Batch>"
    )
}

/// A file.
pub fn file(batches: &[String]) -> String {
    let mut text = String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    let _ = write!(
        text,
        r#"<SettlementFile xmlns="urn:servicegate:batch:v2" version="2.0">{}</SettlementFile>"#,
        batches.concat()
    );
    text
}

/// A file with one batch of the first seller.
pub fn one_batch(number: &str, records: &[String]) -> String {
    file(&[batch(number, SELLERS[0], records)])
}

/// A realistic file of the demo's sellers: every third record is a refund of the charge before it,
/// every `error_every`th is in error.
pub fn generated(
    prefix: &str,
    seed: u64,
    batches: u32,
    records_per_batch: u32,
    error_every: u32,
) -> (Vec<u8>, Contents) {
    let buyer = Uuid::try_parse(BUYER).unwrap().try_into().unwrap();
    let customers = demo::customer_ids().unwrap();
    let plan = Plan {
        seed,
        prefix: prefix.to_owned(),
        created_at: None,
        batches,
        records_per_batch,
        sellers: demo::seller_references().unwrap(),
        buyers: customers
            .into_iter()
            .map(|customer| (buyer, Some(customer)))
            .collect(),
        currency: "USD".parse::<Currency>().unwrap(),
        refund_every: 3,
        error_every,
    };
    let mut bytes = Vec::new();
    let contents = generate(&plan, &mut bytes).unwrap();
    (bytes, contents)
}
