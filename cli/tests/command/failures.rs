use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

use crate::server::{Answer, FILE, KEY, Script, Server, batch, file};
use crate::weir::{command, command_at, golden, run, weir};

fn refusing(answer: Answer) -> Server {
    Server::start(Script {
        submit: [answer.clone()].into(),
        file: [answer].into(),
        ..Script::default()
    })
}

fn with(status: u16, header: &'static str, value: &'static str, body: &str) -> Answer {
    Answer::With(status, header, value, body.to_owned())
}

/// What is shown when `submit` and `status` get the answer. Both end in 3.
fn shown(answer: &Answer) -> String {
    let golden = golden();
    let commands = [
        vec!["submit", golden.to_str().unwrap()],
        vec!["status", FILE],
    ];
    let shown = commands.map(|arguments| {
        let server = refusing(answer.clone());
        let ran = weir(&server, &arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{ran:?}");
        assert!(!ran.stderr.contains(KEY), "{ran:?}");
        format!(
            "weir {}\n{}",
            arguments[0],
            ran.stderr.replace(&server.url, "http://api")
        )
    });
    shown.join("\n")
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::Json(
        status,
        json!([{"code": code, "message": message, "validationErrors": []}]),
    )
}

#[test]
fn a_refused_key_is_told_with_the_setting_it_comes_from() {
    insta::assert_snapshot!(shown(&refusal(
        401,
        "unauthenticated",
        "The API key is not known."
    )));
}

#[test]
fn a_missing_permission_is_named() {
    insta::assert_snapshot!(shown(&refusal(
        403,
        "unauthorized",
        "The key may not do this."
    )));
}

#[test]
fn what_is_not_found_may_be_an_id_or_an_address() {
    insta::assert_snapshot!(shown(&refusal(
        404,
        "resource_not_found",
        "There is no such file."
    )));
}

#[test]
fn a_file_too_large_for_the_api_is_told_with_the_other_way_in() {
    insta::assert_snapshot!(shown(&refusal(
        413,
        "payload_too_large",
        "At most 4 MB are taken."
    )));
}

#[test]
fn every_part_that_was_found_wrong_is_listed() {
    insta::assert_snapshot!(shown(&Answer::Json(
        400,
        json!([{
            "code": "invalid_data",
            "message": "The file is not\u{1b}[31m acceptable.",
            "validationErrors": [
                {"dataPath": "/headers/x-file-name", "message": "must not hold a slash"},
                {"dataPath": null, "message": "must not be empty"},
            ],
        }])
    )));
}

#[test]
fn a_service_that_is_busy_says_when_to_come_again() {
    insta::assert_snapshot!(shown(&with(503, "retry-after", "7", "[]")));
}

#[test]
fn an_error_of_the_service_asks_to_keep_the_correlation_id() {
    insta::assert_snapshot!(shown(&refusal(
        500,
        "internal_error",
        "Something went wrong."
    )));
}

#[test]
fn a_redirect_is_not_followed() {
    insta::assert_snapshot!(shown(&with(308, "location", "http://127.0.0.1:1/", "")));
}

#[test]
fn the_message_of_a_gateway_in_front_is_shown() {
    insta::assert_snapshot!(shown(&Answer::Json(403, json!({"message": "Forbidden"}))));
}

#[test]
fn a_page_of_something_else_is_shown_in_part() {
    let page = format!("<html>\n<h1>It works!</h1>{}", "é".repeat(5000));
    insta::assert_snapshot!(shown(&with(502, "x-is", "page", &page)));
}

#[test]
fn an_answer_that_is_not_the_resource_is_told() {
    insta::assert_snapshot!(shown(&with(200, "x-is", "page", "<html>")));
    insta::assert_snapshot!(shown(&Answer::ok(json!({"id": FILE, "status": "Molten"}))));
}

#[test]
fn a_server_that_is_not_there_is_told_with_how_to_start_one() {
    // The address was free a moment ago, and nobody else is told of it.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ran = run(command_at(&format!("http://{address}"), &["status", FILE]));
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("is the server running"), "{ran:?}");
    assert!(ran.stderr.contains("make run"), "{ran:?}");
    assert!(ran.stderr.contains("correlation id: "), "{ran:?}");
}

#[test]
fn an_answer_that_breaks_off_is_told_to_be_perhaps_received() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"id\":"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut received = vec![0; 65536];
            let mut length = 0;
            while !received[..length].ends_with(b"</SettlementFile>\n") {
                length += connection.read(&mut received[length..]).unwrap();
            }
            connection.write_all(answer.as_bytes()).unwrap();
        });
        let ran = run(command_at(&url, &["submit", golden().to_str().unwrap()]));
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
        assert!(ran.stderr.contains("the connection was cut"), "{ran:?}");
        assert!(ran.stderr.contains("may have been received"), "{ran:?}");
        assert!(ran.stderr.contains("nothing settles twice"), "{ran:?}");
    }
}

#[test]
fn a_service_that_is_away_for_a_moment_is_waited_for() {
    let server = Server::start(Script {
        file: [
            Answer::ok(file("Processing")),
            refusal(503, "unavailable", "soon"),
            refusal(500, "internal_error", "oh"),
            Answer::ok(file("Processed")),
        ]
        .into(),
        batches: [
            refusal(429, "too_many_requests", "slower"),
            Answer::ok(vec![batch(1, "Processed", (1, 0, 0, 0))].into()),
        ]
        .into(),
        ..Script::default()
    });
    let ran = weir(&server, &["status", FILE, "--watch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stderr.matches("; asking again").count(), 2, "{ran:?}");
}

#[test]
fn a_key_that_is_withdrawn_ends_the_watch_at_once() {
    let server = Server::start(Script {
        file: [
            Answer::ok(file("Processing")),
            refusal(401, "unauthenticated", "The API key is not known."),
        ]
        .into(),
        ..Script::default()
    });
    let ran = weir(&server, &["status", FILE, "--watch"]);
    assert_eq!((ran.code, server.seen().len()), (3, 2), "{ran:?}");
    assert!(ran.stdout.contains("Processing"), "{ran:?}");
    assert!(
        ran.stderr.contains(&format!("weir status {FILE} --watch")),
        "{ran:?}"
    );
}

#[test]
fn a_missing_setting_is_told_with_its_variable_and_its_flag() {
    for arguments in [vec!["status", FILE], vec!["submit", "any.xml"]] {
        let ran = run(command(&arguments));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        let expected = "error: no address of the API is given\nhelp: set WEIR_API or give --api\n";
        assert_eq!(ran.stderr, expected);
        let mut command = command(&arguments);
        command
            .env("WEIR_API", "http://127.0.0.1:1")
            .env("WEIR_API_KEY", " ");
        let ran = run(command);
        assert_eq!(ran.code, 2);
        let expected = "error: no API key is given\nhelp: set WEIR_API_KEY or give --api-key\n";
        assert_eq!(ran.stderr, expected);
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_told_without_its_value() {
    for (api, key) in [
        ("127.0.0.1:1/s3cret", "k"),
        ("ftp://s3cret.example.com", "k"),
        ("http://me:s3cret@127.0.0.1:1", "k"),
        ("http://127.0.0.1:1/?s3cret", "k"),
        ("http://s3cret.example.com", "k"),
        ("http://127.0.0.1:1", "s3\u{7}cret"),
        ("http://127.0.0.1:1", "Bearer s3cret"),
    ] {
        let mut command = command(&["status", FILE]);
        command.env("WEIR_API", api).env("WEIR_API_KEY", key);
        let ran = run(command);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{api} {key}");
        assert!(!ran.stderr.contains("cret"), "{ran:?}");
        assert!(ran.stderr.contains("--api"), "{ran:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_in_2_and_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    for path in [folder, &format!("{folder}/none.xml"), ".."] {
        let server = refusing(Answer::ok(file("Stored")));
        let ran = weir(&server, &["submit", path]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(server.seen().is_empty());
        let ran = run(command(&["validate", path]));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.starts_with("error: cannot read"), "{ran:?}");
    }
    let server = refusing(Answer::ok(file("Stored")));
    let ran = weir(
        &server,
        &["submit", golden().to_str().unwrap(), "--name", ""],
    );
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--name"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_ends_in_2_and_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.xml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [pipe.to_str().unwrap(), "/dev/null"] {
        for name in ["submit", "validate"] {
            let server = refusing(Answer::ok(file("Stored")));
            let ran = run(command_at(&server.url, &[name, path]));
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
            let expected = format!("error: cannot read {path}: it is not a regular file\n");
            assert!(ran.stderr.starts_with(&expected), "{ran:?}");
            assert!(server.seen().is_empty());
        }
    }
}
