//! The first stage: the whole file is read, and nothing is written of it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use weir_servicegate::{Checkpoint as ReaderCheckpoint, FileProblem, Item, Limits, Options};
use weir_store::{File, Stage, Store, StoreError, shard_count_for};

use super::items::{FileItems, NextError};
use super::repeats::{KeptNumbers, Numbers};
use super::reserve::is_validated_only;
use super::split::SplitState;
use super::{Checkpoint, StageEnd, TIME_KEPT, UploadError, UploadScope, Uploader, split_time};
use crate::TimeLimit;

/// Problems that a file's error log spells out; all are counted.
const PROBLEMS_TOLD_MAX: usize = 20;

/// How far the check has come.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CheckState {
    reader: Option<ReaderCheckpoint>,
    /// The first problems, in words.
    problems: Vec<String>,
    problem_count: u64,
    /// How many records the largest batch has.
    largest_batch: u32,
    /// The numbers of the batches, where the file is only judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    numbers: Option<KeptNumbers>,
}

impl CheckState {
    fn add(&mut self, problem: &FileProblem) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(problem.to_string());
        }
    }

    /// The problems in words, a line each.
    fn told(&self) -> String {
        let mut told = self.problems.join("\n");
        let more = self
            .problem_count
            .saturating_sub(self.problems.len() as u64);
        if more > 0 {
            let _ = write!(told, "\nand {more} more");
        }
        told
    }
}

impl Uploader {
    /// Reads the whole file. Sound, it goes on to be split.
    pub(super) async fn check(
        &self,
        file: &mut File,
        from: Option<CheckState>,
        limit: &TimeLimit,
    ) -> Result<StageEnd, UploadError> {
        let object = file.object().cloned();
        let object = object.ok_or(UploadError::Inconsistent(file.id))?;
        if from.is_none()
            && let Some(why) = unknown_program(&self.store, &object.key).await?
        {
            return Ok(StageEnd::Rejected(why));
        }
        let mut state = from.unwrap_or_default();
        let options = Options {
            limits: Limits::default(),
            keep_xml: false,
        };
        // Of a file that is only judged, what will not be known once it is read.
        let mut numbers = match UploadScope::of_key(&object.key) {
            Ok(scope) if is_validated_only(file) => {
                let kept = Numbers::of_kept(state.numbers.take().unwrap_or_default());
                Some((scope, kept.ok_or(UploadError::Checkpoint(file.id))?))
            }
            _ => None,
        };
        let reader = state.reader.take();
        let mut items = FileItems::new(&self.store, &object, reader, options);
        let read = self
            .read_on(&mut items, file, &mut state, &mut numbers, limit)
            .await?;
        let validate_only = numbers.is_some();
        if let Some((scope, mut numbers)) = numbers {
            let repeated = numbers.look_up(&self.store, scope).await?;
            match read {
                Read::Whole => file.repeated_numbers = repeated.to_vec(),
                Read::Part => state.numbers = Some(numbers.kept()),
            }
        }
        Ok(match read {
            Read::Part => StageEnd::Paused(Checkpoint::Checking(Box::new(state))),
            Read::Whole if state.problem_count > 0 => StageEnd::Rejected(state.told()),
            Read::Whole if validate_only => StageEnd::Finished,
            Read::Whole => {
                let shards = shard_count_for(state.largest_batch);
                let split = SplitState::new(shards, split_time(&self.clock));
                StageEnd::Next(Stage::Splitting, Checkpoint::Splitting(Box::new(split)))
            }
        })
    }

    /// Reads until the end of the file, or of the time.
    async fn read_on(
        &self,
        items: &mut FileItems<'_>,
        file: &mut File,
        state: &mut CheckState,
        numbers: &mut Option<(UploadScope, Numbers)>,
        limit: &TimeLimit,
    ) -> Result<Read, UploadError> {
        loop {
            let item = match items.next().await {
                Ok(item) => item,
                Err(NextError::Store(error)) => return Err(error.into()),
                Err(NextError::File(problem)) => {
                    state.add(&problem);
                    return Ok(Read::Whole);
                }
            };
            match item {
                Some(Item::Problem(problem)) => state.add(&problem),
                Some(Item::BatchStart(header)) => {
                    if let Some((scope, numbers)) = numbers {
                        numbers.add(&self.store, *scope, *header).await?;
                    }
                }
                Some(Item::BatchEnd(batch)) => {
                    state.largest_batch = state.largest_batch.max(batch.records);
                }
                // None of these will be there.
                Some(Item::End(_)) if numbers.is_some() => {}
                Some(Item::End(summary)) => {
                    file.batch_count = summary.batches;
                    file.detail_count = summary.records;
                }
                Some(_) => {}
                None => return Ok(Read::Whole),
            }
            if !limit.allows(TIME_KEPT) {
                state.reader = items.checkpoint();
                if state.reader.is_some() {
                    return Ok(Read::Part);
                }
            }
        }
    }
}

/// How far a run of the check came.
#[derive(Debug, Clone, Copy)]
enum Read {
    /// To the file's end, or to where it cannot be read any further.
    Whole,
    /// To where time ran short.
    Part,
}

/// Why the client and the program that an object's key names are not known, if so.
pub(super) async fn unknown_program(
    store: &Store,
    key: &str,
) -> Result<Option<String>, StoreError> {
    match UploadScope::of_key(key) {
        Ok(scope) => unknown_scope(store, scope).await,
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// Why a client and a program are not known, if so.
pub(super) async fn unknown_scope(
    store: &Store,
    scope: UploadScope,
) -> Result<Option<String>, StoreError> {
    let program = store.program(scope.program_id).await?;
    let known = program.is_some_and(|program| program.client_id == scope.client_id);
    let why = || {
        format!(
            "the object's key names program {} of client {}, which is not known: upload the file \
             under the ids of an existing one",
            scope.program_id, scope.client_id
        )
    };
    Ok((!known).then(why))
}
