//! What is asked about one batch, and asked of it: how it stands, actions, its table of errors.
//!
//! Whatever changes something carries an `Idempotency-Key` of the caller's choice: sent again under
//! it, it is carried out once. Only taking a batch again has none; it is not to be repeated by itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use weir_domain::BatchAction;
use weir_runtime::HttpRequest;

use super::resource::or_zero;
use super::{Api, ApiError, Asked, Batch, Detail, IDEMPOTENCY_KEY};

/// What a detail is looked at for: its large fields are left out.
const DETAIL_FIELDS: &str =
    "id,order_number,transaction_type,status,error_code,error_log,amount,currency";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8");

/// A batch, where it is, and how many drafts it has.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Standing {
    pub(crate) file_id: Uuid,
    #[serde(default, deserialize_with = "or_zero")]
    pub(crate) batch_detail_draft_count: u64,
    /// What is being done to the whole of it, if anything.
    #[serde(default)]
    pub(crate) task: Option<String>,
    #[serde(flatten)]
    pub(crate) batch: Batch,
}

/// A detail that somebody named.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NamedDetail {
    #[serde(flatten)]
    pub(crate) detail: Detail,
    #[serde(default)]
    pub(crate) amount: Option<i64>,
    #[serde(default)]
    pub(crate) currency: Option<String>,
    /// The request that waits to be confirmed, as JSON; only when asked for.
    #[serde(default)]
    pub(crate) draft_request_data: Option<String>,
}

/// What came of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Taken {
    pub(crate) drafted: u64,
    pub(crate) unchanged: u64,
}

/// A table of errors, or why all of it was not given.
#[derive(Debug)]
pub(crate) enum Part {
    /// The table with its header.
    Table(Bytes),
    /// Too much for one answer: the part that ends with this line fits.
    UpTo(u32),
}

/// What is done to a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act<'a> {
    pub(crate) action: BatchAction,
    /// To which details; to all that it is for, where none is named.
    pub(crate) details: &'a [Uuid],
    /// Whether it was looked up what became of their calls.
    pub(crate) looked_up: bool,
}

impl Api {
    /// A batch by its id alone.
    pub(crate) async fn standing(&self, batch: Uuid) -> Result<Standing, ApiError> {
        let batch = batch.to_string();
        self.get(self.request(Method::GET, &["batches", &batch]))
            .await
    }

    /// A detail of a batch; nothing when it is not one of it. With its draft, if wanted.
    pub(crate) async fn named(
        &self,
        of: &Standing,
        detail: Uuid,
        with_draft: bool,
    ) -> Result<Option<NamedDetail>, ApiError> {
        let detail = detail.to_string();
        let mut request = self.on_batch(Method::GET, of, &["details", &detail]);
        let draft = if with_draft {
            ",draft_request_data"
        } else {
            ""
        };
        request
            .url
            .query_pairs_mut()
            .append_pair("fields", &format!("{DETAIL_FIELDS}{draft}"));
        match self.get(request).await {
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Does something to some details of a batch, or, when none is named, to all that it is for.
    pub(crate) async fn act(
        &self,
        on: &Standing,
        act: Act<'_>,
        idempotency_key: &str,
    ) -> Result<Standing, ApiError> {
        let Act {
            action,
            details,
            looked_up,
        } = act;
        let name = match action {
            BatchAction::Cancel => "cancel",
            BatchAction::Retry | BatchAction::Revive => "retry",
            BatchAction::ConfirmDrafts => "confirm-drafts",
            BatchAction::CancelDrafts => "cancel-drafts",
            BatchAction::Retake => return self.retake(on).await,
        };
        let body = if looked_up {
            json!({ "batch_detail_ids": details, "looked_up": true })
        } else if !details.is_empty() {
            json!({ "batch_detail_ids": details })
        } else if action == BatchAction::Revive {
            json!({ "status": "Cancelled" })
        } else {
            json!({})
        };
        let mut request = self.on_batch(Method::POST, on, &[name]);
        request.headers.insert(CONTENT_TYPE, JSON);
        request.body = body.to_string().into();
        with_key(&mut request, idempotency_key);
        self.get(request).await
    }

    async fn retake(&self, batch: &Standing) -> Result<Standing, ApiError> {
        let mut request = self.on_batch(Method::PUT, batch, &[]);
        request.headers.insert(CONTENT_TYPE, JSON);
        request.body = json!({ "status": "Unprocessed" }).to_string().into();
        self.get(request).await
    }

    /// The details in error of a batch as a table, from one line to another or the last.
    pub(crate) async fn errors_table(
        &self,
        of: &Standing,
        from: u32,
        to: Option<u32>,
    ) -> Result<Part, ApiError> {
        let mut request = self.on_batch(Method::GET, of, &["errors"]);
        let bounds = BTreeMap::from([("from_line", Some(from)), ("to_line", to)]);
        let bounds = bounds.into_iter();
        let bounds = bounds.filter_map(|(name, line)| Some((name, line?.to_string())));
        request.url.query_pairs_mut().extend_pairs(bounds);
        request.headers.insert(ACCEPT, CSV);
        let asked = Asked::of(&request);
        match self.answered(asked, self.http.send(request).await) {
            Ok(response) => Ok(Part::Table(response.body)),
            Err(error) => error.fits_to().map(Part::UpTo).ok_or(error),
        }
    }

    /// Sends a mended table.
    pub(crate) async fn put_errors(
        &self,
        of: &Standing,
        table: Bytes,
        idempotency_key: &str,
    ) -> Result<Taken, ApiError> {
        let mut request = self.on_batch(Method::POST, of, &["errors"]);
        request.headers.insert(CONTENT_TYPE, CSV);
        request.body = table;
        with_key(&mut request, idempotency_key);
        self.get(request).await
    }

    fn on_batch(&self, method: Method, batch: &Standing, below: &[&str]) -> HttpRequest {
        let (file, id) = (batch.file_id.to_string(), batch.batch.id.to_string());
        let mut path = vec!["files", file.as_str(), "batches", id.as_str()];
        path.extend(below);
        self.request(method, &path)
    }
}

fn with_key(request: &mut HttpRequest, key: &str) {
    if let Ok(key) = HeaderValue::from_str(key) {
        request.headers.insert(IDEMPOTENCY_KEY, key);
    }
}
