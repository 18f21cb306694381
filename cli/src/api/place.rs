//! Places for files that are too large for a request.
//!
//! Invariants: the key of the API goes to the API alone, never to where a place is; an address that
//! somebody on the way could read is not sent to; nothing here shows a signed address.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use weir_runtime::http::is_private;
use weir_runtime::{HttpError, HttpRequest, HttpResponse, StreamBody, Url};

use super::{AGENT, Api, ApiError, Asked, File, IDEMPOTENCY_KEY};

/// How long sending may take as a whole. Whoever sends sees to it that something moves.
const PUT_TIMEOUT: Duration = Duration::from_hours(24);
/// Says that an answer is that of an earlier request.
const REPLAYED: &str = "idempotent-replayed";

/// A file that waits for its object, and where that goes.
#[derive(Deserialize)]
pub(crate) struct Place {
    pub(crate) file: File,
    upload: SignedPut,
    /// Whether the place was made by an earlier request.
    #[serde(skip)]
    pub(crate) is_replayed: bool,
}

/// A request that is signed: to be sent as it is.
#[derive(Deserialize)]
struct SignedPut {
    url: String,
    headers: BTreeMap<String, String>,
    expires_at: DateTime<Utc>,
}

impl Place {
    /// Whether the time of the place is over.
    pub(crate) fn is_over(&self, now: DateTime<Utc>) -> bool {
        now >= self.upload.expires_at
    }
}

impl Api {
    /// Asks for a place. With the same `idempotency_key` it is the same place.
    pub(crate) async fn reserve(
        &self,
        name: &str,
        size_bytes: u64,
        checksum: &str,
        idempotency_key: &str,
    ) -> Result<Place, ApiError> {
        let mut request = self.request(Method::POST, &["settlements", "uploads"]);
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(CONTENT_TYPE, json);
        if let Ok(key) = HeaderValue::from_str(idempotency_key) {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
        let body = json!({"name": name, "size": size_bytes, "checksum_sha256": checksum});
        request.body = body.to_string().into();
        let asked = Asked::of(&request);
        let response = self.answered(asked.clone(), self.http.send(request).await)?;
        let is_replayed = response.headers.contains_key(REPLAYED);
        let place: Place = self.read(asked, Ok(response))?;
        Ok(Place {
            is_replayed,
            ..place
        })
    }

    /// Sends the bytes to their place.
    pub(crate) async fn put(
        &self,
        place: &Place,
        body: StreamBody,
    ) -> Result<HttpResponse, HttpError> {
        let invalid = |reason: &str| HttpError::Invalid {
            reason: reason.to_owned(),
        };
        let url = place.upload.url.parse::<Url>();
        let url = url.map_err(|_| invalid("the place has no address"))?;
        if !is_private(&url) {
            return Err(invalid("the place is neither https nor on this machine"));
        }
        let mut request = HttpRequest::new(Method::PUT, url);
        request.timeout = PUT_TIMEOUT;
        request.headers.insert(USER_AGENT, AGENT);
        for (name, value) in &place.upload.headers {
            let header = name.parse::<HeaderName>().ok();
            let header = header.zip(HeaderValue::from_str(value).ok());
            let (name, value) = header.ok_or_else(|| invalid("the place has a wrong header"))?;
            // The address has it already.
            if name != HOST {
                request.headers.insert(name, value);
            }
        }
        self.http.send_stream(request, body).await
    }

    /// Says that the object of a file is in its place, and gives the file.
    pub(crate) async fn complete(&self, file: Uuid) -> Result<File, ApiError> {
        let file = file.to_string();
        let path = ["settlements", "uploads", file.as_str(), "complete"];
        self.get(self.request(Method::POST, &path)).await
    }
}
