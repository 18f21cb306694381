//! The API through the local gateway, compared with its routes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests, which connect as a client does"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use weir_api::{Api, Gateway};
use weir_local::system::{Ports, System, SystemOptions};
use weir_runtime::{Clock, Metrics, Random};
use weir_simulator::Faults;

struct Scene {
    system: System,
    _folder: tempfile::TempDir,
}

/// What is compared of an answer: the status, `Allow`, and the body.
type Answer = (StatusCode, Option<String>, String);

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SystemOptions {
            data: folder.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            ports: Ports::default(),
            faults: Faults::default(),
            seed: 1,
            register_sellers_of: None,
            sweep_every: Duration::from_secs(5),
            settings: Vec::new(),
        };
        Self {
            system: System::start(options).await.unwrap(),
            _folder: folder,
        }
    }

    /// What the gateway sends back for the bytes of a request.
    async fn send(&self, request: Vec<u8>) -> String {
        let addr = self.system.ready().api.replace("http://", "");
        let exchange = move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            // Whoever refuses a request early does not read it to its end.
            let _ = stream.write_all(&request);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8(answer).unwrap()
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }

    /// The answer through the gateway.
    async fn ask(&self, method: &str, target: &[u8], body: &[u8]) -> Answer {
        let key = &self.system.ready().api_key;
        let mut request = method.as_bytes().to_vec();
        request.push(b' ');
        request.extend_from_slice(target);
        let head = format!(
            " HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {key}\r\n\
             x-correlation-id: c-1\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body);
        answer(&self.send(request).await)
    }

    /// The answer of the routes themselves.
    async fn direct(&self, method: &str, target: Uri) -> Answer {
        let (clock, random) = (Clock::system(), Random::system());
        let metrics = Metrics::discarded(clock.clone());
        let api = Api::new(self.system.store().clone(), clock, random, metrics);
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::AUTHORIZATION, &self.system.ready().api_key)
            .header(header::CONTENT_TYPE, "text/xml")
            .header("x-correlation-id", "c-1");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let gateway = Gateway {
            authorised_by_iam: false,
            within: Duration::from_secs(20),
        };
        let response = gateway.answer(api.router(), request).await;
        let (head, body) = response.into_parts();
        let allow = head.headers.get(header::ALLOW);
        let allow = allow.map(|allow| allow.to_str().unwrap().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        (
            head.status,
            allow,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }
}

fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let allow = head.lines().find_map(|line| line.strip_prefix("allow: "));
    (status, allow.map(str::to_owned), body.to_owned())
}

/// Targets as a client may write them: known paths, and any bytes.
fn targets() -> impl Strategy<Value = Vec<u8>> {
    let segment = prop_oneof![
        Just(b"v1".to_vec()),
        Just(b"files".to_vec()),
        Just(b"batches".to_vec()),
        Just(b"settlements".to_vec()),
        Just(b"8a0b7c6d-0000-8000-8000-000000000001".to_vec()),
        Just(b"..".to_vec()),
        Just(b"%2e%2E".to_vec()),
        Just(b"%".to_vec()),
        any::<u8>().prop_map(|byte| format!("%{byte:02X}").into_bytes()),
        proptest::collection::vec(0x21_u8.., 0..6),
    ];
    let known = prop_oneof![
        Just(""),
        Just("/v1/files/8a0b7c6d-0000-8000-8000-000000000001"),
        Just("/v1/files/8a0b7c6d-0000-8000-8000-000000000001/batches"),
        Just("/v1/settlements"),
    ];
    let rest = proptest::collection::vec(segment.clone(), 0..4);
    let query = proptest::option::of(proptest::collection::vec(segment, 0..4));
    (known, rest, query).prop_map(|(known, rest, query)| {
        let mut target = known.as_bytes().to_vec();
        for segment in rest {
            target.push(b'/');
            target.extend(segment);
        }
        if target.is_empty() {
            target.push(b'/');
        }
        if let Some(query) = query {
            target.push(b'?');
            target.extend(query.join(&b'='));
        }
        // What follows it is a fragment, which no client sends.
        target.retain(|byte| *byte != b'#');
        target
    })
}

#[test]
fn any_target_is_answered_through_the_gateway_as_by_the_routes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(Scene::set());
    let methods = prop_oneof![Just("GET"), Just("POST"), Just("DELETE"), Just("BREW")];
    let mut runner = TestRunner::new(Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&(methods, targets()), |(method, target)| {
        let (shown, direct) = runtime.block_on(async {
            let shown = scene.ask(method, &target, b"").await;
            // What is no target is refused before anybody is asked.
            match Uri::try_from(target.as_slice()) {
                Ok(uri) => (shown, Some(scene.direct(method, uri).await)),
                Err(_) => (shown, None),
            }
        });
        if let Some(direct) = direct {
            prop_assert_eq!(shown, direct);
        } else {
            prop_assert_eq!(shown.0, StatusCode::BAD_REQUEST);
        }
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(scene.system.stop()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_by_whoever_meets_it_first() {
    let scene = Scene::set().await;
    let code = |body: &str| -> Value { serde_json::from_str(body).unwrap() };
    let mib = 1024 * 1024;
    // The function's own limit, then what an event can hold, then what the gateway takes.
    let (status, _, body) = scene
        .ask("POST", b"/v1/settlements", &vec![b' '; 4 * mib + 1])
        .await;
    assert_eq!(
        (status.as_u16(), &code(&body)[0]["code"]),
        (413, &"payload_too_large".into())
    );
    for bytes in [6 * mib, 10 * mib, 10 * mib + 1] {
        let (status, _, body) = scene
            .ask("POST", b"/v1/settlements", &vec![b' '; bytes])
            .await;
        let expected = (413, &"Request Entity Too Large".into());
        assert_eq!(
            (status.as_u16(), &code(&body)["message"]),
            expected,
            "{bytes}"
        );
    }
    scene.system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_functions_answer_for_every_path_in_the_form_of_the_api() {
    let scene = Scene::set().await;
    for (method, target, status, allow) in [
        ("GET", "/v1/settlements", 405, Some("POST")),
        ("PUT", "/v1/settlements", 405, Some("POST")),
        ("DELETE", "/v1/files/x", 405, Some("GET,HEAD,PUT")),
        ("DELETE", "/v1/batches/x", 405, Some("GET,HEAD")),
        ("GET", "/v1/nothing", 404, None),
        ("POST", "/v1/nothing", 404, None),
    ] {
        let (shown, allowed, body) = scene.ask(method, target.as_bytes(), b"").await;
        assert_eq!(
            (shown.as_u16(), allowed.as_deref()),
            (status, allow),
            "{method} {target}"
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body[0]["code"].is_string() && body[0]["message"].is_string());
    }
    let (shown, _, body) = scene.ask("HEAD", b"/v1/files/x", b"").await;
    assert_eq!((shown.as_u16(), body.as_str()), (400, ""));
    scene.system.stop().await.unwrap();
}
