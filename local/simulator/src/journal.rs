//! The file that the platform's memory is kept in: one JSON object a line, only ever appended to.
//!
//! A line is written, in one call and before its answer is sent, for everything that was decided under
//! a key. It then belongs to the operating system, so a killed process loses none; a machine that
//! loses power may lose the last ones, as nothing is flushed to the disk.
//!
//! A last line that was cut off is dropped when the file is opened: its answer was never sent. Refused
//! are a file that another process has open, and one with a line in its middle that cannot be read:
//! a platform that has forgotten some of its charges would make them again.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error(
        "the state file {path} cannot be used: {source}; choose a place that this user may write to"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the state file {path} is in use by another process; stop that one, or choose another file"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A line that is not the last cannot be read.
    #[error(
        "line {line} of the state file {path} cannot be read: {reason}; move the file away, or choose another"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// What was decided under a key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The idempotency key.
    pub(crate) key: String,
    /// The head of the SHA-256 of the request.
    pub(crate) request: Uuid,
    /// What was made.
    pub(crate) made: Made,
    /// The head of the SHA-256 of the API key.
    pub(crate) account: Uuid,
    /// The batch detail that it was made for.
    pub(crate) detail: Option<Uuid>,
    /// The status of the answer.
    pub(crate) status: u16,
    /// Requests and replays until then.
    pub(crate) requests: u64,
    pub(crate) replays: u64,
    /// The body of the answer, byte by byte.
    pub(crate) body: Box<RawValue>,
}

/// What an answer has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Made {
    Charge,
    Refund,
    Nothing,
}

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Where the last whole line ends.
    length_bytes: u64,
}

impl Journal {
    /// Opens the file, or makes it, and gives every entry in it to `each`, which may refuse one.
    pub(crate) fn open(
        path: &Path,
        mut each: impl FnMut(Entry) -> Result<(), String>,
    ) -> Result<Self, JournalError> {
        let unusable = |source| JournalError::Unusable {
            path: path.to_owned(),
            source,
        };
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let length_bytes = read(path, &file, &mut each)?;
        file.set_len(length_bytes).map_err(unusable)?;
        file.seek(SeekFrom::End(0)).map_err(unusable)?;
        Ok(Self { file, length_bytes })
    }

    /// Appends an entry. When that fails the file is as before.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            self.file.set_len(self.length_bytes)?;
            self.file.seek(SeekFrom::Start(self.length_bytes))?;
            return Err(error);
        }
        let line_bytes = u64::try_from(line.len()).map_err(io::Error::other)?;
        self.length_bytes = self.length_bytes.saturating_add(line_bytes);
        Ok(())
    }

    /// Empties the file.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.length_bytes = 0;
        Ok(())
    }
}

/// Reads every whole line and tells where the last one ends.
fn read(
    path: &Path,
    file: &File,
    each: &mut impl FnMut(Entry) -> Result<(), String>,
) -> Result<u64, JournalError> {
    let mut reader = BufReader::new(file);
    let mut whole_bytes = 0_u64;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read =
            reader
                .read_until(b'\n', &mut line)
                .map_err(|source| JournalError::Unusable {
                    path: path.to_owned(),
                    source,
                })?;
        // The last line has no end when it was cut off.
        if line.last() != Some(&b'\n') {
            break;
        }
        serde_json::from_slice(&line)
            .map_err(|error| error.to_string())
            .and_then(&mut *each)
            .map_err(|reason| JournalError::Corrupt {
                path: path.to_owned(),
                line: number,
                reason,
            })?;
        whole_bytes = whole_bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok(whole_bytes)
}
