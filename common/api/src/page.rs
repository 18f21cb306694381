//! Paging: `page_size` 1 to 250 (10), `page_number` from 1 (1); and the filters of a list.

use axum::extract::FromRequestParts;
use http::request::Parts;

use weir_domain::DetailStatus;

use crate::{Api, ApiError, ValidationError};

/// Most rows of a page.
const SIZE_MAX: u32 = 250;
/// Rows of a page, unless asked otherwise.
const SIZE: u32 = 10;

/// Which rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) size: u32,
    pub(crate) number: u32,
}

impl Page {
    /// The rows before the page.
    pub(crate) fn skipped(self) -> u64 {
        u64::from(self.number - 1) * u64::from(self.size)
    }

    /// The numbers of the page's rows, from 1, among `count` of them.
    pub(crate) fn rows(self, count: u64) -> std::ops::RangeInclusive<u64> {
        let first = self.skipped() + 1;
        first..=(self.skipped() + u64::from(self.size)).min(count)
    }
}

impl FromRequestParts<Api> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        read(parts.uri.query().unwrap_or_default(), None)
    }
}

/// A page of details: of all of them, or of those in one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DetailPage {
    pub(crate) page: Page,
    pub(crate) status: Option<DetailStatus>,
}

impl FromRequestParts<Api> for DetailPage {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        let mut status = None;
        let page = read(parts.uri.query().unwrap_or_default(), Some(&mut status))?;
        Ok(Self { page, status })
    }
}

/// Reads a query; `status` is a parameter where there is a place for it.
fn read(query: &str, mut status: Option<&mut Option<DetailStatus>>) -> Result<Page, ApiError> {
    let mut page = Page {
        size: SIZE,
        number: 1,
    };
    let mut seen = Vec::new();
    let mut errors = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let wrong = if seen.contains(&name) {
            Some("must be given once".to_owned())
        } else {
            match (name, &mut status) {
                ("page_size", _) => set_number(&mut page.size, value, SIZE_MAX),
                ("page_number", _) => set_number(&mut page.number, value, u32::MAX),
                ("status", Some(status)) => match value.parse() {
                    Ok(value) => {
                        **status = Some(value);
                        None
                    }
                    Err(error) => Some(error.to_string()),
                },
                (_, status) => {
                    let takes = if status.is_some() { ", status" } else { "" };
                    Some(format!(
                        "is not a parameter of this operation; it takes page_size, page_number{takes}"
                    ))
                }
            }
        };
        seen.push(name);
        if let Some(message) = wrong {
            errors.push(ValidationError::new(
                format!("/query/{}", shown(name)),
                message,
            ));
        }
    }
    if errors.is_empty() {
        Ok(page)
    } else {
        Err(ApiError::InvalidParameter(errors))
    }
}

/// Sets a number from 1 to `max`, or says what is wrong with the text.
fn set_number(number: &mut u32, text: &str, max: u32) -> Option<String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text
        .parse()
        .ok()
        .filter(|parsed| digits && (1..=max).contains(parsed))
    {
        Some(parsed) => {
            *number = parsed;
            None
        }
        None => Some(format!("must be a whole number from 1 to {max}")),
    }
}

/// A name as it can be shown: short.
fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_has_ten_rows_unless_asked_otherwise_and_at_most_250() {
        assert_eq!(
            read("", None),
            Ok(Page {
                size: 10,
                number: 1
            })
        );
        for size in [1, 249, 250] {
            assert_eq!(
                read(&format!("page_size={size}"), None),
                Ok(Page { size, number: 1 })
            );
        }
        for query in [
            "page_size=0",
            "page_size=251",
            "page_number=0",
            "page_size=+5",
            "page_size=",
        ] {
            assert!(
                matches!(read(query, None), Err(ApiError::InvalidParameter(_))),
                "{query}"
            );
        }
    }

    #[test]
    fn every_problem_of_a_query_is_told_at_once_by_name() {
        let Err(ApiError::InvalidParameter(errors)) =
            read("page_size=x&colour=1&page_size=2", None)
        else {
            panic!("refused");
        };
        let paths: Vec<_> = errors
            .iter()
            .map(|error| error.data_path.as_str())
            .collect();
        assert_eq!(
            paths,
            ["/query/page_size", "/query/colour", "/query/page_size"]
        );
    }

    #[test]
    fn details_are_filtered_by_a_status_that_exists() {
        let mut status = None;
        let page = read("status=Error&page_size=5", Some(&mut status));
        assert_eq!(
            (page, status),
            (Ok(Page { size: 5, number: 1 }), Some(DetailStatus::Error))
        );
        assert!(read("status=error", Some(&mut None)).is_err());
        assert!(read("status=Error", None).is_err());
    }

    proptest! {
        #[test]
        fn pages_never_overlap_or_skip(size in 1..=250_u32, count in 0..3_000_u64) {
            let mut rows = Vec::new();
            for number in 1.. {
                let page = Page { size, number }.rows(count);
                if page.is_empty() {
                    break;
                }
                rows.extend(page);
            }
            prop_assert_eq!(rows, (1..=count).collect::<Vec<_>>());
        }

        #[test]
        fn reading_any_query_never_panics(query in ".{0,80}") {
            let _ = read(&query, None);
        }
    }
}
