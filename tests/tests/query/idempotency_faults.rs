//! A `POST` with an `Idempotency-Key` is cut off anywhere, meets itself, or loses its requests on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use axum::Router;
use axum::body::Body;
use http::Request;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;
use weir_domain::Permission;
use weir_query::Scope;
use weir_runtime::Random;
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};

use crate::asking::{Answered, answered};
use crate::idempotency::{World, is_again, is_replayed, post, router};
use crate::reference_changes::id_of;
use crate::schema::is_error;

/// Longer than any lease.
const PAST_THE_LEASE: Duration = Duration::from_secs(40);

/// Stops at one request of the AWS clients, before it is sent or once it has taken effect, until it is told
/// to go on.
#[derive(Debug, Clone)]
struct Cut {
    inner: SharedHttpClient,
    at: Arc<Place>,
}

#[derive(Debug, Default)]
pub(crate) struct Place {
    /// How many requests there are to be until then, that one included.
    left: AtomicI64,
    is_after: bool,
    pub(crate) reached: Notify,
    go: Notify,
}

impl HttpClient for Cut {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(CutConnector {
            inner: self.inner.http_connector(settings, components),
            at: Arc::clone(&self.at),
        })
    }
}

#[derive(Debug)]
struct CutConnector {
    inner: SharedHttpConnector,
    at: Arc<Place>,
}

impl HttpConnector for CutConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, at) = (self.inner.clone(), Arc::clone(&self.at));
        if at.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return inner.call(request);
        }
        HttpConnectorFuture::new(async move {
            if at.is_after {
                let answer = inner.call(request).await;
                at.reached.notify_one();
                at.go.notified().await;
                return answer;
            }
            at.reached.notify_one();
            at.go.notified().await;
            inner.call(request).await
        })
    }
}

impl World {
    /// The API on a store that stops at a request.
    pub(crate) fn cut_at(&self, number: i64, is_after: bool) -> (Router, Arc<Place>) {
        let at = Arc::new(Place {
            left: AtomicI64::new(number),
            is_after,
            ..Place::default()
        });
        let parts = &self.asked.parts;
        let cut = Cut {
            inner: parts.network.aws.clone(),
            at: Arc::clone(&at),
        };
        let store = parts.store_through(SharedHttpClient::new(cut));
        (router(&self.asked, self.asked.wait(store)), at)
    }
}

/// The ids of what the request with a number has made.
type Made = Box<dyn Fn(&World, u64) -> Vec<String>>;

/// A kind of request, with what tells how many things it has made.
struct Kind {
    name: &'static str,
    /// The request with a number, so that each crash is one of its own.
    request: Box<dyn Fn(u64) -> Request<Body>>,
    made: Made,
}

fn kinds(world: &World) -> Vec<Kind> {
    let (caller, customers) = (world.caller.clone(), world.customers.clone());
    let sellers = customers.replace("/customers", "/sellers");
    let (program, client) = world.asked.world.programs[0];
    let scope = Scope {
        client_id: Some(client),
        program_id: Some(program),
        seller_id: None,
    };
    let narrow = world.asked.key(Permission::ALL, scope);
    let named = |world: &World, path: &str, name: &str| -> Vec<String> {
        let target = format!("{path}?name={name}&page_size=250");
        let found = world.asked.get(&world.caller, &target);
        found.rows().iter().map(id_of).collect()
    };
    let with_id = {
        let (caller, customers) = (caller.clone(), customers.clone());
        move |number: u64| {
            let id = Uuid::from_u64_pair(0x4000, 0x8000_0000_0000_0000 + number);
            let body = json!({"name": format!("id-{number}")});
            post(
                &caller,
                &format!("id-{number}"),
                &format!("{customers}/{id}"),
                &body,
            )
        }
    };
    let seller = {
        let (caller, sellers) = (caller.clone(), sellers.clone());
        move |number: u64| {
            let name = format!("seller-{number}");
            let body = json!({"name": name, "alternate_seller_id": name});
            post(&caller, &name, &sellers, &body)
        }
    };
    let file = move |number: u64| {
        let name = format!("file-{number}.xml");
        let mut request = post(&narrow, &name, "/v1/settlements", &json!({}));
        let headers = request.headers_mut();
        headers.insert("content-type", "application/xml".parse().unwrap());
        headers.insert("x-file-name", name.parse().unwrap());
        *request.body_mut() = format!("<a>{number}</a>").into();
        request
    };
    let by_name = move |path: String, prefix: &'static str| -> Made {
        Box::new(move |world, number| named(world, &path, &format!("{prefix}{number}")))
    };
    vec![
        Kind {
            name: "a customer under a new id",
            request: Box::new({
                let customers = customers.clone();
                move |number| {
                    let name = format!("new-{number}");
                    post(&caller, &name, &customers, &json!({"name": name}))
                }
            }),
            made: by_name(customers.clone(), "new-"),
        },
        Kind {
            name: "a customer under an id of the path",
            request: Box::new(with_id),
            made: by_name(customers, "id-"),
        },
        Kind {
            name: "a seller with an alternate id",
            request: Box::new(seller),
            made: by_name(sellers, "seller-"),
        },
        Kind {
            name: "a settlement file",
            request: Box::new(file),
            made: Box::new(move |world, number| {
                named(world, "/v1/files", &format!("file-{number}.xml"))
            }),
        },
    ]
}

/// Whether an answer says to send the request again.
fn is_later(answered: &Answered) -> bool {
    let later = answered.headers.contains_key("retry-after");
    assert_eq!(later, [409, 503].contains(&answered.status.as_u16()));
    later
}

/// Cuts a request off at a place; whether it got that far.
fn crash(world: &World, kind: &Kind, number: u64, at: i64, is_after: bool) -> bool {
    let (router, place) = world.cut_at(at, is_after);
    let request = (kind.request)(number);
    world.asked.wait(async {
        tokio::select! {
            biased;
            () = place.reached.notified() => true,
            done = answered(router, request) => {
                assert_eq!(done.status, 200, "{}: {}", kind.name, done.text);
                false
            }
        }
    })
}

#[test]
fn a_run_that_crashed_anywhere_is_run_again_and_makes_nothing_twice() {
    let world = World::new();
    for kind in kinds(&world) {
        let mut number = 0;
        for is_after in [false, true] {
            for at in 1.. {
                number += 1;
                let place = format!("{} at {at}, after: {is_after}", kind.name);
                if !crash(&world, &kind, number, at, is_after) {
                    assert!(at > 4, "{place}: it claims, works and keeps");
                    break;
                }
                let send = || world.send((kind.request)(number));
                let early = send();
                if early.status == 409 {
                    is_error(&early, 409, "conflict");
                    assert!(is_later(&early), "{place}");
                    world.jump(PAST_THE_LEASE);
                }
                let first = if early.status == 409 { send() } else { early };
                assert_eq!(first.status, 200, "{place}: {}", first.text);
                is_again(&first, &send());
                let made = (kind.made)(&world, number);
                assert_eq!(made, [id_of(&first.body)], "{place}");
            }
        }
    }
}

#[test]
fn of_two_at_the_same_time_one_runs_and_the_other_is_told_to_wait() {
    let world = World::new();
    let request = || {
        post(
            &world.caller,
            "k",
            &world.customers,
            &json!({"name": "Tailspin"}),
        )
    };
    // Before the third request of the store: the caller's key, the claim, and what the run reads.
    let (router, place) = world.cut_at(3, false);
    let (first, second) = world.asked.wait(async {
        let first = tokio::spawn(answered(router, request()));
        place.reached.notified().await;
        let second = answered(world.router.clone(), request()).await;
        place.go.notify_one();
        (first.await.unwrap(), second)
    });
    assert_eq!(first.status, 200, "{}", first.text);
    assert!(!is_replayed(&first));
    is_error(&second, 409, "conflict");
    let seconds: u64 = second.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    is_again(&first, &world.send(request()));
    assert_eq!(world.named("Tailspin").len(), 1);
}

#[test]
fn of_many_at_the_same_time_each_gets_the_one_answer_or_is_told_to_wait() {
    let world = World::new();
    for round in 0..5 {
        let name = format!("many-{round}");
        let all = (0..8).map(|_| {
            let request = post(
                &world.caller,
                &name,
                &world.customers,
                &json!({"name": name}),
            );
            answered(world.router.clone(), request)
        });
        let all = world.asked.wait(futures::future::join_all(all));
        let (later, done): (Vec<_>, Vec<_>) = all.into_iter().partition(is_later);
        assert_eq!(done.iter().filter(|one| !is_replayed(one)).count(), 1);
        assert!(done.iter().all(|one| one.text == done[0].text));
        for one in later {
            is_error(&one, 409, "conflict");
        }
        assert_eq!(world.named(&name), [id_of(&done[0].body)]);
    }
}

#[test]
fn a_run_that_comes_back_after_its_lease_answers_what_the_one_after_it_was_answered() {
    let world = World::new();
    let kinds = kinds(&world);
    let kind = &kinds[0];
    let mut met = 0;
    for (number, at) in (3..).zip(3..) {
        let (router, place) = world.cut_at(at, false);
        let request = (kind.request)(number);
        let both = world.asked.wait(async {
            let first = tokio::spawn(answered(router, request));
            tokio::select! {
                () = place.reached.notified() => {}
                () = async { while !first.is_finished() { tokio::task::yield_now().await; } } => {
                    return None;
                }
            }
            world.jump(PAST_THE_LEASE);
            let second = answered(world.router.clone(), (kind.request)(number)).await;
            place.go.notify_one();
            Some((first.await.unwrap(), second))
        });
        let Some((first, second)) = both else {
            break;
        };
        assert_eq!(second.status, 200, "{}", second.text);
        is_again(&second, &first);
        assert_eq!((kind.made)(&world, number), [id_of(&second.body)]);
        met += 1;
    }
    assert!(met > 2, "{met}");
}

#[test]
fn whatever_is_lost_on_the_way_a_request_has_one_answer_and_one_effect() {
    let world = World::new();
    let faults: Vec<(Fault, u64)> = Fault::ALL.map(|fault| (fault, 40)).into();
    let rates = [Service::Dynamodb, Service::S3]
        .into_iter()
        .fold(Rates::default(), |rates, service| {
            rates.of(service, &faults)
        });
    let parts = &world.asked.parts;
    let http = FaultyClient::new(
        parts.network.aws.clone(),
        rates,
        Random::seeded(11),
        parts.timeline.clock().clone(),
        Duration::from_millis(20),
    );
    let store = world.asked.wait(parts.store_through(http.shared()));
    let router = router(&world.asked, store);
    let mut answers: BTreeMap<(usize, u64), Answered> = BTreeMap::new();
    let mut replayed = 0;
    let kinds = kinds(&world);
    for number in 100..104 {
        for (index, kind) in kinds.iter().enumerate() {
            for _ in 0..4 {
                let request = (kind.request)(number);
                let got = world.asked.wait(answered(router.clone(), request));
                if is_later(&got) {
                    if got.status == 409 {
                        world.jump(PAST_THE_LEASE);
                    }
                    continue;
                }
                assert_eq!(got.status, 200, "{}: {}", kind.name, got.text);
                replayed += usize::from(is_replayed(&got));
                let first = answers.entry((index, number)).or_insert(got);
                assert_eq!(first.status, 200);
                // A first answer may have been kept in spite of a 503, and so be told as a repetition.
                let again = world
                    .asked
                    .wait(answered(router.clone(), (kind.request)(number)));
                if !is_later(&again) {
                    is_again(first, &again);
                }
            }
        }
    }
    world.asked.wait(http.heal());
    world.jump(PAST_THE_LEASE);
    assert!(replayed > 12, "{replayed}");
    for number in 100..104 {
        for (index, kind) in kinds.iter().enumerate() {
            let last = world.send((kind.request)(number));
            assert_eq!(last.status, 200, "{}: {}", kind.name, last.text);
            if let Some(first) = answers.get(&(index, number)) {
                is_again(first, &last);
            }
            assert_eq!(
                (kind.made)(&world, number),
                [id_of(&last.body)],
                "{}",
                kind.name
            );
        }
    }
    assert!(http.met().len() > 5);
}

/// One thing that somebody does.
#[derive(Debug, Clone)]
enum Step {
    /// A caller sends a body under a key.
    Send(usize, u8, u8),
    /// So many seconds pass.
    Pass(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let send = (0..2_usize, 0..2_u8, 0..3_u8)
        .prop_map(|(caller, key, body)| Step::Send(caller, key, body));
    // Well before a day and well after it, as the clock goes on by itself.
    let pass = prop_oneof![1..40_000_u32, Just(90_000_u32)].prop_map(Step::Pass);
    prop::collection::vec(prop_oneof![6 => send, 1 => pass], 1..30)
}

/// What the rules say of a key: the body it was used for, what was answered, and until when.
struct Used {
    body: u8,
    first: Answered,
    until_s: u64,
}

#[test]
fn whatever_is_repeated_when_the_rules_tell_the_answer() {
    let world = World::new();
    let callers = [
        world.caller.clone(),
        world.asked.key(Permission::ALL, Scope::default()),
    ];
    let cases = AtomicI64::new(0);
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(40)
    };
    let checked = TestRunner::new(config).run(&steps(), |steps| {
        let case = cases.fetch_add(1, Ordering::SeqCst);
        let (mut now_s, mut used, mut ids) = (0, BTreeMap::<_, Used>::new(), BTreeSet::new());
        for step in steps {
            let (caller, key, body) = match step {
                Step::Pass(seconds) => {
                    world.jump(Duration::from_secs(seconds.into()));
                    now_s += u64::from(seconds);
                    continue;
                }
                Step::Send(caller, key, body) => (caller, key, body),
            };
            // The third body breaks a rule: its answer is a 400.
            let sent = match body {
                2 => json!({"name": 7}),
                body => json!({"name": format!("case-{case}-{body}")}),
            };
            let key_text = format!("{case}-{key}");
            let got = world.send(post(&callers[caller], &key_text, &world.customers, &sent));
            let before = used.get(&(caller, key)).filter(|used| now_s < used.until_s);
            match before {
                Some(used) if used.body == body => is_again(&used.first, &got),
                Some(_) => is_error(&got, 409, "conflict"),
                None => {
                    let status = if body == 2 { 400 } else { 200 };
                    prop_assert_eq!(got.status, status, "{}", got.text);
                    prop_assert!(!is_replayed(&got));
                    if body != 2 {
                        prop_assert!(ids.insert(id_of(&got.body)), "an id of its own");
                    }
                    let until_s = now_s + 24 * 3_600;
                    let first = got;
                    used.insert(
                        (caller, key),
                        Used {
                            body,
                            first,
                            until_s,
                        },
                    );
                }
            }
        }
        let found = (0..2).flat_map(|body| world.named(&format!("case-{case}-{body}")));
        prop_assert_eq!(found.collect::<BTreeSet<_>>(), ids);
        Ok(())
    });
    checked.unwrap();
}
