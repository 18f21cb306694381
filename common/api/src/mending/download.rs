//! `GET …/errors`: the details of a batch that are in error, as CSV.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Uri, header};
use weir_domain::LineNumber;
use weir_query::{BatchRow, Batches, Problem};
use weir_settlement::mend::{MendError, SheetLimits, errors_csv};

use crate::auth::Allowed;
use crate::auth::permission::BatchesRead;
use crate::list::ESCAPED_BYTES_MAX;
use crate::path::PathIds;
use crate::resources::{existing, refused};
use crate::{Api, ApiError, ValidationError};

/// The parameters that bound the lines.
const BOUNDS: [&str; 2] = ["from_line", "to_line"];

/// The table of a batch, or of some of its lines.
pub(crate) async fn download(
    State(api): State<Api>,
    allowed: Allowed<BatchesRead>,
    path: PathIds,
    uri: Uri,
) -> Result<Response, ApiError> {
    let lines = bounds(uri.query().unwrap_or_default()).map_err(refused);
    let (path, (from, to)) = path.and(lines)?;
    let ask = api.ask(allowed.scope);
    let BatchRow(batch) = existing::<Batches>(&ask, &path).await?;
    let limits = SheetLimits::of_bytes(ESCAPED_BYTES_MAX);
    let table = errors_csv(&ask.store, &batch, from, to, limits);
    let table = table.await.map_err(no_table)?;
    let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    let name = format!("attachment; filename=\"errors-{}.csv\"", batch.id);
    let name = HeaderValue::from_str(&name).map_err(|_| ApiError::Internal)?;
    let headers = [
        (header::CONTENT_TYPE, csv),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, table).into_response())
}

/// The first and the last line that are asked for; all, unless said otherwise.
fn bounds(query: &str) -> Result<(LineNumber, LineNumber), Vec<Problem>> {
    let mut bounds = [LineNumber::FIRST, LineNumber::LAST];
    let mut seen = Vec::new();
    let mut problems = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
            problems.push(Problem::new(name, "must be percent-encoded UTF-8"));
            continue;
        };
        let place = BOUNDS.iter().position(|known| *known == name);
        let line = Some(value)
            .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|value| LineNumber::new(value.parse().ok()?).ok());
        let is_again = seen.contains(&name);
        seen.push(name.clone());
        let message = match (place.and_then(|place| bounds.get_mut(place)), line) {
            (None, _) => format!(
                "is not a parameter of this operation; it takes {}",
                BOUNDS.join(", ")
            ),
            (Some(_), _) if is_again => "must be given once".to_owned(),
            (Some(bound), Some(line)) => {
                *bound = line;
                continue;
            }
            (Some(_), None) => format!("must be a line from 1 to {}", LineNumber::LAST),
        };
        problems.push(Problem::new(&name, message));
    }
    let [from, to] = bounds;
    if problems.is_empty() {
        Ok((from, to))
    } else {
        Err(problems)
    }
}

/// A percent-encoded text, where a plus is a space; `None` when it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    decoded.ok().map(Cow::into_owned)
}

fn no_table(error: MendError) -> ApiError {
    match error {
        MendError::TooLarge { fits_to } => {
            let message = match fits_to {
                Some(line) => format!(
                    "the table would be larger than an answer can be: ask for it in parts, the \
                     first with to_line={line}"
                ),
                None => "the first row is by itself larger than an answer can be".to_owned(),
            };
            ApiError::InvalidParameter(vec![ValidationError::new("/query/to_line", message)])
        }
        MendError::TooFar { to } => {
            let message = format!(
                "more lines would have to be looked at than one request may: ask for the table in \
                 parts, the first with to_line={to}"
            );
            ApiError::InvalidParameter(vec![ValidationError::new("/query/to_line", message)])
        }
        MendError::Store(error) => error.into(),
        MendError::Row(error) => {
            tracing::error!(%error, "a table cannot be written");
            ApiError::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_bounded_by_two_parameters() {
        let line = |number| LineNumber::new(number).unwrap();
        assert_eq!(bounds(""), Ok((LineNumber::FIRST, LineNumber::LAST)));
        assert_eq!(bounds("to_line=9&from_line=2"), Ok((line(2), line(9))));
        assert_eq!(
            bounds("to_line=1000000"),
            Ok((LineNumber::FIRST, line(1_000_000)))
        );
        for encoded in [
            "from%5fline=2&to_line=%39",
            "&%66rom_line=%32&&to%5Fline=9&",
        ] {
            assert_eq!(bounds(encoded), Ok((line(2), line(9))), "{encoded}");
        }
        for query in [
            "to_line=0",
            "to_line=1000001",
            "from_line=",
            "from_line=%3",
            "from_line=%FF",
            "%FF=1",
            "from_line=+1",
        ] {
            assert!(bounds(query).is_err(), "{query}");
        }
        let problems = bounds("line=1&to_line=1&to%5fline=2&from_line=x").unwrap_err();
        let names: Vec<_> = problems.iter().map(|one| one.parameter.as_str()).collect();
        assert_eq!(names, ["line", "to_line", "from_line"]);
    }
}
