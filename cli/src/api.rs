//! The few requests of the HTTP API that the command makes.
//!
//! Invariants: every request carries the key, and one correlation id for the whole run of the
//! command; lists are read to their last page; nothing is repeated here. An answer that is not the
//! documented resource is an error, fields beyond it are ignored, and `null` means the same as a
//! field that is not there.

mod acting;
mod error;
mod place;
mod resource;

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use uuid::Uuid;
use weir_domain::DetailStatus;
use weir_runtime::http::is_private;
use weir_runtime::{CorrelationId, Http, HttpRequest, HttpResponse, StreamBody, Url};

use crate::failure::Failure;
use crate::text::append;

pub(crate) use acting::{Act, NamedDetail, Part, Standing, Taken};
pub(crate) use error::ApiError;
pub(crate) use place::{InParts, PartPlace, Place, SignedPut};
pub(crate) use resource::{Batch, Detail, File};

/// Largest page that the API gives.
const PAGE_SIZE: usize = 250;
/// Most pages that are read of one list: the 10 000 batches that a file may have are 40, with an empty
/// one behind them. A server that never ends its list does not keep the command forever.
const PAGES_MAX: usize = 41;
/// How long a read may take: the gateway gives up after 29 s.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an upload may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(5);
/// Largest answer: the gateway lets 6 MB pass.
const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;

const FILE_NAME: HeaderName = HeaderName::from_static("x-file-name");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("weir-cli/", env!("CARGO_PKG_VERSION")));

/// The API as seen with one key.
#[derive(Debug)]
pub(crate) struct Api {
    http: Http,
    base: Url,
    headers: HeaderMap,
    correlation: CorrelationId,
}

impl Api {
    /// The API at `base`, a URL without `/v1`.
    pub(crate) fn new(
        http: Http,
        base: Url,
        key: &SecretString,
        correlation: CorrelationId,
    ) -> Result<Self, Failure> {
        let mut key = HeaderValue::from_str(key.expose_secret().trim())
            .map_err(|_| invalid_key("has characters that cannot be sent in a header"))?;
        key.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, key);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, AGENT);
        if let Ok(correlation) = HeaderValue::from_str(correlation.as_str()) {
            headers.insert(CORRELATION_ID, correlation);
        }
        Ok(Self {
            http,
            base,
            headers,
            correlation,
        })
    }

    /// Uploads a settlement file under `name`. With the same `idempotency_key` it can be sent again.
    pub(crate) async fn submit(
        &self,
        name: &str,
        idempotency_key: &str,
        body: StreamBody,
    ) -> Result<File, ApiError> {
        let mut request = self.request(Method::POST, &["settlements"]);
        request.timeout = UPLOAD_TIMEOUT;
        let xml = HeaderValue::from_static("application/xml");
        request.headers.insert(CONTENT_TYPE, xml);
        if let Ok(name) = HeaderValue::from_str(&percent_encoded(name)) {
            request.headers.insert(FILE_NAME, name);
        }
        if let Ok(key) = HeaderValue::from_str(idempotency_key) {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
        let asked = Asked::of(&request);
        let response = self.http.send_stream(request, body).await;
        self.read(asked, response)
    }

    /// One file.
    pub(crate) async fn file(&self, id: Uuid) -> Result<File, ApiError> {
        let id = id.to_string();
        self.get(self.request(Method::GET, &["files", &id])).await
    }

    /// All batches of a file.
    pub(crate) async fn batches(&self, file: Uuid) -> Result<Vec<Batch>, ApiError> {
        let file = file.to_string();
        let path = ["files", file.as_str(), "batches"];
        let mut batches = Vec::new();
        for page_number in 1..=PAGES_MAX {
            let page: Vec<Batch> = self.page(&path, &[], page_number, PAGE_SIZE).await?;
            let is_last = page.len() < PAGE_SIZE;
            batches.extend(page);
            if is_last {
                break;
            }
        }
        Ok(batches)
    }

    /// Details in error of a batch, the first `count_max` of them, which is at most [`PAGE_SIZE`].
    pub(crate) async fn details_in_error(
        &self,
        file: Uuid,
        batch: Uuid,
        count_max: usize,
    ) -> Result<Vec<Detail>, ApiError> {
        let (file, batch) = (file.to_string(), batch.to_string());
        let path = ["files", &file, "batches", &batch, "batchdetails"];
        let filter = [("status", DetailStatus::Error.name())];
        // No more than is shown: a detail comes with its XML and all that was sent for it.
        let mut details: Vec<Detail> = self.page(&path, &filter, 1, count_max).await?;
        details.retain(|detail| detail.status == DetailStatus::Error);
        details.truncate(count_max);
        Ok(details)
    }

    async fn page<T: DeserializeOwned>(
        &self,
        path: &[&str],
        filter: &[(&str, &str)],
        number: usize,
        size: usize,
    ) -> Result<T, ApiError> {
        let mut request = self.request(Method::GET, path);
        request
            .url
            .query_pairs_mut()
            .append_pair("page_size", &size.to_string())
            .append_pair("page_number", &number.to_string())
            .extend_pairs(filter);
        self.get(request).await
    }

    fn request(&self, method: Method, path: &[&str]) -> HttpRequest {
        let mut url = self.base.clone();
        // Fails only for a URL that cannot have a path; the base is http or https.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let mut request = HttpRequest::new(method, url);
        request.headers = self.headers.clone();
        request.timeout = READ_TIMEOUT;
        request.response_bytes_max = RESPONSE_BYTES_MAX;
        request
    }

    async fn get<T: DeserializeOwned>(&self, request: HttpRequest) -> Result<T, ApiError> {
        let asked = Asked::of(&request);
        let response = self.http.send(request).await;
        self.read(asked, response)
    }

    fn read<T: DeserializeOwned>(
        &self,
        asked: Asked,
        response: Result<HttpResponse, weir_runtime::HttpError>,
    ) -> Result<T, ApiError> {
        let response = self.answered(asked.clone(), response)?;
        let correlation = self.correlation.clone();
        serde_json::from_slice(&response.body)
            .map_err(|error| ApiError::unexpected(asked, correlation, response.status, &error))
    }

    /// The answer, when it is a 2xx.
    fn answered(
        &self,
        asked: Asked,
        response: Result<HttpResponse, weir_runtime::HttpError>,
    ) -> Result<HttpResponse, ApiError> {
        let correlation = self.correlation.clone();
        let response = response
            .map_err(|error| ApiError::unanswered(asked.clone(), correlation.clone(), error))?;
        if response.status.is_success() {
            Ok(response)
        } else {
            Err(ApiError::refused(asked, correlation, &response))
        }
    }
}

/// Which request an error is about, without its query.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    method: Method,
    url: String,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To see how something stands.
    Look,
    /// To hand a settlement file in.
    Upload,
    /// To change what is there.
    Change,
}

impl Asked {
    fn purpose(&self) -> Purpose {
        if self.method == Method::GET {
            Purpose::Look
        } else if self.url.contains("/v1/settlements") {
            Purpose::Upload
        } else {
            Purpose::Change
        }
    }

    fn of(request: &HttpRequest) -> Self {
        let mut url = request.url.clone();
        url.set_query(None);
        Self {
            method: request.method.clone(),
            url: url.into(),
        }
    }
}

/// Reads where the API is. The text is not repeated in a failure, as it may hold a password.
pub(crate) fn base_url(text: &str) -> Result<Url, Failure> {
    let invalid = |reason| Failure::SettingInvalid {
        variable: "WEIR_API",
        flag: "--api",
        reason,
    };
    let form = invalid("must be a URL such as http://127.0.0.1:8080");
    let Ok(url) = text.trim().parse::<Url>() else {
        return Err(form);
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(form);
    }
    if !url.username().is_empty() || url.password().is_some() {
        let reason = "must not hold a user or a password: the key is a setting of its own";
        return Err(invalid(reason));
    }
    if !is_private(&url) {
        let reason =
            "must be an https URL, as the key is sent there: http only leads to this machine";
        return Err(invalid(reason));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("must end with its path: no `?` and no `#`"));
    }
    Ok(url)
}

/// The failure that says what is wrong with the key, not what it is.
pub(crate) fn invalid_key(reason: &'static str) -> Failure {
    Failure::SettingInvalid {
        variable: "WEIR_API_KEY",
        flag: "--api-key",
        reason,
    }
}

/// The UTF-8 bytes of `text`, all but RFC 3986's unreserved characters as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => append(&mut encoded, format_args!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_travels_percent_encoded() {
        assert_eq!(percent_encoded("nw-2026_11.xml"), "nw-2026_11.xml");
        assert_eq!(
            percent_encoded("Größe 1/2.xml"),
            "Gr%C3%B6%C3%9Fe%201%2F2.xml"
        );
        assert_eq!(percent_encoded("a\r\nb%"), "a%0D%0Ab%25");
    }

    #[test]
    fn the_address_of_the_api_is_https_or_on_this_machine_and_nothing_but_an_address() {
        for text in [
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
            " https://weir.example.com/prod/ ",
        ] {
            assert!(base_url(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "127.0.0.1:8080",
            "ftp://weir.example.com",
            "http://weir.example.com",
            "http://s3cret.example.com",
            "https://u:s3cret@weir.example.com",
            "https://weir.example.com/?a=s3cret",
            "https://weir.example.com/#s3cret",
        ] {
            let failure = base_url(text).unwrap_err();
            assert!(
                !format!("{failure} {failure:?}").contains("s3cret"),
                "{text}"
            );
        }
    }
}
