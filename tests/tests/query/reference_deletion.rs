//! A deletion that stops anywhere, or meets a creation anywhere: nothing hangs on what is gone, and what
//! was not deleted is there as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use chrono::TimeDelta;
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;
use weir_domain::{ClientId, ProgramId, ReportScope, ScheduleFrequency};
use weir_settlement::reference::{Body, Place, ReferenceChanges, ReferenceError};
use weir_store::{Deletion, Reference, ReferenceKind, ReportSchedule, Store, StoreError};
use weir_tests::parts::{Network, Parts};

/// Requests of a deletion that nothing disturbs: read, look, mark, look, write.
const STEPS: usize = 5;

/// What happens at one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// The process dies before it is sent.
    CrashBefore,
    /// The process dies once it has taken effect.
    CrashAfter,
    /// It is not sent.
    NotSent,
    /// It takes effect, and no answer comes.
    AnswerLost,
    /// It is refused for now, and so is the next one.
    Throttled,
    /// Neither it nor anything after it arrives.
    Outage,
    /// It is held back until somebody else is done.
    Hold,
}

/// Stands where the AWS clients send their requests, and acts at one of them.
#[derive(Debug, Clone)]
struct Stage {
    inner: SharedHttpClient,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    act: Act,
    at: usize,
    sent: AtomicUsize,
    /// The process is dead, or the request is being held back.
    reached: Notify,
    /// The request may go on.
    go_on: Notify,
}

#[derive(Debug)]
struct StageConnector {
    inner: SharedHttpConnector,
    shared: Arc<Shared>,
}

impl Stage {
    fn new(parts: &Parts, act: Act, at: usize) -> Self {
        Self {
            inner: parts.network.aws.clone(),
            shared: Arc::new(Shared {
                act,
                at,
                sent: AtomicUsize::new(0),
                reached: Notify::new(),
                go_on: Notify::new(),
            }),
        }
    }
}

impl HttpClient for Stage {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(StageConnector {
            inner: self.inner.http_connector(settings, components),
            shared: Arc::clone(&self.shared),
        })
    }
}

impl HttpConnector for StageConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, shared) = (self.inner.clone(), Arc::clone(&self.shared));
        HttpConnectorFuture::new(async move {
            let number = shared.sent.fetch_add(1, Ordering::SeqCst) + 1;
            let is_it = number == shared.at;
            match shared.act {
                Act::Outage if number >= shared.at => Err(lost()),
                Act::Throttled if (shared.at..shared.at + 2).contains(&number) => Ok(throttled()),
                _ if !is_it => inner.call(request).await,
                Act::NotSent => Err(lost()),
                Act::AnswerLost => {
                    let _ = inner.call(request).await;
                    Err(lost())
                }
                Act::Hold => {
                    shared.reached.notify_one();
                    shared.go_on.notified().await;
                    inner.call(request).await
                }
                act => {
                    if act == Act::CrashAfter {
                        let _ = inner.call(request).await;
                    }
                    shared.reached.notify_one();
                    std::future::pending().await
                }
            }
        })
    }
}

/// Nothing that the AWS client tries again by itself.
fn lost() -> ConnectorError {
    ConnectorError::other("lost".into(), None)
}

fn throttled() -> HttpResponse {
    let body = r#"{"__type":"com.amazonaws#ThrottlingException","message":"injected"}"#;
    let status = 400.try_into().unwrap();
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    let content_type = "application/x-amz-json-1.0";
    response.headers_mut().insert("content-type", content_type);
    response
}

async fn parts() -> Parts {
    Parts::start(&Network::new().await, 5, 4).await
}

fn changes(parts: &Parts, store: Store) -> ReferenceChanges {
    ReferenceChanges {
        store,
        clock: parts.timeline.clock().clone(),
        random: parts.random.clone(),
    }
}

async fn staged(parts: &Parts, act: Act, at: usize) -> (Stage, ReferenceChanges) {
    let stage = Stage::new(parts, act, at);
    let client = SharedHttpClient::new(stage.clone());
    let store = parts.store_through(client).await;
    (stage, changes(parts, store))
}

fn client_body(name: &str) -> Body {
    let body = json!({ "name": name }).to_string();
    Body::parse(ReferenceKind::Client, body.as_bytes(), &[]).unwrap()
}

async fn new_client(parts: &Parts) -> Reference {
    let changes = changes(parts, parts.store.clone());
    let body = client_body("Contoso");
    changes.create(Place::Top, None, &body).await.unwrap()
}

/// Creates a program under a client.
async fn child(parts: &Parts, client: Uuid) -> Result<Reference, ReferenceError> {
    let body = json!({"name": "Fleet", "status": "Active", "reply_to_email": "a@example.com",
        "support_email": "b@example.com", "sender_email": "c@example.com"});
    let body = Body::parse(ReferenceKind::Program, body.to_string().as_bytes(), &[]).unwrap();
    let place = Place::Client(client.try_into().unwrap());
    let changes = changes(parts, parts.store.clone());
    changes.create(place, None, &body).await
}

async fn delete(changes: &ReferenceChanges, client: Uuid) -> Result<(), ReferenceError> {
    changes
        .delete(ReferenceKind::Client, Place::Top, client)
        .await
}

/// The client as readers see it, and when it changed.
async fn there(parts: &Parts, client: &Reference) -> bool {
    let id = client.id();
    let read = parts.store.client(id.try_into().unwrap()).await.unwrap();
    let kept = parts.store.kept_reference(ReferenceKind::Client, id).await;
    let kept = kept.unwrap().unwrap();
    assert_eq!(kept.reference.clone(), read.map(Reference::Client));
    if let Some(reference) = kept.reference {
        assert_eq!(&reference, client, "a deletion has changed it");
        let Reference::Client(it) = reference else {
            panic!("a client")
        };
        let late = kept.changed_at - it.updated_at;
        assert!(late < TimeDelta::milliseconds(1), "its time has moved on");
        return true;
    }
    false
}

#[tokio::test]
async fn a_deletion_that_dies_anywhere_leaves_what_it_was_to_delete_alive_until_the_end() {
    let parts = parts().await;
    for act in [Act::CrashBefore, Act::CrashAfter] {
        for at in 1..=STEPS {
            let client = new_client(&parts).await;
            let (stage, changes) = staged(&parts, act, at).await;
            tokio::select! {
                deleted = delete(&changes, client.id()) => panic!("it should have died: {deleted:?}"),
                () = stage.shared.reached.notified() => {}
            }
            let is_gone = act == Act::CrashAfter && at == STEPS;
            assert_eq!(there(&parts, &client).await, !is_gone, "{act:?} at {at}");
            // Whatever was left behind lapses.
            parts.timeline.jump(Duration::from_secs(12));
            let child = child(&parts, client.id()).await;
            assert_eq!(child.is_err(), is_gone, "{act:?} at {at}: {child:?}");
        }
    }
}

#[tokio::test]
async fn a_deletion_whose_requests_or_answers_are_lost_ends_with_it_gone_or_with_it_there() {
    let parts = parts().await;
    for act in [Act::NotSent, Act::AnswerLost, Act::Throttled] {
        for at in 1..=STEPS {
            let client = new_client(&parts).await;
            let (_, changes) = staged(&parts, act, at).await;
            let deleted = delete(&changes, client.id()).await;
            let is_there = there(&parts, &client).await;
            match deleted {
                Ok(()) => assert!(!is_there, "{act:?} at {at}"),
                Err(ReferenceError::Store(StoreError::Unavailable { .. })) => {
                    assert!(is_there, "{act:?} at {at}");
                    child(&parts, client.id()).await.unwrap();
                }
                Err(error) => panic!("{act:?} at {at}: {error:?}"),
            }
            // What is written is tried again; a read is tried by the client of the tables alone.
            if [3, 5].contains(&at) || act == Act::Throttled {
                assert!(!is_there, "{act:?} at {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_child_that_is_created_at_any_step_and_the_deletion_do_not_both_succeed() {
    let parts = parts().await;
    for at in 1..=STEPS {
        let client = new_client(&parts).await;
        let (stage, changes) = staged(&parts, Act::Hold, at).await;
        let beside = async {
            stage.shared.reached.notified().await;
            let creation = child(&parts, client.id());
            tokio::pin!(creation);
            // Under a mark it waits for the deletion, which is to go on then.
            let early = tokio::select! {
                created = &mut creation => Some(created),
                () = parts.timeline.clock().sleep(Duration::from_millis(600)) => None,
            };
            stage.shared.go_on.notify_one();
            match early {
                Some(created) => created,
                None => creation.await,
            }
        };
        let (deleted, created) = tokio::join!(delete(&changes, client.id()), beside);
        assert_ne!(
            deleted.is_ok(),
            created.is_ok(),
            "{at}: {deleted:?} {created:?}"
        );
        assert_eq!(there(&parts, &client).await, created.is_ok(), "{at}");
        // Before the mark the creation is first, and afterwards the deletion.
        assert_eq!(created.is_ok(), at <= 3, "{at}: {deleted:?} {created:?}");
        match deleted {
            Ok(()) => {
                let gone = ReferenceError::NoSuch(ReferenceKind::Client);
                assert_eq!(created.unwrap_err(), gone);
            }
            Err(error) => assert_eq!(error, ReferenceError::InUse(vec!["programs"])),
        }
    }
}

#[tokio::test]
async fn a_tombstone_that_comes_late_is_refused_once_a_child_has_come_under_the_lapsed_mark() {
    let parts = parts().await;
    let client = new_client(&parts).await;
    let (stage, changes) = staged(&parts, Act::Hold, STEPS).await;
    let beside = async {
        stage.shared.reached.notified().await;
        parts.timeline.jump(Duration::from_secs(12));
        let created = child(&parts, client.id()).await;
        stage.shared.go_on.notify_one();
        created
    };
    let (deleted, created) = tokio::join!(delete(&changes, client.id()), beside);
    created.unwrap();
    assert_eq!(deleted, Err(ReferenceError::InUse(vec!["programs"])));
    assert!(there(&parts, &client).await);
}

#[tokio::test]
async fn what_is_in_use_is_free_again_as_soon_as_that_is_known() {
    let parts = parts().await;
    let client = new_client(&parts).await;
    let first = child(&parts, client.id()).await.unwrap();
    let changes = changes(&parts, parts.store.clone());
    let deleted = delete(&changes, client.id()).await;
    assert_eq!(deleted, Err(ReferenceError::InUse(vec!["programs"])));
    child(&parts, client.id()).await.unwrap();
    assert!(there(&parts, &client).await);
    assert_eq!(first.kind(), ReferenceKind::Program);
}

#[tokio::test]
async fn whoever_meets_a_deletion_that_does_not_end_is_told_so() {
    let parts = parts().await;
    let client = new_client(&parts).await;
    let id = client.id();
    let kept = parts.store.kept_reference(ReferenceKind::Client, id).await;
    let kept = kept.unwrap().unwrap();
    let deletion = Deletion {
        by: Uuid::from_u128(1),
        until: parts.timeline.now() + TimeDelta::hours(1),
    };
    let marked = parts
        .store
        .begin_deletion(ReferenceKind::Client, id, &kept, deletion);
    marked.await.unwrap();
    let meets = ReferenceError::BeingDeleted(ReferenceKind::Client);
    assert_eq!(child(&parts, id).await, Err(meets.clone()));
    let changes = changes(&parts, parts.store.clone());
    assert_eq!(delete(&changes, id).await, Err(meets));
    // Another change of it is free to come, and ends the deletion.
    let body = client_body("Northwind");
    changes.replace(Place::Top, id, &body).await.unwrap();
    child(&parts, id).await.unwrap();
}

#[tokio::test]
async fn an_outage_is_told_as_such_and_never_as_a_newer_change() {
    let parts = parts().await;
    for at in 1..=STEPS {
        let client = new_client(&parts).await;
        let id = client.id();
        let (_, changes) = staged(&parts, Act::Outage, at).await;
        let deleted = delete(&changes, id).await.unwrap_err();
        let (_, changes) = staged(&parts, Act::Outage, at.min(2)).await;
        let replaced = changes.replace(Place::Top, id, &client_body("N")).await;
        let (_, changes) = staged(&parts, Act::Outage, at.min(2)).await;
        let created = changes.create(Place::Top, None, &client_body("N")).await;
        for error in [deleted, replaced.unwrap_err(), created.unwrap_err()] {
            let unavailable =
                matches!(error, ReferenceError::Store(StoreError::Unavailable { .. }));
            assert!(unavailable, "{at}: {error:?}");
        }
        assert!(there(&parts, &client).await);
    }
}

#[tokio::test]
async fn the_schedules_of_one_seller_are_looked_for_a_hundred_at_a_time() {
    const SCHEDULES: u128 = 150;
    let parts = parts().await;
    let now = parts.timeline.now();
    let client = new_client(&parts).await.id();
    let client_id: ClientId = client.try_into().unwrap();
    let program = child(&parts, client).await.unwrap().id();
    let program_id: ProgramId = program.try_into().unwrap();
    let changes = changes(&parts, parts.store.clone());
    let place = Place::Program(client_id, program_id);
    let seller = |name: &str| {
        let body = json!({ "name": name }).to_string();
        Body::parse(ReferenceKind::Seller, body.as_bytes(), &[]).unwrap()
    };
    let mut sellers = Vec::new();
    for name in ["without", "with"] {
        let made = changes.create(place, None, &seller(name)).await.unwrap();
        sellers.push(made.id());
    }
    for number in 1..=SCHEDULES {
        // The last one is of a seller.
        let seller_id = (number == SCHEDULES).then(|| sellers[1].try_into().unwrap());
        let schedule = ReportSchedule {
            id: Uuid::from_u128(number << 64).try_into().unwrap(),
            client_id,
            program_id,
            seller_id,
            report_id: Uuid::from_u128(1).try_into().unwrap(),
            report_scope: ReportScope::Client,
            schedule_tz: "UTC".to_owned(),
            schedule_frequency: ScheduleFrequency::Daily,
            schedule_week_day: None,
            recipient_emails: vec!["a@example.com".to_owned()],
            last_scheduled_at: None,
            created_at: now,
            updated_at: now,
        };
        parts.store.put_report_schedule(&schedule).await.unwrap();
    }
    for (seller, is_used, requests_max) in [(sellers[1], true, 12), (sellers[0], false, 20)] {
        let (stage, changes) = staged(&parts, Act::NotSent, usize::MAX).await;
        let deleted = changes.delete(ReferenceKind::Seller, place, seller).await;
        let in_use = ReferenceError::InUse(vec!["report schedules"]);
        assert_eq!(deleted, if is_used { Err(in_use) } else { Ok(()) });
        let sent = stage.shared.sent.load(Ordering::SeqCst);
        assert!(sent <= requests_max, "{sent} requests");
    }
}
