//! The rules of charges and refunds, element by element.

use crate::support::{
    BUYER, assert_fault, assert_sound, charge, fault_codes, faults, file, file_with_header, items,
    one, problems, records_of, refund, transaction,
};
use weir_domain::{ChargeReference, RefundReason, Transaction};
use weir_servicegate::PROBLEMS_PER_RECORD_MAX;

const UUID: &str = "5a0f3a58-5d3f-4f0c-9f0e-5bb7d1a3c7c2";

/// A charge without one of its elements.
fn charge_without(element: &str) -> String {
    let whole = charge("");
    let start = whole.find(&format!("<{element}>")).unwrap();
    let end = whole.find(&format!("</{element}>")).unwrap() + element.len() + 3;
    format!("{}{}", &whole[..start], &whole[end..])
}

#[test]
fn what_must_be_there_is_missed() {
    for element in ["OrderNumber", "BuyerId", "TotalAmount"] {
        assert_fault(&charge_without(element), "bcs.element_missing", element);
    }
    assert_eq!(
        fault_codes("<Refund></Refund>"),
        [
            ("bcs.element_missing", "OrderNumber".to_owned()),
            ("bcs.element_missing", "TotalAmount".to_owned()),
        ]
    );
    assert_eq!(fault_codes("<Charge/>").len(), 3);
    let line = |inner: &str| charge(&format!("<Lines><Line>{inner}</Line></Lines>"));
    assert_fault(
        &line("<UnitPrice>12.50</UnitPrice>"),
        "bcs.element_missing",
        "Quantity",
    );
    assert_fault(
        &line("<Quantity>1</Quantity>"),
        "bcs.element_missing",
        "UnitPrice",
    );
    let tax =
        "<ShippingTaxDetails><TaxDetail><TaxType>A</TaxType></TaxDetail></ShippingTaxDetails>";
    assert_fault(&charge(tax), "bcs.element_missing", "TaxAmount");
}

#[test]
fn what_may_stand_once_is_refused_twice() {
    for element in [
        "OrderNumber",
        "PoNumber",
        "CustomerId",
        "BuyerId",
        "AuthorizationId",
        "PreviousChargeId",
        "Currency",
        "TotalAmount",
        "TaxAmount",
        "DiscountAmount",
        "ShippingAmount",
        "ShippingTaxAmount",
        "ShippingDiscountAmount",
        "OrderUrl",
        "Comment",
        "SellerTaxInvoiceNumber",
        "SellerTaxInvoiceUrl",
        "ShippingTaxDetails",
        "Lines",
        "ShipTo",
        "Supplier",
        "Vehicle",
        "Metadata",
    ] {
        let again = match element {
            "OrderNumber" | "BuyerId" | "TotalAmount" => format!("<{element}/>"),
            "Currency" => format!("{}<Currency/>", one("Currency", "USD")),
            "CustomerId" | "AuthorizationId" | "PreviousChargeId" => {
                format!("{}<{element}/>", one(element, UUID))
            }
            "PoNumber" => format!("{}<PoNumber>b</PoNumber>", one("PoNumber", "a")),
            _ if element.ends_with("Amount") => format!("{}<{element}/>", one(element, "0")),
            _ => format!("<{element}></{element}><{element} a='1'/>"),
        };
        assert_fault(&charge(&again), "bcs.element_repeated", element);
    }
    for element in ["ChargeId", "RefundReason", "RefundComment"] {
        let value = match element {
            "ChargeId" => UUID,
            "RefundReason" => "Other",
            _ => "a",
        };
        let twice = one(element, value).repeat(2);
        assert_fault(&refund(&twice), "bcs.element_repeated", element);
    }
    let deep = "<ShipTo><Tracking><Carrier>a</Carrier><Carrier>b</Carrier></Tracking></ShipTo>";
    assert_fault(&charge(deep), "bcs.element_repeated", "Carrier");
}

#[test]
fn texts_are_as_long_as_the_format_says() {
    let inside =
        |outer: &'static str| move |element: &str, value: &str| one(outer, &one(element, value));
    let bare = |element: &str, value: &str| one(element, value);
    let (vehicle, supplier) = (inside("Vehicle"), inside("Supplier"));
    let address =
        |element: &str, value: &str| one("ShipTo", &one("CompanyAddress", &one(element, value)));
    let tracking =
        |element: &str, value: &str| one("ShipTo", &one("Tracking", &one(element, value)));
    let line = |element: &str, value: &str| {
        one(
            "Lines",
            &one(
                "Line",
                &format!(
                    "{}<Quantity>1</Quantity><UnitPrice>12.50</UnitPrice>",
                    one(element, value)
                ),
            ),
        )
    };
    let cases: [(&str, usize, bool, &dyn Fn(&str, &str) -> String); 19] = [
        ("PoNumber", 200, true, &bare),
        ("OrderUrl", 1024, false, &bare),
        ("Comment", 1024, false, &bare),
        ("SellerTaxInvoiceNumber", 1024, false, &bare),
        ("SellerTaxInvoiceUrl", 1024, false, &bare),
        ("Odometer", 100, true, &vehicle),
        ("IdentificationNumber", 100, true, &vehicle),
        ("UnitNumber", 100, true, &vehicle),
        ("CompanyName", 1024, false, &supplier),
        ("AddressLine1", 1024, false, &address),
        ("AddressLine2", 1024, false, &address),
        ("City", 1024, false, &address),
        ("Zip", 1024, false, &address),
        ("Country", 1024, false, &address),
        ("TrackingNumber", 1024, false, &tracking),
        ("TrackingUrl", 1024, false, &tracking),
        ("Carrier", 1024, false, &tracking),
        ("Sku", 1024, false, &line),
        ("Description", 1024, false, &line),
    ];
    for (element, max, needed, wrap) in cases {
        for length in [1, max - 1, max] {
            assert_sound(&charge(&wrap(element, &"é".repeat(length))));
        }
        assert_fault(
            &charge(&wrap(element, &"é".repeat(max + 1))),
            "bcs.length_invalid",
            element,
        );
        if needed {
            assert_fault(&charge(&wrap(element, "")), "bcs.length_invalid", element);
            assert_fault(
                &charge(&wrap(element, " \n ")),
                "bcs.length_invalid",
                element,
            );
        } else {
            assert_sound(&charge(&wrap(element, "")));
            assert_sound(&charge(&wrap(element, " \n ")));
        }
    }
}

#[test]
fn an_order_number_has_1_to_824_characters() {
    let with = |number: &str| charge("").replace("SO-1", number);
    assert_sound(&with(&"é".repeat(824)));
    assert_sound(&with(&format!("  {}\n", "é".repeat(824))));
    assert_fault(&with(&"é".repeat(825)), "bcs.length_invalid", "OrderNumber");
    assert_fault(&with(""), "bcs.length_invalid", "OrderNumber");
}

#[test]
fn ids_are_uuids() {
    for element in ["CustomerId", "AuthorizationId", "PreviousChargeId"] {
        assert_sound(&charge(&one(element, UUID)));
        assert_sound(&charge(&one(element, &UUID.to_uppercase())));
        for value in [
            "x",
            "5a0f3a585d3f4f0c9f0e5bb7d1a3c7c2",
            "{5a0f3a58-5d3f-4f0c-9f0e-5bb7d1a3c7c2}",
        ] {
            assert_fault(&charge(&one(element, value)), "bcs.format_invalid", element);
        }
        assert_fault(&charge(&one(element, "")), "bcs.length_invalid", element);
    }
    assert_fault(
        &charge("").replace(BUYER, "x"),
        "bcs.format_invalid",
        "BuyerId",
    );
    assert_fault(
        &refund(&one("ChargeId", "x")),
        "bcs.format_invalid",
        "ChargeId",
    );
}

#[test]
fn a_refund_names_its_charge_or_means_the_latest_of_its_order() {
    let Transaction::Refund(named) = transaction(&refund(&one("ChargeId", UUID))) else {
        panic!("a refund");
    };
    assert_eq!(named.charge, ChargeReference::Id(UUID.parse().unwrap()));
    let Transaction::Refund(unnamed) = transaction(&refund("")) else {
        panic!("a refund");
    };
    assert_eq!(unnamed.charge, ChargeReference::LatestOfOrder);
    assert_eq!(unnamed.reason, RefundReason::Other);
}

#[test]
fn a_refund_reason_is_one_of_the_ten() {
    for reason in RefundReason::ALL {
        let Transaction::Refund(read) = transaction(&refund(&one("RefundReason", reason.name())))
        else {
            panic!("a refund");
        };
        assert_eq!(read.reason, reason);
    }
    for value in ["other", "Broken", "Merchandise  Damaged"] {
        assert_fault(
            &refund(&one("RefundReason", value)),
            "bcs.format_invalid",
            "RefundReason",
        );
    }
    assert_fault(
        &refund("<RefundReason/>"),
        "bcs.length_invalid",
        "RefundReason",
    );
}

#[test]
fn pickup_is_a_boolean() {
    for value in ["true", "false", "1", "0", " true "] {
        assert_sound(&charge(&one("ShipTo", &one("Pickup", value))));
    }
    for value in ["yes", "True", "2"] {
        assert_fault(
            &charge(&one("ShipTo", &one("Pickup", value))),
            "bcs.format_invalid",
            "Pickup",
        );
    }
}

#[test]
fn metadata_has_at_most_50_items_with_names() {
    let items = |count: usize| {
        let items: String = (0..count)
            .map(|i| format!("<Item name='n{i}'>v</Item>"))
            .collect();
        charge(&one("Metadata", &items))
    };
    for count in [0, 1, 49, 50] {
        assert_sound(&items(count));
    }
    assert_fault(&items(51), "bcs.too_many", "Item[51]");
    assert_fault(&items(60), "bcs.too_many", "Item[51]");
    let item = |name: usize, value: usize| {
        charge(&format!(
            "<Metadata><Item name='{}'>{}</Item></Metadata>",
            "é".repeat(name),
            "é".repeat(value)
        ))
    };
    for (name, value) in [(1, 1), (99, 499), (100, 500), (1, 0)] {
        assert_sound(&item(name, value));
    }
    assert_fault(&item(101, 1), "bcs.length_invalid", "@name");
    assert_fault(&item(0, 1), "bcs.length_invalid", "@name");
    assert_fault(&item(1, 501), "bcs.length_invalid", "Item[1]");
    assert_fault(
        &charge("<Metadata><Item>v</Item></Metadata>"),
        "bcs.element_missing",
        "@name",
    );
}

#[test]
fn an_item_without_a_value_counts_as_absent() {
    let Transaction::Charge(charge) = transaction(&charge(
        "<Metadata><Item name='a'/><Item name='b'>c</Item></Metadata>",
    )) else {
        panic!("a charge");
    };
    assert_eq!(charge.metadata.len(), 1);
    assert_eq!(charge.metadata[0].name.as_str(), "b");
}

#[test]
fn elements_and_text_where_they_do_not_belong_are_refused() {
    assert_fault(
        &charge("<PoNumber>a<b/>c</PoNumber>"),
        "bcs.format_invalid",
        "PoNumber",
    );
    assert_fault(&charge("12.50"), "bcs.format_invalid", "Charge[1]");
    assert_fault(
        &charge("<Vehicle>T-19</Vehicle>"),
        "bcs.format_invalid",
        "Vehicle",
    );
}

#[test]
fn unknown_elements_and_attributes_are_kept_and_ignored() {
    let record = charge(
        "<Extra a='1'><PoNumber>x</PoNumber><TotalAmount>y</TotalAmount></Extra><ChargeId>x</ChargeId>",
    );
    let record = record
        .replace("<Charge>", "<Charge id='7'>")
        .replace("<BuyerId>", "<BuyerId kind='a'>");
    assert_sound(&record);
    let read = records_of(items(file(&record).as_bytes())).remove(0);
    assert_eq!(read.xml, Some(record));
    assert!(read.facts().po_number.is_none());
}

#[test]
fn all_problems_of_a_record_come_in_file_order_with_their_places() {
    let record = "<Charge>\n<TotalAmount>1,5</TotalAmount>\n<PoNumber></PoNumber>\n<CustomerId>x</CustomerId>\n\
        <Lines><Line><Quantity>a</Quantity><UnitPrice>1</UnitPrice></Line><Line><Quantity>1</Quantity>\
        <UnitPrice>b</UnitPrice></Line></Lines>\n</Charge>";
    let found = faults(record);
    let shown: Vec<_> = found
        .iter()
        .map(|f| (f.code.code(), f.position.line, f.path.as_str()))
        .collect();
    let at = "/SettlementFile/Batch[1]/Charge[1]";
    assert_eq!(
        shown,
        [
            ("bcs.element_missing", 1, &*format!("{at}/OrderNumber")),
            ("bcs.element_missing", 1, &*format!("{at}/BuyerId")),
            ("bcs.amount_invalid", 2, &*format!("{at}/TotalAmount")),
            ("bcs.length_invalid", 3, &*format!("{at}/PoNumber")),
            ("bcs.format_invalid", 4, &*format!("{at}/CustomerId")),
            (
                "bcs.format_invalid",
                5,
                &*format!("{at}/Lines/Line[1]/Quantity")
            ),
            (
                "bcs.amount_invalid",
                5,
                &*format!("{at}/Lines/Line[2]/UnitPrice")
            ),
        ]
    );
    assert!(found[2].message.starts_with("`TotalAmount` must be digits"));
    assert!(found[2].message.ends_with("it is `1,5`"));
    let text = file(record);
    for fault in &found {
        let element = format!("<{}", fault.element.name());
        let at = &text[usize::try_from(fault.position.byte).unwrap()..];
        assert!(at.starts_with(&element) || fault.code.code() == "bcs.element_missing");
    }
}

#[test]
fn a_record_in_error_shows_what_can_be_read_of_it() {
    let record = charge(
        "<PoNumber>PO-1</PoNumber><CustomerId>x</CustomerId><Vehicle><UnitNumber>T-1</UnitNumber><Odometer></Odometer></Vehicle>",
    );
    let facts = records_of(items(file(&record).as_bytes()))
        .remove(0)
        .facts();
    assert_eq!(facts.order_number.unwrap().as_str(), "SO-1");
    assert_eq!(facts.po_number.unwrap().as_str(), "PO-1");
    assert_eq!(facts.customer_id, None);
    assert_eq!(facts.buyer_id, Some(BUYER.parse().unwrap()));
    assert_eq!(facts.amount.unwrap().minor(), 1250);
    assert_eq!(facts.currency.unwrap().code(), "USD");
    let vehicle = facts.vehicle.unwrap();
    assert_eq!(vehicle.unit_number.unwrap().as_str(), "T-1");
    assert_eq!(vehicle.odometer, None);
}

#[test]
fn a_sound_record_shows_the_same_facts() {
    let facts = records_of(items(file(&charge("<PoNumber>PO-1</PoNumber>")).as_bytes()))
        .remove(0)
        .facts();
    assert_eq!(facts.po_number.unwrap().as_str(), "PO-1");
    assert_eq!(facts.amount.unwrap().minor(), 1250);
}

#[test]
fn no_more_than_a_hundred_problems_of_a_record_are_kept() {
    let bad = "<Line/>".repeat(PROBLEMS_PER_RECORD_MAX);
    assert_eq!(
        faults(&charge(&one("Lines", &bad))).len(),
        PROBLEMS_PER_RECORD_MAX
    );
}

#[test]
fn one_bad_record_leaves_the_others_alone() {
    let text = file(
        &[
            charge(""),
            charge("x"),
            refund(""),
            charge_without("BuyerId"),
            refund(""),
        ]
        .concat(),
    );
    assert_eq!(problems(text.as_bytes()), []);
    let records = records_of(items(text.as_bytes()));
    let sound: Vec<bool> = records
        .iter()
        .map(|record| record.transaction.is_ok())
        .collect();
    assert_eq!(sound, [true, false, true, false, true]);
    let lines: Vec<u32> = records.iter().map(|record| record.line.get()).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
    let path = &records[3].transaction.as_ref().unwrap_err().problems[0].path;
    assert_eq!(path, "/SettlementFile/Batch[1]/Charge[3]/BuyerId");
}

#[test]
fn records_of_a_batch_with_a_broken_header_are_judged_without_it() {
    let text = file_with_header("<BatchNumber>B-1</BatchNumber><Currency>USD</Currency>");
    let (items, ended) = crate::support::read(text.as_bytes());
    assert_eq!(ended, None);
    let record = records_of(items).remove(0);
    let rejected = record.transaction.unwrap_err();
    assert!(rejected.problems.is_empty(), "{:?}", rejected.problems);
}
