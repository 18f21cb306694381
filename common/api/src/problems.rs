//! `GET /v1/files/{file_id}/problems`: everything that is wrong with a file, its batches and its
//! records, each with its place; as JSON, or as CSV for people.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;
use weir_query::{Cost, Field, FileRow, Files, Kind, Listed, Resource};
use weir_settlement::mend::defused;
use weir_settlement::upload::{FileProblems, ProblemRow, ProblemsError, ProblemsPage};

use crate::auth::Allowed;
use crate::auth::permission::FilesRead;
use crate::list::List;
use crate::path::PathIds;
use crate::resources::{link_to, unanswered};
use crate::{Api, ApiError, ValidationError};

/// Problems of a page, unless asked for otherwise.
pub const PROBLEMS_PAGE_SIZE: usize = 100;
/// Most problems of a page.
pub const PROBLEMS_PAGE_SIZE_MAX: usize = 1_000;
/// About how much of an object one page may read: some seconds.
const READ_BYTES_MAX: u64 = 512 << 20;

/// A problem: an answer to `/v1/files/{file_id}/problems`.
pub static PROBLEM: Resource = Resource {
    name: "problem",
    is_in_order_of_creation: false,
    fields: &[
        field("batch_id", Kind::Id, "The batch, where it exists"),
        field("batch_number", Kind::Text, "The number of the batch"),
        field("batch_detail_id", Kind::Id, "The detail, where it exists"),
        field(
            "detail_line",
            Kind::Integer,
            "The place among the charges and refunds of the batch, from 1",
        ),
        field("line", Kind::Integer, "The line of the file, from 1"),
        field("column", Kind::Integer, "Characters into the line, from 1"),
        field("byte_offset", Kind::Integer, "Bytes into the file, from 0"),
        field("path", Kind::Text, "The element"),
        field("code", Kind::Text, "What kind of problem it is"),
        field("message", Kind::Text, "The broken rule"),
        field(
            "remedy",
            Kind::Text,
            "What to do about problems of the kind",
        ),
    ],
    parameters: &[],
};

const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field {
        name,
        kind,
        cost: Cost::Light,
        about,
    }
}

/// In which form an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    page_size: usize,
    page_number: Option<u64>,
    cursor: Option<String>,
    form: Option<Form>,
}

/// A page of the problems of a file.
pub(crate) async fn list(
    State(api): State<Api>,
    allowed: Allowed<FilesRead>,
    path: PathIds,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(uri.query().unwrap_or_default());
    let (path, wanted) = path.and(wanted)?;
    let ask = api.ask(allowed.scope);
    let missing = || ApiError::no_such(Files::RESOURCE.name);
    let (_, id) = path.last().copied().ok_or_else(missing)?;
    let row = Files::get(&ask, id).await.map_err(unanswered)?;
    let FileRow(file) = row.ok_or_else(missing)?;
    let problems = FileProblems {
        store: &ask.store,
        file: &file,
        only: ask.scope.seller_id,
        bytes_max: READ_BYTES_MAX,
    };
    let page = if let Some(cursor) = &wanted.cursor {
        problems.page_at(cursor, wanted.page_size).await
    } else {
        let before = wanted.page_number.unwrap_or(1) - 1;
        let skip = before.saturating_mul(wanted.page_size as u64);
        problems.page(skip, wanted.page_size).await
    };
    let page = page.map_err(no_page)?;
    let mut answer_headers = HeaderMap::new();
    let link = page.next.as_ref();
    if let Some(link) = link.and_then(|next| link_to(&uri, &format!("cursor={next}"))) {
        answer_headers.insert(header::LINK, link);
    }
    answer_headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    let form = wanted.form.unwrap_or_else(|| accepted(&headers));
    let body = match form {
        Form::Json => json(&page)?,
        Form::Csv => csv(&page)?,
    };
    Ok((answer_headers, body).into_response())
}

impl Wanted {
    fn read(query: &str) -> Result<Self, Vec<ValidationError>> {
        let mut wanted = Self {
            page_size: PROBLEMS_PAGE_SIZE,
            page_number: None,
            cursor: None,
            form: None,
        };
        let mut wrong = Vec::new();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let (name, value) = (decoded(name), decoded(value));
            let set = if seen.contains(&name) {
                Err("must be given once".to_owned())
            } else {
                wanted.set(&name, &value)
            };
            if let Err(message) = set {
                let shown: String = name.chars().take(100).collect();
                wrong.push(ValidationError::new(format!("/query/{shown}"), message));
            }
            seen.push(name);
        }
        if wanted.cursor.is_some() && wanted.page_number.is_some() {
            let message = "must not be given together with page_number";
            wrong.push(ValidationError::new("/query/cursor", message));
        }
        if wrong.is_empty() {
            Ok(wanted)
        } else {
            Err(wrong)
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = |max: u64| {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse().ok().filter(|_| digits);
            let number = number.filter(|number| (1..=max).contains(number));
            number.ok_or_else(|| format!("must be a whole number from 1 to {max}"))
        };
        match name {
            "page_size" => {
                let size = number(PROBLEMS_PAGE_SIZE_MAX as u64)?;
                self.page_size = usize::try_from(size).unwrap_or(PROBLEMS_PAGE_SIZE);
            }
            "page_number" => self.page_number = Some(number(u32::MAX.into())?),
            "cursor" => self.cursor = Some(value.to_owned()),
            "format" => {
                self.form = Some(match value {
                    "json" => Form::Json,
                    "csv" => Form::Csv,
                    _ => return Err("must be one of json, csv".to_owned()),
                });
            }
            _ => {
                return Err("is not a parameter of this operation; it takes page_size, \
                            page_number, cursor, format"
                    .to_owned());
            }
        }
        Ok(())
    }
}

/// CSV for whoever accepts it by name, and JSON for everybody else.
fn accepted(headers: &HeaderMap) -> Form {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut ranges = accepts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim());
    if ranges.any(|range| range.eq_ignore_ascii_case("text/csv")) {
        Form::Csv
    } else {
        Form::Json
    }
}

fn json(page: &ProblemsPage) -> Result<Response, ApiError> {
    let mut list = List::new();
    for row in &page.rows {
        list.push(row)?;
    }
    Ok(list.into_response())
}

fn csv(page: &ProblemsPage) -> Result<Response, ApiError> {
    let broken = |error: csv::Error| {
        tracing::error!(%error, "a table cannot be written");
        ApiError::Internal
    };
    let mut csv = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let names = PROBLEM.fields.iter().map(|field| field.name);
    csv.write_record(names).map_err(broken)?;
    for row in &page.rows {
        csv.write_record(cells(row)).map_err(broken)?;
    }
    let table = csv.into_inner().map_err(|_| ApiError::Internal)?;
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    Ok(([(header::CONTENT_TYPE, kind)], table).into_response())
}

/// A row as cells that no spreadsheet runs, in the order of the fields.
fn cells(row: &ProblemRow) -> [String; 11] {
    let text = |text: &str| defused(text).into_owned();
    let opt = |value: &Option<String>| text(value.as_deref().unwrap_or_default());
    [
        opt(&row.batch_id),
        opt(&row.batch_number),
        opt(&row.batch_detail_id),
        row.detail_line
            .map_or_else(String::new, |line| line.to_string()),
        row.line.to_string(),
        row.column.to_string(),
        row.byte_offset.to_string(),
        text(&row.path),
        text(&row.code),
        text(&row.message),
        text(row.remedy.unwrap_or_default()),
    ]
}

fn no_page(error: ProblemsError) -> ApiError {
    let invalid = |place: &str, message: &str| {
        ApiError::InvalidParameter(vec![ValidationError::new(place, message)])
    };
    match error {
        ProblemsError::NoObject => ApiError::Conflict(
            "The file has no object yet: there is nothing to find problems in.".to_owned(),
        ),
        ProblemsError::Changed(reason) => ApiError::Conflict(format!(
            "The object is no longer what was uploaded ({reason}), so its problems cannot be \
             read: put it back as it was."
        )),
        ProblemsError::Cursor => invalid("/query/cursor", "must be as a Link header gave it"),
        ProblemsError::TooFar => invalid(
            "/query/page_number",
            "more of the file would have to be read than one request may: begin with the first \
             page and follow the Link headers",
        ),
        ProblemsError::Store(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_1000_problems_and_every_wrong_parameter_is_named() {
        let size = |query: &str| Wanted::read(query).map(|wanted| wanted.page_size);
        assert_eq!(size(""), Ok(PROBLEMS_PAGE_SIZE));
        for (asked, is_taken) in [
            (0, false),
            (1, true),
            (999, true),
            (1_000, true),
            (1_001, false),
        ] {
            assert_eq!(
                size(&format!("page_size={asked}")).is_ok(),
                is_taken,
                "{asked}"
            );
        }
        let wrong =
            "page_size=x&page_size=1&page%5Fnumber=0&format=xml&line=1&page_number=4294967296";
        let wrong = Wanted::read(wrong).unwrap_err();
        let places: Vec<_> = wrong.iter().map(|one| one.data_path.as_str()).collect();
        let wanted = [
            "page_size",
            "page_size",
            "page_number",
            "format",
            "line",
            "page_number",
        ];
        assert_eq!(places, wanted.map(|name| format!("/query/{name}")));
        assert!(Wanted::read("cursor=a&page_number=1").is_err());
        assert!(Wanted::read("page_number=4294967295").is_ok());
    }

    #[test]
    fn csv_is_for_whoever_accepts_it_by_name() {
        let accepted = |value: &'static str| {
            accepted(&HeaderMap::from_iter([(
                header::ACCEPT,
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(accepted("text/csv"), Form::Csv);
        assert_eq!(accepted("text/html, Text/CSV;q=0.9"), Form::Csv);
        for other in ["*/*", "application/json", "text/*"] {
            assert_eq!(accepted(other), Form::Json, "{other}");
        }
    }

    #[test]
    fn a_row_has_the_fields_that_the_document_names_and_no_formula() {
        let text = Some("=1".to_owned());
        let row = ProblemRow {
            batch_id: text.clone(),
            batch_number: text.clone(),
            batch_detail_id: text,
            detail_line: Some(1),
            line: 2,
            column: 3,
            byte_offset: 4,
            path: "=1".to_owned(),
            code: "=1".to_owned(),
            message: "=1".to_owned(),
            remedy: Some("=1"),
        };
        let names: Vec<_> = PROBLEM.fields.iter().map(|field| field.name).collect();
        let json = serde_json::to_string(&row).unwrap();
        let places: Vec<_> = names
            .iter()
            .map(|name| json.find(&format!("\"{name}\":")))
            .collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{json}"
        );
        assert_eq!(
            serde_json::to_value(&row)
                .unwrap()
                .as_object()
                .unwrap()
                .len(),
            names.len()
        );
        assert_eq!(
            cells(&row),
            [
                "'=1", "'=1", "'=1", "1", "2", "3", "4", "'=1", "'=1", "'=1", "'=1"
            ]
        );
    }
}
