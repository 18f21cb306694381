//! What each function is given to do: its sample events, told of what is there, as often as is needed to
//! see what it uses in the end.
#![expect(
    clippy::indexing_slicing,
    reason = "a sample event that lacks a member ends the measurement, and rightly so"
)]

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use weir_domain::{BatchId, BatchOrdinal, FileId, ObjectIdentity, Permission};
use weir_lambda::Parts;
use weir_local::demo;
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_servicegate::generate;
use weir_settlement::upload::UploadScope;
use weir_store::{Names, Stage, Store};

use super::process::Started;
use crate::measure::Values;
use crate::sample::{self, BATCHES};
use crate::surroundings::Surroundings;
use crate::{messages, query};

/// Details of each file that is uploaded.
const DETAILS: u32 = 10_000;
/// Messages of an event.
const RECORDS: u32 = 10;
/// Requests to each of the API's functions, events of the others.
const TIMES: u32 = 300;

/// What is there for the functions to work on.
pub(super) struct Load {
    store: Store,
    clients: AwsClients,
    details_url: String,
    /// Where the files lie: the first is to be settled, the second to be acted on.
    objects: [ObjectIdentity; 2],
    key: String,
}

impl Load {
    /// Fills the tables and puts the files into the bucket.
    pub(super) async fn prepare(
        surroundings: &Surroundings,
        parts: &Parts,
    ) -> anyhow::Result<Self> {
        let mut reader = Reader::new(surroundings.environment());
        let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
        reader.finish()?;
        let clients = AwsClients::new(&aws).await;
        for queue in ["uploads", "details"] {
            clients.sqs.create_queue().queue_name(queue).send().await?;
        }
        let (clock, random) = (parts.clock.clone(), parts.random.clone());
        let store = Store::new(clients.clone(), names, clock.clone(), random.clone());
        store.create_tables().await?;
        demo::seed(&store, &clock, &random).await?;
        Ok(Self {
            objects: [put(&store, "first").await?, put(&store, "second").await?],
            details_url: surroundings.sqs.queue_url("details"),
            key: key(&store, parts).await?,
            clients,
            store,
        })
    }

    /// Gives a function its load, and tells what else was seen meanwhile.
    pub(super) async fn put_on(
        &self,
        function: &mut Started,
        name: &str,
    ) -> anyhow::Result<Values> {
        let before = function.processor_time()?;
        let mut seen = Values::new();
        match name {
            "settlement-upload" => {
                self.upload(function).await?;
                let used = function.processor_time()?.saturating_sub(before);
                let per_detail = used.as_secs_f64() * 1e3 / f64::from(2 * DETAILS);
                seen.insert(
                    "functions.settlement_upload.cpu_ms_per_detail".to_owned(),
                    per_detail,
                );
            }
            "detail-processor" => {
                let messages = self.process(function).await?;
                let used = function.processor_time()?.saturating_sub(before);
                let per_detail = used.as_secs_f64() * 1e3 / f64::from(DETAILS);
                seen.insert(
                    "functions.detail_processor.cpu_ms_per_detail".to_owned(),
                    per_detail,
                );
                let per_detail = f64::from(messages) / f64::from(DETAILS);
                seen.insert(
                    "functions.detail_processor.messages_per_detail".to_owned(),
                    per_detail,
                );
            }
            "query-api" => self.ask(function).await?,
            "action-api" => self.act(function).await?,
            "sweeper" => function.take_all(vec![event("schedule")?; 10]).await?,
            "reference-sync" => function.take_all(told()?).await?,
            "dead-letter" => function.take_all(self.dead_letters()?).await?,
            other => anyhow::bail!("{other} has no load"),
        }
        Ok(seen)
    }

    /// Both files, as S3 tells of them.
    async fn upload(&self, function: &mut Started) -> anyhow::Result<()> {
        for object in &self.objects {
            let mut event = event("s3-put")?;
            let place = event.pointer_mut("/Records/0/s3").context("no object")?;
            place["bucket"]["name"] = json!(object.bucket);
            place["object"]["key"] = json!(object.key);
            place["object"]["eTag"] = json!(object.etag);
            function.take_all([event]).await?;
            let file = self.store.file(FileId::of_object(object)).await?;
            let stage = file.context("the file is not known")?.stage;
            ensure!(stage == Stage::Done, "the file is in stage {stage:?}");
        }
        Ok(())
    }

    /// The details queue until it is empty, ten messages at a time. Those of the second file go to
    /// nobody: it is there to be acted on. Gives how many messages those of the first were.
    async fn process(&self, function: &mut Started) -> anyhow::Result<u32> {
        let (_, kept) = self.second()?;
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let mut taken = 0;
        loop {
            let request = self.clients.sqs.receive_message();
            let request = request
                .queue_url(&self.details_url)
                .max_number_of_messages(10);
            // Longer than a refund waits for its charge.
            let received = request.wait_time_seconds(5).send().await?;
            if received.messages().is_empty() {
                return Ok(taken);
            }
            let bodies: Vec<_> = (received.messages().iter())
                .filter_map(|message| message.body())
                .filter(|body| !kept.iter().any(|batch| body.contains(batch)))
                .collect();
            taken += u32::try_from(bodies.len())?;
            function.take_all([records("sqs-details", bodies)?]).await?;
            for message in received.messages() {
                let request = self
                    .clients
                    .sqs
                    .delete_message()
                    .queue_url(&self.details_url);
                let receipt = message.receipt_handle().map(str::to_owned);
                request.set_receipt_handle(receipt).send().await?;
            }
        }
    }

    /// Questions of every kind, the document and its page among them.
    async fn ask(&self, function: &mut Started) -> anyhow::Result<()> {
        let (file, batches) = self.second()?;
        for time in 0..TIMES {
            let batch = batches
                .get(time as usize % batches.len())
                .context("no batch")?;
            let (path, query) = match time % 8 {
                0 => (
                    format!("/v1/files/{file}/batches"),
                    "page_size=10&page_number=1".to_owned(),
                ),
                1 => (
                    format!("/v1/files/{file}/batches/{batch}/batchdetails"),
                    format!("page_size=50&page_number={}", 1 + time % 40),
                ),
                2 => ("/v1/batchdetails".to_owned(), "status=Error".to_owned()),
                3 => (
                    "/v1/batchdetails".to_owned(),
                    "page_size=50&page_number=300".to_owned(),
                ),
                4 => (
                    "/v1/batchdetails".to_owned(),
                    format!("file_id={file}&sort_column[]=-amount&page_size=50"),
                ),
                5 => (
                    format!("/v1/files/{file}/batches/{batch}/errors"),
                    String::new(),
                ),
                6 => ("/openapi.json".to_owned(), String::new()),
                _ => ("/".to_owned(), String::new()),
            };
            let mut event = self.request("query-api-list-batches", "GET", &path)?;
            event["rawQueryString"] = json!(query);
            answered(function, event).await?;
        }
        Ok(())
    }

    /// Files over HTTP, one of them as large as it may be, and a batch that is cancelled and revived.
    async fn act(&self, function: &mut Started) -> anyhow::Result<()> {
        let (file, batches) = self.second()?;
        for time in 0..TIMES {
            let batch = batches
                .get(time as usize % batches.len())
                .context("no batch")?;
            let event = if time % 3 == 0 {
                let details = if time == 150 { 2_600 } else { 20 };
                let mut xml = Vec::new();
                let mut plan = sample::plan(details, 0)?;
                plan.prefix = format!("H{time}");
                generate::generate(&plan, &mut xml)?;
                let mut event = self.request("action-api-submit", "POST", "/v1/settlements")?;
                event["headers"]["content-length"] = json!(xml.len().to_string());
                event["headers"]["x-file-name"] = json!(format!("{time}.xml"));
                event["body"] = json!(String::from_utf8(xml)?);
                event
            } else {
                let action = if time % 3 == 1 { "cancel" } else { "retry" };
                let path = format!("/v1/files/{file}/batches/{batch}/{action}");
                let mut event = self.request("action-api-submit", "POST", &path)?;
                event["headers"]["content-type"] = json!("application/json");
                event["body"] = json!("{}");
                event
            };
            answered(function, event).await?;
        }
        Ok(())
    }

    /// An event of API Gateway with a key that is known.
    fn request(&self, sample: &str, method: &str, path: &str) -> anyhow::Result<Value> {
        let mut event = event(sample)?;
        event["rawPath"] = json!(path);
        event["headers"]["authorization"] = json!(self.key);
        event["requestContext"]["http"]["method"] = json!(method);
        Ok(event)
    }

    /// The second file and its batches.
    fn second(&self) -> anyhow::Result<(FileId, Vec<BatchId>)> {
        let [_, object] = &self.objects;
        let file = FileId::of_object(object);
        let batches = (1..=BATCHES).map(|number| Ok(file.batch(BatchOrdinal::new(number)?)));
        Ok((file, batches.collect::<anyhow::Result<_>>()?))
    }

    /// Messages of the details queue that nobody could work on.
    fn dead_letters(&self) -> anyhow::Result<Vec<Value>> {
        let (_, batches) = self.second()?;
        let batch = batches.first().context("no batch")?;
        let body = |line: u32| {
            let correlation_id = format!("bench-{line}");
            json!({"v": 1, "batch_id": batch, "lines": [line], "correlation_id": correlation_id})
                .to_string()
        };
        let together = (0..TIMES).map(|time| {
            let bodies = (1..=RECORDS).map(|record| body(time * RECORDS + record));
            numbered(records("sqs-dead-letter-details", bodies)?, time)
        });
        together.collect()
    }
}

/// Messages that tell of reference data.
fn told() -> anyhow::Result<Vec<Value>> {
    // The client, its program, and then what belongs to them: what comes before those waits.
    let alone = (0..2).map(|number| (number, number..number + 1));
    let others = (0..TIMES).map(|time| (time + 2, 2 + time * RECORDS..2 + (time + 1) * RECORDS));
    let together = alone.chain(others).map(|(time, numbers)| {
        let bodies = numbers.map(|number| messages::body(number).to_string());
        numbered(records("sqs-reference", bodies)?, time)
    });
    together.collect()
}

/// A request that must be answered well.
async fn answered(function: &mut Started, event: Value) -> anyhow::Result<()> {
    let path = event["rawPath"].to_string();
    let answer = function.invoke(event).await?;
    let status = answer["statusCode"].as_u64().unwrap_or_default();
    ensure!(status == 200, "{path}: {status} {}", answer["body"]);
    Ok(())
}

/// A sample event.
fn event(name: &str) -> anyhow::Result<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let path = folder.join(format!("example-{name}.json"));
    let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// A queue's sample event with these messages.
fn records<B: Into<String>>(
    sample: &str,
    bodies: impl IntoIterator<Item = B>,
) -> anyhow::Result<Value> {
    let mut event = event(sample)?;
    let record = event["Records"][0].take();
    let record = |(number, body): (u32, B)| {
        let mut record = record.clone();
        record["messageId"] = json!(format!("9e1f4c4b-0000-4000-8000-{number:012}"));
        record["body"] = json!(body.into());
        record
    };
    event["Records"] = (0..).zip(bodies).map(record).collect();
    Ok(event)
}

/// The event with messages that no other event has.
fn numbered(mut event: Value, time: u32) -> anyhow::Result<Value> {
    let records = event["Records"].as_array_mut().context("no records")?;
    for (number, record) in (0_u32..).zip(records) {
        record["messageId"] = json!(format!("9e1f4c4b-0000-4000-{time:04}-{number:012}"));
    }
    Ok(event)
}

async fn put(store: &Store, name: &str) -> anyhow::Result<ObjectIdentity> {
    let mut xml = Vec::new();
    let mut plan = sample::plan(DETAILS, 0)?;
    plan.prefix = name.to_uppercase();
    generate::generate(&plan, &mut xml)?;
    let scope = UploadScope {
        client_id: demo::client_id()?,
        program_id: demo::program_id()?,
        seller_id: None,
    };
    Ok(store
        .put_upload(&scope.key(&format!("{name}.xml")), xml.into())
        .await?)
}

/// A key that may do everything to the demo's program.
async fn key(store: &Store, parts: &Parts) -> anyhow::Result<String> {
    let of = (demo::client_id()?, demo::program_id()?);
    query::key_for(store, parts, Permission::ALL, Some(of)).await
}
