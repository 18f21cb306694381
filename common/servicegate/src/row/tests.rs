use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value};
use weir_domain::{SellerId, Transaction};

use super::*;
use crate::generate::{Plan, generate};
use crate::{Column, Reader, SellerReference, TEXT_BYTES_MAX, TRANSACTION_BYTES_MAX, cells_of};

fn usd() -> Currency {
    "USD".parse().unwrap()
}

/// Cells of these columns, the others empty.
fn cells(filled: &[(&str, &str)]) -> Vec<Option<String>> {
    let columns = Column::all();
    let cell = |column: &Column| {
        let found = filled.iter().find(|(name, _)| *name == column.name);
        found.map(|(_, text)| (*text).to_owned())
    };
    for (name, _) in filled {
        assert!(
            columns.iter().any(|column| column.name == *name),
            "no {name}"
        );
    }
    columns.iter().map(cell).collect()
}

/// The cells of a sound charge, some of them replaced.
fn charge_with(other: &[(&str, &str)]) -> Vec<Option<String>> {
    let sound = [
        ("order_number", "SO-1"),
        ("buyer_id", "cf771e8a-5c1a-462f-b4c9-fc745f02d0de"),
        ("total_amount", "12.50"),
    ];
    let kept = sound
        .iter()
        .filter(|(name, _)| other.iter().all(|(other, _)| other != name));
    cells(&kept.chain(other).copied().collect::<Vec<_>>())
}

/// The places of what is wrong.
fn places(kind: TransactionType, cells: &[Option<String>]) -> Vec<String> {
    let problems = record_of(kind, Some(usd()), cells).unwrap_err();
    problems.iter().map(|one| one.place.to_string()).collect()
}

fn charge_places(other: &[(&str, &str)]) -> Vec<String> {
    places(TransactionType::Charge, &charge_with(other))
}

/// Texts that a reader gets back as they are: without white space around them.
fn text() -> impl Strategy<Value = String> {
    "[ -~\t\r\n]{0,12}|\\PC{0,8}".prop_map(|text| crate::chars::trim(&text).to_owned())
}

/// The JSON of an element, as `cells_of` writes it.
fn json(element: Element) -> BoxedStrategy<Value> {
    if element == Element::Item {
        let item = |(name, value)| serde_json::json!({ "name": name, "value": value });
        return (text(), text()).prop_map(item).boxed();
    }
    let children = element.children();
    match children {
        [] => text().prop_map(Value::String).boxed(),
        [only] if only.occurs == crate::Occurs::Many => {
            let items = vec(json(only.element), 0..3);
            items.prop_map(Value::Array).boxed()
        }
        several => {
            let members: Vec<_> = several
                .iter()
                .map(|one| option::of(json(one.element)))
                .collect();
            let object = |values: Vec<Option<Value>>| {
                let named = several.iter().zip(values);
                let member =
                    |(child, value): (&crate::Child, _)| Some((snake(child.element), value?));
                Value::Object(named.filter_map(member).collect::<Map<_, _>>())
            };
            members.prop_map(object).boxed()
        }
    }
}

fn any_cells(kind: TransactionType) -> impl Strategy<Value = Vec<Option<String>>> {
    let root = match kind {
        TransactionType::Charge => Element::Charge,
        TransactionType::Refund => Element::Refund,
    };
    let cell = move |column: Column| {
        let parent = column.within.unwrap_or(column.element);
        if root.children().iter().all(|child| child.element != parent) {
            return Just(None).boxed();
        }
        if column.element.holds_text() {
            return option::of(text()).boxed();
        }
        option::of(json(column.element).prop_map(|value| value.to_string())).boxed()
    };
    Column::all().into_iter().map(cell).collect::<Vec<_>>()
}

proptest! {
    #[test]
    fn an_element_made_of_cells_has_the_same_cells(
        (kind, cells) in prop_oneof![Just(TransactionType::Charge), Just(TransactionType::Refund)]
            .prop_flat_map(|kind| (Just(kind), any_cells(kind))),
    ) {
        let xml = xml_of(kind, &cells);
        prop_assert!(xml.is_ok(), "{xml:?}");
        prop_assert_eq!(cells_of(&xml.unwrap()), Some(cells));
    }

    #[test]
    fn any_cells_are_a_record_or_refused_without_a_panic(
        cells in vec(option::of("\\PC{0,9}|[\\[\\]{}\",:a1]{0,9}|\\[\\{\"sku\":\"1\"\\}\\]"), 0..30),
        refund in any::<bool>(),
    ) {
        let kind = if refund { TransactionType::Refund } else { TransactionType::Charge };
        if let Err(problems) = record_of(kind, Some(usd()), &cells) {
            prop_assert!(!problems.is_empty());
        }
    }
}

#[test]
fn a_record_of_a_file_reads_the_same_from_its_cells() {
    let plan = Plan {
        seed: 7,
        prefix: "R".to_owned(),
        created_at: None,
        batches: 2,
        records_per_batch: 150,
        sellers: vec![SellerReference::Id(
            "0b9a2b9e-0d5d-4f0b-8f5b-6f0f4a6a2b11"
                .parse::<SellerId>()
                .unwrap(),
        )],
        buyers: vec![(
            "cf771e8a-5c1a-462f-b4c9-fc745f02d0de".parse().unwrap(),
            None,
        )],
        currency: "USD".parse().unwrap(),
        refund_every: 4,
        error_every: 9,
    };
    let mut file = Vec::new();
    let contents = generate(&plan, &mut file).unwrap();
    let mut reader = Reader::new(
        |offset: u64| Ok(&file[usize::try_from(offset).unwrap()..]),
        Options::default(),
    );
    let (mut sound, mut broken) = (0, 0);
    while let Some(item) = reader.next_item().unwrap() {
        let Item::Record(record) = item else {
            continue;
        };
        let cells = cells_of(record.xml.as_deref().unwrap()).unwrap();
        let again = record_of(record.transaction_type(), Some(usd()), &cells);
        match record.transaction {
            Ok(transaction) => {
                sound += 1;
                assert_eq!(again.unwrap().transaction, Ok(transaction));
            }
            Err(rejected) => {
                broken += 1;
                let words = |message: &String| message.clone();
                let found: Vec<_> = again
                    .unwrap_err()
                    .iter()
                    .map(|p| words(&p.message))
                    .collect();
                let wanted: Vec<_> = rejected
                    .problems
                    .iter()
                    .map(|p| words(&p.message))
                    .collect();
                assert_eq!(found, wanted);
            }
        }
    }
    assert_eq!(sound, contents.charges + contents.refunds);
    assert!(broken > 0 && broken == contents.errors);
}

#[test]
fn an_element_is_written_in_the_order_of_the_format_without_a_prefix_and_escaped() {
    let cells = charge_with(&[
        ("metadata", r#"[{"value":"<1>","name":"a\"b"}]"#),
        ("vehicle_odometer", "5"),
        ("lines", r#"[{"unit_price":"12.50","quantity":"1"}]"#),
        ("comment", "a & b\r\n]]>"),
    ]);
    assert_eq!(
        xml_of(TransactionType::Charge, &cells).unwrap(),
        "<Charge><OrderNumber>SO-1</OrderNumber>\
         <BuyerId>cf771e8a-5c1a-462f-b4c9-fc745f02d0de</BuyerId>\
         <TotalAmount>12.50</TotalAmount><Comment>a &amp; b&#13;&#10;]]&gt;</Comment>\
         <Lines><Line><Quantity>1</Quantity><UnitPrice>12.50</UnitPrice></Line></Lines>\
         <Vehicle><Odometer>5</Odometer></Vehicle>\
         <Metadata><Item name=\"a&quot;b\">&lt;1&gt;</Item></Metadata></Charge>"
    );
    let record = record_of(TransactionType::Charge, Some(usd()), &cells).unwrap();
    let Ok(Transaction::Charge(charge)) = &record.transaction else {
        panic!("{record:?}");
    };
    assert_eq!(charge.comment.as_ref().unwrap().to_string(), "a & b\r\n]]>");
    let xml = record.xml.as_deref();
    assert_eq!(xml, xml_of(TransactionType::Charge, &cells).ok().as_deref());
}

#[test]
fn what_the_format_refuses_is_told_at_its_cell() {
    let lines = r#"[{"quantity":"1","unit_price":"2.50"},{"quantity":"x","unit_price":"10.00"}]"#;
    assert_eq!(
        charge_places(&[("total_amount", "twelve")]),
        ["total_amount"]
    );
    assert_eq!(charge_places(&[("total_amount", "0")]), ["total_amount"]);
    assert_eq!(charge_places(&[("buyer_id", "")]), ["buyer_id"]);
    assert_eq!(charge_places(&[("lines", lines)]), ["lines/1/quantity"]);
    let lines = r#"[{"quantity":"1","unit_price":"12.50","tax_details":[{"tax_rate":"7"}]}]"#;
    assert_eq!(
        charge_places(&[("lines", lines)]),
        ["lines/0/tax_details/0/tax_amount"]
    );
    let long = "1".repeat(101);
    assert_eq!(
        charge_places(&[("vehicle_unit_number", &long)]),
        ["vehicle_unit_number"]
    );
    let metadata = format!(r#"[{{"name":"a","value":"b"}},{{"name":"{long}","value":"b"}}]"#);
    assert_eq!(
        charge_places(&[("metadata", &metadata)]),
        ["metadata/1/name"]
    );
    let metadata = format!(r#"[{{"name":"a","value":"{}"}}]"#, "v".repeat(501));
    assert_eq!(
        charge_places(&[("metadata", &metadata)]),
        ["metadata/0/value"]
    );
    assert_eq!(
        charge_places(&[("ship_to", r#"{"pickup":"maybe"}"#)]),
        ["ship_to/pickup"]
    );
    let lines = r#"[{"quantity":"1","unit_price":"2.00"}]"#;
    assert_eq!(charge_places(&[("lines", lines)]), ["total_amount"]);
    // What is missing is told at the cell that is empty, several things at once.
    assert_eq!(
        places(TransactionType::Charge, &cells(&[("po_number", "P")])),
        ["order_number", "buyer_id", "total_amount"]
    );
}

#[test]
fn a_transaction_without_a_currency_needs_one_of_its_batch() {
    let cells = charge_with(&[]);
    let problems = record_of(TransactionType::Charge, None, &cells).unwrap_err();
    assert_eq!(problems[0].place.as_str(), "currency");
    let own = charge_with(&[("currency", "EUR")]);
    let record = record_of(TransactionType::Charge, None, &own).unwrap();
    assert_eq!(record.facts().currency.unwrap().code(), "EUR");
    let record = record_of(TransactionType::Charge, Some(usd()), &own).unwrap();
    assert_eq!(record.facts().currency.unwrap().code(), "EUR");
}

#[test]
fn a_column_of_the_other_type_must_be_empty() {
    let refund = |other: (&str, &str)| {
        let cells = cells(&[("order_number", "1"), ("total_amount", "1"), other]);
        record_of(TransactionType::Refund, Some(usd()), &cells)
    };
    assert!(refund(("refund_reason", "Other")).is_ok());
    assert!(refund(("buyer_id", "")).is_ok());
    let problems = refund(("buyer_id", "cf771e8a-5c1a-462f-b4c9-fc745f02d0de")).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "buyer_id: does not belong to a Refund: leave the cell empty"
    );
    assert_eq!(charge_places(&[("charge_id", "x")]), ["charge_id"]);
    assert_eq!(
        charge_places(&[("refund_reason", "Other")]),
        ["refund_reason"]
    );
}

#[test]
fn a_cell_of_json_is_read_strictly() {
    for (column, cell, place) in [
        ("lines", "", "lines"),
        ("lines", "[", "lines"),
        ("lines", "{}", "lines"),
        ("lines", "\"\"", "lines"),
        ("lines", "null", "lines"),
        ("lines", "[] []", "lines"),
        ("lines", "[[]]", "lines/0"),
        ("lines", r#"[{"quantity":1}]"#, "lines/0/quantity"),
        ("lines", r#"[{"sku":null}]"#, "lines/0/sku"),
        ("lines", r#"[{"sku":["1"]}]"#, "lines/0/sku"),
        ("lines", r#"[{"Sku":"1"}]"#, "lines/0/Sku"),
        ("lines", r#"[{"a/b~":"1"}]"#, "lines/0/a~1b~0"),
        ("lines", r#"[{"sku":"1","sku":"1"}]"#, "lines/0/sku"),
        ("lines", r#"[{"tax_details":{}}]"#, "lines/0/tax_details"),
        ("ship_to", "[]", "ship_to"),
        ("ship_to", r#"{"pickup":true}"#, "ship_to/pickup"),
        ("ship_to", r#"{"tracking":"1"}"#, "ship_to/tracking"),
        (
            "supplier",
            r#"{"company_address":{"town":"x"}}"#,
            "supplier/company_address/town",
        ),
        ("metadata", r#"{"a":"b"}"#, "metadata"),
        ("metadata", r#"["a"]"#, "metadata/0"),
        ("metadata", r#"[{"name":"a"}]"#, "metadata/0/value"),
        ("metadata", r#"[{"name":1,"value":"a"}]"#, "metadata/0/name"),
        (
            "metadata",
            r#"[{"name":"a","value":"a","x":"a"}]"#,
            "metadata/0/x",
        ),
    ] {
        assert_eq!(charge_places(&[(column, cell)]), [place], "{cell}");
    }
}

#[test]
fn a_character_that_a_file_cannot_hold_is_refused() {
    assert_eq!(charge_places(&[("comment", "a\u{1}")]), ["comment"]);
    assert_eq!(charge_places(&[("comment", "\u{FFFE}")]), ["comment"]);
    let metadata = r#"[{"name":"a\u0000","value":"b"}]"#;
    assert_eq!(
        charge_places(&[("metadata", metadata)]),
        ["metadata/0/name"]
    );
}

#[test]
fn a_cell_has_the_limits_of_a_text_and_a_row_those_of_a_transaction() {
    // What the element may hold is less than what a text may: at and below the format's limit it is
    // the element's rule that is told, above it that of a text.
    for (length, told) in [
        (TEXT_BYTES_MAX - 1, "1024"),
        (TEXT_BYTES_MAX, "1024"),
        (TEXT_BYTES_MAX + 1, "65536"),
    ] {
        let cells = charge_with(&[("comment", &"c".repeat(length))]);
        let problems = record_of(TransactionType::Charge, Some(usd()), &cells).unwrap_err();
        assert_eq!(problems[0].place.as_str(), "comment");
        assert!(problems[0].message.contains(told), "{}", problems[0]);
    }
    let of_length = |wanted: usize| {
        let line = r#"{"quantity":"0","unit_price":"0","description":"D"}"#.to_owned();
        let lines = |count: usize, long: usize| {
            let mut all = vec![line.clone(); count];
            all.push(line.replace('D', &"d".repeat(long)));
            all.push(r#"{"quantity":"1","unit_price":"12.50"}"#.to_owned());
            charge_with(&[("lines", &format!("[{}]", all.join(",")))])
        };
        let length = |cells: &[_]| xml_of(TransactionType::Charge, cells).unwrap().len();
        let (none, one) = (length(&lines(0, 1)), length(&lines(1, 1)));
        let count = (wanted - none) / (one - none);
        let long = 1 + wanted - none - count * (one - none);
        let cells = lines(count, long);
        assert_eq!(length(&cells), wanted);
        record_of(TransactionType::Charge, Some(usd()), &cells)
    };
    assert!(of_length(TRANSACTION_BYTES_MAX - 1).is_ok());
    assert!(of_length(TRANSACTION_BYTES_MAX).is_ok());
    let problems = of_length(TRANSACTION_BYTES_MAX + 1).unwrap_err();
    assert_eq!(problems[0].place, Place::default());
}

#[test]
fn the_metadata_of_a_row_has_at_most_fifty_items() {
    let of = |count: usize| {
        let items = vec![r#"{"name":"a","value":"b"}"#; count].join(",");
        let cells = charge_with(&[("metadata", &format!("[{items}]"))]);
        record_of(TransactionType::Charge, Some(usd()), &cells)
    };
    assert!(of(49).is_ok() && of(50).is_ok());
    let problems = of(51).unwrap_err();
    assert_eq!(problems[0].place.as_str(), "metadata/50/value");
}
