//! `POST /v1/settlements/uploads`: a place for a file that is too large for a request.
//!
//! The answer is the file, which waits for its object, and a signed request that takes exactly the bytes
//! that were announced, for fifteen minutes and once.
//!
//! A file that is announced with a composite checksum is sent in parts instead. `POST
//! /v1/settlements/uploads/{file_id}/parts` says which of them are there, and signs a request for each of
//! the others. These are not in the first answer: it is kept for a day, and they are good for minutes.
//!
//! With `validate_only=true` the file is only judged: it ends Processed or Error, has no batches, and its
//! problems can be asked for.
//!
//! `POST /v1/settlements/uploads/{file_id}/complete`: whoever sent the object need not wait for its event;
//! whoever sent parts makes them the object.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderMap, Uri};
use serde_json::{Value, json};
use weir_query::{FILE, Field, FileRow, Files, Shown};
use weir_runtime::CorrelationId;
use weir_settlement::schema::BodyError;
use weir_settlement::upload::{
    Announced, AskedParts, Completion, PART_BYTES, PartPlace, PartPlaces, Sending, Unfinished,
};
use weir_store::SignedPut;

use crate::auth::Allowed;
use crate::auth::permission::SettlementsWrite;
use crate::path::PathIds;
use crate::resources::existing;
use crate::settlements::{shown, upload_scope, validate_only};
use crate::{Api, ApiError, IdempotentRun, body};

/// The largest body: a hundred parts, with room.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Parts that an error names; all are counted.
const PARTS_TOLD_MAX: usize = 10;

const NO_PLACE: &str = "The file is a name that nothing can be sent to: ask for a place with POST \
                        /v1/settlements/uploads.";
const GIVEN_UP: &str = "The parts of the file were not completed in time and are gone: ask for \
                        another place with POST /v1/settlements/uploads.";

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
    let actor = allowed.who.shown();
    let by = (actor.as_str(), correlation_id.as_str());
    uploader
        .record_sender(&place.file, unique, by, &announced.asked())
        .await?;
    let (caller_id, caller) = (allowed.who.id, allowed.who.name);
    tracing::info!(%caller_id, caller, file_id = %place.file.id, "a place for a file was made");
    let fields: Vec<&Field> = FILE.fields.iter().collect();
    let file = Shown {
        row: &FileRow(place.file),
        fields: &fields,
    };
    let expires_at = place.expires_at;
    let upload = match place.sending {
        Sending::Whole(put) => signed(put, expires_at),
        Sending::Parts(count) => json!({
            "part_size": PART_BYTES,
            "part_count": count,
            "expires_at": moment(expires_at),
        }),
    };
    Ok(Json(json!({ "file": file, "upload": upload })).into_response())
}

fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A signed request, as it is answered.
fn signed(put: SignedPut, expires_at: DateTime<Utc>) -> Value {
    let headers: BTreeMap<_, _> = put.headers.into_iter().collect();
    json!({
        "method": "PUT",
        "url": put.url,
        "headers": headers,
        "expires_at": moment(expires_at),
    })
}

/// Says how parts of a file are to be sent, and which are there.
pub(crate) async fn parts(
    State(api): State<Api>,
    allowed: Allowed<SettlementsWrite>,
    path: PathIds,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(&uri))?;
    let asked = AskedParts::parse(&body::read_json(&headers, body, BODY_BYTES_MAX).await?)?;
    let FileRow(file) = existing::<Files>(&api.ask(allowed.scope), &path).await?;
    let conflict = |why: &str| Err(ApiError::Conflict(why.to_owned()));
    match api.uploader.part_places(&file, &asked).await? {
        PartPlaces::Found(places) => {
            let parts: Vec<Value> = places.into_iter().map(part).collect();
            Ok(Json(json!({ "parts": parts })).into_response())
        }
        PartPlaces::Beyond(violations) => Err(BodyError::Invalid(violations).into()),
        PartPlaces::Complete => conflict(
            "The file has its object: nothing is to be sent any more. Complete it, if it is still \
             Stored.",
        ),
        PartPlaces::GivenUp => conflict(GIVEN_UP),
        PartPlaces::Whole => conflict(
            "The file's place takes it in one PUT: to send it in parts, ask for another place with \
             the composite checksum of the file.",
        ),
        PartPlaces::NoPlace => conflict(NO_PLACE),
    }
}

fn part(place: PartPlace) -> Value {
    let mut part = json!({
        "number": place.number,
        "size": place.size_bytes,
        "uploaded": place.put.is_none(),
    });
    let request = place.put.map(|(put, expires_at)| signed(put, expires_at));
    if let (Some(part), Some(Value::Object(request))) = (part.as_object_mut(), request) {
        part.extend(request);
    }
    part
}

/// Why parts are no object, and what to do.
fn told(unfinished: &Unfinished) -> String {
    let listed = |what: &str, numbers: &[u32]| {
        let first = numbers.iter().take(PARTS_TOLD_MAX).map(u32::to_string);
        let first = first.collect::<Vec<_>>().join(", ");
        let more = numbers.len().saturating_sub(PARTS_TOLD_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!numbers.is_empty()).then(|| format!("{what}: {first}{more}. "))
    };
    match unfinished {
        Unfinished::Lacking {
            missing,
            wrong_size,
        } => {
            let missing = listed("These parts are missing", missing);
            let wrong_size = listed("These parts have another size", wrong_size);
            let told = missing.into_iter().chain(wrong_size).collect::<String>();
            format!("{told}Ask where they go, and send them.")
        }
        Unfinished::Different { announced, stored } => format!(
            "Together the parts have the checksum {stored}, and {announced} was announced. Ask where \
             they go with the checksum of each, and send those that are not there so. If every part \
             is there as you have it, the announcement was wrong: ask for another place with POST \
             /v1/settlements/uploads."
        ),
    }
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
        Completion::Unfinished(unfinished) => Err(ApiError::Conflict(told(&unfinished))),
        Completion::Changing => Err(ApiError::Busy(
            "The parts of the file change at this moment: try again.".to_owned(),
            1,
        )),
        Completion::GivenUp => conflict(GIVEN_UP),
        Completion::NoPlace => conflict(NO_PLACE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_parts_that_are_missing_the_first_ten_are_named_and_the_others_counted() {
        for (count, named) in [
            (1, "1"),
            (10, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
            (12, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more"),
        ] {
            let unfinished = Unfinished::Lacking {
                missing: (1..=count).collect(),
                wrong_size: vec![13],
            };
            let expected = format!(
                "These parts are missing: {named}. These parts have another size: 13. Ask where they \
                 go, and send them."
            );
            assert_eq!(told(&unfinished), expected);
        }
    }

    #[test]
    fn of_parts_with_another_checksum_both_checksums_are_named_and_either_way_out() {
        let told = told(&Unfinished::Different {
            announced: "announced-2".to_owned(),
            stored: "stored-2".to_owned(),
        });
        let expected = "Together the parts have the checksum stored-2, and announced-2 was announced. Ask \
                        where they go with the checksum of each, and send those that are not there so. If \
                        every part is there as you have it, the announcement was wrong: ask for another \
                        place with POST /v1/settlements/uploads.";
        assert_eq!(told, expected);
    }
}
