//! What the routes answer before a table is asked, and when none can be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use proptest::prelude::*;
use serde_json::Value;
use tower::ServiceExt;
use weir_api::{Api, BODY_BYTES_MAX, CORRELATION_HEADER, operations};
use weir_runtime::{AwsClients, AwsOptions, Clock, Metrics, Random};
use weir_store::{Names, Store};

/// The API with tables that nothing listens for.
async fn router() -> Router {
    api().await.router()
}

async fn api() -> Api {
    let nowhere = Some("http://127.0.0.1:1".to_owned());
    let options = AwsOptions {
        endpoint_dynamodb: nowhere.clone(),
        endpoint_s3: nowhere.clone(),
        endpoint_sqs: nowhere.clone(),
        credentials: Some(aws_credential_types::Credentials::new(
            "id", "secret", None, None, "test",
        )),
        ..AwsOptions::new("eu-central-1")
    };
    let names = Names {
        table_prefix: "weir-".to_owned(),
        bucket: "weir-uploads".to_owned(),
        uploads_queue: "http://127.0.0.1:1/uploads".to_owned(),
        details_queue: "http://127.0.0.1:1/details".to_owned(),
    };
    let (clock, random) = (Clock::system(), Random::seeded(7));
    let clients = AwsClients::new(&options).await;
    let store = Store::new(clients, names, clock.clone(), random.clone());
    let metrics = Metrics::discarded(clock.clone());
    Api::new(store, clock, random, metrics)
}

/// An answer, checked for what every answer has: JSON, and a correlation id; an error is an array.
async fn ask(router: Router, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let response = router.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    assert_eq!(head.headers[CONTENT_TYPE], "application/json");
    assert!(!head.headers[CORRELATION_HEADER].is_empty());
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(!head.status.is_success(), "no key is known");
    let errors = body.as_array().unwrap();
    assert_eq!(errors.len(), 1);
    assert!(errors[0]["code"].is_string() && errors[0]["message"].is_string());
    (head.status, head.headers, body)
}

#[tokio::test]
async fn without_tables_the_caller_is_asked_to_try_again() {
    let request = Request::get("/v1/files/8a0b7c6d-0000-4000-8000-000000000001")
        .header(AUTHORIZATION, "5d1f6c1e-1111-4222-8333-944444444444");
    let request = request.body(Body::empty()).unwrap();
    let (status, headers, body) = ask(router().await, request).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers[RETRY_AFTER], "1");
    assert_eq!(body[0]["code"], "unavailable");
}

#[tokio::test]
async fn what_can_be_refused_without_a_table_is() {
    let key = "5d1f6c1e-1111-4222-8333-944444444444";
    for (method, path, keys, expected) in [
        ("GET", "/v1/files/%FF", &[][..], 401),
        ("GET", "/v1/files/x", &["no key"], 401),
        ("GET", "/v1/files/x", &[key, key], 401),
        ("POST", "/v1/settlements", &[], 401),
        ("GET", "/v1/file/x", &[key], 404),
        ("GET", "/v1", &[key], 404),
        ("GET", "/v1/files//batches", &[], 401),
        ("PUT", "/v1/settlements", &[key], 405),
        ("DELETE", "/v1/files/x", &[key], 405),
    ] {
        let mut request = Request::builder().method(method).uri(path);
        for key in keys {
            request = request.header(AUTHORIZATION, *key);
        }
        let request = request.body(Body::empty()).unwrap();
        let (status, ..) = ask(router().await, request).await;
        assert_eq!(status, expected, "{method} {path} {keys:?}");
    }
}

#[test]
fn a_body_may_have_as_many_bytes_as_the_command_sends() {
    assert_eq!(BODY_BYTES_MAX, 4 * 1024 * 1024);
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

fn encoded(bytes: &[u8]) -> String {
    let hex = |text, byte| format!("{text}%{byte:02X}");
    bytes.iter().fold(String::new(), hex)
}

proptest! {
    #[test]
    fn no_bytes_of_a_request_get_another_answer_than_an_error_of_ours(
        method in prop_oneof![Just("GET"), Just("POST"), Just("BREW")],
        path in prop_oneof![
            bytes(30).prop_map(|bytes| format!("/v{}", encoded(&bytes))),
            bytes(30).prop_map(|bytes| format!("/v1/files/{}", encoded(&bytes))),
            bytes(30).prop_map(|bytes| format!("/v1/files/{}/batches", encoded(&bytes))),
            Just("/v1/settlements".to_owned()),
        ],
        query in bytes(30),
        key in bytes(30),
        correlation in proptest::option::of(bytes(30)),
        body in bytes(30),
    ) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{path}?{}", encoded(&query)));
        let mut header = |name: HeaderName, value: &[u8]| {
            if let (Ok(value), Some(headers)) = (HeaderValue::from_bytes(value), request.headers_mut()) {
                headers.insert(name, value);
            }
        };
        header(AUTHORIZATION, &key);
        if let Some(correlation) = &correlation {
            header(CORRELATION_HEADER, correlation);
        }
        let request = request.body(Body::from(body)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (status, ..) = runtime.block_on(async { ask(router().await, request).await });
        prop_assert!(status.is_client_error(), "{}", status);
    }
}

#[tokio::test]
async fn a_function_answers_its_half_of_the_operations_and_no_other() {
    let (reading, changing) = (api().await.reading_router(), api().await.changing_router());
    for operation in operations() {
        let (own, other) = if operation.is_read() {
            (&reading, &changing)
        } else {
            (&changing, &reading)
        };
        let id = "8a0b7c6d-0000-4000-8000-000000000001";
        let part = |part: &str| if part.starts_with('{') { id } else { part }.to_owned();
        let path = operation
            .path
            .split('/')
            .map(part)
            .collect::<Vec<_>>()
            .join("/");
        let request = || {
            let request = Request::builder().method(&operation.method).uri(&path);
            request.body(Body::empty()).unwrap()
        };
        let (status, _, body) = ask(own.clone(), request()).await;
        assert_eq!(
            status,
            StatusCode::UNAUTHORIZED,
            "{}: {body}",
            operation.name
        );
        let (status, _, body) = ask(other.clone(), request()).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{}", operation.name);
        assert_eq!(body[0]["code"], "method_not_allowed");
    }
    // What neither answers is refused by both in the same way.
    for router in [&reading, &changing] {
        for (method, path, expected) in [
            ("PATCH", "/v1/files", StatusCode::METHOD_NOT_ALLOWED),
            ("POST", "/", StatusCode::METHOD_NOT_ALLOWED),
            ("POST", "/openapi.json", StatusCode::METHOD_NOT_ALLOWED),
            ("POST", "/v1/nowhere", StatusCode::NOT_FOUND),
        ] {
            let request = Request::builder().method(method).uri(path);
            let request = request.body(Body::empty()).unwrap();
            let (status, headers, _) = ask(router.clone(), request).await;
            assert_eq!(status, expected, "{method} {path}");
            assert_eq!(
                headers.contains_key(ALLOW),
                status == StatusCode::METHOD_NOT_ALLOWED
            );
        }
    }
}
