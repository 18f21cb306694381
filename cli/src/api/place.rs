//! Places for files that are too large for a request, and for parts of those that are too large for one
//! sending.
//!
//! Invariants: the key of the API goes to the API alone, never to where a place is; an address that
//! somebody on the way could read is not sent to; nothing here shows a signed address.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;
use weir_runtime::http::is_private;
use weir_runtime::{HttpError, HttpRequest, HttpResponse, StreamBody, Url};

use super::{AGENT, Api, ApiError, Asked, File, IDEMPOTENCY_KEY};

/// How long sending may take as a whole. Whoever sends sees to it that something moves.
const PUT_TIMEOUT: Duration = Duration::from_hours(24);
/// Says that an answer is that of an earlier request.
const REPLAYED: &str = "idempotent-replayed";

/// A file that waits for its object, and how that goes there.
#[derive(Deserialize)]
pub(crate) struct Place<U> {
    pub(crate) file: File,
    pub(crate) upload: U,
    /// Whether the place was made by an earlier request.
    #[serde(skip)]
    pub(crate) is_replayed: bool,
}

/// A request that is signed: to be sent as it is.
#[derive(Deserialize)]
pub(crate) struct SignedPut {
    url: String,
    headers: BTreeMap<String, String>,
    expires_at: DateTime<Utc>,
}

/// The parts of a file that does not go in one.
#[derive(Deserialize)]
pub(crate) struct InParts {
    part_count: u32,
}

/// A part of a file, and where it goes unless it is there.
#[derive(Deserialize)]
#[serde(try_from = "ToldPart")]
pub(crate) struct PartPlace {
    pub(crate) number: u32,
    pub(crate) put: Option<SignedPut>,
}

/// A part as it is told: what is there comes without a request, and nothing else does.
#[derive(Deserialize)]
struct ToldPart {
    number: u32,
    uploaded: bool,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

impl TryFrom<ToldPart> for PartPlace {
    type Error = serde_json::Error;

    fn try_from(told: ToldPart) -> Result<Self, Self::Error> {
        let put = if told.uploaded {
            None
        } else {
            Some(serde_json::from_value(told.others.into())?)
        };
        Ok(Self {
            number: told.number,
            put,
        })
    }
}

#[derive(Deserialize)]
struct PartPlaces {
    parts: Vec<PartPlace>,
}

impl SignedPut {
    /// Whether the time of it is over.
    pub(crate) fn is_over(&self, now: DateTime<Utc>) -> bool {
        now >= self.expires_at
    }
}

impl InParts {
    /// Whether they are so many.
    pub(crate) fn is(&self, count: usize) -> bool {
        usize::try_from(self.part_count) == Ok(count)
    }
}

impl Api {
    /// Asks for a place. With the same `idempotency_key` it is the same place.
    pub(crate) async fn reserve<U: DeserializeOwned>(
        &self,
        name: &str,
        size_bytes: u64,
        checksum: &str,
        idempotency_key: &str,
    ) -> Result<Place<U>, ApiError> {
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
        let place: Place<U> = self.read(asked, Ok(response))?;
        Ok(Place {
            is_replayed,
            ..place
        })
    }

    /// Asks where parts of a file go, by their numbers and SHA-256s.
    pub(crate) async fn parts(
        &self,
        file: Uuid,
        parts: &[(u32, &str)],
    ) -> Result<Vec<PartPlace>, ApiError> {
        let file = file.to_string();
        let path = ["settlements", "uploads", file.as_str(), "parts"];
        let mut request = self.request(Method::POST, &path);
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(CONTENT_TYPE, json);
        let part =
            |(number, sha256): &(u32, &str)| json!({"number": number, "checksum_sha256": sha256});
        let parts: Vec<_> = parts.iter().map(part).collect();
        request.body = json!({ "parts": parts }).to_string().into();
        let places: PartPlaces = self.get(request).await?;
        Ok(places.parts)
    }

    /// Sends the bytes to their place.
    pub(crate) async fn put(
        &self,
        put: &SignedPut,
        body: StreamBody,
    ) -> Result<HttpResponse, HttpError> {
        let invalid = |reason: &str| HttpError::Invalid {
            reason: reason.to_owned(),
        };
        let url = put.url.parse::<Url>();
        let url = url.map_err(|_| invalid("the place has no address"))?;
        if !is_private(&url) {
            return Err(invalid("the place is neither https nor on this machine"));
        }
        let mut request = HttpRequest::new(Method::PUT, url);
        request.timeout = PUT_TIMEOUT;
        request.headers.insert(USER_AGENT, AGENT);
        for (name, value) in &put.headers {
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(told: Value) -> Result<PartPlace, serde_json::Error> {
        serde_json::from_value(told)
    }

    #[test]
    fn a_part_is_there_only_if_that_is_said_and_comes_with_its_request_if_not() {
        let request = json!({
            "number": 3,
            "size": 7,
            "uploaded": false,
            "method": "PUT",
            "url": "https://bucket.example.com/a",
            "headers": {"content-length": "7"},
            "expires_at": "2026-11-22T12:15:00.000Z",
        });
        let place = read(request.clone()).unwrap();
        assert_eq!((place.number, place.put.is_some()), (3, true));
        let there = read(json!({"number": 3, "size": 7, "uploaded": true})).unwrap();
        assert_eq!((there.number, there.put.is_some()), (3, false));
        for (member, wrong) in [
            ("number", None),
            ("uploaded", None),
            ("uploaded", Some(json!("no"))),
            ("url", None),
            ("headers", None),
            ("headers", Some(json!({"content-length": 7}))),
            ("expires_at", None),
            ("expires_at", Some(json!("soon"))),
        ] {
            let mut told = request.clone();
            let members = told.as_object_mut().unwrap();
            members.remove(member);
            members.extend(wrong.map(|wrong| (member.to_owned(), wrong)));
            assert!(read(told.clone()).is_err(), "{told}");
        }
    }
}
