//! A desk at which broken files are mended: the functions, the API, a table as a spreadsheet has it.

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;
use weir_api::Api;
use weir_domain::{FileId, Permission};
use weir_query::Scope;
use weir_runtime::{Metrics, Random};
use weir_store::{ApiKeyHash, ApiKeyRecord, Batch, Detail};
use weir_tests::rig::Rig;
use weir_tests::text;

/// The functions, and the API on the same tables.
pub(crate) struct Desk {
    pub(crate) rig: Rig,
    pub(crate) router: Router,
    pub(crate) key: String,
}

impl Desk {
    pub(crate) async fn start() -> Self {
        let rig = Rig::start().await;
        let parts = &rig.parts;
        let clock = parts.timeline.clock().clone();
        let metrics = Metrics::discarded(clock.clone());
        let api = Api::new(parts.store.clone(), clock, Random::seeded(8), metrics);
        let mut desk = Self {
            rig,
            router: api.router(),
            key: String::new(),
        };
        let both = [Permission::BatchesRead, Permission::BatchesWrite];
        desk.key = desk.key_of(&both, Scope::default()).await;
        desk
    }

    pub(crate) async fn key_of(&self, permissions: &[Permission], scope: Scope) -> String {
        let key = self.rig.parts.random.uuid_v4().to_string();
        let record = ApiKeyRecord {
            id: Uuid::from_u128(1),
            name: "desk".to_owned(),
            permissions: permissions
                .iter()
                .map(|one| one.name().to_owned())
                .collect(),
            client_id: scope.client_id,
            program_id: scope.program_id,
            seller_id: scope.seller_id,
            created_at: self.rig.parts.timeline.now(),
            expires_at: None,
            revoked_at: None,
        };
        let hash = ApiKeyHash::of(&key);
        self.rig
            .parts
            .store
            .put_api_key(&hash, &record)
            .await
            .unwrap();
        key
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 64 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The table of a batch.
    pub(crate) async fn table(&self, batch: &Batch) -> Table {
        let request = Request::get(target(batch)).header("Authorization", &self.key);
        let (status, text) = self.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        Table::read(&text)
    }

    /// What a body is answered.
    pub(crate) async fn send(
        &self,
        batch: &Batch,
        media: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        self.send_as(&self.key, batch, media, body).await
    }

    pub(crate) async fn send_as(
        &self,
        key: &str,
        batch: &Batch,
        media: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        let request = Request::post(target(batch)).header("Authorization", key);
        let request = request.header("Content-Type", media);
        let (status, text) = self.ask(request.body(body.into()).unwrap()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn put_back(&self, batch: &Batch, table: &Table) -> (StatusCode, Value) {
        self.send(batch, "text/csv; charset=utf-8", table.text(',', "\r\n"))
            .await
    }

    /// Takes the drafts of a batch on.
    pub(crate) async fn confirm(&self, batch: &Batch) {
        let target = target(batch).replace("/errors", "/confirm-drafts");
        let request = Request::post(target).header("Authorization", &self.key);
        let (status, text) = self.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
    }

    pub(crate) async fn details(&self, batch: &Batch) -> Vec<Detail> {
        let lines: Vec<_> = batch.lines().collect();
        self.rig
            .parts
            .store
            .details(&batch.place(), &lines)
            .await
            .unwrap()
    }

    /// A batch of these records, split and sent.
    pub(crate) async fn taken(&self, number: &str, records: &[String]) -> (FileId, Batch) {
        let file = text::one_batch(number, records);
        let file = self.rig.take(&format!("{number}.xml"), file).await;
        self.rig.settle().await;
        (file, self.rig.batch(file, 1).await)
    }
}

pub(crate) fn target(batch: &Batch) -> String {
    format!("/v1/files/{}/batches/{}/errors", batch.id.file(), batch.id)
}

/// A table, as a spreadsheet holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn read(text: &str) -> Self {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let cells = |row: &csv::StringRecord| row.iter().map(str::to_owned).collect();
        Self {
            header: cells(reader.headers().unwrap()),
            rows: reader.records().map(|row| cells(&row.unwrap())).collect(),
        }
    }

    pub(crate) fn cell(&mut self, row: usize, column: &str) -> &mut String {
        let place = self.header.iter().position(|name| name == column);
        &mut self.rows[row][place.unwrap_or_else(|| panic!("no {column}"))]
    }

    pub(crate) fn set(&mut self, row: usize, column: &str, text: &str) {
        text.clone_into(self.cell(row, column));
    }

    pub(crate) fn without(&self, columns: &[&str]) -> Self {
        let kept: Vec<bool> = self
            .header
            .iter()
            .map(|name| !columns.contains(&name.as_str()))
            .collect();
        let of = |row: &Vec<String>| {
            let cells = row.iter().zip(&kept).filter(|(_, kept)| **kept);
            cells.map(|(cell, _)| cell.clone()).collect()
        };
        Self {
            header: of(&self.header),
            rows: self.rows.iter().map(of).collect(),
        }
    }

    pub(crate) fn text(&self, separator: char, end: &str) -> String {
        let quoted = |cell: &String| {
            let needs = cell.contains(['"', '\r', '\n', ',', ';']);
            if needs {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.clone()
            }
        };
        let row = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().map(quoted).collect();
            cells.join(&separator.to_string()) + end
        };
        std::iter::once(&self.header)
            .chain(&self.rows)
            .map(row)
            .collect()
    }
}
