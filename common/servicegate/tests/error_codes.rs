//! The page of error codes and the codes themselves.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails where it cannot read the page"
)]

use std::path::Path;

use weir_domain::ErrorCode;
use weir_servicegate::FileRule;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/error-codes.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_page_of_error_codes_has_a_row_for_every_code() {
    let page = page();
    let codes = ErrorCode::ALL.iter().map(|code| code.code());
    for code in codes.chain(FileRule::CODES.iter().copied()) {
        let rows = page.matches(&format!("\n| `{code}` |")).count();
        assert_eq!(rows, 1, "{code}");
    }
}

#[test]
fn the_page_of_error_codes_has_no_row_for_a_code_that_is_not_given() {
    let known: Vec<&str> = ErrorCode::ALL
        .iter()
        .map(|code| code.code())
        .chain(FileRule::CODES.iter().copied())
        .collect();
    for row in page().lines() {
        let first = row
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        let code = first.filter(|code| code.starts_with("bcs.") || code.starts_with("file."));
        assert!(code.is_none_or(|code| known.contains(&code)), "{row}");
    }
}
