//! Answers that stay away or put off, on a clock that the test moves.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use weir_cli::{Outside, run};
use weir_runtime::{
    Clock, Http, HttpError, HttpRequest, HttpResponse, ManualClock, Random, Reader, Transport,
};

use crate::server::{batch, batch_id};

/// What comes of a request.
#[derive(Debug, Clone)]
enum Reply {
    /// A status, seconds of `Retry-After`, a body.
    Says(u16, Option<&'static str>, Value),
    /// The connection is cut, whatever was done.
    Cut,
}

/// A request as it came.
#[derive(Debug, Clone)]
struct Seen {
    at: Duration,
    what: String,
    key: Option<String>,
    body: String,
}

/// Answers in turn, the last answer for ever.
struct Scripted {
    clock: Clock,
    replies: Mutex<VecDeque<Reply>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Transport for Scripted {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        let path = request.url.path().rsplit_once('/').unwrap().1;
        let key = request.headers.get("idempotency-key");
        self.seen.lock().unwrap().push(Seen {
            at: self.clock.monotonic(),
            what: format!("{} {path}", request.method),
            key: key.map(|key| key.to_str().unwrap().to_owned()),
            body: String::from_utf8(request.body.to_vec()).unwrap(),
        });
        let mut replies = self.replies.lock().unwrap();
        let reply = replies.front().cloned().unwrap();
        if replies.len() > 1 {
            replies.pop_front();
        }
        let answer = match reply {
            Reply::Cut => Err(HttpError::Cut {
                status: None,
                reason: "gone".to_owned(),
            }),
            Reply::Says(status, retry_after, body) => {
                let mut headers = HeaderMap::new();
                if let Some(seconds) = retry_after {
                    headers.insert("retry-after", HeaderValue::from_static(seconds));
                }
                Ok(HttpResponse {
                    status: StatusCode::from_u16(status).unwrap(),
                    headers,
                    body: body.to_string().into(),
                })
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

struct Ran {
    code: u8,
    stdout: String,
    stderr: String,
    seen: Vec<Seen>,
    ended_at: Duration,
}

impl Ran {
    /// The requests that have a key.
    fn changes(&self) -> Vec<&Seen> {
        self.seen.iter().filter(|seen| seen.key.is_some()).collect()
    }
}

/// Runs the command; somebody interrupts it after so long, if ever.
async fn ran(arguments: &[&str], replies: Vec<Reply>, interrupt: Option<Duration>) -> Ran {
    let (clock, hand) = Clock::manual(DateTime::UNIX_EPOCH);
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let scripted = Arc::new(Scripted {
        clock: clock.clone(),
        replies: Mutex::new(replies.into()),
        seen: Arc::clone(&seen),
    });
    let connect = || Ok(Http::with_transport(scripted.clone()));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let waiting = clock.clone();
    let outside = Outside {
        clock: clock.clone(),
        random: Random::seeded(7),
        connect: &connect,
        settings: &|| Reader::new([]),
        answers: None,
        stdout: &mut stdout,
        stderr: &mut stderr,
        stdout_colours: false,
        stderr_colours: false,
        stderr_is_terminal: false,
        whole_bytes_max: weir_cli::WHOLE_BYTES_MAX,
        interrupt: Box::pin(async move {
            match interrupt {
                Some(after) => waiting.sleep(after).await,
                None => std::future::pending().await,
            }
        }),
    };
    let own = ["--api", "http://127.0.0.1:1", "--api-key", "k"];
    let arguments = ["weir"].iter().chain(arguments).chain(&own);
    let code = tokio::select! {
        biased;
        code = run(arguments.map(OsString::from), outside) => code,
        () = let_pass(&hand) => unreachable!("time does not end"),
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let seen = seen.lock().unwrap().clone();
    Ran {
        code,
        stdout: text(stdout),
        stderr: text(stderr),
        seen,
        ended_at: clock.monotonic(),
    }
}

async fn let_pass(hand: &ManualClock) {
    loop {
        tokio::task::yield_now().await;
        hand.advance_to_next();
    }
}

fn standing(status: &str, counts: (u32, u32, u32, u32)) -> Reply {
    Reply::Says(200, None, batch(1, status, counts))
}

/// The same while a cancel of all of it goes on.
fn cancelling(counts: (u32, u32, u32, u32)) -> Reply {
    let mut batch = batch(1, "Unprocessed", counts);
    batch["task"] = "Cancel".into();
    Reply::Says(200, None, batch)
}

fn refused(status: u16, retry_after: Option<&'static str>, code: &str) -> Reply {
    let body = json!([{"code": code, "message": "Something goes on."}]);
    Reply::Says(status, retry_after, body)
}

fn busy(seconds: &'static str) -> Reply {
    refused(409, Some(seconds), "conflict")
}

#[tokio::test]
async fn a_change_whose_answer_stays_away_is_asked_for_again_under_its_key() {
    let id = batch_id(1);
    let replies = vec![
        standing("Error", (9, 0, 2, 0)),
        Reply::Cut,
        refused(503, Some("1"), "unavailable"),
        busy("5"),
        standing("Processed", (9, 0, 0, 2)),
    ];
    let ran = ran(&["cancel", &id, "--yes"], replies, None).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let changes = ran.changes();
    assert_eq!(changes.len(), 4);
    for change in &changes {
        assert_eq!(change.what, "POST cancel");
        assert_eq!((&change.key, change.body.as_str()), (&changes[0].key, "{}"));
    }
    let at: Vec<_> = changes.iter().map(|change| change.at.as_millis()).collect();
    assert_eq!(at, [0, 200, 1_200, 6_200]);
}

#[tokio::test]
async fn every_command_says_what_it_means() {
    let id = batch_id(1);
    for (arguments, what, body) in [
        (&["cancel"][..], "POST cancel", "{}"),
        (&["retry"], "POST retry", "{}"),
        (
            &["retry", "--cancelled"],
            "POST retry",
            r#"{"status":"Cancelled"}"#,
        ),
    ] {
        let before = standing("Error", (9, 0, 2, 3));
        let replies = vec![before, standing("Processed", (9, 0, 0, 0))];
        let ran = ran(&[arguments, &[&id, "--yes"]].concat(), replies, None).await;
        let [change] = ran.changes()[..] else {
            panic!("{:?}", ran.seen);
        };
        assert_eq!((change.what.as_str(), change.body.as_str()), (what, body));
    }
}

#[tokio::test]
async fn what_stays_busy_is_given_up_after_two_minutes_with_the_remedy() {
    let id = batch_id(1);
    let replies = vec![standing("Error", (9, 0, 2, 0)), busy("5")];
    let ran = ran(&["retry", &id, "--yes"], replies, None).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.ended_at > Duration::from_secs(110) && ran.ended_at <= Duration::from_mins(2));
    assert!(
        ran.stderr.contains("conflict: Something goes on."),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .contains("something else is being done to the batch"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn what_is_refused_is_not_asked_for_again() {
    let id = batch_id(1);
    for (status, code) in [
        (400, "invalid_parameter"),
        (403, "unauthorized"),
        (409, "conflict"),
    ] {
        let replies = vec![standing("Error", (9, 0, 2, 0)), refused(status, None, code)];
        let ran = ran(&["retry", &id, "--yes"], replies, None).await;
        assert_eq!((ran.code, ran.seen.len()), (3, 2), "{}", ran.stderr);
        let names_permission = ran
            .stderr
            .contains("the key needs the permission batches:write");
        assert_eq!(names_permission, status == 403, "{}", ran.stderr);
    }
}

#[tokio::test]
async fn what_goes_on_after_the_answer_is_watched_until_it_is_done() {
    let id = batch_id(1);
    let replies = vec![
        standing("Unprocessed", (900, 800, 0, 0)),
        cancelling((900, 500, 0, 300)),
        cancelling((900, 200, 0, 600)),
        cancelling((900, 0, 1, 799)),
        // Nothing goes on any more: one is left that may have been taken.
        standing("Error", (900, 0, 1, 799)),
    ];
    let ran = ran(&["cancel", &id, "--yes"], replies, None).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let steps = "cancelling: 500 of 800 left\ncancelling: 200 of 800 left\n";
    assert!(ran.stderr.contains(steps), "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("A call of 1 detail in error may have been taken"),
        "{}",
        ran.stdout
    );
    // It asks how the batch stands, and for nothing else.
    assert_eq!((ran.changes().len(), ran.seen.len()), (1, 5));
}

#[tokio::test]
async fn whoever_stops_watching_is_told_that_it_goes_on() {
    let id = batch_id(1);
    let replies = vec![
        standing("Unprocessed", (900, 800, 0, 0)),
        cancelling((900, 500, 0, 300)),
        cancelling((900, 500, 0, 300)),
        Reply::Cut,
    ];
    let after = Some(Duration::from_secs(7));
    let stopped = ran(&["cancel", &id, "--yes"], replies.clone(), after).await;
    assert_eq!(stopped.code, 130);
    assert!(stopped.stdout.starts_with("Batch "), "{}", stopped.stdout);
    let goes_on = "help: the cancel goes on by itself; see how it stands with: weir status ";
    assert!(stopped.stderr.contains(goes_on), "{}", stopped.stderr);
    // So is who gets no answers any more.
    let cut = ran(&["cancel", &id, "--yes", "--json"], replies, None).await;
    assert_eq!(cut.code, 3);
    let shown: Value = serde_json::from_str(&cut.stdout).unwrap();
    assert_eq!(
        (
            &shown["done"],
            &shown["batch"]["batch_detail_cancelled_count"]
        ),
        (&false.into(), &300.into())
    );
    assert!(cut.stderr.contains(goes_on), "{}", cut.stderr);
}

#[tokio::test]
async fn an_interruption_before_the_answer_leaves_it_open_what_was_done() {
    let id = batch_id(1);
    let replies = vec![standing("Error", (9, 0, 2, 0)), busy("5")];
    let ran = ran(
        &["cancel", &id, "--yes"],
        replies,
        Some(Duration::from_secs(3)),
    )
    .await;
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
    assert!(
        ran.stderr.contains("interrupted before the answer came"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("give the same command again"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_table_that_is_too_large_is_fetched_in_the_parts_that_the_service_names() {
    let id = batch_id(1);
    let too_large = |line: u32| {
        let message = format!("ask for it in parts, the first with to_line={line}");
        let parts = json!([{"dataPath": "/query/to_line", "message": message}]);
        let body = json!([{"code": "invalid_parameter", "message": "", "validationErrors": parts}]);
        Reply::Says(400, None, body)
    };
    // A body of one line is what the script can say: a JSON text is one cell and its header.
    let table = |cell: &str| Reply::Says(200, None, json!(cell));
    let replies = vec![
        standing("Error", (90, 0, 80, 0)),
        too_large(60),
        too_large(50),
        table("a"),
        table("b"),
    ];
    let ran = ran(&["errors", "get", &id], replies, None).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.seen.len(), 5);
    assert!(
        ran.stderr.contains("fetching lines: 40 of 90 left\n"),
        "{}",
        ran.stderr
    );

    // A service that names a part that is no smaller is not asked for ever.
    let replies = vec![standing("Error", (90, 0, 80, 0)), too_large(60)];
    let ran = self::ran(&["errors", "get", &id], replies, None).await;
    assert_eq!((ran.code, ran.seen.len()), (1, 3), "{}", ran.stderr);
}
