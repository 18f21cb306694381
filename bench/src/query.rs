//! Questions to the API about 200 000 details in 400 batches of 20 files, as the upload makes them.
//!
//! The API runs in this process, on the embedded database over HTTP; the answers are whole, with
//! payloads where the question has them. Each question is asked some hundred times with other ids.

use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use serde_json::Value;
use tower::ServiceExt;
use weir_api::Api;
use weir_domain::{BatchId, BatchOrdinal, ClientId, FileId, LineNumber, Permission, ProgramId};
use weir_lambda::Parts;
use weir_local::demo;
use weir_runtime::{AwsClients, AwsOptions, Reader};
use weir_servicegate::generate;
use weir_settlement::upload::{UploadScope, Uploader};
use weir_store::{ApiKeyHash, ApiKeyRecord, Names, Store};

use crate::measure::Values;
use crate::surroundings::{Surroundings, take};
use crate::{Setting, sample};

const FILES: u32 = 20;
const BATCHES_PER_FILE: u32 = 20;
const DETAILS_PER_BATCH: u32 = 500;
/// One record in so many has an error, of every fourth file alone.
const ERROR_EVERY: u32 = 250;
/// How often each question is asked.
const TIMES: usize = 200;

/// The questions, by the name of their figures.
const QUESTIONS: [&str; 6] = [
    "by_id",
    "batch_page",
    "errors",
    "page_4000",
    "cursor",
    "sort_in_file",
];

/// What is kept, and the API on it.
struct Asked {
    router: Router,
    key: String,
    files: Vec<FileId>,
    parts: Parts,
}

/// Fills the tables and asks.
pub(crate) async fn measure(setting: &Setting) -> anyhow::Result<Values> {
    let folder = setting.scratch.join("query");
    std::fs::create_dir_all(&folder)?;
    let (surroundings, parts) = Surroundings::start(&folder).await?;
    let asked = Asked::fill(&surroundings, parts).await?;
    let mut values = Values::new();
    for question in QUESTIONS {
        let (times, units) = asked.ask_often(question).await?;
        let at = |hundredth: usize| {
            let place = (times.len() * hundredth / 100).min(times.len() - 1);
            times
                .get(place)
                .map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        values.insert(format!("query.{question}.p50_ms"), at(50));
        values.insert(format!("query.{question}.p99_ms"), at(99));
        values.insert(format!("query.{question}.read_units"), units);
    }
    surroundings.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    Ok(values)
}

impl Asked {
    async fn fill(surroundings: &Surroundings, parts: Parts) -> anyhow::Result<Self> {
        let mut reader = Reader::new(surroundings.environment());
        let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
        reader.finish()?;
        let clients = AwsClients::new(&aws).await;
        for queue in ["uploads", "details"] {
            clients.sqs.create_queue().queue_name(queue).send().await?;
        }
        let (clock, random) = (parts.clock.clone(), parts.random.clone());
        let store = Store::new(clients, names, clock.clone(), random.clone());
        store.create_tables().await?;
        demo::seed(&store, &clock, &random).await?;
        let uploader = Uploader {
            store: store.clone(),
            clock: clock.clone(),
            metrics: parts.metrics.clone(),
        };
        let mut files = Vec::new();
        for number in 0..FILES {
            files.push(upload(&uploader, &parts, number).await?);
        }
        let key = key(&store, &parts).await?;
        let api = Api::new(store, clock, random, parts.metrics.clone());
        Ok(Self {
            router: api.router(),
            key,
            files,
            parts,
        })
    }

    /// A file, a batch of it, and a line, other ones each time.
    fn pick(&self, time: usize) -> anyhow::Result<(FileId, BatchId, LineNumber)> {
        let step = u32::try_from(time)?;
        let file = self.files.get(time % self.files.len());
        let file = *file.ok_or_else(|| anyhow!("there is no file"))?;
        let batch = file.batch(BatchOrdinal::new(1 + step * 7 % BATCHES_PER_FILE)?);
        Ok((
            file,
            batch,
            LineNumber::new(1 + step * 37 % DETAILS_PER_BATCH)?,
        ))
    }

    fn target(&self, question: &str, time: usize) -> anyhow::Result<String> {
        let (file, batch, line) = self.pick(time)?;
        Ok(match question {
            "by_id" => format!("/v1/batchdetails/{}", batch.detail(line)),
            "batch_page" => format!(
                "/v1/files/{file}/batches/{batch}/batchdetails?page_size=50&page_number={}",
                1 + time % 10
            ),
            "errors" => "/v1/batchdetails?status=Error&page_size=50".to_owned(),
            "page_4000" => "/v1/batchdetails?page_size=50&page_number=4000".to_owned(),
            "sort_in_file" => {
                format!("/v1/batchdetails?file_id={file}&sort_column[]=-amount&page_size=50")
            }
            other => anyhow::bail!("{other} is no question"),
        })
    }

    /// How long each answer took, in order, and the mean of the units read.
    async fn ask_often(&self, question: &str) -> anyhow::Result<(Vec<Duration>, f64)> {
        let mut times = Vec::with_capacity(TIMES);
        let mut units = 0.0;
        // The page that a link leads to from page 3 999.
        let mut cursor = None;
        if question == "cursor" {
            let before = "/v1/batchdetails?page_size=50&page_number=3999";
            let (_, headers, _) = self.ask(before).await?;
            cursor = Some(next(&headers)?);
        }
        for time in 0..TIMES {
            let target = match &cursor {
                Some(cursor) => cursor.clone(),
                None => self.target(question, time)?,
            };
            let (took, headers, body) = self.ask(&target).await?;
            let rows = body.as_array().map_or(1, Vec::len);
            anyhow::ensure!(rows > 0, "{target} gave nothing");
            times.push(took);
            units += read_units(&headers);
        }
        times.sort_unstable();
        Ok((times, units / TIMES as f64))
    }

    async fn ask(&self, target: &str) -> anyhow::Result<(Duration, HeaderMap, Value)> {
        let request = Request::get(target)
            .header("Authorization", &self.key)
            .body(Body::empty())?;
        let clock = &self.parts.clock;
        let began_at = clock.monotonic();
        let response = self.router.clone().oneshot(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), 16 << 20).await?;
        let took = clock.monotonic().saturating_sub(began_at);
        anyhow::ensure!(
            status.is_success(),
            "{target}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok((took, headers, serde_json::from_slice(&body)?))
    }
}

async fn upload(uploader: &Uploader, parts: &Parts, number: u32) -> anyhow::Result<FileId> {
    let mut plan = sample::plan(DETAILS_PER_BATCH * BATCHES_PER_FILE, 0)?;
    plan.seed = number.into();
    plan.batches = BATCHES_PER_FILE;
    plan.records_per_batch = DETAILS_PER_BATCH;
    plan.error_every = if number.is_multiple_of(4) {
        ERROR_EVERY
    } else {
        0
    };
    plan.prefix = format!("Q{number}");
    let mut bytes = Vec::new();
    generate::generate(&plan, &mut bytes)?;
    let scope = UploadScope {
        client_id: demo::client_id()?,
        program_id: demo::program_id()?,
        seller_id: None,
    };
    let key = scope.key(&format!("query-{number}.xml"));
    let object = uploader.store.put_upload(&key, bytes.into()).await?;
    take(uploader, object, parts).await
}

/// An operator's key: it is told what was read.
async fn key(store: &Store, parts: &Parts) -> anyhow::Result<String> {
    key_for(store, parts, &[Permission::BatchesRead], None).await
}

/// A new key that may do this, of a program or of an operator.
pub(crate) async fn key_for(
    store: &Store,
    parts: &Parts,
    allowed: &[Permission],
    of: Option<(ClientId, ProgramId)>,
) -> anyhow::Result<String> {
    let key = parts.random.uuid_v4().to_string();
    let now = parts.clock.now();
    let permissions = allowed
        .iter()
        .map(|permission| permission.name().to_owned());
    let record = ApiKeyRecord {
        id: parts.random.uuid_v7(now),
        name: "bench".to_owned(),
        permissions: permissions.collect(),
        client_id: of.map(|(client, _)| client),
        program_id: of.map(|(_, program)| program),
        seller_id: None,
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    store.put_api_key(&ApiKeyHash::of(&key), &record).await?;
    Ok(key)
}

fn next(headers: &HeaderMap) -> anyhow::Result<String> {
    let link = headers.get("link").context("there is no next page")?;
    let target = link.to_str()?.strip_prefix('<').unwrap_or_default();
    let (target, _) = target.split_once('>').context("the link has no target")?;
    Ok(target.to_owned())
}

fn read_units(headers: &HeaderMap) -> f64 {
    let read = headers
        .get("x-weir-read")
        .and_then(|read| read.to_str().ok());
    let units = read.and_then(|read| read.rsplit('=').next());
    units.and_then(|units| units.parse().ok()).unwrap_or(0.0)
}
