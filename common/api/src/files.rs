//! Files as callers name them: `POST /v1/files` and `PUT /v1/files/{file_id}`.
//!
//! A name that a caller gives is one file's of its program. What was uploaded may have any name.
//! Whoever renames a file must see all of what it belongs to: a seller that sees a program's file,
//! because a batch of its own is in it, is refused with 403.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Uri};
use weir_query::{FileRow, Files};
use weir_runtime::CorrelationId;
use weir_settlement::upload::{FileName, Naming};

use crate::actions::asked;
use crate::auth::Allowed;
use crate::auth::permission::FilesWrite;
use crate::path::PathIds;
use crate::resources::existing;
use crate::settlements::{shown, upload_scope};
use crate::{Api, ApiError, IdempotentRun, ValidationError, body};

/// The largest body: a name, with room.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest that a caller is told to wait for whoever works on a file.
const BUSY_SECONDS_MAX: u32 = 60;

/// Makes a file that is a name and nothing more.
pub(crate) async fn create(
    State(api): State<Api>,
    allowed: Allowed<FilesWrite>,
    Extension(correlation_id): Extension<CorrelationId>,
    run: Option<Extension<IdempotentRun>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let scope = upload_scope(&allowed.scope)?;
    body::no_query(&uri).map_err(ApiError::InvalidParameter)?;
    let name = FileName::parse(&body::read_json(&headers, body, BODY_BYTES_MAX).await?)?;
    let unique = match run {
        Some(Extension(run)) => run.seed,
        None => api.random.uuid_v7(api.clock.now()),
    };
    let uploader = &api.uploader;
    let actor = allowed.who.shown();
    let named = uploader.register_name(scope, &name, unique, &correlation_id, &actor);
    answer(&api, &allowed, named.await?)
}

/// Gives a file another name.
pub(crate) async fn rename(
    State(api): State<Api>,
    allowed: Allowed<FilesWrite>,
    path: PathIds,
    request: Request,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(request.uri()))?;
    let asked = asked(&allowed, &request);
    let (parts, sent) = request.into_parts();
    let name = FileName::parse(&body::read_json(&parts.headers, sent, BODY_BYTES_MAX).await?)?;
    let FileRow(file) = existing::<Files>(&api.ask(allowed.scope), &path).await?;
    let owners = (file.client_id, file.program_id, file.seller_id);
    if !allowed.scope.covers(owners.0, owners.1, owners.2) {
        return Err(ApiError::Unauthorized(
            "You may not do this: the file is not your seller's alone.".to_owned(),
        ));
    }
    let unique = api.random.uuid_v7(api.clock.now());
    let named = api.uploader.rename(file.id, &name, unique, &asked).await?;
    answer(&api, &allowed, named)
}

fn answer<P>(api: &Api, allowed: &Allowed<P>, named: Naming) -> Result<Response, ApiError> {
    match named {
        Naming::Done(file) => {
            let (caller_id, caller) = (&allowed.who.id, &allowed.who.name);
            tracing::info!(%caller_id, caller, file_id = %file.id, "a file was named");
            Ok(shown(*file))
        }
        Naming::Taken => Err(ApiError::InvalidParameter(vec![ValidationError::new(
            "/name",
            "another file of the program has it",
        )])),
        Naming::Busy(file) => {
            let now = api.clock.now();
            let left = file
                .lease_until
                .map_or(1, |until| (until - now).num_seconds() + 1);
            let seconds = u32::try_from(left).unwrap_or(1).clamp(1, BUSY_SECONDS_MAX);
            Err(ApiError::Busy(
                "The file is being worked on: try again.".to_owned(),
                seconds,
            ))
        }
    }
}
