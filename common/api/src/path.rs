//! Ids in paths.
//!
//! An id is a UUID in its form with hyphens; everything else, whatever bytes it is made of, is
//! refused by name. A UUID that cannot be the id of such a thing names none that exists.

use std::collections::HashMap;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use uuid::Uuid;
use weir_domain::{BatchId, FileId};

use crate::{ApiError, ValidationError};

/// Characters of a UUID with hyphens.
const UUID_CHARS: usize = 36;
/// What a path calls a file's id.
const FILE_ID: &str = "file_id";
/// What a path calls a batch's id.
const BATCH_ID: &str = "batch_id";

pub(crate) const NO_FILE: ApiError = ApiError::NotFound("there is no such file");
pub(crate) const NO_BATCH: ApiError = ApiError::NotFound("there is no such batch");

/// The file that a path is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilePath(pub(crate) FileId);

impl<S: Send + Sync> FromRequestParts<S> for FilePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [file] = uuids(parts, state, [FILE_ID]).await?;
        Ok(Self(file.try_into().map_err(|_| NO_FILE)?))
    }
}

/// The batch that a path is about, and the file that the path says it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchPath {
    pub(crate) file: FileId,
    pub(crate) batch: BatchId,
}

impl<S: Send + Sync> FromRequestParts<S> for BatchPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [file, batch] = uuids(parts, state, [FILE_ID, BATCH_ID]).await?;
        Ok(Self {
            file: file.try_into().map_err(|_| NO_BATCH)?,
            batch: batch.try_into().map_err(|_| NO_BATCH)?,
        })
    }
}

/// The UUIDs of a path by their names, or every one that is none.
async fn uuids<S: Send + Sync, const N: usize>(
    parts: &mut Parts,
    state: &S,
    names: [&'static str; N],
) -> Result<[Uuid; N], ApiError> {
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
    let Path(texts) = path.map_err(refused)?;
    let read = names.map(|name| {
        let text = texts.get(name).filter(|text| text.len() == UUID_CHARS);
        text.and_then(|text| Uuid::try_parse(text).ok())
    });
    let wrong: Vec<_> = names
        .iter()
        .zip(&read)
        .filter(|(_, uuid)| uuid.is_none())
        .map(|(name, _)| not_a_uuid(name))
        .collect();
    if wrong.is_empty() {
        Ok(read.map(Option::unwrap_or_default))
    } else {
        Err(ApiError::InvalidParameter(wrong))
    }
}

fn refused(rejection: PathRejection) -> ApiError {
    if let PathRejection::FailedToDeserializePathParams(error) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = error.into_kind()
    {
        return ApiError::InvalidParameter(vec![not_a_uuid(&key)]);
    }
    // Only a route without parameters comes here.
    tracing::error!("a path has no parameters");
    ApiError::Internal
}

fn not_a_uuid(name: &str) -> ValidationError {
    ValidationError::new(format!("/path/{name}"), "must be a UUID")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use http::{Request, StatusCode};
    use proptest::prelude::*;
    use tower::ServiceExt;

    /// What a handler that takes a [`BatchPath`] is answered for with two path segments.
    async fn ask(file: &str, batch: &str) -> (StatusCode, serde_json::Value) {
        let router = Router::new().route(
            "/v1/files/{file_id}/batches/{batch_id}",
            get(async |path: BatchPath| path.batch.to_string()),
        );
        let request = Request::get(format!("/v1/files/{file}/batches/{batch}"));
        let request = request.body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn encoded(bytes: &[u8]) -> String {
        let hex = |text, byte| format!("{text}%{byte:02X}");
        bytes.iter().fold(String::new(), hex)
    }

    const UUID: &str = "8a0b7c6d-0000-4000-8000-000000000001";

    #[tokio::test]
    async fn what_is_no_uuid_is_refused_by_name_and_all_at_once() {
        for (file, batch, paths) in [
            ("%FF", UUID, &["/path/file_id"][..]),
            (UUID, "%FF", &["/path/batch_id"]),
            (
                "x",
                "8a0b7c6d00004000800000000000000",
                &["/path/file_id", "/path/batch_id"],
            ),
            (
                UUID,
                "8a0b7c6d000040008000000000000001",
                &["/path/batch_id"],
            ),
            (
                "%7B8a0b7c6d-0000-4000-8000-000000000001%7D",
                UUID,
                &["/path/file_id"],
            ),
        ] {
            let (status, body) = ask(file, batch).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{file} {batch}");
            assert_eq!(body[0]["code"], "invalid_parameter");
            let errors = body[0]["validationErrors"].as_array().unwrap();
            let found: Vec<_> = errors.iter().map(|e| &e["dataPath"]).collect();
            assert_eq!(found, paths, "{file} {batch}");
            assert!(errors.iter().all(|e| e["message"] == "must be a UUID"));
        }
    }

    #[tokio::test]
    async fn a_uuid_of_another_kind_names_nothing_that_exists() {
        let (status, body) = ask(UUID, UUID).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(body[0]["code"], "resource_not_found");
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_path_get_another_answer_than_an_error_of_ours(
            file in proptest::collection::vec(any::<u8>(), 1..60),
            batch in proptest::collection::vec(any::<u8>(), 1..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (status, body) = runtime.block_on(ask(&encoded(&file), &encoded(&batch)));
            prop_assert_eq!(status, StatusCode::BAD_REQUEST);
            prop_assert_eq!(&body[0]["code"], "invalid_parameter");
        }
    }
}
