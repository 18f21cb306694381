//! Texts as cells of a table, so that no spreadsheet runs one as a formula.
//!
//! A spreadsheet takes a cell for a formula by its first character, and a quote before it for the
//! word that it is a text. So a text that could be one gets a quote, as does a text that has quotes
//! before such a character, and one quote is taken off when the table comes back: what goes out
//! comes back the same.

use std::borrow::Cow;

/// What makes a text a formula when it comes first.
const DANGEROUS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// Whether a text is a formula, but for quotes before it.
fn could_be_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(DANGEROUS)
}

/// A text as it can stand in a table.
pub fn defused(text: &str) -> Cow<'_, str> {
    if could_be_formula(text) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text of a cell.
pub fn fused(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if could_be_formula(text) => text,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_spreadsheet_would_run_gets_a_quote() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("'=1", "''=1"),
            ("a=1", "a=1"),
            ("'quoted'", "'quoted'"),
            ("", ""),
        ] {
            assert_eq!(defused(text), cell);
        }
    }

    proptest! {
        #[test]
        fn what_goes_out_comes_back_and_is_no_formula(text in "['=+@\\-\\t\\r\\na ]{0,6}|\\PC{0,9}") {
            let cell = defused(&text);
            prop_assert!(!cell.starts_with(DANGEROUS));
            prop_assert_eq!(fused(&cell), &text);
        }
    }
}
