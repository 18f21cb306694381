//! The functions as they are deployed, and a play in which they do all that they do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use weir_domain::{ClientId, FileId, ObjectIdentity, Permission, ProgramId};
use weir_lambda::Deadline;
use weir_local::embedded::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use weir_runtime::{Random, Reader};
use weir_store::{ApiKeyHash, ApiKeyRecord};
use weir_tests::counted::Counted;
use weir_tests::delivery::sqs_event;
use weir_tests::parts::{DETAILS, Network, Parts, UPLOADS, scope};
use weir_tests::platform;
use weir_tests::rig::{delete, receive};
use weir_tests::secrets::SecretService;

use super::calls::{self, Call};
use super::wire::Wire;
use crate::template::root;

const TABLE_PREFIX: &str = "weir-test-";
const FUNCTIONS: [&str; 7] = [
    "settlement-upload",
    "detail-processor",
    "sweeper",
    "reference-sync",
    "dead-letter",
    "query-api",
    "action-api",
];

/// The secret with the 3Rivers keys.
const SECRET: &str = "weir-dev-three-rivers-keys";

/// A function's wires to DynamoDB, S3, SQS and Secrets Manager.
type Wires = [Wire; 4];

/// The parts, and each function at the end of its wires.
pub(super) struct Stage {
    pub(super) parts: Parts,
    wires: BTreeMap<&'static str, Wires>,
    pub(super) upload: weir_settlement_upload::State,
    process: weir_detail_processor::State,
    pub(super) sweep: weir_sweeper::State,
    pub(super) synchronize: weir_reference_sync::State,
    pub(super) dead_letter: weir_dead_letter::State,
    query: weir_query_api::State,
    action: weir_action_api::State,
    key: String,
    /// Limited to the demo's client.
    pub(super) client_key: String,
    /// Limited to the demo's program, so that files can be sent with it.
    pub(super) program_key: String,
}

/// Builds a function from its settings.
macro_rules! built {
    ($function:ident, $reader:expr, $parts:expr) => {{
        let mut reader = $reader;
        let settings = $function::read(&mut reader);
        reader.finish().unwrap();
        $function::build(settings, $parts).await.unwrap()
    }};
}

/// The sample event of a name.
pub(super) fn sample(name: &str) -> Value {
    let path = root().join("events").join(format!("example-{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(super) fn nothing_failed() -> Value {
    json!({"batchItemFailures": []})
}

impl Stage {
    /// Builds everything; nothing has happened yet.
    pub(super) async fn set() -> Self {
        let parts = Parts::start(&Network::new().await, 1, 4).await;
        let secrets = SecretService::start().await;
        secrets.put(
            SECRET,
            json!({scope().client_id.to_string(): platform::API_KEY}).to_string(),
        );
        let mut wires = BTreeMap::new();
        for function in FUNCTIONS {
            let [dynamodb, s3, sqs] = parts.endpoints();
            let own = [
                Wire::to(&dynamodb).await,
                Wire::to(&s3).await,
                Wire::to(&sqs).await,
                Wire::to(secrets.endpoint()).await,
            ];
            wires.insert(function, own);
        }
        let reader = |function: &str| reader(&parts, &wires[function]);
        // Each counts in its own name, and so only what it is said to.
        let given = |function: &str| weir_lambda::Parts {
            clock: parts.timeline.clock().clone(),
            random: Random::seeded(7),
            metrics: Counted::of(function, parts.timeline.clock()).metrics,
        };
        let upload = built!(
            weir_settlement_upload,
            reader("settlement-upload"),
            given("settlement-upload")
        );
        let process = built!(
            weir_detail_processor,
            reader("detail-processor"),
            given("detail-processor")
        );
        let sweep = built!(weir_sweeper, reader("sweeper"), given("sweeper"));
        let synchronize = built!(
            weir_reference_sync,
            reader("reference-sync"),
            given("reference-sync")
        );
        let dead_letter = built!(
            weir_dead_letter,
            reader("dead-letter"),
            given("dead-letter")
        );
        let query = built!(weir_query_api, reader("query-api"), given("query-api"));
        let action = built!(weir_action_api, reader("action-api"), given("action-api"));
        let (client, program) = (scope().client_id, scope().program_id);
        let client_key = key(&parts, Some(client), None).await;
        let program_key = key(&parts, Some(client), Some(program)).await;
        let key = key(&parts, None, None).await;
        Self {
            parts,
            wires,
            upload,
            process,
            sweep,
            synchronize,
            dead_letter,
            query,
            action,
            key,
            client_key,
            program_key,
        }
    }

    /// What each function has asked for so far.
    pub(super) fn seen(&self) -> BTreeMap<&'static str, BTreeSet<Call>> {
        let of = |[dynamodb, s3, sqs, secrets]: &Wires| {
            let mut all = calls::dynamodb(&dynamodb.requests(), TABLE_PREFIX);
            all.extend(calls::s3(&s3.requests()));
            all.extend(calls::sqs(&sqs.requests()));
            all.extend(calls::secrets(&secrets.requests()));
            all
        };
        let each = self.wires.iter();
        each.map(|(function, wires)| (*function, of(wires)))
            .collect()
    }

    /// Has DynamoDB turn away what comes to a call of a function, until it is let pass again.
    pub(super) fn throttle(&self, function: &str, call: Call) {
        let [dynamodb, ..] = &self.wires[function];
        dynamodb.throttle(move |request| {
            calls::dynamodb(std::slice::from_ref(request), TABLE_PREFIX).contains(&call)
        });
    }

    pub(super) fn let_pass(&self, function: &str) {
        let [dynamodb, ..] = &self.wires[function];
        dynamodb.let_pass();
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(Duration::from_mins(5), self.parts.timeline.clock())
    }

    /// Hands over what waits in the queues, until nothing does.
    pub(super) async fn work(&self) {
        for round in 0.. {
            assert!(round < 1_000, "the queues do not become empty");
            let mut is_done = true;
            for queue in [UPLOADS, DETAILS] {
                let names = &self.parts.names;
                let url = match queue {
                    UPLOADS => &names.uploads_queue,
                    _ => &names.details_queue,
                };
                let received = receive(&self.parts.queues, url).await;
                let counts = self.parts.counts(queue);
                is_done &= received.is_empty() && counts.ready + counts.delayed == 0;
                if received.is_empty() {
                    continue;
                }
                let messages: Vec<_> = received.iter().collect();
                let event = sqs_event(&messages);
                let deadline = self.deadline();
                let answer = if queue == UPLOADS {
                    let handled = weir_settlement_upload::handle(&self.upload, event, deadline);
                    handled.await.unwrap()
                } else {
                    let handled = weir_detail_processor::handle(&self.process, event, deadline);
                    handled.await.unwrap()
                };
                assert_eq!(answer, nothing_failed());
                for message in messages {
                    delete(&self.parts.queues, url, message).await;
                }
            }
            if is_done {
                return;
            }
            self.parts.timeline.jump(Duration::from_mins(5));
        }
    }

    /// Puts a file into the bucket, and hands over its event and those of all objects before it.
    pub(super) async fn announced(&mut self, name: &str, text: String) -> ObjectIdentity {
        let object = self.parts.put(name, text).await;
        self.announce(&object, self.deadline()).await;
        object
    }

    /// Hands over the events of all objects up to this one.
    pub(super) async fn announce(&mut self, object: &ObjectIdentity, deadline: Deadline) {
        loop {
            let event = self.parts.next_event().await;
            let key = event["Records"][0]["s3"]["object"]["key"].clone();
            let handled = weir_settlement_upload::handle(&self.upload, event, deadline.clone());
            handled.await.unwrap();
            if key == json!(object.key) {
                return;
            }
        }
    }

    /// Puts a file into the bucket, and has it settled.
    pub(super) async fn settle(&mut self, name: &str, text: String) -> FileId {
        let object = self.announced(name, text).await;
        self.work().await;
        FileId::of_object(&object)
    }

    /// Asks the API, as API Gateway has its functions asked; not refused, not failed.
    pub(super) async fn ask(&self, method: &str, target: &str, media: &str, body: &str) -> Value {
        let answer = self.ask_within(method, target, media, body, self.deadline());
        let answer = answer.await;
        let status = answer["statusCode"].as_u64().unwrap();
        assert!(status < 400, "{method} {target}: {answer}");
        let body = answer["body"].as_str().unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|_| json!(body))
    }

    pub(super) async fn ask_within(
        &self,
        method: &str,
        target: &str,
        media: &str,
        body: &str,
        deadline: Deadline,
    ) -> Value {
        let event = self.request(method, target, media, body);
        self.answered(event, deadline).await
    }

    /// A request as API Gateway hands it over; each `POST` has an `Idempotency-Key` of its own.
    pub(super) fn request(&self, method: &str, target: &str, media: &str, body: &str) -> Value {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut event = sample("query-api-list-batches");
        event["rawPath"] = json!(path);
        event["rawQueryString"] = json!(query);
        event["requestContext"]["http"]["path"] = json!(path);
        event["requestContext"]["http"]["method"] = json!(method);
        let is_upload = method == "POST" && (path == "/v1/files" || path.contains("/settlements"));
        let key = if is_upload {
            &self.program_key
        } else {
            &self.key
        };
        event["headers"]["authorization"] = json!(key);
        event
            .as_object_mut()
            .unwrap()
            .remove("queryStringParameters");
        if !body.is_empty() {
            event["headers"]["content-type"] = json!(media);
            event["body"] = json!(body);
        }
        if method == "POST" {
            let key = self.parts.random.uuid_v4().to_string();
            event["headers"]["idempotency-key"] = json!(key);
        }
        event
    }

    /// What the function answers that a request is for.
    pub(super) async fn answered(&self, request: Value, deadline: Deadline) -> Value {
        if request["requestContext"]["http"]["method"] == "GET" {
            let handled = weir_query_api::handle(&self.query, request, deadline);
            return handled.await.unwrap();
        }
        let handled = weir_action_api::handle(&self.action, request, deadline);
        handled.await.unwrap()
    }

    pub(super) async fn post(&self, target: &str, body: &Value) -> Value {
        self.ask("POST", target, "application/json", &body.to_string())
            .await
    }

    pub(super) async fn put(&self, target: &str, body: &Value) -> Value {
        self.ask("PUT", target, "application/json", &body.to_string())
            .await
    }

    pub(super) async fn get(&self, target: &str) -> Value {
        self.ask("GET", target, "", "").await
    }
}

/// A function's settings: as in the template, but for where everything is.
fn reader(parts: &Parts, [dynamodb, s3, sqs, secrets]: &Wires) -> Reader {
    let (_, address) = sqs.endpoint.split_once("//").unwrap();
    let through = |url: &str| {
        let (_, rest) = url.split_once("//").unwrap();
        let (_, path) = rest.split_once('/').unwrap();
        format!("http://{address}/{path}")
    };
    let names = &parts.names;
    let settings = [
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint.clone()),
        ("AWS_ENDPOINT_URL_S3", s3.endpoint.clone()),
        ("AWS_ENDPOINT_URL_SQS", sqs.endpoint.clone()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.endpoint.clone()),
        ("WEIR_TABLE_PREFIX", names.table_prefix.clone()),
        ("WEIR_BUCKET", names.bucket.clone()),
        ("WEIR_UPLOADS_QUEUE_URL", through(&names.uploads_queue)),
        ("WEIR_DETAILS_QUEUE_URL", through(&names.details_queue)),
        ("WEIR_THREE_RIVERS_URL", parts.simulator.base_url().clone()),
        ("WEIR_THREE_RIVERS_SECRET", SECRET.to_owned()),
    ];
    Reader::new(settings.map(|(name, value)| (name.to_owned(), value)))
}

/// A key that may do everything, within a scope if one is given.
async fn key(parts: &Parts, client: Option<ClientId>, program: Option<ProgramId>) -> String {
    let key = parts.random.uuid_v4().to_string();
    let permissions = Permission::ALL.iter();
    let record = ApiKeyRecord {
        id: Uuid::from_u128(1),
        name: "stage".to_owned(),
        permissions: permissions.map(|one| one.name().to_owned()).collect(),
        client_id: client,
        program_id: program,
        seller_id: None,
        created_at: parts.timeline.now(),
        expires_at: None,
        revoked_at: None,
    };
    let hash = ApiKeyHash::of(&key);
    let put = parts.store.put_api_key(&hash, &record);
    put.await.unwrap();
    key
}
