//! A sound file, in through the API and through S3, settles as it says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use weir_domain::{DetailStatus, FileId};
use weir_local::system::{Ports, System, SystemOptions};
use weir_servicegate::generate::Contents;
use weir_simulator::Faults;
use weir_tests::laws::{self, Books};
use weir_tests::parts::Network;
use weir_tests::service::Service;
use weir_tests::text;

const LIMIT: Duration = Duration::from_mins(1);

/// A running system with its folder.
pub(crate) struct Running {
    pub(crate) service: Service,
    system: System,
    _data: TempDir,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let network = Network::new().await;
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let options = SystemOptions {
            data: data.path().to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            ports: Ports::default(),
            faults: Faults::default(),
            seed: 1,
            register_sellers_of: None,
            sweep_every: Duration::from_secs(1),
            settings: vec![setting("WEIR_SWEEP_QUIET", "3")],
        };
        let system = System::start(options).await.unwrap();
        Self {
            service: Service::of(&system, &network).await,
            system,
            _data: data,
        }
    }

    pub(crate) async fn stop(self) {
        self.system.stop().await.unwrap();
    }
}

/// Two batches of 150 records: charges, refunds of charges in the same file, records in error.
fn sample(prefix: &str) -> (Vec<u8>, Contents) {
    text::generated(prefix, 7, 2, 150, 25)
}

fn assert_as_written(books: &Books, contents: Contents) {
    let of = |count: usize| u64::try_from(count).unwrap();
    let settled = contents.charges + contents.refunds;
    assert_eq!(of(books.count(DetailStatus::Processed)), settled);
    assert_eq!(of(books.count(DetailStatus::Error)), contents.errors);
    let codes: BTreeSet<_> = books.errors().into_keys().collect();
    assert!(!codes.is_empty());
    assert!(codes.iter().all(|code| code.starts_with("bcs.")));
    assert_eq!(books.file.detail_count, 300);
    assert_eq!(books.batches.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_through_the_api_and_one_through_s3_settle_as_they_say() {
    let running = Running::start().await;
    let service = &running.service;
    let (posted, contents) = sample("API");
    let (status, answer) = service.post("posted.xml", posted).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["status"], "Stored");
    assert_eq!(answer["name"], "posted.xml");
    let posted: FileId = answer["id"].as_str().unwrap().parse().unwrap();
    let (put, contents_put) = sample("S3");
    let put = service.put("a/b/put.xml", put).await.unwrap();

    let books = service.wait_settled(posted, LIMIT).await;
    assert_as_written(&books, contents);
    let books = service.wait_settled(put, LIMIT).await;
    assert_as_written(&books, contents_put);
    laws::audit(&service.store, &service.platform, &[posted, put]).await;
    let summary = service.platform.summary().await;
    assert_eq!(summary.charges, contents.charges + contents_put.charges);
    assert_eq!(summary.refunds, contents.refunds + contents_put.refunds);
    running.stop().await;
}

/// The fields of the contract's answers, by path.
fn contract() -> BTreeMap<String, BTreeSet<String>> {
    let text = include_str!("../../contract/responses.json");
    let paths: BTreeMap<String, Value> = serde_json::from_str(text).unwrap();
    let of = |(path, answer): (String, Value)| {
        let fields = answer["fields"].as_array().unwrap().iter();
        let fields = fields.map(|field| field.as_str().unwrap().to_owned());
        (path, fields.collect())
    };
    paths.into_iter().map(of).collect()
}

fn fields(rows: &[Value]) -> BTreeSet<String> {
    let of = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    rows.iter().flat_map(of).collect()
}

fn without(all: &BTreeSet<String>, absent: &[&str]) -> BTreeSet<String> {
    let is_shown = |field: &&String| !absent.contains(&field.as_str());
    all.iter().filter(is_shown).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_exactly_the_fields_of_the_contract() {
    // What only an action of a caller sets.
    const BY_CALLERS: [&str; 3] = ["draft_request_data", "user_updated_at", "user_updated_by"];
    let running = Running::start().await;
    let service = &running.service;
    let contract = contract();
    let (file, _) = sample("SHAPE");
    let unknown = text::batch("SHAPE-3", "NOBODY-1", &[text::charge("SO-1", "1.00")]);
    let file = String::from_utf8(file).unwrap();
    // Its controls count the batches: it is made to hold one more.
    let file = file
        .replace("<BatchCount>2<", "<BatchCount>3<")
        .replacen("<TransactionCount>300<", "<TransactionCount>301<", 1)
        .replace("</SettlementFile>", &format!("{unknown}</SettlementFile>"));
    let file = service.put("shape.xml", file).await.unwrap();
    let broken = service.put("broken.xml", "<SettlementFile>").await.unwrap();
    service.wait_settled(file, LIMIT).await;
    service.wait_read(broken, LIMIT).await;

    let mut files = Vec::new();
    for id in [file, broken] {
        let (status, body) = service.get(&format!("/v1/files/{id}")).await;
        assert_eq!(status, 200);
        files.push(body);
    }
    assert_eq!(fields(&files), contract["/v1/files/{file_id}"]);

    let (status, batches) = service.get(&format!("/v1/files/{file}/batches")).await;
    assert_eq!(status, 200);
    let batches = batches.as_array().unwrap().clone();
    assert_eq!(batches.len(), 3);
    let expected = &contract["/v1/files/{file_id}/batches"];
    assert_eq!(fields(&batches), without(expected, &BY_CALLERS));
    let id = batches[0]["id"].as_str().unwrap();
    let (status, one) = service.get(&format!("/v1/files/{file}/batches/{id}")).await;
    assert_eq!((status, &one), (200, &batches[0]));

    let path = format!("/v1/files/{file}/batches/{id}/batchdetails");
    let mut details = Vec::new();
    for page in 1..=2 {
        let query = format!("{path}?page_size=100&page_number={page}");
        let (status, rows) = service.get(&query).await;
        assert_eq!(status, 200);
        details.extend(rows.as_array().unwrap().clone());
    }
    assert_eq!(details.len(), 150);
    let expected = &contract["/v1/files/{file_id}/batches/{batch_id}/batchdetails"];
    assert_eq!(fields(&details), without(expected, &BY_CALLERS));
    running.stop().await;
}
