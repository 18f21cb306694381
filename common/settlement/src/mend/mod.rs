//! Mending: the details of a batch that are in error, as a table for people, and back.
//!
//! A row is a detail in `Error`: `batch_detail_id`, `line`, `transaction_type`, `error_code`,
//! `error_description`, then every element of a charge or refund as a column
//! ([`weir_servicegate::Column`]) with the text of the draft, where there is one, else of the request
//! that was last confirmed, else of the file. The table is CSV (RFC 4180) in UTF-8.
//!
//! The table comes back with some cells mended, whole or in part. A row that says something else than
//! the table would say now becomes a draft, after the same checks as a record of a file; an unchanged
//! one does nothing; a column that is left out is unchanged. The first five columns are read alone:
//! the first names the detail, `line` and `transaction_type` must not contradict it.
//!
//! Law: a table that comes back as it went out is unchanged.
//!
//! # What is refused
//! A table with anything wrong in it, whole: see [`mended`]. A row for a detail that is neither in
//! `Error` nor `Cancelled`, and a draft for one whose last call may have been taken: the draft would be
//! sent under another key, and could be charged a second time.

mod cell;
mod csv;
mod download;
mod judge;
mod table;
mod upload;
mod write;

pub use cell::{defused, fused};
pub use csv::{CsvError, CsvRow, rows as csv_rows};
pub use download::{MendError, SheetLimits, errors_csv};
pub use table::{PROBLEMS_MAX, TableProblem};
pub use upload::{DraftWanted, Mended, TableError, TableLimits, mended};
pub use write::WriteError;

/// The column that names a row's detail.
const ID: &str = "batch_detail_id";
/// The column with the detail's place in its batch.
const LINE: &str = "line";
/// The column that says what the detail is.
const TYPE: &str = "transaction_type";
/// The columns that say what is wrong with it.
const ERROR_CODE: &str = "error_code";
const ERROR_DESCRIPTION: &str = "error_description";
