//! `POST /v1/settlements/uploads`: a place for a file that is too large for a request.
//!
//! The answer is the file, which waits for its object, and a signed request that takes exactly the bytes
//! that were announced, for fifteen minutes and once.
//!
//! With `validate_only=true` the file is only judged: it ends Processed or Error, has no batches, and its
//! problems can be asked for.
//!
//! `POST /v1/settlements/uploads/{file_id}/complete`: whoever sent the object need not wait for its event.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::SecondsFormat;
use http::{HeaderMap, Uri};
use serde_json::json;
use weir_query::{FILE, Field, FileRow, Files, Shown};
use weir_runtime::CorrelationId;
use weir_settlement::upload::{Announced, Completion};

use crate::auth::Allowed;
use crate::auth::permission::SettlementsWrite;
use crate::path::PathIds;
use crate::resources::existing;
use crate::settlements::{shown, upload_scope, validate_only};
use crate::{Api, ApiError, IdempotentRun, body};

/// The largest body: a name, with room.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Makes a place for a file.
pub(crate) async fn reserve(
    State(api): State<Api>,
    allowed: Allowed<SettlementsWrite>,
    Extension(correlation_id): Extension<CorrelationId>,
    run: Option<Extension<IdempotentRun>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let scope = upload_scope(&allowed.scope)?;
    let validate_only = validate_only(&uri).map_err(ApiError::InvalidParameter)?;
    let announced = Announced::parse(&body::read_json(&headers, body, BODY_BYTES_MAX).await?)?
        .validated_only(validate_only);
    let unique = match run {
        Some(Extension(run)) => run.seed,
        None => api.random.uuid_v7(api.clock.now()),
    };
    let uploader = &api.uploader;
    let place = uploader.reserve(scope, &announced, unique, &correlation_id);
    let place = place.await?;
    let (caller_id, caller) = (allowed.who.id, allowed.who.name);
    tracing::info!(%caller_id, caller, file_id = %place.file.id, "a place for a file was made");
    let fields: Vec<&Field> = FILE.fields.iter().collect();
    let file = Shown {
        row: &FileRow(place.file),
        fields: &fields,
    };
    let headers: BTreeMap<_, _> = place.put.headers.into_iter().collect();
    let expires_at = place
        .expires_at
        .to_rfc3339_opts(SecondsFormat::Millis, true);
    let upload = json!({
        "method": "PUT",
        "url": place.put.url,
        "headers": headers,
        "expires_at": expires_at,
    });
    Ok(Json(json!({ "file": file, "upload": upload })).into_response())
}

/// Gives a file the object that was sent to its place.
pub(crate) async fn complete(
    State(api): State<Api>,
    allowed: Allowed<SettlementsWrite>,
    Extension(correlation_id): Extension<CorrelationId>,
    path: PathIds,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(&uri))?;
    let remedy = || "It takes no body.".to_owned();
    body::read(&headers, body, BODY_BYTES_MAX, remedy).await?;
    let FileRow(file) = existing::<Files>(&api.ask(allowed.scope), &path).await?;
    let conflict = |why: &str| Err(ApiError::Conflict(why.to_owned()));
    match api.uploader.complete(file, &correlation_id).await? {
        Completion::Done(file) => {
            let (caller_id, caller) = (allowed.who.id, allowed.who.name);
            tracing::info!(%caller_id, caller, file_id = %file.id, "an upload was completed");
            Ok(shown(*file))
        }
        Completion::Empty => conflict(
            "Nothing was sent to the file's place yet: send the object first, or ask for another \
             place if the time for this one is over.",
        ),
        Completion::NoPlace => conflict(
            "The file is a name that nothing can be sent to: ask for a place with POST \
             /v1/settlements/uploads.",
        ),
    }
}
