//! A settlement file is judged over HTTP, and nothing of it is kept.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use weir_domain::FileStatus;
use weir_query::Scope;
use weir_runtime::Metrics;
use weir_servicegate::{Options, check};
use weir_settlement::TimeLimit;
use weir_settlement::upload::{PROBLEMS_LISTED_MAX, Progress, Uploader};
use weir_store::File;
use weir_tests::parts::scope;
use weir_tests::text::{self, SELLERS, batch, charge, file, wrong_charge};

use crate::asking::Asked;
use crate::schema::{is_error, places};
use crate::settlements::{XML, changed, post, post_as, program_key};

/// What a validation reports.
fn judged(body: impl Into<axum::body::Body>) -> Value {
    let answered = post("?validate_only=true", &[XML], body);
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.body
}

fn codes(report: &Value) -> Vec<&str> {
    let problems = report["problems"].as_array().unwrap();
    problems
        .iter()
        .map(|problem| problem["code"].as_str().unwrap())
        .collect()
}

/// Uploads a file of the demo's program, or of one of its sellers, and takes it to its end.
pub(crate) fn take(asked: &Asked, key: &str, bytes: impl Into<bytes::Bytes>) -> File {
    let parts = &asked.parts;
    let clock = parts.timeline.clock().clone();
    let uploader = Uploader {
        store: parts.store.clone(),
        clock: clock.clone(),
        metrics: Metrics::discarded(clock.clone()),
    };
    asked.wait(async {
        let object = parts.store.put_upload(key, bytes.into()).await.unwrap();
        let correlation = "test-run".parse().unwrap();
        let id = uploader.register(object, &correlation).await.unwrap().id;
        let limit = TimeLimit::after(Duration::from_mins(5), &clock);
        while uploader.work(id, &limit).await.unwrap() != Progress::Done {}
        parts.store.file(id).await.unwrap().unwrap()
    })
}

/// The sample files of a folder.
pub(crate) fn samples(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/settlements")
        .join(folder);
    let files = fs::read_dir(folder).unwrap();
    let mut samples: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (stem, fs::read(path).unwrap())
        })
        .collect();
    samples.sort();
    samples
}

#[test]
fn a_sound_file_is_said_to_be_and_leaves_nothing_behind() {
    let (bytes, contents) = text::generated("VALID", 5, 2, 9, 0);
    let objects = changed().parts.object_count();
    let files = changed().all(program_key(), "/v1/files").len();
    let report = judged(bytes.clone());
    assert_eq!(report["sound"], true);
    assert_eq!(report["valid"], true, "{report}");
    assert_eq!(report["batch_count"], 2);
    assert_eq!(report["detail_count"], 18);
    assert_eq!(report["totals"]["charges"], contents.charges);
    assert_eq!(report["totals"]["refunds"], contents.refunds);
    assert_eq!(report["totals"]["amounts"][0]["currency"], "USD");
    assert_eq!(
        (&report["problem_count"], &report["problems"]),
        (&json!(0), &json!([]))
    );
    // Neither an object, nor a file, nor a claim on its batch numbers.
    assert_eq!(changed().parts.object_count(), objects);
    assert_eq!(changed().all(program_key(), "/v1/files").len(), files);
    assert_eq!(judged(bytes.clone())["valid"], true);
    let taken = take(changed(), &scope().key("valid.xml"), bytes.clone());
    assert_eq!(taken.status, FileStatus::Processed);
    // What is there now is in the way of another of the same.
    let again = judged(bytes);
    assert_eq!(codes(&again), ["batch.number_taken"; 2]);
    assert_eq!(
        (&again["sound"], &again["valid"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn the_problems_are_those_that_the_reader_finds_with_their_places() {
    let mut seen = 0;
    for (stem, bytes) in samples("broken").into_iter().chain(samples("records")) {
        let report = judged(bytes.clone());
        let open = |offset: u64| Ok(&bytes[usize::try_from(offset).unwrap()..]);
        let expected = check(open, Options::default(), |_| {}).unwrap();
        assert_eq!(report["sound"], expected.sound, "{stem}");
        let problems = report["problems"].as_array().unwrap();
        let is_of_reader = |problem: &&Value| {
            let code = problem["code"].as_str().unwrap();
            !code.starts_with("batch.")
        };
        let told = problems.iter().filter(is_of_reader).count() as u64;
        assert!(
            told >= expected.problem_count + expected.record_problem_count,
            "{stem}: {report:#}"
        );
        for problem in &expected.problems {
            let one = problems
                .iter()
                .find(|one| one["code"] == problem.rule.code() && one["path"] == *problem.path);
            let one = one.unwrap_or_else(|| panic!("{stem}: {problem}"));
            assert_eq!(one["line"], problem.position.line, "{stem}");
            assert_eq!(one["column"], problem.position.column, "{stem}");
            assert!(one["remedy"].is_string(), "{stem}");
            seen += 1;
        }
        for record in &expected.record_problems {
            let one = problems
                .iter()
                .find(|one| one["path"] == *record.problem.path);
            let one = one.unwrap_or_else(|| panic!("{stem}: {record:?}"));
            assert_eq!(one["detail_line"], record.line.get(), "{stem}");
            assert_eq!(one["byte_offset"], record.problem.position.byte, "{stem}");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn what_the_tables_know_is_asked_as_for_an_upload() {
    take(
        changed(),
        &scope().key("first.xml"),
        text::one_batch("TAKEN-1", &[charge("TAKEN-1", "1.00")]),
    );
    let one = |number: &str, seller: &str| batch(number, seller, &[charge(number, "1.00")]);
    let bytes = file(&[
        one("FREE-1", SELLERS[0]),
        one("FREE-1", SELLERS[1]),
        one("TAKEN-1", SELLERS[0]),
        one("TAKEN-1", SELLERS[1]),
        one("NOBODY-1", "NO-SUCH"),
        one("FREE-1", SELLERS[0]),
        batch(
            "WRONG-1",
            SELLERS[0],
            &[charge("W", "1.00"), wrong_charge("W", "1.00")],
        ),
    ]);
    let report = judged(bytes.clone());
    let expected = [
        "batch.number_taken",
        "batch.seller_unknown",
        "batch.number_taken",
        "bcs.format_invalid",
    ];
    assert_eq!(codes(&report), expected, "{report:#}");
    let paths = report["problems"].as_array().unwrap().iter();
    let paths: Vec<_> = paths.map(|one| one["path"].as_str().unwrap()).collect();
    assert_eq!(
        paths[..3],
        ["3", "5", "6"].map(|n| format!("/SettlementFile/Batch[{n}]"))
    );
    // An upload comes to the same.
    let taken = take(changed(), &scope().key("seven.xml"), bytes.clone());
    let batches = changed().all(program_key(), &format!("/v1/files/{}/batches", taken.id));
    let failed = batches.iter().filter(|one| one["error_log"].is_string());
    assert_eq!(failed.count(), 3);
    // A seller's key may send its own batches only.
    let seller = batches
        .iter()
        .find(|one| one["batch_number"] == "WRONG-1")
        .unwrap();
    let seller = seller["seller_id"].as_str().unwrap().parse().unwrap();
    let key = changed().key(
        weir_domain::Permission::ALL,
        Scope {
            seller_id: Some(seller),
            ..crate::settlements::program_scope()
        },
    );
    let other = file(&[one("OTHER-1", SELLERS[1])]);
    let answered = post_as(&key, "?validate_only=true", &[XML], other);
    assert_eq!(codes(&answered.body), ["batch.seller_unknown"]);
}

#[test]
fn a_program_that_there_is_not_is_a_problem() {
    let nobody = Scope {
        client_id: Some(uuid::Uuid::from_u128(1).try_into().unwrap()),
        program_id: Some(uuid::Uuid::from_u128(2).try_into().unwrap()),
        seller_id: None,
    };
    let key = changed().key(weir_domain::Permission::ALL, nobody);
    let bytes = text::one_batch("NO-PROGRAM", &[charge("NO-PROGRAM", "1.00")]);
    let answered = post_as(&key, "?validate_only=true", &[XML], bytes);
    let expected = ["upload.program_unknown", "batch.seller_unknown"];
    assert_eq!(codes(&answered.body), expected);
    assert_eq!(answered.body["sound"], false);
}

#[test]
fn of_many_problems_the_first_are_listed_and_all_are_counted() {
    for count in [
        PROBLEMS_LISTED_MAX - 1,
        PROBLEMS_LISTED_MAX,
        PROBLEMS_LISTED_MAX + 1,
        3_000,
    ] {
        let records = vec![wrong_charge("MANY", "1.00"); count];
        // The batch's own problem is found last and told first.
        let bytes = file(&[batch("MANY", "NO-SUCH", &records)]);
        let report = judged(bytes);
        assert_eq!(report["problem_count"], count + 1);
        let told = codes(&report);
        assert_eq!(told.len(), (count + 1).min(PROBLEMS_LISTED_MAX));
        assert_eq!(told[0], "batch.seller_unknown");
    }
}

#[test]
fn validate_only_is_true_or_false_and_given_once() {
    let bytes = || text::one_batch("FLAG", &[charge("FLAG", "1.00")]);
    for query in [
        "?validate_only=1",
        "?validate_only=",
        "?validate_only",
        "?validate_only=True",
    ] {
        let answered = post(query, &[XML], bytes());
        assert_eq!(places(&answered), ["/query/validate_only"], "{query}");
    }
    let answered = post(
        "?validate_only=true&validate_only=true&x=1",
        &[XML],
        bytes(),
    );
    assert_eq!(places(&answered), ["/query/validate_only", "/query/x"]);
    let kept = post("?validate_only=false", &[XML], bytes());
    assert_eq!(kept.body["status"], "Stored", "{}", kept.text);
    let empty = post("?validate_only=true", &[XML], "");
    is_error(&empty, 400, "invalid_data");
    let large = "x".repeat(weir_api::BODY_BYTES_MAX + 1);
    is_error(
        &post("?validate_only=true", &[XML], large),
        413,
        "payload_too_large",
    );
}
