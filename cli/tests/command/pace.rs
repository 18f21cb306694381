//! When the API is asked, on a clock that the test moves.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use weir_cli::{Outside, run};
use weir_runtime::{
    Clock, Http, HttpError, HttpRequest, HttpResponse, ManualClock, Random, Reader, Transport,
};

use crate::server::{FILE, batch, file};

/// Answers in turn, the last answer for ever, and notes when it was asked.
struct Scripted {
    clock: Clock,
    answers: Mutex<VecDeque<Option<HttpResponse>>>,
    asked_at: Arc<Mutex<Vec<Duration>>>,
}

impl Transport for Scripted {
    fn send(&self, _: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        self.asked_at.lock().unwrap().push(self.clock.monotonic());
        let mut answers = self.answers.lock().unwrap();
        let answer = answers.front().cloned().unwrap();
        if answers.len() > 1 {
            answers.pop_front();
        }
        match answer {
            Some(answer) => Box::pin(std::future::ready(Ok(answer))),
            None => Box::pin(std::future::pending()),
        }
    }
}

fn answer(status: u16, body: &serde_json::Value) -> HttpResponse {
    HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_string().into(),
    }
}

fn busy(retry_after: Option<&'static str>) -> HttpResponse {
    let mut busy = answer(503, &serde_json::json!([]));
    if let Some(seconds) = retry_after {
        busy.headers
            .insert("retry-after", HeaderValue::from_static(seconds));
    }
    busy
}

#[derive(Debug)]
struct Watched {
    code: u8,
    asked_at: Vec<Duration>,
    ended_at: Duration,
    stdout: String,
    stderr: String,
}

/// Runs `weir status FILE` and lets the time pass as fast as it is waited for. `None` is an answer
/// that never comes.
async fn watch(
    arguments: &[&str],
    answers: Vec<impl Into<Option<HttpResponse>>>,
    colours: bool,
) -> Watched {
    let (clock, hand) = Clock::manual(DateTime::UNIX_EPOCH);
    let asked_at = Arc::<Mutex<Vec<Duration>>>::default();
    let scripted = Arc::new(Scripted {
        clock: clock.clone(),
        answers: Mutex::new(answers.into_iter().map(Into::into).collect()),
        asked_at: Arc::clone(&asked_at),
    });
    let connect = || Ok(Http::with_transport(scripted.clone()));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let outside = Outside {
        clock: clock.clone(),
        random: Random::seeded(7),
        connect: &connect,
        settings: &|| Reader::new([]),
        answers: None,
        stdout: &mut stdout,
        stderr: &mut stderr,
        stdout_colours: colours,
        stderr_colours: colours,
        stderr_is_terminal: false,
        whole_bytes_max: weir_cli::WHOLE_BYTES_MAX,
        interrupt: Box::pin(std::future::pending()),
    };
    let fixed = [
        "weir",
        "status",
        FILE,
        "--api",
        "http://127.0.0.1:1",
        "--api-key",
        "k",
    ];
    let arguments = fixed.iter().chain(arguments).map(OsString::from);
    let code = tokio::select! {
        // In turn: the command sees each time before the next one comes.
        biased;
        code = run(arguments, outside) => code,
        () = let_pass(&hand) => unreachable!("time does not end"),
    };
    let asked_at = asked_at.lock().unwrap().clone();
    Watched {
        code,
        asked_at,
        ended_at: clock.monotonic(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

async fn let_pass(hand: &ManualClock) {
    loop {
        tokio::task::yield_now().await;
        hand.advance_to_next();
    }
}

fn millis(times: &[Duration]) -> Vec<u128> {
    times.iter().map(Duration::as_millis).collect()
}

#[tokio::test]
async fn questions_come_more_and_more_slowly_down_to_one_in_two_seconds() {
    let mut answers = vec![answer(200, &file("Processing")); 9];
    answers.push(answer(200, &file("Error")));
    let watched = watch(&["--watch"], answers, false).await;
    assert_eq!(watched.code, 1, "{watched:?}");
    let expected = [0, 200, 500, 950, 1625, 2637, 4156, 6156, 8156, 10156];
    assert_eq!(millis(&watched.asked_at), expected);
}

#[tokio::test]
async fn the_last_reading_is_confirmed_soon() {
    let open = serde_json::json!([batch(1, "Unprocessed", (9, 4, 0, 0))]);
    let done = serde_json::json!([batch(1, "Processed", (9, 0, 0, 0))]);
    let answers = vec![
        answer(200, &file("Processed")),
        answer(200, &open),
        answer(200, &open),
        answer(200, &open),
        answer(200, &done),
    ];
    let watched = watch(&["--watch"], answers, false).await;
    assert_eq!(watched.code, 0, "{watched:?}");
    assert_eq!(millis(&watched.asked_at), [0, 0, 200, 500, 950, 1150]);
}

#[tokio::test]
async fn a_service_that_stays_away_is_given_up_after_half_a_minute() {
    let answers = vec![answer(200, &file("Processing")), busy(None)];
    let watched = watch(&["--watch"], answers, false).await;
    assert_eq!(watched.code, 3, "{watched:?}");
    let away = watched.ended_at.checked_sub(watched.asked_at[1]).unwrap();
    assert!(away <= Duration::from_secs(30), "{away:?}");
    assert!(away > Duration::from_secs(27), "{away:?}");
    assert!(watched.stdout.contains("Processing"), "{watched:?}");
    assert_eq!(
        watched.stderr.matches("; asking again").count(),
        1,
        "{watched:?}"
    );
}

#[tokio::test]
async fn a_service_that_says_when_to_come_again_is_asked_then() {
    let processing = answer(200, &file("Processing"));
    let error = answer(200, &file("Error"));
    let answers = vec![processing.clone(), busy(Some("7")), error.clone()];
    let watched = watch(&["--watch"], answers, false).await;
    assert_eq!(
        (watched.code, millis(&watched.asked_at)),
        (1, vec![0, 200, 7200])
    );
    // Later than anybody would wait for it: the person is told instead.
    for seconds in ["60", "18446744073709551615"] {
        let answers = vec![processing.clone(), busy(Some(seconds)), error.clone()];
        let watched = watch(&["--watch"], answers, false).await;
        assert_eq!((watched.code, millis(&watched.asked_at)), (3, vec![0, 200]));
        let expected = format!("try again in {seconds} s");
        assert!(watched.stderr.contains(&expected), "{watched:?}");
    }
}

#[tokio::test]
async fn the_time_to_wait_runs_out_to_the_second() {
    let answers = vec![answer(200, &file("Processing"))];
    let watched = watch(&["--watch", "--timeout", "5"], answers, false).await;
    assert_eq!(
        (watched.code, watched.ended_at),
        (4, Duration::from_secs(5))
    );
    let answers = vec![Some(answer(200, &file("Processing"))), None];
    let watched = watch(&["--watch", "--timeout", "5"], answers, false).await;
    assert_eq!(
        (watched.code, watched.ended_at),
        (4, Duration::from_secs(5))
    );
}

#[tokio::test]
async fn a_question_that_is_never_answered_ends_after_half_a_minute() {
    let watched = watch(&[], vec![None::<HttpResponse>], false).await;
    assert_eq!(
        (watched.code, watched.ended_at),
        (3, Duration::from_secs(30))
    );
    assert!(
        watched.stderr.contains("no complete response within 30s"),
        "{watched:?}"
    );
}

#[tokio::test]
async fn colours_are_used_where_they_may_be_and_nowhere_else() {
    for colours in [true, false] {
        let watched = watch(&[], vec![answer(200, &file("Error"))], colours).await;
        assert_eq!(watched.stdout.contains('\u{1b}'), colours, "{watched:?}");
        let watched = watch(&[], vec![busy(None)], colours).await;
        assert_eq!(watched.stderr.contains('\u{1b}'), colours, "{watched:?}");
        let watched = watch(&["--help"], vec![None::<HttpResponse>], colours).await;
        assert_eq!(watched.stdout.contains('\u{1b}'), colours, "{watched:?}");
    }
}
