//! Ids in paths.
//!
//! An id is a UUID in its form with hyphens; everything else, whatever bytes it is made of, is
//! refused by name.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use uuid::Uuid;

use crate::{ApiError, ValidationError};

/// Characters of a UUID with hyphens.
const UUID_CHARS: usize = 36;
/// Every id that a path may hold. A row has those above it under the same names.
const NAMES: [&str; 13] = [
    "batch_detail_history_id",
    "batch_detail_id",
    "batch_detail_log_id",
    "batch_id",
    "client_id",
    "customer_id",
    "file_id",
    "program_id",
    "report_id",
    "report_schedule_id",
    "seller_contact_id",
    "seller_id",
    "sqsmessage_id",
];

/// The ids of a path by their names, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathIds(pub(crate) Vec<(&'static str, Uuid)>);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    /// Every part that is no UUID is told.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Path(texts) = path.map_err(refused)?;
        let mut ids = Vec::with_capacity(texts.len());
        let mut wrong = Vec::new();
        for (name, text) in &texts {
            let id = Some(text).filter(|text| text.len() == UUID_CHARS);
            match id.and_then(|text| Uuid::try_parse(text).ok()) {
                Some(id) => ids.extend(
                    NAMES
                        .iter()
                        .find(|known| *known == name)
                        .map(|name| (*name, id)),
                ),
                None => wrong.push(not_a_uuid(name)),
            }
        }
        if wrong.is_empty() {
            Ok(Self(ids))
        } else {
            Err(ApiError::InvalidParameter(wrong))
        }
    }
}

fn refused(rejection: PathRejection) -> ApiError {
    if let PathRejection::FailedToDeserializePathParams(error) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = error.into_kind()
    {
        return ApiError::InvalidParameter(vec![not_a_uuid(&key)]);
    }
    tracing::error!("a path cannot be taken apart");
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

    /// What a handler that takes [`PathIds`] answers for two path segments.
    async fn ask(file: &str, batch: &str) -> (StatusCode, serde_json::Value) {
        let router = Router::new().route(
            "/v1/files/{file_id}/batches/{batch_id}",
            get(async |path: PathIds| axum::Json(path.0.len())),
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
