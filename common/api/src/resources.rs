//! Lists and single resources: from a request to what [`weir_query`] is asked, and back.
//!
//! What a path says stands beside the filters of its query. A path whose parts do not belong
//! together, or whose parent does not exist for the caller, names nothing: 404.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;
use uuid::Uuid;
use weir_query::{
    Answer, Ask, Batches, Cost, Details, Field, Files, Listed, Problem, Query, QueryError,
    References, Row, Shown, Start, Value, under,
};
use weir_store::{Client, Program, Seller};

use crate::auth::{Allowed, Permitted};
use crate::list::List;
use crate::path::PathIds;
use crate::{Api, ApiError, ValidationError};

/// How many rows there are on all pages, where that is known without counting them.
const TOTAL_HEADER: HeaderName = HeaderName::from_static("x-total-count");
/// What an operator is told of how a list was read.
const READ_HEADER: HeaderName = HeaderName::from_static("x-weir-read");
/// Rows whose heavy fields are fetched together.
const LOADED_TOGETHER: usize = 50;

/// A list.
pub(crate) async fn list<L: Listed, P: Permitted>(
    State(api): State<Api>,
    allowed: Allowed<P>,
    path: PathIds,
    uri: Uri,
) -> Result<Response, ApiError> {
    let ids = path.0.as_deref().unwrap_or_default();
    let conditions = ids.iter().map(|(name, id)| under(name, *id)).collect();
    let text = uri.query().unwrap_or_default();
    let query = Query::parse(L::RESOURCE, conditions, text).map_err(refused);
    let (path, query) = path.and(query)?;
    let ask = api.ask(allowed.scope);
    if let Some((last, above)) = path.split_last() {
        parent_exists(&ask, *last, above).await?;
    }
    let answer = L::list(&ask, &query).await.map_err(unanswered)?;
    let mut headers = HeaderMap::new();
    if let Some(total) = answer.total {
        headers.insert(TOTAL_HEADER, HeaderValue::from(total));
    }
    if let Some(link) = next_link(&uri, &query, &answer) {
        headers.insert(header::LINK, link);
    }
    let (rows_read, way) = (answer.rows_read, answer.way);
    let list = shown::<L>(&ask, answer.rows, &query.fields).await?;
    headers.extend(read_header(&ask, way, rows_read));
    Ok((headers, list).into_response())
}

/// One resource, by the last id of its path.
pub(crate) async fn one<L: Listed, P: Permitted>(
    State(api): State<Api>,
    allowed: Allowed<P>,
    path: PathIds,
    uri: Uri,
) -> Result<Response, ApiError> {
    let text = uri.query().unwrap_or_default();
    let fields = Query::parse_fields(L::RESOURCE, text).map_err(refused);
    let (path, fields) = path.and(fields)?;
    let ask = api.ask(allowed.scope);
    let mut rows = [existing::<L>(&ask, &path).await?];
    if needs_loading(&fields) {
        L::load(&ask, &mut rows).await.map_err(unanswered)?;
    }
    let [row] = &rows;
    let shown = Json(Shown {
        row,
        fields: &fields,
    });
    let headers: HeaderMap = read_header(&ask, "id", 1).into_iter().collect();
    Ok((headers, shown).into_response())
}

/// The one that a path names, as the caller sees it.
pub(crate) async fn existing<L: Listed>(
    ask: &Ask,
    path: &[(&'static str, Uuid)],
) -> Result<L::Row, ApiError> {
    let missing = || ApiError::no_such(L::RESOURCE.name);
    let ((_, id), above) = path.split_last().ok_or_else(missing)?;
    let row = L::get(ask, *id).await.map_err(unanswered)?;
    row.filter(|row| is_under(row, above)).ok_or_else(missing)
}

/// A resource with all its fields, as the answer to a change of it.
pub(crate) async fn answered<L: Listed>(ask: &Ask, row: L::Row) -> Result<Response, ApiError> {
    let fields: Vec<&'static Field> = L::RESOURCE.fields.iter().collect();
    let mut rows = [row];
    L::load(ask, &mut rows).await.map_err(unanswered)?;
    let [row] = &rows;
    Ok(Json(Shown {
        row,
        fields: &fields,
    })
    .into_response())
}

/// What an operator is told of how an answer was read.
fn read_header(ask: &Ask, way: &str, rows_read: u64) -> Option<(HeaderName, HeaderValue)> {
    if !ask.scope.is_everything() {
        return None;
    }
    let units = ask.store.capacity().total().read;
    let read = format!("way={way}; rows={rows_read}; read_units={units}");
    Some((READ_HEADER, HeaderValue::from_str(&read).ok()?))
}

/// Whether a row belongs to everything that its path names above it.
fn is_under(row: &impl Row, above: &[(&'static str, Uuid)]) -> bool {
    above
        .iter()
        .all(|(name, id)| row.value(name) == Value::Id(*id))
}

/// Refuses a path whose last part does not exist for the caller, or not under those before it.
async fn parent_exists(
    ask: &Ask,
    (name, id): (&'static str, Uuid),
    above: &[(&'static str, Uuid)],
) -> Result<(), ApiError> {
    match name {
        "client_id" => exists::<References<Client>>(ask, id, above).await,
        "program_id" => exists::<References<Program>>(ask, id, above).await,
        "seller_id" => exists::<References<Seller>>(ask, id, above).await,
        "file_id" => exists::<Files>(ask, id, above).await,
        "batch_id" => exists::<Batches>(ask, id, above).await,
        "batch_detail_id" => exists::<Details>(ask, id, above).await,
        _ => {
            tracing::error!(name, "nothing is known of a path's parent");
            Err(ApiError::Internal)
        }
    }
}

async fn exists<L: Listed>(
    ask: &Ask,
    id: Uuid,
    above: &[(&'static str, Uuid)],
) -> Result<(), ApiError> {
    let row = L::get(ask, id).await.map_err(unanswered)?;
    if row.is_some_and(|row| is_under(&row, above)) {
        Ok(())
    } else {
        Err(ApiError::no_such(L::RESOURCE.name))
    }
}

fn needs_loading(fields: &[&'static Field]) -> bool {
    fields.iter().any(|field| field.cost == Cost::Heavy)
}

/// The rows with their heavy fields, as far as they are shown.
async fn shown<L: Listed>(
    ask: &Ask,
    mut rows: Vec<L::Row>,
    fields: &[&'static Field],
) -> Result<List, ApiError> {
    let mut list = List::new();
    for rows in rows.chunks_mut(LOADED_TOGETHER) {
        if needs_loading(fields) {
            L::load(ask, rows).await.map_err(unanswered)?;
        }
        for row in rows {
            list.push(&Shown { row: &*row, fields })?;
            row.unload();
        }
    }
    Ok(list)
}

/// Where the next page is: the same question with a cursor, or where there can be none, with the
/// next number.
fn next_link<R>(uri: &Uri, query: &Query, answer: &Answer<R>) -> Option<HeaderValue> {
    if !answer.has_more {
        return None;
    }
    let next = match (&answer.cursor, &query.start) {
        (Some(cursor), _) => format!("cursor={cursor}"),
        (None, Start::Page(number)) => format!("page_number={}", number.checked_add(1)?),
        (None, Start::After(_)) => return None,
    };
    link_to(uri, &next)
}

/// A link to the same question with another page of it.
pub(crate) fn link_to(uri: &Uri, next: &str) -> Option<HeaderValue> {
    let is_kept = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_decode_str(name).decode_utf8_lossy();
        !pair.is_empty() && name != "cursor" && name != "page_number"
    };
    let kept = uri.query().unwrap_or_default().split('&').filter(is_kept);
    let pairs: Vec<&str> = kept.chain([next]).collect();
    // A header holds ASCII alone, whatever stood in the request.
    let query: String = pairs
        .join("&")
        .bytes()
        .map(|byte| match byte {
            b'!'..=b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let link = format!("<{}?{}>; rel=\"next\"", uri.path(), query);
    HeaderValue::from_str(&link).ok()
}

/// What is wrong with a query, each with its place.
pub(crate) fn refused(problems: Vec<Problem>) -> Vec<ValidationError> {
    let error = |problem: Problem| {
        let path = match problem.parameter.as_str() {
            "" => "/query".to_owned(),
            name => format!("/query/{name}"),
        };
        ValidationError::new(path, problem.message)
    };
    problems.into_iter().map(error).collect()
}

pub(crate) fn unanswered(error: QueryError) -> ApiError {
    let narrow = |narrower: &[&str]| match narrower {
        [] => "ask for less".to_owned(),
        names => format!("narrow it by {}", names.join(", or by ")),
    };
    let (path, message) = match error {
        QueryError::TooWide { rows_max, narrower } => (
            "/query",
            format!(
                "more than {rows_max} rows would have to be looked at for this page: {}",
                narrow(&narrower)
            ),
        ),
        QueryError::TooHeavy { narrower, .. } => (
            "/query/sort_column[]",
            format!("there is too much to sort by this: {}", narrow(&narrower)),
        ),
        QueryError::ForeignCursor => (
            "/query/cursor",
            "must be as a Link header gave it".to_owned(),
        ),
        QueryError::LostCursor => (
            "/query/cursor",
            "the row that it follows is not in the list any more: begin with the first page"
                .to_owned(),
        ),
        QueryError::Store(error) => return error.into(),
    };
    ApiError::InvalidParameter(vec![ValidationError::new(path, message)])
}
