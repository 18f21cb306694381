//! Events of API Gateway as requests, and responses as its answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_lambda::{HEADERS_MAX, HttpEventError, Sender, answer_http};

fn event(method: &str, path: &str, query: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "weir.example.com", "x-one": "a,b"},
        "requestContext": {
            "accountId": "123456789012",
            "domainName": "weir.example.com",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "requestId": "r-1",
            "stage": "$default",
            "timeEpoch": 1_795_348_800_000_u64,
        },
        "isBase64Encoded": false,
    })
}

type Seen = (Request<Bytes>, Sender);

/// The request that an event becomes, and what its event is answered with.
async fn ask(
    event: Value,
    response: Response<Full<Bytes>>,
) -> Result<(Seen, Value), HttpEventError> {
    let seen = Arc::new(Mutex::new(None));
    let answer = answer_http(event, {
        let seen = Arc::clone(&seen);
        move |request, sender| async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            *seen.lock().unwrap() = Some((Request::from_parts(parts, body), sender));
            response
        }
    })
    .await?;
    let seen = seen.lock().unwrap().take().unwrap();
    Ok((seen, answer))
}

async fn request(event: Value) -> Seen {
    ask(event, Response::default()).await.unwrap().0
}

#[tokio::test]
async fn an_event_is_the_request_that_the_client_sent() {
    let mut event = event("POST", "/v1/settlements", "a=b&a=%2F");
    event["body"] = json!("<a>ü</a>");
    event["cookies"] = json!(["a=1", "b=2"]);
    let (request, sender) = request(event).await;
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "/v1/settlements?a=b&a=%2F");
    assert_eq!(request.headers()["host"], "weir.example.com");
    assert_eq!(request.headers()["x-one"], "a,b");
    assert_eq!(request.headers()["cookie"], "a=1; b=2");
    assert_eq!(request.body(), "<a>ü</a>");
    assert!(!sender.is_authorised_by_iam);
}

#[tokio::test]
async fn a_body_that_is_no_text_comes_in_base64() {
    let mut event = event("POST", "/", "");
    event["isBase64Encoded"] = json!(true);
    event["body"] = json!("/wD+");
    assert_eq!(request(event.clone()).await.0.body(), &b"\xff\x00\xfe"[..]);
    event["body"] = json!("?");
    let refused = ask(event, Response::default()).await.unwrap_err();
    assert!(matches!(refused, HttpEventError::Body), "{refused}");
}

#[tokio::test]
async fn only_iam_authorises_a_sender() {
    for (authorizer, expected) in [
        (
            json!({"iam": {"accessKey": "AKIA", "accountId": "123456789012",
            "callerId": "c", "userArn": "arn:aws:iam::123456789012:user/u", "userId": "u"}}),
            true,
        ),
        (json!({"iam": {}}), true),
        (json!({"iam": null}), false),
        (
            json!({"jwt": {"claims": {"sub": "x"}, "scopes": null}}),
            false,
        ),
        (json!({"lambda": {"iam": "x"}}), false),
        (json!({}), false),
        (Value::Null, false),
    ] {
        let mut event = event("GET", "/", "");
        event["requestContext"]["authorizer"] = authorizer.clone();
        let (_, sender) = request(event).await;
        assert_eq!(sender.is_authorised_by_iam, expected, "{authorizer}");
    }
}

#[tokio::test]
async fn an_answer_has_one_value_a_header_and_cookies_apart() {
    let response = Response::builder()
        .status(404)
        .header("content-type", "application/json")
        .header("link", "<a>; rel=\"next\"")
        .header("link", "<b>; rel=\"prev\"")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .body(Full::from("[]"))
        .unwrap();
    let (_, answer) = ask(event("GET", "/", ""), response).await.unwrap();
    assert_eq!(answer["statusCode"], 404);
    assert_eq!(
        answer["headers"]["link"],
        "<a>; rel=\"next\", <b>; rel=\"prev\""
    );
    assert_eq!(answer["headers"].as_object().unwrap().len(), 2);
    assert_eq!(answer["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(
        (&answer["body"], &answer["isBase64Encoded"]),
        (&json!("[]"), &json!(false))
    );
}

#[tokio::test]
async fn an_answer_that_is_no_text_is_in_base64() {
    let response = Response::builder().header("content-type", "application/pdf");
    let response = response.body(Full::from(&b"\xff\x00\xfe"[..])).unwrap();
    let (_, answer) = ask(event("GET", "/", ""), response).await.unwrap();
    assert_eq!(
        (&answer["body"], &answer["isBase64Encoded"]),
        (&json!("/wD+"), &json!(true))
    );
}

#[tokio::test]
async fn an_event_of_another_kind_is_refused_with_what_it_lacks() {
    let without = |member: &str| {
        let mut event = event("GET", "/", "");
        event.as_object_mut().unwrap().remove(member);
        event
    };
    let mut no_method = event("GET", "/", "");
    no_method["requestContext"]["http"] = json!({});
    let mut odd_method = event("GET", "/", "");
    odd_method["requestContext"]["http"]["method"] = json!("G T");
    for (event, expected) in [
        (Value::Null, "version"),
        (json!([]), "version"),
        (json!({"Records": []}), "version"),
        (json!({"version": "1.0"}), "version"),
        (without("version"), "version"),
        (without("rawPath"), "rawPath"),
        (without("requestContext"), "requestContext"),
        (no_method, "method"),
        (odd_method, "method"),
    ] {
        let refused = ask(event, Response::default()).await.unwrap_err();
        assert!(matches!(refused, HttpEventError::NotHttp(_)));
        let refused = refused.to_string();
        assert!(refused.contains("no request of an HTTP API"), "{refused}");
        assert!(refused.contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn a_header_that_is_no_ascii_is_data_like_any_other() {
    let mut event = event("GET", "/", "");
    event["headers"]["user-agent"] = json!("Größe");
    event["headers"]["broken"] = json!("a\r\nb");
    let (request, _) = request(event).await;
    assert_eq!(
        request.headers()["user-agent"].as_bytes(),
        "Größe".as_bytes()
    );
    assert_eq!(request.headers()["x-one"], "a,b");
    assert!(!request.headers().contains_key("broken"));
}

#[tokio::test]
async fn a_request_has_a_thousand_headers_at_most_and_no_number_of_them_makes_it_panic() {
    // Beyond what a map of headers can hold, too.
    for count in [
        0,
        HEADERS_MAX - 1,
        HEADERS_MAX,
        HEADERS_MAX + 1,
        24_577,
        40_000,
    ] {
        let mut event = event("GET", "/", "");
        let headers = (0..count).map(|number| (format!("x-{number}"), json!("1")));
        event["headers"] = Value::Object(headers.collect());
        // Cookies come on top.
        event["cookies"] = json!(["a=1"]);
        let asked = ask(event, Response::default()).await;
        if count <= HEADERS_MAX {
            let ((request, _), _) = asked.unwrap();
            assert_eq!(request.headers().len(), count + 1);
        } else {
            let refused = asked.unwrap_err();
            assert!(matches!(refused, HttpEventError::Headers(told) if told == count));
        }
    }
}

#[test]
fn a_map_of_headers_holds_24_576_names_and_not_one_more() {
    let mut headers = HeaderMap::new();
    let append = |headers: &mut HeaderMap, number: u32| {
        let name = HeaderName::try_from(format!("x-{number}")).unwrap();
        headers.try_append(name, HeaderValue::from_static("1"))
    };
    for number in 0..24_576 {
        append(&mut headers, number).unwrap();
    }
    append(&mut headers, 24_576).unwrap_err();
    assert!(headers.len() > HEADERS_MAX);
}

#[tokio::test]
async fn whatever_the_host_says_the_request_arrives() {
    for host in ["", "a b", "[", "host:port", "a/../b", "http://x"] {
        let mut event = event("GET", "/v1/files", "a=1");
        event["headers"]["host"] = json!(host);
        event["headers"]["x-forwarded-proto"] = json!("not a scheme");
        event["requestContext"]["domainName"] = json!(host);
        event["requestContext"]["stage"] = json!("prod");
        let (request, _) = request(event).await;
        assert_eq!(request.uri(), "/v1/files?a=1");
        assert_eq!(request.headers()["host"], host);
    }
}

/// What escapes stand for; a text that has none is its own bytes.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes().peekable();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let rest: Vec<u8> = bytes.clone().take(2).collect();
        let hex = std::str::from_utf8(&rest).ok().filter(|_| rest.len() == 2);
        let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value.filter(|_| byte == b'%' && rest.iter().all(u8::is_ascii_hexdigit)) {
            Some(value) => {
                decoded.push(value);
                bytes.nth(1);
            }
            None => decoded.push(byte),
        }
    }
    decoded
}

proptest! {
    #[test]
    fn a_target_that_a_uri_can_hold_arrives_byte_for_byte(
        path in "/[a-zA-Z0-9._~!$&'()*+,;=:@%/\\[\\]{}|-]{0,40}",
        query in "[a-zA-Z0-9._~!$&'()*+,;=:@%/?\\[\\]{}|-]{0,40}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (request, _) = runtime.block_on(request(event("GET", &path, &query)));
        prop_assert_eq!(request.uri().path(), &path);
        prop_assert_eq!(request.uri().query().unwrap_or_default(), &query);
    }

    #[test]
    fn any_target_arrives_with_the_same_meaning(path in "/(?s).{0,40}", query in "(?s).{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (request, _) = runtime.block_on(request(event("GET", &path, &query)));
        prop_assert_eq!(decoded(request.uri().path()), decoded(&path));
        prop_assert_eq!(decoded(request.uri().query().unwrap_or_default()), decoded(&query));
    }

    #[test]
    fn no_text_in_an_event_makes_it_panic(
        path in "(?s).{0,20}",
        method in "(?s).{0,5}",
        header in "(?s).{0,20}",
        body in "(?s).{0,20}",
        is_base64 in any::<bool>(),
    ) {
        let mut event = event(&method, &path, &header);
        event["headers"]["x-any"] = json!(header);
        event["headers"]["host"] = json!(header);
        event["cookies"] = json!([header]);
        event["body"] = json!(body);
        event["isBase64Encoded"] = json!(is_base64);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(ask(event, Response::default()));
    }
}
