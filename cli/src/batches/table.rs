//! A mended table as it is sent: whole where one request takes it, else in parts.
//!
//! It is read as the service reads it ([`csv_rows`]), so what has no one reading is refused before
//! anything is sent, and a problem that is told of a part is found again in the file. What the rows say
//! is for the service to judge.

use bytes::Bytes;
use weir_settlement::mend::{CsvRow, csv_rows};

/// Most bytes of a part: what the service takes as a body.
pub(super) const PART_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most rows of a part, its header apart: as many as the service takes.
pub(super) const PART_ROWS_MAX: usize = 5_000;
/// The column that names a row's detail.
const ID: &str = "batch_detail_id";

/// A table of errors.
#[derive(Debug)]
pub(super) struct Table {
    /// What its rows are for, in their order; nothing where a row does not say.
    pub(super) ids: Vec<String>,
    /// How it is sent.
    pub(super) parts: Vec<Part>,
}

/// What one request sends.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// How many rows it has below its header.
    pub(super) rows: usize,
    /// Which row of the file each row is, the header first, where they are not the same.
    numbers: Option<Vec<usize>>,
}

impl Part {
    /// Which row of the file a row of this part is, both counted as a spreadsheet does.
    pub(super) fn row_of_file(&self, row: usize) -> usize {
        let Some(numbers) = &self.numbers else {
            return row;
        };
        let place = row.checked_sub(1);
        let number = place.and_then(|place| numbers.get(place));
        number.copied().unwrap_or(row)
    }
}

impl Table {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// Why it is no table, or that a row of it is too large to be sent, as a sentence.
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, String> {
        Self::in_parts(bytes, PART_BYTES_MAX, PART_ROWS_MAX)
    }

    fn in_parts(bytes: Vec<u8>, bytes_max: usize, rows_max: usize) -> Result<Self, String> {
        let rows = csv_rows(&bytes).map_err(|error| error.to_string())?;
        let Some((header, rows)) = rows.split_first() else {
            return Err("it is empty".to_owned());
        };
        let column = header.cells.iter().position(|name| name.trim() == ID);
        let id = |row: &CsvRow| {
            let cell = column.and_then(|column| row.cells.get(column));
            cell.map_or_else(String::new, |cell| cell.trim().to_owned())
        };
        let ids = rows.iter().map(id).collect();
        let parts = if bytes.len() <= bytes_max && rows.len() <= rows_max {
            vec![Part {
                rows: rows.len(),
                bytes: bytes.into(),
                numbers: None,
            }]
        } else {
            split(header, rows, bytes_max, rows_max)?
        };
        Ok(Self { ids, parts })
    }
}

/// Rows in parts, the header before each.
fn split(
    header: &CsvRow,
    rows: &[CsvRow],
    bytes_max: usize,
    rows_max: usize,
) -> Result<Vec<Part>, String> {
    let head = written(header);
    let mut parts = Vec::new();
    let mut text = head.clone();
    let mut numbers = vec![header.number];
    for row in rows {
        let line = written(row);
        if head.len() + line.len() > bytes_max {
            return Err(format!("row {} is too large to be sent", row.number));
        }
        if text.len() + line.len() > bytes_max || numbers.len() > rows_max {
            let text = std::mem::replace(&mut text, head.clone());
            let numbers = std::mem::replace(&mut numbers, vec![header.number]);
            parts.push(part(text, numbers));
        }
        text.push_str(&line);
        numbers.push(row.number);
    }
    parts.push(part(text, numbers));
    Ok(parts)
}

fn part(text: String, numbers: Vec<usize>) -> Part {
    Part {
        bytes: text.into(),
        rows: numbers.len().saturating_sub(1),
        numbers: Some(numbers),
    }
}

/// A row as CSV (RFC 4180), its line ended. Every cell stands in quotes, so that a row of one empty
/// cell is not an empty line.
fn written(row: &CsvRow) -> String {
    let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
    let cells: Vec<String> = row.cells.iter().map(quoted).collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const FILE: &str =
        "line;batch_detail_id;comment\n\n3; a ;\"x\ny; \"\"z\"\"\"\n4;b;\n;;\n5;c;,\n";

    #[test]
    fn a_table_that_one_request_takes_is_sent_as_it_is() {
        let table = Table::read(FILE.into()).unwrap();
        assert_eq!(table.ids, ["a", "b", "c"]);
        let [part] = &table.parts[..] else {
            panic!("{table:?}");
        };
        assert_eq!((part.bytes.as_ref(), part.rows), (FILE.as_bytes(), 3));
        assert_eq!(part.row_of_file(6), 6);
    }

    #[test]
    fn a_larger_one_is_sent_in_parts_whose_rows_are_found_again_in_the_file() {
        let table = Table::in_parts(FILE.into(), 4096, 2).unwrap();
        let texts: Vec<_> = table.parts.iter().map(|part| part.bytes.clone()).collect();
        let head = "\"line\",\"batch_detail_id\",\"comment\"\r\n";
        assert_eq!(
            texts,
            [
                format!("{head}\"3\",\" a \",\"x\ny; \"\"z\"\"\"\r\n\"4\",\"b\",\"\"\r\n"),
                format!("{head}\"5\",\"c\",\",\"\r\n"),
            ]
        );
        let rows: Vec<_> = table.parts.iter().map(|part| part.rows).collect();
        assert_eq!(rows, [2, 1]);
        // The empty rows are counted as a spreadsheet counts them.
        let [first, second] = &table.parts[..] else {
            panic!("{table:?}");
        };
        assert_eq!([1, 2, 3].map(|row| first.row_of_file(row)), [1, 3, 4]);
        assert_eq!([1, 2].map(|row| second.row_of_file(row)), [1, 6]);
    }

    #[test]
    fn a_part_has_as_many_rows_and_bytes_as_are_taken_and_no_more() {
        let file = |rows: usize| {
            let mut file = "batch_detail_id\n".to_owned();
            (0..rows).for_each(|_| file.push_str("abc\n"));
            file.into_bytes()
        };
        let parts = |rows, bytes_max, rows_max| {
            let table = Table::in_parts(file(rows), bytes_max, rows_max);
            table.map(|table| table.parts.iter().map(|part| part.rows).collect::<Vec<_>>())
        };
        for (rows, expected) in [(4, vec![4]), (5, vec![5]), (6, vec![5, 1])] {
            assert_eq!(parts(rows, 4096, 5), Ok(expected));
        }
        // A header of 19 bytes and rows of 7; the file's own rows have 4.
        assert_eq!(parts(4, 32, 100), Ok(vec![4]));
        for (bytes_max, expected) in [(39, vec![2, 2, 2]), (40, vec![3, 3]), (41, vec![3, 3])] {
            assert_eq!(parts(6, bytes_max, 2 + 1), Ok(expected), "{bytes_max}");
        }
        assert_eq!(parts(6, 26, 100), Ok(vec![1; 6]));
        assert_eq!(
            parts(6, 25, 100),
            Err("row 2 is too large to be sent".to_owned())
        );
    }

    #[test]
    fn what_is_no_table_is_refused_before_anything_is_sent() {
        for (bytes, why) in [
            (&b""[..], "it is empty"),
            (b"\n\n", "it is empty"),
            (b"\xff", "it is not UTF-8"),
            (b"a\n\"b\n", "the quote that begins a cell on line 2"),
        ] {
            let error = Table::read(bytes.to_owned()).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn parts_say_together_what_the_table_says(
            rows in vec(vec("[ -~\r\n;,\"ü]{0,6}", 3), 1..20),
            rows_max in 1_usize..5,
        ) {
            let row = |(place, cells): (usize, &Vec<String>)| CsvRow {
                number: place + 2,
                cells: cells.iter().map(|cell| format!("x{cell}")).collect(),
            };
            let rows: Vec<CsvRow> = rows.iter().enumerate().map(row).collect();
            let header = CsvRow { number: 1, cells: ["batch_detail_id", "b", "c"].map(str::to_owned).into() };
            let file: String = [written(&header)].into_iter().chain(rows.iter().map(written)).collect();
            let table = Table::in_parts(file.into_bytes(), 4096, rows_max).unwrap();
            let mut together = Vec::new();
            for part in &table.parts {
                prop_assert!(part.rows <= rows_max);
                let mut read = csv_rows(&part.bytes).unwrap().into_iter();
                prop_assert_eq!(read.next().unwrap().cells, header.cells.clone());
                together.extend(read.map(|row| CsvRow {
                    number: part.row_of_file(row.number),
                    cells: row.cells,
                }));
            }
            prop_assert_eq!(together, rows);
        }
    }
}
