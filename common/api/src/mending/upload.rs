//! `POST …/errors`: a mended table; its changed rows become drafts.
//!
//! What is wrong with a request is told in this order: who asks and their permission, the path and
//! the query, the type and the size of the body, whether the batch is there for the caller, the
//! table. Nothing of a table is applied where anything of it is wrong.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use weir_query::{BatchRow, Batches};
use weir_settlement::mend::{TableError, TableLimits, TableProblem, WriteError, mended};

use crate::actions::{asked, busy};
use crate::auth::Allowed;
use crate::auth::permission::BatchesWrite;
use crate::form::{FORM_TYPE, is_form, one_file};
use crate::path::PathIds;
use crate::resources::existing;
use crate::{Api, ApiError, ValidationError, body};

/// The largest body: what surely fits a Lambda's payload.
const TABLE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What is taken.
const TABLE_TYPE: &str = "text/csv";
/// What to do about a table that is too large.
const IN_PARTS: &str =
    "send it in parts, each with the header; rows that are left out are unchanged";

/// What came of a table.
#[derive(Debug, Serialize)]
struct Answer {
    /// How many drafts were written.
    drafted: usize,
    /// How many rows asked for nothing.
    unchanged: usize,
}

/// Takes a table of a batch.
pub(crate) async fn upload(
    State(api): State<Api>,
    allowed: Allowed<BatchesWrite>,
    path: PathIds,
    request: Request,
) -> Result<Response, ApiError> {
    let (path, ()) = path.and(body::no_query(request.uri()))?;
    let asked = asked(&allowed, &request);
    let table = read_table(request).await?;
    let ask = api.ask(allowed.scope);
    let BatchRow(batch) = existing::<Batches>(&ask, &path).await?;
    let mended = mended(&api.store, &batch, &table, TableLimits::default());
    let mended = mended.await.map_err(refused)?;
    let written = mended.write(&api.actions(), &batch, &asked).await;
    let drafted = written.map_err(not_written)?;
    let unchanged = mended.unchanged;
    tracing::info!(batch_id = %batch.id, actor = asked.actor, drafted, unchanged, "a table was taken");
    Ok(Json(Answer { drafted, unchanged }).into_response())
}

async fn read_table(request: Request) -> Result<Bytes, ApiError> {
    let (parts, sent) = request.into_parts();
    check_type(&parts.headers)?;
    let remedy = || format!("A body may have {TABLE_BYTES_MAX} bytes: {IN_PARTS}.");
    let whole = body::read(&parts.headers, sent, TABLE_BYTES_MAX, remedy).await?;
    if is_form(&parts.headers) {
        Ok(one_file(&parts.headers, whole).await?.bytes)
    } else {
        Ok(whole)
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    const REMEDY: &str = "Send the table as text/csv in UTF-8, or as multipart/form-data.";
    body::check_type(headers, &[TABLE_TYPE, FORM_TYPE], REMEDY)?;
    let sent = headers.get(CONTENT_TYPE);
    let sent = sent
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let charset = sent.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("charset");
        is_it.then(|| value.trim().trim_matches('"'))
    });
    let is_known = |charset: &str| {
        ["utf-8", "utf8", "us-ascii"]
            .iter()
            .any(|known| charset.eq_ignore_ascii_case(known))
    };
    if charset.is_none_or(is_known) {
        Ok(())
    } else {
        Err(ApiError::UnsupportedMediaType(REMEDY))
    }
}

fn refused(error: TableError) -> ApiError {
    match error {
        TableError::Csv(error) => {
            ApiError::InvalidData(format!("The table cannot be read: {error}."))
        }
        TableError::TooManyRows { max } => ApiError::TooLarge(format!(
            "A table may have {max} rows below its header: {IN_PARTS}."
        )),
        TableError::TooMuch { max } => ApiError::TooLarge(format!(
            "The drafts of a table may come to {max} bytes: {IN_PARTS}."
        )),
        TableError::Problems(problems) => {
            let told = |TableProblem { path, message }| ValidationError::new(path, message);
            ApiError::BodyNotMatchingSchema(problems.into_iter().map(told).collect())
        }
        TableError::Store(error) => error.into(),
    }
}

fn not_written(error: WriteError) -> ApiError {
    match error {
        WriteError::Changed { drafted, ids } => {
            let told = |id| ValidationError::new("/rows", format!("{id}: it changed meanwhile"));
            let how = format!(
                "{drafted} drafts were written. Some details changed while the table was being \
                 taken: look at them, and send the table again; what is drafted is unchanged then."
            );
            ApiError::PartlyDone(how, ids.into_iter().map(told).collect())
        }
        WriteError::Busy { action, drafted: 0 } => busy(action),
        WriteError::Busy { action, drafted } => {
            let how = format!(
                "{drafted} drafts were written before something else was begun with the whole batch \
                 ({action}): send the table again when that is over; what is drafted is unchanged then."
            );
            ApiError::PartlyDone(how, Vec::new())
        }
        WriteError::Store(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_csv_in_utf_8_or_a_form() {
        let check = |value: &'static str| {
            check_type(&HeaderMap::from_iter([(
                CONTENT_TYPE,
                value.parse().unwrap(),
            )]))
            .is_ok()
        };
        for taken in [
            "text/csv",
            "Text/CSV; charset=UTF-8",
            "text/csv; header=present; charset=\"utf-8\"",
            "text/csv;charset=us-ascii",
            "multipart/form-data; boundary=x",
        ] {
            assert!(check(taken), "{taken}");
        }
        for other in [
            "text/csv; charset=iso-8859-1",
            "text/csv; charset=utf-16",
            "text/plain",
            "application/json",
            "",
        ] {
            assert!(!check(other), "{other}");
        }
        assert!(check_type(&HeaderMap::new()).is_err());
    }
}
