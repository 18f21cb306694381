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
pub(crate) type Ids = Vec<(&'static str, Uuid)>;

/// The ids of a path, or every part of it that is none: these are told together with whatever else
/// is wrong with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathIds(pub(crate) Result<Ids, Vec<ValidationError>>);

impl PathIds {
    /// The ids together with what else is read from the request, or all that is wrong with either.
    pub(crate) fn and<T>(
        self,
        read: Result<T, Vec<ValidationError>>,
    ) -> Result<(Ids, T), ApiError> {
        match (self.0, read) {
            (Ok(ids), Ok(read)) => Ok((ids, read)),
            (ids, read) => {
                let wrong = ids.err().into_iter().chain(read.err()).flatten();
                Err(ApiError::InvalidParameter(wrong.collect()))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let texts = match path {
            Ok(Path(texts)) => texts,
            Err(rejection) => return refused(rejection).map(|wrong| Self(Err(vec![wrong]))),
        };
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
        Ok(Self(if wrong.is_empty() {
            Ok(ids)
        } else {
            Err(wrong)
        }))
    }
}

/// What is wrong with a path that cannot be taken apart.
fn refused(rejection: PathRejection) -> Result<ValidationError, ApiError> {
    if let PathRejection::FailedToDeserializePathParams(error) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = error.into_kind()
    {
        return Ok(not_a_uuid(&key));
    }
    tracing::error!("a path cannot be taken apart");
    Err(ApiError::Internal)
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
            get(async |path: PathIds| Ok::<_, ApiError>(axum::Json(path.and(Ok(()))?.0.len()))),
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
