use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use weir_domain::{
    BatchOrdinal, DetailId, FileId, LineNumber, ObjectIdentity, TransactionRequest, TransactionType,
};

use super::*;
use crate::mend::{defused, fused};

const CHARGE: &str = "<Charge><OrderNumber>SO-1</OrderNumber>\
     <BuyerId>cf771e8a-5c1a-462f-b4c9-fc745f02d0de</BuyerId><TotalAmount>12.5O</TotalAmount>\
     <Lines><Line><Quantity>1</Quantity><UnitPrice>12.50</UnitPrice><Sku/></Line></Lines></Charge>";
const REFUND: &str = "<sg:Refund><sg:OrderNumber>=SO-1 </sg:OrderNumber>\
     <sg:TotalAmount>12.5O</sg:TotalAmount><BuyerId>x</BuyerId></sg:Refund>";

fn id() -> DetailId {
    let file = FileId::of_object(&ObjectIdentity::new("b", "k", "e"));
    let batch = file.batch(BatchOrdinal::new(1).unwrap());
    batch.detail(LineNumber::new(7).unwrap())
}

fn seller() -> SellerId {
    "0b9a2b9e-0d5d-4f0b-8f5b-6f0f4a6a2b11".parse().unwrap()
}

fn grounds() -> Grounds {
    Grounds {
        seller: Some(seller()),
        currency: Some("USD".parse().unwrap()),
    }
}

/// A detail in Error, as its record was refused.
fn detail(transaction_type: TransactionType) -> Detail {
    let now = DateTime::<Utc>::UNIX_EPOCH;
    Detail {
        id: id(),
        version: 1,
        status: DetailStatus::Error,
        transaction_type,
        order_number: None,
        po_number: None,
        amount: None,
        currency: None,
        buyer_id: None,
        customer_id: None,
        vehicle_odometer: None,
        vehicle_identification_number: None,
        vehicle_unit_number: None,
        charge_id: None,
        refund_id: None,
        request_version: 0,
        events: 0,
        answered_in: None,
        retry_count: 0,
        draft_version: None,
        payload_versions: 1,
        waiting_since: None,
        next_attempt_at: None,
        lease_until: None,
        attempted_at: None,
        created_at: now,
        updated_at: now,
        processed_at: None,
        error_code: None,
        error_description: None,
        error_at: None,
        user_updated_at: None,
        user_updated_by: None,
        changed_in: None,
    }
}

fn payload(xml: &str) -> Payload {
    Payload {
        xml: xml.to_owned(),
        request: String::new(),
    }
}

/// The row of a table as it goes out, after some cells of it were changed.
fn row(payload: &Payload, changes: &[(&str, &str)]) -> Row {
    let columns = Column::all();
    let mut cells: Vec<_> = shown_cells(payload)
        .iter()
        .map(|cell| Some(fused(&defused(cell.as_deref().unwrap_or_default())).to_owned()))
        .collect();
    for (name, text) in changes {
        let place = columns.iter().position(|column| column.name == *name);
        cells[place.unwrap()] = Some((*text).to_owned());
    }
    Row {
        number: 3,
        id: id(),
        line: Some("7".to_owned()),
        transaction_type: None,
        cells,
    }
}

fn judged(
    detail: &Detail,
    xml: &str,
    changes: &[(&str, &str)],
) -> Result<Option<Payload>, Vec<String>> {
    let payload = payload(xml);
    let judged = judge(&row(&payload, changes), Some(detail), &payload, grounds());
    judged.map_err(|problems| problems.into_iter().map(|one| one.path).collect())
}

#[test]
fn a_row_that_comes_back_as_it_went_out_asks_for_nothing() {
    for (kind, xml) in [
        (TransactionType::Charge, CHARGE),
        (TransactionType::Refund, REFUND),
        (TransactionType::Charge, ""),
    ] {
        assert_eq!(judged(&detail(kind), xml, &[]), Ok(None));
    }
}

#[test]
fn white_space_and_the_form_of_json_do_not_make_a_change() {
    let charge = detail(TransactionType::Charge);
    let lines = r#" [ {"unit_price": "12.50 ", "quantity": "1", "sku": ""} ]"#;
    let changes = [
        ("lines", lines),
        ("order_number", " SO-1\r\n"),
        ("comment", "  "),
    ];
    assert_eq!(judged(&charge, CHARGE, &changes), Ok(None));
}

#[test]
fn a_mended_row_becomes_the_request_that_the_file_would_have_made() {
    let charge = detail(TransactionType::Charge);
    let draft = judged(&charge, CHARGE, &[("total_amount", "12.50")])
        .unwrap()
        .unwrap();
    let mended = CHARGE.replace("12.5O", "12.50");
    let cells = cells_of(&mended).unwrap();
    assert_eq!(draft.xml, xml_of(TransactionType::Charge, &cells).unwrap());
    let record = record_of(TransactionType::Charge, grounds().currency, &cells).unwrap();
    let request = TransactionRequest::build(&record.transaction.unwrap(), seller(), id()).unwrap();
    assert_eq!(draft.request, request.to_json().unwrap());
    // The draft is what the table shows next: sent again, it asks for nothing.
    let drafted = Detail {
        draft_version: Some(2),
        payload_versions: 2,
        ..charge
    };
    assert_eq!(shown_version(&drafted), 2);
    assert_eq!(judged(&drafted, &draft.xml, &[]), Ok(None));
}

#[test]
fn a_column_that_the_table_does_not_have_is_unchanged() {
    let charge = detail(TransactionType::Charge);
    let payload = payload(CHARGE);
    let columns = Column::all();
    let mut row = row(&payload, &[("total_amount", "12.50")]);
    for (column, cell) in columns.iter().zip(&mut row.cells) {
        if column.name != "total_amount" {
            *cell = None;
        }
    }
    let draft = judge(&row, Some(&charge), &payload, grounds())
        .unwrap()
        .unwrap();
    let whole = judged(&charge, CHARGE, &[("total_amount", "12.50")]).unwrap();
    assert_eq!(Some(draft), whole);
    row.cells.fill(None);
    assert_eq!(judge(&row, Some(&charge), &payload, grounds()), Ok(None));
}

#[test]
fn an_emptied_cell_leaves_its_element_out() {
    let charge = detail(TransactionType::Charge);
    let changes = [("total_amount", "12.50"), ("lines", "")];
    let draft = judged(&charge, CHARGE, &changes).unwrap().unwrap();
    assert!(!draft.xml.contains("Lines"), "{}", draft.xml);
    assert_eq!(
        judged(&charge, CHARGE, &[("buyer_id", ""), ("total_amount", "1")]),
        Err(vec!["/rows/3/buyer_id".to_owned()])
    );
}

#[test]
fn what_is_wrong_with_a_row_is_told_at_its_cells() {
    let charge = detail(TransactionType::Charge);
    let at = |place: &str| Err(vec![format!("/rows/3/{place}")]);
    let other = |changes: &[(&str, &str)]| judged(&charge, CHARGE, changes);
    assert_eq!(other(&[("total_amount", "12.51x")]), at("total_amount"));
    assert_eq!(other(&[("charge_id", "x")]), at("charge_id"));
    assert_eq!(other(&[("lines", "[{}")]), at("lines"));
    assert_eq!(
        other(&[("lines", r#"[{"quantity":1}]"#)]),
        at("lines/0/quantity")
    );
    // One that goes through the formula guard is judged as it was.
    let refund = detail(TransactionType::Refund);
    let draft = judged(&refund, REFUND, &[("total_amount", "12.50")])
        .unwrap()
        .unwrap();
    assert!(draft.xml.contains("<OrderNumber>=SO-1</OrderNumber>"));
    assert_eq!(
        judged(&refund, REFUND, &[("buyer_id", "x")]),
        at("buyer_id")
    );
}

#[test]
fn a_row_must_be_for_a_detail_of_the_batch_and_say_nothing_else_of_it() {
    let charge = detail(TransactionType::Charge);
    let payload = payload(CHARGE);
    let judged = |row: &Row, detail: Option<&Detail>| {
        let problems = judge(row, detail, &payload, grounds()).unwrap_err();
        problems.into_iter().map(|one| one.path).collect::<Vec<_>>()
    };
    let sound = row(&payload, &[]);
    assert_eq!(judged(&sound, None), ["/rows/3/batch_detail_id"]);
    let line = Row {
        line: Some("8".to_owned()),
        ..sound.clone()
    };
    assert_eq!(judged(&line, Some(&charge)), ["/rows/3/line"]);
    let other = Row {
        transaction_type: Some("Refund".to_owned()),
        ..sound
    };
    assert_eq!(judged(&other, Some(&charge)), ["/rows/3/transaction_type"]);
    let right = Row {
        transaction_type: Some(TransactionType::Charge.name().to_owned()),
        ..other
    };
    assert_eq!(judge(&right, Some(&charge), &payload, grounds()), Ok(None));
}

#[test]
fn only_a_detail_in_error_or_cancelled_is_mended() {
    for status in [
        DetailStatus::Processed,
        DetailStatus::Unprocessed,
        DetailStatus::Retry,
        DetailStatus::Error,
        DetailStatus::Cancelled,
    ] {
        let charge = Detail {
            status,
            ..detail(TransactionType::Charge)
        };
        let takes = matches!(status, DetailStatus::Error | DetailStatus::Cancelled);
        let changed = judged(&charge, CHARGE, &[("total_amount", "12.50")]);
        assert_eq!(changed.is_ok(), takes, "{status}");
        assert_eq!(judged(&charge, CHARGE, &[]).is_ok(), takes, "{status}");
    }
}

#[test]
fn a_detail_whose_last_call_may_have_been_taken_gets_no_draft() {
    let charge = Detail {
        attempted_at: Some(DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(1)),
        ..detail(TransactionType::Charge)
    };
    let payload = payload(CHARGE);
    let changed = row(&payload, &[("total_amount", "12.50")]);
    let problems = judge(&changed, Some(&charge), &payload, grounds()).unwrap_err();
    assert_eq!(problems[0].path, "/rows/3/batch_detail_id");
    assert!(problems[0].message.contains("look it up"), "{problems:?}");
    // Its row may stand in the table all the same.
    assert_eq!(judged(&charge, CHARGE, &[]), Ok(None));
}

proptest! {
    #[test]
    fn whatever_a_file_holds_comes_back_unchanged(
        texts in proptest::collection::vec(("[A-Z][A-Za-z]{0,8}|Lines|Line|Sku|OrderNumber|Metadata|Vehicle|Odometer", "[ -~&&[^<&]]{0,6}|\r\n|'=1"), 0..8),
        refund in any::<bool>(),
    ) {
        let (kind, root) = if refund {
            (TransactionType::Refund, "Refund")
        } else {
            (TransactionType::Charge, "Charge")
        };
        let mut inner = String::new();
        for (name, text) in &texts {
            inner = format!("{inner}<{name}>{text}</{name}><{name}>{inner}</{name}>");
            if inner.len() > 2_000 {
                break;
            }
        }
        let xml = format!("<{root}>{inner}</{root}>");
        prop_assert_eq!(judged(&detail(kind), &xml, &[]), Ok(None));
    }
}
