//! What the client sends, and what it makes of what comes back, down to the bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "test helpers"
)]

mod support;

use std::time::Duration;

use support::{
    API_KEY, Act, CHARGE, CHARGE_ID, MADE, Server, answer, charge, charge_within, client,
    correlation, credentials, http, key, raw,
};
use tokio::net::TcpListener;
use weir_runtime::{Clock, Url};
use weir_three_rivers::{
    Answer, CALL_TIMEOUT_MAX, Client, ClientOptions, ClientOptionsError, Created, Failure,
    FailureReason, Meaning, RESPONSE_BYTES_MAX, Unexpected,
};

fn failure(answer: &Answer<Created>) -> &Failure {
    match &answer.meaning {
        Meaning::Transient(failure) => failure,
        other => panic!("not transient: {other:?}"),
    }
}

#[tokio::test]
async fn a_create_carries_its_credentials_its_key_and_its_body_as_it_is() {
    let server = Server::start(answer(201, "", MADE)).await;
    let answer = charge(&server).await;
    assert_eq!(answer.http_status, Some(201));
    assert_eq!(answer.response_body.as_deref(), Some(MADE));
    let charge = CHARGE_ID.parse().unwrap();
    assert_eq!(
        answer.meaning,
        Meaning::Accepted(Created::Charge { charge })
    );
    let requests = server.requests();
    let [request] = requests.as_slice() else {
        panic!("one request")
    };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert_eq!(body, CHARGE);
    assert!(
        head.starts_with("post /api/v2/charges http/1.1\r\n"),
        "{head}"
    );
    for line in [
        format!("authorization: bearer {API_KEY}"),
        format!("idempotency-key: {}", key()),
        "content-type: application/json".to_owned(),
        "x-correlation-id: corr-1".to_owned(),
        format!("user-agent: weir/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.lines().any(|is| is == line), "{line} in {head}");
    }
}

#[tokio::test]
async fn a_look_up_goes_to_the_resource_without_a_key_or_body() {
    let body = format!(r#"{{"id":"{CHARGE_ID}","buyer_status":"Active"}}"#);
    let server = Server::start(answer(200, "", &body)).await;
    let url: Url = format!("{}base/", server.url).parse().unwrap();
    let found = client(&url, Duration::from_secs(5))
        .buyer(&credentials(), CHARGE_ID.parse().unwrap(), &correlation())
        .await;
    assert!(matches!(found.meaning, Meaning::Accepted(_)), "{found:?}");
    let request = server.requests().remove(0).to_lowercase();
    let path = format!("get /base/api/v2/buyers/{CHARGE_ID} http/1.1\r\n");
    assert!(request.starts_with(&path), "{request}");
    assert!(!request.contains("idempotency-key"));
}

#[tokio::test]
async fn every_status_means_what_the_table_says() {
    for status in (200..=599).filter(|status| !matches!(status, 204 | 205 | 304)) {
        let server = Server::start(answer(status, "", "")).await;
        let answer = charge(&server).await;
        assert_eq!(answer.http_status, Some(status));
        let is_as_said = match status {
            201 => matches!(
                answer.meaning,
                Meaning::UnexpectedResponse(Unexpected::NotTheResource(_))
            ),
            401 | 403 => matches!(answer.meaning, Meaning::CredentialsRefused(_)),
            408 | 425 => failure(&answer).reason == FailureReason::NotReady,
            429 => failure(&answer).reason == FailureReason::TooManyRequests,
            400..=499 => {
                matches!(&answer.meaning, Meaning::Refused(refusal)
                    if refusal.code == format!("http.{status}"))
            }
            500..=599 => failure(&answer).reason == FailureReason::ServerError,
            _ => answer.meaning == Meaning::UnexpectedResponse(Unexpected::Status(status)),
        };
        assert!(is_as_said, "{status}: {:?}", answer.meaning);
    }
}

#[tokio::test]
async fn a_success_without_a_body_is_not_the_documented_one() {
    for status in [204, 205, 304] {
        let server = Server::start(raw(&format!("HTTP/1.1 {status} X\r\n\r\n"))).await;
        let answer = charge(&server).await;
        let expected = Meaning::UnexpectedResponse(Unexpected::Status(status));
        assert_eq!(answer.meaning, expected);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(answer(201, "", MADE)).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}api/v2/charges\r\n", elsewhere.url);
        let server = Server::start(answer(status, &location, "")).await;
        let answer = charge(&server).await;
        let expected = Meaning::UnexpectedResponse(Unexpected::Status(status));
        assert_eq!(answer.meaning, expected);
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_connection_that_is_refused_has_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let request =
        weir_three_rivers::CreateRequest::new(weir_domain::TransactionType::Charge, CHARGE);
    let answer = client(&url, Duration::from_secs(5))
        .create(&credentials(), &request.unwrap(), &key(), &correlation())
        .await;
    assert!(failure(&answer).never_sent());
    assert_eq!(failure(&answer).code, "transport.not_sent");
    assert_eq!((answer.http_status, answer.response_body), (None, None));
}

#[tokio::test]
async fn an_answer_that_breaks_off_decides_nothing() {
    let half = &MADE[..MADE.len() / 2];
    for (acts, status) in [
        (Vec::new(), None),
        (raw("HTTP/1.1 201 Crea"), None),
        (raw("not http at all\r\n\r\n"), None),
        (
            raw(&format!(
                "HTTP/1.1 201 X\r\ncontent-length: {}\r\n\r\n{half}",
                MADE.len()
            )),
            Some(201),
        ),
        (
            raw("HTTP/1.1 400 X\r\ncontent-length: 50\r\n\r\n{\"code\":"),
            Some(400),
        ),
        (
            raw(&format!(
                "HTTP/1.1 201 X\r\ntransfer-encoding: chunked\r\n\r\n1000\r\n{MADE}"
            )),
            Some(201),
        ),
        (
            raw("HTTP/1.1 201 X\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n"),
            Some(201),
        ),
    ] {
        let server = Server::start(acts).await;
        let answer = charge(&server).await;
        assert_eq!(failure(&answer).reason, FailureReason::Cut, "{answer:?}");
        assert!(!failure(&answer).never_sent());
        assert_eq!(answer.http_status, status);
    }
}

#[tokio::test]
async fn a_length_that_is_too_short_leaves_no_resource() {
    let short = MADE.len() - 1;
    let server = Server::start(raw(&format!(
        "HTTP/1.1 201 X\r\ncontent-length: {short}\r\n\r\n{MADE}"
    )))
    .await;
    let answer = charge(&server).await;
    let is_unexpected = matches!(
        answer.meaning,
        Meaning::UnexpectedResponse(Unexpected::NotTheResource(_))
    );
    assert!(is_unexpected, "{answer:?}");
    assert_eq!(answer.response_body.as_deref(), Some(&MADE[..short]));
}

#[tokio::test]
async fn a_call_takes_no_longer_than_it_may_however_slow_the_answer_drips() {
    let drip = |text: &str| {
        let pause = Act::Wait(Duration::from_millis(40));
        let bytes = text.bytes().map(|byte| Act::Send(vec![byte]));
        bytes
            .flat_map(|byte| [pause.clone(), byte])
            .collect::<Vec<_>>()
    };
    let head = format!("HTTP/1.1 201 X\r\ncontent-length: {}\r\n\r\n", MADE.len());
    for acts in [
        vec![Act::Stall],
        drip(&head),
        [raw(&head), vec![Act::Stall]].concat(),
        [raw(&head), drip(MADE)].concat(),
    ] {
        let server = Server::start(acts).await;
        let limit = Duration::from_millis(300);
        let answer = charge_within(&server, limit).await;
        assert_eq!(failure(&answer).reason, FailureReason::TimedOut);
        assert_eq!(server.requests().len(), 1);
        assert!(
            answer.duration >= limit && answer.duration < 10 * limit,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_slow_answer_within_the_time_is_an_answer() {
    let acts = [
        vec![Act::Wait(Duration::from_millis(200))],
        answer(201, "", MADE),
    ]
    .concat();
    let server = Server::start(acts).await;
    let answer = charge_within(&server, Duration::from_secs(10)).await;
    assert!(matches!(answer.meaning, Meaning::Accepted(_)));
    assert!(answer.duration >= Duration::from_millis(200));
}

fn padded(body: &str, length: usize) -> String {
    format!("{body}{}", " ".repeat(length - body.len()))
}

fn chunked(status: u16, body: &str) -> Vec<Act> {
    let length = body.len();
    raw(&format!(
        "HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
    ))
}

#[tokio::test]
async fn an_answer_of_one_mebibyte_is_taken_and_a_byte_more_is_not() {
    for (length, is_taken) in [
        (RESPONSE_BYTES_MAX - 1, true),
        (RESPONSE_BYTES_MAX, true),
        (RESPONSE_BYTES_MAX + 1, false),
    ] {
        let body = padded(MADE, length);
        for acts in [answer(201, "", &body), chunked(201, &body)] {
            let server = Server::start(acts).await;
            let answer = charge(&server).await;
            assert_eq!(answer.http_status, Some(201));
            if is_taken {
                assert!(matches!(answer.meaning, Meaning::Accepted(_)), "{length}");
                assert_eq!(answer.response_body.unwrap().len(), length);
            } else {
                let too_large = Unexpected::TooLarge(RESPONSE_BYTES_MAX);
                assert_eq!(answer.meaning, Meaning::UnexpectedResponse(too_large));
                assert_eq!(answer.response_body, None);
            }
        }
    }
}

#[tokio::test]
async fn an_error_that_is_too_large_means_what_its_status_means() {
    let body = "x".repeat(RESPONSE_BYTES_MAX + 1);
    let of = async |status| charge(&Server::start(answer(status, "", &body)).await).await;
    let Meaning::Refused(refusal) = of(422).await.meaning else {
        panic!("refused")
    };
    assert_eq!(refusal.code, "http.422");
    assert!(matches!(
        of(401).await.meaning,
        Meaning::CredentialsRefused(_)
    ));
    let failed = of(503).await;
    assert_eq!(failure(&failed).reason, FailureReason::ServerError);
    let unexpected = Meaning::UnexpectedResponse(Unexpected::Status(200));
    assert_eq!(of(200).await.meaning, unexpected);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_kept_within_the_limit() {
    let mut body = vec![0xFF; RESPONSE_BYTES_MAX];
    body[0] = b'{';
    let head = format!("HTTP/1.1 201 X\r\ncontent-length: {}\r\n\r\n", body.len());
    let acts = vec![Act::Send(head.into_bytes()), Act::Send(body)];
    let answer = charge(&Server::start(acts).await).await;
    assert!(matches!(
        answer.meaning,
        Meaning::UnexpectedResponse(Unexpected::NotTheResource(_))
    ));
    let kept = answer.response_body.unwrap().len();
    assert!(kept <= RESPONSE_BYTES_MAX && kept > RESPONSE_BYTES_MAX - 3);
}

#[tokio::test]
async fn retry_after_is_told_on_429_and_503_alone() {
    let of = async |status| {
        let server = Server::start(answer(status, "retry-after: 7\r\n", "")).await;
        charge(&server).await.retry_after
    };
    assert_eq!(of(429).await, Some(Duration::from_secs(7)));
    assert_eq!(of(503).await, Some(Duration::from_secs(7)));
    for status in [201, 400, 408, 500, 502] {
        assert_eq!(of(status).await, None, "{status}");
    }
}

#[tokio::test]
async fn an_error_speaks_with_the_platforms_words() {
    let body = r#"{"code":"request.invalid","message":"Invalid","validationErrors":[{"dataPath":".currency","message":"is unknown"}]}"#;
    let answer = charge(&Server::start(answer(422, "", body)).await).await;
    let Meaning::Refused(refusal) = answer.meaning else {
        panic!("refused")
    };
    assert_eq!(refusal.code, "request.invalid");
    assert_eq!(refusal.message, "Invalid — .currency: is unknown");
}

#[tokio::test]
async fn a_key_that_is_echoed_is_kept_nowhere() {
    // Spelt in JSON, the key's first letter is not to be seen as such.
    let echoed = r#"{"code":"sk-secret-42","message":"bad key \u0073k-secret-42 for sk-secret-42","id":"sk-secret-42","status":"\u0073k-secret-42"}"#;
    for status in [201, 400, 401, 500] {
        let answer = charge(&Server::start(answer(status, "", echoed)).await).await;
        assert!(
            !format!("{:?}", answer.meaning).contains(API_KEY),
            "{answer:?}"
        );
        let body = answer.response_body.unwrap();
        assert!(!body.contains(API_KEY), "{body}");
    }
}

#[test]
fn the_key_travels_over_tls_or_on_the_loopback_alone() {
    let of = |url: &str| {
        let options = ClientOptions::new(url.parse().unwrap());
        Client::new(http(), Clock::system(), options).map(drop)
    };
    for url in [
        "https://api.example.com",
        "https://api.example.com/base/",
        "http://127.0.0.1:8080",
        "http://127.8.9.1",
        "http://localhost:1",
        "http://[::1]:1",
    ] {
        assert_eq!(of(url), Ok(()), "{url}");
    }
    for url in [
        "http://api.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://128.0.0.1",
        "http://[::2]",
        "ftp://127.0.0.1",
    ] {
        assert_eq!(of(url), Err(ClientOptionsError::NotSecure), "{url}");
    }
    for url in [
        "https://user@api.example.com",
        "https://:word@api.example.com",
        "https://api.example.com/?a=b",
        "https://api.example.com/#a",
    ] {
        assert_eq!(of(url), Err(ClientOptionsError::NotABase), "{url}");
    }
}

#[test]
fn a_call_may_take_up_to_a_quarter_of_an_hour_and_not_no_time() {
    for (call_timeout, is_taken) in [
        (Duration::ZERO, false),
        (Duration::from_nanos(1), true),
        (CALL_TIMEOUT_MAX, true),
        (CALL_TIMEOUT_MAX + Duration::from_nanos(1), false),
    ] {
        let options = ClientOptions {
            call_timeout,
            ..ClientOptions::new("https://api.example.com".parse().unwrap())
        };
        let made = Client::new(http(), Clock::system(), options);
        assert_eq!(made.is_ok(), is_taken, "{call_timeout:?}");
    }
}
