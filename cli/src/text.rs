//! Text for people: numbers, tables, colours.
//!
//! Invariant: whatever came from a file or from the network is passed through [`plain`] before it
//! reaches a terminal, so that nobody can move the cursor or fake a line with a seller's name.

use std::fmt::{self, Write as _};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Widest that a cell of a table gets, in terminal columns; longer text ends with an ellipsis.
const CELL_WIDTH_MAX: usize = 40;

/// Appends to a text what `format_args!` gives.
pub(crate) fn append(text: &mut String, what: fmt::Arguments<'_>) {
    // A text in memory takes everything.
    let _ = text.write_fmt(what);
}

/// The number with its digits in groups of three: `12 345`.
pub(crate) fn grouped(number: u64) -> String {
    group(&number.to_string())
}

/// The digits before the point of a decimal in groups of three: `12 345.50`.
pub(crate) fn grouped_decimal(decimal: &str) -> String {
    match decimal.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", group(whole)),
        None => group(decimal),
    }
}

fn group(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 batch`, `12 345 batches`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{} {noun}", grouped(number))
}

/// The text without anything that a terminal would obey: control characters and the marks that turn
/// the direction of writing become `\u{…}`, line breaks and tabs a space.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            _ if is_obeyed(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

fn is_obeyed(character: char) -> bool {
    let turns = matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns || character.is_control()
}

/// The text made [`plain`] and cut to `width_max` terminal columns.
pub(crate) fn cut(text: &str, width_max: usize) -> String {
    let text = plain(text);
    if text.width() <= width_max {
        return text;
    }
    let mut width = 0;
    let kept = text.chars().take_while(|character| {
        width += character.width().unwrap_or(0);
        width < width_max
    });
    kept.chain(std::iter::once('…')).collect()
}

/// Whether to colour, and how. Without colours every method gives its text unchanged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// For what is in error.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// For what is done.
    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// For what is under way, and for hints.
    pub(crate) fn note(self, text: &str) -> String {
        self.with("33", text)
    }

    /// For headings.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }
}

/// How a column of a [`Table`] is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A cell and the paint that goes over it once its width is known.
pub(crate) type Cell = (String, fn(Paint, &str) -> String);

/// A cell that is not painted.
pub(crate) fn cell(text: impl Into<String>) -> Cell {
    (text.into(), |_, text| text.to_owned())
}

/// Rows under a heading, two spaces between columns, none at the end of a line.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
    cell_width_max: usize,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: Vec<(&'static str, Align)>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
            cell_width_max: CELL_WIDTH_MAX,
        }
    }

    /// A table without rows, in which no text is cut.
    pub(crate) fn uncut(columns: Vec<(&'static str, Align)>) -> Self {
        Self {
            cell_width_max: usize::MAX,
            ..Self::new(columns)
        }
    }

    /// Adds a row with a cell for each column, in their order.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        let cut = |(text, paint): Cell| (cut(&text, self.cell_width_max), paint);
        self.rows.push(cells.into_iter().map(cut).collect());
    }

    /// The table as text, each line ended.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let heading: Vec<Cell> = self
            .columns
            .iter()
            .map(|(name, _)| -> Cell { ((*name).to_owned(), Paint::strong) })
            .collect();
        let mut widths = vec![0; self.columns.len()];
        for row in std::iter::once(&heading).chain(&self.rows) {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = text.width().max(*width);
            }
        }
        let mut shown = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = String::new();
            for (((text, over), width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                let padding = " ".repeat(width - text.width());
                let text = over(paint, text);
                let parts = match align {
                    Align::Left => [text.as_str(), &padding, "  "],
                    Align::Right => [padding.as_str(), &text, "  "],
                };
                line.extend(parts);
            }
            shown.push_str(line.trim_end());
            shown.push('\n');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (12_345, "12 345"),
            (1_234_567, "1 234 567"),
            (u64::MAX, "18 446 744 073 709 551 615"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped_decimal("1234567.50"), "1 234 567.50");
        assert_eq!(grouped_decimal("7"), "7");
        assert_eq!(counted(1, "batch", "batches"), "1 batch");
        assert_eq!(counted(2000, "batch", "batches"), "2 000 batches");
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do_by_a_name() {
        assert_eq!(plain("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(plain("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
        assert_eq!(plain("a\r\n\tb"), "a   b");
        assert_eq!(plain("Müller & Söhne 株式会社"), "Müller & Söhne 株式会社");
    }

    #[test]
    fn a_text_is_cut_by_its_width_on_the_terminal() {
        assert_eq!(cut("abcde", 5), "abcde");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("株式会社", 5), "株式…");
    }

    #[test]
    fn columns_stay_in_line_with_wide_characters_and_colours() {
        let mut table = Table::new(vec![("Seller", Align::Left), ("Details", Align::Right)]);
        table.row(vec![cell("株式会社"), cell("12 345")]);
        table.row(vec![("x".to_owned(), Paint::bad), cell("1")]);
        assert_eq!(
            table.render(Paint(false)),
            "Seller    Details\n株式会社   12 345\nx               1\n"
        );
        assert!(
            table
                .render(Paint(true))
                .contains("\u{1b}[1;31mx\u{1b}[0m       ")
        );
    }

    proptest! {
        #[test]
        fn a_cut_text_is_never_wider_than_asked(text in any::<String>(), width_max in 1_usize..60) {
            prop_assert!(cut(&text, width_max).width() <= width_max);
        }

        #[test]
        fn grouping_changes_no_digit(number in any::<u64>()) {
            prop_assert_eq!(grouped(number).replace(' ', ""), number.to_string());
        }
    }
}
