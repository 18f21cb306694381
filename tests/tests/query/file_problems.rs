//! Everything that is wrong with a file is told over HTTP.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, StatusCode};
use proptest::prelude::*;
use serde_json::Value;
use weir_domain::{FileStatus, Permission};
use weir_query::Scope;
use weir_settlement::upload::{FileProblems, ProblemsError};
use weir_store::File;
use weir_tests::parts::scope;
use weir_tests::text::{self, SELLERS, batch, charge, file, wrong_charge};

use crate::asking::Answered;
use crate::schema::{check, is_error, places};
use crate::settlements::{changed, operation, program_key, program_scope};
use crate::validation::{samples, take};

fn target(file: &File, query: &str) -> String {
    format!("/v1/files/{}/problems{query}", file.id)
}

fn get(file: &File, query: &str) -> Answered {
    get_as(program_key(), &target(file, query))
}

fn get_as(key: &str, target: &str) -> Answered {
    let answered = changed().get(key, target);
    check(
        &operation(&http::Method::GET, "/v1/files/{file_id}/problems"),
        &answered,
    );
    answered
}

/// Every problem, along the links.
fn all(file: &File, query: &str) -> Vec<Value> {
    changed().all(program_key(), &target(file, query))
}

/// A file with problems of every kind: of batches, of records, several of one record.
fn mixed(name: &str) -> File {
    let bad = "<Charge><OrderNumber></OrderNumber><BuyerId>x</BuyerId><TotalAmount>y</TotalAmount></Charge>";
    let batches: Vec<String> = (1..=12)
        .map(|number| {
            let number = format!("{name}-{number}");
            let records = [
                charge("ok", "1.00"),
                wrong_charge("bad", "1.00"),
                bad.to_owned(),
                charge("ok", "2.00"),
            ];
            batch(&number, SELLERS[0], &records)
        })
        .chain([
            batch("B", "NO-SUCH", &[wrong_charge("bad", "1.00")]),
            batch(&format!("{name}-1"), SELLERS[0], &[charge("again", "1.00")]),
            batch(
                &format!("{name}-2"),
                SELLERS[1],
                &[wrong_charge("other", "1.00")],
            ),
        ])
        .collect();
    let taken = take(
        changed(),
        &scope().key(&format!("{name}.xml")),
        file(&batches),
    );
    assert_eq!(taken.status, FileStatus::Processed);
    taken
}

#[test]
fn a_file_that_was_refused_is_told_by_every_problem_of_it() {
    for (stem, bytes) in samples("broken") {
        let key = scope().key(&format!("{stem}-problems.xml"));
        let refused = take(changed(), &key, bytes);
        assert_eq!(refused.status, FileStatus::Error);
        let rows = all(&refused, "?page_size=1");
        let log = refused.error_log.clone().unwrap();
        let of_file = rows
            .iter()
            .filter(|row| row["code"].as_str().unwrap().starts_with("file."));
        assert_eq!(
            of_file.clone().count(),
            log.lines().count(),
            "{stem}: {log}"
        );
        for row in of_file {
            let told = format!(
                "line {}, column {} (byte {}), {}: {}",
                row["line"],
                row["column"],
                row["byte_offset"],
                row["path"].as_str().unwrap(),
                row["message"].as_str().unwrap()
            );
            assert!(log.contains(&told), "{stem}: {told} is not in {log}");
            // Nothing of the file exists.
            assert!(row["batch_id"].is_null() && row["batch_detail_id"].is_null());
        }
    }
}

#[test]
fn the_problems_of_a_file_that_was_taken_name_its_batches_and_details() {
    let taken = mixed("NAMED");
    let rows = all(&taken, "?page_size=1000");
    let errors = changed().all(
        program_key(),
        &format!(
            "/v1/batchdetails?file_id={}&status=Error&page_size=250",
            taken.id
        ),
    );
    let ids: std::collections::BTreeSet<_> = rows
        .iter()
        .filter_map(|row| row["batch_detail_id"].as_str())
        .collect();
    let wanted: std::collections::BTreeSet<_> = errors
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, wanted);
    assert_eq!(wanted.len(), 25);
    let batches: Vec<_> = rows
        .iter()
        .filter(|row| row["detail_line"].is_null())
        .collect();
    let codes: Vec<_> = batches
        .iter()
        .map(|row| row["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["batch.seller_unknown", "batch.number_taken"]);
    for row in batches {
        let id = row["batch_id"].as_str().unwrap();
        let batch = changed().get(program_key(), &format!("/v1/batches/{id}"));
        assert_eq!(row["message"], batch.body["error_log"]);
        assert_eq!(row["batch_number"], batch.body["batch_number"]);
    }
}

#[test]
fn pages_of_any_size_make_up_the_same_list_by_links_and_by_numbers() {
    let taken = mixed("PAGES");
    let whole = all(&taken, "?page_size=1000");
    assert!(whole.len() > 40, "{}", whole.len());
    for size in [1, 2, 3, 7, whole.len() - 1, whole.len(), whole.len() + 1] {
        let query = format!("?page_size={size}");
        assert_eq!(all(&taken, &query), whole, "{size}");
        for number in [1, 2, 5, 1_000] {
            let page = get(&taken, &format!("{query}&page_number={number}"));
            let expected: Vec<_> = whole.iter().skip((number - 1) * size).take(size).collect();
            assert_eq!(
                page.rows().iter().collect::<Vec<_>>(),
                expected,
                "{size}, {number}"
            );
        }
    }
    let last = get(&taken, &format!("?page_size={}", whole.len()));
    assert_eq!(last.next(), None);
}

#[test]
fn a_cursor_of_problems_has_6000_characters_at_most() {
    let file = mixed("CURSOR");
    let next = get(&file, "?page_size=1").next().unwrap();
    let (_, cursor) = next.split_once("cursor=").unwrap();
    let cursor = cursor.split('&').next().unwrap();
    let json = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    let second = get(&file, "?page_size=1&page_number=2").body;
    for (bytes, chars, is_read) in [
        (4_499, 5_999, true),
        (4_500, 6_000, true),
        (4_501, 6_002, false),
    ] {
        // Spaces change nothing of what it says.
        let spaces = vec![b' '; bytes - json.len()];
        let long = URL_SAFE_NO_PAD.encode([&spaces[..], &json].concat());
        assert_eq!(long.len(), chars);
        let answered = get(&file, &format!("?page_size=1&cursor={long}"));
        if is_read {
            assert_eq!(answered.body, second, "{chars}");
        } else {
            is_error(&answered, 400, "invalid_parameter");
            assert_eq!(places(&answered), ["/query/cursor"]);
        }
    }
}

#[test]
fn the_table_has_the_same_rows_and_no_formula() {
    let formula = "<Charge><OrderNumber>1</OrderNumber><BuyerId>=1+1</BuyerId><TotalAmount>1.00</TotalAmount></Charge>";
    let taken = take(
        changed(),
        &scope().key("table.xml"),
        text::one_batch("=TABLE", &[formula.to_owned(), wrong_charge("2", "1.00")]),
    );
    let rows = all(&taken, "");
    let by_accept = Request::get(target(&taken, ""))
        .header("Authorization", program_key())
        .header("Accept", "text/csv")
        .body(axum::body::Body::empty())
        .unwrap();
    let by_accept = changed().ask(by_accept);
    let by_format = changed().get(program_key(), &target(&taken, "?format=csv"));
    for answered in [by_accept, by_format] {
        assert_eq!(answered.status, StatusCode::OK);
        let kind = "text/csv; charset=utf-8; header=present";
        assert_eq!(answered.headers["content-type"], kind);
        let mut table = csv::Reader::from_reader(answered.text.as_bytes());
        let names = table.headers().unwrap().clone();
        for (row, line) in rows.iter().zip(table.records()) {
            let line = line.unwrap();
            for (name, cell) in names.iter().zip(line.iter()) {
                assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
                let cell = weir_settlement::mend::fused(cell);
                let value = match &row[name] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(cell, value, "{name}");
            }
        }
        assert_eq!(answered.text.lines().count(), rows.len() + 1);
    }
}

#[test]
fn a_file_of_another_program_is_not_there_and_a_seller_sees_its_own_batches() {
    let taken = mixed("SCOPE");
    let whole = all(&taken, "?page_size=1000");
    let (_, program, client) = changed().world.sellers[0];
    let elsewhere = Scope {
        client_id: Some(client),
        program_id: Some(program),
        seller_id: None,
    };
    let key = changed().key(Permission::ALL, elsewhere);
    is_error(
        &get_as(&key, &target(&taken, "")),
        404,
        "resource_not_found",
    );
    let batches = changed().all(program_key(), &format!("/v1/files/{}/batches", taken.id));
    let of = |number: &str| {
        batches
            .iter()
            .find(|one| one["batch_number"] == number)
            .unwrap()
    };
    let other = of("SCOPE-2");
    let second = batches
        .iter()
        .find(|one| {
            one["batch_number"] == "SCOPE-2" && one["seller_id"] != of("SCOPE-1")["seller_id"]
        })
        .unwrap_or(other);
    let seller = second["seller_id"].as_str().unwrap().parse().unwrap();
    let key = changed().key(
        Permission::ALL,
        Scope {
            seller_id: Some(seller),
            ..program_scope()
        },
    );
    let seen = changed().all(&key, &target(&taken, "?page_size=1"));
    let own: Vec<_> = whole
        .iter()
        .filter(|row| row["batch_id"] == second["id"])
        .cloned()
        .collect();
    assert_eq!(seen, own);
    assert_eq!(own.len(), 1);
    // A cursor of somebody who sees more leads nowhere.
    let next = get(&taken, "?page_size=1").next().unwrap();
    assert_eq!(places(&get_as(&key, &next)), ["/query/cursor"]);
}

#[test]
fn an_object_that_was_replaced_or_is_another_files_is_told() {
    let taken = mixed("REPLACED");
    let next = get(&taken, "?page_size=1").next().unwrap();
    let other = mixed("OTHER");
    let (_, cursor) = next.split_once('?').unwrap();
    let answered = get(&other, &format!("?{cursor}"));
    assert_eq!(places(&answered), ["/query/cursor"]);
    let key = scope().key("REPLACED.xml");
    let put = changed().parts.store.put_upload(&key, "<other/>".into());
    changed().wait(put).unwrap();
    is_error(&get(&taken, ""), 409, "conflict");
    is_error(&changed().get(program_key(), &next), 409, "conflict");
}

#[test]
fn a_page_ends_early_where_much_had_to_be_read_and_the_next_goes_on() {
    let taken = mixed("BOUNDED");
    let whole = all(&taken, "?page_size=1000").len();
    let within = |bytes_max| FileProblems {
        store: &changed().parts.store,
        file: &taken,
        only: None,
        bytes_max,
    };
    changed().wait(async {
        let mut problems = within(1);
        let mut page = problems.page(0, 1_000).await.unwrap();
        let (mut found, mut pages) = (page.rows.len(), 1);
        while let Some(next) = page.next {
            page = problems.page_at(&next, 1_000).await.unwrap();
            found += page.rows.len();
            pages += 1;
        }
        assert_eq!(found, whole);
        assert!(pages > 10, "{pages}");
        assert_eq!(problems.page(30, 1).await, Err(ProblemsError::TooFar));
        problems = within(u64::MAX);
        assert_eq!(
            problems.page(30, 1_000).await.unwrap().rows.len(),
            whole - 30
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_cursor_is_answered(flip in 0..2_000_usize, to in any::<u8>(), text in "\\PC{0,40}") {
        static FILE: std::sync::OnceLock<(File, String)> = std::sync::OnceLock::new();
        let (taken, next) = FILE.get_or_init(|| {
            let taken = mixed("CURSOR");
            let next = get(&taken, "?page_size=3").next().unwrap();
            (taken, next)
        });
        let (_, cursor) = next.split_once("cursor=").unwrap();
        // One character of a good one changed: it is refused, or leads elsewhere in the same file.
        let mut changed_cursor = cursor.as_bytes().to_vec();
        let place = flip % changed_cursor.len();
        changed_cursor[place] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[usize::from(to % 64)];
        let changed_cursor = String::from_utf8(changed_cursor).unwrap();
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for cursor in [changed_cursor, encoded] {
            let answered = get(taken, &format!("?cursor={cursor}&page_size=3"));
            let status = answered.status.as_u16();
            prop_assert!(status == 200 || status == 400, "{status}: {}", answered.text);
        }
    }
}
