//! Everything that is wrong with a file, each with its place, for people who mend the source.
//!
//! A problem is of the file as a whole, of a batch, or of a charge or refund. They are not kept: the
//! object is read again, so they are those of the rules as they are now, in the order of the file.

mod file;
mod remedy;

use serde::{Deserialize, Serialize};
use weir_domain::{BatchNumber, BatchOrdinal, DetailId, SellerId, TransactionType};
use weir_servicegate::{FileProblem, Item, Position, Record};

pub use file::{FileProblems, ProblemsError, ProblemsPage};
pub use remedy::remedy;

use crate::request::request_of;

/// The batch's seller is not known in the program.
pub(super) const SELLER_UNKNOWN: &str = "batch.seller_unknown";
/// The seller has a batch of this number already.
pub(super) const NUMBER_TAKEN: &str = "batch.number_taken";
/// The client or the program of the upload is not known.
pub(super) const PROGRAM_UNKNOWN: &str = "upload.program_unknown";

/// One problem, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemRow {
    /// The batch, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// Its number, where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_number: Option<String>,
    /// The detail, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_detail_id: Option<String>,
    /// Its place among the charges and refunds of its batch, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail_line: Option<u32>,
    /// The line of the file, from 1.
    pub line: u64,
    /// Characters into the line, from 1.
    pub column: u64,
    /// Bytes into the file, from 0.
    pub byte_offset: u64,
    /// The element.
    pub path: String,
    /// What kind of problem it is.
    pub code: String,
    /// The broken rule.
    pub message: String,
    /// What to do about problems of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
}

/// The batch that a reader is in, as far as its problems need it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    ordinal: Option<BatchOrdinal>,
    number: Option<BatchNumber>,
    charges: u32,
    refunds: u32,
}

/// What is wrong in one item, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) batch: Option<BatchOrdinal>,
    pub(super) number: Option<BatchNumber>,
    pub(super) line: Option<u32>,
    pub(super) position: Position,
    pub(super) path: String,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Found {
    pub(super) fn row(self) -> ProblemRow {
        ProblemRow {
            batch_id: None,
            batch_number: self.number.map(|number| number.to_string()),
            batch_detail_id: None,
            detail_line: self.line,
            line: self.position.line,
            column: self.position.column,
            byte_offset: self.position.byte,
            path: self.path,
            code: self.code.to_owned(),
            message: self.message,
            remedy: remedy(self.code),
        }
    }
}

impl Place {
    /// Follows an item, and tells what is wrong in it. `detail` gives the id of a line of a batch: what
    /// is sent for a record is made as if it were this detail's.
    pub(super) fn take(
        &mut self,
        item: &Item,
        detail: impl FnOnce(&Record) -> DetailId,
    ) -> Vec<Found> {
        match item {
            Item::BatchStart(header) => {
                *self = Self {
                    ordinal: Some(header.ordinal),
                    number: Some(header.number.clone()),
                    ..Self::default()
                };
                Vec::new()
            }
            Item::BatchEnd(_) => {
                *self = Self::default();
                Vec::new()
            }
            Item::Record(record) => self.record(record, detail),
            Item::Problem(problem) => vec![self.file(problem)],
            Item::FileHeader(_) | Item::End(_) => Vec::new(),
        }
    }

    /// A problem of the file as a whole.
    pub(super) fn file(&self, problem: &FileProblem) -> Found {
        Found {
            batch: self.ordinal,
            number: self.number.clone(),
            line: None,
            position: problem.position,
            path: problem.path.clone(),
            code: problem.rule.code(),
            message: problem.rule.to_string(),
        }
    }

    fn record(&mut self, record: &Record, detail: impl FnOnce(&Record) -> DetailId) -> Vec<Found> {
        // A batch whose header is broken has no start of its own.
        if self.ordinal != Some(record.batch) {
            *self = Self {
                ordinal: Some(record.batch),
                ..Self::default()
            };
        }
        let (kind, number) = match record.transaction_type() {
            TransactionType::Charge => ("Charge", &mut self.charges),
            TransactionType::Refund => ("Refund", &mut self.refunds),
        };
        *number += 1;
        let path = format!("/SettlementFile/Batch[{}]/{kind}[{number}]", record.batch);
        let found = |position, path, code, message| Found {
            batch: self.ordinal,
            number: self.number.clone(),
            line: Some(record.line.get()),
            position,
            path,
            code,
            message,
        };
        match &record.transaction {
            Ok(transaction) => {
                // Whose it is makes no difference to what is wrong with it.
                let Ok(seller) = SellerId::try_from(uuid::Uuid::nil()) else {
                    return Vec::new();
                };
                match request_of(transaction, seller, detail(record)) {
                    Ok(_) => Vec::new(),
                    Err((code, message)) => {
                        vec![found(record.position, path, code.code(), message)]
                    }
                }
            }
            Err(rejected) => rejected
                .problems
                .iter()
                .map(|problem| {
                    let (position, path) = (problem.position, problem.path.clone());
                    found(position, path, problem.code.code(), problem.message.clone())
                })
                .collect(),
        }
    }
}
