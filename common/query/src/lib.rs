//! Questions about what Weir keeps: filters, sorts and pages over resources, read the cheapest way.
//!
//! [`Query::parse`] reads what a caller asks for into types that are known to be right, or tells
//! everything that is wrong with it. [`Listed::list`] finds the way in that reads least, reads rows,
//! tries every filter on every row, and gives a page. No HTTP is known here.
//!
//! | order | how |
//! | --- | --- |
//! | none, or by `created_at` alone | streams, and ends with its page |
//! | any other | reads all that the filters leave, at most [`QueryLimits::rows_max`] rows |
//!
//! Invariants: what lies outside the caller's [`Scope`] is not there; a page is whole or refused,
//! never a part of what was asked for; pages of one question neither overlap nor skip while nothing
//! changes; a page that a cursor leads to is the one that its number leads to.
//!
//! Indexes lag behind the tables by moments: what was made just now may be missing from a list that
//! goes by seller, program, client, month, kind or parent, and is in one that goes by id, file or
//! batch.

mod budget;
mod cursor;
mod engine;
mod failure;
mod filter;
mod lined;
mod lines;
mod list;
mod parse;
mod plan;
mod resources;
mod schema;
mod scope;
mod time;
mod value;
mod walk;

pub use budget::QueryLimits;
pub use engine::Answer;
pub use failure::QueryError;
pub use filter::{Filter, Operator, VALUES_MAX};
pub use list::{Ask, Listed, under};
pub use parse::{PAGE_SIZE, PAGE_SIZE_MAX, Problem, QUERY_BYTES_MAX, Query, SortColumn, Start};
pub use resources::{
    ASKED, AskedOf, AskedRow, BATCH, BatchRow, Batches, CLIENT, CUSTOMER, DETAIL, DetailRow,
    Details, FILE, FileRow, Files, HISTORY, History, HistoryRow, LOG, LogRow, Logs, MESSAGE,
    MessageRow, Messages, PROGRAM, REPORT, REPORT_SCHEDULE, ReferenceRow, References, Report,
    Reports, SELLER, SELLER_CONTACT,
};
pub use schema::{Cost, Field, Kind, Parameter, Resource, Row, Rule, Shown};
pub use scope::Scope;
pub use value::{Value, shown_time};
