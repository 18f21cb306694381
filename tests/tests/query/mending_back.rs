//! The table of errors, mended and sent back.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_domain::{DetailStatus, Permission};
use weir_query::Scope;
use weir_tests::text;

use crate::mending_desk::{Desk, Table, target};

/// The largest table.
const TABLE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most rows below the header.
const ROWS_MAX: usize = 5_000;

fn places(answer: &Value) -> Vec<String> {
    let errors = answer[0]["validationErrors"].as_array();
    let errors = errors.unwrap_or_else(|| panic!("{answer}"));
    let place = |error: &Value| error["dataPath"].as_str().unwrap().to_owned();
    errors.iter().map(place).collect()
}

/// Four records: the first sound, the others with something wrong.
fn broken() -> Vec<String> {
    let lines = "<Lines><Line><Sku>A,1</Sku><Quantity>two</Quantity><UnitPrice>5.00</UnitPrice></Line>\
                 </Lines>";
    vec![
        text::charge("SO-1", "10.00"),
        text::wrong_charge("=SO-2", "20.00"),
        text::charge("SO-3", "10.00").replace("</Charge>", &format!("{lines}</Charge>")),
        text::refund("SO-1", "4.0O"),
    ]
}

/// Mends all that [`broken`] has.
fn mend(table: &mut Table) {
    assert_eq!(table.rows.len(), 3);
    assert_eq!(table.cell(0, "order_number"), "'=SO-2");
    table.set(0, "buyer_id", text::BUYER);
    let lines = table.cell(1, "lines").replace("two", "2");
    table.set(1, "lines", &lines);
    table.set(2, "total_amount", "4.00");
}

#[tokio::test]
async fn a_broken_file_is_mended_through_its_table_and_settled() {
    let desk = Desk::start().await;
    let (file, batch) = desk.taken("B-1", &broken()).await;
    assert_eq!(batch.counters.error, 3);
    let mut table = desk.table(&batch).await;
    mend(&mut table);
    let (status, answer) = desk.put_back(&batch, &table).await;
    assert_eq!(
        (status, answer),
        (StatusCode::OK, json!({"drafted": 3, "unchanged": 0}))
    );

    // Drafts wait; nothing of a detail says otherwise until they are confirmed.
    let drafted = desk.rig.batch(file, 1).await;
    assert_eq!((drafted.counters.error, drafted.counters.draft), (3, 3));
    for detail in desk.details(&batch).await.iter().skip(1) {
        assert_eq!(detail.status, DetailStatus::Error);
        assert_eq!(detail.draft_version, Some(2));
        assert_eq!((detail.request_version, detail.payload_versions), (0, 2));
        assert!(detail.buyer_id.is_none() || detail.line().get() == 3);
    }
    desk.rig.settle().await;
    assert_eq!(desk.rig.requests(), 1);
    let shown = desk.table(&batch).await;
    let information = ["error_code", "error_description"];
    assert_eq!(shown.without(&information), table.without(&information));

    desk.confirm(&batch).await;
    desk.rig.settle().await;
    let statuses = desk.rig.statuses(file).await;
    assert_eq!(statuses, [vec![DetailStatus::Processed; 4]]);
    let details = desk.details(&batch).await;
    assert_eq!(details[1].order_number.as_deref(), Some("=SO-2"));
    assert_eq!(details[1].buyer_id.unwrap().to_string(), text::BUYER);
    assert_eq!(details[3].amount.unwrap().minor(), 400);
    // The refund found the charge of its order.
    assert_eq!(details[3].charge_id, details[0].charge_id);
    desk.rig.audit(&[file]).await;
    assert!(desk.table(&batch).await.rows.is_empty());
}

#[tokio::test]
async fn a_table_that_comes_back_as_it_went_out_changes_nothing() {
    let desk = Desk::start().await;
    let (file, batch) = desk.taken("B-1", &broken()).await;
    let before = desk.details(&batch).await;
    let mut table = desk.table(&batch).await;
    let unchanged = json!({"drafted": 0, "unchanged": 3});
    assert_eq!(desk.put_back(&batch, &table).await.1, unchanged);
    // What is told is not taken back, and a form of JSON is no change.
    table.set(0, "error_code", "x");
    table.set(1, "error_description", "");
    let lines = table.cell(1, "lines").replace(':', " : ");
    table.set(1, "lines", &lines);
    assert_eq!(desk.put_back(&batch, &table).await.1, unchanged);
    let header_alone = Table {
        rows: Vec::new(),
        ..table
    };
    let nothing = json!({"drafted": 0, "unchanged": 0});
    assert_eq!(desk.put_back(&batch, &header_alone).await.1, nothing);
    assert_eq!(desk.details(&batch).await, before);
    assert_eq!(desk.rig.batch(file, 1).await, batch);
}

#[tokio::test]
async fn a_table_that_is_sent_twice_drafts_once_and_another_change_drafts_anew() {
    let desk = Desk::start().await;
    let (file, batch) = desk.taken("B-1", &broken()).await;
    let mut table = desk.table(&batch).await;
    mend(&mut table);
    desk.put_back(&batch, &table).await;
    let before = desk.details(&batch).await;
    let again = desk.put_back(&batch, &table).await;
    assert_eq!(again.1, json!({"drafted": 0, "unchanged": 3}));
    assert_eq!(desk.details(&batch).await, before);
    // A version is used once: another draft has one of its own.
    table.set(0, "comment", "second thoughts");
    let other = desk.put_back(&batch, &table).await;
    assert_eq!(other.1, json!({"drafted": 1, "unchanged": 2}));
    let details = desk.details(&batch).await;
    assert_eq!(
        (details[1].draft_version, details[1].payload_versions),
        (Some(3), 3)
    );
    assert_eq!(desk.rig.batch(file, 1).await.counters.draft, 3);
    assert_eq!(
        desk.table(&batch).await.cell(0, "comment"),
        "second thoughts"
    );
}

#[tokio::test]
async fn a_table_may_be_in_any_form_that_editors_write_and_hold_only_what_changed() {
    let desk = Desk::start().await;
    for (number, part) in [
        ("comma", ","),
        ("semicolon", ";"),
        ("mark", ","),
        ("form", ","),
        ("few", ","),
    ] {
        let (_, batch) = desk.taken(&format!("B-{number}"), &broken()).await;
        let mut table = desk.table(&batch).await;
        mend(&mut table);
        if number == "few" {
            table.rows.remove(2);
            let kept = ["batch_detail_id", "buyer_id", "lines"];
            let left = table
                .header
                .iter()
                .filter(|name| !kept.contains(&name.as_str()));
            let left: Vec<String> = left.cloned().collect();
            table = table.without(&left.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let part = part.chars().next().unwrap();
        let (media, body) = match number {
            "mark" => ("text/csv", format!("\u{FEFF}{}", table.text(part, "\n"))),
            "form" => (
                "multipart/form-data; boundary=xyz",
                format!(
                    "--xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"e.csv\"\r\n\
                     content-type: application/vnd.ms-excel\r\n\r\n{}\r\n--xyz--\r\n",
                    table.text(part, "\r\n")
                ),
            ),
            _ => ("text/csv; header=present", table.text(part, "\r\n")),
        };
        let (status, answer) = desk.send(&batch, media, body).await;
        let drafted = if number == "few" { 2 } else { 3 };
        let wanted = json!({"drafted": drafted, "unchanged": 0});
        assert_eq!((status, answer), (StatusCode::OK, wanted), "{number}");
    }
}

#[tokio::test]
async fn nothing_of_a_table_is_applied_where_anything_of_it_is_wrong() {
    let desk = Desk::start().await;
    let (file, batch) = desk.taken("B-1", &broken()).await;
    let (_, other) = desk.taken("B-2", &broken()).await;
    let before = desk.details(&batch).await;
    let mut sound = desk.table(&batch).await;
    mend(&mut sound);
    let mut refused = Vec::new();
    let mut with = |change: &dyn Fn(&mut Table), places: &[&str]| {
        let mut table = sound.clone();
        change(&mut table);
        refused.push((
            table,
            places
                .iter()
                .map(|one| (*one).to_owned())
                .collect::<Vec<_>>(),
        ));
    };
    with(
        &|table| table.set(2, "total_amount", "x"),
        &["/rows/4/total_amount"],
    );
    with(
        &|table| table.set(2, "total_amount", "-4"),
        &["/rows/4/total_amount"],
    );
    with(
        &|table| {
            table.set(0, "buyer_id", "x");
            table.set(1, "lines", r#"[{"quantity": 2, "unitprice": "5.00"}]"#);
        },
        &[
            "/rows/2/buyer_id",
            "/rows/3/lines/0/unitprice",
            "/rows/3/lines/0/quantity",
        ],
    );
    with(
        &|table| table.set(2, "buyer_id", text::BUYER),
        &["/rows/4/buyer_id"],
    );
    with(&|table| table.set(1, "lines", "[{]"), &["/rows/3/lines"]);
    with(&|table| table.set(0, "line", "3"), &["/rows/2/line"]);
    with(
        &|table| table.set(0, "transaction_type", "Refund"),
        &["/rows/2/transaction_type"],
    );
    with(
        &|table| table.set(0, "batch_detail_id", "x"),
        &["/rows/2/batch_detail_id"],
    );
    with(
        &|table| table.rows.push(table.rows[0].clone()),
        &["/rows/5/batch_detail_id"],
    );
    with(&|table| table.rows[1].push(String::new()), &["/rows/3"]);
    with(
        &|table| table.header[6] = "po_no".to_owned(),
        &["/header/po_no"],
    );
    with(
        &|table| table.header[6] = "line".to_owned(),
        &["/header/line"],
    );
    // Of another batch, beyond the last line, and settled.
    let foreign = other.id.detail(before[1].line()).to_string();
    with(
        &|table| table.set(0, "batch_detail_id", &foreign),
        &["/rows/2/batch_detail_id"],
    );
    let beyond = batch
        .id
        .detail("99".parse::<u32>().unwrap().try_into().unwrap())
        .to_string();
    with(
        &|table| table.set(0, "batch_detail_id", &beyond),
        &["/rows/2/batch_detail_id"],
    );
    let settled = before[0].id.to_string();
    with(
        &|table| {
            table.set(0, "batch_detail_id", &settled);
            table.set(0, "line", "");
        },
        &["/rows/2/batch_detail_id"],
    );
    for (table, wanted) in refused {
        let (status, answer) = desk.put_back(&batch, &table).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer[0]["code"], "body_not_matching_json_schema");
        assert_eq!(places(&answer), wanted, "{answer}");
    }
    assert_eq!(desk.details(&batch).await, before);
    assert_eq!(desk.rig.batch(file, 1).await.counters, batch.counters);
}

#[tokio::test]
async fn an_open_detail_is_not_mended_and_a_cancelled_one_is() {
    let desk = Desk::start().await;
    let file = text::one_batch("B-1", &[text::charge("SO-1", "10.00")]);
    let file = desk.rig.take("open.xml", file).await;
    let batch = desk.rig.batch(file, 1).await;
    let id = batch.id.detail(batch.lines().next().unwrap());
    let table = format!("batch_detail_id,total_amount\n{id},11.00\n");
    let (status, answer) = desk.send(&batch, "text/csv", table.clone()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(places(&answer), ["/rows/2/batch_detail_id"]);
    let cancel = target(&batch).replace("/errors", "/cancel");
    let request = Request::post(cancel).header("Authorization", &desk.key);
    let (status, text) = desk.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (status, answer) = desk.send(&batch, "text/csv", table).await;
    assert_eq!(
        (status, answer),
        (StatusCode::OK, json!({"drafted": 1, "unchanged": 0}))
    );
    desk.rig.settle().await;
    assert_eq!(desk.rig.requests(), 0);
    // What was cancelled is not sent because somebody confirms the drafts of the batch.
    desk.confirm(&batch).await;
    desk.rig.settle().await;
    assert_eq!(desk.rig.requests(), 0);
    let confirm = target(&batch).replace("/errors", "/confirm-drafts");
    let request = Request::post(confirm)
        .header("Authorization", &desk.key)
        .header("Content-Type", "application/json")
        .body(Body::from(json!({"batch_detail_ids": [id]}).to_string()));
    let (status, text) = desk.ask(request.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    desk.rig.settle().await;
    let detail = desk.rig.detail(file, 1, 1).await;
    assert_eq!(detail.status, DetailStatus::Processed);
    assert_eq!(
        (detail.amount.unwrap().minor(), detail.request_version),
        (1_100, 2)
    );
    assert_eq!(desk.rig.requests(), 1);
    desk.rig.audit(&[file]).await;
}

#[tokio::test]
async fn a_detail_whose_last_call_may_have_been_taken_is_not_mended() {
    let desk = Desk::start().await;
    let unknown = text::charge_of(text::UNKNOWN_BUYER, "SO-1", "10.00");
    let (file, batch) = desk.taken("B-1", &[unknown]).await;
    assert_eq!(batch.counters.error, 1);
    let now = desk.rig.parts.timeline.now();
    desk.rig
        .change(file, 1, 1, |lease| lease.attempted_at = Some(now))
        .await;
    let mut table = desk.table(&batch).await;
    let unchanged = desk.put_back(&batch, &table).await;
    assert_eq!(unchanged.1, json!({"drafted": 0, "unchanged": 1}));
    table.set(0, "buyer_id", text::BUYER);
    let (status, answer) = desk.put_back(&batch, &table).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(places(&answer), ["/rows/2/batch_detail_id"]);
    let message = answer[0]["validationErrors"][0]["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("may have been taken"), "{message}");
    assert!(!desk.rig.detail(file, 1, 1).await.has_draft());
}

#[tokio::test]
async fn what_is_no_table_or_too_large_is_refused_as_such() {
    let desk = Desk::start().await;
    let (_, batch) = desk.taken("B-1", &broken()).await;
    for (media, body, status, code) in [
        ("application/json", "{}", 415, "unsupported_media_type"),
        (
            "text/csv; charset=latin1",
            "batch_detail_id",
            415,
            "unsupported_media_type",
        ),
        ("text/csv", "batch_detail_id\n\"", 400, "invalid_data"),
        ("text/csv", "", 400, "body_not_matching_json_schema"),
        (
            "multipart/form-data; boundary=x",
            "--x--",
            400,
            "invalid_data",
        ),
    ] {
        let (found, answer) = desk.send(&batch, media, body).await;
        assert_eq!(found.as_u16(), status, "{media} {body}");
        assert_eq!(answer[0]["code"], code, "{media} {body}");
    }
    let (found, answer) = desk.send(&batch, "text/csv", vec![0xFF]).await;
    assert_eq!(
        (found.as_u16(), &answer[0]["code"]),
        (400, &json!("invalid_data"))
    );
    let header = "batch_detail_id\n";
    for (length, status) in [
        (TABLE_BYTES_MAX - 1, 200),
        (TABLE_BYTES_MAX, 200),
        (TABLE_BYTES_MAX + 1, 413),
    ] {
        let table = header.to_owned() + &"\n".repeat(length - header.len());
        let (found, answer) = desk.send(&batch, "text/csv", table).await;
        assert_eq!(found.as_u16(), status, "{answer}");
    }
    let id = batch.id.detail(batch.lines().nth(1).unwrap());
    for (rows, status, told) in [
        (ROWS_MAX - 1, 400, 1_000),
        (ROWS_MAX, 400, 1_000),
        (ROWS_MAX + 1, 413, 0),
    ] {
        let table = header.to_owned() + &format!("{id}\n").repeat(rows);
        let (found, answer) = desk.send(&batch, "text/csv", table).await;
        assert_eq!(found.as_u16(), status, "{rows}");
        let errors = answer[0]["validationErrors"].as_array();
        assert_eq!(errors.map_or(0, Vec::len), told);
    }
}

#[tokio::test]
async fn a_table_is_taken_from_those_who_may_change_its_batch() {
    let desk = Desk::start().await;
    let (_, batch) = desk.taken("B-1", &broken()).await;
    let table = "batch_detail_id\n";
    let reader = desk
        .key_of(&[Permission::BatchesRead], Scope::default())
        .await;
    let (status, _) = desk.send_as(&reader, &batch, "text/csv", table).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let elsewhere = Scope {
        client_id: Some(Uuid::from_u128(9).try_into().unwrap()),
        ..Scope::default()
    };
    let foreign = desk.key_of(&[Permission::BatchesWrite], elsewhere).await;
    let (status, _) = desk.send_as(&foreign, &batch, "text/csv", table).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = desk.send_as("x", &batch, "text/csv", table).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let request = Request::post(format!("{}?from_line=1", target(&batch)))
        .header("Authorization", &desk.key)
        .header("Content-Type", "text/csv");
    let (status, _) = desk.ask(request.body(Body::from(table)).unwrap()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn history_tells_who_wrote_a_draft_and_what_it_would_send() {
    let desk = Desk::start().await;
    let (_, batch) = desk.taken("B-1", &broken()).await;
    let mut table = desk.table(&batch).await;
    mend(&mut table);
    desk.put_back(&batch, &table).await;
    let get = async |path: &str| {
        let request = Request::get(path).header("Authorization", &desk.key);
        let (status, text) = desk.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let details = get(&format!("/v1/batchdetails?batch_id={}", batch.id)).await;
    let drafts: BTreeSet<&str> = details
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|detail| detail["draft_request_data"].as_str())
        .collect();
    assert_eq!(drafts.len(), 3);
    let detail = &details[1];
    assert!(detail.get("request_data").is_none(), "{detail}");
    assert!(
        detail["user_updated_by"]
            .as_str()
            .unwrap()
            .starts_with("desk")
    );
    // The XML stays what the file had.
    assert!(detail["xml_data"].as_str().unwrap().contains("nobody"));
    let id = detail["id"].as_str().unwrap();
    let history = get(&format!("/v1/batchdetailhistory?batch_detail_id={id}")).await;
    let last = history.as_array().unwrap().last().unwrap();
    assert_eq!(last["user_updated_by"], detail["user_updated_by"]);
    assert_eq!(last["draft_request_data"], detail["draft_request_data"]);
    desk.confirm(&batch).await;
    let sent = get(&format!("/v1/batchdetails/{id}")).await;
    assert_eq!(sent["request_data"], detail["draft_request_data"]);
    assert!(sent.get("draft_request_data").is_none());
}
