//! CSV as people send it back: RFC 4180 in UTF-8, from a spreadsheet or an editor.
//!
//! A byte order mark may stand before it, lines may end with or without a carriage return, and cells
//! may be parted by semicolons, which some spreadsheets write: whichever of the two stands first in
//! the header counts. What has no one reading is refused: a quote that does not begin or end a cell, a
//! quote that is never closed, a carriage return by itself. So no row can be swallowed by another.

use std::iter::Peekable;
use std::str::CharIndices;

/// What begins a text of some editors.
const MARK: char = '\u{FEFF}';

/// A row, and its number as a spreadsheet counts: from 1, those with nothing on them among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvRow {
    /// The number.
    pub number: usize,
    /// The cells, without the quotes around them.
    pub cells: Vec<String>,
}

/// Why a text is no CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// Bytes that are no text.
    #[error("it is not UTF-8: save the table as CSV in UTF-8")]
    Encoding,
    /// A quote in a cell that does not begin with one, or text behind the quote that ends a cell.
    #[error(
        "a quote stands amid a cell on line {line}: a cell with quotes stands in quotes, and each quote \
         in it twice"
    )]
    QuoteMisplaced {
        /// The line, from 1.
        line: usize,
    },
    /// A cell in quotes without an end.
    #[error("the quote that begins a cell on line {line} is not closed")]
    QuoteOpen {
        /// The line that the cell begins on.
        line: usize,
    },
    /// A carriage return without a line feed, outside of quotes.
    #[error("line {line} ends with a carriage return alone: end lines with CR LF or LF")]
    CarriageReturn {
        /// The line, from 1.
        line: usize,
    },
}

/// The rows of a text; those with nothing in any cell are left out.
///
/// # Errors
/// What has no one reading.
pub fn rows(bytes: &[u8]) -> Result<Vec<CsvRow>, CsvError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CsvError::Encoding)?;
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let mut reader = Reader {
        characters: text.char_indices().peekable(),
        separator: separator(text),
        line: 1,
    };
    let mut rows = Vec::new();
    let mut number = 0;
    while reader.characters.peek().is_some() {
        let cells = reader.row()?;
        number += 1;
        if cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(CsvRow { number, cells });
        }
    }
    Ok(rows)
}

/// What parts the cells.
fn separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.is_empty()).unwrap_or("");
    first
        .chars()
        .find(|c| matches!(c, ',' | ';'))
        .unwrap_or(',')
}

/// How a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Cell,
    Row,
}

struct Reader<'a> {
    characters: Peekable<CharIndices<'a>>,
    separator: char,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let (_, c) = self.characters.next()?;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn row(&mut self) -> Result<Vec<String>, CsvError> {
        let mut cells = Vec::new();
        loop {
            let mut cell = String::new();
            let end = match self.characters.peek() {
                Some((_, '"')) => self.quoted(&mut cell)?,
                _ => self.plain(&mut cell)?,
            };
            cells.push(cell);
            if end == End::Row {
                return Ok(cells);
            }
        }
    }

    fn plain(&mut self, cell: &mut String) -> Result<End, CsvError> {
        let line = self.line;
        loop {
            match self.next() {
                Some('"') => return Err(CsvError::QuoteMisplaced { line }),
                Some(c) => {
                    if let Some(end) = self.end(Some(c))? {
                        return Ok(end);
                    }
                    cell.push(c);
                }
                None => return Ok(End::Row),
            }
        }
    }

    fn quoted(&mut self, cell: &mut String) -> Result<End, CsvError> {
        let begun = self.line;
        self.next();
        loop {
            match self.next() {
                None => return Err(CsvError::QuoteOpen { line: begun }),
                Some('"') if matches!(self.characters.peek(), Some((_, '"'))) => {
                    self.next();
                    cell.push('"');
                }
                Some('"') => break,
                Some(c) => cell.push(c),
            }
        }
        let line = self.line;
        let after = self.next();
        self.end(after)?.ok_or(CsvError::QuoteMisplaced { line })
    }

    /// What a character ends; nothing for one that belongs to the cell.
    fn end(&mut self, c: Option<char>) -> Result<Option<End>, CsvError> {
        let line = self.line;
        match c {
            None | Some('\n') => Ok(Some(End::Row)),
            Some('\r') => match self.next() {
                Some('\n') => Ok(Some(End::Row)),
                _ => Err(CsvError::CarriageReturn { line }),
            },
            Some(c) if c == self.separator => Ok(Some(End::Cell)),
            Some(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        let rows = rows(text.as_bytes()).unwrap();
        rows.into_iter().map(|row| row.cells).collect()
    }

    #[test]
    fn a_table_may_have_a_mark_semicolons_and_either_end_of_line() {
        let wanted = [["a", "b"], ["1", "x,\"y\";\r\nz"], ["", " 2 "]];
        for text in [
            "a,b\r\n1,\"x,\"\"y\"\";\r\nz\"\r\n, 2 \r\n",
            "\u{FEFF}a,b\n1,\"x,\"\"y\"\";\r\nz\"\n, 2 ",
            "a;b\n1;\"x,\"\"y\"\";\r\nz\"\n\"\"; 2 \n",
            "\u{FEFF}\"a\";\"b\"\r\n\r\n1;\"x,\"\"y\"\";\r\nz\"\r\n\n; 2 \r\n\n",
        ] {
            assert_eq!(read(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn nothing_is_a_table_without_rows() {
        for text in ["", "\u{FEFF}", "\n", "\r\n\r\n"] {
            assert!(read(text).is_empty());
        }
    }

    #[test]
    fn rows_are_numbered_as_a_spreadsheet_does() {
        let rows = rows(b"a,b\n\n\"x\ny\",\n,\nb,\n").unwrap();
        let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
        assert_eq!(numbers, [1, 3, 5]);
    }

    #[test]
    fn what_has_no_one_reading_is_refused() {
        use CsvError::{CarriageReturn, Encoding, QuoteMisplaced, QuoteOpen};
        for (bytes, error) in [
            (&b"a\xff"[..], Encoding),
            (b"\xff\xfea\0", Encoding),
            (b"a\nb\"c\n", QuoteMisplaced { line: 2 }),
            (b"a\n\"b\"c\n", QuoteMisplaced { line: 2 }),
            (b"a\n \"b\"\n", QuoteMisplaced { line: 2 }),
            (b"a\n\"b\n\n", QuoteOpen { line: 2 }),
            (b"a\n\"b\"\"", QuoteOpen { line: 2 }),
            (b"a\rb\r", CarriageReturn { line: 1 }),
            (b"a\n\"b\"\r", CarriageReturn { line: 2 }),
        ] {
            assert_eq!(rows(bytes), Err(error), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_a_writer_writes_is_read_back(
            table in vec(vec("[ -~\r\n;,\"ü]{0,6}", 2..5), 1..5),
            semicolon in any::<bool>(),
        ) {
            // The header tells what parts the cells, so it holds neither.
            let mut table = table;
            let width = table[0].len();
            for row in &mut table {
                row.resize(width, String::new());
                row[0].push('x');
            }
            table[0].fill("name".to_owned());
            let mut csv = csv::WriterBuilder::new()
                .delimiter(if semicolon { b';' } else { b',' })
                .from_writer(Vec::new());
            for row in &table {
                csv.write_record(row).unwrap();
            }
            let text = String::from_utf8(csv.into_inner().unwrap()).unwrap();
            prop_assert_eq!(read(&text), table);
        }

        #[test]
        fn any_bytes_are_rows_or_refused_without_a_panic(
            bytes in prop_oneof![vec(any::<u8>(), 0..60), "[\",;\r\nab]{0,30}".prop_map(String::into_bytes)],
        ) {
            let _ = rows(&bytes);
        }
    }
}
