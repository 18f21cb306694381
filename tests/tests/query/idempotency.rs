//! A `POST` with an `Idempotency-Key` runs once.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_api::{Api, BODY_BYTES_MAX, operations};
use weir_domain::Permission;
use weir_query::Scope;
use weir_runtime::Metrics;
use weir_store::Store;

use crate::asking::{Answered, Asked, answered};
use crate::reference_changes::id_of;
use crate::schema::{is_error, places};

/// A world of its own, since its time is moved on.
pub(crate) struct World {
    pub(crate) asked: Asked,
    pub(crate) router: Router,
    /// A key of everything.
    pub(crate) caller: String,
    /// Where the customers of a program are made.
    pub(crate) customers: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let asked = Asked::bare();
        let (program, client) = asked.world.programs[0];
        Self {
            router: router(&asked, asked.parts.store.clone()),
            caller: asked.key(Permission::ALL, Scope::default()),
            customers: format!("/v1/clients/{client}/programs/{program}/customers"),
            asked,
        }
    }

    pub(crate) fn send(&self, request: Request<Body>) -> Answered {
        self.asked.wait(answered(self.router.clone(), request))
    }

    /// Asks for a customer under a key.
    pub(crate) fn create(&self, caller: &str, key: &str, name: &str) -> Answered {
        self.send(post(caller, key, &self.customers, &json!({"name": name})))
    }

    /// The ids of the customers with a name.
    pub(crate) fn named(&self, name: &str) -> Vec<String> {
        let target = format!("{}?name={name}&page_size=250", self.customers);
        let found = self.asked.get(&self.caller, &target);
        found.rows().iter().map(id_of).collect()
    }

    pub(crate) fn jump(&self, by: Duration) {
        self.asked.parts.timeline.jump(by);
    }
}

/// The API on a store.
pub(crate) fn router(asked: &Asked, store: Store) -> Router {
    let clock = asked.parts.timeline.clock().clone();
    let metrics = Metrics::discarded(clock.clone());
    // Shared, so that no two routers draw the same.
    Api::new(store, clock, asked.parts.random.clone(), metrics).router()
}

pub(crate) fn post(caller: &str, key: &str, target: &str, body: &Value) -> Request<Body> {
    Request::post(target)
        .header("Authorization", caller)
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", key)
        .body(body.to_string().into())
        .unwrap()
}

pub(crate) fn is_replayed(answered: &Answered) -> bool {
    let header = answered.headers.get("idempotent-replayed");
    header.is_some_and(|value| value == "true")
}

/// Fails unless an answer is the first one, given again.
pub(crate) fn is_again(first: &Answered, again: &Answered) {
    assert!(is_replayed(again), "{again:?}");
    assert_eq!(
        (again.status, &again.text),
        (first.status, &first.text),
        "the first answer"
    );
    let kind = |answered: &Answered| answered.headers.get("content-type").cloned();
    assert_eq!(kind(again), kind(first));
}

#[test]
fn the_same_request_again_gets_the_first_answer_and_does_nothing() {
    let world = World::new();
    let first = world.create(&world.caller, "k", "Tailspin");
    assert_eq!(first.status, 200, "{}", first.text);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let id: Uuid = id_of(&first.body).parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let mut correlations = vec![first.headers["x-correlation-id"].clone()];
    for _ in 0..3 {
        let again = world.create(&world.caller, "k", "Tailspin");
        is_again(&first, &again);
        correlations.push(again.headers["x-correlation-id"].clone());
    }
    correlations.sort();
    correlations.dedup();
    assert_eq!(correlations.len(), 4, "each has its own correlation id");
    assert_eq!(world.named("Tailspin"), [id.to_string()]);
    // What has become of it since is not what was answered.
    let own = format!("{}/{id}", world.customers);
    let delete = world.asked.send(Method::DELETE, &world.caller, &own);
    assert_eq!(delete.status, 200);
    is_again(&first, &world.create(&world.caller, "k", "Tailspin"));
    assert!(world.named("Tailspin").is_empty());
}

#[test]
fn every_caller_has_keys_of_its_own_and_every_key_a_request() {
    let world = World::new();
    let other = world.asked.key(Permission::ALL, Scope::default());
    let first = world.create(&world.caller, "k", "Tailspin");
    let theirs = world.create(&other, "k", "Tailspin");
    let next = world.create(&world.caller, "l", "Tailspin");
    for another in [&theirs, &next] {
        assert_eq!(another.status, 200, "{}", another.text);
        assert!(!is_replayed(another));
        assert_ne!(another.text, first.text);
    }
    is_again(&theirs, &world.create(&other, "k", "Tailspin"));
    assert_eq!(world.named("Tailspin").len(), 3);
}

#[test]
fn another_request_under_the_key_is_a_conflict_and_does_nothing() {
    let world = World::new();
    let first = world.create(&world.caller, "k", "Tailspin");
    let elsewhere = {
        let (program, client) = world.asked.world.programs[1];
        format!("/v1/clients/{client}/programs/{program}/customers")
    };
    let id = Uuid::from_u128(77);
    let with_id = format!("{}/{id}", world.customers);
    for (target, name) in [
        (&world.customers, "Other"),
        (&elsewhere, "Tailspin"),
        (&with_id, "Tailspin"),
        (&format!("{}?a=b", world.customers), "Tailspin"),
    ] {
        let body = json!({"name": name});
        let answered = world.send(post(&world.caller, "k", target, &body));
        is_error(&answered, 409, "conflict");
        assert!(answered.text.contains("another request"));
        assert!(!answered.headers.contains_key("retry-after"));
        assert!(!is_replayed(&answered));
    }
    is_again(&first, &world.create(&world.caller, "k", "Tailspin"));
    assert_eq!(world.named("Tailspin").len(), 1);
    assert!(world.named("Other").is_empty());
}

#[test]
fn an_error_that_stays_is_given_again_and_one_that_says_nothing_was_done_is_not() {
    let world = World::new();
    let caller = world.caller.as_str();
    let schema = || world.create(caller, "schema", &"n".repeat(10_000));
    let first = schema();
    assert_eq!(first.status, 400);
    is_again(&first, &schema());
    let nowhere = world.customers.replace("/programs/", "/programs/0");
    let send = |key: &str, target: &str| {
        world.send(post(caller, key, target, &json!({"name": "Tailspin"})))
    };
    let first = send("path", &nowhere);
    assert_eq!(places(&first), ["/path/program_id"]);
    is_again(&first, &send("path", &nowhere));
    let (_, client) = world.asked.world.programs[0];
    let unknown = format!(
        "/v1/clients/{client}/programs/{}/customers",
        Uuid::from_u128(4)
    );
    let first = send("unknown", &unknown);
    is_error(&first, 404, "resource_not_found");
    is_again(&first, &send("unknown", &unknown));

    // Each of these leaves the key free for another request.
    let with = |kind: &str, length: usize| {
        let mut request = post(caller, "free", &world.customers, &json!({}));
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        *request.body_mut() = Body::from(vec![b' '; length]);
        world.send(request)
    };
    is_error(&with("text/csv", 2), 415, "unsupported_media_type");
    is_error(&with("application/json", 65_537), 413, "payload_too_large");
    let too_large = with("application/json", BODY_BYTES_MAX + 1);
    is_error(&too_large, 413, "payload_too_large");
    let clients = world.send(post(caller, "free", "/v1/clients", &json!({"name": "C"})));
    assert_eq!(clients.status, 200, "{}", clients.text);
    assert!(!is_replayed(&clients));
    // So does what the scope forbids.
    let scope = Scope {
        client_id: Some(client),
        ..Scope::default()
    };
    let narrow = world.asked.key(Permission::ALL, scope);
    let body = json!({"name": "Tailspin"});
    let refused = world.send(post(&narrow, "free", "/v1/clients", &body));
    is_error(&refused, 403, "unauthorized");
    let done = world.create(&narrow, "free", "Tailspin");
    assert_eq!(done.status, 200, "{}", done.text);
}

#[test]
fn whoever_may_not_ask_is_told_nothing_and_leaves_nothing() {
    let world = World::new();
    let reader = world
        .asked
        .key(&[Permission::ReferenceRead], Scope::default());
    let stranger = Uuid::from_u128(9).to_string();
    let refused = |caller: &str, status, code| {
        is_error(&world.create(caller, "k", "Tailspin"), status, code);
        // Not even that the key is not valid.
        is_error(&world.create(caller, "not valid", "x"), status, code);
    };
    refused(&reader, 403, "unauthorized");
    refused(&stranger, 401, "unauthenticated");
    let first = world.create(&world.caller, "k", "Tailspin");
    assert_eq!(first.status, 200);
    refused(&reader, 403, "unauthorized");
    refused(&stranger, 401, "unauthenticated");
    is_again(&first, &world.create(&world.caller, "k", "Tailspin"));
}

#[test]
fn a_key_has_1_to_255_visible_characters_and_comes_once() {
    let world = World::new();
    for (key, is_taken) in [
        ("a", true),
        (&*"k".repeat(254), true),
        (&*"k".repeat(255), true),
        (&*"k".repeat(256), false),
        ("", false),
        ("a b", false),
    ] {
        let answered = world.create(&world.caller, key, "Tailspin");
        if is_taken {
            assert_eq!(answered.status, 200, "{}", answered.text);
        } else {
            assert_eq!(places(&answered), ["/headers/Idempotency-Key"]);
        }
    }
    let mut twice = post(&world.caller, "a", &world.customers, &json!({}));
    twice
        .headers_mut()
        .append("idempotency-key", "a".parse().unwrap());
    assert_eq!(places(&world.send(twice)), ["/headers/Idempotency-Key"]);
}

#[test]
fn an_answer_is_given_again_for_a_day_and_then_the_request_runs_anew() {
    let world = World::new();
    let first = world.create(&world.caller, "k", "Tailspin");
    let (nearly, some) = (Duration::from_mins(24 * 60 - 1), Duration::from_mins(1));
    world.jump(nearly);
    is_again(&first, &world.create(&world.caller, "k", "Tailspin"));
    // The day begins with the first answer, and not anew with each repetition.
    world.jump(some);
    let anew = world.create(&world.caller, "k", "Other");
    assert_eq!(anew.status, 200, "{}", anew.text);
    assert!(!is_replayed(&anew));
    is_again(&anew, &world.create(&world.caller, "k", "Other"));
    assert_eq!(world.named("Tailspin").len(), 1);
    assert_eq!(world.named("Other").len(), 1);
}

#[test]
fn only_a_post_takes_the_header() {
    let world = World::new();
    let first = world.create(&world.caller, "k", "Tailspin");
    let own = format!("{}/{}", world.customers, id_of(&first.body));
    for name in ["One", "Two"] {
        for key in ["k", "not valid"] {
            let mut request = post(&world.caller, key, &own, &json!({"name": name}));
            *request.method_mut() = Method::PUT;
            let put = world.send(request);
            assert_eq!(put.body["name"], name, "{}", put.text);
            assert!(!is_replayed(&put));
        }
    }
}

#[test]
fn every_post_that_must_run_once_says_that_it_takes_the_header_and_no_more_than_it_can_keep() {
    let world = World::new();
    let document = weir_api::document();
    let mut posts = 0;
    for operation in operations() {
        let method = operation.method.as_str().to_lowercase();
        let described = &document["paths"][operation.path][&method];
        let parameters = described["parameters"].as_array().unwrap();
        let header = parameters
            .iter()
            .find(|one| one["in"] == "header" && one["name"] == "Idempotency-Key");
        let may_repeat = [
            "/v1/settlements/uploads/{file_id}/parts",
            "/v1/settlements/uploads/{file_id}/complete",
        ];
        let must_run_once =
            operation.method == Method::POST && !may_repeat.contains(&operation.path);
        assert_eq!(header.is_some(), must_run_once, "{}", operation.path);
        let replayed = &described["responses"]["200"]["headers"]["Idempotent-Replayed"];
        assert_eq!(replayed.is_object(), must_run_once, "{}", operation.path);
        let Some(header) = header else {
            continue;
        };
        posts += 1;
        assert_eq!(header["schema"]["maxLength"], 255);
        assert!(described["responses"]["409"].is_object());
        let mut target = operation.path.to_owned();
        for name in operation.path_ids() {
            target = target.replace(&format!("{{{name}}}"), &Uuid::from_u128(5).to_string());
        }
        let (program, client) = world.asked.world.programs[0];
        let scope = Scope {
            client_id: Some(client),
            program_id: Some(program),
            seller_id: None,
        };
        let is_file = ["/v1/settlements", "/v1/files"]
            .iter()
            .any(|path| operation.path.starts_with(path));
        let caller = if is_file {
            &world.asked.key(Permission::ALL, scope)
        } else {
            &world.caller
        };
        let mut request = post(caller, "k", &target, &json!({}));
        // One that takes no body lets none be sent without end either.
        if let Some(content) = described["requestBody"]["content"].as_object() {
            let kind = content.keys().next().unwrap().parse().unwrap();
            request.headers_mut().insert("content-type", kind);
        }
        *request.body_mut() = Body::from(vec![b' '; BODY_BYTES_MAX + 1]);
        let answered = world.send(request);
        is_error(&answered, 413, "payload_too_large");
    }
    assert!(posts > 10, "{posts}");
}
