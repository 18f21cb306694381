use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Answer, FILE, KEY, Script, Server, batch, batch_id, detail, file};
use crate::weir::{command_at, file_of, golden, interrupt, run, start, weir};

fn golden_text() -> String {
    golden().to_str().unwrap().to_owned()
}

/// A server that takes a file, whose batches are then read as `readings` say.
fn settling(readings: Vec<Vec<Value>>) -> Script {
    Script {
        submit: [Answer::ok(file("Stored"))].into(),
        file: ["Processing", "Processing", "Processed"]
            .map(|status| Answer::ok(file(status)))
            .into(),
        batches: readings
            .into_iter()
            .map(|batches| Answer::ok(batches.into()))
            .collect(),
        ..Script::default()
    }
}

#[test]
fn a_file_is_sent_as_it_is_with_its_name_the_key_and_a_correlation_id() {
    let server = Server::start(settling(vec![]));
    let ran = run(command_at(&server.url, &["submit", &golden_text()]));
    assert_eq!(ran.code, 0, "{ran:?}");
    let seen = server.seen();
    let [request] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert_eq!(request.method, "POST");
    assert_eq!(request.uri, "/v1/settlements");
    assert_eq!(request.body, std::fs::read(golden()).unwrap());
    assert_eq!(request.header("authorization"), KEY);
    assert_eq!(request.header("content-type"), "application/xml");
    assert_eq!(request.header("x-file-name"), "golden.xml");
    assert_eq!(
        request.header("content-length"),
        request.body.len().to_string()
    );
    let correlation: uuid::Uuid = request.header("x-correlation-id").parse().unwrap();
    assert_eq!(correlation.get_version_num(), 7);
}

#[test]
fn the_name_can_be_chosen_and_travels_percent_encoded() {
    let server = Server::start(settling(vec![]));
    let ran = weir(
        &server,
        &["submit", &golden_text(), "--name", "Größe 1.xml"],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let request = &server.seen()[0];
    assert_eq!(request.header("x-file-name"), "Gr%C3%B6%C3%9Fe%201.xml");
    assert_eq!(request.header("x-correlation-id"), "c-1");
}

#[test]
fn the_same_upload_has_the_same_idempotency_key_and_another_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key_of = |path: &str| {
        let server = Server::start(settling(vec![]));
        assert_eq!(weir(&server, &["submit", path]).code, 0);
        server.seen()[0].header("idempotency-key").to_owned()
    };
    let one = key_of(&write("a.xml", "<A/>"));
    assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(one, key_of(&write("a.xml", "<A/>")));
    assert_ne!(one, key_of(&write("a.xml", "<B/>")));
    assert_ne!(one, key_of(&write("b.xml", "<A/>")));
}

#[test]
fn a_base_address_may_have_a_path_and_a_slash_at_its_end() {
    let server = Server::start(settling(vec![]));
    run(command_at(
        &format!("{}/stage/", server.url),
        &["submit", &golden_text()],
    ));
    assert_eq!(server.paths(), ["POST /stage/v1/settlements"]);
}

#[test]
fn without_wait_it_says_under_which_id_the_file_is_stored_and_how_to_follow_it() {
    let server = Server::start(settling(vec![]));
    let ran = weir(&server, &["submit", &golden_text()]);
    insta::assert_snapshot!(ran.shown(&server));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn with_wait_a_settled_file_ends_well_with_a_summary() {
    let server = Server::start(settling(vec![
        vec![
            batch(1, "Unprocessed", (1200, 1200, 0, 0)),
            batch(2, "Unprocessed", (1, 1, 0, 0)),
        ],
        vec![
            batch(1, "Unprocessed", (1200, 700, 0, 3)),
            batch(2, "Processed", (1, 0, 0, 0)),
        ],
        vec![
            batch(1, "Processed", (1200, 0, 0, 3)),
            batch(2, "Processed", (1, 0, 0, 0)),
        ],
    ]));
    let ran = weir(&server, &["submit", &golden_text(), "--wait"]);
    insta::assert_snapshot!(ran.shown(&server));
}

#[test]
fn with_wait_details_in_error_end_in_1_and_the_first_of_them_are_shown() {
    let mut script = settling(vec![vec![
        batch(1, "Error", (312, 0, 7, 0)),
        json!({
            "id": batch_id(2), "batch_number": "20261121-02", "status": "Error",
            "seller_name": "株式会社\u{1b}[2J", "error_log": "bcs.seller_unknown: no seller NW-1",
            "batch_detail_count": null,
        }),
    ]]);
    let log = "`TotalAmount` is 10.00,\nbut the lines come to 11.00";
    let details: Vec<_> = (1..=7)
        .map(|number| detail(number, "Error", "bcs.total_mismatch", log))
        .collect();
    script.details = [Answer::ok(details.into())].into();
    let server = Server::start(script);
    let ran = weir(&server, &["submit", &golden_text(), "--wait"]);
    insta::assert_snapshot!(ran.shown(&server));
    let path = format!("GET /v1/files/{FILE}/batches/{}/batchdetails", batch_id(1));
    let asked = server
        .paths()
        .into_iter()
        .filter(|asked| asked.contains("batchdetails"));
    let query = "?page_size=5&page_number=1&status=Error";
    assert_eq!(asked.collect::<Vec<_>>(), [format!("{path}{query}")]);
}

#[test]
fn the_verdict_stands_when_the_details_in_error_cannot_be_read() {
    let mut script = settling(vec![vec![batch(1, "Error", (3, 0, 1, 0))]]);
    let refusal = json!([{"code": "invalid_parameter", "message": "no such parameter: status"}]);
    script.details = [Answer::Json(400, refusal)].into();
    let server = Server::start(script);
    let ran = weir(&server, &["submit", &golden_text(), "--wait"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("1 detail in error"), "{ran:?}");
    assert!(ran.stderr.contains("no such parameter: status"), "{ran:?}");
}

#[test]
fn a_file_that_is_not_sound_ends_in_1_with_its_error_log() {
    let mut script = settling(vec![]);
    let mut refused = file("Error");
    refused["error_log"] = "line 43, column 51 (byte 2000): the file was cut off".into();
    script.file = [Answer::ok(file("Processing")), Answer::ok(refused)].into();
    let server = Server::start(script);
    let ran = weir(&server, &["submit", &golden_text(), "--wait"]);
    insta::assert_snapshot!(ran.shown(&server));
    assert!(!server.paths().iter().any(|path| path.contains("batches")));
}

#[test]
fn json_is_one_document_without_progress() {
    let mut script = settling(vec![vec![
        batch(1, "Error", (3, 0, 1, 0)),
        batch(2, "Processed", (2, 0, 0, 1)),
    ]]);
    script.details = [Answer::ok(vec![detail(7, "Error", "bcs.x", "why")].into())].into();
    let server = Server::start(script);
    let ran = weir(&server, &["submit", &golden_text(), "--wait", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    insta::assert_json_snapshot!(ran.json());
}

#[test]
fn json_without_wait_has_the_file_alone() {
    let server = Server::start(settling(vec![]));
    let ran = weir(&server, &["submit", &golden_text(), "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let document = ran.json();
    assert_eq!(document["file"]["id"], FILE);
    assert_eq!(
        (&document["done"], &document["in_error"]),
        (&false.into(), &false.into())
    );
    assert!(document.get("batches").is_none());
}

#[test]
fn every_page_of_the_batches_is_read() {
    for (count, pages) in [(249, 1), (250, 2), (251, 2), (500, 3)] {
        let batches: Vec<_> = (1..=count)
            .map(|n| batch(n, "Processed", (1, 0, 0, 0)))
            .collect();
        let server = Server::start(settling(vec![batches]));
        let ran = weir(&server, &["submit", &golden_text(), "--wait", "--json"]);
        assert_eq!(ran.json()["totals"]["batches"], count);
        // A reading counts once a second one agrees.
        let asked = server
            .paths()
            .into_iter()
            .filter(|path| path.contains("/batches?"));
        assert_eq!(asked.count(), pages * 2, "{count}");
    }
}

#[test]
fn a_table_of_many_batches_is_cut_with_those_in_error_first() {
    let mut batches: Vec<_> = (1..=51)
        .map(|n| batch(n, "Processed", (1, 0, 0, 0)))
        .collect();
    batches.push(batch(99, "Error", (2, 0, 1, 0)));
    let mut script = settling(vec![batches]);
    script.details = [Answer::ok(vec![detail(7, "Error", "bcs.x", "why")].into())].into();
    let server = Server::start(script);
    let ran = weir(&server, &["submit", &golden_text(), "--wait"]);
    let rows: Vec<_> = ran
        .stdout
        .lines()
        .filter(|line| line.contains("Northwind"))
        .collect();
    assert_eq!(rows.len(), 50);
    assert!(rows[0].starts_with("20261121-99"), "{}", rows[0]);
    assert!(ran.stdout.contains("… 2 more batches"), "{}", ran.stdout);
    let total: Vec<_> = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with("Total"))
        .collect();
    assert_eq!(
        total[0].split_whitespace().collect::<Vec<_>>(),
        ["Total", "53", "0", "52", "1", "0"]
    );
}

#[test]
fn a_file_of_at_most_4_mib_goes_in_one_request() {
    const MOST: usize = 4 * 1024 * 1024;
    for size in [MOST - 1, MOST] {
        let server = Server::start(settling(vec![]));
        let (_folder, path) = file_of(size);
        assert_eq!(weir(&server, &["submit", &path]).code, 0);
        assert_eq!(server.paths(), ["POST /v1/settlements"]);
        assert_eq!(server.seen()[0].body.len(), size);
    }
}

#[test]
fn a_file_of_more_than_5_gib_is_refused_before_anything_is_sent() {
    const MOST: u64 = 5 * 1024 * 1024 * 1024;
    let server = Server::start(settling(vec![]));
    let (_folder, path) = file_of(0);
    // A hole: it takes no room.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(MOST + 1).unwrap();
    let ran = weir(&server, &["submit", &path]);
    insta::assert_snapshot!(ran.shown(&server));
    assert!(server.seen().is_empty());
}

#[test]
fn a_time_that_runs_out_ends_in_4_with_what_was_seen_so_far() {
    let server = Server::start(settling(vec![vec![batch(1, "Unprocessed", (9, 4, 0, 0))]]));
    let ran = weir(
        &server,
        &["submit", &golden_text(), "--wait", "--timeout", "2"],
    );
    insta::assert_snapshot!(ran.shown(&server));
    let server = Server::start(settling(vec![vec![batch(1, "Unprocessed", (9, 4, 0, 0))]]));
    let ran = weir(
        &server,
        &[
            "submit",
            &golden_text(),
            "--wait",
            "--timeout",
            "2",
            "--json",
        ],
    );
    assert_eq!(ran.code, 4);
    assert_eq!(ran.json()["done"], false);
    assert_eq!(ran.json()["totals"]["unprocessed"], 4);
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        // The test has no clock to own here: the other process runs by its own.
        #[allow(clippy::disallowed_methods, reason = "waits for another process")]
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

#[test]
fn ctrl_c_while_waiting_ends_in_130_and_says_how_to_go_on() {
    let server = Server::start(settling(vec![vec![batch(1, "Unprocessed", (9, 4, 0, 0))]]));
    let child = start(&server, &["submit", &golden_text(), "--wait"]);
    until("batches are read", || {
        server.paths().iter().any(|path| path.contains("/batches?"))
    });
    interrupt(&child);
    let ran: crate::weir::Run = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains("error: interrupted\n"), "{ran:?}");
    assert!(
        ran.stderr.contains(&format!("weir status {FILE} --watch")),
        "{ran:?}"
    );
}

#[test]
fn ctrl_c_during_the_upload_ends_in_130_and_says_that_it_may_have_arrived() {
    let script = Script {
        submit: [Answer::Never].into(),
        ..Script::default()
    };
    let server = Server::start(script);
    let child = start(&server, &["submit", &golden_text()]);
    until("the upload arrives", || !server.seen().is_empty());
    interrupt(&child);
    let ran: crate::weir::Run = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains("may have been received"), "{ran:?}");
}
