//! Who asks, by key and by a gateway in front, against the table of keys.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::time::Duration;

use aws_credential_types::Credentials;
use axum::Router;
use axum::body::{Body, to_bytes};
use chrono::{DateTime, TimeDelta, Utc};
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_api::{Api, AuthOptions, Gateway};
use weir_domain::Permission;
use weir_local::embedded::{ACCESS_KEY_ID, Dynamodb, Outside, REGION, SECRET_ACCESS_KEY};
use weir_runtime::{AwsClients, AwsOptions, Clock, ManualClock, Metrics, Random, Reader};
use weir_store::{ApiKeyHash, ApiKeyRecord, Names, Store};

const KEY: &str = "5d1f6c1e-1111-4222-8333-944444444444";
/// Needs `files:read`; there is no such file.
const FILE: &str = "/v1/files/8a0b7c6d-0000-8000-8000-000000000001";
const CLIENT: &str = "11111111-0000-4000-8000-000000000001";

/// The API on tables of its own, at a time that stands still until it is moved.
struct Scene {
    store: Store,
    clock: Clock,
    hand: ManualClock,
    auth: AuthOptions,
    router: Router,
    _dynamodb: Dynamodb,
}

impl Scene {
    async fn set(auth: AuthOptions) -> Self {
        let dynamodb = Dynamodb::start(None, None, Outside::system()).unwrap();
        let credentials = Credentials::from_keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None);
        let options = AwsOptions {
            endpoint_dynamodb: Some(dynamodb.endpoint()),
            credentials: Some(credentials),
            ..AwsOptions::new(REGION)
        };
        let prefix = ("WEIR_TABLE_PREFIX".to_owned(), "weir-".to_owned());
        let names = Names::read_tables(&mut Reader::new([prefix]));
        let (clock, hand) = Clock::manual("2026-11-22T12:00:00Z".parse().unwrap());
        let random = Random::seeded(7);
        let clients = AwsClients::new(&options).await;
        let store = Store::new(clients, names, clock.clone(), random.clone());
        store.create_tables().await.unwrap();
        let metrics = Metrics::discarded(clock.clone());
        let api = Api::new(store.clone(), clock.clone(), random, metrics).with_auth(auth);
        Self {
            store,
            clock,
            hand,
            auth,
            router: api.router(),
            _dynamodb: dynamodb,
        }
    }

    fn record(&self, permissions: &[&str]) -> ApiKeyRecord {
        ApiKeyRecord {
            id: Uuid::from_u128(7),
            name: "tests".to_owned(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            client_id: None,
            program_id: None,
            seller_id: None,
            created_at: self.clock.now(),
            expires_at: None,
            revoked_at: None,
        }
    }

    async fn put(&self, record: &ApiKeyRecord) {
        let hash = ApiKeyHash::of(KEY);
        self.store.put_api_key(&hash, record).await.unwrap();
    }

    /// The answer's status and, of an error, its code and message.
    async fn ask(&self, headers: &[(&str, &str)], by_iam: bool) -> (StatusCode, String, String) {
        let mut request = Request::get(FILE);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let gateway = Gateway {
            authorised_by_iam: by_iam,
            within: Duration::from_secs(20),
        };
        let request = request.body(Body::empty()).unwrap();
        let response = gateway.answer(self.router.clone(), request).await;
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let text = |name: &str| body[0][name].as_str().unwrap().to_owned();
        (status, text("code"), text("message"))
    }

    async fn ask_with(&self, key: &str) -> (StatusCode, String, String) {
        assert_eq!(self.auth, AuthOptions::Keys);
        self.ask(&[(AUTHORIZATION.as_str(), key)], false).await
    }

    async fn is_known(&self) -> bool {
        // The file does not exist: whoever is let in learns that.
        match self.ask_with(KEY).await {
            (StatusCode::NOT_FOUND, ..) => true,
            (StatusCode::UNAUTHORIZED, code, _) if code == "unauthenticated" => false,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_key_is_refused_with_the_reason() {
    let scene = Scene::set(AuthOptions::Keys).await;
    let now = scene.clock.now();
    let second = TimeDelta::seconds(1);
    let with = |expires_at: Option<DateTime<Utc>>, revoked_at| ApiKeyRecord {
        expires_at,
        revoked_at,
        ..scene.record(&["files:read"])
    };
    for (record, expected) in [
        (None, "The API key is not known."),
        (Some(with(Some(now), None)), "The API key has expired."),
        (Some(with(None, Some(now))), "The API key has been revoked."),
        (
            Some(with(Some(now), Some(now))),
            "The API key has been revoked.",
        ),
    ] {
        if let Some(record) = &record {
            scene.put(record).await;
        }
        let (status, code, message) = scene.ask_with(KEY).await;
        assert_eq!((status.as_u16(), code.as_str()), (401, "unauthenticated"));
        assert_eq!(message, expected);
        scene.hand.advance(Duration::from_mins(1));
    }
    scene
        .put(&with(Some(scene.clock.now() + second), None))
        .await;
    assert!(scene.is_known().await);
    scene.hand.advance(Duration::from_secs(1));
    // A remembered key expires at its time all the same.
    let (_, _, message) = scene.ask_with(KEY).await;
    assert_eq!(message, "The API key has expired.");

    for (key, expected) in [
        ("", "The API key must be a UUID."),
        ("Bearer", "The API key must be a UUID."),
        (&format!("Bearer {KEY}"), "The API key must be a UUID."),
        (&KEY[1..], "The API key must be a UUID."),
    ] {
        let (status, code, message) = scene.ask_with(key).await;
        assert_eq!((status.as_u16(), code.as_str()), (401, "unauthenticated"));
        assert_eq!(message, expected, "{key}");
    }
    let (status, _, message) = scene.ask(&[], false).await;
    assert_eq!(
        (status.as_u16(), message.contains("Send your API key")),
        (401, true)
    );
    let twice = [(AUTHORIZATION.as_str(), KEY); 2];
    let (status, _, message) = scene.ask(&twice, false).await;
    assert_eq!(
        (status.as_u16(), message.contains("one Authorization")),
        (401, true)
    );
}

#[tokio::test]
async fn a_revoked_key_stops_within_a_minute_and_not_before_it_is_asked_for_again() {
    let scene = Scene::set(AuthOptions::Keys).await;
    let record = scene.record(&["files:read"]);
    scene.put(&record).await;
    assert!(scene.is_known().await);
    assert!(
        scene
            .store
            .revoke_api_key(record.id, scene.clock.now())
            .await
            .unwrap()
    );
    scene.hand.advance(Duration::from_millis(59_999));
    assert!(scene.is_known().await);
    scene.hand.advance(Duration::from_millis(1));
    assert!(!scene.is_known().await);
}

#[tokio::test]
async fn an_unknown_key_is_not_remembered_so_a_new_one_works_at_once() {
    let scene = Scene::set(AuthOptions::Keys).await;
    assert!(!scene.is_known().await);
    scene.put(&scene.record(&["files:read"])).await;
    assert!(scene.is_known().await);
}

#[tokio::test]
async fn only_the_permission_of_an_operation_opens_it() {
    let scene = Scene::set(AuthOptions::Keys).await;
    let others = Permission::ALL.iter().map(|permission| permission.name());
    let mut granted: Vec<_> = others.filter(|name| *name != "files:read").collect();
    granted.extend(["", "files", "files:*", "*", "Files:Read", "files:read "]);
    scene.put(&scene.record(&granted)).await;
    let (status, code, message) = scene.ask_with(KEY).await;
    assert_eq!((status.as_u16(), code.as_str()), (403, "unauthorized"));
    assert_eq!(
        message,
        "You may not do this: it needs the permission files:read."
    );
}

fn who() -> Value {
    json!({"version": "1.0.0", "id": "0b9a2b9e-0d5d-4f0b-8f5b-6f0f4a6a2b11", "name": "Größe"})
}

fn may() -> Value {
    json!({"version": "1.0.0", "permissions": ["files:read"], "scope": {"client_id": CLIENT}})
}

async fn upstream(
    scene: &Scene,
    who: &Value,
    may: &Value,
    by_iam: bool,
) -> (StatusCode, String, String) {
    let (who, may) = (who.to_string(), may.to_string());
    let headers = [
        ("X-Authenticated-Request", who.as_str()),
        ("X-Authenticated-Request-Permissions", may.as_str()),
    ];
    scene.ask(&headers, by_iam).await
}

#[tokio::test]
async fn in_mode_upstream_the_gateway_in_front_says_who_asks() {
    let scene = Scene::set(AuthOptions::Upstream).await;
    let (status, ..) = upstream(&scene, &who(), &may(), true).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let mut extended = who();
    extended["more"] = json!(1);
    let mut open = may();
    open["scope"] = json!({});
    assert_eq!(
        upstream(&scene, &extended, &open, true).await.0,
        StatusCode::NOT_FOUND
    );

    let mut little = may();
    little["permissions"] = json!(["batches:read", "unheard:of"]);
    let (status, code, _) = upstream(&scene, &who(), &little, true).await;
    assert_eq!((status.as_u16(), code.as_str()), (403, "unauthorized"));
}

#[tokio::test]
async fn in_mode_upstream_nobody_is_believed_but_through_iam() {
    let scene = Scene::set(AuthOptions::Upstream).await;
    scene.put(&scene.record(&["files:read"])).await;
    let (status, code, message) = upstream(&scene, &who(), &may(), false).await;
    assert_eq!((status.as_u16(), code.as_str()), (401, "unauthenticated"));
    assert!(message.contains("IAM"), "{message}");
    // Nor does a key count, with IAM or without.
    for by_iam in [false, true] {
        let (status, ..) = scene.ask(&[(AUTHORIZATION.as_str(), KEY)], by_iam).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn in_mode_upstream_a_payload_that_cannot_be_read_is_refused_by_name() {
    let scene = Scene::set(AuthOptions::Upstream).await;
    let set = |mut payload: Value, pointer: &str, value: Value| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        payload.pointer_mut(parent).unwrap()[name] = value;
        payload
    };
    let bad_who = [
        (json!("x"), "JSON object"),
        (json!([]), "JSON object"),
        (json!(["1.0.0", Uuid::nil(), "x"]), "JSON object"),
        (json!({}), "JSON object"),
        (set(who(), "/version", json!("1.0.1")), "version 1.0.0"),
        (set(who(), "/version", json!("1.0")), "version 1.0.0"),
        (set(who(), "/version", json!(1)), "JSON object"),
        (set(who(), "/id", json!("7")), "JSON object"),
        (set(who(), "/id", Value::Null), "JSON object"),
        (set(who(), "/name", Value::Null), "JSON object"),
    ];
    let bad_may = [
        (json!({"version": "1.0.0"}), "JSON object"),
        (set(may(), "/version", json!("2.0.0")), "version 1.0.0"),
        (
            set(may(), "/permissions", json!("files:read")),
            "JSON object",
        ),
        (set(may(), "/permissions", json!([1])), "JSON object"),
        (set(may(), "/scope", Value::Null), "JSON object"),
        (set(may(), "/scope/client_id", json!("x")), "JSON object"),
        (set(may(), "/scope/clientId", json!(CLIENT)), "JSON object"),
    ];
    let bad_who = bad_who.map(|(bad, why)| (bad, may(), "X-Authenticated-Request must", why));
    let permissions = "X-Authenticated-Request-Permissions must";
    let bad_may = bad_may.map(|(bad, why)| (who(), bad, permissions, why));
    for (who, may, header, why) in bad_who.into_iter().chain(bad_may) {
        let (status, code, message) = upstream(&scene, &who, &may, true).await;
        let told = (status.as_u16(), code.as_str());
        assert_eq!(told, (401, "unauthenticated"), "{who} {may}");
        assert!(
            message.starts_with(header) && message.contains(why),
            "{message}"
        );
    }
    let (who, may) = (who().to_string(), may().to_string());
    let (who, may) = (
        ("X-Authenticated-Request", who.as_str()),
        ("X-Authenticated-Request-Permissions", may.as_str()),
    );
    for (headers, expected) in [
        (
            &[who][..],
            "X-Authenticated-Request-Permissions header is missing",
        ),
        (&[may], "X-Authenticated-Request header is missing"),
        (
            &[who, who, may],
            "X-Authenticated-Request header must be given once",
        ),
        (
            &[who, may, may],
            "X-Authenticated-Request-Permissions header must be given once",
        ),
    ] {
        let (status, _, message) = scene.ask(headers, true).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn in_mode_keys_the_headers_of_a_gateway_in_front_change_nothing() {
    let scene = Scene::set(AuthOptions::Keys).await;
    let (who, may) = (who().to_string(), may().to_string());
    for (who, may) in [(who.as_str(), may.as_str()), ("broken", "")] {
        let sent = [
            ("X-Authenticated-Request", who),
            ("X-Authenticated-Request-Permissions", may),
        ];
        let keyed = [sent[0], sent[1], (AUTHORIZATION.as_str(), KEY)];
        for by_iam in [false, true] {
            scene.put(&scene.record(&[])).await;
            scene.hand.advance(Duration::from_mins(1));
            let (status, _, message) = scene.ask(&sent, by_iam).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            assert!(message.contains("API key"), "{message}");
            assert_eq!(scene.ask(&keyed, by_iam).await.0, StatusCode::FORBIDDEN);
            scene.put(&scene.record(&["files:read"])).await;
            scene.hand.advance(Duration::from_mins(1));
            assert_eq!(scene.ask(&keyed, by_iam).await.0, StatusCode::NOT_FOUND);
        }
    }
}

#[test]
fn the_mode_is_read_by_its_name_and_is_keys_by_default() {
    for (value, expected) in [
        ("", Some(AuthOptions::Keys)),
        ("keys", Some(AuthOptions::Keys)),
        ("upstream", Some(AuthOptions::Upstream)),
        ("Keys", None),
        ("none", None),
    ] {
        let mut reader = Reader::new([("WEIR_API_AUTH".to_owned(), value.to_owned())]);
        let read = AuthOptions::read(&mut reader);
        assert_eq!(reader.finish().ok().map(|()| read), expected, "{value}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_done_in_time_is_to_be_tried_again() {
    let scene = Scene::set(AuthOptions::Keys).await;
    scene.put(&scene.record(&["files:read"])).await;
    let request = Request::get(FILE).header(AUTHORIZATION, KEY);
    let request = request.header("X-Correlation-Id", "c-1");
    let gateway = Gateway {
        authorised_by_iam: false,
        within: Duration::ZERO,
    };
    let request = request.body(Body::empty()).unwrap();
    let response = gateway.answer(scene.router.clone(), request).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    assert_eq!(response.headers()["x-correlation-id"], "c-1");
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body[0]["code"], "unavailable");
}
