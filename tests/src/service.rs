//! A whole running system, in this process or in one of its own, as its callers see it.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::Value;
use weir_domain::{BatchOrdinal, BatchStatus, FileId, FileStatus, ObjectIdentity};
use weir_local::system::System;
use weir_runtime::{AwsClients, AwsOptions, Clock, Http, HttpRequest, Random, Reader};
use weir_store::{File, Names, Store};

use crate::laws::Books;
use crate::parts::{Network, scope};
use crate::platform::Platform;

/// How often something is looked at until it is as expected.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A running system.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its tables and objects.
    pub store: Store,
    /// Its 3Rivers.
    pub platform: Platform,
    http: Http,
    s3: aws_sdk_s3::Client,
    api: String,
    api_key: String,
    bucket: String,
}

impl Service {
    /// The system of this process.
    pub async fn of(system: &System, network: &Network) -> Self {
        let ready = serde_json::to_value(system.ready()).unwrap();
        Self::new(&ready, system.environment().to_vec(), network).await
    }

    /// A system by what it says when it is ready and by the settings of its functions.
    pub async fn new(ready: &Value, environment: Vec<(String, String)>, network: &Network) -> Self {
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let mut reader = Reader::new(environment);
        let (mut options, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
        reader.finish().unwrap();
        options.http_client = Some(network.aws.clone());
        let clients = AwsClients::new(&options).await;
        Self {
            s3: clients.s3.clone(),
            store: Store::new(clients, names, Clock::system(), Random::system()),
            platform: Platform::new(network.http.clone(), text("three_rivers")),
            http: network.http.clone(),
            api: text("api"),
            api_key: text("api_key"),
            bucket: text("bucket"),
        }
    }

    /// `POST /v1/settlements`: the status and the answer.
    pub async fn post(&self, name: &str, file: impl Into<Bytes>) -> (u16, Value) {
        let mut request = self.request(Method::POST, "/v1/settlements");
        let xml = HeaderValue::from_static("application/xml");
        request.headers.insert(CONTENT_TYPE, xml);
        let name = HeaderValue::try_from(name).unwrap();
        request.headers.insert("x-file-name", name);
        request.body = file.into();
        self.send(request).await
    }

    /// A `GET` of the API: the status and the answer.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.request(Method::GET, path)).await
    }

    fn request(&self, method: Method, path: &str) -> HttpRequest {
        let url = format!("{}{path}", self.api).parse().unwrap();
        let mut request = HttpRequest::new(method, url);
        let key = HeaderValue::try_from(&self.api_key).unwrap();
        request.headers.insert(AUTHORIZATION, key);
        request.response_bytes_max = 8 << 20;
        request
    }

    async fn send(&self, request: HttpRequest) -> (u16, Value) {
        let answer = self.http.send(request).await.unwrap();
        let body = serde_json::from_slice(&answer.body).unwrap();
        (answer.status.as_u16(), body)
    }

    /// The key of an object of the demo's program.
    pub fn key(name: &str) -> String {
        scope().key(name)
    }

    /// Puts an object as a seller does, and tells which file it becomes. `None` when the store did
    /// not answer.
    pub async fn put(&self, name: &str, file: impl Into<Bytes>) -> Option<FileId> {
        let key = Self::key(name);
        let put = self.s3.put_object().bucket(&self.bucket).key(&key);
        let body = ByteStream::from(file.into());
        let answer = put.body(body).send().await.ok()?;
        let object = ObjectIdentity::new(&self.bucket, key, answer.e_tag()?);
        Some(FileId::of_object(&object))
    }

    /// Waits until a file is read to its end.
    pub async fn wait_read(&self, file: FileId, limit: Duration) -> File {
        let is_read = |status| matches!(status, FileStatus::Processed | FileStatus::Error);
        let clock = Clock::system();
        let deadline = clock.monotonic() + limit;
        loop {
            let found = self.store.file(file).await.unwrap();
            match found {
                Some(file) if is_read(file.status) => return file,
                other => assert!(clock.monotonic() < deadline, "not read yet: {other:?}"),
            }
            clock.sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until everything of a file is settled.
    pub async fn wait_settled(&self, file: FileId, limit: Duration) -> Books {
        let clock = Clock::system();
        let deadline = clock.monotonic() + limit;
        let read = self.wait_read(file, limit).await;
        for ordinal in 1..=read.batch_count {
            let id = file.batch(BatchOrdinal::new(ordinal).unwrap());
            loop {
                // The batch alone tells when it is done; its details would be much to read.
                let batch = self.store.batch(id).await.unwrap().unwrap();
                if batch.status != BatchStatus::Unprocessed {
                    break;
                }
                assert!(clock.monotonic() < deadline, "still open: {batch:#?}");
                clock.sleep(LOOK_EVERY).await;
            }
        }
        Books::of(&self.store, file).await
    }
}
