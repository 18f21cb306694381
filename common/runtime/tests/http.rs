//! Outgoing HTTP against servers that speak byte for byte what a test wants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test helpers"
)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use weir_runtime::{
    Clock, Http, HttpError, HttpOptions, HttpRequest, HttpResponse, StreamBody, Transport, Url,
};

/// Answers every request with `answer`, which names no length unless it says so, then closes the
/// connection if `close`. Gives its URL and what it was sent, a request at a time, up to the end of
/// the announced body.
async fn serve(answer: &'static [u8], close: bool) -> (Url, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/path?signature=s3cret",
        listener.local_addr().unwrap()
    );
    let (sender, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Some(request) = receive(&mut connection).await {
                    let _ = sender.send(request);
                    if connection.write_all(answer).await.is_err() || close {
                        return;
                    }
                }
            });
        }
    });
    (url.parse().unwrap(), seen)
}

async fn receive(connection: &mut TcpStream) -> Option<String> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&received).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= announced {
                return Some(text);
            }
        }
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => received.extend_from_slice(&buffer[..length]),
        }
    }
}

fn client() -> Http {
    Http::new(&HttpOptions::default()).unwrap()
}

fn post(url: Url) -> HttpRequest {
    let mut request = HttpRequest::new(Method::POST, url);
    request.body = Bytes::from_static(b"{\"amount\":1}");
    request.timeout = Duration::from_secs(5);
    request
        .headers
        .insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
    request
}

fn streamed(length_bytes: u64, parts: Vec<io::Result<Bytes>>) -> StreamBody {
    StreamBody {
        length_bytes,
        stream: Box::pin(stream::iter(parts)),
    }
}

#[tokio::test]
async fn a_response_comes_with_status_headers_and_body() {
    let (url, mut seen) = serve(
        b"HTTP/1.1 201 Created\r\nx-id: 7\r\ncontent-length: 2\r\n\r\nok",
        false,
    )
    .await;
    let response = client().send(post(url)).await.unwrap();
    assert_eq!(response.status, StatusCode::CREATED);
    assert_eq!(response.headers["x-id"], "7");
    assert_eq!(response.body, "ok");
    let sent = seen.recv().await.unwrap();
    assert!(sent.starts_with("post /path?signature=s3cret http/1.1\r\n"));
    assert!(sent.contains("authorization: bearer s3cret\r\n"));
    assert!(sent.ends_with("\r\n\r\n{\"amount\":1}"));
}

#[tokio::test]
async fn a_redirect_is_a_response_and_not_followed() {
    let (url, mut seen) = serve(
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        false,
    )
    .await;
    let response = client().send(post(url)).await.unwrap();
    assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
    seen.recv().await.unwrap();
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn without_a_listener_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?s3cret", listener.local_addr().unwrap());
    drop(listener);
    let error = client().send(post(url.parse().unwrap())).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    assert!(error.never_sent());
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_host_that_speaks_no_tls_was_sent_nothing() {
    let (mut url, mut seen) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true).await;
    url.set_scheme("https").unwrap();
    let request = post(url);
    // The listener waits for the end of a head that never comes, so its silence must end the wait.
    let options = HttpOptions {
        connect_timeout: Duration::from_millis(200),
        ..HttpOptions::default()
    };
    let error = Http::new(&options)
        .unwrap()
        .send(request)
        .await
        .unwrap_err();
    assert!(error.never_sent(), "{error:?}");
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_closed_before_the_response_is_cut() {
    let (url, mut seen) = serve(b"", true).await;
    let error = client().send(post(url)).await.unwrap_err();
    assert!(
        matches!(error, HttpError::Cut { status: None, .. }),
        "{error:?}"
    );
    assert!(!error.never_sent());
    seen.recv().await.unwrap();
    assert!(seen.try_recv().is_err(), "it is not sent again");
}

#[tokio::test]
async fn a_connection_closed_within_the_body_is_cut_and_the_status_known() {
    let (url, _) = serve(
        b"HTTP/1.1 201 Created\r\ncontent-length: 10\r\n\r\nhalf",
        true,
    )
    .await;
    let error = client().send(post(url)).await.unwrap_err();
    let HttpError::Cut { status, reason } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*status, Some(StatusCode::CREATED));
    assert!(!reason.contains("s3cret"), "{reason}");
}

#[tokio::test]
async fn what_speaks_no_http_is_cut() {
    let (url, _) = serve(b"220 mail.example.com ESMTP\r\n", true).await;
    let error = client().send(post(url)).await.unwrap_err();
    assert!(matches!(error, HttpError::Cut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let (url, mut seen) = serve(b"", false).await;
    let mut request = post(url);
    request.timeout = Duration::from_millis(100);
    let limit = request.timeout;
    let error = client().send(request).await.unwrap_err();
    assert_eq!(error, HttpError::Timeout { limit });
    seen.recv().await.unwrap();
}

#[tokio::test]
async fn a_body_that_never_ends_times_out() {
    let (url, _) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", false).await;
    let mut request = post(url);
    request.timeout = Duration::from_millis(100);
    let error = client().send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_response_may_be_as_large_as_the_limit_and_no_larger() {
    let announced: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
    let chunked: &[u8] =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n";
    for answer in [announced, chunked] {
        for (limit, fits) in [(5, true), (4, true), (3, false), (0, false)] {
            let (url, _) = serve(answer, false).await;
            let mut request = post(url);
            request.response_bytes_max = limit;
            match client().send(request).await {
                Ok(response) => assert!(fits && response.body == "body"),
                Err(error) => {
                    let status = StatusCode::OK;
                    assert_eq!(error, HttpError::ResponseTooLarge { status, limit });
                    assert!(!fits);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_url_that_is_not_http_is_invalid_and_never_sent() {
    for url in ["ftp://example.com/", "data:text/plain,x"] {
        let error = client().send(post(url.parse().unwrap())).await.unwrap_err();
        assert!(matches!(error, HttpError::Invalid { .. }), "{error:?}");
        assert!(error.never_sent());
    }
}

#[tokio::test]
async fn connections_are_kept_for_the_next_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            receive(&mut connection).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            connection.write_all(answer).await.unwrap();
        }
    });
    let client = client();
    client.send(post(url.clone())).await.unwrap();
    client.clone().send(post(url)).await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_stream_is_sent_with_its_length() {
    let (url, mut seen) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false).await;
    let parts = vec![Ok(Bytes::from("abc")), Ok(Bytes::from("de"))];
    let request = post(url);
    client()
        .send_stream(request, streamed(5, parts))
        .await
        .unwrap();
    let sent = seen.recv().await.unwrap();
    assert!(sent.contains("content-length: 5\r\n"), "{sent}");
    assert!(!sent.contains("transfer-encoding"), "{sent}");
    assert!(sent.ends_with("\r\n\r\nabcde"), "{sent}");
}

#[tokio::test]
async fn a_stream_of_another_length_or_with_an_error_fails_the_request() {
    let part = || Ok(Bytes::from("abc"));
    let failed = || Err(io::Error::other("the disk failed"));
    for (length_bytes, parts) in [
        (4, vec![part()]),
        (2, vec![part()]),
        (6, vec![part(), failed()]),
    ] {
        let (url, _) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false).await;
        let body = streamed(length_bytes, parts);
        let error = client().send_stream(post(url), body).await.unwrap_err();
        assert!(matches!(error, HttpError::Cut { .. }), "{error:?}");
    }
}

/// Answers with the request's body, or never.
struct Echo {
    answers: bool,
}

impl Transport for Echo {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(async move {
            if !self.answers {
                std::future::pending::<()>().await;
            }
            Ok(HttpResponse {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: request.body,
            })
        })
    }
}

#[tokio::test]
async fn a_transport_can_be_put_in_its_place() {
    let http = Http::with_transport(Arc::new(Echo { answers: true }));
    let url: Url = "http://platform.example.com/".parse().unwrap();
    let response = http.send(post(url.clone())).await.unwrap();
    assert_eq!(response.body, "{\"amount\":1}");
    let parts = vec![Ok(Bytes::from("ab")), Ok(Bytes::from("c"))];
    let response = http
        .send_stream(post(url), streamed(3, parts))
        .await
        .unwrap();
    assert_eq!(response.body, "abc");
}

#[tokio::test]
async fn time_outs_are_measured_by_the_clock_that_was_given() {
    let (clock, hand) = Clock::manual(chrono::DateTime::from_timestamp_millis(0).unwrap());
    let http = Http::with_transport(Arc::new(Echo { answers: false })).with_clock(clock);
    let request = HttpRequest::new(Method::GET, "http://platform.example.com/".parse().unwrap());
    let limit = request.timeout;
    let (outcome, moved) = tokio::join!(http.send(request), async { hand.advance_to_next() });
    assert_eq!(outcome.unwrap_err(), HttpError::Timeout { limit });
    assert_eq!(moved, Some(limit));
}

#[test]
fn debug_shows_no_header_value_query_credential_or_body() {
    let mut request = post(
        "https://user:pw@example.com:8443/a?s3cret#s3cret"
            .parse()
            .unwrap(),
    );
    request.body = Bytes::from_static(b"s3cret");
    assert_eq!(
        format!("{request:?}"),
        "HttpRequest { method: POST, url: \"https://example.com:8443/a?…\", \
         headers: [\"authorization\"], body_bytes: 6, timeout: 5s, response_bytes_max: 1048576 }"
    );
    let response = HttpResponse {
        status: StatusCode::OK,
        headers: request.headers,
        body: request.body,
    };
    assert_eq!(
        format!("{response:?}"),
        "HttpResponse { status: 200, headers: [\"authorization\"], body_bytes: 6 }"
    );
}
