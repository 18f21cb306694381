use std::process::Stdio;

use crate::server::{Answer, FILE, Script, Server, batch, file};
use crate::weir::{command_at, run, weir};

fn standing(status: &str, batches: Vec<serde_json::Value>) -> Script {
    Script {
        file: [Answer::ok(file(status))].into(),
        batches: [Answer::ok(batches.into())].into(),
        ..Script::default()
    }
}

#[test]
fn what_is_under_way_and_without_errors_ends_well() {
    let server = Server::start(standing(
        "Processed",
        vec![batch(1, "Unprocessed", (9, 4, 0, 1))],
    ));
    let ran = weir(&server, &["status", FILE]);
    insta::assert_snapshot!(ran.shown(&server));
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_stored_file_has_no_batches_to_ask_for() {
    let server = Server::start(standing("Stored", vec![]));
    let ran = weir(&server, &["status", FILE]);
    assert_eq!((ran.code, server.seen().len()), (0, 1));
}

#[test]
fn an_error_ends_in_1_even_while_the_rest_is_under_way() {
    let mut script = standing("Processed", vec![batch(1, "Unprocessed", (9, 4, 1, 0))]);
    script.details = [Answer::ok(serde_json::json!([]))].into();
    assert_eq!(weir(&Server::start(script), &["status", FILE]).code, 1);
    let server = Server::start(standing("Error", vec![]));
    assert_eq!(weir(&server, &["status", FILE]).code, 1);
    let server = Server::start(standing("Processed", vec![batch(1, "Error", (0, 0, 0, 0))]));
    assert_eq!(weir(&server, &["status", FILE]).code, 1);
}

#[test]
fn watch_goes_on_until_nothing_is_open() {
    let mut script = standing("Processed", vec![]);
    script.batches = [
        batch(1, "Unprocessed", (9, 4, 0, 0)),
        batch(1, "Processed", (9, 0, 0, 0)),
    ]
    .map(|batch| Answer::ok(vec![batch].into()))
    .into();
    let server = Server::start(script);
    let ran = weir(&server, &["status", FILE, "--watch", "--json"]);
    assert_eq!((ran.code, &ran.json()["done"]), (0, &true.into()));
    assert_eq!(ran.json()["batches"][0]["batch_detail_processed_count"], 9);
}

#[test]
fn a_processed_file_without_a_batch_to_be_seen_is_no_success() {
    for arguments in [
        &["status", FILE, "--watch"][..],
        &["status", FILE],
        &["status", FILE, "--json"],
    ] {
        let server = Server::start(standing("Processed", vec![]));
        let ran = weir(&server, arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        let expected =
            "error: the file is processed, but no batch of it can be seen with this key\n";
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
    // While it is worked on there may be none yet.
    let server = Server::start(standing("Processing", vec![]));
    assert_eq!(weir(&server, &["status", FILE]).code, 0);
}

#[test]
fn flags_win_over_variables() {
    let server = Server::start(standing("Stored", vec![]));
    let mut command = command_at("http://127.0.0.1:1", &["status", FILE]);
    command.args(["--api", &server.url, "--api-key", "another"]);
    assert_eq!(run(command).code, 0);
    assert_eq!(server.seen()[0].header("authorization"), "another");
}

#[test]
fn a_reader_that_has_read_enough_changes_nothing_about_the_verdict() {
    let server = Server::start(standing("Error", vec![]));
    let mut command = command_at(&server.url, &["status", FILE]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran: crate::weir::Run = child.wait_with_output().unwrap().into();
    assert_eq!(
        (ran.code, ran.stderr.contains("error")),
        (1, false),
        "{ran:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_ends_in_2() {
    let server = Server::start(standing("Stored", vec![]));
    let mut command = command_at(&server.url, &["status", FILE]);
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
}
