//! The first stage: the whole file is read, and nothing is written of it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use weir_servicegate::{Checkpoint as ReaderCheckpoint, FileProblem, Item, Limits, Options};
use weir_store::{File, Stage, Store, StoreError, shard_count_for};

use super::items::{FileItems, NextError};
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
        let validate_only = is_validated_only(file);
        let mut items = FileItems::new(&self.store, &object, state.reader.take(), options);
        loop {
            let item = match items.next().await {
                Ok(item) => item,
                Err(NextError::Store(error)) => return Err(error.into()),
                Err(NextError::File(problem)) => {
                    state.add(&problem);
                    return Ok(StageEnd::Rejected(state.told()));
                }
            };
            match item {
                Some(Item::Problem(problem)) => state.add(&problem),
                Some(Item::BatchEnd(batch)) => {
                    state.largest_batch = state.largest_batch.max(batch.records);
                }
                // None of these will be there.
                Some(Item::End(_)) if validate_only => {}
                Some(Item::End(summary)) => {
                    file.batch_count = summary.batches;
                    file.detail_count = summary.records;
                }
                Some(_) => {}
                None => break,
            }
            if !limit.allows(TIME_KEPT) {
                state.reader = items.checkpoint();
                if state.reader.is_some() {
                    return Ok(StageEnd::Paused(Checkpoint::Checking(Box::new(state))));
                }
            }
        }
        if state.problem_count > 0 {
            return Ok(StageEnd::Rejected(state.told()));
        }
        if validate_only {
            return Ok(StageEnd::Finished);
        }
        let split = SplitState::new(
            shard_count_for(state.largest_batch),
            split_time(&self.clock),
        );
        Ok(StageEnd::Next(
            Stage::Splitting,
            Checkpoint::Splitting(Box::new(split)),
        ))
    }
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
