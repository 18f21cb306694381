//! What a detail costs in DynamoDB.
//!
//! The two functions run one after the other on the embedded parts, each with its own store, whose
//! counts of consumed capacity are added up: exactly what the file's way through them consumed,
//! without the looks of whoever waits. The counts are those that DynamoDB reports with each call.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use weir_domain::ObjectIdentity;
use weir_lambda::{Deadline, Parts};
use weir_local::demo;
use weir_local::embedded::{
    ACCESS_KEY_ID, Dynamodb, Outside, REGION, S3, S3Options, SECRET_ACCESS_KEY, Sqs,
};
use weir_runtime::{AwsClients, AwsOptions, CorrelationId, Metrics, Reader};
use weir_settlement::TimeLimit;
use weir_settlement::upload::Progress;
use weir_simulator::{Running, Simulator, SimulatorOptions};
use weir_store::{Names, Store};

use super::{Settlement, check, fresh_folder};
use crate::Setting;
use crate::measure::Values;

/// How much time each invocation has: one does it all.
const TIME: Duration = Duration::from_mins(14);
const BUCKET: &str = "weir-bench";

/// The parts that the functions talk to.
struct Surroundings {
    dynamodb: Dynamodb,
    s3: S3,
    sqs: Sqs,
    simulator: Running,
    /// Nobody listens: the file is handed over by hand.
    _created: mpsc::Receiver<weir_local::embedded::ObjectCreated>,
}

/// Settles a file and counts.
pub(super) async fn measure(setting: &Setting) -> anyhow::Result<Values> {
    let folder = fresh_folder(setting)?;
    let outside = Outside::system();
    let (on_created, created) = mpsc::channel(16);
    let surroundings = Surroundings {
        dynamodb: Dynamodb::start(None, None, outside.clone())?,
        s3: S3::start(
            S3Options {
                folder: folder.clone(),
                port: None,
                buckets: vec![BUCKET.to_owned()],
                on_created,
            },
            outside.clone(),
        )?,
        sqs: Sqs::start(None, outside.clone())?,
        simulator: Simulator::start(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            SimulatorOptions::default(),
            outside.clock.clone(),
        )
        .await?,
        _created: created,
    };
    let parts = Parts {
        metrics: Metrics::discarded(outside.clock.clone()),
        clock: outside.clock,
        random: outside.random,
    };
    let settlement = Settlement::generate(setting.details)?;
    let (details, contents) = (settlement.details() as f64, settlement.contents);
    let (write, read) = settle(&surroundings, settlement, &parts).await?;
    check(&contents, &surroundings.simulator.summary())?;
    surroundings.simulator.stop().await;
    surroundings.sqs.stop().await;
    surroundings.s3.stop().await;
    surroundings.dynamodb.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(Values::from([
        ("settle.write_units_per_detail".to_owned(), write / details),
        ("settle.read_units_per_detail".to_owned(), read / details),
    ]))
}

/// Takes the file and processes every message until none is left; the units written and read.
async fn settle(
    surroundings: &Surroundings,
    settlement: Settlement,
    parts: &Parts,
) -> anyhow::Result<(f64, f64)> {
    let mut reader = Reader::new(surroundings.environment());
    let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
    let upload = weir_settlement_upload::read(&mut reader);
    let process = weir_detail_processor::read(&mut reader);
    reader.finish()?;
    let clients = AwsClients::new(&aws).await;
    for queue in ["uploads", "details"] {
        clients.sqs.create_queue().queue_name(queue).send().await?;
    }
    let (clock, random) = (parts.clock.clone(), parts.random.clone());
    let store = Store::new(clients.clone(), names, clock, random);
    store.create_tables().await?;
    demo::seed(&store, parts.clock.now()).await?;
    let count = settlement.details();
    let object = settlement.put(&store).await?;
    let failed = |error: weir_lambda::BuildError| anyhow::anyhow!(error);
    let upload = weir_settlement_upload::build(upload, parts.clone())
        .await
        .map_err(failed)?;
    let process = weir_detail_processor::build(process, parts.clone())
        .await
        .map_err(failed)?;
    take(&upload, object, parts).await?;
    while surroundings.settled() < count {
        let url = surroundings.sqs.queue_url("details");
        invoke(&process, &clients.sqs, &url, parts).await?;
    }
    let (taken, processed) = (
        upload.uploader.store.capacity().total(),
        process.processor.store.capacity().total(),
    );
    Ok((taken.write + processed.write, taken.read + processed.read))
}

async fn take(
    state: &weir_settlement_upload::State,
    object: ObjectIdentity,
    parts: &Parts,
) -> anyhow::Result<()> {
    let correlation_id = CorrelationId::generate(&parts.random, &parts.clock);
    let file = state.uploader.register(object, &correlation_id).await?;
    let limit = TimeLimit::after(TIME, &parts.clock);
    let progress = state.uploader.work(file.id, &limit).await?;
    anyhow::ensure!(progress == Progress::Done, "the file is {progress:?}");
    Ok(())
}

/// One invocation of the processor with the messages that are there; none may come back.
async fn invoke(
    state: &weir_detail_processor::State,
    sqs: &aws_sdk_sqs::Client,
    url: &str,
    parts: &Parts,
) -> anyhow::Result<()> {
    let received = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .wait_time_seconds(20)
        .send()
        .await?;
    anyhow::ensure!(!received.messages().is_empty(), "no message is left");
    let records: Vec<Value> = received
        .messages()
        .iter()
        .map(|message| json!({"messageId": message.message_id(), "body": message.body()}))
        .collect();
    let deadline = Deadline::after(TIME, &parts.clock);
    let answer =
        weir_detail_processor::handle(state, json!({"Records": records}), deadline).await?;
    anyhow::ensure!(
        answer.pointer("/batchItemFailures/0").is_none(),
        "messages failed: {answer}"
    );
    Ok(())
}

impl Surroundings {
    fn settled(&self) -> u64 {
        let made = self.simulator.summary();
        made.charges + made.refunds
    }

    /// The functions' settings, as a deployment would set them; what is not here has its default.
    fn environment(&self) -> Vec<(String, String)> {
        let settings = [
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint()),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint()),
            ("AWS_ENDPOINT_URL_SQS", self.sqs.endpoint()),
            ("WEIR_TABLE_PREFIX", "weir-bench-".to_owned()),
            ("WEIR_BUCKET", BUCKET.to_owned()),
            ("WEIR_UPLOADS_QUEUE_URL", self.sqs.queue_url("uploads")),
            ("WEIR_DETAILS_QUEUE_URL", self.sqs.queue_url("details")),
            ("WEIR_THREE_RIVERS_URL", self.simulator.base_url()),
            (
                "WEIR_THREE_RIVERS_API_KEY",
                "bench-three-rivers-key".to_owned(),
            ),
        ];
        settings
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }
}
