//! The settlement file format: Servicegate XML V2.
//!
//! A file is read as a stream: memory does not depend on its size. [`Parser`] takes bytes and gives
//! [`Item`]s without doing any input itself; [`Reader`] drives it over a source of bytes;
//! [`check`] reads a whole file and reports everything that is wrong with it. [`Writer`] writes
//! files, [`mod@generate`] makes up realistic ones.
//!
//! # Invariants
//! - [`Item::End`] comes only for a file that is whole and well-formed XML; with no problems
//!   counted in it, every rule of the file as a whole is kept.
//! - A rule of the file that is broken is a [`FileProblem`]: nothing of the file may be taken. A
//!   rule of one record is a [`RecordProblem`]: the others may.
//! - The same bytes give the same items, however they are cut into pieces, and whether or not the
//!   reading was interrupted and resumed from a [`Checkpoint`].
//!
//! # What is refused
//! Everything that makes a file mean different things to different readers: DOCTYPE, undefined
//! entities, unbound prefixes, forbidden characters, bytes outside the encoding, anything beyond
//! the [`Limits`].

mod capture;
mod cells;
mod chars;
mod check;
mod element;
mod encoding;
pub mod generate;
mod header;
mod item;
mod limits;
mod machine;
mod markup;
mod namespace;
mod parser;
mod plain;
mod problem;
mod reader;
mod record;
mod row;
mod state;
mod structure;
mod tags;
mod totals;
mod values;
mod window;
mod writer;

pub use cells::{Column, cells_of};
pub use check::{BatchReport, CheckReport, PROBLEMS_KEPT_MAX, RecordReport, check};
pub use element::{Child, Element, METADATA_ITEMS_MAX, NAMESPACE, Occurs, VERSION};
pub use encoding::Encoding;
pub use item::{
    BatchHeader, BatchSummary, FileHeader, FileSummary, Item, PROBLEMS_PER_RECORD_MAX, Record,
    RecordFacts, Rejected, SellerReference, Stated, Total, TotalCheck,
};
pub use limits::{
    ATTRIBUTES_PER_ELEMENT_MAX, BATCHES_PER_FILE_MAX, DEPTH_MAX, FILE_BYTES_MAX, Limit, Limits,
    NAME_BYTES_MAX, TEXT_BYTES_MAX, TRANSACTION_BYTES_MAX, TRANSACTIONS_PER_BATCH_MAX,
};
pub use parser::{Options, Parser, Step};
pub use problem::{FileProblem, FileRule, Position, ProblemReport, RecordProblem};
pub use reader::{Once, ReadError, Reader, Source};
pub use row::{CellProblem, Place, record_of, xml_of};
pub use state::Checkpoint;
pub use totals::{Amounts, Sums, Totals};
pub use writer::{BatchOutline, BatchWriter, Writer};
