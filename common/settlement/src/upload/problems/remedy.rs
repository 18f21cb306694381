//! What to do about a problem, by its code: as the page of error codes says it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The page: tables with a row a code, whose last column is the remedy.
const PAGE: &str = include_str!("../../../../../docs/error-codes.md");

static REMEDIES: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
        let code = cells.next()?.strip_suffix('`')?;
        Some((code, cells.nth(1)?))
    };
    PAGE.lines().filter_map(row).collect()
});

/// What to do about problems of a code, as a sentence without its capital and its full stop; `None`
/// where the page has nothing to say.
pub fn remedy(code: &str) -> Option<&'static str> {
    REMEDIES.get(code).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::problems::{NUMBER_TAKEN, PROGRAM_UNKNOWN, SELLER_UNKNOWN};
    use weir_servicegate::FileRule;

    #[test]
    fn every_code_of_a_problem_has_its_remedy() {
        let ours = [SELLER_UNKNOWN, NUMBER_TAKEN, PROGRAM_UNKNOWN];
        for code in FileRule::CODES.iter().chain(&ours) {
            assert!(remedy(code).is_some_and(|told| !told.is_empty()), "{code}");
        }
        assert_eq!(remedy("bcs.element_missing"), Some("add it"));
        assert_eq!(remedy("none"), None);
    }
}
