//! The table of errors as it goes out: whole for the lines that were asked for, or refused.

use weir_domain::{DetailStatus, LineNumber};
use weir_servicegate::Column;
use weir_store::{Batch, Detail, Payload, Store, StoreError};

use super::judge::{shown_cells, shown_version};
use super::{ERROR_CODE, ERROR_DESCRIPTION, ID, LINE, TYPE, defused};

/// Lines that are looked at together.
const LINES_TOGETHER: u32 = 5_000;
/// Details whose XML is read together.
const PAYLOADS_TOGETHER: usize = 100;
/// What stands before the record's own columns.
const HEAD: [&str; 5] = [ID, LINE, TYPE, ERROR_CODE, ERROR_DESCRIPTION];

/// How large a table may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetLimits {
    /// Bytes, where a quote, a backslash and the end of a line count twice: that is what carries it.
    pub bytes: usize,
    /// Lines that may be looked at.
    pub lines: u32,
}

impl SheetLimits {
    /// So many bytes of at most 200 000 lines, which are read in some seconds.
    pub fn of_bytes(bytes: usize) -> Self {
        Self {
            bytes,
            lines: 200_000,
        }
    }
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// The table would be larger than it may be.
    #[error("the table would be too large; it fits up to line {fits_to:?}")]
    TooLarge {
        /// The last line up to which it fits; `None` when the first row does not.
        fits_to: Option<LineNumber>,
    },
    /// More lines would have to be looked at than one request may.
    #[error("too many lines would have to be looked at; line {to} is the last that may")]
    TooFar {
        /// The last line that may be looked at.
        to: LineNumber,
    },
    /// A row cannot be written.
    #[error("a row cannot be written")]
    Row(#[from] csv::Error),
    /// A table cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A table under construction.
struct Sheet {
    csv: csv::Writer<Vec<u8>>,
    last: Option<LineNumber>,
}

impl Sheet {
    fn begin() -> Result<Self, MendError> {
        let columns = Column::all();
        let mut csv = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::new());
        let names = columns.iter().map(|column| column.name.as_str());
        csv.write_record(HEAD.into_iter().chain(names))?;
        Ok(Self { csv, last: None })
    }

    fn push(&mut self, detail: &Detail, payload: &Payload) -> Result<(), MendError> {
        let text =
            |text: &Option<String>| defused(text.as_deref().unwrap_or_default()).into_owned();
        let head = [
            detail.id.to_string(),
            detail.line().to_string(),
            detail.transaction_type.name().to_owned(),
            text(&detail.error_code),
            text(&detail.error_description),
        ];
        let cells = shown_cells(payload);
        self.csv
            .write_record(head.into_iter().chain(cells.iter().map(text)))?;
        self.last = Some(detail.line());
        Ok(())
    }

    /// Its text, or why it is too large.
    fn finish(self) -> Result<Vec<u8>, MendError> {
        self.csv.into_inner().map_err(|error| {
            let error: std::io::Error = error.into_error();
            MendError::Row(error.into())
        })
    }
}

/// The details in `Error` of the lines `from..=to` of a batch as CSV, within some limits.
///
/// # Errors
/// [`MendError::TooLarge`], which says up to which line it fits, [`MendError::TooFar`], which says up
/// to which line may be looked; a table that cannot be read.
pub async fn errors_csv(
    store: &Store,
    batch: &Batch,
    from: LineNumber,
    to: LineNumber,
    limits: SheetLimits,
) -> Result<Vec<u8>, MendError> {
    let last = u32::try_from(batch.counters.details).unwrap_or(u32::MAX);
    let to = to.get().min(last);
    let mut sheet = Sheet::begin()?;
    let mut counted = Counted::default();
    let mut first = from.get();
    if batch.counters.error > 0 && to >= first.saturating_add(limits.lines) {
        let to = first.saturating_add(limits.lines.saturating_sub(1));
        let to = LineNumber::new(to).unwrap_or(from);
        return Err(MendError::TooFar { to });
    }
    while batch.counters.error > 0 && first <= to {
        let end = first.saturating_add(LINES_TOGETHER - 1).min(to);
        let (Ok(start), Ok(stop)) = (LineNumber::new(first), LineNumber::new(end)) else {
            break;
        };
        let mut details = store.details_in_lines(&batch.place(), start, stop).await?;
        details.retain(|detail| detail.status == DetailStatus::Error);
        for details in details.chunks(PAYLOADS_TOGETHER) {
            let version = |detail: &Detail| (detail.line(), shown_version(detail));
            let wanted: Vec<_> = details.iter().map(version).collect();
            let payloads = store.payload_versions(&batch.place(), &wanted).await?;
            for detail in details {
                let fits_to = sheet.last;
                let payload = payloads.get(&version(detail));
                sheet.push(detail, payload.unwrap_or(&Payload::default()))?;
                sheet.csv.flush().map_err(csv::Error::from)?;
                if counted.of(sheet.csv.get_ref()) > limits.bytes {
                    return Err(MendError::TooLarge { fits_to });
                }
            }
        }
        first = end.saturating_add(1);
    }
    sheet.finish()
}

/// How much of a text has been counted, and what it came to.
#[derive(Debug, Default)]
struct Counted {
    upto: usize,
    weight: usize,
}

impl Counted {
    fn of(&mut self, text: &[u8]) -> usize {
        let new = text.get(self.upto..).unwrap_or_default();
        let twice = |byte: &&u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t');
        self.weight += new.len() + new.iter().filter(twice).count();
        self.upto = text.len();
        self.weight
    }
}
