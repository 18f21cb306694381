//! Takes a file: checks it whole, splits it, puts its details on the queue.
//!
//! ```text
//! Stored ──▶ checking ──▶ splitting ──▶ enqueuing ──▶ Processed
//!               └──▶ Error: nothing of it exists
//! ```
//!
//! - Nothing is written before the whole file has been read and found sound.
//! - One worker at a time: the file's lease lasts longer than its worker can live, and every write
//!   of the file names the version that was read, so a worker that lost its lease stops there.
//! - A stage that is interrupted goes on from its checkpoint. Ids are derived from the object, so
//!   what was written before the interruption is written again the same.
//! - From splitting to enqueuing is one conditional write. After it nothing of the file is written
//!   again, so no detail that is being processed can be reset.
//! - When time runs short, the lease is given back and a continuation is put on the queue.
//! - Sellers are looked for while the file is checked. One that is deleted afterwards changes nothing: a
//!   file that was found sound is split whole and settled, and its batches keep the id of a seller that is
//!   gone. What is to be paid is not lost by a deletion, and no file is ever taken in part.

mod check;
mod enqueue;
mod items;
mod key;
mod name;
mod parts;
mod problems;
mod register;
mod repeats;
mod reserve;
mod retake;
mod split;
mod taking;
mod validate;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tracing::{Instrument, Span};
use weir_domain::{FileEvent, FileId, FileStatus, ObjectIdentity};
use weir_runtime::telemetry::span;
use weir_runtime::{Clock, CorrelationId, Metric, Metrics};
use weir_store::{File, FileContent, Stage, Store, StoreError, UploadContinuation};

use crate::TimeLimit;
pub use key::{ObjectKeyError, UploadScope};
pub use name::{FileName, FileNameError};
pub use parts::{
    AskedParts, Composite, PART_BYTES, PARTS_ASKED_MAX, PARTS_BODY, PARTS_KEPT_DAYS, PARTS_MAX,
    PartPlace, PartPlaces, Unfinished, part_count, part_size,
};
pub use problems::{FileProblems, ProblemRow, ProblemsError, ProblemsPage, remedy};
pub use register::{FILE_BODY, Naming};
pub use reserve::{Announced, Completion, PLACE_BODY, Sending, UploadPlace};
pub use validate::{PROBLEMS_LISTED_MAX, Validation};

/// What must be left of the time for a stage to go on; enough to write what is under way.
const TIME_KEPT: Duration = Duration::from_secs(3);
/// By how much a lease outlives the time that its worker has.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// Most times in a row that a check may get nowhere before the file is given up.
const STALLED_MAX: u32 = 20;

/// Why a file could not be worked on now. The message is to come again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UploadError {
    /// Tables, queues or the object could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Two objects whose names and bytes give the same id: one of them must get another name.
    #[error(
        "object {key} would be file {id}, which is object {other}: upload it under another name"
    )]
    SameId {
        /// The id.
        id: FileId,
        /// The object's key.
        key: String,
        /// The key of the object that has the id.
        other: String,
    },
    /// A continuation of a file that does not exist.
    #[error("there is no file {0}")]
    NoFile(FileId),
    /// What was written of the file's progress cannot be read.
    #[error("the checkpoint of file {0} cannot be read")]
    Checkpoint(FileId),
    /// The object gave other items than when it was checked; its entity tag did not change.
    #[error("file {0} reads differently than when it was checked")]
    Inconsistent(FileId),
}

/// How far the work on a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is Processed or Error.
    Done,
    /// Time ran short; a continuation is on the queue.
    Continued,
    /// Somebody else works on it.
    Busy,
}

/// The collaborators of taking files. Clones share all of them.
#[derive(Debug, Clone)]
pub struct Uploader {
    /// Tables, queues and objects.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Metrics,
}

/// Where a stage stands; each begins with its default.
#[derive(Debug, Default, Serialize, Deserialize)]
enum Checkpoint {
    #[default]
    Begin,
    Checking(Box<check::CheckState>),
    Splitting(Box<split::SplitState>),
    Enqueuing(enqueue::EnqueueState),
}

/// How a stage ended.
enum StageEnd {
    /// Go on with the next stage.
    Next(Stage, Checkpoint),
    /// The file is not to be taken, and why.
    Rejected(String),
    /// Everything is on the queue, or nothing is to be.
    Finished,
    /// Time runs short; go on from here.
    Paused(Checkpoint),
}

impl Uploader {
    /// Makes an uploaded object known as a file, or finds the file that it is already. For whom it
    /// is, what it is called and, when the API put it there, its correlation id are in its key.
    pub async fn register(
        &self,
        object: ObjectIdentity,
        correlation_id: &CorrelationId,
    ) -> Result<File, UploadError> {
        if let Some(file) = self.bound(&object).await? {
            return same_object(file, &object);
        }
        let id = FileId::of_object(&object);
        if let Some(file) = self.store.file(id).await? {
            return same_object(file, &object);
        }
        let scope = UploadScope::of_key(&object.key).ok();
        let correlation_id =
            key::correlation_id(&object.key).unwrap_or_else(|| correlation_id.clone());
        let file = File {
            name: key::last_part(&object.key).to_owned(),
            client_id: scope.map(|scope| scope.client_id),
            program_id: scope.map(|scope| scope.program_id),
            seller_id: scope.and_then(|scope| scope.seller_id),
            content: FileContent::Object(object.clone()),
            ..self.blank_file(id, &correlation_id)
        };
        match self.store.create_file(&file).await {
            Ok(()) => {
                self.metrics.count(Metric::FilesStored, 1);
                tracing::info!(file_id = %id, name = file.name, "a file is stored");
                Ok(file)
            }
            // Announced twice at the same time: the other one made it.
            Err(StoreError::Conflict { .. }) => {
                let file = self.store.file(id).await?.ok_or(UploadError::NoFile(id))?;
                same_object(file, &object)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A new file for somebody, without a name and without an object.
    fn new_file(&self, id: FileId, scope: UploadScope, correlation_id: &CorrelationId) -> File {
        File {
            client_id: Some(scope.client_id),
            program_id: Some(scope.program_id),
            seller_id: scope.seller_id,
            ..self.blank_file(id, correlation_id)
        }
    }

    fn blank_file(&self, id: FileId, correlation_id: &CorrelationId) -> File {
        let now = self.clock.now();
        File {
            id,
            version: 1,
            content: FileContent::Nothing,
            name: String::new(),
            client_id: None,
            program_id: None,
            seller_id: None,
            correlation_id: correlation_id.as_str().to_owned(),
            status: FileStatus::Stored,
            stage: Stage::Checking,
            checkpoint: None,
            lease_until: None,
            retry_count: 0,
            stalled_count: 0,
            batch_count: 0,
            detail_count: 0,
            repeated_numbers: Vec::new(),
            error_log: None,
            error_at: None,
            processed_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Works on a file until it is done or time runs short. Any number of calls, at any time, in
    /// any order, come to the same end.
    pub async fn work(&self, id: FileId, limit: &TimeLimit) -> Result<Progress, UploadError> {
        let mut file = self.store.file(id).await?.ok_or(UploadError::NoFile(id))?;
        let is_read = matches!(file.status, FileStatus::Processed | FileStatus::Error);
        if is_read || file.object().is_none() {
            return Ok(Progress::Done);
        }
        let now = self.clock.now();
        if file.lease_until.is_some_and(|until| until > now) {
            return Ok(Progress::Busy);
        }
        if file.stalled_count >= STALLED_MAX && file.stage == Stage::Checking {
            let why = format!(
                "it was begun {STALLED_MAX} times without getting further: upload it under another name"
            );
            self.reject(&mut file, why).await?;
            return Ok(Progress::Done);
        }
        // Counted before anything is done, so that a run that is stopped from outside counts too.
        file.stalled_count += 1;
        file.lease_until = Some(now + delta(limit.left() + LEASE_MARGIN));
        set_status(&mut file, FileEvent::Started);
        match self.save(&mut file).await {
            Err(UploadError::Store(StoreError::Conflict { .. })) => return Ok(Progress::Busy),
            saved => saved?,
        }
        // From here on the logs tell of the upload, not of the message that led here.
        let span = match CorrelationId::new(file.correlation_id.as_str()) {
            Ok(id) => span(&id),
            Err(_) => Span::current(),
        };
        match self.run_stages(&mut file, limit).instrument(span).await {
            // The lease has passed to somebody else, who goes on.
            Err(UploadError::Store(StoreError::Conflict { .. })) => Ok(Progress::Busy),
            Err(error) => {
                self.note_failure(&mut file, &error).await;
                Err(error)
            }
            done => done,
        }
    }

    async fn run_stages(
        &self,
        file: &mut File,
        limit: &TimeLimit,
    ) -> Result<Progress, UploadError> {
        let mut checkpoint = read_checkpoint(file)?;
        loop {
            let end = match checkpoint {
                Checkpoint::Begin => self.check(file, None, limit).await,
                Checkpoint::Checking(state) => self.check(file, Some(*state), limit).await,
                Checkpoint::Splitting(state) => self.split(file, *state, limit).await,
                Checkpoint::Enqueuing(state) => self.enqueue(file, state, limit).await,
            };
            let end = match end {
                Err(UploadError::Store(error @ StoreError::ObjectChanged { .. }))
                    // Later, some of it exists: it waits for the object to be put back.
                    if file.stage == Stage::Checking =>
                {
                    StageEnd::Rejected(format!("{error}: upload it under another name"))
                }
                other => other?,
            };
            match end {
                StageEnd::Next(stage, next) => {
                    file.stage = stage;
                    self.save_checkpoint(file, &next).await?;
                    checkpoint = next;
                }
                StageEnd::Rejected(why) => {
                    self.reject(file, why).await?;
                    return Ok(Progress::Done);
                }
                StageEnd::Finished => {
                    self.finish(file).await?;
                    return Ok(Progress::Done);
                }
                StageEnd::Paused(here) => {
                    file.lease_until = None;
                    self.save_checkpoint(file, &here).await?;
                    self.wake(file).await?;
                    return Ok(Progress::Continued);
                }
            }
        }
    }

    /// Puts a continuation of a file on the queue.
    pub async fn wake(&self, file: &File) -> Result<(), UploadError> {
        let next = UploadContinuation::of_file(file);
        Ok(self.store.send_continuation(&next).await?)
    }

    async fn reject(&self, file: &mut File, why: String) -> Result<(), UploadError> {
        let now = self.clock.now();
        set_status(file, FileEvent::Rejected);
        file.stage = Stage::Done;
        file.checkpoint = None;
        file.lease_until = None;
        file.error_log = Some(why);
        file.error_at = Some(now);
        self.save(file).await?;
        self.metrics.count(Metric::FilesError, 1);
        tracing::warn!(file_id = %file.id, name = file.name, "a file cannot be trusted");
        Ok(())
    }

    async fn finish(&self, file: &mut File) -> Result<(), UploadError> {
        let now = self.clock.now();
        set_status(file, FileEvent::Enqueued);
        file.stage = Stage::Done;
        file.checkpoint = None;
        file.lease_until = None;
        file.error_log = None;
        file.processed_at = Some(now);
        self.save(file).await?;
        self.metrics.count(Metric::FilesProcessed, 1);
        self.metrics.count(Metric::DetailsStored, file.detail_count);
        tracing::info!(
            file_id = %file.id,
            batches = file.batch_count,
            details = file.detail_count,
            validate_only = reserve::is_validated_only(file),
            "a file is done"
        );
        Ok(())
    }

    /// Gives the lease back after a failure, so that the next message need not wait for its end.
    async fn note_failure(&self, file: &mut File, error: &UploadError) {
        file.retry_count += 1;
        file.lease_until = None;
        file.error_log = Some(format!("reading failed and will be tried again: {error}"));
        if let Err(error) = self.save(file).await {
            // The lease ends by itself.
            tracing::warn!(file_id = %file.id, %error, "a failed reading could not be noted");
        }
    }

    async fn save_checkpoint(&self, file: &mut File, at: &Checkpoint) -> Result<(), UploadError> {
        let text = serde_json::to_string(at).map_err(|_| UploadError::Checkpoint(file.id))?;
        file.checkpoint = Some(text);
        file.stalled_count = 0;
        self.save(file).await
    }

    async fn save(&self, file: &mut File) -> Result<(), UploadError> {
        file.updated_at = self.clock.now();
        Ok(self.store.save_file(file).await?)
    }
}

/// How much longer than others a file is left alone that has got nowhere so often.
pub(crate) fn patience(file: &File) -> u32 {
    file.stalled_count.clamp(1, STALLED_MAX)
}

/// A file that was found under an object's id, if it is that object's.
fn same_object(file: File, object: &ObjectIdentity) -> Result<File, UploadError> {
    if file.object() == Some(object) {
        if file.status == FileStatus::Error {
            tracing::warn!(file_id = %file.id, "an object that was refused has come again");
        }
        return Ok(file);
    }
    Err(UploadError::SameId {
        id: file.id,
        key: object.key.clone(),
        other: file
            .object()
            .map_or_else(String::new, |other| other.key.clone()),
    })
}

fn read_checkpoint(file: &File) -> Result<Checkpoint, UploadError> {
    match &file.checkpoint {
        None => Ok(Checkpoint::Begin),
        Some(text) => serde_json::from_str(text).map_err(|_| UploadError::Checkpoint(file.id)),
    }
}

/// The steps taken here are in the table: the statuses that have none were turned away before.
fn set_status(file: &mut File, event: FileEvent) {
    if let Ok(status) = file.status.after(event) {
        file.status = status;
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// The time that every detail of a file is said to be made at: one for all, so that a second
/// writing writes the same.
fn split_time(clock: &Clock) -> DateTime<Utc> {
    let now = clock.now();
    DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
}
