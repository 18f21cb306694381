//! The sample events: each is taken by its function, as a person who sends one by hand expects.
//!
//! They tell of the golden sample file, uploaded under a key of the demo's program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test helpers"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use weir_domain::{BatchOrdinal, FileId, MessageId, ObjectIdentity};
use weir_lambda::{Deadline, Parts};
use weir_local::system::{BUCKET, Ports, System, SystemOptions};
use weir_runtime::{Clock, Metrics, Random, Reader};
use weir_settlement::messages::Delivery;
use weir_simulator::Faults;
use weir_store::{DetailsMessage, UploadContinuation};

const KEY: &str = "11111111-0000-4000-8000-000000000001/\
                   22222222-0000-4000-8000-000000000001/golden file.xml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn event(name: &str) -> Value {
    let path = root().join("events").join(format!("example-{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The body of the first message of a queue's event.
fn body<T: serde::de::DeserializeOwned>(event: &Value) -> T {
    serde_json::from_str(event["Records"][0]["body"].as_str().unwrap()).unwrap()
}

/// A running system that has the file the events tell of.
struct Scene {
    system: System,
    object: ObjectIdentity,
    clock: Clock,
    _folder: tempfile::TempDir,
}

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
        let system = System::start(options).await.unwrap();
        let golden = std::fs::read(root().join("tests/fixtures/settlements/golden.xml")).unwrap();
        let object = system.store().put_upload(KEY, golden.into()).await.unwrap();
        Self {
            system,
            object,
            clock: Clock::system(),
            _folder: folder,
        }
    }

    fn reader(&self) -> Reader {
        Reader::new(self.system.environment().to_vec())
    }

    fn parts(&self) -> Parts {
        Parts {
            clock: self.clock.clone(),
            random: Random::system(),
            metrics: Metrics::discarded(self.clock.clone()),
        }
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_secs(30), &self.clock)
    }

    async fn upload(&self, name: &str) -> Value {
        let mut reader = self.reader();
        let settings = weir_settlement_upload::read(&mut reader);
        reader.finish().unwrap();
        let state = weir_settlement_upload::build(settings, self.parts())
            .await
            .unwrap();
        weir_settlement_upload::handle(&state, event(name), self.deadline())
            .await
            .unwrap()
    }

    async fn query(&self, event: Value) -> Value {
        let mut reader = self.reader();
        let settings = weir_query_api::read(&mut reader);
        reader.finish().unwrap();
        let state = weir_query_api::build(settings, self.parts()).await.unwrap();
        let answered = weir_query_api::handle(&state, event, self.deadline()).await;
        answered.unwrap()
    }

    async fn act(&self, event: Value) -> Value {
        let mut reader = self.reader();
        let settings = weir_action_api::read(&mut reader);
        reader.finish().unwrap();
        let state = weir_action_api::build(settings, self.parts())
            .await
            .unwrap();
        let answered = weir_action_api::handle(&state, event, self.deadline()).await;
        answered.unwrap()
    }

    async fn synchronize(&self, name: &str) -> Value {
        let mut reader = self.reader();
        let settings = weir_reference_sync::read(&mut reader);
        reader.finish().unwrap();
        let built = weir_reference_sync::build(settings, self.parts()).await;
        let state = built.unwrap();
        let handled = weir_reference_sync::handle(&state, event(name), self.deadline());
        handled.await.unwrap()
    }

    async fn set_aside(&self, name: &str) -> Value {
        let mut reader = self.reader();
        let settings = weir_dead_letter::read(&mut reader);
        reader.finish().unwrap();
        let built = weir_dead_letter::build(settings, self.parts()).await;
        let state = built.unwrap();
        let handled = weir_dead_letter::handle(&state, event(name), self.deadline());
        handled.await.unwrap()
    }

    async fn process(&self, name: &str) -> Value {
        let mut reader = self.reader();
        let settings = weir_detail_processor::read(&mut reader);
        reader.finish().unwrap();
        let state = weir_detail_processor::build(settings, self.parts())
            .await
            .unwrap();
        weir_detail_processor::handle(&state, event(name), self.deadline())
            .await
            .unwrap()
    }
}

/// An event of API Gateway with the demo's key in place of the one that nobody has.
fn keyed(name: &str, key: &str) -> Value {
    let mut event = event(name);
    event["headers"]["authorization"] = json!(key);
    event
}

/// The id under which the only message of a queue's event is kept.
fn kept_as(event: &Value) -> MessageId {
    let record = &event["Records"][0];
    let text = |name: &str| record[name].as_str().unwrap().to_owned();
    let delivery = Delivery {
        message_id: text("messageId"),
        body: text("body"),
        attributes: BTreeMap::new(),
        message_attributes: BTreeMap::new(),
        queue_arn: Some(text("eventSourceARN")),
        receive_count: 1,
        correlation_id: "sample".parse().unwrap(),
    };
    delivery.to_message(Clock::system().now()).id
}

fn nothing_failed() -> Value {
    json!({"batchItemFailures": []})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_event_is_taken_by_its_function() {
    let scene = Scene::set().await;
    assert_eq!(scene.upload("s3-test-event").await, Value::Null);
    assert_eq!(scene.upload("s3-put").await, Value::Null);
    assert_eq!(scene.upload("sqs-s3-put").await, nothing_failed());
    assert_eq!(scene.upload("sqs-continuation").await, nothing_failed());
    let file = FileId::of_object(&scene.object);
    assert!(scene.system.store().file(file).await.unwrap().is_some());

    let message: DetailsMessage = body(&event("sqs-details"));
    for _ in 0..200 {
        if let Some(_batch) = scene.system.store().batch(message.batch_id).await.unwrap() {
            break;
        }
        scene.clock.sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(scene.process("sqs-details").await, nothing_failed());
    for queue in ["uploads", "details", "messages"] {
        let dead = format!("sqs-dead-letter-{queue}");
        assert_eq!(scene.set_aside(&dead).await, nothing_failed());
        let ids = [kept_as(&event(&dead))];
        let mut kept = scene.system.store().messages(&ids).await.unwrap();
        let why = kept.remove(0).error_log.unwrap();
        let words =
            format!("from the queue weir-local-{queue}, by weir-local-{queue}-dead-letters");
        assert!(why.contains(&words), "{why}");
    }
    assert_eq!(scene.synchronize("sqs-reference").await, nothing_failed());

    let mut reader = scene.reader();
    let settings = weir_sweeper::read(&mut reader);
    reader.finish().unwrap();
    let state = weir_sweeper::build(settings, scene.parts()).await.unwrap();
    let swept = weir_sweeper::handle(&state, event("schedule"), scene.deadline())
        .await
        .unwrap();
    assert_eq!(swept["complete"], json!(true));
    scene.system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_request_is_answered_by_its_function() {
    let scene = Scene::set().await;
    let key = scene.system.ready().api_key.clone();
    assert_eq!(scene.upload("s3-put").await, Value::Null);
    // Whoever else of the system was told of the object may be at it.
    let mut batches = 0;
    for _ in 0..200 {
        let answer = scene.query(keyed("query-api-list-batches", &key)).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let correlation = &answer["headers"]["x-correlation-id"];
        assert_eq!(correlation, "northwind-2026-11-21-7");
        let listed: Vec<Value> = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        batches = listed.len();
        if batches > 0 {
            break;
        }
        scene.clock.sleep(Duration::from_millis(50)).await;
    }
    assert!(batches > 0, "the file has batches");

    let answer = scene.act(keyed("action-api-submit", &key)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let file: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(file["name"], "golden file.xml");
    // The upload function may have heard of the object first.
    assert_ne!(file["status"], "Error");

    let cancel = keyed("action-api-cancel-batch", &key);
    let answer = scene.act(cancel.clone()).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let batch: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let path = cancel["rawPath"].as_str().unwrap();
    assert!(path.contains(batch["id"].as_str().unwrap()), "{batch}");
    let again = scene.act(cancel).await;
    assert_eq!(again["headers"]["idempotent-replayed"], "true", "{again}");
    assert_eq!(again["body"], answer["body"]);

    for answer in [
        scene.query(event("query-api-list-batches")).await,
        scene.act(event("action-api-submit")).await,
    ] {
        assert_eq!(answer["statusCode"], 401, "{answer}");
    }
    scene.system.stop().await.unwrap();
}

#[test]
fn a_function_of_the_api_needs_no_setting_but_what_it_uses() {
    let settings = |names: &[&str]| {
        let own = |name: &&str| ((*name).to_owned(), "weir".to_owned());
        Reader::new(names.iter().map(own))
    };
    let mut reader = settings(&["AWS_REGION", "WEIR_TABLE_PREFIX", "WEIR_BUCKET"]);
    let _ = weir_query_api::read(&mut reader);
    reader.finish().unwrap();
    let mut reader = settings(&[
        "AWS_REGION",
        "WEIR_TABLE_PREFIX",
        "WEIR_BUCKET",
        "WEIR_UPLOADS_QUEUE_URL",
        "WEIR_DETAILS_QUEUE_URL",
    ]);
    let _ = weir_action_api::read(&mut reader);
    reader.finish().unwrap();
    let mut reader = settings(&[]);
    let _ = weir_action_api::read(&mut reader);
    assert_eq!(reader.finish().unwrap_err().problems().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_events_tell_of_one_file() {
    let scene = Scene::set().await;
    assert_eq!(scene.object.bucket, BUCKET);
    let dead = body(&event("sqs-dead-letter-uploads"));
    for put in [event("s3-put"), body(&event("sqs-s3-put")), dead] {
        let s3 = &put["Records"][0]["s3"];
        assert_eq!(s3["bucket"]["name"], json!(scene.object.bucket));
        assert_eq!(s3["object"]["key"], json!(KEY.replace(' ', "+")));
        assert_eq!(s3["object"]["eTag"], json!(scene.object.etag));
    }
    let file = FileId::of_object(&scene.object);
    let next: UploadContinuation = body(&event("sqs-continuation"));
    assert_eq!(next.file_id, file);
    let listed = event("query-api-list-batches");
    assert_eq!(
        listed["rawPath"],
        json!(format!("/v1/files/{file}/batches"))
    );
    let golden = std::fs::read_to_string(root().join("tests/fixtures/settlements/golden.xml"));
    assert_eq!(event("action-api-submit")["body"], json!(golden.unwrap()));
    let batch = file.batch(BatchOrdinal::new(1).unwrap());
    assert_eq!(
        event("action-api-cancel-batch")["rawPath"],
        json!(format!("/v1/files/{file}/batches/{batch}/cancel"))
    );
    for details in ["sqs-details", "sqs-dead-letter-details"] {
        let message: DetailsMessage = body(&event(details));
        assert_eq!(message.batch_id, file.batch(BatchOrdinal::new(1).unwrap()));
        assert_eq!(message.v, DetailsMessage::VERSION);
    }
    scene.system.stop().await.unwrap();
}

#[test]
fn every_sample_event_is_tried() {
    let names: BTreeSet<String> = std::fs::read_dir(root().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    let tried = [
        "action-api-cancel-batch",
        "action-api-submit",
        "query-api-list-batches",
        "s3-put",
        "s3-test-event",
        "schedule",
        "sqs-continuation",
        "sqs-dead-letter-details",
        "sqs-dead-letter-messages",
        "sqs-dead-letter-uploads",
        "sqs-details",
        "sqs-reference",
        "sqs-s3-put",
    ];
    let tried = tried.map(|name| format!("example-{name}.json"));
    assert_eq!(names, BTreeSet::from(tried));
}
