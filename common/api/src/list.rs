//! Lists as answers.
//!
//! A list is written row by row and given up as soon as it is larger than what carries it: API
//! Gateway and Lambda take 6 MB, in which the JSON stands as a text, escaped once more. The refusal
//! says how many rows fit. Rows are read from the tables some at a time, so no list is ever held
//! whole in another form.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use crate::{ApiError, ValidationError};

/// Most bytes of a list, escaped: 6 MB less what the head of the answer takes.
pub(crate) const ESCAPED_BYTES_MAX: usize = 5_900_000;

/// A list under construction.
#[derive(Debug)]
pub(crate) struct List {
    json: Vec<u8>,
    escaped_bytes: usize,
    rows: u32,
}

impl List {
    pub(crate) fn new() -> Self {
        Self {
            json: b"[".to_vec(),
            escaped_bytes: 2,
            rows: 0,
        }
    }

    /// Adds a row, or says how many fit.
    pub(crate) fn push(&mut self, row: &impl Serialize) -> Result<(), ApiError> {
        let row = serde_json::to_vec(row).map_err(|error| {
            tracing::error!(%error, "a row cannot be written");
            ApiError::Internal
        })?;
        let comma = usize::from(self.rows > 0);
        let escaped_bytes = self.escaped_bytes + comma + escaped_bytes(&row);
        if escaped_bytes > ESCAPED_BYTES_MAX {
            return Err(self.too_large());
        }
        if comma > 0 {
            self.json.push(b',');
        }
        self.json.extend_from_slice(&row);
        self.escaped_bytes = escaped_bytes;
        self.rows += 1;
        Ok(())
    }

    fn too_large(&self) -> ApiError {
        let message = match self.rows {
            0 => "the first row of the page is by itself larger than an answer can be: leave its \
                  largest fields out with `fields`"
                .to_owned(),
            fits => {
                format!(
                    "the page would be larger than an answer can be: its first {fits} rows fit, and \
                     more of them without their largest fields (`fields`)"
                )
            }
        };
        ApiError::InvalidParameter(vec![ValidationError::new("/query/page_size", message)])
    }
}

impl IntoResponse for List {
    fn into_response(mut self) -> Response {
        self.json.push(b']');
        let json = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, json)], self.json).into_response()
    }
}

/// The length of JSON within a JSON text. It has no control characters left to escape.
fn escaped_bytes(json: &[u8]) -> usize {
    let is_escaped = |byte: &&u8| matches!(byte, b'"' | b'\\');
    json.len() + json.iter().filter(is_escaped).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use proptest::prelude::*;

    async fn text(list: List) -> String {
        let body = list.into_response().into_body();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// A row whose escaped form has so many bytes: two of them are quotes, which are two each.
    fn row(escaped_bytes: usize) -> String {
        "x".repeat(escaped_bytes - 4)
    }

    #[tokio::test]
    async fn a_list_may_be_as_large_as_what_carries_it_and_no_larger() {
        for (bytes, fits) in [
            (ESCAPED_BYTES_MAX - 3, true),
            (ESCAPED_BYTES_MAX - 2, true),
            (ESCAPED_BYTES_MAX - 1, false),
        ] {
            let mut list = List::new();
            assert_eq!(list.push(&row(bytes)).is_ok(), fits, "{bytes}");
        }
    }

    #[test]
    fn a_list_that_is_too_large_says_how_many_rows_fit() {
        let mut list = List::new();
        let message = |error| match error {
            Err(ApiError::InvalidParameter(errors)) => errors[0].message.clone(),
            other => panic!("{other:?}"),
        };
        let alone = message(list.push(&row(ESCAPED_BYTES_MAX)));
        assert!(alone.contains("by itself"), "{alone}");
        for _ in 0..5 {
            list.push(&row(1_000_000)).unwrap();
        }
        let told = message(list.push(&row(1_000_000)));
        assert!(told.contains("first 5 rows fit"), "{told}");
    }

    proptest! {
        #[test]
        fn a_list_is_the_json_of_its_rows_and_weighs_what_it_takes_as_a_text(
            rows in proptest::collection::vec("(?s).{0,20}", 0..6)
        ) {
            let mut list = List::new();
            for row in &rows {
                list.push(row).unwrap();
            }
            prop_assert_eq!(list.rows, u32::try_from(rows.len()).unwrap());
            let weight = list.escaped_bytes;
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let json = runtime.block_on(text(list));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), rows);
            // Less the quotes around it.
            prop_assert_eq!(serde_json::to_string(&json).unwrap().len() - 2, weight);
        }
    }
}
