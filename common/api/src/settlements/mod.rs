//! `POST /v1/settlements`: a settlement file as the body, or in a form.
//!
//! With an `Idempotency-Key`, the object's key is derived from it, the API key, the name and the
//! file: the same upload sent again is the same object and so the same file, as it then stands.
//! Another file or name under the same `Idempotency-Key` is another upload.

mod sent;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, Uri};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};
use weir_query::{FILE, Field, FileRow, Scope, Shown};
use weir_runtime::CorrelationId;
use weir_settlement::upload::UploadScope;
use weir_store::{ApiKeyHash, File};

use crate::auth::Allowed;
use crate::auth::permission::SettlementsWrite;
use crate::{Api, ApiError, body};
use sent::{Sent, idempotency_key};

/// The largest body: what surely fits a Lambda's payload.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Stores the file under the caller's client and program, and answers it as it stands: `Stored`,
/// unless it was uploaded before.
pub(crate) async fn create(
    State(api): State<Api>,
    allowed: Allowed<SettlementsWrite>,
    Extension(correlation_id): Extension<CorrelationId>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let scope = upload_scope(&allowed.scope)?;
    body::no_query(&uri).map_err(ApiError::InvalidParameter)?;
    let idempotency_key = idempotency_key(&headers)?;
    let sent = Sent::read(&headers, body, Some(&scope)).await?;
    let key = if let Some(key) = idempotency_key {
        // Each time it comes it may have another correlation id.
        let unique = unique_to(&allowed.key, key, &sent.bytes);
        scope.api_key(unique, None, sent.name.as_ref())
    } else {
        let unique = api.random.uuid_v7(api.clock.now());
        scope.api_key(unique, Some(&correlation_id), sent.name.as_ref())
    };
    let object = api.store.put_upload(&key, sent.bytes).await?;
    // The object's own event does the same, should this not be reached.
    let file = api.uploader.register(object, &correlation_id).await?;
    let (caller_id, caller) = (allowed.who.id, allowed.who.name);
    tracing::info!(%caller_id, caller, file_id = %file.id, "a settlement file was sent");
    Ok(shown(file))
}

/// A file as a question for it shows it.
pub(crate) fn shown(file: File) -> Response {
    let fields: Vec<&Field> = FILE.fields.iter().collect();
    Json(Shown {
        row: &FileRow(file),
        fields: &fields,
    })
    .into_response()
}

/// A UUID that the same upload always gets. It cannot be foreseen without the API key's hash, so
/// nobody meets another's object.
fn unique_to(api_key: &ApiKeyHash, idempotency_key: &[u8], file: &[u8]) -> Uuid {
    let mut hash = Sha256::new();
    for part in [api_key.as_hex().as_bytes(), idempotency_key, file] {
        // With their lengths, so that no two lists of parts are the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// For whom a caller's file is.
pub(crate) fn upload_scope(scope: &Scope) -> Result<UploadScope, ApiError> {
    match (scope.client_id, scope.program_id) {
        (Some(client_id), Some(program_id)) => Ok(UploadScope {
            client_id,
            program_id,
            seller_id: scope.seller_id,
        }),
        _ => Err(ApiError::Unauthorized(
            "The key is not limited to one client and program, so it is not known for whom the \
             file is: upload with a key of the program."
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_idempotency_key_and_file_are_the_same_upload() {
        let of = |api_key, key: &str, file: &str| {
            unique_to(&ApiKeyHash::of(api_key), key.as_bytes(), file.as_bytes())
        };
        let one = of("a", "k", "file");
        assert_eq!(one, of("a", "k", "file"));
        assert_eq!(one.get_version_num(), 8);
        for other in [
            of("b", "k", "file"),
            of("a", "l", "file"),
            of("a", "k", "filE"),
            of("a", "kf", "ile"),
        ] {
            assert_ne!(one, other);
        }
    }
}
