//! The embedded services and the simulator, with nothing that works on them.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use weir_domain::{BatchId, ObjectIdentity, SellerId};
use weir_local::demo;
use weir_local::embedded::{
    ACCESS_KEY_ID, Dynamodb, ObjectCreated, Outside, QueueCounts, REGION, S3, S3Options,
    SECRET_ACCESS_KEY, Sqs,
};
use weir_runtime::{AwsClients, AwsOptions, Http, HttpOptions, Random};
use weir_settlement::upload::UploadScope;
use weir_simulator::{Running, Simulator, SimulatorOptions};
use weir_store::{Names, Store};

use crate::platform::Platform;
use crate::timeline::Timeline;

/// The upload bucket.
pub const BUCKET: &str = "weir-uploads";
/// The name of the uploads queue.
pub const UPLOADS: &str = "uploads";
/// The name of the details queue.
pub const DETAILS: &str = "details";
/// How long a message is out of sight once received.
pub const VISIBILITY: Duration = Duration::from_mins(3);
/// How often a message is received before it is set aside.
const RECEIVES_MAX: u32 = 5;

/// What opens connections. Made once a test: it reads the machine's certificates.
#[derive(Debug, Clone)]
pub struct Network {
    /// For 3Rivers.
    pub http: Http,
    /// For the AWS clients.
    pub aws: SharedHttpClient,
}

impl Network {
    /// Reads the certificates; nothing is opened.
    pub async fn new() -> Self {
        // The runtime's own, taken out of clients that it has built.
        let clients = AwsClients::new(&AwsOptions::new(REGION)).await;
        Self {
            http: Http::new(&HttpOptions::default()).unwrap(),
            aws: clients.dynamodb.config().http_client().unwrap(),
        }
    }
}

/// The parts, all on the loopback, all on one clock, with the demo's client, program and sellers.
#[derive(Debug)]
pub struct Parts {
    /// The time that all of them go by.
    pub timeline: Timeline,
    /// Where all that is random comes from.
    pub random: Random,
    /// What opens connections.
    pub network: Network,
    /// How tables, queues and the bucket are called.
    pub names: Names,
    /// Tables, queues and objects, reached without faults.
    pub store: Store,
    /// The queues, reached without faults.
    pub queues: aws_sdk_sqs::Client,
    /// The objects, reached without faults.
    pub objects: aws_sdk_s3::Client,
    /// 3Rivers.
    pub simulator: Running,
    dynamodb: Dynamodb,
    s3: S3,
    sqs: Sqs,
    created: mpsc::Receiver<ObjectCreated>,
    tables: aws_sdk_dynamodb::Client,
    _folder: TempDir,
}

impl Parts {
    /// Starts them. The seed fixes what the simulator and the functions draw; the time passes `times` times
    /// as fast as the machine's.
    pub async fn start(network: &Network, seed: u64, times: u32) -> Self {
        let timeline = Timeline::start(times);
        let random = Random::seeded(seed);
        let outside = Outside {
            clock: timeline.clock().clone(),
            random: random.clone(),
        };
        let folder = tempfile::tempdir().unwrap();
        let (on_created, created) = mpsc::channel(1_000);
        let dynamodb = Dynamodb::start(None, None, outside.clone()).unwrap();
        let s3 = S3Options {
            folder: folder.path().join("s3"),
            port: None,
            buckets: vec![BUCKET.to_owned()],
            on_created,
        };
        let s3 = S3::start(s3, outside.clone()).unwrap();
        let sqs = Sqs::start(None, outside).unwrap();
        let simulator = SimulatorOptions {
            seed,
            ..SimulatorOptions::default()
        };
        let loopback = ([127, 0, 0, 1], 0).into();
        let clock = timeline.clock().clone();
        let simulator = Simulator::start(loopback, simulator, clock.clone());
        let simulator = simulator.await.unwrap();
        let names = Names {
            table_prefix: "weir-test-".to_owned(),
            bucket: BUCKET.to_owned(),
            uploads_queue: sqs.queue_url(UPLOADS),
            details_queue: sqs.queue_url(DETAILS),
        };
        let options = options(&dynamodb, &s3, &sqs, network.aws.clone());
        let clients = AwsClients::new(&options).await;
        for name in [UPLOADS, DETAILS] {
            create_queue(&clients.sqs, name).await;
        }
        let store = Store::new(clients.clone(), names.clone(), clock, random.clone());
        store.create_tables().await.unwrap();
        demo::seed(&store, timeline.clock(), &random).await.unwrap();
        Self {
            timeline,
            random,
            network: network.clone(),
            names,
            store,
            queues: clients.sqs,
            objects: clients.s3,
            simulator,
            dynamodb,
            s3,
            sqs,
            created,
            tables: clients.dynamodb,
            _folder: folder,
        }
    }

    /// Tables, queues and objects, reached through `http_client`.
    pub async fn store_through(&self, http_client: SharedHttpClient) -> Store {
        let options = options(&self.dynamodb, &self.s3, &self.sqs, http_client);
        Store::new(
            AwsClients::new(&options).await,
            self.names.clone(),
            self.timeline.clock().clone(),
            self.random.clone(),
        )
    }

    /// Where DynamoDB, S3 and SQS are.
    pub fn endpoints(&self) -> [String; 3] {
        let (dynamodb, s3) = (self.dynamodb.endpoint(), self.s3.endpoint());
        [dynamodb, s3, self.sqs.endpoint()]
    }

    /// What the simulator has made.
    pub fn platform(&self) -> Platform {
        Platform::new(self.network.http.clone(), self.simulator.base_url())
    }

    /// How many messages a queue holds.
    pub fn counts(&self, queue: &str) -> QueueCounts {
        self.sqs.counts(queue).unwrap()
    }

    /// Puts an object under the demo's program.
    pub async fn put(&self, name: &str, bytes: impl Into<bytes::Bytes>) -> ObjectIdentity {
        self.put_under(scope(), name, bytes).await
    }

    /// Puts an object under a scope.
    pub async fn put_under(
        &self,
        scope: UploadScope,
        name: &str,
        bytes: impl Into<bytes::Bytes>,
    ) -> ObjectIdentity {
        let key = scope.key(name);
        self.store.put_upload(&key, bytes.into()).await.unwrap()
    }

    /// How many objects there are.
    pub fn object_count(&self) -> usize {
        self.s3.objects(BUCKET).len()
    }

    /// The event that S3 sends for the object that was put longest ago of those not yet asked for.
    pub async fn next_event(&mut self) -> Value {
        s3_event(&self.created.recv().await.unwrap())
    }

    /// Damages the item of a detail of a batch, or the payload of a version: the attribute is of another
    /// type than any that is ever written.
    pub async fn damage(&self, batch: BatchId, line: u32, payload: Option<u32>) {
        let (kind, number) = payload.map_or((0, 0), |version| (1, version));
        let record = kind * 1_000_000_000_000 + u64::from(line) * 100_000 + u64::from(number);
        let attribute = if payload.is_some() { "blob" } else { "status" };
        let shards = self.store.batch(batch).await.unwrap().unwrap().shards;
        let shard = (line - 1) / 25 % shards;
        let key = [
            ("shard", AttributeValue::S(format!("{batch}.{shard}"))),
            ("record", AttributeValue::N(record.to_string())),
        ];
        self.damage_item("details", key.into(), attribute).await;
    }

    /// Damages the item of a batch in the same way.
    pub async fn damage_batch(&self, batch: BatchId) {
        let key = ("id", AttributeValue::S(batch.to_string()));
        self.damage_item("batches", [key].into(), "status").await;
    }

    /// Damages what says which batch has a seller's number.
    pub async fn damage_claim(&self, seller: SellerId, number: &str) {
        let key = [
            ("key", AttributeValue::S(format!("batch#{seller}#{number}"))),
            ("target", AttributeValue::S("claim".to_owned())),
        ];
        self.damage_item("lookups", key.into(), "batch").await;
    }

    async fn damage_item(&self, table: &str, key: BTreeMap<&str, AttributeValue>, attribute: &str) {
        let key = key
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        self.tables
            .update_item()
            .table_name(format!("{}{table}", self.names.table_prefix))
            .set_key(Some(key.collect()))
            .update_expression("SET #damaged = :damage")
            .condition_expression("attribute_exists(#damaged)")
            .expression_attribute_names("#damaged", attribute)
            .expression_attribute_values(":damage", AttributeValue::Bool(true))
            .send()
            .await
            .unwrap();
    }

    /// Makes a batch what it was before it was ended: open, whatever its counters.
    pub async fn reopen(&self, batch: BatchId) {
        let table = format!("{}batches", self.names.table_prefix);
        let value = |text: &str| AttributeValue::S(text.to_owned());
        self.tables
            .update_item()
            .table_name(table)
            .key("id", value(&batch.to_string()))
            .update_expression("SET #status = :open_status, #open = :open REMOVE processed_at")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":open_status", value("Unprocessed"))
            .expression_attribute_values(":open", value("open"))
            .send()
            .await
            .unwrap();
    }
}

/// The demo's program, without a seller.
pub fn scope() -> UploadScope {
    UploadScope {
        client_id: demo::client_id().unwrap(),
        program_id: demo::program_id().unwrap(),
        seller_id: None,
    }
}

/// An object's event as S3 writes it.
pub fn s3_event(object: &ObjectCreated) -> Value {
    // Nothing but letters, digits, `/`, `-`, `_` and `.` is in the keys here, so none is escaped.
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventName": object.created_by.event_name(),
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": object.bucket},
            "object": {"key": object.key, "size": object.size_bytes, "eTag": object.etag},
        },
    }]})
}

fn options(dynamodb: &Dynamodb, s3: &S3, sqs: &Sqs, http_client: SharedHttpClient) -> AwsOptions {
    let credentials = Credentials::from_keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None);
    AwsOptions {
        endpoint_dynamodb: Some(dynamodb.endpoint()),
        endpoint_s3: Some(s3.endpoint()),
        endpoint_sqs: Some(sqs.endpoint()),
        http_client: Some(http_client),
        credentials: Some(credentials),
        ..AwsOptions::new(REGION)
    }
}

async fn create_queue(queues: &aws_sdk_sqs::Client, name: &str) {
    let dead = format!("{name}-dead");
    queues
        .create_queue()
        .queue_name(&dead)
        .send()
        .await
        .unwrap();
    let redrive =
        json!({"deadLetterTargetArn": Sqs::queue_arn(&dead), "maxReceiveCount": RECEIVES_MAX});
    let visibility = VISIBILITY.as_secs().to_string();
    queues
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
        .attributes(QueueAttributeName::VisibilityTimeout, visibility)
        .send()
        .await
        .unwrap();
}
