//! A mended table: which of its rows become drafts.
//!
//! A table is judged whole before anything is written: one row with a problem, and nothing of it is
//! applied. A row is unchanged when it says what the table would say now; sent twice, a table does
//! nothing the second time.

use weir_store::{Batch, Detail, Payload, Store, StoreError};

use super::csv::CsvError;
use super::judge::{Grounds, judge, shown_version};
use super::table::{PROBLEMS_MAX, Row, TableProblem, Unread, read};

/// Rows that are judged together.
const ROWS_TOGETHER: usize = 100;

/// What a mended table may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLimits {
    /// Rows below the header.
    pub rows: usize,
    /// Bytes of all drafts that come of it: elements and requests.
    pub draft_bytes: usize,
}

impl Default for TableLimits {
    /// 5 000 rows, which are read and written within the time of one request; 64 MiB of drafts, which
    /// fit into memory.
    fn default() -> Self {
        Self {
            rows: 5_000,
            draft_bytes: 64 * 1024 * 1024,
        }
    }
}

/// A draft that a table asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftWanted {
    /// The detail as it was when its row was judged: a draft is for no other.
    pub before: Detail,
    /// What it would send, and the element that says so.
    pub payload: Payload,
}

/// What a table comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// The changed rows, in the order of the table.
    pub drafts: Vec<DraftWanted>,
    /// How many rows ask for nothing.
    pub unchanged: usize,
}

/// Why nothing comes of a table.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TableError {
    /// It is no table.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// It has more rows than may be sent at once.
    #[error("it has more than {max} rows")]
    TooManyRows {
        /// The most rows below the header.
        max: usize,
    },
    /// More would have to be written than may be at once.
    #[error("its drafts come to more than {max} bytes")]
    TooMuch {
        /// The most bytes.
        max: usize,
    },
    /// Some of it is wrong: all that is, at most [`PROBLEMS_MAX`](super::PROBLEMS_MAX), in the order of
    /// the rows.
    #[error("{} things are wrong with it", .0.len())]
    Problems(Vec<TableProblem>),
    /// A table of the store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The drafts that a table of a batch asks for. Nothing is written.
///
/// # Errors
/// What is wrong with it, or that its batch cannot be read.
pub async fn mended(
    store: &Store,
    batch: &Batch,
    table: &[u8],
    limits: TableLimits,
) -> Result<Mended, TableError> {
    let rows = read(table, limits.rows).map_err(|unread| match unread {
        Unread::Csv(error) => TableError::Csv(error),
        Unread::TooManyRows => TableError::TooManyRows { max: limits.rows },
        Unread::Problems(problems) => TableError::Problems(problems),
    })?;
    let mut mended = Mended::default();
    let mut problems = Vec::new();
    let mut bytes = 0_usize;
    for rows in rows.chunks(ROWS_TOGETHER) {
        for (detail, judged) in judge_together(store, batch, rows).await? {
            match (judged, detail) {
                (Err(found), _) => problems.extend(found),
                (Ok(Some(payload)), Some(before)) => {
                    bytes += payload.xml.len() + payload.request.len();
                    mended.drafts.push(DraftWanted { before, payload });
                }
                (Ok(_), _) => mended.unchanged += 1,
            }
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
        if bytes > limits.draft_bytes {
            return Err(TableError::TooMuch {
                max: limits.draft_bytes,
            });
        }
    }
    if problems.is_empty() {
        Ok(mended)
    } else {
        problems.truncate(PROBLEMS_MAX);
        Err(TableError::Problems(problems))
    }
}

/// A row's detail, if there is one, and what the row asks for.
type Judged = (Option<Detail>, Result<Option<Payload>, Vec<TableProblem>>);

async fn judge_together(
    store: &Store,
    batch: &Batch,
    rows: &[Row],
) -> Result<Vec<Judged>, StoreError> {
    let place = batch.place();
    let of_batch = rows.iter().filter(|row| row.id.batch() == batch.id);
    let lines: Vec<_> = of_batch.map(|row| row.id.line()).collect();
    let details = store.details(&place, &lines).await?;
    let version = |detail: &Detail| (detail.line(), shown_version(detail));
    let wanted: Vec<_> = details.iter().map(version).collect();
    let payloads = store.payload_versions(&place, &wanted).await?;
    let nothing = Payload::default();
    let grounds = Grounds {
        seller: batch.seller_id,
        currency: batch.currency,
    };
    let judged = rows.iter().map(|row| {
        let detail = details.iter().find(|detail| detail.id == row.id);
        let payload = detail.and_then(|detail| payloads.get(&version(detail)));
        let judged = judge(row, detail, payload.unwrap_or(&nothing), grounds);
        (detail.cloned(), judged)
    });
    Ok(judged.collect())
}
