//! The table of the details in error.

use http::StatusCode;
use serde_json::Value;
use weir_domain::Permission;
use weir_query::Scope;
use weir_settlement::mend::fused;

use crate::asking::{Asked, asked};

/// A batch that has details in error, and these.
fn batch_with_errors(asked: &Asked, key: &str) -> (Value, Vec<Value>) {
    let batches = asked.all(key, "/v1/batches?batch_detail_error_count:gte=2");
    let batch = batches.into_iter().next().unwrap();
    let id = batch["id"].as_str().unwrap();
    let details = asked.all(key, &format!("/v1/batchdetails?batch_id={id}&status=Error"));
    (batch, details)
}

fn target(batch: &Value) -> String {
    let text = |field: &str| batch[field].as_str().unwrap().to_owned();
    format!(
        "/v1/files/{}/batches/{}/errors",
        text("file_id"),
        text("id")
    )
}

/// The rows of a table by its columns.
fn rows(csv: &str) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let names: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        let cells = row.iter().map(str::to_owned);
        names.iter().cloned().zip(cells).collect()
    });
    rows.collect()
}

#[test]
fn the_errors_of_a_batch_are_a_table_with_a_row_a_detail_and_a_column_a_field() {
    let asked = asked();
    let key = asked.key(&[Permission::BatchesRead], Scope::default());
    let (batch, details) = batch_with_errors(asked, &key);
    let (status, headers, csv) = asked.text(&key, &target(&batch));
    assert_eq!(status, StatusCode::OK, "{csv}");
    assert_eq!(
        headers["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    let rows = rows(&csv);
    assert_eq!(rows.len(), details.len());
    for (row, detail) in rows.iter().zip(&details) {
        let cell = |name: &str| {
            let cell = row.iter().find(|(column, _)| column == name);
            cell.unwrap().1.clone()
        };
        for (column, field) in [
            ("batch_detail_id", "id"),
            ("transaction_type", "transaction_type"),
            ("error_code", "error_code"),
            ("error_description", "error_log"),
        ] {
            assert_eq!(cell(column), detail[field].as_str().unwrap(), "{column}");
        }
        // What the element holds, as it stands in the file; one that could be a formula is defused.
        assert!(!cell("order_number").starts_with('='));
        let number = format!(
            "<OrderNumber>{}</OrderNumber>",
            fused(&cell("order_number"))
        );
        assert!(detail["xml_data"].as_str().unwrap().contains(&number));
    }
}

#[test]
fn a_part_of_the_table_is_asked_for_by_lines() {
    let asked = asked();
    let key = asked.key(&[Permission::BatchesRead], Scope::default());
    let (batch, _) = batch_with_errors(asked, &key);
    let (_, _, all) = asked.text(&key, &target(&batch));
    let all = rows(&all);
    let line = |row: &Vec<(String, String)>| row[1].1.parse::<u32>().unwrap();
    let first = line(&all[0]);
    let part = |query: String| {
        let (_, _, csv) = asked.text(&key, &format!("{}?{query}", target(&batch)));
        rows(&csv)
    };
    assert_eq!(part(format!("to_line={first}")), all[..1]);
    assert_eq!(part(format!("from_line={}", first + 1)), all[1..]);
    assert!(part(format!("from_line={}&to_line={first}", first + 1)).is_empty());
}

#[test]
fn the_table_is_there_for_those_who_may_see_its_batch() {
    let asked = asked();
    let operator = asked.key(&[Permission::BatchesRead], Scope::default());
    let (batch, _) = batch_with_errors(asked, &operator);
    let other = asked
        .world
        .clients
        .iter()
        .find(|client| batch["client_id"] != client.to_string().as_str());
    let scope = Scope {
        client_id: other.copied(),
        ..Scope::default()
    };
    let foreign = asked.key(&[Permission::BatchesRead], scope);
    assert_eq!(asked.get(&foreign, &target(&batch)).status, 404);
    let elsewhere = target(&batch).replace(
        batch["file_id"].as_str().unwrap(),
        &asked.world.files.last().unwrap().0.to_string(),
    );
    assert_eq!(asked.get(&operator, &elsewhere).status, 404);
    let unable = asked.key(&[Permission::FilesRead], Scope::default());
    assert_eq!(asked.get(&unable, &target(&batch)).status, 403);
}
