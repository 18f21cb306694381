//! Tests of reading queries.

use proptest::prelude::*;

use super::*;
use crate::filter::{Operand, Test, VALUES_MAX};
use crate::{BATCH, DETAIL, HISTORY, MESSAGE, REPORT, REPORT_SCHEDULE};

const ID: &str = "8a0b7c6d-0000-4000-8000-000000000001";

fn read(text: &str) -> Result<Query, Vec<Problem>> {
    Query::parse(&DETAIL, Vec::new(), text)
}

/// The parameters that a query is refused for.
fn refused(text: &str) -> Vec<String> {
    let problems = read(text).unwrap_err();
    problems
        .into_iter()
        .map(|problem| problem.parameter)
        .collect()
}

#[test]
fn a_page_has_ten_rows_unless_asked_otherwise_and_at_most_250() {
    assert_eq!(read("").unwrap().page_size, 10);
    for size in [1, 249, 250] {
        assert_eq!(read(&format!("page_size={size}")).unwrap().page_size, size);
    }
    for text in [
        "page_size=0",
        "page_size=251",
        "page_size=",
        "page_size=%2B5",
        "page_size=1.0",
    ] {
        assert_eq!(refused(text), ["page_size"], "{text}");
    }
}

#[test]
fn pages_are_numbered_from_one() {
    for number in [1, 2, u32::MAX] {
        let query = read(&format!("page_number={number}")).unwrap();
        assert_eq!(query.start, Start::Page(number));
    }
    for text in ["page_number=0", "page_number=4294967296", "page_number=-1"] {
        assert_eq!(refused(text), ["page_number"], "{text}");
    }
}

#[test]
fn every_problem_is_told_at_once_and_by_name() {
    let names = refused("page_size=x&colour=1&status=error&page_size=2&amount=1e3&sort_column[]=-");
    let expected = [
        "page_size",
        "colour",
        "status",
        "page_size",
        "amount",
        "sort_column[]",
    ];
    assert_eq!(names, expected);
}

#[test]
fn an_unknown_parameter_is_told_with_those_that_there_are() {
    let problems = read("colour=red").unwrap_err();
    assert!(
        problems[0]
            .message
            .contains("page_number, cursor, fields, id, correlation_id")
    );
}

#[test]
fn a_parameter_is_given_once_with_the_same_operator() {
    assert_eq!(refused("status=Error&status=Error"), ["status"]);
    let both = read("amount:gte=1&amount:lte=2").unwrap();
    assert_eq!(both.filters.len(), 2);
}

#[test]
fn several_values_may_be_given_to_what_holds_several() {
    let text = "supported_schedule_frequencies=Daily&supported_schedule_frequencies=Weekly";
    let query = Query::parse(&REPORT, Vec::new(), text).unwrap();
    assert_eq!(query.filters.len(), 2);
    let text = "recipient_emails=a@example.com,b@example.com";
    let query = Query::parse(&REPORT_SCHEDULE, Vec::new(), text).unwrap();
    assert!(matches!(&query.filters[0].test, Test::Has(texts) if texts.len() == 2));
}

#[test]
fn an_operator_is_refused_where_it_does_not_apply() {
    for text in [
        "id:gte=8a0b7c6d-0000-4000-8000-000000000001",
        "status:prefix=E",
        "amount:prefix=1",
        "created_at:prefix=2026",
        "amount:like=1",
        "amount:=1",
        "amount:gte:lte=1",
    ] {
        let name = text.split('=').next().unwrap();
        assert_eq!(refused(text), [name], "{text}");
    }
}

#[test]
fn each_operator_reads_as_its_test() {
    let test = |text: &str| read(text).unwrap().filters.remove(0).test;
    let five = || Operand::Integer(5);
    assert_eq!(test("amount=5"), Test::In(vec![five()]));
    assert_eq!(test("amount:ne=5"), Test::Not(five()));
    assert_eq!(test("amount:gt=5"), Test::Above(five()));
    assert_eq!(test("amount:gte=5"), Test::AtLeast(five()));
    assert_eq!(test("amount:lt=5"), Test::Below(five()));
    assert_eq!(test("amount:lte=5"), Test::AtMost(five()));
    assert_eq!(test("amount:in=5,5"), Test::In(vec![five(), five()]));
    assert_eq!(test("order_number:prefix=AB"), Test::Prefix("AB".into()));
}

#[test]
fn a_list_of_values_has_at_most_a_hundred() {
    for (count, is_taken) in [
        (VALUES_MAX - 1, true),
        (VALUES_MAX, true),
        (VALUES_MAX + 1, false),
    ] {
        let values = vec!["1"; count].join(",");
        assert_eq!(
            read(&format!("amount:in={values}")).is_ok(),
            is_taken,
            "{count}"
        );
    }
}

#[test]
fn a_text_is_as_long_as_its_rule_says() {
    for (chars, is_taken) in [(0, false), (1, true), (19, true), (20, true), (21, false)] {
        let text = format!("batch_number={}", "%C3%A9".repeat(chars));
        assert_eq!(read(&text).is_ok(), is_taken, "{chars}");
    }
    // No more than that is required of a text without bounds.
    assert!(read("user_updated_by=").is_ok());
    assert!(read("xml_data=").is_err());
}

#[test]
fn a_number_lies_in_its_range() {
    for (text, is_taken) in [("-1", false), ("0", true), ("9223372036854775807", true)] {
        assert_eq!(
            read(&format!("retry_count={text}")).is_ok(),
            is_taken,
            "{text}"
        );
    }
    assert!(read("retry_count=9223372036854775808").is_err());
    assert!(read("amount=-9223372036854775808").is_ok());
}

#[test]
fn a_url_begins_as_its_rule_says() {
    let read = |text: &str| Query::parse(&MESSAGE, Vec::new(), text).is_ok();
    assert!(read("queue_url=https%3A%2F%2Fexample.com%2Fq"));
    assert!(!read("queue_url=http%3A%2F%2Fexample.com%2Fq"));
}

#[test]
fn a_plus_is_a_space_and_names_may_be_encoded() {
    let query = read("sort_column%5B%5D=-amount&order_number=A+B%2BC").unwrap();
    assert!(query.sort[0].is_descending && query.sort[0].field.name == "amount");
    assert_eq!(
        query.filters[0].test,
        Test::In(vec![Operand::Text("A B+C".into())])
    );
}

#[test]
fn what_is_not_utf_8_is_refused_by_name() {
    assert_eq!(refused("order_number=%FF"), ["order_number"]);
    assert_eq!(refused("%FF=1"), ["%FF"]);
}

#[test]
fn a_column_is_a_field_and_counts_where_it_is_named_first() {
    assert_eq!(
        refused("sort_column[]=error_description"),
        ["sort_column[]"]
    );
    for again in ["", "&sort_column[]=-status", "&sort_column[]=amount"] {
        let query = read(&format!(
            "sort_column[]=status&sort_column[]=-amount{again}"
        ))
        .unwrap();
        let columns = query.sort.iter();
        let columns = columns.map(|column| (column.field.name, column.is_descending));
        assert_eq!(
            columns.collect::<Vec<_>>(),
            [("status", false), ("amount", true)]
        );
    }
}

#[test]
fn fields_are_shown_in_their_own_order() {
    let query = read("fields=status,id").unwrap();
    let names = query.fields.iter().map(|field| field.name);
    assert_eq!(names.collect::<Vec<_>>(), ["id", "status"]);
    assert_eq!(refused("fields=id,colour"), ["fields"]);
    assert_eq!(refused("fields="), ["fields"]);
}

#[test]
fn one_resource_takes_fields_alone() {
    assert_eq!(Query::parse_fields(&BATCH, "fields=id").unwrap().len(), 1);
    assert_eq!(
        Query::parse_fields(&BATCH, "").unwrap().len(),
        BATCH.fields.len()
    );
    let problems = Query::parse_fields(&BATCH, "status=Error&fields=x").unwrap_err();
    let names = problems.into_iter().map(|problem| problem.parameter);
    assert_eq!(names.collect::<Vec<_>>(), ["status", "fields"]);
}

#[test]
fn a_query_has_at_most_8_192_bytes() {
    for (bytes, is_taken) in [
        (QUERY_BYTES_MAX - 1, true),
        (QUERY_BYTES_MAX, true),
        (QUERY_BYTES_MAX + 1, false),
    ] {
        let text = format!("xml_data={}", "x".repeat(bytes - "xml_data=".len()));
        assert_eq!(read(&text).is_ok(), is_taken, "{bytes}");
    }
}

#[test]
fn a_cursor_is_bound_to_its_question() {
    let question = |text: &str| Query::parse(&DETAIL, Vec::new(), text).unwrap();
    let cursor = Cursor {
        values: vec![crate::Value::Integer(5)],
        position: weir_store::CreatedId {
            created_ms: 1,
            id: uuid::Uuid::from_u128(7),
        },
    };
    let sorted = "status=Error&sort_column[]=amount";
    let text = cursor.write(&DETAIL, &question(sorted)).unwrap();
    let again = question(&format!("{sorted}&page_size=3&cursor={text}"));
    assert_eq!(again.start, Start::After(cursor));
    for other in [
        "status=Error",
        "status=Retry&sort_column[]=amount",
        "status=Error&sort_column[]=-amount",
        "sort_column[]=amount",
    ] {
        assert_eq!(
            refused(&format!("{other}&cursor={text}")),
            ["cursor"],
            "{other}"
        );
    }
    let history = format!("{sorted}&cursor={text}");
    assert!(Query::parse(&HISTORY, Vec::new(), &history).is_err());
    assert_eq!(
        refused(&format!("{sorted}&cursor={text}&page_number=2")),
        ["cursor"]
    );
    assert_eq!(refused(&format!("{sorted}&cursor={text}x")), ["cursor"]);
    assert_eq!(refused(&format!("{sorted}&cursor=")), ["cursor"]);
}

#[test]
fn ids_are_uuids_with_hyphens() {
    assert!(read(&format!("batch_id={ID}")).is_ok());
    assert!(read(&format!("batch_id={}", ID.to_uppercase())).is_ok());
    for id in [
        "",
        "x",
        "8a0b7c6d000040008000000000000001",
        "{8a0b7c6d-0000-4000-8000-00000000001}",
    ] {
        assert_eq!(refused(&format!("batch_id={id}")), ["batch_id"], "{id}");
    }
}

proptest! {
    #[test]
    fn any_query_is_read_or_refused_without_a_panic(text in "\\PC{0,120}") {
        let _ = read(&text);
    }

    #[test]
    fn any_cursor_is_read_or_refused_without_a_panic(text in "[A-Za-z0-9_-]{0,80}") {
        let _ = read(&format!("cursor={text}"));
    }
}
