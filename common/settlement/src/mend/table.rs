//! The table of errors as it comes back: its header, and its rows by column.
//!
//! # What is refused
//! A header without `batch_detail_id`, with a name that is not of the table or that stands twice; a
//! row with more or fewer cells than the header, without the id of a detail, or for one that an
//! earlier row is for. All of it is told at once.

use std::collections::{HashMap, HashSet};

use weir_domain::DetailId;
use weir_servicegate::{CellProblem, Column};

use super::csv::{CsvError, CsvRow, rows};
use super::{ERROR_CODE, ERROR_DESCRIPTION, ID, LINE, TYPE, fused};

/// Most problems that are told of one table.
pub const PROBLEMS_MAX: usize = 1_000;
/// Most characters of a name that is told back.
const NAME_CHARACTERS_MAX: usize = 100;

/// What is wrong with a table, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProblem {
    /// A pointer (RFC 6901) such as `/header/po_nmber`, `/rows/3/total_amount` or
    /// `/rows/3/lines/0/quantity`. Rows are numbered as a spreadsheet does: the header is row 1; items
    /// of a list within a cell from 0.
    pub path: String,
    /// The broken rule and the remedy.
    pub message: String,
}

impl TableProblem {
    pub(super) fn in_row(number: usize, problem: &CellProblem) -> Self {
        let CellProblem { place, message } = problem;
        let between = if place.as_str().is_empty() { "" } else { "/" };
        Self {
            path: format!("/rows/{number}{between}{place}"),
            message: message.clone(),
        }
    }

    pub(super) fn of_column(number: usize, column: &str, message: impl Into<String>) -> Self {
        Self {
            path: format!("/rows/{number}/{column}"),
            message: message.into(),
        }
    }

    fn of_header(name: &str, message: String) -> Self {
        let name: String = name.chars().take(NAME_CHARACTERS_MAX).collect();
        Self {
            path: format!("/header/{}", name.replace('~', "~0").replace('/', "~1")),
            message,
        }
    }
}

/// Why a table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    Csv(CsvError),
    TooManyRows,
    Problems(Vec<TableProblem>),
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// As a spreadsheet counts.
    pub(super) number: usize,
    pub(super) id: DetailId,
    /// What the row says of its detail; nothing where it does not.
    pub(super) line: Option<String>,
    pub(super) transaction_type: Option<String>,
    /// In the order of [`Column::all`]; nothing for a column that the table does not have.
    pub(super) cells: Vec<Option<String>>,
}

/// What a column of the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Id,
    Line,
    Type,
    /// What is told and not taken back.
    Told,
    /// The cell of that place in [`Column::all`].
    Cell(usize),
}

/// The rows of a table of at most `rows_max` rows below its header.
pub(super) fn read(bytes: &[u8], rows_max: usize) -> Result<Vec<Row>, Unread> {
    let mut rows = rows(bytes).map_err(Unread::Csv)?.into_iter();
    let columns = Column::all();
    let header = rows.next().map(|row| row.cells).unwrap_or_default();
    let holds = header_of(&header, &columns).map_err(Unread::Problems)?;
    if rows.len() > rows_max {
        return Err(Unread::TooManyRows);
    }
    let mut problems = Vec::new();
    let mut read = Vec::with_capacity(rows.len());
    let mut seen: HashMap<DetailId, usize> = HashMap::new();
    for row in rows {
        let number = row.number;
        match row_of(&row, &holds, columns.len()) {
            Err(problem) => problems.push(problem),
            Ok(row) => match seen.insert(row.id, number) {
                Some(before) => {
                    let message = format!("stands in row {before} already: keep one of them");
                    problems.push(TableProblem::of_column(number, ID, message));
                }
                None => read.push(row),
            },
        }
    }
    if problems.is_empty() {
        Ok(read)
    } else {
        problems.truncate(PROBLEMS_MAX);
        Err(Unread::Problems(problems))
    }
}

fn header_of(names: &[String], columns: &[Column]) -> Result<Vec<Holds>, Vec<TableProblem>> {
    let mut holds = Vec::with_capacity(names.len());
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for name in names {
        let name = name.trim();
        let held = match name {
            ID => Some(Holds::Id),
            LINE => Some(Holds::Line),
            TYPE => Some(Holds::Type),
            ERROR_CODE | ERROR_DESCRIPTION => Some(Holds::Told),
            _ => {
                let place = columns.iter().position(|column| column.name == name);
                place.map(Holds::Cell)
            }
        };
        let is_again = !seen.insert(name);
        match held {
            None => {
                let message = "is not a column of the table: leave it out".to_owned();
                problems.push(TableProblem::of_header(name, message));
            }
            Some(_) if is_again => {
                let message = "stands twice: keep one of them".to_owned();
                problems.push(TableProblem::of_header(name, message));
            }
            Some(held) => holds.push(held),
        }
        // As many as can be told: a line of a million names is no header.
        if problems.len() >= PROBLEMS_MAX {
            return Err(problems);
        }
    }
    if !holds.contains(&Holds::Id) {
        let message = "is missing: the first row must name the columns, this one among them";
        problems.push(TableProblem::of_header(ID, message.to_owned()));
    }
    if problems.is_empty() {
        Ok(holds)
    } else {
        problems.truncate(PROBLEMS_MAX);
        Err(problems)
    }
}

fn row_of(row: &CsvRow, holds: &[Holds], columns: usize) -> Result<Row, TableProblem> {
    let number = row.number;
    let (found, wanted) = (row.cells.len(), holds.len());
    if found != wanted {
        return Err(TableProblem {
            path: format!("/rows/{number}"),
            message: format!("has {found} cells, the header {wanted}"),
        });
    }
    let mut id = None;
    let mut read = (None, None);
    let mut cells = vec![None; columns];
    for (cell, holds) in row.cells.iter().zip(holds) {
        let text = fused(cell);
        match holds {
            Holds::Id => id = text.trim().parse().ok(),
            Holds::Line => read.0 = Some(text.trim().to_owned()),
            Holds::Type => read.1 = Some(text.trim().to_owned()),
            Holds::Told => {}
            Holds::Cell(place) => {
                if let Some(slot) = cells.get_mut(*place) {
                    *slot = Some(text.to_owned());
                }
            }
        }
    }
    let stated = |text: Option<String>| text.filter(|text| !text.is_empty());
    let message = "must be the id of a batch detail, as the table had it";
    Ok(Row {
        number,
        id: id.ok_or_else(|| TableProblem::of_column(number, ID, message))?,
        line: stated(read.0),
        transaction_type: stated(read.1),
        cells,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_domain::{BatchOrdinal, FileId, LineNumber, ObjectIdentity};

    fn id(line: u32) -> DetailId {
        let file = FileId::of_object(&ObjectIdentity::new("b", "k", "e"));
        let batch = file.batch(BatchOrdinal::new(1).unwrap());
        batch.detail(LineNumber::new(line).unwrap())
    }

    fn problems(text: &str) -> Vec<String> {
        match read(text.as_bytes(), 100) {
            Err(Unread::Problems(problems)) => problems.into_iter().map(|one| one.path).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_is_read_by_the_names_of_its_columns_in_any_order() {
        let text = format!(
            "comment,line, batch_detail_id ,error_code,po_number\r\n'=1,7,{},x,\r\n",
            id(7)
        );
        let rows = read(text.as_bytes(), 1).unwrap();
        let [row] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!((row.number, row.id), (2, id(7)));
        assert_eq!(row.line.as_deref(), Some("7"));
        assert_eq!(row.transaction_type, None);
        let columns = Column::all();
        for (column, cell) in columns.iter().zip(&row.cells) {
            let wanted = match column.name.as_str() {
                "comment" => Some("=1"),
                "po_number" => Some(""),
                _ => None,
            };
            assert_eq!(cell.as_deref(), wanted, "{}", column.name);
        }
    }

    #[test]
    fn a_header_names_every_column_once_and_the_id_among_them() {
        assert_eq!(problems(""), ["/header/batch_detail_id"]);
        assert_eq!(
            problems("line,total,line,batch_detail_id,a/b\n"),
            ["/header/total", "/header/line", "/header/a~1b"]
        );
        assert_eq!(
            problems("Line;x\n"),
            ["/header/Line", "/header/x", "/header/batch_detail_id"]
        );
        let long = format!("batch_detail_id,{}", "x".repeat(500));
        assert_eq!(problems(&long), [format!("/header/{}", "x".repeat(100))]);
    }

    #[test]
    fn every_row_that_is_for_no_detail_or_for_one_again_is_told() {
        let text = format!(
            "batch_detail_id,line\n{},1\n{}\n,2\nx,3\n{},1\n{},2,\n",
            id(1),
            id(2),
            id(1),
            id(2)
        );
        assert_eq!(
            problems(&text),
            [
                "/rows/3",
                "/rows/4/batch_detail_id",
                "/rows/5/batch_detail_id",
                "/rows/6/batch_detail_id",
                "/rows/7"
            ]
        );
    }

    #[test]
    fn the_number_of_rows_is_bounded() {
        let table = |rows: u32| {
            let ids = (1..=rows).map(|line| format!("{}\n", id(line)));
            let text: String = std::iter::once("batch_detail_id\n".to_owned())
                .chain(ids)
                .collect();
            read(text.as_bytes(), 10).map(|rows| rows.len())
        };
        assert_eq!(table(9), Ok(9));
        assert_eq!(table(10), Ok(10));
        assert_eq!(table(11), Err(Unread::TooManyRows));
    }

    #[test]
    fn of_a_bad_table_only_so_many_problems_are_told() {
        for (rows, told) in [(999, 999), (1_000, 1_000), (1_001, 1_000)] {
            let text = "batch_detail_id\n".to_owned() + &"x\n".repeat(rows);
            let Err(Unread::Problems(problems)) = read(text.as_bytes(), usize::MAX) else {
                panic!();
            };
            assert_eq!(problems.len(), told);
        }
    }
}
