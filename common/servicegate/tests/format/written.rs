//! What is written reads back the same.

use crate::made::{charge, currency, refund};
use crate::support::{checked, items, problems, read_with, records_of};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use weir_domain::{Amount, Amounts, ChargeReference, Currency, Refund, RefundReason, Transaction};
use weir_servicegate::generate::{Contents, Plan, generate};
use weir_servicegate::{
    BatchOutline, FileHeader, Item, Options, Position, SellerReference, Stated, Total, Writer,
};

fn outline(currency: Option<Currency>) -> BatchOutline {
    BatchOutline {
        number: "B & <1>".parse().unwrap(),
        seller: SellerReference::Alternate("\"NW\" 42".parse().unwrap()),
        currency,
        transaction_count: None,
        charge_total: None,
        refund_total: None,
    }
}

fn write(transactions: &[Transaction], outline: &BatchOutline) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::begin(Vec::new(), None)?;
    let mut batch = writer.batch(outline)?;
    for transaction in transactions {
        batch.transaction(transaction)?;
    }
    batch.end()?;
    writer.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_reads_back_the_same(
        transactions in vec(prop_oneof![charge(), refund()], 1..4), currency in of(currency()),
    ) {
        let sound: Vec<_> = transactions.into_iter().filter(|transaction| transaction.check_amounts().is_ok()).collect();
        prop_assume!(!sound.is_empty());
        let bytes = write(&sound, &outline(currency)).unwrap();
        prop_assert_eq!(problems(&bytes), []);
        let read: Vec<_> = records_of(items(&bytes)).into_iter().map(|record| record.transaction.unwrap()).collect();
        prop_assert_eq!(read, sound);
    }
}

fn plan() -> Plan {
    Plan {
        seed: 7,
        prefix: "DEMO-1".to_owned(),
        created_at: "2026-11-21T22:14:05Z".parse().ok(),
        batches: 3,
        records_per_batch: 200,
        sellers: vec![
            SellerReference::Alternate("NW-0042".parse().unwrap()),
            SellerReference::Id("3f1c9f52-6f0e-4d7c-9f57-2f5f0f5d7a10".parse().unwrap()),
        ],
        buyers: vec![(
            "cf771e8a-5c1a-462f-b4c9-fc745f02d0de".parse().unwrap(),
            None,
        )],
        currency: "USD".parse().unwrap(),
        refund_every: 7,
        error_every: 50,
    }
}

fn generated(plan: &Plan) -> (Vec<u8>, Contents) {
    let mut bytes = Vec::new();
    let contents = generate(plan, &mut bytes).unwrap();
    (bytes, contents)
}

#[test]
fn a_header_is_written_with_its_controls() {
    let stated = |value| {
        Some(Stated {
            value,
            position: Position::START,
        })
    };
    let header = FileHeader {
        reference: "a & b".parse().ok(),
        created_at: "2026-11-21T22:14:05.5Z".parse().ok(),
        batch_count: stated(1),
        transaction_count: stated(2),
    };
    let outline = BatchOutline {
        transaction_count: Some(2),
        charge_total: Some(Total::default()),
        refund_total: Some(Total::default()),
        ..outline("USD".parse().ok())
    };
    let mut writer = Writer::begin(Vec::new(), Some(&header)).unwrap();
    writer.batch(&outline).unwrap().end().unwrap();
    let bytes = writer.finish().unwrap();
    let found: Vec<_> = problems(&bytes)
        .iter()
        .map(|problem| problem.rule.code())
        .collect();
    assert_eq!(
        found,
        [
            "file.transaction_missing",
            "file.control_mismatch",
            "file.control_mismatch"
        ]
    );
    let items = items(&bytes);
    let Item::FileHeader(read) = &items[0] else {
        panic!("a header");
    };
    assert_eq!(
        (&read.reference, read.created_at),
        (&header.reference, header.created_at)
    );
    let Item::BatchStart(read) = &items[1] else {
        panic!("a batch");
    };
    assert_eq!(
        (&read.number, &read.seller, read.currency),
        (&outline.number, &outline.seller, outline.currency)
    );
    assert_eq!(read.charge_total.as_ref().unwrap().value, "0.00");
}

#[test]
fn what_would_not_read_back_the_same_is_not_written() {
    let text = |comment: &str| {
        Transaction::Refund(Box::new(Refund {
            order_number: "SO-1".parse().unwrap(),
            currency: "USD".parse().unwrap(),
            amounts: Amounts {
                total: Amount::from_minor(1).unwrap(),
                ..Amounts::default()
            },
            charge: ChargeReference::LatestOfOrder,
            reason: RefundReason::Other,
            comment: comment.parse().ok(),
            shipping_tax_details: Vec::new(),
            lines: Vec::new(),
            vehicle: None,
            metadata: Vec::new(),
        }))
    };
    assert!(write(&[text("a b")], &outline(None)).is_ok());
    for comment in [" a", "a\n", "\t", "a\0", "a\u{B}", "\u{FFFE}"] {
        let error = write(&[text(comment)], &outline(None)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("RefundComment"));
    }
}

#[test]
fn a_generated_file_is_sound_and_holds_what_was_asked_for() {
    let (bytes, contents) = generated(&plan());
    let report = checked(&bytes);
    assert!(report.sound, "{:?}", report.problems);
    let summary = report.summary.unwrap();
    assert_eq!((summary.batches, summary.records), (3, 600));
    assert_eq!(contents.charges + contents.refunds + contents.errors, 600);
    assert_eq!((summary.errors, contents.errors), (12, 12));
    let refunds: u32 = report
        .batches
        .iter()
        .map(|batch| batch.summary.refunds)
        .sum();
    assert_eq!(u64::from(refunds), contents.refunds);
    assert!(contents.refunds > 70);
    let sellers: Vec<_> = report
        .batches
        .iter()
        .map(|batch| batch.header.as_ref().unwrap().seller.clone())
        .collect();
    assert_eq!(sellers[0], sellers[2]);
    assert_ne!(sellers[0], sellers[1]);
}

#[test]
fn a_generated_refund_is_of_a_charge_before_it_and_below_it() {
    let (bytes, _) = generated(&plan());
    let mut charged = std::collections::HashMap::new();
    for record in records_of(items(&bytes)) {
        match record.transaction {
            Ok(Transaction::Charge(charge)) => {
                assert!(
                    charged
                        .insert(charge.order_number.clone(), charge.amounts.total)
                        .is_none()
                );
            }
            Ok(Transaction::Refund(refund)) => {
                let total = charged
                    .remove(&refund.order_number)
                    .expect("a charge, refunded once");
                assert!(refund.amounts.total <= total);
            }
            Err(_) => {}
        }
    }
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
    let (bytes, _) = generated(&plan());
    assert_eq!(generated(&plan()).0, bytes);
    assert_ne!(generated(&Plan { seed: 8, ..plan() }).0, bytes);
    let errors = generated(&Plan {
        error_every: 0,
        refund_every: 0,
        ..plan()
    })
    .1;
    assert_eq!((errors.errors, errors.refunds), (0, 0));
}

#[test]
fn source_texts_are_left_out_when_they_are_not_wanted() {
    let (bytes, _) = generated(&plan());
    let (items, _) = read_with(
        &bytes,
        Options {
            keep_xml: false,
            ..Options::default()
        },
    );
    for item in items {
        match item {
            Item::Record(record) => assert_eq!(record.xml, None),
            Item::BatchStart(header) => assert_eq!(header.xml, None),
            _ => {}
        }
    }
}
