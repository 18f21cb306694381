//! The problems of a file that is kept, a page at a time.
//!
//! A page goes on where the one before it ended, by the reader's own checkpoint, so it costs the same
//! at any depth, and memory is bounded by the page. Whoever may see some batches of a file only is not
//! given a checkpoint, as whoever changes one reads on elsewhere in the file: their pages count from
//! the beginning.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use weir_domain::{BatchOrdinal, FileStatus, ObjectIdentity, SellerId};
use weir_servicegate::{BatchHeader, Checkpoint, Item, Limits, Options, Position};
use weir_store::{Batch, File, Stage, Store, StoreError};

use super::super::UploadScope;
use super::super::check::unknown_program;
use super::super::items::{FileItems, NextError};
use super::super::reserve::is_validated_only;
use super::super::taking::{number_repeated, number_taken, seller_named, seller_unknown};
use super::{Found, NUMBER_TAKEN, PROGRAM_UNKNOWN, Place, ProblemRow, SELLER_UNKNOWN};

/// Most characters of a cursor: a request's line and headers have 10 KB.
const CURSOR_CHARS_MAX: usize = 6_000;
/// Batches read together.
const BATCHES_TOGETHER: u32 = 100;

/// The problems of a file, for somebody.
#[derive(Debug)]
pub struct FileProblems<'a> {
    /// Where the object is.
    pub store: &'a Store,
    /// The file.
    pub file: &'a File,
    /// The only seller whose batches may be seen.
    pub only: Option<SellerId>,
    /// About how much of the object one page may read.
    pub bytes_max: u64,
}

/// Some of the problems, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemsPage {
    /// The problems. Fewer than were asked for where much had to be read to find them.
    pub rows: Vec<ProblemRow>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemsError {
    /// The file is a name, or an object that is yet to come.
    #[error("the file has no object yet")]
    NoObject,
    /// The object is not the one that was read.
    #[error("the object {0}")]
    Changed(&'static str),
    /// The cursor is of another file, or none.
    #[error("the cursor must be as it was given")]
    Cursor,
    /// More would have to be read to come to the page than one request may.
    #[error("the page lies too far into the file")]
    TooFar,
    /// Tables or the object could not be reached.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ProblemsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ObjectChanged { reason, .. } => Self::Changed(reason),
            other => Self::Store(other),
        }
    }
}

/// Where a page begins, as its text holds it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// The object's entity tag.
    etag: String,
    /// Where the reader goes on; at the file's beginning, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reader: Option<Checkpoint>,
    place: Place,
    /// Problems to pass over, counted from there.
    skip: u64,
}

/// One page under construction.
struct Turning<'a> {
    of: &'a FileProblems<'a>,
    object: &'a ObjectIdentity,
    items: FileItems<'a>,
    place: Place,
    batches: BTreeMap<u32, Batch>,
    /// Ordinals up to which batches were read, from the first of them.
    read_batches: std::ops::Range<u32>,
    /// Problems since the file's beginning, where that is where reading began.
    passed: Option<u64>,
}

impl FileProblems<'_> {
    /// A page of at most `size` problems, after the first `skip` of the file.
    pub async fn page(&self, skip: u64, size: usize) -> Result<ProblemsPage, ProblemsError> {
        let cursor = Cursor {
            skip,
            ..Cursor::default()
        };
        self.turn(cursor, size).await
    }

    /// The page of at most `size` problems that a cursor leads to.
    pub async fn page_at(&self, cursor: &str, size: usize) -> Result<ProblemsPage, ProblemsError> {
        let object = self.file.object().ok_or(ProblemsError::NoObject)?;
        let read = Some(cursor).filter(|text| text.len() <= CURSOR_CHARS_MAX);
        let json = read.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let cursor: Option<Cursor> = json.and_then(|json| serde_json::from_slice(&json).ok());
        let cursor = cursor.filter(|cursor| {
            cursor.etag == object.etag && (self.sees_all() || cursor.reader.is_none())
        });
        let cursor = cursor.ok_or(ProblemsError::Cursor)?;
        let leads_within = cursor.reader.is_some();
        match self.turn(cursor, size).await {
            // A byte that the object does not have.
            Err(ProblemsError::Store(StoreError::Refused { .. })) if leads_within => {
                Err(ProblemsError::Cursor)
            }
            turned => turned,
        }
    }

    fn sees_all(&self) -> bool {
        self.only.is_none() || self.only == self.file.seller_id
    }

    async fn turn(&self, from: Cursor, size: usize) -> Result<ProblemsPage, ProblemsError> {
        let object = self.file.object().ok_or(ProblemsError::NoObject)?;
        let options = Options {
            limits: Limits::default(),
            keep_xml: false,
        };
        let turning = Turning {
            of: self,
            object,
            passed: from.reader.is_none().then_some(0),
            items: FileItems::new(self.store, object, from.reader, options),
            place: from.place,
            batches: BTreeMap::new(),
            read_batches: 0..0,
        };
        turning.turn(from.skip, size).await
    }
}

impl Turning<'_> {
    async fn turn(mut self, mut skip: u64, size: usize) -> Result<ProblemsPage, ProblemsError> {
        let first_byte = self.items.byte_offset();
        let mut rows = Vec::new();
        let mut first = self.program().await?;
        loop {
            let before = (self.items.checkpoint(), self.place.clone());
            let (more, is_last) = self.next().await?;
            let found = first.take().into_iter().chain(more);
            let found: Vec<Found> = found.filter(|found| self.is_seen(found)).collect();
            for (number, found) in (0_u64..).zip(found) {
                if skip > 0 {
                    skip -= 1;
                } else if rows.len() < size {
                    rows.push(self.row(found));
                } else {
                    let next = self.cursor(before, number);
                    return Ok(ProblemsPage { rows, next });
                }
                self.passed = self.passed.map(|passed| passed + 1);
            }
            if is_last {
                return Ok(ProblemsPage { rows, next: None });
            }
            let read = self.items.byte_offset().saturating_sub(first_byte);
            if read >= self.of.bytes_max {
                // Who counts from the beginning would only read the same again.
                if skip > 0 || !self.of.sees_all() {
                    return Err(ProblemsError::TooFar);
                }
                if let Some(here) = self.items.checkpoint() {
                    let next = self.cursor((Some(here), self.place.clone()), 0);
                    return Ok(ProblemsPage { rows, next });
                }
            }
        }
    }

    /// What is wrong in the next item, and whether it is the last.
    async fn next(&mut self) -> Result<(Vec<Found>, bool), ProblemsError> {
        let item = match self.items.next().await {
            Ok(Some(item)) => item,
            Ok(None) => return Ok((Vec::new(), true)),
            Err(NextError::Store(error)) => return Err(error.into()),
            Err(NextError::File(problem)) => return Ok((vec![self.place.file(&problem)], true)),
        };
        let file = self.of.file.id;
        let detail = |record: &weir_servicegate::Record| {
            let batch = file.batch(record.batch);
            batch.detail(record.line)
        };
        let mut found = self.place.take(&item, detail);
        let ordinal = match &item {
            Item::BatchStart(header) => Some(header.ordinal),
            Item::Record(record) if !found.is_empty() => Some(record.batch),
            _ => None,
        };
        if let Some(ordinal) = ordinal {
            self.read_batch(ordinal).await?;
        }
        if let Item::BatchStart(header) = &item {
            if is_validated_only(self.of.file) {
                let (store, file) = (self.of.store, self.of.file);
                found.extend(would_not_be_taken(store, file, self.object, header).await?);
            } else {
                found.extend(self.not_taken(header));
            }
        }
        Ok((found, false))
    }

    /// What is wrong with the program, once, at the beginning of the file.
    async fn program(&mut self) -> Result<Option<Found>, ProblemsError> {
        if self.passed.is_none() {
            return Ok(None);
        }
        let message = unknown_program(self.of.store, &self.object.key).await?;
        Ok(message.map(|message| Found {
            batch: None,
            number: None,
            line: None,
            position: Position::START,
            path: "/".to_owned(),
            code: PROGRAM_UNKNOWN,
            message,
        }))
    }

    /// Reads a batch as it is kept, and some that follow.
    async fn read_batch(&mut self, ordinal: BatchOrdinal) -> Result<(), StoreError> {
        let file = self.of.file;
        let exists = !is_validated_only(file)
            && file.status != FileStatus::Error
            && file.stage != Stage::Checking;
        if !exists || self.read_batches.contains(&ordinal.get()) {
            return Ok(());
        }
        let last = (ordinal.get() + BATCHES_TOGETHER - 1).min(BatchOrdinal::LAST.get());
        let to = BatchOrdinal::new(last).unwrap_or(BatchOrdinal::LAST);
        let batches = self.of.store.batches_of_file(file.id, ordinal, to);
        self.batches = batches
            .await?
            .into_iter()
            .map(|batch| (batch.id.ordinal().get(), batch))
            .collect();
        self.read_batches = ordinal.get()..last + 1;
        Ok(())
    }

    fn batch(&self, ordinal: Option<BatchOrdinal>) -> Option<&Batch> {
        self.batches.get(&ordinal?.get())
    }

    /// Why a batch was not taken, if so.
    fn not_taken(&self, header: &BatchHeader) -> Option<Found> {
        let batch = self.batch(Some(header.ordinal))?;
        let message = batch.error_log.clone()?;
        Some(Found {
            batch: Some(header.ordinal),
            number: Some(header.number.clone()),
            line: None,
            position: header.start,
            path: format!("/SettlementFile/Batch[{}]", header.ordinal),
            code: if batch.seller_name.is_none() {
                SELLER_UNKNOWN
            } else {
                NUMBER_TAKEN
            },
            message,
        })
    }

    fn is_seen(&self, found: &Found) -> bool {
        self.of.sees_all()
            || self
                .batch(found.batch)
                .is_some_and(|batch| batch.seller_id == self.of.only)
    }

    fn row(&self, found: Found) -> ProblemRow {
        let batch = self.batch(found.batch);
        let batch_id = batch.map(|batch| batch.id.to_string());
        let detail = batch
            .zip(found.line)
            .filter(|(batch, _)| batch.counters.details > 0)
            .and_then(|(batch, line)| Some(batch.id.detail(line.try_into().ok()?)));
        ProblemRow {
            batch_id,
            batch_detail_id: detail.map(|detail| detail.to_string()),
            ..found.row()
        }
    }

    /// Where the next page begins: before an item, some of whose problems have been told.
    fn cursor(&self, before: (Option<Checkpoint>, Place), told: u64) -> Option<String> {
        let etag = &self.object.etag;
        let counted = self.passed.map(|passed| Cursor {
            etag: etag.clone(),
            skip: passed,
            ..Cursor::default()
        });
        let (reader, place) = before;
        let within = Cursor {
            etag: etag.clone(),
            reader,
            place,
            skip: told,
        };
        let text = |cursor: &Cursor| {
            let json = serde_json::to_vec(cursor).ok()?;
            Some(URL_SAFE_NO_PAD.encode(json))
        };
        if let Some(counted) = &counted
            && !self.of.sees_all()
        {
            return text(counted);
        }
        let long = text(&within)?;
        match counted {
            Some(counted) if long.len() > CURSOR_CHARS_MAX => text(&counted),
            _ => Some(long),
        }
    }
}

/// Why a batch of a file that is only judged would not be taken now, if so. That its number is in
/// use within the file was found out when the whole of it was read.
async fn would_not_be_taken(
    store: &Store,
    file: &File,
    object: &ObjectIdentity,
    header: &BatchHeader,
) -> Result<Option<Found>, StoreError> {
    let Ok(scope) = UploadScope::of_key(&object.key) else {
        return Ok(None);
    };
    let found = |code, message| Found {
        batch: Some(header.ordinal),
        number: Some(header.number.clone()),
        line: None,
        position: header.start,
        path: format!("/SettlementFile/Batch[{}]", header.ordinal),
        code,
        message,
    };
    let Some(seller) = seller_named(store, &header.seller, scope).await? else {
        let message = seller_unknown(&header.seller, scope.program_id, scope.seller_id);
        return Ok(Some(found(SELLER_UNKNOWN, message)));
    };
    let repeated = &file.repeated_numbers;
    let place = repeated.binary_search_by_key(&header.ordinal, |repeated| repeated.batch);
    if let Some(repeated) = place.ok().and_then(|place| repeated.get(place)) {
        let message = number_repeated(&header.number, repeated.first);
        return Ok(Some(found(NUMBER_TAKEN, message)));
    }
    let numbered = [(seller.id, header.number.clone())];
    let taken = store.batches_numbered(&numbered).await?;
    let other = numbered.first().and_then(|number| taken.get(number));
    Ok(other.map(|other| found(NUMBER_TAKEN, number_taken(&header.number, other))))
}
