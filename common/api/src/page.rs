//! Paging: `page_size` 1 to 250 (10), `page_number` from 1 (1).

use axum::extract::FromRequestParts;
use http::request::Parts;

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
        read(parts.uri.query().unwrap_or_default())
    }
}

fn read(query: &str) -> Result<Page, ApiError> {
    let mut page = Page {
        size: SIZE,
        number: 1,
    };
    let mut seen = Vec::new();
    let mut errors = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let path = format!("/query/{}", shown(name));
        if seen.contains(&name) {
            errors.push(ValidationError::new(path, "must be given once"));
            continue;
        }
        seen.push(name);
        let (field, max) = match name {
            "page_size" => (&mut page.size, SIZE_MAX),
            "page_number" => (&mut page.number, u32::MAX),
            _ => {
                errors.push(ValidationError::new(
                    path,
                    "is not a parameter of this operation; it takes page_size and page_number",
                ));
                continue;
            }
        };
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match value
            .parse()
            .ok()
            .filter(|number| digits && (1..=max).contains(number))
        {
            Some(number) => *field = number,
            None => errors.push(ValidationError::new(
                path,
                format!("must be a whole number from 1 to {max}"),
            )),
        }
    }
    if errors.is_empty() {
        Ok(page)
    } else {
        Err(ApiError::InvalidParameter(errors))
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
            read(""),
            Ok(Page {
                size: 10,
                number: 1
            })
        );
        for size in [1, 249, 250] {
            assert_eq!(
                read(&format!("page_size={size}")),
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
                matches!(read(query), Err(ApiError::InvalidParameter(_))),
                "{query}"
            );
        }
    }

    #[test]
    fn every_problem_of_a_query_is_told_at_once_by_name() {
        let Err(ApiError::InvalidParameter(errors)) = read("page_size=x&colour=1&page_size=2")
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
            let _ = read(&query);
        }
    }
}
