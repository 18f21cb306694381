//! A whole file judged at once.

use std::io;

use weir_domain::{BatchOrdinal, LineNumber};

use crate::{
    BatchHeader, BatchSummary, FileHeader, FileProblem, FileSummary, Item, Options, ReadError,
    Reader, RecordProblem, Source,
};

/// Most problems of each kind that a report lists; all are counted.
pub const PROBLEMS_KEPT_MAX: usize = 1_000;

/// What is wrong with one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordReport {
    /// The ordinal of its batch.
    pub batch: BatchOrdinal,
    /// Its place in its batch.
    pub line: LineNumber,
    /// The broken rule.
    pub problem: RecordProblem,
}

/// A batch of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchReport {
    /// Its header, without its source text; none when it is missing or broken.
    pub header: Option<Box<BatchHeader>>,
    /// What it held.
    pub summary: BatchSummary,
}

/// What a whole file came to. Its size is bounded: at most 10 000 batches and 1 000 problems of
/// each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Whether every rule of the file as a whole is kept. Records may be in error all the same.
    pub sound: bool,
    /// The first broken rules of the file as a whole, in the order in which they were found.
    pub problems: Vec<FileProblem>,
    /// How many there are.
    pub problem_count: u64,
    /// The first broken rules of single records.
    pub record_problems: Vec<RecordReport>,
    /// How many there are.
    pub record_problem_count: u64,
    /// The file's header, when it has one.
    pub file_header: Option<Box<FileHeader>>,
    /// The batches up to the end, or up to where reading had to stop.
    pub batches: Vec<BatchReport>,
    /// The counts of the whole file; none when it could not be read to its end.
    pub summary: Option<FileSummary>,
}

/// Reads a whole file and reports everything that is wrong with it. `progress` is told how many
/// bytes have been read, about once a record. An error is the source's, never the file's.
pub fn check<S: Source>(
    source: S,
    options: Options,
    mut progress: impl FnMut(u64),
) -> Result<CheckReport, io::Error> {
    let options = Options {
        keep_xml: false,
        ..options
    };
    let mut reader = Reader::new(source, options);
    let mut report = CheckReport::default();
    let mut header = None;
    loop {
        let item = match reader.next_item() {
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(ReadError::Source(error)) => return Err(error),
            Err(ReadError::File(problem)) => {
                report.add_problem(*problem);
                break;
            }
        };
        match item {
            Item::FileHeader(read) => report.file_header = Some(read),
            Item::BatchStart(read) => header = Some(read),
            Item::Record(record) => {
                progress(record.byte_range.end);
                if let Err(rejected) = record.transaction {
                    for problem in rejected.problems {
                        report.add_record_problem(record.batch, record.line, problem);
                    }
                }
            }
            Item::BatchEnd(summary) => report.batches.push(BatchReport {
                header: header.take(),
                summary: *summary,
            }),
            Item::Problem(problem) => report.add_problem(*problem),
            Item::End(summary) => {
                progress(summary.bytes);
                report.summary = Some(summary);
            }
        }
    }
    report.sound = report.summary.is_some() && report.problem_count == 0;
    Ok(report)
}

impl CheckReport {
    fn add_problem(&mut self, problem: FileProblem) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_KEPT_MAX {
            self.problems.push(problem);
        }
    }

    fn add_record_problem(
        &mut self,
        batch: BatchOrdinal,
        line: LineNumber,
        problem: RecordProblem,
    ) {
        self.record_problem_count += 1;
        if self.record_problems.len() < PROBLEMS_KEPT_MAX {
            self.record_problems.push(RecordReport {
                batch,
                line,
                problem,
            });
        }
    }
}
