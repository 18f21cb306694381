//! `POST /v1/settlements`: a settlement file as the body, or in a form.
//!
//! Every run of a request with an `Idempotency-Key` puts the same object, so one that crashed leaves no
//! second file behind.
//!
//! With `validate_only=true` the file is judged as an upload of it would be, and nothing is kept.

mod sent;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use serde_json::json;
use weir_query::{FILE, Field, FileRow, Scope, Shown};
use weir_runtime::CorrelationId;
use weir_settlement::upload::UploadScope;
use weir_store::File;

use crate::auth::Allowed;
use crate::auth::permission::SettlementsWrite;
use crate::{Api, ApiError, IdempotentRun, ValidationError};
use sent::Sent;

/// The largest body: what surely fits a Lambda's payload.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Stores the file under the caller's client and program, and answers it as it stands: `Stored`,
/// unless it was uploaded before.
pub(crate) async fn create(
    State(api): State<Api>,
    allowed: Allowed<SettlementsWrite>,
    Extension(correlation_id): Extension<CorrelationId>,
    run: Option<Extension<IdempotentRun>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let scope = upload_scope(&allowed.scope)?;
    let is_kept = !validate_only(&uri).map_err(ApiError::InvalidParameter)?;
    let sent = Sent::read(&headers, body, Some(&scope)).await?;
    if !is_kept {
        let validation = api.uploader.validate(sent.bytes, scope).await?;
        return Ok(Json(validation).into_response());
    }
    let (unique, in_key) = match run {
        // Each time it comes it may have another correlation id.
        Some(Extension(run)) => (run.seed, None),
        None => (api.random.uuid_v7(api.clock.now()), Some(&correlation_id)),
    };
    let key = scope.api_key(unique, in_key, sent.name.as_ref());
    let size_bytes = sent.bytes.len();
    let object = api.store.put_upload(&key, sent.bytes).await?;
    // The object's own event does the same, should this not be reached.
    let uploader = &api.uploader;
    let file = uploader.register(object, &correlation_id).await?;
    let actor = allowed.who.shown();
    let by = (actor.as_str(), correlation_id.as_str());
    let asked = json!({ "size": size_bytes });
    uploader.record_sender(&file, unique, by, &asked).await?;
    let (caller_id, caller) = (allowed.who.id, allowed.who.name);
    tracing::info!(%caller_id, caller, file_id = %file.id, "a settlement file was sent");
    Ok(shown(file))
}

/// Whether the file is only to be judged.
pub(crate) fn validate_only(uri: &Uri) -> Result<bool, Vec<ValidationError>> {
    let mut said = None;
    let mut wrong = Vec::new();
    let query = uri.query().unwrap_or_default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        let is_again = said.is_some();
        let message = match (name.as_ref(), value) {
            ("validate_only", _) if is_again => "must be given once",
            ("validate_only", "true") => {
                said = Some(true);
                continue;
            }
            ("validate_only", "false") => {
                said = Some(false);
                continue;
            }
            ("validate_only", _) => "must be true or false",
            _ => "is not a parameter of this operation; it takes validate_only",
        };
        let shown: String = name.chars().take(100).collect();
        wrong.push(ValidationError::new(format!("/query/{shown}"), message));
    }
    if wrong.is_empty() {
        Ok(said.unwrap_or(false))
    } else {
        Err(wrong)
    }
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
