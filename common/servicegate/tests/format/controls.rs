//! Headers and control counts and totals.

use crate::support::{
    HEADER, ROOT, charge, codes, file_with_header, items, problems, read, refund,
};
use weir_servicegate::{BatchSummary, FileRule, Item, SellerReference, TotalCheck};

const NAMED: &str = "<BatchNumber>B-1</BatchNumber><AlternateSellerId>S</AlternateSellerId>";

fn header(more: &str) -> Vec<&'static str> {
    codes(&file_with_header(&format!("{NAMED}{more}")))
}

fn batch(more: &str, records: &str) -> String {
    format!(
        "{ROOT}<Batch><BatchHeader>{NAMED}{more}</BatchHeader>{records}</Batch></SettlementFile>"
    )
}

fn summary(file: &str) -> BatchSummary {
    let (items, _) = read(file.as_bytes());
    let found = items.into_iter().find_map(|item| match item {
        Item::BatchEnd(summary) => Some(*summary),
        _ => None,
    });
    found.unwrap()
}

fn priced(amount: &str, more: &str) -> String {
    charge(more).replace("12.50", amount)
}

#[test]
fn a_batch_has_a_number_of_1_to_20_characters() {
    let with = |number: &str| {
        codes(&file_with_header(&format!(
            "<BatchNumber>{number}</BatchNumber><AlternateSellerId>S</AlternateSellerId><Currency>USD</Currency>"
        )))
    };
    for length in [1, 19, 20] {
        assert_eq!(with(&"é".repeat(length)), Vec::<&str>::new());
    }
    assert_eq!(with(&"é".repeat(21)), ["file.value_invalid"]);
    assert_eq!(with(""), ["file.value_invalid"]);
    assert_eq!(
        codes(&file_with_header(
            "<AlternateSellerId>S</AlternateSellerId>"
        )),
        ["file.element_missing"]
    );
}

#[test]
fn a_batch_names_its_seller_by_one_of_two_ids() {
    let with = |seller: &str| {
        file_with_header(&format!(
            "<BatchNumber>B-1</BatchNumber>{seller}<Currency>USD</Currency>"
        ))
    };
    let uuid = "<SellerId>3f1c9f52-6f0e-4d7c-9f57-2f5f0f5d7a10</SellerId>";
    let named = "<AlternateSellerId>NW</AlternateSellerId>";
    assert_eq!(codes(&with("")), ["file.seller_missing"]);
    assert_eq!(
        codes(&with(&format!("{uuid}{named}"))),
        ["file.seller_conflict"]
    );
    assert_eq!(
        codes(&with("<SellerId>NW</SellerId>")),
        ["file.value_invalid"]
    );
    assert_eq!(codes(&with("<SellerId/>")), ["file.value_invalid"]);
    for length in [1, 49, 50] {
        let id = format!(
            "<AlternateSellerId>{}</AlternateSellerId>",
            "é".repeat(length)
        );
        assert_eq!(codes(&with(&id)), Vec::<&str>::new());
    }
    let long = format!("<AlternateSellerId>{}</AlternateSellerId>", "é".repeat(51));
    assert_eq!(codes(&with(&long)), ["file.value_invalid"]);
    let sellers: Vec<_> = [uuid, named]
        .iter()
        .flat_map(|seller| items(with(seller).as_bytes()))
        .filter_map(|item| match item {
            Item::BatchStart(header) => Some(header.seller),
            _ => None,
        })
        .collect();
    assert_eq!(
        sellers,
        [
            SellerReference::Id("3f1c9f52-6f0e-4d7c-9f57-2f5f0f5d7a10".parse().unwrap()),
            SellerReference::Alternate("NW".parse().unwrap()),
        ]
    );
}

#[test]
fn a_header_keeps_its_source_text() {
    let text = format!(
        "{ROOT}<Batch>{HEADER}{}</Batch></SettlementFile>",
        charge("")
    );
    let Some(Item::BatchStart(header)) = items(text.as_bytes()).into_iter().next() else {
        panic!("a batch");
    };
    assert_eq!(header.xml.as_deref(), Some(HEADER));
    assert_eq!(header.number.as_str(), "B-1");
    assert_eq!(header.start.byte, text.find("<Batch>").unwrap() as u64);
}

#[test]
fn a_batch_has_a_header_and_a_file_has_a_batch() {
    let root = |inner: &str| codes(&format!("{ROOT}{inner}</SettlementFile>"));
    assert_eq!(root(""), ["file.batch_missing"]);
    assert_eq!(
        root("<Batch/>"),
        ["file.element_missing", "file.transaction_missing"]
    );
    assert_eq!(
        root(&format!("<Batch>{}</Batch>", charge(""))),
        ["file.element_missing"]
    );
    assert_eq!(
        root(&format!("<Batch>{HEADER}</Batch>")),
        ["file.transaction_missing"]
    );
    assert_eq!(
        root("<Batch><BatchHeader/></Batch>"),
        [
            "file.seller_missing",
            "file.element_missing",
            "file.transaction_missing"
        ]
    );
    assert_eq!(
        root(&format!("<Batch>{HEADER}{HEADER}{}</Batch>", charge(""))),
        ["file.element_repeated"]
    );
}

#[test]
fn every_problem_of_every_batch_is_collected() {
    let text = format!(
        "{ROOT}<FileHeader><CreatedAt>x</CreatedAt><BatchCount>9</BatchCount></FileHeader><Batch/>\
         <Batch>{HEADER}{HEADER}{}</Batch><Batch><BatchHeader>{NAMED}<Currency>US</Currency>\
         <TransactionCount>-1</TransactionCount></BatchHeader></Batch></SettlementFile>",
        charge("")
    );
    let found: Vec<_> = problems(text.as_bytes())
        .iter()
        .map(|p| (p.rule.code(), p.path.clone()))
        .collect();
    let at = |code: &'static str, path: &str| (code, format!("/SettlementFile{path}"));
    assert_eq!(
        found,
        [
            at("file.value_invalid", "/FileHeader/CreatedAt"),
            at("file.element_missing", "/Batch[1]/BatchHeader"),
            at("file.transaction_missing", "/Batch[1]"),
            at("file.element_repeated", "/Batch[2]/BatchHeader"),
            at("file.value_invalid", "/Batch[3]/BatchHeader/Currency"),
            at(
                "file.value_invalid",
                "/Batch[3]/BatchHeader/TransactionCount"
            ),
            at("file.transaction_missing", "/Batch[3]"),
            at("file.control_mismatch", "/FileHeader/BatchCount"),
        ]
    );
}

#[test]
fn a_file_header_says_who_when_and_how_many() {
    let with = |inner: &str| {
        codes(&format!(
            "{ROOT}<FileHeader>{inner}</FileHeader><Batch>{HEADER}{}</Batch></SettlementFile>",
            charge("")
        ))
    };
    let sound = Vec::<&str>::new();
    assert_eq!(with(""), sound);
    for length in [1, 99, 100] {
        assert_eq!(
            with(&format!(
                "<FileReference>{}</FileReference>",
                "é".repeat(length)
            )),
            sound
        );
    }
    assert_eq!(
        with(&format!(
            "<FileReference>{}</FileReference>",
            "é".repeat(101)
        )),
        ["file.value_invalid"]
    );
    assert_eq!(with("<FileReference/>"), ["file.value_invalid"]);
    for time in ["2026-11-21T22:14:05Z", "2026-11-21T22:14:05.123+02:00"] {
        assert_eq!(with(&format!("<CreatedAt>{time}</CreatedAt>")), sound);
    }
    for time in [
        "2026-11-21",
        "22:14",
        "2026-11-21T22:14:05",
        "2026-13-21T22:14:05Z",
    ] {
        assert_eq!(
            with(&format!("<CreatedAt>{time}</CreatedAt>")),
            ["file.value_invalid"]
        );
    }
    for (count, found) in [
        ("1", None),
        ("001", None),
        ("0", Some("file.control_mismatch")),
        ("2", Some("file.control_mismatch")),
        ("+1", Some("file.value_invalid")),
        ("x", Some("file.value_invalid")),
        ("99999999999999999999", Some("file.value_invalid")),
    ] {
        let found: Vec<&str> = found.into_iter().collect();
        assert_eq!(
            with(&format!("<BatchCount>{count}</BatchCount>")),
            found,
            "{count}"
        );
        assert_eq!(
            with(&format!("<TransactionCount>{count}</TransactionCount>")),
            found,
            "{count}"
        );
    }
    assert_eq!(
        with("<BatchCount>1</BatchCount><BatchCount>2</BatchCount>"),
        ["file.element_repeated"]
    );
    let twice = format!(
        "{ROOT}<FileHeader/><FileHeader/><Batch>{HEADER}{}</Batch></SettlementFile>",
        charge("")
    );
    assert_eq!(codes(&twice), ["file.element_repeated"]);
}

#[test]
fn a_batchs_count_must_be_right_records_in_error_counted() {
    let bad = charge("x");
    let with = |count: u32| {
        codes(&batch(
            &format!("<Currency>USD</Currency><TransactionCount>{count}</TransactionCount>"),
            &[charge(""), bad.clone(), refund("")].concat(),
        ))
    };
    assert_eq!(with(2), ["file.control_mismatch"]);
    assert_eq!(with(3), Vec::<&str>::new());
    assert_eq!(with(4), ["file.control_mismatch"]);
}

#[test]
fn a_batchs_totals_must_be_right() {
    let records = [priced("10.00", ""), priced("2.51", ""), refund("")].concat();
    let with = |charges: &str, refunds: &str| {
        batch(
            &format!(
                "<Currency>USD</Currency><ChargeTotal>{charges}</ChargeTotal><RefundTotal>{refunds}</RefundTotal>"
            ),
            &records,
        )
    };
    let sound = with("12.51", "12.5");
    assert_eq!(codes(&sound), Vec::<&str>::new());
    assert_eq!(summary(&sound).charge_total_check, TotalCheck::Matched);
    assert_eq!(summary(&sound).refund_total_check, TotalCheck::Matched);
    for charges in ["12.50", "12.52", "0"] {
        let wrong = with(charges, "12.50");
        let found = problems(wrong.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].path,
            "/SettlementFile/Batch[1]/BatchHeader/ChargeTotal"
        );
        assert_eq!(
            found[0].position.byte,
            wrong.find("<ChargeTotal>").unwrap() as u64
        );
        let FileRule::ControlMismatch { stated, actual, .. } = &found[0].rule else {
            panic!("a mismatch");
        };
        assert_eq!((stated.as_str(), actual.as_str()), (charges, "12.51"));
        assert_eq!(summary(&wrong).charge_total_check, TotalCheck::Mismatched);
    }
    assert_eq!(codes(&with("12.51", "12.49")), ["file.control_mismatch"]);
    assert_eq!(codes(&with("12.510", "12.50")), ["file.value_invalid"]);
    for form in ["-12.51", "12,51", "1e1", "", "x"] {
        assert_eq!(
            codes(&with(form, "12.50")),
            ["file.value_invalid"],
            "{form}"
        );
    }
}

#[test]
fn a_record_in_error_counts_towards_a_total_when_its_amount_can_be_read() {
    let records = [
        priced("10.00", ""),
        priced("2.51", "<CustomerId>x</CustomerId>"),
    ]
    .concat();
    let text = batch(
        "<Currency>USD</Currency><ChargeTotal>12.51</ChargeTotal>",
        &records,
    );
    assert_eq!(codes(&text), Vec::<&str>::new());
    assert_eq!(summary(&text).errors, 1);
    assert_eq!(summary(&text).charge_total_check, TotalCheck::Matched);
}

#[test]
fn a_total_is_not_checkable_when_an_amount_cannot_be_read_or_is_in_another_currency() {
    let other = priced("2.51", "<Currency>EUR</Currency>");
    for odd in [
        priced("2,51", ""),
        other,
        priced("2.51", "<Currency>XXX</Currency>"),
    ] {
        let records = [priced("10.00", ""), odd].concat();
        let text = batch(
            "<Currency>USD</Currency><ChargeTotal>99.99</ChargeTotal>",
            &records,
        );
        assert_eq!(codes(&text), Vec::<&str>::new());
        let summary = summary(&text);
        assert_eq!(summary.charge_total_check, TotalCheck::NotCheckable);
        assert_eq!(summary.refund_total_check, TotalCheck::NotStated);
        assert_eq!((summary.currency, summary.charge_total), (None, None));
    }
}

#[test]
fn without_a_currency_of_its_own_a_batchs_totals_are_in_the_one_of_its_records() {
    let euro = priced("2.51", "<Currency>EUR</Currency>");
    assert_eq!(
        codes(&batch("<ChargeTotal>5.02</ChargeTotal>", &euro.repeat(2))),
        Vec::<&str>::new()
    );
    assert_eq!(
        codes(&batch("<ChargeTotal>5.03</ChargeTotal>", &euro.repeat(2))),
        ["file.control_mismatch"]
    );
}

#[test]
fn a_header_of_a_batch_may_be_all_that_is_stated() {
    assert_eq!(header("<Currency>USD</Currency>"), Vec::<&str>::new());
    assert_eq!(
        header("<Currency>USD</Currency><Remark>x</Remark>"),
        Vec::<&str>::new()
    );
    assert_eq!(header("<Currency>LYD</Currency>"), ["file.value_invalid"]);
}

#[test]
fn sums_beyond_64_bits_are_exact() {
    let records = priced("9000000000000.00", "").repeat(10_300);
    let total = 9_000_000_000_000_i128 * 10_300;
    let text = batch(
        &format!("<Currency>USD</Currency><ChargeTotal>{total}.00</ChargeTotal>"),
        &records,
    );
    assert_eq!(codes(&text), Vec::<&str>::new());
    assert_eq!(summary(&text).charge_total.unwrap().minor(), total * 100);
    assert!(total * 100 > i128::from(i64::MAX));
}
